/** Octets → value, by a compiled type (X.691, basic aligned PER). Bounded, never throws. */
import type { Result } from '../../machine/machine.ts';
import { fail, ok } from '../../machine/machine.ts';
import type { PerError } from './bit-reader.ts';
import { BitReader } from './bit-reader.ts';
import type { ChoiceNode, EnumeratedNode, OfNode, PerType, SequenceNode, TypeNode } from './compile.ts';
import { assembled, generalLength, listLength } from './decode-length.ts';
import { readBits, readInteger, readOctets, readOid, readRange, readString } from './decode-simple.ts';

export interface DecodeLimits {
  /** Octets of the whole encoding. */
  readonly bytes: number;
  /** Constructed types and open types inside each other. */
  readonly depth: number;
  /** Elements of all SEQUENCE OF and SET OF together: those of NULL cost no bits. */
  readonly elements: number;
  /** Extension additions one SEQUENCE may announce. */
  readonly additions: number;
}

/** A TPKT carries no more octets; real messages are within a tenth of the rest. */
export const DECODE_LIMITS: DecodeLimits = { bytes: 65_531, depth: 48, elements: 8192, additions: 256 };

/** What was not understood and skipped; filled while decoding. */
export class DecodeReport {
  /** Extension additions, CHOICE alternatives and ENUMERATED items that our edition does not know. */
  unknown = 0;
  /** Octets of known additions behind the value: a sender with a later edition, or a sloppy one. */
  surplusOctets = 0;
  /** Size of each extension bitmap in order: the sender's edition, for a byte-exact repetition by encodePer. */
  readonly bitmaps: number[] = [];
}

export class Decoding {
  readonly reader: BitReader;
  readonly limits: DecodeLimits;
  readonly report: DecodeReport;
  depth = 0;
  elements = 0;

  constructor(reader: BitReader, limits: DecodeLimits, report: DecodeReport) {
    this.reader = reader;
    this.limits = limits;
    this.report = report;
  }
}

/**
 * Decodes exactly one complete encoding that fills `bytes`. Extension additions the type does not know are skipped and counted,
 * additions the sender's edition lacks are absent, padding bits may be anything.
 */
export function decodePer<T>(
  type: PerType<T>,
  bytes: Uint8Array,
  limits: DecodeLimits = DECODE_LIMITS,
  report: DecodeReport = new DecodeReport(),
): Result<T, PerError> {
  if (bytes.length > limits.bytes) return fail({ reason: 'bytes', bit: 8 * limits.bytes, path: type.name });
  const reader = new BitReader(bytes);
  const value = decodeNode(new Decoding(reader, limits, report), type.node);
  reader.align();
  if (reader.pos === 0) reader.bits(8); // X.691 11.1.3: no bits at all are sent as one octet
  if (reader.pos < reader.end) reader.fail('trailing');
  if (reader.reason === undefined) return ok(value as T);
  reader.within(type.name);
  return fail({ reason: reader.reason, bit: reader.failedAt, path: reader.path });
}

function decodeNode(at: Decoding, node: TypeNode): unknown {
  const { reader } = at;
  switch (node.kind) {
    case 'boolean':
      return reader.bit() === 1;
    case 'null':
      return null;
    case 'integer':
      return readInteger(reader, node);
    case 'octets':
      return readOctets(reader, node.size);
    case 'string':
      return readString(reader, node);
    case 'bits':
      return readBits(reader, node.size);
    case 'oid':
      return readOid(reader);
    case 'open':
      return openOctets(reader);
    case 'enumerated':
      return decodeEnumerated(at, node);
    default:
      break;
  }
  if (++at.depth > at.limits.depth) {
    reader.fail('depth');
    return undefined;
  }
  const value =
    node.kind === 'sequence'
      ? decodeSequence(at, node)
      : node.kind === 'choice'
        ? decodeChoice(at, node)
        : decodeList(at, node);
  at.depth--;
  return value;
}

function decodeEnumerated(at: Decoding, node: EnumeratedNode): string {
  const { reader } = at;
  if (node.additions === undefined || reader.bit() === 0) {
    const index = readRange(reader, node.index);
    return node.root[index] ?? 'unknown';
  }
  const name = node.additions[smallNumber(reader)];
  if (name === undefined) at.report.unknown++;
  return name ?? 'unknown';
}

/** X.691 19: extension bit, a bit per OPTIONAL, the root, then the additions as open types behind a bitmap. */
function decodeSequence(at: Decoding, node: SequenceNode): Record<string, unknown> {
  const { reader } = at;
  const extended = node.additions !== undefined && reader.bit() === 1;
  const value: Record<string, unknown> = {};
  let presenceAt = reader.pos;
  reader.pos += node.optionals.length;
  reader.has(0);
  for (const field of node.root) {
    if (field.optional) {
      const present = (reader.bytes[presenceAt >> 3]! >> (7 - (presenceAt & 7))) & 1;
      presenceAt++;
      if (present === 0) continue;
    }
    value[field.name] = decodeNode(at, field.type);
    if (reader.reason !== undefined) {
      reader.within(field.name);
      return value;
    }
  }
  if (extended) decodeAdditions(at, node, value);
  return value;
}

