import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { latin1Bytes } from '../bytes/text.ts';
import type { SdpDirection } from './description.ts';
import {
  answerParameters,
  type Codec,
  canonicalEvents,
  formatKey,
  intersectEvents,
  parseFormatParameters,
} from './format-rules.ts';
import {
  answerDirection,
  intersect,
  ipOf,
  receives,
  reverse,
  sends,
  statedDirection,
} from './offer-answer.ts';
import { parseSdp } from './parse.ts';

const direction = fc.constantFrom<SdpDirection>('sendrecv', 'sendonly', 'recvonly', 'inactive');

test('RFC 3264 6.1: the answer never sends what the offerer will not receive, nor receives what it will not send', () => {
  const table: [SdpDirection, SdpDirection, SdpDirection][] = [
    ['sendrecv', 'sendrecv', 'sendrecv'],
    ['sendonly', 'sendrecv', 'recvonly'],
    ['recvonly', 'sendrecv', 'sendonly'],
    ['inactive', 'sendrecv', 'inactive'],
    ['sendonly', 'sendonly', 'inactive'],
    ['sendrecv', 'recvonly', 'recvonly'],
  ];
  for (const [offered, wished, answer] of table) assert.equal(answerDirection(offered, wished), answer);
  fc.assert(
    fc.property(direction, direction, (offered, wished) => {
      const answer = answerDirection(offered, wished);
      assert.ok(!sends(answer) || receives(offered));
      assert.ok(!receives(answer) || sends(offered));
      assert.equal(reverse(reverse(offered)), offered);
      assert.equal(intersect(offered, wished), intersect(wished, offered));
    }),
  );
});

test('RFC 3264 8.4: hold by a=sendonly, a=inactive, session level, and by c=0.0.0.0', () => {
  const stated = (session: string, media: string, c: string): SdpDirection => {
    const text = `v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=${c}\r\nt=0 0\r\n${session}m=audio 4000 RTP/AVP 0\r\n${media}`;
    const result = parseSdp(latin1Bytes(text));
    assert.ok(result.ok);
    return statedDirection(result.value, result.value.media[0]!);
  };
  const c = 'IN IP4 192.0.2.1';
  assert.equal(stated('', '', c), 'sendrecv');
  assert.equal(stated('', 'a=sendonly\r\n', c), 'sendonly');
  assert.equal(stated('a=inactive\r\n', '', c), 'inactive');
  assert.equal(stated('a=inactive\r\n', 'a=recvonly\r\n', c), 'recvonly');
  assert.equal(stated('', '', 'IN IP4 0.0.0.0'), 'sendonly');
  assert.equal(stated('', 'a=recvonly\r\n', 'IN IP4 0.0.0.0'), 'inactive');
  assert.equal(stated('', '', 'IN IP6 ::'), 'sendonly');
});

test('an address must be one, and of the family it says', () => {
  assert.equal(ipOf({ ipVersion: 4, address: '192.0.2.1' }), '192.0.2.1');
  assert.equal(ipOf({ ipVersion: 6, address: '2001:DB8:0::1' }), '2001:db8::1');
  assert.equal(ipOf({ ipVersion: 6, address: '192.0.2.1' }), undefined);
  assert.equal(ipOf({ ipVersion: 4, address: 'phone.example' }), undefined);
});

const codec = (name: string, text = '', clockRate = 8000, channels = 1): Codec => ({
  name,
  clockRate,
  channels,
  parameters: parseFormatParameters(text),
});

test('formats are the same by name, rate, channels and by the parameters that change the payload', () => {
  const same = (a: Codec, b: Codec) => formatKey(a) === formatKey(b);
  assert.ok(same(codec('G729', 'annexb=no'), codec('G729')));
  assert.ok(same(codec('OPUS', 'stereo=1', 48000, 2), codec('OPUS', '', 48000, 2)));
  assert.ok(!same(codec('L16', '', 8000), codec('L16', '', 16000)));
  assert.ok(!same(codec('L16', '', 44100, 1), codec('L16', '', 44100, 2)));
  assert.ok(!same(codec('AMR', 'octet-align=1'), codec('AMR')));
  assert.ok(same(codec('AMR', 'octet-align=0'), codec('AMR')));
  const h264 = (text: string) => codec('H264', text, 90000);
  assert.ok(
    same(
      h264('profile-level-id=42e01f;packetization-mode=1'),
      h264('packetization-mode=1; profile-level-id=42C00D'),
    ),
  );
  assert.ok(!same(h264('profile-level-id=42e01f;packetization-mode=1'), h264('profile-level-id=42e01f')));
  assert.ok(!same(h264('profile-level-id=64001f'), h264('profile-level-id=42e01f')));
});

test('RFC 7261: Annex B only where both want it', () => {
  const answer = (offered: string, answered: string) =>
    answerParameters('G729', parseFormatParameters(offered), parseFormatParameters(answered)).get('annexb');
  assert.equal(answer('annexb=no', 'annexb=yes'), 'no');
  assert.equal(answer('annexb=no', ''), 'no');
  assert.equal(answer('', 'annexb=no'), 'no');
  assert.equal(answer('annexb=yes', 'annexb=yes'), 'yes');
  assert.equal(answer('', ''), undefined);
});

test('RFC 3952: iLBC of 20 ms only where both say so', () => {
  const answer = (offered: string, answered: string) =>
    answerParameters('ILBC', parseFormatParameters(offered), parseFormatParameters(answered)).get('mode');
  assert.equal(answer('mode=20', 'mode=20'), '20');
  assert.equal(answer('mode=20', ''), '30');
  assert.equal(answer('', 'mode=20'), '30');
  assert.equal(answer('', ''), undefined);
});

test('RFC 4733: events are a set, the answer names those of both', () => {
  assert.equal(canonicalEvents('0-11,12,13-15'), '0-15');
  assert.equal(canonicalEvents('66, 0-15'), '0-15,66');
  assert.equal(canonicalEvents('0-256'), undefined);
  assert.equal(canonicalEvents('5-1'), undefined);
  assert.equal(canonicalEvents('0-15\r\n'), '0-15');
  assert.equal(intersectEvents('0-16', '0-11'), '0-11');
  assert.equal(intersectEvents(undefined, '0-16'), '0-15');
  assert.equal(intersectEvents(undefined, undefined), undefined);
  const list = fc
    .array(fc.integer({ min: 0, max: 255 }), { minLength: 1, maxLength: 10 })
    .map((a) => a.join(','));
  fc.assert(
    fc.property(list, list, (a, b) => {
      const both = canonicalEvents(a)!;
      assert.equal(canonicalEvents(both), both);
      assert.equal(intersectEvents(a, a), both);
      assert.equal(intersectEvents(a, b), intersectEvents(b, a));
    }),
  );
});

test('fmtp: parameters by lower-case name, the first counts, bare values under the empty name', () => {
  assert.deepEqual(
    [...parseFormatParameters('Annexb=no; mode = 20;mode=30')],
    [
      ['annexb', 'no'],
      ['mode', '20'],
    ],
  );
  assert.deepEqual([...parseFormatParameters('0-15,66')], [['', '0-15,66']]);
  assert.deepEqual([...parseFormatParameters(';;=')], []);
});
