/**
 * The media negotiation of one H.323 leg: capability sets, FastStart proposals and logical channels towards the far end, neutral
 * exchanges towards the other gateway. One audio stream; streams of other kinds are refused in place.
 *
 * A SIP leg's answer names what a packet may be; an H.245 channel carries one codec. Therefore what is agreed here is a list of
 * formats (`candidates`), of which each direction's channel has one at a time, the same one in both where it can be had.
 * Methods never throw on what a peer or the other gateway sent.
 */
import { classifyIp, parseIp } from '../bytes/ip.ts';
import type { LegPorts, LegStream } from '../call/leg.ts';
import type {
  ChannelRefusal,
  FastStartChoice,
  FastStartOffer,
  FastStartProposal,
  H323Capabilities,
  H323Channel,
  MediaAddress,
} from '../h323/contract.ts';
import { type Address, isIpv6 } from '../machine/address.ts';
import { fail, ok, type Result } from '../machine/machine.ts';
import { defaultPacketTime } from '../media/formats.ts';
import type {
  Direction,
  Format,
  FormatName,
  MediaExchange,
  MediaKind,
  Side,
  Stream,
} from '../meta/message.ts';
import { META_LIMITS } from '../meta/message.ts';
import { directionOf, receives, reverse, sends } from '../sdp/offer-answer.ts';
import {
  type AudioCapability,
  capabilityOf,
  EVENT_PAYLOAD_TYPE,
  EVENTS,
  formatNamed,
  formatOfCapability,
  isH323Audio,
  MANDATORY,
  payloadTypeOf,
} from './h245-formats.ts';
import { PayloadMap } from './payload-map.ts';
import type { BareFormat } from './sdp-formats.ts';
import { isLoopback, type LocalPort, refusedStream } from './sdp-lines.ts';

export type Offer = Extract<MediaExchange, { kind: 'offer' }>;
export type Answer = Extract<MediaExchange, { kind: 'answer' }>;

export interface H245NegotiationOptions {
  /** Of this leg's gateway in the call: whose numbering our offers have. */
  readonly side: Side;
  readonly ports: LegPorts;
  /** Allowed, in order of preference. */
  readonly codecs: readonly FormatName[];
  /** Whether media may be sent to this address (canonical text). Multicast, link-local and the like are refused before. */
  acceptMediaAddress(ip: string): boolean;
}

/** `cause`: Q.850 for the release; `reason`: stable token for counters. */
export interface H245Problem {
  readonly cause: number;
  readonly reason: string;
}

interface SendChannel {
  readonly format: Format;
  readonly payloadType: number;
  readonly remote: MediaAddress;
}
interface ReceiveChannel {
  readonly format: Format;
  readonly payloadType: number;
  readonly remoteRtcp?: Address;
}

/** Well-known services are no media. */
const LOWEST_PORT = 1024;

export class H245Negotiation {
  readonly #options: H245NegotiationOptions;
  readonly #numbers = new PayloadMap();
  #index = 0;
  #port: LocalPort | undefined;
  #number = 0;
  /** Our offer, its answer due. */
  #ours: Offer | undefined;
  /** The other gateway's offer, our answer due. */
  #theirs: Offer | undefined;
  /** Streams of the other gateway that have no place here, by index. */
  #elsewhere = new Map<number, MediaKind>();
  /** Agreed with the other gateway, or (while `theirs` is open) offered by it: in order of preference. */
  #candidates: readonly Format[] = [];
  #events: Format | undefined;
  /** The other gateway's part, seen from it. */
  #wish: Direction = 'sendrecv';
  #packetTime: number | undefined;
  #fast: FastStartOffer | undefined;
  #proposed: readonly Format[] = [];
  #far: H323Capabilities | undefined;
  #before:
    | {
        readonly candidates: readonly Format[];
        readonly events: Format | undefined;
        readonly wish: Direction;
        readonly packetTime: number | undefined;
      }
    | undefined;
  readonly #excluded = new Set<string>();
  /** The far end has sent the empty capability set. */
  farHeld = false;
  #send: SendChannel | undefined;
  #receive: ReceiveChannel | undefined;
  #active = true;

