/** The relay gateway of one site in an attacker's hands, against GW2 and the other site. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { message as anyMessage } from '../../src/meta/arbitraries.test.ts';
import { encodeMeta } from '../../src/meta/encode.ts';
import type { CallMessage } from '../../src/meta/message.ts';
import { encodeFrame } from '../../src/tunnel/frame.ts';
import { Attacker, party, RAW } from './attacker.ts';
import { connect, finish } from './check.ts';
import { LIMITS, peer, relayConfig, route, terminationConfig } from './sim-config.ts';
import { World } from './world.ts';

const RUNS = Number(process.env['VOIP_SGW_RUNS'] ?? 100);
const SITE = { maxCalls: 500, maxCallsPerSecond: 1000, maxMediaBytesPerSecond: 10_000_000 };
const SMALL = { maxCalls: 10, maxCallsPerSecond: 5, maxMediaBytesPerSecond: 99_000 };

/** site-a is honest, site-b is not. */
function attacked(seed = 1) {
  const world = new World({
    seed,
    termination: {
      tunnel: {
        ...terminationConfig().tunnel,
        sites: [
          { name: 'site-a', ...SITE },
          { name: 'site-b', ...SMALL },
        ],
      },
      routes: [
        route('a', 'peers', '6XX', 'tunnel:site-a'),
        route('b', 'peers', '7XX', 'tunnel:site-b'),
        route('out', 'tunnel', '0.', 'peer:internet'),
      ],
    },
  });
  const relay = relayConfig();
  world.addGateway({ ...relay, name: 'site-b', ...listenerOf('10.1.0.1') });
  const attacker = new Attacker(world, 'relay', 'site-b', 'gw2');
  world.start();
  assert.ok(attacker.session.up);
  return { world, attacker };
}

function listenerOf(ip: string) {
  return { sip: { listeners: [{ name: 'udp', transport: 'udp' as const, address: { ip, port: 5060 } }] } };
}

/** The honest site's call lives, new ones are taken, GW2 has sent SIP to its peer only; then nothing is left. */
function settle(world: World, attacker: Attacker): void {
  world.attackers.delete('site-b');
  world.pipes.died('site-b');
  void attacker;
  world.run(45_000);
  for (const [from, number] of [
    ['phone', '601'],
    ['pbx', '0301234567'],
  ] as const) {
    const call = world[from].call(number);
    world.until(() => call.state === 'connected', 10_000, `call of ${from}`);
  }
  for (const { from, to } of world.delivered)
    if (from.ip === '198.51.100.2') assert.equal(to.ip, '203.0.113.5');
  finish(world, { records: 'any', crossed: true });
}

test("a site cannot touch another site's calls", () => {
  const { world, attacker } = attacked();
  const [call, taken] = connect(world, world.phone, world.pbx, '601');
  const streams = JSON.stringify([...world.termination.openStreams]);
  const id = ladderId(world);
  const messages: CallMessage[] = [
    { kind: 'release', call: id, cause: 16, origin: 'callee' },
    { kind: 'modify', call: id },
    { kind: 'connect', call: id, branch: 1 },
    { kind: 'user-input', call: id, digit: '1', durationMs: 100 },
    { kind: 'status-enquiry', call: id },
  ];
  for (const message of messages) attacker.say(message);
  attacker.setup({ call: id, callee: party('0301') });
  world.run(2000);
  assert.equal(world.termination.counted('metaRefused/call-of-another-site'), messages.length + 1);
  assert.deepEqual(attacker.received, [], 'it does not even learn that the call is there');
  assert.equal(call.state, 'connected');
  assert.equal(taken.state, 'connected');
  assert.equal(JSON.stringify([...world.termination.openStreams]), streams);
  settle(world, attacker);
});

/** Id of the only call, as the operator sees it. */
function ladderId(world: World): string {
  world.input(world.termination, { kind: 'operator', request: 1, command: { command: 'calls' } });
  const [view] = world.termination.operatorReplies.get(1) as { call: string }[];
  return view!.call;
}

test("a site cannot resume or replace another site's session", () => {
  const { world, attacker } = attacked();
  const [call] = connect(world, world.phone, world.pbx, '601');
  const session = [...world.termination.openStreams.values()][0]!.session;
  for (const intent of ['resume', 'replace'] as const) {
    for (const name of ['site-a', 'site-b']) {
      // A new connection under site-b's certificate whose hello names site-a's session.
      const connection = RAW + attacker.random.below(100_000);
      world.pipes.output('site-b', 'gw2', { kind: 'dial', connection });
      world.run(20);
      const hello = {
        versions: { min: 1, max: 1 },
        metaMinor: { min: 0, max: 0 },
        shards: 1,
        maxPayload: 8192,
        boot: { startedAt: 2_000_000, nonce: 'feedfeedfeedfeed' },
        name,
        intent,
        claim: { session, received: 0, proof: attacker.random.bytes(32) },
      };
      world.pipes.output('site-b', 'gw2', {
        kind: 'send',
        connection,
        bytes: encodeFrame({ type: 'hello', hello }),
      });
      world.run(500);
    }
  }
  assert.equal(call.state, 'connected');
  const sessions = new Set([...world.termination.openStreams.values()].map((l) => l.session));
  assert.deepEqual([...sessions], [session]);
  assert.ok(world.termination.counted('tunnelEvents/alarm') >= 1, 'the wrong name raises an alarm');
  settle(world, attacker);
});

