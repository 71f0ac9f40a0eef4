/** Formats of an H.245 capability ↔ neutral formats. Only codecs that both vocabularies name; parameters by known name. */

import type { H323Capability } from '../h323/media-contract.ts';
import { defaultPacketTime, staticPayloadType } from '../media/formats.ts';
import type { Format, FormatName, MediaKind, ParameterName } from '../meta/message.ts';
import { type BareFormat, cleanParameters } from './sdp-formats.ts';

export type AudioCapability = Extract<H323Capability, { kind: 'audio' }>;
type AudioCodec = AudioCapability['codec'];

const AUDIO: readonly FormatName[] = ['PCMU', 'PCMA', 'G722', 'G729', 'G723', 'GSM'] satisfies AudioCodec[];

/** H.323 6.2.5: what every terminal with audio can do; offered for a far end whose capabilities are not known yet. */
export const MANDATORY: readonly FormatName[] = ['PCMA', 'PCMU'];

/** RFC 4733 2.1: what we ask to be sent with, in capability sets and channels of ours. */
export const EVENT_PAYLOAD_TYPE = 101;

export const EVENTS: BareFormat = {
  name: 'telephone-event',
  clockRate: 8000,
  channels: 1,
  parameters: [],
};

/** Formats of a stream of this kind that both vocabularies name. */
const NAMES: Readonly<Record<MediaKind, readonly FormatName[]>> = {
  audio: AUDIO,
  video: ['H264', 'H263'],
  image: ['T38'],
};

export function isH323Audio(name: FormatName): name is AudioCodec {
  return AUDIO.includes(name);
}

export function isH323Format(kind: MediaKind, format: BareFormat): boolean {
  return (
    NAMES[kind].includes(format.name) &&
    format.channels === 1 &&
    capabilityOf(format, undefined) !== undefined
  );
}

/** The codec as a neutral format; undefined: one that cannot be named to anybody else. */
export function formatOfCapability(capability: H323Capability): BareFormat | undefined {
  switch (capability.kind) {
    case 'audio': {
      const plainG729 = capability.codec === 'G729' && !capability.silenceSuppression;
      return {
        name: capability.codec,
        clockRate: 8000,
        channels: 1,
        parameters: plainG729 ? [{ name: 'annexb', value: 'no' }] : [],
      };
    }
    case 'video': {
      const base = { name: capability.codec, clockRate: 90_000, channels: 1 };
      if (capability.codec === 'H263') return { ...base, parameters: [] };
      const parameters = h264Parameters(capability);
      return parameters === undefined ? undefined : { ...base, parameters };
    }
    case 'image':
      return { name: 'T38', clockRate: 0, channels: 1, parameters: faxParameters(capability) };
  }
}

export const FAX_FORMAT: BareFormat = { name: 'T38', clockRate: 0, channels: 1, parameters: [] };

export function formatNamed(name: AudioCodec): BareFormat {
  return { name, clockRate: 8000, channels: 1, parameters: [] };
}

/**
 * What we can receive of this format, or would send; undefined: nothing H.323 could say. `packetTime`: the other side's wish, ms; H.245
 * rounds to the codec's frames.
 */
export function capabilityOf(format: BareFormat, packetTime: number | undefined): H323Capability | undefined {
  if (format.name === 'T38') return faxCapability(format);
  if (format.name === 'H264') return h264Capability(format);
  if (format.name === 'H263')
    return { kind: 'video', codec: 'H263', maxBitRate: H263_BIT_RATE, cif: 1, qcif: 1 };
  if (!isH323Audio(format.name) || format.channels !== 1) return undefined;
  const time = Math.max(10, packetTime ?? defaultPacketTime(format.name));
  return {
    kind: 'audio',
    codec: format.name,
    packetTime: format.name === 'G723' ? Math.max(30, time - (time % 30)) : time,
    silenceSuppression: silence(format),
  };
}

