import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RTP_HEADER, writeHeader } from './packet.ts';
import { ReceiveCheck, type ReceiveRules } from './receive-check.ts';
import { ACCEPTED, REFUSED } from './refusal.ts';
import { SourceLock, type SourceMode } from './source-lock.ts';
import { parseSource } from './source-words.ts';

const PHONE = parseSource({ ip: '198.51.100.7', port: 4000 })!;
const OTHER_PORT = parseSource({ ip: '198.51.100.7', port: 4002 })!;
const STRANGER = parseSource({ ip: '203.0.113.66', port: 4000 })!;

const RULES: ReceiveRules = {
  receive: true,
  rtcpMux: false,
  formats: [
    { format: 5, payloadType: 0, clockRate: 8000, maxPayload: 240, maxPacketsPerSecond: 60, event: false },
    { format: 6, payloadType: 101, clockRate: 8000, maxPayload: 4, maxPacketsPerSecond: 60, event: true },
  ],
};

interface Packet {
  pt?: number;
  seq: number;
  ts?: number;
  ssrc?: number;
  payload?: number;
}

class Bench {
  readonly lock: SourceLock;
  readonly check: ReceiveCheck;
  now = 1000;

  constructor(mode: SourceMode = 'signalled', signalled = PHONE, rules = RULES) {
    this.lock = new SourceLock(mode, signalled, 2000, this.now);
    this.check = new ReceiveCheck(rules, this.lock, 100, 5000, this.now);
  }

  /** 20 ms later, one packet. */
  send(packet: Packet, source = PHONE, after = 20): number {
    const { pt = 0, seq, ts = seq * 160, ssrc = 77, payload = 160 } = packet;
    const bytes = new Uint8Array(RTP_HEADER + payload);
    writeHeader(bytes, 0, pt, false, seq & 0xffff, ts >>> 0, ssrc);
    if (pt === 101) bytes[RTP_HEADER] = 5;
    this.now += after;
    return this.check.check(bytes, 0, bytes.length, source, this.now);
  }

  run(from: number, count: number, more: Partial<Packet> = {}, source = PHONE): number[] {
    return Array.from({ length: count }, (_, i) => this.send({ ...more, seq: from + i }, source));
  }
}

const all = (count: number, verdict: number): number[] => new Array<number>(count).fill(verdict);

test('a plain stream passes, on a scale of its own that begins where it was told', () => {
  const b = new Bench();
  assert.equal(b.send({ seq: 65535 }), ACCEPTED);
  assert.deepEqual(
    [b.check.packet.neutralSequence, b.check.packet.neutralTimestamp, b.check.format],
    [100, 5000, 5],
  );
  assert.equal(b.send({ seq: 65536, ts: 65536 * 160 }), ACCEPTED);
  assert.deepEqual([b.check.packet.neutralSequence, b.check.packet.neutralTimestamp], [101, 5160]);
});

test('payload type, size and direction are those negotiated', () => {
  const b = new Bench();
  assert.equal(b.send({ seq: 1, pt: 8 }), REFUSED.payloadType);
  assert.equal(b.send({ seq: 1, payload: 241 }), REFUSED.payloadSize);
  assert.equal(b.send({ seq: 1, payload: 0 }), REFUSED.payloadSize);
  assert.equal(b.send({ seq: 1, pt: 101, payload: 8 }), REFUSED.payloadSize);
  assert.equal(b.send({ seq: 1, pt: 101, payload: 4 }), ACCEPTED);
  const held = new Bench('signalled', PHONE, { ...RULES, receive: false });
  assert.equal(held.send({ seq: 1 }), REFUSED.direction);
});

test('rate: half a second of burst, then the negotiated rate', () => {
  const b = new Bench();
  const verdicts = Array.from({ length: 100 }, (_, i) => b.send({ seq: i, ts: 0 }, PHONE, 0));
  assert.deepEqual(verdicts, [...all(30, ACCEPTED), ...all(70, REFUSED.rate)]);
  b.now += 1000;
  assert.equal(b.send({ seq: 31, ts: 0 }), ACCEPTED);
  assert.equal(b.check.window.received, 31, 'what was refused is not counted as received');
});

