import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { CLOSE_REASONS } from './close-reason.ts';
import type { TunnelOutput } from './contract.ts';
import { encodeFrame, type Frame, FrameReader } from './frame.ts';
import type { TunnelSession } from './session.ts';
import { World } from './sim.test.ts';

/** The acceptor's machine with its connection to an honest dialer, now spoken for by an attacker. */
interface Victim {
  readonly world: World;
  readonly session: TunnelSession;
  readonly connection: number;
}

function victim(side: 'dialer' | 'acceptor' = 'acceptor'): Victim {
  const world = new World(21);
  world.run(1000);
  assert.ok(world.nodes[side].session.up);
  return { world, session: world.nodes[side].session, connection: side === 'dialer' ? 1 : 1001 };
}

function feed({ world, session, connection }: Victim, ...frames: Frame[]): TunnelOutput[] {
  const out: TunnelOutput[] = [];
  for (const frame of frames) {
    session.handle({ kind: 'data', connection, bytes: encodeFrame(frame) }, world.now);
    out.push(...drain(session));
  }
  return out;
}

function drain(session: TunnelSession): TunnelOutput[] {
  const out: TunnelOutput[] = [];
  for (let next = session.poll(); next !== undefined; next = session.poll()) out.push(next);
  return out;
}

/** The reason told to the far end in the last frame before the close. */
function toldReason(outputs: readonly TunnelOutput[]): string | undefined {
  const reader = new FrameReader(8192);
  for (const out of outputs) if (out.kind === 'send') reader.push(out.bytes);
  let reason: string | undefined;
  for (let next = reader.next(); next?.ok; next = reader.next()) {
    if (next.value.type === 'close') reason = next.value.reason;
  }
  return reason;
}

const payload = Uint8Array.of(1);
const data = (number: number, acknowledged = 0): Frame => ({ type: 'data', number, acknowledged, payload });

test('a frame out of order or out of range closes with a reason that the far end is told and that is counted', () => {
  const cases: [string, Frame[], string][] = [
    ['gap', [data(1), data(3)], 'out-of-order'],
    ['repeat', [data(1), data(1)], 'out-of-order'],
    ['number 0', [data(0)], 'out-of-order'],
    ['acknowledges what was never sent', [data(1, 1)], 'acknowledgement-range'],
    ['ack beyond', [{ type: 'ack', acknowledged: 9 }], 'acknowledgement-range'],
    ['ack of nothing new', [{ type: 'ack', acknowledged: 0 }], 'acknowledgement-range'],
    ['reply to no heartbeat', [{ type: 'heartbeat-reply', id: 4711 }], 'heartbeat-reply'],
    ['fence unasked', [{ type: 'fence', body: payload }], 'unexpected-frame'],
    ['sync to the acceptor', [{ type: 'sync' }], 'unexpected-frame'],
    ['renew to the acceptor', [{ type: 'renew' }], 'unexpected-frame'],
  ];
  for (const [what, frames, reason] of cases) {
    const it = victim();
    const outputs = feed(it, ...frames);
    assert.equal(toldReason(outputs), reason, what);
    assert.ok(outputs.some((out) => out.kind === 'close' && out.reason === reason));
    assert.equal(it.session.counters.closed[reason as 'dead'], 1, what);
    assert.ok(!it.session.up);
  }
});

test('a heartbeat flood ends the connection; one per second does not', () => {
  const it = victim();
  let id = 0;
  const outputs: TunnelOutput[] = [];
  while (it.session.up && id < 1000) outputs.push(...feed(it, { type: 'heartbeat', id: id++ }));
  assert.equal(toldReason(outputs), 'control-flood');
  assert.ok(id <= 101, `${id} heartbeats`);
});

test('a drain flood and a renew flood end the connection; renew makes one dial at most', () => {
  const drains = victim();
  for (let i = 0; i < 200; i++) feed(drains, { type: 'drain' });
  assert.equal(drains.session.counters.closed['control-flood'], 1);
  const renews = victim('dialer');
  let dials = 0;
  for (let i = 0; i < 90; i++) {
    dials += feed(renews, { type: 'renew' }).filter((out) => out.kind === 'dial').length;
    renews.world.now += 30;
    renews.session.handle({ kind: 'timeout' }, renews.world.now);
    dials += drain(renews.session).filter((out) => out.kind === 'dial').length;
  }
  assert.equal(dials, 1);
});

test('a data flood ends the connection', () => {
  const it = victim();
  let number = 0;
  while (it.session.up && number < 100_000) feed(it, data(++number));
  assert.equal(it.session.counters.closed['data-flood'], 1);
  assert.ok(number <= 8200 && number > 4096, `${number} payloads at once`);
});