/** A channel of ours: no more than the far end can receive. */
export function channelCapability(own: H323Capability, far: H323Capability): H323Capability {
  if (own.kind === 'audio' && far.kind === 'audio') {
    return {
      ...own,
      packetTime: Math.min(own.packetTime, far.packetTime),
      silenceSuppression: own.silenceSuppression && far.silenceSuppression,
    };
  }
  if (own.kind === 'image' && far.kind === 'image') {
    return {
      ...own,
      maxBitRate: Math.min(own.maxBitRate, far.maxBitRate),
      version: Math.min(own.version, far.version),
    };
  }
  if (own.kind !== 'video' || far.kind !== 'video') return own;
  const maxBitRate = far.maxBitRate > 0 ? Math.min(own.maxBitRate, far.maxBitRate) : own.maxBitRate;
  if (own.codec !== 'H264' || own.level === undefined || far.level === undefined)
    return { ...own, maxBitRate };
  return { ...own, maxBitRate, level: Math.min(own.level, far.level) };
}

/** The format as a far end takes it: the level of an answer may be lower than the offer's (RFC 6184 8.2.2). */
export function fittedTo(format: Format, far: H323Capability): Format {
  const own = capabilityOf(format, undefined);
  if (own?.kind !== 'video' || far.kind !== 'video' || (far.level ?? 0) >= (own.level ?? 0)) return format;
  const level = LEVELS.findLast(([parameter]) => parameter <= (far.level ?? 0));
  if (format.name !== 'H264' || level === undefined) return format;
  const parameters = format.parameters.map((p) =>
    p.name === 'profile-level-id' ? { ...p, value: p.value.slice(0, 4) + octet(level[1]) } : p,
  );
  return { ...format, parameters };
}

/**
 * Codec for codec. Audio: frames per packet and silence suppression differ without harm, packets carry their length. H.264: profiles
 * differ in what a decoder understands; a stream of packetization mode 1 cannot be sent to who takes mode 0 alone (RFC 6184 6).
 */
export function matches(capability: H323Capability, format: BareFormat, toFarEnd = false): boolean {
  if (capability.codec !== format.name) return false;
  if (capability.kind !== 'video' || capability.codec !== 'H264') return true;
  const own = capabilityOf(format, undefined);
  if (own?.kind !== 'video' || ((own.profile ?? 0) & (capability.profile ?? 0)) === 0) return false;
  return !toFarEnd || own.packetizationMode !== 1 || capability.packetizationMode === 1;
}

/** Annex B of G.729 is on where nobody says no (RFC 4856 2.1.9); the others have none that matters to the packets' format. */
function silence(format: BareFormat): boolean {
  if (format.name !== 'G729') return false;
  return !format.parameters.some((p) => p.name === 'annexb' && p.value === 'no');
}

/** RTP payload type of a channel: as told, else the codec's static one. */
export function payloadTypeOf(format: BareFormat, told: number | undefined): number {
  return told ?? staticPayloadType(format) ?? -1;
}

/** What we send a format without a static type with. */
export function sendPayloadType(format: BareFormat): number | undefined {
  if (format.name === 'T38') return undefined; // UDPTL
  return staticPayloadType(format) === undefined ? DYNAMIC_PAYLOAD_TYPE : undefined;
}

const DYNAMIC_PAYLOAD_TYPE = 97;
/** bit/s */
const H263_BIT_RATE = 768_000;
const H264_BIT_RATE = 4_000_000;

/** H.241 table 8-1: profile as bits ↔ profile_idc (H.264 A.2). */
const PROFILES: readonly (readonly [bit: number, idc: number])[] = [
  [64, 66],
  [32, 77],
  [16, 88],
  [8, 100],
];
/** H.241 table 8-4: level parameter ↔ level_idc and the level's bit/s (H.264 table A-1). */
const LEVELS: readonly (readonly [parameter: number, idc: number, bitRate: number])[] = [
  [15, 10, 64_000],
  [22, 11, 192_000],
  [29, 12, 384_000],
  [36, 13, 768_000],
  [43, 20, 2_000_000],
  [50, 21, 4_000_000],
  [57, 22, 4_000_000],
  [64, 30, 10_000_000],
  [71, 31, 14_000_000],
  [78, 32, 20_000_000],
  [85, 40, 20_000_000],
  [92, 41, 50_000_000],
  [99, 42, 50_000_000],
  [106, 50, 135_000_000],
  [113, 51, 240_000_000],
];
/** RFC 6184 8.1: Baseline, level 1, where nothing is said. */
const DEFAULT_PROFILE_LEVEL = '42000a';

