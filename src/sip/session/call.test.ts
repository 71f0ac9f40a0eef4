/** Whole calls between two endpoints over a virtual network. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SipEvent } from '../contract.ts';
import { IDLE, invite, type Node, pair, sdp, textOf } from '../test-network.test.ts';

/** Answers every incoming call: 180, then 200 with `body`. */
export function answering(body: string | undefined = 'answer') {
  return (event: SipEvent, node: Node): void => {
    if (event.kind !== 'incoming') return;
    node.command({ kind: 'provisional', session: event.session, status: 180 });
    node.command({
      kind: 'accept',
      session: event.session,
      ...(body === undefined ? {} : { body: sdp(body) }),
    });
  };
}

test('a call: INVITE, 100, 180, 200, ACK, BYE; one ended each, nothing left (RFC 3261 13, 15)', () => {
  const { net, alice, bob } = pair();
  bob.on = answering();
  alice.command(invite(2, 'bob'));
  net.run(1000);
  const [incoming] = bob.seen('incoming');
  assert.equal(textOf(incoming?.body), 'offer');
  assert.equal(incoming?.peer, 'alice');
  assert.equal(incoming?.request.uri.user, '200');
  assert.equal(incoming?.request.from.uri.user, '100');
  assert.deepEqual(
    alice.seen('provisional').map((e) => [e.status, e.branch]),
    [[180, 1]],
  );
  const [answered] = alice.seen('answered');
  assert.equal(textOf(answered?.body), 'answer');
  assert.equal(answered?.needsAck, false);
  assert.equal(bob.seen('acknowledged').length, 1);
  alice.command({ kind: 'end', session: 2, q850: 16 });
  net.run();
  assert.deepEqual(alice.seen('ended'), [{ kind: 'ended', session: 2, by: 'local', status: 0, q850: 16 }]);
  assert.deepEqual(bob.seen('ended'), [{ kind: 'ended', session: 1, by: 'far-end', status: 0, q850: 16 }]);
  assert.deepEqual(alice.endpoint.sizes, IDLE);
  assert.deepEqual(bob.endpoint.sizes, IDLE);
});

test('late offer: the offer comes in the 200, the answer goes in the ACK (RFC 3261 13.2.1)', () => {
  const { net, alice, bob } = pair();
  bob.on = answering('late offer');
  alice.on = (event): void => {
    if (event.kind === 'answered')
      alice.command({ kind: 'acknowledge', session: 2, body: sdp('late answer') });
  };
  const { body: _, ...late } = invite(2, 'bob') as Extract<ReturnType<typeof invite>, { kind: 'invite' }>;
  alice.command(late);
  net.run(1000);
  assert.equal(alice.seen('answered')[0]?.needsAck, true);
  assert.equal(textOf(alice.seen('answered')[0]?.body), 'late offer');
  assert.equal(textOf(bob.seen('acknowledged')[0]?.body), 'late answer');
});
