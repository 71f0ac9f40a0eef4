/** The a= lines we understand (RFC 8866 6 and the documents named below); all others fall away here. */
import type {
  CryptoAttribute,
  Fingerprint,
  FormatParameters,
  MediaDescription,
  RtpMap,
  SdpDirection,
  SdpErrorReason,
  SessionDescription,
  SetupRole,
  T38Attributes,
} from './description.ts';
import { parseConnection, TOKEN, words } from './syntax.ts';

type Writable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K] };
export type AttributeSink<T> = Writable<Omit<T, 'origin' | 'media'>>;

type Session = AttributeSink<SessionDescription>;
type Media = AttributeSink<MediaDescription>;

export function newSession(): Session {
  return { name: '-', bandwidths: [], fingerprints: [] };
}

export function newMedia(line: Pick<Media, 'type' | 'port' | 'portCount' | 'protocol' | 'formats'>): Media {
  const { type, port, portCount, protocol, formats } = line;
  return {
    type,
    port,
    portCount,
    protocol,
    formats,
    bandwidths: [],
    rtpMaps: [],
    formatParameters: [],
    rtcpMux: false,
    crypto: [],
    fingerprints: [],
  };
}

const DIRECTIONS: readonly string[] = ['sendrecv', 'sendonly', 'recvonly', 'inactive'];
const SETUP_ROLES: readonly string[] = ['active', 'passive', 'actpass', 'holdconn'];

/** One `a=` value. Returns a reason only for what is dangerous; a malformed attribute is dropped like an unknown one. */
export function takeAttribute(
  sink: Session | Media,
  isMedia: boolean,
  text: string,
): SdpErrorReason | undefined {
  const colon = text.indexOf(':');
  const name = (colon < 0 ? text : text.slice(0, colon)).trim();
  const value = colon < 0 ? '' : text.slice(colon + 1).trim();
  if (DIRECTIONS.includes(name)) {
    sink.direction = name as SdpDirection; // given twice: the last one counts
    return undefined;
  }
  switch (name) {
    case 'fingerprint':
      take(sink.fingerprints, fingerprint(value), 8);
      return undefined;
    case 'setup':
      if (SETUP_ROLES.includes(value)) sink.setup = value as SetupRole;
      return undefined;
    default:
      return isMedia ? mediaAttribute(sink as Media, name, value) : undefined;
  }
}

function take<T>(list: T[], value: T | undefined, limit: number): void {
  if (value !== undefined && list.length < limit) list.push(value);
}

function mediaAttribute(media: Media, name: string, value: string): SdpErrorReason | undefined {
  switch (name) {
    case 'rtpmap':
      take(media.rtpMaps, rtpMap(value, media.rtpMaps), 128);
      return undefined;
    case 'fmtp':
      take(media.formatParameters, formatParameters(value, media.formatParameters), 128);
      return undefined;
    case 'ptime':
      setNumber(media, 'packetTime', milliseconds(value));
      return undefined;
    case 'maxptime':
      setNumber(media, 'maxPacketTime', milliseconds(value));
      return undefined;
    case 'rtcp':
      return rtcp(media, value);
    case 'rtcp-mux':
      media.rtcpMux = true;
      return undefined;
    case 'rtcp-xr':
      // RFC 3611 5.1: `xr-format *(SP xr-format)`; of the formats this one is ours.
      if (words(value).includes('voip-metrics')) media.voipMetrics = true;
      return undefined;
    case 'crypto':
      take(media.crypto, cryptoAttribute(value), 32);
      return undefined;
    default:
      t38(media, name, value);
      return undefined;
  }
}

function setNumber(media: Media, field: 'packetTime' | 'maxPacketTime', value: number | undefined): void {
  if (value !== undefined) media[field] = value;
}

/** RFC 8866 6.4: whole or fractional milliseconds; a fraction is dropped. */
function milliseconds(value: string): number | undefined {
  const match = /^(\d{1,4})(?:\.\d{1,6})?$/.exec(value);
  return match === null || Number(match[1]) === 0 ? undefined : Number(match[1]);
}

