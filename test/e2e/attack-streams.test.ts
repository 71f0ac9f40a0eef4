/** Connections: ATTACKS 4 over TCP and TLS, and silence for strangers (1). An honest call is up all the while. */
import assert from 'node:assert/strict';
import { connect as connectTcp } from 'node:net';
import { after, before, test } from 'node:test';
import { connect as connectTls, type SecureVersion, type TLSSocket } from 'node:tls';
import { GATEWAY, INSIDE_NUMBER, Lab, sleep, until, type VerifiedCall } from './attack-lab.ts';
import { headerOf, offer, request, statusOf, type Target, TcpAttacker, UdpAttacker } from './attack-sip.ts';

/** Another address of the trunk: it may speak, and misuses that. */
const PERMITTED = '127.0.0.4';
let lab: Lab;
let trunk: UdpAttacker;
let call: VerifiedCall;
before(async () => {
  lab = await Lab.start({ trunk: `, sources: ["${PERMITTED}/32"]` });
  trunk = await UdpAttacker.bind(GATEWAY);
  call = await lab.verifiedCall();
});
after(async () => {
  trunk?.close();
  await lab?.stop();
});

const tcp = (): Target => ({ ip: GATEWAY, port: lab.ports.sip });
const options = (transport = 'TCP'): string =>
  request({ target: tcp(), at: { ip: PERMITTED, port: 5060 }, transport });

async function honestAnswered(): Promise<boolean> {
  return (await trunk.askPolitely(request({ target: tcp(), at: trunk }), tcp())) === 200;
}

interface Tls {
  readonly socket: TLSSocket;
  secure: boolean;
  closed: boolean;
  text: string;
}

async function tls(
  from: string,
  versions: [SecureVersion, SecureVersion] = ['TLSv1.2', 'TLSv1.3'],
  ciphers?: string,
): Promise<Tls> {
  const socket = connectTls({
    socket: connectTcp({ host: GATEWAY, port: lab.ports.tls, localAddress: from }),
    rejectUnauthorized: false,
    minVersion: versions[0],
    maxVersion: versions[1],
    ciphers: ciphers ?? 'DEFAULT@SECLEVEL=0',
  });
  const state: Tls = { socket, secure: false, closed: false, text: '' };
  socket.on('secureConnect', () => {
    state.secure = true;
  });
  socket.on('data', (bytes) => {
    state.text += bytes.toString('latin1');
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    state.closed = true;
  });
  await until(() => state.secure || state.closed, 3000);
  return state;
}

test('a source that no configuration permits gets silence: UDP, TCP and TLS', async () => {
  const before = await lab.refused('unknown-source');
  const stranger = await UdpAttacker.bind('127.0.0.50');
  for (const message of [
    request({ target: tcp(), at: stranger }),
    request({ method: 'INVITE', user: INSIDE_NUMBER, target: tcp(), at: stranger, body: offer(stranger.ip) }),
    request({ method: 'REGISTER', target: tcp(), at: stranger }),
    'garbage\r\n\r\n',
    '\r\n\r\n',
    '\u0000'.repeat(100),
  ]) {
    stranger.send(message, tcp());
  }
  await sleep(300);
  assert.deepEqual(stranger.received, []);
  const stream = await TcpAttacker.connect('127.0.0.50', tcp());
  stream.send(options());
  assert.ok(await until(() => stream.closed));
  assert.equal(stream.received, '');
  const secure = await tls('127.0.0.50');
  secure.socket.write(options('TLS'));
  assert.ok(await until(() => secure.closed));
  assert.equal(secure.text, '');
  assert.ok((await lab.refused('unknown-source')) - before >= 5);
  stranger.close();
});

test('500 connections of one source: a few stay, others are refused, the honest are served', async () => {
  const open = await Promise.all(Array.from({ length: 500 }, () => TcpAttacker.connect(PERMITTED, tcp())));
  const alive = (): TcpAttacker[] => open.filter((c) => !c.closed);
  assert.ok(await until(() => alive().length <= 20), `${alive().length} of 500 are open`);
  const first = alive()[0]!;
  first.send(options());
  assert.ok(await until(() => first.received.includes('200 OK')));
  const other = await TcpAttacker.connect(GATEWAY, tcp());
  other.send(options());
  assert.ok(await until(() => other.received.startsWith('SIP/2.0 200')), 'another source is served');
  assert.ok(await honestAnswered());
  assert.ok((await lab.refused('too-many-from-source')) >= 400);
  for (const c of [...open, other]) c.close();
  await until(() => open.every((c) => c.closed));
  await sleep(100);
});

