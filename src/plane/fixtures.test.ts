/** A plane's engine in memory, for the tests of this folder. */
import assert from 'node:assert/strict';
import { type Address, formatAddress } from '../machine/address.ts';
import type { PlaneCommand, PlaneEvent, StreamLegConfig } from '../media/plane-contract.ts';
import { RTP_HEADER, writeHeader } from '../rtp/packet.ts';
import { parseSource } from '../rtp/source-words.ts';
import { type MediaFrame, mediaFrame } from '../tunnel/media-frame.ts';
import { Engine } from './engine.ts';
import type { LegTransforms } from './packet-transform.ts';
import type { SessionStreams } from './session-streams.ts';
import type { Destination, Udp } from './udp.ts';

/** Sockets in memory: what was bound, closed and sent. */
export class FakeUdp implements Udp {
  readonly implementation = 'dgram';
  readonly polled = false;
  readonly buffers = undefined;
  readonly outgoing = new Uint8Array(2048);
  arena: Uint8Array | undefined;
  readonly bound = new Map<number, Address>();
  readonly taken = new Set<string>();
  readonly sent: { token: number; to: string; bytes: Uint8Array }[] = [];

  open(local: Address, token: number, done: (error: string | undefined) => void): void {
    if (this.taken.has(formatAddress(local))) {
      done('bind: EADDRINUSE');
      return;
    }
    this.bound.set(token, local);
    done(undefined);
  }
  close(token: number): void {
    this.bound.delete(token);
  }
  destination(address: Address): Destination | undefined {
    return parseSource(address) && { address };
  }
  send(token: number, destination: Destination, length: number): void {
    this.sent.push({ token, to: formatAddress(destination.address), bytes: this.outgoing.slice(0, length) });
  }
  sendFrom(token: number, destination: Destination, start: number, length: number): void {
    const bytes = this.arena!.slice(start, start + length);
    this.sent.push({ token, to: formatAddress(destination.address), bytes });
  }
  flush(): void {}
  poll(): void {}
  stop(): void {}
}

export const PHONE: Address = { ip: '198.51.100.7', port: 4000 };

export const LEG: StreamLegConfig = {
  session: 's',
  stream: 1,
  call: 'c',
  kind: 'audio',
  priority: 'normal',
  local: { ip: '192.0.2.1', port: 20_000 },
  rtcpMux: false,
  remote: PHONE,
  source: 'signalled',
  latchWindowMs: 2000,
  direction: 'sendrecv',
  formats: [
    {
      format: 2,
      receivePayloadType: 8,
      sendPayloadType: 18,
      clockRate: 8000,
      maxPayload: 200,
      maxPacketsPerSecond: 60,
      kind: 'voice',
    },
  ],
  cname: 'x@y',
};

export class World {
  now = 10_000;
  readonly udp = new FakeUdp();
  readonly events: PlaneEvent[] = [];
  readonly frames: MediaFrame[] = [];
  ended = 0;
  readonly engine: Engine;
  streams!: SessionStreams;
  #random = 1;

  constructor(transforms?: LegTransforms) {
    this.engine = new Engine({
      transforms: () => transforms,
      random: {
        bytes: (n) => new Uint8Array(n),
        uint32: () => {
          this.#random = (Math.imul(this.#random, 1664525) + 1013904223) >>> 0;
          return this.#random;
        },
      },
      emit: (event) => this.events.push(event),
      now: () => this.now,
      wall: () => 1_700_000_000_000 + this.now,
      lanes: (_command, streams) => {
        this.streams = streams;
        return {
          send: (f) => {
            this.frames.push({ ...f, bytes: f.bytes.slice(f.start, f.start + f.length), start: 0 });
          },
          counters: () => [],
          end: () => {
            this.ended++;
          },
        };
      },
    });
    this.engine.attach(this.udp);
    this.session();
  }

  session(limits = { maxLanes: 2, maxStreams: 4, maxBytesPerSecond: 100_000 }): void {
    this.engine.command({ kind: 'session', session: 's', key: '00', peerName: 'p', limits });
  }

  open(more: Partial<StreamLegConfig> = {}): void {
    this.engine.command({ kind: 'open', leg: { ...LEG, ...more } });
  }

  command(command: PlaneCommand): void {
    this.engine.command(command);
  }

  /** RTP to the first leg's port. */
  rtp(seq: number, source: Address = PHONE, payload: Uint8Array = new Uint8Array(160), slot = 0): void {
    const bytes = new Uint8Array(RTP_HEADER + payload.length);
    writeHeader(bytes, 0, 8, false, seq & 0xffff, (seq * 160) >>> 0, 4711);
    bytes.set(payload, RTP_HEADER);
    this.engine.packet(2 * slot, bytes, 0, bytes.length, parseSource(source)!);
  }

  rtcp(bytes: Uint8Array, source: Address = { ip: PHONE.ip, port: 4001 }): void {
    this.engine.packet(1, bytes, 0, bytes.length, parseSource(source)!);
  }

  frame(sequence: number, more: Partial<MediaFrame> = {}): void {
    const bytes = more.bytes ?? new Uint8Array(160).fill(sequence);
    const frame = {
      ...mediaFrame(),
      stream: 1,
      format: 2,
      sequence,
      timestamp: sequence * 160,
      sent: this.now & 0xffff,
      length: bytes.length,
      ...more,
      bytes,
    };
    this.engine.frame(this.streams, frame, this.now);
  }

  rtpSent(): Uint8Array[] {
    return this.udp.sent.filter((s) => s.token % 2 === 0).map((s) => s.bytes);
  }

  counters() {
    this.command({ kind: 'close', session: 's', stream: 1 });
    const closed = this.events.findLast((e) => e.kind === 'closed');
    assert.ok(closed?.kind === 'closed');
    return closed.counters;
  }

  kinds(): string[] {
    return this.events.map((e) => e.kind);
  }

  /** Time passes in steps of 20 ms. */
  wait(ms: number): void {
    for (let t = 0; t < ms; t += 20) {
      this.now += 20;
      this.engine.tick();
    }
  }
}
