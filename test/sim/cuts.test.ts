import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StatusView } from '../../src/gateway/contract.ts';
import { assertSound, connect, direction, finish } from './check.ts';
import type { SimCall } from './sim-peer.ts';
import { World } from './world.ts';

const DIRECTIONS = [
  ['phone', 'pbx'],
  ['pbx', 'phone'],
] as const;
const KINDS = [
  ['reset', false],
  ['established but dead', true],
] as const;

for (const [name, silent] of KINDS) {
  for (const [from, to] of DIRECTIONS) {
    test(`a cut of 5 s (${name}) at every step of a call set-up, ${from} to ${to}: answered or refused, never half`, () => {
      let answered = 0;
      for (let at = 0; at <= 60; at += 2) {
        const world: World = new World({
          seed: 2000 + at,
          [to]: {
            answer: (call: SimCall) => {
              world[to].ring(call);
              world[to].later(15, () => world[to].accept(call));
            },
          },
        }).start();
        const call = world[from].call('601');
        world.run(at);
        world.cut(5000, silent);
        world.run(30_000);
        const taken = world[to].calls[0];
        assert.notEqual(call.state, 'calling', `cut after ${at} ms: the caller learns something`);
        if (call.state === 'connected') {
          answered++;
          assert.equal(taken?.state, 'connected', `cut after ${at} ms`);
          const both = from === 'phone' ? ([call, taken!] as const) : ([taken!, call] as const);
          assertSound(world, [world.phone, both[0]], [world.pbx, both[1]]);
        } else
          assert.ok(taken === undefined || taken.state === 'ended', `cut after ${at} ms: nobody waits alone`);
        finish(world, { crossed: true });
      }
      assert.ok(answered > 10, `${answered} of 31 calls live through the cut`);
    });
  }

  test(`an established call survives a cut of 5 s (${name}); its media is not touched`, () => {
    const world = new World().start();
    const [call, taken] = connect(world, world.phone, world.pbx, '601');
    const before = [world.termination, world.relay].map((g) => g.planeCommands.length);
    world.cut(5000, silent);
    world.run(25_000);
    assert.equal(call.state, 'connected');
    assert.equal(taken.state, 'connected');
    assert.deepEqual(
      [world.termination, world.relay].map((g) => g.planeCommands.length),
      before,
    );
    assert.equal(world.termination.counted('tunnelEvents/resumed'), 1);
    world.phone.reinvite(call, 'sendonly');
    world.run(1500);
    assert.equal(call.modifyAccepted, 1, 'the call can still be changed');
    finish(world);
  });

  test(`BYE during a cut (${name}) is answered at once and told when the link is back`, () => {
    for (const side of ['phone', 'pbx'] as const) {
      const world = new World().start();
      const [call, taken] = connect(world, world.phone, world.pbx, '601');
      const [mine, other] = side === 'phone' ? [call, taken] : [taken, call];
      world.cut(5000, silent);
      world.run(500);
      world[side].end(mine);
      world.run(200);
      assert.equal(mine.state, 'ended');
      assert.equal(other.state, 'connected');
      world.run(20_000);
      assert.equal(other.state, 'ended');
      finish(world);
    }
  });

  test(`a change during a cut (${name}) has an outcome and the call lives (500 with Retry-After, or done later)`, () => {
    for (const side of ['phone', 'pbx'] as const) {
      for (const delay of [0, 3, 6, 9, 12, 500, 3500]) {
        const world = new World({ seed: 2300 + delay }).start();
        const [call, taken] = connect(world, world.phone, world.pbx, '601');
        const mine = side === 'phone' ? call : taken;
        if (delay < 100) {
          world[side].reinvite(mine, 'sendonly');
          world.run(delay);
          world.cut(5000, silent);
        } else {
          world.cut(5000, silent);
          world.run(delay);
          world[side].reinvite(mine, 'sendonly');
        }
        world.run(60_000);
        assert.equal(call.state, 'connected', `${side}, ${delay}`);
        assert.equal(taken.state, 'connected', `${side}, ${delay}`);
        assert.equal(
          mine.modifyAccepted + mine.modifyRefused,
          1,
          `${side}, ${delay}: the change has an outcome`,
        );
        const accepted = mine.modifyAccepted === 1;
        for (const gateway of [world.termination, world.relay])
          assert.equal(
            direction(gateway) === 'sendrecv',
            !accepted,
            `${side}, ${delay}: ${gateway.name} agrees`,
          );
        finish(world);
      }
    }
  });

  test(`release crossing a cut (${name}) at every millisecond leaves nothing`, () => {
    for (let at = -8; at <= 8; at++) {
      const world = new World({ seed: 2400 + at }).start();
      const [call, taken] = connect(world, world.phone, world.pbx, '601');
      if (at < 0) {
        world.phone.end(call);
        world.run(-at);
        world.cut(5000, silent);
      } else {
        world.cut(5000, silent);
        world.run(at);
        world.phone.end(call);
      }
      world.run(20_000);
      assert.equal(taken.state, 'ended', String(at));
      finish(world);
    }
  });

  test(`a cut of more than 30 s (${name}): both gateways release the call, each to its own side`, () => {
    const world = new World().start();
    const [call, taken] = connect(world, world.phone, world.pbx, '601');
    world.cut(60_000, silent);
    world.run(25_000);
    assert.equal(call.state, 'connected', 'not before its time');
    assert.equal(taken.state, 'connected', 'not before its time');
    world.run(12_000);
    assert.equal(call.state, 'ended');
    assert.equal(taken.state, 'ended');
    world.run(40_000);
    const again = world.phone.call('601');
    world.until(() => again.state === 'connected', 5000, 'a new call');
    finish(world);
  });
}

