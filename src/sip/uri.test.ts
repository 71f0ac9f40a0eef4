import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { equalUri, formatUri, numberOfUri, parseUri, sipUri } from './uri.ts';

function uri(text: string) {
  const parsed = parseUri(text);
  assert.ok(parsed !== undefined, `${text} must parse`);
  return parsed;
}

test('RFC 3261 19.1.1: all parts of a SIP URI', () => {
  const parsed = uri('SIPS:al%69ce:se%25cret@[2001:DB8::9]:5071;Transport=tls;lr?subject=a&x=%0d');
  assert.deepEqual(
    { ...parsed, parameters: [...parsed.parameters] },
    {
      scheme: 'sips',
      user: 'alice',
      password: 'se%cret',
      host: '2001:db8::9',
      port: 5071,
      parameters: [
        ['transport', 'tls'],
        ['lr', ''],
      ],
      headers: 'subject=a&x=%0d',
    },
  );
});

test('RFC 4475 3.1.1.9: a semicolon may be in the user part', () => {
  assert.equal(uri('sip:user;par=u%40example.net@example.com').user, 'user;par=u@example.net');
});

test('RFC 4475 3.1.1.4: %00 in a user part does not cut it, and comes back escaped', () => {
  const parsed = uri('sip:null-%00-null@example.com');
  assert.equal(parsed.user, 'null-\0-null');
  assert.equal(formatUri(parsed), 'sip:null-%00-null@example.com');
  assert.equal(formatUri(uri('sip:*67#1@example.com')), 'sip:*67%231@example.com');
});

test('RFC 3261 19.1.2: what may not stand raw is refused', () => {
  for (const text of [
    'sip:',
    'sip:@example.com',
    'sip:a b@example.com',
    'sip:a@exa mple.com',
    'sip:a@example.com;',
    'sip:a@example.com;;lr',
    'sip:a@example.com;x=1;X=2',
    'sip:a"b@example.com',
    'sip:a@<example.com>',
    'sip:a@[::1',
    'sip:a@[1.2.3.4]',
    'sip:a@::1',
    'sip:a@host:',
    'sip:a@host:5060x',
    'sip:a@-host',
    'sip:a@ho..st',
    'sip:a@1.2.3.256',
    'sip:a@0x7f000001',
    'sip:a@0xff',
    'sip:a@010.0.0.1',
    'sip:a@1.2.3',
    'sip:a#@host;x=#',
    'sip:a@host;x=%00',
    'sip:%c0%af@host',
    'mailto:a@host',
    'tel:',
    'tel:+',
    'tel:+12a',
    'tel:12 34',
    '',
    ':',
  ]) {
    assert.equal(parseUri(text), undefined, text);
  }
});

test('RFC 3261 19.1.4: the examples of equal URIs', () => {
  for (const [a, b] of [
    ['sip:%61lice@atlanta.com;transport=TCP', 'sip:alice@AtlanTa.CoM;Transport=tcp'],
    ['sip:carol@chicago.com', 'sip:carol@chicago.com;newparam=5'],
    ['sip:carol@chicago.com', 'sip:carol@chicago.com;security=on'],
    [
      'sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com',
      'sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com',
    ],
    [
      'sip:alice@atlanta.com?subject=project%20x&priority=urgent',
      'sip:alice@atlanta.com?priority=urgent&subject=project%20x',
    ],
    ['sip:a@[2001:db8::1]', 'sip:a@[2001:DB8:0:0::1]'],
    ['tel:+1-201-555-0123', 'tel:+12015550123'],
  ] as const) {
    assert.ok(equalUri(uri(a), uri(b)), `${a} = ${b}`);
    assert.ok(equalUri(uri(b), uri(a)), `${b} = ${a}`);
  }
});

test('RFC 3261 19.1.4: the examples of URIs that differ', () => {
  for (const [a, b] of [
    ['SIP:ALICE@AtLanTa.CoM;Transport=udp', 'sip:alice@AtLanTa.CoM;Transport=UDP'],
    ['sip:bob@biloxi.com', 'sip:bob@biloxi.com:5060'],
    ['sip:bob@biloxi.com', 'sip:bob@biloxi.com;transport=udp'],
    ['sip:bob@biloxi.com', 'sip:bob@biloxi.com:6000;transport=tcp'],
    ['sip:carol@chicago.com', 'sip:carol@chicago.com?Subject=next%20meeting'],
    ['sip:bob@phone21.boxesbybob.com', 'sip:bob@192.0.2.4'],
    ['sip:carol@chicago.com;newparam=5', 'sip:carol@chicago.com;newparam=6'],
    ['sip:a@b.com', 'sips:a@b.com'],
    ['tel:+12015550123', 'tel:+12015550123;ext=4'],
  ] as const) {
    assert.ok(!equalUri(uri(a), uri(b)), `${a} <> ${b}`);
  }
});

test('RFC 3966 3: the number of a URI, without visual separators', () => {
  for (const [text, number] of [
    ['tel:+1-201-555.0123', '+12015550123'],
    ['tel:7042;phone-context=example.com', '7042'],
    ['sip:+81(3)55550100@gw.example.net;user=phone', '+81355550100'],
    ['sip:+15550100;isub=1@gw.example.net', '+15550100'],
    ['sip:*67%23@gw.example.net', '*67#'],
    ['sip:alice@gw.example.net', undefined],
    ['sip:gw.example.net', undefined],
  ] as const) {
    assert.equal(numberOfUri(uri(text)), number, text);
  }
});

test('RFC 3261 19.1.2: any user, parameter and host written by us reads back the same', () => {
  const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 });
  const printable = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(
      text,
      printable,
      fc.constantFrom('h.example', '2001:db8::1', '192.0.2.7'),
      (user, value, host) => {
        const made = sipUri(user, host, 5070, new Map([['p', value]]));
        const written = formatUri(made);
        assert.match(written, /^[\x21-\x7e]+$/);
        const read = parseUri(written);
        // A lone surrogate is no character and is written as U+FFFD.
        const whole = (t: string): string => new TextDecoder().decode(new TextEncoder().encode(t));
        if (read === undefined) assert.ok(user.length * 9 > 256, written);
        else {
          assert.equal(read.user, whole(user));
          assert.equal(read.parameters.get('p'), whole(value));
          assert.equal(read.host, host);
          assert.ok(equalUri(read, read));
        }
      },
    ),
  );
});
