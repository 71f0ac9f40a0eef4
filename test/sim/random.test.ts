/**
 * Thousands of random scenarios: calls, changes, digits, hang-ups, cuts, restarts and reloads at random moments over a lossy,
 * reordering, duplicating network. After each nothing is left. Replay one: VOIP_SGW_SEED=<seed in the message>.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { GatewayConfig } from '../../src/gateway/config.ts';
import { finish } from './check.ts';
import { relayConfig, terminationConfig } from './sim-config.ts';
import type { FaxPlace, SimCall, SimPeer } from './sim-peer.ts';
import { CLEAN, type NetworkOptions, World } from './world.ts';

const RUNS = Number(process.env['VOIP_SGW_RUNS'] ?? 800);
const SEED = process.env['VOIP_SGW_SEED'] === undefined ? undefined : Number(process.env['VOIP_SGW_SEED']);

type Side = 'phone' | 'pbx';
type Step =
  | { readonly do: 'call'; readonly side: Side; readonly late: boolean; readonly formats: string }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'end'; readonly side: Side; readonly which: number }
  | { readonly do: 'digit' | 'refer'; readonly side: Side; readonly which: number }
  | { readonly do: 'change'; readonly side: Side; readonly which: number; readonly media: string | undefined }
  | {
      readonly do: 'fax';
      readonly side: Side;
      readonly which: number;
      readonly place: FaxPlace | undefined;
    }
  | { readonly do: 'cut'; readonly ms: number; readonly silent: boolean }
  | { readonly do: 'reload'; readonly role: 'termination' | 'relay' }
  | { readonly do: 'worker'; readonly role: 'termination' | 'relay' }
  | { readonly do: 'restart'; readonly role: 'termination' | 'relay'; readonly ms: number };

const side = fc.constantFrom<Side>('phone', 'pbx');
const which = fc.nat(2);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('call' as const),
      side,
      late: fc.boolean(),
      formats: fc.constantFrom('0 8 101', '8 101', '0', '18 101'),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.oneof(fc.nat(30), fc.nat(600), fc.nat(8000)),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom('end' as const, 'end' as const, 'digit' as const, 'refer' as const),
      side,
      which,
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('change' as const),
      side,
      which,
      media: fc.constantFrom('sendrecv', 'sendonly', 'inactive', undefined),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('fax' as const),
      side,
      which,
      place: fc.constantFrom<(FaxPlace | undefined)[]>('instead', 'beside', undefined),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('cut' as const),
      ms: fc.constantFrom(200, 3000, 5000, 12_000, 40_000),
      silent: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom('reload' as const, 'worker' as const),
      role: fc.constantFrom('termination' as const, 'relay' as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('restart' as const),
      role: fc.constantFrom('termination' as const, 'relay' as const),
      ms: fc.constantFrom(0, 300, 5000),
    }),
  },
);

const network: fc.Arbitrary<NetworkOptions> = fc.record({
  loss: fc.constantFrom(0, 0, 0.05, 0.2),
  duplicate: fc.constantFrom(0, 0.1),
  minDelayMs: fc.constant(1),
  maxDelayMs: fc.constantFrom(2, 30, 120),
});

/** What each called number does, chosen by the world's own seed. */
function answers(world: World, peer: SimPeer, call: SimCall): void {
  const at = (): number => world.random.below(400);
  switch (world.random.below(10)) {
    case 0:
      peer.later(at(), () => peer.reject(call, [404, 486, 503, 603, 302, 488][world.random.below(6)]!));
      return;
    case 1:
      peer.ring(call);
      return; // nobody answers
    case 2:
      peer.later(at() / 4, () => peer.early(call));
      peer.later(100 + at(), () => peer.accept(call));
      return;
    default:
      peer.ring(call);
      peer.later(at(), () => peer.accept(call));
  }
}