test('RFC 3550 A.1: duplicates refused, reordering passed with its own numbers', () => {
  const b = new Bench();
  b.run(0, 3);
  assert.equal(b.send({ seq: 5 }), ACCEPTED);
  assert.equal(b.send({ seq: 5 }), REFUSED.sequence);
  assert.equal(b.send({ seq: 3 }), ACCEPTED);
  assert.equal(b.check.packet.neutralSequence, 103);
  assert.equal(b.check.packet.neutralTimestamp, 5000 + 3 * 160);
  assert.equal(b.send({ seq: 3 }), REFUSED.sequence);
  assert.equal(b.check.window.lost, 1);
});

test('RFC 3550 A.1: a jump has to be confirmed by the next packet', () => {
  const b = new Bench();
  b.run(0, 5);
  assert.equal(b.send({ seq: 20_000, ts: 800 }), REFUSED.sequence);
  assert.equal(b.send({ seq: 5 }), ACCEPTED, 'a single stray leaves no trace');
  assert.equal(b.send({ seq: 30_000, ts: 960 }), REFUSED.sequence);
  assert.equal(b.send({ seq: 30_001, ts: 1120 }), ACCEPTED);
  assert.equal(b.check.packet.neutralSequence, 30_101, 'the jump survives as such');
});

test('a timestamp far from the clock has to be confirmed; silence is no step', () => {
  const b = new Bench();
  b.run(0, 3);
  assert.equal(b.send({ seq: 3, ts: 900_000 }), REFUSED.timestamp);
  assert.equal(b.send({ seq: 3 }), ACCEPTED);
  assert.equal(b.send({ seq: 4, ts: 900_000 }), REFUSED.timestamp);
  assert.equal(b.send({ seq: 5, ts: 900_160 }), ACCEPTED);
  assert.equal(b.check.packet.neutralTimestamp, 5000 + 900_160, 'the step survives as such');
  b.now += 60_000;
  assert.equal(b.send({ seq: 6, ts: 900_160 + 60_000 * 8 }), ACCEPTED);
});

test('RFC 4733 2.2.1: a long event with one timestamp does not make the voice after it implausible', () => {
  const b = new Bench();
  b.run(0, 10);
  for (let i = 0; i < 300; i++)
    assert.equal(b.send({ seq: 10 + i, pt: 101, ts: 1600, payload: 4 }), ACCEPTED);
  assert.equal(b.send({ seq: 310, ts: 1600 + 300 * 160 }), ACCEPTED);
});

test('another SSRC takes over only in the silence of the old one, after three packets in a row', () => {
  const b = new Bench();
  b.run(0, 5);
  // Mixed in: never.
  for (let i = 0; i < 10; i++) {
    assert.equal(b.send({ seq: 700 + i, ssrc: 9 }, PHONE, 10), REFUSED.ssrc);
    assert.equal(b.send({ seq: 5 + i }, PHONE, 10), ACCEPTED);
  }
  const before = b.check.packet.neutralSequence;
  assert.deepEqual(b.run(900, 4, { ssrc: 9 }), [REFUSED.ssrc, REFUSED.ssrc, ACCEPTED, ACCEPTED]);
  assert.equal(
    b.check.packet.neutralSequence,
    before + 4,
    'the two packets spent on proof are a gap, nothing more',
  );
});

test('after a negotiation another SSRC is taken at once', () => {
  const b = new Bench();
  b.run(0, 5);
  b.check.relearn();
  assert.equal(b.send({ seq: 40_000, ts: 123, ssrc: 9 }), ACCEPTED);
  assert.equal(b.check.packet.neutralSequence, 105);
  assert.equal(b.check.packet.marker, true);
});

test('signalled: no other address or port is heard', () => {
  const b = new Bench('signalled');
  assert.equal(b.send({ seq: 1 }, STRANGER), REFUSED.source);
  assert.equal(b.send({ seq: 1 }, OTHER_PORT), REFUSED.source);
  assert.equal(b.send({ seq: 1 }), ACCEPTED);
});

