/** UDPTL of a far end that means harm: what it may cost the gateways behind, and that nothing of it is taken for something else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ACCEPTED, REFUSED } from './refusal.ts';
import { SourceLock } from './source-lock.ts';
import { parseSource } from './source-words.ts';
import { MAX_SECONDARIES } from './udptl.ts';
import { UdptlCheck } from './udptl-check.ts';

const PHONE = parseSource({ ip: '198.51.100.7', port: 4000 })!;
const STRANGER = parseSource({ ip: '198.51.100.7', port: 4001 })!;
const RULES = { receive: true, maxDatagram: 400, maxPacketsPerSecond: 200, maxBytesPerSecond: 15_000 };
const INDICATOR = 0x02; // CNG

class Bench {
  now = 1000;
  fresh = 0;
  readonly check = new UdptlCheck(RULES, new SourceLock('signalled', PHONE, 2000, 1000), 77, 1000);

  give(bytes: Uint8Array, source = PHONE): number {
    const verdict = this.check.check(bytes, 0, bytes.length, source, this.now);
    if (verdict !== ACCEPTED) assert.equal(this.check.count, 0);
    this.#took();
    return verdict;
  }

  /** What waited for a parity. */
  release(): void {
    this.check.release(this.now);
    this.#took();
  }

  #took(): void {
    this.fresh += this.check.count;
    for (const { bytes, start, length } of this.check.fresh.slice(0, this.check.count))
      assert.ok(length >= 1 && start + length <= bytes.length, 'inside what it was read from');
  }
}

const octet = fc.nat(255);

/** One indicator, and parities over what may never have been. */
function parities(sequence: number, span: number, list: readonly (readonly number[])[]): Uint8Array {
  const open = list.flatMap((parity) => [parity.length, ...parity]);
  return Uint8Array.of(
    (sequence >> 8) & 255,
    sequence & 255,
    1,
    INDICATOR,
    0x80,
    1,
    span,
    list.length,
    ...open,
  );
}

/** One indicator and as many "repetitions" of it. */
function crowd(sequence: number, secondaries: number): Uint8Array {
  const list = Array.from({ length: secondaries }, () => [1, INDICATOR]).flat();
  return Uint8Array.of((sequence >> 8) & 255, sequence & 255, 1, INDICATOR, 0, secondaries, ...list);
}

test('repetitions of what was never sent are packets of their own: they count against the rate', () => {
  for (const [what, next] of [
    ['gaps that repetitions fill', (n: number) => 17 * n],
    ['a jump each time, said twice', (n: number) => (n >> 1) * 5000 + (n & 1)],
  ] as const) {
    const b = new Bench();
    for (let n = 0; n < 2000; n++) {
      b.give(crowd(next(n) & 0xffff, MAX_SECONDARIES));
      b.now += 5;
    }
    assert.ok(b.fresh <= 10 * 200 + 100 + 17, `${what}: ${b.fresh} packets in 10 s at 200 a second`);
    assert.ok(b.fresh > 500, 'and within the rate it is heard');
  }
});

const hostile = fc.oneof(
  fc.uint8Array({ maxLength: 60 }),
  // Lengths that contradict each other, counts beyond what follows, both kinds of repair.
  fc
    .tuple(
      fc.constantFrom(0, 1, 2, 3, 100, 5000, 40_000, 65_535),
      fc.constantFrom(0, 1, 2, 127, 128, 0x81, 0xbf, 0xc1, 0xff),
      fc.uint8Array({ maxLength: 8 }),
      fc.constantFrom(0, 0, 0x80, 0x40, 0xff),
      fc.constantFrom(0, 1, 7, 16, 17, 127, 128, 255),
      fc.uint8Array({ maxLength: 40 }),
    )
    .map(([sequence, length, ifp, kind, count, rest]) =>
      Uint8Array.of(sequence >> 8, sequence & 255, length, ...ifp, kind, count, ...rest),
    ),
  fc.tuple(fc.nat(65_535), fc.nat(MAX_SECONDARIES)).map(([n, copies]) => crowd(n, copies)),
  fc
    .tuple(
      fc.constantFrom(0, 1, 2, 3, 5, 9, 60, 130, 3000, 65_535),
      fc.constantFrom(0, 1, 3, 7, 63, 127),
      fc.array(fc.oneof(fc.constant([INDICATOR]), fc.constant([0]), fc.array(octet, { maxLength: 20 })), {
        maxLength: MAX_SECONDARIES,
      }),
    )
    .map(([sequence, span, list]) => parities(sequence, span, list)),
  // Speech at a fax's port: RTP of G.711.
  fc.tuple(fc.nat(65_535), octet).map(([n, fill]) => {
    const rtp = new Uint8Array(172).fill(fill);
    rtp.set([0x80, 8, n >> 8, n & 255]);
    return rtp;
  }),
);

test('whatever comes: nothing thrown, nothing outside the datagram, the rates hold, strangers leave no trace', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(hostile, fc.boolean(), fc.constantFrom(0, 0, 5, 20, 1000)), { maxLength: 120 }),
      (given) => {
        const b = new Bench();
        const from = b.now;
        for (const [bytes, own, wait] of given) {
          const before = b.fresh;
          const verdict = b.give(bytes, own ? PHONE : STRANGER);
          if (!own) assert.deepEqual([verdict, b.fresh], [REFUSED.source, before]);
          b.now += wait;
          if (b.check.holding) b.release();
        }
        b.now += 2000;
        b.release();
        assert.ok(!b.check.holding, 'nothing waits for ever');
        assert.ok(b.fresh <= ((b.now - from) * RULES.maxPacketsPerSecond) / 1000 + 100 + MAX_SECONDARIES + 1);
      },
    ),
    { numRuns: 1000 },
  );
});

test('speech at the port of a fax is no fax', () => {
  const b = new Bench();
  let accepted = 0;
  for (let n = 0; n < 65_536; n += 7) {
    const rtp = new Uint8Array(172).fill(0xd5);
    rtp.set([0x80, n % 2 === 0 ? 8 : 0x88, n >> 8, n & 255, 0, 0, n & 255, 160, 1, 2, 3, 4]);
    if (b.give(rtp) === ACCEPTED) accepted++;
    b.now += 20;
  }
  assert.equal(accepted, 0);
});
