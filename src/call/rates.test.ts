/** What one call may say to the other side: changes of its media, and digits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Bench, CALL, connectedCallee, connectedCaller, offer } from './fixtures.test.ts';

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
