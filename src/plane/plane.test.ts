import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { REFUSED } from '../rtp/refusal.ts';
import {
  both,
  call,
  eventually,
  freePort,
  type Implementation,
  koffiLoads,
  leg,
  options,
  Pair,
  Phone,
  pause,
  SESSION,
  talk,
  unlessStolen,
} from './plane-pair.test.ts';

const pairings: [Implementation, Implementation][] = koffiLoads
  ? [
      ['koffi', 'koffi'],
      ['dgram', 'dgram'],
      ['koffi', 'dgram'],
      ['dgram', 'koffi'],
      ['koffi-node', 'koffi'],
      ['koffi', 'koffi-node'],
      ['koffi-node', 'koffi-node'],
    ]
  : [['dgram', 'dgram']];

for (const implementations of pairings) {
  test(`calls that share a pair of ports are kept apart: ${implementations.join(' x ')}`, async (t) => {
    const pair = new Pair();
    t.after(() => pair.stop());
    await pair.start(implementations);
    pair.session();
    await pair.a.until('lane-up', 2);
    const first = await call(pair, 7, {}, {});
    const [inner, outer] = [first.innerLeg.local, first.outerLeg.local].map((local) => ({
      local: { ip: local.ip, port: local.port + 400, shared: true },
    }));
    const calls = [await call(pair, 8, inner, outer), await call(pair, 9, inner, outer)];
    assert.equal(calls[0]!.innerLeg.local.port, calls[1]!.innerLeg.local.port);
    const said = await Promise.all(calls.map((c) => talk(c.outside, c.outerLeg.local.port, 40)));
    const answered = await Promise.all(calls.map((c) => talk(c.inside, c.innerLeg.local.port, 40)));
    await eventually(() => calls.every((c) => c.inside.heard.length >= 40), 'all packets inside');
    await eventually(() => calls.every((c) => c.outside.heard.length >= 40), 'all packets outside');
    for (const [i, c] of calls.entries()) {
      assert.deepEqual(c.inside.payloads().sort(), said[i]!.sort());
      assert.deepEqual(c.outside.payloads().sort(), answered[i]!.sort());
      assert.deepEqual([...new Set(c.outside.from)], [c.outerLeg.local.port]);
    }
  });

  test(`a fax crosses lanes that are cut as it crosses whole ones, and is rebuilt: ${implementations.join(' x ')}`, async (t) => {
    const pair = new Pair();
    t.after(() => pair.stop());
    await pair.start(implementations);
    pair.session();
    await pair.a.until('lane-up', 2);
    const udptl = { maxDatagramIn: 400, maxBytesPerSecond: 50_000, redundancy: 3, maxDatagramOut: 400 };
    const format = {
      format: 0,
      receivePayloadType: -1,
      sendPayloadType: -1,
      clockRate: 0,
      maxPayload: 400,
      maxPacketsPerSecond: 200,
      kind: 'udptl',
      udptl,
    } as const;
    const fax = { kind: 'image', formats: [format] } as const;
    const { inside, outside, innerLeg, outerLeg } = await call(pair, 7, fax, fax);
    // T.38 7: V.17 data, one field of 36 octets: 20 ms of a page.
    const pieces = Array.from({ length: 100 }, () =>
      Buffer.concat([Buffer.from('d001e00023', 'hex'), randomBytes(36)]),
    );
    const firsts = (): Map<number, string> =>
      new Map(inside.heard.map((m) => [m.readUInt16BE(0), m.subarray(3, 3 + m[2]!).toString('hex')]));
    const say = async (from: number, to: number): Promise<void> => {
      for (let n = from; n < to; n++) {
        const piece = pieces[n]!;
        const header = Buffer.from([n >> 8, n & 255, piece.length]);
        outside.socket.send(
          Buffer.concat([header, piece, Buffer.of(0, 0)]),
          outerLeg.local.port,
          '127.0.0.1',
        );
        await pause(10);
      }
    };
    await say(0, 50);
    await eventually(() => firsts().has(49), 'nothing under way');
    pair.cut(); // what lay in a connection then would be gone
    await Promise.all([pair.a.until('lane-down', 2), pair.b.until('lane-down', 2)]);
    await say(50, 60);
    pair.mend();
    await say(60, 100);
    await eventually(() => firsts().has(99), 'the last piece of the page');
    const whole = new Map(firsts());
    // What our own repetitions bring counts as well.
    for (const m of inside.heard) {
      for (let at = 5 + m[2]!, n = m.readUInt16BE(0) - 1; at < m.length; at += 1 + m[at]!, n--)
        whole.set(n, m.subarray(at + 1, at + 1 + m[at]!).toString('hex'));
    }
    const wrong = [...whole].filter(([n, piece]) => pieces[n]!.toString('hex') !== piece);
    assert.deepEqual(wrong, []);
    assert.equal(whole.size, pieces.length, 'what came while there was no connection waited for one');
    assert.deepEqual([...new Set(inside.from)], [innerLeg.local.port]);
    assert.ok(inside.heard.at(-1)!.length > 3 * 41, 'with repetitions that the origin did not make');
  });

  test(`RTP crosses both ways and is rebuilt: ${implementations.join(' x ')}`, (t) =>
    unlessStolen(t, async () => {
      const pair = new Pair();
      t.after(() => pair.stop());
      await pair.start(implementations);
      for (const [side, implementation] of [
        [pair.a, implementations[0]],
        [pair.b, implementations[1]],
      ] as const) {
        const { implementation: has, lanes, buffers } = side.of('ready')[0]!;
        assert.equal(has, options(implementation).implementation);
        assert.equal(lanes, implementation === 'koffi' ? 'openssl' : 'node');
        assert.equal(buffers !== undefined, has === 'koffi');
        assert.ok(buffers === undefined || (buffers.receive > 0 && buffers.receive <= buffers.asked));
      }
      pair.session();
      await pair.a.until('lane-up', 2);
      const { inside, outside, innerLeg, outerLeg } = await call(pair, 7);

      const saidOut = talk(inside, innerLeg.local.port, 30);
      const first = await talk(outside, outerLeg.local.port, 20);
      outside.skip(3);
      const second = await talk(outside, outerLeg.local.port, 20);
      await eventually(() => inside.heard.length >= 40, 'all packets inside');
      assert.deepEqual(inside.payloads().sort(), [...first, ...second].sort());
      const sentOut = await saidOut;
      await eventually(() => outside.heard.length >= 30, 'all packets outside');
      assert.deepEqual(outside.payloads().sort(), sentOut.sort());

      for (const [phone, other] of [
        [inside, outside],
        [outside, inside],
      ] as const) {
        const ssrcs = new Set(phone.heard.map((m) => m.readUInt32BE(8)));
        assert.equal(ssrcs.size, 1, 'one SSRC');
        assert.ok(!ssrcs.has(other.ssrc), 'a new SSRC');
      }
      // RFC 3550 5.1: steps survive: the gap of three is a gap of three packets and 480 units more.
      const byContent = new Map(inside.heard.map((m) => [m.subarray(12).toString('hex'), m]));
      const ordered = [...first, ...second].map((p) => byContent.get(p)!);
      const steps = ordered
        .slice(1)
        .map((m, i) => (m.readUInt16BE(2) - ordered[i]!.readUInt16BE(2)) & 0xffff);
      const ticks = ordered.slice(1).map((m, i) => (m.readUInt32BE(4) - ordered[i]!.readUInt32BE(4)) >>> 0);
      assert.deepEqual(
        steps,
        steps.map((_, i) => (i === 19 ? 4 : 1)),
      );
      assert.deepEqual(
        ticks,
        ticks.map((_, i) => (i === 19 ? 640 : 160)),
      );

      pair.a.plane.command(0, { kind: 'close', session: SESSION, stream: 7 });
      const closed = await pair.a.until('closed');
      assert.equal(closed.counters.packetsOut, 40);
      assert.equal(closed.counters.packetsIn, 30);
      assert.equal(closed.counters.framesLost, 3);
      for (const phone of [inside, outside]) phone.socket.close();
    }));
}

