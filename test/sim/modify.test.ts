import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertSound, connect, direction, finish } from './check.ts';
import { describe, type SimCall } from './sim-peer.ts';
import { World } from './world.ts';

type SideName = 'phone' | 'pbx';
const OTHER = { phone: 'pbx', pbx: 'phone' } as const;

function established(options: ConstructorParameters<typeof World>[0] = {}, from: SideName = 'phone') {
  const world = new World(options).start();
  const [call, taken] = connect(world, world[from], world[OTHER[from]], '601');
  const calls: Record<SideName, SimCall> =
    from === 'phone' ? { phone: call, pbx: taken } : { phone: taken, pbx: call };
  return { world, calls };
}

for (const holder of ['phone', 'pbx'] as const) {
  for (const caller of ['phone', 'pbx'] as const) {
    test(`hold and resume by ${holder} in a call of ${caller} (RFC 3264 8.4)`, () => {
      const { world, calls } = established({}, caller);
      const other = OTHER[holder];
      for (const [media, there] of [
        ['sendonly', 'sendonly'],
        ['inactive', 'inactive'],
        ['sendrecv', 'sendrecv'],
      ] as const) {
        world[holder].reinvite(calls[holder], media);
        world.run(1500);
        assert.equal(describe(calls[other].remoteSdp).direction, there, `${other} is told ${media}`);
      }
      assert.equal(calls[holder].modifyAccepted, 3);
      assert.equal(calls[other].modifiesSeen, 3);
      assert.equal(direction(world.termination), 'sendrecv');
      assert.equal(direction(world.relay), 'sendrecv');
      assertSound(world, [world.phone, calls.phone], [world.pbx, calls.pbx]);
      finish(world);
    });
  }

  test(`${holder} on hold is sent nothing and may send nothing (RFC 3264 8.4)`, () => {
    const { world, calls } = established();
    world[holder].reinvite(calls[holder], 'inactive');
    world.run(1500);
    assert.equal(direction(world.termination), 'inactive');
    assert.equal(direction(world.relay), 'inactive');
    finish(world);
  });

  test(`a change of ${holder} that the other side refuses leaves the call as it was (RFC 3261 14.1)`, () => {
    const { world, calls } = established();
    const other = OTHER[holder];
    world[other].acceptModify = false;
    world[holder].reinvite(calls[holder], 'sendonly');
    world.run(1500);
    assert.equal(calls[holder].modifyRefused, 1);
    assert.equal(direction(world.termination), 'sendrecv');
    assert.equal(direction(world.relay), 'sendrecv');
    world[other].acceptModify = true;
    world[holder].reinvite(calls[holder], 'sendrecv');
    world.run(1500);
    assert.equal(calls[holder].modifyAccepted, 1);
    finish(world);
  });

  test(`${holder} changes the codec: both legs follow (RFC 3264 8.3.2)`, () => {
    const { world, calls } = established();
    world[holder].reinvite(calls[holder], 'sendrecv', '8 101');
    world.run(1500);
    assert.equal(calls[holder].modifyAccepted, 1);
    for (const gateway of [world.termination, world.relay]) {
      const [leg] = [...gateway.openStreams.values()];
      const types = leg!.formats.filter((f) => f.kind === 'voice').map((f) => f.sendPayloadType);
      assert.deepEqual(types, [8], gateway.name);
    }
    assertSound(world, [world.phone, calls.phone], [world.pbx, calls.pbx]);
    finish(world);
  });

  test(`a re-INVITE of ${holder} without a description is answered with an offer (RFC 3261 14.2)`, () => {
    const { world, calls } = established();
    world[holder].reinvite(calls[holder], undefined);
    world.run(3000);
    assert.equal(calls[holder].modifyAccepted, 1);
    assertSound(world, [world.phone, calls.phone], [world.pbx, calls.pbx]);
    assert.equal(direction(world.termination), 'sendrecv');
    assert.equal(direction(world.relay), 'sendrecv');
    finish(world);
  });

  test(`${holder} asks for an offer and answers it with hold: the other side is told, and of the resume too (RFC 6337 5.2.5)`, () => {
    const { world, calls } = established();
    const other = OTHER[holder];
    for (const [media, there] of [
      ['sendonly', 'sendonly'],
      ['inactive', 'inactive'],
      ['sendrecv', 'sendrecv'],
    ] as const) {
      calls[holder].media = media;
      world[holder].reinvite(calls[holder], undefined);
      world.run(3000);
      assert.equal(describe(calls[other].remoteSdp).direction, there, `${other} is told ${media}`);
    }
    assert.equal(direction(world.termination), 'sendrecv');
    assert.equal(direction(world.relay), 'sendrecv');
    finish(world);
  });

  test(`${holder} hangs up while its own change is asked for`, () => {
    for (let delay = 0; delay < 20; delay += 2) {
      const { world, calls } = established({ seed: 700 + delay });
      world[holder].reinvite(calls[holder], 'sendonly');
      world.run(delay);
      world[holder].end(calls[holder]);
      world.run(500);
      finish(world);
    }
  });

  test(`the other side hangs up while ${holder} asks for a change`, () => {
    for (let delay = 0; delay < 20; delay += 2) {
      const { world, calls } = established({ seed: 800 + delay });
      world[holder].reinvite(calls[holder], 'sendonly');
      world.run(delay);
      world[OTHER[holder]].end(calls[OTHER[holder]]);
      world.run(500);
      finish(world);
    }
  });
}

test('both sides change at once: one wins, the other sees 491 and tries again (RFC 3261 14.1, Meta glare)', () => {
  for (let offset = -12; offset <= 12; offset++) {
    const { world, calls } = established({ seed: 900 + offset });
    const [first, second] = offset < 0 ? (['phone', 'pbx'] as const) : (['pbx', 'phone'] as const);
    world[first].reinvite(calls[first], 'sendrecv', '8 101');
    world.run(Math.abs(offset));
    world[second].reinvite(calls[second], 'sendrecv', '8 101');
    world.run(20_000);
    assert.equal(calls.phone.state, 'connected', `offset ${offset}`);
    assert.equal(calls.pbx.state, 'connected', `offset ${offset}`);
    const outcomes = [calls.phone, calls.pbx].map((c) => c.modifyAccepted + c.modifyRefused);
    assert.ok(
      outcomes.every((n) => n >= 1),
      `each change has an outcome at offset ${offset}: ${outcomes}`,
    );
    assert.ok(calls.phone.modifyAccepted + calls.pbx.modifyAccepted >= 1, `one is taken at offset ${offset}`);
    assertSound(world, [world.phone, calls.phone], [world.pbx, calls.pbx]);
    finish(world);
  }
});

test('a change right after the answer, before and after the ACK (RFC 3261 14.2)', () => {
  for (let delay = 0; delay < 30; delay += 2) {
    const world = new World({ seed: 1000 + delay }).start();
    const call = world.phone.call('601');
    world.until(() => call.state === 'connected', 5000, 'connect');
    world.phone.reinvite(call, 'sendonly');
    world.run(delay);
    const taken = world.pbx.calls[0]!;
    world.pbx.reinvite(taken, 'sendrecv');
    world.run(20_000);
    assert.equal(call.state, 'connected', `delay ${delay}`);
    assert.equal(taken.state, 'connected', `delay ${delay}`);
    finish(world);
  }
});
