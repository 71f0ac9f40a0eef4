import assert from 'node:assert/strict';
import { test } from 'node:test';
import { causeToStatus, statusToCause } from '../../src/interworking/cause.ts';
import { finish } from './check.ts';
import type { SimCall, SimPeer } from './sim-peer.ts';
import { World, type WorldOptions } from './world.ts';

type SideName = 'phone' | 'pbx';
const DIRECTIONS = [
  ['phone', 'pbx'],
  ['pbx', 'phone'],
] as const;

/** A world whose `to` answers each call by `act`. */
function answering(
  to: SideName,
  act: (peer: SimPeer, call: SimCall) => void,
  more: WorldOptions = {},
): World {
  const world: World = new World({ ...more, [to]: { answer: (call: SimCall) => act(world[to], call) } });
  return world.start();
}

const STATUSES = [
  400, 403, 404, 405, 408, 410, 415, 420, 480, 482, 483, 484, 485, 486, 487, 488, 491, 493, 500, 501, 502,
  503, 504, 505, 513, 580, 600, 603, 604, 606, 607,
];

for (const [from, to] of DIRECTIONS) {
  test(`a failure of the called side arrives as what its cause says, ${from} to ${to} (RFC 3398 7.2.4.1, 8.2.6.1)`, () => {
    let status = 0;
    const world = answering(to, (peer, call) => peer.reject(call, status));
    for (status of STATUSES) {
      const call = world[from].call('601');
      world.until(() => call.state === 'ended', 40_000, `end after ${status}`);
      const cause = statusToCause(status);
      assert.equal(call.endStatus, causeToStatus(cause), `status for ${status}`);
      assert.equal(call.endCause, cause, `cause in Reason for ${status} (RFC 3326)`);
      const taken = world[to].calls.at(-1)!;
      assert.equal(taken.state, 'ended');
    }
    finish(world);
    assert.equal(world.termination.cdrs.length, STATUSES.length);
    assert.ok(world.termination.cdrs.every((r) => r.result === 'failed' && r.origin === 'callee'));
  });

  test(`a Q.850 cause in the Reason of the failure wins over its status, ${from} to ${to} (RFC 3326)`, () => {
    const world = answering(to, (peer, call) => peer.reject(call, 480, { q850: 20 }));
    const call = world[from].call('601');
    world.until(() => call.state === 'ended', 5000, 'end');
    assert.equal(call.endCause, 20);
    finish(world);
    assert.equal(world.termination.cdrs[0]!.cause, 20);
    assert.equal(world.relay.cdrs[0]!.cause, 20);
  });

  test(`Retry-After of the called side crosses, ${from} to ${to} (RFC 3261 20.33)`, () => {
    const world = answering(to, (peer, call) => peer.reject(call, 503, { retryAfterSeconds: 77 }));
    const call = world[from].call('601');
    world.until(() => call.state === 'ended', 5000, 'end');
    assert.equal(call.endStatus, 503);
    const failure = world.delivered.find(
      (d) => d.to.ip === world[from].options.address.ip && d.text.startsWith('SIP/2.0 503'),
    );
    assert.match(failure!.text, /^Retry-After: 77\r$/m);
    finish(world);
  });

  test(`nobody answers: the call is given up after maxRingSeconds and both sides are told, ${from} to ${to}`, () => {
    const world = answering(to, (peer, call) => peer.ring(call));
    const call = world[from].call('601');
    world.run(59_000);
    assert.equal(call.state, 'ringing');
    world.run(6_000);
    assert.equal(call.state, 'ended');
    assert.equal(world[to].calls[0]!.state, 'ended');
    assert.equal(call.endCause, 19);
    finish(world);
  });

  test(`the called peer is not there: 408 or 503 after timer B, nothing left, ${from} to ${to} (RFC 3261 17.1.1.2)`, () => {
    const world = new World();
    const { ip, port } = world[to].options.address;
    world.raw.set(`${ip}:${port}`, () => undefined);
    world.start();
    const call = world[from].call('601');
    world.until(() => call.state === 'ended', 40_000, 'end');
    assert.ok([408, 480, 503, 504].includes(call.endStatus), String(call.endStatus));
    assert.equal(call.endCause, 102);
    finish(world);
  });

  test(`a called peer that rings before it dies: the caller's CANCEL ends both legs, ${from} to ${to}`, () => {
    const world = answering(to, (peer, call) => peer.ring(call));
    const call = world[from].call('601');
    world.run(1000);
    const { ip, port } = world[to].options.address;
    world.raw.set(`${ip}:${port}`, () => undefined);
    world[from].end(call);
    world.until(() => call.state === 'ended', 5000, 'end');
    world.raw.delete(`${ip}:${port}`);
    world[to].end(world[to].calls[0]!);
    finish(world);
  });
}

test('a redirection that names nobody is not followed and not passed on (RFC 3398 7.2.4.1)', () => {
  const world = answering('pbx', (peer, call) => peer.reject(call, 302));
  const call = world.phone.call('601');
  world.until(() => call.state === 'ended', 5000, 'end');
  assert.ok(call.endStatus >= 400);
  finish(world);
});

test('descriptions with nothing in common are refused 488 and never ring (RFC 3261 13.3.1.3)', () => {
  const world = new World({ termination: { media: { ...mediaOf(), codecs: ['G722'] } } }).start();
  const call = world.phone.call('601');
  world.until(() => call.state === 'ended', 5000, 'end');
  assert.equal(call.endStatus, 488);
  assert.equal(world.pbx.calls.length, 0);
  finish(world);
});

function mediaOf() {
  return {
    pools: [{ ip: '198.51.100.2', ports: [16_384, 17_383] as const }],
    workers: 1,
    implementation: 'auto' as const,
    symmetric: 'signalled' as const,
  };
}