test('attacks on a call leave it alone: garbage at ten times the rate, bleed, injection', async (t) => {
  const pair = new Pair();
  t.after(() => pair.stop());
  await pair.start([both, both]);
  pair.session();
  await pair.a.until('lane-up', 2);
  const { inside, outside, innerLeg, outerLeg } = await call(pair, 9);
  const attacker = await Phone.open();
  const garbage = setInterval(() => {
    for (let i = 0; i < 10; i++) attacker.socket.send(randomBytes(172), outerLeg.local.port, '127.0.0.1');
    // Well formed, right payload type, wrong source.
    attacker.say(randomBytes(160), outerLeg.local.port);
  }, 5);
  const said = await talk(outside, outerLeg.local.port, 60);
  const back = await talk(inside, innerLeg.local.port, 20);
  clearInterval(garbage);
  await eventually(() => inside.heard.length >= 60 && outside.heard.length >= 20, 'the call goes on');
  await pause(50);
  assert.deepEqual(inside.payloads().sort(), said.sort());
  assert.deepEqual(outside.payloads().sort(), back.sort());
  assert.equal(attacker.heard.length, 0, 'an attacker hears nothing (RTP bleed)');
  pair.b.plane.command(0, { kind: 'close', session: SESSION, stream: 9 });
  const { counters } = await pair.b.until('closed');
  assert.ok(counters.refused[REFUSED.source]! > 300, 'refusals are counted by reason');
  for (const phone of [inside, outside, attacker]) phone.socket.close();
});

