import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import dgram from 'node:dgram';
import { readFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { before, type TestContext, test } from 'node:test';
import tls from 'node:tls';
import type { PlaneEvent, StreamLegConfig } from '../media/plane-contract.ts';
import { systemCrypto } from '../net/providers.ts';
import { type TlsIdentity, tunnelClientOptions } from '../net/tls.ts';
import { REFUSED } from '../rtp/refusal.ts';
import { createAuthority, issueCertificate, type KeyedCertificate } from '../store/pki.ts';
import { LANE_EXPORTER_LABEL, writeHello } from '../tunnel/lane-hello.ts';
import { FRAME_HELLO, helloFrame } from '../tunnel/media-frame.ts';
import { PlaneSupervisor } from './supervisor.ts';

/** `koffi-node`: sockets through koffi, lanes by Node's TLS, as where OpenSSL cannot be called. */
type Implementation = 'koffi' | 'koffi-node' | 'dgram';

const SESSION = 'session-under-test';
const KEY = randomBytes(32);
const LIMITS = { maxLanes: 8, maxStreams: 100, maxBytesPerSecond: 10_000_000 };
const koffiLoads = await import('koffi').then(
  () => process.platform === 'linux',
  () => false,
);

let authority: KeyedCertificate;
let gw1: TlsIdentity;
let gw2: TlsIdentity;
let otherSite: TlsIdentity;

before(async () => {
  authority = await createAuthority('test');
  const issue = async (use: 'termination' | 'relay', name: string): Promise<TlsIdentity> => {
    const made = await issueCertificate(authority, { use, dnsNames: [name] });
    return { certificate: made.certificate, key: made.key, ca: authority.certificate };
  };
  gw1 = await issue('relay', 'site-a.example');
  gw2 = await issue('termination', 'gw2.example');
  otherSite = await issue('relay', 'site-b.example');
});

/** One gateway's plane with what it said. */
class Side {
  readonly plane = new PlaneSupervisor();
  readonly events: PlaneEvent[] = [];

  constructor() {
    this.plane.onEvent = (_shard, event) => this.events.push(event);
  }

  of<K extends PlaneEvent['kind']>(kind: K): Extract<PlaneEvent, { kind: K }>[] {
    return this.events.filter((e): e is Extract<PlaneEvent, { kind: K }> => e.kind === kind);
  }

  async until<K extends PlaneEvent['kind']>(
    kind: K,
    count = 1,
    ms = 8000,
  ): Promise<Extract<PlaneEvent, { kind: K }>> {
    const what = (): string => `${kind} (${count}); failed: ${this.of('open-failed').map((e) => e.reason)}`;
    await eventually(() => this.of(kind).length >= count, what, ms);
    return this.of(kind)[count - 1]!;
  }
}

/** Processor time that a hypervisor took from this machine so far, in hundredths of a second (proc_stat(5), `steal`); 0 where nobody says. */
function stolen(): number {
  try {
    return Number(readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]!.trim().split(/\s+/)[8] ?? 0);
  } catch {
    return 0;
  }
}

/** A frame that is 200 ms late is dropped, and it is where the processor is taken away for so long: then, and only then, once more. */
async function unlessStolen(t: TestContext, body: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const before = stolen();
    try {
      await body();
      return;
    } catch (error) {
      const took = stolen() - before;
      if (attempt === 3 || took < 20) throw error;
      t.diagnostic(`attempt ${attempt}: ${10 * took} ms of processor time were stolen; ${String(error)}`);
    }
  }
}

