import type { TLSSocket } from 'node:tls';
import type { Millis } from '../machine/machine.ts';
import { watchExpiry } from '../net/tls.ts';
import type { LaneView } from '../tunnel/lane-scheduler.ts';
import {
  CONTROL_FRAME,
  closeFrame,
  type FRAME_HELLO,
  type FRAME_HELLO_ACK,
  type FrameHandler,
  FrameReader,
  helloFrame,
  type LaneCloseReason,
  MAX_FRAME,
  MEDIA_HEADER,
  type MediaFrame,
  writeAck,
  writeHeartbeat,
  writeMedia,
} from '../tunnel/media-frame.ts';

const HEARTBEAT_MS = 1000;
/** Nothing received for so long although heartbeats are due every second: established, but dead. */
const DEAD_MS = 3000;
/** The far end's view of what is outstanding is refreshed after so many octets or milliseconds. */
const ACK_OCTETS = 16 * 1024;
const ACK_MS = 20;
/** One TLS record's worth. */
const BUFFER = 16 * 1024;
const POOLED = 64;
/** Headers, acknowledgements and heartbeats come on top of the payload that a session's limit counts. */
const INTAKE_FACTOR = 2;

/** Write buffers go round: Node keeps one until the system took it. */
export class BufferPool {
  readonly #free: Buffer[] = [];

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(BUFFER);
  }

  give(buffer: Buffer): void {
    if (this.#free.length < POOLED) this.#free.push(buffer);
  }
}

export interface LaneOwner {
  readonly pool: BufferPool;
  /** Octets per second that may be read from one lane in the long run; above it reading pauses. */
  intake(): number;
  now(): Millis;
  /** A media frame of a proven lane; the object is refilled. */
  media(lane: Lane, frame: MediaFrame, now: Millis): void;
  hello(lane: Lane, type: typeof FRAME_HELLO | typeof FRAME_HELLO_ACK, body: Uint8Array): void;
  /** There is something to flush. */
  dirty(lane: Lane): void;
  /** Once, whoever ended it. */
  ended(lane: Lane, reason: string): void;
}

/** One media connection: frames out in batches (one write per flush), frames in, acks, heartbeats. */
export class Lane implements LaneView {
  /** Set once the far end has proven that it belongs to the session. */
  usable = false;
  number = -1;
  progressAt: Millis;
  roundTripMs = -1;
  framesOut = 0;
  framesIn = 0;
  readonly remote: string;
  readonly openedAt: Millis;
  readonly #socket: TLSSocket;
  readonly #owner: LaneOwner;
  readonly #reader: FrameReader;
  readonly #cancelExpiry: () => void;
  #buffer: Buffer;
  #at = 0;
  #sent = 0;
  #acknowledged = 0;
  #received = 0;
  #receivedAcked = 0;
  #ackedAt: Millis;
  #heardAt: Millis;
  #heartbeatAt: Millis;
  #credit = 64 * 1024;
  #creditAt: Millis;
  #ended = false;
  #expectHello = true;

