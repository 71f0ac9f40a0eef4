/** Two whole gateways, a phone and a PBX in memory: a seeded lossy network and virtual time. */

import type { GatewayConfig } from '../../src/gateway/config.ts';
import type { GatewayInput, GatewayOutput } from '../../src/gateway/contract.ts';
import { Gateway } from '../../src/gateway/gateway.ts';
import type { Address } from '../../src/machine/address.ts';
import { formatAddress } from '../../src/machine/address.ts';
import type { PlaneCommand, PlaneEvent, StreamCounters } from '../../src/media/plane-contract.ts';
import { REFUSALS } from '../../src/media/plane-contract.ts';
import { SeededRandom, simCrypto } from './random.ts';
import { Schedule } from './schedule.ts';
import { relayConfig, terminationConfig } from './sim-config.ts';
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

/** One direction-less byte pipe between the two gateways' tunnel connections. */
interface Pipe {
  readonly ends: { relay: number; termination: number };
  open: boolean;
  /** Data sent from now on never arrives, and nobody is told. */
  dead: boolean;
}

export class SimGateway {
  readonly gateway: Gateway;
  readonly cdrs: Record<string, unknown>[] = [];
  readonly logs: { level: string; event: string; fields: object }[] = [];
  readonly openStreams = new Map<string, PlaneCommand>();
  readonly planeCommands: PlaneCommand[] = [];
  readonly operatorReplies = new Map<number, unknown>();
  stopped = false;

  constructor(config: GatewayConfig, seed: number, bootAt: number, clock: () => number) {
    const random = new SeededRandom(seed);
    this.gateway = new Gateway({
      config,
      providers: { random, crypto: simCrypto, wall: () => 1_800_000_000_000 + clock() },
      bootId: { startedAt: bootAt, nonce: Buffer.from(random.bytes(8)).toString('hex') },
    });
  }
}

export class World {
  readonly schedule = new Schedule();
  readonly random: SeededRandom;
  network: NetworkOptions;
  termination: SimGateway;
  relay: SimGateway;
  readonly phone: SimPeer;
  readonly pbx: SimPeer;
  readonly #pipes: Pipe[] = [];
  #nextConnection = 1;
  #cutUntil = -1;
  readonly #options: WorldOptions;
  readonly #seed: number;
  #boots = 0;
  /** Datagrams that the gateways sent to addresses nobody here has. */
  readonly strayDatagrams: { from: string; to: string }[] = [];

