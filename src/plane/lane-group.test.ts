/** The lanes of a session without sockets: wires and TCP are told what to do. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemRandom } from '../net/providers.ts';
import { FLAG_DUPLICATE, FrameReader, mediaFrame, writeHeartbeat } from '../tunnel/media-frame.ts';
import { BufferPool, Lane } from './lane.ts';
import { type LaneEnvironment, LaneGroup } from './lane-group.ts';
import type { LaneTcp } from './lane-tcp.ts';
import type { LaneWire, WireUser } from './lane-wire.ts';
import type { SessionStreams } from './session-streams.ts';

const ROUND_TRIP = 20;
/** A heartbeat's answer: the far end lives. */
const ALIVE = new Uint8Array(7);
writeHeartbeat(ALIVE, 0, 0, true);

/** Takes everything, and keeps the media frames. */
class Wire implements LaneWire {
  readonly remote = '192.0.2.1';
  readonly peerNames: readonly string[] = [];
  readonly exporter = new Uint8Array(0);
  readonly frames: { readonly sequence: number; readonly flags: number }[] = [];
  readonly fd: number;
  user: WireUser | undefined;
  /** Octets written, records included. */
  written = 0;
  readonly #reader = new FrameReader({
    media: ({ sequence, flags }) => this.frames.push({ sequence, flags }),
    ack: () => undefined,
    heartbeat: () => undefined,
    close: () => undefined,
    hello: () => undefined,
  });
  constructor(fd: number) {
    this.fd = fd;
  }
  lifetime = () => 1e9;
  attach = (user: WireUser) => {
    this.user = user;
  };
  write: LaneWire['write'] = (buffer, length, taken) => {
    this.written += length + 22;
    this.#reader.push(buffer.bytes, buffer.start, buffer.start + length);
    taken(buffer, length);
  };
  pause = () => undefined;
  resume = () => undefined;
  end = () => undefined;
  destroy = () => undefined;
}

class World {
  now = 1000;
  /** By descriptor: octets the far end has acknowledged. */
  readonly acknowledged: number[] = [];
  readonly wires: Wire[] = [];
  /** Share of segments that TCP says it lost. */
  loss = 0;
  #segments = 0;
  #sequence = 0;
  readonly #tcp: LaneTcp = {
    tune: () => undefined,
    unacknowledged: (fd) => this.wires[fd]!.written - this.acknowledged[fd]!,
    counts: (_fd, into) => {
      into.segmentsOut = this.#segments;
      into.lost = Math.round(this.#segments * this.loss);
      into.roundTripMs = ROUND_TRIP;
      return true;
    },
  };
  readonly group: LaneGroup;

  /** When connections were dialled. */
  readonly dials: number[] = [];

  constructor(lanes: number) {
    const wires = {
      dial: () => {
        this.dials.push(this.now);
        return { destroy: () => undefined };
      },
    };
    const environment = {
      pool: new BufferPool((octets) => ({ bytes: Buffer.alloc(octets), start: 0, address: 0 })),
      random: systemRandom,
      shard: 0,
      tcp: this.#tcp,
      wires,
      identity: () => undefined,
      now: () => this.now,
      emit: () => undefined,
      dirty: () => undefined,
    } as unknown as LaneEnvironment;
    const limits = { maxLanes: 16, maxStreams: 10, maxBytesPerSecond: 1e9 };
    const dial = { remote: { ip: '192.0.2.1', port: 7061 }, serverName: 'p', lanes: 0, shard: 0 };
    const command = { kind: 'session', session: 's', key: '', peerName: 'p', limits, dial } as const;
    this.group = new LaneGroup(command, {} as SessionStreams, environment);
    for (let i = 0; i < lanes; i++) {
      const wire = new Wire(i);
      this.wires.push(wire);
      this.acknowledged.push(0);
      const owner = {
        pool: this.group.pool,
        tcp: this.#tcp,
        quality: () => this.group.quality,
        intake: () => 1e9,
        now: () => this.now,
        media: () => undefined,
        hello: () => undefined,
        dirty: () => undefined,
        ended: () => undefined,
      };
      this.group.attach(new Lane(wire, owner), i);
    }
  }

