/**
 * What the checks and counters of one packet cost in user space, without the system calls that carry it: an engine with as many legs as a worker
 * of a busy gateway, batches as polls bring them, and between two batches other memory is walked, as the kernel's network, TLS and the other
 * process do. A stream's state has then left the caches when its next packet comes, which is most of what a packet costs here. Both directions,
 * microseconds per packet, medians of rounds (a round: one packet of every stream). npm run bench -- packet [--json] [--calls N] [--rounds N]
 * [--evict MB,MB]: 0: nothing is walked; more than the second-level cache; more than the third.
 */
import assert from 'node:assert/strict';
import { parseArgs } from 'node:util';
import { Engine } from '../src/plane/engine.ts';
import type { FrameSink, SessionStreams } from '../src/plane/session-streams.ts';
import type { Destination, Udp } from '../src/plane/udp.ts';
import { RTP_HEADER, writeHeader } from '../src/rtp/packet.ts';
import { parseSource, type SourceWords } from '../src/rtp/source-words.ts';
import {
  FLAG_CONTROL,
  MEDIA_HEADER,
  type MediaFrame,
  mediaFrame,
  writeMedia,
} from '../src/tunnel/media-frame.ts';
import { BENCH_SESSION, voiceLeg } from '../test/lab/planes/voice-leg.ts';

const PAYLOAD = 160;
const SLOT = 2048;
/** Packets between two looks at the clock, and between two walks. */
const BATCH = 50;
const PACKET_MS = 20;
const LINE = 64;
/** Where in the arena a lane's buffer is; before it: what the sockets brought. */
const LANE_AT = BATCH * SLOT;

const { values: args } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    calls: { type: 'string', default: '500' },
    rounds: { type: 'string', default: '400' },
    evict: { type: 'string', default: '0,4,64' },
  },
});

/** Where packets go: nowhere. */
class NoUdp implements Udp {
  readonly implementation = 'koffi';
  readonly buffers = undefined;
  readonly polled = true;
  readonly outgoing = new Uint8Array(SLOT);
  readonly arena = new Uint8Array(LANE_AT + 16 * 1024);
  sent = 0;
  open(_local: unknown, _token: number, done: (error: string | undefined) => void): void {
    done(undefined);
  }
  close(): void {}
  destination(address: { readonly ip: string; readonly port: number }): Destination {
    return { address };
  }
  /** RTCP. */
  send(): void {}
  sendFrom(): void {
    this.sent++;
  }
  flush(): void {}
  poll(): void {}
  stop(): void {}
}

/** A lane's buffer. */
class NoLanes implements FrameSink {
  frames = 0;
  readonly #buffer: Uint8Array;
  #at = LANE_AT;

  constructor(buffer: Uint8Array) {
    this.#buffer = buffer;
  }

  send(frame: MediaFrame): void {
    if (this.#buffer.length - this.#at < MEDIA_HEADER + frame.length) this.#at = LANE_AT;
    this.#at = writeMedia(this.#buffer, this.#at, frame);
    if ((frame.flags & FLAG_CONTROL) === 0) this.frames++;
  }
  counters(): readonly never[] {
    return [];
  }
  end(): void {}
}

class Plane {
  readonly udp = new NoUdp();
  readonly lanes = new NoLanes(this.udp.arena);
  readonly #engine: Engine;
  readonly #calls: number;
  readonly #sources: SourceWords[] = [];
  /** Phones do not speak in the order of their ports. */
  readonly #order: Uint32Array;
  readonly #frame = mediaFrame();
  readonly #others: Uint8Array;
  #session!: SessionStreams;
  #now = 1000;
  #sequence = 0;

