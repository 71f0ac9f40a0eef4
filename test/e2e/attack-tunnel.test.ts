/** The two tunnel ports of GW2, as everybody on the Internet side may reach them where no packet filter stands before it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect as connectTls, type SecureVersion } from 'node:tls';
import { createAuthority, issueCertificate, readKeyed } from '../../src/store/pki.ts';
import { GATEWAY, Lab, sleep, until, type VerifiedCall } from './attack-lab.ts';
import { TcpAttacker } from './attack-sip.ts';

let lab: Lab;
let call: VerifiedCall;
before(async () => {
  lab = await Lab.start();
  call = await lab.verifiedCall();
});
after(() => lab?.stop());

const ATTACKER = '127.0.0.90';
const ports = () => [
  { ip: GATEWAY, port: lab.ports.signalling },
  { ip: GATEWAY, port: lab.ports.media },
];

interface Identity {
  readonly cert?: string;
  readonly key?: string;
}

/** What an attacker with this certificate hears, and whether the gateway ends the connection. */
async function knock(
  to: { ip: string; port: number },
  identity: Identity,
  say: string,
  version: SecureVersion = 'TLSv1.3',
) {
  const socket = connectTls({
    socket: connect({ host: to.ip, port: to.port, localAddress: ATTACKER }),
    rejectUnauthorized: false,
    servername: 'gw2',
    minVersion: version,
    maxVersion: version,
    ...identity,
  });
  const state = { closed: false, bytes: 0 };
  socket.on('error', () => undefined);
  socket.on('data', (bytes) => {
    state.bytes += bytes.length;
  });
  socket.on('close', () => {
    state.closed = true;
  });
  socket.on('secureConnect', () => socket.write(Buffer.from(say, 'latin1')));
  const closed = await until(() => state.closed, 12_000);
  socket.destroy();
  return { closed, bytes: state.bytes };
}

test('no certificate, one of another authority, one of another site, old TLS: nobody gets a word', {
  timeout: 60_000,
}, async () => {
  const authority = readKeyed(join(lab.folder, 'pki/ca.crt'), join(lab.folder, 'pki/ca.key'));
  const foreign = await createAuthority('another CA', { days: 2 });
  const issue = (from: Parameters<typeof issueCertificate>[0], name: string) =>
    issueCertificate(from, { use: 'relay', dnsNames: [name], days: 2 });
  const read = (name: string): Identity => ({
    cert: readFileSync(join(lab.folder, `pki/${name}.crt`), 'utf8'),
    key: readFileSync(join(lab.folder, `pki/${name}.key`), 'utf8'),
  });
  const pem = (keyed: Awaited<ReturnType<typeof issue>>): Identity => ({
    cert: keyed.certificate,
    key: keyed.key,
  });
  const identities: Record<string, Identity> = {
    none: {},
    'foreign authority, right name': pem(await issue(foreign, 'gw1')),
    'right authority, unknown site': pem(await issue(authority, 'gw9')),
    'the SIP certificate': read('gw2-sip'),
    'the termination gateway itself': read('gw2'),
  };
  const outcomes = await Promise.all(
    Object.entries(identities).flatMap(([name, identity]) =>
      ports().map(async (to) => ({ name, to, ...(await knock(to, identity, 'x'.repeat(500))) })),
    ),
  );
  for (const { name, to, closed, bytes } of outcomes) {
    assert.ok(closed, `${name} at ${to.port}: still open`);
    // Whom our own authority has certified is told in one frame that the hello was refused.
    const ours = name !== 'none' && !name.startsWith('foreign') && to.port === lab.ports.media;
    const refusal = ours ? 32 : 0;
    assert.ok(bytes <= refusal, `${name} at ${to.port}: ${bytes} octets`);
  }
  for (const to of ports()) {
    const old = await knock(to, read('gw1'), 'x', 'TLSv1.2');
    assert.ok(old.closed && old.bytes === 0, 'TLS 1.3 only');
  }
  const { laneRefused = {} } = (await lab.status()).counters;
  assert.ok(Object.values(laneRefused).reduce((a, b) => a + b, 0) >= 5, JSON.stringify(laneRefused));
});

test('a right certificate alone attaches no media connection: the session’s key is needed', {
  timeout: 30_000,
}, async () => {
  const identity = {
    cert: readFileSync(join(lab.folder, 'pki/gw1.crt'), 'utf8'),
    key: readFileSync(join(lab.folder, 'pki/gw1.key'), 'utf8'),
  };
  const lanes = (await lab.status()).tunnels[0]?.lanes;
  for (const hello of ['\u0000'.repeat(200), '\u00ff'.repeat(2000), `VSGW\u0001${'\u0000'.repeat(100)}`]) {
    const { closed } = await knock(ports()[1]!, identity, hello);
    assert.ok(closed);
  }
  assert.equal((await lab.status()).tunnels[0]?.lanes, lanes);
});

test('garbage, half handshakes and 300 connections: closed, limited, the tunnel does not notice', {
  timeout: 90_000,
}, async () => {
  const memory = lab.memory();
  const held: TcpAttacker[] = [];
  for (const to of ports()) {
    for (const bytes of [
      'GET / HTTP/1.1\r\n\r\n',
      `\u0016\u0003\u0001\u00ff\u00ff${'x'.repeat(3000)}`,
      '\u0000'.repeat(5000),
    ]) {
      const c = await TcpAttacker.connect(ATTACKER, to);
      c.send(bytes);
      assert.ok(await until(() => c.closed, 12_000), JSON.stringify(bytes.slice(0, 10)));
    }
    for (let i = 0; i < 150; i++) held.push(await TcpAttacker.connect('127.0.0.91', to));
  }
  await sleep(300);
  const open = held.filter((c) => !c.closed).length;
  assert.ok(open < 120, `${open} of 300 may wait`);
  assert.ok(await until(() => held.every((c) => c.closed), 25_000), 'and not for long');
  assert.ok(lab.memory() - memory < 40);
  const [tunnel] = (await lab.status()).tunnels;
  assert.equal(tunnel?.state, 'up');
  assert.ok((tunnel?.lanes ?? 0) > 0);
  // Whoever reaches the ports fills no disk: 50 lines and five a second tell of it.
  for (let i = 0; i < 600; i++) (await TcpAttacker.connect('127.0.0.92', ports()[i % 2]!)).close();
  await sleep(300);
  const lines = lab.gw2.output.split('tunnel connection refused').length - 1;
  assert.ok(lines > 0 && lines < 250, `${lines} lines in the log`);
});

test('the call has lost nothing', async () => {
  lab.ensureAlive();
  assert.ok(call.match() >= 0.5, `match ${call.match()}`);
  assert.ok(call.loss() < 0.1, `loss ${call.loss()}`);
  const { tunnelEvents = {} } = (await lab.status()).counters;
  assert.ok(
    (tunnelEvents['down'] ?? 0) === 0 && (tunnelEvents['lost'] ?? 0) === 0,
    JSON.stringify(tunnelEvents),
  );
  await call.hangUp();
});