  say(): number {
    const payload = new Uint8Array(160);
    const sequence = this.#sequence++;
    this.group.send({ ...mediaFrame(), stream: 1, sequence, bytes: payload, length: 160 }, this.now);
    this.group.flush(this.now);
    return sequence;
  }

  /** The far end has everything but what `stuck` lanes wrote. */
  acknowledge(stuck: readonly number[] = []): void {
    for (const wire of this.wires) if (!stuck.includes(wire.fd)) this.acknowledged[wire.fd] = wire.written;
  }

  /** Seconds of speech at this loss, everything acknowledged. */
  live(seconds: number): void {
    for (const end = this.now + seconds * 1000; this.now < end; this.now += 1) {
      for (let i = 0; i < 4; i++) this.say();
      this.#segments += 4;
      this.acknowledge();
      if (this.now % 250 !== 0) continue;
      for (const wire of this.wires) wire.user?.data(ALIVE, 0, ALIVE.length);
      this.group.keep(this.now);
    }
  }

  /** Which lanes carried a frame, and how. */
  carried(sequence: number): { readonly lane: number; readonly copy: boolean }[] {
    return this.wires.flatMap((wire) =>
      wire.frames
        .filter((frame) => frame.sequence === sequence)
        .map((frame) => ({ lane: wire.fd, copy: (frame.flags & FLAG_DUPLICATE) !== 0 })),
    );
  }
}

test('what one lane lost is said again on another, once, a round trip and an acknowledgement’s delay later', () => {
  const w = new World(4);
  w.loss = 0.01;
  w.live(6);
  assert.deepEqual([w.group.quality.lossy, w.group.quality.copies], [true, 1]);
  const lost = w.say();
  const [first] = w.carried(lost);
  w.now += ROUND_TRIP + 12;
  w.group.flush(w.now);
  assert.equal(w.carried(lost).length, 1, 'an acknowledgement may still come');
  for (let i = 0; i < 30; i++) {
    w.acknowledge([first!.lane]);
    w.now++;
    w.group.flush(w.now);
  }
  const [, ...again] = [first!, ...w.carried(lost).filter(({ lane }) => lane !== first!.lane)];
  assert.equal(again.length, 1);
  assert.ok(again[0]!.copy, 'marked, so that whichever comes second is dropped in silence');
});

test('what is acknowledged in time, on a clean path, or where most lanes wait, is said once', () => {
  const clean = new World(4);
  clean.live(6);
  const lossy = new World(4);
  lossy.loss = 0.01;
  lossy.live(6);
  for (const [w, stuck] of [
    [clean, [0, 1]],
    [lossy, []],
    [lossy, [0, 1, 2]],
  ] as const) {
    const said = Array.from({ length: 8 }, () => w.say());
    for (let i = 0; i < 80; i++) {
      w.acknowledge(stuck);
      w.now++;
      w.group.flush(w.now);
    }
    for (const sequence of said) assert.equal(w.carried(sequence).length, 1);
  }
});

test('where nothing gets through on any lane, one connection after the other is dialled, and none where one lane works', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] }); // a dial's own patience is not the matter here
  const w = new World(2);
  w.live(2);
  const outage = (ms: number, stuck: readonly number[]): void => {
    for (const end = w.now + ms; w.now < end; w.now++) {
      w.say();
      w.acknowledge(stuck);
    }
  };
  outage(300, [0]);
  w.acknowledge();
  w.group.flush(w.now);
  assert.deepEqual(w.dials, [], 'TCP repairs that lane, or it is replaced');
  const from = w.now;
  outage(400, [0, 1]);
  const after = w.dials.map((at) => at - from);
  assert.ok(after[0]! > 60 && after[0]! < 130, `the first after ${after[0]} ms`);
  assert.ok(after.length >= 5, `then every 50 ms or so: ${after}`);
  const steps = after.slice(1).map((at, i) => at - after[i]!);
  assert.ok(Math.min(...steps) >= 50 && Math.max(...steps) < 100, `${steps}`);
  outage(3000, [0, 1]);
  assert.ok(w.dials.length < 40, `a long one is not a flood of connections: ${w.dials.length}`);
  w.acknowledge();
  w.group.flush(w.now);
  const dials = w.dials.length;
  outage(300, []);
  assert.equal(w.dials.length, dials);
});
