/** Calls both ways with sound, over each transport and family of the Internet side, to PBXs of both families. */
import assert from 'node:assert/strict';
import { assertHeard } from './hearing.ts';
import { full, type Lab, labTest, useLab } from './lab.ts';
import { account, inward, outward, Pair } from './pair.ts';
import type { Asterisk } from './peers/asterisk.ts';
import type { Baresip, Transport } from './peers/baresip.ts';
import { hostPort } from './peers/sipp.ts';
import { root, sleep, until } from './run.ts';
import { listen } from './tone.ts';
import { type Family, host, spawnInside } from './topology.ts';
import { readWav } from './wav.ts';

const PHONE_TONE = 500;
const TONES = { pbx4: 440, pbx6: 620 } as const;
const SECONDS = 3;

let pair: Pair;
const pbx: Partial<Record<'pbx4' | 'pbx6', Asterisk>> = {};
const holder = useLab('calls', async (lab) => {
  for (const [name, family] of [
    ['pbx4', 'v4'],
    ['pbx6', 'v6'],
  ] as const) {
    pbx[name] = await lab.pbx(family, {
      tone: TONES[name],
    });
  }
  pair = await Pair.start(lab);
});

/** `number`: a phone that is called must know itself by the number that is dialled. */
function phone(
  lab: Lab,
  family: Family,
  transport: Transport,
  answer: 'auto' | 'manual' = 'auto',
  number = '2000',
): Promise<Baresip> {
  const name = `phone-${family}-${transport}-${answer}`;
  const ip = host.phone[family];
  return lab.baresip({ place: 'internet', name, ip, transport, tone: PHONE_TONE, answer, user: number });
}

/** GW2 as the phone dials it. */
function gateway(family: Family, transport: Transport): string {
  return hostPort(host.gw2[family], transport === 'tls' ? 5061 : 5060);
}

/** Most of the call, and no hole. */
function assertTone(who: string, file: string, frequency: number, seconds = SECONDS): void {
  assertHeard(who, { file, frequency, seconds: seconds * 0.8, missing: 0.2 });
}

async function newRecording(asterisk: Asterisk, before: number): Promise<string> {
  return until('a recording of the PBX', 4000, () => asterisk.recordings()[before]);
}

const cases: readonly {
  readonly family: Family;
  readonly transport: Transport;
  readonly to: 'pbx4' | 'pbx6';
  readonly only?: 'full';
}[] = [
  { family: 'v4', transport: 'udp', to: 'pbx4' },
  { family: 'v4', transport: 'tcp', to: 'pbx4' },
  { family: 'v4', transport: 'tls', to: 'pbx4' },
  { family: 'v4', transport: 'udp', to: 'pbx6' },
  { family: 'v6', transport: 'udp', to: 'pbx4' },
  { family: 'v6', transport: 'tcp', to: 'pbx6' },
  { family: 'v6', transport: 'tls', to: 'pbx6', only: 'full' },
  { family: 'v4', transport: 'tls', to: 'pbx6', only: 'full' },
  { family: 'v6', transport: 'tcp', to: 'pbx4', only: 'full' },
];

for (const { family, transport, to, only } of cases) {
  const skip = only === 'full' && !full;
  labTest(
    holder,
    `phone over ${transport} IP${family} calls ${to}: each hears the other's tone`,
    async (lab) => {
      const caller = await phone(lab, family, transport, 'manual');
      const before = pbx[to]!.recordings().length;
      await caller.call(`${inward[to]}608`, gateway(family, transport));
      await pair.spoken(SECONDS);
      assert.equal((await pair.calls('termination')).length, 1);
      await caller.hangup();
      await pair.idle();
      assertTone('phone', caller.recording(), TONES[to]);
      assertTone('PBX', await newRecording(pbx[to]!, before), PHONE_TONE);
      await caller.stop();
    },
    { skip, timed: true },
  );
}

const outwardCases: readonly {
  readonly family: Family;
  readonly transport: Transport;
  readonly number: string;
  readonly from: 'pbx4' | 'pbx6';
  readonly only?: 'full';
}[] = [
  { family: 'v4', transport: 'udp', number: outward.phone, from: 'pbx4' },
  { family: 'v4', transport: 'tcp', number: outward.phoneTcp, from: 'pbx4' },
  { family: 'v6', transport: 'udp', number: outward.phone6, from: 'pbx4' },
  { family: 'v4', transport: 'udp', number: outward.phone, from: 'pbx6' },
  { family: 'v6', transport: 'tcp', number: outward.phone6Tcp, from: 'pbx6', only: 'full' },
];

for (const { family, transport, number, from, only } of outwardCases) {
  const skip = only === 'full' && !full;
  labTest(
    holder,
    `${from} calls the phone over ${transport} IP${family}: each hears the other's tone`,
    async (lab) => {
      const callee = await phone(lab, family, transport, 'auto', number);
      const before = pbx[from]!.recordings().length;
      callee.mark();
      pbx[from]!.call(number, 'tone');
      await callee.established();
      await pair.spoken(SECONDS);
      pbx[from]!.hangupAll();
      await pair.idle();
      assertTone('phone', callee.recording(), TONES[from]);
      assertTone('PBX', await newRecording(pbx[from]!, before), PHONE_TONE);
      await callee.stop();
    },
    { skip, timed: true },
  );
}