test('slowloris, silence and half handshakes end within seconds; none of it starves the honest', {
  timeout: 60_000,
}, async () => {
  const started = Date.now();
  const slow = await Promise.all(Array.from({ length: 5 }, () => TcpAttacker.connect(PERMITTED, tcp())));
  const idle = await TcpAttacker.connect(PERMITTED, tcp());
  const body = await TcpAttacker.connect(PERMITTED, tcp());
  const half = await Promise.all(
    Array.from({ length: 5 }, () => TcpAttacker.connect(PERMITTED, { ip: GATEWAY, port: lab.ports.tls })),
  );
  const text = options();
  let at = 0;
  const dribble = setInterval(() => {
    for (const c of slow) c.send(text[at % (text.length - 4)] ?? 'x');
    // A ClientHello that never ends, an octet at a time.
    for (const c of half.slice(1))
      c.send(at === 0 ? '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003' : 'x');
    at++;
  }, 200);
  body.send(text.replace('Content-Length: 0', 'Content-Length: 5000'));
  try {
    const all = [...slow, ...half, idle, body];
    assert.ok(
      await until(() => all.every((c) => c.closed), 25_000),
      `open after 25 s: ${all.map((c) => c.closed)}`,
    );
    assert.ok(Date.now() - started > 1000);
  } finally {
    clearInterval(dribble);
  }
  assert.ok(await honestAnswered());
  assert.ok((await lab.refused('header-timeout')) >= 6);
  assert.ok((await lab.refused('handshake-timeout')) >= 5);
});

test('endless start line, header, headers, body and keep-alives: closed at a limit, memory bounded', async () => {
  const memory = lab.memory();
  const piece = 'x'.repeat(64 * 1024);
  const cases: Record<string, readonly [string, string]> = {
    'start line': ['INVITE sip:', piece],
    header: ['OPTIONS sip:x@y SIP/2.0\r\nSubject: ', piece],
    headers: ['OPTIONS sip:x@y SIP/2.0\r\n', 'X-Some: thing\r\n'.repeat(4000)],
    body: ['OPTIONS sip:x@y SIP/2.0\r\nContent-Length: 999999999\r\n\r\n', piece],
    'keep-alives': ['', '\r\n\r\n'.repeat(8000)],
    binary: ['\u0000\u00ff', '\u0000\u00ff'.repeat(30_000)],
  };
  for (const [name, [first, then]] of Object.entries(cases)) {
    const c = await TcpAttacker.connect(PERMITTED, tcp());
    c.send(first);
    for (let i = 0; i < 50 && !c.closed; i++) {
      c.send(then);
      await sleep(5);
    }
    assert.ok(await until(() => c.closed, 2000), `${name}: still open after ${c.socket.bytesWritten} octets`);
    assert.ok(await honestAnswered(), name);
  }
  assert.ok(lab.memory() - memory < 60, `grew by ${lab.memory() - memory} MB`);
});

test('pipelining without reading: the gateway stops or closes, and keeps no pile of answers', async () => {
  const memory = lab.memory();
  const many = await Promise.all(Array.from({ length: 4 }, () => TcpAttacker.connect(PERMITTED, tcp())));
  const batch = Array.from({ length: 100 }, () => options()).join('');
  for (const c of many) c.socket.pause();
  for (let i = 0; i < 60; i++) {
    for (const c of many) c.send(batch);
    await sleep(5);
  }
  assert.ok(await honestAnswered());
  const growth = lab.memory() - memory;
  assert.ok(growth < 60, `grew by ${growth} MB`);
  for (const c of many) c.socket.resume();
  assert.ok(await until(() => many.some((c) => c.closed), 3000), 'above its rate the source is cut off');
  for (const c of many) c.close();
});

