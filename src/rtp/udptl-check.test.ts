import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ACCEPTED, REFUSED } from './refusal.ts';
import { SourceLock, type SourceMode } from './source-lock.ts';
import { parseSource } from './source-words.ts';
import { UdptlCheck, type UdptlRules } from './udptl-check.ts';
import { UdptlSender } from './udptl-sender.ts';

const PHONE = parseSource({ ip: '198.51.100.7', port: 4000 })!;
const STRANGER = parseSource({ ip: '203.0.113.66', port: 4000 })!;
const RULES: UdptlRules = {
  receive: true,
  maxDatagram: 400,
  maxPacketsPerSecond: 200,
  maxBytesPerSecond: 20_000,
};

/** V.21 data of four octets: a whole IFP packet that tells which it is. */
const ifp = (n: number): Uint8Array =>
  Uint8Array.of(0xc0, 1, 0x80, 0, 3, n >>> 24, (n >> 16) & 255, (n >> 8) & 255, n & 255);
const numberIn = (bytes: Uint8Array, start: number): number =>
  (bytes[start + 5]! << 24) | (bytes[start + 6]! << 16) | (bytes[start + 7]! << 8) | bytes[start + 8]!;

/** The datagram of number `n` with the `copies` before it, newest first. */
function datagram(n: number, copies = 3, of: (n: number) => Uint8Array = ifp): Uint8Array {
  const open = (bytes: Uint8Array): number[] => [bytes.length, ...bytes];
  const before = Array.from({ length: copies }, (_, i) => open(of(n - 1 - i))).flat();
  return Uint8Array.of((n >> 8) & 255, n & 255, ...open(of(n)), 0, copies, ...before);
}

class Bench {
  readonly lock: SourceLock;
  readonly check: UdptlCheck;
  readonly taken: number[] = [];
  readonly numbers: number[] = [];
  readonly ifps: Uint8Array[] = [];
  now = 1000;

  constructor(mode: SourceMode = 'signalled', rules = RULES) {
    this.lock = new SourceLock(mode, PHONE, 2000, this.now);
    this.check = new UdptlCheck(rules, this.lock, 77, this.now);
  }

  give(bytes: Uint8Array, source = PHONE): number {
    this.now += 20;
    const verdict = this.check.check(bytes, 0, bytes.length, source, this.now);
    if (verdict === ACCEPTED) this.#take();
    return verdict;
  }

  /** Time passes, and nothing comes. */
  wait(ms: number): void {
    this.now += ms;
    this.check.release(this.now);
    this.#take();
  }

  #take(): void {
    for (const { bytes, start, length, sequence } of this.check.fresh.slice(0, this.check.count)) {
      this.ifps.push(bytes.slice(start, start + length));
      this.taken.push(numberIn(bytes, start));
      this.numbers.push((sequence - 77) & 0xffff);
    }
  }
}

