/** GW2 in an attacker's hands against an honest GW1: what it may reach, how much, and what is left of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { LimitsConfig } from '../../src/gateway/config.ts';
import { message as anyMessage } from '../../src/meta/arbitraries.test.ts';
import { encodeMeta } from '../../src/meta/encode.ts';
import type { CallMessage, MediaExchange, MetaMessage } from '../../src/meta/message.ts';
import { encodeFrame } from '../../src/tunnel/frame.ts';
import { Attacker, OFFER, party } from './attacker.ts';
import { finish } from './check.ts';
import { LIMITS, peer, relayConfig, route } from './sim-config.ts';
import type { SimCall } from './sim-peer.ts';
import { World } from './world.ts';

const RUNS = Number(process.env['VOIP_SGW_RUNS'] ?? 100);
const TIGHT: LimitsConfig = {
  ...LIMITS,
  maxCalls: 20,
  maxCallsPerSecond: 10,
  maxMediaBytesPerSecond: 123_456,
};

function attacked(
  options: { seed?: number; limits?: LimitsConfig; answer?: boolean; transferable?: boolean } = {},
) {
  const world: World = new World({
    seed: options.seed ?? 1,
    relay: {
      limits: options.limits ?? LIMITS,
      peers: [
        peer('pbx', '10.0.0.10', { trusted: true, transferable: options.transferable ?? false }),
        peer('other', '10.0.0.11'),
      ],
      routes: [
        route('in', 'tunnel', '6XX', 'peer:pbx'),
        route('sos', 'tunnel', '112', 'peer:pbx'),
        relayConfig().routes[1]!,
      ],
    },
    ...(options.answer === false ? { pbx: { answer: (call: SimCall) => ringOnly(world, call) } } : {}),
  });
  const attacker = new Attacker(world, 'termination', 'gw2', 'site-a');
  world.start();
  assert.ok(attacker.session.up);
  return { world, attacker };
}

/** Nobody answers as long as the attacker is there. */
function ringOnly(world: World, call: SimCall): void {
  world.pbx.ring(call);
  if (!world.attackers.has('gw2')) world.pbx.accept(call);
}

/** GW1 has talked to nobody but its peer, and sends media nowhere but into the closed list. */
function assertContained(world: World): void {
  const { ip } = world.relay.address;
  for (const { from, to } of world.delivered)
    if (from.ip === ip) assert.deepEqual(to, { ip: '10.0.0.10', port: 5060 });
  assert.deepEqual(world.strayDatagrams, []);
  for (const target of world.relay.mediaTargets) assert.ok(target.startsWith('10.'), `media to ${target}`);
}

/** The honest gateway is back: calls work both ways and nothing is left. */
function recover(world: World): void {
  world.restart('termination');
  world.run(20_000);
  for (const call of world.pbx.calls) if (call.state !== 'ended') world.pbx.end(call);
  world.run(70_000);
  for (const [from, number] of [
    ['phone', '601'],
    ['pbx', '0301234567'],
  ] as const) {
    const call = world[from].call(number);
    world.until(() => call.state === 'connected', 10_000, `call of ${from} with the honest gateway`);
  }
  finish(world, { records: 'any', crossed: true });
}

test('set-ups without end: GW1 keeps its own limits on calls and call rate, and says why', () => {
  const { world, attacker } = attacked({ limits: TIGHT });
  const arrivals: number[] = [];
  for (let ms = 0; ms < 10_000; ms += 100) {
    for (let i = 0; i < 50; i++) attacker.setup();
    const before = world.pbx.calls.length;
    world.run(100);
    for (let i = before; i < world.pbx.calls.length; i++) arrivals.push(ms);
    assert.ok(world.relay.gateway.sizes['calls']! <= 20);
    assert.ok(world.relay.openStreams.size <= 20);
  }
  assert.ok(
    arrivals.length <= 20,
    `${arrivals.length} calls at the PBX: the places are taken and stay taken`,
  );
  assert.ok(world.relay.counted('callsRefused/gateway-calls') > 1000);
  for (const call of attacker.calls.slice(0, 25)) attacker.say(release(call));
  world.run(3000);
  const second = world.pbx.calls.length;
  for (let ms = 0; ms < 5000; ms += 50) {
    const call = attacker.setup();
    world.run(50);
    attacker.say(release(call));
  }
  const calls = world.pbx.calls.length - second;
  assert.ok(calls <= 5 * 10 + 20 + 10, `${calls} short calls in 5 s at 10 per second`);
  assert.ok(
    world.relay.counted('callsRefused/gateway-call-rate') +
      world.relay.counted('callsRefused/site-call-rate') >
      10,
  );
  assertContained(world);
  recover(world);
});

function release(call: string): CallMessage {
  return { kind: 'release', call, cause: 16, origin: 'caller' };
}

