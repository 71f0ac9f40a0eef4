import { distance16, distance32 } from '../bytes/sequence.ts';
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

/**
 * Builds this gateway's own RTP towards one far end (terminate means build): SSRC, first sequence number and first
 * timestamp are random (RFC 3550 5.1, 8.1). Gaps, reordering and timestamp steps of the frames survive as such. Only a
 * sequence jump no receiver would follow (MAX_DROPOUT: the other gateway's worker began anew) is closed.
 */
export class Rebuilder {
  readonly ssrc: number;
  packets = 0;
  octets = 0;
  /** Of the newest packet sent, on the outgoing scale. */
  sequence: number;
  timestamp: number;
  sentAt: Millis = 0;
  clockRate = 8000;
  #started = false;
  #highest = 0; // newest frame sequence
  #sequenceShift = 0;
  #timestampShift = 0;

  /** `base`: where to begin; absent: anywhere. `resume`: where a predecessor was, which then counts instead. */
  constructor(
    random: Random,
    resume?: RebuildState,
    base?: Pick<RebuildState, 'ssrc' | 'sequence' | 'timestamp'>,
  ) {
    const from = resume ?? base;
    this.ssrc = from?.ssrc ?? random.uint32();
    this.sequence = from?.sequence ?? random.uint32() & 0xffff;
    this.timestamp = from?.timestamp ?? random.uint32();
    if (resume === undefined) return;
    this.clockRate = resume.clockRate;
    // Up to a second of packets left after the snapshot; the numbers must not come twice.
    const unseen = resume.clockRate === VIDEO_CLOCK ? UNSEEN.video : UNSEEN.voice;
    this.sequence = (this.sequence + unseen + Math.round(resume.age / 10)) & 0xffff;
    this.timestamp = (this.timestamp + Math.round((resume.age * resume.clockRate) / 1000)) >>> 0;
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
    let mark = marker;
    const step = distance16(frameSequence, this.#highest);
    if (!this.#started || this.#begunAnew(step, frameTimestamp, now)) {
      mark = true;
      this.#attach(frameSequence, frameTimestamp, clockRate, now);
    }
    if (step > 0) this.#highest = frameSequence;
    const sequence = (frameSequence + this.#sequenceShift) & 0xffff;
    const timestamp = (frameTimestamp + this.#timestampShift) >>> 0;
    if (this.packets === 0 || distance16(sequence, this.sequence) > 0) {
      this.sequence = sequence;
      this.timestamp = timestamp;
      this.sentAt = now;
      this.clockRate = clockRate;
    }
    this.packets++;
    this.octets += payloadLength;
    writeHeader(out, at, payloadType, mark, sequence, timestamp, this.ssrc);
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
    this.sequence = (this.sequence + 1) & 0xffff;
    this.#sequenceShift = (this.#sequenceShift + 1) & 0xffff;
    this.packets++;
    this.octets += payloadLength;
    writeHeader(out, at, payloadType, marker, this.sequence, timestamp, this.ssrc);
  }

  /** A frame that is not sent because an own packet stands in its place: no gap is left. */
  swallow(frameSequence: number): void {
    if (!this.#started || distance16(frameSequence, this.#highest) <= 0) return;
    this.#highest = frameSequence;
    this.#sequenceShift = (this.#sequenceShift - 1) & 0xffff;
  }

  /** The timestamp that stands for `now` on the outgoing scale. */
  timestampAt(now: Millis): number {
    if (this.packets === 0) return this.timestamp;
    return (this.timestamp + Math.round(((now - this.sentAt) / 1000) * this.clockRate)) >>> 0;
  }

  /** A frame's timestamp on the outgoing scale. */
  outgoingTimestamp(frameTimestamp: number): number {
    return (frameTimestamp + this.#timestampShift) >>> 0;
  }

  /** Whether the other gateway's worker has begun anew: its numbers then start anywhere, by chance also near the old ones. */
  #begunAnew(step: number, frameTimestamp: number, now: Millis): boolean {
    if (step >= MAX_DROPOUT || step <= -MAX_DROPOUT) return true;
    if (step <= MAX_MISORDER && step >= -MAX_MISORDER) return false;
    const drift = distance32(frameTimestamp + this.#timestampShift, this.timestampAt(now));
    return Math.abs(drift) > PLAUSIBLE_DRIFT_SECONDS * this.clockRate;
  }

  #attach(frameSequence: number, frameTimestamp: number, clockRate: number, now: Millis): void {
    const first = this.packets === 0;
    if (first) this.clockRate = clockRate;
    this.#sequenceShift = (this.sequence + 1 - frameSequence) & 0xffff;
    this.#timestampShift = ((first ? this.timestamp : this.timestampAt(now)) - frameTimestamp) >>> 0;
    this.#started = true;
    this.#highest = frameSequence;
  }
}
