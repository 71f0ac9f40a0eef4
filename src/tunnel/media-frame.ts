/**
 * Frames inside a media lane (a TLS connection on the media port). All integers are big-endian.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *   |  length (octets that follow)  | type  | flags |    format     |
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *   |                            stream                             |
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *   |           sequence            |     sent (sender's ms)        |
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *   |                           timestamp                           |
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *   |                        payload, 1..1500                       |
 *
 * Other types have the length, the type octet and their own body (see the writers below). Anything that is not exactly of
 * one of these shapes ends the lane with a stated reason.
 */
import { copyBytes } from '../bytes/copy.ts';

export const FRAME_MEDIA = 0;
export const FRAME_ACK = 1;
export const FRAME_HEARTBEAT = 2;
export const FRAME_CLOSE = 3;
export const FRAME_HELLO = 4;
export const FRAME_HELLO_ACK = 5;

/** Flags of a media frame. */
export const FLAG_MARKER = 1;
export const FLAG_EMERGENCY = 2;
/** One of two copies, each on a lane of its own. */
export const FLAG_DUPLICATE = 4;
/** The payload is neutral control data of the stream (`CONTROL_...`), not media. */
export const FLAG_CONTROL = 8;
/** Flag of a heartbeat: this is the answer, carrying the asker's stamp. */
const FLAG_REPLY = 1;

/** First octet of a control payload. */
export const CONTROL_PICTURE_LOSS = 1;
/** Sender's NTP time (8 octets); the frame's timestamp says which media instant it names. */
export const CONTROL_CLOCK = 2;
/** What the sender's leg took and sent (quality-report.ts). */
export const CONTROL_QUALITY = 3;

export const MEDIA_HEADER = 16;
export const MAX_PAYLOAD = 1500;
/** Room that the frames of voice need. */
export const USUAL_PAYLOAD = 256;
export const MAX_FRAME = MEDIA_HEADER + MAX_PAYLOAD;
export const MAX_HELLO = 160;
export const CONTROL_FRAME = 7;
const MAX_FORMAT = 31;

/** Why a lane ends. The octet in a close frame is the index. */
export const LANE_CLOSE_REASONS = [
  'stopping',
  'frame-too-large',
  'frame-malformed',
  'hello-refused',
  'hello-timeout',
  'wrong-shard',
  'session-unknown',
  'session-ended',
  'too-many-lanes',
  'replaced',
  'silent',
  'certificate',
  'renewed',
] as const;
export type LaneCloseReason = (typeof LANE_CLOSE_REASONS)[number];

/** The fields of a decoded media frame: one object per reader, refilled. The payload is a place in `bytes`. */
export interface MediaFrame {
  flags: number;
  format: number;
  stream: number;
  sequence: number;
  /** Sender's milliseconds modulo 2^16 when the packet arrived there. */
  sent: number;
  timestamp: number;
  bytes: Uint8Array;
  start: number;
  length: number;
  /** Not on the wire: rather late than lost (fax). Who sends the frame says so. */
  patient: boolean;
}

export function mediaFrame(): MediaFrame {
  return {
    flags: 0,
    format: 0,
    stream: 0,
    sequence: 0,
    sent: 0,
    timestamp: 0,
    bytes: new Uint8Array(0),
    start: 0,
    length: 0,
    patient: false,
  };
}

/** A frame with room of its own for its payload: for frames that wait, and are used again and again. */
export function keptFrame(room: number): MediaFrame {
  const frame = mediaFrame();
  frame.bytes = new Uint8Array(room);
  return frame;
}

/** Makes `to`, a kept frame, a copy of `frame`. */
export function keepFrame(frame: Readonly<MediaFrame>, to: MediaFrame): void {
  const room = to.bytes.length < frame.length ? new Uint8Array(MAX_PAYLOAD) : to.bytes;
  copyBytes(frame.bytes, frame.start, frame.length, room, 0);
  Object.assign(to, frame);
  to.bytes = room;
  to.start = 0;
}