test('GW2 asks for transfers: refused as it is by default, whatever the call', () => {
  const { world, attacker } = attacked();
  const call = attacker.setup();
  world.run(500);
  for (let i = 0; i < 20; i++) attacker.say({ kind: 'transfer-request', call, target: party('0900123') });
  world.run(500);
  assert.equal(attacker.of(call).filter((kind) => kind === 'transfer-result').length, 20);
  assert.equal(attacker.of(call).filter((kind) => kind === 'setup').length, 0);
  assert.equal(world.relay.counted('transfers/not-permitted'), 20);
  assert.equal(world.relay.gateway.sizes['calls'], 1);
  assertContained(world);
  recover(world);
});

test('GW2 asks for transfers where they are allowed: one at a time, by the dial rules, within the limits on calls', () => {
  const { world, attacker } = attacked({ limits: TIGHT, transferable: true });
  const calls = Array.from({ length: 15 }, () => attacker.setup());
  world.run(3000);
  for (let i = 0; i < 400; i++) {
    const call = calls[i % calls.length]!;
    attacker.say({ kind: 'transfer-request', call, target: party(i % 3 === 0 ? '112' : `0${i}`) });
    if (i % 10 === 0) world.run(50);
    assert.ok(world.relay.gateway.sizes['calls']! <= 20, 'within maxCalls');
  }
  world.run(100_000); // nobody answers the new calls
  assert.ok(world.relay.counted('transfers/pending') > 100);
  assert.equal(world.relay.counted('transfers/success'), 0);
  for (const call of calls) attacker.say(release(call));
  world.run(5000);
  assertContained(world);
  recover(world);
});

test('a new party that GW2 plays answers with nonsense, hangs up or asks for more: the PBX keeps its call, nothing is left', () => {
  const { world, attacker } = attacked({ transferable: true });
  for (let round = 0; round < 30; round++) {
    const call = attacker.setup();
    world.run(400);
    attacker.say({ kind: 'transfer-request', call, target: party(`0${round}`) });
    world.run(50);
    const next = attacker.calls.at(-1)!;
    assert.notEqual(next, call);
    const offer: MediaExchange = { ...OFFER, by: 'terminator', branch: 1 };
    const plays: readonly CallMessage[] = [
      { kind: 'proceeding', call: next },
      { kind: 'connect', call: next, branch: 1, media: offer },
      { kind: 'connect', call: next, branch: 1 },
      { kind: 'modify', call: next, media: { ...offer, number: 2 } },
      { kind: 'modify', call, media: { ...OFFER, number: 2 } },
      { kind: 'transfer-request', call: next, target: party('0900') },
      { kind: 'release', call: next, cause: 17, origin: 'callee' },
      { kind: 'release', call, cause: 16, origin: 'caller' },
    ];
    attacker.say(plays[0]!);
    for (let i = 0; i < 6; i++) {
      attacker.say(plays[attacker.random.below(plays.length)]!);
      if (i % 2 === 0) world.run(attacker.random.below(60));
    }
    attacker.say({ kind: 'release', call, cause: 16, origin: 'caller' });
    attacker.say({ kind: 'release', call: next, cause: 16, origin: 'callee' });
    world.run(300);
  }
  assertContained(world);
  recover(world);
});

test("the session command bounds the tunnel's media by GW1's own configuration", () => {
  const { world } = attacked({ limits: TIGHT });
  const command = world.relay.planeCommands.find((c) => c.kind === 'session');
  assert.ok(command?.kind === 'session');
  assert.equal(command.limits.maxBytesPerSecond, 123_456);
  assert.ok(command.limits.maxStreams <= 20 * 8);
  assert.ok(command.limits.maxLanes <= 64);
});

test('a priority that GW2 asserts never takes a place of the emergency reserve', () => {
  const { world, attacker } = attacked({ limits: { ...TIGHT, maxCallsPerSecond: 1000 }, answer: false });
  for (let i = 0; i < 40; i++) attacker.setup({ priority: 'emergency' });
  world.run(1000);
  assert.equal(world.relay.gateway.sizes['calls'], 19, 'one place of twenty is kept');
  attacker.setup({ callee: party('112') });
  world.run(1000);
  assert.equal(world.relay.gateway.sizes['calls'], 20, "a number of GW1's own list gets it");
  recover(world);
});

test('numbers that GW1 does not route are refused by GW1, whatever GW2 thinks', () => {
  const { world, attacker } = attacked();
  const call = attacker.setup({ callee: party('9001') });
  world.run(1000);
  assert.deepEqual(attacker.of(call), ['release']);
  assert.equal(world.pbx.calls.length, 0);
  recover(world);
});

