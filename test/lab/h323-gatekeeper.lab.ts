/** Our gatekeeper and a terminal that nobody here wrote: Asterisk registers, is called by its number, and asks before it calls. */
import assert from 'node:assert/strict';
import { Capture } from './capture.ts';
import { h323Change } from './h323-plan.ts';
import { assertHeard } from './hearing.ts';
import { labTest, useLab } from './lab.ts';
import { Pair } from './pair.ts';
import type { Asterisk } from './peers/asterisk.ts';
import { hostPort } from './peers/sipp.ts';
import { run, sleep, until } from './run.ts';
import { host } from './topology.ts';

const TONES = { pbx: 440, internet: 620 } as const;
const NUMBER = '4301';

let pair: Pair;
let pbx: Asterisk;
let internet: Asterisk;
let capture: Capture;

const holder = useLab('gatekeeper', async (lab) => {
  internet = await lab.asterisk({
    place: 'internet',
    name: 'internet',
    ip: host.callee.v4,
    trunk: `${host.gw2.v4}:5060`,
    tone: TONES.internet,
  });
  capture = await Capture.start('intranet', lab.folder);
  pair = await Pair.start(lab, {
    change: (role, config) => {
      const changed = h323Change(role, config);
      return role === 'termination' ? changed : withGatekeeper(changed);
    },
  });
  pbx = await lab.asterisk({
    place: 'intranet',
    name: 'pbx',
    ip: host.pbx.v4,
    trunk: `${host.gw1.v4}:5060`,
    tone: TONES.pbx,
    hostname: NUMBER,
    h323: { peer: host.gw1.v4, gatekeeper: host.gw1.v4, number: NUMBER },
  });
});

function withGatekeeper(config: Record<string, unknown>): Record<string, unknown> {
  return {
    ...config,
    accounts: [{ username: NUMBER, password: 'lab-secret-4301', number: NUMBER }],
    h323: {
      listeners: [
        { name: 'h323', transport: 'tcp', address: hostPort(host.gw1.v4, 1720) },
        { name: 'ras', transport: 'udp', address: hostPort(host.gw1.v4, 1719) },
      ],
      gatekeeper: { identifier: 'lab', listener: 'ras', signalling: 'h323', peer: 'terminals', open: true },
    },
    peers: [
      {
        name: 'terminals',
        protocol: 'h323',
        sources: [`${host.pbx.v4}/32`],
        mediaNetworks: ['10.20.30.0/24'],
      },
    ],
    routes: [
      { name: 'terminals', from: 'tunnel', match: NUMBER, to: 'registered' },
      { name: 'across', from: 'peers', match: '*', to: 'tunnel' },
    ],
  };
}

async function talk(from: Asterisk, channel: string, to: Asterisk): Promise<void> {
  const before = { from: from.recordings().length, to: to.recordings().length };
  from.originate(channel, 'tone');
  await until('the call to be recorded at both ends', 10_000, () => {
    return from.recordings().length > before.from && to.recordings().length > before.to;
  });
  await pair.spoken(2);
  from.hangupAll();
  await pair.idle(6000);
  for (const [who, end, frequency] of [
    ['caller', from.recordings()[before.from]!, to === pbx ? TONES.pbx : TONES.internet],
    ['callee', to.recordings()[before.to]!, from === pbx ? TONES.pbx : TONES.internet],
  ] as const)
    assertHeard(who, { file: end, frequency, seconds: 1.4 });
  await sleep(1000);
}

labTest(holder, 'Asterisk registers at our gatekeeper with its number', async () => {
  await until('the registration', 15_000, async () => {
    const status = await pair.status('relay');
    return (status.counters['registrations']?.['terminal-registered'] ?? 0) > 0;
  });
});

labTest(holder, 'a call to the number reaches the registered Asterisk', async () => {
  await talk(internet, `PJSIP/${NUMBER}@trunk-alaw`, pbx);
});

labTest(holder, 'Asterisk asks the gatekeeper (ARQ), and its call crosses', async () => {
  await talk(pbx, 'OOH323/70608', internet);
});

labTest(holder, 'no packet of RAS, H.225.0 or H.245 is malformed to tshark', async () => {
  await capture.stop();
  const shown = (filter: string): string =>
    run('tshark', ['-r', capture.file, '-Y', filter, '-T', 'fields', '-e', 'frame.number']).trim();
  assert.equal(shown('_ws.malformed && (h225 || h245 || q931 || tpkt)'), '');
  assert.notEqual(shown('h225.admissionConfirm_element'), '');
});
