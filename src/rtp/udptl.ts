/**
 * UDPTL, ITU-T T.38 9.1 (transport of RFC 7345 5): aligned PER of a sequence number, one IFP packet and what repairs earlier ones.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *   |       sequence number         |  length, 1 or 2 octets, IFP ...
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *   |F|  0 (pad)    |  F = 0: count, then count x (length, IFP), the IFP of sequence number - 1 first
 *   +-+-+-+-+-+-+-+-+  F = 1: fec-npackets (length, value), count, count x (length, parity)
 */
import { readU16, writeU16 } from './packet.ts';
import { ACCEPTED, REFUSED } from './refusal.ts';

/** The most IFP packets (or parities) behind the first one that are taken; devices send 1 to 7. */
export const MAX_SECONDARIES = 16;
/** Greatest span of one parity, packets. */
const MAX_FEC_SPAN = 127;
const FEC = 0x80;
const BAD = -1;

/** The fields of one received datagram; one object per user, refilled by `parseUdptl`. */
export interface UdptlFields {
  sequence: number;
  /** Offset in the buffer and octets, 1 or more. */
  primaryStart: number;
  primaryLength: number;
  /** IFP packets of earlier datagrams: place i is that of sequence number - 1 - i. A length of 0: left out by the sender. */
  secondaries: number;
  /** Error recovery is by parities, of which there may be none yet. */
  fec: boolean;
  /** In the place of repetitions: parities, at the same offsets, and the packets in each of them. A parity of length 0 says nothing. */
  parities: number;
  span: number;
  readonly starts: Int32Array;
  readonly lengths: Int32Array;
}

export function udptlFields(): UdptlFields {
  return {
    sequence: 0,
    primaryStart: 0,
    primaryLength: 0,
    secondaries: 0,
    fec: false,
    parities: 0,
    span: 0,
    starts: new Int32Array(MAX_SECONDARIES),
    lengths: new Int32Array(MAX_SECONDARIES),
  };
}

/**
 * Reads one datagram into `out` without allocating. Returns ACCEPTED or a reason out of REFUSED: `udptl` where it is not one whole value of
 * the type with nothing behind it, `errorRecovery` where what follows the first IFP packet is not, or is more than anybody needs.
 * A span of 0 without parities is what some senders begin with, before there is anything to cover.
 */
export function parseUdptl(bytes: Uint8Array, start: number, length: number, out: UdptlFields): number {
  const end = start + length;
  const primary = lengthAt(bytes, start + 2, end);
  if (length < 3 || primary <= 0) return REFUSED.udptl;
  out.sequence = readU16(bytes, start);
  out.primaryStart = start + 2 + octetsOf(primary);
  out.primaryLength = primary;
  out.secondaries = 0;
  out.fec = false;
  out.parities = 0;
  out.span = 0;
  const at = out.primaryStart + primary;
  if (at >= end) return REFUSED.udptl;
  const kind = bytes[at]!;
  if (kind === 0) return parseList(bytes, at + 1, end, out);
  if (kind !== FEC) return REFUSED.errorRecovery;
  // fec-npackets is an unconstrained INTEGER: so many packets have no second octet.
  if (at + 2 >= end || bytes[at + 1] !== 1) return REFUSED.errorRecovery;
  const span = bytes[at + 2]!;
  if (span > MAX_FEC_SPAN) return REFUSED.errorRecovery;
  const shape = parseList(bytes, at + 3, end, out);
  out.parities = out.secondaries;
  out.secondaries = 0;
  out.fec = true;
  out.span = span;
  return span === 0 && out.parities > 0 ? REFUSED.errorRecovery : shape;
}

function parseList(bytes: Uint8Array, start: number, end: number, out: UdptlFields): number {
  const count = lengthAt(bytes, start, end);
  if (count < 0 || count > MAX_SECONDARIES) return REFUSED.errorRecovery;
  let at = start + 1;
  for (let i = 0; i < count; i++) {
    const length = lengthAt(bytes, at, end);
    if (length < 0) return REFUSED.errorRecovery;
    at += octetsOf(length);
    out.starts[i] = at;
    out.lengths[i] = length;
    at += length;
  }
  out.secondaries = count;
  return at === end ? ACCEPTED : REFUSED.errorRecovery;
}

/**
 * X.691 10.9.3.6, 10.9.3.7: the length determinant at `at`, where as many octets follow before `end`; negative where not, where it has more
 * octets than it needs, or is that of a fragment (16 K and more fit no datagram).
 */
export function lengthAt(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end) return BAD;
  const first = bytes[at]!;
  if (first < 0x80) return at + 1 + first <= end ? first : BAD;
  if (first >= 0xc0 || at + 1 >= end) return BAD;
  const length = ((first & 0x3f) << 8) | bytes[at + 1]!;
  return length >= 0x80 && at + 2 + length <= end ? length : BAD;
}

/** Octets of the length determinant itself. */
export function octetsOf(length: number): number {
  return length < 0x80 ? 1 : 2;
}

/** Writes a length determinant; returns the offset behind. */
export function writeLength(out: Uint8Array, at: number, length: number): number {
  if (length < 0x80) {
    out[at] = length;
    return at + 1;
  }
  writeU16(out, at, 0x8000 | length);
  return at + 2;
}
