/**
 * Octets → Meta message. Strict: whatever encode.ts would not have written is refused, so that one message has one
 * encoding and a hostile gateway has nothing to play with. Never throws.
 */
import { Reader } from '../bytes/reader.ts';
import { latin1Text, toHex, utf8Text } from '../bytes/text.ts';
import type { Result, Writable } from '../machine/machine.ts';
import { fail, ok } from '../machine/machine.ts';
import { checkMessage } from './check.ts';
import type { Field, FieldType, MessageLayout, MessageValues } from './fields.ts';
import {
  DIGEST_ALGORITHMS,
  DIRECTIONS,
  EXCHANGE_KINDS,
  LAYOUT_BY_CODE,
  MEDIA_KINDS,
  NUMBER_TYPES,
  PRIVACIES,
  PROOF_STRINGS,
  SIDES,
} from './fields.ts';
import type {
  Format,
  FormatParameter,
  MediaExchange,
  MetaError,
  MetaMessage,
  Party,
  Stream,
} from './message.ts';
import { FORMAT_NAMES, META_LIMITS, META_VERSION, PARAMETER_NAMES } from './message.ts';

type Reason = MetaError['reason'];

/** Reads on; the first thing found wrong is kept, and everything after it reads as nothing. */
class Input {
  readonly reader: Reader;
  error: MetaError | undefined;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.reader = new Reader(bytes, start, end);
  }

  refuse(reason: Reason, field: string): void {
    this.error ??= { reason, offset: this.reader.offset, field };
    this.reader.failed = true;
  }

  length(field: string): number {
    const first = this.reader.u8();
    if (first < 0x80) return first;
    const length = ((first & 0x7f) << 8) | this.reader.u8();
    if (length < 0x80 && !this.reader.failed) this.refuse('not-canonical', field);
    return length;
  }

  choice<T>(values: readonly T[], index: number, field: string): T {
    if (index >= values.length) this.refuse('value', field);
    return values[index] ?? values[0]!;
  }

  ascii(field: string): string {
    return latin1Text(this.reader.raw(this.length(field)));
  }
}

/** Decodes exactly one message that fills `bytes`. `minor`: the negotiated minor version. */
export function decodeMeta(bytes: Uint8Array, minor: number): Result<MetaMessage, MetaError> {
  if (minor < 0 || minor > META_VERSION.minor) return fail({ reason: 'version', offset: 0, field: 'minor' });
  if (bytes.length > META_LIMITS.messageBytes) {
    return fail({ reason: 'limit', offset: META_LIMITS.messageBytes, field: 'message' });
  }
  const input = new Input(bytes, 0, bytes.length);
  const layout = LAYOUT_BY_CODE.get(input.reader.u8());
  if (bytes.length === 0) return fail({ reason: 'truncated', offset: 0, field: 'kind' });
  if (layout === undefined || layout.since > minor) return fail({ reason: 'type', offset: 0, field: 'kind' });
  const values: MessageValues = { kind: layout.kind };
  if (layout.head === 'call') values.call = toHex(input.reader.raw(16));
  else values.exchange = input.reader.u32();
  if (input.reader.failed) return fail({ reason: 'truncated', offset: 1, field: layout.head });
  readFields(input, layout, minor, values);
  if (input.error !== undefined) return fail(input.error);
  if (input.reader.failed)
    return fail({ reason: 'truncated', offset: input.reader.offset, field: 'message' });
  const message = values as unknown as MetaMessage;
  const problem = checkMessage(message, minor);
  return problem === undefined ? ok(message) : fail({ ...problem, offset: bytes.length });
}

function readFields(input: Input, layout: MessageLayout, minor: number, values: MessageValues): void {
  let next = 0; // position in the layout: what was passed over cannot come any more
  while (input.reader.remaining > 0 && !input.reader.failed) {
    const code = input.reader.u8();
    const at = layout.fields.findIndex((f, i) => i >= next && f.code === code && f.since <= minor);
    if (at < 0) {
      const known = layout.fields.some((f) => f.code === code && f.since <= minor);
      input.refuse(known ? 'not-canonical' : 'type', `field ${code}`);
      return;
    }
    const field = layout.fields[at]!;
    next = at + 1;
    values[field.name] = readField(input, field);
  }
}

