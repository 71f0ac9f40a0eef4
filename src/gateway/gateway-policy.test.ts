/** Sources as the gateway judges them: bans, rates, what a Request-URI may name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GatewayConfig, PeerConfig } from './config.ts';
import { GatewayPolicy } from './gateway-policy.ts';

const peer = (name: string, more: Partial<PeerConfig>): PeerConfig => ({
  name,
  protocol: 'sip',
  host: '',
  sources: [],
  authenticate: 'none',
  trusted: false,
  probeSeconds: 0,
  mediaNetworks: [],
  maxCalls: 100,
  ...more,
});

const CONFIG: GatewayConfig = {
  role: 'termination',
  name: 'gw2',
  tunnel: {
    signalling: { ip: '192.0.2.1', port: 7060 },
    media: { ip: '192.0.2.1', port: 7061 },
    certificate: '',
    key: '',
    ca: '',
    sites: [{ name: 'gw1', maxCalls: 100, maxCallsPerSecond: 50, maxMediaBytesPerSecond: 1_000_000 }],
    lanes: 2,
  },
  sip: {
    listeners: [
      {
        name: 'udp',
        transport: 'udp',
        address: { ip: '192.0.2.1', port: 5060 },
        advertise: { ip: '198.51.100.1', port: 5060 },
      },
    ],
  },
  media: { pools: [], workers: 1, implementation: 'auto', codecs: ['PCMA'], symmetric: 'signalled' },
  peers: [
    peer('users', { sources: ['0.0.0.0/0', '::/0'], authenticate: 'digest' }),
    peer('trunk', { host: '203.0.113.5' }),
  ],
  accounts: [],
  routes: [],
  limits: {
    maxCalls: 100,
    maxCallsPerSecond: 50,
    maxCallsPerSecondPerSource: 5,
    maxMediaBytesPerSecond: 1_000_000,
    maxRingSeconds: 180,
    maxCallSeconds: 3600,
    mediaSilenceSeconds: 300,
    connectionsPerSource: 20,
  },
  emergency: [],
  mediaNetworks: [],
  operator: { socket: '' },
  log: { level: 'info' },
  cdr: { refusedPerSecond: 2 },
};

const from = (ip: string) =>
  ({ remote: { ip, port: 5060 }, listener: 'udp', transport: 'udp', certificateNames: [] }) as const;

test('a scanner is banned and unknown from then on; a configured peer never, whatever is forged in its name', () => {
  const policy = new GatewayPolicy(CONFIG, 0);
  assert.equal(policy.identify(from('198.51.100.7'), 0), 'users');
  assert.equal(policy.offence('scanner', '198.51.100.7', 0), 'banned');
  assert.equal(policy.identify(from('198.51.100.7'), 1), undefined);
  for (let i = 0; i < 50; i++) policy.offence('scanner', '203.0.113.5', 0);
  assert.equal(policy.identify(from('203.0.113.5'), 1), 'trunk');
  assert.equal(policy.offence('unknown-header', '198.51.100.8', 0), 'none', 'oddities are no offence');
});

test('an IPv6 /64 is one source', () => {
  const policy = new GatewayPolicy(CONFIG, 0);
  for (let i = 1; i <= 5; i++) policy.offence('authentication-refused', `2001:db8::${i}`, 0);
  assert.equal(policy.identify(from('2001:db8::99'), 1), undefined);
  assert.equal(policy.identify(from('2001:db8:0:1::1'), 1), 'users');
});

test('message rates: a source of its own, strangers together, peers and authenticated users apart', () => {
  const policy = new GatewayPolicy(CONFIG, 0);
  const sent = (ip: string, name: string, n: number, now = 0): number => {
    let passed = 0;
    for (let i = 0; i < n; i++) {
      if (policy.sipMessage({ remote: { ip, port: 5060 }, peer: name }, now)) passed++;
    }
    return passed;
  };
  policy.authenticated('alice', '198.51.100.9', true, 0);
  const one = sent('198.51.100.7', 'users', 1000);
  assert.ok(one >= 100 && one <= 300, `${one} of one stranger`);
  let all = one;
  for (let i = 0; i < 200; i++) all += sent(`198.51.${i}.1`, 'users', 50);
  assert.ok(all <= 500, `${all} of all strangers`);
  assert.ok(sent('203.0.113.5', 'trunk', 1000) === 1000, 'the trunk does not notice');
  assert.ok(sent('198.51.100.9', 'users', 50) === 50, 'nor who has authenticated');
  assert.ok(sent('198.51.100.7', 'users', 10, 2000) === 10, 'and it passes');
});

test('a Request-URI means us by name, by an address of ours or the one we advertise, and never with maddr', () => {
  const policy = new GatewayPolicy(CONFIG, 0);
  const uri = (host: string, ...parameters: [string, string][]) => ({
    host,
    parameters: new Map(parameters),
  });
  for (const host of ['192.0.2.1', '198.51.100.1', 'sip.example.com'])
    assert.ok(policy.ownTarget(uri(host)), host);
  for (const host of ['10.0.0.20', '127.0.0.1', '2001:db8::1']) assert.ok(!policy.ownTarget(uri(host)), host);
  assert.ok(!policy.ownTarget(uri('192.0.2.1', ['maddr', '10.0.0.20'])));
});

test('an address of its own goes before the network around it, whatever the order of the peers', () => {
  const wide = peer('office', { sources: ['203.0.113.0/24'] });
  const narrow = peer('pbx', { host: '203.0.113.5' });
  for (const peers of [
    [wide, narrow],
    [narrow, wide],
  ]) {
    const policy = new GatewayPolicy({ ...CONFIG, peers }, 0);
    assert.equal(policy.identify(from('203.0.113.5'), 0), 'pbx');
    assert.equal(policy.identify(from('203.0.113.6'), 0), 'office');
  }
});
