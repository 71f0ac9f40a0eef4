/** One far gateway (a site at the termination gateway, the termination gateway at a relay) and what is open with it. */

import { toHex } from '../bytes/text.ts';
import { Writer } from '../bytes/writer.ts';
import { StreamBases } from '../call/stream-bases.ts';
import type { Crypto, Millis, Random, Result } from '../machine/machine.ts';
import { Timers } from '../machine/timers.ts';
import { decodeMeta } from '../meta/decode.ts';
import { tryEncodeMeta } from '../meta/encode.ts';
import type { CallId, MetaError, MetaMessage } from '../meta/message.ts';
import type { TunnelEvent, TunnelInput, TunnelOptions, TunnelOutput } from '../tunnel/contract.ts';
import { TunnelSession } from '../tunnel/session.ts';

/** What waits for the result of an `authenticate` or `register` sent to the far gateway. */
export interface PendingExchange {
  readonly purpose: 'authenticate';
  /** The SIP endpoint's own exchange number. */
  readonly sipExchange: number;
  /** The account name the proof claims, and where it came from. */
  readonly username: string;
  readonly source: string;
}

const EXCHANGE_DEADLINE_MS = 10_000;
const EXCHANGES = 1000;

export class SiteLink {
  readonly site: string;
  readonly tunnel: TunnelSession;
  state: 'never' | 'up' | 'down' = 'never';
  sessionId = '';
  laneKey = '';
  shards = 1;
  /** Stream ids of the live session. */
  bases: StreamBases;
  minor = 0;
  roundTripMs = -1;
  /** Why the last dial failed, and when that was logged; undefined while the tunnel is up. */
  problem: { readonly reason: string; readonly toldAt: Millis } | undefined;
  /** The far end drains: no new calls to it. */
  draining = false;
  /** Calls named in our last answer to `fence-wanted`. */
  fenceListed: ReadonlySet<CallId> = new Set();
  /** Lanes known to be up, by `shard/lane`. */
  readonly lanes = new Set<string>();
  #exchange = 0;
  readonly #writer = new Writer(512);
  #pending = new Map<number, PendingExchange>();
  #timers = new Timers<number>();

  readonly #gateway: 'termination-gateway' | 'relay-gateway';

  constructor(site: string, options: TunnelOptions, providers: { random: Random; crypto: Crypto }) {
    this.site = site;
    this.#gateway = options.role === 'dialer' ? 'relay-gateway' : 'termination-gateway';
    this.bases = new StreamBases(this.#gateway);
    this.tunnel = new TunnelSession(options, providers.crypto, providers.random);
  }

  input(input: TunnelInput, now: Millis): void {
    this.tunnel.handle(input, now);
  }

  poll(): TunnelOutput | undefined {
    return this.tunnel.poll();
  }

  deadline(): Millis | undefined {
    const a = this.tunnel.deadline();
    const b = this.#timers.next();
    return a === undefined ? b : b === undefined ? a : Math.min(a, b);
  }

  get usable(): boolean {
    return this.state === 'up' && !this.draining;
  }

  begin(event: Extract<TunnelEvent, { kind: 'session' }>): void {
    this.sessionId = event.session;
    this.laneKey = toHex(event.laneKey);
    this.shards = Math.max(1, event.shards);
    this.minor = event.metaMinor;
    this.draining = false;
    this.fenceListed = new Set();
    this.lanes.clear();
    this.bases = new StreamBases(this.#gateway);
  }

  /** false: the message holds what Meta cannot carry (a stranger's digest parameters, say) and was not sent. */
  send(message: MetaMessage, now: Millis): boolean {
    const payload = tryEncodeMeta(message, this.minor, this.#writer);
    // `proceeding` only tells that the call was taken: mostly the leg has more to say within milliseconds.
    const mayWait = message.kind === 'proceeding';
    if (payload.ok) this.tunnel.handle({ kind: 'send', payload: payload.value, mayWait }, now);
    return payload.ok;
  }

  decode(payload: Uint8Array): Result<MetaMessage, MetaError> {
    return decodeMeta(payload, this.minor);
  }

  get openExchanges(): number {
    return this.#pending.size;
  }

  /** Number of a new exchange with the far gateway, or undefined where too many are open. */
  open(pending: PendingExchange, now: Millis): number | undefined {
    if (this.#pending.size >= EXCHANGES) return undefined;
    this.#exchange = (this.#exchange % 0xffff_ffff) + 1;
    this.#pending.set(this.#exchange, pending);
    this.#timers.set(this.#exchange, now + EXCHANGE_DEADLINE_MS);
    return this.#exchange;
  }

  settle(exchange: number): PendingExchange | undefined {
    const pending = this.#pending.get(exchange);
    this.#pending.delete(exchange);
    this.#timers.set(exchange, undefined);
    return pending;
  }

  /** Exchanges whose time is over. */
  *overdue(now: Millis): Iterable<PendingExchange> {
    for (let n = this.#timers.take(now); n !== undefined; n = this.#timers.take(now)) {
      const pending = this.#pending.get(n);
      this.#pending.delete(n);
      if (pending !== undefined) yield pending;
    }
  }
}
