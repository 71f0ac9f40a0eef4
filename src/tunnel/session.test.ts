import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { other, type Side, World } from './sim.test.ts';

/** Traffic both ways for `ms`: calls begin and end at random. */
function traffic(world: World, ms: number, every = 40): void {
  let n = 0;
  for (let at = 0; at < ms; at += every) {
    world.at(at + world.random.below(every), () => {
      const side: Side = world.random.below(2) === 0 ? 'dialer' : 'acceptor';
      const call = `${side[0]}${n++}`;
      world.begin(side, call);
      world.at(world.random.below(3000), () =>
        world.end(world.random.below(2) === 0 ? side : other(side), call),
      );
    });
  }
}

test('a first connection begins a session: same id, lane key, shards (the smaller) and Meta minor (the highest common)', () => {
  const world = new World(1, {
    dialer: { metaMinor: { min: 0, max: 3 } },
    acceptor: { metaMinor: { min: 1, max: 2 } },
  });
  world.run(100);
  const [a, b] = [world.dialer.events[0], world.acceptor.events[0]];
  assert.ok(a?.kind === 'session' && b?.kind === 'session');
  assert.deepEqual(a, b);
  assert.equal(a.shards, 2);
  assert.equal(a.metaMinor, 2);
  assert.equal(a.laneKey.length, 32);
  assert.deepEqual(world.dialer.kinds(), ['session', 'up']);
  world.send('dialer', 'hello');
  world.send('acceptor', 'there');
  world.run(200); // an acknowledgement that rides on nothing leaves within 100 ms
  world.checkHealed();
});

test('no common Meta minor: refused with reason version, no session', () => {
  const world = new World(1, { acceptor: { metaMinor: { min: 1, max: 2 } } });
  world.run(5000);
  assert.deepEqual(new Set(world.dialer.events.map((event) => event.kind)), new Set(['dial-failed']));
  assert.deepEqual(world.dialer.events[0], { kind: 'dial-failed', reason: 'far end: version' });
  assert.deepEqual(world.acceptor.events, []);
  assert.ok(world.acceptor.session.counters.closed.version! > 1);
  assert.equal(
    world.dialer.session.counters.closedByPeer.version,
    world.acceptor.session.counters.closed.version,
  );
});

test('a name in hello that is not the certificate’s ends the connection', () => {
  const world = new World(1, { dialer: { name: 'gw1.site-b' } });
  world.run(1000);
  assert.ok(world.acceptor.session.counters.closed.name! > 0);
  assert.equal(world.acceptor.count('session'), 0);
  assert.ok(world.acceptor.count('alarm') > 0);
});

test('cut at every step of a busy minute: every payload exactly once and in order, calls alike, nothing lost', () => {
  const script = (cutAt: number, notice: number | undefined): World => {
    const world = new World(7);
    world.delay = () => 1 + world.random.below(30);
    world.onStep = () => {
      if (world.steps === cutAt) world.cut(notice);
    };
    traffic(world, 3000);
    world.run(30_000);
    world.checkHealed();
    // Only a session whose greeting was cut, so that the acceptor never had it, may be reported lost.
    assert.equal(world.acceptor.count('lost'), 0);
    assert.equal(world.dialer.count('lost'), world.dialer.count('session') - world.acceptor.count('session'));
    if (cutAt > 60) assert.equal(world.dialer.count('lost'), 0);
    // Nothing diverged, so no fence may end a call: what is in flight is not compared.
    assert.deepEqual([...world.dialer.endedByFence, ...world.acceptor.endedByFence], []);
    return world;
  };
  for (let step = 1; step < 450; step++) {
    const world = script(step, step % 3 === 0 ? undefined : 500);
    if (step > 60) assert.ok(world.dialer.session.counters.resumes >= 1, `resumed after a cut at ${step}`);
  }
});

