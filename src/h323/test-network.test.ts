/** Not a test: endpoints joined by an ordered seeded network in virtual time, and raw peers that write their own messages. */
import type { Address } from '../machine/address.ts';
import { formatAddress, sameAddress } from '../machine/address.ts';
import { SeededRandom } from '../machine/seeded-random.test.ts';
import { systemCrypto } from '../net/providers.ts';
import type {
  H323Command,
  H323Decisions,
  H323Event,
  H323Input,
  H323Limits,
  H323Output,
  H323Party,
} from './contract.ts';
import { H323Endpoint } from './endpoint.ts';
import type { H323Capabilities } from './media-contract.ts';
import type { H323GatekeeperService, H323Listener, H323Peer } from './peer-contract.ts';

export const LIMITS: H323Limits = {
  calls: 100,
  callsPerSource: 50,
  connections: 100,
  connectionsPerSource: 60,
  exchanges: 100,
  terminals: 10,
  terminalsPerSource: 3,
};

export const WALL = 1_795_328_969_000;

export interface NodeOptions {
  readonly name: string;
  readonly ip: string;
  readonly peers: readonly (Partial<H323Peer> & { readonly name: string; readonly host: string })[];
  readonly limits?: Partial<H323Limits>;
  readonly gatekeeper?: Partial<H323GatekeeperService>;
  readonly decisions?: Partial<H323Decisions>;
}

/** One endpoint and all it said. */
export class Node {
  readonly name: string;
  readonly ip: string;
  readonly endpoint: H323Endpoint;
  readonly listeners: readonly H323Listener[];
  readonly events: H323Event[] = [];
  readonly counts: { readonly reason: string; readonly name?: string }[] = [];
  readonly lines: string[] = [];
  /** Reacts to events; may give commands. */
  on: (event: H323Event, node: Node) => void = () => undefined;
  /** H.245 ports cannot be bound. */
  noPorts = false;
  readonly #net: Net;
  readonly #peers: NodeOptions['peers'];

  constructor(net: Net, options: NodeOptions) {
    this.#net = net;
    this.name = options.name;
    this.ip = options.ip;
    this.#peers = options.peers;
    const sources = new Map(options.peers.map((p) => [p.host, p.name]));
    this.endpoint = new H323Endpoint({
      random: new SeededRandom(net.random.uint32()),
      crypto: systemCrypto,
      wall: () => WALL + net.now,
      decisions: {
        identify: ({ remote }) => sources.get(remote.ip),
        acceptH245Address: (peer, address) => sources.get(address.ip) === peer,
        acceptSignallingAddress: () => true,
        terminal: () => undefined,
        locate: () => false,
        ...options.decisions,
      },
      limits: { ...LIMITS, ...options.limits },
    });
    const listener = (name: string, transport: 'tcp' | 'udp', port: number): H323Listener => {
      const local = { ip: options.ip, port };
      return { name, transport, local, advertise: local };
    };
    this.listeners = [listener('calls', 'tcp', 1720), listener('ras', 'udp', 1719)];
    net.nodes.push(this);
    this.configure(options.gatekeeper);
  }

  configure(gatekeeper?: Partial<H323GatekeeperService>): void {
    this.command({
      kind: 'configure',
      peers: this.#peers.map((p) => ({ fastStart: true, tunnelling: true, earlyH245: false, ...p })),
      listeners: this.listeners,
      ...(gatekeeper === undefined
        ? {}
        : {
            gatekeeper: {
              identifier: 'gk',
              listener: 'ras',
              signalling: 'calls',
              peer: 'terminals',
              timeToLiveSeconds: 120,
              ...gatekeeper,
            },
          }),
    });
  }

  command(command: H323Command): void {
    this.input({ kind: 'command', command });
  }

  input(input: H323Input): void {
    this.endpoint.handle(input, this.#net.now);
    this.drain();
  }

  drain(): void {
    for (let out = this.endpoint.poll(); out !== undefined; out = this.endpoint.poll()) this.#output(out);
  }

  #output(out: H323Output): void {
    switch (out.kind) {
      case 'event':
        this.events.push(out.event);
        this.on(out.event, this);
        break;
      case 'count':
        this.counts.push(out);
        break;
      case 'trace':
        this.lines.push(`${out.direction} ${out.line}`);
        break;
      default:
        this.#net.carry(this, out);
    }
  }

