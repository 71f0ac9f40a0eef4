import { distance16, distance32 } from '../bytes/sequence.ts';
import { ownPlace, type Place } from '../machine/cells.ts';
import type { Millis, Random } from '../machine/machine.ts';
import { writeHeader } from './packet.ts';
import { MAX_DROPOUT, MAX_MISORDER } from './sequence-window.ts';

const VIDEO_CLOCK = 90_000;
/** Most packets that left unseen by the last snapshot; less than what makes a receiver begin anew (RFC 3550 A.1, MAX_DROPOUT 3000). */
const UNSEEN = { voice: 100, video: 2000 } as const;

/** With a sequence jump, a timestamp further from the clock than this is not the same stream's. */
const PLAUSIBLE_DRIFT_SECONDS = 10;

/** What a successor needs to go on with the same synchronization source. */
export interface RebuildState {
  readonly ssrc: number;
  readonly sequence: number;
  readonly timestamp: number;
  /** Milliseconds ago. */
  readonly age: number;
  readonly clockRate: number;
}

const SSRC = 0;
const PACKETS = 1;
const OCTETS = 2;
// Of the newest packet sent, on the outgoing scale.
const SEQUENCE = 3;
const TIMESTAMP = 4;
const SENT_AT = 5;
const CLOCK_RATE = 6;
const STARTED = 7;
const HIGHEST = 8; // newest frame sequence
const SEQUENCE_SHIFT = 9;
const TIMESTAMP_SHIFT = 10;
export const REBUILD_CELLS = 11;

/**
 * Builds this gateway's own RTP towards one far end (terminate means build): SSRC, first sequence number and first
 * timestamp are random (RFC 3550 5.1, 8.1). Gaps, reordering and timestamp steps of the frames survive as such. Only a
 * sequence jump no receiver would follow (MAX_DROPOUT: the other gateway's worker began anew) is closed.
 */
export class Rebuilder {
  readonly #cells: Float64Array;
  readonly #at: number;

  /** `base`: where to begin; absent: anywhere. `resume`: where a predecessor was, which then counts instead. */
  constructor(
    random: Random,
    resume?: RebuildState,
    base?: Pick<RebuildState, 'ssrc' | 'sequence' | 'timestamp'>,
    place: Place = ownPlace(REBUILD_CELLS),
  ) {
    const { cells, at } = place;
    this.#cells = cells;
    this.#at = at;
    const from = resume ?? base;
    cells[at + SSRC] = from?.ssrc ?? random.uint32();
    cells[at + SEQUENCE] = from?.sequence ?? random.uint32() & 0xffff;
    cells[at + TIMESTAMP] = from?.timestamp ?? random.uint32();
    cells[at + CLOCK_RATE] = resume?.clockRate ?? 8000;
    if (resume === undefined) return;
    // Up to a second of packets left after the snapshot; the numbers must not come twice.
    const unseen = resume.clockRate === VIDEO_CLOCK ? UNSEEN.video : UNSEEN.voice;
    cells[at + SEQUENCE] = (resume.sequence + unseen + Math.round(resume.age / 10)) & 0xffff;
    const passed = Math.round((resume.age * resume.clockRate) / 1000);
    cells[at + TIMESTAMP] = (resume.timestamp + passed) >>> 0;
  }

  get ssrc(): number {
    return this.#cells[this.#at + SSRC]!;
  }

  get packets(): number {
    return this.#cells[this.#at + PACKETS]!;
  }

  get octets(): number {
    return this.#cells[this.#at + OCTETS]!;
  }

  /** Of the newest packet sent, on the outgoing scale. */
  get sequence(): number {
    return this.#cells[this.#at + SEQUENCE]!;
  }

  get timestamp(): number {
    return this.#cells[this.#at + TIMESTAMP]!;
  }

  get sentAt(): Millis {
    return this.#cells[this.#at + SENT_AT]!;
  }

  get clockRate(): number {
    return this.#cells[this.#at + CLOCK_RATE]!;
  }

  state(now: Millis): RebuildState {
    const { ssrc, sequence, timestamp, clockRate } = this;
    return { ssrc, sequence, timestamp, clockRate, age: this.packets === 0 ? 0 : now - this.sentAt };
  }

