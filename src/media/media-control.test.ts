import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { LegStream } from '../call/leg.ts';
import type { Random } from '../machine/machine.ts';
import type { Format } from '../meta/message.ts';
import { MediaControl, type MediaControlOptions, type MediaOutput } from './media-control.ts';
import { type PlaneCommand, REFUSALS, type StreamCounters } from './plane-contract.ts';
import { PortPool } from './port-pool.ts';
import { noCounters } from './stream-counters.ts';

function seeded(seed: number): Random {
  let state = seed >>> 0;
  const uint32 = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state;
  };
  return { uint32, bytes: (n) => Uint8Array.from({ length: n }, () => uint32() >>> 24) };
}

const PCMA: Format = { id: 2, name: 'PCMA', clockRate: 8000, channels: 1, parameters: [] };
const DTMF: Format = { id: 5, name: 'telephone-event', clockRate: 8000, channels: 1, parameters: [] };

function control(options: Partial<MediaControlOptions> = {}): MediaControl {
  return new MediaControl({
    random: seeded(1),
    pools: [
      { ip: '10.0.0.1', advertise: '198.51.100.1', ports: [20_000, 20_019] },
      { ip: '2001:db8::1', ports: [20_000, 20_019] },
    ],
    maxCalls: 10,
    ...options,
  });
}

const CALL = {
  call: 'c1',
  session: 's',
  shard: 1,
  streamBase: 64,
  priority: 'normal',
  source: 'latch',
} as const;

function drain(m: MediaControl): MediaOutput[] {
  const out: MediaOutput[] = [];
  for (let o = m.poll(); o !== undefined; o = m.poll()) out.push(o);
  return out;
}

function commands(m: MediaControl): PlaneCommand[] {
  return drain(m).flatMap((o) => (o.kind === 'command' ? [o.command] : []));
}

function stream(m: MediaControl, call: string, more: Partial<LegStream> = {}): LegStream {
  const index = more.index ?? 0;
  const port = m.ports(call).allocate(index, 'audio');
  assert.ok(port);
  return {
    index,
    kind: 'audio',
    active: true,
    direction: 'sendrecv',
    local: port.bound,
    remote: { ip: '192.0.2.1', port: 4000 },
    rtcpMux: false,
    packetTime: 20,
    formats: [
      { format: PCMA, receivePayloadType: 8, sendPayloadType: 8 },
      { format: DTMF, receivePayloadType: 101, sendPayloadType: 96 },
    ],
    ...more,
  };
}

function counted(more: Partial<StreamCounters> = {}): StreamCounters {
  return {
    ...noCounters('s', 64, 'c1'),
    packetsIn: 10,
    bytesIn: 1600,
    packetsOut: 9,
    bytesOut: 1440,
    framesToTunnel: 10,
    framesFromTunnel: 9,
    lostIn: 1,
    jitterInMs: 2,
    mosIn: 4.2,
    refused: REFUSALS.map((_, i) => i),
    ...more,
  };
}

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

test('RFC 3550 11: pairs are even/odd, inside the range, and each is given once', () => {
  const pool = new PortPool({
    ip: '10.0.0.1',
    first: 20_001,
    last: 20_010,
    restMs: 10_000,
    random: seeded(3),
  });
  const got = new Set<number>();
  for (let p = pool.allocate(0); p !== undefined; p = pool.allocate(0)) got.add(p);
  assert.deepEqual([...got].sort(), [20_002, 20_004, 20_006, 20_008]);
  pool.release(20_004, 100);
  pool.release(20_004, 100);
  pool.release(9, 100);
  assert.equal(pool.allocate(10_099), undefined);
  assert.equal(pool.allocate(10_100), 20_004);
  assert.equal(pool.size, 4);
  const order = (seed: number): number =>
    new PortPool({ ip: 'x', first: 16_384, last: 32_767, restMs: 1, random: seeded(seed) }).allocate(0)!;
  assert.ok(new Set([1, 2, 3, 4, 5].map(order)).size > 1, 'the next port cannot be told');
});

type Act =
  | { readonly kind: 'call' | 'release' | 'forget' | 'closed' | 'lost'; readonly n: number }
  | { readonly kind: 'update'; readonly n: number; readonly indices: readonly number[] }
  | { readonly kind: 'wait'; readonly ms: number };
