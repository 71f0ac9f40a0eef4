/** Transfers that Asterisk asks for (REFER), and our registration at Asterisk as at a trunk provider. */
import assert from 'node:assert/strict';
import { labTest, useLab } from './lab.ts';
import { inward, outward, Pair, type Role } from './pair.ts';
import type { Asterisk } from './peers/asterisk.ts';
import { hostPort } from './peers/sipp.ts';
import { sleep, until } from './run.ts';
import { listen } from './tone.ts';
import { host } from './topology.ts';
import { readWav } from './wav.ts';

const PHONE_TONE = 500;
const PBX_TONE = 440;
/** The extension of the PBX that we register as, and where its calls go. */
const EXTENSION = { username: '1001', password: 'secret1001', realm: 'asterisk' };

let pair: Pair;
let pbx: Asterisk;
const holder = useLab('services', async (lab) => {
  pbx = await lab.pbx('v4', {
    tone: PBX_TONE,
  });
  pair = await Pair.start(lab, { change });
});

function change(role: Role, config: Record<string, unknown>): Record<string, unknown> {
  if (role === 'termination') return config;
  const peers = config['peers'] as Record<string, unknown>[];
  const registers = { credentials: EXTENSION, register: true, registerSeconds: 60 };
  const toPhone = {
    name: 'extension',
    from: 'peers',
    match: EXTENSION.username,
    to: 'tunnel',
    strip: 4,
    prefix: outward.phone,
  };
  return {
    ...config,
    peers: peers.map((p) => (p['name'] === 'pbx4' ? { ...p, ...registers } : p)),
    routes: [toPhone, ...(config['routes'] as unknown[])],
  };
}

const transfers = async (role: Role): Promise<Readonly<Record<string, number>>> =>
  (await pair.status(role)).counters['transfers'] ?? {};

labTest(
  holder,
  'REFER of Asterisk: the caller outside is connected with another extension, and each hears the other',
  async (lab) => {
    const caller = await lab.baresip({
      place: 'internet',
      name: 'transferred',
      ip: host.phone.v4,
      transport: 'udp',
      tone: PHONE_TONE,
      answer: 'manual',
      user: '2000',
    });
    const before = pbx.recordings().length;
    await caller.call(`${inward.pbx4}63608`, hostPort(host.gw2.v4, 5060));
    await until('the transfer', 8000, async () => ((await transfers('termination'))['success'] ?? 0) >= 1);
    await until('one call left', 5000, async () => (await pair.calls('termination')).length === 1);
    await pair.spoken(3);
    assert.equal(pbx.channels(), 1, 'the first extension is free');
    await caller.hangup();
    await pair.idle();
    const heard = listen(readWav(caller.recording()), PBX_TONE);
    assert.ok(heard.toneSeconds >= 2.4, `phone: ${JSON.stringify(heard)}`);
    const recording = await until('a recording of the PBX', 4000, () => pbx.recordings()[before]);
    const said = listen(readWav(recording), PHONE_TONE);
    assert.ok(said.toneSeconds >= 2.4, `PBX: ${JSON.stringify(said)}`);
    await caller.stop();
  },
);

labTest(holder, 'REFER of Asterisk to a busy extension: 486 comes back, and the call stands', async (lab) => {
  const caller = await lab.baresip({
    place: 'internet',
    name: 'kept',
    ip: host.phone.v4,
    transport: 'udp',
    tone: PHONE_TONE,
    answer: 'manual',
    user: '2000',
  });
  await caller.call(`${inward.pbx4}63603`, hostPort(host.gw2.v4, 5060));
  await until('the outcome', 8000, () => pbx.cause('603') === 486);
  await sleep(2500);
  assert.equal((await pair.calls('relay')).length, 1);
  await caller.hangup();
  await pair.idle();
  const heard = listen(readWav(caller.recording()), PBX_TONE);
  assert.ok(heard.toneSeconds >= 1.8, `phone: ${JSON.stringify(heard)}`);
  await caller.stop();
});

labTest(
  holder,
  'we register at Asterisk (digest), and a call to the extension reaches the phone outside',
  async (lab) => {
    await until(
      'the registration',
      8000,
      async () => (await pair.status('relay')).trunks[0]?.registered === true,
    );
    assert.match(
      pbx.cli('pjsip show contacts'),
      new RegExp(`1001/sip:1001@${host.gw1.v4.replaceAll('.', '\\.')}`),
    );
    const callee = await lab.baresip({
      place: 'internet',
      name: 'called',
      ip: host.phone.v4,
      transport: 'udp',
      tone: PHONE_TONE,
      answer: 'auto',
      user: outward.phone,
    });
    callee.mark();
    pbx.originate(`PJSIP/${EXTENSION.username}`, 'tone');
    await callee.established();
    await pair.spoken(1.5);
    pbx.hangupAll();
    await pair.idle();
    const heard = listen(readWav(callee.recording()), PBX_TONE);
    assert.ok(heard.toneSeconds >= 1, `phone: ${JSON.stringify(heard)}`);
    await callee.stop();
  },
);

labTest(
  holder,
  'the registration is refreshed, and taken back when the gateway stops',
  async () => {
    const count = async (): Promise<number> =>
      (await pair.status('relay')).counters['trunkRegistrations']?.['registered'] ?? 0;
    const before = await count();
    await until('a refresh', 45_000, async () => (await count()) > before);
    assert.equal((await pair.stop()).relay, 0);
    await until('no contact', 5000, () => !/1001\/sip:1001@/.test(pbx.cli('pjsip show contacts')));
  },
  { seconds: 90 },
);
