/** Value → octets, by a compiled type (X.691, basic aligned PER). */
import { BitWriter } from './bit-writer.ts';
import type { AdditionNode, ChoiceNode, EnumeratedNode, PerType, SequenceNode, TypeNode } from './compile.ts';
import { PerEncodeError } from './encode-error.ts';
import {
  writeBits,
  writeInteger,
  writeOctets,
  writeOid,
  writeOpenOctets,
  writeRange,
  writeShortLength,
  writeSized,
  writeString,
} from './encode-simple.ts';

type Fields = Readonly<Record<string, unknown>>;

/** `bitmaps`: sizes of extension bitmaps still to come; without it each SEQUENCE announces all additions it knows. */
class Encoding {
  readonly out = new BitWriter();
  readonly bitmaps: number[] | undefined;

  constructor(bitmaps: readonly number[] | undefined) {
    this.bitmaps = bitmaps && [...bitmaps];
  }
}

/**
 * The complete encoding of `value`. Throws PerEncodeError where it is no value of the type: what comes from a peer is checked
 * before. `bitmaps` (DecodeReport.bitmaps of a message decoded by this same type) repeats the edition of that message's sender.
 */
export function encodePer<T>(type: PerType<T>, value: T, bitmaps?: readonly number[]): Uint8Array {
  const at = new Encoding(bitmaps);
  try {
    encodeNode(at, type.node, value);
  } catch (error) {
    if (error instanceof PerEncodeError) {
      error.within(type.name);
      error.message = `${error.path}: ${error.message}`;
    }
    throw error;
  }
  return at.out.pos === 0 ? new Uint8Array(1) : at.out.bytes(); // X.691 11.1.3
}

function encodeNode(at: Encoding, node: TypeNode, value: unknown): void {
  const { out } = at;
  switch (node.kind) {
    case 'boolean':
      if (typeof value !== 'boolean') throw new PerEncodeError('not a boolean');
      return out.bit(value);
    case 'null':
      if (value !== null) throw new PerEncodeError('not null');
      return;
    case 'integer':
      return writeInteger(out, node, value);
    case 'octets':
      return writeOctets(out, node.size, value);
    case 'string':
      return writeString(out, node, value);
    case 'bits':
      return writeBits(out, node.size, value);
    case 'oid':
      return writeOid(out, value);
    case 'open':
      if (!(value instanceof Uint8Array) || value.length === 0) throw new PerEncodeError('not an encoding');
      return writeOpenOctets(out, value);
    case 'enumerated':
      return encodeEnumerated(at, node, value);
    case 'sequence':
      return encodeSequence(at, node, value);
    case 'choice':
      return encodeChoice(at, node, value);
    default:
      break;
  }
  if (!Array.isArray(value)) throw new PerEncodeError('not an array');
  writeSized(out, node.size, value.length, (from, to) => {
    for (let i = from; i < to; i++) encodePart(at, node.item, value[i], `[${i}]`);
  });
}

/** Says which part was wrong. */
function encodePart(at: Encoding, node: TypeNode, value: unknown, name: string): void {
  try {
    encodeNode(at, node, value);
  } catch (error) {
    throw error instanceof PerEncodeError ? error.within(name) : error;
  }
}

function encodeEnumerated(at: Encoding, node: EnumeratedNode, value: unknown): void {
  const index = node.root.indexOf(value as string);
  if (node.additions !== undefined) at.out.bit(index < 0);
  if (index >= 0) return writeRange(at.out, node.index, index);
  const addition = node.additions?.indexOf(value as string) ?? -1;
  if (addition < 0) throw new PerEncodeError(`no such enumeration item: ${String(value)}`);
  writeSmallNumber(at.out, addition);
}