  constructor(calls: number, evictOctets: number) {
    this.#calls = calls;
    this.#others = new Uint8Array(evictOctets);
    let seed = 1;
    const uint32 = (): number => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return seed;
    };
    this.#engine = new Engine({
      random: { uint32, bytes: (n) => Uint8Array.from({ length: n }, uint32) },
      emit: () => {},
      now: () => this.#now,
      wall: () => 1.8e12 + this.#now,
      lanes: (_command, streams) => {
        this.#session = streams;
        return this.lanes;
      },
    });
    this.#engine.attach(this.udp);
    const limits = { maxLanes: 1, maxStreams: calls, maxBytesPerSecond: 1e9 };
    this.#engine.command({ kind: 'session', session: BENCH_SESSION, key: '00', peerName: 'peer', limits });
    for (let i = 0; i < calls; i++) {
      const remote = { ip: '127.0.0.2', port: 10_000 + 2 * i };
      this.#engine.command({
        kind: 'open',
        leg: voiceLeg(i + 1, { ip: '127.0.0.1', port: 10_000 + 2 * i }, remote),
      });
      this.#sources.push(parseSource(remote)!);
    }
    this.#order = Uint32Array.from({ length: calls }, (_, i) => i);
    for (let i = calls - 1; i > 0; i--) {
      const j = uint32() % (i + 1);
      [this.#order[i], this.#order[j]] = [this.#order[j]!, this.#order[i]!];
    }
  }

  /** One packet of every stream each way; microseconds per packet in, and out. */
  round(): readonly [number, number] {
    let [into, out] = [0n, 0n];
    for (let first = 0; first < this.#calls; first += BATCH) {
      const count = Math.min(BATCH, this.#calls - first);
      this.#walk();
      // What a call has just brought is in the caches.
      this.#write(first, count);
      const began = process.hrtime.bigint();
      for (let i = 0; i < count; i++) {
        const leg = this.#order[first + i]!;
        this.#engine.packet(2 * leg, this.udp.arena, i * SLOT, RTP_HEADER + PAYLOAD, this.#sources[leg]!);
      }
      into += process.hrtime.bigint() - began;
      this.#walk();
      this.#write(first, count);
      const turned = process.hrtime.bigint();
      for (let i = 0; i < count; i++) this.#fromTunnel(this.#order[first + i]!, i * SLOT);
      out += process.hrtime.bigint() - turned;
    }
    this.#engine.tick();
    this.#now += PACKET_MS;
    this.#sequence++;
    const packets = 1000 * this.#calls;
    return [Number(into) / packets, Number(out) / packets];
  }

  #write(first: number, count: number): void {
    for (let i = 0; i < count; i++) {
      const leg = this.#order[first + i]!;
      const timestamp = (0x9000_0000 + this.#sequence * PAYLOAD) >>> 0;
      this.udp.arena.fill(this.#sequence & 0xff, i * SLOT, i * SLOT + MEDIA_HEADER + PAYLOAD);
      writeHeader(this.udp.arena, i * SLOT, 0, false, this.#sequence & 0xffff, timestamp, 0xf000_0000 + leg);
    }
  }

  #fromTunnel(leg: number, at: number): void {
    const frame = this.#frame;
    frame.flags = 0;
    frame.format = 0;
    frame.stream = leg + 1;
    frame.sequence = this.#sequence & 0xffff;
    frame.sent = this.#now & 0xffff;
    frame.timestamp = (0xa000_0000 + this.#sequence * PAYLOAD) >>> 0;
    frame.bytes = this.udp.arena;
    frame.start = at + MEDIA_HEADER;
    frame.length = PAYLOAD;
    this.#engine.frame(this.#session, frame, this.#now);
  }

  #walk(): void {
    const others = this.#others;
    for (let i = 0; i < others.length; i += LINE) others[i]!++;
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

const [calls, rounds] = [Number(args.calls), Number(args.rounds)];
const results = args.evict.split(',').map((mb) => {
  const plane = new Plane(calls, Number(mb) * 1024 * 1024);
  const into: number[] = [];
  const out: number[] = [];
  // The first rounds compile.
  for (let i = -rounds / 4; i < rounds; i++) {
    const [a, b] = plane.round();
    if (i < 0) continue;
    into.push(a);
    out.push(b);
  }
  // What was refused would be no figure.
  assert.equal(plane.lanes.frames, calls * (rounds + Math.ceil(rounds / 4)));
  assert.equal(plane.udp.sent, plane.lanes.frames);
  const us = (values: readonly number[]): number => Number(median(values).toFixed(3));
  return { evictMb: Number(mb), inUs: us(into), outUs: us(out) };
});
if (args.json) console.log(JSON.stringify({ bench: 'packet', calls, results }));
else for (const r of results) console.log(`${r.evictMb} MB walked: in ${r.inUs} us, out ${r.outUs} us`);
