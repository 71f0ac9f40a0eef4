/** Asks a running gateway through its UNIX socket: one JSON line out, one back (store/operator.ts). */
import { readdirSync } from 'node:fs';
import { connect } from 'node:net';
import type { OperatorRequest, OperatorResponse } from '../store/operator.ts';
import { CliError, usageError } from './io.ts';

const RUN_FOLDER = '/run/voip-sgw';
const TIMEOUT_MS = 10_000;
/** Longest answer taken; thousands of calls with their streams fit. */
const MAX_ANSWER = 64 * 1024 * 1024;

export interface SocketChoice {
  readonly socket?: string;
  readonly config?: string;
}

/** The socket named by the options, by VOIP_SGW_SOCKET, or the only one in /run/voip-sgw. */
export async function socketOf(choice: SocketChoice): Promise<string> {
  if (choice.socket !== undefined) return choice.socket;
  if (choice.config !== undefined) return configuredSocket(choice.config);
  const fromEnvironment = process.env['VOIP_SGW_SOCKET'];
  if (fromEnvironment !== undefined && fromEnvironment !== '') return fromEnvironment;
  const found = socketsIn(RUN_FOLDER);
  if (found.length === 1) return found[0]!;
  throw usageError(
    found.length === 0
      ? `which gateway? Give --config FILE (its configuration) or --socket PATH; there is none in ${RUN_FOLDER}`
      : `which gateway? Give --socket PATH, one of: ${found.join(', ')}`,
  );
}

async function configuredSocket(config: string): Promise<string> {
  const { formatConfigError, loadConfig } = await import('../store/config.ts');
  const loaded = loadConfig(config, { files: false });
  if (!loaded.ok) throw usageError(loaded.error.map(formatConfigError).join('\n'));
  return loaded.value.config.operator.socket;
}

function socketsIn(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith('.sock'))
      .map((name) => `${folder}/${name}`);
  } catch {
    return [];
  }
}

/** The value of the answer. Fails with what the gateway says, or with what to do where there is none. */
export async function ask(socket: string, request: OperatorRequest): Promise<unknown> {
  const line = await exchange(socket, `${JSON.stringify(request)}\n`);
  let response: OperatorResponse;
  try {
    response = JSON.parse(line) as OperatorResponse;
  } catch {
    throw new CliError(
      `${socket} answered with something else than JSON; is it the socket of a voip-sgw gateway?`,
    );
  }
  if (!response.ok) throw new CliError(response.error);
  return response.value;
}

function exchange(path: string, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const chunks: Buffer[] = [];
    let length = 0;
    const end = (error: CliError | undefined, line?: string): void => {
      socket.destroy();
      if (error === undefined) resolve(line ?? '');
      else reject(error);
    };
    socket.setTimeout(TIMEOUT_MS, () => {
      end(new CliError(`the gateway at ${path} did not answer in ${TIMEOUT_MS / 1000} s; look at its log`));
    });
    socket.on('connect', () => socket.write(request));
    socket.on('error', (error: NodeJS.ErrnoException) => end(new CliError(unreachable(path, error))));
    socket.on('close', () =>
      end(new CliError(`the gateway at ${path} closed the connection; look at its log`)),
    );
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      length += chunk.length;
      if (length > MAX_ANSWER) end(new CliError(`the answer of ${path} is too long`));
      else if (chunk.includes(0x0a)) {
        const text = Buffer.concat(chunks).toString('utf8');
        end(undefined, text.slice(0, text.indexOf('\n')));
      }
    });
  });
}

function unreachable(path: string, error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
      return `no gateway is running at ${path}; start it, or give the --config FILE it was started with`;
    case 'EACCES':
    case 'EPERM':
      return `this user may not use ${path}; run the command as the gateway's user or as root`;
    default:
      return `${path} cannot be used (${error.code ?? error.message})`;
  }
}
