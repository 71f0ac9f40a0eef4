import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Via } from '../message.ts';
import { formatVia, parseVias } from './via.ts';

function vias(text: string): Via[] | undefined {
  const out: Via[] = [];
  return parseVias(text, out) ? out : undefined;
}

test('RFC 3261 20.42: lists, white space and case', () => {
  const found = vias(
    'SIP  / 2.0  / tcp     Spindle.example.com : 5070  ;\tbranch  =   z9hG4bK9  ,SIP/2.0/UDP 192.0.2.1',
  );
  assert.deepEqual(
    found?.map(({ transport, host, port, branch }) => ({ transport, host, port, branch })),
    [
      { transport: 'TCP', host: 'spindle.example.com', port: 5070, branch: 'z9hG4bK9' },
      { transport: 'UDP', host: '192.0.2.1', port: undefined, branch: '' },
    ],
  );
});

test('RFC 3261 25.1 COLON: white space around the colon of sent-by', () => {
  for (const port of [':5070', ' : 5070', ': 5070', ' :5070']) {
    assert.equal(vias(`SIP/2.0/UDP [::1]${port};branch=a`)?.[0]?.port, 5070, port);
  }
});

test('RFC 3581 3, RFC 5118 4.5: rport and received, with and without brackets', () => {
  const via = vias('SIP/2.0/UDP [2001:DB8::9]:6050;rport;received=[2001:db8:0::9:255];branch=z9hG4bKa')?.[0];
  assert.equal(via?.host, '2001:db8::9');
  assert.equal(via?.port, 6050);
  assert.equal(via?.rport, 0);
  assert.equal(via?.received, '2001:db8::9:255');
  assert.equal(vias('SIP/2.0/UDP h.example;received=2001:db8::9:255')?.[0]?.received, '2001:db8::9:255');
  assert.equal(vias('SIP/2.0/UDP h.example;rport=5090')?.[0]?.rport, 5090);
});

test('RFC 3261 25.1: malformed Via', () => {
  for (const text of [
    '',
    'SIP/2.0/UDP',
    'SIP/2.0/UDP ',
    'SIP/2.0 UDP h.example',
    'SIP/3.0/UDP h.example',
    'HTTP/2.0/UDP h.example',
    'SIP/2.0/UDPh.example',
    'SIP/2.0/UDP h.example,',
    'SIP/2.0/UDP h.example;',
    'SIP/2.0/UDP h.example;branch=a;branch=b',
    'SIP/2.0/UDP h.example x',
    'SIP/2.0/UDP h.example:99999',
    'SIP/2.0/UDP h.example: : 5060',
    'SIP/2.0/UDP h.example:',
    'SIP/2.0/UDP : 5060',
    'SIP/2.0/UDP 2001:db8::1',
    'SIP/2.0/UDP h.example;received=evil.example',
    'SIP/2.0/UDP h.example;rport=1x',
    `SIP/2.0/UDP h.example;branch=${'b'.repeat(257)}`,
  ]) {
    assert.equal(vias(text), undefined, text);
  }
});

test('what is written reads back', () => {
  const via = vias(
    'SIP/2.0/TLS [2001:db8::9]:5061;branch=z9hG4bKa;rport=5090;received=192.0.2.1;maddr=192.0.2.9;x="a b"',
  )?.[0];
  assert.ok(via);
  assert.deepEqual(vias(formatVia(via)), [via]);
});