/** X.691 19. */
function encodeSequence(at: Encoding, node: SequenceNode, value: unknown): void {
  if (typeof value !== 'object' || value === null) throw new PerEncodeError('not an object');
  const fields = value as Fields;
  const { out } = at;
  const extended = node.additions?.some((a) => isPresent(a, fields)) ?? false;
  if (node.additions !== undefined) out.bit(extended);
  for (const field of node.optionals) out.bit(fields[field.name] !== undefined);
  for (const field of node.root) {
    const part = fields[field.name];
    if (part !== undefined) encodePart(at, field.type, part, field.name);
    else if (!field.optional) throw new PerEncodeError('missing').within(field.name);
  }
  if (extended) encodeAdditions(at, node.additions!, fields);
}

function isPresent(addition: AdditionNode, fields: Fields): boolean {
  if (addition.name !== '') return fields[addition.name] !== undefined;
  return addition.type.kind === 'sequence' && addition.type.root.some((f) => fields[f.name] !== undefined);
}

function encodeAdditions(at: Encoding, additions: readonly AdditionNode[], fields: Fields): void {
  const { out } = at;
  const last = additions.findLastIndex((a) => isPresent(a, fields));
  const count = Math.max(last + 1, at.bitmaps?.shift() ?? additions.length);
  if (count <= 64) {
    out.bits(count - 1, 7); // 19.8, 11.9.3.4: normally small length
  } else {
    out.bit(true);
    writeShortLength(out, count);
  }
  for (let i = 0; i < count; i++) out.bit(i <= last && isPresent(additions[i]!, fields));
  for (const addition of additions) {
    if (!isPresent(addition, fields)) continue;
    encodeOpen(at, addition.type, addition.name === '' ? fields : fields[addition.name], addition.name);
  }
}

/** X.691 23. */
function encodeChoice(at: Encoding, node: ChoiceNode, value: unknown): void {
  const { choice, value: part } = (value ?? {}) as { readonly choice?: string; readonly value?: unknown };
  const index = choice === undefined ? undefined : node.byName.get(choice);
  if (choice === 'unknown' && node.additions !== undefined && index === undefined) {
    return encodeUnknown(at, part);
  }
  if (index === undefined) throw new PerEncodeError(`no such alternative: ${String(choice)}`);
  const root = node.root[index];
  if (node.additions !== undefined) at.out.bit(root === undefined);
  if (root !== undefined) {
    writeRange(at.out, node.index, index);
    return encodePart(at, root.type, part, root.name);
  }
  const addition = node.additions![index - node.root.length]!;
  writeSmallNumber(at.out, index - node.root.length);
  encodeOpen(at, addition.type, part, addition.name);
}

function encodeUnknown(at: Encoding, part: unknown): void {
  const { index, bytes } = (part ?? {}) as { readonly index?: number; readonly bytes?: Uint8Array };
  if (index === undefined || bytes === undefined) throw new PerEncodeError('not an unknown alternative');
  at.out.bit(true);
  writeSmallNumber(at.out, index);
  writeOpenOctets(at.out, bytes);
}

/** X.691 11.6. */
function writeSmallNumber(out: BitWriter, value: number): void {
  if (value < 64) return out.bits(value, 7);
  out.bit(true);
  const count = value < 0x100 ? 1 : value < 0x1_0000 ? 2 : 4;
  out.number(count, 1);
  out.number(value, count);
}

/** X.691 11.2: in place behind one octet of length; a longer length is put in afterwards. */
function encodeOpen(at: Encoding, node: TypeNode, value: unknown, name: string): void {
  const { out } = at;
  out.align();
  const lengthAt = out.pos >> 3;
  out.number(0, 1);
  const start = out.pos;
  encodePart(at, node, value, name);
  if (out.pos === start) out.number(0, 1); // 11.1.3
  out.align();
  const length = (out.pos - start) >> 3;
  if (length < 0x80) {
    out.patch(lengthAt, length);
  } else if (length < 16_384) {
    out.insert(lengthAt, 0x80 | (length >> 8));
    out.patch(lengthAt + 1, length & 0xff);
  } else {
    const contents = out.cut(lengthAt).subarray(1);
    writeOpenOctets(out, contents);
  }
}
