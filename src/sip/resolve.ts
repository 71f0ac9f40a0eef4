/** Where a request may go, in order (RFC 3263 4): literals at once, names through the user's resolver. */
import type { Address, SignallingTransport } from '../machine/address.ts';
import type { Alarm } from '../machine/alarm.ts';
import type { ConnectionRef, ResolvedTarget, SipPeer } from './contract.ts';
import type { Core } from './core.ts';
import { canonicalIp } from './host.ts';

/** The user's resolver answers within this time, else the name counts as unresolvable. Milliseconds. */
const RESOLVE_LIMIT = 5_000;
/** Targets tried at most for one request. */
const MOST_TARGETS = 6;

export interface Target {
  readonly transport: SignallingTransport;
  readonly address: Address;
  /** An open connection to use, whatever its remote port. */
  readonly connection?: ConnectionRef | undefined;
  /** Preferred listener. */
  readonly listener?: string | undefined;
  /** TLS: the name the certificate must carry. */
  readonly serverName?: string | undefined;
  /** UDP although the request is large: TCP was tried and failed (RFC 3261 18.1.1). */
  readonly despiteSize?: boolean;
}

export interface Query {
  readonly host: string;
  readonly port?: number | undefined;
  readonly transport?: SignallingTransport | undefined;
  readonly listener?: string | undefined;
  /** The peer this is the configured host of: its addresses are then known as sources. */
  readonly peer?: string | undefined;
}

interface Pending {
  readonly query: Query;
  readonly alarm: Alarm;
  readonly done: (targets: readonly Target[]) => void;
}

export function queryOfPeer(peer: SipPeer): Query {
  return {
    host: peer.host,
    port: peer.port,
    transport: peer.transport,
    listener: peer.listener,
    peer: peer.name,
  };
}

export class Resolver {
  readonly #core: Core;
  readonly #pending = new Map<number, Pending>();
  #next = 1;

  constructor(core: Core) {
    this.#core = core;
  }

  get size(): number {
    return this.#pending.size;
  }

  /**
   * Calls `done` once, at once where the host is an address literal: with no targets where nothing was found. Returns how
   * to call it off.
   */
  resolve(query: Query, done: (targets: readonly Target[]) => void): () => void {
    const ip = canonicalIp(query.host);
    if (ip !== undefined) {
      done([literal(query, ip)]);
      return nothing;
    }
    if (this.#pending.size >= this.#core.options.limits.transactions) {
      this.#core.count('resolver-full');
      done([]);
      return nothing;
    }
    const number = this.#next++;
    const alarm = this.#core.alarm(() => {
      this.#core.count('resolve-timeout');
      this.resolved(number, []);
    });
    alarm.set(this.#core.now + RESOLVE_LIMIT);
    this.#pending.set(number, { query, alarm, done });
    this.#core.emit({
      kind: 'resolve',
      query: number,
      host: query.host,
      ...(query.port === undefined ? {} : { port: query.port }),
      ...(query.transport === undefined ? {} : { transport: query.transport }),
      secure: query.transport === 'tls',
    });
    return () => {
      alarm.set(undefined);
      this.#pending.delete(number);
    };
  }

  resolved(number: number, found: readonly ResolvedTarget[]): void {
    const pending = this.#pending.get(number);
    if (pending === undefined) return;
    this.#pending.delete(number);
    pending.alarm.set(undefined);
    const { query } = pending;
    const targets = found.slice(0, MOST_TARGETS);
    const { peer } = query;
    // Asked before a reload that gave the peer another host: no address of its any more.
    if (peer !== undefined && this.#core.peers.get(peer)?.host === query.host && targets.length > 0) {
      const ips = targets.map(({ address }) => address.ip);
      this.#core.resolvedPeers.learn(peer, ips, this.#core.now);
    }
    pending.done(
      targets.map(({ transport, address }) => ({
        transport,
        address,
        listener: query.listener,
        serverName: transport === 'tls' ? query.host : undefined,
      })),
    );
  }
}

function literal(query: Query, ip: string): Target {
  // RFC 3263 4.1: without NAPTR and SRV, UDP for sip, TLS for sips.
  const transport = query.transport ?? 'udp';
  return {
    transport,
    address: { ip, port: query.port ?? (transport === 'tls' ? 5061 : 5060) },
    listener: query.listener,
  };
}

function nothing(): void {}
