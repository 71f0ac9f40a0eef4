/** Not a test: endpoints joined by a seeded network in virtual time, and raw peers that write their own messages. */
import { latin1Bytes, latin1Text } from '../bytes/text.ts';
import type { Address, SignallingTransport } from '../machine/address.ts';
import { formatAddress } from '../machine/address.ts';
import { SeededRandom } from '../machine/seeded-random.test.ts';
import { systemCrypto } from '../net/providers.ts';
import type {
  SipCommand,
  SipDecisions,
  SipEvent,
  SipInput,
  SipLimits,
  SipListener,
  SipOutput,
  SipPeer,
} from './contract.ts';
import { SipEndpoint } from './endpoint.ts';

export interface Weather {
  /** 0..1 */
  readonly loss: number;
  readonly duplicate: number;
  /** Milliseconds, uniform; datagrams overtake each other. */
  readonly delay: readonly [least: number, most: number];
}

export const CALM: Weather = { loss: 0, duplicate: 0, delay: [5, 5] };

export const LIMITS: SipLimits = {
  transactions: 1000,
  sessions: 100,
  connections: 50,
  connectionsPerSource: 10,
};

export interface NodeOptions {
  readonly name: string;
  readonly ip: string;
  readonly peers: readonly (Partial<SipPeer> & { readonly name: string; readonly host: string })[];
  readonly transports?: readonly SignallingTransport[];
  readonly limits?: Partial<SipLimits>;
  readonly authenticate?: SipDecisions['authenticate'];
  /** IP to peer name, in addition to peers' literal hosts. */
  readonly sources?: Readonly<Record<string, string>>;
}

/** One endpoint and all it said. */
export class Node {
  readonly name: string;
  readonly ip: string;
  readonly endpoint: SipEndpoint;
  readonly listeners: readonly SipListener[];
  readonly events: SipEvent[] = [];
  readonly counts: { readonly reason: string; readonly name?: string }[] = [];
  readonly lines: string[] = [];
  /** Reacts to events; may give commands. */
  on: (event: SipEvent, node: Node) => void = () => undefined;
  /** Answers to `resolve`, by host. */
  readonly names = new Map<string, { transport: SignallingTransport; address: Address }[]>();
  readonly #net: Net;

  constructor(net: Net, options: NodeOptions) {
    this.#net = net;
    this.name = options.name;
    this.ip = options.ip;
    const sources = new Map(options.peers.map((p) => [p.host, p.name]));
    for (const [ip, name] of Object.entries(options.sources ?? {})) sources.set(ip, name);
    this.endpoint = new SipEndpoint({
      random: new SeededRandom(net.random.uint32()),
      crypto: systemCrypto,
      decisions: {
        identify: ({ remote }) => sources.get(remote.ip),
        authenticate: options.authenticate ?? (() => undefined),
      },
      limits: { ...LIMITS, ...options.limits },
    });
    this.listeners = (options.transports ?? ['udp']).map((transport) => {
      const local = { ip: options.ip, port: transport === 'tls' ? 5061 : 5060 };
      return { name: transport, transport, local, advertise: local };
    });
    net.nodes.push(this);
    this.command({
      kind: 'configure',
      peers: options.peers.map((p) => ({ probeEveryMs: 0, ...p })),
      listeners: this.listeners,
    });
  }

  command(command: SipCommand): void {
    this.input({ kind: 'command', command });
  }

  input(input: SipInput): void {
    this.endpoint.handle(input, this.#net.now);
    this.drain();
  }

  drain(): void {
    for (let out = this.endpoint.poll(); out !== undefined; out = this.endpoint.poll()) {
      this.#output(out);
    }
  }

  #output(out: SipOutput): void {
    switch (out.kind) {
      case 'event':
        this.events.push(out.event);
        this.#net.log(this, out.event);
        this.on(out.event, this);
        break;
      case 'count':
        this.counts.push(out);
        break;
      case 'trace':
        this.lines.push(`${this.#net.now} ${out.direction} ${out.transport} ${out.line}`);
        break;
      default:
        this.#net.carry(this, out);
    }
  }

  /** Events of a kind. */
  seen<K extends SipEvent['kind']>(kind: K): Extract<SipEvent, { kind: K }>[] {
    return this.events.filter((e): e is Extract<SipEvent, { kind: K }> => e.kind === kind);
  }

