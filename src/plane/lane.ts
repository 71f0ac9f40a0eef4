import type { Millis } from '../machine/machine.ts';
import { AckLog, type PathQuality } from '../tunnel/lane-quality.ts';
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
import { copyFrames, type SentWrite, SentWrites } from '../tunnel/sent-writes.ts';
import type { LaneTcp, TcpCounts } from './lane-tcp.ts';
import type { LaneWire, WireBuffer } from './lane-wire.ts';

const HEARTBEAT_MS = 1000;
/** Nothing received for so long although heartbeats are due every second: established, but dead. */
const DEAD_MS = 3000;
/** The far end's view of what is outstanding is refreshed after so many octets or milliseconds. */
const ACK_OCTETS = 16 * 1024;
const ACK_MS = 20;
/** TLS 1.3 adds so much to a record: header, content type, tag. */
const RECORD_OCTETS = 22;
/** Frames of a lane that was closed for no fault of it are read until its end, for so long at most. */
const LINGER_MS = 500;
/** On a clean path the kernel is asked for what is outstanding this often, not in every poll. */
const SETTLE_MS = 5;
/** One TLS record's worth. */
const BUFFER = 16 * 1024;
const POOLED = 64;
/** So many writes the system has not taken: what follows is collected, so that a far end that does not read costs few buffers. */
const MOST_UNTAKEN = 8;
/** setTimeout holds 2^31-1 ms: until a certificate's end it is set day by day. */
const DAY_MS = 86_400_000;
/** Headers, acknowledgements and heartbeats come on top of the payload that a session's limit counts. */
const INTAKE_FACTOR = 2;

/** Write buffers go round: a wire keeps one until the system took it. */
export class BufferPool {
  readonly #free: WireBuffer[] = [];
  readonly #allocate: (octets: number) => WireBuffer;

  constructor(allocate: (octets: number) => WireBuffer) {
    this.#allocate = allocate;
  }

  take(): WireBuffer {
    return this.#free.pop() ?? this.#allocate(BUFFER);
  }

  give(buffer: WireBuffer): void {
    if (this.#free.length < POOLED) this.#free.push(buffer);
  }
}

export interface LaneOwner {
  readonly pool: BufferPool;
  /** The kernel's TCP where it can be asked. */
  readonly tcp: LaneTcp | undefined;
  /** Of the session, once the lane belongs to one: what acknowledgements tell goes there. */
  quality(): PathQuality | undefined;
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
  writtenAt: Millis;
  roundTripMs = -1;
  framesOut = 0;
  framesIn = 0;
  readonly remote: string;
  readonly openedAt: Millis;
  readonly #wire: LaneWire;
  readonly #owner: LaneOwner;
  readonly #reader: FrameReader;
  #expiry: NodeJS.Timeout | undefined;
  #buffer: WireBuffer;
  #at = 0;
  readonly #log = new AckLog();
  readonly #writes = new SentWrites();
  #sent = 0;
  #acknowledged = 0;
  /** Octets that the wire still holds because the kernel did not take them. */
  #held = 0;
  /** Writes that the wire still holds. */
  #untaken = 0;
  #settledAt: Millis = 0;
  readonly #counts: TcpCounts = { segmentsOut: 0, lost: 0, roundTripMs: 0 };
  readonly #countsBefore: TcpCounts = { segmentsOut: 0, lost: 0, roundTripMs: 0 };
  #lingering = false;
  #received = 0;
  #receivedAcked = 0;
  #ackedAt: Millis;
  #heardAt: Millis;
  #heartbeatAt: Millis;
  #credit = 64 * 1024;
  #creditAt: Millis;
  /** What has been collected holds something that the far end acknowledges within ACK_MS. */
  #awaited = false;
  #ackLater: NodeJS.Timeout | undefined;
  #ended = false;
  #expectHello = true;

  constructor(wire: LaneWire, owner: LaneOwner) {
    const now = owner.now();
    this.#wire = wire;
    this.#owner = owner;
    this.remote = wire.remote;
    this.#buffer = owner.pool.take();
    this.openedAt = now;
    this.writtenAt = now;
    this.#ackedAt = now;
    this.#creditAt = now;
    this.#heardAt = now;
    this.#heartbeatAt = now + HEARTBEAT_MS;
    this.#reader = new FrameReader(this.#handler());
    this.#watchExpiry();
    wire.attach({
      data: (bytes, start, end) => this.#data(bytes, start, end),
      finished: () => this.close('stopping'),
      closed: (reason) => this.#end(reason ?? 'closed by the far end'),
    });
  }

  /** Octets written and not yet acknowledged: by the far end's TCP where the kernel tells, else by the far end's frames. */
  get outstanding(): number {
    return this.#log.outstanding;
  }

  get oldestAt(): Millis | undefined {
    return this.#log.oldestAt;
  }

  /** What is collected for the next write. */
  get collected(): number {
    return this.#at;
  }

  get ended(): boolean {
    return this.#ended;
  }

  tune(congestion: 'bbr' | 'system'): void {
    this.#owner.tcp?.tune(this.#wire.fd, congestion);
  }

