/** Phones that vanish without a BYE, and calls on hold that only look like it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamCounters } from '../../src/media/plane-contract.ts';
import { connect, finish } from './check.ts';
import { LIMITS, terminationConfig } from './sim-config.ts';
import type { SimGateway } from './sim-gateway.ts';
import { World } from './world.ts';

/** What the gateway's plane reports every second for `seconds`; `packets`: how many more a second. */
function report(world: World, gateway: SimGateway, seconds: number, packets: Partial<StreamCounters>): void {
  for (let i = 1; i <= seconds; i++) {
    const streams = [...gateway.openStreams.values()].map(({ session, stream }) => {
      const counters = gateway.counters(session, stream);
      const { packetsIn = 0, packetsOut = 0 } = packets;
      return { ...counters, packetsIn: packetsIn * i, packetsOut: packetsOut * i };
    });
    world.input(gateway, { kind: 'plane', shard: 0, event: { kind: 'counters', streams, lanes: [] } });
    world.run(1000);
  }
}

for (const role of ['termination', 'relay'] as const) {
  test(`a call in which nothing moves for 300 s at the ${role} gateway is released, cause 102, and the record says why`, () => {
    const world = new World().start();
    const [call, taken] = connect(world, world.phone, world.pbx, '601');
    report(world, world[role], 20, { packetsIn: 50, packetsOut: 50 });
    report(world, world[role], 295, {});
    assert.equal(call.state, 'connected');
    report(world, world[role], 10, {});
    assert.deepEqual([call.state, taken.state], ['ended', 'ended'], 'both sides are told');
    assert.equal(world[role].counted('mediaRefused/silence-released'), 1);
    assert.equal(world[role].counted('releases/102'), 1);
    world.run(5000);
    const own = world[role].cdrs[0];
    assert.deepEqual([own?.cause, own?.reason, own?.result], [102, 'media-silence', 'connected']);
    const far = world[role === 'relay' ? 'termination' : 'relay'].cdrs[0];
    assert.deepEqual([far?.cause, far?.reason], [102, undefined]);
    assert.equal(own?.origin, far?.origin);
    finish(world);
  });
}

test('one direction is enough: a phone that only listens is no vanished phone', () => {
  const world = new World().start();
  const [call] = connect(world, world.phone, world.pbx, '601');
  report(world, world.termination, 900, { packetsOut: 50 });
  assert.equal(call.state, 'connected');
  finish(world);
});

test('hold is no silence at either gateway, whichever side holds, with or without music', () => {
  for (const direction of ['sendonly', 'inactive']) {
    const world = new World().start();
    const [call] = connect(world, world.phone, world.pbx, '601');
    world.phone.reinvite(call, direction);
    world.run(1000);
    assert.equal(call.modifyAccepted, 1);
    for (const gateway of [world.termination, world.relay]) report(world, gateway, 700, {});
    assert.equal(call.state, 'connected', direction);
    finish(world);
  }
});

test('an emergency call stays, and with limits.mediaSilenceSeconds 0 every call', () => {
  const emergency = new World().start();
  const [help] = connect(emergency, emergency.phone, emergency.pbx, '112');
  report(emergency, emergency.termination, 400, {});
  assert.equal(help.state, 'connected');
  finish(emergency);
  const world = new World({ termination: { limits: { ...LIMITS, mediaSilenceSeconds: 0 } } }).start();
  const [call] = connect(world, world.phone, world.pbx, '601');
  report(world, world.termination, 400, {});
  assert.equal(call.state, 'connected');
  // A reload is obeyed by calls that are up.
  world.configure(world.termination, {
    ...terminationConfig(),
    limits: { ...LIMITS, mediaSilenceSeconds: 30 },
  });
  report(world, world.termination, 5, {});
  assert.equal(call.state, 'ended');
  finish(world);
});
