/**
 * One media stream of an H.323 leg: which formats are agreed on with the other gateway, which channel each direction has towards the far
 * end, and where its packets go. What of it is offered and answered when, h245-negotiation.ts decides.
 */
import { classifyIp, parseIp } from '../bytes/ip.ts';
import type { LegPorts, LegStream } from '../call/leg.ts';
import type {
  ChannelRefusal,
  FastStartChoice,
  FastStartOffer,
  FastStartProposal,
  H323Capability,
  H323Channel,
  MediaAddress,
} from '../h323/media-contract.ts';
import { type Address, isIpv6 } from '../machine/address.ts';
import { defaultPacketTime } from '../media/formats.ts';
import type { Direction, Format, FormatName, MediaKind, Stream } from '../meta/message.ts';
import { directionOf, receives, sends } from '../sdp/offer-answer.ts';
import {
  capabilityOf,
  channelCapability,
  EVENT_PAYLOAD_TYPE,
  EVENTS,
  formatOfCapability,
  isH323Format,
  matches,
  payloadTypeOf,
  sendPayloadType,
} from './h245-formats.ts';
import { PayloadMap } from './payload-map.ts';
import type { BareFormat } from './sdp-formats.ts';
import { isLoopback, type LocalPort } from './sdp-lines.ts';

export interface H245StreamOptions {
  readonly ports: LegPorts;
  /** Allowed, in order of preference. */
  readonly codecs: readonly FormatName[];
  /** Whether media may be sent to this address (canonical text). Multicast, link-local and the like are refused before. */
  acceptMediaAddress(ip: string): boolean;
}

export interface SendChannel {
  readonly format: Format;
  readonly payloadType: number;
  readonly remote: MediaAddress;
}
export interface ReceiveChannel {
  readonly format: Format;
  readonly payloadType: number;
  readonly remoteRtcp?: Address;
}

/** What an offer that comes to nothing is taken back to. */
interface Agreed {
  readonly candidates: readonly Format[];
  readonly events: Format | undefined;
  readonly wish: Direction;
  readonly packetTime: number | undefined;
}

/** Well-known services are no media. */
const LOWEST_PORT = 1024;

export class H245Stream {
  readonly kind: MediaKind;
  /** Place in the session; undefined: there is no such stream yet. */
  index: number | undefined;
  port: LocalPort | undefined;
  /** Agreed with the other gateway, or (while an exchange is open) offered: in order of preference. Empty: not wanted. */
  candidates: readonly Format[] = [];
  events: Format | undefined;
  /** The other gateway's part, seen from it. */
  wish: Direction = 'sendrecv';
  packetTime: number | undefined;
  /** What the far end can receive of this kind; undefined: not known yet. */
  far: readonly H323Capability[] | undefined;
  /** The far end's FastStart that is not answered yet. */
  fast: FastStartOffer | undefined;
  send: SendChannel | undefined;
  receive: ReceiveChannel | undefined;
  readonly #options: H245StreamOptions;
  /** A fax has the sound's: it may stand in its place, and frames of either must not be taken for the other's. */
  readonly numbers: PayloadMap;
  readonly #excluded = new Set<string>();
  #proposed: readonly Format[] = [];
  #before: Agreed | undefined;

  constructor(kind: MediaKind, options: H245StreamOptions, numbers = new PayloadMap()) {
    this.kind = kind;
    this.numbers = numbers;
    this.#options = options;
  }

  // ---- with the other gateway ---------------------------------------------------------------------------------------

