import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from './fixtures.test.ts';
import { PortPool } from './port-pool.ts';

test('RFC 3550 11: pairs are even/odd, inside the range, and each is given once', () => {
  const pool = new PortPool({
    ip: '10.0.0.1',
    first: 20_001,
    last: 20_010,
    restMs: 10_000,
    random: seeded(3),
  });
  const got = new Set<number>();
  for (let p = pool.allocate(0); p !== undefined; p = pool.allocate(0)) got.add(p);
  assert.deepEqual([...got].sort(), [20_002, 20_004, 20_006, 20_008]);
  pool.release(20_004, 100);
  pool.release(20_004, 100);
  pool.release(9, 100);
  assert.equal(pool.allocate(10_099), undefined);
  assert.equal(pool.allocate(10_100), 20_004);
  assert.equal(pool.size, 4);
  const order = (seed: number): number =>
    new PortPool({ ip: 'x', first: 16_384, last: 32_767, restMs: 1, random: seeded(seed) }).allocate(0)!;
  assert.ok(new Set([1, 2, 3, 4, 5].map(order)).size > 1, 'the next port cannot be told');
});
