import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect, finish } from './check.ts';
import type { SimCall } from './sim-peer.ts';
import { World } from './world.ts';

const DIRECTIONS = [
  ['phone', 'pbx'],
  ['pbx', 'phone'],
] as const;

for (const [from, to] of DIRECTIONS) {
  test(`CANCEL at every millisecond of a call set-up meets 100, 180 and 200, ${from} to ${to} (RFC 3261 9.1, 13.2.2.4)`, () => {
    let cancelled = 0;
    for (let delay = 0; delay <= 75; delay++) {
      const world: World = new World({
        seed: 100 + delay,
        network: { loss: 0, duplicate: 0, minDelayMs: 3, maxDelayMs: 6 },
        [to]: {
          answer: (call: SimCall) => {
            world[to].ring(call);
            world[to].later(20, () => world[to].accept(call));
          },
        },
      }).start();
      const call = world[from].call('601');
      world.run(delay);
      world[from].end(call);
      world.until(() => call.state === 'ended', 40_000, `end, CANCEL after ${delay} ms`);
      finish(world, { crossed: true });
      // Who hangs up early must not make the far gateway look as if it misbehaved.
      for (const gateway of [world.termination, world.relay])
        assert.equal(gateway.counted('metaRefused/unknown-call'), 0, `after ${delay} ms`);
      const gateway = from === 'phone' ? world.termination : world.relay;
      if (gateway.cdrs.length === 0 || gateway.cdrs[0]!.result === 'failed') cancelled++;
    }
    assert.ok(cancelled > 10 && cancelled < 70, `${cancelled} were cancelled before they were answered`);
  });

  test(`BYE at every millisecond after the answer crosses the ACK and the far BYE, ${from} to ${to} (RFC 3261 15)`, () => {
    for (let delay = 0; delay <= 40; delay += 2) {
      const world = new World({
        seed: 300 + delay,
        network: { loss: 0, duplicate: 0, minDelayMs: 3, maxDelayMs: 6 },
      }).start();
      const call = world[from].call('601');
      world.until(() => world[to].calls[0]?.state === 'connected', 5000, 'answer');
      world.run(delay);
      world[to].end(world[to].calls[0]!);
      world.run(delay % 7);
      world[from].end(call);
      world.until(() => call.state === 'ended', 40_000, 'end');
      finish(world, { crossed: true });
    }
  });
}

test('both sides hang up at once: each gateway records one end', () => {
  const world = new World().start();
  const [call, taken] = connect(world, world.phone, world.pbx, '601');
  world.phone.end(call);
  world.pbx.end(taken);
  world.run(1000);
  assert.equal(call.state, 'ended');
  assert.equal(taken.state, 'ended');
  finish(world, { crossed: true });
});

test('the called side refuses while the caller cancels', () => {
  for (let delay = 0; delay < 30; delay += 3) {
    const world: World = new World({
      seed: 500 + delay,
      pbx: { answer: (call) => world.pbx.later(10, () => world.pbx.reject(call, 486)) },
    }).start();
    const call = world.phone.call('601');
    world.run(delay);
    world.phone.end(call);
    world.until(() => call.state === 'ended', 5000, 'end');
    assert.notEqual(call.state, 'connected');
    finish(world, { crossed: true });
  }
});

/** A PBX that forks: two phones ring and both answer (RFC 3261 16.7 step 10). */
function forkingPbx(world: World): { requests: string[] } {
  const seen = { requests: [] as string[] };
  world.raw.set('10.0.0.10:5060', (text, from) => {
    const method = text.split(' ', 1)[0]!;
    if (method === 'SIP/2.0') return;
    seen.requests.push(`${method} ${/;tag=(fork-\w+)/.exec(text)?.[1] ?? ''}`.trim());
    const header = (name: string) => new RegExp(`^${name}: .*\\r\\n`, 'm').exec(text)![0];
    const to = header('To').trim();
    const reply = (status: string, tag: string, body: string) => {
      const tagged = to.includes(';tag=') ? to : `${to};tag=${tag}`;
      world.text(
        { ip: '10.0.0.10', port: 5060 },
        from,
        `SIP/2.0 ${status}\r\n${header('Via')}${header('From')}${tagged}\r\n${header('Call-ID')}${header('CSeq')}` +
          `Contact: <sip:${tag}@10.0.0.10:5060>\r\n` +
          (body === '' ? '' : 'Content-Type: application/sdp\r\n') +
          `Content-Length: ${body.length}\r\n\r\n${body}`,
      );
    };
    const sdp = (port: number) =>
      `v=0\r\no=fork ${port}77 1 IN IP4 10.0.0.10\r\ns=forked-session\r\nc=IN IP4 10.0.0.10\r\nt=0 0\r\nm=audio ${port} RTP/AVP 0\r\n`;
    if (method === 'INVITE') {
      reply('180 Ringing', 'fork-a', '');
      reply('183 Session Progress', 'fork-b', sdp(40_002));
      world.schedule.after(100, () => reply('200 OK', 'fork-b', sdp(40_002)));
      world.schedule.after(103, () => reply('200 OK', 'fork-a', sdp(40_000)));
    } else if (method === 'BYE' || method === 'CANCEL') reply('200 OK', 'fork-x', '');
  });
  return seen;
}

test('a forked call: the first 2xx is the call, the other is acknowledged and ended (RFC 3261 13.2.2.4)', () => {
  const world = new World();
  const seen = forkingPbx(world);
  world.start();
  const call = world.phone.call('601');
  world.until(() => call.state === 'connected', 5000, 'connect');
  world.run(1000);
  assert.ok(seen.requests.includes('ACK fork-a'), seen.requests.join());
  assert.ok(seen.requests.includes('ACK fork-b'), seen.requests.join());
  assert.deepEqual(
    seen.requests.filter((r) => r.startsWith('BYE')),
    ['BYE fork-a'],
  );
  const [leg] = [...world.relay.openStreams.values()];
  assert.equal(leg!.remote!.port, 40_002, 'sound goes to the one that answered first');
  assert.equal(call.state, 'connected');
  finish(world, { crossed: true });
  assert.equal(seen.requests.filter((r) => r === 'BYE fork-b').length, 1);
});
