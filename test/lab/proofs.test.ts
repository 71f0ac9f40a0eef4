/** The instruments of the proofs: each must see what it is there to see. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findAddresses, findTexts } from './capture.ts';
import { proveFirewall } from './firewall-proof.ts';
import { octetsToText, textToOctets } from './ip-text.ts';
import { ACK, type Packet, SYN, TCP, tcpStreams, UDP } from './packets.ts';
import { host } from './topology.ts';

const stack = (data: Buffer) => [{ where: 'here', data }];

test('a text is found as it is, in capitals, as UTF-16, in hex and in base64 at each alignment', () => {
  const needle = 'canary-7f3a';
  for (const data of [
    Buffer.from(`xx${needle}yy`),
    Buffer.from(`xx${needle.toUpperCase()}yy`),
    Buffer.from(`xx${needle}yy`, 'utf16le'),
    Buffer.from(Buffer.from(needle).toString('hex')),
    ...['', 'a', 'bc'].map((before) => Buffer.from(Buffer.from(`${before}${needle}!`).toString('base64'))),
  ]) {
    assert.ok(findTexts(stack(data), [needle]).length > 0, data.toString('latin1'));
  }
  assert.deepEqual(findTexts(stack(Buffer.from('canary-7f3b')), [needle]), []);
});

test('an address is found as octets, as text and written out', () => {
  const addresses = ['10.20.30.10', 'fd20:30::10'];
  for (const data of [
    Buffer.from([9, 10, 20, 30, 10, 9]),
    Buffer.from('c=IN IP4 10.20.30.10'),
    Buffer.from('[FD20:30::10]'),
    Buffer.from('fd20:0030:0000:0000:0000:0000:0000:0010'),
    textToOctets('fd20:30::10'),
  ]) {
    assert.ok(findAddresses(stack(data), addresses).length > 0, data.toString('latin1'));
  }
  assert.deepEqual(findAddresses(stack(Buffer.from('c=IN IP4 10.20.30.11')), addresses), []);
});

test('addresses keep their canonical text (RFC 5952 4)', () => {
  for (const text of ['203.0.113.2', '2001:db8::1', 'fd20:30::10', '2001:db8:0:1::', '::1']) {
    assert.equal(octetsToText(textToOctets(text)), text);
  }
});

function tcp(
  from: string,
  fromPort: number,
  to: string,
  toPort: number,
  flags: number,
  text = '',
  sequence = 1,
): Packet {
  return {
    seconds: 1,
    ethernetType: 0x0800,
    protocol: TCP,
    source: from,
    sourcePort: fromPort,
    destination: to,
    destinationPort: toPort,
    flags,
    sequence,
    payload: Buffer.from(text),
  };
}

test('a string cut by segments that come out of order and twice is put together', () => {
  const from = ['192.0.2.1', 5000, '192.0.2.2', 5060] as const;
  const packets = [
    tcp(...from, SYN, '', 99),
    tcp(...from, ACK, 'nary-7f3a', 102),
    tcp(...from, ACK, 'ca', 100),
    tcp(...from, ACK, 'canary', 100),
  ];
  assert.deepEqual([...tcpStreams(packets).values()].map(String), ['canary-7f3a']);
});

test('the firewall proof takes replies and nothing else', () => {
  const gw1 = host.gw1.v4;
  const gw2 = host.gw2Inner.v4;
  const opened = [tcp(gw1, 40_000, gw2, 7060, SYN), tcp(gw2, 7060, gw1, 40_000, SYN | ACK)];
  assert.deepEqual(proveFirewall(opened, 'v4').faults, []);
  assert.deepEqual(proveFirewall(opened, 'v4').opened, { 7060: 1 });
  const faults = [
    tcp(gw2, 7060, gw1, 40_001, ACK), // nobody opened this one
    tcp(gw2, 7060, gw1, 40_000, SYN), // inward
    tcp(gw2, 40_000, host.pbx.v4, 5060, SYN),
    tcp(gw1, 40_002, gw2, 5060, SYN), // outward on another port
    tcp(host.pbx.v4, 40_003, gw2, 7060, SYN), // not GW1
    { ...tcp(gw2, 5060, gw1, 5060, 0), protocol: UDP },
  ];
  for (const fault of faults) assert.equal(proveFirewall([...opened, fault], 'v4').faults.length, 1);
});
