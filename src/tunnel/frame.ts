/**
 * Frames of the signalling connection.
 *
 *      0                   1                   2                   3
 *     +---------------+-----------------------------------------------+
 *     |     type      |        length of the body (24 bits)           |
 *     +---------------+-----------------------------------------------+
 *     |                     body ...
 *
 * One encoding per frame, nothing optional, no flags: what is not exactly this is malformed and ends the connection.
 */
import { Reader } from '../bytes/reader.ts';
import { Writer } from '../bytes/writer.ts';
import { fail, ok, type Result } from '../machine/machine.ts';
import { type CloseReason, closeReasonCode, closeReasonName } from './close-reason.ts';
import { type Hello, type HelloAck, readHello, readHelloAck, writeHello, writeHelloAck } from './hello.ts';

export type Frame =
  | { readonly type: 'hello'; readonly hello: Hello }
  | { readonly type: 'hello-ack'; readonly ack: HelloAck }
  /** One payload. `number` counts 1, 2, ... per session and direction; `acknowledged` as in `ack`. */
  | {
      readonly type: 'data';
      readonly number: number;
      readonly acknowledged: number;
      readonly payload: Uint8Array;
    }
  /** Everything up to this number has been delivered. */
  | { readonly type: 'ack'; readonly acknowledged: number }
  | { readonly type: 'heartbeat'; readonly id: number }
  | { readonly type: 'heartbeat-reply'; readonly id: number }
  /** Acceptor: the replay ends here, and its call list was taken here. */
  | { readonly type: 'sync' }
  | { readonly type: 'fence'; readonly body: Uint8Array }
  /** Acceptor: please dial anew and move over. */
  | { readonly type: 'renew' }
  | { readonly type: 'drain' }
  | { readonly type: 'close'; readonly reason: CloseReason | 'unknown' };

export type FrameType = Frame['type'];

/** Index + 1 is the type octet. Order is part of the protocol. */
const TYPES: readonly FrameType[] = [
  'hello',
  'hello-ack',
  'data',
  'ack',
  'heartbeat',
  'heartbeat-reply',
  'sync',
  'fence',
  'renew',
  'drain',
  'close',
];

export const FRAME_HEADER = 4;
export const DATA_HEADER = 16;
/** 20 000 calls (meta/message.ts META_LIMITS.fenceCalls) at about 40 octets each. */
export const MAX_FENCE = 1_048_576;
const MAX_HELLO = 256;

export type FrameError = 'frame-too-large' | 'unknown-type' | 'malformed';

/** Greatest body of a frame type. The reader refuses a longer one on sight of its header, before buffering it. */
export function maxBody(type: FrameType, maxPayload: number): number {
  switch (type) {
    case 'hello':
    case 'hello-ack':
      return MAX_HELLO;
    case 'data':
      return DATA_HEADER + maxPayload;
    case 'ack':
      return 8;
    case 'heartbeat':
    case 'heartbeat-reply':
      return 4;
    case 'fence':
      return MAX_FENCE;
    case 'close':
      return 1;
    case 'sync':
    case 'renew':
    case 'drain':
      return 0;
  }
}

export function encodeFrame(frame: Frame): Uint8Array {
  const body = new Writer(frame.type === 'data' ? FRAME_HEADER + DATA_HEADER + frame.payload.length : 64);
  body.u8(TYPES.indexOf(frame.type) + 1);
  body.u8(0); // the length's three octets are patched below
  body.u16(0);
  writeBody(body, frame);
  const bytes = body.bytes();
  const length = bytes.length - FRAME_HEADER;
  bytes[1] = length >>> 16;
  bytes[2] = (length >>> 8) & 255;
  bytes[3] = length & 255;
  return bytes;
}

function writeBody(writer: Writer, frame: Frame) {
  switch (frame.type) {
    case 'hello':
      return writeHello(writer, frame.hello);
    case 'hello-ack':
      return writeHelloAck(writer, frame.ack);
    case 'data':
      writer.u64(frame.number);
      writer.u64(frame.acknowledged);
      return writer.raw(frame.payload);
    case 'ack':
      return writer.u64(frame.acknowledged);
    case 'heartbeat':
    case 'heartbeat-reply':
      return writer.u32(frame.id);
    case 'fence':
      return writer.raw(frame.body);
    case 'close':
      return writer.u8(frame.reason === 'unknown' ? 0 : closeReasonCode(frame.reason));
    case 'sync':
    case 'renew':
    case 'drain':
      return;
  }
}

