import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PeerConfig } from '../../src/gateway/config.ts';
import { peer, relayConfig, route } from './sim-config.ts';
import { World } from './world.ts';

const GATEWAY = { ip: '10.0.0.1', port: 1720 };
const H323_PEER: NonNullable<PeerConfig['h323']> = {
  fastStart: true,
  tunnelling: true,
  earlyH245: false,
  keepConnection: false,
  aliases: [],
};
const H323 = {
  listeners: [
    { name: 'cs', transport: 'tcp' as const, address: GATEWAY },
    { name: 'ras', transport: 'udp' as const, address: { ip: '10.0.0.1', port: 1719 } },
  ],
  h245Ports: [30_000, 30_999] as const,
};

/** GW1 is a gatekeeper for the terminal 301 (and no other). */
function served(terminal: { user: string; password: string }, open = false): World {
  const world = new World({
    relay: {
      h323: {
        ...H323,
        gatekeeper: {
          identifier: 'gw1',
          listener: 'ras',
          signalling: 'cs',
          peer: 'phones',
          timeToLiveSeconds: 120,
          open,
        },
      },
      accounts: [{ username: '301', password: 'geheim-301', number: '301' }],
      peers: [
        ...relayConfig().peers,
        peer('phones', '', { protocol: 'h323', sources: ['10.0.1.0/24'], h323: H323_PEER }),
      ],
      routes: [route('phones', 'tunnel', '3XX', 'registered'), ...relayConfig().routes],
    },
  });
  world.addH323Peer({
    name: terminal.user,
    address: { ip: '10.0.1.7', port: 1720 },
    gateway: GATEWAY,
    mediaPort: 33_000,
    gatekeeper: {
      aliases: [{ kind: 'number', number: terminal.user }],
      ...(open ? {} : { password: terminal }),
    },
  });
  return world.start();
}

test('a terminal registers at our gatekeeper with its password, is called, and calls as its alias', () => {
  for (const open of [false, true]) {
    const world = served({ user: '301', password: 'geheim-301' }, open);
    const [phone] = world.h323Peers;
    world.run(2000);
    assert.deepEqual(phone!.registrations, ['registered'], JSON.stringify([...world.relay.counts]));
    const call = world.phone.call('301');
    world.until(() => call.state === 'connected', 8000, 'the call to the terminal');
    const taken = phone!.calls[0]!;
    assert.equal(taken.number, '301');
    world.phone.end(call);
    world.until(() => taken.state === 'ended', 5000, 'its end');
    const out = phone!.call('0301234567');
    world.until(() => out.state === 'connected', 8000, 'the call of the terminal');
    assert.equal(world.relay.cdrs.length, 1);
    phone!.end(out);
    world.run(110_000);
    const record = world.relay.cdrs.find((r) => r.side === 'originator')!;
    assert.equal(record.caller?.number, '301');
    assert.equal(record.caller?.verified, true);
    phone!.command({ kind: 'unregister' });
    world.run(5000);
    const left = world.leftovers();
    assert.deepEqual(left, {});
  }
});

test('a terminal with a wrong password, and one without account, is not registered and not called', () => {
  for (const terminal of [
    { user: '301', password: 'wrong-wrong' },
    { user: '302', password: 'geheim-302' },
  ]) {
    const world = served(terminal);
    world.run(10_000);
    const [phone] = world.h323Peers;
    assert.ok(!phone!.registrations.includes('registered'));
    const call = world.phone.call(terminal.user);
    world.until(() => call.state === 'ended', 8000, 'refusal');
    assert.equal(call.endStatus, 480);
    assert.equal(phone!.calls.length, 0);
  }
});

test("the gateway registers at a PBX's gatekeeper and calls with its admission, both directions", () => {
  const access = {
    host: '10.0.0.20',
    aliases: ['555'],
    timeToLiveSeconds: 60,
    username: '555',
    password: 'tief-geheim',
  };
  const world = new World({
    relay: {
      h323: H323,
      peers: [
        peer('pbx', '10.0.0.20', {
          protocol: 'h323',
          port: 1720,
          h323: { ...H323_PEER, gatekeeper: access },
        }),
      ],
    },
  });
  const pbx = world.addH323Peer({
    name: '200',
    address: { ip: '10.0.0.20', port: 1720 },
    gateway: GATEWAY,
    mediaPort: 33_000,
    serves: { '555': 'tief-geheim' },
  });
  world.start();
  world.run(3000);
  assert.deepEqual([...pbx.terminals], ['555'], JSON.stringify([...world.relay.counts, pbx.counts]));
  const call = world.phone.call('200');
  world.until(() => call.state === 'connected', 8000, 'the call to the PBX');
  world.run(70_000);
  assert.deepEqual([...pbx.terminals], ['555'], 'kept alive');
  world.phone.end(call);
  world.run(5000);
  const out = pbx.call('0301234567');
  world.until(() => out.state === 'connected', 8000, 'the call of the PBX');
  pbx.end(out);
  world.run(5000);
  assert.equal(world.relay.cdrs.length, 2);
});
