import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect, finish } from './check.ts';
import { LIMITS, peer, relayConfig, route, terminationConfig } from './sim-config.ts';
import type { SimCall, SimPeer } from './sim-peer.ts';
import { LOSSY, World } from './world.ts';

const SITE = { name: 'site-a', maxCalls: 500, maxCallsPerSecond: 1000, maxMediaBytesPerSecond: 10_000_000 };

function place(world: World, from: SimPeer, count: number, number = '601'): SimCall[] {
  const calls = Array.from({ length: count }, () => from.call(number));
  world.run(2000);
  return calls;
}

function tally(calls: readonly SimCall[]) {
  return {
    connected: calls.filter((c) => c.state === 'connected').length,
    refused: calls.filter((c) => c.state === 'ended').length,
  };
}

test('maxCalls of GW2: what is too much gets 503 with Retry-After, places come back', () => {
  const world = new World({ termination: { limits: { ...LIMITS, maxCalls: 10 } } }).start();
  const calls = place(world, world.phone, 14);
  assert.deepEqual(tally(calls), { connected: 10, refused: 4 });
  assert.ok(calls.filter((c) => c.state === 'ended').every((c) => c.endStatus === 503));
  assert.equal(world.termination.counted('callsRefused/gateway-calls'), 4);
  for (const call of calls) if (call.state === 'connected') world.phone.end(call);
  world.run(5000);
  assert.deepEqual(tally(place(world, world.phone, 10)), { connected: 10, refused: 0 });
  finish(world);
});

test('maxCalls of GW1 holds whatever GW2 would let through, and GW2 learns why', () => {
  const world = new World({ relay: { limits: { ...LIMITS, maxCalls: 5 } } }).start();
  assert.deepEqual(tally(place(world, world.phone, 8)), { connected: 5, refused: 3 });
  assert.equal(world.relay.counted('callsRefused/gateway-calls'), 3);
  assert.equal(world.pbx.calls.length, 5);
  finish(world);
});

test('maxCalls of a site and of a peer', () => {
  const { tunnel } = terminationConfig();
  const bySite = new World({
    termination: { tunnel: { ...tunnel, sites: [{ ...SITE, maxCalls: 3 }] } },
  }).start();
  assert.deepEqual(tally(place(bySite, bySite.phone, 5)), { connected: 3, refused: 2 });
  assert.equal(bySite.termination.counted('callsRefused/site-calls'), 2);
  finish(bySite);
  const byPeer = new World({
    relay: { peers: [peer('pbx', '10.0.0.10', { trusted: true, maxCalls: 2 })] },
  }).start();
  assert.deepEqual(tally(place(byPeer, byPeer.phone, 5)), { connected: 2, refused: 3 });
  assert.equal(byPeer.relay.counted('callsRefused/peer-calls'), 3);
  finish(byPeer);
});

test('calls per second of GW2, of a source and of GW1', () => {
  for (const [side, limits, reason] of [
    ['termination', { maxCallsPerSecond: 3 }, 'gateway-call-rate'],
    ['termination', { maxCallsPerSecondPerSource: 3 }, 'source-call-rate'],
    ['relay', { maxCallsPerSecond: 3 }, 'site-call-rate'],
  ] as const) {
    const world = new World({ [side]: { limits: { ...LIMITS, ...limits } } }).start();
    const calls = place(world, world.phone, 20);
    assert.ok(tally(calls).connected <= 7, `burst of two seconds: ${tally(calls).connected}`);
    const refused = [...world[side].counts].filter(
      ([k]) => k.startsWith('callsRefused/') && k.endsWith('rate'),
    );
    assert.ok(refused.length > 0, `${reason}: ${refused}`);
    world.run(3000);
    assert.deepEqual(tally(place(world, world.phone, 3)), { connected: 3, refused: 0 });
    finish(world);
  }
});

test('the last places are kept for emergency calls, of either side', () => {
  const world = new World({
    termination: { limits: { ...LIMITS, maxCalls: 20 } },
    relay: { limits: { ...LIMITS, maxCalls: 20 } },
  }).start();
  assert.deepEqual(tally(place(world, world.pbx, 25, '0301234567')), { connected: 19, refused: 6 });
  const [emergency] = place(world, world.pbx, 1, '112');
  assert.equal(emergency!.state, 'connected');
  const normal = place(world, world.pbx, 1, '0301234567');
  assert.equal(normal[0]!.state, 'ended');
  finish(world);
  const record = world.relay.cdrs.find((r) => r.callee?.number === '112');
  assert.equal(record!.priority, 'emergency');
});

/** Both gateways with two places, none of them kept for emergencies. */
const FULL = {
  termination: { limits: { ...LIMITS, maxCalls: 2 } },
  relay: { limits: { ...LIMITS, maxCalls: 2 } },
};