function readField(input: Input, field: Field): unknown {
  const length = input.length(field.name);
  if (length > input.reader.remaining) {
    input.refuse('truncated', field.name);
    return undefined;
  }
  const end = input.reader.offset + length;
  const inner = new Input(input.reader.bytes, input.reader.offset, end);
  const value = readValue(inner, field.type, field.name);
  if (inner.error === undefined && inner.reader.failed) inner.refuse('truncated', field.name);
  if (inner.error === undefined && inner.reader.remaining > 0) inner.refuse('trailing', field.name);
  if (inner.error !== undefined) {
    input.error = inner.error;
    input.reader.failed = true;
  } else {
    input.reader.raw(length);
  }
  return value;
}

function readValue(input: Input, type: FieldType, name: string): unknown {
  const { reader } = input;
  switch (type.type) {
    case 'integer':
      return type.octets === 1 ? reader.u8() : type.octets === 2 ? reader.u16() : reader.u32();
    case 'choice':
      return input.choice(type.values, reader.u8(), name);
    case 'flag':
      return input.choice([false, true], reader.u8(), name);
    case 'digit':
      return String.fromCharCode(reader.u8());
    case 'call':
      return toHex(reader.raw(16));
    case 'ascii':
      return latin1Text(reader.raw(reader.remaining));
    case 'party':
      return readParty(input, name);
    case 'media':
      return readMedia(input);
    case 'proof':
      return readProof(input);
  }
}

function readParty(input: Input, name: string): Party {
  const flags = input.reader.u8();
  if ((flags & 0x80) !== 0) input.refuse('not-canonical', name);
  const party: Writable<Party> = {
    number: input.ascii(name),
    numberType: input.choice(NUMBER_TYPES, flags & 7, name),
    privacy: input.choice(PRIVACIES, (flags >> 3) & 3, name),
    verified: (flags & 0x20) !== 0,
  };
  if ((flags & 0x40) === 0) return party;
  const displayName = utf8Text(input.reader.raw(input.length(name)));
  if (displayName === undefined) {
    input.refuse('value', `${name}.displayName`);
    return party;
  }
  party.displayName = displayName;
  return party;
}

function readMedia(input: Input): MediaExchange {
  const { reader } = input;
  const flags = reader.u8();
  if (flags > 7) input.refuse('not-canonical', 'media');
  const kind = input.choice(EXCHANGE_KINDS, flags & 3, 'media.kind');
  const by = input.choice(SIDES, (flags >> 2) & 1, 'media.by');
  const number = reader.u16();
  const branch = reader.u16();
  if (kind === 'refuse') return { kind, by, number, branch, cause: reader.u8() };
  const count = reader.u8();
  if (count > META_LIMITS.streams) input.refuse('limit', 'media.streams');
  const streams: Stream[] = [];
  for (let i = 0; i < count && !reader.failed; i++) streams.push(readStream(input));
  return { kind, by, number, branch, streams };
}

function readStream(input: Input): Stream {
  const { reader } = input;
  const flags = reader.u8();
  const packetTime = reader.u8();
  const count = reader.u8();
  if (count > META_LIMITS.formats) input.refuse('limit', 'media.formats');
  const formats: Format[] = [];
  for (let i = 0; i < count && !reader.failed; i++) formats.push(readFormat(input));
  const stream: Writable<Stream> = {
    index: flags & 7,
    kind: input.choice(MEDIA_KINDS, (flags >> 3) & 3, 'media.kind'),
    refused: (flags & 0x80) !== 0,
    direction: input.choice(DIRECTIONS, (flags >> 5) & 3, 'media.direction'),
    formats,
  };
  if (packetTime !== 0) stream.packetTime = packetTime;
  return stream;
}

function readFormat(input: Input): Format {
  const { reader } = input;
  const flags = reader.u8();
  if ((flags & 0xc0) !== 0) input.refuse('not-canonical', 'media.format');
  const name = input.choice(FORMAT_NAMES, reader.u8(), 'media.format');
  const clockRate = reader.u8() * 0x1_0000 + reader.u16();
  const count = reader.u8();
  if (count > META_LIMITS.parameters) input.refuse('limit', 'media.parameters');
  const parameters: FormatParameter[] = [];
  for (let i = 0; i < count && !reader.failed; i++) {
    const parameter = input.choice(PARAMETER_NAMES, reader.u8(), 'media.parameter');
    parameters.push({ name: parameter, value: input.ascii('media.parameter') });
  }
  return { id: flags & 31, name, clockRate, channels: ((flags >> 5) & 1) + 1, parameters };
}

function readProof(input: Input): unknown {
  const proof: Record<string, unknown> = {
    algorithm: input.choice(DIGEST_ALGORITHMS, input.reader.u8(), 'proof.algorithm'),
    nonceCount: input.reader.u32(),
  };
  for (const name of PROOF_STRINGS) proof[name] = input.ascii(`proof.${name}`);
  return proof;
}
