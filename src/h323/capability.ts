/** Capabilities and channel contents ↔ H.245 data types. What is not understood is not a capability. */
import type {
  AudioCapability,
  DataApplicationCapability,
  DataType,
  GenericCapability,
  GenericParameter,
  H263VideoCapability,
  VideoCapability,
} from './asn1/h245-types.ts';
import type { H323Capability, MediaKind } from './media-contract.ts';

type Audio = Extract<H323Capability, { kind: 'audio' }>;
type Video = Extract<H323Capability, { kind: 'video' }>;
type Image = Extract<H323Capability, { kind: 'image' }>;

/** H.241 8.3.2: H.264, generic capability. */
const H264_OID = '0.0.8.241.0.0.1';
const H264_PROFILE = 41;
const H264_LEVEL = 42;
/** H.241 7.1.2: single NAL unit and non-interleaved mode of RFC 6184. */
export const H264_SINGLE_NAL = '0.0.8.241.0.0.0.0';
export const H264_NON_INTERLEAVED = '0.0.8.241.0.0.0.1';

/** Milliseconds of one frame, where the number in a capability counts frames. */
const FRAME_MS: Readonly<Record<Audio['codec'], number>> = {
  PCMU: 1,
  PCMA: 1,
  G722: 1,
  G729: 10,
  G723: 30,
  GSM: 20,
};
const GSM_FRAME_OCTETS = 33;

function framesOf(capability: Audio): number {
  const frames = Math.round(capability.packetTime / FRAME_MS[capability.codec]);
  return Math.max(1, Math.min(capability.codec === 'GSM' ? 7 : 256, frames));
}

/** Session identifiers that H.245 fixes (H2250LogicalChannelParameters.sessionID). */
export const SESSION_ID: Readonly<Record<MediaKind, number>> = { audio: 1, video: 2, image: 3 };

/** All spellings of a capability, the usual one first: G.729 has two with and two without Annex B that are the same on the wire. */
export function dataTypesOf(capability: H323Capability): DataType[] {
  switch (capability.kind) {
    case 'audio':
      return audioOf(capability).map((value) => ({ choice: 'audioData', value }));
    case 'video':
      return [{ choice: 'videoData', value: videoOf(capability) }];
    case 'image':
      return [{ choice: 'data', value: imageOf(capability) }];
  }
}

export function audioOf(capability: Audio): AudioCapability[] {
  const frames = framesOf(capability);
  const { silenceSuppression } = capability;
  switch (capability.codec) {
    case 'PCMU':
      return [{ choice: 'g711Ulaw64k', value: frames }];
    case 'PCMA':
      return [{ choice: 'g711Alaw64k', value: frames }];
    case 'G722':
      return [{ choice: 'g72264k', value: frames }];
    case 'G729':
      return silenceSuppression
        ? [
            { choice: 'g729AnnexAwAnnexB', value: frames },
            { choice: 'g729wAnnexB', value: frames },
          ]
        : [
            { choice: 'g729AnnexA', value: frames },
            { choice: 'g729', value: frames },
          ];
    case 'G723':
      return [{ choice: 'g7231', value: { maxAlSduAudioFrames: frames, silenceSuppression } }];
    case 'GSM':
      return [
        {
          choice: 'gsmFullRate',
          value: {
            audioUnitSize: GSM_FRAME_OCTETS * frames,
            comfortNoise: silenceSuppression,
            scrambled: false,
          },
        },
      ];
  }
}

export function videoOf(capability: Video): VideoCapability {
  const rate = Math.max(1, Math.round(capability.maxBitRate / 100));
  if (capability.codec === 'H264') {
    const parameter = (
      id: number,
      choice: 'booleanArray' | 'unsignedMin',
      value: number,
    ): GenericParameter => ({
      parameterIdentifier: { choice: 'standard', value: id },
      parameterValue: { choice, value },
    });
    return {
      choice: 'genericVideoCapability',
      value: {
        capabilityIdentifier: { choice: 'standard', value: H264_OID },
        maxBitRate: Math.min(rate, 0xffffffff),
        collapsing: [
          parameter(H264_PROFILE, 'booleanArray', (capability.profile ?? 64) & 255),
          parameter(H264_LEVEL, 'unsignedMin', (capability.level ?? 43) & 0xffff),
        ],
      },
    };
  }
  const interval = (mpi: number | undefined): number | undefined =>
    mpi === undefined ? undefined : Math.max(1, Math.min(32, Math.round(mpi)));
  return {
    choice: 'h263VideoCapability',
    value: {
      qcifMPI: interval(capability.qcif ?? (capability.cif === undefined ? 1 : undefined)),
      cifMPI: interval(capability.cif),
      maxBitRate: Math.min(rate, 192_400),
      unrestrictedVector: false,
      arithmeticCoding: false,
      advancedPrediction: false,
      pbFrames: false,
      temporalSpatialTradeOffCapability: false,
    },
  };
}

export function imageOf(capability: Image): DataApplicationCapability {
  return {
    application: {
      choice: 't38fax',
      value: {
        t38FaxProtocol: { choice: 'udp', value: null },
        t38FaxProfile: {
          fillBitRemoval: false,
          transcodingJBIG: false,
          transcodingMMR: false,
          version: capability.version & 255,
          t38FaxRateManagement: { choice: capability.rateManagement, value: null },
          t38FaxUdpOptions: {
            t38FaxMaxBuffer: capability.maxBuffer,
            t38FaxMaxDatagram: capability.maxDatagram,
            t38FaxUdpEC: {
              choice: capability.errorCorrection === 'fec' ? 't38UDPFEC' : 't38UDPRedundancy',
              value: null,
            },
          },
        },
      },
    },
    maxBitRate: Math.max(0, Math.min(0xffffffff, Math.round(capability.maxBitRate / 100))),
  };
}

