/** Calls that policy refuses leave a record at the gateway that refused, and a flood of them does not fill the disk. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { finish } from './check.ts';
import { LIMITS, route } from './sim-config.ts';
import { World } from './world.ts';

test('a call that GW2 refuses: one record, who called whom, cause and reason', () => {
  const world = new World({
    termination: { routes: [route('only', 'peers', '6XX', 'tunnel:site-a')] },
  }).start();
  const call = world.phone.call('9001');
  world.until(() => call.state === 'ended', 5000, 'refusal');
  const [record, ...more] = world.termination.cdrs;
  assert.deepEqual(more, []);
  assert.equal(record?.result, 'refused');
  assert.equal(record?.reason, 'no-route');
  assert.deepEqual(
    [record?.side, record?.peer, record?.site, record?.origin],
    ['originator', 'internet', '', 'termination-gateway'],
  );
  assert.deepEqual([record?.caller?.number, record?.callee?.number], ['alice', '9001']);
  assert.deepEqual([record?.durationMs, record?.connectAt, record?.streams], [0, undefined, []]);
  assert.ok(record !== undefined && record.cause > 0 && record.setupAt === record.endAt);
  assert.equal(world.relay.cdrs.length, 0);
  finish(world);
});

test('a call that GW1 refuses: its record says why, that of GW2 that it failed, with one id', () => {
  const world = new World({ relay: { routes: [route('out', 'peers', '*', 'tunnel')] } }).start();
  const call = world.phone.call('601');
  world.until(() => call.state === 'ended', 5000, 'refusal');
  world.run(5000);
  const [inside] = world.relay.cdrs;
  const [outside] = world.termination.cdrs;
  assert.deepEqual([inside?.result, inside?.side, inside?.site], ['refused', 'terminator', 'gw2']);
  assert.equal(outside?.result, 'failed');
  assert.equal(inside?.call, outside?.call);
  assert.equal(inside?.cause, outside?.cause);
  finish(world);
});

test('calls refused while a gateway drains have a record too', () => {
  const world = new World().start();
  const up = world.phone.call('601');
  world.until(() => up.state === 'connected', 5000, 'a call');
  world.input(world.relay, { kind: 'drain', withinMs: 60_000 });
  const call = world.phone.call('601');
  world.until(() => call.state === 'ended', 5000, 'refusal');
  world.run(1000);
  const records = [...world.termination.cdrs, ...world.relay.cdrs].filter((r) => r.result === 'refused');
  assert.equal(records.length, 1);
  finish(world, { records: 'any' });
});

test('a flood of refused calls: cdr.refusedPerSecond bounds the records, the rest is counted, and 0 means none', () => {
  for (const [refusedPerSecond, written] of [
    [2, 20],
    [0, 0],
  ] as const) {
    const world = new World({
      termination: { limits: { ...LIMITS, maxCalls: 0 }, cdr: { refusedPerSecond } },
    }).start();
    for (let i = 0; i < 60; i++) world.phone.call('601');
    world.run(200);
    assert.equal(world.termination.cdrs.length, written, 'a burst of ten seconds');
    assert.equal(world.termination.counted('recordsOmitted/refused'), 60 - written);
    assert.equal(world.termination.counted('calls/refused'), 60);
    world.run(10_000);
    for (let i = 0; i < 10; i++) world.phone.call('601');
    world.run(200);
    assert.equal(world.termination.cdrs.length, written === 0 ? 0 : 30, 'the cap is per second');
    finish(world);
  }
});

test('rules for numbers hold for numbers that were disguised as names, by a stranger or by a hostile GW2', () => {
  const rules = [route('premium', 'tunnel', '0900.', 'refuse:21'), route('in', 'tunnel', '*', 'peer:pbx')];
  const world = new World({ relay: { routes: rules }, termination: { ownNumbers: ['4930100'] } }).start();
  for (const user of ['0 900123', '0900\u00a0123', '0\u0000900123', '0900/123', '+4930 100']) {
    const spoofed = user.startsWith('+');
    const call = world.phone.call(spoofed ? '601' : user, { ...(spoofed ? { from: user } : {}) });
    world.run(1000);
    assert.deepEqual([call.state, call.endStatus], ['ended', 403], user);
  }
  assert.equal(world.pbx.calls.length, 0);
  finish(world);
});
