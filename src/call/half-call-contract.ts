/** What goes into a half-call and what comes out of it. */
import type { Millis } from '../machine/machine.ts';
import type { CallId, CallMessage, Cause, Party, Priority, ReleaseOrigin, Side } from '../meta/message.ts';
import type { LegCommand } from './leg.ts';
import type { CallState } from './transitions.ts';

/** Milliseconds. */
export interface CallTimers {
  /** Originator: from set-up to `proceeding`. */
  readonly setupMs: number;
  /** From `proceeding` (terminator: from set-up) to `connect`. */
  readonly ringMs: number;
  /** From `connect` to the end. */
  readonly maxCallMs: number;
  /** For the answer to a change and to an offer; more than SIP's 64*T1 so that the leg's own answer comes first. */
  readonly modifyMs: number;
  /** The side that asked for a change waits this much longer, so that both sides see the same outcome. */
  readonly modifyMarginMs: number;
  readonly transferMs: number;
  /** Longest cut of the tunnel that a set-up, and an established call, lives through. */
  readonly cutSetupMs: number;
  readonly cutCallMs: number;
  /** For the answer to a status enquiry. */
  readonly enquiryMs: number;
}

export const CALL_TIMERS: CallTimers = {
  setupMs: 10_000,
  ringMs: 180_000,
  maxCallMs: 14_400_000,
  modifyMs: 35_000,
  modifyMarginMs: 5000,
  transferMs: 60_000,
  cutSetupMs: 8000,
  cutCallMs: 30_000,
  enquiryMs: 10_000,
};

export interface HalfCallOptions {
  readonly call: CallId;
  readonly side: Side;
  /** Which gateway this is: the origin of releases that begin here. */
  readonly gateway: 'termination-gateway' | 'relay-gateway';
  readonly timers?: Partial<CallTimers>;
  /** Terminator: name of the peer that routing chose (goes into the leg's set-up). */
  readonly peer?: string;
  /** Originator: what the Meta set-up says besides the leg's. */
  readonly shard?: number;
  readonly streamBase?: number;
  readonly accountingId?: string;
}

export type HalfCallOutput =
  | { readonly kind: 'leg'; readonly command: LegCommand }
  | { readonly kind: 'tunnel'; readonly message: CallMessage }
  | { readonly kind: 'state'; readonly state: CallState }
  /** The other side's leg asks for a transfer; the gateway carries it out and says `transferResult`. */
  | { readonly kind: 'transfer'; readonly target: Party; readonly replaces?: CallId }
  /**
   * A message (or only its media, then `what` ends in `.media`) was not taken. `reason`: 'state', or an ExchangeProblem,
   * or another short token; bounded in number, good for a counter.
   */
  | {
      readonly kind: 'refused-message';
      readonly from: 'leg' | 'tunnel';
      readonly what: string;
      readonly state: CallState;
      readonly reason: string;
    }
  /** The last output, exactly once. */
  | { readonly kind: 'ended'; readonly cause: Cause; readonly origin: ReleaseOrigin };

/** What the record of a call is made of. Times are monotonic. */
export interface CallFacts {
  readonly caller?: Party;
  readonly callee?: Party;
  readonly connected?: Party;
  readonly diverting?: Party;
  readonly priority: Priority;
  readonly accountingId?: string;
  readonly setupAt?: Millis;
  readonly proceedingAt?: Millis;
  readonly alertingAt?: Millis;
  readonly connectAt?: Millis;
  readonly endAt?: Millis;
  readonly cause?: Cause;
  readonly origin?: ReleaseOrigin;
}

/** Writable inside the half-call. */
export type MutableFacts = { -readonly [K in keyof CallFacts]: CallFacts[K] };
