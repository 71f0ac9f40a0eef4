import assert from 'node:assert/strict';
import { hrtime } from 'node:process';
import { test } from 'node:test';
import fc from 'fast-check';
import { latin1Bytes, latin1Text } from '../bytes/text.ts';
import { type Frame, StreamFramer } from './framing.ts';
import { SIP_LIMITS } from './message.ts';
import { messageBytes, messageText } from './test-messages.test.ts';

function drain(framer: StreamFramer): Frame[] {
  const out: Frame[] = [];
  for (let frame = framer.next(); frame !== undefined; frame = framer.next()) out.push(frame);
  return out;
}

/** What matters of a frame, for comparison. */
function summary(frames: readonly Frame[]): string[] {
  return frames.map((frame) => {
    if (frame.kind === 'message') return `${frame.message.cseq.method} ${latin1Text(frame.message.body)}`;
    return frame.kind === 'error'
      ? `${frame.error.reason} ${frame.error.respond} ${frame.error.close}`
      : frame.kind;
  });
}

const STREAM =
  messageText({ body: 'one' }) +
  '\r\n\r\n' +
  messageText({ startLine: 'OPTIONS sip:x@y.example SIP/2.0', body: '\r\n\r\n' }) +
  '\r\n' +
  messageText({ startLine: 'BYE sip:x@y.example SIP/2.0', lines: { To: '"broken' }, body: 'skipped' }) +
  messageText({ startLine: 'ACK sip:x@y.example SIP/2.0' });
const EXPECTED = ['INVITE one', 'keep-alive', 'OPTIONS \r\n\r\n', 'to 400 false', 'ACK '];

test('RFC 3261 18.3: messages of one push', () => {
  const framer = new StreamFramer();
  framer.push(latin1Bytes(STREAM));
  assert.deepEqual(summary(drain(framer)), EXPECTED);
  assert.equal(framer.pending, 0);
});

test('RFC 3261 18.3: the cut of the stream does not matter', () => {
  const bytes = latin1Bytes(STREAM);
  const cuts = fc.array(fc.integer({ min: 0, max: bytes.length }), { maxLength: 30 });
  const check = (points: readonly number[]): void => {
    const framer = new StreamFramer();
    const frames: Frame[] = [];
    const sorted = [0, ...[...points].sort((a, b) => a - b), bytes.length];
    for (let i = 1; i < sorted.length; i++) {
      framer.push(bytes.subarray(sorted[i - 1]!, sorted[i]!));
      frames.push(...drain(framer));
    }
    assert.deepEqual(summary(frames), EXPECTED);
  };
  fc.assert(fc.property(cuts, check));
  check(Array.from(bytes.keys())); // octet by octet
});

test('RFC 5626 4.4.1: CRLFCRLF is a ping, a lone CRLF is not', () => {
  const framer = new StreamFramer();
  framer.push(latin1Bytes('\r\n'));
  assert.deepEqual(drain(framer), []);
  assert.equal(framer.pending, 0);
  framer.push(latin1Bytes('\r\n\r\n'));
  assert.equal(drain(framer).length, 1);
  framer.push(messageBytes());
  assert.deepEqual(summary(drain(framer)), ['INVITE ']);
});

for (const [name, text, reason] of [
  ['no Content-Length', messageText().replace(/Content-Length: 0\r\n/, ''), 'content-length'],
  ['two Content-Lengths', messageText().replace('CSeq', 'l: 0\r\nCSeq'), 'duplicate-header'],
  [
    'a Content-Length that is no number',
    messageText({ lines: { 'Content-Length': '0x5' } }),
    'content-length',
  ],
  ['a bare LF', messageText({ lines: { Subject: 'a\nContent-Length: 9' } }), 'line-ending'],
  [
    'a bare LF after Content-Length',
    messageText({ lines: { 'Content-Length': '100\r\nSubject: a\nb' } }),
    'line-ending',
  ],
  ['a body above the limit', messageText({ lines: { 'Content-Length': '99999' } }), 'body-size'],
] as const) {
  test(`RFC 3261 18.3: ${name} ends the stream`, () => {
    const framer = new StreamFramer();
    framer.push(latin1Bytes(text + messageText()));
    const frames = drain(framer);
    assert.equal(frames.length, 1);
    const frame = frames[0]!;
    assert.ok(frame.kind === 'error' && frame.error.close);
    assert.equal(frame.error.reason, reason);
    assert.equal(frame.error.respond, reason === 'body-size' ? 413 : 400);
    framer.push(messageBytes());
    assert.deepEqual(drain(framer), []);
    assert.equal(framer.pending, 0);
  });
}

test('a head that does not end is given up at its limit', () => {
  const framer = new StreamFramer();
  const line = latin1Bytes(`X: ${'y'.repeat(997)}`);
  framer.push(latin1Bytes('INVITE sip:x@y.example SIP/2.0\r\n'));
  for (let i = 0; i < 40; i++) {
    framer.push(line);
    const [frame] = drain(framer);
    assert.ok(framer.pending <= SIP_LIMITS.headerBytes + 1000);
    if (frame === undefined) continue;
    assert.ok(frame.kind === 'error' && frame.error.close && frame.error.reason === 'head-size');
    return;
  }
  assert.fail('not given up');
});

test('octet by octet costs linear time: six times the octets, nowhere near thirty-six times the time', () => {
  const measure = (size: number): number => {
    const bytes = messageBytes({
      lines: Object.fromEntries(Array.from({ length: size / 100 }, (_, i) => [`X-${i}`, 'y'.repeat(90)])),
    });
    let best = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 15; round++) {
      const framer = new StreamFramer();
      const start = hrtime.bigint();
      let count = 0;
      for (let i = 0; i < bytes.length; i++) {
        framer.push(bytes.subarray(i, i + 1));
        count += drain(framer).length;
      }
      best = Math.min(best, Number(hrtime.bigint() - start));
      assert.equal(count, 1);
    }
    return best;
  };
  measure(4000);
  assert.ok(measure(24_000) / measure(4000) < 18);
});