  /** Events of a kind. */
  seen<K extends H323Event['kind']>(kind: K): Extract<H323Event, { kind: K }>[] {
    return this.events.filter((e): e is Extract<H323Event, { kind: K }> => e.kind === kind);
  }

  counted(reason: string): number {
    return this.counts.filter((c) => c.reason === reason).length;
  }

  /** How many ladder lines go that way and begin so. */
  said(start: string): number {
    return this.lines.filter((l) => l.startsWith(start)).length;
  }
}

/** A peer that is no endpoint: reads and writes bytes. */
export interface RawPeer {
  readonly address: Address;
  /** UDP, and payload bytes of every connection. */
  readonly received: Uint8Array[];
  on: (bytes: Uint8Array, from: Address, connection: RawConnection | undefined) => void;
  /** Whether it accepts TCP. */
  listening: boolean;
}

export interface RawConnection {
  send(bytes: Uint8Array): void;
  close(): void;
  readonly open: boolean;
}

interface End {
  readonly key: string;
  deliver(bytes: Uint8Array): void;
  closed(): void;
}

export class Net {
  now = 1000;
  readonly random: SeededRandom;
  readonly nodes: Node[] = [];
  /** Milliseconds of one way; TCP keeps order. */
  delay: readonly [least: number, most: number] = [5, 5];
  /** Chance that a datagram is lost. */
  loss = 0;
  readonly raw = new Map<string, RawPeer>();
  /** H.245 ports by address: whose. */
  readonly #ports = new Map<string, { node: Node; ref: number; listener: string }>();
  readonly #ends = new Map<string, End>();
  readonly #arrival = new Map<string, number>();
  readonly #queue: { at: number; order: number; run: () => void }[] = [];
  #order = 0;
  #accepted = 1;
  #port = 12_000;

  constructor(seed = 1) {
    this.random = new SeededRandom(seed);
  }

  at(delay: number, run: () => void): void {
    this.#queue.push({ at: this.now + delay, order: this.#order++, run });
    this.#queue.sort((x, y) => x.at - y.at || x.order - y.order);
  }

  get openStreams(): number {
    return this.#ends.size;
  }

  get boundPorts(): number {
    return this.#ports.size;
  }

  peer(ip: string, port: number): RawPeer {
    const peer: RawPeer = { address: { ip, port }, received: [], on: () => undefined, listening: true };
    this.raw.set(formatAddress(peer.address), peer);
    return peer;
  }

