import assert from 'node:assert/strict';
import { test } from 'node:test';
import { both, call, eventually, Pair, pause, talk } from './plane-pair.test.ts';

test('a dead worker is replaced: the calls go on with the same SSRC and no number comes twice', async (t) => {
  const pair = new Pair();
  t.after(() => pair.stop());
  await pair.start([both, both]);
  pair.session();
  await pair.a.until('lane-up', 2);
  const { inside, outside, innerLeg, outerLeg } = await call(pair, 14);
  await talk(inside, innerLeg.local.port, 10);
  await talk(outside, outerLeg.local.port, 10);
  await eventually(() => inside.heard.length === 10 && outside.heard.length === 10, 'sound before');
  await pause(1200); // a snapshot is taken every second
  const ssrc = outside.heard[0]!.readUInt32BE(8);
  const last = outside.heard.at(-1)!;

  process.kill(pair.b.plane.pids()[0]!, 'SIGKILL');
  await pair.b.until('shard-lost');
  await pair.b.until('shard-ready');
  await pair.a.until('lane-up', 4);
  inside.heard.length = 0;
  outside.heard.length = 0;
  const said = await talk(outside, outerLeg.local.port, 10);
  const back = await talk(inside, innerLeg.local.port, 10);
  await eventually(() => inside.heard.length === 10 && outside.heard.length === 10, 'sound after');
  assert.deepEqual(inside.payloads().sort(), said.sort());
  assert.deepEqual(outside.payloads().sort(), back.sort());
  assert.deepEqual([...new Set(outside.heard.map((m) => m.readUInt32BE(8)))], [ssrc]);
  const step = (outside.heard[0]!.readUInt16BE(2) - last.readUInt16BE(2)) & 0xffff;
  assert.ok(step > 0 && step < 3000, `the sequence goes on upwards (${step})`);
  const ticks = (outside.heard[0]!.readUInt32BE(4) - last.readUInt32BE(4)) >>> 0;
  assert.ok(ticks > 8000 && ticks < 80_000, `the timestamp follows the clock (${ticks})`);
});

test('a worker that dies in the first second of a call: its successor goes on from where main let it begin', async (t) => {
  const pair = new Pair();
  t.after(() => pair.stop());
  await pair.start([both, both]);
  pair.session();
  await pair.a.until('lane-up', 2);
  const rtpBase = { ssrc: 0x12345678, sequence: 65_530, timestamp: 0xffff_ff00 };
  const { inside, outside, innerLeg } = await call(pair, 17, {}, { rtpBase });
  await talk(inside, innerLeg.local.port, 10);
  await eventually(() => outside.heard.length === 10, 'sound before');
  const last = outside.heard.at(-1)!;
  assert.equal(last.readUInt32BE(8), rtpBase.ssrc);
  process.kill(pair.b.plane.pids()[0]!, 'SIGKILL');
  await pair.b.until('shard-ready');
  await pair.a.until('lane-up', 4);
  outside.heard.length = 0;
  await talk(inside, innerLeg.local.port, 10);
  await eventually(() => outside.heard.length === 10, 'sound after');
  assert.deepEqual([...new Set(outside.heard.map((m) => m.readUInt32BE(8)))], [rtpBase.ssrc]);
  const step = (outside.heard[0]!.readUInt16BE(2) - last.readUInt16BE(2)) & 0xffff;
  assert.ok(step > 0 && step < 3000, `the sequence goes on upwards (${step})`);
  const ticks = (outside.heard[0]!.readUInt32BE(4) - last.readUInt32BE(4)) >>> 0;
  assert.ok(ticks > 0 && ticks < 80_000, `and so does the timestamp (${ticks})`);
  for (const phone of [inside, outside]) phone.socket.close();
});

test('a worker that dies takes no call of another with it; its own are on its successor within a second', async (t) => {
  const pair = new Pair();
  t.after(() => pair.stop());
  await pair.start([both, both], 2);
  pair.session(2, 'site-a.example', 0);
  pair.session(2, 'site-a.example', 1);
  await pair.a.until('lane-up', 4);
  await pair.b.until('lane-up', 4);
  const hit = await call(pair, 18);
  const spared = await call(pair, 19, {}, {}, 1);
  await talk(hit.inside, hit.innerLeg.local.port, 5);
  await eventually(() => hit.outside.heard.length === 5, 'sound on the first worker');
  let talking = true;
  const said: string[][] = [];
  const speech = (async () => {
    while (talking) said.push(await talk(spared.inside, spared.innerLeg.local.port, 10));
  })();
  await pause(100);
  const diedAt = Date.now();
  process.kill(pair.b.plane.pids()[0]!, 'SIGKILL');
  hit.outside.heard.length = 0;
  while (hit.outside.heard.length === 0 && Date.now() - diedAt < 8000) {
    await talk(hit.inside, hit.innerLeg.local.port, 2);
  }
  const gap = Date.now() - diedAt;
  talking = false;
  await speech;
  await eventually(
    () => spared.outside.heard.length === said.flat().length,
    'not one packet of the other call is lost',
  );
  assert.deepEqual(spared.outside.payloads().sort(), said.flat().sort());
  assert.ok(hit.outside.heard.length > 0 && gap < 2500, `back after ${gap} ms`);
  t.diagnostic(`sound came back after ${gap} ms`);
  for (const { inside, outside } of [hit, spared])
    for (const phone of [inside, outside]) phone.socket.close();
});