function h264Capability(format: BareFormat): H323Capability | undefined {
  const parameter = (name: string): string | undefined =>
    format.parameters.find((p) => p.name === name)?.value;
  const text = parameter('profile-level-id') ?? DEFAULT_PROFILE_LEVEL;
  const profile = PROFILES.find(([, idc]) => idc === Number.parseInt(text.slice(0, 2), 16));
  const level = LEVELS.findLast(([, idc]) => idc <= Number.parseInt(text.slice(4, 6), 16));
  const mode = parameter('packetization-mode') ?? '0';
  if (profile === undefined || level === undefined || mode === '2') return undefined; // H.241 7.1.2 has no interleaved mode
  return {
    kind: 'video',
    codec: 'H264',
    maxBitRate: Math.min(level[2], H264_BIT_RATE),
    profile: profile[0],
    level: level[0],
    packetizationMode: mode === '1' ? 1 : 0,
  };
}

/** Constrained Baseline for Baseline, as the decoders in the field are: nobody sends what the constraints exclude. */
function h264Parameters(
  capability: Extract<H323Capability, { kind: 'video' }>,
): BareFormat['parameters'] | undefined {
  const profile = PROFILES.find(([bit]) => ((capability.profile ?? 0) & bit) !== 0);
  const level = LEVELS.findLast(([parameter]) => parameter <= (capability.level ?? 0));
  if (profile === undefined || level === undefined) return undefined;
  const constraints = profile[1] === 66 ? 'e0' : '00';
  const id = { name: 'profile-level-id', value: octet(profile[1]) + constraints + octet(level[1]) } as const;
  return capability.packetizationMode === 1 ? [{ name: 'packetization-mode', value: '1' }, id] : [id];
}

type FaxCapability = Extract<H323Capability, { kind: 'image' }>;

/** What every fax gateway can, told before it is known what the other side's fax wishes (T.38 D.2.3 has the same values for the least). */
const FAX: FaxCapability = {
  kind: 'image',
  codec: 'T38',
  maxBitRate: 14_400,
  version: 0,
  rateManagement: 'transferredTCF',
  maxBuffer: 1024,
  maxDatagram: 400,
  errorCorrection: 'redundancy',
};

/** H.245 T38FaxProfile ↔ the parameters of T.38 D.2.1. Buffer and datagram are our own: each leg ends UDPTL, and its far end was told so. */
function faxCapability(format: BareFormat): FaxCapability {
  const value = (name: ParameterName): string | undefined =>
    format.parameters.find((p) => p.name === name)?.value;
  return {
    ...FAX,
    maxBitRate: Number(value('t38-bitrate') ?? FAX.maxBitRate),
    version: Number(value('t38-version') ?? FAX.version),
    rateManagement: value('t38-rate-management') === 'localTCF' ? 'localTCF' : 'transferredTCF',
  };
}

function faxParameters(capability: FaxCapability): BareFormat['parameters'] {
  return cleanParameters('T38', [
    ['t38-version', `${capability.version}`],
    ['t38-bitrate', `${capability.maxBitRate}`],
    ['t38-rate-management', capability.rateManagement],
    ['t38-max-buffer', `${capability.maxBuffer}`],
    ['t38-max-datagram', `${capability.maxDatagram}`],
    ['t38-udp-ec', capability.errorCorrection === 'fec' ? 't38UDPFEC' : 't38UDPRedundancy'],
  ]);
}

function octet(value: number): string {
  return value.toString(16).padStart(2, '0');
}
