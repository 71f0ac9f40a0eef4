import { ownPlace, type Place } from '../machine/cells.ts';
import type { Millis } from '../machine/machine.ts';
import {
  copySource,
  isPrivate,
  type SourceWords,
  sameHost,
  sameSource,
  sourceWords,
} from './source-words.ts';

export type SourceMode = 'signalled' | 'signalled-host' | 'latch';

export const SOURCE_REFUSED = 0;
export const SOURCE_MATCHES = 1;
/** Latching: may become the source once three packets in a row passed all other checks. */
export const SOURCE_CANDIDATE = 2;

/** Packets in a row that a candidate must show (latch). */
const PROOF = 3;
/** How long a stranger waits for the signalled address to speak first, where that one could be reachable. */
export const LATCH_GRACE_MS = 200;
const CANDIDATES = 4;

interface Candidate {
  readonly source: SourceWords;
  ssrc: number;
  sequence: number;
  inRow: number;
  since: Millis;
  at: Millis;
}

const LOCKED = 0;
const PORT = 1;
const A = 2;
const B = 3;
const C = 4;
const D = 5;
export const LOCK_CELLS = 6;

/** Whether the lock at this place is locked, and to this source. */
export function isLockedTo(cells: Float64Array, at: number, source: SourceWords): boolean {
  return (
    cells[at + LOCKED] === 1 &&
    cells[at + PORT] === source.port &&
    cells[at + D] === source.d &&
    cells[at + C] === source.c &&
    cells[at + B] === source.b &&
    cells[at + A] === source.a
  );
}

/**
 * Who may send to a stream leg (RTP bleed and injection: RFC 7362 5, ES2017-04). Once locked, the source never changes
 * without a new command. While latching, the signalled address wins at once; a stranger has to prove itself, and where the
 * signalled host could be reachable it also waits LATCH_GRACE_MS, so that "known and reachable" is not stolen by spraying.
 */
export class SourceLock {
  /** Where the locked source is (`isLockedTo`). */
  readonly place: Place;
  /** Where known, latching learns this host or the signalled one only: a mute phone's stream is not anybody's for the taking. */
  latchHost: SourceWords | undefined;
  #mode: SourceMode;
  #signalled: SourceWords | undefined;
  #windowEnds: Millis;
  readonly #candidates: Candidate[] = [];

  constructor(
    mode: SourceMode,
    signalled: SourceWords | undefined,
    latchWindowMs: number,
    now: Millis,
    place: Place = ownPlace(LOCK_CELLS),
  ) {
    this.place = place;
    this.#mode = mode;
    this.#signalled = signalled;
    this.#windowEnds = now + latchWindowMs;
  }

  get isLocked(): boolean {
    return this.place.cells[this.place.at + LOCKED] === 1;
  }

  /** Once `isLocked`. */
  get locked(): SourceWords {
    const { cells, at } = this.place;
    return {
      a: cells[at + A]!,
      b: cells[at + B]!,
      c: cells[at + C]!,
      d: cells[at + D]!,
      port: cells[at + PORT]!,
    };
  }

  get signalled(): SourceWords | undefined {
    return this.#signalled;
  }

  /**
   * New rules from signalling. With `relearn`, or where the far end named another address, the source is learned anew; else
   * a lock stays unless the mode now forbids it. True where it is learned anew.
   */
  modify(
    mode: SourceMode,
    signalled: SourceWords | undefined,
    latchWindowMs: number,
    relearn: boolean,
    now: Millis,
  ): boolean {
    const old = this.#signalled;
    const moved = signalled !== undefined && (old === undefined || !sameSource(old, signalled));
    this.#mode = mode;
    this.#signalled = signalled;
    if (relearn || moved) {
      this.#windowEnds = now + latchWindowMs;
      this.#unlock();
      return true;
    }
    if (this.isLocked && mode !== 'latch' && !this.#allows(this.locked)) this.#unlock();
    return false;
  }

  #allows(source: SourceWords): boolean {
    const signalled = this.#signalled;
    if (signalled === undefined) return false;
    return this.#mode === 'signalled' ? sameSource(source, signalled) : sameHost(source, signalled);
  }

  classify(source: SourceWords, now: Millis): number {
    const { cells, at } = this.place;
    if (this.isLocked) return isLockedTo(cells, at, source) ? SOURCE_MATCHES : SOURCE_REFUSED;
    const signalled = this.#signalled;
    if (signalled !== undefined) {
      if (sameSource(source, signalled)) return SOURCE_MATCHES;
      if (this.#mode === 'signalled-host' && sameHost(source, signalled)) return SOURCE_MATCHES;
    }
    if (this.#mode !== 'latch' || now >= this.#windowEnds) return SOURCE_REFUSED;
    const { latchHost } = this;
    if (latchHost === undefined || sameHost(source, latchHost)) return SOURCE_CANDIDATE;
    return signalled !== undefined && sameHost(source, signalled) ? SOURCE_CANDIDATE : SOURCE_REFUSED;
  }

  /** A candidate's packet passed the other checks. True when that makes it the source. */
  prove(source: SourceWords, ssrc: number, sequence: number, now: Millis): boolean {
    const c = this.#candidate(source, now);
    const next = c.inRow > 0 && c.ssrc === ssrc && ((sequence - c.sequence) & 0xffff) === 1;
    c.inRow = next ? c.inRow + 1 : 1;
    if (!next) c.since = now;
    c.ssrc = ssrc;
    c.sequence = sequence;
    c.at = now;
    if (c.inRow < PROOF || now - c.since < this.#grace(source)) return false;
    this.lock(source);
    return true;
  }

  lock(source: SourceWords): void {
    const { cells, at } = this.place;
    cells[at + LOCKED] = 1;
    cells[at + A] = source.a;
    cells[at + B] = source.b;
    cells[at + C] = source.c;
    cells[at + D] = source.d;
    cells[at + PORT] = source.port;
    this.#candidates.length = 0;
  }

  #grace(source: SourceWords): number {
    const signalled = this.#signalled;
    if (signalled === undefined || sameHost(source, signalled)) return 0;
    return isPrivate(signalled) && !isPrivate(source) ? 0 : LATCH_GRACE_MS;
  }

  #candidate(source: SourceWords, now: Millis): Candidate {
    let oldest: Candidate | undefined;
    for (const c of this.#candidates) {
      if (sameSource(c.source, source)) return c;
      if (oldest === undefined || c.at < oldest.at) oldest = c;
    }
    if (this.#candidates.length < CANDIDATES || oldest === undefined) {
      oldest = { source: sourceWords(), ssrc: 0, sequence: 0, inRow: 0, since: now, at: now };
      this.#candidates.push(oldest);
    }
    copySource(source, oldest.source);
    oldest.inRow = 0;
    return oldest;
  }

  #unlock(): void {
    this.place.cells[this.place.at + LOCKED] = 0;
    this.#candidates.length = 0;
  }
}