  /** Writes the header for a frame at `at` of `out`; the payload follows at `at + RTP_HEADER`. */
  header(
    out: Uint8Array,
    at: number,
    payloadType: number,
    marker: boolean,
    frameSequence: number,
    frameTimestamp: number,
    clockRate: number,
    payloadLength: number,
    now: Millis,
  ): void {
    const cells = this.#cells;
    const row = this.#at;
    let mark = marker;
    const step = distance16(frameSequence, cells[row + HIGHEST]!);
    if (cells[row + STARTED] === 0 || this.#begunAnew(step, frameTimestamp, now)) {
      mark = true;
      this.#attach(frameSequence, frameTimestamp, clockRate, now);
    }
    if (step > 0) cells[row + HIGHEST] = frameSequence;
    const sequence = (frameSequence + cells[row + SEQUENCE_SHIFT]!) & 0xffff;
    const timestamp = (frameTimestamp + cells[row + TIMESTAMP_SHIFT]!) >>> 0;
    if (cells[row + PACKETS] === 0 || distance16(sequence, cells[row + SEQUENCE]!) > 0) {
      cells[row + SEQUENCE] = sequence;
      cells[row + TIMESTAMP] = timestamp;
      cells[row + SENT_AT] = now;
      cells[row + CLOCK_RATE] = clockRate;
    }
    cells[row + PACKETS]!++;
    cells[row + OCTETS]! += payloadLength;
    writeHeader(out, at, payloadType, mark, sequence, timestamp, cells[row + SSRC]!);
  }

  /** An own packet (an event) between the frames. Later frames move up by one. */
  inject(
    out: Uint8Array,
    at: number,
    payloadType: number,
    marker: boolean,
    timestamp: number,
    payloadLength: number,
  ): void {
    const cells = this.#cells;
    const row = this.#at;
    const sequence = (cells[row + SEQUENCE]! + 1) & 0xffff;
    cells[row + SEQUENCE] = sequence;
    cells[row + SEQUENCE_SHIFT] = (cells[row + SEQUENCE_SHIFT]! + 1) & 0xffff;
    cells[row + PACKETS]!++;
    cells[row + OCTETS]! += payloadLength;
    writeHeader(out, at, payloadType, marker, sequence, timestamp, cells[row + SSRC]!);
  }

  /** A frame that is not sent because an own packet stands in its place: no gap is left. */
  swallow(frameSequence: number): void {
    const cells = this.#cells;
    const row = this.#at;
    if (cells[row + STARTED] === 0 || distance16(frameSequence, cells[row + HIGHEST]!) <= 0) return;
    cells[row + HIGHEST] = frameSequence;
    cells[row + SEQUENCE_SHIFT] = (cells[row + SEQUENCE_SHIFT]! - 1) & 0xffff;
  }

  /** The timestamp that stands for `now` on the outgoing scale. */
  timestampAt(now: Millis): number {
    if (this.packets === 0) return this.timestamp;
    return (this.timestamp + Math.round(((now - this.sentAt) / 1000) * this.clockRate)) >>> 0;
  }

  /** A frame's timestamp on the outgoing scale. */
  outgoingTimestamp(frameTimestamp: number): number {
    return (frameTimestamp + this.#cells[this.#at + TIMESTAMP_SHIFT]!) >>> 0;
  }

  /** Whether the other gateway's worker has begun anew: its numbers then start anywhere, by chance also near the old ones. */
  #begunAnew(step: number, frameTimestamp: number, now: Millis): boolean {
    if (step >= MAX_DROPOUT || step <= -MAX_DROPOUT) return true;
    if (step <= MAX_MISORDER && step >= -MAX_MISORDER) return false;
    const drift = distance32(this.outgoingTimestamp(frameTimestamp), this.timestampAt(now));
    return Math.abs(drift) > PLAUSIBLE_DRIFT_SECONDS * this.clockRate;
  }

  #attach(frameSequence: number, frameTimestamp: number, clockRate: number, now: Millis): void {
    const cells = this.#cells;
    const row = this.#at;
    const first = this.packets === 0;
    if (first) cells[row + CLOCK_RATE] = clockRate;
    const timestamp = first ? this.timestamp : this.timestampAt(now);
    cells[row + SEQUENCE_SHIFT] = (this.sequence + 1 - frameSequence) & 0xffff;
    cells[row + TIMESTAMP_SHIFT] = (timestamp - frameTimestamp) >>> 0;
    cells[row + STARTED] = 1;
    cells[row + HIGHEST] = frameSequence;
  }
}
