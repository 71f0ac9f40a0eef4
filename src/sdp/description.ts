/**
 * A session description (RFC 8866) as typed values. What is not named here is not understood, is dropped at parsing and can
 * therefore never be written again: an attribute of one side never reaches the other.
 */

export type SdpDirection = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';

export interface SessionDescription {
  readonly origin: Origin;
  /** s=; `-` where the line was missing. Octets as characters (latin1). */
  readonly name: string;
  readonly connection?: Connection;
  readonly bandwidths: readonly Bandwidth[];
  /** Session-level defaults of the streams below. */
  readonly direction?: SdpDirection;
  readonly fingerprints: readonly Fingerprint[];
  readonly setup?: SetupRole;
  readonly media: readonly MediaDescription[];
}

/** RFC 8866 5.2. Numbers are text: they may be longer than 2^53. */
export interface Origin {
  readonly username: string;
  readonly sessionId: string;
  readonly version: string;
  readonly ipVersion: 4 | 6;
  readonly address: string;
}

/** RFC 8866 5.7. `address` is text as received, without a TTL: an IP address or a host name. */
export interface Connection {
  readonly ipVersion: 4 | 6;
  readonly address: string;
}

/** RFC 8866 5.8. `value` 0 .. 2^31-1, kbit/s for AS and CT. */
export interface Bandwidth {
  readonly type: string;
  readonly value: number;
}

export interface MediaDescription {
  /** Any token; audio, video, image, application, text, message are registered. */
  readonly type: string;
  /** 0..65535; 0: refused or removed (RFC 3264 6). */
  readonly port: number;
  /** RFC 8866 5.14 `/number of ports`; 1 where absent. */
  readonly portCount: number;
  /** Any proto token, e.g. RTP/AVP, RTP/SAVP, udptl. */
  readonly protocol: string;
  /** At least one. Payload types of RTP protocols as decimal text. */
  readonly formats: readonly string[];
  readonly connection?: Connection;
  readonly bandwidths: readonly Bandwidth[];
  readonly direction?: SdpDirection;
  /** Milliseconds. */
  readonly packetTime?: number;
  readonly maxPacketTime?: number;
  readonly rtpMaps: readonly RtpMap[];
  readonly formatParameters: readonly FormatParameters[];
  /** RFC 3605. */
  readonly rtcp?: RtcpAttribute;
  /** RFC 5761. */
  readonly rtcpMux: boolean;
  /** RFC 3611 5.1: VoIP metrics are wished for in the reports that the describing end receives. */
  readonly voipMetrics?: boolean;
  /** Kept typed for SRTP (RFC 4568, RFC 8122, RFC 4145). */
  readonly crypto: readonly CryptoAttribute[];
  readonly fingerprints: readonly Fingerprint[];
  readonly setup?: SetupRole;
  /** Present where at least one T.38 attribute is. */
  readonly t38?: T38Attributes;
}

/** RFC 8866 6.6. */
export interface RtpMap {
  /** 0..127 */
  readonly payloadType: number;
  /** As written; compared without case. */
  readonly encoding: string;
  /** Hz, 1 .. 2^31-1. */
  readonly clockRate: number;
  /** 1..255; 1 where absent. */
  readonly channels: number;
}

/** RFC 8866 6.15. */
export interface FormatParameters {
  readonly format: string;
  readonly text: string;
}

export interface RtcpAttribute {
  readonly port: number;
  readonly connection?: Connection;
}

/** RFC 4568 9.1. */
export interface CryptoAttribute {
  readonly tag: number;
  readonly suite: string;
  readonly keys: string;
  readonly sessionParameters: string;
}

/** RFC 8122 5. */
export interface Fingerprint {
  readonly hash: string;
  readonly value: string;
}

export type SetupRole = 'active' | 'passive' | 'actpass' | 'holdconn';

/** ITU-T T.38 annex D. Octets and bits per second. */
export interface T38Attributes {
  readonly version?: number;
  readonly maxBitRate?: number;
  readonly rateManagement?: 'localTCF' | 'transferredTCF';
  readonly maxBuffer?: number;
  readonly maxDatagram?: number;
  readonly udpEc?: 't38UDPRedundancy' | 't38UDPFEC' | 't38UDPNoEC';
  readonly fillBitRemoval?: true;
  readonly transcodingMmr?: true;
  readonly transcodingJbig?: true;
}

export const SDP_LIMITS = {
  bytes: 32_768,
  media: 16,
  /** a= lines of the whole description. */
  attributes: 400,
  lines: 600,
  formats: 64,
  bandwidths: 4,
} as const;

export type SdpErrorReason =
  | 'empty'
  | 'too-long'
  | 'too-many-lines'
  | 'too-many-media'
  | 'too-many-attributes'
  | 'too-many-formats'
  | 'control-character'
  | 'syntax'
  | 'version'
  | 'origin'
  | 'connection'
  | 'media'
  | 'port'
  | 'order'
  | 'duplicate'
  | 'unknown-type';

export interface SdpError {
  readonly reason: SdpErrorReason;
  /** Line from 1; 0: the description as a whole. */
  readonly line: number;
}