  /** What of these may be used. */
  allowed(formats: readonly Format[]): Format[] {
    return formats.filter((f) => isH323Format(this.kind, f) && this.#options.codecs.includes(f.name));
  }

  /** Those of a far end's capabilities that may be used, as formats, each codec once. */
  formatsOf(capabilities: readonly H323Capability[]): BareFormat[] {
    const out = new Map<string, BareFormat>();
    for (const c of capabilities) {
      const format = c.kind === this.kind ? formatOfCapability(c) : undefined;
      if (format === undefined || out.has(c.codec) || !this.#options.codecs.includes(format.name)) continue;
      out.set(c.codec, format);
    }
    return [...out.values()];
  }

  /** The far end's FastStart of this kind: usable formats, and the direction as the other gateway sees it. Undefined: nothing. */
  offeredFast(
    offer: FastStartOffer | undefined,
  ): { readonly formats: BareFormat[]; readonly direction: Direction } | undefined {
    if (offer === undefined) return undefined;
    const reachable = offer.send.filter((s) => this.usable(s.remote.rtp));
    const toUs = this.formatsOf(offer.receive.map((r) => r.capability));
    const fromUs = this.formatsOf(reachable.map((s) => s.capability));
    const both = toUs.filter((f) => fromUs.some((o) => o.name === f.name));
    if (both.length > 0) return { formats: both, direction: 'sendrecv' };
    if (toUs.length > 0) return { formats: unique([...toUs, ...fromUs]), direction: 'sendonly' };
    return fromUs.length > 0 ? { formats: fromUs, direction: 'recvonly' } : undefined;
  }

  /** Our own description for an offer. */
  offered(formats: readonly BareFormat[], direction: Direction): Stream {
    const bare = formats.map(({ name, clockRate, channels, parameters }) => ({
      name,
      clockRate,
      channels,
      parameters,
    }));
    return {
      index: this.index ?? 0,
      kind: this.kind,
      refused: false,
      direction,
      ...(this.packetTime === undefined ? {} : { packetTime: this.packetTime }),
      formats: this.numbers.number(this.kind === 'audio' ? [...bare, EVENTS] : bare),
    };
  }

  /** The other gateway's description: an offer (then `takeBack` may follow), or an answer. */
  agree(stream: Stream, formats: readonly Format[]): void {
    this.candidates = formats;
    this.events =
      this.kind === 'audio'
        ? stream.formats.find((f) => f.name === 'telephone-event' && f.clockRate === 8000)
        : undefined;
    this.wish = stream.direction;
    this.packetTime = stream.packetTime;
    this.#renumber();
  }

  /**
   * Channels keep their codec; the number it has with the other gateway may be another one now (a change, a transfer). One that is not
   * agreed on any more, until it is closed, has a number of nobody's: its old one may be another format's now.
   */
  #renumber(): void {
    const { send, receive, candidates, events } = this;
    const taken = new Set([...candidates, ...(events === undefined ? [] : [events])].map((f) => f.id));
    const gone = new Map<string, Format>();
    const named = (format: Format): Format => {
      const agreed = this.agreed(format) ?? gone.get(format.name);
      if (agreed !== undefined) return agreed;
      let id = 0;
      while (taken.has(id)) id++; // a stream has 16 formats at most, and there are 32 numbers
      taken.add(id);
      gone.set(format.name, { ...format, id });
      return { ...format, id };
    };
    if (send !== undefined) this.send = { ...send, format: named(send.format) };
    if (receive !== undefined) this.receive = { ...receive, format: named(receive.format) };
  }

  /** What this format is among those agreed on: numbers and parameters may be others now. */
  agreed(format: Format | undefined): Format | undefined {
    const same = this.candidates.filter((f) => f.name === format?.name);
    const text = JSON.stringify(format?.parameters);
    return same.find((f) => JSON.stringify(f.parameters) === text) ?? same[0];
  }

  takeOffer(stream: Stream, formats: readonly Format[]): void {
    this.remember();
    this.numbers.learn(stream.formats);
    this.agree(stream, formats);
  }

  remember(): void {
    const { candidates, events, wish, packetTime } = this;
    this.#before = { candidates, events, wish, packetTime };
  }

  /** The offer came to nothing: what was agreed before stands. */
  takeBack(): void {
    const before = this.#before;
    if (before === undefined) return;
    this.candidates = before.candidates;
    this.events = before.events;
    this.wish = before.wish;
    this.packetTime = before.packetTime;
    this.#renumber();
  }

  /** The other side does not want this stream (any more). */
  refuse(): void {
    this.candidates = [];
    this.fast = undefined;
    this.#proposed = [];
  }

  // ---- with the far end ---------------------------------------------------------------------------------------------

  /** FastStart for a call of ours: the offered codecs, both ways. */
  proposal(): FastStartProposal | undefined {
    const capabilities = this.capabilities(this.candidates);
    const [first] = this.candidates;
    if (capabilities.length === 0 || first === undefined || this.port === undefined) return undefined;
    this.#proposed = this.candidates;
    const payloadType = sendPayloadType(first);
    return {
      kind: this.kind,
      capabilities,
      direction: 'both',
      local: this.local(),
      ...(payloadType === undefined ? {} : { payloadType }),
    };
  }

  /** Our part of the far end's FastStart, the other gateway's answer being known. The channels count as open from now on. */
  fastChoice(): FastStartChoice | undefined {
    const { fast } = this;
    this.fast = undefined;
    if (fast === undefined) return undefined;
    for (const format of this.candidates) {
      const to = fast.send.find((s) => matches(s.capability, format, true) && this.usable(s.remote.rtp));
      const from = fast.receive.find((r) => matches(r.capability, format));
      if (to === undefined && from === undefined) continue;
      if (to !== undefined) {
        const payloadType = payloadTypeOf(format, to.payloadType ?? sendPayloadType(format));
        this.send = { format, payloadType, remote: to.remote };
      }
      if (from !== undefined) this.receive = receiveChannel(format, from.payloadType, from.remoteRtcp);
      return {
        kind: this.kind,
        ...(to === undefined ? {} : { send: to.capability }),
        ...(from === undefined ? {} : { receive: from.capability }),
        ...(this.send === undefined || this.send.payloadType < 96
          ? {}
          : { payloadType: this.send.payloadType }),
        local: this.local(),
      };
    }
    return undefined;
  }

  /** Our FastStart is answered, or will not be any more. */
  proposalOver(): void {
    this.#proposed = [];
  }

  /** What we can receive of these. */
  capabilities(formats: readonly BareFormat[]): H323Capability[] {
    return formats.flatMap((f) => capabilityOf(f, this.packetTime) ?? []);
  }

  /** The far end will not take our channel with this codec. */
  exclude(format: Format): void {
    this.#excluded.add(format.name);
  }

  /** The codec to send with: that of the far end's channel, else the first that both have. Undefined: none. */
  choose(): Format | undefined {
    const far = this.far ?? [];
    const able = this.candidates.filter(
      (f) => !this.#excluded.has(f.name) && far.some((c) => matches(c, f, true)),
    );
    const theirs = this.receive?.format;
    return able.find((f) => f.name === theirs?.name) ?? able[0];
  }

  /** Whether the far end can (still) receive what we send. */
  farTakes(format: Format): boolean {
    return this.far === undefined || this.far.some((c) => matches(c, format, true));
  }

  /** The capability of a channel of ours with this codec. */
  channel(format: Format): H323Capability | undefined {
    const own = capabilityOf(format, this.packetTime);
    const far = this.far?.find((c) => matches(c, format, true));
    return own === undefined || far === undefined ? own : channelCapability(own, far);
  }

  /** Undefined: the far end's channel may be accepted. */
  channelProblem(channel: H323Channel): ChannelRefusal | undefined {
    if (this.formatOf(channel) === undefined) return 'codec';
    return this.port === undefined ? 'other' : undefined;
  }

  /** The candidate a channel's codec is. */
  formatOf(channel: H323Channel): Format | undefined {
    return this.candidates.find((f) => matches(channel.capability, f));
  }

  /** The far end's channel is open. */
  accepted(channel: H323Channel): boolean {
    const format = this.formatOf(channel);
    if (format === undefined) return false;
    this.receive = receiveChannel(format, channel.payloadType, channel.remoteRtcp);
    return true;
  }

  /** Our channel is open. False: it leads where we may not send. */
  opened(channel: H323Channel): boolean {
    const format = this.formatOf(channel);
    const { remote } = channel;
    if (format === undefined || remote === undefined || !this.usable(remote.rtp)) return false;
    const payloadType = payloadTypeOf(format, channel.payloadType ?? sendPayloadType(format));
    this.send = { format, payloadType, remote };
    return true;
  }

  closed(direction: 'send' | 'receive'): void {
    if (direction === 'send') this.send = undefined;
    else this.receive = undefined;
  }

  /** RFC 3550 needs a port that no well-known service has; loopback only among programs of one machine. */
  usable(address: Address): boolean {
    const bytes = parseIp(address.ip);
    if (bytes === undefined || address.port < LOWEST_PORT) return false;
    const kind = classifyIp(bytes);
    if (kind !== 'unicast' && kind !== 'loopback') return false;
    const { port } = this;
    if (port !== undefined && isIpv6(port.advertised.ip) !== isIpv6(address.ip)) return false;
    if (kind === 'loopback' && port !== undefined && !isLoopback(port.bound.ip)) return false;
    return this.#options.acceptMediaAddress(address.ip);
  }

  // ---- our port and media control -----------------------------------------------------------------------------------

  allocate(index: number): LocalPort | undefined {
    this.index ??= index;
    this.port ??= this.#options.ports.allocate(this.index, this.kind);
    return this.port;
  }

  local(): MediaAddress {
    const rtp = this.port!.advertised;
    if (this.kind === 'image') return { rtp };
    return { rtp, rtcp: { ip: rtp.ip, port: rtp.port + 1 } };
  }

  /** `held`: the far end can receive nothing. `eventType`: RFC 4733 towards it, -1: none. */
  legStream(state: { readonly held: boolean; readonly eventType: number }): LegStream | undefined {
    const { port, send, receive, wish } = this;
    if (port === undefined || this.index === undefined || this.candidates.length === 0) return undefined;
    const first = send?.format ?? receive?.format ?? this.candidates[0];
    const rtcp = send?.remote.rtcp ?? receive?.remoteRtcp;
    const awaiting = this.#proposed.length > 0 && receive === undefined;
    const heard = receive !== undefined || awaiting;
    return {
      index: this.index,
      kind: this.kind,
      active: true,
      direction: directionOf(send !== undefined && !state.held && sends(wish), heard && receives(wish)),
      local: port.bound,
      ...(send === undefined ? {} : { remote: send.remote.rtp }),
      ...(rtcp !== undefined && this.usable(rtcp) ? { remoteRtcp: rtcp } : {}),
      rtcpMux: false,
      packetTime: this.packetTime ?? defaultPacketTime(first?.name ?? 'PCMU'),
      formats:
        this.kind === 'image' ? this.#fax() : awaiting ? this.#awaited() : this.#formats(state.eventType),
    };
  }

  #fax(): LegStream['formats'] {
    const [format] = this.candidates;
    const far = this.far?.find((c) => c.codec === format!.name);
    const farParameters = far === undefined ? [] : (formatOfCapability(far)?.parameters ?? []);
    return [{ format: format!, receivePayloadType: -1, sendPayloadType: -1, farParameters }];
  }

  /** H.323 8.1.7.1: who proposes FastStart takes media on any proposed channel from then on. */
  #awaited(): LegStream['formats'] {
    return this.#proposed.map((format) => ({
      format,
      receivePayloadType: payloadTypeOf(format, undefined),
      sendPayloadType: -1,
    }));
  }

  #formats(eventType: number): LegStream['formats'] {
    const out: { format: Format; receivePayloadType: number; sendPayloadType: number }[] = [];
    const { send, receive, events } = this;
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
      out.push({ format: this.candidates[0]!, receivePayloadType: -1, sendPayloadType: -1 });
    if (events !== undefined)
      out.push({ format: events, receivePayloadType: EVENT_PAYLOAD_TYPE, sendPayloadType: eventType });
    return out;
  }
}

function unique(formats: readonly BareFormat[]): BareFormat[] {
  return formats.filter((f, i) => formats.findIndex((o) => o.name === f.name) === i);
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
