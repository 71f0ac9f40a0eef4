/** Cuts and crashes: established calls survive a cut of five seconds; after a crash calls end cleanly and new ones work. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { missingSeconds } from './hearing.ts';
import { type Lab, labTest, useLab } from './lab.ts';
import { children } from './operator.ts';
import { inward, Pair, type Role } from './pair.ts';
import type { Asterisk } from './peers/asterisk.ts';
import type { Baresip } from './peers/baresip.ts';
import { hostPort } from './peers/sipp.ts';
import { sleep, until } from './run.ts';
import { listen, type ToneReport } from './tone.ts';
import { cut, heal, host } from './topology.ts';
import { readWav } from './wav.ts';

const PHONE_TONE = 500;
const PBX_TONE = 440;
const CUT_MS = 5000;

let pair: Pair;
let pbx: Asterisk;
const holder = useLab('cuts', async (lab) => {
  pbx = await lab.pbx('v4', {
    tone: PBX_TONE,
  });
  pair = await Pair.start(lab);
});

let count = 0;
async function connected(lab: Lab): Promise<Baresip> {
  count += 1;
  const phone = await lab.baresip({
    place: 'internet',
    name: `phone-${count}`,
    ip: host.phone.v4,
    tone: PHONE_TONE,
  });
  await phone.call(`${inward.pbx4}608`, hostPort(host.gw2.v4, 5060));
  return phone;
}

/** What both ends heard of the call that has just ended. */
async function heard(phone: Baresip): Promise<{ phone: ToneReport; pbx: ToneReport; text: string }> {
  await sleep(300);
  const report = {
    phone: listen(readWav(phone.recording()), PBX_TONE),
    pbx: listen(readWav(pbx.recordings().at(-1)!), PHONE_TONE),
  };
  return { ...report, text: JSON.stringify(report) };
}

/** Sound both ways in a new call: the pair works. */
async function works(lab: Lab): Promise<void> {
  const phone = await connected(lab);
  await pair.spoken(2);
  await phone.hangup();
  await pair.idle();
  const report = await heard(phone);
  assert.ok(report.phone.toneSeconds > 1 && report.pbx.toneSeconds > 1, report.text);
  await phone.stop();
}

labTest(
  holder,
  'signalling cut of 5 s: the call stays, its sound does not stop',
  async (lab) => {
    const phone = await connected(lab);
    await sleep(1500);
    cut([7060]);
    await sleep(CUT_MS);
    heal();
    await pair.ready();
    await pair.spoken(8);
    assert.equal((await pair.calls('termination')).length, 1);
    assert.equal((await pair.calls('relay')).length, 1);
    await phone.hangup();
    await pair.idle(10_000);
    const report = await heard(phone);
    assert.ok(missingSeconds(report.phone) < 0.3 && missingSeconds(report.pbx) < 0.3, report.text);
    assert.ok(report.phone.toneSeconds > 7, report.text);
    await phone.stop();
  },
  { timed: true },
);

for (const [name, ports] of [
  ['media', [7061]],
  ['signalling and media', [7060, 7061]],
] as const) {
  labTest(holder, `${name} cut of 5 s: the call stays, its sound resumes within 5 s`, async (lab) => {
    const phone = await connected(lab);
    await sleep(1500);
    cut(ports);
    await sleep(CUT_MS);
    heal();
    await sleep(8000);
    assert.equal((await pair.calls('termination')).length, 1);
    assert.equal((await pair.calls('relay')).length, 1);
    await phone.hangup();
    await pair.idle(10_000);
    const report = await heard(phone);
    for (const end of [report.phone, report.pbx]) {
      // 1.5 s before and at least 3 of the 8 s after; the hole itself is there, or the cut was none
      assert.ok(end.toneSeconds > 4, report.text);
      assert.ok(missingSeconds(end) > 3 || end.seconds < 13, report.text);
    }
    await phone.stop();
    await pair.ready();
  });
}

labTest(holder, 'BYE during a signalling cut: the far half is released after it', async (lab) => {
  const phone = await connected(lab);
  await sleep(500);
  cut([7060]);
  await sleep(1500);
  await phone.hangup();
  await phone.heard(/terminated|closed/i, 3000);
  await sleep(2000);
  heal();
  await pair.ready();
  await pair.idle(10_000);
  await until('the PBX without channels', 5000, () => pbx.channels() === 0);
  await phone.stop();
});

