/**
 * What a session's lanes tell about the path: when writes are acknowledged, which share of segments is lost, and from that how
 * many lanes are wanted and how many copies of a frame. Pure: the plane feeds it, tests too.
 */
import type { Millis } from '../machine/machine.ts';

const WRITES = 256;

/**
 * The writes of one lane that the far end has not acknowledged yet, oldest first. Fixed memory: when it is full, later writes are
 * counted to the newest entry.
 */
export class AckLog {
  /** Octets not acknowledged. */
  outstanding = 0;
  readonly #ends = new Float64Array(WRITES);
  readonly #times = new Float64Array(WRITES);
  #first = 0;
  #count = 0;
  #written = 0;
  #numbered = 0;

  /** So many of the numbered writes are acknowledged, the first ones. */
  get settled(): number {
    return this.#numbered - this.#count;
  }

  /** When the oldest write that is waited for was made; undefined where there is none. */
  get oldestAt(): Millis | undefined {
    return this.#count === 0 ? undefined : this.#times[this.#first];
  }

  /**
   * Returns the write's number, from 0 on; -1 where it was counted to the one before, or is not `awaited`: its octets are outstanding, and nobody
   * minds when they are acknowledged.
   */
  written(octets: number, now: Millis, awaited = true): number {
    const full = this.#count === WRITES;
    this.#written += octets;
    this.outstanding += octets;
    if (!awaited) return -1;
    if (!full) this.#times[(this.#first + this.#count++) % WRITES] = now;
    this.#ends[(this.#first + this.#count - 1) % WRITES] = this.#written;
    return full ? -1 : this.#numbered++;
  }

  /** So many octets are still not acknowledged. Every write settled by that goes into `quality`. */
  settle(outstanding: number, now: Millis, quality: PathQuality): void {
    // Never more than before: an answer from the kernel and one from the far end may cross.
    this.outstanding = Math.max(0, Math.min(this.outstanding, outstanding));
    const acknowledged = this.#written - this.outstanding;
    while (this.#count > 0 && this.#ends[this.#first]! <= acknowledged) {
      quality.acknowledged(now - this.#times[this.#first]!, now);
      this.#first = (this.#first + 1) % WRITES;
      this.#count--;
    }
  }
}

/** How the plane learns of acknowledgements: from the kernel at once, or from the far end's own frames, up to 20 ms later. */
export type AckSource = 'kernel' | 'frames';
const ACK_SLACK_MS: Readonly<Record<AckSource, number>> = { kernel: 12, frames: 40 };

const STEP_MS = 500;
const ROUND_TRIP_WINDOW_MS = 10_000;
/** Share of segments lost at which a path is called lossy, and at which one is called clean again after CLEAN_MS. */
const LOSSY = 0.002;
const CLEAN = 0.0005;
const CLEAN_MS = 20_000;
/** Fewer events in four seconds are an accident. */
const MIN_EVENTS = 3;
/** Losses of so many steps are taken together. */
const STEPS = 8;
/** A loss that TCP repairs within so much is heard by nobody: most jitter buffers hold 40 ms. */
const REPAIRED_IN_TIME_MS = 38;
/** TCP waits a quarter of a round trip and a tick of its clock before it calls a segment lost that fewer than three followed. */
const TICK_MS = 6;
/** Of what a congestion window holds on average at this loss, so much is relied on. */
const WINDOW_SHARE = 0.33;
/** With copies lanes shall be independent: hardly more than one segment under way on each. */
const LEAST_WITH_COPIES = 4;
/** An acknowledgement may wait so long at the far end (TCP_DELACK_MAX_US in the plane) and for the next poll here. */
const AGAIN_SLACK_MS = 12;
/** As many lanes as a lossy path is given, where the session allows them. */
export const MOST_LANES = 16;

const STEADY_STEPS = 2;
const HOLD_MOST_MS = 6;
const SEGMENTS_PER_LANE = 1.25;

/** Of one session, this direction. */
export class PathQuality {
  /** Frames go out in so many copies, each on a lane of its own. */
  copies = 1;
  /** How many lanes this direction calls for, 0: no more than on a clean path. */
  lanes = 0;
  lossy = false;
  /** Octets older than this without acknowledgement: the lane is repairing a loss, or the path is. */
  overdueMs = 60;
  readonly #source: AckSource;
  readonly #slack: number;
  #smallest = Number.POSITIVE_INFINITY;
  #upcoming = Number.POSITIVE_INFINITY;
  #windowAt: Millis = 0;
  #stepAt: Millis = 0;
  #cleanSince: Millis = 0;
  #late = 0;
  #acknowledged = 0;
  #lost = 0;
  #sent = 0;
  #counted = false;
  #batches = 0;
  /** Per millisecond, smoothed. */
  #batchRate = 0;
  readonly #lostOf = new Float64Array(STEPS);
  readonly #sentOf = new Float64Array(STEPS);
  #step = 0;
  /** Steps in a row that called for another number of copies. */
  #steady = 0;

