/** What a gateway knows about each format besides its name: numbers of RFC 3551, sizes and rates to check packets by. */
import { FORMAT_RULES } from '../meta/media-rules.ts';
import type { Format, FormatName, MediaKind } from '../meta/message.ts';
import { type CodecImpairment, IMPAIRMENTS } from '../rtp/emodel.ts';
import type { PlaneFormat } from './plane-contract.ts';

export interface FormatFacts {
  /** Encoding name in rtpmap (RFC 8866 6.6), spelled as registered. */
  readonly encoding: string;
  readonly media: MediaKind;
  readonly plane: PlaneFormat['kind'];
  /** Milliseconds of one packet where none is negotiated. */
  readonly packetTime: number;
  /** Greatest octets per second of payload, at 8000 Hz mono; undefined: as much as a packet holds. */
  readonly bytesPerSecond?: number;
  /** Voice: for the E-model. */
  readonly impairment?: CodecImpairment;
}

function voice(
  encoding: string,
  impairment: CodecImpairment,
  bytesPerSecond?: number,
  packetTime = 20,
): FormatFacts {
  const facts = { encoding, media: 'audio', plane: 'voice', packetTime, impairment } as const;
  return bytesPerSecond === undefined ? facts : { ...facts, bytesPerSecond };
}

function video(encoding: string): FormatFacts {
  return { encoding, media: 'video', plane: 'video', packetTime: 20 };
}

export const FORMAT_FACTS: Readonly<Record<FormatName, FormatFacts>> = {
  PCMU: voice('PCMU', IMPAIRMENTS.G711, 8000),
  PCMA: voice('PCMA', IMPAIRMENTS.G711, 8000),
  G722: voice('G722', IMPAIRMENTS.WIDE, 8000),
  G729: voice('G729', IMPAIRMENTS.G729, 1000),
  GSM: voice('GSM', IMPAIRMENTS.GSM, 1650),
  G723: voice('G723', IMPAIRMENTS.G723, 800, 30),
  OPUS: voice('opus', IMPAIRMENTS.WIDE),
  ILBC: voice('iLBC', IMPAIRMENTS.ILBC, 1900, 30),
  AMR: voice('AMR', IMPAIRMENTS.AMR, 1800),
  'AMR-WB': voice('AMR-WB', IMPAIRMENTS.WIDE, 3300),
  L16: voice('L16', IMPAIRMENTS.G711_BARE, 16_000),
  SPEEX: voice('speex', IMPAIRMENTS.SPEEX, 5600),
  'telephone-event': { encoding: 'telephone-event', media: 'audio', plane: 'event', packetTime: 20 },
  CN: { encoding: 'CN', media: 'audio', plane: 'comfort-noise', packetTime: 20 },
  T38: { encoding: 't38', media: 'image', plane: 'udptl', packetTime: 20 },
  H263: video('H263'),
  H264: video('H264'),
  VP8: video('VP8'),
  'G726-32': voice('G726-32', IMPAIRMENTS.G726, 4000),
  RED: voice('red', IMPAIRMENTS.G711),
};

/** RFC 3551 table 4 and 5: payload types that mean a format without saying so. */
const STATIC: readonly (readonly [number, FormatName, number, number])[] = [
  [0, 'PCMU', 8000, 1],
  [3, 'GSM', 8000, 1],
  [4, 'G723', 8000, 1],
  [8, 'PCMA', 8000, 1],
  [9, 'G722', 8000, 1],
  [10, 'L16', 44_100, 2],
  [11, 'L16', 44_100, 1],
  [13, 'CN', 8000, 1],
  [18, 'G729', 8000, 1],
  [34, 'H263', 90_000, 1],
];

export interface FormatIdentity {
  readonly name: FormatName;
  readonly clockRate: number;
  readonly channels: number;
}

