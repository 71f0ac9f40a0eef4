/** The shape of an IFP packet, ITU-T T.38 7 and annex A: which indicator, or which modem's data in which fields. What the fields hold is the fax. */
import { readU16 } from './packet.ts';

/** Root values, and those behind the extension marker (T.38 annex A, 2002 and later). */
const LAST_DATA = 8;
const LAST_INDICATOR_ADDED = 6;
const LAST_DATA_ADDED = 5;
const LAST_FIELD_ADDED = 3;

/**
 * Whether `length` octets at `start` are one IFP packet and nothing else. Fields are told apart by version 0 (a type of three bits, without
 * extension marker) or later ones, whose fields some write each from an octet on and others bit by bit: which of them a sender means shows only
 * in whether it comes out even.
 */
export function isIfp(bytes: Uint8Array, start: number, length: number): boolean {
  if (length < 1) return false;
  const first = bytes[start]!;
  const hasFields = (first & 0x80) !== 0;
  const isData = (first & 0x40) !== 0;
  const added = (first & 0x20) !== 0;
  if (added && length < 2) return false;
  const head = added ? 2 : 1;
  if (added) {
    // X.691 10.6: a bit of 0, then six of value.
    const value = ((first & 0x0f) << 2) | (bytes[start + 1]! >> 6);
    if ((first & 0x10) !== 0 || value > (isData ? LAST_DATA_ADDED : LAST_INDICATOR_ADDED)) return false;
  } else if (isData && ((first >> 1) & 0x0f) > LAST_DATA) return false;
  if (!hasFields) return length === head;
  if (!isData || length <= head) return false; // T.38 7.3.1: an indicator has no data
  const [at, end] = [start + head, start + length];
  return (
    areFields(bytes, at, end, false, false) ||
    areFields(bytes, at, end, true, true) ||
    areFields(bytes, at, end, true, false)
  );
}

function areFields(bytes: Uint8Array, start: number, end: number, marker: boolean, octets: boolean): boolean {
  const count = bytes[start]!;
  if (count > 127) return false;
  const last = 8 * end;
  let bit = 8 * (start + 1);
  for (let i = 0; i < count; i++) {
    if (octets) bit = aligned(bit);
    const has = bit;
    const added = marker && bit + 9 <= last && bitAt(bytes, bit + 1) === 1;
    if (added && (bitAt(bytes, bit + 2) === 1 || sixBits(bytes, bit + 3) > LAST_FIELD_ADDED)) return false;
    bit += added ? 9 : marker ? 5 : 4;
    if (bit > last) return false;
    if (bitAt(bytes, has) === 0) continue;
    bit = aligned(bit);
    if (bit + 16 > last) return false;
    bit += 16 + 8 * (readU16(bytes, bit >> 3) + 1); // OCTET STRING (SIZE (1..65535))
    if (bit > last) return false;
  }
  return aligned(bit) === last;
}

function aligned(bit: number): number {
  return (bit + 7) & ~7;
}

function bitAt(bytes: Uint8Array, bit: number): number {
  return (bytes[bit >> 3]! >> (7 - (bit & 7))) & 1;
}

function sixBits(bytes: Uint8Array, bit: number): number {
  let value = 0;
  for (let i = 0; i < 6; i++) value = (value << 1) | bitAt(bytes, bit + i);
  return value;
}
