import assert from 'node:assert/strict';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { systemCrypto } from '../../src/net/providers.ts';
import { createAuthority, issueCertificate, type KeyedCertificate, readKeyed } from '../../src/store/pki.ts';
import { LANE_EXPORTER_LABEL, writeHello } from '../../src/tunnel/lane-hello.ts';
import { FRAME_HELLO, helloFrame } from '../../src/tunnel/media-frame.ts';
import { eventually, Pair, type SoundingCall } from './pair.ts';

const ALPN_NONE = { servername: 'gw2', rejectUnauthorized: false } as const;

describe('strangers at the two ports of GW2', () => {
  let pair: Pair;
  let call: SoundingCall;
  let own: KeyedCertificate;
  let authority: KeyedCertificate;

  before(async () => {
    pair = await Pair.start();
    call = await pair.call();
    const file = (name: string) => join(pair.folder, 'pki', name);
    authority = readKeyed(file('ca.crt'), file('ca.key'));
    own = readKeyed(file('gw1.crt'), file('gw1.key'));
  });
  after(() => pair.stop());

  const dial = (port: number, identity?: KeyedCertificate, more: object = {}): TLSSocket =>
    connect({
      host: '127.0.0.1',
      port,
      ...ALPN_NONE,
      ...(identity === undefined ? {} : { cert: identity.certificate, key: identity.key }),
      ...more,
    });

  /** The far end ends it; whatever it said before that. */
  async function refused(socket: Socket): Promise<void> {
    socket.on('error', () => undefined);
    socket.on('data', () => undefined);
    await eventually(
      () => Promise.resolve(socket.destroyed || socket.closed),
      8000,
      () => 'still connected',
    );
  }

  /** `reason` is counted once more while `act` is tried. */
  async function counts(reason: RegExp, act: () => Promise<void>): Promise<void> {
    const sum = async (): Promise<number> => {
      const refusals = (await pair.status('gw2')).counters['laneRefused'] ?? {};
      // Refusals at the signalling port are counted by the process, seen in its metrics.
      const metrics = await (await fetch(`http://127.0.0.1:${pair.metrics.gw2}/metrics`)).text();
      const lines = metrics.split('\n').filter((l) => l.includes('refused') && reason.test(l));
      return (
        Object.entries(refusals).reduce((n, [k, v]) => n + (reason.test(k) ? v : 0), 0) +
        lines.reduce((n, l) => n + Number(l.split(' ').at(-1)), 0)
      );
    };
    const first = await sum();
    await act();
    await eventually(
      async () => (await sum()) > first,
      5000,
      () => `not counted: ${reason}`,
    );
  }

  test('no certificate', async () => {
    await counts(/no-certificate/, () => refused(dial(pair.ports.signalling)));
    await counts(/TLS|certificate/, () => refused(dial(pair.ports.media)));
  });

  test('a certificate of another authority with the right name', async () => {
    const foreign = await createAuthority('another');
    const leaf = await issueCertificate(foreign, { use: 'relay', dnsNames: ['gw1'] });
    await counts(/certificate-invalid/, () => refused(dial(pair.ports.signalling, leaf)));
    await counts(/TLS|certificate/, () => refused(dial(pair.ports.media, leaf)));
  });

  test('a certificate of our authority with a name that is no site', async () => {
    const leaf = await issueCertificate(authority, {
      use: 'relay',
      dnsNames: ['gw9', 'xgw1', 'gw1.example'],
    });
    await counts(/unknown-site/, () => refused(dial(pair.ports.signalling, leaf)));
  });

  test('TLS 1.2', async () => {
    await counts(/handshake|tls/i, () =>
      refused(dial(pair.ports.signalling, own, { maxVersion: 'TLSv1.2' })),
    );
  });

  test('no TLS at all', async () => {
    for (const port of [pair.ports.signalling, pair.ports.media]) {
      const socket = createConnection(port, '127.0.0.1');
      socket.write('INVITE sip:601@127.0.0.1 SIP/2.0\r\n\r\n');
      await refused(socket);
    }
  });

  test("a lane with the site's own certificate but no proof of the session key", async () => {
    const session = (await pair.status('gw2')).tunnels[0]!.session;
    await counts(/no proof/, async () => {
      const socket = dial(pair.ports.media, own);
      await new Promise((resolve) => socket.once('secureConnect', resolve));
      const exporter = socket.exportKeyingMaterial(32, LANE_EXPORTER_LABEL, Buffer.alloc(0));
      const hello = writeHello(
        'dialer',
        { shard: 0, lane: 7, session },
        Buffer.alloc(32, 7),
        exporter,
        systemCrypto,
      );
      socket.write(helloFrame(FRAME_HELLO, hello));
      await refused(socket);
    });
    await counts(/session-unknown/, async () => {
      const socket = dial(pair.ports.media, own);
      await new Promise((resolve) => socket.once('secureConnect', resolve));
      const hello = writeHello(
        'dialer',
        { shard: 0, lane: 7, session: 'f'.repeat(32) },
        Buffer.alloc(32),
        Buffer.alloc(32),
        systemCrypto,
      );
      socket.write(helloFrame(FRAME_HELLO, hello));
      await refused(socket);
    });
  });

  test("a second dialer with the site's own certificate but not its session: refused while GW1 is there", async () => {
    // A stolen certificate of the same boot would be told apart by the session's secret only.
    const socket = dial(pair.ports.signalling, own);
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    socket.write(Buffer.from([1, 0, 0, 1, 0])); // a hello that is none
    await refused(socket);
    assert.equal((await pair.status('gw2')).tunnels[0]!.state, 'up');
  });

  test('none of it has touched the call or its sound', async () => {
    assert.ok(call.alive);
    const match = await call.matchNow(10_000);
    assert.ok(match > 0.6, String(match));
    assert.equal((await pair.status('gw2')).tunnels[0]!.state, 'up');
    pair.gw2.ensureAlive();
  });
});
