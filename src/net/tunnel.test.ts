import assert from 'node:assert/strict';
import { connect as connectTcp, type Socket } from 'node:net';
import test, { after, before } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Address } from '../machine/address.ts';
import { createAuthority, issueCertificate, type KeyedCertificate } from '../store/pki.ts';
import type { TunnelEvent, TunnelInput } from '../tunnel/contract.ts';
import { TunnelSession } from '../tunnel/session.ts';
import { MediaListener } from './media-listener.ts';
import { monotonicNow, systemCrypto, systemRandom } from './providers.ts';
import { createTunnelServer, type TlsIdentity, tunnelClientOptions, tunnelPeerName } from './tls.ts';
import { TunnelDialer } from './tunnel-dialer.ts';
import { TunnelListener, type TunnelListenerOptions } from './tunnel-listener.ts';

const ANY: Address = { ip: '127.0.0.1', port: 0 };
let ca: KeyedCertificate;
let otherCa: KeyedCertificate;
let gw2: TlsIdentity;
let gw1: TlsIdentity;

async function identity(
  use: 'termination' | 'relay',
  name: string,
  authority = ca,
  days = 10,
  now?: number,
): Promise<TlsIdentity> {
  const issued = await issueCertificate(authority, {
    use,
    dnsNames: [name],
    days,
    ...(now === undefined ? {} : { now }),
  });
  return { ...issued, ca: ca.certificate };
}

before(async () => {
  ca = await createAuthority('test CA');
  otherCa = await createAuthority('other CA');
  gw2 = await identity('termination', 'gw2.example');
  gw1 = await identity('relay', 'gw1.site-a');
});

interface Log {
  readonly lines: string[];
  readonly exporters: Uint8Array[];
  readonly bytes: Uint8Array[];
  /** Resolves when a line that matches has been logged. */
  seen(pattern: RegExp): Promise<string>;
}

function newLog(): Log & { add(line: string): void } {
  const lines: string[] = [];
  return {
    lines,
    exporters: [],
    bytes: [],
    add: (line) => lines.push(line),
    seen: async (pattern) => {
      for (let i = 0; i < 1000; i++) {
        const line = lines.find((l) => pattern.test(l));
        if (line !== undefined) return line;
        await sleep(10);
      }
      throw new Error(`${pattern} not seen in ${lines.join(' | ')}`);
    },
  };
}

const open: { stop(): unknown }[] = [];
after(async () => {
  for (const it of open) await it.stop();
});

async function listen(log: ReturnType<typeof newLog>, extra: Partial<TunnelListenerOptions> = {}) {
  const listener = await TunnelListener.listen(
    { address: ANY, identity: gw2, sites: ['gw1.site-a'], ...extra },
    {
      onConnected: (site, connection, exporter) => {
        log.exporters.push(exporter);
        log.add(`connected ${site} ${connection}`);
      },
      onData: (_site, connection, bytes) => {
        log.bytes.push(bytes);
        log.add(`data ${connection} ${bytes.length}`);
      },
      onClosed: (_site, connection, reason) => log.add(`closed ${connection} ${reason}`),
      onRefused: (reason) => log.add(`refused ${reason}`),
    },
  );
  open.push(listener);
  return listener;
}

function dialer(log: ReturnType<typeof newLog>, remote: Address, id = gw1, serverName = 'gw2.example') {
  const it = new TunnelDialer(
    { remote, serverName, identity: id },
    {
      onConnected: (connection, exporter) => {
        log.exporters.push(exporter);
        log.add(`connected ${connection}`);
      },
      onData: (connection, bytes) => log.add(`data ${connection} ${Buffer.from(bytes).toString()}`),
      onClosed: (connection, reason) => log.add(`closed ${connection} ${reason}`),
    },
  );
  open.push(it);
  return it;
}

test('GW1 dials, both names are checked, both ends have the same exporter value, octets flow, close arrives', async () => {
  const [a, b] = [newLog(), newLog()];
  const listener = await listen(b);
  const dial = dialer(a, listener.address);
  dial.dial(7);
  await a.seen(/connected 7/);
  await b.seen(/connected gw1\.site-a 1/);
  assert.equal(a.exporters[0]?.length, 32);
  assert.deepEqual(a.exporters[0], b.exporters[0]);
  dial.send(7, new Uint8Array(1000));
  await b.seen(/data 1 1000/);
  assert.ok(!Buffer.isBuffer(b.bytes[0]), 'no Buffer leaves net');
  listener.send(1, Buffer.from('back'));
  listener.close(1);
  await a.seen(/data 7 back/);
  await a.seen(/closed 7 end/);
  assert.equal(listener.connections, 0);
});

