import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LegStream } from '../call/leg.ts';
import { CALL, commands, control, counted, drain, PCMA, stream } from './fixtures.test.ts';

test('a call’s stream: open on the first port, modify on change, close at the end, final counters', () => {
  const m = control();
  m.begin(CALL);
  const s = stream(m, 'c1');
  m.update('c1', [s], 0);
  const [open] = drain(m);
  assert.ok(open?.kind === 'command' && open.command.kind === 'open');
  assert.equal(open.shard, 1);
  const leg = open.command.leg;
  assert.deepEqual([leg.session, leg.stream, leg.source, leg.local], ['s', 64, 'latch', s.local]);
  assert.match(leg.cname, /^[0-9a-f]{12}$/);
  assert.deepEqual(
    leg.formats.map((f) => [f.format, f.receivePayloadType, f.sendPayloadType, f.kind]),
    [
      [2, 8, 8, 'voice'],
      [5, 101, 96, 'event'],
    ],
  );
  m.update('c1', [s], 1);
  assert.deepEqual(drain(m), [], 'nothing changed, nothing said');
  assert.deepEqual(m.codecs('c1', 64), ['PCMA']);
  m.event({ kind: 'counters', streams: [counted()], lanes: [] }, 2);
  assert.equal(m.counters('c1')[0]!.packetsIn, 10);
  m.release('c1', 3);
  assert.deepEqual(commands(m), [{ kind: 'close', session: 's', stream: 64 }]);
  assert.equal(m.sizes.ports, 1, 'bound until the plane says closed');
  m.event({ kind: 'closed', counters: counted({ packetsIn: 12 }) }, 4);
  assert.deepEqual(drain(m), [{ kind: 'finished', call: 'c1' }]);
  assert.equal(m.counters('c1')[0]!.packetsIn, 12);
  m.forget('c1');
  assert.deepEqual(m.sizes, { calls: 0, ports: 0, streams: 0 });
});

test('where our RTP begins is chosen here, random for each stream, and kept through every change (RFC 3550 5.1)', () => {
  const m = control();
  m.begin(CALL);
  const s = stream(m, 'c1');
  m.update('c1', [s], 0);
  const bases = () => commands(m).flatMap((c) => ('leg' in c ? [c.leg.rtpBase] : []));
  const [base] = bases();
  assert.ok(base !== undefined && base.sequence <= 0xffff);
  m.update('c1', [{ ...s, direction: 'sendonly' }], 1);
  assert.deepEqual(bases(), [base]);
  m.update('c1', [{ ...s, active: false }], 2);
  m.update('c1', [s], 3);
  const [again] = bases();
  assert.ok(again !== undefined && again.ssrc !== base.ssrc, 'a new stream');
});

test('the source is learned anew when the far end’s address or its payload types changed, and only then', () => {
  const m = control();
  m.begin(CALL);
  const s = stream(m, 'c1');
  m.update('c1', [s], 0);
  commands(m);
  const change = (more: Partial<LegStream>): boolean | undefined => {
    m.update('c1', [{ ...s, ...more }], 1);
    const [command] = commands(m);
    m.update('c1', [s], 2);
    commands(m);
    return command?.kind === 'modify' ? command.relearn : undefined;
  };
  m.event({ kind: 'source-locked', session: 's', stream: 64, source: { ip: '192.0.2.1', port: 4000 } }, 0);
  assert.equal(change({ direction: 'sendonly' }), false);
  assert.equal(change({ packetTime: 5 }), false);
  assert.equal(change({ packetTime: 40 }), undefined, 'the plane sees no difference');
  assert.equal(change({ remote: { ip: '192.0.2.1', port: 4002 } }), true);
  assert.equal(change({ formats: [{ format: PCMA, receivePayloadType: 8, sendPayloadType: 8 }] }), true);
  assert.equal(change({ formats: [...s.formats].reverse() }), false);
  assert.equal(change({ formats: s.formats.map((f) => ({ ...f, sendPayloadType: 77 })) }), false);
});