  constructor(options: WorldOptions = {}) {
    this.#options = options;
    this.#seed = options.seed ?? 1;
    this.random = new SeededRandom(this.#seed);
    this.network = options.network ?? CLEAN;
    this.termination = this.#boot('termination');
    this.relay = this.#boot('relay');
    this.phone = new SimPeer({
      name: 'alice',
      address: ADDRESSES.phone,
      gateway: ADDRESSES.gw2,
      seed: this.#seed + 11,
      ...options.phone,
    });
    this.pbx = new SimPeer({
      name: '200',
      address: ADDRESSES.pbx,
      gateway: ADDRESSES.gw1,
      seed: this.#seed + 12,
      ...options.pbx,
    });
    for (const peer of [this.phone, this.pbx]) peer.later = (ms, run) => this.schedule.after(ms, run);
  }

  #boot(role: 'termination' | 'relay'): SimGateway {
    const config =
      role === 'termination'
        ? { ...terminationConfig(), ...this.#options.termination }
        : { ...relayConfig(), ...this.#options.relay };
    this.#boots++;
    return new SimGateway(
      config,
      this.#seed * 1000 + this.#boots,
      1_000_000 + this.schedule.now,
      () => this.schedule.now,
    );
  }

  /** Starts both gateways and runs until the tunnel is up. */
  start(): this {
    this.input(this.termination, { kind: 'start' });
    this.input(this.relay, { kind: 'start' });
    this.run(2000);
    return this;
  }

  /** The process dies and comes again: no goodbye, no memory. */
  restart(role: 'termination' | 'relay'): void {
    for (const pipe of this.#pipes)
      this.#closePipe(pipe, 'reset', role === 'termination' ? 'relay' : 'termination');
    if (role === 'termination') this.termination = this.#boot('termination');
    else this.relay = this.#boot('relay');
    this.input(role === 'termination' ? this.termination : this.relay, { kind: 'start' });
  }

  /** Signalling is cut for `ms`: `silent` leaves the connection established but dead, else it is reset. */
  cut(ms: number, silent: boolean): void {
    this.#cutUntil = this.schedule.now + ms;
    for (const pipe of this.#pipes) {
      if (!pipe.open) continue;
      if (silent) pipe.dead = true;
      else this.#closePipe(pipe, 'reset');
    }
  }

  input(gateway: SimGateway, input: GatewayInput): void {
    gateway.gateway.handle(input, this.schedule.now);
    this.#drain(gateway);
  }

  run(ms: number): void {
    const until = this.schedule.now + ms;
    this.#drainAll();
    for (let steps = 0; ; steps++) {
      if (steps > 2_000_000) throw new Error('the world does not come to rest');
      const next = Math.min(
        this.schedule.next() ?? Infinity,
        ...[this.termination.gateway, this.relay.gateway, this.phone.endpoint, this.pbx.endpoint].map(
          (m) => m.deadline() ?? Infinity,
        ),
      );
      if (next > until) break;
      this.schedule.advance(Math.max(next, this.schedule.now));
      this.phone.now = this.pbx.now = this.schedule.now;
      for (const g of [this.termination, this.relay]) {
        if ((g.gateway.deadline() ?? Infinity) <= this.schedule.now)
          g.gateway.handle({ kind: 'timeout' }, this.schedule.now);
      }
      for (const p of [this.phone, this.pbx]) {
        if ((p.endpoint.deadline() ?? Infinity) <= this.schedule.now)
          p.endpoint.handle({ kind: 'timeout' }, this.schedule.now);
      }
      this.#drainAll();
    }
    this.schedule.advance(until);
    this.phone.now = this.pbx.now = until;
  }

  /** Runs until `condition` or throws after `ms`. */
  until(condition: () => boolean, ms: number, what: string): void {
    const end = this.schedule.now + ms;
    while (!condition()) {
      if (this.schedule.now >= end) throw new Error(`${what}: not within ${ms} ms (seed ${this.#seed})`);
      this.run(Math.min(20, end - this.schedule.now));
    }
  }

  /** What must be empty when every call is over. */
  leftovers(): Record<string, number> {
    const out: Record<string, number> = {};
    for (const [name, g] of [
      ['termination', this.termination],
      ['relay', this.relay],
    ] as const) {
      for (const [key, size] of Object.entries(g.gateway.sizes)) if (size !== 0) out[`${name}.${key}`] = size;
      if (g.openStreams.size > 0) out[`${name}.openStreams`] = g.openStreams.size;
    }
    return out;
  }

  #drainAll(): void {
    for (let moved = true; moved; ) {
      moved = false;
      for (const g of [this.termination, this.relay]) moved = this.#drain(g) || moved;
      for (const p of [this.phone, this.pbx]) {
        p.now = this.schedule.now;
        for (let out = p.poll(); out !== undefined; out = p.poll()) {
          moved = true;
          if (out.kind === 'send-datagram') this.datagram(p.options.address, out.remote, out.bytes);
        }
      }
    }
  }

  #drain(g: SimGateway): boolean {
    let moved = false;
    for (let out = g.gateway.poll(); out !== undefined; out = g.gateway.poll()) {
      moved = true;
      this.#output(g, out);
    }
    return moved;
  }

  #output(g: SimGateway, out: GatewayOutput): void {
    const own = g === this.termination ? ADDRESSES.gw2 : ADDRESSES.gw1;
    switch (out.kind) {
      case 'sip':
        if (out.output.kind === 'send-datagram') this.datagram(own, out.output.remote, out.output.bytes);
        else if (out.output.kind === 'open-stream') {
          const connection = out.output.connection;
          this.schedule.after(1, () =>
            this.input(g, { kind: 'sip', input: { kind: 'stream-closed', connection, reason: 'refused' } }),
          );
        } else if (out.output.kind === 'resolve') {
          const query = out.output.query;
          this.schedule.after(1, () =>
            this.input(g, { kind: 'sip', input: { kind: 'resolved', query, targets: [] } }),
          );
        }
        break;
      case 'tunnel':
        this.#tunnel(g, out.output);
        break;
      case 'plane':
        this.#plane(g, out.shard, out.command);
        break;
      case 'cdr':
        g.cdrs.push(out.record as unknown as Record<string, unknown>);
        break;
      case 'log':
        g.logs.push(out);
        break;
      case 'operator-reply':
        g.operatorReplies.set(out.request, out.value);
        break;
      case 'stopped':
        g.stopped = true;
        break;
      case 'count':
      case 'link':
      case 'sip-message':
      case 'round-trip':
        break;
    }
  }

  datagram(from: Address, to: Address, bytes: Uint8Array): void {
    if (this.random.real() < this.network.loss) return;
    const copies = this.random.real() < this.network.duplicate ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      const delay =
        this.network.minDelayMs + this.random.below(this.network.maxDelayMs - this.network.minDelayMs + 1);
      const copy = bytes.slice();
      this.schedule.after(delay, () => this.#deliver(from, to, copy));
    }
  }

