/** Length determinants (X.691 11.9) and contents in fragments. */
import type { BitReader } from './bit-reader.ts';
import type { SizeLayout } from './compile.ts';
import { readRange } from './decode-simple.ts';

/** Unconstrained length (11.9.3.5 to .8): n, or -n for a fragment of n (a multiple of 16K) after which another length follows. */
export function generalLength(reader: BitReader): number {
  const first = reader.number(1);
  if (first < 0x80) return first;
  if (first < 0xc0) return (first & 0x3f) * 256 + reader.number(1);
  const pieces = first & 0x3f;
  if (pieces < 1 || pieces > 4) {
    reader.fail('length');
    return 0;
  }
  return -16_384 * pieces;
}

/** The length of a value of this size; negative as above. */
export function listLength(reader: BitReader, size: SizeLayout): number {
  if (size.fixed) return size.lb;
  return size.range === undefined ? generalLength(reader) : readRange(reader, size.range);
}

/** Octets in fragments, the first of which (with its length read already) has `first` octets. */
export function assembled(reader: BitReader, first: number): Uint8Array {
  const parts: Uint8Array[] = [];
  let total = 0;
  let length = -first;
  while (reader.reason === undefined) {
    const part = reader.take(8 * Math.abs(length), true);
    parts.push(part);
    total += part.length;
    if (length >= 0) break;
    length = generalLength(reader);
  }
  const out = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