const n = fc.integer({ min: 0, max: 5 });
const act: fc.Arbitrary<Act> = fc.oneof(
  fc.record({
    kind: fc.constantFrom(
      'call' as const,
      'release' as const,
      'forget' as const,
      'closed' as const,
      'lost' as const,
    ),
    n,
  }),
  fc.record({
    kind: fc.constant('update' as const),
    n,
    indices: fc.uniqueArray(fc.integer({ min: 0, max: 7 }), { maxLength: 4 }),
  }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 12_000 }) }),
);

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

test('law: no port is bound twice or within its rest, the plane is spoken to in order, and in the end nothing is left', () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 80 }), fc.integer(), (acts, seed) => {
      const m = control({
        random: seeded(seed),
        maxCalls: 6,
        pools: [{ ip: '10.0.0.1', ports: [20_000, 20_015] }],
      });
      const world = new PlaneModel(m);
      for (const a of acts) world.act(a);
      world.end();
      assert.deepEqual(m.sizes, { calls: 0, ports: 0, streams: 0 });
    }),
    { numRuns: 500 },
  );
});

/** Plays gateway and plane: holds what is bound, confirms closes when told to, checks every command. */
class PlaneModel {
  readonly #media: MediaControl;
  #now = 0;
  #bound = new Map<number, string>();
  #freedAt = new Map<number, number>();
  #open = new Map<number, number>();
  #closes: number[] = [];
  #generation = [0, 0, 0, 0, 0, 0];
  #live = [false, false, false, false, false, false];

  constructor(media: MediaControl) {
    this.#media = media;
  }

