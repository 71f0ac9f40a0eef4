/** The contract of LaneWire, kept by OpenSSL called straight and by Node's TLS, whichever is at either end. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { connect, createServer, type Server } from 'node:net';
import { before, type TestContext, test } from 'node:test';
import type { TlsIdentity } from '../net/tls.ts';
import { createAuthority, issueCertificate, type KeyedCertificate } from '../store/pki.ts';
import type { LaneWire, LaneWires, WireBuffer } from './lane-wire.ts';
import { NodeWires } from './lane-wire-node.ts';
import { OpensslWires } from './lane-wire-openssl.ts';
import { Arena, loadNative, type Native } from './native.ts';
import { Poller } from './poller.ts';

type Kind = LaneWires['implementation'];

const native = await loadNative().catch(() => undefined);
const kinds: readonly Kind[] = native === undefined ? ['node'] : ['openssl', 'node'];
const pairings = kinds.flatMap((dialer) => kinds.map((acceptor) => [dialer, acceptor] as const));

const SERVER = 'gw2.example';
const CLIENT = 'site-a.example';
const RECORD = 16 * 1024;

let authority: KeyedCertificate;
let client: TlsIdentity;
let server: TlsIdentity;
let stranger: TlsIdentity;

before(async () => {
  authority = await createAuthority('test');
  client = await issue(authority, 'relay', CLIENT);
  server = await issue(authority, 'termination', SERVER);
  const other = await createAuthority('other');
  stranger = { ...(await issue(other, 'relay', CLIENT)), ca: authority.certificate };
});

async function issue(
  from: KeyedCertificate,
  use: 'relay' | 'termination',
  name: string,
): Promise<TlsIdentity> {
  const made = await issueCertificate(from, { use, dnsNames: [name] });
  return { certificate: made.certificate, key: made.key, ca: from.certificate };
}

async function eventually(check: () => boolean, what: string): Promise<void> {
  const end = Date.now() + 8000;
  while (!check()) {
    assert.ok(Date.now() < end, `waited in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** One end's wires, driven as a worker drives them, and what its connections told. */
class End {
  readonly wires: LaneWires;
  readonly secure: LaneWire[] = [];
  readonly closed: (string | undefined)[] = [];
  readonly told: string[] = [];
  readonly #received: Buffer[] = [];
  readonly #poller: Poller | undefined;
  readonly #timer: NodeJS.Timeout;

