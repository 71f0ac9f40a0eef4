/** What one call may say to the other side: changes of its media, digits, and how it rings. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  answer,
  Bench,
  CALL,
  connectedCallee,
  connectedCaller,
  LEG_SETUP,
  META_SETUP,
  offer,
} from './fixtures.test.ts';

/** Changes our leg asks for at one moment, each refused by the far side; how many went into the tunnel. */
function asked(bench: Bench, times: number, now: number, first = 8): number {
  let passed = 0;
  for (let i = 0; i < times; i++) {
    const said = bench.leg({ kind: 'modify', media: offer('originator', first + i) }, now);
    if (!said.includes('tunnel:modify')) continue;
    passed++;
    bench.tunnel({ kind: 'modify-refuse', cause: 88, glare: false }, now);
  }
  return passed;
}

test('a far end that changes its media without end is told to come later, and the tunnel hears 20 of it and one a second', () => {
  const o = connectedCaller();
  assert.equal(asked(o, 200, 0), 20);
  assert.deepEqual(o.leg({ kind: 'modify', media: offer('originator', 300) }, 0), [
    'refused:leg:modify:rate',
    'leg:modify-refuse',
  ]);
  assert.deepEqual(o.lastCommand, {
    kind: 'modify-refuse',
    cause: 41,
    glare: false,
    retryAfterSeconds: 10,
  });
  assert.equal(asked(o, 200, 5000, 400), 5);
  assert.equal(asked(o, 200, 3_600_000, 700), 20, 'an hour later it has its 20 again, no more');
});

test('a far gateway that does not hold to it: 40 changes reach our leg, the others are refused, and the call goes on', () => {
  const t = connectedCallee();
  let passed = 0;
  for (let i = 0; i < 200; i++) {
    const said = t.tunnel({ kind: 'modify', media: offer('originator', 2 + i) }, 0);
    if (said.includes('leg:modify')) {
      passed++;
      t.leg({ kind: 'modify-refuse', cause: 88, glare: false }, 0);
    } else {
      assert.deepEqual(said, ['refused:tunnel:modify:rate', 'tunnel:modify-refuse']);
      assert.deepEqual(t.lastMessage, { kind: 'modify-refuse', call: CALL, cause: 41, glare: false });
    }
  }
  assert.equal(passed, 40);
  assert.deepEqual(t.tunnel({ kind: 'modify', media: offer('originator', 202) }, 2000), [
    'leg:modify',
    'state:modifying-in',
  ]);
});

test('digits: fifty at once and twenty a second, whatever the far end sends', () => {
  const o = connectedCaller();
  const dial = (now: number): number => {
    let passed = 0;
    for (let i = 0; i < 500; i++) {
      const said = o.leg({ kind: 'user-input', digit: '5', durationMs: 100 }, now);
      if (said.includes('tunnel:user-input')) passed++;
      else assert.deepEqual(said, ['refused:leg:user-input:rate']);
    }
    return passed;
  };
  assert.equal(dial(0), 50);
  assert.equal(dial(1000), 20);
});

test('a far gateway that dials without end: a hundred digits at once, then forty a second', () => {
  const t = connectedCallee();
  const dial = (now: number): number => {
    let passed = 0;
    for (let i = 0; i < 500; i++) {
      const said = t.tunnel({ kind: 'user-input', digit: '5', durationMs: 100 }, now);
      if (said.includes('leg:user-input')) passed++;
      else assert.deepEqual(said, ['refused:tunnel:user-input:rate']);
    }
    return passed;
  };
  assert.deepEqual([dial(0), dial(1000)], [100, 40]);
});

test('a called party that rings without end: 50 at once and five a second go into the tunnel; it can still answer', () => {
  const bench = new Bench('terminator');
  bench.tunnel(META_SETUP);
  const ring = (now: number): number => {
    let passed = 0;
    for (let i = 0; i < 300; i++) {
      const kind = i % 2 === 0 ? 'alerting' : 'progress';
      const said = bench.leg({ kind, branch: 1 + (i % 8) }, now);
      if (said.includes(`tunnel:${kind}`)) passed++;
      else assert.deepEqual(said, [`refused:leg:${kind}:rate`]);
    }
    return passed;
  };
  assert.deepEqual([ring(0), ring(2000)], [50, 10]);
  const said = bench.leg({ kind: 'connect', branch: 1, media: answer('originator', 1, 1) }, 2000);
  assert.deepEqual(said, ['tunnel:connect', 'state:connected']);
});

test('a far gateway that rings without end: a hundred at once and ten a second reach our leg; offers in the others are passed over', () => {
  const bench = new Bench('originator');
  const { media: _, ...late } = LEG_SETUP;
  bench.leg(late);
  bench.tunnel({ kind: 'proceeding' });
  let passed = 0;
  for (let i = 0; i < 300; i++)
    if (bench.tunnel({ kind: 'progress', branch: 1 }, 0).includes('leg:progress')) passed++;
  assert.equal(passed, 100);
  assert.deepEqual(bench.tunnel({ kind: 'progress', branch: 1, media: offer('terminator', 1, 1) }, 0), [
    'refused:tunnel:progress:rate',
  ]);
  const connect = { kind: 'connect', branch: 1, media: offer('terminator', 2, 1) };
  assert.deepEqual(bench.tunnel(connect, 0), ['leg:connect', 'state:connected']);
});
