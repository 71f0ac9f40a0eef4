/** Answers that come more than once: early media, forks, far ends that change their mind (RFC 3261 13.2.1, RFC 6337 3.1). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertSound, connect, finish } from './check.ts';
import type { SimGateway } from './sim-gateway.ts';
import type { SimCall, SimPeer } from './sim-peer.ts';
import { describe } from './sim-peer.ts';
import { World } from './world.ts';

const voices = (gateway: SimGateway): number[] =>
  [...gateway.openStreams.values()].flatMap((leg) =>
    leg.formats.filter((f) => f.kind === 'voice').map((f) => f.sendPayloadType),
  );

/** Early media with one codec, an answer with another. */
function changing(early: string, final: string, after: string) {
  return (call: SimCall, _request: unknown, pbx: SimPeer): void => {
    call.formats = early;
    pbx.early(call);
    pbx.later(200, () => {
      call.formats = final;
      pbx.accept(call);
      call.formats = after;
    });
  };
}

test('200 with another codec than 183: the first answer stands on both sides, and the far end is told so in a re-INVITE', () => {
  const world = new World({ pbx: { answer: changing('8 101', '0 101', '0 8 101') } }).start();
  const [call, taken] = connect(world, world.phone, world.pbx, '601');
  world.run(1000);
  assert.equal(taken.modifiesSeen, 1);
  assert.deepEqual(describe(taken.remoteSdp).types, ['8', '101'], 'what was agreed');
  assert.deepEqual([voices(world.relay), voices(world.termination)], [[8], [8]]);
  assertSound(world, [world.phone, call], [world.pbx, taken]);
  assert.equal(world.relay.counted('sipRefused/answer-changed'), 1);
  assert.equal(world.relay.counted('metaRefused/answer-duplicate'), 0);
  assert.equal(world.termination.counted('metaRefused/answer-duplicate'), 0);
  world.phone.reinvite(call, 'sendonly');
  world.run(1500);
  assert.equal(call.modifyAccepted, 1, 'later changes find no exchange open');
  finish(world);
});

test('200 with the codec of 183, moved to another address: followed at this leg alone', () => {
  const moved = (call: SimCall, _request: unknown, pbx: SimPeer): void => {
    pbx.early(call);
    pbx.later(200, () => pbx.accept(call));
  };
  const world = new World({ pbx: { answer: moved } }).start();
  const [call, taken] = connect(world, world.phone, world.pbx, '601');
  assert.equal(taken.modifiesSeen, 0);
  assertSound(world, [world.phone, call], [world.pbx, taken]);
  finish(world);
});

test('a far end that refuses the re-INVITE keeps its call', () => {
  const world = new World({ pbx: { answer: changing('8 101', '0 101', '0 8 101') } }).start();
  world.pbx.acceptModify = false;
  const [call, taken] = connect(world, world.phone, world.pbx, '601');
  world.run(1000);
  assert.equal(taken.modifiesSeen, 1);
  assert.equal(call.state, 'connected');
  world.pbx.acceptModify = true;
  world.phone.reinvite(call, 'sendonly');
  world.run(1500);
  assert.equal(call.modifyAccepted, 1);
  finish(world);
});