  constructor(kind: Kind, identity: TlsIdentity) {
    if (kind === 'node') this.wires = new NodeWires(identity);
    else {
      this.#poller = new Poller(native as Native);
      const arena = new Arena(native as Native, 8 * RECORD);
      this.wires = new OpensslWires(native as Native, this.#poller, arena, identity);
    }
    assert.equal(this.wires.implementation, kind);
    this.#timer = setInterval(() => {
      this.#poller?.pollLanes(0);
      this.wires.retry();
    }, 1);
  }

  readonly events = {
    secure: (wire: LaneWire): void => {
      this.secure.push(wire);
      wire.attach({
        data: (bytes, start, end) => this.#received.push(Buffer.from(bytes.subarray(start, end))),
        finished: () => this.told.push('finished'),
        closed: () => this.told.push('closed'),
      });
    },
    closed: (reason: string | undefined): void => {
      this.closed.push(reason);
    },
  };

  get received(): Buffer {
    return Buffer.concat(this.#received);
  }

  /** Writes it record by record; resolves when the system took all. */
  async write(bytes: Buffer): Promise<void> {
    const free: WireBuffer[] = [];
    let [at, taken] = [0, 0];
    for (; at < bytes.length; at += RECORD) {
      const buffer = free.pop() ?? this.wires.allocate(RECORD);
      const length = bytes.copy(buffer.bytes, buffer.start, at, at + RECORD);
      this.secure[0]!.write(buffer, length, (back, octets) => {
        taken += octets;
        free.push(back);
      });
    }
    await eventually(() => taken === bytes.length, 'everything taken');
  }

  stop(): void {
    for (const wire of this.secure) wire.destroy();
    this.wires.stop();
    clearInterval(this.#timer);
    this.#poller?.stop();
  }
}

class Connection {
  readonly dialer: End;
  readonly acceptor: End;
  readonly #server: Server;

  constructor(t: TestContext, [dialer, acceptor]: readonly [Kind, Kind], identity = client) {
    this.dialer = new End(dialer, identity);
    this.acceptor = new End(acceptor, server);
    this.#server = createServer({ pauseOnConnect: true }, (socket) =>
      this.acceptor.wires.accept(socket, this.acceptor.events),
    );
    t.after(() => {
      this.dialer.stop();
      this.acceptor.stop();
      this.#server.close();
    });
  }

  async dial(identity = client, serverName = SERVER): Promise<void> {
    if (!this.#server.listening)
      await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const { port } = this.#server.address() as { port: number };
    this.dialer.wires.dial(identity, { ip: '127.0.0.1', port }, serverName, this.dialer.events);
  }

  async open(): Promise<this> {
    await this.dial();
    await eventually(() => this.dialer.secure.length + this.acceptor.secure.length === 2, 'secure ends');
    return this;
  }
}

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

for (const pairing of pairings) {
  const name = `${pairing[0]} dials ${pairing[1]}`;

  test(`both ends verify the other and have the same exporter (RFC 8446 7.5): ${name}`, async (t) => {
    const { dialer, acceptor } = await new Connection(t, pairing).open();
    const [near, far] = [dialer.secure[0]!, acceptor.secure[0]!];
    assert.deepEqual([near.peerNames, far.peerNames], [[SERVER], [CLIENT]]);
    assert.deepEqual([...near.exporter], [...far.exporter]);
    assert.equal(near.exporter.length, 32);
    for (const wire of [near, far]) {
      assert.ok(wire.lifetime() > 86_400_000, 'until the certificate expires');
      assert.equal(wire.remote, '127.0.0.1');
      assert.ok(wire.fd >= 0);
    }
  });

  test(`octets arrive whole and in order, also more than the system takes at once: ${name}`, async (t) => {
    const { dialer, acceptor } = await new Connection(t, pairing).open();
    const [out, back] = [randomBytes(5_000_001), randomBytes(77_777)];
    acceptor.secure[0]!.pause();
    const writing = dialer.write(out);
    await acceptor.write(back);
    await eventually(
      () => dialer.received.length === back.length,
      'the way back, while the other is stopped',
    );
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.ok(acceptor.received.length <= 2 * RECORD, 'nothing more is read while paused');
    acceptor.secure[0]!.resume();
    await writing;
    await eventually(() => acceptor.received.length === out.length, 'all octets');
    assert.equal(digest(acceptor.received), digest(out));
    assert.equal(digest(dialer.received), digest(back));
  });

  test(`what was written before the end arrives, and each end is told once: ${name}`, async (t) => {
    const { dialer, acceptor } = await new Connection(t, pairing).open();
    await dialer.write(Buffer.alloc(100_000, 7));
    dialer.secure[0]!.end();
    await eventually(() => acceptor.told.includes('finished'), 'the end');
    assert.equal(acceptor.received.length, 100_000);
    acceptor.secure[0]!.end();
    for (const end of [dialer, acceptor]) {
      await eventually(() => end.closed.length > 0 && end.told.includes('closed'), 'closed');
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
    for (const end of [dialer, acceptor]) {
      assert.equal(end.closed.length, 1);
      assert.equal(end.told.filter((what) => what === 'closed').length, 1);
    }
  });

  test(`an end that is destroyed takes the other with it, each told once: ${name}`, async (t) => {
    const { dialer, acceptor } = await new Connection(t, pairing).open();
    acceptor.secure[0]!.destroy();
    await eventually(() => acceptor.closed.length === 1 && dialer.told.length > 0, 'told');
    dialer.secure[0]!.destroy();
    await eventually(() => dialer.closed.length === 1, 'closed');
    assert.equal(acceptor.secure[0]!.fd, -1);
    assert.equal(dialer.secure[0]!.fd, -1);
  });

  test(`a server of another name, a client of another authority are not secure: ${name}`, async (t) => {
    const wrong = new Connection(t, pairing);
    await wrong.dial(client, 'gw3.example');
    await eventually(() => wrong.dialer.closed.length === 1, 'refused by the dialer');
    assert.equal(wrong.dialer.secure.length, 0);
    assert.match(String(wrong.dialer.closed[0]), /gw3|name|altname/i);
    const forged = new Connection(t, pairing, stranger);
    await forged.dial(stranger);
    await eventually(() => forged.acceptor.closed.length === 1, 'refused by the acceptor');
    assert.equal(forged.acceptor.secure.length, 0);
    assert.match(String(forged.acceptor.closed[0]), /certificate/, 'and the reason is told');
  });

  test(`a renewed certificate is that of the connections after it: ${name}`, async (t) => {
    const connection = await new Connection(t, pairing).open();
    const { dialer, acceptor } = connection;
    acceptor.wires.identify(await issue(authority, 'termination', 'gw9.example'));
    await connection.dial(await issue(authority, 'relay', 'site-z.example'), 'gw9.example');
    await eventually(() => dialer.secure.length + acceptor.secure.length === 4, 'a second connection');
    assert.deepEqual(dialer.secure[1]!.peerNames, ['gw9.example']);
    assert.deepEqual(acceptor.secure[1]!.peerNames, ['site-z.example']);
    await dialer.write(Buffer.from('the first goes on'));
    await eventually(() => acceptor.received.length > 0, 'the first connection');
  });
}

test('a handshake that dribbles is ended by Node’s TLS too: an octet now and then holds no place for ever', async (t) => {
  const wires = new NodeWires(server, 500);
  const closed: (string | undefined)[] = [];
  const port = createServer({ pauseOnConnect: true }, (socket) =>
    wires.accept(socket, { secure: () => assert.fail('no'), closed: (reason) => closed.push(reason) }),
  );
  await new Promise<void>((resolve) => port.listen(0, '127.0.0.1', resolve));
  const slow = connect((port.address() as { port: number }).port, '127.0.0.1').on('error', () => undefined);
  // The beginning of a ClientHello of 512 octets.
  slow.write(Uint8Array.of(0x16, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3));
  const dribble = setInterval(() => slow.write(Uint8Array.of(7)), 50);
  t.after(() => {
    clearInterval(dribble);
    slow.destroy();
    port.close();
  });
  await eventually(() => closed.length > 0, 'its end');
  assert.deepEqual(closed, ['handshake-timeout']);
});