/** Writes header and payload at `at`; returns the offset behind. `to` must have MEDIA_HEADER + length octets there. */
export function writeMedia(to: Uint8Array, at: number, f: Readonly<MediaFrame>): number {
  put16(to, at, MEDIA_HEADER - 2 + f.length);
  to[at + 2] = (FRAME_MEDIA << 4) | f.flags;
  to[at + 3] = f.format;
  put32(to, at + 4, f.stream);
  put16(to, at + 8, f.sequence);
  put16(to, at + 10, f.sent);
  put32(to, at + 12, f.timestamp);
  const from = f.bytes;
  const start = f.start;
  const body = at + MEDIA_HEADER;
  // Within one piece of memory it is a move, which no view has to be made for.
  if (from === to) to.copyWithin(body, start, start + f.length);
  else copyBytes(from, start, f.length, to, body);
  return body + f.length;
}

/** `received`: octets of frames received on this lane, modulo 2^32. 7 octets. */
export function writeAck(to: Uint8Array, at: number, received: number): number {
  return writeWord(to, at, FRAME_ACK << 4, received);
}

/** `stamp` means nothing to the far end; the answer carries it back. 7 octets. */
export function writeHeartbeat(to: Uint8Array, at: number, stamp: number, reply: boolean): number {
  return writeWord(to, at, (FRAME_HEARTBEAT << 4) | (reply ? FLAG_REPLY : 0), stamp);
}

export function closeFrame(reason: LaneCloseReason): Uint8Array {
  return Uint8Array.of(0, 2, FRAME_CLOSE << 4, LANE_CLOSE_REASONS.indexOf(reason));
}

export function helloFrame(type: typeof FRAME_HELLO | typeof FRAME_HELLO_ACK, body: Uint8Array): Uint8Array {
  const out = new Uint8Array(3 + body.length);
  put16(out, 0, 1 + body.length);
  out[2] = type << 4;
  out.set(body, 3);
  return out;
}

/** What a reader tells. `media` is called with one object that is refilled: copy what must stay. */
export interface FrameHandler {
  media(frame: MediaFrame): void;
  ack(received: number): void;
  heartbeat(stamp: number, reply: boolean): void;
  close(reason: LaneCloseReason): void;
  /** Body of a hello or its answer: a view that is valid during the call. */
  hello(type: typeof FRAME_HELLO | typeof FRAME_HELLO_ACK, body: Uint8Array): void;
}

/** Cuts a byte stream into frames. A frame split over two chunks is collected in a fixed buffer; nothing else is kept. */
export class FrameReader {
  readonly #handler: FrameHandler;
  readonly #frame = mediaFrame();
  readonly #carry = new Uint8Array(MAX_FRAME);
  #carried = 0;
  #failed: LaneCloseReason | undefined;
  #stopped = false;

  constructor(handler: FrameHandler) {
    this.#handler = handler;
  }

  /** Nothing more is delivered, not even of the chunk that is being read: the lane was closed meanwhile. */
  stop(): void {
    this.#stopped = true;
  }

