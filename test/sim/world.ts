/** Whole gateways, phones and PBXs in memory: a seeded lossy network and virtual time. */
import type { GatewayConfig } from '../../src/gateway/config.ts';
import type { GatewayInput, GatewayOutput } from '../../src/gateway/contract.ts';
import type { Address } from '../../src/machine/address.ts';
import { formatAddress } from '../../src/machine/address.ts';
import { SeededRandom } from '../../src/machine/seeded-random.test.ts';
import { plantCanaries } from './canaries.ts';
import { H323Net } from './h323-net.ts';
import { type SimH323Options, SimH323Peer } from './h323-peer.ts';
import { Pipes, TERMINATION } from './pipes.ts';
import { Schedule } from './schedule.ts';
import { relayConfig, terminationConfig } from './sim-config.ts';
import { SimGateway, type TunnelEnd } from './sim-gateway.ts';
import { SimPeer, type SimPeerOptions } from './sim-peer.ts';

export interface NetworkOptions {
  readonly loss: number;
  readonly duplicate: number;
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
}

export const CLEAN: NetworkOptions = { loss: 0, duplicate: 0, minDelayMs: 1, maxDelayMs: 2 };
export const LOSSY: NetworkOptions = { loss: 0.15, duplicate: 0.05, minDelayMs: 1, maxDelayMs: 80 };

export interface WorldOptions {
  readonly seed?: number;
  readonly network?: NetworkOptions;
  readonly termination?: Partial<GatewayConfig>;
  readonly relay?: Partial<GatewayConfig>;
  readonly phone?: Partial<SimPeerOptions>;
  readonly pbx?: Partial<SimPeerOptions>;
}

export const ADDRESSES = {
  gw2: { ip: '198.51.100.2', port: 5060 },
  gw1: { ip: '10.0.0.1', port: 5060 },
  phone: { ip: '203.0.113.5', port: 5060 },
  pbx: { ip: '10.0.0.10', port: 5060 },
} as const;

export interface Delivered {
  readonly at: number;
  readonly from: Address;
  readonly to: Address;
  readonly text: string;
}

/** Scripted stand-in for a peer: gets each datagram as text, sends text. */
export type RawPeer = (text: string, from: Address) => void;

export class World {
  readonly schedule = new Schedule();
  readonly random: SeededRandom;
  readonly pipes: Pipes;
  readonly seed: number;
  network: NetworkOptions;
  readonly gateways = new Map<string, SimGateway>();
  readonly peers: SimPeer[] = [];
  readonly h323: H323Net;
  readonly h323Peers: SimH323Peer[] = [];
  readonly phone: SimPeer;
  readonly pbx: SimPeer;
  readonly raw = new Map<string, RawPeer>();
  /** Attackers in the place of gateways, by name. */
  readonly attackers = new Map<string, TunnelEnd>();
  /** Gateways that restarted: their records count too. */
  readonly gone: SimGateway[] = [];
  readonly delivered: Delivered[] = [];
  /** Datagrams that the gateways sent to addresses nobody here has. */
  readonly strayDatagrams: { from: string; to: string }[] = [];
  readonly #configs = new Map<string, GatewayConfig>();
  #boots = 0;

  constructor(options: WorldOptions = {}) {
    this.seed = options.seed ?? 1;
    this.random = new SeededRandom(this.seed);
    this.network = options.network ?? CLEAN;
    this.h323 = new H323Net(this.schedule, this.random);
    this.pipes = new Pipes(this.schedule, this.random, (name) => this.#end(name));
    this.addGateway({ ...terminationConfig(), ...options.termination });
    this.addGateway({ ...relayConfig(), ...options.relay });
    this.phone = this.addPeer({
      name: 'alice',
      address: ADDRESSES.phone,
      gateway: ADDRESSES.gw2,
      mediaPort: 20_000,
      ...options.phone,
    });
    this.pbx = this.addPeer({
      name: '200',
      address: ADDRESSES.pbx,
      gateway: ADDRESSES.gw1,
      mediaPort: 30_000,
      ...options.pbx,
    });
  }

  get termination(): SimGateway {
    return this.gateways.get(TERMINATION)!;
  }

  get relay(): SimGateway {
    return this.gateways.get('site-a')!;
  }

  addGateway(config: GatewayConfig): SimGateway {
    this.#configs.set(config.name, config);
    return this.#boot(config.name);
  }

  addPeer(options: Omit<SimPeerOptions, 'seed'>): SimPeer {
    const peer = new SimPeer({ seed: this.seed * 100 + this.peers.length, ...options });
    peer.later = (ms, run) => this.schedule.after(ms, run);
    peer.now = this.schedule.now;
    this.peers.push(peer);
    return peer;
  }

  addH323Peer(options: SimH323Options): SimH323Peer {
    const seed = this.seed * 100 + 50 + this.h323Peers.length;
    const { schedule } = this;
    const clock = {
      now: () => schedule.now,
      after: (ms: number, run: () => void) => schedule.after(ms, run),
    };
    const peer = new SimH323Peer(options, this.h323, seed, clock);
    this.h323Peers.push(peer);
    return peer;
  }

  #boot(name: string): SimGateway {
    const seed = this.seed * 1000 + ++this.#boots;
    const gateway = new SimGateway(
      this.#configs.get(name)!,
      seed,
      1_000_000 + this.schedule.now,
      () => this.schedule.now,
    );
    this.gateways.set(name, gateway);
    const h323 = this.#configs.get(name)!.h323;
    if (h323 !== undefined) {
      gateway.h323Host = {
        name,
        listeners: h323.listeners,
        h245Ports: h323.h245Ports,
        handle: (input) => {
          if (input.kind !== 'timeout' && input.kind !== 'command')
            this.input(gateway, { kind: 'h323', input });
        },
      };
      this.h323.attach(gateway.h323Host);
    }
    return gateway;
  }

