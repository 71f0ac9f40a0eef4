import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { H323SimCall } from './h323-call.ts';
import type { SimH323Peer } from './h323-peer.ts';
import { assertSound, connected, finish, type Protocol, pair } from './h323-world.ts';
import { route } from './sim-config.ts';
import { World } from './world.ts';

/** A telephone system whose `from` is sent on to `to`; all others answer. */
function forwarding(from: string, to: (call: H323SimCall) => string) {
  return (call: H323SimCall, peer: SimH323Peer): void => {
    if (call.number === from) peer.command({ kind: 'forward', call: call.ref, number: to(call) });
    else peer.accept(call);
  };
}

/** How often any gateway counted this refusal. */
function refused(world: World, reason: string): number {
  let sum = 0;
  for (const { counts } of world.gateways.values()) {
    for (const [key, count] of counts) if (key.endsWith(`Refused/${reason}`)) sum += count;
  }
  return sum;
}

for (const outer of ['sip', 'h323'] as const satisfies readonly Protocol[]) {
  for (const fastStart of [true, false]) {
    test(`Facility callForwarded of a trusted peer, ${outer} outside, FastStart ${fastStart}: the call is made anew (H.323 8.4.5)`, () => {
      const inside = {
        protocol: 'h323',
        h323: { fastStart, answer: forwarding('601', () => '602') },
        gateway: { fastStart },
      } as const;
      const it = pair({ protocol: outer }, inside);
      const [call, taken] = connected(it, it.outside, it.inside);
      const numbers = it.inside.calls().map((c) => c.number);
      assert.deepEqual(numbers, ['601', '602']);
      assert.equal(it.inside.calls()[0]!.state, 'ended');
      assertSound(it, call, taken);
      taken.end();
      it.world.until(() => call.state === 'ended', 5000, 'the end');
      finish(it);
      assert.equal(it.world.relay.cdrs[0]!.callee?.number, '602');
      assert.equal(it.world.relay.cdrs[0]!.result, 'connected');
    });
  }
}

test('two telephones that forward to each other: five forwards, then the caller is told (Q.850 25)', () => {
  const onwards = (call: H323SimCall): string => (call.number === '601' ? '602' : '601');
  const answer = (call: H323SimCall, peer: SimH323Peer): void =>
    peer.command({ kind: 'forward', call: call.ref, number: onwards(call) });
  const it = pair({ protocol: 'sip' }, { protocol: 'h323', h323: { answer } });
  const call = it.outside.call('601');
  it.world.until(() => call.state === 'ended', 10_000, 'the end');
  assert.equal(it.inside.calls().length, 6);
  assert.equal(call.sip!.endStatus, 483);
  assert.equal(refused(it.world, 'forward-loop'), 1);
  finish(it);
});

test('who is not trusted cannot send a call on: its caller would pay', () => {
  const it = pair(
    { protocol: 'h323', h323: { answer: forwarding('601', () => '0190666') } },
    { protocol: 'h323' },
  );
  const call = it.inside.call('601');
  it.world.until(() => call.state === 'ended', 5000, 'the end');
  assert.equal(call.cause, 23);
  assert.deepEqual(
    it.outside.calls().map((c) => c.number),
    ['601'],
  );
  assert.equal(refused(it.world, 'forward-untrusted'), 1);
  finish(it);
});

test('the dial rules judge where a call is sent on to', () => {
  const it = pair(
    { protocol: 'sip' },
    { protocol: 'h323', h323: { answer: forwarding('601', () => '0190666') } },
  );
  it.world.configure(it.inside.gateway, {
    routes: [route('premium', 'tunnel', '0190.', 'refuse:21'), route('in', 'tunnel', '*', 'peer:pbx')],
  });
  const call = it.outside.call('601');
  it.world.until(() => call.state === 'ended', 5000, 'the end');
  assert.equal(call.sip!.endStatus, 403);
  assert.equal(it.inside.calls().length, 1);
  assert.equal(refused(it.world, 'forward-refused-by-rule'), 1);
  finish(it);
});

test('after media was answered a forward is not followed: the caller has its answer', () => {
  const answer = (call: H323SimCall, peer: SimH323Peer): void => {
    peer.ring(call, true);
    peer.command({ kind: 'forward', call: call.ref, number: '602' });
  };
  const it = pair({ protocol: 'sip' }, { protocol: 'h323', h323: { answer } });
  const call = it.outside.call('601');
  it.world.until(() => call.state === 'ended', 5000, 'the end');
  assert.equal(it.inside.calls().length, 1);
  assert.equal(refused(it.world, 'forward-after-media'), 1);
  finish(it);
});

/** A SIP telephone system that answers its first INVITE with a 302. */
function moving(world: World, contact: string): { ended: boolean } {
  const seen = { ended: false };
  const { address } = world.pbx.options;
  const key = `${address.ip}:${address.port}`;
  world.raw.set(key, (text, from) => {
    if (text.startsWith('ACK')) {
      seen.ended = true;
      world.raw.delete(key);
    }
    if (!text.startsWith('INVITE')) return;
    const header = (name: string): string => new RegExp(`^${name}: .*\\r\\n`, 'm').exec(text)![0];
    world.text(
      address,
      from,
      `SIP/2.0 302 Moved Temporarily\r\n${header('Via')}${header('From')}${header('To').trim()};tag=moved\r\n` +
        `${header('Call-ID')}${header('CSeq')}Contact: ${contact}\r\nContent-Length: 0\r\n\r\n`,
    );
  });
  return seen;
}

test('SIP 302 of a trusted peer: the call is made anew with the contact as number, not as address (RFC 3261 8.1.3.4)', () => {
  const world = new World().start();
  const seen = moving(world, '<sip:602@192.0.2.99>;q=0.5');
  const call = world.phone.call('601');
  world.until(() => call.state === 'connected', 5000, 'connect');
  assert.ok(seen.ended, 'the 302 is acknowledged');
  assert.deepEqual(
    world.pbx.calls.map((c) => c.number),
    ['602'],
  );
  assert.deepEqual(world.strayDatagrams, [], 'the address of the contact is never used');
  world.phone.end(call);
  world.until(() => world.pbx.calls[0]!.state === 'ended', 5000, 'the end');
});
