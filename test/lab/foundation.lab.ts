/** The lab's own instruments on real traffic, without the gateways: peers call each other directly, the filter filters, captures see. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { canaries, pick, REQUEST_PLACES, RESPONSE_PLACES } from './canary.ts';
import { Capture, describe, findAddresses, findTexts, haystacks } from './capture.ts';
import { proveFirewall } from './firewall-proof.ts';
import { labTest, useLab } from './lab.ts';
import type { Asterisk } from './peers/asterisk.ts';
import { hostPort } from './peers/sipp.ts';
import { probe } from './probe.ts';
import { sleep, until } from './run.ts';
import { listen } from './tone.ts';
import { host, placeholderFilter, replaceFilter, spawnInside } from './topology.ts';
import { readWav } from './wav.ts';

let pbx: Asterisk;
const holder = useLab('foundation', async (lab) => {
  // An Asterisk on the Internet side: only to try the instruments without anything between.
  pbx = await lab.asterisk({
    place: 'internet',
    name: 'direct',
    ip: host.callee.v4,
    trunk: hostPort(host.phone.v4, 5060),
  });
});

labTest(
  holder,
  'baresip and Asterisk call each other, each hears the other tone and not its own',
  async (lab) => {
    const phone = await lab.baresip({
      place: 'internet',
      name: 'alice',
      ip: host.phone.v4,
      tone: 500,
      answer: 'auto',
    });
    await phone.call('608', hostPort(host.callee.v4, 5060));
    await sleep(2000);
    await phone.hangup();
    await sleep(300);
    const heardByPbx = listen(readWav(pbx.recordings().at(-1)!), 500);
    assert.ok(heardByPbx.toneSeconds > 1.5, JSON.stringify(heardByPbx));
    const heardByPhone = listen(readWav(phone.recording()), 440);
    assert.ok(heardByPhone.toneSeconds > 1.5, JSON.stringify(heardByPhone));
    assert.equal(listen(readWav(phone.recording()), 500).toneSeconds, 0);
    phone.mark();
    pbx.call('alice', 'wait');
    await phone.established();
    pbx.hangupAll();
    await phone.stop();
  },
);

for (const scenario of [
  'uac-call',
  'uac-cancel',
  'uac-hold',
  'uac-early-media',
  'uac-late-offer',
  'uac-remote-bye',
  'uac-refused',
]) {
  labTest(holder, `SIPp ${scenario} says of Asterisk itself that it is right`, async (lab) => {
    const numbers: Record<string, string> = {
      'uac-cancel': '604',
      'uac-early-media': '610',
      'uac-remote-bye': '609',
      'uac-refused': '603',
    };
    const caller = lab.sipp({
      place: 'internet',
      scenario,
      ip: host.caller.v4,
      port: 5070,
      to: hostPort(host.callee.v4, 5060),
      number: numbers[scenario] ?? '600',
      values: { CODE: '486' },
    });
    const result = await caller.result();
    assert.ok(result.ok, result.why);
  });
}

labTest(holder, 'a SIPp scenario fails where the peer does something else', async (lab) => {
  const caller = lab.sipp({
    place: 'internet',
    scenario: 'uac-refused',
    ip: host.caller.v4,
    port: 5070,
    to: hostPort(host.callee.v4, 5060),
    number: '600',
    values: { CODE: '486' },
    patienceSeconds: 4,
  });
  assert.equal((await caller.result()).ok, false);
});

for (const [scenario, number, cause] of [
  ['uas-early-media', '712', 16],
  ['uas-hold', '712', 16],
  ['uas-refuse', '713', 17],
] as const) {
  labTest(holder, `SIPp ${scenario} as callee of Asterisk itself`, async (lab) => {
    const callee = lab.sipp({
      place: 'internet',
      scenario,
      ip: host.phone.v4,
      port: 5060,
      values: { CODE: '486' },
    });
    await sleep(400);
    if (scenario === 'uas-refuse') pbx.dial(number);
    else pbx.call(number, 'wait');
    if (scenario === 'uas-early-media') {
      await callee.seen(/ACK sip/);
      pbx.hangupAll();
    }
    const result = await callee.result();
    assert.ok(result.ok, result.why);
    if (scenario === 'uas-refuse') assert.equal(pbx.cause(number), cause);
  });
}

for (const family of ['v4', 'v6'] as const) {
  labTest(
    holder,
    `the packet filter lets GW1 reach two ports of GW2 and nobody reach the intranet (IP${family})`,
    async () => {
      replaceFilter(placeholderFilter(family));
      const gw2 = host.gw2Inner[family];
      // Nobody listens: a refusal shows that the SYN arrived and its reply came back.
      const outward = [
        [7060, 'refused'],
        [7061, 'refused'],
        [5060, 'silence'],
        [22, 'silence'],
      ] as const;
      await Promise.all([
        ...outward.map(async ([port, answer]) => {
          const got = await probe('intranet', {
            transport: 'tcp',
            from: host.gw1[family],
            to: gw2,
            toPort: port,
          });
          assert.equal(got.answer, answer, `GW1 to port ${port}`);
        }),
        ...[host.pbx[family], host.intranetCaller[family]].map(async (from) => {
          assert.equal(
            (await probe('intranet', { transport: 'tcp', from, to: gw2, toPort: 7060 })).answer,
            'silence',
            from,
          );
        }),
        ...attacks(family).map(async ([name, attempt]) => {
          assert.equal((await probe('dmz', attempt)).answer, 'silence', name);
        }),
      ]);
    },
  );
}

/** What a termination gateway in an attacker's hands can try with the network alone. */
function attacks(family: 'v4' | 'v6') {
  const { gw2Inner, dmzOther, gw1, pbx: inside } = host;
  return [
    ['SYN to the PBX', { transport: 'tcp', from: gw2Inner[family], to: inside[family], toPort: 5060 }],
    ['SYN to GW1', { transport: 'tcp', from: gw2Inner[family], to: gw1[family], toPort: 5060 }],
    [
      'SYN from the tunnel port',
      { transport: 'tcp', from: dmzOther[family], fromPort: 7060, to: gw1[family], toPort: 40_000 },
    ],
    [
      'UDP to the PBX',
      { transport: 'udp', from: gw2Inner[family], to: inside[family], toPort: 5060, text: 'OPTIONS' },
    ],
    [
      'UDP from the media port',
      { transport: 'udp', from: gw2Inner[family], fromPort: 7061, to: gw1[family], toPort: 16_384 },
    ],
  ] as const;
}