test('each IFP packet is taken once, what only a repetition brought included, in order', () => {
  const b = new Bench();
  for (const n of [10, 11, 14, 15]) assert.equal(b.give(datagram(n)), ACCEPTED);
  assert.deepEqual(b.taken, [7, 8, 9, 10, 11, 12, 13, 14, 15]);
  assert.deepEqual(b.numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  assert.equal(b.check.window.lost, 0);
});

test('what no repetition brought stays a gap in the numbers', () => {
  const b = new Bench();
  for (const n of [10, 15]) b.give(datagram(n, 1));
  assert.deepEqual(b.taken, [9, 10, 14, 15]);
  assert.deepEqual(b.numbers, [0, 1, 5, 6]);
  assert.equal(b.check.window.lost, 3);
});

test('a datagram that came before is refused and counted; one that comes late is not', () => {
  const b = new Bench();
  assert.equal(b.give(datagram(5, 0)), ACCEPTED);
  assert.equal(b.give(datagram(7, 0)), ACCEPTED);
  assert.equal(b.give(datagram(7, 0)), REFUSED.sequence);
  assert.equal(b.give(datagram(6, 0)), ACCEPTED);
  assert.deepEqual([b.check.duplicates, b.check.late], [1, 1]);
  assert.deepEqual(b.taken, [5, 7, 6]);
});

test('a jump needs two in a row, and its first one is not lost', () => {
  const b = new Bench();
  b.give(datagram(5, 0));
  assert.equal(b.give(datagram(20_000, 0)), REFUSED.sequence);
  assert.equal(b.give(datagram(20_001, 1)), ACCEPTED);
  assert.deepEqual(b.taken, [5, 20_000, 20_001]);
  assert.deepEqual(b.numbers, [0, 1, 2]);
});

test('after a negotiation a new series is taken at once, and one that goes on is not taken twice', () => {
  const b = new Bench();
  for (const n of [10, 11, 12]) b.give(datagram(n, 1));
  b.check.relearn();
  assert.equal(b.give(datagram(13, 3)), ACCEPTED);
  b.check.relearn();
  assert.equal(b.give(datagram(0, 0)), ACCEPTED);
  assert.deepEqual(b.taken, [9, 10, 11, 12, 13, 0]);
  assert.deepEqual(b.numbers, [0, 1, 2, 3, 4, 5]);
});

test('source, size, shape, direction and rate are refused with their reasons, and leave no trace', () => {
  const b = new Bench();
  b.give(datagram(1, 0));
  assert.equal(b.give(datagram(2, 0), STRANGER), REFUSED.source);
  assert.equal(b.give(new Uint8Array(1501)), REFUSED.tooLong);
  assert.equal(b.give(new Uint8Array(401)), REFUSED.payloadSize);
  assert.equal(b.give(Uint8Array.of(0, 2, 1)), REFUSED.udptl);
  assert.equal(b.give(Uint8Array.of(0, 2, 1, 6, 0, 9)), REFUSED.errorRecovery);
  assert.equal(b.give(Uint8Array.of(0, 2, 1, 0x52, 0, 0)), REFUSED.ifp);
  const hidden = datagram(2, 1, (n) => (n === 1 ? Uint8Array.of(0x52) : ifp(n)));
  assert.equal(b.give(hidden), REFUSED.ifp, 'repetitions are looked at too');
  b.check.setRules({ ...RULES, receive: false }, b.now);
  assert.equal(b.give(datagram(2, 0)), REFUSED.direction);
  b.check.setRules(RULES, b.now);
  assert.equal(b.give(datagram(2, 0)), ACCEPTED);
  assert.deepEqual(b.taken, [1, 2]);
});

test('a flood ends at the rate of datagrams, and at that of octets', () => {
  const many = new Bench('signalled', { ...RULES, maxPacketsPerSecond: 100 });
  const verdicts = (b: Bench, octets: number): number[] =>
    Array.from({ length: 300 }, (_, n) => {
      b.now -= 20; // all at once
      const big = new Uint8Array(octets).fill(0);
      big.set([0xd0, 1, 0xe0, (octets - 6) >> 8, (octets - 6) & 255]);
      return b.give(datagram(n, 0, () => big));
    });
  assert.deepEqual(verdicts(many, 60).filter((v) => v === ACCEPTED).length, 50, 'half a second of packets');
  const wide = new Bench('signalled', { ...RULES, maxPacketsPerSecond: 10_000, maxBytesPerSecond: 3000 });
  const taken = verdicts(wide, 95);
  assert.equal(taken.filter((v) => v === ACCEPTED).length, 30, 'a second of octets, 100 each');
  assert.ok(taken.filter((v) => v !== ACCEPTED).every((v) => v === REFUSED.rate));
});

test('RFC 7362 4: latching learns who sends three in a row, and nobody else afterwards', () => {
  const b = new Bench('latch');
  const nat = parseSource({ ip: '203.0.113.5', port: 55_000 })!;
  const verdicts = Array.from({ length: 14 }, (_, n) => b.give(datagram(n, n === 0 ? 0 : 1), nat));
  assert.equal(verdicts.at(-1), ACCEPTED);
  assert.ok(b.check.justLocked);
  assert.equal(b.give(datagram(14), STRANGER), REFUSED.source);
  assert.equal(b.give(datagram(14), PHONE), REFUSED.source);
});

test('sender to check over a path that loses and reorders: nothing wrong, nothing twice, and short losses are mended', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('keep', 'keep', 'keep', 'lose', 'late'), { minLength: 5, maxLength: 60 }),
      fc.integer({ min: 0, max: 3 }),
      fc.nat(0xffff),
      (fates, redundancy, base) => {
        const sender = new UdptlSender(400);
        const out = new Uint8Array(2048);
        const b = new Bench();
        let late: Uint8Array | undefined;
        const arrived = new Set<number>();
        for (const [n, fate] of fates.entries()) {
          const bytes = ifp(n);
          const size = sender.write(out, (base + n) & 0xffff, bytes, 0, bytes.length, {
            redundancy,
            maxDatagram: 400,
          });
          const written = out.slice(0, size);
          assert.equal((written[0]! << 8) | written[1]!, n, 'numbers begin at 0');
          if (fate === 'lose') continue;
          if (fate === 'late') {
            late ??= written;
            continue;
          }
          for (let i = 0; i <= Math.min(redundancy, n); i++) arrived.add(n - i);
          b.give(written);
          if (late !== undefined) b.give(late);
          late = undefined;
        }
        assert.equal(new Set(b.taken).size, b.taken.length);
        for (const n of arrived) assert.ok(b.taken.includes(n), `${n} had arrived`);
        // The numbers of the two scales differ by a constant.
        const shifts = new Set(b.taken.map((n, i) => (b.numbers[i]! - n) & 0xffff));
        assert.ok(shifts.size <= 1);
      },
    ),
  );
});

test('repetitions are left out where the far end takes no more, the packet itself never', () => {
  const out = new Uint8Array(2048);
  const sizes = (maxDatagram: number): number[] => {
    const sender = new UdptlSender(400);
    return [0, 1, 2, 3, 4].map((n) => sender.write(out, n, ifp(n), 0, 9, { redundancy: 3, maxDatagram }));
  };
  assert.deepEqual(sizes(400), [14, 24, 34, 44, 44]);
  assert.deepEqual(sizes(30), [14, 24, 24, 24, 24]);
  assert.deepEqual(sizes(10), [14, 14, 14, 14, 14]);
});

test('what is older than the first datagram is not sent, a gap of the origin stays one, and a far worker`s new start does not', () => {
  const sender = new UdptlSender(400);
  const out = new Uint8Array(2048);
  const numberOf = (frame: number): number => {
    const size = sender.write(out, frame, ifp(1), 0, 9, { redundancy: 0, maxDatagram: 400 });
    return size === 0 ? -1 : (out[0]! << 8) | out[1]!;
  };
  assert.deepEqual([1000, 999, 1003, 1001, 50_000, 50_001].map(numberOf), [0, -1, 3, 1, 4, 5]);
  const successor = new UdptlSender(400, sender.state);
  successor.write(out, 7, ifp(1), 0, 9, { redundancy: 3, maxDatagram: 400 });
  assert.ok(((out[0]! << 8) | out[1]!) > 5, 'no number comes twice');
});