  constructor(options: H245NegotiationOptions) {
    this.#options = options;
  }

  // ---- what is known ------------------------------------------------------------------------------------------------

  get answerDue(): boolean {
    return this.#theirs !== undefined;
  }

  get offerOpen(): boolean {
    return this.#ours !== undefined;
  }

  get farKnown(): boolean {
    return this.#far !== undefined;
  }

  /** Agreed or offered formats are known: channels can be judged. */
  get settled(): boolean {
    return this.#candidates.length > 0;
  }

  /** Whether a codec is among those agreed. */
  agreedOn(name: string): boolean {
    return this.#candidates.some((f) => f.name === name);
  }

  get sending(): Format | undefined {
    return this.#send?.format;
  }

  get receiving(): Format | undefined {
    return this.#receive?.format;
  }

  /** Whether the other gateway's side wants to hear our far end. */
  get wanted(): boolean {
    return receives(this.#wish);
  }

  /**
   * RFC 4733 towards the far end: it has a payload type for it, and takes no H.245 user input. Who takes both gets user
   * input, which H.323 makes mandatory: chan_ooh323 declares RFC 4733 and drops it.
   */
  get takesEvents(): boolean {
    return this.#eventPayloadType() >= 0 && this.#events !== undefined;
  }

  #eventPayloadType(): number {
    const input = this.#far?.userInput;
    if (input === undefined || input.alphanumeric || input.signal) return -1;
    return input.rfc4733PayloadType ?? -1;
  }

  get index(): number {
    return this.#index;
  }

  // ---- offers of ours to the other gateway --------------------------------------------------------------------------