/** Decodes one body. Views of the input are copied, so the caller may reuse its buffer. */
function decodeBody(type: FrameType, bytes: Uint8Array): Frame | undefined {
  const reader = new Reader(bytes);
  const frame = readBody(type, reader);
  return frame === undefined || reader.failed || reader.remaining > 0 ? undefined : frame;
}

function readBody(type: FrameType, reader: Reader): Frame | undefined {
  switch (type) {
    case 'hello': {
      const hello = readHello(reader);
      return hello && { type, hello };
    }
    case 'hello-ack': {
      const ack = readHelloAck(reader);
      return ack && { type, ack };
    }
    case 'data': {
      const number = reader.u64();
      const acknowledged = reader.u64();
      // An empty payload is no message of anyone.
      if (reader.failed || reader.remaining === 0) return undefined;
      return { type, number, acknowledged, payload: reader.raw(reader.remaining).slice() };
    }
    case 'ack':
      return { type, acknowledged: reader.u64() };
    case 'heartbeat':
    case 'heartbeat-reply':
      return { type, id: reader.u32() };
    case 'fence':
      return { type, body: reader.raw(reader.remaining).slice() };
    case 'close':
      return { type, reason: closeReasonName(reader.u8()) };
    case 'sync':
    case 'renew':
    case 'drain':
      return { type };
  }
}

/**
 * Cuts the octet stream of one connection into frames. Holds at most one frame that is not complete; an error is final.
 */
export class FrameReader {
  readonly #maxPayload: number;
  #buffer = new Uint8Array(1024);
  #start = 0;
  #end = 0;
  #error: FrameError | undefined;

  constructor(maxPayload: number) {
    this.#maxPayload = maxPayload;
  }

  /** Octets held, for tests of the bound. */
  get held(): number {
    return this.#end - this.#start;
  }

  push(bytes: Uint8Array): void {
    if (this.#error !== undefined) return;
    if (this.#end + bytes.length > this.#buffer.length) this.#makeRoom(bytes.length);
    this.#buffer.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  /** The next complete frame, an error, or undefined: more octets are needed. */
  next(): Result<Frame, FrameError> | undefined {
    if (this.#error !== undefined) return fail(this.#error);
    const held = this.#end - this.#start;
    if (held === 0) return undefined;
    const at = this.#start;
    const type = TYPES[this.#buffer[at]! - 1];
    if (type === undefined) return this.#fail('unknown-type');
    if (held < FRAME_HEADER) return undefined;
    const length = (this.#buffer[at + 1]! << 16) | (this.#buffer[at + 2]! << 8) | this.#buffer[at + 3]!;
    if (length > maxBody(type, this.#maxPayload)) return this.#fail('frame-too-large');
    if (held < FRAME_HEADER + length) return undefined;
    const body = this.#buffer.subarray(at + FRAME_HEADER, at + FRAME_HEADER + length);
    const frame = decodeBody(type, body);
    if (frame === undefined) return this.#fail('malformed');
    this.#start += FRAME_HEADER + length;
    return ok(frame);
  }

  #fail(error: FrameError): Result<Frame, FrameError> {
    this.#error = error;
    this.#buffer = new Uint8Array(0);
    this.#start = 0;
    this.#end = 0;
    return fail(error);
  }

  /** Doubling keeps a fence that dribbles in octet by octet linear in its length. */
  #makeRoom(count: number): void {
    const held = this.#end - this.#start;
    const needed = held + count;
    const target =
      needed > this.#buffer.length / 2 ? new Uint8Array(Math.max(1024, 2 * needed)) : this.#buffer;
    target.set(this.#buffer.subarray(this.#start, this.#end));
    this.#buffer = target;
    this.#start = 0;
    this.#end = held;
  }
}