test('no place left: an emergency call of the intranet takes that of the newest call, ringing ones first (Q.850 8)', () => {
  const world = new World({
    ...FULL,
    phone: {
      answer: (call, _request, phone) => (call.number === '0302' ? phone.ring(call) : phone.accept(call)),
    },
  }).start();
  const [talking] = place(world, world.pbx, 1, '0301');
  const [ringing] = place(world, world.pbx, 1, '0302');
  assert.deepEqual([talking!.state, ringing!.state], ['connected', 'ringing']);
  const [emergency] = place(world, world.pbx, 1, '112');
  assert.equal(emergency!.state, 'connected');
  assert.deepEqual([talking!.state, ringing!.state], ['connected', 'ended']);
  assert.equal(ringing!.endCause, 8);
  const [second] = place(world, world.pbx, 1, '112');
  assert.equal(second!.state, 'connected');
  assert.deepEqual([talking!.state, talking!.endCause], ['ended', 8]);
  const [third] = place(world, world.pbx, 1, '112');
  assert.deepEqual([third!.state, emergency!.state, second!.state], ['ended', 'connected', 'connected']);
  assert.equal(world.relay.counted('calls/preempted'), 2);
  assert.ok(world.relay.logs.some((line) => line.event === 'call ended for an emergency call'));
  finish(world);
  const ended = world.relay.cdrs.filter((r) => r.cause === 8);
  assert.deepEqual(
    ended.map((r) => r.reason),
    ['preempted', 'preempted'],
  );
});

test('an emergency call goes before others at the termination gateway too', () => {
  const world = new World({ termination: FULL.termination }).start();
  const outside = place(world, world.phone, 2);
  assert.deepEqual(tally(outside), { connected: 2, refused: 0 });
  const [emergency] = place(world, world.pbx, 1, '112');
  assert.equal(emergency!.state, 'connected');
  assert.deepEqual(tally(outside), { connected: 1, refused: 1 });
  assert.equal(world.termination.counted('calls/preempted'), 1);
  finish(world);
});

test('a stranger who dials an emergency number ends nobody’s call, at either gateway', () => {
  for (const full of [{ termination: FULL.termination }, { relay: FULL.relay }]) {
    const world = new World(full).start();
    const calls = place(world, world.pbx, 2, '0301');
    assert.deepEqual(tally(calls), { connected: 2, refused: 0 });
    const [stranger] = place(world, world.phone, 1, '112');
    assert.equal(stranger!.state, 'ended');
    assert.deepEqual(tally(calls), { connected: 2, refused: 0 });
    finish(world);
  }
});

test('preemption can be switched off, and happens no more than now and then', () => {
  const off = { ...LIMITS, maxCalls: 2, preemption: false };
  const without = new World({ relay: { limits: off } }).start();
  const calls = place(without, without.pbx, 2, '0301');
  assert.equal(place(without, without.pbx, 1, '112')[0]!.state, 'ended');
  assert.deepEqual(tally(calls), { connected: 2, refused: 0 });
  finish(without);
  const wild = new World({ relay: { limits: { ...LIMITS, maxCalls: 40 } } }).start();
  place(wild, wild.pbx, 40, '0301');
  place(wild, wild.pbx, 30, '112');
  assert.ok(wild.relay.counted('calls/preempted') <= 12, 'a burst of ten');
  finish(wild);
});

test('ports run out: the call is refused, ports rest 10 s, then calls are taken again', () => {
  const { media } = relayConfig();
  const world = new World({
    relay: { media: { ...media, pools: [{ ip: '10.0.0.1', ports: [16_384, 16_389] }] } },
  }).start();
  assert.deepEqual(tally(place(world, world.phone, 5)), { connected: 3, refused: 2 });
  for (const call of world.phone.calls) if (call.state === 'connected') world.phone.end(call);
  world.run(2000);
  assert.equal(tally(place(world, world.phone, 1)).connected, 0, 'a released port rests');
  world.run(10_000);
  assert.deepEqual(tally(place(world, world.phone, 3)), { connected: 3, refused: 0 });
  finish(world);
});

test('thousands of calls at once on a lossy network: the tables stay within their caps', () => {
  const world = new World({
    network: LOSSY,
    termination: { limits: { ...LIMITS, maxCalls: 50 } },
    relay: { limits: { ...LIMITS, maxCalls: 40 } },
  }).start();
  for (let i = 0; i < 30; i++) {
    for (let n = 0; n < 20; n++) world.phone.call('601');
    world.run(100);
    for (const [gateway, cap] of [
      [world.termination, 50],
      [world.relay, 40],
    ] as const) {
      const { calls, sessions } = gateway.gateway.sizes;
      assert.ok(calls! <= cap + 100, `${gateway.name}: ${calls} calls`);
      assert.ok(sessions! <= cap + 100, `${gateway.name}: ${sessions} sessions`);
      assert.ok(gateway.openStreams.size <= cap, `${gateway.name}: ${gateway.openStreams.size} streams`);
    }
  }
  world.run(70_000);
  finish(world, { crossed: true });
});

