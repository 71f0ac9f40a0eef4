import type { Millis } from '../machine/machine.ts';
import { FLAG_EMERGENCY, keepFrame, keptFrame, type MediaFrame, USUAL_PAYLOAD } from './media-frame.ts';

/** What a scheduler may know of a lane. Implemented by the plane's lanes and by tests. */
export interface LaneView {
  readonly usable: boolean;
  /** Octets written minus octets acknowledged by the far end. */
  readonly outstanding: number;
  /** When the oldest of them was written; undefined where there are none. */
  readonly oldestAt: Millis | undefined;
  /** When something was last written. */
  readonly writtenAt: Millis;
}

/**
 * Which lanes take the next batch of frames (what one segment holds). A policy looks at the lanes and writes up to `copies` indices to
 * `picked`; it returns how many: 0, none, the frames wait. Fixed schedules are further implementations of this contract.
 */
export interface LanePolicy {
  pick(lanes: readonly LaneView[], copies: number, flags: number, now: Millis, picked: Int32Array): number;
}

/** A lane takes no more while so many octets are under way: what waits before the socket can still be dropped. */
const MAX_OUTSTANDING = 256 * 1024;
/** Not even emergency frames: nobody reads them. */
const MOST_OUTSTANDING = 4 * MAX_OUTSTANDING;
/** So long past the time of an acknowledgement a lane takes nothing at all: what it is given would come too late. */
const REFUSE_MS = 80;
const OVERDUE_PENALTY = MAX_OUTSTANDING;
/** Lanes beyond those the path calls for help out before an overdue one is used. */
const SPARE_PENALTY = MAX_OUTSTANDING / 4;

/**
 * The fewest outstanding octets win, among equals the lane that rested longest: losses stay apart. Lanes that owe an acknowledgement
 * come last: TCP is repairing a loss there, and what is written behind it waits. Emergency frames may exceed every limit but
 * `MOST_OUTSTANDING`.
 */
export class FewestOutstanding implements LanePolicy {
  /** Octets older than this without acknowledgement make a lane overdue. */
  overdueMs = 60;
  /** So many lanes carry the load, the first ones; the others are spare. */
  usual = Number.POSITIVE_INFINITY;

  pick(lanes: readonly LaneView[], copies: number, flags: number, now: Millis, picked: Int32Array): number {
    let count = 0;
    while (count < copies && count < picked.length) {
      const next = this.#best(lanes, flags, now, picked, count);
      if (next < 0) break;
      picked[count++] = next;
    }
    return count;
  }

  #best(lanes: readonly LaneView[], flags: number, now: Millis, picked: Int32Array, count: number): number {
    let best = -1;
    let bestLoad = Number.POSITIVE_INFINITY;
    let bestWrittenAt = 0;
    for (let i = 0; i < lanes.length; i++) {
      const lane = lanes[i]!;
      if (!lane.usable || has(picked, count, i)) continue;
      const waits = lane.oldestAt === undefined ? 0 : now - lane.oldestAt;
      const refused = lane.outstanding > MAX_OUTSTANDING || waits > this.overdueMs + REFUSE_MS;
      if (refused && ((flags & FLAG_EMERGENCY) === 0 || lane.outstanding > MOST_OUTSTANDING)) continue;
      const penalty = (waits > this.overdueMs ? OVERDUE_PENALTY : 0) + (i >= this.usual ? SPARE_PENALTY : 0);
      const load = lane.outstanding + penalty;
      if (load > bestLoad || (load === bestLoad && lane.writtenAt >= bestWrittenAt)) continue;
      best = i;
      bestLoad = load;
      bestWrittenAt = lane.writtenAt;
    }
    return best;
  }
}

function has(picked: Int32Array, count: number, value: number): boolean {
  for (let i = 0; i < count; i++) if (picked[i] === value) return true;
  return false;
}

interface Waiting {
  readonly frame: MediaFrame;
  since: Millis;
}

/** A fax waits as long as T.30 does before it asks again (T4, 3 s): what is late is a pause, what is lost is a line of the page or a call. */
export const PATIENT_MS = 3000;

/**
 * Frames no lane would take: a fixed ring per class (emergency first). What is older than its deadline is dropped here,
 * before the socket, and counted; the newest frames survive a full ring.
 */
export class FrameBacklog {
  dropped = 0;
  readonly #deadlineMs: number;
  readonly #emergency: Ring;
  readonly #normal: Ring;
  readonly #patient: Ring;

