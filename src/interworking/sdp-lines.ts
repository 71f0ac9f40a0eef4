/** One m= line of a SIP leg: what the far end described, what we described, and what both come to. */
import { classifyIp, parseIp } from '../bytes/ip.ts';
import type { LegPorts, LegStream } from '../call/leg.ts';
import type { Address } from '../machine/address.ts';
import { isIpv6 } from '../machine/address.ts';
import type { Writable } from '../machine/machine.ts';
import { allowedFormats } from '../media/codec-policy.ts';
import { defaultPacketTime, FORMAT_FACTS } from '../media/formats.ts';
import type { Direction, Format, FormatName, MediaKind, Stream } from '../meta/message.ts';
import type { Connection, MediaDescription, SessionDescription } from '../sdp/description.ts';
import {
  connectionOf,
  directionOf,
  intersect,
  ipOf,
  isUnspecified,
  receives,
  reverse,
  sends,
  statedDirection,
} from '../sdp/offer-answer.ts';
import type { PayloadMap } from './payload-map.ts';
import {
  type BareFormat,
  fmtpOf,
  type PayloadFormat,
  rtpFormats,
  rtpMapOf,
  t38AttributesOf,
  t38Format,
} from './sdp-formats.ts';

export type LocalPort = NonNullable<ReturnType<LegPorts['allocate']>>;

export interface NumberedFormat {
  readonly format: Format;
  readonly payloadType: number;
}

/** What the far end said about a stream. */
export interface RemoteStream {
  /** Undefined: on hold with an unspecified address. */
  readonly address?: Address;
  readonly rtcp?: Address;
  readonly rtcpMux: boolean;
  /** It wants VoIP metrics in the reports it gets (RFC 3611 5.1). */
  readonly voipMetrics?: boolean;
  /** Seen from the far end. */
  readonly direction: Direction;
  readonly packetTime?: number;
  readonly formats: readonly NumberedFormat[];
}

/** What we said about a stream. */
export interface LocalStream {
  /** Seen from us. */
  readonly direction: Direction;
  readonly packetTime?: number;
  readonly rtcpMux: boolean;
  readonly formats: readonly NumberedFormat[];
}

export interface Line {
  /** Neutral index; undefined for a line that was never usable and does not cross. */
  readonly index?: number;
  readonly kind: MediaKind;
  /** Media, protocol and a format for the m= line where it is refused; towards this far end only. */
  readonly type: string;
  readonly protocol: string;
  readonly placeholder: string;
  readonly port?: LocalPort;
  readonly numbers: PayloadMap;
  /** Undefined where refused or not described yet. */
  readonly local?: LocalStream;
  readonly remote?: RemoteStream;
  /** What the other gateway's side would like, seen from us: its offer, or its answer without what our far end's offer took away. */
  readonly wish: Direction;
}

/** Why a stream is refused in place. */
export type StreamRefusal =
  | 'port-zero'
  | 'port-count'
  | 'port-forbidden'
  | 'protocol'
  | 'no-connection'
  | 'address-not-ip'
  | 'address-forbidden'
  | 'address-not-accepted'
  | 'address-family'
  | 'no-format'
  | 'too-many-streams'
  | 'no-port';

/** A usable stream as described by the far end, formats not numbered yet. */
export interface ReadStream extends Omit<RemoteStream, 'formats'> {
  readonly kind: MediaKind;
  readonly family: 4 | 6;
  readonly loopback: boolean;
  readonly formats: readonly PayloadFormat[];
}

export interface ReadRules {
  readonly codecs: readonly FormatName[];
  acceptMediaAddress(ip: string): boolean;
  /** An address not to be sent to, of a far end behind NAT: where it receives is learned from what it sends (RFC 7362 4). */
  learnMediaAddress?(ip: string): boolean;
}

/** Well-known services are no media: a description naming one wants us to talk to something else. */
const LOWEST_PORT = 1024;

export function readStream(
  session: SessionDescription,
  media: MediaDescription,
  rules: ReadRules,
): ReadStream | StreamRefusal {
  if (media.port === 0) return 'port-zero';
  const kind = kindOf(media);
  if (kind === undefined) return 'protocol';
  if (media.portCount !== 1) return 'port-count';
  if (media.port < LOWEST_PORT) return 'port-forbidden';
  const connection = connectionOf(session, media);
  if (connection === undefined) return 'no-connection';
  const ip = ipOf(connection);
  if (ip === undefined) return 'address-not-ip';
  const held = isUnspecified(connection);
  const problem = held ? undefined : addressProblem(ip, rules);
  const learned = problem === 'address-not-accepted' && rules.learnMediaAddress?.(ip) === true;
  if (problem !== undefined && !learned) return problem;
  const listed = kind === 'image' ? t38Formats(media) : rtpFormats(media);
  const all = listed.filter((f) => FORMAT_FACTS[f.format.name].media === kind);
  const allowed = new Set(
    allowedFormats(
      all.map((f) => f.format),
      rules.codecs,
    ),
  );
  const formats = all.filter((f) => allowed.has(f.format));
  if (formats.length === 0) return 'no-format';
  const address = held || learned ? undefined : { ip, port: media.port };
  const rtcp = address === undefined || kind === 'image' ? undefined : rtcpAddress(media, address, rules);
  const packetTime = packetTimeOf(media);
  const read: Writable<ReadStream> = {
    kind,
    family: connection.ipVersion,
    loopback: isLoopback(ip),
    rtcpMux: media.rtcpMux && kind !== 'image',
    direction: statedDirection(session, media),
    formats,
  };
  if (address !== undefined) read.address = address;
  if (rtcp !== undefined) read.rtcp = rtcp;
  if (media.voipMetrics === true && kind === 'audio') read.voipMetrics = true;
  if (packetTime !== undefined) read.packetTime = packetTime;
  return read;
}

