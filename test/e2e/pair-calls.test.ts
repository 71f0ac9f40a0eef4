import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Pair, PHONE_NUMBER, sleep } from './pair.ts';

/** An optional dependency: without it `dgram` is all there is. */
const HAS_KOFFI = await import('koffi').then(
  () => true,
  () => false,
);

describe('calls', { concurrency: 2 }, () => {
  for (const implementation of ['koffi', 'dgram'] as const) {
    test(`calls both ways with sound, and what the operator sees of them (${implementation})`, {
      timeout: 180_000,
      skip: implementation === 'koffi' && !HAS_KOFFI && 'koffi is not installed',
    }, async (t) => {
      const pair = await Pair.start({ implementation });
      t.after(() => pair.stop());
      const status = await pair.status('gw2');
      assert.deepEqual(
        status.shards.map((s) => s.implementation),
        [implementation],
      );
      for (const from of ['phone', 'pbx'] as const) {
        const call = await pair.call(from, from === 'phone' ? '601' : '0301601');
        await sleep(500);
        const match = await call.matchNow(10_000);
        assert.ok(match > 0.6, `sound in the call of ${from}: ${match}`);
        const [here, there] = [await pair.calls('gw2'), await pair.calls('gw1')];
        assert.equal(here.length, 1);
        assert.equal(here[0]!.call, there[0]!.call, 'one id on both gateways');
        assert.equal(here[0]!.state, 'connected');
        assert.ok(here[0]!.streams[0]!.packetsIn > 20);
        if (from === 'phone') await checkOperatorCommands(pair, here[0]!.call);
        await call.hangUp();
      }
      await sleep(700);
      await checkRecords(pair);
      await checkMetrics(pair);
      for (const gateway of pair.gateways.values()) {
        assert.ok(!gateway.log.includes(PHONE_NUMBER), 'no full number in the log at info');
        assert.ok(!gateway.log.includes('0301601'), 'no full number in the log at info');
        assert.doesNotMatch(gateway.log, /PRIVATE KEY|"level":"error"/);
      }
      await drains(pair);
    });
  }
});

test('with media.sharedPorts calls at once go over one pair of ports per gateway, each with its own sound', {
  timeout: 120_000,
}, async (t) => {
  const pair = await Pair.start({
    edit: (_name, text) => text.replace(/^media:$/m, 'media:\n  sharedPorts: true'),
  });
  t.after(() => pair.stop());
  const calls = [await pair.call('phone', '601'), await pair.call('pbx', '0301601')];
  await sleep(500);
  for (const call of calls) {
    const match = await call.matchNow(10_000);
    assert.ok(match > 0.6, `sound: ${match}`);
  }
  const ends = calls.flatMap((call) => [call.phone.line.remote!, call.pbx.line.remote!]);
  const places = new Set(ends.map(({ ip, port }) => `${ip}:${port}`));
  assert.equal(ends.length, 4);
  assert.equal(places.size, 2, [...places].join());
  for (const call of calls) await call.hangUp();
});

async function checkOperatorCommands(pair: Pair, id: string): Promise<void> {
  const calls = JSON.parse(await pair.cli('gw1', 'calls', '--json')) as { call: string }[];
  assert.equal(calls[0]!.call, id);
  assert.match(await pair.cli('gw1', 'calls'), /601/);
  for (const [name, own] of [
    ['gw2', 'INVITE'],
    ['gw1', 'setup'],
  ] as const) {
    const ladder = await pair.cli(name, 'trace', id);
    for (const word of ['INVITE', '180', '200', 'setup', 'connect', own])
      assert.ok(ladder.includes(word), `${word} in\n${ladder}`);
  }
  const status = JSON.parse(await pair.cli('gw2', 'status', '--json')) as { tunnels: { state: string }[] };
  assert.equal(status.tunnels[0]!.state, 'up');
}

async function checkRecords(pair: Pair): Promise<void> {
  const [outside, inside] = [pair.records('gw2'), pair.records('gw1')];
  assert.equal(outside.length, 2);
  assert.deepEqual(
    outside.map((r) => [r['call'], r['result'], r['cause'], r['origin']]),
    inside.map((r) => [r['call'], r['result'], r['cause'], r['origin']]),
  );
  assert.equal(outside[0]!['result'], 'connected');
  const streams = outside[0]!['streams'] as { packetsIn: number; packetsOut: number; codec: string }[];
  assert.ok(streams[0]!.packetsIn > 60 && streams[0]!.packetsOut > 60, JSON.stringify(streams));
  assert.match(streams[0]!.codec, /^PCM[UA]$/);
}

async function checkMetrics(pair: Pair): Promise<void> {
  for (const name of ['gw2', 'gw1'] as const) {
    const base = `http://127.0.0.1:${pair.metrics[name]}`;
    const text = await (await fetch(`${base}/metrics`)).text();
    assert.match(text, /_calls_total\{[^}]*result="connected"[^}]*\} 2/);
    assert.match(text, /_tunnel_up\{[^}]*\} 1/);
    assert.doesNotMatch(text, new RegExp(`${PHONE_NUMBER}|0301601`));
    assert.equal((await fetch(`${base}/healthz`)).status, 200);
  }
}

/** SIGTERM: no new calls, the one that is up goes on until it ends, exit code 0. */
async function drains(pair: Pair): Promise<void> {
  const call = await pair.call();
  pair.gw2.child.kill('SIGTERM');
  await sleep(500);
  const refused = await pair.phone.call('601');
  assert.equal(refused.endStatus, 503);
  assert.ok(call.alive);
  pair.gw2.ensureAlive();
  await call.hangUp();
  assert.equal(await pair.gw2.exit(8000), 0);
  pair.gw1.child.kill('SIGTERM');
  assert.equal(await pair.gw1.exit(8000), 0, 'an idle gateway stops at once');
}
