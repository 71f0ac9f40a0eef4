/**
 * What the captures of every link prove after a round of calls of all kinds, both ways, full of planted values:
 * (a) nothing crossed the inner firewall into the intranet but replies on GW1's two connections;
 * (b) no address, name or product of the intranet is in any byte on the Internet side;
 * (c) nothing that a stranger outside wrote is inside, nor the reverse, not even within the tunnel.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type Canaries, canaries, pick, REQUEST_PLACES, RESPONSE_PLACES } from './canary.ts';
import {
  Capture,
  describe,
  type Finding,
  findAddresses,
  findTexts,
  type Haystack,
  haystacks,
} from './capture.ts';
import { proveFirewall } from './firewall-proof.ts';
import { type Lab, labTest, useLab } from './lab.ts';
import { UDP } from './packets.ts';
import { gatewayName, inward, outward, Pair } from './pair.ts';
import type { Asterisk } from './peers/asterisk.ts';
import type { Transport } from './peers/baresip.ts';
import { hostPort } from './peers/sipp.ts';
import { probe } from './probe.ts';
import { sleep } from './run.ts';
import { host, type LinkName } from './topology.ts';

const outside = canaries('o');
const inside = canaries('i');
/** The PBX's own: host name, product, SDP. */
const PBX_NAMES = ['Asterisk', 'cnrypbxagent', 'cnrypbxowner', 'cnrypbxsession', 'cnrypbxhost'];
const INTRANET_HOSTS = [
  'gw1',
  'pbx',
  'intranetCallee',
  'intranetCaller',
  'firewallIntranet',
  'gw2Inner',
  'firewallDmz',
] as const;
const INTERNET_HOSTS = ['phone', 'caller', 'callee', 'digest', 'gw2', 'outerInternet', 'outerDmz'] as const;
/** A number dialled in the round, to be found again wherever it must be. */
const WITNESS = '608608608';

let pair: Pair;
let pbx: Asterisk;
let captures: Capture[] = [];
const stacks = new Map<LinkName, Haystack[]>();

const holder = useLab('proofs', async (lab) => {
  pbx = await lab.pbx('v4', {
    userAgent: 'Asterisk PBX 22 cnrypbxagent',
    sdpOwner: 'cnrypbxowner',
    sdpSession: 'cnrypbxsession-Asterisk',
    hostname: 'cnrypbxhost.intranet.example',
  });
  captures = await Capture.all(lab.place('captures'));
  pair = await Pair.start(lab);
  await calls(lab);
  await attacks();
  await pair.stop();
  await Promise.all(captures.map((capture) => capture.stop()));
  for (const { link, file } of captures) stacks.set(link, haystacks(file, pair.keyLog));
});

/** The round: canaries from both sides in requests, responses and refusals; then phones and the PBX with sound. */
async function calls(lab: Lab): Promise<void> {
  const toGw2 = hostPort(host.gw2.v4, 5060);
  const toGw1 = hostPort(host.gw1.v4, 5060);
  const callId = (all: Canaries): string => `${all.CALLID}-%u-%p@%s`;
  const fromOutside = (number: string) =>
    lab.sipp({
      place: 'internet',
      scenario: 'uac-canary',
      ip: host.caller.v4,
      port: 5070,
      to: toGw2,
      number,
      values: outside,
      callId: callId(outside),
    });
  const fromInside = (number: string) =>
    lab.sipp({
      place: 'intranet',
      scenario: 'uac-canary',
      ip: host.intranetCaller.v4,
      port: 5070,
      to: toGw1,
      number,
      values: inside,
      callId: callId(inside),
    });
  const calleeInside = (scenario: string) =>
    lab.sipp({ place: 'intranet', scenario, ip: host.intranetCallee.v4, port: 5060, values: inside });
  const calleeOutside = (scenario: string) =>
    lab.sipp({ place: 'internet', scenario, ip: host.callee.v4, port: 5060, values: outside });

  await good(fromOutside(`${inward.pbx4}600`));
  for (const [callee, caller, number] of [
    [calleeInside, fromOutside, `${inward.callee}${WITNESS}`],
    [calleeOutside, fromInside, outward.callee],
  ] as const) {
    const answering = callee('uas-canary');
    await sleep(400);
    await Promise.all([good(caller(number)), good(answering)]);
    const refusing = callee('uas-canary-refuse');
    await sleep(400);
    const refused = caller(number);
    await good(refusing);
    assert.equal((await refused.result()).ok, false, 'a refused call is not connected');
  }
  await phones(lab);
  await pair.idle();
}

async function good(sipp: { result(): Promise<{ ok: boolean; why: string }> }): Promise<void> {
  const result = await sipp.result();
  assert.ok(result.ok, result.why);
}

async function phones(lab: Lab): Promise<void> {
  for (const [transport, user] of [
    ['udp', outward.phone],
    ['tcp', outward.phoneTcp],
    ['tls', outward.phoneTls],
  ] as [Transport, string][]) {
    const phone = await lab.baresip({
      place: 'internet',
      name: `phone-${transport}`,
      user,
      ip: host.phone.v4,
      transport,
      tone: 500,
      answer: 'auto',
    });
    await phone.call(`${inward.pbx4}608`, hostPort(host.gw2.v4, transport === 'tls' ? 5061 : 5060));
    await sleep(1500);
    await phone.hangup();
    await pair.idle();
    if (transport !== 'tls') {
      phone.mark();
      pbx.call(user, 'tone');
      await phone.established();
      await sleep(1000);
      pbx.hangupAll();
      await pair.idle();
    }
    await phone.stop();
  }
}

