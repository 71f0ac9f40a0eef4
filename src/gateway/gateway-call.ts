/** One call at this gateway: its half-call, its leg and what is remembered for ladder and record. */
import type { HalfCall } from '../call/half-call.ts';
import type { SipLeg } from '../interworking/sip-leg.ts';
import type { Millis, WallMillis } from '../machine/machine.ts';
import type { CallId, Party, Side } from '../meta/message.ts';
import type { SessionRef } from '../sip/contract.ts';

export interface GatewayCall {
  readonly id: CallId;
  readonly side: Side;
  readonly site: string;
  readonly half: HalfCall;
  readonly leg: SipLeg;
  readonly session: SessionRef;
  readonly streamBase: number;
  readonly shard: number;
  peer: string;
  caller: Party;
  callee: Party;
  readonly route: string;
  readonly priority: 'normal' | 'priority' | 'emergency';
  readonly startedAt: Millis;
  readonly startedWall: WallMillis;
  connectedAt: Millis | undefined;
  alertingAt: Millis | undefined;
  state: string;
  /** Source the admission was asked with, to give its place back. */
  readonly admitted: string;
  /** The half-call has ended; the record waits for the last media counters. */
  over:
    | { readonly cause: number; readonly origin: string; readonly at: Millis; readonly wall: WallMillis }
    | undefined;
  /** SIP session ended. */
  legOver: boolean;
  mediaOver: boolean;
}
