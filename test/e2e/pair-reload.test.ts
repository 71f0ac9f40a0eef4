import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { eventually, Pair, sleep } from './pair.ts';

test('SIGHUP takes new routes, keeps calls that are up, and a broken file changes nothing', {
  timeout: 180_000,
}, async (t) => {
  const pair = await Pair.start();
  t.after(() => pair.stop());
  const call = await pair.call();
  const file = pair.config('gw1');
  const old = readFileSync(file, 'utf8');
  const reload = async (text: string, expected: RegExp): Promise<void> => {
    const from = pair.gw1.log.length;
    writeFileSync(file, text);
    pair.gw1.child.kill('SIGHUP');
    await eventually(
      () => Promise.resolve(expected.test(pair.gw1.log.slice(from))),
      5000,
      () => `not in the log: ${expected}\n${pair.gw1.log.slice(from)}`,
    );
  };
  await reload(
    old.replace('match: "*", to: "peer:pbx"', 'match: "*", to: "refuse:21"'),
    /configuration reloaded/,
  );
  assert.equal((await pair.phone.call('601')).endStatus, 403);
  assert.ok(call.alive, 'the call that was up stays');
  await reload(old, /configuration reloaded/);
  const again = await pair.call();
  await reload(`${old}\nnonsense: [`, /reload failed/);
  await reload(old.replace('to: "peer:pbx"', 'to: "peer:nobody"'), /nobody.*reload failed/);
  // One listener is to move to a port that is taken: nothing changes, the listener stays where it was.
  const taken = createSocket('udp4');
  await new Promise<void>((resolve) => taken.bind(0, '127.0.0.1', resolve));
  const moved = old.replace(/(transport: udp, address: "127\.0\.0\.1:)\d+/, `$1${taken.address().port}`);
  assert.notEqual(moved, old);
  await reload(moved, /is in use: another program.*reload failed/);
  taken.close();
  const third = await pair.call();
  await sleep(300);
  for (const c of [call, again, third]) {
    assert.ok(c.alive);
    await c.hangUp();
  }
  pair.gw1.ensureAlive();
});