test('who is refused: no certificate, another CA, a site not listed, TLS 1.2, plain text', async () => {
  const log = newLog();
  const listener = await listen(log);
  const { ip: host, port } = listener.address;
  const quiet = (socket: Socket): void => {
    socket.on('error', () => undefined);
    open.push({ stop: () => socket.destroy() });
  };
  quiet(connectTls({ host, port, ca: ca.certificate, checkServerIdentity: () => undefined }));
  await log.seen(/refused no-certificate/);
  const stranger = await identity('relay', 'gw1.site-a', otherCa);
  quiet(connectTls({ ...tunnelClientOptions(stranger, 'gw2.example'), host, port }));
  await log.seen(/refused certificate-invalid/);
  const unlisted = await identity('relay', 'gw1.site-b');
  quiet(connectTls({ ...tunnelClientOptions(unlisted, 'gw2.example'), host, port }));
  await log.seen(/refused unknown-site/);
  quiet(
    connectTls({
      ...tunnelClientOptions(gw1, 'gw2.example'),
      host,
      port,
      minVersion: 'TLSv1.2',
      maxVersion: 'TLSv1.2',
    }),
  );
  await log.seen(/refused tls-version/);
  const plain = connectTcp(port, host, () => plain.write('GET / HTTP/1.0\r\n\r\n'));
  quiet(plain);
  await log.seen(/refused handshake-failed/);
  assert.equal(listener.connections, 0);
});

test('a termination gateway with another name, or of another CA, is refused by the dialer', async () => {
  const [a, b] = [newLog(), newLog()];
  const other = await listen(b, { identity: await identity('termination', 'gw2.elsewhere') });
  dialer(a, other.address).dial(1);
  assert.match(await a.seen(/closed 1 /), /certificate-name/);
  const forged = await listen(b, {
    identity: { ...(await identity('termination', 'gw2.example', otherCa)) },
  });
  dialer(a, forged.address).dial(2);
  assert.match(await a.seen(/closed 2 /), /certificate-authority/);
  dialer(a, { ip: '127.0.0.1', port: 1 }).dial(3);
  assert.match(await a.seen(/closed 3 /), /ECONNREFUSED/);
  assert.ok(!a.lines.some((line) => line.startsWith('connected')));
});

test('no resumption: a second connection with the first one’s ticket shows its certificate again', async () => {
  const log = newLog();
  const listener = await listen(log);
  const { ip: host, port } = listener.address;
  let session: Buffer | undefined;
  const dial = (): Promise<TLSSocket> =>
    new Promise((resolve) => {
      const socket = connectTls({
        ...tunnelClientOptions(gw1, 'gw2.example'),
        host,
        port,
        ...(session === undefined ? {} : { session }),
      });
      socket.on('session', (ticket) => {
        session = ticket;
      });
      socket.on('data', () => undefined);
      socket.once('secureConnect', () => resolve(socket));
    });
  const first = await dial();
  await sleep(50);
  session ??= first.getSession();
  const second = await dial();
  assert.equal(second.isSessionReused(), false);
  await log.seen(/connected gw1\.site-a 3/);
  first.destroy();
  second.destroy();
});

test('half-open connections: 2 per source here, each for handshakeWithinMs also when octets dribble in', async () => {
  const log = newLog();
  const listener = await listen(log, { maxUnauthenticatedPerSource: 2, handshakeWithinMs: 300 });
  const { ip: host, port } = listener.address;
  const started = Date.now();
  const sockets = [0, 1, 2, 3].map(() => connectTcp(port, host).on('error', () => undefined));
  await log.seen(/refused too-many-from-source/);
  const header = Buffer.from('16030100ff010000fb0303', 'hex');
  let sent = 0;
  const dribble = setInterval(() => {
    for (const socket of sockets) if (socket.writable) socket.write(header.subarray(sent, sent + 1));
    sent++;
  }, 40);
  await log.seen(/refused handshake-timeout/);
  await sleep(100);
  clearInterval(dribble);
  assert.equal(log.lines.filter((line) => line === 'refused handshake-timeout').length, 2);
  assert.ok(Date.now() - started < 8000);
  // The places are free again.
  const a = newLog();
  dialer(a, listener.address).dial(1);
  await a.seen(/connected 1/);
  for (const socket of sockets) socket.destroy();
});