labTest(
  holder,
  'echo: the phone hears its own tone, through both gateways and back',
  async (lab) => {
    const caller = await phone(lab, 'v4', 'udp', 'manual');
    await caller.call(`${inward.pbx4}600`, gateway('v4', 'udp'));
    await pair.spoken(SECONDS);
    await caller.hangup();
    await pair.idle();
    assertTone('phone', caller.recording(), PHONE_TONE, SECONDS - 0.4);
    await caller.stop();
  },
  { timed: true },
);

labTest(holder, 'early media: the tone before the answer is heard', async (lab) => {
  const caller = await phone(lab, 'v4', 'udp', 'manual');
  caller.dial(`${inward.pbx4}610`, gateway('v4', 'udp'));
  await caller.heard(/SIP Progress: 183/, 8000);
  await sleep(2300); // answered after 3 s
  await caller.hangup();
  await pair.idle();
  const report = listen(readWav(caller.recording()), TONES.pbx4);
  assert.ok(report.toneSeconds > 1.5, JSON.stringify(report));
  await caller.stop();
});

labTest(holder, 'DTMF of the phone (RFC 4733) arrives at the PBX', async (lab) => {
  const caller = await phone(lab, 'v4', 'udp', 'manual');
  const before = pbx.pbx4!.log('dtmf.txt');
  await caller.call(`${inward.pbx4}605`, gateway('v4', 'udp'));
  await sleep(500);
  await caller.dtmf('159#');
  const digits = await until('digits at the PBX', 6000, () => {
    const now = pbx.pbx4!.log('dtmf.txt');
    return now.length > before.length ? now.slice(before.length) : undefined;
  });
  assert.equal(digits.trim(), '159;');
  await pair.idle();
  await caller.stop();
});

labTest(
  holder,
  'hold and resume by the phone: no sound of the phone at the PBX while held, sound again after',
  async (lab) => {
    const caller = await phone(lab, 'v4', 'udp', 'manual');
    const before = pbx.pbx4!.recordings().length;
    await caller.call(`${inward.pbx4}608`, gateway('v4', 'udp'));
    await sleep(1500);
    caller.hold();
    await sleep(2000);
    caller.resume();
    await sleep(1500);
    await caller.hangup();
    await pair.idle();
    const heard = listen(readWav(await newRecording(pbx.pbx4!, before)), PHONE_TONE);
    const what = JSON.stringify(heard);
    assert.ok(heard.toneSeconds > 2.2, what);
    await caller.stop();
  },
);

labTest(
  holder,
  "a stranger's RTP at every media port: neither end hears it, nothing comes back to the stranger",
  async (lab) => {
    const caller = await phone(lab, 'v4', 'udp', 'manual');
    const before = pbx.pbx4!.recordings().length;
    await caller.call(`${inward.pbx4}608`, gateway('v4', 'udp'));
    await sleep(500);
    const file = `${root}/dist/test/lab/rtp-spray.js`;
    const args = [file, host.stranger.v4, host.gw2.v4, '16384', '17406', '3'];
    const spray = spawnInside('internet', 'rtp-spray', process.execPath, args);
    assert.equal(await spray.wait(8000), 0, spray.output);
    await caller.hangup();
    await pair.idle();
    assert.equal(spray.output.trim(), '{"back":0}');
    assertTone('phone', caller.recording(), TONES.pbx4);
    assertTone('PBX', await newRecording(pbx.pbx4!, before), PHONE_TONE);
    await caller.stop();
  },
  { timed: true },
);

labTest(
  holder,
  'a remote user registers, is called by the PBX, and calls it',
  async (lab) => {
    const user = await lab.baresip({
      place: 'internet',
      name: 'remote',
      ip: host.digest.v4,
      tone: PHONE_TONE,
      answer: 'auto',
      user: account.username,
      password: account.password,
      registrar: host.gw2.v4,
    });
    await user.heard(/200 OK|registered/i, 8000);
    assert.equal((await pair.status('termination')).registrations, 1);
    user.mark();
    pbx.pbx4!.call(outward.registered, 'tone');
    await user.established();
    await pair.spoken(SECONDS);
    pbx.pbx4!.hangupAll();
    await pair.idle();
    assertTone('remote user', user.recording(), TONES.pbx4);
    await user.call(`${inward.pbx4}608`, hostPort(host.gw2.v4, 5060));
    await sleep(1500);
    await user.hangup();
    await pair.idle();
    await user.stop();
  },
  { timed: true },
);

labTest(holder, 'the command line shows the live call on both gateways, and its ladder', async (lab) => {
  const caller = await phone(lab, 'v4', 'udp', 'manual');
  await caller.call(`${inward.pbx4}600`, gateway('v4', 'udp'));
  for (const role of ['termination', 'relay'] as const) {
    const list = JSON.parse(pair.command('calls', '--config', pair.config(role), '--json')) as {
      call: string;
    }[];
    assert.equal(list.length, 1, role);
    const trace = pair.command('trace', list[0]!.call, '--config', pair.config(role));
    assert.match(trace, /INVITE/, role);
    assert.match(trace, /connect/i, role);
  }
  await caller.hangup();
  await pair.idle();
  await caller.stop();
});

labTest(holder, 'SIGTERM ends both gateways by themselves, with exit code 0', async () => {
  const codes = await pair.stop();
  assert.deepEqual(codes, { termination: 0, relay: 0 });
});
