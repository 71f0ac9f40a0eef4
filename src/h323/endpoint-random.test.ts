/** Random calls between two endpoints with cuts at any moment: whatever happens, all of it ends. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { H323Command } from './contract.ts';
import { audio, capabilities, IDLE, media, type Node, pair, setup } from './test-network.test.ts';
import { User } from './test-user.test.ts';

const DEEDS = [
  'setup',
  'setup',
  'fast-setup',
  'fast-setup',
  'proceed',
  'ring',
  'progress',
  'connect',
  'connect',
  'release',
  'release',
  'hold',
  'retrieve',
  'open',
  'close-send',
  'close-receive',
  'digit',
  'mode',
  'forward',
  'capabilities',
  'empty',
  'cut',
] as const;
type Deed = (typeof DEEDS)[number];

interface Step {
  readonly who: 0 | 1;
  readonly deed: Deed;
  readonly wait: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  who: fc.constantFrom(0 as const, 1 as const),
  deed: fc.constantFrom(...DEEDS),
  wait: fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 12_000 })),
});

interface World {
  readonly seed: number;
  readonly delay: readonly [number, number];
  readonly tunnelling: readonly [boolean, boolean];
  readonly early: boolean;
  readonly keep: boolean;
  readonly noPorts: boolean;
  /** Users that answer channel-asked and incoming calls by themselves. */
  readonly attentive: boolean;
  readonly steps: readonly Step[];
}

const world: fc.Arbitrary<World> = fc.record({
  seed: fc.integer(),
  delay: fc.constantFrom([5, 5] as const, [1, 60] as const, [1, 2500] as const),
  tunnelling: fc.tuple(fc.boolean(), fc.boolean()),
  early: fc.boolean(),
  keep: fc.boolean(),
  noPorts: fc.boolean(),
  attentive: fc.boolean(),
  steps: fc.array(step, { minLength: 3, maxLength: 20, size: 'max' }),
});

function current(node: Node, started: readonly number[]): number | undefined {
  const ended = new Set(node.seen('released').map((e) => e.call));
  return [...started, ...node.seen('incoming').map((e) => e.call)].filter((call) => !ended.has(call)).at(-1);
}

function commandOf(deed: Deed, call: number, node: Node): H323Command | undefined {
  const local = media(node, 9000);
  switch (deed) {
    case 'proceed':
      return { kind: 'proceeding', call };
    case 'ring':
      return { kind: 'alerting', call, inBand: true };
    case 'progress':
      return { kind: 'progress', call, inBand: false, cause: 41 };
    case 'connect':
      return { kind: 'connect', call };
    case 'release':
      return { kind: 'release', call, cause: 16 };
    case 'hold':
    case 'retrieve':
      return { kind: deed, call };
    case 'open':
      return { kind: 'open-channel', call, capability: audio('PCMU'), local };
    case 'close-send':
      return { kind: 'close-channel', call, media: 'audio', direction: 'send' };
    case 'close-receive':
      return { kind: 'close-channel', call, media: 'audio', direction: 'receive' };
    case 'digit':
      return { kind: 'user-input', call, digit: '#', durationMs: 100 };
    case 'mode':
      return { kind: 'request-mode', call, capability: audio('PCMA') };
    case 'forward':
      return { kind: 'forward', call, number: '12' };
    case 'capabilities':
      return { kind: 'capabilities', call, capabilities: capabilities('PCMU', 'GSM') };
    case 'empty':
      return {
        kind: 'capabilities',
        call,
        capabilities: { media: [], userInput: { alphanumeric: false, signal: false } },
      };
    default:
      return undefined;
  }
}

