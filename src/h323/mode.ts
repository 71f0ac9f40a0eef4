/** Modes of H.245 RequestMode ↔ capabilities. */
import type { AudioMode, ModeElementType } from './asn1/h245-types.ts';
import { audioOf, capabilityOf, imageOf, videoOf } from './capability.ts';
import type { H323Capability } from './media-contract.ts';

const PACKET_TIME = 20;

export function modeOf(capability: H323Capability): ModeElementType {
  switch (capability.kind) {
    case 'audio':
      return { choice: 'audioMode', value: audioMode(capability) };
    case 'video': {
      const video = videoOf(capability);
      if (video.choice === 'genericVideoCapability') {
        return { choice: 'videoMode', value: { choice: 'genericVideoMode', value: video.value } };
      }
      return {
        choice: 'videoMode',
        value: {
          choice: 'h263VideoMode',
          value: {
            resolution: { choice: capability.cif === undefined ? 'qcif' : 'cif', value: null },
            bitRate: Math.max(1, Math.min(19_200, Math.round(capability.maxBitRate / 100))),
            unrestrictedVector: false,
            arithmeticCoding: false,
            advancedPrediction: false,
            pbFrames: false,
          },
        },
      };
    }
    case 'image': {
      const { application, maxBitRate } = imageOf(capability);
      if (application.choice !== 't38fax') throw new Error('T.38 is t38fax');
      return { choice: 'dataMode', value: { application, bitRate: maxBitRate } };
    }
  }
}

function audioMode(capability: Extract<H323Capability, { kind: 'audio' }>): AudioMode {
  switch (capability.codec) {
    case 'PCMU':
      return { choice: 'g711Ulaw64k', value: null };
    case 'PCMA':
      return { choice: 'g711Alaw64k', value: null };
    case 'G722':
      return { choice: 'g72264k', value: null };
    case 'G729':
      return { choice: 'g729AnnexA', value: null };
    case 'G723':
      return {
        choice: 'g7231',
        value: {
          choice: capability.silenceSuppression
            ? 'silenceSuppressionHighRate'
            : 'noSilenceSuppressionHighRate',
          value: null,
        },
      };
    case 'GSM': {
      const [gsm] = audioOf(capability);
      if (gsm?.choice !== 'gsmFullRate') throw new Error('GSM is gsmFullRate');
      return gsm;
    }
  }
}

/** Undefined: a mode we do not know. */
export function capabilityOfMode(mode: ModeElementType): H323Capability | undefined {
  switch (mode.choice) {
    case 'audioMode':
      return audioCapability(mode.value);
    case 'dataMode': {
      const { application, bitRate } = mode.value;
      if (application.choice !== 't38fax') return undefined;
      return capabilityOf({ choice: 'data', value: { application, maxBitRate: bitRate } });
    }
    case 'videoMode': {
      const video = mode.value;
      if (video.choice !== 'genericVideoMode') return undefined;
      return capabilityOf({
        choice: 'videoData',
        value: { choice: 'genericVideoCapability', value: video.value },
      });
    }
    default:
      return undefined;
  }
}

function audioCapability(mode: AudioMode): H323Capability | undefined {
  const plain = (codec: 'PCMU' | 'PCMA' | 'G722' | 'G729' | 'G723', silenceSuppression = false) =>
    ({
      kind: 'audio',
      codec,
      packetTime: codec === 'G723' ? 30 : PACKET_TIME,
      silenceSuppression,
    }) as const;
  switch (mode.choice) {
    case 'g711Ulaw64k':
      return plain('PCMU');
    case 'g711Alaw64k':
      return plain('PCMA');
    case 'g72264k':
      return plain('G722');
    case 'g729':
    case 'g729AnnexA':
      return plain('G729');
    case 'g729wAnnexB':
    case 'g729AnnexAwAnnexB':
      return plain('G729', true);
    case 'g7231':
      return plain('G723', mode.value.choice.startsWith('silence'));
    case 'gsmFullRate':
      return capabilityOf({ choice: 'audioData', value: mode });
    default:
      return undefined;
  }
}