test('numbers that GW2 calls names are judged as numbers', () => {
  const rules = [route('premium', 'tunnel', '0900.', 'refuse:21'), route('in', 'tunnel', '*', 'peer:pbx')];
  const { world, attacker } = attacked();
  world.configure(world.relay, { routes: [...rules, relayConfig().routes[1]!] });
  for (const number of ['0900123', '0900-123', '0900123;x']) {
    const call = attacker.setup({ callee: { ...party(number), numberType: 'uri' } });
    world.run(1000);
    assert.deepEqual(attacker.of(call), ['release'], number);
  }
  assert.equal(world.pbx.calls.length, 0);
  recover(world);
});

test("a call id, stream base or shard that is not the far gateway's to give is refused with a reason", () => {
  const { world, attacker } = attacked();
  const first = attacker.setup({ streamBase: 800 });
  world.run(1000);
  attacker.setup({ call: first });
  attacker.setup({ streamBase: 800 });
  attacker.setup({ streamBase: 0x8000_0008 });
  attacker.setup({ shard: 200 });
  world.run(1000);
  assert.equal(world.relay.counted('callsRefused/call-id-in-use'), 1);
  assert.equal(world.relay.counted('callsRefused/stream-base'), 2);
  assert.equal(world.relay.counted('callsRefused/shard'), 1);
  assert.equal(world.pbx.calls.length, 1);
  assert.equal(world.pbx.calls[0]!.state, 'connected', 'the call that has the id is not touched');
  recover(world);
});

test('messages for calls that are not there: answered or dropped, counted, nothing made of them', () => {
  const { world, attacker } = attacked();
  for (const kind of ['connect', 'alerting', 'progress'] as const)
    attacker.say({ kind, call: attacker.newId(), branch: 1 });
  attacker.say({ kind: 'modify', call: attacker.newId() });
  attacker.say({ kind: 'status-enquiry', call: attacker.newId() });
  attacker.say({ kind: 'user-input', call: attacker.newId(), digit: '1', durationMs: 100 });
  attacker.say({ kind: 'transfer-request', call: attacker.newId(), target: party('601') });
  attacker.say({ kind: 'authenticate-result', exchange: 7, outcome: 'accepted', account: '200' });
  attacker.say({ kind: 'unregister', exchange: 8, account: '200' });
  world.run(1000);
  assert.equal(world.relay.gateway.sizes['calls'], 0);
  assert.equal(world.pbx.calls.length, 0);
  assert.ok(world.relay.counted('metaRefused/unknown-call') >= 4);
  assert.equal(world.relay.counted('metaRefused/unknown-exchange'), 1);
  assert.equal(world.relay.counted('metaRefused/not-expected'), 1);
  assertContained(world);
  recover(world);
});

test('messages out of state are dropped with a reason and the call goes on', () => {
  const { world, attacker } = attacked();
  const call = attacker.setup();
  world.run(1000);
  assert.equal(world.pbx.calls[0]!.state, 'connected');
  for (const kind of ['connect', 'alerting'] as const) attacker.say({ kind, call, branch: 1 });
  attacker.say({ kind: 'modify-accept', call });
  attacker.say({ kind: 'modify-refuse', call, cause: 21, glare: true });
  attacker.say({ kind: 'proceeding', call });
  attacker.say({ kind: 'transfer-result', call, outcome: 'success' });
  world.run(1000);
  assert.ok(world.relay.counted('metaRefused/state') >= 5, String(world.relay.counted('metaRefused/state')));
  assert.equal(world.pbx.calls[0]!.state, 'connected');
  assertContained(world);
  recover(world);
});

test('a flood of payloads ends the connection; each malformed one is counted', () => {
  const { world, attacker } = attacked();
  for (let i = 0; i < 1000; i++) attacker.payload(attacker.random.bytes(1 + (i % 200)));
  world.run(1000);
  const refused = [...world.relay.counts]
    .filter(([k]) => k.startsWith('metaRefused/'))
    .reduce((n, [, c]) => n + c, 0);
  assert.ok(refused >= 1000, `${refused} counted`);
  for (let i = 0; i < 4000; i++) attacker.raw(encodeFrame({ type: 'heartbeat', id: i }));
  world.run(1000);
  assert.ok(attacker.events.includes('down'));
  const warnings = world.relay.logs.filter((l) => l.level === 'warn' || l.level === 'info').length;
  assert.ok(warnings < 400, `${warnings} log lines: a flood does not fill the disk`);
  recover(world);
});

test('a fence that lies: what it leaves out is released, what it says of a call is asked about, no more', () => {
  const { world, attacker } = attacked();
  const [kept, left] = [attacker.setup(), attacker.setup()];
  world.run(1000);
  attacker.fence = [
    { call: kept, state: 'alerting', mediaGeneration: 9 },
    ...Array.from({ length: 500 }, () => ({
      call: attacker.newId(),
      state: 'connected' as const,
      mediaGeneration: 1,
    })),
  ];
  world.cut(500, false);
  world.run(5000);
  assert.ok(attacker.of(kept).includes('status-enquiry'));
  assert.equal(world.relay.gateway.sizes['calls'], 1);
  assert.ok(attacker.of(left).includes('release'));
  world.run(15_000);
  assert.equal(world.relay.gateway.sizes['calls'], 0, 'an enquiry that is not answered ends the call');
  recover(world);
});