function decodeAdditions(at: Decoding, node: SequenceNode, value: Record<string, unknown>): void {
  const { reader } = at;
  // 19.8: n - 1 is a normally small length; above 64 a general length n
  const count = reader.bit() === 0 ? reader.bits(6) + 1 : generalLength(reader);
  if (count < 1 || count > at.limits.additions) {
    reader.fail('additions');
    return;
  }
  at.report.bitmaps.push(count);
  let presenceAt = reader.pos;
  reader.pos += count;
  if (!reader.has(0)) return;
  for (let i = 0; i < count; i++, presenceAt++) {
    if (((reader.bytes[presenceAt >> 3]! >> (7 - (presenceAt & 7))) & 1) === 0) continue;
    const addition = node.additions![i];
    if (addition === undefined) {
      skipOpen(reader);
      at.report.unknown++;
    } else {
      const inner = decodeOpen(at, addition.type);
      if (addition.name === '') Object.assign(value, inner);
      else value[addition.name] = inner;
    }
    if (reader.reason !== undefined) {
      reader.within(addition?.name || `addition ${i}`);
      return;
    }
  }
}

/** X.691 23: index of the root alternative, or a normally small number and an open type. */
function decodeChoice(at: Decoding, node: ChoiceNode): { choice: string; value: unknown } | undefined {
  const { reader } = at;
  if (node.additions === undefined || reader.bit() === 0) {
    const alternative = node.root[readRange(reader, node.index)];
    if (alternative === undefined || reader.reason !== undefined) {
      reader.fail('range');
      return undefined;
    }
    const value = decodeNode(at, alternative.type);
    if (reader.reason !== undefined) reader.within(alternative.name);
    return { choice: alternative.name, value };
  }
  const index = smallNumber(reader);
  const alternative = node.additions[index];
  if (alternative === undefined) {
    at.report.unknown++;
    return { choice: 'unknown', value: { index, bytes: openOctets(reader) } };
  }
  const value = decodeOpen(at, alternative.type);
  if (reader.reason !== undefined) reader.within(alternative.name);
  return { choice: alternative.name, value };
}

function decodeList(at: Decoding, node: OfNode): unknown[] {
  const { reader } = at;
  const value: unknown[] = [];
  for (let more = true; more && reader.reason === undefined; ) {
    let count = listLength(reader, node.size);
    more = count < 0; // a fragment, another length follows
    count = Math.abs(count);
    at.elements += count;
    if (at.elements > at.limits.elements) reader.fail('elements');
    for (let i = 0; i < count && reader.reason === undefined; i++) {
      value.push(decodeNode(at, node.item));
      if (reader.reason !== undefined) reader.within(`[${value.length - 1}]`);
    }
  }
  if (value.length < node.size.lb || (node.size.ub !== undefined && value.length > node.size.ub)) {
    reader.fail('length');
  }
  return value;
}

/** X.691 11.6: normally small non-negative whole number. */
function smallNumber(reader: BitReader): number {
  if (reader.bit() === 0) return reader.bits(6);
  const length = generalLength(reader);
  if (length < 1 || length > 4) {
    reader.fail('range');
    return 0;
  }
  return reader.number(length);
}

/** A complete encoding inside an open type (X.691 11.2): its own end, the alignment of the octets around it. */
function decodeOpen(at: Decoding, node: TypeNode): unknown {
  const { reader } = at;
  const length = generalLength(reader);
  if (length < 0) return decodeAssembled(at, node, assembled(reader, -length));
  const outerEnd = reader.end;
  const start = reader.pos;
  const end = start + 8 * length;
  if (!reader.has(8 * length)) return undefined;
  reader.end = end;
  const value = decodeNode(at, node);
  reader.end = outerEnd;
  if (reader.reason !== undefined) return value;
  noteSurplus(at, reader.pos, start, end);
  reader.pos = end;
  return value;
}

function noteSurplus(at: Decoding, pos: number, start: number, end: number): void {
  const used = pos === start ? 8 : (pos + 7) & ~7;
  if (end > Math.max(used, start + 8)) at.report.surplusOctets += (end - Math.max(used, start + 8)) >> 3;
}

function decodeAssembled(at: Decoding, node: TypeNode, bytes: Uint8Array): unknown {
  if (at.reader.reason !== undefined) return undefined;
  const inner = new Decoding(new BitReader(bytes), at.limits, at.report);
  inner.depth = at.depth;
  inner.elements = at.elements;
  const value = decodeNode(inner, node);
  at.elements = inner.elements;
  if (inner.reader.reason !== undefined) {
    at.reader.fail(inner.reader.reason);
    at.reader.path = inner.reader.path;
  }
  noteSurplus(at, inner.reader.pos, 0, inner.reader.end);
  return value;
}

function openOctets(reader: BitReader): Uint8Array {
  const length = generalLength(reader);
  return length < 0 ? assembled(reader, -length) : reader.take(8 * length, true);
}

function skipOpen(reader: BitReader): void {
  const length = generalLength(reader);
  if (length < 0) assembled(reader, -length);
  else if (reader.has(8 * length)) reader.pos += 8 * length;
}