test('a connection ends when the far end’s certificate expires', async () => {
  const [a, b] = [newLog(), newLog()];
  const listener = await listen(b);
  const second = 1000;
  const shortLived = await identity('relay', 'gw1.site-a', ca, 4 / 86_400);
  dialer(a, listener.address, shortLived).dial(1);
  await b.seen(/connected/);
  const at = Date.now();
  assert.match(await b.seen(/closed/), /certificate-expired/);
  assert.ok(Date.now() - at < 8 * second);
});

test('reload: a new certificate serves new connections, a removed site’s connections end, bad PEM changes nothing', async () => {
  const [a, b] = [newLog(), newLog()];
  const listener = await listen(b);
  const dial = dialer(a, listener.address);
  dial.dial(1);
  await b.seen(/connected gw1\.site-a 1/);
  assert.throws(() => listener.reload({ ...gw2, key: 'rubbish' }, ['gw1.site-a']));
  dial.dial(2);
  await b.seen(/connected gw1\.site-a 3/);
  listener.reload(await identity('termination', 'gw2.new'), ['gw1.site-a']);
  dial.reload({ remote: listener.address, serverName: 'gw2.new', identity: gw1 });
  dial.dial(3);
  await b.seen(/connected gw1\.site-a 5/);
  listener.reload(gw2, ['gw1.site-b']);
  for (const connection of [1, 3, 5]) await b.seen(new RegExp(`closed ${connection} site-removed`));
});

test('a far end that does not read is cut off at 8 MB', async () => {
  const [a, b] = [newLog(), newLog()];
  const listener = await listen(b);
  const { ip: host, port } = listener.address;
  const socket = connectTls({ ...tunnelClientOptions(gw1, 'gw2.example'), host, port });
  socket.on('error', () => undefined);
  await b.seen(/connected/);
  socket.pause();
  for (let i = 0; i < 400 && !b.lines.some((line) => line.startsWith('closed')); i++) {
    listener.send(1, new Uint8Array(65_536));
    await sleep(1);
  }
  assert.match(await b.seen(/closed/), /write-queue/);
  socket.destroy();
  assert.deepEqual(a.lines, []);
});

test('the media port hands on raw sockets with the ClientHello unread, and limits new connections per source', async () => {
  const server = createTunnelServer(gw2);
  const names: (string | undefined)[] = [];
  server.on('secureConnection', (socket) => {
    names.push(tunnelPeerName(socket, new Set(['gw1.site-a'])));
    socket.end('lane');
  });
  const refused: string[] = [];
  const listener = await MediaListener.listen(
    { address: ANY, burstPerSource: 3, perSecondPerSource: 0.001 },
    {
      // As a worker would get it: later, from elsewhere.
      onSocket: (socket) => setTimeout(() => server.emit('connection', socket), 50),
      onRefused: (reason) => refused.push(reason),
    },
  );
  open.push(listener);
  const { ip: host, port } = listener.address;
  for (let i = 0; i < 3; i++) {
    const text = await new Promise<string>((resolve, reject) => {
      let got = '';
      const socket = connectTls({ ...tunnelClientOptions(gw1, 'gw2.example'), host, port });
      socket.on('data', (chunk) => {
        got += chunk;
      });
      socket.on('error', reject);
      socket.on('close', () => resolve(got));
    });
    assert.equal(text, 'lane');
  }
  const late = connectTcp(port, host).on('error', () => undefined);
  await new Promise((resolve) => late.once('close', resolve));
  assert.deepEqual(refused, ['too-many-from-source']);
  assert.deepEqual(names, ['gw1.site-a', 'gw1.site-a', 'gw1.site-a']);
});

/** A session with its sockets, as process/ wires them. */
function drive(
  session: TunnelSession,
  effects: { dial(ref: number): void; send(ref: number, bytes: Uint8Array): void; close(ref: number): void },
) {
  const events: TunnelEvent[] = [];
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  const input = (value: TunnelInput): void => {
    if (stopped) return;
    session.handle(value, monotonicNow());
    for (let out = session.poll(); out !== undefined; out = session.poll()) {
      if (out.kind === 'dial') effects.dial(out.connection);
      else if (out.kind === 'send') effects.send(out.connection, out.bytes);
      else if (out.kind === 'close') effects.close(out.connection);
      else {
        events.push(out.event);
        if (out.event.kind === 'fence-wanted')
          session.handle({ kind: 'fence', body: new Uint8Array([1]) }, monotonicNow());
      }
    }
    clearTimeout(timer);
    const next = session.deadline();
    if (next !== undefined)
      timer = setTimeout(() => input({ kind: 'timeout' }), Math.max(0, next - monotonicNow()));
  };
  const stop = (): void => {
    stopped = true;
    clearTimeout(timer);
  };
  return { events, input, stop };
}

