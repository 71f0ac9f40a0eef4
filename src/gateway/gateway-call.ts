/** One call at this gateway: its half-call, the adapter of its leg, and what ladder and record need besides. */
import type { CallEntry } from '../call/call-table.ts';
import type { H323Leg } from '../interworking/h323-leg.ts';
import type { SipLeg } from '../interworking/sip-leg.ts';
import type { Millis } from '../machine/machine.ts';
import type { Party, Priority } from '../meta/message.ts';

export interface GatewayCall extends CallEntry {
  readonly adapter: SipLeg | H323Leg;
  readonly streamBase: number;
  readonly shard: number;
  readonly caller: Party;
  readonly callee: Party;
  /** Name of the dial rule that decided. */
  readonly route: string;
  readonly priority: Priority;
  /** Admission's receipt, to give the place back. */
  readonly admission: string;
  /** The half-call has ended at this time; the record waits for the last media counters. */
  overAt: Millis | undefined;
  mediaOver: boolean;
  connected: boolean;
}