labTest(holder, 'a new call during a signalling cut: 503 with Retry-After', async (lab) => {
  cut([7060]);
  await sleep(6000); // long enough to be noticed
  try {
    const caller = lab.sipp({
      place: 'internet',
      scenario: 'uac-refused',
      ip: host.caller.v4,
      port: 5070,
      to: hostPort(host.gw2.v4, 5060),
      number: `${inward.pbx4}600`,
      values: { CODE: '503' },
    });
    const result = await caller.result();
    assert.ok(result.ok, result.why);
    assert.match(result.messages, /^Retry-After: *\d+/im);
  } finally {
    heal();
  }
  await pair.ready();
  await pair.idle();
  await works(lab);
});

function gone(pids: readonly number[]): boolean {
  return pids.every((pid) => !existsSync(`/proc/${pid}`));
}

for (const role of ['termination', 'relay'] as const satisfies readonly Role[]) {
  const other = role === 'termination' ? 'relay' : 'termination';
  labTest(
    holder,
    `kill -9 of the ${role} gateway: its calls end at the ${other}, its workers end, it starts again and works`,
    async (lab) => {
      const phone = await connected(lab);
      await sleep(500);
      const pids = pair.pids(role);
      pair.process(role).kill('SIGKILL');
      await until('no process of it left', 8000, () => gone(pids));
      const over =
        role === 'termination'
          ? () => pbx.channels() === 0
          : () => /terminated|closed/i.test(phone.process.output);
      await until(`the call to end at the ${other}`, 45_000, over);
      await until(`no call at the ${other}`, 5000, async () => (await pair.calls(other)).length === 0);
      pair.launch(role);
      await pair.ready();
      await phone.stop();
      pbx.hangupAll();
      await pair.idle();
      await works(lab);
    },
    { seconds: 120 },
  );

  labTest(
    holder,
    `kill -9 of the ${role} gateway's media worker: the call stays, its sound comes back, new calls work`,
    async (lab) => {
      const phone = await connected(lab);
      await pair.spoken(2.5); // a successor goes on from the state its predecessor told every second
      const main = pair.process(role).pid;
      const workers = children(main);
      assert.ok(workers.length > 0, 'the gateway has a media worker');
      for (const worker of workers) process.kill(worker, 'SIGKILL');
      await pair.spoken(6.5);
      assert.equal(pair.process(role).running, true);
      assert.equal(
        children(main).some((pid) => !workers.includes(pid)),
        true,
        'a new worker',
      );
      assert.equal((await pair.calls(role)).length, 1);
      await phone.hangup();
      await pair.idle(10_000);
      const report = await heard(phone);
      // 2.5 s before, at least three after
      assert.ok(report.phone.toneSeconds > 5.5 && report.pbx.toneSeconds > 5.5, report.text);
      assert.ok(missingSeconds(report.pbx) < 2, report.text);
      await phone.stop();
      await pair.ready();
      await works(lab);
    },
  );
}

labTest(
  holder,
  'SIGTERM drains: the call goes on, new ones are refused; a second SIGTERM ends it cleanly on both sides',
  async (lab) => {
    const phone = await connected(lab);
    await sleep(500);
    const roles = ['termination', 'relay'] as const;
    for (const role of roles) pair.process(role).kill('SIGTERM');
    await sleep(1500);
    assert.equal((await pair.calls('termination')).length, 1);
    const caller = lab.sipp({
      place: 'internet',
      scenario: 'uac-refused',
      ip: host.caller.v4,
      port: 5070,
      to: hostPort(host.gw2.v4, 5060),
      number: `${inward.pbx4}600`,
      values: { CODE: '503' },
    });
    const refused = await caller.result();
    assert.ok(refused.ok, refused.why);
    assert.deepEqual(await pair.stop(), { termination: 0, relay: 0 });
    await until('the PBX without channels', 5000, () => pbx.channels() === 0);
    await phone.heard(/terminated|closed/i, 2000);
    await phone.stop();
    for (const role of roles) pair.launch(role);
    await pair.ready();
    await works(lab);
  },
);
