/**
 * Our gatekeeper as a running relay gateway has it (ATTACKS 7): registrations that are replayed, altered, unsigned, guessed or of
 * strangers, and attempts to end somebody else's. The honest terminal stays registered through all of it.
 */
import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { after, before, test } from 'node:test';
import type { RasMessage } from '../../src/h323/asn1/h225-types.ts';
import { H323Endpoint } from '../../src/h323/endpoint.ts';
import { decodeRas, encodeRas } from '../../src/h323/messages.ts';
import { SeededRandom } from '../../src/machine/seeded-random.test.ts';
import { systemCrypto } from '../../src/net/providers.ts';
import { DEMO_IP } from '../../tools/demo-config.ts';
import { until } from './attack-lab.ts';
import { freeTcp, Pair, sleep } from './pair.ts';

const TERMINAL = '127.0.0.21';
const STRANGER = '127.0.0.55';
const NUMBER = '4301';
const PASSWORD = 'a good secret 4301';

let pair: Pair;
let ras: number;
const open: { close(): void }[] = [];

before(async () => {
  const cs = await freeTcp();
  ras = await freeTcp();
  pair = await Pair.start({
    edit: (name, text) =>
      name === 'gw2'
        ? text
        : text.replace(
            /^peers:$/m,
            [
              'h323:',
              '  listeners:',
              `    - { name: cs, transport: tcp, address: "${DEMO_IP}:${cs}" }`,
              `    - { name: ras, transport: udp, address: "${DEMO_IP}:${ras}" }`,
              '  gatekeeper: { identifier: gk, listener: ras, signalling: cs, peer: terminals }',
              'accounts:',
              `  - { username: "${NUMBER}", password: "${PASSWORD}", number: "${NUMBER}" }`,
              'peers:',
              `  - { name: terminals, protocol: h323, sources: ["${TERMINAL}/32"] }`,
            ].join('\n'),
          ),
  });
});

after(async () => {
  for (const it of open) it.close();
  await pair?.stop();
});

interface Udp {
  readonly socket: Socket;
  readonly heard: RasMessage[];
  ask(bytes: Uint8Array): Promise<RasMessage | undefined>;
}

async function udp(ip: string): Promise<Udp> {
  const socket = createSocket('udp4');
  const heard: RasMessage[] = [];
  socket.on('message', (bytes) => {
    const decoded = decodeRas(bytes);
    if (decoded.ok) heard.push(decoded.value.message);
  });
  await new Promise<void>((done) => socket.bind(0, ip, done));
  open.push(socket);
  const ask = async (bytes: Uint8Array): Promise<RasMessage | undefined> => {
    const before = heard.length;
    socket.send(bytes, ras, DEMO_IP);
    await until(() => heard.length > before, 1000);
    return heard[before];
  };
  return { socket, heard, ask };
}

/** An honest terminal: our own client, which registers and stays so. What it sends is kept, as an eavesdropper would. */
async function honestTerminal(): Promise<{ readonly sent: Uint8Array[]; readonly states: string[] }> {
  const it = await udp(TERMINAL);
  const sent: Uint8Array[] = [];
  const states: string[] = [];
  const { port } = it.socket.address();
  const local = { ip: TERMINAL, port };
  const now = (): number => Number(process.hrtime.bigint() / 1_000_000n);
  const endpoint = new H323Endpoint({
    random: new SeededRandom(7),
    crypto: systemCrypto,
    wall: () => Date.now(),
    decisions: {
      identify: () => 'gk',
      acceptH245Address: () => true,
      acceptSignallingAddress: () => true,
      terminal: () => undefined,
      locate: () => false,
    },
    limits: {
      calls: 1,
      callsPerSource: 1,
      connections: 1,
      connectionsPerSource: 1,
      exchanges: 10,
      terminals: 0,
      terminalsPerSource: 0,
    },
  });
  const drain = (): void => {
    for (let out = endpoint.poll(); out !== undefined; out = endpoint.poll()) {
      if (out.kind === 'send-datagram') {
        sent.push(out.bytes);
        it.socket.send(out.bytes, out.remote.port, out.remote.ip);
      } else if (out.kind === 'event' && out.event.kind === 'registration') states.push(out.event.state);
    }
  };
  it.socket.on('message', (bytes, from) => {
    const remote = { ip: from.address, port: from.port };
    endpoint.handle({ kind: 'datagram', listener: 'ras', remote, bytes }, now());
    drain();
  });
  const clock = setInterval(() => {
    if ((endpoint.deadline() ?? Number.POSITIVE_INFINITY) > now()) return;
    endpoint.handle({ kind: 'timeout' }, now());
    drain();
  }, 20);
  open.push({ close: () => clearInterval(clock) });
  const gatekeeper = {
    host: DEMO_IP,
    port: ras,
    aliases: [{ kind: 'number', number: NUMBER }],
    password: { user: NUMBER, password: PASSWORD },
  } as const;
  endpoint.handle(
    {
      kind: 'command',
      command: {
        kind: 'configure',
        peers: [
          { name: 'gk', host: DEMO_IP, fastStart: true, tunnelling: true, earlyH245: false, gatekeeper },
        ],
        listeners: [
          {
            name: 'cs',
            transport: 'tcp',
            local: { ip: TERMINAL, port: 1720 },
            advertise: { ip: TERMINAL, port: 1720 },
          },
          { name: 'ras', transport: 'udp', local, advertise: local },
        ],
      },
    },
    now(),
  );
  drain();
  assert.ok(
    await until(() => states.includes('registered'), 5000),
    `states ${states.join()}, sent ${sent.map((b) => decoded(b).choice)}, heard ${it.heard.map((m) => m.choice)}: ${JSON.stringify((await pair.status('gw1')).counters)}`,
  );
  return { sent, states };
}

