import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { packetFields, parsePacket, RTP_HEADER } from './packet.ts';
import { Rebuilder } from './rebuild.ts';

let counter = 0x1234;
const random = {
  bytes: (n: number) => new Uint8Array(n),
  uint32: () => {
    counter = (Math.imul(counter, 1664525) + 1013904223) >>> 0;
    return counter;
  },
};

function rebuilt(r: Rebuilder, seq: number, ts: number, marker = false, now = 0) {
  const out = new Uint8Array(RTP_HEADER + 1);
  r.header(out, 0, 96, marker, seq, ts, 8000, 1, now);
  const fields = packetFields();
  assert.equal(parsePacket(out, 0, out.length, false, fields), -1);
  return fields;
}

test('RFC 3550 5.1: own SSRC, own start; distances of sequence and timestamp survive', () => {
  fc.assert(
    fc.property(
      fc.nat(65535),
      fc.nat(0xffffffff),
      fc.array(fc.tuple(fc.integer({ min: -90, max: 2900 }), fc.nat(0xffffffff)), { maxLength: 30 }),
      (seq, ts, steps) => {
        // Any timestamp survives, but not together with a jump of the sequence: see below.
        const jumps = steps.some(([ds]) => ds > 100);
        const r = new Rebuilder(random);
        const first = rebuilt(r, seq, ts);
        assert.equal(first.marker, true);
        let [high, s, t] = [seq, seq, ts];
        for (const [ds, dt] of steps) {
          // Relative to the newest, as a network reorders.
          s = (high + ds) & 0xffff;
          t = (ts + (jumps ? dt % 80_000 : dt)) >>> 0;
          const f = rebuilt(r, s, t);
          if (ds > 0) high = s;
          assert.equal(f.ssrc, r.ssrc);
          assert.equal((f.sequence - first.sequence) & 0xffff, (s - seq) & 0xffff);
          assert.equal((f.timestamp - first.timestamp) >>> 0, (t - ts) >>> 0);
        }
      },
    ),
  );
});

test('a jump that no receiver would follow is closed: next number, timestamp by the clock', () => {
  const r = new Rebuilder(random);
  const first = rebuilt(r, 10, 1000, false, 0);
  const next = rebuilt(r, 40_000, 77, false, 500);
  assert.equal((next.sequence - first.sequence) & 0xffff, 1);
  assert.equal((next.timestamp - first.timestamp) >>> 0, 4000);
  assert.equal(next.marker, true);
});

test('a worker that begins anew near the old numbers is known by its timestamp', () => {
  for (const jump of [1236, -1236]) {
    const r = new Rebuilder(random);
    const before = rebuilt(r, 5000, 777_000, false, 0);
    const after = rebuilt(r, (5000 + jump) & 0xffff, 1_290_778_783, false, 2000);
    assert.equal((after.sequence - before.sequence) & 0xffff, 1);
    assert.equal((after.timestamp - before.timestamp) >>> 0, 16_000, 'two seconds by the clock');
    assert.equal(after.marker, true);
  }
});

test('own packets between the frames take numbers of their own; swallowed frames leave no gap', () => {
  const r = new Rebuilder(random);
  const a = rebuilt(r, 10, 1000);
  const out = new Uint8Array(16);
  r.inject(out, 0, 101, true, r.timestampAt(20), 4);
  r.swallow(11);
  r.inject(out, 0, 101, false, 0, 4);
  r.swallow(12);
  const b = rebuilt(r, 13, 1480);
  assert.equal((b.sequence - a.sequence) & 0xffff, 3);
  assert.equal((b.timestamp - a.timestamp) >>> 0, 480);
});

test('a successor goes on with the same SSRC, above every number used', () => {
  const r = new Rebuilder(random);
  rebuilt(r, 10, 1000, false, 0);
  const last = rebuilt(r, 11, 1160, false, 20);
  const s = new Rebuilder(random, { ...r.state(520), age: 500 });
  const next = rebuilt(s, 50_000, 9, false, 600);
  assert.equal(s.ssrc, r.ssrc);
  const step = (next.sequence - last.sequence) & 0xffff;
  assert.ok(step > 50 && step < 1000, `${step}`);
  assert.equal((next.timestamp - last.timestamp) >>> 0, 4000);
});

test('a base that main chose is where the numbers begin; a predecessor counts more', () => {
  const base = { ssrc: 7, sequence: 65_535, timestamp: 0xffff_ffff };
  const r = new Rebuilder(random, undefined, base);
  const first = rebuilt(r, 10, 1000);
  assert.deepEqual([r.ssrc, first.sequence, first.timestamp], [7, 0, 0xffff_ffff]);
  const state = { ssrc: 9, sequence: 5, timestamp: 6, clockRate: 8000, age: 0 };
  assert.equal(new Rebuilder(random, state, base).ssrc, 9);
});

test('a successor of a video stream leaves out more numbers: more packets left since the last snapshot', () => {
  const state = { ssrc: 9, sequence: 5, timestamp: 6, clockRate: 90_000, age: 1000 };
  const next = rebuilt(new Rebuilder(random, state), 1, 1);
  assert.ok(next.sequence > 1500 && next.sequence < 3000, String(next.sequence));
});