/** RTP/AVP and, because nothing of RFC 4585 is asked for by accepting it, RTP/AVPF. Secure profiles come with SRTP. */
function kindOf(media: MediaDescription): MediaKind | undefined {
  const protocol = media.protocol.toUpperCase();
  if (media.type === 'image') return protocol === 'UDPTL' ? 'image' : undefined;
  if (protocol !== 'RTP/AVP' && protocol !== 'RTP/AVPF') return undefined;
  return media.type === 'audio' || media.type === 'video' ? media.type : undefined;
}

function t38Formats(media: MediaDescription): PayloadFormat[] {
  const listed = media.formats.some((f) => f.toLowerCase() === 't38');
  return listed ? [{ payloadType: -1, format: t38Format(media.t38) }] : [];
}

function addressProblem(ip: string, rules: ReadRules): StreamRefusal | undefined {
  const kind = classifyIp(parseIp(ip)!);
  if (kind !== 'unicast' && kind !== 'loopback') return 'address-forbidden';
  return rules.acceptMediaAddress(ip) ? undefined : 'address-not-accepted';
}

export function isLoopback(ip: string): boolean {
  const bytes = parseIp(ip);
  return bytes !== undefined && classifyIp(bytes) === 'loopback';
}

/** RFC 3605, RFC 5761, RFC 3550 11. Undefined: no RTCP is sent. */
function rtcpAddress(media: MediaDescription, rtp: Address, rules: ReadRules): Address | undefined {
  if (media.rtcpMux) return rtp;
  if (media.rtcp === undefined) return rtp.port < 65535 ? { ip: rtp.ip, port: rtp.port + 1 } : undefined;
  const connection: Connection | undefined = media.rtcp.connection;
  const ip = connection === undefined ? rtp.ip : ipOf(connection);
  if (ip === undefined || media.rtcp.port < LOWEST_PORT) return undefined;
  // Another host for RTCP must pass the same checks, and be of the same family (one socket pair sends both).
  if (ip !== rtp.ip && (isIpv6(ip) !== isIpv6(rtp.ip) || addressProblem(ip, rules) !== undefined))
    return undefined;
  if (isLoopback(ip) !== isLoopback(rtp.ip)) return undefined;
  return { ip, port: media.rtcp.port };
}

/** RFC 8866 6.4, 6.5, in the range that crosses. */
function packetTimeOf(media: MediaDescription): number | undefined {
  if (media.packetTime === undefined) return undefined;
  const wished = Math.min(media.packetTime, media.maxPacketTime ?? media.packetTime);
  return Math.max(5, Math.min(200, wished));
}

/** Whether a usable stream of the far end may use this port of ours; else why not. */
export function portProblem(stream: ReadStream, port: LocalPort): StreamRefusal | undefined {
  if (isIpv6(port.advertised.ip) !== (stream.family === 6)) return 'address-family';
  // Loopback only among programs of one machine (demo, tests): never from a port that the network reaches.
  return stream.loopback && !isLoopback(port.bound.ip) ? 'address-forbidden' : undefined;
}

export function isActive(line: Line): boolean {
  return line.index !== undefined && line.port !== undefined && line.local !== undefined;
}

/** What both ends agreed on, seen from us. */
export function agreedDirection(line: Line): Direction {
  if (line.local === undefined) return 'inactive';
  return line.remote === undefined
    ? line.local.direction
    : intersect(line.local.direction, reverse(line.remote.direction));
}

/** Our formats that the far end takes too, or all of ours where it has not answered. */
export function agreedFormats(line: Line): readonly NumberedFormat[] {
  const { local, remote } = line;
  if (local === undefined) return [];
  if (remote === undefined) return local.formats;
  return local.formats.filter((l) => remote.formats.some((r) => r.format.id === l.format.id));
}

export function neutralStream(index: number, line: Line, direction: Direction): Stream {
  const remote = line.remote;
  if (remote === undefined) return refusedStream(index, line.kind);
  return {
    index,
    kind: line.kind,
    refused: false,
    direction,
    ...(remote.packetTime === undefined ? {} : { packetTime: remote.packetTime }),
    formats: remote.formats.map((f) => f.format),
  };
}

