/** T.38 9.1.4.2: what parities can restore is restored, in its place. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fromHex, toHex } from '../bytes/text.ts';
import { ACCEPTED, REFUSED } from './refusal.ts';
import { SourceLock } from './source-lock.ts';
import { parseSource } from './source-words.ts';
import { UdptlCheck } from './udptl-check.ts';
import { REPAIR_HOLD_MS, REPAIR_WINDOW } from './udptl-repair.ts';

const PHONE = parseSource({ ip: '198.51.100.7', port: 4000 })!;
const BASE = 500;

interface Manner {
  readonly span: number;
  readonly entries: number;
}

/** Indices that parity `m` of datagram `n` is over; the first datagrams have smaller ones, as there is less to cover. */
function covered(n: number, m: number, entries: number, span: number): number[] {
  return Array.from({ length: span }, (_, k) => n + m - entries * (k + 1));
}

function mannerAt(n: number, { span, entries }: Manner): Manner {
  if (n >= span * entries) return { span, entries };
  return { span: n < span ? 0 : span, entries: Math.floor(n / span) };
}

function parity(packets: readonly Uint8Array[]): number[] {
  const out: number[] = Array.from({ length: Math.max(...packets.map((p) => p.length)) }, () => 0);
  for (const packet of packets) for (const [i, octet] of packet.entries()) out[i]! ^= octet;
  return out;
}

const open = (octets: readonly number[]): number[] => [
  ...(octets.length < 128 ? [octets.length] : [0x80 | (octets.length >> 8), octets.length & 255]),
  ...octets,
];

/** Datagram `n` of these packets, the first of which has the number `first`. */
function datagram(packets: readonly Uint8Array[], n: number, manner: Manner, first = 0): Uint8Array {
  const { span, entries } = mannerAt(n, manner);
  const parities = Array.from({ length: entries }, (_, m) =>
    open(parity(covered(n, m, entries, span).map((i) => packets[i]!))),
  );
  const number = (first + n) & 0xffff;
  return Uint8Array.from([
    number >> 8,
    number & 255,
    ...open([...packets[n]!]),
    0x80,
    1,
    span,
    entries,
    ...parities.flat(),
  ]);
}

/** What can be known of all packets: those that came, and again and again whatever is alone missing in a parity that came. */
function restorable(count: number, came: ReadonlySet<number>, manner: Manner): number[] {
  const known = new Set(came);
  for (let before = -1; before !== known.size; ) {
    before = known.size;
    for (const n of came) {
      const { span, entries } = mannerAt(n, manner);
      for (let m = 0; m < entries; m++) {
        const missing = covered(n, m, entries, span).filter((i) => !known.has(i));
        if (missing.length === 1) known.add(missing[0]!);
      }
    }
  }
  return Array.from({ length: count }, (_, i) => i).filter((i) => known.has(i));
}

class Bench {
  readonly check: UdptlCheck;
  readonly out: { readonly number: number; readonly ifp: string }[] = [];
  now = 1000;

  constructor() {
    const rules = { receive: true, maxDatagram: 1500, maxPacketsPerSecond: 1e6, maxBytesPerSecond: 1e9 };
    this.check = new UdptlCheck(rules, new SourceLock('signalled', PHONE, 2000, 0), BASE, 0);
  }

  give(bytes: Uint8Array, afterMs = 1): number {
    this.now += afterMs;
    // A buffer that is used again for the next one.
    const arena = Uint8Array.from([9, 9, ...bytes, 9]);
    const verdict = this.check.check(arena, 2, bytes.length, PHONE, this.now);
    this.#take();
    arena.fill(0xee);
    return verdict;
  }

  wait(ms: number): void {
    this.now += ms;
    this.check.release(this.now);
    this.#take();
  }

  #take(): void {
    for (const { bytes, start, length, sequence } of this.check.fresh.slice(0, this.check.count))
      this.out.push({ number: sequence, ifp: toHex(bytes.subarray(start, start + length)) }); // biome-ignore format: one line
  }
}

/** Whole IFP packets of every kind and length, many of which end with zeros. */
const ifp = fc.oneof(
  fc.constantFrom('00', '02', '06', '1a', '2180', '50', 'c00221', 'c0021008', 'c0021040', 'c00220').map((text) => fromHex(text)!), // biome-ignore format: one line
  fc
    .tuple(fc.constantFrom(0xc0, 0xd0), fc.array(fc.oneof(fc.constant(0), fc.nat(255)), { minLength: 1, maxLength: 140 }))
    .map(([head, data]) => Uint8Array.from([head, 1, head === 0xc0 ? 0x80 : 0xe0, (data.length - 1) >> 8, (data.length - 1) & 255, ...data])), // biome-ignore format: one line
);
const manner = fc
  .record({ span: fc.integer({ min: 1, max: 7 }), entries: fc.integer({ min: 1, max: 7 }) })
  .filter(({ span, entries }) => span * entries <= 30);

