import type { Millis } from '../machine/machine.ts';
import { TokenBucket } from '../machine/token-bucket.ts';
import type { LaneCounters, SessionId, SessionLimits, StreamId } from '../media/plane-contract.ts';
import { FrameAge } from '../tunnel/lane-scheduler.ts';
import { keepFrame, keptFrame, type MediaFrame } from '../tunnel/media-frame.ts';
import type { StreamLeg } from './stream-leg.ts';

/** The lanes of one session as the engine sees them. */
export interface FrameSink {
  /** Takes a copy. Whether it ever arrives is not known: it is media. */
  send(frame: MediaFrame, now: Millis): void;
  counters(): readonly LaneCounters[];
  end(reason: 'session-ended' | 'stopping'): void;
}

/** Frames for a stream announced but not open yet. */
const HOLD_MS = 200;
const HOLD_FRAMES = 20;
const HOLD_STREAMS = 64;
/** How long a closed stream's late frames are no attack. */
const REMEMBER_CLOSED_MS = 2000;
const REMEMBER_CLOSED = 4096;

interface Held {
  readonly frames: MediaFrame[];
  readonly since: Millis;
}

/** The streams of one tunnel session in this worker, and what arrives before or after them. */
export class SessionStreams {
  readonly id: SessionId;
  readonly key: string;
  limits!: SessionLimits;
  readonly legs = new Map<StreamId, StreamLeg>();
  readonly age = new FrameAge();
  bytes!: TokenBucket;
  lanes: FrameSink | undefined;
  /** Frames no stream took: unknown stream or over the session's byte rate. */
  framesRefused = 0;
  /** Frames of streams closed a moment ago. */
  framesLate = 0;
  readonly #held = new Map<StreamId, Held>();
  readonly #closed = new Map<StreamId, Millis>();

  constructor(id: SessionId, key: string, limits: SessionLimits, now: Millis) {
    this.id = id;
    this.key = key;
    this.setLimits(limits, now);
  }

  setLimits(limits: SessionLimits, now: Millis): void {
    this.limits = limits;
    const rate = limits.maxBytesPerSecond;
    // Half a second's worth of burst, at least one full frame.
    this.bytes = new TokenBucket(Math.max(1600, rate / 2), rate, now);
  }

  /** A frame for no open leg: kept a moment, or dropped. */
  stray(frame: MediaFrame, now: Millis): void {
    if (this.#closed.has(frame.stream)) {
      this.framesLate++;
      return;
    }
    let held = this.#held.get(frame.stream);
    if (held === undefined) {
      if (this.#held.size >= HOLD_STREAMS) {
        this.framesRefused++;
        return;
      }
      held = { frames: [], since: now };
      this.#held.set(frame.stream, held);
    }
    if (held.frames.length >= HOLD_FRAMES || now - held.since > HOLD_MS) {
      this.framesRefused++;
      return;
    }
    const copy = keptFrame(frame.length);
    keepFrame(frame, copy);
    held.frames.push(copy);
  }

  /** The frames that waited for this stream. */
  release(stream: StreamId, now: Millis): readonly MediaFrame[] {
    const held = this.#held.get(stream);
    this.#held.delete(stream);
    this.#closed.delete(stream);
    return held !== undefined && now - held.since <= HOLD_MS ? held.frames : [];
  }

  closed(stream: StreamId, now: Millis): void {
    if (this.#closed.size >= REMEMBER_CLOSED) this.#closed.delete(this.#closed.keys().next().value!);
    this.#closed.set(stream, now);
  }

  expire(now: Millis): void {
    for (const [stream, held] of this.#held) {
      // The entry stays for a while empty, so that an unknown stream cannot be held anew at once.
      if (held.frames.length > 0 && now - held.since > HOLD_MS) {
        this.framesRefused += held.frames.length;
        held.frames.length = 0;
      }
      if (now - held.since > 5 * HOLD_MS) this.#held.delete(stream);
    }
    for (const [stream, at] of this.#closed) {
      if (now - at <= REMEMBER_CLOSED_MS) break; // in order of closing
      this.#closed.delete(stream);
    }
  }
}
