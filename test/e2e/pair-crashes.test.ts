import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { eventually, HAS_PROC, Pair, sleep } from './pair.ts';

// Mostly waiting, so at the same time.
describe('crashes', { concurrency: 2 }, () => {
  test('kill -9 of a media worker in the middle of a call: the sound comes back, the call lives', {
    timeout: 180_000,
    skip: !HAS_PROC && 'needs /proc',
  }, async (t) => {
    const pair = await Pair.start();
    t.after(() => pair.stop());
    const call = await pair.call();
    await sleep(1300); // a snapshot of the streams is taken every second
    for (const gateway of [pair.gw2, pair.gw1]) {
      const [worker] = gateway.workers();
      process.kill(worker!, 'SIGKILL');
      await sleep(100);
      const gap = (await call.resumed(6000)) + 100;
      assert.ok(gap < 3500, `${gateway.role}: ${gap} ms without sound`);
      assert.ok(call.alive);
      await sleep(500);
      const match = await call.matchNow(10_000);
      assert.ok(match > 0.6, `${gateway.role}: the sound is the sound: ${match}`);
      assert.notDeepEqual(gateway.workers(), [worker]);
    }
    await call.hangUp();
    await sleep(500);
    assert.equal(pair.records('gw2').length, 1);
  });

  for (const name of ['gw2', 'gw1'] as const) {
    test(`kill -9 of ${name} in a call: the other side's leg is released, and calls work when it is back`, {
      timeout: 180_000,
    }, async (t) => {
      const pair = await Pair.start();
      t.after(() => pair.stop());
      const call = await pair.call();
      const started = Date.now();
      await pair.gateways.get(name)!.kill();
      await sleep(300);
      pair.spawn(name);
      const survivor = name === 'gw2' ? call.pbx : call.phone;
      await eventually(
        () => Promise.resolve(survivor.state === 'ended'),
        15_000,
        () => 'the call is still up',
      );
      assert.ok(Date.now() - started < 15_000);
      await pair.tunnelUp();
      assert.equal((await pair.calls('gw2')).length + (await pair.calls('gw1')).length, 0);
      const again = await pair.call();
      await sleep(1500);
      const match = await again.matchNow(10_000);
      assert.ok(match > 0.6, String(match));
      await again.hangUp();
    });
  }
});
