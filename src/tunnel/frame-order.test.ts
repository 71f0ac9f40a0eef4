import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FrameOrder } from './frame-order.ts';
import { mediaFrame } from './media-frame.ts';

/** Feeds sequence numbers at times; returns what is sent when. */
function play(arrivals: readonly (readonly [sequence: number, at: number])[]): [number, number][] {
  const order = new FrameOrder();
  const sent: [number, number][] = [];
  const drain = (now: number): void => {
    for (let f = order.next(now); f !== undefined; f = order.next(now)) {
      assert.equal(f.bytes[f.start], f.sequence & 255, 'the payload is its own');
      sent.push([f.sequence, now]);
    }
  };
  let now = 0;
  for (const [sequence, at] of arrivals) {
    for (; now < at; now++) drain(now);
    const bytes = Uint8Array.of(0, sequence & 255);
    if (!order.hold({ ...mediaFrame(), sequence, bytes, start: 1, length: 1 }, at)) sent.push([sequence, at]);
    drain(at);
  }
  for (; order.holding; now++) drain(now);
  return sent;
}

test('in order nothing waits, nor after a gap while the way has kept the order', () => {
  const arrivals = [
    [65534, 0],
    [65535, 20],
    [0, 40],
    [3, 100],
    [4, 120],
  ] as const;
  assert.deepEqual(play(arrivals), arrivals);
});

test('after disorder a frame waits for the one before it, 15 ms at most', () => {
  const sent = play([
    [1, 0],
    [3, 40],
    [2, 51], // disorder is known from here
    [4, 60],
    [6, 100],
    [5, 111],
    [8, 140],
    [9, 160],
  ]);
  assert.deepEqual(sent, [
    [1, 0],
    [3, 40],
    [2, 51],
    [4, 60],
    [5, 111],
    [6, 111],
    [8, 155],
    [9, 160],
  ]);
});

test('a new series sends at once and forgets what waited', () => {
  const sent = play([
    [1, 0],
    [3, 1],
    [2, 2],
    [5, 3],
    [30_000, 4],
    [30_001, 5],
  ]);
  assert.deepEqual(
    sent.map(([s]) => s),
    [1, 3, 2, 30_000, 30_001],
  );
});

test('whatever the order, every frame of a series is sent once and no later than 15 ms after it came', () => {
  const jitter = fc.array(fc.nat(45), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(jitter, fc.nat(0xffff), (delays, first) => {
      const arrivals = delays
        .map((d, i) => [(first + i) & 0xffff, 20 * i + d] as const)
        .sort((a, b) => a[1] - b[1]);
      const sent = play(arrivals);
      assert.equal(new Set(sent.map(([s]) => s)).size, delays.length);
      assert.equal(sent.length, delays.length);
      const cameAt = new Map(arrivals);
      for (const [sequence, at] of sent) assert.ok(at - cameAt.get(sequence)! <= 15);
    }),
  );
});