export function refusedStream(index: number, kind: MediaKind): Stream {
  return { index, kind, refused: true, direction: 'inactive', formats: [] };
}

export function legStream(line: Line): LegStream {
  const { local, remote, port } = line;
  if (!isActive(line)) {
    const { kind } = line;
    const rest = {
      active: false,
      direction: 'inactive',
      rtcpMux: false,
      packetTime: 20,
      formats: [],
    } as const;
    return { index: line.index!, kind, ...rest };
  }
  const formats = agreedFormats(line);
  const first = formats[0]?.format.name;
  const stream: Writable<LegStream> = {
    index: line.index!,
    kind: line.kind,
    active: true,
    direction: agreedDirection(line),
    local: port!.bound,
    rtcpMux: local!.rtcpMux && (remote === undefined || remote.rtcpMux),
    packetTime: remote?.packetTime ?? (first === undefined ? 20 : defaultPacketTime(first)),
    formats: formats.map(({ format, payloadType }) => {
      const far = remote?.formats.find((r) => r.format.id === format.id);
      return {
        format,
        receivePayloadType: payloadType,
        sendPayloadType: far?.payloadType ?? -1,
        ...(line.kind === 'image' && far !== undefined ? { farParameters: far.format.parameters } : {}),
      };
    }),
  };
  if (remote?.address !== undefined) stream.remote = remote.address;
  if (remote?.rtcp !== undefined) stream.remoteRtcp = remote.rtcp;
  if (remote?.voipMetrics === true) stream.voipMetrics = true;
  return stream;
}

/**
 * RFC 3264 8.3: from the moment an offer is sent we take what it allows besides what was agreed; we go on sending as agreed.
 */
export function legStreamWhileOffering(old: Line, offered: Line): LegStream {
  const shown = legStream(old);
  const local = offered.local;
  if (local === undefined || offered.kind !== old.kind) return shown;
  const known = new Set(shown.formats.map((f) => f.receivePayloadType));
  const ids = new Set(shown.formats.map((f) => f.format.id));
  const added = local.formats.filter((f) => !known.has(f.payloadType) && !ids.has(f.format.id));
  return {
    ...shown,
    direction: directionOf(sends(shown.direction), receives(shown.direction) || receives(local.direction)),
    formats: [
      ...shown.formats,
      ...added.map(({ format, payloadType }) => ({
        format,
        receivePayloadType: payloadType,
        sendPayloadType: -1,
      })),
    ],
  };
}

/**
 * The description of `lines` (RFC 8866, RFC 3264 5): ours in every field; of the far end's only the token, protocol and one format
 * of a line that is refused in place, and its payload types, come back to it.
 */
export function describeLines(
  lines: readonly Line[],
  session: { readonly id: number; readonly version: number; readonly address: string },
): SessionDescription {
  const connection = connectionTo(session.address);
  return {
    origin: {
      username: '-',
      sessionId: `${session.id}`,
      version: `${session.version}`,
      ipVersion: connection.ipVersion,
      address: connection.address,
    },
    name: '-',
    connection,
    bandwidths: [],
    fingerprints: [],
    media: lines.map((line) => describeLine(line, session.address)),
  };
}

function connectionTo(ip: string): Connection {
  return { ipVersion: isIpv6(ip) ? 6 : 4, address: ip };
}

function describeLine(line: Line, sessionAddress: string): MediaDescription {
  const { local, port } = line;
  const media: Writable<MediaDescription> = {
    type: line.type,
    port: 0,
    portCount: 1,
    protocol: line.protocol,
    formats: [line.placeholder],
    bandwidths: [],
    rtpMaps: [],
    formatParameters: [],
    rtcpMux: false,
    crypto: [],
    fingerprints: [],
  };
  if (local === undefined || port === undefined || !isActive(line)) return media; // RFC 3264 6
  const address = port.advertised;
  media.port = address.port;
  if (address.ip !== sessionAddress) media.connection = connectionTo(address.ip);
  if (line.kind === 'image') {
    const first: BareFormat | undefined = local.formats[0]?.format;
    media.formats = ['t38'];
    media.t38 = first === undefined ? {} : t38AttributesOf(first);
    return media;
  }
  media.formats = local.formats.map((f) => `${f.payloadType}`);
  media.rtpMaps = local.formats.map((f) => rtpMapOf(f.payloadType, f.format));
  media.formatParameters = local.formats.flatMap((f) => fmtpOf(f.payloadType, f.format) ?? []);
  if (local.packetTime !== undefined) media.packetTime = local.packetTime;
  media.rtcpMux = local.rtcpMux;
  // Answered where offered: what it measures of our packets we read too.
  if (line.remote?.voipMetrics === true) media.voipMetrics = true;
  media.direction = local.direction;
  return media;
}