test('connections that never say hello: four at most, closed after 5 s, the session unharmed', () => {
  const it = victim();
  const closed: TunnelOutput[] = [];
  for (let i = 0; i < 50; i++) {
    it.session.handle(
      { kind: 'connected', connection: 2001 + i, exporter: new Uint8Array(32) },
      it.world.now,
    );
    closed.push(...drain(it.session).filter((out) => out.kind === 'close'));
  }
  assert.equal(closed.length, 47);
  it.world.run(6000);
  assert.equal(it.session.counters.closed['hello-timeout'], 3);
  it.world.send('dialer', 'alive');
  it.world.run(200);
  it.world.checkHealed();
});

test('a far end that replies to heartbeats but acknowledges nothing: closed when 4096 payloads wait', () => {
  const it = victim();
  for (let i = 0; i < 4097; i++) it.session.handle({ kind: 'send', payload }, it.world.now);
  assert.equal(it.session.counters.closed.unacknowledged, 1);
  assert.equal(it.session.waiting, 4096);
});

test('an acceptor that resumes without knowing the secret is refused', () => {
  const { world, session } = victim('dialer');
  const id = world.dialer.current;
  world.refuseDials = true;
  world.cut(0);
  world.run(50);
  let dialled: number | undefined;
  for (let i = 0; i < 100 && dialled === undefined; i++) {
    world.now = session.deadline()!;
    session.handle({ kind: 'timeout' }, world.now);
    for (const out of drain(session)) if (out.kind === 'dial') dialled = out.connection;
  }
  const it = { world, session, connection: dialled! };
  session.handle({ kind: 'connected', connection: dialled!, exporter: new Uint8Array(32) }, world.now);
  drain(session);
  const ack = {
    version: 1,
    metaMinor: 0,
    shards: 2,
    name: 'gw2.example',
    maxPayload: 8192,
    boot: { startedAt: 1000, nonce: '2222222222222222' },
    session: id,
    outcome: { kind: 'resumed' as const, received: 0, proof: new Uint8Array(32) },
  };
  assert.equal(toldReason(feed(it, { type: 'hello-ack', ack })), 'proof');
  assert.ok(!session.up);
});

test('a hello seen on one connection is worth nothing on another: its proof covers the TLS exporter', () => {
  const world = new World(22);
  world.run(1000);
  world.cut(0);
  const { session } = world.dialer;
  world.run(100);
  // The dialer's next hello, as an eavesdropper behind the acceptor's TLS would have it.
  let hello: Uint8Array | undefined;
  for (let i = 0; i < 100 && hello === undefined; i++) {
    world.now = Math.max(world.now, session.deadline()!);
    session.handle({ kind: 'timeout' }, world.now);
    for (const out of drain(session)) {
      if (out.kind === 'dial') {
        session.handle(
          { kind: 'connected', connection: out.connection, exporter: new Uint8Array(32).fill(1) },
          world.now,
        );
      } else if (out.kind === 'send') hello = out.bytes;
    }
  }
  const it = { world, session: world.acceptor.session, connection: 3001 };
  it.session.handle({ kind: 'connected', connection: 3001, exporter: new Uint8Array(32).fill(2) }, world.now);
  it.session.handle({ kind: 'data', connection: 3001, bytes: hello! }, world.now);
  const outputs = drain(it.session);
  assert.equal(toldReason(outputs), 'proof');
  assert.ok(outputs.some((out) => out.kind === 'event' && out.event.kind === 'alarm'));
});

test('two offers at once: the first to be accepted is the session, the second has lapsed', () => {
  const world = new World(25);
  const { session } = world.acceptor;
  const hello = (startedAt: number): Frame => ({
    type: 'hello',
    hello: {
      versions: { min: 1, max: 1 },
      metaMinor: { min: 0, max: 0 },
      shards: 1,
      maxPayload: 100,
      boot: { startedAt, nonce: '7777777777777777' },
      name: 'gw1.site-a',
      intent: 'new',
    },
  });
  for (const connection of [1, 3]) {
    session.handle({ kind: 'connected', connection, exporter: new Uint8Array(32) }, 0);
    feed({ world, session, connection }, hello(connection));
  }
  const first = feed({ world, session, connection: 1 }, { type: 'heartbeat', id: 1 });
  assert.ok(first.some((out) => out.kind === 'event' && out.event.kind === 'session'));
  const second = feed({ world, session, connection: 3 }, { type: 'heartbeat', id: 1 });
  assert.equal(toldReason(second), 'session-held');
  assert.ok(session.up);
});

test('resuming over and over, with every right to it, is limited', () => {
  const world = new World(24, { dialer: { backoff: { firstMs: 1, maxMs: 1 } } });
  world.run(1000);
  const { session } = world.acceptor;
  let resumed = 0;
  for (let i = 0; i < 60; i++) {
    world.input('dialer', { kind: 'renew' });
    world.run(300);
    resumed = session.counters.resumes;
  }
  assert.ok(session.counters.closed['takeover-rate']! > 0 && resumed < 42, `${resumed} resumes in 18 s`);
  world.run(30_000);
  world.checkHealed();
});

