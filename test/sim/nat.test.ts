import assert from 'node:assert/strict';
import { test } from 'node:test';
import { finish } from './check.ts';
import { terminationConfig } from './sim-config.ts';
import type { World as WorldType } from './world.ts';
import { World } from './world.ts';

const PRIVATE = '192.168.7.7';

function world(symmetric: 'latch' | 'signalled'): WorldType {
  const [internet, ...rest] = terminationConfig().peers;
  const peers = [{ ...internet!, symmetric }, ...rest];
  return new World({ termination: { peers }, phone: { mediaIp: PRIVATE } }).start();
}

function internetLegs(w: WorldType) {
  return [...w.termination.openStreams.values()];
}

test('a phone behind NAT: its private media address is never sent to, and learned from its signalling host only', () => {
  const w = world('latch');
  const call = w.phone.call('601');
  w.until(() => call.state === 'connected', 5000, 'connect');
  const legs = internetLegs(w);
  assert.equal(legs.length, 1);
  assert.equal(legs[0]!.remote, undefined);
  assert.equal(legs[0]!.remoteRtcp, undefined);
  assert.equal(legs[0]!.source, 'latch');
  assert.equal(legs[0]!.latchHost, w.phone.options.address.ip);
  assert.equal(legs[0]!.direction, 'sendrecv');
  w.phone.end(call);
  w.until(() => w.pbx.calls[0]?.state === 'ended', 5000, 'release');
  finish(w);
});

test('a phone behind NAT is called: the same', () => {
  const w = world('latch');
  const call = w.pbx.call('0301234567');
  w.until(() => call.state === 'connected', 5000, 'connect');
  assert.equal(internetLegs(w)[0]!.remote, undefined);
  assert.equal(internetLegs(w)[0]!.latchHost, w.phone.options.address.ip);
  w.pbx.end(call);
  w.until(() => w.phone.calls[0]?.state === 'ended', 5000, 'release');
  finish(w);
});

test('where nothing is latched a private media address is refused: 488', () => {
  const w = world('signalled');
  const call = w.phone.call('601');
  w.until(() => call.state === 'ended', 5000, 'refused');
  assert.equal(call.endStatus, 488);
  finish(w);
});

test('where the host of the signalling is not known (a peer by name) nobody else is learned: RTP bleed', () => {
  const [internet, ...rest] = terminationConfig().peers;
  const peers = [{ ...internet!, host: 'sip.example.net', symmetric: 'latch' as const }, ...rest];
  const w = new World({ termination: { peers } }).start();
  const call = w.pbx.call('0301234567');
  w.until(() => call.state === 'ended', 40_000, 'nobody there');
  const opened = w.termination.planeCommands.flatMap((c) => (c.kind === 'open' ? [c.leg] : []));
  assert.ok(opened.length > 0);
  for (const leg of opened) assert.deepEqual([leg.source, leg.latchHost], ['signalled-host', undefined]);
  finish(w);
});
