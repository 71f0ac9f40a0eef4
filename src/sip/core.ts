/**
 * What every part of the endpoint shares: the time of the input being handled, the output queue, timers, randomness,
 * the configuration in force. No protocol logic.
 */
import { toHex } from '../bytes/text.ts';
import type { Address, SignallingTransport } from '../machine/address.ts';
import { Alarm } from '../machine/alarm.ts';
import type { Crypto, Millis, Random, Writable } from '../machine/machine.ts';
import { Timers } from '../machine/timers.ts';
import type {
  SessionRef,
  SipDecisions,
  SipEvent,
  SipLimits,
  SipListener,
  SipOutput,
  SipPeer,
} from './contract.ts';
import { ResolvedPeers } from './resolved-peers.ts';

export interface SipOptions {
  /** Tags, branches, Call-IDs, nonce keys, jitter. */
  readonly random: Random;
  /** Digest authentication. */
  readonly crypto: Crypto;
  /** Asked synchronously, often more than once for one message: answers from tables. */
  readonly decisions: SipDecisions;
  readonly limits: SipLimits;
}

/** Where a message goes or came from: one hop of one transport. */
export interface Hop {
  readonly transport: SignallingTransport;
  readonly listener: SipListener;
  readonly remote: Address;
  /** Streams: the connection in use; absent where one is to be opened or reused. */
  readonly connection?: number;
  /** TLS: the name the server's certificate must carry. */
  readonly serverName?: string;
}

/** A message's origin: its hop, and the configured peer that hop belongs to. */
export interface Source {
  readonly hop: Hop;
  readonly peer: string;
}

export class Core {
  now: Millis = 0;
  readonly options: SipOptions;
  readonly timers = new Timers<Alarm>();
  readonly peers = new Map<string, SipPeer>();
  readonly resolvedPeers = new ResolvedPeers();
  listeners: readonly SipListener[] = [];
  /** Set once draining: what 503 tells in Retry-After. */
  drainSeconds: number | undefined;
  #queue: SipOutput[] = [];
  #head = 0;

  constructor(options: SipOptions) {
    this.options = options;
  }

  emit(output: SipOutput): void {
    this.#queue.push(output);
  }

  event(event: SipEvent): void {
    this.emit({ kind: 'event', event });
  }

  /** `reason` is a short stable token; `name` a foreign name, never a metric label. */
  count(reason: string, name?: string, remote?: Address): void {
    const output: Writable<Extract<SipOutput, { kind: 'count' }>> = { kind: 'count', reason };
    if (name !== undefined) output.name = name;
    if (remote !== undefined) output.remote = remote;
    this.emit(output);
  }

  trace(direction: 'in' | 'out', hop: Hop, line: string, session: SessionRef | undefined): void {
    const { remote, transport } = hop;
    const output: Writable<Extract<SipOutput, { kind: 'trace' }>> = {
      kind: 'trace',
      direction,
      remote,
      transport,
      line,
    };
    if (session !== undefined) output.session = session;
    this.emit(output);
  }

  poll(): SipOutput | undefined {
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

  /** 2 * `octets` hexadecimal digits of randomness: the one shape of all our Call-IDs, tags and branches. */
  token(octets: number): string {
    return toHex(this.options.random.bytes(octets));
  }

  /** Uniform in `least` .. `most`, both included. */
  between(least: number, most: number): number {
    return least + (this.options.random.uint32() % (most - least + 1));
  }

  /** Our listener for a transport and the address family of `ip`: the preferred one where it fits. */
  listenerFor(transport: SignallingTransport, ip: string, preferred?: string): SipListener | undefined {
    const fits = (l: SipListener): boolean =>
      l.transport === transport && l.local.ip.includes(':') === ip.includes(':');
    return this.listeners.find((l) => l.name === preferred && fits(l)) ?? this.listeners.find((l) => fits(l));
  }
}
