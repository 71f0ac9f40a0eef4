/**
 * The RTP fixed header, RFC 3550 5.1.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *   |V=2|P|X|  CC   |M|     PT      |       sequence number         |
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *   |                           timestamp                           |
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *   |           synchronization source (SSRC) identifier            |
 *   +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
 *   |            contributing source (CSRC) identifiers             |
 *   |                             ....                              |
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */
import { ACCEPTED, IS_RTCP, REFUSED } from './refusal.ts';

export const RTP_VERSION = 2;
export const RTP_HEADER = 12;
/** The greatest datagram taken: an Ethernet frame's worth. */
export const MAX_DATAGRAM = 1500;

const AT_FIRST = 0; // V P X CC
const AT_TYPE = 1; // M PT
const AT_SEQUENCE = 2;
const AT_TIMESTAMP = 4;
const AT_SSRC = 8;

export function readU16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

/** Unsigned 0 .. 2^32-1. */
export function readU32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

export function writeU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** The fields of one received packet; one object per user, refilled by `parsePacket`. */
export interface PacketFields {
  payloadType: number;
  marker: boolean;
  sequence: number;
  timestamp: number;
  ssrc: number;
  /** Offset in the buffer and octets, without CSRC list, header extension and padding. */
  payloadStart: number;
  payloadLength: number;
}

export function packetFields(): PacketFields {
  return {
    payloadType: 0,
    marker: false,
    sequence: 0,
    timestamp: 0,
    ssrc: 0,
    payloadStart: 0,
    payloadLength: 0,
  };
}

/**
 * Reads one datagram into `out` without allocating. Returns ACCEPTED, IS_RTCP (only where `rtcpMux`) or a
 * reason out of REFUSED. CSRC list, header extension and padding are measured so that they can be left out.
 */
export function parsePacket(
  bytes: Uint8Array,
  start: number,
  length: number,
  rtcpMux: boolean,
  out: PacketFields,
): number {
  const shape = checkShape(bytes, start, length, rtcpMux);
  if (shape !== ACCEPTED) return shape;
  const payload = measureHeader(bytes, start, length);
  if (payload < 0) return payload === CSRC_CUT ? REFUSED.tooShort : REFUSED.extension;
  let end = length;
  if ((bytes[start + AT_FIRST]! & 0x20) !== 0) {
    // RFC 3550 5.1: the last octet counts the padding, itself included.
    const padding = bytes[start + length - 1]!;
    if (padding === 0 || payload + padding > length) return REFUSED.padding;
    end -= padding;
  }
  const type = bytes[start + AT_TYPE]!;
  out.marker = (type & 0x80) !== 0;
  out.payloadType = type & 0x7f;
  out.sequence = readU16(bytes, start + AT_SEQUENCE);
  out.timestamp = readU32(bytes, start + AT_TIMESTAMP);
  out.ssrc = readU32(bytes, start + AT_SSRC);
  out.payloadStart = start + payload;
  out.payloadLength = end - payload;
  return ACCEPTED;
}

/** The CSRC list is not all there, or the header extension. */
const CSRC_CUT = -1;
const EXTENSION_CUT = -2;

/**
 * Octets of fixed header, CSRC list and header extension, of a packet that has its fixed header; negative where the rest is not all
 * there.
 */
export function measureHeader(bytes: Uint8Array, start: number, length: number): number {
  const first = bytes[start + AT_FIRST]!;
  const header = RTP_HEADER + 4 * (first & 0x0f);
  if (header > length) return CSRC_CUT;
  if ((first & 0x10) === 0) return header;
  // RFC 3550 5.3.1: 16 bits of profile, 16 bits of length in words.
  if (header + 4 > length) return EXTENSION_CUT;
  const extended = header + 4 + 4 * readU16(bytes, start + header + 2);
  return extended > length ? EXTENSION_CUT : extended;
}

function checkShape(bytes: Uint8Array, start: number, length: number, rtcpMux: boolean): number {
  if (length < 1) return REFUSED.tooShort;
  const first = bytes[start + AT_FIRST]!;
  if (first >> 6 !== RTP_VERSION) {
    // RFC 7983 7: 0..3 STUN, 20..63 DTLS: other protocols that share ports with RTP, not a wrong version of it.
    return first <= 3 || (first >= 20 && first <= 63) ? REFUSED.notRtp : REFUSED.version;
  }
  if (length > MAX_DATAGRAM) return REFUSED.tooLong;
  if (length < 2) return REFUSED.tooShort;
  if (rtcpMux && isRtcp(bytes, start, length)) return IS_RTCP;
  return length < RTP_HEADER ? REFUSED.tooShort : ACCEPTED;
}

/**
 * Which of the two a datagram on a multiplexed port is, SRTP or not (RFC 5761 4): payload types 64..95 collide with RTCP packet types
 * 192..223 and are not used for RTP.
 */
export function isRtcp(bytes: Uint8Array, start: number, length: number): boolean {
  if (length < 2) return false;
  const type = bytes[start + AT_TYPE]! & 0x7f;
  return type >= 64 && type <= 95;
}

/** Writes the fixed header of an own packet: no padding, no extension, no CSRC list. */
export function writeHeader(
  bytes: Uint8Array,
  at: number,
  payloadType: number,
  marker: boolean,
  sequence: number,
  timestamp: number,
  ssrc: number,
): void {
  bytes[at + AT_FIRST] = RTP_VERSION << 6;
  bytes[at + AT_TYPE] = marker ? 0x80 | payloadType : payloadType;
  writeU16(bytes, at + AT_SEQUENCE, sequence);
  writeU32(bytes, at + AT_TIMESTAMP, timestamp);
  writeU32(bytes, at + AT_SSRC, ssrc);
}
