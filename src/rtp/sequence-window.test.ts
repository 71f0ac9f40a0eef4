import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DUPLICATE, IN_ORDER, JUMP, REORDERED, SequenceWindow } from './sequence-window.ts';

const feed = (window: SequenceWindow, numbers: readonly number[]): number[] =>
  numbers.map((n) => {
    const verdict = window.classify(n & 0xffff);
    if (verdict === IN_ORDER || verdict === REORDERED) window.commit(n & 0xffff);
    return verdict;
  });

test('RFC 3550 A.1: order, reordering, duplicates, jumps, across the wrap', () => {
  const w = new SequenceWindow();
  assert.deepEqual(feed(w, [65534, 65535, 65537, 65536, 65536, 65534]), [
    IN_ORDER,
    IN_ORDER,
    IN_ORDER,
    REORDERED,
    DUPLICATE,
    DUPLICATE,
  ]);
  assert.deepEqual([w.expected, w.received, w.lost, w.extendedHighest], [4, 4, 0, 65537]);
  assert.deepEqual(feed(w, [4000, 65537 - 100]), [JUMP, JUMP]);
  w.restart(30_000);
  assert.deepEqual(feed(w, [29_990, 30_001]), [DUPLICATE, IN_ORDER]);
  assert.deepEqual([w.expected, w.received], [6, 6]);
});

test('the first to arrive need not be the first that was sent, also around the wrap', () => {
  const w = new SequenceWindow();
  assert.deepEqual(feed(w, [65537, 65535, 65538, 65536]), [IN_ORDER, REORDERED, IN_ORDER, REORDERED]);
  assert.deepEqual([w.expected, w.received], [4, 4]);
});

test('a permuted and thinned stream: every packet is taken once, and the loss is exact', () => {
  fc.assert(
    fc.property(
      fc.nat(65535),
      fc.array(fc.tuple(fc.boolean(), fc.nat(8)), { minLength: 2, maxLength: 400 }),
      (start, packets) => {
        // Delay each by up to 8 places: reordering far inside the window. First and last are kept.
        const order = packets
          .map(([kept, late], i) => ({ i, kept: kept || i === 0 || i === packets.length - 1, at: i + late }))
          .filter((p) => p.kept)
          .sort((a, b) => a.at - b.at || a.i - b.i);
        const w = new SequenceWindow();
        const numbers = order.map((p) => start + p.i);
        for (const verdict of feed(w, numbers)) assert.ok(verdict === IN_ORDER || verdict === REORDERED);
        for (const verdict of feed(w, numbers.slice(-20))) assert.equal(verdict, DUPLICATE);
        assert.equal(w.received, order.length);
        assert.equal(w.lost, packets.length - order.length);
      },
    ),
  );
});
