import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { H323Host } from './h323-net.ts';
import { connected, finish, type Pair, pair } from './h323-world.ts';

const GW2 = { ip: '198.51.100.2', port: 1720 };

/** Connects from `ip` and sends `bytes`; whether the gateway has closed the connection again. */
function attack({ world }: Pair, ip: string, bytes: Uint8Array): { closed: boolean; heard: number } {
  const seen = { closed: false, heard: 0 };
  const host: H323Host = {
    name: `attacker-${ip}-${Math.random()}`,
    listeners: [{ name: 'cs', transport: 'tcp', address: { ip, port: 1720 } }],
    h245Ports: [50_000, 50_001],
    handle: (input) => {
      if (input.kind === 'stream-closed') seen.closed = true;
      if (input.kind === 'stream-data') seen.heard += input.bytes.length;
      if (input.kind === 'stream-open')
        world.h323.output(host, { kind: 'send-stream', connection: input.connection, bytes });
    },
  };
  world.h323.attach(host);
  world.h323.output(host, {
    kind: 'open-stream',
    connection: 2,
    listener: 'cs',
    transport: 'tcp',
    remote: GW2,
  });
  return seen;
}

function outsideOpen(): Pair {
  return pair({ protocol: 'h323', sources: ['0.0.0.0/0'] }, { protocol: 'sip' });
}

test('a source that is no peer gets no answer over H.323 and is closed', () => {
  const it = pair({ protocol: 'h323' }, { protocol: 'sip' });
  const seen = attack(it, '203.0.113.99', Uint8Array.of(3, 0, 0, 8, 8, 2, 0, 1));
  it.world.run(40_000);
  assert.deepEqual(seen, { closed: true, heard: 0 });
  const [call] = connected(it, it.outside, it.inside);
  assert.equal(call.state, 'connected');
  finish(it);
});

test('rubbish on the call signalling port: counted, closed, its sender banned; calls of others go on', () => {
  const it = outsideOpen();
  const [call] = connected(it, it.outside, it.inside);
  const rubbish = Uint8Array.of(3, 0, 0, 12, 8, 2, 0, 1, 5, 0x7e, 0xff, 0xff);
  for (let i = 0; i < 40; i++) {
    attack(it, '203.0.113.66', rubbish);
    it.world.run(200);
  }
  assert.ok(
    it.world.termination.counted('sipRefused/source-banned') > 0,
    JSON.stringify([...it.world.termination.counts]),
  );
  const banned = attack(it, '203.0.113.66', rubbish);
  it.world.run(40_000);
  assert.deepEqual(banned, { closed: true, heard: 0 }, 'silence');
  assert.equal(call.state, 'connected');
  call.end();
  it.world.run(60_000);
  finish(it);
});