const hex = (bytes: Uint8Array): string => toHex(bytes);

test('every pattern of losses that the parities can correct: all IFP packets, whole and in order; of others what can be had', () => {
  let [mended, whole] = [0, 0];
  fc.assert(
    fc.property(
      manner,
      fc.array(fc.tuple(ifp, fc.constantFrom(true, true, true, false)), {
        minLength: 2,
        maxLength: REPAIR_WINDOW,
      }),
      fc.constantFrom(0, 1, 700, 65_500, 65_535),
      (how, sent, first) => {
        const packets = sent.map(([bytes]) => bytes);
        const came = new Set(sent.flatMap(([, arrives], n) => (arrives ? [n] : [])));
        if (first !== 0)
          came.add(0); // where a series began that does not begin with 0, its first one alone tells
        else if (came.size === 0) return;
        const b = new Bench();
        for (const n of [...came].sort((x, y) => x - y))
          assert.equal(b.give(datagram(packets, n, how, first)), ACCEPTED);
        b.wait(REPAIR_HOLD_MS);
        const expected = restorable(packets.length, came, how);
        assert.deepEqual(
          b.out.map(({ ifp }) => ifp),
          expected.map((n) => hex(packets[n]!)),
        );
        const shift = b.out[0]!.number - expected[0]!;
        assert.deepEqual(
          b.out.map(({ number }) => (number - shift) & 0xffff),
          expected,
          'numbers keep the gaps that stay',
        );
        assert.ok(!b.check.holding);
        assert.equal(b.check.restored, expected.length - came.size);
        mended += expected.length - came.size;
        if (expected.length === packets.length && came.size < packets.length) whole++;
      },
    ),
    { numRuns: 600 },
  );
  assert.ok(mended > 500 && whole > 50, `${mended} restored, ${whole} whole`);
});

test('a long stream that loses as many in a row as there are parities, again and again, around the end of the numbers: nothing is missing', () => {
  fc.assert(
    fc.property(
      manner.filter(({ span }) => span > 1),
      fc.constantFrom(0, 64_000),
      fc.array(fc.tuple(fc.nat(60), fc.nat(6)), { minLength: 20, maxLength: 30 }),
      fc.array(ifp, { minLength: 50, maxLength: 50 }),
      (how, first, bursts, kinds) => {
        const lost = new Set<number>();
        let at = how.span * how.entries;
        for (const [distance, burst] of bursts) {
          for (let i = 0; i < Math.min(burst, how.entries); i++) lost.add(at + i);
          at += how.entries + how.span * how.entries + distance;
        }
        const packets = Array.from({ length: at + how.span * how.entries }, (_, n) => kinds[n % 50]!);
        const b = new Bench();
        for (const n of packets.keys()) {
          if (lost.has(n)) continue;
          b.give(datagram(packets, n, how, first), 20);
          assert.ok(b.check.fresh.length <= 2 * REPAIR_WINDOW);
        }
        assert.deepEqual(b.out.map(({ ifp }) => ifp), packets.map(hex)); // biome-ignore format: one line
        assert.deepEqual([b.check.window.lost, b.check.restored], [0, lost.size]);
      },
    ),
    { numRuns: 30 },
  );
});

const numbered = (count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, n) => Uint8Array.of(0xc0, 1, 0x80, 0, 1, n >> 8, n & 255));

test('who waits for a parity that does not come waits half a second, and a way without losses costs nothing', () => {
  const packets = numbered(40);
  const how = { span: 3, entries: 3 };
  const b = new Bench();
  for (let n = 0; n < 20; n++) {
    b.give(datagram(packets, n, how));
    assert.equal(b.out.length, n + 1, 'at once');
  }
  // Four in a row: three parities over nine packets cannot restore all of them.
  for (let n = 24; n < 28; n++) b.give(datagram(packets, n, how));
  const known = b.out.length;
  assert.ok(b.check.holding && known < 24);
  b.wait(REPAIR_HOLD_MS - 10);
  assert.equal(b.out.length, known);
  b.wait(10);
  assert.ok(!b.check.holding);
  assert.equal(b.out.at(-1)!.ifp, hex(packets[27]!));
  const numbers = b.out.map(({ number }) => number - BASE);
  assert.deepEqual(numbers, [...numbers].sort((x, y) => x - y), 'in order'); // biome-ignore format: one line
});