/** The media worker dies and its successor is given the streams that are open. */
function loseWorker(world: World, role: 'termination' | 'relay'): void {
  const gateway = world[role];
  for (const kind of ['shard-lost', 'shard-ready'] as const)
    world.input(gateway, { kind: 'plane', shard: 0, event: { kind, shard: 0, reason: 'SIGKILL' } });
}

/** Left alone, both sides see the same calls, and the two legs of each agree who may speak. */
function assertAgreement(world: World): void {
  world.network = CLEAN;
  world.run(110_000); // longer than any ringing, retransmission or change
  const up = (peer: SimPeer): number => peer.calls.filter((c) => c.state === 'connected').length;
  const legs = [world.termination, world.relay].map(
    (g) => new Map([...g.openStreams.values()].map((leg) => [leg.stream, leg.direction])),
  );
  const kinds = [world.termination, world.relay].map((g) =>
    [...g.openStreams.values()].map((leg) => `${leg.stream} ${leg.kind}`).sort(),
  );
  assert.deepEqual(kinds[0], kinds[1], `speech or fax, the same at both gateways (seed ${world.seed})`);
  const counts = [up(world.phone), up(world.pbx), legs[0]!.size, legs[1]!.size];
  assert.deepEqual(
    counts,
    new Array(4).fill(counts[0]),
    `calls at phone, PBX, streams at GW2, GW1 (seed ${world.seed})`,
  );
  for (const [stream, direction] of legs[0]!)
    assert.equal(
      legs[1]!.get(stream),
      MIRROR[direction],
      `direction at GW1 where GW2 has ${direction} (seed ${world.seed})`,
    );
}

const MIRROR = {
  sendrecv: 'sendrecv',
  inactive: 'inactive',
  sendonly: 'recvonly',
  recvonly: 'sendonly',
} as const;

function withFax({ media }: GatewayConfig): GatewayConfig['media'] {
  return { ...media, codecs: [...media.codecs, 'T38'] };
}

function play(seed: number, net: NetworkOptions, steps: readonly Step[]): void {
  const world: World = new World({
    seed,
    network: net,
    termination: { media: withFax(terminationConfig()) },
    relay: { media: withFax(relayConfig()) },
    phone: { answer: (call) => answers(world, world.phone, call) },
    pbx: { answer: (call) => answers(world, world.pbx, call) },
  }).start();
  for (const s of steps) {
    const pick = (peer: SimPeer, n: number): SimCall | undefined => peer.calls.at(-1 - n);
    if (s.do === 'wait') world.run(s.ms);
    else if (s.do === 'cut') world.cut(s.ms, s.silent);
    else if (s.do === 'restart') world.restart(s.role, s.ms);
    else if (s.do === 'reload') world.configure(world[s.role], {});
    else if (s.do === 'worker') loseWorker(world, s.role);
    else if (s.do === 'call') world[s.side].call('601', { lateOffer: s.late, formats: s.formats });
    else {
      const call = pick(world[s.side], s.which);
      if (call === undefined || call.state === 'ended') continue;
      if (s.do === 'end') world[s.side].end(call);
      else if (s.do === 'change') world[s.side].reinvite(call, s.media);
      else if (s.do === 'fax') world[s.side].refax(call, s.place);
      else if (call.state !== 'connected') continue;
      else if (s.do === 'refer') world[s.side].refer(call, '602');
      else world[s.side].digit(call, '5');
    }
  }
  world.run(1000);
  const restarted = steps.some((s) => s.do === 'restart' || (s.do === 'cut' && s.ms > 8000));
  if (!restarted) assertAgreement(world);
  finish(world, { crossed: true, records: restarted ? 'any' : 'both' });
}

test(`${RUNS} random scenarios leave no call, transaction, port, timer, stream or place behind`, () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_000_000 }),
      network,
      fc.array(step, { minLength: 1, maxLength: 14 }),
      play,
    ),
    { numRuns: RUNS, ...(SEED === undefined ? {} : { seed: SEED }) },
  );
});
