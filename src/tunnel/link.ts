import type { Millis } from '../machine/machine.ts';
import { TokenBucket } from '../machine/token-bucket.ts';
import { FrameReader } from './frame.ts';
import type { SessionState } from './session-state.ts';

/**
 * `dialing`: asked for, not up. `greeting`: up, the far end's hello or hello-ack is awaited. `offered` (acceptor): our
 * hello-ack is sent; the far end's next frame proves that it arrived and moves the session here. `active`: carries it.
 */
export type LinkPhase = 'dialing' | 'greeting' | 'offered' | 'active';

/**
 * Steps of the fence exchange after a resume; the dialer waits for `sync`, answers, waits for the acceptor's fence; the acceptor
 * marks a position (`sync`), waits for the dialer's fence, answers. `none`: over, or no resume.
 */
export type FencePhase = 'none' | 'mark' | 'await-sync' | 'await-fence' | 'answer';

/** What an acceptor has promised on a connection, to be carried out when the far end shows that it heard. */
export interface Offer {
  readonly session: SessionState;
  readonly resumed: boolean;
  /** The session held when the offer was made; the offer lapses where another one has come since. */
  readonly against: SessionState | undefined;
  /** Last number the far end had received. */
  readonly received: number;
}

/** Heartbeats are one a second; anything near this is a flood. */
const CONTROL_BURST = 100;
const CONTROL_PER_SECOND = 50;

/** One signalling connection: what belongs to it alone and ends with it. */
export class Link {
  readonly ref: number;
  readonly reader: FrameReader;
  readonly control: TokenBucket;
  phase: LinkPhase = 'dialing';
  exporter: Uint8Array = new Uint8Array(0);
  /** Of the phase before `active`. */
  deadline: Millis;
  /** When the last whole frame arrived. */
  heard: Millis;
  activeSince: Millis = 0;
  fence: FencePhase = 'none';
  fenceDeadline: Millis | undefined;
  offer: Offer | undefined;
  /** Last number received, as told to the far end in our hello: its replay starts after it. */
  told = 0;
  /** Number of the next data frame; undefined until the first has come. */
  expected: number | undefined;
  /** What the far end has acknowledged here, and what we have. */
  acknowledged = 0;
  acknowledgedToPeer = 0;
  /** When what was received is to be acknowledged at the latest; undefined where nothing is. */
  acknowledgeAt: Millis | undefined;
  nextHeartbeat: Millis = 0;
  #beats: { readonly id: number; at: Millis }[] = [];
  #lastBeat = 0;

  constructor(ref: number, maxPayload: number, now: Millis, deadline: Millis) {
    this.ref = ref;
    this.reader = new FrameReader(maxPayload);
    this.control = new TokenBucket(CONTROL_BURST, CONTROL_PER_SECOND, now);
    this.deadline = deadline;
    this.heard = now;
  }

  /** A new heartbeat's id. */
  beat(now: Millis): number {
    this.#lastBeat = (this.#lastBeat + 1) >>> 0;
    this.#beats.push({ id: this.#lastBeat, at: now });
    return this.#lastBeat;
  }

  /** Round trip in ms, or undefined where `id` is not the oldest heartbeat without a reply (TCP keeps order). */
  reply(id: number, now: Millis): number | undefined {
    if (this.#beats[0]?.id !== id) return undefined;
    return now - this.#beats.shift()!.at;
  }

  /**
   * When an active connection counts as "established but dead": nothing heard, or a heartbeat unanswered (the way out is
   * dead while the way in is not) for `deadAfterMs`.
   */
  deadAt(deadAfterMs: Millis): Millis {
    return Math.min(this.heard, this.#beats[0]?.at ?? Number.POSITIVE_INFINITY) + deadAfterMs;
  }

  /**
   * Whether a data frame stands where it must: the first one here may repeat what came by an earlier connection after our
   * hello (`received`: the session's last); then each follows the one before.
   */
  inOrder(number: number, received: number): boolean {
    if (
      this.expected === undefined ? number <= this.told || number > received + 1 : number !== this.expected
    ) {
      return false;
    }
    this.expected = number + 1;
    return true;
  }

  /** Takes the far end's step of the fence exchange; false where it is not its turn. */
  fenceStep(frame: 'sync' | 'fence', role: 'dialer' | 'acceptor'): boolean {
    if (this.fence !== (frame === 'sync' ? 'await-sync' : 'await-fence')) return false;
    this.fenceDeadline = undefined;
    this.fence = frame === 'sync' || role === 'acceptor' ? 'answer' : 'none';
    return true;
  }

  /** Takes our own step: what our list is sent as, or undefined where none is wanted. */
  fenceAnswer(role: 'dialer' | 'acceptor', deadline: Millis): 'sync' | 'fence' | undefined {
    if (this.fence !== 'mark' && this.fence !== 'answer') return undefined;
    const step = this.fence === 'mark' ? 'sync' : 'fence';
    const waits = step === 'sync' || role === 'dialer';
    this.fence = waits ? 'await-fence' : 'none';
    this.fenceDeadline = waits ? deadline : undefined;
    return step;
  }

  /** This process, not the far end, was silent (suspended machine, long stall): do not hold that against the link. */
  forgive(ms: Millis): void {
    this.heard += ms;
    this.deadline += ms;
    for (const beat of this.#beats) beat.at += ms;
    if (this.fenceDeadline !== undefined) this.fenceDeadline += ms;
  }
}
