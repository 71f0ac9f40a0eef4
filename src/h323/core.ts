/**
 * What every part of the endpoint shares: the time of the input being handled, the output queue, timers, randomness,
 * the configuration in force. No protocol logic.
 */
import { canonicalIp } from '../bytes/ip.ts';
import type { Address } from '../machine/address.ts';
import { isIpv6 } from '../machine/address.ts';
import { Alarm } from '../machine/alarm.ts';
import type { Crypto, Millis, Random, WallMillis } from '../machine/machine.ts';
import { Timers } from '../machine/timers.ts';
import type { CallRef, H323Decisions, H323Event, H323Limits, H323Output } from './contract.ts';
import type { H323Listener, H323Peer } from './peer-contract.ts';

export interface H323Options {
  /** Call identifiers, status determination numbers, jitter. */
  readonly random: Random;
  /** H.235 Annex D. */
  readonly crypto: Crypto;
  /** UTC, for the timestamps of H.235 only. */
  readonly wall: () => WallMillis;
  readonly decisions: H323Decisions;
  readonly limits: H323Limits;
}

export class Core {
  now: Millis = 0;
  readonly options: H323Options;
  readonly timers = new Timers<Alarm>();
  readonly peers = new Map<string, H323Peer>();
  /** Addresses that a peer's configured host name resolved to last, by IP: sources the user's `identify` cannot know. */
  readonly resolvedPeers = new Map<string, string>();
  listeners: readonly H323Listener[] = [];
  draining = false;
  readonly #queries = new Map<number, { readonly found: (ips: readonly string[]) => void }>();
  #nextQuery = 1;
  #queue: H323Output[] = [];
  #head = 0;

  constructor(options: H323Options) {
    this.options = options;
  }

  get queries(): number {
    return this.#queries.size;
  }

  emit(output: H323Output): void {
    this.#queue.push(output);
  }

  event(event: H323Event): void {
    this.emit({ kind: 'event', event });
  }

  /** `reason` is a short stable token; `name` a foreign name, never a metric label. */
  count(reason: string, remote?: Address, name?: string): void {
    this.emit({
      kind: 'count',
      reason,
      ...(name === undefined ? {} : { name }),
      ...(remote === undefined ? {} : { remote }),
    });
  }

  trace(
    direction: 'in' | 'out',
    transport: 'tcp' | 'udp',
    remote: Address,
    line: string,
    call?: CallRef,
  ): void {
    this.emit({
      kind: 'trace',
      direction,
      remote,
      transport,
      line,
      ...(call === undefined ? {} : { call }),
    });
  }

  poll(): H323Output | undefined {
    if (this.#head === this.#queue.length) return undefined;
    const output = this.#queue[this.#head++];
    if (this.#head === this.#queue.length) {
      this.#queue = [];
      this.#head = 0;
    }
    return output;
  }

  alarm(fire: () => void): Alarm {
    return new Alarm(this.timers, fire);
  }

  /** Our listener for a transport and the address family of `ip`: the preferred one where it fits. */
  listenerFor(transport: 'tcp' | 'udp', ip: string, preferred?: string): H323Listener | undefined {
    const fits = (l: H323Listener): boolean => l.transport === transport && isIpv6(l.local.ip) === isIpv6(ip);
    return this.listeners.find((l) => l.name === preferred && fits(l)) ?? this.listeners.find((l) => fits(l));
  }

  /** The configured peer a source belongs to; undefined: nobody we know. */
  identify(remote: Address, listener: string, transport: 'tcp' | 'udp'): H323Peer | undefined {
    const name =
      this.options.decisions.identify({ remote, listener, transport }) ?? this.resolvedPeers.get(remote.ip);
    return name === undefined ? undefined : this.peers.get(name);
  }

  /** Addresses of a host: at once where it is literal, else after `resolved`. Empty: none. */
  resolve(host: string, port: number, found: (ips: readonly string[]) => void): void {
    const literal = canonicalIp(host.replace(/^\[|\]$/g, ''));
    if (literal !== undefined) return found([literal]);
    if (this.#queries.size >= this.options.limits.exchanges) {
      this.count('queries');
      return found([]);
    }
    const query = this.#nextQuery++;
    const alarm = this.alarm(() => this.resolved(query, []));
    alarm.set(this.now + RESOLVE_LIMIT);
    this.#queries.set(query, {
      found: (ips) => {
        alarm.set(undefined);
        found(ips);
      },
    });
    this.emit({ kind: 'resolve', query, host, port, transport: 'tcp', secure: false });
  }

  resolved(query: number, ips: readonly string[]): void {
    const waiting = this.#queries.get(query);
    if (waiting === undefined) return;
    this.#queries.delete(query);
    waiting.found(ips.map((ip) => canonicalIp(ip)).filter((ip) => ip !== undefined));
  }
}

/** Milliseconds. */
const RESOLVE_LIMIT = 10_000;
