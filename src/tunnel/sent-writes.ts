/**
 * What a lane wrote and the far end has not acknowledged, kept so that another lane can say it again in time: where TCP's own repetition is lost
 * as well, the next one comes too late for speech. Pure and of fixed memory.
 */
import { copyBytes } from '../bytes/copy.ts';
import type { Millis } from '../machine/machine.ts';
import { FLAG_DUPLICATE, FRAME_MEDIA, MAX_FRAME } from './media-frame.ts';

/** Of one lane, a power of two: more are hardly under way on a lossy path. */
const SLOTS = 64;
const LONGEST = MAX_FRAME + 64;
/** A write that nobody repeated for so long past its time is too late for speech anyway. */
const WORTH_MS = 30;

export interface SentWrite {
  /** As AckLog numbers it. */
  number: number;
  at: Millis;
  readonly bytes: Uint8Array;
  length: number;
}

export class SentWrites {
  readonly #slots: SentWrite[] = [];
  /** The next one to look at. */
  #next = 0;
  #end = 0;

  /** Copies a write; one that is too long for it, or that AckLog gave no number (-1), is passed over. */
  keep(number: number, bytes: Uint8Array, start: number, length: number, now: Millis): void {
    if (number < 0 || length > LONGEST) return;
    let slot = this.#slots[number % SLOTS];
    if (slot === undefined) {
      // All at once, and only on a path that calls for it.
      for (let i = 0; i < SLOTS; i++)
        this.#slots.push({ number: -1, at: 0, bytes: new Uint8Array(LONGEST), length: 0 });
      slot = this.#slots[number % SLOTS]!;
    }
    copyBytes(bytes, start, length, slot.bytes, 0);
    slot.number = number;
    slot.at = now;
    slot.length = length;
    this.#end = number + 1;
  }

  /**
   * The next write that is not among the `settled` first ones and older than `afterMs`, each once; undefined: none is. Valid until the next
   * call of `keep`.
   */
  overdue(settled: number, now: Millis, afterMs: number): SentWrite | undefined {
    this.#next = Math.max(this.#next, settled, this.#end - SLOTS);
    for (; this.#next < this.#end; this.#next++) {
      const slot = this.#slots[this.#next % SLOTS]!;
      if (slot.number !== this.#next) continue; // was not kept
      if (now - slot.at <= afterMs) return undefined;
      if (now - slot.at > afterMs + WORTH_MS) continue;
      this.#next++;
      return slot;
    }
    return undefined;
  }
}

/**
 * Copies the media frames of a write to `to`, marked as second copies; what was a second copy itself and what is the lane's own
 * (acknowledgements, heartbeats) is left out. Returns the offset behind; `to` must have room for `write.length` at `at`.
 */
export function copyFrames(write: Readonly<SentWrite>, to: Uint8Array, at: number): number {
  const { bytes, length } = write;
  let next = at;
  for (let from = 0; from + 4 <= length; ) {
    const size = 2 + ((bytes[from]! << 8) | bytes[from + 1]!);
    if (bytes[from + 2]! >> 4 === FRAME_MEDIA && (bytes[from + 2]! & FLAG_DUPLICATE) === 0) {
      copyBytes(bytes, from, size, to, next);
      to[next + 2]! |= FLAG_DUPLICATE;
      next += size;
    }
    from += size;
  }
  return next;
}
