import { distance16 } from '../bytes/sequence.ts';

export const IN_ORDER = 0;
export const REORDERED = 1;
export const DUPLICATE = 2;
/** Outside the window: a jump forward of MAX_DROPOUT or more, or older than MAX_MISORDER. */
export const JUMP = 3;

/** RFC 3550 A.1. */
export const MAX_DROPOUT = 3000;
export const MAX_MISORDER = 100;

/**
 * Sequence numbers of one source, RFC 3550 A.1, with a bitmap of the last 128 numbers so that a duplicate is known.
 * `classify` looks, `commit` counts: a packet that another check refuses leaves no trace.
 */
export class SequenceWindow {
  #started = false;
  #highest = 0;
  #cycles = 0;
  #base = 0;
  #received = 0;
  #lostBefore = 0;
  #seen = new Uint8Array(128);

  get started(): boolean {
    return this.#started;
  }

  get highest(): number {
    return this.#highest;
  }

  /** Highest number received, extended by its cycles (RFC 3550 6.4.1), modulo 2^32. */
  get extendedHighest(): number {
    return (this.#cycles + this.#highest) >>> 0;
  }

  /** Packets expected so far, restarts included (RFC 3550 A.3). */
  get expected(): number {
    return this.#started ? this.#lostBefore + this.#cycles + this.#highest - this.#base + 1 : 0;
  }

  get received(): number {
    return this.#received;
  }

  /** Never below 0: duplicates are not counted as received here. */
  get lost(): number {
    return Math.max(0, this.expected - this.#received);
  }

  classify(sequence: number): number {
    if (!this.#started) return IN_ORDER;
    const step = distance16(sequence, this.#highest);
    if (step === 0) return DUPLICATE;
    if (step > 0) return step < MAX_DROPOUT ? IN_ORDER : JUMP;
    if (step <= -MAX_MISORDER) return JUMP;
    return this.#seen[sequence & 127] === 1 ? DUPLICATE : REORDERED;
  }

  /** Only after `classify` said IN_ORDER or REORDERED. */
  commit(sequence: number): void {
    if (!this.#started) {
      this.restart(sequence);
      // The first to arrive need not be the first that was sent.
      this.#seen.fill(0);
      this.#seen[sequence & 127] = 1;
      return;
    }
    const step = distance16(sequence, this.#highest);
    if (step > 0) {
      if (step >= 128) this.#seen.fill(0);
      else for (let i = 1; i < step; i++) this.#seen[(this.#highest + i) & 127] = 0;
      if (sequence < this.#highest) this.#cycles += 0x1_0000;
      this.#highest = sequence;
    } else {
      const beforeBase = this.#base - this.#cycles - this.#highest - step;
      if (beforeBase > 0) this.#base -= beforeBase;
    }
    this.#seen[sequence & 127] = 1;
    this.#received++;
  }

  /** A new series begins at `sequence`; what was expected before stays counted. */
  restart(sequence: number): void {
    this.#lostBefore = this.expected;
    this.#started = true;
    this.#cycles = 0;
    this.#base = sequence;
    this.#highest = sequence;
    this.#seen.fill(0);
    // What comes late from before the restart belongs to the old series: it counts as seen.
    for (let i = 1; i < MAX_MISORDER; i++) this.#seen[(sequence - i) & 127] = 1;
    this.#seen[sequence & 127] = 1;
    this.#received++;
  }
}
