import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SipFlow } from '../sip/contract.ts';
import { type LegTarget, sourceOf } from './legs.ts';

const PEER = { name: 'users', host: '' } as LegTarget['peer'];
const uri = { user: 'alice', host: '192.168.1.20' } as NonNullable<LegTarget['sip']>['uri'];

test('a registered user`s media is learned from the host that registered, over UDP as over TCP and TLS', () => {
  const flows: readonly SipFlow[] = [
    { kind: 'datagram', listener: 'udp', remote: { ip: '203.0.113.5', port: 5060 } },
    { kind: 'stream', connection: 7 },
  ];
  for (const flow of flows) {
    assert.equal(sourceOf({ peer: PEER, sip: { uri, flow }, source: '203.0.113.5' }), '203.0.113.5');
  }
});

test('a peer`s media is learned from its configured address; of one that is known by name nothing is known', () => {
  assert.equal(sourceOf({ peer: { ...PEER, host: '198.51.100.9' } }), '198.51.100.9');
  assert.equal(sourceOf({ peer: { ...PEER, host: '2001:db8::9' } }), '2001:db8::9');
  assert.equal(sourceOf({ peer: { ...PEER, host: 'sip.example.net' } }), undefined);
  assert.equal(sourceOf({ peer: PEER, h323: { ip: '192.0.2.4', port: 1720 } }), '192.0.2.4');
});