  #deliver(from: Address, to: Address, bytes: Uint8Array): void {
    const key = formatAddress(to);
    const datagram = { kind: 'datagram', listener: 'udp', remote: from, bytes } as const;
    if (key === formatAddress(ADDRESSES.gw2)) this.input(this.termination, { kind: 'sip', input: datagram });
    else if (key === formatAddress(ADDRESSES.gw1)) this.input(this.relay, { kind: 'sip', input: datagram });
    else {
      const peer = [this.phone, this.pbx].find((p) => formatAddress(p.options.address) === key);
      if (peer === undefined) this.strayDatagrams.push({ from: formatAddress(from), to: key });
      else {
        peer.now = this.schedule.now;
        peer.endpoint.handle(datagram, this.schedule.now);
      }
    }
  }

  #tunnel(g: SimGateway, out: Extract<GatewayOutput, { kind: 'tunnel' }>['output']): void {
    const side = g === this.relay ? 'relay' : 'termination';
    if (out.kind === 'dial') {
      this.#dial(out.connection);
      return;
    }
    const pipe = this.#pipes.find((p) => p.open && p.ends[side] === out.connection);
    if (pipe === undefined) return;
    if (out.kind === 'send') {
      if (pipe.dead) return;
      const bytes = out.bytes.slice();
      this.schedule.after(3, () => {
        if (pipe.open && !pipe.dead)
          this.#toEnd(side === 'relay' ? 'termination' : 'relay', pipe, { kind: 'data', bytes });
      });
    } else {
      // Data sent before the close arrives before it.
      const other = side === 'relay' ? 'termination' : 'relay';
      if (pipe.dead) pipe.open = false;
      else this.schedule.after(3, () => this.#closePipe(pipe, out.reason, other));
    }
  }

  #dial(connection: number): void {
    if (this.schedule.now < this.#cutUntil) {
      this.schedule.after(5, () =>
        this.input(this.relay, {
          kind: 'tunnel',
          site: 'gw2',
          input: { kind: 'closed', connection, reason: 'unreachable' },
        }),
      );
      return;
    }
    const pipe: Pipe = {
      ends: { relay: connection, termination: this.#nextConnection++ },
      open: true,
      dead: false,
    };
    this.#pipes.push(pipe);
    const exporter = this.random.bytes(32);
    this.schedule.after(6, () => {
      if (!pipe.open) return;
      this.#toEnd('termination', pipe, { kind: 'connected', exporter });
      this.#toEnd('relay', pipe, { kind: 'connected', exporter });
    });
  }

  #toEnd(
    side: 'relay' | 'termination',
    pipe: Pipe,
    event:
      | { kind: 'data'; bytes: Uint8Array }
      | { kind: 'connected'; exporter: Uint8Array }
      | { kind: 'closed'; reason: string },
  ): void {
    const g = side === 'relay' ? this.relay : this.termination;
    this.input(g, {
      kind: 'tunnel',
      site: side === 'relay' ? 'gw2' : 'site-a',
      input: { ...event, connection: pipe.ends[side] },
    });
  }

  #closePipe(pipe: Pipe, reason: string, only?: 'relay' | 'termination'): void {
    if (!pipe.open) return;
    pipe.open = false;
    if (only !== 'relay') this.#toEnd('termination', pipe, { kind: 'closed', reason });
    if (only !== 'termination') this.#toEnd('relay', pipe, { kind: 'closed', reason });
  }

  #plane(g: SimGateway, shard: number, command: PlaneCommand): void {
    g.planeCommands.push(command);
    const answer = (event: PlaneEvent): void =>
      this.schedule.after(1, () => this.input(g, { kind: 'plane', shard, event }));
    switch (command.kind) {
      case 'open': {
        const key = `${command.leg.session}/${command.leg.stream}`;
        g.openStreams.set(key, command);
        answer({ kind: 'opened', session: command.leg.session, stream: command.leg.stream });
        break;
      }
      case 'modify':
        g.openStreams.set(`${command.leg.session}/${command.leg.stream}`, command);
        break;
      case 'close': {
        const key = `${command.session}/${command.stream}`;
        if (g.openStreams.delete(key))
          answer({ kind: 'closed', counters: noCounters(command.session, command.stream) });
        break;
      }
      case 'session':
        answer({ kind: 'lane-up', session: command.session, lane: 0 });
        break;
      default:
        break;
    }
  }
}

function noCounters(session: string, stream: number): StreamCounters {
  return {
    session,
    stream,
    call: '',
    packetsIn: 0,
    bytesIn: 0,
    packetsOut: 0,
    bytesOut: 0,
    framesToTunnel: 0,
    framesFromTunnel: 0,
    framesLost: 0,
    lostIn: 0,
    jitterInMs: 0,
    lostOut: -1,
    roundTripMs: -1,
    mosIn: 0,
    refused: REFUSALS.map(() => 0),
  };
}
