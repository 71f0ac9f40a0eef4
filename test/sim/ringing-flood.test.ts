/** A called party that rings without end harms its own call at most. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect, finish } from './check.ts';
import { World } from './world.ts';

test('a called phone on the Internet sends 183 without end: the PBX hears five a second, and other calls lose nothing', () => {
  const world = new World({ phone: { answer: () => undefined } }).start();
  const [honest] = connect(world, world.phone, world.pbx, '601');
  const call = world.pbx.call('0301234567');
  world.run(500);
  const called = world.phone.calls.at(-1)!;
  for (let i = 0; i < 200; i++) {
    for (let k = 0; k < 40; k++) world.phone.early(called);
    if (i === 100) world.pbx.end(world.pbx.calls[0]!);
    world.run(10);
  }
  assert.ok(call.provisionals.length <= 65, `${call.provisionals.length} reached the PBX in 2 s`);
  assert.equal(honest.state, 'ended');
  world.phone.accept(called);
  world.run(1000);
  assert.equal(call.state, 'connected', 'and it can still be answered');
  assert.ok(world.termination.counted('metaRefused/rate') + world.relay.counted('metaRefused/rate') === 0);
  finish(world);
});