test('random cuts, black holes, refused dials and delays: exactly once in order, or lost is reported', () => {
  let lost = 0;
  let resumed = 0;
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2 ** 31 }),
      fc.array(
        fc.record({
          at: fc.integer({ min: 0, max: 60_000 }),
          what: fc.constantFrom('cut', 'hole', 'outage', 'renew', 'ask-renew'),
          ms: fc.integer({ min: 0, max: 45_000 }),
        }),
        { maxLength: 8 },
      ),
      (seed, troubles) => {
        const world = new World(seed);
        world.delay = () => 1 + world.random.below(80);
        traffic(world, 60_000, 400);
        for (const { at, what, ms } of troubles) {
          world.at(at, () => {
            if (what === 'renew') return world.input('dialer', { kind: 'renew' });
            if (what === 'ask-renew') return world.input('acceptor', { kind: 'renew' });
            world.cut(what === 'hole' ? undefined : 300);
            if (what !== 'outage') return;
            world.refuseDials = true;
            world.at(ms, () => {
              world.refuseDials = false;
            });
          });
        }
        world.onStep = () => world.checkPrefixes();
        world.run(170_000);
        world.checkHealed();
        for (const node of Object.values(world.nodes)) {
          assert.deepEqual(node.endedByFence, []);
          // Every session but the present one was reported lost.
          assert.equal(node.count('lost'), node.count('session') - 1);
        }
        lost += world.dialer.count('lost');
        resumed += world.dialer.session.counters.resumes;
      },
    ),
    { numRuns: 60 },
  );
  assert.ok(lost > 0 && resumed > 20, `the runs reach both ends: ${lost} lost, ${resumed} resumed`);
});

test('established but dead: both ends notice within deadAfterMs (plus one heartbeat)', () => {
  const world = new World(3);
  world.run(5000);
  world.cut(undefined);
  world.refuseDials = true;
  world.run(3999);
  for (const node of Object.values(world.nodes)) {
    assert.deepEqual(
      node.events.findLast((event) => event.kind !== 'dial-failed'),
      { kind: 'down', reason: 'dead' },
    );
  }
  assert.equal(world.dialer.session.counters.closed.dead, 1);
});

test('one direction dead: the end that still hears notices by its unanswered heartbeat', () => {
  const world = new World(3);
  world.run(5000);
  // Everything the dialer sends vanishes; a hand-fed heartbeat of the acceptor still arrives.
  world.cut(undefined);
  world.refuseDials = true;
  for (let i = 1; i <= 5; i++) {
    world.at(700 * i, () => {
      world.input('dialer', {
        kind: 'data',
        connection: 1,
        bytes: Uint8Array.of(5, 0, 0, 4, 0, 0, 0, 50 + i),
      });
    });
  }
  world.run(4000);
  assert.equal(world.dialer.session.counters.closed.dead, 1);
});

test('a machine that slept does not hold its own silence against the far end', () => {
  const world = new World(3);
  world.run(5000);
  world.now += 20_000; // both slept
  world.run(1000);
  assert.deepEqual(world.dialer.kinds(), ['session', 'up']);
  assert.ok(world.dialer.session.up && world.acceptor.session.up);
});

test('a cut of 5 s: down, up, payloads queued meanwhile arrive, round trips are reported', () => {
  const world = new World(5);
  world.run(1000);
  world.refuseDials = true;
  world.cut(10);
  world.run(50);
  for (let i = 0; i < 100; i++) world.begin('acceptor', `q${i}`);
  world.run(5000);
  world.refuseDials = false;
  world.run(12_000);
  world.checkHealed();
  assert.equal(world.dialer.calls.size, 100);
  assert.deepEqual(
    world.acceptor.kinds().filter((kind) => kind === 'up' || kind === 'down' || kind === 'lost'),
    ['up', 'down', 'up'],
  );
  assert.ok(world.dialer.events.some((event) => event.kind === 'round-trip' && event.ms === 10));
});

test('not resumed within resumeWithinMs: lost at both ends with the count of undelivered, then a new session', () => {
  const world = new World(6);
  world.run(1000);
  world.refuseDials = true;
  world.cut(10);
  world.run(100);
  world.send('dialer', 'never arrives');
  world.run(30_100);
  for (const node of Object.values(world.nodes)) {
    assert.deepEqual(node.events.at(-1), { kind: 'lost', reason: 'not resumed in time' });
  }
  assert.ok(
    world.dialer.events.some((e) => e.kind === 'undelivered' && e.reason === 'lost' && e.count === 1),
  );
  const before = world.dialer.count('session');
  world.send('dialer', 'no session');
  assert.equal(world.dialer.session.counters.undelivered, 2);
  world.refuseDials = false;
  world.run(15_000);
  assert.equal(world.dialer.count('session'), before + 1);
  world.checkHealed();
});

test('calls that really diverged during the cut are ended by the fence at the end that still has them', () => {
  for (const forgetful of ['dialer', 'acceptor'] as const) {
    const world = new World(8);
    world.run(1000);
    world.begin('dialer', 'x');
    world.begin('acceptor', 'y');
    world.begin('acceptor', 'z');
    world.run(100);
    world.cut(10);
    world.run(20);
    world.nodes[forgetful].calls.delete('x');
    world.nodes[forgetful].calls.delete('y');
    world.begin(forgetful, 'later');
    world.run(15_000);
    world.checkHealed();
    assert.deepEqual([...world.dialer.calls].sort(), ['later', 'z']);
  }
});