test("a site's flood of set-ups stays within its own limits and takes nothing from the other site", () => {
  const { world, attacker } = attacked();
  for (let i = 0; i < 50; i++) {
    for (let n = 0; n < 20; n++) attacker.setup({ callee: party('0301') });
    world.run(100);
  }
  const live = world.phone.calls.filter((c) => c.state !== 'ended').length;
  assert.ok(live <= 10, `${live} calls of site-b at the Internet peer`);
  assert.ok(world.termination.counted('callsRefused/site-calls') > 500);
  const calls = Array.from({ length: 30 }, () => world.phone.call('601'));
  world.run(3000);
  assert.equal(calls.filter((c) => c.state === 'connected').length, 30, "site-a's calls are all taken");
  settle(world, attacker);
});

test("a site's numbers are judged by GW2's own dial rules", () => {
  const { world, attacker } = attacked();
  const back = attacker.setup({ callee: party('601') });
  world.run(500);
  assert.deepEqual(attacker.of(back), ['release'], 'site-b cannot reach site-a through GW2');
  assert.equal(world.pbx.calls.length, 0);
  settle(world, attacker);
});

test('a call set up in the first breath of a new session keeps its stream base from the calls of the old one', () => {
  const { world, attacker } = attacked();
  attacker.setup({ callee: party('0301'), streamBase: 0x8000_0108 });
  world.run(500);
  // A new process of site-b: its first chunk after the hello-ack brings a heartbeat and a set-up with the same base.
  world.attackers.delete('site-b');
  const next = new Attacker(world, 'relay', 'site-b', 'gw2');
  next.onUp = () => next.setup({ callee: party('0302'), streamBase: 0x8000_0108 });
  world.until(() => next.session.up, 40_000, 'the new session');
  world.run(1000);
  assert.deepEqual(next.of(next.calls[0]!).slice(0, 1), ['proceeding']);
  world.run(6000); // longer than a base rests after its call
  next.setup({ callee: party('0303'), streamBase: 0x8000_0108 });
  world.run(1000);
  assert.equal(
    world.termination.counted('callsRefused/stream-base'),
    1,
    'the base is in use, whatever the old call gave back',
  );
  settle(world, next);
});

test('a user of one site is never asked of another site, also while his own is away', () => {
  const { world, attacker } = attackedUsers();
  world.restart('relay', 60_000);
  world.run(2000);
  const call = world.phone.call('601', { from: '4930101' });
  world.run(1000);
  attacker.say({ kind: 'authenticate-result', exchange: 1, outcome: 'accepted', account: '4930101' });
  world.run(20_000);
  assert.deepEqual(
    attacker.received.filter((m) => m.kind === 'authenticate'),
    [],
    "the user's proof is not shown to site-b",
  );
  assert.equal(call.state, 'ended');
  world.run(60_000);
});

function attackedUsers() {
  const world = new World({
    termination: {
      tunnel: {
        ...terminationConfig().tunnel,
        sites: [
          { name: 'site-a', ...SITE },
          { name: 'site-b', ...SMALL },
        ],
      },
      peers: [peer('users', '', { sources: ['203.0.113.0/24'], authenticate: 'digest' })],
      routes: [route('a', 'peers', '*', 'tunnel:site-b')],
      limits: LIMITS,
    },
    phone: { credentials: { username: 'alice', password: 'whatever' } },
  });
  world.addGateway({ ...relayConfig(), name: 'site-b', ...listenerOf('10.1.0.1') });
  const attacker = new Attacker(world, 'relay', 'site-b', 'gw2');
  world.start();
  return { world, attacker };
}

test(`${RUNS} random attacks by a site: the other site's calls live, GW2 stays within its list, nothing is left`, () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_000_000 }),
      fc.array(
        fc.oneof(
          { weight: 3, arbitrary: fc.constantFrom('0301', '601', '112').map((callee) => ({ callee })) },
          { weight: 8, arbitrary: fc.record({ message: anyMessage, which: fc.nat(8) }) },
          {
            weight: 2,
            arbitrary: fc.record({
              message: anyMessage,
              at: fc.nat(300),
              by: fc.integer({ min: 1, max: 255 }),
            }),
          },
          { weight: 1, arbitrary: fc.record({ raw: fc.uint8Array({ maxLength: 60 }) }) },
          { weight: 4, arbitrary: fc.record({ wait: fc.oneof(fc.nat(20), fc.nat(4000)) }) },
        ),
        { minLength: 1, maxLength: 40 },
      ),
      (seed, acts) => {
        const { world, attacker } = attacked(seed);
        const [call, taken] = connect(world, world.phone, world.pbx, '601');
        const id = ladderId(world);
        attacker.calls.push(id);
        for (const a of acts) {
          if ('callee' in a) attacker.setup({ callee: party(a.callee) });
          else if ('wait' in a) world.run(a.wait);
          else if ('raw' in a) attacker.raw(a.raw);
          else if ('at' in a) {
            const bytes = encodeMeta(a.message, 0);
            bytes[a.at % bytes.length]! ^= a.by;
            attacker.payload(bytes);
          } else {
            const target = attacker.calls.at(-1 - a.which);
            attacker.say(
              target !== undefined && 'call' in a.message ? { ...a.message, call: target } : a.message,
            );
          }
        }
        world.run(2000);
        assert.equal(call.state, 'connected');
        assert.equal(taken.state, 'connected');
        settle(world, attacker);
      },
    ),
    { numRuns: RUNS },
  );
});
