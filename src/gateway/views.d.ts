/** What the operator's commands show. Numbers are shortened unless the operator's own command asks: it is a local socket, 0600. */
import type { OperatorCommand } from './contract.ts';
import type { GatewayState } from './state.ts';
export declare function operatorReply(
  gw: GatewayState,
  command: OperatorCommand,
): {
  value: unknown;
  error?: string;
};
/** UTC, RFC 3339; the pure folders have no Date. */
export declare function isoTime(wall: number): string;