test('drain: new calls get 503, those that are up go on, stopped when the last one ends', () => {
  for (const gateway of ['termination', 'relay'] as const) {
    const world = new World().start();
    const [call, taken] = connect(world, world.phone, world.pbx, '601');
    world.input(world[gateway], { kind: 'drain', withinMs: 60_000 });
    world.run(1000);
    for (const from of ['phone', 'pbx'] as const) {
      const refused = world[from].call('602');
      world.run(1000);
      assert.equal(refused.state, 'ended', `${gateway} drains, call of ${from}`);
      assert.equal(refused.endStatus, 503, `${gateway} drains, call of ${from}`);
    }
    assert.equal(call.state, 'connected');
    assert.equal(world[gateway].stopped, false);
    world.pbx.end(taken);
    world.run(5000);
    assert.equal(call.state, 'ended');
    assert.equal(world[gateway].stopped, true, gateway);
    finish(world);
  }
});

test('drain: what still runs at the deadline is released', () => {
  const world = new World().start();
  const [call, taken] = connect(world, world.phone, world.pbx, '601');
  world.input(world.relay, { kind: 'drain', withinMs: 20_000 });
  world.run(19_000);
  assert.equal(call.state, 'connected');
  world.run(5000);
  assert.equal(call.state, 'ended');
  assert.equal(taken.state, 'ended');
  assert.equal(world.relay.stopped, true);
  finish(world);
});

test('drain of an idle gateway stops at once', () => {
  const world = new World().start();
  world.input(world.termination, { kind: 'drain', withinMs: 60_000 });
  world.run(100);
  assert.equal(world.termination.stopped, true);
});

test('reload: new routes for new calls, calls that are up stay', () => {
  const world = new World().start();
  const [call] = connect(world, world.phone, world.pbx, '601');
  world.configure(world.relay, { routes: [route('none', 'tunnel', '*', 'refuse:21')] });
  world.run(1000);
  assert.equal(call.state, 'connected');
  const refused = world.phone.call('601');
  world.until(() => refused.state === 'ended', 5000, 'refusal');
  assert.equal(refused.endStatus, 403);
  world.configure(world.relay, { routes: relayConfig().routes });
  const again = world.phone.call('601');
  world.until(() => again.state === 'connected', 5000, 'connect');
  finish(world);
});

test('reload: a peer that its probes found down is called again once it is not probed, or stands elsewhere', () => {
  const world = new World().start();
  const { peers } = relayConfig();
  const refused = (): number | undefined => {
    const call = world.phone.call('601');
    world.until(() => call.state === 'ended', 5000, 'refusal');
    return call.endStatus;
  };
  world.configure(world.relay, { peers: peers.map((p) => ({ ...p, host: '10.0.0.99', probeSeconds: 1 })) });
  world.run(30_000);
  assert.equal(refused(), 502);
  assert.deepEqual(new Set(world.strayDatagrams.splice(0).map(({ to }) => to)), new Set(['10.0.0.99:5060']));
  world.configure(world.relay, { peers });
  const call = world.phone.call('601');
  world.until(() => call.state === 'connected', 5000, 'connect');
  finish(world);
});

test('reload: a lower limit holds for new calls, those above it stay', () => {
  const world = new World().start();
  const calls = place(world, world.phone, 6);
  world.configure(world.termination, { limits: { ...LIMITS, maxCalls: 4 } });
  assert.deepEqual(tally(place(world, world.phone, 2)), { connected: 0, refused: 2 });
  assert.deepEqual(tally(calls), { connected: 6, refused: 0 });
  finish(world);
});

test('reload: a site taken out loses its calls; put back, it works again', () => {
  const { tunnel } = terminationConfig();
  const world = new World().start();
  const [call, taken] = connect(world, world.phone, world.pbx, '601');
  world.configure(world.termination, { tunnel: { ...tunnel, sites: [] } });
  world.run(5000);
  assert.equal(call.state, 'ended');
  assert.equal(taken.state, 'ended');
  world.configure(world.termination, { tunnel: { ...tunnel, sites: [SITE] } });
  world.run(30_000);
  const again = world.phone.call('601');
  world.until(() => again.state === 'connected', 5000, 'connect');
  finish(world);
});

test('route-test: an origin that does not exist is an error, not a refused call', () => {
  const world = new World().start();
  const ask = (from: string): unknown => {
    const command = { command: 'route-test', number: '601', from } as const;
    world.input(world.relay, { kind: 'operator', request: 1, command });
    return world.relay.operatorReplies.get(1);
  };
  for (const from of ['peers', 'tunnel', 'peer:pbx', 'tunnel:gw2'])
    assert.notEqual(ask(from), undefined, from);
  for (const from of ['peer:nobody', 'tunnel:elsewhere', 'internet', ''])
    assert.equal(ask(from), undefined, from);
  finish(world);
});