  /** Delivers the frames of `chunk[start..end)`. Returns why the lane must be closed, then and ever after. */
  push(chunk: Uint8Array, start = 0, end = chunk.length): LaneCloseReason | undefined {
    let at = this.#carried > 0 ? this.#fill(chunk, start, end) : start;
    while (this.#failed === undefined && !this.#stopped && end - at >= 2) {
      const size = this.#sizeOf(chunk, at);
      if (this.#failed !== undefined || end - at < size) break;
      this.#decode(chunk, at, size);
      at += size;
    }
    if (this.#failed === undefined && !this.#stopped) {
      for (; at < end; at++) this.#carry[this.#carried++] = chunk[at]!;
    }
    return this.#failed;
  }

  /** Completes the carried frame; returns where in `chunk` the next one begins. */
  #fill(chunk: Uint8Array, start: number, end: number): number {
    let at = start;
    while (this.#carried < 2 && at < end) this.#carry[this.#carried++] = chunk[at++]!;
    if (this.#carried < 2) return at;
    const size = this.#sizeOf(this.#carry, 0);
    if (this.#failed !== undefined) return at;
    while (this.#carried < size && at < end) this.#carry[this.#carried++] = chunk[at++]!;
    if (this.#carried < size) return at;
    this.#carried = 0;
    this.#decode(this.#carry, 0, size);
    return at;
  }

  #sizeOf(bytes: Uint8Array, at: number): number {
    const size = 2 + get16(bytes, at);
    if (size > MAX_FRAME) this.#failed = 'frame-too-large';
    else if (size < 4) this.#failed = 'frame-malformed';
    return size;
  }

  #decode(bytes: Uint8Array, at: number, size: number): void {
    const flags = bytes[at + 2]! & 15;
    switch (bytes[at + 2]! >> 4) {
      case FRAME_MEDIA:
        if (!this.#media(bytes, at, size, flags)) this.#failed = 'frame-malformed';
        return;
      case FRAME_ACK:
        if (size !== CONTROL_FRAME || flags !== 0) break;
        this.#handler.ack(get32(bytes, at + 3));
        return;
      case FRAME_HEARTBEAT:
        if (size !== CONTROL_FRAME || (flags & ~FLAG_REPLY) !== 0) break;
        this.#handler.heartbeat(get32(bytes, at + 3), flags === FLAG_REPLY);
        return;
      case FRAME_CLOSE:
        if (size !== 4 || flags !== 0 || bytes[at + 3]! >= LANE_CLOSE_REASONS.length) break;
        this.#handler.close(LANE_CLOSE_REASONS[bytes[at + 3]!]!);
        return;
      case FRAME_HELLO:
      case FRAME_HELLO_ACK: {
        if (size > MAX_HELLO || flags !== 0) break;
        const type = bytes[at + 2]! >> 4 === FRAME_HELLO ? FRAME_HELLO : FRAME_HELLO_ACK;
        this.#handler.hello(type, bytes.subarray(at + 3, at + size));
        return;
      }
    }
    this.#failed = 'frame-malformed';
  }

  #media(bytes: Uint8Array, at: number, size: number, flags: number): boolean {
    const f = this.#frame;
    if (size <= MEDIA_HEADER) return false;
    f.flags = flags;
    f.format = bytes[at + 3]!;
    f.stream = get32(bytes, at + 4);
    f.sequence = get16(bytes, at + 8);
    f.sent = get16(bytes, at + 10);
    f.timestamp = get32(bytes, at + 12);
    if (f.format > MAX_FORMAT || f.stream === 0) return false;
    f.bytes = bytes;
    f.start = at + MEDIA_HEADER;
    f.length = size - MEDIA_HEADER;
    this.#handler.media(f);
    return true;
  }
}

function writeWord(to: Uint8Array, at: number, type: number, word: number): number {
  put16(to, at, CONTROL_FRAME - 2);
  to[at + 2] = type;
  put32(to, at + 3, word);
  return at + CONTROL_FRAME;
}

function put16(to: Uint8Array, at: number, value: number): void {
  to[at] = value >>> 8;
  to[at + 1] = value;
}

function put32(to: Uint8Array, at: number, value: number): void {
  to[at] = value >>> 24;
  to[at + 1] = value >>> 16;
  to[at + 2] = value >>> 8;
  to[at + 3] = value;
}

function get16(from: Uint8Array, at: number): number {
  return (from[at]! << 8) | from[at + 1]!;
}

function get32(from: Uint8Array, at: number): number {
  return ((from[at]! << 24) | (from[at + 1]! << 16) | (from[at + 2]! << 8) | from[at + 3]!) >>> 0;
}
