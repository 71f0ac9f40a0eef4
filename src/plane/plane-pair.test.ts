/** Two planes with real sockets and workers, phones beside them, and calls through them: support of the plane's tests, holds none. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import dgram from 'node:dgram';
import { readFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { before, type TestContext } from 'node:test';
import type { PlaneEvent, StreamLegConfig } from '../media/plane-contract.ts';
import type { TlsIdentity } from '../net/tls.ts';
import { createAuthority, issueCertificate, type KeyedCertificate } from '../store/pki.ts';
import { PlaneSupervisor } from './supervisor.ts';

/** `koffi-node`: sockets through koffi, lanes by Node's TLS, as where OpenSSL cannot be called. */
export type Implementation = 'koffi' | 'koffi-node' | 'dgram';

export const SESSION = 'session-under-test';
export const KEY = randomBytes(32);
const LIMITS = { maxLanes: 8, maxStreams: 100, maxBytesPerSecond: 10_000_000 };
export const koffiLoads = await import('koffi').then(
  () => process.platform === 'linux',
  () => false,
);

export let authority: KeyedCertificate;
export let gw1: TlsIdentity;
export let gw2: TlsIdentity;
export let otherSite: TlsIdentity;

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
export class Side {
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
export async function unlessStolen(t: TestContext, body: () => Promise<void>): Promise<void> {
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

export async function eventually(
  check: () => boolean,
  what: string | (() => string),
  ms = 8000,
): Promise<void> {
  const end = Date.now() + ms;
  while (!check()) {
    assert.ok(Date.now() < end, `waited in vain for: ${typeof what === 'string' ? what : what()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export function options(implementation: Implementation) {
  return implementation === 'koffi-node'
    ? ({ implementation: 'koffi', lanes: 'node' } as const)
    : { implementation };
}

/** Two planes and the media port between them, through a TCP relay that can be cut or stopped. */
export class Pair {
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
export class Phone {
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

/** For one socket of this process's tests. */
export function freePort(): number {
  nextPort += 2;
  return nextPort;
}

export function leg(
  stream: number,
  remotePort: number,
  more: Partial<StreamLegConfig> = {},
): StreamLegConfig {
  return {
    session: SESSION,
    stream,
    call: `call-${stream}`,
    kind: 'audio',
    priority: 'normal',
    local: { ip: '127.0.0.1', port: freePort() },
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
export async function call(
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

export async function talk(from: Phone, port: number, count: number): Promise<string[]> {
  const said: string[] = [];
  for (let i = 0; i < count; i++) {
    const payload = randomBytes(160);
    said.push(payload.toString('hex'));
    from.say(payload, port);
    await pause(5);
  }
  return said;
}

export const both: Implementation = koffiLoads ? 'koffi' : 'dgram';
