/** Commands that ask the running gateway: calls, trace, status, route-test, reload, drain. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { CallView, StatusView, TraceView } from '../gateway/contract.ts';
import type { RouteExplanation } from '../policy/dial-rules.ts';
import type { OperatorRequest, ReloadView } from '../store/operator.ts';
import { CliError, EXIT, type ExitCode, type Io, printJson } from './io.ts';
import { ladder } from './ladder.ts';
import { ask, type SocketChoice, socketOf } from './operator-client.ts';
import { callsTable, routeText, statusText } from './operator-views.ts';

export interface OperatorOptions extends SocketChoice {
  readonly json?: boolean;
}

async function show(
  request: OperatorRequest,
  options: OperatorOptions,
  io: Io,
  text: (value: unknown) => string,
) {
  const value = await ask(await socketOf(options), request);
  if (options.json === true) printJson(io, value);
  else io.stdout(text(value));
}

/** Ends a watch on a terminal; the tests' way to end it. */
export interface WatchOptions extends OperatorOptions {
  readonly watch?: boolean;
  readonly signal?: AbortSignal;
}

const CLEAR = '\x1b[H\x1b[2J';

export async function callsCommand(options: WatchOptions, io: Io): Promise<void> {
  const once = (): Promise<void> =>
    show({ command: 'calls' }, options, io, (value) => callsTable(value as readonly CallView[]));
  if (options.watch !== true) return once();
  while (options.signal?.aborted !== true) {
    if (io.columns !== undefined) io.stdout(CLEAR);
    await once();
    try {
      await sleep(2000, undefined, options.signal === undefined ? {} : { signal: options.signal });
    } catch {
      return;
    }
  }
}

export function traceCommand(call: string, options: OperatorOptions, io: Io): Promise<void> {
  return show({ command: 'trace', call: call.toLowerCase() }, options, io, (value) =>
    ladder(value as TraceView, io.columns),
  );
}

/** Failure where a tunnel is down: for scripts that watch a gateway. */
export async function statusCommand(options: OperatorOptions, io: Io): Promise<ExitCode> {
  const status = (await ask(await socketOf(options), { command: 'status' })) as StatusView;
  if (options.json === true) printJson(io, status);
  else io.stdout(statusText(status));
  const up = status.tunnels.length > 0 && status.tunnels.every((tunnel) => tunnel.state === 'up');
  return up ? EXIT.ok : EXIT.failure;
}

export function routeTestCommand(
  number: string,
  options: OperatorOptions & { readonly from?: string },
  io: Io,
): Promise<void> {
  const from = options.from === undefined ? {} : { from: options.from };
  return show({ command: 'route-test', number, ...from }, options, io, (value) =>
    routeText(value as RouteExplanation),
  );
}

export function reloadCommand(options: OperatorOptions, io: Io): Promise<void> {
  return show({ command: 'reload' }, options, io, (value) => {
    const { applied, messages } = value as ReloadView;
    return [applied ? 'The new configuration is in use.' : 'Nothing was changed.', ...messages, ''].join(
      '\n',
    );
  });
}

export async function drainCommand(options: OperatorOptions, io: Io): Promise<void> {
  const calls = await drained(await socketOf(options));
  const text =
    calls === 0
      ? 'The gateway had no calls and ends.'
      : 'The gateway takes no new calls; it ends with the last one.';
  if (options.json === true) printJson(io, { draining: true, calls });
  else io.stdout(`${text}\n`);
}

/** Calls that are left. A gateway without calls may end before it has answered. */
async function drained(socket: string): Promise<number> {
  try {
    const value = (await ask(socket, { command: 'drain' })) as { readonly calls?: number } | null;
    return value?.calls ?? 0;
  } catch (error) {
    if (error instanceof CliError && /closed the connection/.test(error.message)) return 0;
    throw error;
  }
}
