/** Asks a running gateway through its UNIX socket: one request, one answer (store/operator.ts). */
import { readdirSync } from 'node:fs';
import { operatorRequest } from '../net/unix-socket.ts';
import type { OperatorRequest } from '../store/operator.ts';
import { CliError, usageError } from './io.ts';

const RUN_FOLDER = '/run/voip-sgw';

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
  try {
    return await operatorRequest(socket, request);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new CliError(code === undefined ? message : unreachable(socket, code));
  }
}

function unreachable(path: string, code: string): string {
  switch (code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
      return `no gateway is running at ${path}; start it, or give the --config FILE it was started with`;
    case 'EACCES':
    case 'EPERM':
      return `this user may not use ${path}; run the command as the gateway's user or as root`;
    default:
      return `${path} cannot be used (${code}); is it the socket of a voip-sgw gateway?`;
  }
}
