/**
 * Meta message → octets (docs/meta-protocol.md, "Encoding").
 *
 *     +------+----------------------------+----------------------------------------+
 *     | type | call id (16) / exchange (4)| fields: code, length, value; ascending |
 *     +------+----------------------------+----------------------------------------+
 */
import { fromHex, latin1Bytes, utf8Bytes } from '../bytes/text.ts';
import { Writer } from '../bytes/writer.ts';
import type { Result } from '../machine/machine.ts';
import { fail, ok } from '../machine/machine.ts';
import { checkMessage } from './check.ts';
import type { FieldType, MessageValues } from './fields.ts';
import {
  DIGEST_ALGORITHMS,
  DIRECTIONS,
  EXCHANGE_KINDS,
  LAYOUT_BY_KIND,
  MEDIA_KINDS,
  NUMBER_TYPES,
  PRIVACIES,
  PROOF_STRINGS,
  SIDES,
} from './fields.ts';
import type { DigestProof, Format, MediaExchange, MetaError, MetaMessage, Party, Stream } from './message.ts';
import { FORMAT_NAMES, META_LIMITS, META_VERSION, PARAMETER_NAMES } from './message.ts';

/**
 * Encodes for the negotiated minor version; fields that are newer are left out.
 * Throws RangeError where the message cannot be carried: a bug of the caller. Use `tryEncodeMeta` for messages that hold
 * what a foreign leg said.
 */
export function encodeMeta(message: MetaMessage, minor: number, writer?: Writer): Uint8Array {
  const result = tryEncodeMeta(message, minor, writer);
  if (!result.ok) throw new RangeError(`meta ${message.kind}: ${result.error.reason} ${result.error.field}`);
  return result.value;
}

/** As `encodeMeta`, but says what cannot be carried. `writer` (reset first) saves an allocation; the result is a copy. */
export function tryEncodeMeta(
  message: MetaMessage,
  minor: number,
  writer: Writer = new Writer(256),
): Result<Uint8Array, MetaError> {
  if (minor < 0 || minor > META_VERSION.minor) return fail({ reason: 'version', offset: 0, field: 'minor' });
  const problem = checkMessage(message, minor);
  if (problem !== undefined) return fail({ ...problem, offset: 0 });
  const layout = LAYOUT_BY_KIND.get(message.kind)!;
  const values = message as unknown as MessageValues;
  writer.reset();
  writer.u8(layout.code);
  if (layout.head === 'call') writer.raw(fromHex(values.call as string)!);
  else writer.u32(values.exchange as number);
  for (const field of layout.fields) {
    const value = values[field.name];
    if (value === undefined || field.since > minor) continue;
    writer.u8(field.code);
    writeValue(writer, field.type, value);
  }
  if (writer.length > META_LIMITS.messageBytes) {
    return fail({ reason: 'limit', offset: META_LIMITS.messageBytes, field: 'message' });
  }
  return ok(writer.bytes());
}

/** 0..127 in one octet, up to 32767 in two with the top bit set. */
function writeLength(writer: Writer, length: number): void {
  if (length < 0x80) writer.u8(length);
  else writer.u16(0x8000 | length);
}

function writeValue(writer: Writer, type: FieldType, value: unknown): void {
  switch (type.type) {
    case 'integer':
      writer.u8(type.octets);
      writeInteger(writer, type.octets, value as number);
      break;
    case 'choice':
      writer.u8(1);
      writer.u8(type.values.indexOf(value as string));
      break;
    case 'flag':
      writer.u8(1);
      writer.u8(value === true ? 1 : 0);
      break;
    case 'digit':
      writer.u8(1);
      writer.u8((value as string).charCodeAt(0));
      break;
    case 'call':
      writer.u8(16);
      writer.raw(fromHex(value as string)!);
      break;
    case 'ascii':
      writeBytes(writer, latin1Bytes(value as string));
      break;
    case 'party':
      writeBytes(writer, partyBytes(value as Party));
      break;
    case 'media':
      writeBytes(writer, mediaBytes(value as MediaExchange));
      break;
    case 'proof':
      writeBytes(writer, proofBytes(value as DigestProof));
      break;
  }
}

function writeInteger(writer: Writer, octets: 1 | 2 | 4, value: number): void {
  if (octets === 1) writer.u8(value);
  else if (octets === 2) writer.u16(value);
  else writer.u32(value);
}

function writeBytes(writer: Writer, bytes: Uint8Array): void {
  writeLength(writer, bytes.length);
  writer.raw(bytes);
}

/**
 *      7   6   5   4   3   2   1   0
 *     +---+---+---+-------+-----------+
 *     | 0 | D | V | privcy| num. type |  D: display name follows, V: verified
 *     +---+---+---+-------+-----------+  then number, then display name, each with its length
 */
function partyBytes(party: Party): Uint8Array {
  const writer = new Writer(64);
  const display = party.displayName === undefined ? undefined : utf8Bytes(party.displayName);
  writer.u8(
    NUMBER_TYPES.indexOf(party.numberType) |
      (PRIVACIES.indexOf(party.privacy) << 3) |
      (party.verified ? 0x20 : 0) |
      (display === undefined ? 0 : 0x40),
  );
  writeBytes(writer, latin1Bytes(party.number));
  if (display !== undefined) writeBytes(writer, display);
  return writer.bytes();
}

/** Octet: kind (bits 0-1), by (bit 2); number (2), branch (2); then cause (1), or stream count (1) and streams. */
function mediaBytes(exchange: MediaExchange): Uint8Array {
  const writer = new Writer(128);
  writer.u8(EXCHANGE_KINDS.indexOf(exchange.kind) | (SIDES.indexOf(exchange.by) << 2));
  writer.u16(exchange.number);
  writer.u16(exchange.branch);
  if (exchange.kind === 'refuse') {
    writer.u8(exchange.cause);
  } else {
    writer.u8(exchange.streams.length);
    for (const stream of exchange.streams) writeStream(writer, stream);
  }
  return writer.bytes();
}

/** Octet: index (bits 0-2), kind (3-4), direction (5-6), refused (7); packet time (1, 0: none); format count (1); formats. */
function writeStream(writer: Writer, stream: Stream): void {
  writer.u8(
    stream.index |
      (MEDIA_KINDS.indexOf(stream.kind) << 3) |
      (DIRECTIONS.indexOf(stream.direction) << 5) |
      (stream.refused ? 0x80 : 0),
  );
  writer.u8(stream.packetTime ?? 0);
  writer.u8(stream.formats.length);
  for (const format of stream.formats) writeFormat(writer, format);
}

/** Octet: id (bits 0-4), channels - 1 (bit 5); name (1); clock rate (3); parameter count (1); parameters. */
function writeFormat(writer: Writer, format: Format): void {
  writer.u8(format.id | ((format.channels - 1) << 5));
  writer.u8(FORMAT_NAMES.indexOf(format.name));
  writer.u8(format.clockRate >> 16);
  writer.u16(format.clockRate & 0xffff);
  writer.u8(format.parameters.length);
  for (const { name, value } of format.parameters) {
    writer.u8(PARAMETER_NAMES.indexOf(name));
    writeBytes(writer, latin1Bytes(value));
  }
}

/** Algorithm (1), nonce count (4), then the strings in the order of PROOF_STRINGS, each with its length. */
function proofBytes(proof: DigestProof): Uint8Array {
  const writer = new Writer(256);
  writer.u8(DIGEST_ALGORITHMS.indexOf(proof.algorithm));
  writer.u32(proof.nonceCount);
  for (const name of PROOF_STRINGS) writeBytes(writer, latin1Bytes(proof[name]));
  return writer.bytes();
}
