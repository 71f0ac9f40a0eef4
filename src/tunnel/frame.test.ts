import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { toHex } from '../bytes/text.ts';
import { CLOSE_REASONS, type CloseReason } from './close-reason.ts';
import { encodeFrame, type Frame, FrameReader, MAX_FENCE } from './frame.ts';

const octets = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const number = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const boot = fc.tuple(number, octets(8).map(toHex)).map(([startedAt, nonce]) => ({ startedAt, nonce }));
const name = fc.stringMatching(/^[a-z0-9.-]{1,64}$/);
const u8 = fc.integer({ min: 0, max: 255 });
const range = fc.tuple(u8, u8).map(([a, b]) => ({ min: Math.min(a, b), max: Math.max(a, b) }));
const shards = fc.integer({ min: 1, max: 255 });
const maxPayload = fc.integer({ min: 1, max: 2 ** 32 - 1 });
const sessionId = octets(16).map(toHex);

const hello: fc.Arbitrary<Frame> = fc
  .record({
    versions: range,
    metaMinor: range,
    shards,
    maxPayload,
    boot,
    name,
    claim: fc.record({ session: sessionId, received: number, proof: octets(32) }),
    intent: fc.constantFrom('new' as const, 'resume' as const, 'replace' as const),
  })
  .map(({ claim, ...rest }) => ({
    type: 'hello',
    hello: rest.intent === 'new' ? { ...rest } : { ...rest, claim: { ...claim } },
  }));

const helloAck: fc.Arbitrary<Frame> = fc
  .record({
    version: u8,
    metaMinor: u8,
    shards,
    maxPayload,
    boot,
    name,
    session: sessionId,
    outcome: fc.oneof(
      fc.record({ kind: fc.constant('new' as const), secret: octets(32) }),
      fc.record({ kind: fc.constant('resumed' as const), received: number, proof: octets(32) }),
    ),
  })
  .map((ack) => ({ type: 'hello-ack', ack: { ...ack, outcome: { ...ack.outcome } } }));

const frame: fc.Arbitrary<Frame> = fc.oneof(
  hello,
  helloAck,
  fc.record({
    type: fc.constant('data' as const),
    number,
    acknowledged: number,
    payload: fc.uint8Array({ minLength: 1, maxLength: 300 }),
  }),
  fc.record({ type: fc.constant('ack' as const), acknowledged: number }),
  fc.record({ type: fc.constantFrom('heartbeat' as const, 'heartbeat-reply' as const), id: fc.nat() }),
  fc.record({ type: fc.constantFrom('sync' as const, 'renew' as const, 'drain' as const) }),
  fc.record({ type: fc.constant('fence' as const), body: fc.uint8Array({ maxLength: 5000 }) }),
  fc.record({
    type: fc.constant('close' as const),
    reason: fc.constantFrom<(CloseReason | 'unknown')[]>(...CLOSE_REASONS, 'unknown'),
  }),
);

function readAll(reader: FrameReader): (Frame | string)[] {
  const out: (Frame | string)[] = [];
  for (let next = reader.next(); next !== undefined; next = reader.next()) {
    out.push(next.ok ? next.value : next.error);
    if (!next.ok) break;
  }
  return out;
}

test('frames survive encoding and any fragmentation of the stream', () => {
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 700 })),
      (frames, cuts) => {
        const stream = Uint8Array.from(frames.flatMap((f) => [...encodeFrame(f)]));
        const reader = new FrameReader(8192);
        const read: (Frame | string)[] = [];
        let at = 0;
        for (const cut of [...cuts, stream.length]) {
          reader.push(stream.subarray(at, Math.min(stream.length, at + cut)));
          at = Math.min(stream.length, at + cut);
          read.push(...readAll(reader));
        }
        assert.deepEqual(
          read,
          frames.map((f) => ({ ...f })),
        );
        assert.equal(reader.held, 0);
      },
    ),
  );
});

test('what decodes encodes to the same octets: one encoding per frame', () => {
  fc.assert(
    fc.property(frame, fc.nat(), u8, (f, position, value) => {
      const bytes = encodeFrame(f);
      bytes[position % bytes.length] = value;
      const reader = new FrameReader(8192);
      reader.push(bytes);
      for (const read of readAll(reader)) {
        if (typeof read === 'string' || (read.type === 'close' && read.reason === 'unknown')) continue;
        assert.deepEqual(encodeFrame(read), bytes.slice(0, encodeFrame(read).length));
      }
    }),
    { numRuns: 500 },
  );
});

test('any octets: no exception, bounded memory, an error is final', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 20 }), (pieces) => {
      const reader = new FrameReader(100);
      let failed = false;
      for (const piece of pieces) {
        reader.push(piece);
        const read = readAll(reader);
        if (failed) assert.equal(typeof read[0], 'string');
        failed ||= read.some((f) => typeof f === 'string');
        if (failed) assert.equal(reader.held, 0);
      }
    }),
    { numRuns: 500 },
  );
});

test('a frame above its limit is refused on sight of its header', () => {
  const cases: [number[], string][] = [
    [[3, 0, 0x20, 0x11], 'frame-too-large'], // data: 16 + 8192 + 1
    [[8, 0x10, 0, 1], 'frame-too-large'], // fence: MAX_FENCE + 1
    [[5, 0, 0, 5], 'frame-too-large'], // heartbeat of five octets
    [[1, 0, 1, 1], 'frame-too-large'], // hello of 257
    [[7, 0, 0, 1], 'frame-too-large'], // sync with a body
    [[0], 'unknown-type'],
    [[12], 'unknown-type'],
    [[255, 0, 0, 0], 'unknown-type'],
    [[5, 0, 0, 3, 0, 0, 0], 'malformed'], // heartbeat of three octets
    [[11, 0, 0, 0], 'malformed'], // close without a reason
    [[3, 0, 0, 16, ...new Array<number>(16).fill(0)], 'malformed'], // data without a payload
    [[4, 0, 0, 8, 0xff, 0, 0, 0, 0, 0, 0, 0], 'malformed'], // a number above 2^53-1
  ];
  for (const [bytes, error] of cases) {
    const reader = new FrameReader(8192);
    reader.push(Uint8Array.from(bytes));
    assert.deepEqual(readAll(reader), [error], `${bytes}`);
  }
});

test('a fence that dribbles in octet by octet costs linear time', () => {
  const reader = new FrameReader(8192);
  const bytes = encodeFrame({ type: 'fence', body: new Uint8Array(MAX_FENCE) });
  let copied = 0;
  for (let at = 0; at < bytes.length; at += 64) {
    reader.push(bytes.subarray(at, at + 64));
    copied += readAll(reader).length;
  }
  assert.equal(copied, 1);
});

test('the first frames as octets: docs/tunnel.md and this vector agree', () => {
  const bytes = encodeFrame({
    type: 'hello',
    hello: {
      versions: { min: 1, max: 1 },
      metaMinor: { min: 0, max: 2 },
      shards: 2,
      maxPayload: 8192,
      boot: { startedAt: 1_000_000, nonce: '0011223344556677' },
      name: 'gw1',
      intent: 'new',
    },
  });
  assert.equal(
    toHex(bytes),
    `01000022${'56534757'}0101000202${'00002000'}00000000000f424000112233445566770367773100`,
  );
  assert.equal(toHex(encodeFrame({ type: 'close', reason: 'dead' })), '0b0000010e');
});
