/** A gateway machine in the simulation, and what it has said. Its media plane only opens and closes. */
import type { GatewayConfig } from '../../src/gateway/config.ts';
import type { GatewayInput, GatewayOutput } from '../../src/gateway/contract.ts';
import { Gateway } from '../../src/gateway/gateway.ts';
import type { Address } from '../../src/machine/address.ts';
import { SeededRandom } from '../../src/machine/seeded-random.test.ts';
import type {
  PlaneCommand,
  PlaneEvent,
  StreamCounters,
  StreamLegConfig,
} from '../../src/media/plane-contract.ts';
import { noCounters } from '../../src/media/stream-counters.ts';
import { systemCrypto } from '../../src/net/providers.ts';
import type { H323Host } from './h323-net.ts';

export type GatewayTunnelInput = Extract<GatewayInput, { kind: 'tunnel' }>['input'];
export type GatewayTunnelOutput = Extract<GatewayOutput, { kind: 'tunnel' }>['output'];
export type Cdr = Extract<GatewayOutput, { kind: 'cdr' }>['record'];

/** What stands at an end of the tunnel: a gateway, or an attacker in its place. */
export interface TunnelEnd {
  /** `site`: who the far end is. */
  tunnel(site: string, input: GatewayTunnelInput): void;
}

export class SimGateway {
  readonly name: string;
  readonly address: Address;
  readonly gateway: Gateway;
  readonly cdrs: Cdr[] = [];
  readonly logs: Extract<GatewayOutput, { kind: 'log' }>[] = [];
  /** By `family/label`. */
  readonly counts = new Map<string, number>();
  readonly openStreams = new Map<string, StreamLegConfig>();
  /** Every UDP destination the plane was ever given. */
  readonly mediaTargets = new Set<string>();
  readonly planeCommands: PlaneCommand[] = [];
  readonly operatorReplies = new Map<number, unknown>();
  stopped = false;
  /** How the plane behaves: well, dead (it answers nothing), or without a port to give. */
  planeMood: 'well' | 'dead' | 'no-port' = 'well';
  /** Set by the world. */
  h323Host: H323Host | undefined;

  constructor(config: GatewayConfig, seed: number, bootAt: number, clock: () => number) {
    const random = new SeededRandom(seed);
    this.name = config.name;
    this.address = config.sip.listeners[0]!.address;
    this.gateway = new Gateway({
      config,
      providers: { random, crypto: systemCrypto, wall: () => 1_800_000_000_000 + clock() },
      bootId: { startedAt: bootAt, nonce: Buffer.from(random.bytes(8)).toString('hex') },
    });
  }

  counted(name: string): number {
    return this.counts.get(name) ?? 0;
  }

  count(name: string, label: string): void {
    const key = `${name}/${label}`;
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
  }

  /** What the plane answers. */
  plane(command: PlaneCommand): PlaneEvent | undefined {
    this.planeCommands.push(command);
    if (this.planeMood === 'dead') {
      if (command.kind === 'close') this.openStreams.delete(`${command.session}/${command.stream}`);
      return undefined;
    }
    if (this.planeMood === 'no-port' && command.kind === 'open') {
      const { session, stream } = command.leg;
      return { kind: 'open-failed', session, stream, reason: 'EADDRINUSE' };
    }
    switch (command.kind) {
      case 'open':
      case 'modify': {
        const { leg } = command;
        for (const to of [leg.remote, leg.remoteRtcp]) if (to !== undefined) this.mediaTargets.add(to.ip);
        this.openStreams.set(`${leg.session}/${leg.stream}`, leg);
        return command.kind === 'modify'
          ? undefined
          : { kind: 'opened', session: leg.session, stream: leg.stream };
      }
      case 'close': {
        const known = this.openStreams.delete(`${command.session}/${command.stream}`);
        return known ? { kind: 'closed', counters: noCounters(command.session, command.stream) } : undefined;
      }
      case 'session':
        return { kind: 'lane-up', session: command.session, lane: 0 };
      default:
        return undefined;
    }
  }

  counters(session: string, stream: number): StreamCounters {
    return noCounters(session, stream);
  }

  leftovers(): Record<string, number> {
    const out: Record<string, number> = {};
    for (const [key, size] of Object.entries(this.gateway.sizes))
      if (size !== 0) out[`${this.name}.${key}`] = size;
    if (this.openStreams.size > 0) out[`${this.name}.openStreams`] = this.openStreams.size;
    return out;
  }
}
