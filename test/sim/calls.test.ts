import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLEAN, World } from './world.ts';

/** Ends what is up and checks that nothing is left anywhere. */
function finish(world: World): void {
  for (const peer of [world.phone, world.pbx]) {
    for (const call of peer.calls) if (call.state !== 'ended') peer.end(call);
  }
  world.run(60_000);
  assert.deepEqual(world.leftovers(), {});
}

test('a call from the Internet reaches the PBX, and ends from the Internet', () => {
  const world = new World({ network: CLEAN }).start();
  const call = world.phone.call('601');
  world.until(() => call.state === 'connected', 5000, 'connect');
  assert.equal(world.pbx.calls.length, 1);
  assert.equal(world.pbx.calls[0]!.number, '601');
  world.run(2000);
  world.phone.end(call);
  world.until(() => world.pbx.calls[0]!.state === 'ended', 5000, 'release');
  finish(world);
  assert.equal(world.termination.cdrs.length, 1);
  assert.equal(world.relay.cdrs.length, 1);
  assert.equal(world.termination.cdrs[0]!['call'], world.relay.cdrs[0]!['call']);
  assert.equal(world.termination.cdrs[0]!['result'], 'connected');
});

test('a call from the PBX reaches the Internet, and ends from there', () => {
  const world = new World({ network: CLEAN }).start();
  const call = world.pbx.call('0301234567');
  world.until(() => call.state === 'connected', 5000, 'connect');
  world.phone.end(world.phone.calls[0]!);
  world.until(() => call.state === 'ended', 5000, 'release');
  finish(world);
});