test('an offer that waits for its answer needs no port yet: it is bound with the first direction that lets packets pass, or once answered', () => {
  const m = control();
  m.begin(CALL);
  const s = stream(m, 'c1');
  const kinds = (): string[] => commands(m).map((c) => c.kind);
  m.update('c1', [{ ...s, direction: 'inactive' }], 0);
  assert.deepEqual(kinds(), []);
  m.update('c1', [s], 20);
  assert.deepEqual(kinds(), ['open']);
  m.update('c1', [{ ...s, direction: 'inactive' }], 40);
  assert.deepEqual(kinds(), ['modify'], 'what is open stays open on hold');
  m.release('c1', 60);
  assert.deepEqual(kinds(), ['close']);
});

test('a call that is on hold from its answer on has its ports (RTCP goes on, RFC 3264 5.1)', () => {
  const m = control();
  m.begin(CALL);
  m.update('c1', [{ ...stream(m, 'c1'), direction: 'inactive' }], 0);
  m.connected('c1', 20);
  assert.deepEqual(
    commands(m).map((c) => c.kind),
    ['open'],
  );
});

test('latching: who was not heard before the answer gets a new window then; a locked source stays', () => {
  const m = control();
  m.begin(CALL);
  const s = stream(m, 'c1');
  const relearn = (): (boolean | string)[] =>
    commands(m).map((c) => (c.kind === 'modify' ? c.relearn : c.kind));
  m.update('c1', [{ ...s, direction: 'sendonly' }], 0);
  m.update('c1', [s], 20_000);
  assert.deepEqual(relearn(), ['open', true], 'the port was open while it rang');
  m.connected('c1', 30_000);
  assert.deepEqual(relearn(), [true], 'early media that never came');
  m.event(
    { kind: 'source-locked', session: 's', stream: 64, source: { ip: '192.0.2.1', port: 4000 } },
    30_100,
  );
  m.connected('c1', 30_200);
  assert.deepEqual(relearn(), []);
  m.update('c1', [{ ...s, direction: 'sendonly' }], 40_000);
  m.update('c1', [s], 50_000);
  assert.deepEqual(relearn(), [false, false], 'hold and resume move nobody');
  const signalled = control();
  signalled.begin({ ...CALL, source: 'signalled' });
  signalled.update('c1', [stream(signalled, 'c1')], 0);
  commands(signalled);
  signalled.connected('c1', 1);
  assert.deepEqual(commands(signalled), []);
});

test('a refused stream is closed and keeps its port; another kind in its place is another stream on the same port', () => {
  const m = control();
  m.begin(CALL);
  const s = stream(m, 'c1');
  m.update('c1', [s], 0);
  m.update('c1', [{ ...s, active: false }], 1);
  assert.deepEqual(
    commands(m).map((c) => c.kind),
    ['open', 'close'],
  );
  m.event({ kind: 'closed', counters: counted() }, 2);
  assert.deepEqual(m.ports('c1').allocate(0, 'audio')!.bound, s.local);
  m.update('c1', [s], 3);
  m.update('c1', [{ ...s, kind: 'image' }], 4);
  assert.deepEqual(
    commands(m).map((c) => c.kind),
    ['open', 'close', 'open'],
  );
  m.event({ kind: 'closed', counters: counted({ packetsIn: 5 }) }, 5);
  assert.equal(m.counters('c1')[0]!.packetsIn, 15, 'all segments count');
  m.update('c1', [], 6);
  assert.deepEqual(
    commands(m).map((c) => c.kind),
    ['close'],
  );
});

test('a port that cannot be bound fails the call; one that fails while it is closed does not', () => {
  const m = control();
  m.begin(CALL);
  m.update('c1', [stream(m, 'c1')], 0);
  commands(m);
  m.event({ kind: 'open-failed', session: 's', stream: 64, reason: 'EADDRINUSE' }, 1);
  assert.deepEqual(drain(m), [{ kind: 'failed', call: 'c1', index: 0, reason: 'EADDRINUSE' }]);
  m.release('c1', 2);
  assert.deepEqual(drain(m), [{ kind: 'finished', call: 'c1' }]);
  m.begin({ ...CALL, call: 'c2' });
  m.update('c2', [stream(m, 'c2')], 3);
  m.release('c2', 4);
  commands(m);
  m.event({ kind: 'open-failed', session: 's', stream: 64, reason: 'late' }, 5);
  assert.deepEqual(drain(m), [{ kind: 'finished', call: 'c2' }]);
  assert.equal(m.sizes.calls, 0);
});

