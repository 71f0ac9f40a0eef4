import { distance16 } from '../bytes/sequence.ts';
import { ownPlace, type Place } from '../machine/cells.ts';
import type { Millis } from '../machine/machine.ts';
import { keepFrame, keptFrame, type MediaFrame, USUAL_PAYLOAD } from './media-frame.ts';

export interface OrderRules {
  /** How long a frame waits for the one before it. */
  readonly holdMs: number;
  /** Frames wait only on ways that brought some in another order so lately. */
  readonly disorderMs: Millis;
  readonly slots: number;
}

/**
 * Less than a packet time: the order costs no more than jitter buffers give. And a gap of the origin's own costs nothing on a way that keeps the
 * order.
 */
const VOICE: OrderRules = { holdMs: 15, disorderMs: 5000, slots: 4 };
/**
 * A fax receiver gives up what comes behind its successor, and does not mind a pause. The lanes bring what one of them has to send again within
 * this time; the numbers have no gaps of the origin's (fax-stream.ts).
 */
export const FAX: OrderRules = { holdMs: 500, disorderMs: Number.POSITIVE_INFINITY, slots: 64 };
/** A greater step is a new series. */
const MAX_STEP = 100;

interface Slot {
  readonly frame: MediaFrame;
  due: Millis;
}

/** The newest number that was sent in its turn, plus one; 0: none yet. */
const LAST = 0;
/** Frames that wait. */
const HELD = 1;
export const ORDER_CELLS = 2;

/** Puts one stream's frames back into the order of their sequence numbers, as far as the rules wait. Nothing is allocated while they come in order. */
export class FrameOrder {
  readonly #rules: OrderRules;
  readonly #held: Slot[] = [];
  readonly #free: Slot[] = [];
  #disorderUntil: Millis;
  readonly #cells: Float64Array;
  readonly #at: number;

  constructor(rules: OrderRules = VOICE, place: Place = ownPlace(ORDER_CELLS)) {
    this.#rules = rules;
    this.#cells = place.cells;
    this.#at = place.at;
    this.#disorderUntil =
      rules.disorderMs === Number.POSITIVE_INFINITY ? rules.disorderMs : Number.NEGATIVE_INFINITY;
  }

  get holding(): boolean {
    return this.#cells[this.#at + HELD]! > 0;
  }

  /** True: the frame was copied and comes from `next` in its turn. False: it is to be sent now; ask `next` afterwards. */
  hold(frame: Readonly<MediaFrame>, now: Millis): boolean {
    const step = this.#started ? distance16(frame.sequence, this.#last) : 1;
    if (Math.abs(step) > MAX_STEP) {
      this.#free.push(...this.#held.splice(0));
      this.#cells[this.#at + HELD] = 0;
      this.#last = frame.sequence;
      return false;
    }
    if (step <= 0) {
      this.#disorderUntil = now + this.#rules.disorderMs;
      return false;
    }
    if (step > 1 && now < this.#disorderUntil && this.#held.length < this.#rules.slots) {
      this.#insert(frame, step, now);
      return true;
    }
    this.#last = frame.sequence;
    return false;
  }

  /** The next frame whose turn it is, or that has waited long enough; valid until the next call of `hold`. */
  next(now: Millis): MediaFrame | undefined {
    const slot = this.#held[0];
    if (slot === undefined) return undefined;
    const step = distance16(slot.frame.sequence, this.#last);
    if (step > 1 && now < slot.due) return undefined;
    this.#held.shift();
    this.#cells[this.#at + HELD] = this.#held.length;
    this.#free.push(slot);
    if (step > 0) this.#last = slot.frame.sequence;
    return slot.frame;
  }

  #insert(frame: Readonly<MediaFrame>, step: number, now: Millis): void {
    const slot = this.#free.pop() ?? { frame: keptFrame(USUAL_PAYLOAD), due: 0 };
    keepFrame(frame, slot.frame);
    slot.due = now + this.#rules.holdMs;
    let at = this.#held.length;
    while (at > 0 && distance16(this.#held[at - 1]!.frame.sequence, this.#last) > step) at--;
    this.#held.splice(at, 0, slot);
    this.#cells[this.#at + HELD] = this.#held.length;
  }

  get #started(): boolean {
    return this.#cells[this.#at + LAST]! > 0;
  }

  get #last(): number {
    return this.#cells[this.#at + LAST]! - 1;
  }

  set #last(sequence: number) {
    this.#cells[this.#at + LAST] = sequence + 1;
  }
}

/** Whether nothing waits and this frame is the next: it is noted, to be sent now. Else `FrameOrder.hold` decides. */
export function inTurn(cells: Float64Array, at: number, sequence: number): boolean {
  const last = cells[at + LAST]!;
  if (cells[at + HELD]! > 0 || last === 0 || (last & 0xffff) !== sequence) return false;
  cells[at + LAST] = sequence + 1;
  return true;
}
