/** The small header families in one place. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { latin1Bytes } from '../../bytes/text.ts';
import { parseDatagram } from '../parse.ts';
import { headerValues, nameAddresses, optionTags, tokenList } from './access.ts';
import { parseContentDisposition, parseContentType } from './content-type.ts';
import { formatAuth, parseAuth } from './credentials.ts';
import { parseCSeq } from './cseq.ts';
import { parseTokenList, splitList } from './list.ts';
import { formatParameters, parseTokenWithParameters } from './parameters.ts';
import { formatQ850, parseQ850 } from './reason.ts';
import { parseRetryAfter } from './retry-after.ts';
import { formatSessionExpires, parseMinSe, parseSeconds, parseSessionExpires } from './session-expires.ts';
import { decodeText, encodeText } from './text.ts';

test('RFC 3261 20.16: CSeq', () => {
  assert.deepEqual(parseCSeq('0009   INVITE'), { number: 9, method: 'INVITE' });
  assert.deepEqual(parseCSeq('2147483647 x'), { number: 2147483647, method: 'x' });
  for (const text of [
    '',
    '1',
    '1INVITE',
    'INVITE 1',
    '2147483648 A',
    '1 A B',
    '-1 A',
    '1 A,B',
    `${'9'.repeat(400)} A`,
  ]) {
    assert.equal(parseCSeq(text), undefined, text);
  }
});

test('RFC 3261 7.3.1: commas within quotes and brackets do not separate', () => {
  assert.deepEqual(splitList('a, "b,\\"c" ,<d,e>'), ['a', '"b,\\"c"', '<d,e>']);
  for (const text of ['', ',', 'a,', ',a', 'a,,b', '"a', '<a', '"a\\"'])
    assert.equal(splitList(text), undefined, text);
  assert.equal(splitList(Array(5).fill('a').join(), 4), undefined);
  assert.deepEqual(parseTokenList(' timer , 100rel'), ['timer', '100rel']);
  assert.deepEqual(parseTokenList(''), []);
  assert.equal(parseTokenList('a b'), undefined);
});

test('RFC 4028 3: Session-Expires', () => {
  assert.deepEqual(parseSessionExpires('1800;refresher=UAC'), { seconds: 1800, refresher: 'uac' });
  assert.deepEqual(parseSessionExpires('1800 ; x=y'), { seconds: 1800 });
  assert.equal(parseSessionExpires('-1'), undefined);
  assert.equal(formatSessionExpires({ seconds: 90, refresher: 'uas' }), '90;refresher=uas');
  assert.equal(parseMinSe('90;x'), 90);
  assert.equal(parseSeconds('9'.repeat(100)), 0xffff_ffff);
  assert.equal(parseSeconds('1e3'), undefined);
});

test('RFC 3261 20.33: Retry-After with comment and duration', () => {
  assert.equal(parseRetryAfter('18000;duration=3600'), 18000);
  assert.equal(parseRetryAfter("120 (I'm in a meeting)"), 120);
  assert.equal(parseRetryAfter('soon'), undefined);
  assert.equal(parseRetryAfter('12x'), undefined);
});

test('RFC 3326 2: causes of Reason', () => {
  assert.equal(parseQ850('SIP;cause=200;text="x;cause=3", Q.850 ;cause=16;text="Normal, clearing"'), 16);
  for (const text of ['Q.850;cause=0', 'Q.850;cause=128', 'Q.850;cause=1x', 'Q.850', 'cause=16', '']) {
    assert.equal(parseQ850(text), undefined, text);
  }
  assert.equal(formatQ850(16, 'a"b'), 'Q.850;cause=16;text="a\\"b"');
});

test('RFC 3261 20.15, 20.11: Content-Type and Content-Disposition', () => {
  const type = parseContentType('Multipart / Mixed ; Boundary="a b"');
  assert.equal(type?.type, 'multipart/mixed');
  assert.equal(type?.parameters.get('boundary'), 'a b');
  for (const text of ['', 'text', 'text/', '/x', 'a/b c', 'a/b;'])
    assert.equal(parseContentType(text), undefined, text);
  assert.deepEqual(parseContentDisposition('Session;handling=Optional'), { type: 'session', optional: true });
  assert.deepEqual(parseContentDisposition('session'), { type: 'session', optional: false });
});

test('RFC 7616 3.3: credentials', () => {
  const auth = parseAuth('Digest realm="a, \\"b\\"" , nonce=abc=, nc=00000001,qop="auth,auth-int"');
  assert.equal(auth?.scheme, 'digest');
  assert.deepEqual(
    [...auth!.parameters],
    [
      ['realm', 'a, "b"'],
      ['nonce', 'abc='],
      ['nc', '00000001'],
      ['qop', 'auth,auth-int'],
    ],
  );
  for (const text of [
    '',
    'Digest',
    'Digest ',
    'Digest a',
    'Digest a=1,',
    'Digest a=1,A=2',
    'Digest a="1',
    'Digest a=1 b=2',
  ]) {
    assert.equal(parseAuth(text), undefined, text);
  }
  assert.equal(
    formatAuth(
      'Digest',
      [
        ['realm', 'a"b'],
        ['stale', 'true'],
      ],
      ['stale'],
    ),
    'Digest realm="a\\"b", stale=true',
  );
});

test('RFC 3261 25.1: parameters are quoted where they must be', () => {
  assert.equal(
    formatParameters([
      ['lr', ''],
      ['tag', 'a-b'],
      ['x', 'a b"\r\n'],
      ['received', '2001:db8::1'],
    ]),
    ';lr;tag=a-b;x="a b\\"  ";received=2001:db8::1',
  );
  assert.deepEqual([...parseTokenWithParameters('refer;id=1')!.parameters], [['id', '1']]);
});

test('octet text is UTF-8 seen as one character per octet', () => {
  assert.equal(encodeText('Zoë'), 'Zo\u00c3\u00ab');
  assert.equal(decodeText('Zo\u00c3\u00ab'), 'Zoë');
  assert.equal(decodeText('\u00c3'), undefined);
});

test('RFC 3261 7.3.1: lazy access joins header lines in order', () => {
  const parsed = parseDatagram(
    latin1Bytes(
      [
        'INVITE sip:a@b.example SIP/2.0',
        'Via: SIP/2.0/UDP c.example;branch=z9hG4bK1',
        'From: <sip:c@d.example>;tag=1',
        'To: <sip:a@b.example>',
        'Call-ID: x',
        'CSeq: 1 INVITE',
        'Require: 100rel, Timer',
        'k: a',
        'Record-Route: <sip:p1.example;lr>, <sip:p2.example;lr>',
        'SUPPORTED: b , a',
        'Record-Route: <sip:p3.example;lr>',
        'Allow: INVITE ACK',
        '',
        '',
      ].join('\r\n'),
    ),
  );
  assert.ok(parsed.ok);
  const message = parsed.value;
  assert.deepEqual([...optionTags(message, 'Require')], ['100rel', 'timer']);
  assert.deepEqual([...optionTags(message, 'Supported')], ['a', 'b']);
  assert.deepEqual(headerValues(message, 'Supported'), ['a', 'b , a']);
  assert.deepEqual(
    nameAddresses(message, 'Record-Route')?.map((address) => address.uri.host),
    ['p1.example', 'p2.example', 'p3.example'],
  );
  assert.equal(tokenList(message, 'Allow'), undefined);
});
