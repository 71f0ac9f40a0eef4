/**
 * The media negotiation of one H.323 leg: capability sets, FastStart proposals and logical channels towards the far end, neutral
 * exchanges towards the other gateway. One audio stream, without which there is no call, and one video stream where both sides want
 * it; others are refused in place.
 *
 * A SIP leg's answer names what a packet may be; an H.245 channel carries one codec. Therefore what is agreed here is a list of
 * formats (`candidates`), of which each direction's channel has one at a time, the same one in both where it can be had.
 * Methods never throw on what a peer or the other gateway sent.
 */
import type { LegStream } from '../call/leg.ts';
import type {
  FastStartChoice,
  FastStartOffer,
  FastStartProposal,
  H323Capabilities,
  H323Capability,
  H323Channel,
} from '../h323/media-contract.ts';
import { fail, ok, type Result } from '../machine/machine.ts';
import type {
  Direction,
  Format,
  MediaAnswer,
  MediaExchange,
  MediaKind,
  MediaOffer,
  Side,
  Stream,
} from '../meta/message.ts';
import { receives } from '../sdp/offer-answer.ts';
import { answeredStream, H245Exchanges } from './h245-exchanges.ts';
import { H245FaxOffers } from './h245-fax-offers.ts';
import {
  EVENT_PAYLOAD_TYPE,
  FAX_FORMAT,
  fittedTo,
  formatNamed,
  isH323Audio,
  MANDATORY,
  matches,
} from './h245-formats.ts';
import { type H245Problem, NO_COMMON_CODEC, NO_PORT } from './h245-problem.ts';
import { H245Stream, type H245StreamOptions } from './h245-stream.ts';
import type { BareFormat } from './sdp-formats.ts';
import { refusedStream } from './sdp-lines.ts';

export interface H245NegotiationOptions extends H245StreamOptions {
  /** Of this leg's gateway in the call: whose numbering our offers have. */
  readonly side: Side;
}

export class H245Negotiation {
  readonly audio: H245Stream;
  readonly video: H245Stream;
  /** In the place of the sound, or beside it, the sound being refused. */
  readonly image: H245Stream;
  readonly fax: H245FaxOffers;
  readonly #options: H245NegotiationOptions;
  readonly #exchanges: H245Exchanges;
  #userInput: H323Capabilities['userInput'] | undefined;
  /** The other side may be asked for video, once the far end is known to have it: it was refused for want of knowing, or never named. */
  #videoDue: boolean;
  /** The far end has sent the empty capability set. */
  farHeld = false;

  constructor(options: H245NegotiationOptions) {
    this.#options = options;
    this.#videoDue = options.side === 'originator';
    this.audio = new H245Stream('audio', options);
    this.video = new H245Stream('video', options);
    this.image = new H245Stream('image', options, this.audio.numbers);
    this.#exchanges = new H245Exchanges(options.side);
    this.fax = new H245FaxOffers(this, this.#exchanges);
  }

  // ---- what is known ------------------------------------------------------------------------------------------------

  get answerDue(): boolean {
    return this.#exchanges.theirs !== undefined;
  }

  get offerOpen(): boolean {
    return this.#exchanges.offerOpen;
  }

  get farKnown(): boolean {
    return this.#userInput !== undefined;
  }

  /** Agreed or offered formats are known: channels can be judged. */
  get settled(): boolean {
    return this.main.candidates.length > 0;
  }

  /** The stream without which there is no call. */
  get main(): H245Stream {
    return this.fax.active ? this.image : this.audio;
  }

  /** Whether a codec is among those agreed. */
  agreedOn(name: string): boolean {
    return [this.audio, this.video, this.image].some((s) => s.candidates.some((f) => f.name === name));
  }

  /** Of the sound. */
  get sending(): Format | undefined {
    return this.audio.send?.format;
  }

  get receiving(): Format | undefined {
    return this.audio.receive?.format;
  }

  /** Whether the other gateway's side wants to hear our far end. */
  get wanted(): boolean {
    return receives(this.audio.wish);
  }

  /**
   * RFC 4733 towards the far end: it has a payload type for it, and takes no H.245 user input. Who takes both gets user
   * input, which H.323 makes mandatory: chan_ooh323 declares RFC 4733 and drops it.
   */
  get takesEvents(): boolean {
    return this.#eventPayloadType() >= 0 && this.audio.events !== undefined;
  }

  #eventPayloadType(): number {
    const input = this.#userInput;
    if (input === undefined || input.alphanumeric || input.signal) return -1;
    return input.rfc4733PayloadType ?? -1;
  }