  constructor(source: AckSource = 'frames') {
    this.#source = source;
    this.#slack = ACK_SLACK_MS[source];
    this.overdueMs = 50 + this.#slack;
  }

  /** Least round trip of the last ten to twenty seconds; -1 unknown. */
  get roundTripMs(): number {
    const least = Math.min(this.#smallest, this.#upcoming);
    return least === Number.POSITIVE_INFINITY ? -1 : least;
  }

  /** Share of segments lost in the last four seconds, 0 .. 1. */
  get loss(): number {
    const sent = this.#sentOf.reduce((a, b) => a + b, 0);
    return sent === 0 ? 0 : Math.min(1, this.#lostOf.reduce((a, b) => a + b, 0) / sent);
  }

  /**
   * How long frames may be collected for one segment, ms. On a lossy path every segment is a chance to lose, and a lane that has
   * more than one or two under way waits for its congestion window; a clean path collects nothing beyond a poll.
   */
  holdMs(lanes: number): number {
    if (this.copies === 1 || lanes === 0) return 0;
    return Math.min(HOLD_MOST_MS, (this.roundTripMs * this.copies) / (SEGMENTS_PER_LANE * lanes));
  }

  /**
   * A write not acknowledged for so long was lost, and its frames are worth saying again on another lane. Infinity: they are not, because the path
   * is clean, every frame went out twice anyway, or acknowledgements come too late to tell in time.
   */
  get againAfterMs(): number {
    if (!this.lossy || this.copies > 1 || this.#source === 'frames') return Number.POSITIVE_INFINITY;
    return this.roundTripMs < 0 ? Number.POSITIVE_INFINITY : this.roundTripMs + AGAIN_SLACK_MS;
  }

  /** One write was acknowledged after `ms`. */
  acknowledged(ms: number, now: Millis): void {
    if (this.#source === 'frames') this.roundTrip(ms, now); // TCP itself knows better
    this.#acknowledged++;
    if (ms > this.overdueMs) this.#late++;
  }

  /** A segment's worth of frames was given to lanes (once, however many copies). */
  batch(): void {
    this.#batches++;
  }

  /** Of one lane, now: of one write, or the least that TCP knows. */
  roundTrip(ms: number, now: Millis): void {
    if (now - this.#windowAt > ROUND_TRIP_WINDOW_MS) {
      this.#windowAt = now;
      this.#smallest = this.#upcoming;
      this.#upcoming = ms;
      this.#overdue();
    }
    if (ms < this.#upcoming) {
      this.#upcoming = ms;
      this.#overdue();
    }
  }

  /** Counted by TCP itself since the last call, where it can be asked: better than late acknowledgements. */
  counted(sent: number, lost: number): void {
    this.#counted = true;
    this.#sent += Math.max(0, sent);
    this.#lost += Math.max(0, lost);
  }

  /** To be called a few times per second. True where the judgement changed. */
  step(now: Millis): boolean {
    if (now - this.#stepAt < STEP_MS) return false;
    this.#batchRate += (this.#batches / Math.min(now - this.#stepAt, 2 * STEP_MS) - this.#batchRate) / 2;
    this.#batches = 0;
    this.#stepAt = now;
    this.#sentOf[this.#step] = this.#counted ? this.#sent : this.#acknowledged;
    this.#lostOf[this.#step] = this.#counted ? this.#lost : this.#lateByLoss();
    this.#step = (this.#step + 1) % STEPS;
    this.#sent = 0;
    this.#lost = 0;
    this.#acknowledged = 0;
    this.#late = 0;
    const [lossy, copies] = [this.lossy, this.copies];
    this.#judge(now);
    return lossy !== this.lossy || copies !== this.copies;
  }

  /** Where most are late the path is congested: more copies would make it worse. */
  #lateByLoss(): number {
    return this.#late * 2 > this.#acknowledged ? 0 : this.#late;
  }

  #judge(now: Millis): void {
    const loss = this.loss;
    const events = this.#lostOf.reduce((a, b) => a + b, 0);
    if (loss >= CLEAN) this.#cleanSince = now;
    if (loss >= LOSSY && events >= MIN_EVENTS) this.lossy = true;
    else if (now - this.#cleanSince > CLEAN_MS) this.lossy = false;
    if (this.lossy) this.#plan(Math.max(loss, LOSSY));
    else {
      this.copies = 1;
      this.lanes = 0;
    }
  }

  /**
   * One copy is enough where TCP repairs in time: three segments that follow the lost one, or one and a wait, tell of it, so few lanes that are
   * busy repair faster than many that are not; but each needs a congestion window (Reno: sqrt(3 / 2p) segments) that holds its part.
   * Where that is too slow, two copies go over lanes as independent as possible.
   */
  #plan(loss: number): void {
    const underWay = this.#batchRate * this.roundTripMs;
    const window = WINDOW_SHARE * Math.sqrt(1.5 / loss);
    const few = Math.max(2, Math.ceil(underWay / window));
    const gap = Math.min(few, MOST_LANES) / Math.max(this.#batchRate, 0.001);
    const noticed = Math.min(3 * gap, gap + this.roundTripMs / 4 + TICK_MS);
    const inTime = this.roundTripMs + noticed <= REPAIRED_IN_TIME_MS;
    // One odd step, a pause of a processor say, does not double the load.
    this.#steady = inTime === (this.copies === 1) ? 0 : this.#steady + 1;
    if (this.#steady >= STEADY_STEPS) this.copies = inTime ? 1 : 2;
    this.lanes = inTime ? few : Math.max(LEAST_WITH_COPIES, Math.min(MOST_LANES, Math.ceil(2 * underWay)));
  }

  #overdue(): void {
    this.overdueMs = this.roundTripMs * 1.25 + this.#slack;
  }
}

const GROW_EVERY_MS = 400;
const SHRINK_AFTER_MS = 20_000;

/** How many lanes the dialling side keeps: few on a clean path, quickly more on a lossy one, slowly back. */
export class LaneCount {
  wanted: number;
  readonly #least: number;
  readonly #most: number;
  #grownAt: Millis = Number.NEGATIVE_INFINITY;
  /** Since when fewer would do. */
  #fewerSince: Millis | undefined;

  constructor(least: number, most: number) {
    this.#least = least;
    this.#most = Math.max(least, most);
    this.wanted = least;
  }

  /** One more at once: nothing gets through those there are. False: there are as many as may be. */
  more(): boolean {
    if (this.wanted >= this.#most) return false;
    this.wanted++;
    this.#fewerSince = undefined;
    return true;
  }

  /** `called`: how many the path calls for, 0 for a clean one. Returns the number to keep now. */
  step(called: number, now: Millis): number {
    const target = Math.max(this.#least, Math.min(this.#most, called));
    if (target >= this.wanted) this.#fewerSince = undefined;
    else this.#fewerSince ??= now;
    if (target > this.wanted && now - this.#grownAt >= GROW_EVERY_MS) {
      this.wanted = Math.min(target, this.wanted * 2);
      this.#grownAt = now;
    } else if (this.#fewerSince !== undefined && now - this.#fewerSince >= SHRINK_AFTER_MS) {
      this.wanted = target;
      this.#fewerSince = undefined;
    }
    return this.wanted;
  }
}
