/**
 * A fax (T.38 over UDP, H.323 Annex D) in the offers and answers of one H.323 leg: in the place of the sound, or beside it, the sound being
 * refused. When the far end is asked for it is h245-fax.ts. Methods never throw on what a peer or the other gateway sent.
 */
import type { FastStartOffer, H323Capability } from '../h323/media-contract.ts';
import { fail, ok, type Result } from '../machine/machine.ts';
import type { MediaAnswer, MediaExchange, MediaKind, MediaOffer, Stream } from '../meta/message.ts';
import { answeredStream, type H245Exchanges } from './h245-exchanges.ts';
import { formatOfCapability } from './h245-formats.ts';
import { type H245Problem, NO_COMMON_CODEC, NO_PORT } from './h245-problem.ts';
import type { H245Stream } from './h245-stream.ts';
import { answered } from './sdp-formats.ts';
import { refusedStream } from './sdp-lines.ts';

export class H245FaxOffers {
  /** The call is a fax now. */
  active = false;
  readonly #audio: H245Stream;
  readonly #video: H245Stream;
  readonly #image: H245Stream;
  readonly #exchanges: H245Exchanges;

  constructor(
    streams: { readonly audio: H245Stream; readonly video: H245Stream; readonly image: H245Stream },
    exchanges: H245Exchanges,
  ) {
    this.#audio = streams.audio;
    this.#video = streams.video;
    this.#image = streams.image;
    this.#exchanges = exchanges;
  }

  begin(): void {
    this.active = true;
    this.#video.refuse();
  }

  end(): void {
    this.active = false;
    this.#image.refuse();
  }

  // ---- offers of ours to the other gateway --------------------------------------------------------------------------

  /** The far end's FastStart is of a fax and of no sound that may be used (H.323 D.3): the call is a fax. */
  fastOffer(fast: FastStartOffer | undefined): MediaOffer | undefined {
    const audio = this.#audio;
    const image = this.#image;
    const usable = image.offeredFast(fast);
    if (usable === undefined) return undefined;
    image.index = audio.index;
    image.port = audio.port;
    audio.port = undefined;
    image.fast = fast;
    image.far = fast?.send.map((s) => s.capability);
    this.active = true;
    return this.#exchanges.offer([image.offered(usable.formats, usable.direction)]);
  }

  /** As the far end's capabilities have it. */
  ableOffer(): MediaOffer | undefined {
    const able = this.#able();
    return able === undefined ? undefined : this.offer(able);
  }

  /** As the far end wants it, in the place of the sound or where it is already. */
  offer(wanted: H323Capability): MediaOffer | undefined {
    const audio = this.#audio;
    const image = this.#image;
    const video = this.#video;
    const formats = image.formatsOf([wanted]);
    if (audio.index === undefined || formats.length === 0) return undefined;
    if (!this.active) {
      if (audio.port === undefined) return undefined;
      image.index = audio.index;
      image.port = audio.port;
    }
    const gone = video.index === undefined ? [] : [refusedStream(video.index, 'video')];
    if (image.index !== audio.index) gone.push(refusedStream(audio.index, 'audio'));
    return this.#exchanges.offer([image.offered(formats, 'sendrecv'), ...gone]);
  }

  takeAnswer(exchange: MediaAnswer): Result<void, H245Problem> {
    const image = this.#image;
    const stream = exchange.streams.find((s) => s.index === image.index && s.kind === 'image');
    const formats = stream === undefined ? [] : image.allowed(stream.formats);
    if (stream === undefined || stream.refused || formats.length === 0) {
      if (!this.active) image.refuse();
      return fail(NO_COMMON_CODEC);
    }
    image.agree(stream, formats);
    return ok(undefined);
  }

  // ---- offers of the other gateway ----------------------------------------------------------------------------------

  /** The set-up's offer is of a fax and of no sound that may be used. */
  isFirst(exchange: MediaExchange): boolean {
    if (exchange.kind !== 'offer') return false;
    return usable(this.#image, exchange) !== undefined && usable(this.#audio, exchange) === undefined;
  }

  /** A call that is a fax from the start, to a far end that is not there yet. */
  takeFirst(exchange: MediaExchange): Result<void, H245Problem> {
    const audio = this.#audio;
    const image = this.#image;
    const stream = exchange.kind === 'offer' ? usable(image, exchange) : undefined;
    if (exchange.kind !== 'offer' || stream === undefined) return fail(NO_COMMON_CODEC);
    image.index = undefined;
    image.port = undefined;
    if (image.allocate(stream.index) === undefined) return fail(NO_PORT);
    // Sound, should it come, has the place that was offered for it, or that of the fax.
    audio.index ??= exchange.streams.find((s) => s.kind === 'audio')?.index ?? stream.index;
    audio.candidates = [];
    this.#exchanges.take(exchange, [audio.index, stream.index]);
    image.takeOffer(stream, image.allowed(stream.formats).slice(0, 1));
    this.begin();
    return ok(undefined);
  }

  /** The far end turns out to have no sound of what was offered: the fax that was offered beside it, where there was one. */
  takeInstead(): boolean {
    const { theirs } = this.#exchanges;
    const image = this.#image;
    if (this.active || theirs === undefined || usable(image, theirs) === undefined) return false;
    if (image.formatsOf(image.far ?? []).length === 0) return false;
    return this.takeFirst(theirs).ok;
  }

  /** A fax, and no sound beside it. */
  isOffered(exchange: MediaExchange): boolean {
    if (exchange.kind !== 'offer') return false;
    const wanted = (kind: MediaKind): boolean => exchange.streams.some((s) => s.kind === kind && !s.refused);
    return wanted('image') && !wanted('audio');
  }

  /** What to ask the far end to send; then `answer`, or `reject`. Undefined: it cannot, or may not. */
  takeOffer(exchange: MediaExchange): H323Capability | undefined {
    const image = this.#image;
    if (exchange.kind !== 'offer') return undefined;
    const stream = exchange.streams.find((s) => s.kind === 'image' && !s.refused);
    if (stream === undefined) return undefined;
    const [format] = image.allowed(stream.formats);
    if (format === undefined || image.far === undefined || !image.farTakes(format)) return undefined;
    if (image.index !== stream.index) {
      image.index = undefined;
      image.port = undefined;
    }
    if (image.allocate(stream.index) === undefined) return undefined;
    this.#exchanges.take(exchange, [this.#audio.index, stream.index]);
    this.#exchanges.place(stream.index);
    image.takeOffer(stream, [format]);
    return image.channel(format);
  }

  reject(): void {
    this.#exchanges.reject();
    if (!this.active) this.#image.refuse();
  }

  /** `farHeld`: the far end takes nothing. Undefined: there is nothing to answer, or the far end has no fax. */
  answer(farHeld: boolean): MediaAnswer | undefined {
    const image = this.#image;
    const [format] = image.candidates;
    const far = this.#able();
    const able = far === undefined ? undefined : formatOfCapability(far);
    if (format === undefined || able === undefined) {
      this.#exchanges.reject();
      return undefined;
    }
    return this.#exchanges.answer((asked) => {
      if (asked.index !== image.index) return refusedStream(asked.index, asked.kind);
      return answeredStream(asked, [{ ...format, parameters: answered(format, able) }], farHeld);
    });
  }

  #able(): H323Capability | undefined {
    return this.#image.far?.find((c) => c.kind === 'image');
  }
}

function usable(stream: H245Stream, { streams }: MediaOffer): Stream | undefined {
  return streams.find((s) => s.kind === stream.kind && !s.refused && stream.allowed(s.formats).length > 0);
}
