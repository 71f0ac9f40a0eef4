/** Decoding of types without parts. */
import type { BitReader } from './bit-reader.ts';
import type { IntegerNode, RangeLayout, SizeLayout, StringNode } from './compile.ts';
import { assembled, generalLength, listLength } from './decode-length.ts';
import { oidText } from './oid.ts';
import type { BitString } from './types.ts';

/** X.691 11.5: a whole number of a known range. */
export function readRange(reader: BitReader, range: RangeLayout): number {
  let offset: number;
  if (range.form === 'bits') {
    offset = range.width === 0 ? 0 : reader.bits(range.width);
  } else if (range.form === 'octets') {
    offset = reader.number(range.width);
  } else {
    offset = readLong(reader, range.width);
  }
  if (offset > range.ub - range.lb) {
    reader.fail('range');
    return range.lb;
  }
  return range.lb + offset;
}

/** 11.5.7.4: the number of octets (1 .. most) as a range of its own, then as many octets. */
function readLong(reader: BitReader, most: number): number {
  let width = 0;
  while (1 << width < most) width++;
  const count = reader.bits(width) + 1;
  if (count > most) {
    reader.fail('length');
    return 0;
  }
  return reader.number(count);
}

/** Octets an unconstrained INTEGER may have: a signature's modulus is the longest that makes sense. */
const INTEGER_OCTETS = 512;

/** X.691 13. */
export function readInteger(reader: BitReader, node: IntegerNode): number | bigint {
  if (node.extensible && reader.bit() === 1) return readWhole(reader, undefined);
  return node.range === undefined ? readWhole(reader, node.lb) : readRange(reader, node.range);
}

/** Semi-constrained (unsigned offset from `lb`) or unconstrained (two's complement). */
function readWhole(reader: BitReader, lb: number | undefined): number | bigint {
  const length = generalLength(reader);
  if (length < 1 || length > INTEGER_OCTETS) {
    reader.fail('length');
    return 0;
  }
  if (length <= 6) {
    const value = reader.number(length);
    if (lb !== undefined) return lb + value;
    return value >= 2 ** (8 * length - 1) ? value - 2 ** (8 * length) : value;
  }
  const octets = reader.take(8 * length, true);
  let value = 0n;
  for (const octet of octets) value = (value << 8n) | BigInt(octet);
  if (lb !== undefined) value += BigInt(lb);
  else value = BigInt.asIntN(8 * length, value);
  const small = Number(value);
  return Number.isSafeInteger(small) ? small : value;
}

/** X.691 17. */
export function readOctets(reader: BitReader, size: SizeLayout): Uint8Array {
  if (size.fixed) return reader.take(8 * size.lb, size.lb > 2);
  const length = listLength(reader, size);
  if (length >= 0) return bounded(reader, length, size) ? reader.take(8 * length, true) : new Uint8Array(0);
  const whole = assembled(reader, -length);
  bounded(reader, whole.length, size);
  return whole;
}

/** X.691 16. */
export function readBits(reader: BitReader, size: SizeLayout): BitString {
  if (size.fixed) return { bits: size.lb, bytes: reader.take(size.lb, size.lb > 16) };
  let length = listLength(reader, size);
  if (length >= 0) {
    if (!bounded(reader, length, size)) length = 0;
    return { bits: length, bytes: reader.take(length, true) };
  }
  // fragments of 16K bits are whole octets
  const parts: number[] = [];
  let total = 0;
  while (reader.reason === undefined) {
    for (const octet of reader.take(Math.abs(length), true)) parts.push(octet);
    total += Math.abs(length);
    if (length >= 0) break;
    length = generalLength(reader);
  }
  bounded(reader, total, size);
  return { bits: total, bytes: Uint8Array.from(parts) };
}

function bounded(reader: BitReader, length: number, size: SizeLayout): boolean {
  if (length >= size.lb && (size.ub === undefined || length <= size.ub)) return true;
  reader.fail('length');
  return false;
}

/** X.691 30 (known multiplier) and 31 (GeneralString: octets, here one character each). */
export function readString(reader: BitReader, node: StringNode): string {
  const { size } = node;
  let out = '';
  let total = 0;
  let more = true;
  while (more && reader.reason === undefined) {
    let length = listLength(reader, size);
    more = length < 0;
    length = Math.abs(length);
    total += length;
    if (node.aligned && length > 0) reader.align();
    if (!reader.has(length * node.bits)) break;
    out += characters(reader, node, length);
  }
  if (reader.reason === undefined) bounded(reader, total, size);
  return out;
}

function characters(reader: BitReader, node: StringNode, length: number): string {
  let out = '';
  for (let i = 0; i < length; i++) {
    const raw = reader.bits(node.bits);
    const code = node.codes === undefined ? raw : (node.codes[raw] ?? -1);
    if (code < 0 || !node.allowed(code)) {
      reader.fail('alphabet');
      return out;
    }
    out += String.fromCharCode(code);
  }
  return out;
}

/** X.691 24: a length and the contents octets of BER (X.690 8.19). */
export function readOid(reader: BitReader): string {
  const length = generalLength(reader);
  if (length < 1 || length > 128) {
    reader.fail('length');
    return '';
  }
  const text = oidText(reader.take(8 * length, true));
  if (text === undefined) reader.fail('identifier');
  return text ?? '';
}
