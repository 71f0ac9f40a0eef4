import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { CallMessage } from '../meta/message.ts';
import type { CallEntry } from './call-table.ts';
import { answerUnknownCall, CallTable } from './call-table.ts';
import { compareFence } from './fence.ts';
import { ALICE, BOB, LEG_SETUP } from './fixtures.test.ts';
import { HalfCall } from './half-call.ts';
import { buildRecord } from './record.ts';
import { BASE_REST_MS, StreamBases } from './stream-bases.ts';

function id(n: number): string {
  return n.toString(16).padStart(32, '0');
}

function entry(n: number, site = 'berlin'): CallEntry {
  const half = new HalfCall({ call: id(n), side: 'originator', gateway: 'termination-gateway' });
  return { half, leg: n, peer: 'trunk', site };
}

test('call table: by call and by leg, up to its cap, no id twice', () => {
  const table = new CallTable(2);
  const first = entry(1);
  assert.equal(table.add(first), 'added');
  assert.equal(table.add(entry(1)), 'duplicate');
  assert.equal(table.add({ ...entry(9), leg: 1 }), 'duplicate');
  assert.equal(table.add(entry(2, 'paris')), 'added');
  assert.equal(table.add(entry(3)), 'full');
  assert.equal(table.byCall(id(1)), first);
  assert.equal(table.byLeg(1), first);
  assert.equal(table.forSite(id(1), 'paris'), undefined, 'a site cannot reach into the calls of another');
  assert.equal(table.forSite(id(1), 'berlin'), first);
  assert.deepEqual(
    table.fence('paris').map((c) => c.call),
    [id(2)],
  );
  assert.equal(table.remove(id(1)), first);
  assert.equal(table.byLeg(1), undefined);
  assert.equal(table.size, 1);
});

test('call table: a listing for the operator', () => {
  const table = new CallTable(2);
  const one = entry(1);
  table.add(one);
  one.half.leg(LEG_SETUP, 1000);
  assert.deepEqual(table.list(4000), [
    {
      call: id(1),
      state: 'initiated',
      side: 'originator',
      peer: 'trunk',
      site: 'berlin',
      caller: ALICE,
      callee: BOB,
      priority: 'normal',
      seconds: 3,
      connectedSeconds: 0,
    },
  ]);
});

test('unknown calls: requests are answered, answers are not', () => {
  const call = id(1);
  const reply = (message: Record<string, unknown>) =>
    answerUnknownCall({ call, ...message } as CallMessage, 'relay-gateway');
  assert.equal(reply({ kind: 'release', cause: 16, origin: 'callee' }), undefined);
  assert.equal(reply({ kind: 'status', state: 'connected', mediaGeneration: 1 }), undefined);
  assert.deepEqual(reply({ kind: 'status-enquiry' }), {
    kind: 'status',
    call,
    state: 'null',
    mediaGeneration: 0,
  });
  assert.deepEqual(reply({ kind: 'modify' }), { kind: 'release', call, cause: 81, origin: 'relay-gateway' });
});

test('stream bases: multiples of 8, bit 31 by role, never one that lives or rests', () => {
  const gw2 = new StreamBases('termination-gateway');
  const gw1 = new StreamBases('relay-gateway');
  assert.equal(gw2.allocate(0), 8);
  assert.equal(gw2.allocate(0), 16);
  const theirs = gw1.allocate(0);
  assert.equal(theirs, 0x8000_0008);
  assert.equal(gw2.accept(theirs, 0), true);
  assert.equal(gw2.accept(theirs, 0), false, 'in use');
  gw2.free(theirs, 1000);
  assert.equal(gw2.accept(theirs, 1000 + BASE_REST_MS - 1), false, 'resting');
  assert.equal(gw2.accept(theirs, 1000 + BASE_REST_MS), true);
  for (const bad of [0, 24, 0x8000_0000, 0x8000_0009, 2 ** 32, -8, 8.5]) {
    assert.equal(gw2.accept(bad, 0), false, String(bad));
  }
  assert.equal(gw1.accept(24, 0), true);
});

test('stream bases: any order of calls gives every live call its own eight ids', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(4000)), { maxLength: 60 }), (steps) => {
      const bases = new StreamBases('relay-gateway');
      const live: number[] = [];
      const freed = new Map<number, number>();
      let now = 0;
      for (const [take, wait] of steps) {
        now += wait;
        if (take || live.length === 0) {
          const base = bases.allocate(now);
          assert.ok(base >= 0x8000_0008 && base % 8 === 0 && !live.includes(base));
          assert.ok(now - (freed.get(base) ?? Number.NEGATIVE_INFINITY) >= BASE_REST_MS);
          live.push(base);
        } else {
          const base = live.shift()!;
          bases.free(base, now);
          freed.set(base, now);
        }
      }
      assert.equal(bases.live, live.length);
    }),
  );
});

test('fence: calls known to one side only, and calls seen differently', () => {
  const local = [
    { call: id(1), state: 'connected', mediaGeneration: 1, side: 'originator' },
    { call: id(2), state: 'connected', mediaGeneration: 1, side: 'terminator' },
    { call: id(3), state: 'initiated', mediaGeneration: 0, side: 'originator' },
    { call: id(4), state: 'initiated', mediaGeneration: 0, side: 'terminator' },
    { call: id(5), state: 'alerting', mediaGeneration: 0, side: 'originator' },
    { call: id(6), state: 'modifying', mediaGeneration: 2, side: 'originator' },
    { call: id(7), state: 'proceeding', mediaGeneration: 0, side: 'originator' },
  ] as const;
  const remote = [
    { call: id(2), state: 'connected', mediaGeneration: 2 },
    { call: id(5), state: 'connected', mediaGeneration: 0 },
    { call: id(6), state: 'connected', mediaGeneration: 2 },
    { call: id(7), state: 'initiated', mediaGeneration: 0 },
    { call: id(8), state: 'connected', mediaGeneration: 0 },
  ] as const;
  assert.deepEqual(compareFence(local, remote), {
    release: [id(1), id(4)],
    enquire: [id(2), id(5)],
    unknownHere: 1,
  });
});

test('record: durations from the monotonic clock, times of day from the other', () => {
  const half = new HalfCall({ call: id(1), side: 'originator', gateway: 'termination-gateway' });
  half.leg(LEG_SETUP, 1000);
  half.tunnel({ kind: 'proceeding', call: id(1) }, 1010);
  half.tunnel({ kind: 'connect', call: id(1), branch: 0 }, 3000);
  half.leg({ kind: 'release', cause: 16 }, 63_000);
  const common = {
    call: id(1),
    gateway: 'gw2',
    role: 'termination',
    side: 'originator',
    site: 'berlin',
    peer: 'trunk',
    route: 'in',
    clock: { now: 64_000, wall: 1_800_000_064_000 },
    streams: [],
  } as const;
  const record = buildRecord({ ...common, facts: half.facts });
  assert.equal(record.setupAt, 1_800_000_001_000);
  assert.equal(record.connectAt, 1_800_000_003_000);
  assert.equal(record.durationMs, 60_000);
  assert.deepEqual([record.result, record.cause, record.origin], ['connected', 16, 'caller']);
  const refused = buildRecord({ ...common, facts: { priority: 'normal' }, refused: 'call-rate' });
  assert.deepEqual([refused.result, refused.reason, refused.durationMs], ['refused', 'call-rate', 0]);
});
