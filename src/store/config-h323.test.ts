import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatConfigError, parseConfig } from './config.ts';

const HEAD = `role: relay
name: gw1
tunnel: {signalling: "192.0.2.10:7060", peerName: gw2}
`;
const ROUTES = `routes:
  - {name: in, from: tunnel, match: "*", to: "peer:pbx"}
  - {name: out, from: peers, match: "*", to: tunnel}
`;
const LISTENERS = `h323:
  listeners:
    - {name: cs, transport: tcp, address: "10.0.0.5:1720"}
    - {name: ras, transport: udp, address: "10.0.0.5:1719"}
`;

function errors(text: string): string[] {
  const parsed = parseConfig(text, 'x.yaml', { files: false });
  return parsed.ok ? [] : parsed.error.map((e) => formatConfigError(e).replace(/^x.yaml:\d+:\d+: /, ''));
}

test('a gateway may speak H.323 only: its peers get the defaults, pools are those of its listeners', () => {
  const parsed = parseConfig(
    `${HEAD}${LISTENERS}peers: [{name: pbx, protocol: h323, host: 10.0.0.20}]\n${ROUTES}`,
    'x.yaml',
    { files: false },
  );
  assert.ok(parsed.ok, JSON.stringify(parsed));
  const { config } = parsed.value;
  assert.deepEqual(config.sip.listeners, []);
  assert.deepEqual(config.h323?.h245Ports, [30_000, 30_999]);
  assert.deepEqual(config.media.pools, [{ ip: '10.0.0.5', ports: [16384, 32767] }]);
  assert.deepEqual(config.peers[0]!.h323, {
    fastStart: true,
    tunnelling: true,
    earlyH245: false,
    keepConnection: false,
    aliases: [],
  });
  assert.equal(config.peers[0]!.probeSeconds, 0, 'OPTIONS is SIP');
});

test('what does not fit together is told with what to do', () => {
  const peers = (text: string): string => `${HEAD}${LISTENERS}peers: [${text}]\n${ROUTES}`;
  assert.deepEqual(errors(peers('{name: pbx, protocol: h323, host: "2001:db8::1"}')), [
    'peers[0].host: no H.323 listener with transport "tcp" for IPv6; add one under "h323.listeners"',
  ]);
  assert.deepEqual(errors(peers('{name: pbx, protocol: h323, host: 10.0.0.20, transport: tcp}')), [
    'peers[0].transport: has no use with protocol "h323"; take it out',
  ]);
  assert.deepEqual(errors(peers('{name: pbx, protocol: h323, host: 10.0.0.20, listener: ras}')), [
    'peers[0].listener: H.323 listener "ras" is udp; name one with "transport: tcp"',
  ]);
  assert.deepEqual(
    errors(
      peers(
        '{name: pbx, protocol: h323, host: 10.0.0.20, h323: {gatekeeper: {host: 10.0.0.9, aliases: ["100"], password: x}}}',
      ),
    ),
    ['peers[0].h323.gatekeeper: "username" and "password" go together; add the other'],
  );
  assert.deepEqual(errors(`${HEAD}peers: [{name: pbx, protocol: h323, host: 10.0.0.20}]\n${ROUTES}`), [
    'no socket to be reached at: add one under "sip.listeners" or "h323.listeners"',
    'peers[0].host: no H.323 listener with transport "tcp" for IPv4; add one under "h323.listeners"',
  ]);
});

test('no two sockets on one port, the H.245 range included', () => {
  const clash = LISTENERS.replace('1720', '30100');
  const text = `${HEAD}${clash}peers: [{name: pbx, protocol: h323, host: 10.0.0.20}]\n${ROUTES}`;
  assert.deepEqual(errors(text), [
    'h323.h245Ports: takes the same TCP port as listener "cs"; choose another',
  ]);
});

test('our gatekeeper needs sockets, an H.323 peer with sources, and accounts', () => {
  const service = LISTENERS.concat(
    '  gatekeeper: {identifier: gk, listener: ras, signalling: cs, peer: phones}\n',
  );
  const text = (more: string): string =>
    `${HEAD}${service}peers:\n  - {name: pbx, protocol: h323, host: 10.0.0.20}\n${more}${ROUTES}`;
  assert.deepEqual(errors(text('')), [
    'h323.gatekeeper: no "accounts": no terminal may register; add them',
    'h323.gatekeeper.peer: there is no H.323 peer "phones"; use one of "pbx"',
  ]);
  const whole = text('  - {name: phones, protocol: h323, sources: ["10.0.1.0/24"]}\n').concat(
    'accounts: [{username: anna, password: "geheimes", number: "301"}]\n',
  );
  assert.deepEqual(errors(whole), []);
  const routed = whole.replace(
    'routes:\n',
    'routes:\n  - {name: terminals, from: tunnel, match: "301", to: registered}\n',
  );
  assert.deepEqual(errors(routed), []);
  const without = routed.replace(/ {2}gatekeeper:.*\n/, '');
  assert.ok(errors(without).some((e) => e.includes('nobody can register here')));
});
