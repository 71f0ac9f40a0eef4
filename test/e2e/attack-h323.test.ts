/**
 * H.323 at running gateways (ATTACKS 4 and 7): connections, framing, Setups, H.245 and RAS of strangers and of a permitted address that
 * misuses that. Each is refused with the protocol's own answer, or silence, and counted with its reason, while an honest call goes on.
 */
import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { after, before, describe, test } from 'node:test';
import { toH225 } from '../../src/h323/addresses.ts';
import { DEMO_IP } from '../../tools/demo-config.ts';
import { H323Agent } from '../../tools/h323-agent.ts';
import { residentMb, until } from './attack-lab.ts';
import { facilityWith, setupTo, TpktAttacker, type TpktTarget, Victim } from './attack-tpkt.ts';
import { freeTcp, Pair, PHONE_SOUND, SoundingCall, sleep } from './pair.ts';
import { h245Ports } from './port-window.ts';

/** Another address of the honest peer: it may speak, and misuses that. */
const PERMITTED = '127.0.0.14';
/** And one more, so that its one connection is none of those. */
const SLOW = '127.0.0.15';
const STRANGER = '127.0.0.54';
const MOST_CONNECTIONS = 20;

let pair: Pair;
let phone: H323Agent;
let call: SoundingCall;
let target: TpktTarget;
let ras: number;

before(async () => {
  const [own, peer] = [await freeTcp(), await freeTcp()];
  ras = await freeTcp();
  pair = await Pair.start({
    edit: (name, text, ports) =>
      name === 'gw1'
        ? text
        : text
            .replace(
              /^sip:\n.*\npeers:\n.*$/m,
              [
                'h323:',
                '  listeners:',
                `    - { name: cs, transport: tcp, address: "${DEMO_IP}:${own}" }`,
                `    - { name: ras, transport: udp, address: "${DEMO_IP}:${ras}" }`,
                `  h245Ports: [${h245Ports(ports.gw2Rtp).join(', ')}]`,
                'peers:',
                `  - { name: internet, protocol: h323, host: "${DEMO_IP}", port: ${peer}, sources: ["${PERMITTED}/32", "${SLOW}/32"] }`,
              ].join('\n'),
            )
            .replace(/^limits:$/m, `limits:\n  connectionsPerSource: ${MOST_CONNECTIONS}`)
            .replace('maxCallsPerSecondPerSource: 1000', 'maxCallsPerSecondPerSource: 20'),
  });
  target = { ip: DEMO_IP, port: own };
  phone = await H323Agent.start({
    name: '4930901820',
    ip: DEMO_IP,
    port: peer,
    peer: target,
    dialPlan: () => ({ kind: 'reject', status: 404 }),
  });
  call = await honest();
});

after(async () => {
  await phone?.stop();
  await pair?.stop();
});

async function honest(): Promise<SoundingCall> {
  const here = await phone.call('601', PHONE_SOUND);
  assert.equal(here.state, 'connected', `cause ${here.endStatus}: ${pair.gw2.log}`);
  return new SoundingCall(here, pair.pbx.taken.at(-1)!, () => phone.hangUp(here));
}

/** The call that was up is up, with sound, and another one can be made. */
async function unharmed(): Promise<void> {
  for (const gateway of pair.gateways.values()) gateway.ensureAlive();
  assert.ok(call.alive, 'the honest call is up');
  assert.ok((await call.matchNow(15_000)) > 0.8, 'and sounds');
  const other = await honest();
  await other.hangUp();
}

const refused = (reason: string): Promise<number> => pair.counted('gw2', 'h323Refused', reason);

test('a stranger gets silence: the connection is closed without an octet, datagrams are not answered', async () => {
  const before = await refused('unknown-source');
  const attacker = new TpktAttacker(target, STRANGER);
  attacker.send(setupTo('601'));
  assert.ok(await until(() => attacker.closed, 3000));
  assert.deepEqual(attacker.answers, []);
  assert.ok((await refused('unknown-source')) > before);
});

