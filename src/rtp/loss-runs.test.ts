import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LossRuns } from './loss-runs.ts';

/** `.` received, `x` lost. */
function runs(pattern: string): LossRuns {
  const out = new LossRuns();
  for (const c of pattern) {
    if (c === 'x') out.lost();
    else out.received();
  }
  return out;
}

const calm = '.'.repeat(100);

test('RFC 3611 4.7.2: without loss there is one gap and no burst', () => {
  const { burstDensity, gapDensity, burstPackets, gapPackets } = runs(calm).burstGap();
  assert.deepEqual([burstDensity, gapDensity, burstPackets, gapPackets], [0, 0, 0, 100]);
});

test('RFC 3611 4.7.2: losses with 16 or more received between them belong to the gap', () => {
  const found = runs(`${calm}x${calm}x${calm}`).burstGap();
  assert.equal(found.burstDensity, 0);
  assert.ok(Math.abs(found.gapDensity - 2 / 302) < 1e-9, `${found.gapDensity}`);
});

test('RFC 3611 4.7.2: losses close together are a burst, its density the share lost within it', () => {
  const solid = runs(`${calm}xxxx${calm}`).burstGap();
  assert.equal(solid.burstDensity, 1);
  assert.equal(solid.gapDensity, 0);
  const every = runs(`${calm}x.x.x.x.x${calm}`).burstGap();
  assert.ok(every.burstDensity > 0.4 && every.burstDensity < 0.6, `${every.burstDensity}`);
  assert.ok(every.burstPackets >= 8 && every.burstPackets <= 10, `${every.burstPackets}`);
});

test('G.107 7.4: the burst ratio is about 1 for random loss and the length of the runs for loss in runs', () => {
  let seed = 7;
  const random = (): number => {
    seed = (seed * 1_103_515_245 + 12_345) & 0x7fff_ffff;
    return seed / 0x8000_0000;
  };
  const scattered = Array.from({ length: 20_000 }, () => (random() < 0.05 ? 'x' : '.')).join('');
  const ratio = runs(scattered).burstRatio(20_000);
  assert.ok(ratio < 1.15, `${ratio}`);
  const grouped = runs(`${calm}xxxxx`.repeat(20)).burstRatio(2100);
  assert.ok(grouped > 4 && grouped < 5.1, `${grouped}`);
  assert.equal(new LossRuns().burstRatio(0), 1);
});

test('whatever is lost, densities are shares and durations are not negative', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 400 }), (lost) => {
      const found = runs(lost.map((l) => (l ? 'x' : '.')).join(''));
      const { burstDensity, gapDensity, burstPackets, gapPackets } = found.burstGap();
      for (const share of [burstDensity, gapDensity]) assert.ok(share >= 0 && share <= 1, `${share}`);
      for (const length of [burstPackets, gapPackets]) assert.ok(length >= 0 && length <= 401, `${length}`);
      assert.ok(found.burstRatio(lost.length) >= 1);
    }),
  );
});