test('a worker that says nothing more holds up neither the record nor the port', () => {
  const m = control();
  m.begin(CALL);
  m.update('c1', [stream(m, 'c1')], 0);
  m.event({ kind: 'counters', streams: [counted()], lanes: [] }, 1);
  m.release('c1', 10);
  commands(m);
  assert.equal(m.deadline(), 2010);
  m.timeout(2010);
  assert.deepEqual(drain(m), [{ kind: 'finished', call: 'c1' }]);
  assert.equal(m.counters('c1')[0]!.packetsIn, 10);
  assert.equal(m.sizes.ports, 0);
  m.timeout(m.deadline()!);
  assert.equal(m.sizes.calls, 0, 'forgotten even if nobody asks');
});

test('a lost worker: counters go on from where they were, closes are taken as done', () => {
  const m = control();
  m.begin(CALL);
  m.begin({ ...CALL, call: 'c2', streamBase: 72 });
  const s = stream(m, 'c1');
  m.update('c1', [s], 0);
  m.update('c2', [stream(m, 'c2')], 0);
  m.event({ kind: 'counters', streams: [counted()], lanes: [] }, 1);
  m.release('c2', 2);
  commands(m);
  m.event({ kind: 'shard-lost', shard: 0, reason: 'other' }, 3);
  assert.deepEqual(drain(m), []);
  m.event({ kind: 'shard-lost', shard: 1, reason: 'exit 1' }, 3);
  assert.deepEqual(drain(m), [{ kind: 'finished', call: 'c2' }]);
  m.event({ kind: 'counters', streams: [counted({ packetsIn: 3 })], lanes: [] }, 4);
  assert.equal(m.counters('c1')[0]!.packetsIn, 13);
  m.reopen(1, 0);
  const [again] = drain(m);
  assert.ok(again?.kind === 'command' && again.command.kind === 'open' && again.shard === 0);
  m.update('c1', [{ ...s, direction: 'inactive' }], 5);
  assert.ok(
    drain(m).every((o) => o.kind === 'command' && o.shard === 0),
    'later commands follow the stream',
  );
});

test('digits go to streams that negotiated telephone-event towards the far end', () => {
  const m = control();
  m.begin(CALL);
  const s = stream(m, 'c1');
  m.update('c1', [s], 0);
  commands(m);
  assert.equal(m.digit('c1', 0, '5', 100), true);
  assert.deepEqual(commands(m), [{ kind: 'digit', session: 's', stream: 64, digit: '5', durationMs: 100 }]);
  m.update('c1', [{ ...s, formats: s.formats.slice(0, 1) }], 1);
  commands(m);
  assert.equal(m.digit('c1', 0, '5', 100), false);
  assert.equal(m.digit('c1', 1, '5', 100), false);
  assert.equal(m.digit('nobody', 0, '5', 100), false);
});

test('address families: wished, preferred, and what there is', () => {
  const m = control();
  assert.equal(m.ports('a').allocate(0, 'audio')!.advertised.ip, '198.51.100.1');
  assert.equal(m.ports('a').allocate(0, 'audio', 6)!.advertised.ip, '2001:db8::1');
  assert.equal(m.ports('b', 6).allocate(0, 'audio')!.advertised.ip, '2001:db8::1');
  assert.equal(m.ports('b', 6).allocate(1, 'audio', 4)!.bound.ip, '10.0.0.1');
  assert.equal(m.sizes.ports, 3, 'the first of call a was given back');
  const v4 = control({ pools: [{ ip: '10.0.0.1', ports: [20_000, 20_001] }] });
  assert.equal(v4.ports('a').allocate(0, 'audio', 6)!.bound.ip, '10.0.0.1');
});