test('renew is make-before-break: no down, the old connection closes after the new one carries, nothing lost', () => {
  for (const side of ['dialer', 'acceptor'] as const) {
    const world = new World(9);
    world.delay = () => 1 + world.random.below(40);
    traffic(world, 20_000);
    world.at(11_000, () => world.input(side, { kind: 'renew' }));
    world.run(30_000);
    world.checkHealed();
    assert.equal(world.dialer.count('down') + world.acceptor.count('down'), 0);
    assert.equal(world.dialer.session.counters.resumes, 1);
    assert.equal(world.dialer.session.counters.connections, 2);
  }
});

test('the dialer restarted (newer boot id): lost and a new session at the acceptor, without alarm', () => {
  const world = new World(10);
  world.run(1000);
  world.restart('dialer', { bootId: { startedAt: 2000, nonce: '3333333333333333' } });
  world.run(5000);
  world.checkHealed();
  assert.deepEqual(world.acceptor.kinds(), ['session', 'up', 'down', 'lost', 'session', 'up']);
});

test('the acceptor restarted: the dialer reports lost and gets a new session', () => {
  const world = new World(11);
  world.run(1000);
  world.restart('acceptor', { bootId: { startedAt: 2000, nonce: '3333333333333333' } });
  world.run(5000);
  world.checkHealed();
  assert.deepEqual(world.dialer.kinds(), ['session', 'up', 'down', 'lost', 'session', 'up']);
});

test('a second process with the site’s certificate: refused without secret or newer boot id, session unharmed, alarm', () => {
  for (const startedAt of [1000, 999]) {
    const world = new World(12);
    world.run(1000);
    const rival = world.make('dialer', { bootId: { startedAt, nonce: '4444444444444444' } });
    const exporter = world.random.bytes(32);
    rival.handle({ kind: 'timeout' }, world.now);
    assert.equal(rival.poll()?.kind, 'dial');
    rival.handle({ kind: 'connected', connection: 1, exporter }, world.now);
    const hello = rival.poll();
    assert.ok(hello?.kind === 'send');
    const { session } = world.acceptor;
    session.handle({ kind: 'connected', connection: 77, exporter }, world.now);
    session.handle({ kind: 'data', connection: 77, bytes: hello.bytes }, world.now);
    const outputs = [];
    for (let out = session.poll(); out !== undefined; out = session.poll()) outputs.push(out);
    assert.deepEqual(
      outputs.map((out) => out.kind),
      ['event', 'send', 'close'],
    );
    assert.ok(outputs[0]?.kind === 'event' && outputs[0].event.kind === 'alarm');
    world.send('dialer', 'still mine');
    world.run(200);
    world.checkHealed();
  }
});

test('two processes taking turns: each newer boot id wins, the older is refused, take-overs are limited and ring', () => {
  const world = new World(13);
  world.run(1000);
  const { session } = world.acceptor;
  let refused = 0;
  for (let i = 0; i < 12; i++) {
    const nonce = `${i}`.padStart(16, '0');
    const rival = world.make('dialer', { bootId: { startedAt: 2000 + i, nonce } });
    const exporter = world.random.bytes(32);
    rival.handle({ kind: 'timeout' }, world.now);
    rival.poll();
    rival.handle({ kind: 'connected', connection: 1, exporter }, world.now);
    const ref = 101 + i;
    session.handle({ kind: 'connected', connection: ref, exporter }, world.now);
    for (let out = rival.poll(); out !== undefined; out = rival.poll()) {
      if (out.kind === 'send') session.handle({ kind: 'data', connection: ref, bytes: out.bytes }, world.now);
    }
    for (let out = session.poll(); out !== undefined; out = session.poll()) {
      if (out.kind === 'close' && out.connection === ref) refused++;
      if (out.kind === 'event') world.acceptor.events.push(out.event);
      if (out.kind === 'send' && out.connection === ref) {
        rival.handle({ kind: 'data', connection: 1, bytes: out.bytes }, world.now);
      }
    }
    for (let out = rival.poll(); out !== undefined; out = rival.poll()) {
      if (out.kind === 'send') session.handle({ kind: 'data', connection: ref, bytes: out.bytes }, world.now);
    }
  }
  assert.equal(refused, 6);
  assert.ok(session.counters.alarms >= 12);
  assert.equal(world.acceptor.count('alarm'), 1); // all at one instant: one alarm leaves, the rest is counted
});