  /** Starts the gateways that no attacker stands for, and runs until the tunnel is up. */
  start(): this {
    for (const [name, gateway] of this.gateways)
      if (!this.attackers.has(name)) this.input(gateway, { kind: 'start' });
    this.run(2000);
    return this;
  }

  /** The process dies and comes again after `downMs`: no goodbye, no memory. Or the attacker in its place is gone. */
  restart(role: 'termination' | 'relay', downMs = 0): void {
    const name = role === 'termination' ? TERMINATION : 'site-a';
    this.attackers.delete(name);
    this.gone.push(this.gateways.get(name)!);
    const comes = this.#boot(name);
    this.pipes.died(name);
    this.schedule.after(downMs, () => this.input(comes, { kind: 'start' }));
    this.#drainAll();
  }

  /** A new configuration for a running gateway (SIGHUP). */
  configure(gateway: SimGateway, config: Partial<GatewayConfig>): void {
    const merged = { ...this.#configs.get(gateway.name)!, ...config };
    this.#configs.set(gateway.name, merged);
    this.input(gateway, { kind: 'configure', config: merged });
  }

  cut(ms: number, silent: boolean): void {
    this.pipes.cut(ms, silent);
    this.#drainAll();
  }

  input(gateway: SimGateway, input: GatewayInput): void {
    gateway.gateway.handle(input, this.schedule.now);
    this.#drain(gateway);
  }

  run(ms: number): void {
    const until = this.schedule.now + ms;
    this.#drainAll();
    for (let steps = 0; ; steps++) {
      if (steps > 2_000_000) throw new Error(`the world does not come to rest (seed ${this.seed})`);
      const next = this.#next();
      if (next > until) break;
      this.schedule.advance(Math.max(next, this.schedule.now));
      const { now } = this.schedule;
      for (const { gateway } of this.gateways.values())
        if ((gateway.deadline() ?? Infinity) <= now) gateway.handle({ kind: 'timeout' }, now);
      for (const peer of this.peers) {
        peer.now = now;
        if ((peer.endpoint.deadline() ?? Infinity) <= now) peer.endpoint.handle({ kind: 'timeout' }, now);
      }
      for (const peer of this.h323Peers)
        if ((peer.endpoint.deadline() ?? Infinity) <= now) peer.handle({ kind: 'timeout' });
      this.#drainAll();
    }
    this.schedule.advance(until);
    for (const peer of this.peers) peer.now = until;
  }

  #next(): number {
    let next = this.schedule.next() ?? Infinity;
    for (const { gateway } of this.gateways.values()) next = Math.min(next, gateway.deadline() ?? Infinity);
    for (const { endpoint } of [...this.peers, ...this.h323Peers])
      next = Math.min(next, endpoint.deadline() ?? Infinity);
    return next;
  }

  /** Runs until `condition` or throws after `ms`. */
  until(condition: () => boolean, ms: number, what: string): void {
    const end = this.schedule.now + ms;
    while (!condition()) {
      if (this.schedule.now >= end) throw new Error(`${what}: not within ${ms} ms (seed ${this.seed})`);
      this.run(Math.min(20, end - this.schedule.now));
    }
  }

  /** What must be empty when every call is over. */
  leftovers(): Record<string, number> {
    const out: Record<string, number> = {};
    for (const gateway of this.gateways.values()) Object.assign(out, gateway.leftovers());
    for (const { endpoint, options } of [...this.peers, ...this.h323Peers])
      for (const [key, size] of Object.entries(endpoint.sizes))
        if (size !== 0) out[`${options.name}.${key}`] = size;
    return out;
  }

