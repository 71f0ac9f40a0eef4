import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MediaTotalsBook } from './media-totals.ts';

test('strangers are summed over workers, and a worker that was started again adds from 0', () => {
  const book = new MediaTotalsBook();
  const report = (shard: number, strangers?: number): void =>
    book.report(shard, {
      kind: 'counters',
      streams: [],
      lanes: [],
      ...(strangers === undefined ? {} : { strangers }),
    });
  report(0, 5);
  report(1, 2);
  report(0); // nothing counted in this phase
  report(0, 8);
  assert.equal(book.totals().strangers, 10);
  report(0, 3); // its successor
  report(0, 4);
  assert.equal(book.totals().strangers, 14);
});