test('a PBX call that GW2 plays with: connects, changes, releases and connects again', () => {
  const { world, attacker } = attacked();
  const call = world.pbx.call('0301234567');
  world.run(100);
  const id = attacker.calls.at(-1)!;
  attacker.say({ kind: 'proceeding', call: id });
  attacker.say({ kind: 'connect', call: id, branch: 3 });
  world.run(1000);
  attacker.say({
    kind: 'modify',
    call: id,
    media: { ...OFFER, by: 'terminator', number: 9 } as typeof OFFER,
  });
  attacker.say(release(id));
  attacker.say({ kind: 'connect', call: id, branch: 3 });
  world.run(40_000);
  assert.equal(call.state, 'ended');
  assertContained(world);
  recover(world);
});

test('the id of a call is used once: whoever it was of, refused or ended, has its one record', () => {
  const { world, attacker } = attacked();
  const refused = attacker.setup({ callee: party('999') });
  world.run(500);
  attacker.setup({ call: refused });
  world.run(500);
  const ended = attacker.setup();
  world.run(500);
  attacker.say(release(ended));
  world.run(6000);
  attacker.setup({ call: ended });
  world.run(500);
  assert.equal(world.relay.counted('callsRefused/call-id-used'), 2);
  assert.equal(world.relay.counted('recordsOmitted/repeated-id'), 2);
  const ids = world.relay.cdrs.map((r) => r.call);
  assert.deepEqual(ids.sort(), [refused, ended].sort());
  recover(world);
});

type Act =
  | { readonly act: 'setup'; readonly callee: string }
  | { readonly act: 'message'; readonly message: MetaMessage; readonly which: number }
  | { readonly act: 'mutated'; readonly message: MetaMessage; readonly at: number; readonly by: number }
  | { readonly act: 'noise' | 'raw'; readonly bytes: Uint8Array }
  | { readonly act: 'wait'; readonly ms: number }
  | { readonly act: 'cut'; readonly silent: boolean }
  | { readonly act: 'pbx-call' | 'pbx-end' };

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      act: fc.constant('setup' as const),
      callee: fc.constantFrom('601', '602', '112', '999'),
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({ act: fc.constant('message' as const), message: anyMessage, which: fc.nat(8) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      act: fc.constant('mutated' as const),
      message: anyMessage,
      at: fc.nat(300),
      by: fc.integer({ min: 1, max: 255 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      act: fc.constantFrom('noise' as const, 'raw' as const),
      bytes: fc.uint8Array({ maxLength: 80 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ act: fc.constant('wait' as const), ms: fc.oneof(fc.nat(20), fc.nat(4000)) }),
  },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('cut' as const), silent: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ act: fc.constantFrom('pbx-call' as const, 'pbx-end' as const) }) },
);

function perform(world: World, attacker: Attacker, a: Act): void {
  switch (a.act) {
    case 'setup':
      attacker.setup({ callee: party(a.callee) });
      break;
    case 'message': {
      // Mostly about calls that are there: what is not gets dropped at once.
      const call = attacker.calls.at(-1 - a.which);
      attacker.say(call !== undefined && 'call' in a.message ? { ...a.message, call } : a.message);
      break;
    }
    case 'mutated': {
      const bytes = encodeMeta(a.message, 0);
      bytes[a.at % bytes.length]! ^= a.by;
      attacker.payload(bytes);
      break;
    }
    case 'noise':
      attacker.payload(a.bytes);
      break;
    case 'raw':
      attacker.raw(a.bytes);
      break;
    case 'wait':
      world.run(a.ms);
      break;
    case 'cut':
      world.cut(300, a.silent);
      break;
    case 'pbx-call':
      world.pbx.call('0301234567');
      break;
    case 'pbx-end':
      for (const call of world.pbx.calls.slice(-2)) if (call.state !== 'ended') world.pbx.end(call);
  }
}

test(`${RUNS} random attacks: GW1 stays within its list and its limits, does not fall, and recovers`, () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_000_000 }),
      fc.array(act, { minLength: 1, maxLength: 40 }),
      (seed, acts) => {
        const { world, attacker } = attacked({ seed, limits: TIGHT, transferable: seed % 2 === 0 });
        for (const a of acts) {
          perform(world, attacker, a);
          assert.ok(world.relay.gateway.sizes['calls']! <= 40);
        }
        world.run(3000);
        assertContained(world);
        recover(world);
      },
    ),
    { numRuns: RUNS },
  );
});
