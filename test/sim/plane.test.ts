import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertSound, connect, finish } from './check.ts';
import { World } from './world.ts';

for (const role of ['termination', 'relay'] as const) {
  test(`no port can be bound at the ${role} gateway: the call fails with cause 47, both sides are told`, () => {
    const world = new World().start();
    world[role].planeMood = 'no-port';
    for (const from of ['phone', 'pbx'] as const) {
      const call = world[from].call('601');
      world.until(() => call.state === 'ended', 10_000, `end of the call of ${from}`);
      assert.equal(call.endCause, 47, from);
    }
    world[role].openStreams.clear();
    world[role].planeMood = 'well';
    const again = world.phone.call('601');
    world.until(() => again.state === 'connected', 5000, 'a call afterwards');
    finish(world, { crossed: true });
  });

  test(`the media worker of the ${role} gateway is dead when a call ends: the record is written all the same`, () => {
    const world = new World().start();
    const [call] = connect(world, world.phone, world.pbx, '601');
    world[role].planeMood = 'dead';
    world.phone.end(call);
    world.run(500);
    assert.equal(world[role].cdrs.length, 0, 'the last counters are waited for');
    world.run(5000);
    assert.equal(world[role].cdrs.length, 1);
    finish(world);
  });

  test(`the media worker of the ${role} gateway dies in a call: the call lives, its streams are what they were`, () => {
    const world = new World().start();
    const [call, taken] = connect(world, world.phone, world.pbx, '601');
    const commands = world[role].planeCommands.length;
    world.input(world[role], {
      kind: 'plane',
      shard: 0,
      event: { kind: 'shard-lost', shard: 0, reason: 'SIGKILL' },
    });
    world.run(100);
    world.input(world[role], { kind: 'plane', shard: 0, event: { kind: 'shard-ready', shard: 0 } });
    world.run(2000);
    assert.equal(call.state, 'connected');
    assert.equal(
      world[role].planeCommands.length,
      commands,
      'the supervisor gives the successor its streams',
    );
    assertSound(world, [world.phone, call], [world.pbx, taken]);
    world.phone.reinvite(call, 'sendonly');
    world.run(1500);
    assert.equal(call.modifyAccepted, 1);
    finish(world);
  });
}

test('the plane ends a stream by itself: the next description opens it anew', () => {
  const world = new World().start();
  const [call, taken] = connect(world, world.phone, world.pbx, '601');
  const [leg] = [...world.relay.openStreams.values()];
  world.relay.plane({ kind: 'close', session: leg!.session, stream: leg!.stream });
  world.input(world.relay, {
    kind: 'plane',
    shard: 0,
    event: { kind: 'closed', counters: world.relay.counters(leg!.session, leg!.stream) },
  });
  world.run(100);
  world.pbx.reinvite(taken, 'sendrecv');
  world.run(1500);
  assertSound(world, [world.phone, call], [world.pbx, taken]);
  finish(world);
});