test('two tunnel sessions over real TLS: up, payloads both ways, a cut is resumed, renew without a gap', async () => {
  const common = {
    bootId: { startedAt: 1, nonce: '0123456789abcdef' },
    shards: 1,
    heartbeatEveryMs: 100,
    deadAfterMs: 2000,
    resumeWithinMs: 10_000,
    backoff: { firstMs: 20, maxMs: 100 },
    maxPayload: 8192,
  };
  const acceptor = new TunnelSession(
    { ...common, role: 'acceptor', name: 'gw2.example', peerName: 'gw1.site-a' },
    systemCrypto,
    systemRandom,
  );
  const relay = new TunnelSession(
    { ...common, role: 'dialer', name: 'gw1.site-a', peerName: 'gw2.example' },
    systemCrypto,
    systemRandom,
  );
  const sockets: number[] = [];
  const listener: TunnelListener = await TunnelListener.listen(
    { address: ANY, identity: gw2, sites: ['gw1.site-a'] },
    {
      onConnected: (_site, connection, exporter) => {
        sockets.push(connection);
        b.input({ kind: 'connected', connection, exporter });
      },
      onData: (_site, connection, bytes) => b.input({ kind: 'data', connection, bytes }),
      onClosed: (_site, connection, reason) => b.input({ kind: 'closed', connection, reason }),
      onRefused: (reason) => assert.fail(reason),
    },
  );
  open.push(listener);
  const b = drive(acceptor, {
    dial: () => assert.fail('the acceptor dials nobody'),
    send: (ref, bytes) => listener.send(ref, bytes),
    close: (ref) => listener.close(ref),
  });
  const sockets1 = new TunnelDialer(
    { remote: listener.address, serverName: 'gw2.example', identity: gw1 },
    {
      onConnected: (connection, exporter) => a.input({ kind: 'connected', connection, exporter }),
      onData: (connection, bytes) => a.input({ kind: 'data', connection, bytes }),
      onClosed: (connection, reason) => a.input({ kind: 'closed', connection, reason }),
    },
  );
  open.push(sockets1);
  const a = drive(relay, {
    dial: (ref) => sockets1.dial(ref),
    send: (ref, bytes) => sockets1.send(ref, bytes),
    close: (ref) => sockets1.close(ref),
  });
  open.push(a, b);
  const payloads = (events: readonly TunnelEvent[]): number[] =>
    events.flatMap((event) => (event.kind === 'payload' ? [event.payload[0]!] : []));
  const until = async (done: () => boolean): Promise<void> => {
    for (let i = 0; i < 1000 && !done(); i++) await sleep(10);
    assert.ok(done());
  };
  a.input({ kind: 'timeout' });
  await until(() => relay.up && acceptor.up);
  a.input({ kind: 'send', payload: Uint8Array.of(1) });
  b.input({ kind: 'send', payload: Uint8Array.of(2) });
  await until(() => payloads(a.events).length === 1 && payloads(b.events).length === 1);

  listener.close(sockets.at(-1)!); // behind the acceptor's back
  b.input({ kind: 'closed', connection: sockets.at(-1)!, reason: 'test' });
  b.input({ kind: 'send', payload: Uint8Array.of(3) });
  await until(() => relay.counters.resumes === 1 && payloads(a.events).length === 2);
  await until(() => [a, b].every((end) => end.events.some((event) => event.kind === 'fence')));

  a.input({ kind: 'renew' });
  for (let i = 4; i < 40; i++) {
    a.input({ kind: 'send', payload: Uint8Array.of(i) });
    b.input({ kind: 'send', payload: Uint8Array.of(i) });
    await sleep(5);
  }
  await until(() => payloads(a.events).length === 38 && payloads(b.events).length === 37);
  assert.equal(relay.counters.connections, 3);
  assert.deepEqual(payloads(a.events), [2, 3, ...Array.from({ length: 36 }, (_, i) => i + 4)]);
  assert.deepEqual(payloads(b.events), [1, ...Array.from({ length: 36 }, (_, i) => i + 4)]);
  assert.equal(a.events.filter((event) => event.kind === 'down').length, 1);
  a.input({ kind: 'stop' });
  await until(() => b.events.some((event) => event.kind === 'lost'));
});