  counted(reason: string): number {
    return this.counts.filter((c) => c.reason === reason).length;
  }

  /** How many ladder lines go that way and begin so. */
  count(direction: 'in' | 'out', start: string): number {
    return this.lines.filter((l) => new RegExp(`^\\d+ ${direction} \\w+ ${start}`).test(l)).length;
  }
}

/** A peer that is no endpoint: gets bytes, writes bytes. */
export interface RawPeer {
  readonly address: Address;
  readonly received: { readonly at: number; readonly text: string }[];
  on: (text: string, from: Address) => void;
}

interface Wire {
  readonly a: { node: Node; ref: number };
  readonly b: { node: Node; ref: number };
}

export class Net {
  now = 1000;
  readonly random: SeededRandom;
  readonly nodes: Node[] = [];
  weather: Weather = CALM;
  /** Says of each datagram whether it is to be lost. */
  drop: (text: string, from: Address, to: Address) => boolean = () => false;
  /** Addresses (`ip:port`) that refuse TCP, or never answer. */
  readonly tcpRefused = new Set<string>();
  readonly tcpSilent = new Set<string>();
  readonly raw = new Map<string, RawPeer>();
  readonly journal: string[] = [];
  readonly #queue: { at: number; order: number; run: () => void }[] = [];
  #order = 0;
  readonly #wires = new Map<string, Wire>();
  #accepted = 1;

  constructor(seed = 1) {
    this.random = new SeededRandom(seed);
  }

  log(node: Node, event: SipEvent): void {
    this.journal.push(`${this.now} ${node.name} ${event.kind} ${'session' in event ? event.session : ''}`);
  }

  at(delay: number, run: () => void): void {
    this.#queue.push({ at: this.now + delay, order: this.#order++, run });
    this.#queue.sort((x, y) => x.at - y.at || x.order - y.order);
  }

  peer(ip: string, port = 5060): RawPeer {
    const peer: RawPeer = { address: { ip, port }, received: [], on: () => undefined };
    this.raw.set(formatAddress(peer.address), peer);
    return peer;
  }

  /** A raw peer's datagram. */
  send(from: RawPeer | Address, node: Node, text: string): void {
    const remote = 'address' in from ? from.address : from;
    const bytes = latin1Bytes(text);
    this.at(1, () => node.input({ kind: 'datagram', listener: 'udp', remote, bytes }));
  }

  carry(node: Node, out: SipOutput): void {
    switch (out.kind) {
      case 'send-datagram':
        return this.#datagram(node, out.listener, out.remote, out.bytes);
      case 'open-stream':
        return this.#open(node, out);
      case 'send-stream':
        return this.#stream(node, out.connection, out.bytes);
      case 'close-stream':
        return this.#close(node, out.connection);
      case 'resolve':
        this.at(1, () =>
          node.input({ kind: 'resolved', query: out.query, targets: node.names.get(out.host) ?? [] }),
        );
        return;
      default:
        return;
    }
  }

