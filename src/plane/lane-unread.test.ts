/** A far end that speaks and does not read: what is meant for it must not pile up here. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FewestOutstanding } from '../tunnel/lane-scheduler.ts';
import {
  FLAG_EMERGENCY,
  FrameReader,
  helloFrame,
  mediaFrame,
  writeHeartbeat,
} from '../tunnel/media-frame.ts';
import { BufferPool, Lane } from './lane.ts';
import type { LaneWire, WireBuffer, WireUser } from './lane-wire.ts';

/** The system takes nothing until `take`. */
class FullWire implements LaneWire {
  readonly remote = '192.0.2.1';
  readonly fd = -1;
  readonly peerNames: readonly string[] = [];
  readonly exporter = new Uint8Array(0);
  user: WireUser | undefined;
  readonly waiting: { buffer: WireBuffer; length: number; taken: Parameters<LaneWire['write']>[2] }[] = [];
  sequences: number[] = [];
  heartbeats = 0;
  readonly #reader = new FrameReader({
    media: (frame) => this.sequences.push(frame.sequence),
    ack: () => undefined,
    heartbeat: () => this.heartbeats++,
    close: () => undefined,
    hello: () => undefined,
  });
  lifetime = () => 1e9;
  attach = (user: WireUser) => {
    this.user = user;
  };
  write: LaneWire['write'] = (buffer, length, taken) => {
    this.waiting.push({ buffer, length, taken });
  };
  take(): void {
    for (const { buffer, length, taken } of this.waiting.splice(0)) {
      this.#reader.push(buffer.bytes, buffer.start, buffer.start + length);
      taken(buffer, length);
    }
  }
  pause = () => undefined;
  resume = () => undefined;
  end = () => undefined;
  destroy = () => undefined;
}

function unread(): { lane: Lane; wire: FullWire; clock: { now: number }; dirty: () => number } {
  const wire = new FullWire();
  const clock = { now: 1000 };
  let dirty = 0;
  const lane = new Lane(wire, {
    pool: new BufferPool((octets) => ({ bytes: Buffer.alloc(octets), start: 0, address: 0 })),
    tcp: undefined,
    quality: () => undefined,
    intake: () => 1e9,
    now: () => clock.now,
    media: () => undefined,
    hello: () => undefined,
    dirty: () => {
      dirty++;
    },
    ended: () => undefined,
  });
  lane.usable = true;
  wire.user!.data(helloFrame(4, new Uint8Array(40)), 0, 43);
  return { lane, wire, clock, dirty: () => dirty };
}

const HEARTBEAT = new Uint8Array(7);
writeHeartbeat(HEARTBEAT, 0, 1, false);

test('who asks for answers and does not read them costs a few buffers, and has the newest answers once he reads', () => {
  const { lane, wire, clock } = unread();
  for (let i = 0; i < 20_000; i++) {
    clock.now++;
    wire.user!.data(HEARTBEAT, 0, HEARTBEAT.length);
    lane.flush(clock.now);
    if (i % 250 === 0) lane.keep(clock.now);
  }
  assert.ok(wire.waiting.length <= 8, `${wire.waiting.length} buffers of 16 kB wait for him`);
  wire.take();
  const before = wire.heartbeats;
  clock.now++;
  wire.user!.data(HEARTBEAT, 0, HEARTBEAT.length);
  lane.flush(clock.now);
  wire.take();
  assert.ok(wire.heartbeats > before, 'he is answered again');
});

test('frames that a full connection holds back leave in order and whole once it takes them', () => {
  const { lane, wire, clock, dirty } = unread();
  const payload = new Uint8Array(160);
  for (let sequence = 0; sequence < 400; sequence++) {
    clock.now++;
    lane.sendMedia({ ...mediaFrame(), stream: 1, sequence, bytes: payload, length: 160 });
    lane.flush(clock.now);
  }
  assert.ok(wire.waiting.length <= 16, `${wire.waiting.length} buffers for 70 kB`);
  const told = dirty();
  while (wire.waiting.length > 0) {
    wire.take();
    lane.flush(clock.now);
  }
  assert.ok(dirty() > told, 'its owner is told that there is something to write');
  assert.deepEqual(
    wire.sequences,
    Array.from({ length: 400 }, (_, i) => i),
  );
});

test('even emergency frames stop at a megabyte that nobody acknowledges', () => {
  const { lane, wire, clock } = unread();
  const policy = new FewestOutstanding();
  const picked = new Int32Array(1);
  const payload = new Uint8Array(160);
  for (let i = 0; i < 20_000; i++) {
    clock.now++;
    if (policy.pick([lane], 1, FLAG_EMERGENCY, clock.now, picked) > 0)
      lane.sendMedia({ ...mediaFrame(), stream: 1, sequence: i & 0xffff, bytes: payload, length: 160 });
    lane.flush(clock.now);
  }
  assert.ok(wire.waiting.length <= 80, `${wire.waiting.length} buffers of 16 kB`);
});
