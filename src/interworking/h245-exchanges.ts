/**
 * The exchanges of one H.323 leg with the other gateway (docs/meta-protocol.md, "Media exchanges"): which offer is open, the number of the
 * next, and the streams that have no place on this leg and are refused in theirs.
 */
import type {
  Format,
  MediaAnswer,
  MediaExchange,
  MediaKind,
  MediaOffer,
  Side,
  Stream,
} from '../meta/message.ts';
import { META_LIMITS } from '../meta/message.ts';
import { directionOf, reverse, sends } from '../sdp/offer-answer.ts';
import { refusedStream } from './sdp-lines.ts';

export class H245Exchanges {
  /** Of this leg's gateway in the call: whose numbering our offers have. */
  #side: Side;
  #number = 0;
  /** Our offer, its answer due. */
  #ours: MediaOffer | undefined;
  /** The other gateway's offer, our answer due. */
  #theirs: MediaOffer | undefined;
  /** Streams of the other gateway that have no place here, by index. */
  readonly #elsewhere = new Map<number, MediaKind>();

  constructor(side: Side) {
    this.#side = side;
  }

  /** The other gateway's offer, our answer due. */
  get theirs(): MediaOffer | undefined {
    return this.#theirs;
  }

  get offerOpen(): boolean {
    return this.#ours !== undefined;
  }

  /** The leg goes over to another call (a transfer): its offers are that side's now, numbered anew. */
  moveTo(side: Side): void {
    this.#side = side;
    this.#number = 0;
    this.#ours = undefined;
    this.#elsewhere.clear();
  }

  // ---- ours ---------------------------------------------------------------------------------------------------------

  /** Our open offer from now on: these streams, and the others' places refused. */
  offer(named: readonly Stream[]): MediaOffer {
    const streams = [...named];
    for (const [index, kind] of this.#elsewhere) {
      if (streams.every((s) => s.index !== index)) streams.push(refusedStream(index, kind));
    }
    const number = Math.min(++this.#number, META_LIMITS.exchangeNumber);
    this.#ours = {
      kind: 'offer',
      by: this.#side,
      number,
      branch: 0,
      streams: streams.sort((a, b) => a.index - b.index),
    };
    return this.#ours;
  }

  /** It was refused or overtaken. */
  dropOffer(): void {
    this.#ours = undefined;
  }

  /** The offer of ours that this answers, not open any more. Undefined: it answers none. */
  answeredBy(exchange: MediaExchange): MediaOffer | undefined {
    const ours = this.#ours;
    if (exchange.kind !== 'answer' || exchange.number !== ours?.number) return undefined;
    this.#ours = undefined;
    return ours;
  }

  // ---- theirs -------------------------------------------------------------------------------------------------------

  /** The other gateway's offer is open; its streams at these indices have a place here. */
  take(offer: MediaOffer, placed: readonly (number | undefined)[]): void {
    for (const { index, kind } of offer.streams)
      if (!placed.includes(index)) this.#elsewhere.set(index, kind);
    this.#theirs = offer;
  }

  /** A stream has got its place. */
  place(index: number): void {
    this.#elsewhere.delete(index);
  }

  /** The first index that neither a stream without a place has nor this one. */
  freeIndex(except: number): number | undefined {
    return [...Array(META_LIMITS.streams).keys()].find((i) => i !== except && !this.#elsewhere.has(i));
  }

  /** Our answer to the open offer: `streamFor` each that is not refused already. */
  answer(streamFor: (asked: Stream) => Stream): MediaAnswer | undefined {
    const theirs = this.#theirs;
    if (theirs === undefined) return undefined;
    this.#theirs = undefined;
    const streams = theirs.streams.map((s) => (s.refused ? refusedStream(s.index, s.kind) : streamFor(s)));
    return { kind: 'answer', by: theirs.by, number: theirs.number, branch: 0, streams };
  }

  /** The open offer is not answered. */
  reject(): void {
    this.#theirs = undefined;
  }
}

/** What is answered to a stream of the other gateway's offer. `farHeld`: our far end takes nothing. */
export function answeredStream(asked: Stream, formats: readonly Format[], farHeld: boolean): Stream {
  const theirs = reverse(asked.direction);
  return {
    index: asked.index,
    kind: asked.kind,
    refused: false,
    direction: farHeld ? directionOf(sends(theirs), false) : theirs,
    ...(asked.packetTime === undefined ? {} : { packetTime: asked.packetTime }),
    formats,
  };
}