  /** `socket` is secure and its peer authorized. */
  constructor(socket: TLSSocket, owner: LaneOwner) {
    const now = owner.now();
    this.#socket = socket;
    this.#owner = owner;
    this.remote = `${socket.remoteAddress ?? '?'}`;
    this.#buffer = owner.pool.take();
    this.openedAt = now;
    this.progressAt = now;
    this.#ackedAt = now;
    this.#creditAt = now;
    this.#heardAt = now;
    this.#heartbeatAt = now + HEARTBEAT_MS;
    this.#cancelExpiry = watchExpiry(socket, () => this.close('certificate'));
    this.#reader = new FrameReader(this.#handler());
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#data(chunk));
    socket.on('error', (error) => this.#end(error.message));
    socket.on('close', () => this.#end('closed by the far end'));
    socket.on('end', () => this.close('stopping'));
  }

  /** Octets written and not yet acknowledged. */
  get outstanding(): number {
    return (this.#sent - this.#acknowledged) >>> 0;
  }

  get ended(): boolean {
    return this.#ended;
  }

  sendMedia(frame: MediaFrame): void {
    if (BUFFER - this.#at < MEDIA_HEADER + frame.length) this.flush(this.#owner.now());
    this.#at = writeMedia(this.#buffer, this.#at, frame);
    this.framesOut++;
    this.#owner.dirty(this);
  }

  sendHello(type: typeof FRAME_HELLO | typeof FRAME_HELLO_ACK, body: Uint8Array): void {
    this.#write(Buffer.from(helloFrame(type, body)));
  }

  /** Writes what has been collected, with an acknowledgement where one is due: one write, one TLS record. */
  flush(now: Millis): void {
    if (this.#ended) return;
    if (this.#ackDue(now)) this.#appendAck(now);
    if (this.#at === 0) return;
    const buffer = this.#buffer;
    const view = buffer.subarray(0, this.#at);
    if (this.outstanding === 0) this.progressAt = now;
    this.#sent = (this.#sent + this.#at) >>> 0;
    this.#buffer = this.#owner.pool.take();
    this.#at = 0;
    this.#socket.write(view, () => this.#owner.pool.give(buffer));
  }

  /** To be called a few times per second. */
  keep(now: Millis): void {
    if (this.#ended) return;
    if (now - this.#heardAt > DEAD_MS) {
      this.close('silent');
      return;
    }
    if (!this.usable || now < this.#heartbeatAt) return;
    this.#heartbeatAt = now + HEARTBEAT_MS;
    this.#room(now, 2 * CONTROL_FRAME);
    this.#at = writeHeartbeat(this.#buffer, this.#at, now >>> 0, false);
    this.#appendAck(now);
    this.flush(now);
  }

  /** Ends the lane and tells the far end why. */
  close(reason: LaneCloseReason): void {
    if (this.#ended) return;
    this.#write(Buffer.from(closeFrame(reason)));
    this.#socket.end();
    // A dead connection takes no goodbye.
    setTimeout(() => this.#socket.destroy(), 500).unref();
    this.#end(reason);
  }

  #handler(): FrameHandler {
    return {
      media: (frame) => {
        if (!this.usable) {
          this.close('frame-malformed');
          return;
        }
        this.framesIn++;
        this.#owner.media(this, frame, this.#heardAt);
      },
      ack: (received) => this.#acked(received),
      heartbeat: (stamp, reply) => this.#heartbeat(stamp, reply),
      close: (reason) => {
        this.#socket.end();
        this.#end(`far end: ${reason}`);
        setTimeout(() => this.#socket.destroy(), 500).unref();
      },
      hello: (type, body) => {
        // Exactly one, first.
        if (!this.#expectHello) {
          this.close('frame-malformed');
          return;
        }
        this.#expectHello = false;
        this.#owner.hello(this, type, body);
      },
    };
  }

  #data(chunk: Buffer): void {
    if (this.#ended) return;
    const now = this.#owner.now();
    this.#heardAt = now;
    this.#throttle(chunk.length, now);
    this.#received = (this.#received + chunk.length) >>> 0;
    const failure = this.#reader.push(chunk);
    if (failure !== undefined) {
      this.close(failure);
      return;
    }
    if (this.#ackDue(now)) this.#owner.dirty(this);
  }

  /** A far end that sends without measure fills its own buffers, not this process's time. */
  #throttle(octets: number, now: Millis): void {
    const rate = INTAKE_FACTOR * this.#owner.intake();
    this.#credit = Math.min(rate, this.#credit + ((now - this.#creditAt) / 1000) * rate) - octets;
    this.#creditAt = now;
    if (this.#credit >= 0 || this.#ended) return;
    this.#socket.pause();
    // As long as the debt takes to be paid.
    const pause = Math.min(1000, Math.max(10, (-this.#credit / rate) * 1000));
    setTimeout(() => this.#socket.resume(), pause).unref();
  }

  #acked(received: number): void {
    if ((received - this.#acknowledged) >>> 0 > this.outstanding) {
      this.close('frame-malformed'); // acknowledges what was never sent
      return;
    }
    if (received === this.#acknowledged) return;
    this.#acknowledged = received;
    this.progressAt = this.#heardAt;
  }

  #heartbeat(stamp: number, reply: boolean): void {
    const now = this.#owner.now();
    if (reply) {
      const ms = (now - stamp) >>> 0;
      if (ms <= 60_000) this.roundTripMs = ms;
      return;
    }
    this.#room(now, CONTROL_FRAME);
    this.#at = writeHeartbeat(this.#buffer, this.#at, stamp, true);
    this.#owner.dirty(this);
  }

  #ackDue(now: Millis): boolean {
    const unacked = (this.#received - this.#receivedAcked) >>> 0;
    return unacked >= ACK_OCTETS || (unacked > CONTROL_FRAME && now - this.#ackedAt >= ACK_MS);
  }

  #appendAck(now: Millis): void {
    // There is room: frames leave at least this much (BUFFER is more than MAX_FRAME and an ack).
    if (BUFFER - this.#at < CONTROL_FRAME) return;
    this.#at = writeAck(this.#buffer, this.#at, this.#received);
    this.#receivedAcked = this.#received;
    this.#ackedAt = now;
  }

  #room(now: Millis, octets: number): void {
    if (BUFFER - this.#at < Math.max(octets, MAX_FRAME)) this.flush(now);
  }

  #write(bytes: Buffer): void {
    if (this.#ended) return;
    this.flush(this.#owner.now());
    this.#sent = (this.#sent + bytes.length) >>> 0;
    this.#socket.write(bytes);
  }

  #end(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.usable = false;
    this.#reader.stop();
    this.#cancelExpiry();
    this.#owner.ended(this, reason);
  }
}