test('limits: calls, indices, a released call, no pair left; all counted', () => {
  const m = control({ maxCalls: 2, pools: [{ ip: '10.0.0.1', ports: [20_001, 20_005] }] });
  assert.ok(m.ports('a').allocate(0, 'audio'));
  assert.ok(m.ports('b').allocate(7, 'audio'));
  assert.equal(m.ports('c').allocate(0, 'audio'), undefined);
  assert.equal(m.exhausted, 1);
  assert.equal(m.ports('a').allocate(8, 'audio'), undefined);
  assert.equal(m.ports('a').allocate(1, 'audio'), undefined, 'two pairs fit between 20001 and 20005');
  assert.equal(m.exhausted, 2);
  m.release('a', 0);
  assert.equal(m.sizes.calls, 1, 'a call that never began leaves nothing');
  assert.deepEqual(drain(m), []);
});

test('ports of calls that were not let in are free at once: a flood of refused calls leaves some for others', () => {
  const media = control();
  for (let i = 0; i < 100; i++) {
    assert.ok(media.ports(`refused ${i}`, 4).allocate(0, 'audio'), `call ${i} finds a port`);
    media.release(`refused ${i}`, 1);
  }
  // One that was let in has been told of: it rests.
  media.begin(CALL);
  const used = media.ports('c1', 4).allocate(0, 'audio')!.bound.port;
  media.release('c1', 2);
  for (let i = 0; i < 20; i++) {
    const port = media.ports(`next ${i}`, 4).allocate(0, 'audio')?.bound;
    if (port?.ip === '10.0.0.1') assert.notEqual(port.port, used);
  }
});

test('RFC 3611 5: the worker learns who asked for VoIP metrics', () => {
  for (const voipMetrics of [true, false]) {
    const m = control();
    m.begin(CALL);
    m.update('c1', [stream(m, 'c1', { voipMetrics })], 0);
    const [open] = commands(m);
    assert.ok(open?.kind === 'open');
    assert.equal(open.leg.voipMetrics === true, voipMetrics);
  }
});

test('by policy streams share a pair of ports: one per address and worker, kept when calls end, said to the plane', () => {
  const m = control({ workers: 2 });
  const local = (call: string, shard: number, shared = true) => {
    m.begin({ ...CALL, call, shard, streamBase: 64 + 8 * Number(call), source: 'signalled' });
    const port = m.ports(call, 4, shared).allocate(0, 'audio')!;
    m.update(call, [stream(m, call, { local: port.bound })], 0);
    const opened = commands(m).find((c) => c.kind === 'open');
    assert.ok(opened?.kind === 'open');
    return opened.leg.local;
  };
  const first = local('1', 0);
  assert.deepEqual(local('2', 0), first);
  assert.equal(first.shared, true);
  assert.notEqual(local('3', 1).port, first.port, 'two workers cannot bind the same');
  const own = local('4', 0, false);
  assert.notEqual(own.port, first.port);
  assert.equal(own.shared, undefined);
  for (const call of ['1', '2', '4']) {
    m.release(call, 10);
    m.timeout(5000);
    m.forget(call);
  }
  assert.deepEqual(local('5', 0), first, 'told apart by source, a shared pair need not rest');
});

test('before it is known which of several workers serves a call, it gets a pair of its own', () => {
  const two = control({ workers: 2 });
  const ports = ['a', 'b'].map((call) => two.ports(call, 4, true).allocate(0, 'audio')!.bound.port);
  assert.notEqual(ports[0], ports[1]);
  const one = control({ workers: 1 });
  const same = ['a', 'b'].map((call) => one.ports(call, 4, true).allocate(0, 'audio')!.bound.port);
  assert.equal(same[0], same[1]);
  // A flood of calls that are not let in uses none up.
  for (let i = 0; i < 9; i++) {
    one.ports(`f${i}`, 4, true).allocate(0, 'audio');
    one.release(`f${i}`, 0);
  }
  assert.equal(one.exhausted, 0);
  assert.equal(one.sizes.ports, 1);
});
