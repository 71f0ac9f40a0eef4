import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  INDEX_EXHAUSTED,
  INDEX_NEW,
  INDEX_REPLAYED,
  MOST_SOURCES,
  REPLAY_WINDOW,
  SrtpIndex,
  SrtpSources,
} from './srtp-index.ts';

test('RFC 3711 3.3.1: the roll-over counter follows the sequence number over its end, either way', () => {
  const at = new SrtpIndex(1, 'rtp');
  assert.equal(at.estimate(65_535), 65_535);
  at.commit(65_535);
  assert.equal(at.estimate(0), 0x1_0000);
  at.commit(0x1_0000);
  assert.equal(at.estimate(65_534), 65_534, 'late, from before');
  assert.equal(at.estimate(0x8000), 0x1_8000);
  assert.equal(at.estimate(0x8001), 0x8001);
});

test('RFC 3711 3.3.1: before the first packet there is no index below 0', () => {
  const at = new SrtpIndex(1, 'rtp');
  at.commit(0);
  assert.ok(at.estimate(65_535) < 0);
  assert.equal(at.judge(at.estimate(65_535)), INDEX_REPLAYED);
});

test('RFC 3711 appendix A: the estimate is right for every step of less than 2^15', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 2 ** 40 }),
      fc.integer({ min: -0x7fff, max: 0x7fff }),
      (highest, step) => {
        const wanted = highest + step;
        if (wanted < 0) return;
        const at = new SrtpIndex(1, 'rtp', highest);
        assert.equal(at.estimate(wanted % 0x1_0000), wanted);
      },
    ),
  );
});

test('RFC 3711 3.3.2: an index is taken once, and not when it is older than the window (against a set)', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -300, max: 300 }), { maxLength: 200 }), (steps) => {
      const at = new SrtpIndex(1, 'rtp', 1000);
      const seen = new Set<number>();
      let highest = 1000;
      for (const step of steps) {
        const index = Math.max(0, highest + step);
        if (index === 1000 && !seen.has(1000)) continue; // where it began
        const fresh = index > highest || (highest - index < REPLAY_WINDOW && !seen.has(index));
        assert.equal(at.judge(index), fresh ? INDEX_NEW : INDEX_REPLAYED, `${index} at ${highest}`);
        if (!fresh) continue;
        at.commit(index);
        seen.add(index);
        highest = Math.max(highest, index);
      }
    }),
  );
});

test('RFC 3711 9.2: a key serves 2^48 RTP and 2^31 RTCP packets of a source', () => {
  assert.equal(new SrtpIndex(1, 'rtp', 2 ** 48 - 2).judge(2 ** 48 - 1), INDEX_NEW);
  assert.equal(new SrtpIndex(1, 'rtp', 2 ** 48 - 1).judge(2 ** 48), INDEX_EXHAUSTED);
  assert.equal(new SrtpIndex(1, 'rtcp', 2 ** 31 - 1).judge(2 ** 31), INDEX_EXHAUSTED);
});

test('sources of one key are bounded, and none is forgotten for another', () => {
  const sources = new SrtpSources('rtp');
  for (let ssrc = 1; ssrc <= MOST_SOURCES; ssrc++) sources.commit(ssrc, sources.of(ssrc)!, 7);
  assert.equal(sources.of(99), undefined);
  for (let ssrc = 1; ssrc <= MOST_SOURCES; ssrc++) assert.equal(sources.of(ssrc)?.judge(7), INDEX_REPLAYED);
});

test('a source that no packet was taken of leaves no trace', () => {
  const sources = new SrtpSources('rtp');
  for (let ssrc = 1; ssrc < 1000; ssrc++) assert.equal(sources.of(ssrc)?.judge(5), INDEX_NEW);
  assert.equal(sources.size, 0);
});