  /** `capacity` frames of each class. */
  constructor(deadlineMs = 120, capacity = 2048) {
    this.#deadlineMs = deadlineMs;
    this.#emergency = new Ring(Math.ceil(capacity / 4));
    this.#normal = new Ring(capacity);
    this.#patient = new Ring(capacity);
  }

  get size(): number {
    return this.#emergency.size + this.#normal.size + this.#patient.size;
  }

  /** Copies the frame. */
  add(frame: Readonly<MediaFrame>, now: Millis): void {
    const urgent = (frame.flags & FLAG_EMERGENCY) !== 0;
    const ring = frame.patient ? this.#patient : urgent ? this.#emergency : this.#normal;
    if (ring.add(frame, now)) this.dropped++;
  }

  /** The next frame still worth sending, or undefined; valid until the next call of `take` or `add`. */
  take(now: Millis): MediaFrame | undefined {
    const deadline = this.#deadlineMs;
    return (
      this.#next(this.#emergency, deadline, now) ??
      this.#next(this.#normal, deadline, now) ??
      this.#next(this.#patient, PATIENT_MS, now)
    );
  }

  /** Drops what is past its deadline even while no lane is there to take it. */
  expire(now: Millis): void {
    this.#expire(this.#emergency, this.#deadlineMs, now);
    this.#expire(this.#normal, this.#deadlineMs, now);
    this.#expire(this.#patient, PATIENT_MS, now);
  }

  #expire(ring: Ring, deadlineMs: number, now: Millis): void {
    while (ring.size > 0 && now - ring.oldest().since > deadlineMs) {
      ring.shift();
      this.dropped++;
    }
  }

  #next(ring: Ring, deadlineMs: number, now: Millis): MediaFrame | undefined {
    this.#expire(ring, deadlineMs, now);
    return ring.size > 0 ? ring.shift().frame : undefined;
  }
}

class Ring {
  size = 0;
  readonly #capacity: number;
  readonly #slots: Waiting[] = [];
  #first = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  oldest(): Waiting {
    return this.#slots[this.#first]!;
  }

  shift(): Waiting {
    const waiting = this.oldest();
    // An empty ring begins anew: as many slots are made as ever waited at once, not one after the other until all are.
    this.#first = --this.size === 0 ? 0 : (this.#first + 1) % this.#capacity;
    return waiting;
  }

  /** True where the oldest had to go for it. */
  add(frame: Readonly<MediaFrame>, now: Millis): boolean {
    const full = this.size === this.#capacity;
    if (full) this.shift();
    const at = (this.#first + this.size) % this.#capacity;
    // Slots are made when first needed: a session that never waits costs nothing.
    let slot = this.#slots[at];
    if (slot === undefined) {
      slot = { frame: keptFrame(USUAL_PAYLOAD), since: now };
      this.#slots[at] = slot;
    }
    keepFrame(frame, slot.frame);
    slot.since = now;
    this.size++;
    return full;
  }
}

const AGE_WINDOW_MS = 3000;

/**
 * Age of frames on arrival, without comparing clocks: the smallest (arrival - sent) seen lately is taken as the way itself,
 * and what a frame took longer is its age. Milliseconds modulo 2^16 on the sender's side.
 */
export class FrameAge {
  #smallest = 0;
  #upcoming = 0;
  #started = false;
  #windowAt: Millis = 0;

  /** Milliseconds this frame was later than the fastest of the last three to six seconds. 0 .. 32767. */
  of(sent: number, now: Millis): number {
    const offset = (Math.floor(now) - sent) & 0xffff;
    if (!this.#started) {
      this.#started = true;
      this.#smallest = offset;
      this.#upcoming = offset;
      this.#windowAt = now;
      return 0;
    }
    if (now - this.#windowAt > AGE_WINDOW_MS) {
      // Clocks drift and ways change: the minimum of the last window replaces the older one.
      this.#smallest = this.#upcoming;
      this.#upcoming = offset;
      this.#windowAt = now;
    }
    if (signed16(offset - this.#upcoming) < 0) this.#upcoming = offset;
    if (signed16(offset - this.#smallest) < 0) this.#smallest = offset;
    return signed16(offset - this.#smallest);
  }
}

function signed16(value: number): number {
  return (value << 16) >> 16;
}