// Ten seconds each until they are closed: at the same time.
describe('who never says a whole message', { concurrency: 2 }, () => {
  test('half-open connections of one source: as many as are allowed, and those until a first message is due', async () => {
    const attackers = Array.from({ length: 3 * MOST_CONNECTIONS }, () => new TpktAttacker(target, PERMITTED));
    assert.ok(await until(() => attackers.filter((a) => a.closed).length >= 2 * MOST_CONNECTIONS, 5000));
    assert.equal(attackers.filter((a) => !a.closed).length, MOST_CONNECTIONS);
    await unharmed();
    assert.ok(await until(() => attackers.every((a) => a.closed), 15_000), 'silence is not borne for ever');
  });

  test('slow-loris: an octet a second of a message that never becomes whole', async () => {
    const attacker = new TpktAttacker(target, SLOW);
    attacker.raw(Uint8Array.of(3, 0, 4, 0));
    const drip = setInterval(() => attacker.raw(Uint8Array.of(8)), 1000);
    assert.ok(await until(() => attacker.closed, 13_000), 'closed after its time');
    clearInterval(drip);
  });
});

test('both were counted, each connection once, and the call goes on', async () => {
  assert.equal(await refused('message-timeout'), MOST_CONNECTIONS + 1);
  await unharmed();
});

const FRAMES = [
  ['another version', Uint8Array.of(2, 0, 0, 20, ...new Uint8Array(16)), 'tpkt-version'],
  ['no TPKT at all', new TextEncoder().encode('GET / HTTP/1.1\r\n\r\n'), 'tpkt-version'],
  ['a length below its own header', Uint8Array.of(3, 0, 0, 3), 'tpkt-length'],
  ['a length above what may be', Uint8Array.of(3, 0, 0xff, 0xff), 'tpkt-limit'],
] as const;

for (const [name, bytes, reason] of FRAMES) {
  test(`TPKT with ${name}: closed at once, counted as ${reason}`, async () => {
    const before = await refused(reason);
    const attacker = new TpktAttacker(target, PERMITTED);
    attacker.raw(bytes);
    assert.ok(await until(() => attacker.closed, 3000));
    assert.deepEqual(attacker.answers, []);
    assert.equal(await refused(reason), before + 1);
  });
}

test('Setups that cannot be decoded: ReleaseComplete 111 each, the fifth closes the connection (Q.931 5.8.6.2)', async () => {
  const whole = setupTo('601');
  const cut = whole.slice(0, whole.length - 20);
  // The User-user element is the last: its length (two octets before its contents) says what is left of it.
  const at = cut.lastIndexOf(0x7e);
  const left = cut.length - at - 3;
  cut.set([left >> 8, left & 255], at + 1);
  const attacker = new TpktAttacker(target, PERMITTED);
  for (let i = 0; i < 5; i++) attacker.send(cut);
  assert.ok(await until(() => attacker.closed, 3000));
  assert.deepEqual(attacker.answers, new Array(5).fill('releaseComplete 111'));
  assert.ok((await refused('signalling-per-truncated')) >= 5);
  await unharmed();
});

test('a flood of Setups: above its rate each is released (Q.850 42 or 34), memory stays, an honest call gets through', async () => {
  const memory = residentMb(pair.gw2.pid);
  const attackers = Array.from({ length: 10 }, () => new TpktAttacker(target, PERMITTED));
  for (let round = 0; round < 40; round++) {
    attackers.forEach((attacker, i) => {
      if (!attacker.closed) attacker.send(setupTo('777', { reference: 1 + round * 10 + i }));
    });
    await sleep(25);
  }
  await unharmed();
  const answers = attackers.flatMap((a) => a.answers);
  const released = answers.filter((a) => a.startsWith('releaseComplete'));
  assert.ok(released.length >= 350, `${released.length} of 400 Setups were answered in the end`);
  const busy = released.filter((a) => /(?:42|34)$/.test(a));
  assert.ok(busy.length >= 250, `most are above the rate: ${busy.length}`);
  for (const attacker of attackers) attacker.end();
  assert.ok(residentMb(pair.gw2.pid) < memory + 80, 'memory stays');
  const refusals = (await pair.status('gw2')).counters['callsRefused'] ?? {};
  assert.ok(
    Object.entries(refusals).some(([reason, count]) => /rate|source/.test(reason) && count > 100),
    JSON.stringify(refusals),
  );
});

