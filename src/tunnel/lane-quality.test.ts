import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AckLog, LaneCount, PathQuality } from './lane-quality.ts';

test('a write counts as acknowledged when all of it is, and its time is taken', () => {
  const log = new AckLog();
  const quality = new PathQuality('frames');
  log.written(100, 1000);
  log.written(50, 1010);
  assert.deepEqual([log.outstanding, log.oldestAt], [150, 1000]);
  log.settle(51, 1020, quality);
  assert.deepEqual([log.outstanding, log.oldestAt, quality.roundTripMs], [51, 1000, -1]);
  log.settle(50, 1025, quality);
  assert.deepEqual([log.oldestAt, quality.roundTripMs], [1010, 25]);
  log.settle(0, 1026, quality);
  assert.deepEqual([log.outstanding, log.oldestAt, quality.roundTripMs], [0, undefined, 16]);
});

test('what is not awaited is outstanding, but no write waits for it', () => {
  const log = new AckLog();
  const quality = new PathQuality('frames');
  assert.equal(log.written(14, 1000, false), -1);
  assert.deepEqual([log.outstanding, log.oldestAt], [14, undefined]);
  assert.equal(log.written(176, 1900), 0);
  assert.deepEqual([log.outstanding, log.oldestAt], [190, 1900]);
  log.settle(0, 1925, quality);
  assert.deepEqual([log.outstanding, log.oldestAt, quality.roundTripMs], [0, undefined, 25]);
});

test('the log is of fixed size and its sums stay right, whatever is written and acknowledged', () => {
  const step = fc.oneof(
    fc.record({ write: fc.integer({ min: 1, max: 5000 }) }),
    fc.record({ settle: fc.nat(100_000) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 600 }), (steps) => {
      const log = new AckLog();
      const quality = new PathQuality();
      let outstanding = 0;
      let now = 0;
      for (const s of steps) {
        now += 7;
        if ('write' in s) {
          log.written(s.write, now);
          outstanding += s.write;
        } else {
          outstanding = Math.min(outstanding, s.settle);
          log.settle(s.settle, now, quality);
        }
        assert.equal(log.outstanding, outstanding);
        assert.equal(log.oldestAt === undefined, outstanding === 0);
      }
    }),
  );
});

/** A path for `seconds`: TCP counts `loss`, `batches` per second are sent. */
function live(
  quality: PathQuality,
  from: number,
  seconds: number,
  path: { loss: number; roundTrip: number; batches: number },
): number {
  let now = from;
  for (; now < from + seconds * 1000; now += 250) {
    for (let i = 0; i < path.batches / 4; i++) quality.batch();
    quality.roundTrip(path.roundTrip, now);
    quality.counted(path.batches / 4, (path.batches / 4) * path.loss);
    quality.step(now);
  }
  return now;
}

test('a clean path has one copy, calls for no lanes, and collects nothing', () => {
  const quality = new PathQuality('kernel');
  live(quality, 0, 10, { loss: 0, roundTrip: 50, batches: 1000 });
  assert.deepEqual([quality.lossy, quality.copies, quality.lanes, quality.holdMs(2)], [false, 1, 0, 0]);
});

test('where TCP repairs in time one copy stays enough, over more lanes', () => {
  const quality = new PathQuality('kernel');
  live(quality, 0, 5, { loss: 0.01, roundTrip: 20, batches: 2200 });
  assert.deepEqual([quality.lossy, quality.copies], [true, 1]);
  assert.ok(quality.lanes >= 8 && quality.lanes <= 14, `${quality.lanes} lanes`);
});

test('where the repair comes too late every frame has two copies, until the path is clean for a while', () => {
  const quality = new PathQuality('kernel');
  const lossy = { loss: 0.03, roundTrip: 50, batches: 300 };
  let now = live(quality, 0, 5, lossy);
  assert.deepEqual([quality.copies, quality.lanes], [2, 16]);
  assert.ok(quality.holdMs(16) > 2 && quality.holdMs(16) <= 6);
  now = live(quality, now, 18, { ...lossy, loss: 0 });
  assert.equal(quality.copies, 2);
  live(quality, now, 15, { ...lossy, loss: 0 });
  assert.deepEqual([quality.copies, quality.lanes], [1, 0]);
});

test('a few calls are never repaired in time by what follows: copies, on few lanes', () => {
  const quality = new PathQuality('kernel');
  live(quality, 0, 10, { loss: 0.02, roundTrip: 20, batches: 50 });
  assert.deepEqual([quality.copies, quality.lanes], [2, 4]);
});

test('without the kernel, late acknowledgements tell of losses; where most are late it is congestion', () => {
  const lossy = new PathQuality('frames');
  const congested = new PathQuality('frames');
  for (let now = 0; now < 5000; now += 10) {
    lossy.acknowledged(now % 200 === 0 ? 150 : 50, now);
    congested.acknowledged(now < 100 ? 50 : 300, now);
    lossy.step(now);
    congested.step(now);
  }
  assert.deepEqual([lossy.lossy, lossy.copies], [true, 2]);
  assert.deepEqual([congested.lossy, congested.copies], [false, 1]);
});

test('lanes double while they are called for, and go when they were not needed for a while', () => {
  const count = new LaneCount(2, 16);
  const steps = [0, 500, 1000, 1500].map((now) => count.step(12, now));
  assert.deepEqual(steps, [4, 8, 12, 12]);
  assert.equal(count.step(0, 2000), 12);
  assert.equal(count.step(12, 20_000), 12);
  assert.equal(count.step(0, 21_000), 12);
  assert.equal(count.step(0, 41_001), 2);
  assert.equal(new LaneCount(2, 1).step(16, 0), 2, 'never fewer than configured');
});