test('latching: replies follow the first proven source and cannot be stolen later', async (t) => {
  const pair = new Pair();
  t.after(() => pair.stop());
  await pair.start([both, both]);
  pair.session();
  await pair.a.until('lane-up', 2);
  const inside = await Phone.open();
  const natted = await Phone.open('127.0.0.2');
  const thief = await Phone.open('127.0.0.3');
  const innerLeg = leg(11, inside.port);
  // The phone names an address nobody can reach.
  const outerLeg = leg(11, 9, {
    source: 'latch',
    remote: { ip: '192.168.77.7', port: 9000 },
    local: { ip: '0.0.0.0', port: freePort() },
  });
  pair.a.plane.command(0, { kind: 'open', leg: innerLeg });
  pair.b.plane.command(0, { kind: 'open', leg: outerLeg });
  await pair.b.until('opened');
  await talk(natted, outerLeg.local.port, 10);
  const locked = await pair.b.until('source-locked');
  assert.deepEqual(locked.source, { ip: '127.0.0.2', port: natted.port });
  // RFC 3550 A.1 in spirit: two packets prove the source, the third is the first that passes.
  await eventually(() => inside.heard.length === 8, 'what follows the proof');
  await talk(thief, outerLeg.local.port, 20);
  await talk(inside, innerLeg.local.port, 10);
  await eventually(() => natted.heard.length >= 10, 'replies go to the locked source');
  assert.equal(thief.heard.length, 0);
  assert.equal(inside.heard.length, 8, 'nothing of the thief is injected');
  assert.equal(pair.b.of('source-locked').length, 1);
  for (const phone of [inside, natted, thief]) phone.socket.close();
});

for (const implementation of koffiLoads ? (['koffi', 'dgram'] as const) : (['dgram'] as const)) {
  test(`a port that is given from one stream to another at once (a transfer) stays bound and heard: ${implementation}`, async (t) => {
    const pair = new Pair();
    t.after(() => pair.stop());
    await pair.start([implementation, implementation]);
    pair.session();
    await pair.a.until('lane-up', 2);
    const { inside, outside, innerLeg, outerLeg } = await call(pair, 21);
    // A busy machine may have the tunnel drop what is stale: said again until enough is heard.
    const heard = async (what: string): Promise<void> => {
      inside.heard.length = 0;
      const said: string[] = [];
      for (let i = 0; i < 20 && inside.heard.length < 10; i++) {
        said.push(...(await talk(outside, outerLeg.local.port, 10)));
        await pause(50);
      }
      assert.ok(inside.heard.length >= 10, what);
      for (const payload of inside.payloads()) assert.ok(said.includes(payload), `${what}: as it was said`);
    };
    await heard('sound before');
    for (const [side, before] of [
      [pair.a, innerLeg],
      [pair.b, outerLeg],
    ] as const) {
      side.plane.command(0, { kind: 'close', session: SESSION, stream: 21 });
      side.plane.command(0, { kind: 'open', leg: { ...before, stream: 22, call: 'next' } });
    }
    await pair.a.until('opened', 2);
    await pair.b.until('opened', 2);
    assert.equal(pair.a.of('open-failed').length + pair.b.of('open-failed').length, 0);
    await heard('sound after');
    for (const phone of [inside, outside]) phone.socket.close();
  });
}