test('tunnelled H.245 that is none, much of it: functionNotSupported a few times, counted, the rest is silence', async () => {
  const attacker = new TpktAttacker(target, PERMITTED);
  const garbage = new Uint8Array(200).fill(0xf7);
  attacker.send(setupTo('601', { reference: 77 }));
  assert.ok(
    await until(() => attacker.answers.some((a) => a.startsWith('connect')), 5000),
    'the call is one',
  );
  for (let i = 0; i < 10; i++) attacker.send(facilityWith(77, new Array(60).fill(garbage)));
  await sleep(500);
  const { counters } = await pair.status('gw2');
  const h245 = Object.entries(counters['h323Refused'] ?? {}).filter(([reason]) => reason.startsWith('h245-'));
  assert.ok(h245.length > 0, JSON.stringify(counters['h323Refused']));
  assert.ok((await refused('tunnelled-flood')) >= 10);
  attacker.end();
  assert.ok(attacker.answers.filter((a) => a === 'facility').length < 20);
  await unharmed();
});

test('an H.245 address of somebody else is never connected to, wherever it is said', async () => {
  const victim = await Victim.listen('127.0.0.77');
  const before = await refused('h245-address');
  const h245Address = toH225({ ip: '127.0.0.77', port: victim.port });
  const attacker = new TpktAttacker(target, PERMITTED);
  attacker.send(setupTo('601', { reference: 78, setup: { h245Address }, pdu: { h245Tunnelling: false } }));
  assert.ok(await until(() => attacker.answers.some((a) => a.startsWith('connect')), 5000));
  await sleep(500);
  assert.equal(victim.connections, 0);
  assert.ok((await refused('h245-address')) > before);
  attacker.end();
  victim.stop();
  await unharmed();
});

test('FastStart that leads media to somebody else: the channel is not opened there', async () => {
  // Covered message by message in h323/endpoint-hostile.test; here: such a Setup does no harm to what is up.
  const attacker = new TpktAttacker(target, PERMITTED);
  attacker.send(setupTo('601', { reference: 79, setup: { fastStart: [new Uint8Array(60).fill(0xff)] } }));
  assert.ok(await until(() => attacker.answers.length > 0, 3000));
  attacker.end();
  await unharmed();
});

test('RAS: garbage and requests where there is no gatekeeper get silence, and are counted', async () => {
  const sockets: Socket[] = [];
  const heard: Buffer[] = [];
  for (const ip of [STRANGER, PERMITTED]) {
    const socket = createSocket('udp4');
    socket.on('message', (bytes) => heard.push(bytes));
    await new Promise<void>((done) => socket.bind(0, ip, done));
    sockets.push(socket);
    // gatekeeperRequest, registrationRequest and an octet of noise by their first octets; the rest is no message.
    for (const first of [0x00, 0x0c, 0x10, 0x40, 0xff]) {
      for (let length = 1; length < 40; length++) {
        socket.send(new Uint8Array(length).fill(first), ras, DEMO_IP);
      }
    }
  }
  await sleep(500);
  assert.deepEqual(heard, []);
  const counted = (await pair.status('gw2')).counters['h323Refused'] ?? {};
  assert.ok(
    Object.entries(counted).some(([reason, count]) => reason.startsWith('ras-') && count > 100),
    JSON.stringify(counted),
  );
  for (const socket of sockets) socket.close();
  await unharmed();
});

test('nothing is left of all this, and messages are counted by name', async () => {
  await call.hangUp();
  await sleep(1500);
  assert.deepEqual(await pair.calls('gw2'), []);
  assert.deepEqual(await pair.calls('gw1'), []);
  const page = await (await fetch(`http://${DEMO_IP}:${pair.metrics.gw2}/metrics`)).text();
  for (const labels of [
    'direction="in",protocol="h225",message="Setup"',
    'direction="out",protocol="h225",message="ReleaseComplete"',
    'direction="in",protocol="h225",message="undecodable"',
    'direction="out",protocol="h245",message="terminalCapabilitySet"',
  ]) {
    assert.ok(page.includes(`h323_messages_total{${labels}`), labels);
  }
});