const refused = (reason: string): Promise<number> => pair.counted('gw1', 'h323Refused', reason);
const registrations = async (outcome: string): Promise<number> =>
  pair.counted('gw1', 'registrations', `terminal-${outcome}`);

test('registrations: replayed, altered, unsigned, guessed, of strangers; unregistration by others (H.235.1, H.225.0 7.9)', async () => {
  const { sent, states } = await honestTerminal();
  const whole = sent.find((bytes) => decoded(bytes).choice === 'registrationRequest')!;
  const attacker = await udp(TERMINAL);

  const replayed = await attacker.ask(whole);
  assert.deepEqual(reason(replayed), ['registrationReject', 'securityDenial']);
  assert.equal(await refused('ras-token-replay'), 1);

  const altered = whole.slice();
  altered[altered.length - 1]! ^= 1;
  const answer = await attacker.ask(altered);
  if (answer !== undefined) assert.equal(answer.choice, 'registrationReject');

  const message = decoded(whole);
  assert.ok(message.choice === 'registrationRequest');
  const { cryptoTokens: _, tokens: __, ...bare } = message.value;
  const unsigned = await attacker.ask(
    encodeRas({ choice: 'registrationRequest', value: { ...bare, requestSeqNum: 900 } }),
  );
  assert.deepEqual(reason(unsigned), ['registrationReject', 'securityDenial']);
  assert.equal(await refused('ras-token-missing'), 1);

  // A number that does not exist, and one whose password is wrong: the same answer.
  const nobody = await attacker.ask(
    encodeRas({
      choice: 'registrationRequest',
      value: { ...bare, requestSeqNum: 901, terminalAlias: [{ choice: 'dialledDigits', value: '9999' }] },
    }),
  );
  assert.deepEqual(reason(nobody), reason(unsigned));

  const stranger = await udp(STRANGER);
  assert.equal(await stranger.ask(whole), undefined, 'silence');
  assert.ok((await refused('unknown-source')) >= 1);

  for (let i = 0; i < 20; i++) {
    const leave = await attacker.ask(
      encodeRas({
        choice: 'unregistrationRequest',
        value: {
          requestSeqNum: 1000 + i,
          callSignalAddress: bare.callSignalAddress,
          endpointIdentifier: String(i),
          endpointAlias: [{ choice: 'dialledDigits', value: NUMBER }],
        },
      }),
    );
    if (leave !== undefined) assert.equal(leave.choice, 'unregistrationReject');
  }
  await sleep(200);
  assert.deepEqual(states, ['registered']);
  assert.equal(await registrations('registered'), 1);
  assert.equal(await registrations('unregistered'), 0);
  pair.gw1.ensureAlive();
});

function decoded(bytes: Uint8Array): RasMessage {
  const result = decodeRas(bytes);
  assert.ok(result.ok);
  return result.value.message;
}

function reason(message: RasMessage | undefined): (string | undefined)[] {
  if (message?.choice !== 'registrationReject') return [message?.choice];
  return [message.choice, message.value.rejectReason.choice];
}
