/** One call at this gateway: its half-call, the adapter of its leg, and what ladder and record need besides. */
import type { CallEntry } from '../call/call-table.ts';
import type { LegCommand } from '../call/leg.ts';
import type { H323Leg } from '../interworking/h323-leg.ts';
import type { SipLeg } from '../interworking/sip-leg.ts';
import type { Millis } from '../machine/machine.ts';
import type { Party, Priority } from '../meta/message.ts';
import type { NoLeg } from './no-leg.ts';
import type { Transfer } from './transfer.ts';

export type SetupCommand = Extract<LegCommand, { kind: 'setup' }>;

/** What a call that is forwarded is made anew with. */
export interface Forwarding {
  readonly setup: SetupCommand;
  /** As the other gateway named it. */
  readonly caller: Party;
  readonly count: number;
}

export interface GatewayCall extends CallEntry {
  adapter: SipLeg | H323Leg | NoLeg;
  readonly streamBase: number;
  readonly shard: number;
  caller: Party;
  callee: Party;
  /** Name of the dial rule that decided. */
  route: string;
  readonly priority: Priority;
  /** Admission's receipt, to give the place back. */
  admission: string;
  /** Where the leg's signalling comes from, or goes to; undefined: by name, or over a connection. */
  readonly source: string | undefined;
  /** How often its party was transferred until it came to this call. */
  transfers: number;
  /** A transfer this call takes part in. */
  transfer: Transfer | undefined;
  /** Our REFER to the leg's far end waits for its outcome. */
  referring: boolean;
  /** A call that this gateway makes, until it is answered. */
  forwarding: Forwarding | undefined;
  /** The caller as the other gateway named it; undefined: the call is of this gateway's own side. */
  readonly asked: Party | undefined;
  /** The half-call has ended at this time; the record waits for the last media counters. */
  overAt: Millis | undefined;
  /** Why this gateway ended the call, for the record; undefined: as cause and origin say. */
  endReason: string | undefined;
  mediaOver: boolean;
  connected: boolean;
}
