/** One media connection: what a far end costs that speaks and does not read, and what is acknowledged when. */
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { PathQuality } from '../tunnel/lane-quality.ts';
import { FewestOutstanding } from '../tunnel/lane-scheduler.ts';
import {
  FLAG_EMERGENCY,
  FrameReader,
  helloFrame,
  mediaFrame,
  writeAck,
  writeHeartbeat,
  writeMedia,
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
  acknowledged = 0;
  readonly #reader = new FrameReader({
    media: (frame) => this.sequences.push(frame.sequence),
    ack: (received) => {
      this.acknowledged = received;
    },
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
  const quality = new PathQuality('frames');
  const lane = new Lane(wire, {
    pool: new BufferPool((octets) => ({ bytes: Buffer.alloc(octets), start: 0, address: 0 })),
    tcp: undefined,
    quality: () => quality,
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

const VOICE = { ...mediaFrame(), stream: 1, bytes: new Uint8Array(160), length: 160 };
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

test('an acknowledgement that found the connection full is made up for when there is room', () => {
  const { lane, wire, clock, dirty } = unread();
  for (let i = 0; i < 8; i++) {
    lane.sendMedia({ ...VOICE, sequence: i });
    lane.flush(clock.now);
  }
  const octets = new Uint8Array(200);
  const length = writeMedia(octets, 0, VOICE);
  clock.now += 30;
  wire.user!.data(octets, 0, length);
  lane.flush(clock.now);
  const told = dirty();
  wire.take();
  assert.ok(dirty() > told);
  lane.flush(clock.now);
  wire.take();
  assert.equal(wire.acknowledged, 43 + length);
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

test('a lane that rests is not stuck: answers to heartbeats and acknowledgements are not waited for', () => {
  const { lane, wire, clock } = unread();
  lane.flush(clock.now);
  for (let second = 0; second < 3; second++) {
    clock.now += 1000;
    wire.user!.data(HEARTBEAT, 0, HEARTBEAT.length);
    lane.flush(clock.now);
    wire.take();
    clock.now += 900;
    assert.equal(lane.oldestAt, undefined);
  }
  lane.sendMedia(VOICE);
  lane.flush(clock.now);
  assert.equal(lane.oldestAt, clock.now, 'the wait begins with the first frame, whatever was written before');
  const picked = new Int32Array(1);
  assert.equal(new FewestOutstanding().pick([lane], 1, 0, clock.now, picked), 1);
});

test('the last frames of a spurt are acknowledged in time although nothing else happens', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    const { lane, wire, clock, dirty } = unread();
    wire.take();
    const octets = new Uint8Array(200);
    const length = writeMedia(octets, 0, VOICE);
    const told = dirty();
    for (let i = 0; i < 3; i++) wire.user!.data(octets, 0, length);
    assert.equal(dirty(), told, 'not yet: more may come');
    clock.now += 25;
    mock.timers.tick(25);
    assert.ok(dirty() > told);
    lane.flush(clock.now);
    wire.take();
    assert.equal(wire.acknowledged, 43 + 3 * length);
    // An acknowledgement alone is not acknowledged: two lanes at rest stay at rest.
    const acknowledgement = new Uint8Array(7);
    writeAck(acknowledgement, 0, 0);
    const rests = dirty();
    wire.user!.data(acknowledgement, 0, acknowledgement.length);
    clock.now += 100;
    mock.timers.tick(100);
    assert.equal(dirty(), rests);
  } finally {
    mock.timers.reset();
  }
});