  /** Everything any incarnation of a gateway has recorded. */
  cdrs(name: string) {
    return [...this.gone.filter((g) => g.name === name), this.gateways.get(name)!].flatMap((g) => g.cdrs);
  }

  #end(name: string): TunnelEnd {
    const attacker = this.attackers.get(name);
    if (attacker !== undefined) return attacker;
    const gateway = this.gateways.get(name)!;
    return { tunnel: (site, input) => this.input(gateway, { kind: 'tunnel', site, input }) };
  }

  #drainAll(): void {
    for (let moved = true; moved; ) {
      moved = false;
      for (const gateway of this.gateways.values()) moved = this.#drain(gateway) || moved;
      for (const peer of this.h323Peers) moved = peer.drain() || moved;
      for (const peer of this.peers) {
        peer.now = this.schedule.now;
        for (let out = peer.poll(); out !== undefined; out = peer.poll()) {
          moved = true;
          if (out.kind === 'send-datagram')
            this.datagram(peer.options.address, out.remote, plantCanaries(peer.options.name, out.bytes));
        }
      }
    }
  }

  #drain(gateway: SimGateway): boolean {
    let moved = false;
    for (let out = gateway.gateway.poll(); out !== undefined; out = gateway.gateway.poll()) {
      moved = true;
      if (this.gateways.get(gateway.name) === gateway) this.#output(gateway, out);
    }
    return moved;
  }

  #output(gateway: SimGateway, out: GatewayOutput): void {
    switch (out.kind) {
      case 'sip':
        this.#sip(gateway, out.output);
        break;
      case 'h323':
        this.h323.output(gateway.h323Host!, out.output);
        break;
      case 'tunnel':
        if (!this.attackers.has(gateway.name)) this.pipes.output(gateway.name, out.site, out.output);
        break;
      case 'plane': {
        const event = gateway.plane(out.command);
        const { shard } = out;
        if (event !== undefined)
          this.schedule.after(1, () => this.input(gateway, { kind: 'plane', shard, event }));
        break;
      }
      case 'cdr':
        gateway.cdrs.push(out.record);
        break;
      case 'log':
        gateway.logs.push(out);
        break;
      case 'operator-reply':
        gateway.operatorReplies.set(out.request, out.value);
        break;
      case 'stopped':
        gateway.stopped = true;
        break;
      case 'count':
        gateway.count(out.name, out.label);
        break;
      default:
        break;
    }
  }

  #sip(gateway: SimGateway, out: Extract<GatewayOutput, { kind: 'sip' }>['output']): void {
    if (out.kind === 'send-datagram') this.datagram(gateway.address, out.remote, out.bytes);
    else if (out.kind === 'open-stream') {
      const input = { kind: 'stream-closed', connection: out.connection, reason: 'refused' } as const;
      this.schedule.after(1, () => this.input(gateway, { kind: 'sip', input }));
    } else if (out.kind === 'resolve') {
      const input = { kind: 'resolved', query: out.query, targets: [] } as const;
      this.schedule.after(1, () => this.input(gateway, { kind: 'sip', input }));
    }
  }

  datagram(from: Address, to: Address, bytes: Uint8Array): void {
    if (this.random.real() < this.network.loss) return;
    const copies = this.random.real() < this.network.duplicate ? 2 : 1;
    const { minDelayMs, maxDelayMs } = this.network;
    for (let i = 0; i < copies; i++) {
      const delay = minDelayMs + this.random.below(maxDelayMs - minDelayMs + 1);
      const copy = bytes.slice();
      this.schedule.after(delay, () => this.#deliver(from, to, copy));
    }
  }

  /** Sends text as if from `from`. */
  text(from: Address, to: Address, text: string): void {
    this.datagram(from, to, Buffer.from(text, 'latin1'));
  }

  #deliver(from: Address, to: Address, bytes: Uint8Array): void {
    const key = formatAddress(to);
    const text = Buffer.from(bytes).toString('latin1');
    this.delivered.push({ at: this.schedule.now, from, to, text });
    const input = { kind: 'datagram', listener: 'udp', remote: from, bytes } as const;
    const raw = this.raw.get(key);
    const gateway = [...this.gateways.values()].find((g) => formatAddress(g.address) === key);
    const peer = this.peers.find((p) => formatAddress(p.options.address) === key);
    if (raw !== undefined) raw(text, from);
    else if (gateway !== undefined) this.input(gateway, { kind: 'sip', input });
    else if (peer !== undefined) {
      peer.now = this.schedule.now;
      peer.endpoint.handle(input, this.schedule.now);
    } else this.strayDatagrams.push({ from: formatAddress(from), to: key });
  }
}