  /** Before lanes are chosen: what has been acknowledged meanwhile. */
  settle(now: Millis): void {
    const quality = this.#owner.quality();
    const tcp = this.#owner.tcp;
    if (quality === undefined || tcp === undefined || this.#log.outstanding === 0) return;
    if (!quality.lossy && now - this.#settledAt < SETTLE_MS) return;
    this.#settledAt = now;
    const unacknowledged = tcp.unacknowledged(this.#wire.fd);
    if (unacknowledged >= 0) this.#log.settle(unacknowledged + this.#held, now, quality);
  }

  /** Segments sent and lost since the last call go into `quality`. */
  count(quality: PathQuality): void {
    const [counts, before] = [this.#counts, this.#countsBefore];
    if (this.#ended || this.#owner.tcp?.counts(this.#wire.fd, counts) !== true) return;
    quality.counted(counts.segmentsOut - before.segmentsOut, counts.lost - before.lost);
    if (counts.roundTripMs > 0) quality.roundTrip(counts.roundTripMs, this.#owner.now());
    before.segmentsOut = counts.segmentsOut;
    before.lost = Math.max(before.lost, counts.lost);
  }

  sendMedia(frame: MediaFrame): void {
    if (BUFFER - this.#at < MEDIA_HEADER + frame.length) this.#send(this.#owner.now());
    const { bytes, start } = this.#buffer;
    this.#at = writeMedia(bytes, start + this.#at, frame) - start;
    this.#awaited = true;
    this.framesOut++;
    this.#owner.dirty(this);
  }

  /** The next write that should have been acknowledged by now, each once. */
  overdueWrite(now: Millis, afterMs: number): SentWrite | undefined {
    return this.#writes.overdue(this.#log.settled, now, afterMs);
  }

  /** What another lane wrote in vain so far, at once. */
  sendAgain(write: SentWrite, now: Millis): void {
    if (BUFFER - this.#at < write.length) this.#send(now);
    const { bytes, start } = this.#buffer;
    this.#at = copyFrames(write, bytes, start + this.#at) - start;
    this.#awaited = true;
    this.flush(now);
  }

  sendHello(type: typeof FRAME_HELLO | typeof FRAME_HELLO_ACK, body: Uint8Array): void {
    this.#write(helloFrame(type, body));
  }

  /** Writes what has been collected, with an acknowledgement where one is due: one write, one TLS record. */
  flush(now: Millis): void {
    if (this.#ended || this.#full) return;
    // With other frames an acknowledgement costs next to nothing; alone it is a segment that can be lost.
    if (this.#at > 0 ? this.#unacked > CONTROL_FRAME : this.#ackDue(now)) this.#appendAck(now);
    if (this.#at > 0) this.#send(now);
  }

  #send(now: Millis): void {
    const octets = this.#at;
    const buffer = this.#buffer;
    this.#buffer = this.#owner.pool.take();
    this.#at = 0;
    this.#untaken++;
    const number = this.#writing(octets, now);
    const again = this.#owner.quality()?.againAfterMs ?? Number.POSITIVE_INFINITY;
    if (again < Number.POSITIVE_INFINITY) this.#writes.keep(number, buffer.bytes, buffer.start, octets, now);
    this.#wire.write(buffer, octets, this.#taken);
  }

  readonly #taken = (buffer: WireBuffer, octets: number): void => {
    this.#held -= octets + RECORD_OCTETS;
    this.#untaken--;
    this.#owner.pool.give(buffer);
    if (this.#at > 0 || this.#ackDue(this.#owner.now())) this.#owner.dirty(this);
  };

  /** The far end does not read, or the path is cut. */
  get #full(): boolean {
    return this.#untaken >= MOST_UNTAKEN;
  }

  #writing(octets: number, now: Millis): number {
    this.#sent = (this.#sent + octets) >>> 0;
    this.#held += octets + RECORD_OCTETS;
    this.writtenAt = now;
    const awaited = this.#awaited;
    this.#awaited = false;
    // TCP acknowledges every octet. The far end's frames do not acknowledge an acknowledgement alone, and an answer to a heartbeat whenever
    // there is company: neither must make a lane that rests look stuck.
    if (this.#owner.tcp === undefined) return this.#log.written(octets, now, awaited);
    return this.#log.written(octets + RECORD_OCTETS, now);
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
    if (!this.#room(now, 2 * CONTROL_FRAME)) return;
    writeHeartbeat(this.#buffer.bytes, this.#next, now >>> 0, false);
    this.#at += CONTROL_FRAME;
    this.#awaited = true;
    this.#appendAck(now);
    this.flush(now);
  }

  /** Ends the lane and tells the far end why. */
  close(reason: LaneCloseReason): void {
    if (this.#ended) return;
    this.#write(closeFrame(reason));
    this.#wire.end();
    // A dead connection takes no goodbye.
    setTimeout(() => this.#wire.destroy(), LINGER_MS).unref();
    // Replaced or not needed any more: what the far end sent before it knew is still good.
    this.#lingering = this.usable && (reason === 'replaced' || reason === 'renewed');
    this.#end(reason);
  }

  #handler(): FrameHandler {
    return {
      media: (frame) => {
        if (!this.usable && !this.#lingering) {
          this.close('frame-malformed');
          return;
        }
        this.framesIn++;
        this.#owner.media(this, frame, this.#heardAt);
      },
      ack: (received) => this.#acked(received),
      heartbeat: (stamp, reply) => this.#heartbeat(stamp, reply),
      close: (reason) => {
        if (!this.#ended) this.flush(this.#owner.now());
        this.#wire.end();
        this.#end(`far end: ${reason}`);
        setTimeout(() => this.#wire.destroy(), LINGER_MS).unref();
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

  #data(bytes: Uint8Array, start: number, end: number): void {
    if (this.#ended && !this.#lingering) return;
    const now = this.#owner.now();
    this.#heardAt = now;
    this.#throttle(end - start, now);
    this.#received = (this.#received + end - start) >>> 0;
    const failure = this.#reader.push(bytes, start, end);
    if (this.#ended) return;
    if (failure !== undefined) {
      this.close(failure);
      return;
    }
    this.#acknowledge(now);
  }

  /** Now where it is due, else when it will be: nothing else may happen here until then. */
  #acknowledge(now: Millis): void {
    if (this.#ackDue(now)) {
      this.#owner.dirty(this);
      return;
    }
    if (this.#unacked <= CONTROL_FRAME || this.#ackLater !== undefined) return;
    this.#ackLater = setTimeout(() => {
      this.#ackLater = undefined;
      if (!this.#ended) this.#acknowledge(this.#owner.now());
    }, ACK_MS);
    this.#ackLater.unref();
  }

  /** A far end that sends without measure fills its own buffers, not this process's time. */
  #throttle(octets: number, now: Millis): void {
    const rate = INTAKE_FACTOR * this.#owner.intake();
    this.#credit = Math.min(rate, this.#credit + ((now - this.#creditAt) / 1000) * rate) - octets;
    this.#creditAt = now;
    if (this.#credit >= 0) return;
    this.#wire.pause();
    // As long as the debt takes to be paid.
    const pause = Math.min(1000, Math.max(10, (-this.#credit / rate) * 1000));
    setTimeout(() => this.#wire.resume(), pause).unref();
  }

  #acked(received: number): void {
    if ((received - this.#acknowledged) >>> 0 > (this.#sent - this.#acknowledged) >>> 0) {
      this.close('frame-malformed'); // acknowledges what was never sent
      return;
    }
    if (received === this.#acknowledged) return;
    this.#acknowledged = received;
    const quality = this.#owner.quality();
    if (this.#owner.tcp !== undefined || quality === undefined) return;
    this.#log.settle((this.#sent - received) >>> 0, this.#heardAt, quality);
  }

  #heartbeat(stamp: number, reply: boolean): void {
    const now = this.#owner.now();
    if (reply) {
      const ms = (now - stamp) >>> 0;
      if (ms <= 60_000) this.roundTripMs = ms;
      return;
    }
    if (!this.#room(now, CONTROL_FRAME)) return;
    writeHeartbeat(this.#buffer.bytes, this.#next, stamp, true);
    this.#at += CONTROL_FRAME;
    this.#owner.dirty(this);
  }

  /** Where the next frame goes in the buffer's bytes. */
  get #next(): number {
    return this.#buffer.start + this.#at;
  }

  get #unacked(): number {
    return (this.#received - this.#receivedAcked) >>> 0;
  }

  #ackDue(now: Millis): boolean {
    const unacked = this.#unacked;
    return unacked >= ACK_OCTETS || (unacked > CONTROL_FRAME && now - this.#ackedAt >= ACK_MS);
  }

  #appendAck(now: Millis): void {
    // There is room: frames leave at least this much (BUFFER is more than MAX_FRAME and an ack).
    if (BUFFER - this.#at < CONTROL_FRAME) return;
    writeAck(this.#buffer.bytes, this.#next, this.#received);
    this.#at += CONTROL_FRAME;
    this.#receivedAcked = this.#received;
    this.#ackedAt = now;
  }

  /** For frames of the lane's own. False: there is none, and nobody reads them now. */
  #room(now: Millis, octets: number): boolean {
    if (this.#full) return false;
    if (BUFFER - this.#at < Math.max(octets, MAX_FRAME)) this.flush(now);
    return true;
  }

  /** A frame of the lane's own, at once. */
  #write(bytes: Uint8Array): void {
    if (this.#ended) return;
    const now = this.#owner.now();
    this.flush(now);
    if (this.#at > 0) this.#send(now);
    this.#buffer.bytes.set(bytes, this.#next);
    this.#at = bytes.length;
    this.#send(now);
  }

  #watchExpiry(): void {
    const left = this.#wire.lifetime();
    const next = left > 0 ? () => this.#watchExpiry() : () => this.close('certificate');
    this.#expiry = setTimeout(next, Math.min(left, DAY_MS));
    this.#expiry.unref();
  }

  #end(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.usable = false;
    if (!this.#lingering) this.#reader.stop();
    clearTimeout(this.#expiry);
    clearTimeout(this.#ackLater);
    this.#owner.ended(this, reason);
  }
}
