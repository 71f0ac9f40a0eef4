import assert from 'node:assert/strict';
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Crypto } from '../machine/machine.ts';
import { helloProven, readHello, writeHello } from './lane-hello.ts';
import { FewestOutstanding, FrameAge, FrameBacklog, type LaneView } from './lane-scheduler.ts';
import {
  closeFrame,
  FLAG_EMERGENCY,
  FRAME_HELLO,
  type FrameHandler,
  FrameReader,
  helloFrame,
  MAX_FRAME,
  type MediaFrame,
  mediaFrame,
  writeAck,
  writeHeartbeat,
  writeMedia,
} from './media-frame.ts';

const crypto: Crypto = {
  hash: (name, data) => createHash(name).update(data).digest(),
  hmac: (name, key, data) => createHmac(name, key).update(data).digest(),
  equal: (a, b) => a.length === b.length && timingSafeEqual(a, b),
};

/** Writes down everything a reader delivers. */
class Recorder implements FrameHandler {
  readonly seen: unknown[] = [];
  media(f: MediaFrame): void {
    const { flags, format, stream, sequence, sent, timestamp, bytes, start, length } = f;
    const payload = [...bytes.subarray(start, start + length)];
    this.seen.push({ flags, format, stream, sequence, sent, timestamp, payload });
  }
  ack(received: number): void {
    this.seen.push({ ack: received });
  }
  heartbeat(stamp: number, reply: boolean): void {
    this.seen.push({ stamp, reply });
  }
  close(reason: string): void {
    this.seen.push({ close: reason });
  }
  hello(type: number, body: Uint8Array): void {
    this.seen.push({ hello: type, body: [...body] });
  }
}

const media = fc.record({
  flags: fc.nat(15),
  format: fc.nat(31),
  stream: fc.integer({ min: 1, max: 0xffffffff }),
  sequence: fc.nat(0xffff),
  sent: fc.nat(0xffff),
  timestamp: fc.nat(0xffffffff),
  payload: fc.array(fc.nat(255), { minLength: 1, maxLength: 1500 }),
});
type Media = typeof media extends fc.Arbitrary<infer T> ? T : never;
const item = fc.oneof(
  media,
  fc.record({ ack: fc.nat(0xffffffff) }),
  fc.record({ stamp: fc.nat(0xffffffff), reply: fc.boolean() }),
  fc.constant({ close: 'silent' as const }),
);

function written(x: Media | { ack: number } | { stamp: number; reply: boolean } | { close: 'silent' }) {
  const out = new Uint8Array(MAX_FRAME);
  if ('ack' in x) return out.slice(0, writeAck(out, 0, x.ack));
  if ('stamp' in x) return out.slice(0, writeHeartbeat(out, 0, x.stamp, x.reply));
  if ('close' in x) return closeFrame(x.close);
  const { payload, ...fields } = x;
  const bytes = Uint8Array.from(payload);
  return out.slice(
    0,
    writeMedia(out, 0, { ...fields, bytes, start: 0, length: bytes.length, patient: false }),
  );
}

test('frames are read as they were written, however the stream is cut', () => {
  fc.assert(
    fc.property(
      fc.array(item, { maxLength: 8 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 900 })),
      (items, cuts) => {
        const stream = Uint8Array.from(items.flatMap((x) => [...written(x)]));
        const recorder = new Recorder();
        const reader = new FrameReader(recorder);
        for (let at = 0; at < stream.length; ) {
          const size = cuts.next().value;
          assert.equal(reader.push(stream.subarray(at, at + size)), undefined);
          at += size;
        }
        assert.deepEqual(
          recorder.seen,
          items.map((x) => ({ ...x })),
        );
      },
    ),
  );
});