  get index(): number {
    return this.audio.index ?? 0;
  }

  /** The leg goes over to another call (a transfer): its offers are that side's now, numbered anew; channels stay. */
  moveTo(side: Side): void {
    this.#exchanges.moveTo(side);
  }

  stream(kind: MediaKind): H245Stream {
    return this[kind];
  }

  // ---- offers of ours to the other gateway --------------------------------------------------------------------------

  /** The far end's FastStart as an offer. Undefined: nothing of it can be used (it is refused, and H.245 negotiates). */
  fastStartOffer(offers: readonly FastStartOffer[]): Result<MediaOffer | undefined, H245Problem> {
    const of = (kind: MediaKind): FastStartOffer | undefined => offers.find((o) => o.kind === kind);
    if (of('audio') === undefined && of('image') === undefined) return ok(undefined);
    if (this.audio.allocate(0) === undefined) return fail(NO_PORT);
    const usable = this.audio.offeredFast(of('audio'));
    if (usable === undefined) return ok(this.fax.fastOffer(of('image')));
    this.audio.fast = of('audio');
    const moving = this.video.offeredFast(of('video'));
    if (moving === undefined || this.video.allocate(1) === undefined)
      return ok(this.#offer(usable.formats, usable.direction));
    this.video.fast = of('video');
    return ok(this.#offer(usable.formats, usable.direction, moving.formats, moving.direction));
  }

  /** For a far end whose capabilities are not known: what every H.323 terminal can (H.323 6.2.5), or all we may use where that is not allowed. */
  assumedOffer(): Result<MediaOffer, H245Problem> {
    const { codecs } = this.#options;
    const sure = codecs.filter((name) => MANDATORY.includes(name));
    const names = (sure.length > 0 ? sure : codecs).filter(isH323Audio);
    if (this.audio.allocate(0) === undefined) return fail(NO_PORT);
    if (names.length === 0) return fail(NO_COMMON_CODEC);
    return ok(this.#offer(names.map(formatNamed), 'sendrecv'));
  }

  /** What far end and configuration both have, in the far end's order; a fax, where that is all. */
  capabilityOffer(): Result<MediaOffer, H245Problem> {
    if (this.audio.allocate(0) === undefined) return fail(NO_PORT);
    const formats = this.audio.formatsOf(this.audio.far ?? []);
    if (formats.length === 0) {
      const fax = this.fax.active ? undefined : this.fax.ableOffer();
      return fax === undefined ? fail(NO_COMMON_CODEC) : ok(fax);
    }
    return ok(this.#offer(formats, this.#ownDirection(), this.#videoFormats(true)));
  }

  /** What was agreed, again: the far end's hold or resumption, or an offer that was asked for. `more`: with video it turned out to have. */
  agreedOffer(more = false): MediaOffer | undefined {
    const { audio } = this;
    if (this.fax.active && this.image.far?.some((c) => c.kind === 'image')) return this.fax.ableOffer();
    if (audio.candidates.length === 0) return undefined;
    const current = audio.send?.format ?? audio.receive?.format;
    const formats = current === undefined ? audio.candidates : [current];
    return this.#offer(formats, this.#ownDirection(), this.#videoFormats(more));
  }

  /** An offer with the video that the far end turned out to have; once, and only where the other side may want it. */
  videoOffer(): MediaOffer | undefined {
    const { video } = this;
    if (!this.#videoDue || video.far === undefined) return undefined;
    this.#videoDue = false;
    return video.formatsOf(video.far).length === 0 ? undefined : this.agreedOffer(true);
  }

  #videoFormats(more: boolean): readonly BareFormat[] {
    const { video } = this;
    if (video.candidates.length > 0) return video.candidates;
    return more ? video.formatsOf(video.far ?? []) : [];
  }

  /** Our offer was refused or overtaken: what was agreed before stands. */
  dropOffer(): void {
    this.#exchanges.dropOffer();
  }

  takeAnswer(exchange: MediaExchange): Result<void, H245Problem> {
    const ours = this.#exchanges.answeredBy(exchange);
    if (exchange.kind !== 'answer' || ours === undefined)
      return fail({ cause: 111, reason: 'unexpected-answer' });
    if (ours.streams.some((s) => s.kind === 'image' && !s.refused)) return this.fax.takeAnswer(exchange);
    const { audio, video } = this;
    const stream = exchange.streams.find((s) => s.index === audio.index);
    const formats = stream === undefined ? [] : audio.allowed(stream.formats);
    if (stream === undefined || stream.refused || formats.length === 0) return fail(NO_COMMON_CODEC);
    audio.agree(stream, formats);
    const moving = exchange.streams.find((s) => s.index === video.index && s.kind === 'video');
    const pictures = moving === undefined || moving.refused ? [] : video.allowed(moving.formats);
    if (moving !== undefined && pictures.length > 0) video.agree(moving, pictures);
    else video.refuse();
    return ok(undefined);
  }

  // ---- offers of the other gateway ----------------------------------------------------------------------------------

  /** A far end that is not there yet, or a change: then `current`, or `rejectOffer`. */
  takeOffer(exchange: MediaExchange): Result<void, H245Problem> {
    if (exchange.kind !== 'offer') return fail({ cause: 111, reason: 'not-an-offer' });
    const { audio, video } = this;
    const known = audio.port === undefined ? undefined : audio.index;
    const stream = exchange.streams.find(
      (s) => s.kind === 'audio' && !s.refused && (known === undefined || s.index === known),
    );
    const formats = stream === undefined ? [] : audio.allowed(stream.formats);
    if (stream === undefined || formats.length === 0) return fail(NO_COMMON_CODEC);
    if (known === undefined) audio.index = stream.index;
    if (audio.allocate(stream.index) === undefined) return fail(NO_PORT);
    video.remember();
    const pictures = this.#takeVideo(exchange.streams);
    this.#exchanges.take(exchange, [audio.index, pictures]);
    audio.takeOffer(stream, formats);
    return ok(undefined);
  }

  /** The place of the video stream, where there is one for us. */
  #takeVideo(streams: readonly Stream[]): number | undefined {
    const { video } = this;
    const stream = streams.find(
      (s) => s.kind === 'video' && (video.index === undefined ? !s.refused : s.index === video.index),
    );
    const formats = stream === undefined || stream.refused ? [] : video.allowed(stream.formats);
    if (stream === undefined || formats.length === 0 || video.allocate(stream.index) === undefined) {
      video.refuse();
      return video.index;
    }
    this.#videoDue = false;
    video.takeOffer(stream, formats);
    return stream.index;
  }

  /** The offer came to nothing: what was agreed before stands. */
  rejectOffer(): void {
    if (!this.answerDue) return;
    this.#exchanges.reject();
    this.audio.takeBack();
    this.video.takeBack();
  }

  /** The codec to go on with after a change: the one in use where it is still wished for, else the first that the far end has. */
  current(): Format | undefined {
    const { audio } = this;
    for (const used of [audio.send?.format, audio.receive?.format]) {
      const kept = audio.candidates.find((f) => f.name === used?.name);
      if (kept !== undefined && audio.farTakes(kept)) return kept;
    }
    return audio.far === undefined ? undefined : audio.choose();
  }

  /** Our answer to the other gateway's offer, once the codec of each direction is settled: first the one we send the far end. */
  answer(codecs: readonly Format[]): MediaAnswer | undefined {
    if (!this.answerDue) return undefined;
    const { audio, video, farHeld } = this;
    audio.candidates = codecs;
    return this.#exchanges.answer((asked) => {
      if (asked.kind === 'video' && asked.index === video.index) return this.#videoAnswer(asked);
      if (asked.index !== audio.index) return refusedStream(asked.index, asked.kind);
      return answeredStream(asked, audio.events === undefined ? codecs : [...codecs, audio.events], farHeld);
    });
  }

  /** What a channel has already and is still wished for, else what the far end can receive; a far end that has no video, or has not said so, refuses it. */
  #videoAnswer(asked: Stream): Stream {
    const { video } = this;
    const format = video.agreed(video.send?.format) ?? video.agreed(video.receive?.format) ?? video.choose();
    if (format === undefined) {
      this.#videoDue = video.far === undefined;
      video.refuse();
      return refusedStream(asked.index, asked.kind);
    }
    const far = video.far?.find((c) => matches(c, format, true));
    video.candidates = [format];
    return answeredStream(asked, [far === undefined ? format : fittedTo(format, far)], this.farHeld);
  }

