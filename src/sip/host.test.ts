import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalIp, formatHost, parseHostPort, sameHost } from './host.ts';

test('RFC 3261 25.1: host names and addresses, with and without port', () => {
  for (const [text, host, port] of [
    ['Example.COM', 'example.com', undefined],
    ['example.com.', 'example.com.', undefined],
    ['localhost:5060', 'localhost', 5060],
    ['a_b-c.example', 'a_b-c.example', undefined],
    ['3com.example:1', '3com.example', 1],
    ['1.2.3.4:65535', '1.2.3.4', 65535],
    ['[2001:DB8::1]:5061', '2001:db8::1', 5061],
    ['[::ffff:192.0.2.1]', '::ffff:192.0.2.1', undefined],
    ['0x.example', '0x.example', undefined],
    ['4b', '4b', undefined],
  ] as const) {
    assert.deepEqual(parseHostPort(text), port === undefined ? { host } : { host, port }, text);
  }
});

test('RFC 3261 25.1: what is no host, or no port', () => {
  for (const text of [
    '',
    '.',
    '.a',
    'a..b',
    'a..',
    '-a',
    'a-',
    'a b',
    'a,b',
    '1',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.4.',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.04',
    'a.1',
    'a.0x1f',
    '0xff',
    'x.0x',
    `${'a'.repeat(64)}.`.repeat(4),
    ':5060',
    'a:',
    'a:0',
    'a:65536',
    'a:000001',
    'a:5060x',
    'a:-1',
    '2001:db8::1',
    '[2001:db8::1',
    '[]',
    '[::g]',
    '[1.2.3.4]',
    '[::1]x',
    '[fe80::1%eth0]',
    '[1:2:3:4:5:6:7:8:9]',
  ]) {
    assert.equal(parseHostPort(text), undefined, text);
  }
});

test('RFC 5118 4.10: the third colon of the old grammar is read as two', () => {
  assert.equal(canonicalIp('2001:db8:::192.0.2.1'), canonicalIp('2001:db8::192.0.2.1'));
  assert.equal(canonicalIp('2001:db8:::1'), undefined);
});

test('hosts are equal by address value and without regard to case', () => {
  assert.ok(sameHost('2001:db8::1', '2001:DB8:0:0::1'));
  assert.ok(sameHost('A.example', 'a.Example'));
  assert.ok(!sameHost('192.0.2.1', '192.0.2.2'));
  assert.equal(formatHost('::1'), '[::1]');
  assert.equal(formatHost('a.example'), 'a.example');
});