  #latency(): number {
    const [least, most] = this.delay;
    return least + (this.random.uint32() / 2 ** 32) * (most - least);
  }

  /** In order on one way of one connection. */
  #ordered(way: string, run: () => void): void {
    const at = Math.max(this.now + this.#latency(), this.#arrival.get(way) ?? 0);
    this.#arrival.set(way, at);
    this.at(at - this.now, run);
  }

  datagram(from: Address, node: Node, bytes: Uint8Array): void {
    this.at(1, () => node.input({ kind: 'datagram', listener: 'ras', remote: from, bytes }));
  }

  /** A raw peer connects to a node. */
  connect(from: Address, node: Node, port = 1720): RawConnection & { readonly received: Uint8Array[] } {
    const received: Uint8Array[] = [];
    const ref = this.#accepted;
    this.#accepted += 2;
    const far = `${node.name} ${ref}`;
    const state = { open: true };
    const target = this.#ports.get(formatAddress({ ip: node.ip, port }));
    const local = { ip: node.ip, port };
    this.#pair(
      {
        key: `raw ${ref}`,
        deliver: (bytes) => received.push(bytes),
        closed: () => {
          state.open = false;
        },
      },
      this.#nodeEnd(node, ref),
    );
    const opening = { kind: 'stream-open', connection: ref, listener: 'calls', local, remote: from } as const;
    this.#ordered(`to ${far}`, () =>
      node.input(target === undefined ? opening : { ...opening, listening: target.ref }),
    );
    return {
      received,
      get open() {
        return state.open;
      },
      send: (bytes) => this.#ordered(`to ${far}`, () => this.#ends.get(far)?.deliver(bytes)),
      close: () => this.#cut(`raw ${ref}`),
    };
  }

  carry(node: Node, out: H323Output): void {
    switch (out.kind) {
      case 'send-datagram':
        return this.#datagram(node, out.listener, out.remote, out.bytes);
      case 'open-stream':
        return this.#open(node, out.connection, out.listener, out.remote);
      case 'send-stream':
        return this.#send(`${node.name} ${out.connection}`, out.bytes);
      case 'close-stream':
        return this.#close(`${node.name} ${out.connection}`);
      case 'listen': {
        const { listening, listener } = out;
        const local = { ip: node.ip, port: this.#port++ };
        this.at(1, () => {
          if (node.noPorts) return node.input({ kind: 'listen-failed', listening, reason: 'none' });
          this.#ports.set(formatAddress(local), { node, ref: listening, listener });
          node.input({ kind: 'listening', listening, local });
        });
        return;
      }
      case 'unlisten':
        for (const [key, port] of this.#ports) {
          if (port.node === node && port.ref === out.listening) this.#ports.delete(key);
        }
        return;
      case 'resolve':
        this.at(1, () => node.input({ kind: 'resolved', query: out.query, targets: [] }));
        return;
      default:
        return;
    }
  }

  #datagram(node: Node, listener: string, to: Address, bytes: Uint8Array): void {
    const from = node.listeners.find((l) => l.name === listener)!.local;
    if (this.random.uint32() / 2 ** 32 < this.loss) return;
    this.at(this.#latency(), () => {
      const raw = this.raw.get(formatAddress(to));
      if (raw !== undefined) {
        raw.received.push(bytes);
        return raw.on(bytes, from, undefined);
      }
      const other = this.nodes.find((n) => n.listeners.some((l) => sameAddress(l.local, to)));
      other?.input({ kind: 'datagram', listener: 'ras', remote: from, bytes });
    });
  }

  #nodeEnd(node: Node, ref: number): End {
    return {
      key: `${node.name} ${ref}`,
      deliver: (bytes) => node.input({ kind: 'stream-data', connection: ref, bytes }),
      closed: () => node.input({ kind: 'stream-closed', connection: ref, reason: 'closed' }),
    };
  }

  readonly #fars = new Map<string, string>();

  #pair(a: End, b: End): void {
    this.#ends.set(a.key, a);
    this.#ends.set(b.key, b);
    this.#fars.set(a.key, b.key);
    this.#fars.set(b.key, a.key);
  }

  #open(node: Node, ref: number, listener: string, remote: Address): void {
    const key = formatAddress(remote);
    const local = { ip: node.ip, port: 40_000 + ref };
    const raw = this.raw.get(key);
    const port = this.#ports.get(key);
    const other = port?.node ?? this.nodes.find((n) => n.listeners.some((l) => sameAddress(l.local, remote)));
    if ((raw === undefined || !raw.listening) && other === undefined) {
      this.at(5, () => node.input({ kind: 'stream-closed', connection: ref, reason: 'refused' }));
      return;
    }
    const mine = this.#nodeEnd(node, ref);
    const accepted = this.#accepted;
    this.#accepted += 2;
    if (raw !== undefined) {
      const end = `raw ${accepted}`;
      const connection: RawConnection = {
        open: true,
        send: (bytes) => this.#send(end, bytes),
        close: () => this.#close(end),
      };
      this.#pair(mine, {
        key: end,
        deliver: (bytes) => {
          raw.received.push(bytes);
          raw.on(bytes, local, connection);
        },
        closed: () => undefined,
      });
    } else {
      const theirs = this.#nodeEnd(other!, accepted);
      this.#pair(mine, theirs);
      this.#ordered(`to ${theirs.key}`, () =>
        other!.input({
          kind: 'stream-open',
          connection: accepted,
          listener: port?.listener ?? 'calls',
          ...(port === undefined ? {} : { listening: port.ref }),
          local: remote,
          remote: local,
        }),
      );
    }
    this.#ordered(`to ${mine.key}`, () => {
      if (this.#ends.has(mine.key))
        node.input({ kind: 'stream-open', connection: ref, listener, local, remote });
    });
  }

  #send(from: string, bytes: Uint8Array): void {
    const far = this.#fars.get(from);
    if (far === undefined) return;
    // In two pieces: framing must not depend on how bytes arrive.
    const cut = bytes.length >> 1;
    for (const piece of [bytes.slice(0, cut), bytes.slice(cut)]) {
      this.#ordered(`to ${far}`, () => this.#ends.get(far)?.deliver(piece));
    }
  }

  /** What was sent before still arrives. */
  #close(key: string): void {
    const far = this.#fars.get(key);
    this.#ends.delete(key);
    this.#fars.delete(key);
    if (far === undefined) return;
    this.#ordered(`to ${far}`, () => {
      const end = this.#ends.get(far);
      this.#ends.delete(far);
      this.#fars.delete(far);
      end?.closed();
    });
  }

  #cut(key: string): void {
    this.#close(key);
  }

  /** Cuts every stream without a word on the way. */
  cutStreams(): void {
    const ends = [...this.#ends.values()];
    this.#ends.clear();
    this.#fars.clear();
    for (const end of ends) end.closed();
  }

  /** Runs until nothing is due any more or `limit` milliseconds have passed. */
  run(limit = Number.POSITIVE_INFINITY): void {
    const end = this.now + limit;
    for (let guard = 0; guard < 200_000; guard++) {
      const due = Math.min(
        this.#queue[0]?.at ?? Number.POSITIVE_INFINITY,
        ...this.nodes.map((n) => n.endpoint.deadline() ?? Number.POSITIVE_INFINITY),
      );
      if (due > end || due === Number.POSITIVE_INFINITY) {
        if (limit !== Number.POSITIVE_INFINITY) this.now = end;
        return;
      }
      this.now = Math.max(this.now, due);
      if (this.#queue[0] !== undefined && this.#queue[0].at <= this.now) this.#queue.shift()!.run();
      for (const node of this.nodes) {
        const at = node.endpoint.deadline();
        if (at !== undefined && at <= this.now) node.input({ kind: 'timeout' });
      }
    }
    throw new Error('the network never came to rest');
  }
}

export const IDLE = { calls: 0, connections: 0, listening: 0, exchanges: 0, terminals: 0 };

export function audio(codec: 'PCMU' | 'PCMA' | 'G722' | 'G729' | 'G723' | 'GSM', packetTime?: number) {
  return {
    kind: 'audio',
    codec,
    packetTime: packetTime ?? (codec === 'G723' ? 30 : 20),
    silenceSuppression: false,
  } as const;
}

export function capabilities(...codecs: Parameters<typeof audio>[0][]): H323Capabilities {
  return {
    media: codecs.map((codec) => audio(codec)),
    userInput: { alphanumeric: true, signal: true, rfc4733PayloadType: 101 },
  };
}

export function party(number: string, more: Partial<H323Party> = {}): H323Party {
  return { number, numberType: 'unknown', presentation: 'allowed', verified: false, ...more };
}

export function setup(
  call: number,
  peer: string,
  more: Partial<Extract<H323Command, { kind: 'setup' }>> = {},
): H323Command {
  return {
    kind: 'setup',
    call,
    peer,
    caller: party('100'),
    callee: party('200'),
    hops: 20,
    capabilities: capabilities('PCMA', 'PCMU'),
    ...more,
  };
}

/** Where a node's media would be: any port, told by who and what. */
export function media(node: Node, port: number) {
  return { rtp: { ip: node.ip, port }, rtcp: { ip: node.ip, port: port + 1 } };
}

/** Two endpoints, `alice` (192.0.2.1) and `bob` (192.0.2.2), each the other's peer. */
export function pair(
  seed = 1,
  options: {
    readonly alice?: Partial<NodeOptions>;
    readonly bob?: Partial<NodeOptions>;
    readonly alicePeer?: Partial<H323Peer>;
    readonly bobPeer?: Partial<H323Peer>;
  } = {},
): { readonly net: Net; readonly alice: Node; readonly bob: Node } {
  const net = new Net(seed);
  const alice = new Node(net, {
    name: 'alice',
    ip: '192.0.2.1',
    peers: [{ name: 'bob', host: '192.0.2.2', ...options.bobPeer }],
    ...options.alice,
  });
  const bob = new Node(net, {
    name: 'bob',
    ip: '192.0.2.2',
    peers: [{ name: 'alice', host: '192.0.2.1', ...options.alicePeer }],
    ...options.bob,
  });
  return { net, alice, bob };
}