test('a parity that gives no whole IFP packet restores nothing, and what was restored is refused when it comes', () => {
  const packets = numbered(12);
  const how = { span: 3, entries: 1 };
  const b = new Bench();
  const wrong = datagram(packets, 7, how);
  wrong[wrong.length - 6]! ^= 0xff; // in its parity, the shape of the fields
  for (const n of [0, 1, 2, 3, 4, 5]) b.give(datagram(packets, n, how));
  b.give(wrong);
  assert.equal(b.check.restored, 0);
  b.give(datagram(packets, 8, how));
  assert.equal(b.check.restored, 1);
  assert.deepEqual(b.out.map(({ ifp }) => ifp), packets.slice(0, 9).map(hex)); // biome-ignore format: one line
  assert.equal(b.give(datagram(packets, 6, how)), REFUSED.sequence);
  assert.equal(b.out.length, 9);
});

test('what comes in another order finds its place, and what comes after it was given up is not lost', () => {
  const packets = numbered(40);
  const how = { span: 2, entries: 2 };
  const b = new Bench();
  for (const n of [0, 1, 2, 3, 6, 5, 4, 7]) b.give(datagram(packets, n, how));
  assert.deepEqual(b.out.map(({ number }) => number - BASE), [0, 1, 2, 3, 4, 5, 6, 7]); // biome-ignore format: one line
  for (const n of [14, 15]) b.give(datagram(packets, n, how));
  b.wait(REPAIR_HOLD_MS);
  b.give(datagram(packets, 9, how));
  assert.ok(b.out.some(({ number }) => number - BASE === 9));
});

test('a new series begins anew: what waited goes out before it, with its own numbers', () => {
  const packets = numbered(40);
  const how = { span: 2, entries: 1 };
  const b = new Bench();
  for (const n of [0, 1, 2, 3, 6]) b.give(datagram(packets, n, how));
  assert.ok(b.check.holding);
  b.check.relearn();
  for (const n of [0, 1, 3, 4]) b.give(datagram(packets, n, how, 30_000));
  b.wait(REPAIR_HOLD_MS);
  assert.deepEqual(b.out.map(({ ifp }) => Number.parseInt(ifp.slice(-4), 16)), [0, 1, 2, 3, 6, 0, 1, 2, 3, 4]); // biome-ignore format: one line
  assert.deepEqual(b.out.map(({ number }) => number - BASE), [0, 1, 2, 3, 6, 7, 8, 9, 10, 11]); // biome-ignore format: one line
});

test('a far end may change between repetitions and parities', () => {
  const packets = numbered(30);
  const repeated = (n: number, copies: number): Uint8Array =>
    Uint8Array.from([n >> 8, n & 255, ...open([...packets[n]!]), 0, copies, ...Array.from({ length: copies }, (_, i) => open([...packets[n - 1 - i]!])).flat()]); // biome-ignore format: one line
  const b = new Bench();
  for (const n of [0, 1, 4]) b.give(repeated(n, Math.min(n, 2)));
  for (const n of [5, 6, 7, 8, 9, 11]) b.give(datagram(packets, n, { span: 2, entries: 1 }));
  for (const n of [14, 15]) b.give(repeated(n, 2));
  assert.deepEqual(b.out.map(({ number }) => number - BASE), Array.from({ length: 16 }, (_, n) => n)); // biome-ignore format: one line
});

test('whatever parities say, memory and time are bounded, and nothing but whole IFP packets comes out', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          step: fc.oneof(fc.constant(1), fc.nat(200), fc.integer({ min: -70, max: 2900 })),
          span: fc.nat(127),
          parities: fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 16 }),
          wait: fc.nat(300),
        }),
        { maxLength: 100 },
      ),
      (steps) => {
        const b = new Bench();
        const [packet] = numbered(1);
        let number = 0;
        for (const { step, span, parities, wait } of steps) {
          number = (number + step) & 0xffff;
          const list = parities.flatMap((p) => open([...p]));
          b.give(Uint8Array.from([number >> 8, number & 255, ...open([...packet!]), 0x80, 1, span, parities.length, ...list])); // biome-ignore format: one line
          b.wait(wait);
          assert.ok(b.check.fresh.length <= 3 * REPAIR_WINDOW);
        }
        b.wait(REPAIR_HOLD_MS);
        assert.ok(!b.check.holding);
        assert.equal(new Set(b.out.map((o) => o.number)).size <= b.out.length, true);
      },
    ),
    { numRuns: 200 },
  );
});