const boot = { startedAt: 3000, nonce: '9999999999999999' };
const anyFrame: fc.Arbitrary<Frame> = fc.oneof(
  fc
    .record({ number: fc.nat({ max: 5 }), acknowledged: fc.nat({ max: 3 }) })
    .map((d): Frame => ({ type: 'data', ...d, payload })),
  fc.nat({ max: 4 }).map((acknowledged): Frame => ({ type: 'ack', acknowledged })),
  fc.nat({ max: 4 }).map((id): Frame => ({ type: 'heartbeat', id })),
  fc.nat({ max: 4 }).map((id): Frame => ({ type: 'heartbeat-reply', id })),
  fc.constantFrom<Frame[]>({ type: 'sync' }, { type: 'renew' }, { type: 'drain' }),
  fc.uint8Array({ maxLength: 40 }).map((body): Frame => ({ type: 'fence', body })),
  fc.constantFrom(...CLOSE_REASONS).map((reason): Frame => ({ type: 'close', reason })),
  fc.constantFrom('gw1.site-a', 'gw2.example', 'x').map(
    (name): Frame => ({
      type: 'hello',
      hello: {
        versions: { min: 1, max: 1 },
        metaMinor: { min: 0, max: 0 },
        shards: 1,
        maxPayload: 1,
        boot,
        name,
        intent: 'new',
      },
    }),
  ),
  fc.constantFrom('gw1.site-a', 'gw2.example').map(
    (name): Frame => ({
      type: 'hello-ack',
      ack: {
        version: 1,
        metaMinor: 0,
        shards: 1,
        maxPayload: 100,
        boot,
        name,
        session: '00'.repeat(16),
        outcome: { kind: 'new', secret: new Uint8Array(32) },
      },
    }),
  ),
);

type Move =
  | { readonly do: 'frame'; readonly frame: Frame; readonly damage: number }
  | { readonly do: 'octets'; readonly octets: Uint8Array }
  | { readonly do: 'connect' | 'wait' | 'close' | 'send' | 'fence' };

const move: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('frame' as const), frame: anyFrame, damage: fc.nat({ max: 60 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('octets' as const), octets: fc.uint8Array({ maxLength: 64 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom('connect' as const, 'wait', 'close', 'send', 'fence') }),
  },
);

test('whatever a certified peer sends: no exception, one open connection per answer, tables capped, honest peer comes back', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('dialer' as const, 'acceptor' as const),
      fc.array(move, { maxLength: 60 }),
      (side, moves) => {
        const world = new World(23);
        const { session } = world.nodes[side];
        const open = new Set<number>();
        let next = 5001;
        let waiting: number | undefined;
        const settle = (): void => {
          for (const out of drain(session)) {
            if (out.kind === 'dial') waiting = out.connection;
            if (out.kind === 'send') assert.ok(open.has(out.connection), 'sends only on open connections');
            if (out.kind === 'close') open.delete(out.connection);
            if (out.kind === 'event' && out.event.kind === 'fence-wanted') {
              session.handle({ kind: 'fence', body: payload }, world.now);
            }
          }
          assert.ok(open.size <= 4);
        };
        for (const step of moves) {
          const connection = [...open].at(-1) ?? 0;
          if (step.do === 'frame' || step.do === 'octets') {
            const bytes = step.do === 'octets' ? step.octets : encodeFrame(step.frame);
            if (step.do === 'frame' && step.damage < bytes.length) bytes[step.damage] = 0xee;
            session.handle({ kind: 'data', connection, bytes }, world.now);
          } else if (step.do === 'connect') {
            const ref = side === 'dialer' ? waiting : next++;
            waiting = undefined;
            if (ref !== undefined) {
              open.add(ref);
              session.handle({ kind: 'connected', connection: ref, exporter: new Uint8Array(32) }, world.now);
            }
          } else if (step.do === 'wait') {
            world.now = Math.max(world.now, Math.min(session.deadline() ?? world.now, world.now + 5000));
            session.handle({ kind: 'timeout' }, world.now);
          } else if (step.do === 'close' && open.delete(connection)) {
            session.handle({ kind: 'closed', connection, reason: 'reset' }, world.now);
          } else if (step.do === 'send') {
            session.handle({ kind: 'send', payload }, world.now);
          } else if (step.do === 'fence') {
            session.handle({ kind: 'fence', body: payload }, world.now);
          }
          settle();
        }
        for (const connection of open)
          session.handle({ kind: 'closed', connection, reason: 'reset' }, world.now);
        if (waiting !== undefined)
          session.handle({ kind: 'closed', connection: waiting, reason: 'x' }, world.now);
        open.clear();
        drain(session);
        // The honest far end is back: within the resume window plus one backoff there is a session of the two.
        world.run(60_000);
        assert.ok(world.dialer.session.up && world.acceptor.session.up);
        assert.equal(world.dialer.current, world.acceptor.current);
      },
    ),
    { numRuns: 400 },
  );
});