test('a dialer that gave its session up gets a new one at once by proving the old secret', () => {
  const world = new World(14, { dialer: { resumeWithinMs: 2000 } });
  world.run(1000);
  const { id } = { id: world.acceptor.current };
  world.refuseDials = true;
  world.cut(undefined);
  world.run(6100); // the dialer has lost it, the acceptor still waits
  assert.equal(world.dialer.count('lost'), 1);
  assert.equal(world.acceptor.count('lost'), 0);
  world.refuseDials = false;
  world.run(12_000);
  world.checkHealed();
  assert.notEqual(world.acceptor.current, id);
  assert.equal(world.acceptor.count('alarm'), 0);
});

test('4096 payloads may wait; the next is undelivered, and after the resume the first 4096 arrive', () => {
  const world = new World(15);
  world.run(1000);
  world.refuseDials = true;
  world.cut(0);
  world.run(10);
  for (let i = 0; i < 4100; i++) world.send('dialer', `p${i}`);
  assert.equal(world.dialer.session.waiting, 4096);
  assert.equal(world.dialer.session.counters.undelivered, 4);
  world.refuseDials = false;
  world.run(20_000);
  world.checkHealed();
  assert.equal(world.acceptor.delivered.get(world.acceptor.current)?.length, 4096);
});

test('4 MB may wait', () => {
  const world = new World(16);
  world.run(1000);
  world.refuseDials = true;
  world.cut(0);
  world.run(10);
  const big = 'x'.repeat(8192);
  for (let i = 0; i < 513; i++) world.send('dialer', big);
  assert.equal(world.dialer.session.waiting, 512);
  world.send('dialer', `${big}x`);
  assert.ok(world.dialer.events.some((e) => e.kind === 'undelivered' && e.reason === 'too-large'));
});

test('drain tells the far end, again after a reconnect; stop ends the session there at once', () => {
  const world = new World(17);
  world.run(1000);
  world.input('acceptor', { kind: 'drain' });
  world.run(50);
  assert.equal(world.dialer.count('peer-draining'), 1);
  world.cut(0);
  world.run(5000);
  assert.equal(world.dialer.count('peer-draining'), 2);
  const told = world.dialer.kinds().length;
  world.input('acceptor', { kind: 'stop' });
  world.run(50);
  assert.deepEqual(world.dialer.kinds().slice(told, told + 2), ['down', 'lost']);
  assert.equal(world.acceptor.session.deadline(), undefined);
  world.send('acceptor', 'too late');
  assert.equal(world.acceptor.session.counters.undelivered, 1);
});

test('reconnect backs off: full jitter, never above the maximum, and resets after a stable connection', () => {
  const world = new World(18, { dialer: { resumeWithinMs: 1_000_000 } });
  world.run(1000);
  world.refuseDials = true;
  world.cut(0);
  const dials: number[] = [];
  const poll = world.dialer.session.poll.bind(world.dialer.session);
  world.dialer.session.poll = () => {
    const out = poll();
    if (out?.kind === 'dial') dials.push(world.now);
    return out;
  };
  world.run(300_000);
  const gaps = dials.slice(1).map((at, i) => at - dials[i]!);
  assert.ok(Math.max(...gaps) <= 10_000 + 10, `${gaps}`);
  assert.ok(dials.length > 35 && dials.length < 120, `${dials.length} dials in five minutes`);
  assert.ok(gaps.slice(0, 3).every((gap) => gap <= 810 * 2));
  world.refuseDials = false;
  world.run(30_000);
  assert.ok(world.dialer.session.up);
  dials.length = 0;
  const at = world.now;
  world.cut(0);
  world.run(3000);
  assert.ok(dials[0]! - at <= 200);
});

test('an acknowledgement rides on the next payload; alone it leaves after 100 ms, or at once for 32 payloads', () => {
  const world = new World(3);
  world.run(500);
  const quiet = (): number => world.acceptor.session.waiting;
  world.send('acceptor', 'alone');
  world.run(50);
  assert.equal(quiet(), 1);
  world.run(100);
  assert.equal(quiet(), 0);
  world.send('acceptor', 'answered');
  world.run(20);
  world.send('dialer', 'the answer');
  world.run(30);
  assert.equal(quiet(), 0);
  for (let i = 0; i < 32; i++) world.send('acceptor', `payload ${i}`);
  world.run(50);
  assert.equal(quiet(), 0);
});