  act(a: Act): void {
    const m = this.#media;
    switch (a.kind) {
      case 'call':
        if (this.#live[a.n]) break;
        this.#generation[a.n]!++;
        this.#live[a.n] = true;
        m.begin({ ...CALL, call: this.#name(a.n), streamBase: this.#base(a.n) });
        break;
      case 'update':
        if (this.#live[a.n]) this.#update(a.n, a.indices);
        break;
      case 'release':
      case 'forget':
        if (!this.#live[a.n]) break;
        this.#live[a.n] = false;
        m.release(this.#name(a.n), this.#now);
        this.#take();
        if (a.kind === 'forget') this.#confirm();
        if (a.kind === 'forget') m.forget(this.#name(a.n));
        break;
      case 'closed':
        this.#confirm();
        break;
      case 'lost':
        // The dead worker's ports are free with it; its successor is given what was open.
        this.#closes = [];
        m.event({ kind: 'shard-lost', shard: 1, reason: 'exit' }, this.#now);
        break;
      case 'wait':
        this.#now += a.ms;
        m.timeout(this.#now);
        break;
    }
    this.#take();
  }

  end(): void {
    for (let i = 0; i < 6; i++) this.act({ kind: 'release', n: i });
    this.act({ kind: 'closed', n: 0 });
    for (let at = this.#media.deadline(); at !== undefined; at = this.#media.deadline()) {
      this.#now = Math.max(this.#now, at);
      this.#media.timeout(this.#now);
      this.#take();
    }
  }

  #name(i: number): string {
    return `call-${i}-${this.#generation[i]}`;
  }

  #base(i: number): number {
    return 8 * (1 + i + 6 * this.#generation[i]!);
  }

  #update(i: number, indices: readonly number[]): void {
    const call = this.#name(i);
    const streams = indices.flatMap((index): LegStream[] => {
      const port = this.#media.ports(call).allocate(index, 'audio');
      return port === undefined ? [] : [{ ...STREAM, index, local: port.bound }];
    });
    this.#media.update(call, streams, this.#now);
  }

  #confirm(): void {
    this.#take();
    for (const stream of this.#closes.splice(0)) {
      this.#media.event({ kind: 'closed', counters: counted({ stream }) }, this.#now);
    }
  }

  #take(): void {
    for (const o of drain(this.#media)) {
      assert.notEqual(o.kind, 'failed');
      if (o.kind === 'command') this.#command(o.command);
    }
  }

  #command(c: PlaneCommand): void {
    if (c.kind === 'open') {
      const { port } = c.leg.local;
      const { stream, call } = c.leg;
      assert.ok(!this.#open.has(stream), 'opened twice');
      assert.equal(port % 2, 0);
      assert.equal(this.#bound.get(port), undefined, `port ${port} is bound`);
      const freed = this.#freedAt.get(port);
      const rested = freed === undefined || this.#now - freed >= 10_000;
      assert.ok(rested || this.#owner.get(port) === call, `port ${port} did not rest`);
      this.#bound.set(port, call);
      this.#owner.set(port, call);
      this.#open.set(stream, port);
    } else if (c.kind === 'close') {
      const port = this.#open.get(c.stream);
      assert.notEqual(port, undefined, 'closed but not open');
      this.#open.delete(c.stream);
      this.#bound.delete(port!);
      this.#freedAt.set(port!, this.#now);
      this.#closes.push(c.stream);
    } else {
      assert.fail(c.kind);
    }
  }

  #owner = new Map<number, string>();
}

const STREAM: LegStream = {
  index: 0,
  kind: 'audio',
  active: true,
  direction: 'sendrecv',
  remote: { ip: '192.0.2.1', port: 4000 },
  rtcpMux: false,
  packetTime: 20,
  formats: [{ format: PCMA, receivePayloadType: 8, sendPayloadType: 8 }],
};

/** One answered call of the given streams under a limit of 300 s; `moved`: packets so far of each, told every second. */
class Silent {
  readonly m = control({ silenceMs: () => 300_000 });
  readonly moved: number[];
  readonly streams: LegStream[];
  now = 0;

  constructor(streams: readonly Partial<LegStream>[], priority: 'normal' | 'emergency' = 'normal') {
    this.m.begin({ ...CALL, priority });
    this.streams = streams.map((s, index) => stream(this.m, 'c1', { index, ...s }));
    this.moved = streams.map(() => 1);
    this.m.update('c1', this.streams, 0);
    drain(this.m);
  }

  /** Seconds pass. True where the call was told to be silent. */
  wait(seconds: number): boolean {
    let told = 0;
    for (let i = 0; i < seconds; i++) {
      this.now += 1000;
      const streams = this.moved.map((packetsOut, i) =>
        counted({ stream: 64 + i, packetsIn: 0, packetsOut }),
      );
      this.m.event({ kind: 'counters', streams, lanes: [] }, this.now);
      told += drain(this.m).filter((o) => o.kind === 'silence').length;
    }
    assert.ok(told <= 1, 'told once');
    return told === 1;
  }

  change(more: Partial<LegStream>): void {
    this.streams[0] = { ...this.streams[0]!, ...more };
    this.m.update('c1', [...this.streams], this.now);
  }
}

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

test('an answered call without a packet either way for the limit is silent, from the last packet on', () => {
  const s = new Silent([{}]);
  assert.equal(s.wait(400), false, 'not answered yet');
  s.m.connected('c1', s.now);
  assert.equal(s.wait(299), false);
  s.moved[0]!++;
  assert.equal(s.wait(300), false, 'one packet');
  assert.equal(s.wait(2), true);
  assert.equal(s.wait(400), false);
});

test('a call is not silent while one of its streams carries something, in one direction only too', () => {
  const s = new Silent([{}, {}]);
  s.m.connected('c1', s.now);
  for (let i = 0; i < 100; i++) {
    s.moved[1]!++;
    assert.equal(s.wait(10), false);
  }
  assert.equal(s.wait(301), true);
});

for (const direction of ['sendonly', 'recvonly', 'inactive'] as const) {
  test(`a call on hold (${direction}) is not silent, and has its whole time when it is taken back`, () => {
    const s = new Silent([{}]);
    s.m.connected('c1', s.now);
    assert.equal(s.wait(200), false);
    s.change({ direction });
    assert.equal(s.wait(1000), false);
    s.change({ direction: 'sendrecv' });
    assert.equal(s.wait(299), false);
    assert.equal(s.wait(2), true);
  });
}

test('an emergency call is never silent, nor is any call where the limit is 0', () => {
  const emergency = new Silent([{}], 'emergency');
  emergency.m.connected('c1', 0);
  assert.equal(emergency.wait(1000), false);
  const off = control({ silenceMs: () => 0 });
  off.begin(CALL);
  off.update('c1', [stream(off, 'c1')], 0);
  off.connected('c1', 0);
  drain(off);
  for (let now = 0; now < 2_000_000; now += 5000)
    off.event({ kind: 'counters', streams: [counted()], lanes: [] }, now);
  assert.deepEqual(drain(off), []);
});

test('a call whose worker says nothing is not silent: nobody knows', () => {
  const s = new Silent([{}]);
  s.m.connected('c1', 0);
  s.m.event({ kind: 'shard-lost', shard: 1, reason: 'SIGKILL' }, 1000);
  s.now = 1_000_000;
  s.moved[0] = 0; // its successor counts from the beginning
  assert.equal(s.wait(1), false);
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