  /** The far end's FastStart as an offer. Undefined: nothing of it can be used (it is refused, and H.245 negotiates). */
  fastStartOffer(offers: readonly FastStartOffer[]): Result<Offer | undefined, H245Problem> {
    const audio = offers.find((o) => o.kind === 'audio');
    if (audio === undefined) return ok(undefined);
    const local = this.#allocate();
    if (local === undefined) return fail({ cause: 47, reason: 'no-port' });
    const toUs = audioOf(audio.receive.map((r) => r.capability));
    const fromUs = audioOf(audio.send.filter((s) => this.#usable(s.remote.rtp)).map((s) => s.capability));
    const allowed = (c: AudioCapability): boolean => this.#options.codecs.includes(c.codec);
    const order = [...toUs, ...fromUs].filter(allowed);
    const both = toUs.filter((c) => allowed(c) && fromUs.some((o) => o.codec === c.codec));
    const usable = both.length > 0 ? both : order;
    if (usable.length === 0) return ok(undefined);
    this.#fast = audio;
    const direction = both.length > 0 ? 'sendrecv' : toUs.some(allowed) ? 'sendonly' : 'recvonly';
    return ok(this.#offer(uniqueFormats(usable), direction));
  }

  /** For a far end whose capabilities are not known: what every H.323 terminal can (H.323 6.2.5), or all we may use where that is not allowed. */
  assumedOffer(): Result<Offer, H245Problem> {
    const sure = this.#options.codecs.filter((name) => MANDATORY.includes(name));
    const names = sure.length > 0 ? sure : this.#options.codecs.filter(isH323Audio);
    return this.#named(names);
  }

  /** What far end and configuration both have, in the far end's order. */
  capabilityOffer(): Result<Offer, H245Problem> {
    const far = audioOf(this.#far?.media ?? []).filter((c) => this.#options.codecs.includes(c.codec));
    if (this.#allocate() === undefined) return fail({ cause: 47, reason: 'no-port' });
    if (far.length === 0) return fail({ cause: 88, reason: 'no-common-codec' });
    return ok(this.#offer(uniqueFormats(far), this.#ownDirection()));
  }

  /** What was agreed, again: the far end's hold or resumption, or an offer that was asked for. */
  agreedOffer(): Offer | undefined {
    if (this.#candidates.length === 0 || !this.#active) return undefined;
    const current = this.#send?.format ?? this.#receive?.format;
    const formats = current === undefined ? this.#candidates : [current];
    return this.#offer(formats, this.#ownDirection());
  }

  /** Our offer was refused or overtaken: what was agreed before stands. */
  dropOffer(): void {
    this.#ours = undefined;
  }

  takeAnswer(exchange: MediaExchange): Result<void, H245Problem> {
    const ours = this.#ours;
    if (exchange.kind !== 'answer' || ours === undefined || exchange.number !== ours.number)
      return fail({ cause: 111, reason: 'unexpected-answer' });
    this.#ours = undefined;
    const stream = exchange.streams.find((s) => s.index === this.#index);
    const formats = stream === undefined ? [] : this.#allowed(stream.formats);
    if (stream === undefined || stream.refused || formats.length === 0)
      return fail({ cause: 88, reason: 'no-common-codec' });
    this.#agree(stream, formats);
    return ok(undefined);
  }

  // ---- offers of the other gateway ----------------------------------------------------------------------------------

  /** A far end that is not there yet, or a change: then `current`, or `rejectOffer`. */
  takeOffer(exchange: MediaExchange): Result<void, H245Problem> {
    if (exchange.kind !== 'offer') return fail({ cause: 111, reason: 'not-an-offer' });
    const known = this.#port === undefined ? undefined : this.#index;
    const stream = exchange.streams.find(
      (s) => s.kind === 'audio' && !s.refused && (known === undefined || s.index === known),
    );
    const formats = stream === undefined ? [] : this.#allowed(stream.formats);
    if (stream === undefined || formats.length === 0) return fail({ cause: 88, reason: 'no-common-codec' });
    this.#index = stream.index;
    if (this.#allocate() === undefined) return fail({ cause: 47, reason: 'no-port' });
    for (const s of exchange.streams) if (s.index !== stream.index) this.#elsewhere.set(s.index, s.kind);
    this.#numbers.learn(stream.formats);
    this.#theirs = exchange;
    this.#before = {
      candidates: this.#candidates,
      events: this.#events,
      wish: this.#wish,
      packetTime: this.#packetTime,
    };
    this.#agree(stream, formats);
    return ok(undefined);
  }

  /** The offer came to nothing: what was agreed before stands. */
  rejectOffer(): void {
    const before = this.#before;
    if (this.#theirs === undefined || before === undefined) return;
    this.#theirs = undefined;
    this.#candidates = before.candidates;
    this.#events = before.events;
    this.#wish = before.wish;
    this.#packetTime = before.packetTime;
  }

  /** The codec to go on with after a change: the one in use where it is still wished for, else the first that the far end has. */
  current(): Format | undefined {
    for (const used of [this.#send?.format, this.#receive?.format]) {
      const kept = this.#candidates.find((f) => f.name === used?.name);
      if (kept !== undefined && this.farTakes(kept)) return kept;
    }
    return this.#far === undefined ? undefined : this.choose();
  }

  /** The far end will not take our channel with this codec. */
  exclude(format: Format): void {
    this.#excluded.add(format.name);
  }

  /** Our answer to the other gateway's offer, once the codec of each direction is settled: first the one we send the far end. */
  answer(codecs: readonly Format[]): Answer | undefined {
    const theirs = this.#theirs;
    if (theirs === undefined) return undefined;
    this.#theirs = undefined;
    this.#candidates = codecs;
    const streams = theirs.streams.map((asked): Stream => {
      if (asked.index !== this.#index || asked.refused) return refusedStream(asked.index, asked.kind);
      return {
        index: asked.index,
        kind: 'audio',
        refused: false,
        direction: this.#answerDirection(asked.direction),
        ...(asked.packetTime === undefined ? {} : { packetTime: asked.packetTime }),
        formats: this.#events === undefined ? codecs : [...codecs, this.#events],
      };
    });
    return { kind: 'answer', by: theirs.by, number: theirs.number, branch: 0, streams };
  }

  /** FastStart for a call of ours: the offered codecs, both ways. */
  proposals(): FastStartProposal[] {
    const capabilities = this.#capabilities(this.#candidates);
    if (capabilities.length === 0 || this.#port === undefined) return [];
    this.#proposed = this.#candidates;
    return [{ kind: 'audio', capabilities, direction: 'both', local: this.local() }];
  }

  // ---- towards the far end ------------------------------------------------------------------------------------------

  /** What we can receive: what the other side can, or all we may use where that is not known yet. */
  ownCapabilities(): H323Capabilities {
    const formats = this.settled
      ? this.#candidates
      : this.#options.codecs.filter(isH323Audio).map((name) => ({ id: 0, ...formatNamed(name) }));
    return {
      media: this.#capabilities(formats),
      userInput: {
        alphanumeric: true,
        signal: true,
        ...(this.settled && this.#events === undefined ? {} : { rfc4733PayloadType: EVENT_PAYLOAD_TYPE }),
      },
    };
  }

  /** Our part of the far end's FastStart, the other gateway's answer being known. The channels count as open from now on. */
  fastStartChoices(): FastStartChoice[] {
    const fast = this.#fast;
    this.#fast = undefined;
    if (fast === undefined) return [];
    for (const format of this.#candidates) {
      const to = fast.send.find((s) => matches(s.capability, format) && this.#usable(s.remote.rtp));
      const from = fast.receive.find((r) => matches(r.capability, format));
      if (to === undefined && from === undefined) continue;
      if (to !== undefined)
        this.#send = { format, payloadType: payloadTypeOf(format, undefined), remote: to.remote };
      if (from !== undefined) this.#receive = receiveChannel(format, from.payloadType, from.remoteRtcp);
      return [
        {
          kind: 'audio',
          ...(to === undefined ? {} : { send: to.capability }),
          ...(from === undefined ? {} : { receive: from.capability }),
          local: this.local(),
        },
      ];
    }
    return [];
  }

  /** The caller went on to H.245 before its FastStart was answered: channels open one by one. */
  fastStartGone(): void {
    this.#fast = undefined;
  }

  /** The far end took our FastStart. False: with something that cannot be used. */
  fastStartAnswered(channels: readonly H323Channel[]): boolean {
    this.#proposed = [];
    for (const channel of channels) {
      if (channel.kind !== 'audio') continue;
      if (!(channel.direction === 'send' ? this.opened(channel) : this.accepted(channel))) return false;
    }
    return this.#send !== undefined || this.#receive !== undefined;
  }

  farCapabilities(capabilities: H323Capabilities): void {
    this.#far = capabilities;
    this.#proposed = [];
  }

  /** The codec to send with: that of the far end's channel, else the first that both have. Undefined: none. */
  choose(): Format | undefined {
    const far = audioOf(this.#far?.media ?? []);
    const able = this.#candidates.filter(
      (f) => !this.#excluded.has(f.name) && far.some((c) => matches(c, f)),
    );
    const theirs = this.#receive?.format;
    return able.find((f) => f.name === theirs?.name) ?? able[0];
  }

  /** Whether the far end can (still) receive what we send. */
  farTakes(format: Format): boolean {
    return this.#far === undefined || audioOf(this.#far.media).some((c) => matches(c, format));
  }

  /** The capability of a channel of ours with this codec. */
  channel(format: Format): AudioCapability | undefined {
    const own = capabilityOf(format, this.#packetTime);
    const far = audioOf(this.#far?.media ?? []).find((c) => matches(c, format));
    if (own === undefined || far === undefined) return own;
    return {
      ...own,
      packetTime: Math.min(own.packetTime, far.packetTime),
      silenceSuppression: own.silenceSuppression && far.silenceSuppression,
    };
  }

  /** Undefined: the far end's channel may be accepted. */
  channelProblem(channel: H323Channel): ChannelRefusal | undefined {
    if (channel.capability.kind !== 'audio') return 'codec';
    if (!this.#candidates.some((f) => matches(channel.capability, f))) return 'codec';
    return this.#port === undefined ? 'other' : undefined;
  }

  /** The candidate a channel's codec is. */
  formatOf(channel: H323Channel): Format | undefined {
    return this.#candidates.find((f) => matches(channel.capability, f));
  }

  /** The far end's channel is open. */
  accepted(channel: H323Channel): boolean {
    const format = this.formatOf(channel);
    if (format === undefined) return false;
    this.#receive = receiveChannel(format, channel.payloadType, channel.remoteRtcp);
    return true;
  }

  /** Our channel is open. False: it leads where we may not send. */
  opened(channel: H323Channel): boolean {
    const format = this.formatOf(channel);
    const { remote } = channel;
    if (format === undefined || remote === undefined || !this.#usable(remote.rtp)) return false;
    this.#send = { format, payloadType: payloadTypeOf(format, channel.payloadType), remote };
    return true;
  }

  closed(direction: 'send' | 'receive'): void {
    if (direction === 'send') this.#send = undefined;
    else this.#receive = undefined;
  }

  local(): MediaAddress {
    const rtp = this.#port!.advertised;
    return { rtp, rtcp: { ip: rtp.ip, port: rtp.port + 1 } };
  }

  // ---- media control ------------------------------------------------------------------------------------------------

  streams(): readonly LegStream[] {
    const port = this.#port;
    if (port === undefined || this.#candidates.length === 0) return [];
    const first = this.#send?.format ?? this.#receive?.format ?? this.#candidates[0];
    const remoteRtcp = this.#usableRtcp(this.#send?.remote.rtcp ?? this.#receive?.remoteRtcp);
    const awaiting = this.#proposed.length > 0 && this.#receive === undefined;
    const heard = this.#receive !== undefined || awaiting;
    return [
      {
        index: this.#index,
        kind: 'audio',
        active: this.#active,
        direction: directionOf(
          this.#send !== undefined && !this.farHeld && sends(this.#wish),
          heard && receives(this.#wish),
        ),
        local: port.bound,
        ...(this.#send === undefined ? {} : { remote: this.#send.remote.rtp }),
        ...(remoteRtcp === undefined ? {} : { remoteRtcp }),
        rtcpMux: false,
        packetTime: this.#packetTime ?? defaultPacketTime(first?.name ?? 'PCMU'),
        formats: awaiting ? this.#awaited() : this.#formats(),
      },
    ];
  }

  /** H.323 8.1.7.1: who proposes FastStart takes media on any proposed channel from then on. */
  #awaited(): LegStream['formats'] {
    return this.#proposed.map((format) => ({
      format,
      receivePayloadType: payloadTypeOf(format, undefined),
      sendPayloadType: -1,
    }));
  }

  #formats(): LegStream['formats'] {
    const out: { format: Format; receivePayloadType: number; sendPayloadType: number }[] = [];
    const send = this.#send;
    const receive = this.#receive;
    if (receive !== undefined) {
      const same = send?.format.id === receive.format.id;
      out.push({
        format: receive.format,
        receivePayloadType: receive.payloadType,
        sendPayloadType: same ? send.payloadType : -1,
      });
    }
    if (send !== undefined && send.format.id !== receive?.format.id)
      out.push({ format: send.format, receivePayloadType: -1, sendPayloadType: send.payloadType });
    // Before any channel is open the stream keeps its port with the format it will have.
    if (out.length === 0)
      out.push({ format: this.#candidates[0]!, receivePayloadType: -1, sendPayloadType: -1 });
    if (this.#events !== undefined)
      out.push({
        format: this.#events,
        receivePayloadType: EVENT_PAYLOAD_TYPE,
        sendPayloadType: this.#eventPayloadType(),
      });
    return out;
  }

  // ---- parts --------------------------------------------------------------------------------------------------------

  #allocate(): LocalPort | undefined {
    this.#port ??= this.#options.ports.allocate(this.#index, 'audio');
    return this.#port;
  }

  #named(names: readonly FormatName[]): Result<Offer, H245Problem> {
    if (this.#allocate() === undefined) return fail({ cause: 47, reason: 'no-port' });
    const formats = names.filter(isH323Audio).map(formatNamed);
    if (formats.length === 0) return fail({ cause: 88, reason: 'no-common-codec' });
    return ok(this.#offer(formats, 'sendrecv'));
  }

  #offer(formats: readonly BareFormat[], direction: Direction): Offer {
    const numbered = this.#numbers.number([...formats.map(bare), EVENTS]);
    const streams: Stream[] = [
      {
        index: this.#index,
        kind: 'audio',
        refused: false,
        direction,
        ...(this.#packetTime === undefined ? {} : { packetTime: this.#packetTime }),
        formats: numbered,
      },
    ];
    for (const [index, kind] of this.#elsewhere) streams.push(refusedStream(index, kind));
    const number = Math.min(++this.#number, META_LIMITS.exchangeNumber);
    const exchange: Offer = {
      kind: 'offer',
      by: this.#options.side,
      number,
      branch: 0,
      streams: streams.sort((a, b) => a.index - b.index),
    };
    this.#ours = exchange;
    return exchange;
  }

  #agree(stream: Stream, formats: readonly Format[]): void {
    this.#candidates = formats;
    this.#events = stream.formats.find((f) => f.name === 'telephone-event' && f.clockRate === 8000);
    this.#wish = stream.direction;
    this.#packetTime = stream.packetTime;
    this.#active = true;
  }

  #allowed(formats: readonly Format[]): Format[] {
    const { codecs } = this.#options;
    return formats.filter((f) => isH323Audio(f.name) && codecs.includes(f.name) && f.channels === 1);
  }

  #capabilities(formats: readonly BareFormat[]): AudioCapability[] {
    return formats.flatMap((f) => capabilityOf(f, this.#packetTime) ?? []);
  }

  /** Seen from our far end: whether it takes media, whether it sends. */
  #ownDirection(): Direction {
    return this.farHeld ? 'sendonly' : 'sendrecv';
  }

  #answerDirection(asked: Direction): Direction {
    const theirs = reverse(asked);
    return this.farHeld ? directionOf(sends(theirs), false) : theirs;
  }

  /** RFC 3550 needs a port that no well-known service has; loopback only among programs of one machine. */
  #usable(address: Address): boolean {
    const bytes = parseIp(address.ip);
    if (bytes === undefined || address.port < LOWEST_PORT) return false;
    const kind = classifyIp(bytes);
    if (kind !== 'unicast' && kind !== 'loopback') return false;
    const port = this.#port;
    if (port !== undefined && isIpv6(port.advertised.ip) !== isIpv6(address.ip)) return false;
    if (kind === 'loopback' && port !== undefined && !isLoopback(port.bound.ip)) return false;
    return this.#options.acceptMediaAddress(address.ip);
  }

  #usableRtcp(address: Address | undefined): Address | undefined {
    return address !== undefined && this.#usable(address) ? address : undefined;
  }
}

function audioOf(capabilities: readonly { readonly kind: string }[]): AudioCapability[] {
  return capabilities.filter((c): c is AudioCapability => c.kind === 'audio');
}

/** Codec for codec: frames per packet and silence suppression differ without harm, packets carry their length. */
function matches(capability: { readonly codec: string }, format: BareFormat): boolean {
  return capability.codec === format.name;
}

function bare({ name, clockRate, channels, parameters }: BareFormat): BareFormat {
  return { name, clockRate, channels, parameters };
}

function uniqueFormats(capabilities: readonly AudioCapability[]): BareFormat[] {
  const out = new Map<string, BareFormat>();
  for (const c of capabilities) if (!out.has(c.codec)) out.set(c.codec, formatOfCapability(c));
  return [...out.values()];
}

function receiveChannel(
  format: Format,
  payloadType: number | undefined,
  remoteRtcp: Address | undefined,
): ReceiveChannel {
  return {
    format,
    payloadType: payloadTypeOf(format, payloadType),
    ...(remoteRtcp === undefined ? {} : { remoteRtcp }),
  };
}