/** A termination gateway in an attacker's hands knocks at the intranet while the tunnel is up. */
async function attacks(): Promise<void> {
  const from = host.gw2Inner.v4;
  const text = 'OPTIONS sip:cnryattack SIP/2.0\r\n\r\n';
  await Promise.all([
    probe('dmz', { transport: 'tcp', from, to: host.pbx.v4, toPort: 5060 }),
    probe('dmz', { transport: 'tcp', from, to: host.gw1.v4, toPort: 5060 }),
    probe('dmz', {
      transport: 'tcp',
      from: host.dmzOther.v4,
      fromPort: 7060,
      to: host.gw1.v4,
      toPort: 40_000,
    }),
    probe('dmz', { transport: 'udp', from, to: host.pbx.v4, toPort: 5060, text }),
    probe('dmz', { transport: 'udp', from, fromPort: 7061, to: host.gw1.v4, toPort: 16_384, text }),
    probe('dmz', { transport: 'tcp', from: host.gw2Inner.v6, to: host.pbx.v6, toPort: 5060 }),
  ]);
}

function none(findings: readonly Finding[]): void {
  assert.equal(findings.length, 0, describe(findings));
}

function found(stacks: readonly Haystack[], needles: readonly string[], where: string): void {
  const seen = new Set(findTexts(stacks, needles).map((f) => f.needle));
  const missing = needles.filter((needle) => !seen.has(needle));
  assert.deepEqual(missing, [], `planted, and not seen on ${where}: the proof would prove nothing`);
}

function on(...links: LinkName[]): Haystack[] {
  return links.flatMap((name) => stacks.get(name)!);
}

/** What peers inside see, and what crosses the inner firewall, clear and decrypted. */
const INSIDE: readonly LinkName[] = ['intranet', 'firewallIntranet', 'firewallDmz', 'dmzInner'];
const OUTSIDE: readonly LinkName[] = ['internet', 'dmzOuter'];

labTest(
  holder,
  'the captures hold what was planted: every canary on its own side, media, and the tunnel decrypted',
  async () => {
    found(on('internet'), pick(outside, [...REQUEST_PLACES, ...RESPONSE_PLACES]), 'the Internet');
    found(on('intranet'), pick(inside, [...REQUEST_PLACES, ...RESPONSE_PLACES]), 'the intranet');
    found(on('intranet'), PBX_NAMES, 'the intranet');
    // The called number does cross: it is found inside the tunnel, so the tunnel can be read.
    found(
      on('firewallDmz').filter((s) => s.where.includes('decrypted')),
      [WITNESS],
      'the decrypted tunnel',
    );
    found(
      on('internet').filter((s) => s.where.includes('decrypted')),
      [`${inward.pbx4}608`.padEnd(5, '@')],
      'the decrypted SIP over TLS',
    );
    const rtp = captures
      .find((c) => c.link === 'internet')!
      .packets()
      .filter((p) => p.protocol === UDP && p.destinationPort! >= 16_384 && p.payload.length === 172);
    assert.ok(rtp.length > 200, `${rtp.length} RTP packets`);
  },
);

labTest(
  holder,
  '(a) the inner firewall: nothing towards the intranet but replies on the two connections of GW1',
  async () => {
    const capture = captures.find((c) => c.link === 'firewallIntranet')!;
    const proof = proveFirewall(capture.packets(), 'v4');
    assert.deepEqual(proof.faults, []);
    assert.ok(
      proof.inward > 500 && proof.outward > 500,
      `${proof.inward} in, ${proof.outward} out: the calls were there`,
    );
    assert.ok((proof.opened[7060] ?? 0) >= 1 && (proof.opened[7061] ?? 0) >= 2, JSON.stringify(proof.opened));
    // The attacks were sent: they are on the DMZ side of the same firewall.
    const knocking = captures
      .find((c) => c.link === 'firewallDmz')!
      .packets()
      .filter((p) => p.destination === host.pbx.v4 || p.destination === host.pbx.v6);
    assert.ok(knocking.length >= 3, `${knocking.length} packets of the attack`);
  },
);

labTest(
  holder,
  '(b) nothing of the intranet is on the Internet side: addresses, names, products',
  async () => {
    const stacks = on(...OUTSIDE);
    none(
      findAddresses(
        stacks,
        INTRANET_HOSTS.flatMap((name) => [host[name].v4, host[name].v6]),
      ),
    );
    none(findTexts(stacks, [...PBX_NAMES, gatewayName.relay, 'intranet', 'voip-sgw', 'pbx4.']));
  },
);

labTest(holder, '(c) nothing planted outside is inside, not even within the tunnel', async () => {
  none(findTexts(on(...INSIDE), Object.values(outside)));
});

labTest(holder, '(c) nothing planted inside is outside, not even within the tunnel', async () => {
  none(
    findTexts(on('firewallIntranet', 'firewallDmz', 'dmzInner', ...OUTSIDE), [
      ...Object.values(inside),
      ...PBX_NAMES,
    ]),
  );
});

labTest(holder, "no Internet address reaches the intranet's SIP, SDP or media", async () => {
  none(
    findAddresses(
      on('intranet'),
      INTERNET_HOSTS.flatMap((name) => [host[name].v4, host[name].v6]),
    ),
  );
});

labTest(holder, 'the logs of the gateways hold no key and no password', async () => {
  const text = `${pair.process('termination').output}${pair.process('relay').output}`;
  assert.doesNotMatch(text, /BEGIN [A-Z ]*PRIVATE KEY|lab-secret/);
  assert.doesNotMatch(text, new RegExp(readFileSync(pair.keyLog, 'utf8').split('\n')[0]!.split(' ').at(-1)!));
});