/** RFC 8866 6.6. A payload type is mapped once: a second map of it is dropped. */
function rtpMap(value: string, known: readonly RtpMap[]): RtpMap | undefined {
  const match = /^(\d{1,3})[ \t]+([^ \t/]{1,32})\/(\d{1,9})(?:\/(\d{1,3}))?$/.exec(value);
  if (match === null || !TOKEN.test(match[2]!)) return undefined;
  const payloadType = Number(match[1]);
  const clockRate = Number(match[3]);
  const channels = match[4] === undefined ? 1 : Number(match[4]);
  if (payloadType > 127 || clockRate < 1 || channels < 1 || channels > 255) return undefined;
  if (known.some((m) => m.payloadType === payloadType)) return undefined;
  return { payloadType, encoding: match[2]!, clockRate, channels };
}

/** RFC 8866 6.15. A second line for the same format is dropped. */
function formatParameters(value: string, known: readonly FormatParameters[]): FormatParameters | undefined {
  const match = /^([^ \t]{1,64})[ \t]+([^ \t].{0,1023})$/.exec(value);
  if (match === null || !TOKEN.test(match[1]!)) return undefined;
  if (known.some((p) => p.format === match[1])) return undefined;
  return { format: match[1]!, text: match[2]! };
}

/** RFC 3605 2.1: `port [IN IP4|IP6 address]`. */
function rtcp(media: Media, value: string): SdpErrorReason | undefined {
  const match = /^(\d{1,9})(?:[ \t]+(.+))?$/.exec(value);
  if (match === null) return undefined;
  const port = Number(match[1]);
  if (port > 65535) return 'port';
  const connection = match[2] === undefined ? undefined : parseConnection(match[2]);
  if (match[2] !== undefined && connection === undefined) return undefined;
  media.rtcp = { port, ...(connection === undefined ? {} : { connection }) };
  return undefined;
}

/** RFC 4568 9.1: `tag suite key-params [session-params]`. */
function cryptoAttribute(value: string): CryptoAttribute | undefined {
  const [tag, suite, keys, ...rest] = words(value);
  if (tag === undefined || suite === undefined || keys === undefined) return undefined;
  if (!/^\d{1,9}$/.test(tag) || !TOKEN.test(suite)) return undefined;
  return { tag: Number(tag), suite, keys, sessionParameters: rest.join(' ') };
}

/** RFC 8122 5: `hash-func 2UHEX *(":" 2UHEX)`. */
function fingerprint(value: string): Fingerprint | undefined {
  const [hash, hex, ...rest] = words(value);
  if (hash === undefined || hex === undefined || rest.length > 0 || hex.length > 191) return undefined;
  if (!TOKEN.test(hash) || !/^[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2})*$/.test(hex)) return undefined;
  return { hash: hash.toLowerCase(), value: hex.toUpperCase() };
}

const RATE_MANAGEMENT = ['localTCF', 'transferredTCF'] as const;
const ERROR_CORRECTION = ['t38UDPRedundancy', 't38UDPFEC', 't38UDPNoEC'] as const;

/**
 * ITU-T T.38 D.2.1. Names and values are compared without case and spaces, because devices vary them; the flags stand alone in the standard, and as
 * `:0` and `:1` in devices.
 */
function t38(media: Media, name: string, text: string): void {
  const value = text.trim();
  const number = /^\d{1,9}$/.test(value) ? Number(value) : undefined;
  const flag = value === '' || value === '1' ? true : undefined;
  const was: T38Attributes = media.t38 ?? {};
  const told = (attributes: { [K in keyof T38Attributes]: T38Attributes[K] | undefined }): void => {
    const [field, of] = Object.entries(attributes)[0]!;
    if (of !== undefined) media.t38 = { ...was, [field]: of };
  };
  switch (name.toLowerCase()) {
    case 't38faxversion':
      return told({ version: number });
    case 't38maxbitrate':
      return told({ maxBitRate: number });
    case 't38faxmaxbuffer':
      return told({ maxBuffer: number });
    case 't38faxmaxdatagram':
      return told({ maxDatagram: number });
    case 't38faxratemanagement':
      return told({ rateManagement: oneOf(RATE_MANAGEMENT, value) });
    case 't38faxudpec':
      return told({ udpEc: oneOf(ERROR_CORRECTION, value) });
    case 't38faxfillbitremoval':
      return told({ fillBitRemoval: flag });
    case 't38faxtranscodingmmr':
      return told({ transcodingMmr: flag });
    case 't38faxtranscodingjbig':
      return told({ transcodingJbig: flag });
  }
}

function oneOf<T extends string>(values: readonly T[], text: string): T | undefined {
  return values.find((value) => value.toLowerCase() === text.toLowerCase());
}
