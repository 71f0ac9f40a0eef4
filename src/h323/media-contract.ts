/** Media of a call as endpoint and user speak of it: capabilities, channels, FastStart. A channel carries media one way. */
import type { Address } from '../machine/address.ts';

export type MediaKind = 'audio' | 'video' | 'image';

/** One thing a side can receive, or a channel's content. */
export type H323Capability =
  | {
      readonly kind: 'audio';
      readonly codec: 'PCMU' | 'PCMA' | 'G722' | 'G729' | 'G723' | 'GSM';
      /** Milliseconds of sound in a packet (in a capability: at most), 1..240; the endpoint knows the codec's frames. */
      readonly packetTime: number;
      /** Silence suppression of G.723.1, G.729 (Annex B) and GSM. */
      readonly silenceSuppression: boolean;
    }
  | {
      readonly kind: 'video';
      readonly codec: 'H263' | 'H264';
      /** bit/s, a multiple of 100. */
      readonly maxBitRate: number;
      /** H.264 (H.241): profile bits (64 = baseline) and level number of H.241 table 8-4; packetization modes besides 0. */
      readonly profile?: number;
      readonly level?: number;
      readonly packetizationMode?: 0 | 1;
      /** H.263: smallest picture interval of CIF and QCIF. */
      readonly cif?: number;
      readonly qcif?: number;
    }
  | {
      readonly kind: 'image';
      readonly codec: 'T38';
      /** bit/s */
      readonly maxBitRate: number;
      readonly version: number;
      readonly rateManagement: 'localTCF' | 'transferredTCF';
      readonly maxBuffer: number;
      readonly maxDatagram: number;
      readonly errorCorrection: 'redundancy' | 'fec';
    };

/** What a side can receive. */
export interface H323Capabilities {
  /** In order of preference. Empty: nothing may be sent to that side (the empty capability set: hold). */
  readonly media: readonly H323Capability[];
  readonly userInput: {
    /** H.245 UserInputIndication `alphanumeric` / basic string. */
    readonly alphanumeric: boolean;
    /** H.245 UserInputIndication `signal`. */
    readonly signal: boolean;
    /** RFC 4733 telephone-event can be received with this payload type (96..127). */
    readonly rfc4733PayloadType?: number;
  };
}

/** Receiving addresses of one side for one channel: RTP and RTCP (T.38: `rtp` is the UDPTL port, no RTCP). */
export interface MediaAddress {
  readonly rtp: Address;
  readonly rtcp?: Address;
}

/** One kind of media in a FastStart. */
export interface FastStartProposal {
  readonly kind: MediaKind;
  /** Alternatives in order of preference, each proposed for the directions below. */
  readonly capabilities: readonly H323Capability[];
  readonly direction: 'both' | 'send' | 'receive';
  /** Our receiving addresses (its RTCP also serves the sending direction). */
  readonly local: MediaAddress;
  /** RTP payload type we send with where the codec has no static one. */
  readonly payloadType?: number;
}

/** The far end's FastStart proposal of one kind of media, directions as we see them. */
export interface FastStartOffer {
  readonly kind: MediaKind;
  /** What we may send, in the far end's order, and where to. */
  readonly send: readonly {
    readonly capability: H323Capability;
    readonly remote: MediaAddress;
    /** What it wants us to send with, where dynamic. */
    readonly payloadType?: number;
  }[];
  /** What the far end would send to us. `payloadType`: what it would send with, where dynamic. */
  readonly receive: readonly {
    readonly capability: H323Capability;
    readonly remoteRtcp?: Address;
    readonly payloadType?: number;
  }[];
}

/** Our choice out of a FastStartOffer; capabilities are those of the offer (packetTime may be less). */
export interface FastStartChoice {
  readonly kind: MediaKind;
  readonly send?: H323Capability;
  readonly receive?: H323Capability;
  readonly local: MediaAddress;
  /** RTP payload type we send with where it is dynamic; the one it wants where it named one. */
  readonly payloadType?: number;
}

/** A channel as it stands. */
export interface H323Channel {
  readonly kind: MediaKind;
  readonly direction: 'send' | 'receive';
  readonly capability: H323Capability;
  /** `send`: where the far end receives. `receive`: its RTCP address only, where it told one. */
  readonly remote?: MediaAddress;
  readonly remoteRtcp?: Address;
  /** RTP payload type of the channel where it is not the codec's static one. */
  readonly payloadType?: number;
}

/** Why a channel was rejected (H.245 OpenLogicalChannelReject.cause, folded). */
export type ChannelRefusal = 'codec' | 'conflict' | 'bandwidth' | 'address' | 'other';
