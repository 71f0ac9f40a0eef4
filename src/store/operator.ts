/**
 * What crosses the operator's UNIX socket (net/unix-socket.ts carries it). Commands and values are those of
 * gateway/contract.ts; `reload` is the process's own.
 */
import type { OperatorCommand } from '../gateway/contract.ts';
import { fail, ok, type Result } from '../machine/machine.ts';

export type OperatorRequest = OperatorCommand | { readonly command: 'reload' };

/** Answer to `reload`: what was taken over and what needs a restart. */
export interface ReloadView {
  readonly applied: boolean;
  readonly messages: readonly string[];
}

/** Reads one request. The socket is 0600, yet a typing mistake must not end the gateway. */
export function parseOperatorRequest(value: unknown): Result<OperatorRequest, string> {
  if (typeof value !== 'object' || value === null)
    return fail('the request must be an object with "command"');
  const { command, call, number, from } = value as Record<string, unknown>;
  switch (command) {
    case 'status':
    case 'calls':
    case 'reload':
    case 'drain':
      return ok({ command });
    case 'trace':
      return typeof call === 'string' && /^[0-9a-f]{1,32}$/.test(call)
        ? ok({ command, call })
        : fail('"call" must be the hexadecimal call id (or its beginning) that `voip-sgw calls` shows');
    case 'route-test':
      if (typeof number !== 'string' || number === '' || number.length > 64) {
        return fail('"number" must be 1 to 64 characters');
      }
      if (from === undefined) return ok({ command, number });
      return typeof from === 'string' ? ok({ command, number, from }) : fail('"from" must be text');
    default:
      return fail(`there is no command "${String(command).slice(0, 32)}"`);
  }
}