  #datagram(node: Node, listener: string, to: Address, bytes: Uint8Array): void {
    const from = node.listeners.find((l) => l.name === listener)!.local;
    if (this.drop(latin1Text(bytes), from, to)) return;
    const { loss, duplicate, delay } = this.weather;
    const roll = (): number => this.random.uint32() / 2 ** 32;
    const copies = roll() < loss ? 0 : roll() < duplicate ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      this.at(delay[0] + roll() * (delay[1] - delay[0]), () => this.#arrive(from, to, bytes));
    }
  }

  #arrive(from: Address, to: Address, bytes: Uint8Array): void {
    const raw = this.raw.get(formatAddress(to));
    if (raw !== undefined) {
      const text = latin1Text(bytes);
      raw.received.push({ at: this.now, text });
      return raw.on(text, from);
    }
    const node = this.nodes.find((n) => n.ip === to.ip);
    if (to.port === 5060) node?.input({ kind: 'datagram', listener: 'udp', remote: from, bytes });
  }

  #open(node: Node, out: Extract<SipOutput, { kind: 'open-stream' }>): void {
    const key = formatAddress(out.remote);
    if (this.tcpSilent.has(key)) return;
    const other = this.nodes.find((n) => n.ip === out.remote.ip);
    const listener = other?.listeners.find(
      (l) => l.transport === out.transport && l.local.port === out.remote.port,
    );
    if (other === undefined || listener === undefined || this.tcpRefused.has(key)) {
      this.at(5, () => node.input({ kind: 'stream-closed', connection: out.connection, reason: 'refused' }));
      return;
    }
    const ref = this.#accepted;
    this.#accepted += 2;
    const remote = { ip: node.ip, port: 40_000 + ref };
    const wire = { a: { node, ref: out.connection }, b: { node: other, ref } };
    this.#wires.set(`${node.name} ${out.connection}`, wire);
    this.#wires.set(`${other.name} ${ref}`, wire);
    const common = { kind: 'stream-open', transport: out.transport, certificateNames: [] } as const;
    this.at(5, () => {
      const local = listener.local;
      other.input({ ...common, connection: ref, listener: listener.name, local, remote });
      node.input({
        ...common,
        connection: out.connection,
        listener: out.listener,
        local: remote,
        remote: out.remote,
      });
    });
  }

  #far(node: Node, ref: number) {
    const wire = this.#wires.get(`${node.name} ${ref}`);
    return wire === undefined ? undefined : wire.a.node === node && wire.a.ref === ref ? wire.b : wire.a;
  }

  #stream(node: Node, ref: number, bytes: Uint8Array): void {
    const far = this.#far(node, ref);
    if (far === undefined) return;
    // In two pieces: framing must not depend on how bytes arrive.
    const cut = bytes.length >> 1;
    for (const piece of [bytes.slice(0, cut), bytes.slice(cut)]) {
      this.at(5, () => {
        if (this.#wires.has(`${node.name} ${ref}`)) {
          far.node.input({ kind: 'stream-data', connection: far.ref, bytes: piece });
        }
      });
    }
  }

  #close(node: Node, ref: number): void {
    const far = this.#far(node, ref);
    this.#wires.delete(`${node.name} ${ref}`);
    if (far === undefined) return;
    this.#wires.delete(`${far.node.name} ${far.ref}`);
    this.at(5, () => far.node.input({ kind: 'stream-closed', connection: far.ref, reason: 'closed' }));
  }

  /** Cuts every stream without a word on the way. */
  cutStreams(): void {
    const wires = new Set(this.#wires.values());
    this.#wires.clear();
    for (const { a, b } of wires) {
      for (const end of [a, b]) {
        end.node.input({ kind: 'stream-closed', connection: end.ref, reason: 'cut' });
      }
    }
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

export const IDLE = { transactions: 0, sessions: 0, dialogs: 0, connections: 0, pendingAuth: 0 };

export function sdp(text: string): { contentType: string; bytes: Uint8Array } {
  return { contentType: 'application/sdp', bytes: latin1Bytes(text) };
}

export function textOf(body: { readonly bytes: Uint8Array } | undefined): string | undefined {
  return body === undefined ? undefined : latin1Text(body.bytes);
}

/** Two endpoints, `alice` (192.0.2.1) and `bob` (192.0.2.2), each the other's peer. */
export function pair(
  seed = 1,
  options: { readonly alice?: Partial<NodeOptions>; readonly bob?: Partial<NodeOptions> } = {},
): { readonly net: Net; readonly alice: Node; readonly bob: Node } {
  const net = new Net(seed);
  const alice = new Node(net, {
    name: 'alice',
    ip: '192.0.2.1',
    peers: [{ name: 'bob', host: '192.0.2.2' }],
    ...options.alice,
  });
  const bob = new Node(net, {
    name: 'bob',
    ip: '192.0.2.2',
    peers: [{ name: 'alice', host: '192.0.2.1' }],
    ...options.bob,
  });
  return { net, alice, bob };
}

export function invite(
  session: number,
  peer: string,
  more: Partial<Extract<SipCommand, { kind: 'invite' }>> = {},
): SipCommand {
  return {
    kind: 'invite',
    session,
    peer,
    parties: { from: { user: '100', anonymous: false }, to: { user: '200' } },
    hops: 70,
    priority: false,
    body: sdp('offer'),
    ...more,
  };
}