/** RFC 3551 6: the static payload type of a format; undefined where it needs a dynamic one. */
export function staticPayloadType(format: FormatIdentity): number | undefined {
  return STATIC.find(
    ([, name, rate, channels]) =>
      name === format.name && rate === format.clockRate && channels === format.channels,
  )?.[0];
}

/** RFC 3551 6: what a payload type means where no rtpmap says it. */
export function staticFormat(payloadType: number): FormatIdentity | undefined {
  const row = STATIC.find(([pt]) => pt === payloadType);
  return row === undefined ? undefined : { name: row[1], clockRate: row[2], channels: row[3] };
}

/** The format an rtpmap names, by encoding name without case; undefined where it may not cross. */
export function formatByEncoding(
  encoding: string,
  clockRate: number,
  channels: number,
): FormatIdentity | undefined {
  const wanted = encoding.toLowerCase();
  // Seen from devices: G729 with its annexes in the name.
  const alias = /^g729(?:a|b|ab)$/.test(wanted) ? 'g729' : wanted;
  for (const name of Object.keys(FORMAT_FACTS) as FormatName[]) {
    if (FORMAT_FACTS[name].encoding.toLowerCase() !== alias) continue;
    // RED blocks name payload types, which never cross; T.38 over RTP (RFC 4612) is not carried.
    if (name === 'RED' || name === 'T38') return undefined;
    const rule = FORMAT_RULES[name];
    if (!rule.rates.includes(clockRate) || channels > rule.channels) return undefined;
    if (name === 'OPUS' && channels !== 2) return undefined; // RFC 7587 7: always /48000/2
    return { name, clockRate, channels };
  }
  return undefined;
}

/** Milliseconds of one packet of `format` where none is negotiated. */
export function defaultPacketTime(name: FormatName): number {
  return FORMAT_FACTS[name].packetTime;
}

/** Greatest payload in a UDP packet that is not fragmented on Ethernet with IPv6. */
const PACKET_OCTETS = 1440;
/** Devices ignore ptime: this much of audio in one packet is taken in any case, and packets as short as that. */
const LONGEST_MS = 100;
const SHORTEST_MS = 10;

/** Greatest payload in octets of one packet where `packetTime` ms were negotiated. */
export function maxPayload(format: FormatIdentity, packetTime: number): number {
  const facts = FORMAT_FACTS[format.name];
  if (facts.plane === 'event') return 4; // RFC 4733 2.3
  if (facts.plane === 'comfort-noise') return 32; // RFC 3389 3: level and model coefficients
  if (facts.bytesPerSecond === undefined) return PACKET_OCTETS;
  const rate =
    facts.bytesPerSecond * (format.name === 'L16' ? (format.clockRate / 8000) * format.channels : 1);
  return Math.min(PACKET_OCTETS, Math.ceil((rate * Math.max(LONGEST_MS, 2 * packetTime)) / 1000));
}

/** Greatest sustained packets per second where `packetTime` ms were negotiated, with a tenth to spare for clock drift. */
export function maxPacketsPerSecond(format: FormatIdentity, packetTime: number): number {
  const facts = FORMAT_FACTS[format.name];
  if (facts.plane === 'video') return 2000;
  return Math.ceil(1100 / Math.min(SHORTEST_MS, packetTime));
}

/** How the plane checks and names packets of this format (not T.38: fax.ts); -1 where a direction has no payload type. */
export function planeFormat(
  format: Format,
  packetTime: number,
  receivePayloadType: number,
  sendPayloadType: number,
): PlaneFormat {
  return {
    format: format.id,
    receivePayloadType,
    sendPayloadType,
    clockRate: format.clockRate,
    maxPayload: maxPayload(format, packetTime),
    maxPacketsPerSecond: maxPacketsPerSecond(format, packetTime),
    kind: FORMAT_FACTS[format.name].plane,
    ...(FORMAT_FACTS[format.name].impairment === undefined
      ? {}
      : { impairment: FORMAT_FACTS[format.name].impairment! }),
  };
}