/** How often the process's first thread has waited for something (proc_pid_status(5)): every poll is a wait. */
function waits(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(status)?.[1]);
}

for (const implementation of koffiLoads ? (['koffi', 'koffi-node'] as const) : []) {
  test(`ports are polled while packets move; without a call nothing is polled: ${implementation}`, async (t) => {
    const pair = new Pair();
    t.after(() => pair.stop());
    await pair.start([implementation, implementation]);
    pair.session();
    await pair.a.until('lane-up', 2);
    // A processor that is taken away makes waits fewer, never more: idle is seen in any window, polling in one of several.
    const perSecond = async (): Promise<number> => {
      const [pid] = pair.a.plane.pids();
      const [before, from] = [waits(pid!), Date.now()];
      await pause(600);
      return (1000 * (waits(pid!) - before)) / (Date.now() - from);
    };
    const IDLE = 40; // heartbeats of two lanes and the worker's own clock; the slowest poll is at least 100
    const some = async (check: (rate: number) => boolean, what: string): Promise<void> => {
      const seen: number[] = [];
      while (seen.length < 12) {
        seen.push(await perSecond());
        if (check(seen.at(-1)!)) return;
      }
      assert.fail(`${what}: ${seen.map((rate) => rate.toFixed(0))} per second`);
    };
    await some((rate) => rate < IDLE, 'idle before');
    const { inside, outside, innerLeg } = await call(pair, 23);
    let talking = true;
    const speech = (async () => {
      while (talking) await talk(inside, innerLeg.local.port, 5);
    })();
    await some((rate) => rate > 2 * IDLE, 'polling while packets move');
    talking = false;
    await speech;
    // Lanes by Node's TLS are no reason to wake the worker by: it polls as long as the call is up.
    if (implementation === 'koffi') await some((rate) => rate < IDLE, 'idle while nobody speaks');
    pair.a.plane.command(0, { kind: 'close', session: SESSION, stream: 23 });
    await some((rate) => rate < IDLE, 'idle after');
    for (const phone of [inside, outside]) phone.socket.close();
  });
}

test('a port that is taken is told; a digit becomes RFC 4733 packets on the time line of the voice', async (t) => {
  const pair = new Pair();
  t.after(() => pair.stop());
  await pair.start([both, both]);
  pair.session(1); // one lane keeps the order
  await pair.a.until('lane-up', 1);
  const { inside, outside, innerLeg, outerLeg } = await call(pair, 15);
  pair.b.plane.command(0, { kind: 'open', leg: { ...leg(16, 9), local: outerLeg.local } });
  assert.match((await pair.b.until('open-failed')).reason, /EADDRINUSE/);

  await talk(inside, innerLeg.local.port, 10);
  await eventually(() => outside.heard.length === 10, 'voice first');
  pair.b.plane.command(0, { kind: 'digit', session: SESSION, stream: 15, digit: '5', durationMs: 100 });
  await eventually(() => outside.heard.length === 17, 'a digit of 100 ms: five packets, the last thrice');
  await pause(60);
  assert.equal(outside.heard.length, 17);
  const events = outside.heard.slice(10);
  assert.deepEqual([...new Set(events.map((m) => m[1]! & 0x7f))], [97]);
  assert.equal(new Set(events.map((m) => m.readUInt32BE(4))).size, 1, 'RFC 4733 2.2.1: one timestamp');
  assert.deepEqual(
    events.map((m) => m.subarray(12).toString('hex')),
    ['050a00a0', '050a0140', '050a01e0', '050a0280', '058a0320', '058a0320', '058a0320'],
  );
  assert.deepEqual(
    events.map((m) => m[1]! >> 7),
    [1, 0, 0, 0, 0, 0, 0],
  );
  await talk(inside, innerLeg.local.port, 3);
  await eventually(() => outside.heard.length === 20, 'voice goes on');
  const sequences = outside.heard.map((m) => m.readUInt16BE(2));
  assert.deepEqual(
    sequences.slice(1).map((s, i) => (s - sequences[i]!) & 0xffff),
    sequences.slice(1).map(() => 1),
  );
  for (const phone of [inside, outside]) phone.socket.close();
});