test('a frame too large or malformed ends the lane, with the reason, and nothing after it is read', () => {
  const reason = (...octets: number[]): string | undefined => {
    const recorder = new Recorder();
    const reader = new FrameReader(recorder);
    const failed = reader.push(Uint8Array.from([...octets, ...written({ ack: 1 })]));
    if (failed !== undefined) {
      assert.deepEqual(recorder.seen, []);
      assert.equal(reader.push(written({ ack: 1 })), failed);
      assert.deepEqual(recorder.seen, []);
    }
    return failed;
  };
  assert.equal(reason(), undefined);
  assert.equal(reason(0x05, 0xeb), 'frame-too-large'); // 1517 in all
  assert.equal(reason(0, 0), 'frame-malformed');
  assert.equal(reason(0, 1, 0x10), 'frame-malformed');
  assert.equal(reason(0, 5, 0x11, 0, 0, 0, 0), 'frame-malformed'); // ack with a flag
  assert.equal(reason(0, 4, 0x10, 0, 0, 0), 'frame-malformed'); // short ack
  assert.equal(reason(0, 5, 0x22, 0, 0, 0, 0), 'frame-malformed');
  assert.equal(reason(0, 2, 0x30, 99), 'frame-malformed'); // unknown close reason
  assert.equal(reason(0, 2, 0x60, 0), 'frame-malformed'); // unknown type
  assert.equal(reason(0, 14, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0), 'frame-malformed'); // no payload
  assert.equal(reason(0, 15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7), 'frame-malformed'); // stream 0
  assert.equal(reason(0, 15, 0, 32, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 7), 'frame-malformed'); // format 32
  assert.equal(reason(...helloFrame(FRAME_HELLO, new Uint8Array(158))), 'frame-malformed'); // hello too long
});

test('no octets make a reader throw or keep more than one frame', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 20 }), (chunks) => {
      const reader = new FrameReader(new Recorder());
      for (const chunk of chunks) reader.push(chunk);
    }),
    { numRuns: 500 },
  );
});

const KEY = new Uint8Array(32).fill(1);
const EXPORTER = new Uint8Array(32).fill(2);
const HELLO = { shard: 1, lane: 2, session: 'abc' };

test('a lane proves itself by key, connection and role; every changed octet spoils the proof', () => {
  const body = writeHello('dialer', HELLO, KEY, EXPORTER, crypto);
  const read = readHello(body);
  assert.ok(read.ok);
  assert.deepEqual([read.value.shard, read.value.lane, read.value.session], [1, 2, 'abc']);
  assert.ok(helloProven('dialer', read.value, KEY, EXPORTER, crypto));
  const wrong = new Uint8Array(32);
  assert.ok(!helloProven('dialer', read.value, wrong, EXPORTER, crypto), 'another key');
  assert.ok(!helloProven('dialer', read.value, KEY, wrong, crypto), 'relayed to another connection');
  assert.ok(!helloProven('acceptor', read.value, KEY, EXPORTER, crypto), 'reflected');
  assert.ok(!helloProven('dialer', read.value, KEY, new Uint8Array(0), crypto));
  for (let i = 0; i < body.length; i++) {
    const changed = body.slice();
    changed[i]! ^= 1;
    const again = readHello(changed);
    assert.ok(!again.ok || !helloProven('dialer', again.value, KEY, EXPORTER, crypto), `octet ${i}`);
  }
  for (let n = 0; n < body.length; n++) assert.ok(!readHello(body.subarray(0, n)).ok);
  assert.ok(!readHello(Uint8Array.from([...body, 0])).ok);
});

/** A lane with so many octets under way, the oldest written `age` ms before 1000. */
const lane = (outstanding: number, age = 5, more: Partial<LaneView> = {}): LaneView => ({
  usable: true,
  outstanding,
  oldestAt: outstanding === 0 ? undefined : 1000 - age,
  writtenAt: 990,
  ...more,
});

/** The lanes picked at time 1000. */
function picks(lanes: readonly LaneView[], copies = 1, flags = 0): number[] {
  const picked = new Int32Array(3);
  const policy = new FewestOutstanding();
  return [...picked.subarray(0, policy.pick(lanes, copies, flags, 1000, picked))];
}

test('frames go to the lane with the fewest outstanding octets, among equals to the one that rested longest', () => {
  assert.deepEqual(picks([]), []);
  assert.deepEqual(picks([lane(500), lane(100), lane(0, 0, { usable: false })]), [1]);
  const rested = [lane(0, 0, { writtenAt: 995 }), lane(0, 0, { writtenAt: 980 }), lane(0)];
  assert.deepEqual(picks(rested), [1]);
});

