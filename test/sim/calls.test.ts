import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertSound, connect, direction, finish } from './check.ts';
import { LIMITS } from './sim-config.ts';
import { World } from './world.ts';

test('a call from the Internet reaches the PBX, and ends from the Internet', () => {
  const world = new World().start();
  const [call, taken] = connect(world, world.phone, world.pbx, '601');
  assert.equal(taken.number, '601');
  assert.deepEqual(call.provisionals, [180]);
  assertSound(world, [world.phone, call], [world.pbx, taken]);
  assert.equal(direction(world.termination), 'sendrecv');
  assert.equal(direction(world.relay), 'sendrecv');
  world.phone.end(call);
  world.until(() => taken.state === 'ended', 5000, 'release');
  assert.equal(taken.endCause, 16);
  finish(world);
  const [record] = world.termination.cdrs;
  assert.equal(world.termination.cdrs.length, 1);
  assert.equal(world.relay.cdrs.length, 1);
  assert.equal(record!.call, world.relay.cdrs[0]!.call);
  assert.equal(record!.result, 'connected');
  assert.equal(record!.origin, 'caller');
  assert.equal(world.relay.cdrs[0]!.origin, 'caller');
});

test('a call from the PBX reaches the Internet, and ends from there', () => {
  const world = new World().start();
  const [call, taken] = connect(world, world.pbx, world.phone, '0301234567');
  assert.equal(taken.number, '0301234567');
  assertSound(world, [world.phone, taken], [world.pbx, call]);
  world.phone.end(taken);
  world.until(() => call.state === 'ended', 5000, 'release');
  finish(world);
  assert.equal(world.relay.cdrs[0]!.origin, 'callee');
});

for (const [from, to] of [
  ['phone', 'pbx'],
  ['pbx', 'phone'],
] as const) {
  test(`late offer from ${from}: the offer comes in the 200, the answer in the ACK (RFC 3261 13.2.1)`, () => {
    const world = new World().start();
    const call = world[from].call('601', { lateOffer: true });
    world.until(() => call.state === 'connected', 5000, 'connect');
    world.run(500);
    const taken = world[to].calls[0]!;
    assert.equal(taken.lateOffer, true, 'the INVITE of the other side has no offer either');
    const both = { phone: from === 'phone' ? call : taken, pbx: from === 'pbx' ? call : taken };
    assertSound(world, [world.phone, both.phone], [world.pbx, both.pbx]);
    assert.equal(direction(world.termination), 'sendrecv');
    assert.equal(direction(world.relay), 'sendrecv');
    finish(world);
  });

  test(`early media towards ${from}: the answer in the 183 opens both legs before the call is answered`, () => {
    const world = new World({
      [to]: { answer: () => undefined },
    }).start();
    const call = world[from].call('601');
    world.until(() => world[to].calls.length === 1, 5000, 'arrival');
    const taken = world[to].calls[0]!;
    world[to].early(taken);
    world.run(500);
    assert.deepEqual(call.provisionals, [183]);
    assert.notEqual(call.state, 'connected');
    const both = { phone: from === 'phone' ? call : taken, pbx: from === 'pbx' ? call : taken };
    assertSound(world, [world.phone, both.phone], [world.pbx, both.pbx]);
    world[to].accept(taken);
    world.until(() => call.state === 'connected', 5000, 'connect');
    assertSound(world, [world.phone, both.phone], [world.pbx, both.pbx]);
    finish(world);
  });
}

test('DTMF by INFO arrives as RFC 4733 digits of the other leg where telephone-event is agreed', () => {
  for (const side of ['phone', 'pbx'] as const) {
    const world = new World().start();
    const [call, taken] = connect(world, world.phone, world.pbx, '601');
    const other = side === 'phone' ? world.relay : world.termination;
    for (const digit of ['1', '#', 'D']) {
      world[side].digit(side === 'phone' ? call : taken, digit);
      world.run(400);
    }
    const digits = other.planeCommands.flatMap((c) => (c.kind === 'digit' ? [c.digit] : []));
    assert.deepEqual(digits, ['1', '#', 'D'], `from ${side}`);
    finish(world);
  }
});

test('RFC 4733 events without end reach a leg without telephone-event as fifty INFO at once, then twenty a second', () => {
  const world = new World({ pbx: { formats: '0 8' } }).start();
  const [, taken] = connect(world, world.phone, world.pbx, '601');
  const [stream] = world.relay.openStreams.values();
  const { session, stream: id } = stream!;
  for (let s = 0; s < 10; s++) {
    for (let i = 0; i < 200; i++)
      world.input(world.relay, {
        kind: 'plane',
        shard: 0,
        event: { kind: 'digit', session, stream: id, digit: '5', durationMs: 100 },
      });
    world.run(1000);
  }
  const told = taken.digits.length;
  assert.ok(told >= 50 && told <= 50 + 9 * 20 + 1, `${told} digits in 10 s`);
  assert.ok(world.relay.counted('mediaRefused/digit-rate') > 1000);
  finish(world);
});

test('DTMF by INFO goes out by INFO where the other leg has no telephone-event', () => {
  const world = new World({ pbx: { formats: '0 8' } }).start();
  const [call, taken] = connect(world, world.phone, world.pbx, '601');
  world.phone.digit(call, '5');
  world.run(400);
  assert.equal(taken.digits, '5');
  finish(world);
});

test('hops are counted down and a call without hops left is refused 483 (RFC 3261 16.3)', () => {
  const world = new World().start();
  const call = world.phone.call('601', { hops: 0 });
  world.until(() => call.state === 'ended', 5000, 'refusal');
  assert.equal(call.endStatus, 483);
  assert.equal(world.pbx.calls.length, 0);
  const other = world.phone.call('601', { hops: 5 });
  world.until(() => other.state === 'connected', 5000, 'connect');
  const invite = world.delivered.find((d) => d.to.ip === '10.0.0.10' && d.text.startsWith('INVITE'))!;
  const hops = Number(/^Max-Forwards: (\d+)/m.exec(invite.text)![1]);
  assert.ok(hops < 5, `${hops} hops left`);
  finish(world);
});

test('the longest call: the gateways end what lasts beyond maxCallSeconds', () => {
  const limits = { ...LIMITS, maxCallSeconds: 100 };
  const world = new World({ termination: { limits } }).start();
  const [call, taken] = connect(world, world.phone, world.pbx, '601');
  world.run(99_000);
  assert.equal(call.state, 'connected');
  world.run(2000);
  assert.equal(call.state, 'ended');
  assert.equal(taken.state, 'ended');
  assert.equal(taken.endCause, 102);
  finish(world);
});
