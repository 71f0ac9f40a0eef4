import { buildRecord } from '../call/record.ts';
import type { Millis } from '../machine/machine.ts';
import { TokenBucket } from '../machine/token-bucket.ts';
import type { CallId, Cause, Party, Priority, Side } from '../meta/message.ts';
import type { GatewayState } from './state.ts';

export interface RefusedCall {
  readonly call: CallId;
  readonly side: Side;
  /** '' where it is not known: refused before routing. */
  readonly site: string;
  readonly peer: string;
  readonly caller?: Party;
  readonly callee?: Party;
  readonly priority?: Priority;
  readonly cause: Cause;
  readonly reason: string;
}

/** The record of a call that this gateway refused: at most `cdr.refusedPerSecond` of them, or a flood would fill the disk. */
export function recordRefused(gw: GatewayState, refused: RefusedCall): void {
  const { call, side, site, peer, caller, callee, priority, cause, reason } = refused;
  // A call has one record. Who reuses an id, and only an attacker in the place of the other gateway does, gets no second one.
  if (gw.recordedCalls.has(call)) {
    gw.count('recordsOmitted', 'repeated-id');
    return;
  }
  if (!gw.refusedRecords.take(gw.config.cdr.refusedPerSecond, gw.now)) {
    gw.count('recordsOmitted', 'refused');
    return;
  }
  gw.recordedCalls.add(call);
  const facts = {
    ...(caller === undefined ? {} : { caller }),
    ...(callee === undefined ? {} : { callee }),
    priority: priority ?? ('normal' as const),
    setupAt: gw.now,
    endAt: gw.now,
    cause,
  };
  const record = buildRecord({
    call,
    gateway: gw.config.name,
    role: gw.config.role,
    side,
    site,
    peer,
    route: '',
    facts,
    clock: { now: gw.now, wall: gw.providers.wall() },
    refused: reason,
    streams: [],
  });
  gw.emit({ kind: 'cdr', record });
}

/** At least so many, less than twice as many. */
const REMEMBERED = 4096;

/**
 * Calls recorded lately. They are forgotten by the generation: to delete the oldest one by one makes a set of the engine
 * pass over all the places where older ones were.
 */
export class RecordedCalls {
  #young = new Set<CallId>();
  #old = new Set<CallId>();

  has(call: CallId): boolean {
    return this.#young.has(call) || this.#old.has(call);
  }

  add(call: CallId): void {
    if (this.#young.size >= REMEMBERED) {
      this.#old = this.#young;
      this.#young = new Set();
    }
    this.#young.add(call);
  }
}

/** Bursts of so many seconds' worth. */
const BURST_SECONDS = 10;

/** How many records of refused calls are written; the rate may change with the configuration. */
export class RefusedRate {
  #perSecond = 0;
  #bucket: TokenBucket | undefined;

  take(perSecond: number, now: Millis): boolean {
    if (perSecond <= 0) return false;
    if (this.#bucket === undefined || perSecond !== this.#perSecond) {
      this.#perSecond = perSecond;
      this.#bucket = new TokenBucket(Math.max(1, BURST_SECONDS * perSecond), perSecond, now);
    }
    return this.#bucket.take(now);
  }
}