  /** FastStart for a call of ours: the offered codecs, both ways. */
  proposals(): FastStartProposal[] {
    if (this.fax.active) return [this.image.proposal()].filter((p) => p !== undefined);
    const audio = this.audio.proposal();
    const video = audio === undefined ? undefined : this.video.proposal();
    return [audio, video].filter((p) => p !== undefined);
  }

  /** Sound again, after a fax: what far end and configuration both have. */
  soundOffer(): MediaOffer | undefined {
    const offer = this.capabilityOffer();
    return offer.ok ? offer.value : undefined;
  }

  faxAnswer(): MediaAnswer | undefined {
    return this.fax.answer(this.farHeld);
  }

  // ---- towards the far end ------------------------------------------------------------------------------------------

  /** What we can receive: what the other side can, or all we may use where that is not known yet. */
  ownCapabilities(): H323Capabilities {
    const { audio, video } = this;
    const named = (): BareFormat[] => this.#options.codecs.filter(isH323Audio).map(formatNamed);
    const events =
      this.settled && audio.events === undefined ? {} : { rfc4733PayloadType: EVENT_PAYLOAD_TYPE };
    return {
      media: [
        ...audio.capabilities(this.settled ? audio.candidates : named()),
        ...video.capabilities(video.candidates),
        ...(this.#options.codecs.includes('T38') ? this.image.capabilities([FAX_FORMAT]) : []),
      ],
      userInput: { alphanumeric: true, signal: true, ...events },
    };
  }

  /** Our part of the far end's FastStart, the other gateway's answer being known. The channels count as open from now on. */
  fastStartChoices(): FastStartChoice[] {
    const main = this.main.fastChoice();
    if (main === undefined) {
      this.fastStartGone();
      return [];
    }
    const video = this.video.fastChoice();
    return video === undefined ? [main] : [main, video];
  }

  /** The caller went on to H.245 before its FastStart was answered: channels open one by one. */
  fastStartGone(): void {
    for (const stream of [this.audio, this.video, this.image]) stream.fast = undefined;
  }

  /** The far end took our FastStart. False: with something that cannot be used. */
  fastStartAnswered(channels: readonly H323Channel[]): boolean {
    const { main } = this;
    for (const stream of [this.audio, this.video, this.image]) stream.proposalOver();
    for (const channel of channels) {
      const stream = this.stream(channel.kind);
      const taken = channel.direction === 'send' ? stream.opened(channel) : stream.accepted(channel);
      if (!taken && stream === main) return false;
      // What it takes of a fax, until its capabilities say so.
      if (stream === this.image && channel.direction === 'send') stream.far ??= [channel.capability];
    }
    return main.send !== undefined || main.receive !== undefined;
  }

  farCapabilities(capabilities: H323Capabilities): void {
    const of = (kind: MediaKind): H323Capability[] => capabilities.media.filter((c) => c.kind === kind);
    this.#userInput = capabilities.userInput;
    for (const stream of [this.audio, this.video, this.image]) {
      stream.far = of(stream.kind);
      stream.proposalOver();
    }
  }

  // ---- media control ------------------------------------------------------------------------------------------------

  streams(): readonly LegStream[] {
    const state = { held: this.farHeld, eventType: this.#eventPayloadType() };
    const shown = this.fax.active ? [this.image] : [this.audio, this.video];
    return shown.map((s) => s.legStream(state)).filter((s) => s !== undefined);
  }

  // ---- parts --------------------------------------------------------------------------------------------------------

  #offer(
    formats: readonly BareFormat[],
    direction: Direction,
    pictures: readonly BareFormat[] = [],
    pictureDirection: Direction = this.#ownDirection(),
  ): MediaOffer {
    return this.#exchanges.offer([
      this.audio.offered(formats, direction),
      ...this.#videoOffered(pictures, pictureDirection),
    ]);
  }

  /** The video stream in its place: with these formats, or refused where there was one. */
  #videoOffered(formats: readonly BareFormat[], direction: Direction): Stream[] {
    const { video } = this;
    const place = video.index ?? this.#exchanges.freeIndex(this.index);
    if (formats.length === 0 || place === undefined || video.allocate(place) === undefined) {
      return video.index === undefined ? [] : [refusedStream(video.index, 'video')];
    }
    this.#videoDue = false;
    return [video.offered(formats, direction)];
  }

  /** Seen from our far end: whether it takes media, whether it sends. */
  #ownDirection(): Direction {
    return this.farHeld ? 'sendonly' : 'sendrecv';
  }
}
