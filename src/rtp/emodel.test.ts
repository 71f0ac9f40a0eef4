import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type CodecImpairment, estimateMos, IMPAIRMENTS, mosOfRating, rating } from './emodel.ts';

const near = (actual: number, wanted: number, within = 0.02): void =>
  assert.ok(Math.abs(actual - wanted) <= within, `${actual}, not ${wanted}`);

test('G.107: without loss and delay R is 93.2 less the codec (table I.1 of G.113), MOS 4.41 for G.711', () => {
  near(rating(0, 0, IMPAIRMENTS.G711), 93.2);
  near(rating(0, 0, IMPAIRMENTS.G729), 82.2);
  near(rating(0, 0, IMPAIRMENTS.G723), 78.2);
  near(rating(0, 0, IMPAIRMENTS.GSM), 73.2);
  near(mosOfRating(93.2), 4.41, 0.005);
  near(mosOfRating(82.2), 4.1, 0.02);
});

test('G.107 equation 7-29: loss counts by the codec`s robustness', () => {
  // 95 * 2 / (2 + 25.1) and 95 * 2 / (2 + 4.3).
  near(rating(2, 0, IMPAIRMENTS.G711), 93.2 - 7.01);
  near(rating(2, 0, IMPAIRMENTS.G711_BARE), 93.2 - 30.16);
  near(rating(2, 0, IMPAIRMENTS.G729), 93.2 - 11 - 8);
});

test('G.107 7.4: losses that come together count more, and never less than random ones', () => {
  near(rating(10, 0, IMPAIRMENTS.G711, 2), 93.2 - (95 * 10) / (10 / 2 + 25.1));
  assert.ok(rating(10, 0, IMPAIRMENTS.G711, 2) < rating(10, 0, IMPAIRMENTS.G711));
  assert.equal(rating(10, 0, IMPAIRMENTS.G711, 0.2), rating(10, 0, IMPAIRMENTS.G711));
});

test('G.107 7.3: delay costs nothing up to 100 ms, then ever more', () => {
  assert.equal(rating(0, 100, IMPAIRMENTS.G711), rating(0, 0, IMPAIRMENTS.G711));
  let last = rating(0, 100, IMPAIRMENTS.G711);
  for (let ms = 150; ms <= 800; ms += 50) {
    const r = rating(0, ms, IMPAIRMENTS.G711);
    assert.ok(r < last, `${ms} ms`);
    last = r;
  }
});

test('G.107: the best is 4.4, loss and delay cost, G.729 is worse than G.711', () => {
  const mos = (lossPercent: number, roundTripMs: number, codec: CodecImpairment = IMPAIRMENTS.G711): number =>
    estimateMos({ lossPercent, jitterMs: 0, roundTripMs, codec });
  assert.ok(Math.abs(mosOfRating(93.2) - 4.41) < 0.01);
  assert.ok(Math.abs(rating(0, 150, IMPAIRMENTS.G711) - 93.2) < 1.5);
  assert.ok(rating(0, 400, IMPAIRMENTS.G711) < 70);
  assert.ok(mos(0, -1) > mos(1, -1));
  assert.ok(mos(1, 40) > mos(5, 40));
  assert.ok(mos(0, 40, IMPAIRMENTS.G729) < mos(0, 40));
  assert.equal(mos(100, 9999) >= 1, true);
});

test('whatever is measured, a score is between 1 and 4.5 and more loss is never better', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...Object.values(IMPAIRMENTS)),
      fc.double({ min: 0, max: 100, noNaN: true }),
      fc.double({ min: 0, max: 500, noNaN: true }),
      fc.integer({ min: -1, max: 5000 }),
      fc.double({ min: 0, max: 50, noNaN: true }),
      (codec, lossPercent, jitterMs, roundTripMs, burstRatio) => {
        const heard = { lossPercent, jitterMs, roundTripMs, codec, burstRatio };
        const mos = estimateMos(heard);
        assert.ok(mos >= 1 && mos <= 4.5);
        const worse = estimateMos({ ...heard, lossPercent: Math.min(100, lossPercent + 5) });
        assert.ok(worse <= mos + 1e-9);
      },
    ),
  );
});
