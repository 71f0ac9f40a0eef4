import type { SipFlow } from '../contract.ts';
import type { Hop } from '../core.ts';

/** A hop as the user sees it: what a later INVITE may go back over. */
export function sessionFlow(hop: Hop): SipFlow {
  return hop.connection === undefined
    ? { kind: 'datagram', listener: hop.listener.name, remote: hop.remote }
    : { kind: 'stream', connection: hop.connection };
}