labTest(
  holder,
  'captures: an attack that is dropped leaves no packet inside, one that an open filter lets pass is seen',
  async (lab) => {
    for (const [rules, faults] of [
      [placeholderFilter('v4'), false],
      ['table inet open { }\n', true],
    ] as const) {
      replaceFilter(rules);
      const folder = lab.place(`filter-${faults}`);
      const outside = await Capture.start('firewallDmz', folder);
      const inside = await Capture.start('firewallIntranet', folder);
      await probe('dmz', attacks('v4')[0][1]);
      await Promise.all([outside.stop(), inside.stop()]);
      assert.ok(
        outside.packets().some((p) => p.destination === host.pbx.v4),
        'the attack was on the wire',
      );
      assert.equal(proveFirewall(inside.packets(), 'v4').faults.length > 0, faults);
    }
  },
);

labTest(
  holder,
  'captures: a planted string and a planted address are found, also cut by TCP segments',
  async (lab) => {
    const capture = await Capture.start('internet', lab.place('plant'));
    const text = 'v: canary-planted\r\nc=IN IP4 10.20.30.10\r\n';
    for (const transport of ['udp', 'tcp'] as const) {
      await probe('dmz', { transport, from: host.gw2.v4, to: host.callee.v4, toPort: 5060, text });
    }
    await capture.stop();
    const stacks = haystacks(capture.file);
    assert.ok(findTexts(stacks, ['canary-planted']).length >= 2, 'found in both transports');
    assert.ok(findAddresses(stacks, [host.pbx.v4]).length >= 2);
    const none = findTexts(stacks, ['canary-absent']);
    assert.deepEqual(none, [], describe(none));
  },
);

labTest(
  holder,
  'canaries: a call between two SIPp shows every planted value of both on the wire',
  async (lab) => {
    const outside = canaries('o');
    const inside = canaries('i');
    const capture = await Capture.start('internet', lab.place('canaries'));
    const to = hostPort(host.gw2.v4, 5060);
    for (const scenario of ['uas-canary', 'uas-canary-refuse']) {
      const callee = lab.sipp({ place: 'dmz', scenario, ip: host.gw2.v4, port: 5060, values: inside });
      await sleep(400);
      const callId = `${outside.CALLID}-%u-%p@%s`;
      const caller = lab.sipp({
        place: 'internet',
        scenario: 'uac-canary',
        ip: host.caller.v4,
        port: 5070,
        to,
        number: '600',
        values: outside,
        callId,
      });
      const [called, calling] = await Promise.all([callee.result(), caller.result()]);
      assert.ok(called.ok, called.why);
      assert.equal(calling.ok, scenario === 'uas-canary', calling.why);
    }
    await capture.stop();
    const planted = [...pick(outside, REQUEST_PLACES), ...pick(inside, RESPONSE_PLACES)];
    const seen = new Set(findTexts(haystacks(capture.file), planted).map((f) => f.needle));
    assert.deepEqual(
      planted.filter((value) => !seen.has(value)),
      [],
    );
  },
);

labTest(holder, 'captures: SIP over TLS of a phone is read with the key log of its peer', async (lab) => {
  const capture = await Capture.start('internet', lab.place('tls-capture'));
  const keyLog = join(lab.place('tls-capture'), 'keys.log');
  const { folder } = pbx;
  const script = `
    import { createServer } from 'node:tls'; import { readFileSync } from 'node:fs';
    createServer({ key: readFileSync('${folder}/etc/tls.key'), cert: readFileSync('${folder}/etc/tls.crt') }, (s) => s.on('data', () => s.write('SIP/2.0 404 cnrytls-answer\\r\\n\\r\\n')))
      .listen(5061, '${host.gw2.v4}', () => console.log('ready'));`;
  const server = spawnInside('dmz', 'tls', process.execPath, [
    `--tls-keylog=${keyLog}`,
    '--input-type=module',
    '-e',
    script,
  ]);
  await until('the TLS server', 5000, () => server.output.includes('ready'));
  const phone = await lab.baresip({
    place: 'internet',
    name: 'tls',
    ip: host.phone.v4,
    transport: 'tls',
    tone: 500,
  });
  phone.dial('608608', hostPort(host.gw2.v4, 5061));
  await sleep(1500);
  await phone.stop();
  await Promise.all([capture.stop(), server.stop()]);
  assert.equal(
    findTexts(haystacks(capture.file), ['608608', 'cnrytls-answer']).length,
    0,
    'not readable without the keys',
  );
  const read = new Set(
    findTexts(haystacks(capture.file, keyLog), ['608608', 'cnrytls-answer']).map((f) => f.needle),
  );
  assert.deepEqual([...read].sort(), ['608608', 'cnrytls-answer']);
});