test('copies go to lanes of their own, as many as there are', () => {
  assert.deepEqual(picks([lane(300), lane(100), lane(200)], 2), [1, 2]);
  assert.deepEqual(picks([lane(300)], 2), [0]);
});

test('a lane that owes an acknowledgement comes last, and takes nothing once its frames would be too late', () => {
  assert.deepEqual(picks([lane(5000), lane(100, 100)]), [0]);
  assert.deepEqual(picks([lane(100, 100)]), [0]);
  assert.deepEqual(picks([lane(100, 200)]), []);
  assert.deepEqual(picks([lane(300 * 1024)]), []);
});

test('lanes that are kept beyond those called for help out before an overdue one does', () => {
  const policy = new FewestOutstanding();
  policy.usual = 1;
  const picked = new Int32Array(1);
  const pick = (lanes: readonly LaneView[]): number | undefined =>
    policy.pick(lanes, 1, 0, 1000, picked) === 0 ? undefined : picked[0];
  assert.equal(pick([lane(5000), lane(0)]), 0);
  assert.equal(pick([lane(5000, 100), lane(0)]), 1);
});

test('emergency frames exceed every limit of a lane', () => {
  assert.deepEqual(picks([lane(300 * 1024)], 1, FLAG_EMERGENCY), [0]);
  assert.deepEqual(picks([lane(100, 5000)], 1, FLAG_EMERGENCY), [0]);
});

test('what waits past its deadline is dropped before the socket and counted; emergency first', () => {
  const backlog = new FrameBacklog(200, 4);
  const frame = (sequence: number, flags = 0): MediaFrame => ({
    ...mediaFrame(),
    sequence,
    flags,
    bytes: Uint8Array.of(9, sequence),
    start: 1,
    length: 1,
  });
  for (let i = 0; i < 5; i++) backlog.add(frame(i), 1000);
  backlog.add(frame(9, FLAG_EMERGENCY), 1050);
  assert.equal(backlog.dropped, 1, 'the oldest made room');
  const next = (now: number): number | undefined => {
    const f = backlog.take(now);
    return f?.bytes[f.start];
  };
  assert.equal(next(1100), 9);
  assert.equal(next(1100), 1);
  assert.equal(next(1200), 2);
  assert.equal(next(1201), undefined);
  assert.deepEqual([backlog.dropped, backlog.size], [3, 0]);
  backlog.add(frame(6), 2000);
  backlog.expire(2201);
  assert.deepEqual([backlog.dropped, backlog.size], [4, 0]);
});

test('a fax waits behind everything else and as long as T.30 does, whatever the deadline of speech', () => {
  const backlog = new FrameBacklog(200, 4);
  const frame = (sequence: number, patient: boolean): MediaFrame => ({
    ...mediaFrame(),
    sequence,
    bytes: Uint8Array.of(sequence),
    length: 1,
    patient,
  });
  backlog.add(frame(1, true), 1000);
  backlog.add(frame(2, false), 1000);
  backlog.add(frame(3, true), 1000);
  const next = (now: number): number | undefined => backlog.take(now)?.bytes[0];
  assert.equal(next(1100), 2);
  assert.equal(next(3900), 1);
  assert.equal(next(4001), undefined);
  assert.equal(backlog.dropped, 1);
});

test('age is measured against the fastest frame, across the wrap of the clock, and follows a slower way', () => {
  const age = new FrameAge();
  assert.equal(age.of(65_530, 7_000_000), 0);
  assert.equal(age.of(65_535, 7_000_006), 1);
  assert.equal(age.of(4, 7_000_310), 300); // 65540 mod 2^16
  let sent = 65_540;
  let now = 7_000_310;
  let last = 0;
  for (let i = 0; i < 700; i++) {
    sent += 20;
    now += 20;
    last = age.of(sent & 0xffff, now);
  }
  assert.equal(last, 0, 'what is the rule now is not late');
});