/** Undefined: not something we could name to anybody else. */
export function capabilityOf(data: DataType): H323Capability | undefined {
  switch (data.choice) {
    case 'audioData':
      return fromAudio(data.value);
    case 'videoData':
      return fromVideo(data.value);
    case 'data':
      return fromData(data.value);
    default:
      return undefined;
  }
}

function audio(codec: Audio['codec'], frames: number, silenceSuppression = false): Audio {
  const packetTime = Math.max(1, Math.min(240, frames * FRAME_MS[codec]));
  return { kind: 'audio', codec, packetTime, silenceSuppression };
}

function fromAudio(capability: AudioCapability): Audio | undefined {
  switch (capability.choice) {
    case 'g711Ulaw64k':
      return audio('PCMU', capability.value);
    case 'g711Alaw64k':
      return audio('PCMA', capability.value);
    case 'g72264k':
      return audio('G722', capability.value);
    case 'g729':
    case 'g729AnnexA':
      return audio('G729', capability.value);
    case 'g729wAnnexB':
    case 'g729AnnexAwAnnexB':
      return audio('G729', capability.value, true);
    case 'g7231':
      return audio('G723', capability.value.maxAlSduAudioFrames, capability.value.silenceSuppression);
    case 'gsmFullRate': {
      const { audioUnitSize, comfortNoise, scrambled } = capability.value;
      if (scrambled) return undefined;
      return audio('GSM', Math.max(1, Math.floor(audioUnitSize / GSM_FRAME_OCTETS)), comfortNoise);
    }
    default:
      return undefined;
  }
}

function fromVideo(capability: VideoCapability): Video | undefined {
  if (capability.choice === 'h263VideoCapability') return fromH263(capability.value);
  if (capability.choice === 'genericVideoCapability') return fromH264(capability.value);
  return undefined;
}

function fromH263(value: H263VideoCapability): Video | undefined {
  const { cifMPI, qcifMPI } = value;
  if (cifMPI === undefined && qcifMPI === undefined) return undefined;
  return {
    kind: 'video',
    codec: 'H263',
    maxBitRate: value.maxBitRate * 100,
    ...(cifMPI === undefined ? {} : { cif: cifMPI }),
    ...(qcifMPI === undefined ? {} : { qcif: qcifMPI }),
  };
}

function fromH264(value: GenericCapability): Video | undefined {
  const { capabilityIdentifier: id } = value;
  if (id.choice !== 'standard' || id.value !== H264_OID) return undefined;
  let profile: number | undefined;
  let level: number | undefined;
  for (const { parameterIdentifier, parameterValue } of (value.collapsing ?? []).slice(0, 32)) {
    if (parameterIdentifier.choice !== 'standard') continue;
    if (parameterIdentifier.value === H264_PROFILE && parameterValue.choice === 'booleanArray')
      profile = parameterValue.value;
    if (parameterIdentifier.value === H264_LEVEL && parameterValue.choice === 'unsignedMin')
      level = parameterValue.value;
  }
  if (profile === undefined || level === undefined) return undefined; // H.241 8.3.2: both are mandatory
  return { kind: 'video', codec: 'H264', maxBitRate: (value.maxBitRate ?? 0) * 100, profile, level };
}

function fromData(data: DataApplicationCapability): Image | undefined {
  const { application, maxBitRate } = data;
  if (application.choice !== 't38fax') return undefined;
  const { t38FaxProtocol, t38FaxProfile: profile } = application.value;
  if (t38FaxProtocol.choice !== 'udp') return undefined; // T.38 over TCP has no equivalent elsewhere
  const options = profile.t38FaxUdpOptions;
  const size = (value: number | bigint | undefined, otherwise: number): number =>
    typeof value === 'number' && value > 0 && value <= 65_535 ? value : otherwise;
  return {
    kind: 'image',
    codec: 'T38',
    maxBitRate: maxBitRate * 100,
    version: profile.version ?? 0,
    rateManagement: profile.t38FaxRateManagement?.choice === 'localTCF' ? 'localTCF' : 'transferredTCF',
    maxBuffer: size(options?.t38FaxMaxBuffer, 200),
    maxDatagram: size(options?.t38FaxMaxDatagram, 72),
    errorCorrection: options?.t38FaxUdpEC.choice === 't38UDPFEC' ? 'fec' : 'redundancy',
  };
}

/** Whether two capabilities are the same format, sizes apart. */
export function sameCodec(a: H323Capability, b: H323Capability): boolean {
  return a.codec === b.codec;
}

/** bit/s of a channel both ways are counted with, without packet headers (H.225.0: BandWidth excludes them). */
export function bitRateOf(capability: H323Capability): number {
  switch (capability.codec) {
    case 'PCMU':
    case 'PCMA':
    case 'G722':
      return 64_000;
    case 'G729':
      return 8_000;
    case 'G723':
      return 6_400;
    case 'GSM':
      return 13_200;
    default:
      return capability.maxBitRate;
  }
}