/** Whether what a user is told makes sense: channels open once, closed once, nothing after `released`. */
function checkStory(node: Node, call: number): void {
  const mine = node.events.filter((e) => 'call' in e && e.call === call);
  assert.equal(mine.filter((e) => e.kind === 'released').length, 1, `released of ${node.name} ${call}`);
  assert.equal(mine.at(-1)?.kind, 'released', 'the last event');
  const once = ['connected', 'incoming', 'fast-start-answered', 'fast-start-refused'];
  for (const kind of once) assert.ok(mine.filter((e) => e.kind === kind).length <= 1, kind);
  const open = new Set<string>();
  for (const event of mine) {
    if (event.kind === 'channel-opened') {
      assert.ok(!open.has(event.channel.kind), 'opened twice');
      open.add(event.channel.kind);
    }
    if (event.kind === 'fast-start-answered') {
      for (const c of event.channels) if (c.direction === 'send') open.add(c.kind);
    }
    if (event.kind === 'channel-closed' && event.direction === 'send') open.delete(event.media);
  }
}

function play(w: World): void {
  const peer = { earlyH245: w.early, keepConnection: w.keep };
  const { net, alice, bob } = pair(w.seed, {
    bobPeer: { ...peer, tunnelling: w.tunnelling[0] },
    alicePeer: { ...peer, tunnelling: w.tunnelling[1] },
  });
  net.delay = w.delay;
  bob.noPorts = w.noPorts;
  const nodes = [alice, bob] as const;
  if (w.attentive) for (const node of nodes) new User(node);
  else {
    for (const node of nodes) {
      node.on = (event) => {
        if (event.kind === 'incoming')
          node.command({ kind: 'capabilities', call: event.call, capabilities: capabilities('PCMA') });
      };
    }
  }
  const started: [number[], number[]] = [[], []];
  let next = 2;
  for (const { who, deed, wait } of w.steps) {
    const node = nodes[who];
    if (deed === 'cut') net.cutStreams();
    else if (deed === 'setup' || deed === 'fast-setup') {
      const local = media(node, 8000);
      const fastStart = [
        {
          kind: 'audio' as const,
          capabilities: [audio('PCMA'), audio('G729')],
          direction: 'both' as const,
          local,
        },
      ];
      node.command(setup(next, who === 0 ? 'bob' : 'alice', deed === 'setup' ? {} : { fastStart }));
      started[who].push(next);
      next += 2;
    } else {
      const call = current(node, started[who]);
      const command = call === undefined ? undefined : commandOf(deed, call, node);
      if (command !== undefined) node.command(command);
    }
    net.run(wait);
  }
  net.delay = [5, 5];
  net.run(15_000);
  for (const [i, node] of nodes.entries()) {
    for (let call = current(node, started[i]!); call !== undefined; call = current(node, started[i]!)) {
      node.command({ kind: 'release', call, cause: 16 });
    }
  }
  net.run();
  for (const [i, node] of nodes.entries()) {
    for (const call of [...started[i]!, ...node.seen('incoming').map((e) => e.call)]) checkStory(node, call);
    assert.deepEqual(node.endpoint.sizes, IDLE, node.name);
    assert.equal(node.endpoint.deadline(), undefined, 'no timer is left');
  }
  assert.equal(net.boundPorts, 0, 'no port is left');
}

test('random deeds and cuts: one released per call, nothing after it; tables, ports and timers empty', () => {
  fc.assert(fc.property(world, play), { numRuns: 400 });
});

test('left alone, every call comes to its end by itself', () => {
  fc.assert(
    fc.property(world, (w) => {
      const { net, alice, bob } = pair(w.seed, {
        bobPeer: { tunnelling: w.tunnelling[0], earlyH245: w.early },
        alicePeer: { tunnelling: w.tunnelling[1], earlyH245: w.early },
      });
      bob.on = (event) => {
        if (event.kind !== 'incoming') return;
        // Nobody tells capabilities, nobody answers channels: H.245 never comes about.
        const deed = (['proceed', 'ring', 'connect', 'progress'] as const)[w.seed & 3]!;
        bob.command(commandOf(deed, event.call, bob)!);
      };
      alice.command(setup(2, 'bob'));
      net.run();
      for (const node of [alice, bob]) {
        assert.equal(node.seen('released').length, 1);
        assert.deepEqual(node.endpoint.sizes, IDLE);
      }
    }),
    { numRuns: 60 },
  );
});
