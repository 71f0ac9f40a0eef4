import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alawToLinear, decodeG711, encodeG711, linearToAlaw, linearToUlaw, ulawToLinear } from './g711.ts';
import { parseSource, sourceAddress } from './source-words.ts';
import {
  checkEvent,
  digitOfEvent,
  EventSender,
  eventOfDigit,
  parseEvent,
  rebuildEvent,
} from './telephone-event.ts';

test('RFC 4733 2.5.1: start with marker, growing duration every 20 ms, three end packets', () => {
  const sender = new EventSender(eventOfDigit('#')!, 90, 8000, 1000);
  const seen: unknown[] = [];
  const out = new Uint8Array(4);
  while (!sender.done) {
    const { dueAt, marker } = sender;
    sender.write(out, 0);
    const event = parseEvent(out, 0, 4)!;
    assert.equal(event.event, 11);
    seen.push([dueAt, marker, event.end, event.duration]);
  }
  assert.deepEqual(seen, [
    [1000, true, false, 160],
    [1020, false, false, 320],
    [1040, false, false, 480],
    [1060, false, false, 640],
    [1080, false, true, 720],
    [1100, false, true, 720],
    [1120, false, true, 720],
  ]);
});

test('RFC 4733 2.3: the reserved bit does not pass, other fields do; only DTMF and flash', () => {
  const from = Uint8Array.of(9, 5, 0x80 | 0x40 | 12, 0x12, 0x34);
  const to = new Uint8Array(6);
  rebuildEvent(from, 1, to, 2);
  assert.deepEqual([...to], [0, 0, 5, 0x80 | 12, 0x12, 0x34]);
  assert.equal(checkEvent(Uint8Array.of(17, 0, 0, 0), 0, 4), false);
  assert.equal(checkEvent(Uint8Array.of(5, 0, 0, 0, 0), 0, 5), false);
  for (const digit of '0123456789*#ABCD!') assert.equal(digitOfEvent(eventOfDigit(digit)!), digit);
  for (const not of ['E', '', '12', ' ', '\u0661']) assert.equal(eventOfDigit(not), undefined);
});

test('a duration never overflows its 16 bits', () => {
  const sender = new EventSender(1, 1e9, 48_000, 0);
  const out = new Uint8Array(4);
  let last = 0;
  while (!sender.done) {
    sender.write(out, 0);
    const { duration } = parseEvent(out, 0, 4)!;
    assert.ok(duration >= last);
    last = duration;
  }
  assert.ok(last > 60_000);
});

test('G.711: known codes, and every code survives decoding and encoding', () => {
  assert.deepEqual([ulawToLinear(0xff), ulawToLinear(0x80), ulawToLinear(0x00)], [0, 32124, -32124]);
  assert.deepEqual([alawToLinear(0xd5), alawToLinear(0xaa), alawToLinear(0x2a)], [8, 32256, -32256]);
  for (let code = 0; code < 256; code++) {
    assert.equal(linearToAlaw(alawToLinear(code)), code);
    // Mu-law has two zeros.
    if (code !== 0x7f) assert.equal(linearToUlaw(ulawToLinear(code)), code);
  }
  for (const law of ['PCMU', 'PCMA'] as const) {
    for (let s = -32768; s < 32768; s += 101) {
      const [back] = decodeG711(law, encodeG711(law, Int16Array.of(s)));
      assert.ok(Math.abs(back! - s) <= Math.max(16, Math.abs(s) / 15 + 16), `${law} ${s} ${back}`);
    }
  }
});

test('sources: octets and canonical text, mapped and plain', () => {
  for (const ip of ['0.0.0.0', '192.0.2.1', '255.255.255.255', '::1', '2001:db8::1', 'fe80::ffff:0:0:1']) {
    assert.deepEqual(sourceAddress(parseSource({ ip, port: 7 })!), { ip, port: 7 });
  }
  assert.equal(parseSource({ ip: 'host', port: 7 }), undefined);
});
