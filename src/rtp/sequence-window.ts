import { distance16 } from '../bytes/sequence.ts';
import { ownPlace, type Place } from '../machine/cells.ts';

export const IN_ORDER = 0;
export const REORDERED = 1;
export const DUPLICATE = 2;
/** Outside the window: a jump forward of MAX_DROPOUT or more, or older than MAX_MISORDER. */
export const JUMP = 3;

/** RFC 3550 A.1. */
export const MAX_DROPOUT = 3000;
export const MAX_MISORDER = 100;

const HIGHEST = 0;
/** 0: nothing has come yet. */
const RECEIVED = 1;
const CYCLES = 2;
const BASE = 3;
const LOST_BEFORE = 4;
/** Which of the last 128 numbers came: a bit each, 32 to a cell. */
const SEEN = 5;
const SEEN_CELLS = 4;
export const WINDOW_CELLS = SEEN + SEEN_CELLS;

/**
 * Sequence numbers of one source, RFC 3550 A.1, with a bitmap of the last 128 numbers so that a duplicate is known.
 * `classify` looks, `commit` counts: a packet that another check refuses leaves no trace.
 */
export class SequenceWindow {
  readonly #cells: Float64Array;
  readonly #at: number;

  constructor(place: Place = ownPlace(WINDOW_CELLS)) {
    this.#cells = place.cells;
    this.#at = place.at;
  }

  get started(): boolean {
    return this.received > 0;
  }

  get highest(): number {
    return highestSequence(this.#cells, this.#at);
  }

  /** Highest number received, extended by its cycles (RFC 3550 6.4.1), modulo 2^32. */
  get extendedHighest(): number {
    return (this.#cells[this.#at + CYCLES]! + this.highest) >>> 0;
  }

  /** Packets expected so far, restarts included (RFC 3550 A.3). */
  get expected(): number {
    return expected(this.#cells, this.#at);
  }

  get received(): number {
    return this.#cells[this.#at + RECEIVED]!;
  }

  /** Never below 0: duplicates are not counted as received here. */
  get lost(): number {
    return Math.max(0, this.expected - this.received);
  }

  classify(sequence: number): number {
    return classifySequence(this.#cells, this.#at, sequence);
  }

  /** Only after `classify` said IN_ORDER or REORDERED. */
  commit(sequence: number): void {
    commitSequence(this.#cells, this.#at, sequence);
  }

  /** A new series begins at `sequence`; what was expected before stays counted. */
  restart(sequence: number): void {
    restartSequence(this.#cells, this.#at, sequence);
  }
}

// The same for who has the cells at hand.

export function highestSequence(cells: Float64Array, at: number): number {
  return cells[at + HIGHEST]!;
}

export function classifySequence(cells: Float64Array, at: number, sequence: number): number {
  if (cells[at + RECEIVED] === 0) return IN_ORDER;
  const step = distance16(sequence, cells[at + HIGHEST]!);
  if (step === 0) return DUPLICATE;
  if (step > 0) return step < MAX_DROPOUT ? IN_ORDER : JUMP;
  if (step <= -MAX_MISORDER) return JUMP;
  return isSeen(cells, at, sequence) ? DUPLICATE : REORDERED;
}

export function commitSequence(cells: Float64Array, at: number, sequence: number): void {
  if (cells[at + RECEIVED] === 0) {
    restartSequence(cells, at, sequence);
    // The first to arrive need not be the first that was sent.
    forget(cells, at);
    see(cells, at, sequence);
    return;
  }
  const highest = cells[at + HIGHEST]!;
  const step = distance16(sequence, highest);
  if (step > 0) {
    if (step >= 128) forget(cells, at);
    else for (let i = 1; i < step; i++) unsee(cells, at, highest + i);
    if (sequence < highest) cells[at + CYCLES]! += 0x1_0000;
    cells[at + HIGHEST] = sequence;
  } else {
    const beforeBase = cells[at + BASE]! - cells[at + CYCLES]! - highest - step;
    if (beforeBase > 0) cells[at + BASE]! -= beforeBase;
  }
  see(cells, at, sequence);
  cells[at + RECEIVED]!++;
}

export function restartSequence(cells: Float64Array, at: number, sequence: number): void {
  cells[at + LOST_BEFORE] = expected(cells, at);
  cells[at + CYCLES] = 0;
  cells[at + BASE] = sequence;
  cells[at + HIGHEST] = sequence;
  forget(cells, at);
  // What comes late from before the restart belongs to the old series: it counts as seen.
  for (let i = 1; i < MAX_MISORDER; i++) see(cells, at, sequence - i);
  see(cells, at, sequence);
  cells[at + RECEIVED]!++;
}

function expected(cells: Float64Array, at: number): number {
  if (cells[at + RECEIVED] === 0) return 0;
  return cells[at + LOST_BEFORE]! + cells[at + CYCLES]! + cells[at + HIGHEST]! - cells[at + BASE]! + 1;
}

function isSeen(cells: Float64Array, at: number, sequence: number): boolean {
  return ((cells[at + SEEN + ((sequence & 127) >> 5)]! >> (sequence & 31)) & 1) === 1;
}

function see(cells: Float64Array, at: number, sequence: number): void {
  cells[at + SEEN + ((sequence & 127) >> 5)]! |= 1 << (sequence & 31);
}

function unsee(cells: Float64Array, at: number, sequence: number): void {
  cells[at + SEEN + ((sequence & 127) >> 5)]! &= ~(1 << (sequence & 31));
}

function forget(cells: Float64Array, at: number): void {
  for (let i = 0; i < SEEN_CELLS; i++) cells[at + SEEN + i] = 0;
}