test('a new call during a cut is answered 503 with Retry-After, not held (RFC 3261 21.5.4)', () => {
  for (const [from] of DIRECTIONS) {
    const world = new World().start();
    world.cut(5000, false);
    const call = world[from].call('601');
    world.run(500);
    assert.equal(call.state, 'ended');
    assert.equal(call.endStatus, 503);
    const { ip } = world[from].options.address;
    const failure = world.delivered.find((d) => d.to.ip === ip && d.text.startsWith('SIP/2.0 503'));
    assert.match(failure!.text, /^Retry-After: \d+\r$/m);
    world.run(20_000);
    finish(world);
  }
});

test('cuts one after the other: the call lives as long as each is short', () => {
  const world = new World().start();
  const [call, taken] = connect(world, world.phone, world.pbx, '601');
  for (let i = 0; i < 8; i++) {
    world.cut(1000 + 500 * i, i % 2 === 0);
    world.run(20_000);
    assert.equal(call.state, 'connected', `cut ${i}`);
    assert.equal(taken.state, 'connected', `cut ${i}`);
  }
  finish(world);
});

for (const role of ['termination', 'relay'] as const) {
  test(`the ${role} gateway restarts: the other releases its calls, new ones work, nothing is left`, () => {
    for (const downMs of [0, 500, 8000]) {
      const world = new World({ seed: 2600 + downMs }).start();
      const [call, taken] = connect(world, world.phone, world.pbx, '601');
      const [, second] = connect(world, world.pbx, world.phone, '0301234567');
      world.restart(role, downMs);
      world.run(downMs + 15_000);
      const survivors = role === 'termination' ? [taken, world.pbx.calls[1]!] : [call, second];
      for (const leg of survivors) assert.equal(leg.state, 'ended', `down for ${downMs} ms`);
      const again = world.phone.call('601');
      world.until(() => again.state === 'connected', 5000, 'a new call');
      finish(world, { records: 'any' });
    }
  });

  test(`the ${role} gateway restarts in the middle of a set-up: the caller is told or the callee let go`, () => {
    for (let at = 0; at <= 40; at += 4) {
      const world: World = new World({
        seed: 2700 + at,
        pbx: {
          answer: (call: SimCall) => {
            world.pbx.ring(call);
            world.pbx.later(10, () => world.pbx.accept(call));
          },
        },
      }).start();
      const call = world.phone.call('601');
      world.run(at);
      world.restart(role);
      world.run(45_000);
      if (role === 'relay') assert.equal(call.state, 'ended', `restart after ${at} ms`);
      else assert.notEqual(world.pbx.calls[0]?.state, 'connected', `restart after ${at} ms`);
      finish(world, { records: 'any' });
    }
  });
}

test('a relay gateway that cannot reach the other one says why: once, when the reason changes, once a minute', () => {
  const world = new World().start();
  world.cut(100_000, false);
  world.run(100_000);
  const told = world.relay.logs.filter((line) => line.event === 'tunnel dial failed');
  assert.ok(told.length >= 2 && told.length <= 4, `${told.length} lines`);
  assert.equal(told[0]!.fields['reason'], 'unreachable');
  world.input(world.relay, { kind: 'operator', request: 1, command: { command: 'status' } });
  const problem = (): string | undefined =>
    (world.relay.operatorReplies.get(1) as StatusView).tunnels[0]!.problem;
  assert.equal(problem(), 'unreachable');
  world.run(30_000);
  world.input(world.relay, { kind: 'operator', request: 1, command: { command: 'status' } });
  assert.equal(problem(), undefined, 'until the tunnel is up');
  finish(world);
});
