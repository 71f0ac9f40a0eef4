import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LegStream } from '../call/leg.ts';
import { CALL, control, counted, drain, stream } from './fixtures.test.ts';

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
