/** Encoding of types without parts. Values that do not fit throw PerEncodeError. */
import type { BitWriter } from './bit-writer.ts';
import type { IntegerNode, RangeLayout, SizeLayout, StringNode } from './compile.ts';
import { PerEncodeError } from './encode-error.ts';
import { oidOctets } from './oid.ts';
import type { BitString } from './types.ts';

/** X.691 11.5: a whole number of a known range. */
export function writeRange(out: BitWriter, range: RangeLayout, value: number): void {
  if (!Number.isInteger(value) || value < range.lb || value > range.ub) {
    throw new PerEncodeError(`${value} is outside ${range.lb}..${range.ub}`);
  }
  const offset = value - range.lb;
  if (range.form === 'bits') {
    out.bits(offset, range.width);
  } else if (range.form === 'octets') {
    out.number(offset, range.width);
  } else {
    let count = 1;
    while (offset >= 256 ** count) count++;
    let width = 0;
    while (1 << width < range.width) width++;
    out.bits(count - 1, width);
    out.number(offset, count);
  }
}

/** X.691 11.9.3.5 to .7: below 16K. */
export function writeShortLength(out: BitWriter, length: number): void {
  if (length < 0x80) out.number(length, 1);
  else out.number(0x8000 + length, 2);
}

/** A value of `length` units with this size: the determinant(s), and `emit` for each stretch of units (11.9). */
export function writeSized(
  out: BitWriter,
  size: SizeLayout,
  length: number,
  emit: (from: number, to: number) => void,
): void {
  if (length < size.lb || (size.ub !== undefined && length > size.ub)) {
    throw new PerEncodeError(`size ${length} is outside ${size.lb}..${size.ub ?? 'MAX'}`);
  }
  if (size.fixed) return emit(0, length);
  if (size.range !== undefined) {
    writeRange(out, size.range, length);
    return emit(0, length);
  }
  let from = 0;
  while (length - from >= 16_384) {
    const pieces = Math.min(4, Math.floor((length - from) / 16_384)); // 11.9.3.8: the largest fragments first
    out.number(0xc0 + pieces, 1);
    emit(from, from + 16_384 * pieces);
    from += 16_384 * pieces;
  }
  writeShortLength(out, length - from);
  emit(from, length);
}

const UNBOUNDED: SizeLayout = { lb: 0, ub: undefined, fixed: false, range: undefined };

/** A general length and octets: an open type's contents. */
export function writeOpenOctets(out: BitWriter, bytes: Uint8Array): void {
  writeOctets(out, UNBOUNDED, bytes);
}

/** X.691 13. */
export function writeInteger(out: BitWriter, node: IntegerNode, value: unknown): void {
  if (typeof value !== 'bigint' && (typeof value !== 'number' || !Number.isSafeInteger(value))) {
    throw new PerEncodeError(`not an integer: ${String(value)}`);
  }
  if (node.range !== undefined) {
    const inside = value >= node.range.lb && value <= node.range.ub;
    if (node.extensible) out.bit(!inside);
    if (inside || !node.extensible) return writeRange(out, node.range, Number(value));
  }
  if (node.range === undefined && node.lb !== undefined && value < node.lb) {
    throw new PerEncodeError(`${value} is below ${node.lb}`);
  }
  const offset = node.range === undefined ? node.lb : undefined;
  const octets = offset === undefined ? signed(BigInt(value)) : unsigned(BigInt(value) - BigInt(offset));
  writeOpenOctets(out, octets);
}

function unsigned(value: bigint): Uint8Array {
  const out: number[] = [];
  let left = value;
  do {
    out.unshift(Number(left & 0xffn));
    left >>= 8n;
  } while (left > 0n);
  return Uint8Array.from(out);
}

/** Two's complement in the fewest octets. */
function signed(value: bigint): Uint8Array {
  let length = 1;
  while (BigInt.asIntN(8 * length, value) !== value) length++;
  const out = new Uint8Array(length);
  let left = value;
  for (let i = length - 1; i >= 0; i--) {
    out[i] = Number(left & 0xffn);
    left >>= 8n;
  }
  return out;
}

/** X.691 17. */
export function writeOctets(out: BitWriter, size: SizeLayout, value: unknown): void {
  if (!(value instanceof Uint8Array)) throw new PerEncodeError('not octets');
  const aligned = !size.fixed || size.lb > 2;
  writeSized(out, size, value.length, (from, to) =>
    out.put(value.subarray(from, to), 8 * (to - from), aligned),
  );
}

/** X.691 16. */
export function writeBits(out: BitWriter, size: SizeLayout, value: unknown): void {
  const { bits, bytes } = (value ?? {}) as Partial<BitString>;
  if (bits === undefined || !(bytes instanceof Uint8Array) || bytes.length !== (bits + 7) >> 3) {
    throw new PerEncodeError('not a bit string');
  }
  const aligned = !size.fixed || size.lb > 16;
  writeSized(out, size, bits, (from, to) => out.put(bytes.subarray(from >> 3), to - from, aligned));
}

/** X.691 30 and 31. */
export function writeString(out: BitWriter, node: StringNode, value: unknown): void {
  if (typeof value !== 'string') throw new PerEncodeError('not a string');
  writeSized(out, node.size, value.length, (from, to) => {
    if (node.aligned && to > from) out.align();
    for (let i = from; i < to; i++) {
      const code = value.charCodeAt(i);
      if (!node.allowed(code)) throw new PerEncodeError(`character ${code} is not of the alphabet`);
      out.bits(node.codes === undefined ? code : node.codes.indexOf(code), node.bits);
    }
  });
}

/** X.691 24. */
export function writeOid(out: BitWriter, value: unknown): void {
  const octets = typeof value === 'string' ? oidOctets(value) : undefined;
  if (octets === undefined) throw new PerEncodeError(`not an object identifier: ${String(value)}`);
  writeOpenOctets(out, octets);
}