async function eventually(check: () => boolean, what: string | (() => string), ms = 8000): Promise<void> {
  const end = Date.now() + ms;
  while (!check()) {
    assert.ok(Date.now() < end, `waited in vain for: ${typeof what === 'string' ? what : what()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function options(implementation: Implementation) {
  return implementation === 'koffi-node'
    ? ({ implementation: 'koffi', lanes: 'node' } as const)
    : { implementation };
}

/** Two planes and the media port between them, through a TCP relay that can be cut or stopped. */
class Pair {
  readonly a = new Side(); // GW1: dials
  readonly b = new Side(); // GW2: accepts
  #server!: Server;
  #relay!: Server;
  readonly #relayed = new Set<Socket>();
  /** Where GW1 dials. */
  port = 0;
  #refusing = false;

  async start(implementations: readonly [Implementation, Implementation], workers = 1): Promise<void> {
    await Promise.all([
      this.a.plane.start({ workers, ...options(implementations[0]), tls: gw1 }),
      this.b.plane.start({ workers, ...options(implementations[1]), tls: gw2 }),
    ]);
    this.#server = createServer({ pauseOnConnect: true }, (socket) => this.b.plane.acceptLane(socket));
    const target = await listening(this.#server);
    this.#relay = createServer((near) => {
      const far = connect(target, '127.0.0.1');
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#relayed.add(one);
        one.setNoDelay(true);
        one.pipe(other);
        one.on('error', () => undefined);
        one.on('close', () => {
          this.#relayed.delete(one);
          other.destroy();
        });
      }
      if (this.#refusing) near.destroy();
    });
    this.port = await listening(this.#relay);
  }

  /** Every connection breaks; new ones are refused until `mend`. */
  cut(): void {
    this.#refusing = true;
    for (const socket of this.#relayed) socket.destroy();
  }

  mend(): void {
    this.#refusing = false;
  }

  /** The connections stay established, but nothing passes any more. */
  stall(): void {
    for (const socket of this.#relayed) {
      socket.unpipe();
      socket.pause();
    }
  }

  session(lanes = 2, peerName = 'site-a.example', shard = 0): void {
    const common = { kind: 'session', session: SESSION, key: KEY.toString('hex'), limits: LIMITS } as const;
    this.b.plane.command(shard, { ...common, peerName });
    this.a.plane.command(shard, {
      ...common,
      peerName: 'gw2.example',
      dial: { remote: { ip: '127.0.0.1', port: this.port }, serverName: 'gw2.example', lanes, shard },
    });
  }

  async stop(): Promise<void> {
    await Promise.all([this.a.plane.stop(), this.b.plane.stop()]);
    this.#server.close();
    this.cut();
    this.#relay.close();
  }
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as { port: number }).port;
}

/** A phone: an RTP port that keeps what it hears. */
class Phone {
  readonly socket: dgram.Socket;
  readonly heard: Buffer[] = [];
  readonly from: number[] = [];
  port = 0;
  #sequence = 65_500; // wraps soon
  #timestamp = 0xffff_f000;
  readonly ssrc = randomBytes(4).readUInt32BE();

  private constructor(v6: boolean) {
    this.socket = dgram.createSocket(v6 ? 'udp6' : 'udp4');
    this.socket.on('message', (message, remote) => {
      this.heard.push(message);
      this.from.push(remote.port);
    });
  }

  static async open(ip = '127.0.0.1'): Promise<Phone> {
    const phone = new Phone(ip.includes(':'));
    phone.socket.unref(); // a failed test must not keep the process
    await new Promise<void>((resolve) => phone.socket.bind(0, ip, resolve));
    phone.port = phone.socket.address().port;
    return phone;
  }

  packet(payload: Buffer, payloadType = 0): Buffer {
    const header = Buffer.alloc(12);
    header[0] = 0x80;
    header[1] = payloadType;
    header.writeUInt16BE(this.#sequence, 2);
    header.writeUInt32BE(this.#timestamp, 4);
    header.writeUInt32BE(this.ssrc, 8);
    this.#sequence = (this.#sequence + 1) & 0xffff;
    this.#timestamp = (this.#timestamp + 160) >>> 0;
    return Buffer.concat([header, payload]);
  }

  say(payload: Buffer, port: number, ip = '127.0.0.1'): void {
    this.socket.send(this.packet(payload), port, ip);
  }

  /** A gap of `count` packets. */
  skip(count: number): void {
    this.#sequence = (this.#sequence + count) & 0xffff;
    this.#timestamp = (this.#timestamp + 160 * count) >>> 0;
  }

  payloads(): string[] {
    return this.heard.map((m) => m.subarray(12).toString('hex'));
  }
}

// Below the ports that the system gives out by itself.
let nextPort = 10_000 + 2 * Math.floor(Math.random() * 4500);

function leg(stream: number, remotePort: number, more: Partial<StreamLegConfig> = {}): StreamLegConfig {
  nextPort += 2;
  return {
    session: SESSION,
    stream,
    call: `call-${stream}`,
    kind: 'audio',
    priority: 'normal',
    local: { ip: '127.0.0.1', port: nextPort },
    rtcpMux: false,
    remote: { ip: '127.0.0.1', port: remotePort },
    source: 'signalled',
    latchWindowMs: 2000,
    direction: 'sendrecv',
    formats: [
      {
        format: 3,
        receivePayloadType: 0,
        sendPayloadType: 0,
        clockRate: 8000,
        maxPayload: 240,
        maxPacketsPerSecond: 200,
        kind: 'voice',
      },
      {
        format: 4,
        receivePayloadType: 101,
        sendPayloadType: 97,
        clockRate: 8000,
        maxPayload: 4,
        maxPacketsPerSecond: 100,
        kind: 'event',
      },
    ],
    cname: 'someone@gateway',
    ...more,
  };
}

/** A call through the pair: both legs open, both phones known. */
async function call(
  pair: Pair,
  stream: number,
  inner: Partial<StreamLegConfig> = {},
  outer: Partial<StreamLegConfig> = {},
  shard = 0,
) {
  const inside = await Phone.open();
  const outside = await Phone.open();
  const innerLeg = leg(stream, inside.port, inner);
  const outerLeg = leg(stream, outside.port, outer);
  const [was1, was2] = [pair.a.of('opened').length, pair.b.of('opened').length];
  pair.a.plane.command(shard, { kind: 'open', leg: innerLeg });
  pair.b.plane.command(shard, { kind: 'open', leg: outerLeg });
  await pair.a.until('opened', was1 + 1);
  await pair.b.until('opened', was2 + 1);
  return { inside, outside, innerLeg, outerLeg };
}

async function talk(from: Phone, port: number, count: number): Promise<string[]> {
  const said: string[] = [];
  for (let i = 0; i < count; i++) {
    const payload = randomBytes(160);
    said.push(payload.toString('hex'));
    from.say(payload, port);
    await pause(5);
  }
  return said;
}

const pairings: [Implementation, Implementation][] = koffiLoads
  ? [
      ['koffi', 'koffi'],
      ['dgram', 'dgram'],
      ['koffi', 'dgram'],
      ['dgram', 'koffi'],
      ['koffi-node', 'koffi'],
      ['koffi', 'koffi-node'],
      ['koffi-node', 'koffi-node'],
    ]
  : [['dgram', 'dgram']];

for (const implementations of pairings) {
  test(`calls that share a pair of ports are kept apart: ${implementations.join(' x ')}`, async (t) => {
    const pair = new Pair();
    t.after(() => pair.stop());
    await pair.start(implementations);
    pair.session();
    await pair.a.until('lane-up', 2);
    const first = await call(pair, 7, {}, {});
    const [inner, outer] = [first.innerLeg.local, first.outerLeg.local].map((local) => ({
      local: { ip: local.ip, port: local.port + 400, shared: true },
    }));
    const calls = [await call(pair, 8, inner, outer), await call(pair, 9, inner, outer)];
    assert.equal(calls[0]!.innerLeg.local.port, calls[1]!.innerLeg.local.port);
    const said = await Promise.all(calls.map((c) => talk(c.outside, c.outerLeg.local.port, 40)));
    const answered = await Promise.all(calls.map((c) => talk(c.inside, c.innerLeg.local.port, 40)));
    await eventually(() => calls.every((c) => c.inside.heard.length >= 40), 'all packets inside');
    await eventually(() => calls.every((c) => c.outside.heard.length >= 40), 'all packets outside');
    for (const [i, c] of calls.entries()) {
      assert.deepEqual(c.inside.payloads().sort(), said[i]!.sort());
      assert.deepEqual(c.outside.payloads().sort(), answered[i]!.sort());
      assert.deepEqual([...new Set(c.outside.from)], [c.outerLeg.local.port]);
    }
  });

  test(`a fax crosses lanes that are cut as it crosses whole ones, and is rebuilt: ${implementations.join(' x ')}`, async (t) => {
    const pair = new Pair();
    t.after(() => pair.stop());
    await pair.start(implementations);
    pair.session();
    await pair.a.until('lane-up', 2);
    const udptl = { maxDatagramIn: 400, maxBytesPerSecond: 50_000, redundancy: 3, maxDatagramOut: 400 };
    const format = {
      format: 0,
      receivePayloadType: -1,
      sendPayloadType: -1,
      clockRate: 0,
      maxPayload: 400,
      maxPacketsPerSecond: 200,
      kind: 'udptl',
      udptl,
    } as const;
    const fax = { kind: 'image', formats: [format] } as const;
    const { inside, outside, innerLeg, outerLeg } = await call(pair, 7, fax, fax);
    // T.38 7: V.17 data, one field of 36 octets: 20 ms of a page.
    const pieces = Array.from({ length: 100 }, () =>
      Buffer.concat([Buffer.from('d001e00023', 'hex'), randomBytes(36)]),
    );
    const firsts = (): Map<number, string> =>
      new Map(inside.heard.map((m) => [m.readUInt16BE(0), m.subarray(3, 3 + m[2]!).toString('hex')]));
    const say = async (from: number, to: number): Promise<void> => {
      for (let n = from; n < to; n++) {
        const piece = pieces[n]!;
        const header = Buffer.from([n >> 8, n & 255, piece.length]);
        outside.socket.send(
          Buffer.concat([header, piece, Buffer.of(0, 0)]),
          outerLeg.local.port,
          '127.0.0.1',
        );
        await pause(10);
      }
    };
    await say(0, 50);
    await eventually(() => firsts().has(49), 'nothing under way');
    pair.cut(); // what lay in a connection then would be gone
    await Promise.all([pair.a.until('lane-down', 2), pair.b.until('lane-down', 2)]);
    await say(50, 60);
    pair.mend();
    await say(60, 100);
    await eventually(() => firsts().has(99), 'the last piece of the page');
    const whole = new Map(firsts());
    // What our own repetitions bring counts as well.
    for (const m of inside.heard) {
      for (let at = 5 + m[2]!, n = m.readUInt16BE(0) - 1; at < m.length; at += 1 + m[at]!, n--)
        whole.set(n, m.subarray(at + 1, at + 1 + m[at]!).toString('hex'));
    }
    const wrong = [...whole].filter(([n, piece]) => pieces[n]!.toString('hex') !== piece);
    assert.deepEqual(wrong, []);
    assert.equal(whole.size, pieces.length, 'what came while there was no connection waited for one');
    assert.deepEqual([...new Set(inside.from)], [innerLeg.local.port]);
    assert.ok(inside.heard.at(-1)!.length > 3 * 41, 'with repetitions that the origin did not make');
  });

  test(`RTP crosses both ways and is rebuilt: ${implementations.join(' x ')}`, (t) =>
    unlessStolen(t, async () => {
      const pair = new Pair();
      t.after(() => pair.stop());
      await pair.start(implementations);
      for (const [side, implementation] of [
        [pair.a, implementations[0]],
        [pair.b, implementations[1]],
      ] as const) {
        const { implementation: has, lanes, buffers } = side.of('ready')[0]!;
        assert.equal(has, options(implementation).implementation);
        assert.equal(lanes, implementation === 'koffi' ? 'openssl' : 'node');
        assert.equal(buffers !== undefined, has === 'koffi');
        assert.ok(buffers === undefined || (buffers.receive > 0 && buffers.receive <= buffers.asked));
      }
      pair.session();
      await pair.a.until('lane-up', 2);
      const { inside, outside, innerLeg, outerLeg } = await call(pair, 7);

      const saidOut = talk(inside, innerLeg.local.port, 30);
      const first = await talk(outside, outerLeg.local.port, 20);
      outside.skip(3);
      const second = await talk(outside, outerLeg.local.port, 20);
      await eventually(() => inside.heard.length >= 40, 'all packets inside');
      assert.deepEqual(inside.payloads().sort(), [...first, ...second].sort());
      const sentOut = await saidOut;
      await eventually(() => outside.heard.length >= 30, 'all packets outside');
      assert.deepEqual(outside.payloads().sort(), sentOut.sort());

      for (const [phone, other] of [
        [inside, outside],
        [outside, inside],
      ] as const) {
        const ssrcs = new Set(phone.heard.map((m) => m.readUInt32BE(8)));
        assert.equal(ssrcs.size, 1, 'one SSRC');
        assert.ok(!ssrcs.has(other.ssrc), 'a new SSRC');
      }
      // RFC 3550 5.1: steps survive: the gap of three is a gap of three packets and 480 units more.
      const byContent = new Map(inside.heard.map((m) => [m.subarray(12).toString('hex'), m]));
      const ordered = [...first, ...second].map((p) => byContent.get(p)!);
      const steps = ordered
        .slice(1)
        .map((m, i) => (m.readUInt16BE(2) - ordered[i]!.readUInt16BE(2)) & 0xffff);
      const ticks = ordered.slice(1).map((m, i) => (m.readUInt32BE(4) - ordered[i]!.readUInt32BE(4)) >>> 0);
      assert.deepEqual(
        steps,
        steps.map((_, i) => (i === 19 ? 4 : 1)),
      );
      assert.deepEqual(
        ticks,
        ticks.map((_, i) => (i === 19 ? 640 : 160)),
      );

      pair.a.plane.command(0, { kind: 'close', session: SESSION, stream: 7 });
      const closed = await pair.a.until('closed');
      assert.equal(closed.counters.packetsOut, 40);
      assert.equal(closed.counters.packetsIn, 30);
      assert.equal(closed.counters.framesLost, 3);
      for (const phone of [inside, outside]) phone.socket.close();
    }));
}

const both: Implementation = koffiLoads ? 'koffi' : 'dgram';

test('attacks on a call leave it alone: garbage at ten times the rate, bleed, injection', async (t) => {
  const pair = new Pair();
  t.after(() => pair.stop());
  await pair.start([both, both]);
  pair.session();
  await pair.a.until('lane-up', 2);
  const { inside, outside, innerLeg, outerLeg } = await call(pair, 9);
  const attacker = await Phone.open();
  const garbage = setInterval(() => {
    for (let i = 0; i < 10; i++) attacker.socket.send(randomBytes(172), outerLeg.local.port, '127.0.0.1');
    // Well formed, right payload type, wrong source.
    attacker.say(randomBytes(160), outerLeg.local.port);
  }, 5);
  const said = await talk(outside, outerLeg.local.port, 60);
  const back = await talk(inside, innerLeg.local.port, 20);
  clearInterval(garbage);
  await eventually(() => inside.heard.length >= 60 && outside.heard.length >= 20, 'the call goes on');
  await pause(50);
  assert.deepEqual(inside.payloads().sort(), said.sort());
  assert.deepEqual(outside.payloads().sort(), back.sort());
  assert.equal(attacker.heard.length, 0, 'an attacker hears nothing (RTP bleed)');
  pair.b.plane.command(0, { kind: 'close', session: SESSION, stream: 9 });
  const { counters } = await pair.b.until('closed');
  assert.ok(counters.refused[REFUSED.source]! > 300, 'refusals are counted by reason');
  for (const phone of [inside, outside, attacker]) phone.socket.close();
});

test('latching: replies follow the first proven source and cannot be stolen later', async (t) => {
  const pair = new Pair();
  t.after(() => pair.stop());
  await pair.start([both, both]);
  pair.session();
  await pair.a.until('lane-up', 2);
  const inside = await Phone.open();
  const natted = await Phone.open('127.0.0.2');
  const thief = await Phone.open('127.0.0.3');
  const innerLeg = leg(11, inside.port);
  // The phone names an address nobody can reach.
  nextPort += 2;
  const outerLeg = leg(11, 9, {
    source: 'latch',
    remote: { ip: '192.168.77.7', port: 9000 },
    local: { ip: '0.0.0.0', port: nextPort },
  });
  pair.a.plane.command(0, { kind: 'open', leg: innerLeg });
  pair.b.plane.command(0, { kind: 'open', leg: outerLeg });
  await pair.b.until('opened');
  await talk(natted, outerLeg.local.port, 10);
  const locked = await pair.b.until('source-locked');
  assert.deepEqual(locked.source, { ip: '127.0.0.2', port: natted.port });
  // RFC 3550 A.1 in spirit: two packets prove the source, the third is the first that passes.
  await eventually(() => inside.heard.length === 8, 'what follows the proof');
  await talk(thief, outerLeg.local.port, 20);
  await talk(inside, innerLeg.local.port, 10);
  await eventually(() => natted.heard.length >= 10, 'replies go to the locked source');
  assert.equal(thief.heard.length, 0);
  assert.equal(inside.heard.length, 8, 'nothing of the thief is injected');
  assert.equal(pair.b.of('source-locked').length, 1);
  for (const phone of [inside, natted, thief]) phone.socket.close();
});

for (const acceptor of koffiLoads ? (['koffi', 'koffi-node', 'dgram'] as const) : (['dgram'] as const)) {
  test(`a lane without proof, of another site, or without a certificate is refused: ${acceptor}`, async (t) => {
    const pair = new Pair();
    t.after(() => pair.stop());
    await pair.start([both, acceptor]);
    pair.session(1);
    await pair.a.until('lane-up');

    const dial = (identity: TlsIdentity, key: Uint8Array): Promise<string> =>
      new Promise((resolve) => {
        const socket = tls.connect(
          { ...tunnelClientOptions(identity, 'gw2.example'), port: pair.port, host: '127.0.0.1' },
          () => {
            const exporter = socket.exportKeyingMaterial(32, LANE_EXPORTER_LABEL, Buffer.alloc(0));
            const hello = { shard: 0, lane: 5, session: SESSION };
            socket.write(helloFrame(FRAME_HELLO, writeHello('dialer', hello, key, exporter, systemCrypto)));
          },
        );
        const got: Buffer[] = [];
        socket.on('data', (d) => got.push(d));
        socket.on('error', () => undefined);
        socket.on('close', () => resolve(Buffer.concat(got).toString('hex')));
      });
    // 2 octets: close frame (type 3), reason 3: hello-refused.
    assert.equal(await dial(gw1, randomBytes(32)), '00023003');
    assert.match((await pair.b.until('lane-refused', 1)).reason, /no proof/);
    assert.equal(
      await dial(otherSite, KEY),
      '00023003',
      'the key alone is not enough: the name must be the site',
    );
    assert.match((await pair.b.until('lane-refused', 2)).reason, /not of site-a/);
    const stranger = await createAuthority('stranger');
    const made = await issueCertificate(stranger, { use: 'relay', dnsNames: ['site-a.example'] });
    const identity = { certificate: made.certificate, key: made.key, ca: authority.certificate };
    assert.equal(await dial(identity, KEY), '');
    await pair.b.until('lane-refused', 3);
    assert.equal(pair.b.of('lane-up').length, 1);
  });
}

test('lanes that are cut, or established but dead, come back and the call goes on', async (t) => {
  const pair = new Pair();
  t.after(() => pair.stop());
  await pair.start([both, both]);
  pair.session();
  await pair.a.until('lane-up', 2);
  const { inside, outside, outerLeg } = await call(pair, 13);
  const works = async (what: string): Promise<void> => {
    inside.heard.length = 0;
    const said = await talk(outside, outerLeg.local.port, 10);
    await eventually(() => inside.heard.length === 10, what);
    assert.deepEqual(inside.payloads().sort(), said.sort());
  };
  await works('sound before');
  pair.cut();
  await pair.a.until('lane-down', 2);
  await talk(outside, outerLeg.local.port, 5);
  await pause(300); // what was said in the cut is stale by now
  pair.mend();
  await pair.a.until('lane-up', 4);
  await works('sound after the cut');
  const stalledAt = Date.now();
  pair.stall();
  const down = await pair.a.until('lane-down', 4);
  assert.equal(down.reason, 'silent');
  assert.ok(Date.now() - stalledAt < 4500, 'a dead lane is found within seconds');
  await pair.a.until('lane-up', 6);
  await pair.b.until('lane-up', 6);
  await works('sound after the stall');
});

test('a dead worker is replaced: the calls go on with the same SSRC and no number comes twice', async (t) => {
  const pair = new Pair();
  t.after(() => pair.stop());
  await pair.start([both, both]);
  pair.session();
  await pair.a.until('lane-up', 2);
  const { inside, outside, innerLeg, outerLeg } = await call(pair, 14);
  await talk(inside, innerLeg.local.port, 10);
  await talk(outside, outerLeg.local.port, 10);
  await eventually(() => inside.heard.length === 10 && outside.heard.length === 10, 'sound before');
  await pause(1200); // a snapshot is taken every second
  const ssrc = outside.heard[0]!.readUInt32BE(8);
  const last = outside.heard.at(-1)!;

  process.kill(pair.b.plane.pids()[0]!, 'SIGKILL');
  await pair.b.until('shard-lost');
  await pair.b.until('shard-ready');
  await pair.a.until('lane-up', 4);
  inside.heard.length = 0;
  outside.heard.length = 0;
  const said = await talk(outside, outerLeg.local.port, 10);
  const back = await talk(inside, innerLeg.local.port, 10);
  await eventually(() => inside.heard.length === 10 && outside.heard.length === 10, 'sound after');
  assert.deepEqual(inside.payloads().sort(), said.sort());
  assert.deepEqual(outside.payloads().sort(), back.sort());
  assert.deepEqual([...new Set(outside.heard.map((m) => m.readUInt32BE(8)))], [ssrc]);
  const step = (outside.heard[0]!.readUInt16BE(2) - last.readUInt16BE(2)) & 0xffff;
  assert.ok(step > 0 && step < 3000, `the sequence goes on upwards (${step})`);
  const ticks = (outside.heard[0]!.readUInt32BE(4) - last.readUInt32BE(4)) >>> 0;
  assert.ok(ticks > 8000 && ticks < 80_000, `the timestamp follows the clock (${ticks})`);
});

test('a worker that dies in the first second of a call: its successor goes on from where main let it begin', async (t) => {
  const pair = new Pair();
  t.after(() => pair.stop());
  await pair.start([both, both]);
  pair.session();
  await pair.a.until('lane-up', 2);
  const rtpBase = { ssrc: 0x12345678, sequence: 65_530, timestamp: 0xffff_ff00 };
  const { inside, outside, innerLeg } = await call(pair, 17, {}, { rtpBase });
  await talk(inside, innerLeg.local.port, 10);
  await eventually(() => outside.heard.length === 10, 'sound before');
  const last = outside.heard.at(-1)!;
  assert.equal(last.readUInt32BE(8), rtpBase.ssrc);
  process.kill(pair.b.plane.pids()[0]!, 'SIGKILL');
  await pair.b.until('shard-ready');
  await pair.a.until('lane-up', 4);
  outside.heard.length = 0;
  await talk(inside, innerLeg.local.port, 10);
  await eventually(() => outside.heard.length === 10, 'sound after');
  assert.deepEqual([...new Set(outside.heard.map((m) => m.readUInt32BE(8)))], [rtpBase.ssrc]);
  const step = (outside.heard[0]!.readUInt16BE(2) - last.readUInt16BE(2)) & 0xffff;
  assert.ok(step > 0 && step < 3000, `the sequence goes on upwards (${step})`);
  const ticks = (outside.heard[0]!.readUInt32BE(4) - last.readUInt32BE(4)) >>> 0;
  assert.ok(ticks > 0 && ticks < 80_000, `and so does the timestamp (${ticks})`);
  for (const phone of [inside, outside]) phone.socket.close();
});

test('a worker that dies takes no call of another with it; its own are on its successor within a second', async (t) => {
  const pair = new Pair();
  t.after(() => pair.stop());
  await pair.start([both, both], 2);
  pair.session(2, 'site-a.example', 0);
  pair.session(2, 'site-a.example', 1);
  await pair.a.until('lane-up', 4);
  await pair.b.until('lane-up', 4);
  const hit = await call(pair, 18);
  const spared = await call(pair, 19, {}, {}, 1);
  await talk(hit.inside, hit.innerLeg.local.port, 5);
  await eventually(() => hit.outside.heard.length === 5, 'sound on the first worker');
  let talking = true;
  const said: string[][] = [];
  const speech = (async () => {
    while (talking) said.push(await talk(spared.inside, spared.innerLeg.local.port, 10));
  })();
  await pause(100);
  const diedAt = Date.now();
  process.kill(pair.b.plane.pids()[0]!, 'SIGKILL');
  hit.outside.heard.length = 0;
  while (hit.outside.heard.length === 0 && Date.now() - diedAt < 8000) {
    await talk(hit.inside, hit.innerLeg.local.port, 2);
  }
  const gap = Date.now() - diedAt;
  talking = false;
  await speech;
  await eventually(
    () => spared.outside.heard.length === said.flat().length,
    'not one packet of the other call is lost',
  );
  assert.deepEqual(spared.outside.payloads().sort(), said.flat().sort());
  assert.ok(hit.outside.heard.length > 0 && gap < 2500, `back after ${gap} ms`);
  t.diagnostic(`sound came back after ${gap} ms`);
  for (const { inside, outside } of [hit, spared])
    for (const phone of [inside, outside]) phone.socket.close();
});

for (const implementation of koffiLoads ? (['koffi', 'dgram'] as const) : (['dgram'] as const)) {
  test(`a port that is given from one stream to another at once (a transfer) stays bound and heard: ${implementation}`, async (t) => {
    const pair = new Pair();
    t.after(() => pair.stop());
    await pair.start([implementation, implementation]);
    pair.session();
    await pair.a.until('lane-up', 2);
    const { inside, outside, innerLeg, outerLeg } = await call(pair, 21);
    // A busy machine may have the tunnel drop what is stale: said again until enough is heard.
    const heard = async (what: string): Promise<void> => {
      inside.heard.length = 0;
      const said: string[] = [];
      for (let i = 0; i < 20 && inside.heard.length < 10; i++) {
        said.push(...(await talk(outside, outerLeg.local.port, 10)));
        await pause(50);
      }
      assert.ok(inside.heard.length >= 10, what);
      for (const payload of inside.payloads()) assert.ok(said.includes(payload), `${what}: as it was said`);
    };
    await heard('sound before');
    for (const [side, before] of [
      [pair.a, innerLeg],
      [pair.b, outerLeg],
    ] as const) {
      side.plane.command(0, { kind: 'close', session: SESSION, stream: 21 });
      side.plane.command(0, { kind: 'open', leg: { ...before, stream: 22, call: 'next' } });
    }
    await pair.a.until('opened', 2);
    await pair.b.until('opened', 2);
    assert.equal(pair.a.of('open-failed').length + pair.b.of('open-failed').length, 0);
    await heard('sound after');
    for (const phone of [inside, outside]) phone.socket.close();
  });
}

/** How often the process's first thread has waited for something (proc_pid_status(5)): every poll is a wait. */
function waits(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(status)?.[1]);
}

for (const implementation of koffiLoads ? (['koffi', 'koffi-node'] as const) : []) {
  test(`ports are polled while packets move; without a call nothing is polled: ${implementation}`, async (t) => {
    const pair = new Pair();
    t.after(() => pair.stop());
    await pair.start([implementation, implementation]);
    pair.session();
    await pair.a.until('lane-up', 2);
    // A processor that is taken away makes waits fewer, never more: idle is seen in any window, polling in one of several.
    const perSecond = async (): Promise<number> => {
      const [pid] = pair.a.plane.pids();
      const [before, from] = [waits(pid!), Date.now()];
      await pause(600);
      return (1000 * (waits(pid!) - before)) / (Date.now() - from);
    };
    const IDLE = 40; // heartbeats of two lanes and the worker's own clock; the slowest poll is at least 100
    const some = async (check: (rate: number) => boolean, what: string): Promise<void> => {
      const seen: number[] = [];
      while (seen.length < 12) {
        seen.push(await perSecond());
        if (check(seen.at(-1)!)) return;
      }
      assert.fail(`${what}: ${seen.map((rate) => rate.toFixed(0))} per second`);
    };
    await some((rate) => rate < IDLE, 'idle before');
    const { inside, outside, innerLeg } = await call(pair, 23);
    let talking = true;
    const speech = (async () => {
      while (talking) await talk(inside, innerLeg.local.port, 5);
    })();
    await some((rate) => rate > 2 * IDLE, 'polling while packets move');
    talking = false;
    await speech;
    // Lanes by Node's TLS are no reason to wake the worker by: it polls as long as the call is up.
    if (implementation === 'koffi') await some((rate) => rate < IDLE, 'idle while nobody speaks');
    pair.a.plane.command(0, { kind: 'close', session: SESSION, stream: 23 });
    await some((rate) => rate < IDLE, 'idle after');
    for (const phone of [inside, outside]) phone.socket.close();
  });
}

test('two shards: every lane finds the worker of its shard although main does not know it', async (t) => {
  const pair = new Pair();
  t.after(() => pair.stop());
  await pair.start([both, both], 2);
  pair.session(2, 'site-a.example', 0);
  pair.session(2, 'site-a.example', 1);
  await pair.a.until('lane-up', 4);
  await pair.b.until('lane-up', 4);
});

test('a port that is taken is told; a digit becomes RFC 4733 packets on the time line of the voice', async (t) => {
  const pair = new Pair();
  t.after(() => pair.stop());
  await pair.start([both, both]);
  pair.session(1); // one lane keeps the order
  await pair.a.until('lane-up', 1);
  const { inside, outside, innerLeg, outerLeg } = await call(pair, 15);
  pair.b.plane.command(0, { kind: 'open', leg: { ...leg(16, 9), local: outerLeg.local } });
  assert.match((await pair.b.until('open-failed')).reason, /EADDRINUSE/);

  await talk(inside, innerLeg.local.port, 10);
  await eventually(() => outside.heard.length === 10, 'voice first');
  pair.b.plane.command(0, { kind: 'digit', session: SESSION, stream: 15, digit: '5', durationMs: 100 });
  await eventually(() => outside.heard.length === 17, 'a digit of 100 ms: five packets, the last thrice');
  await pause(60);
  assert.equal(outside.heard.length, 17);
  const events = outside.heard.slice(10);
  assert.deepEqual([...new Set(events.map((m) => m[1]! & 0x7f))], [97]);
  assert.equal(new Set(events.map((m) => m.readUInt32BE(4))).size, 1, 'RFC 4733 2.2.1: one timestamp');
  assert.deepEqual(
    events.map((m) => m.subarray(12).toString('hex')),
    ['050a00a0', '050a0140', '050a01e0', '050a0280', '058a0320', '058a0320', '058a0320'],
  );
  assert.deepEqual(
    events.map((m) => m[1]! >> 7),
    [1, 0, 0, 0, 0, 0, 0],
  );
  await talk(inside, innerLeg.local.port, 3);
  await eventually(() => outside.heard.length === 20, 'voice goes on');
  const sequences = outside.heard.map((m) => m.readUInt16BE(2));
  assert.deepEqual(
    sequences.slice(1).map((s, i) => (s - sequences[i]!) & 0xffff),
    sequences.slice(1).map(() => 1),
  );
  for (const phone of [inside, outside]) phone.socket.close();
});