test('INVITE, then a TCP reset: nothing of it stays (ES2018-04)', async () => {
  lab.inside.reaction = 'ring';
  const seen = lab.inside.received.length;
  for (let i = 0; i < 15; i++) {
    const c = await TcpAttacker.connect(PERMITTED, tcp());
    c.send(
      request({
        method: 'INVITE',
        user: INSIDE_NUMBER,
        from: '<sip:4917012345@h>',
        target: tcp(),
        at: { ip: PERMITTED, port: 5060 },
        transport: 'TCP',
        body: offer(PERMITTED),
      }),
    );
    await sleep(40);
    c.socket.resetAndDestroy();
  }
  await sleep(300);
  const phones = (method: string): number =>
    new Set(lab.inside.requests(method, seen).map((text) => headerOf(text, 'call-id'))).size;
  const rang = phones('INVITE');
  assert.ok(rang >= 1, `${rang} rang`);
  assert.ok(await until(() => phones('CANCEL') === rang, 4000), `${phones('CANCEL')} of ${rang} stop`);
  lab.inside.reaction = 'answer';
  assert.equal((await lab.calls()).filter((c) => c.state !== 'connected').length, 0);
  assert.equal((await lab.calls()).length, 1, 'only the honest call is there');
});

test('TLS: 1.2 and 1.3 and strong ciphers only; damaged records and renegotiation end the connection', async () => {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const good = await tls(PERMITTED, [version, version]);
    good.socket.write(options('TLS'));
    assert.ok(await until(() => good.text.startsWith('SIP/2.0 200')), version);
    good.socket.destroy();
  }
  for (const version of ['TLSv1', 'TLSv1.1'] as const) {
    const old = await tls(PERMITTED, [version, version]);
    assert.ok(!old.secure && old.closed, version);
  }
  for (const cipher of [
    'NULL-SHA256',
    'RC4-SHA',
    'DES-CBC3-SHA',
    'AES128-SHA',
    'ADH-AES128-SHA',
    'AECDH-NULL-SHA',
  ]) {
    let weak: Tls;
    try {
      weak = await tls(PERMITTED, ['TLSv1.2', 'TLSv1.2'], `${cipher}:@SECLEVEL=0`);
    } catch {
      continue; // this machine's library cannot even offer it
    }
    assert.ok(!weak.secure, cipher);
    weak.socket.destroy();
  }
  for (const bytes of [
    '\u0016\u0003\u0001\u00ff\u00ff',
    'GET / HTTP/1.0\r\n\r\n',
    '\u0015\u0003\u0003\u0000\u0002\u0002\u0000',
    '\u0080\u002e\u0001\u0000\u0002',
  ]) {
    const c = await TcpAttacker.connect(PERMITTED, { ip: GATEWAY, port: lab.ports.tls });
    c.send(bytes + '\u0000'.repeat(200));
    assert.ok(await until(() => c.closed, 2000), JSON.stringify(bytes));
  }
  const again = await tls(PERMITTED, ['TLSv1.2', 'TLSv1.2']);
  assert.ok(again.secure);
  let renegotiated = false;
  again.socket.renegotiate({ rejectUnauthorized: false }, (error) => {
    renegotiated = error === null;
  });
  await sleep(300);
  assert.ok(!renegotiated, 'renegotiation was taken');
  again.socket.destroy();
  assert.ok((await lab.refused('tls-version')) + (await lab.refused('handshake-failed')) >= 4);
});

test('a flood of handshakes and garbage on the TLS port: the honest are answered', async () => {
  let answered = 0;
  let asked = 0;
  const end = Date.now() + 2000;
  const attack = (async () => {
    while (Date.now() < end) {
      await Promise.all(
        Array.from({ length: 15 }, async (_, i) => {
          const c = i % 3 === 0 ? await tls(PERMITTED) : undefined;
          c?.socket.destroy();
          const raw = await TcpAttacker.connect(PERMITTED, { ip: GATEWAY, port: lab.ports.tls });
          raw.send('\u0016\u0003\u0001');
          raw.close();
        }),
      );
    }
  })();
  while (Date.now() < end) {
    asked++;
    if ((await trunk.askPolitely(request({ target: tcp(), at: trunk }), tcp())) === 200) answered++;
    await sleep(20);
  }
  await attack;
  assert.ok(asked > 0 && answered / asked >= 0.95, `${answered} of ${asked}`);
});

test('the honest call lived through all of it, with its sound', async () => {
  lab.ensureAlive();
  assert.ok((await lab.calls()).some((c) => c.state === 'connected'));
  assert.ok(call.match() >= 0.5, `match ${call.match()}`);
  assert.ok(call.loss() < 0.1, `loss ${call.loss()}`);
  await call.hangUp();
  assert.equal(statusOf((await trunk.answer(request({ target: tcp(), at: trunk }), tcp())) ?? ''), 200);
});