test('signalled-host: the first port of the host stays', () => {
  const b = new Bench('signalled-host');
  assert.equal(b.send({ seq: 1 }, STRANGER), REFUSED.source);
  assert.equal(b.send({ seq: 1 }, OTHER_PORT), ACCEPTED);
  assert.equal(b.send({ seq: 2 }), REFUSED.source);
});

test('latch: the signalled address wins at once, and a sprayer gets nothing (RTP bleed)', () => {
  const b = new Bench('latch');
  assert.deepEqual(b.run(0, 5, {}, STRANGER), all(5, REFUSED.source));
  assert.equal(b.send({ seq: 50 }), ACCEPTED);
  assert.deepEqual(b.run(5, 30, {}, STRANGER), all(30, REFUSED.source));
});

test('latch behind NAT: three in a row lock, others are refused for good, a new command unlocks', () => {
  const b = new Bench('latch', parseSource({ ip: '192.168.1.5', port: 4000 })!);
  assert.deepEqual(b.run(0, 3), [REFUSED.source, REFUSED.source, ACCEPTED]);
  assert.equal(b.check.justLocked, true);
  assert.deepEqual(b.run(0, 9, {}, STRANGER), all(9, REFUSED.source));
  b.now += 60_000; // takeover in a silence
  assert.deepEqual(b.run(0, 9, {}, STRANGER), all(9, REFUSED.source));
  assert.equal(b.lock.modify('latch', undefined, 2000, true, b.now), true);
  b.check.relearn();
  assert.deepEqual(b.run(0, 3, { ssrc: 5 }, STRANGER), [REFUSED.source, REFUSED.source, ACCEPTED]);
});

test('another signalled address is a new source to learn; the same one again is not', () => {
  const nat = parseSource({ ip: '192.168.1.5', port: 4000 })!;
  const b = new Bench('latch', nat);
  b.run(0, 3);
  assert.equal(b.lock.modify('latch', nat, 2000, false, b.now), false);
  assert.equal(b.send({ seq: 3 }), ACCEPTED);
  assert.equal(b.lock.modify('latch', STRANGER, 2000, false, b.now), true);
  assert.equal(b.send({ seq: 4 }), REFUSED.source);
  b.check.relearn();
  assert.equal(b.send({ seq: 9000, ssrc: 3 }, STRANGER), ACCEPTED);
});

test('latch: garbage or interleaved strangers do not keep the phone from proving itself; the window ends', () => {
  const b = new Bench('latch', parseSource({ ip: '10.0.0.5', port: 4000 })!);
  const verdicts: number[] = [];
  for (let i = 0; i < 3; i++) {
    for (let k = 0; k < 10; k++) assert.ok(b.send({ seq: k * 7919, pt: 9 }, STRANGER, 0) >= 0);
    verdicts.push(b.send({ seq: i }));
  }
  assert.deepEqual(verdicts, [REFUSED.source, REFUSED.source, ACCEPTED]);
  const late = new Bench('latch', parseSource({ ip: '10.0.0.5', port: 4000 })!);
  late.now += 3000;
  assert.deepEqual(late.run(0, 5), all(5, REFUSED.source));
});

test('any packets: no throw, and what is accepted keeps the distances of the far end', () => {
  const packet = fc.record({
    seq: fc.oneof(fc.nat(300), fc.nat(65535)),
    ts: fc.oneof(fc.nat(50_000), fc.nat(0xffffffff)),
    ssrc: fc.constantFrom(77, 77, 77, 78),
    pt: fc.constantFrom(0, 0, 101, 3),
    payload: fc.constantFrom(160, 4, 0, 300),
  });
  fc.assert(
    fc.property(fc.array(packet, { maxLength: 120 }), (packets) => {
      const b = new Bench();
      let last: { seq: number; out: number; ssrc: number } | undefined;
      for (const p of packets) {
        if (b.send(p) !== ACCEPTED) continue;
        const out = b.check.packet.neutralSequence;
        if (last?.ssrc === p.ssrc) assert.equal((out - last.out) & 0xffff, (p.seq - last.seq) & 0xffff);
        last = { seq: p.seq, out, ssrc: p.ssrc };
      }
      assert.ok(b.check.window.lost >= 0);
    }),
  );
});
