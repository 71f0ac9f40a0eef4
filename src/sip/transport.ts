/**
 * The transport layer (RFC 3261 18) without sockets: which listener and connection a message uses, reuse and limits of
 * stream connections, and who is told when a connection or destination is lost. Bytes become messages here.
 */
import type { Address, SignallingTransport } from '../machine/address.ts';
import { formatAddress } from '../machine/address.ts';
import type { Alarm } from '../machine/alarm.ts';
import { decrease, increase } from '../machine/counts.ts';
import type { Millis } from '../machine/machine.ts';
import type { ConnectionRef, SipInput, SipListener } from './contract.ts';
import type { Core, Hop, Source } from './core.ts';
import { StreamFramer } from './framing.ts';
import type { SipMessage, SipParseError } from './message.ts';
import { parseDatagram } from './parse.ts';

/** Stream limits, milliseconds: our own connect, a message begun but not complete, a connection without any message. */
const CONNECT_LIMIT = 4_000;
const PARTIAL_LIMIT = 10_000;
const IDLE_LIMIT = 600_000;
/** Bytes kept for a connection that is still opening. */
const PENDING_BYTES = 262_144;
/** RFC 3261 18.1.1: above this a request goes over a congestion-controlled transport. */
export const DATAGRAM_REQUEST_BYTES = 1300;

/** What the transport layer hands upwards. */
export interface Receiver {
  message(message: SipMessage, source: Source): void;
  malformed(error: SipParseError, source: Source): void;
}

interface Connection {
  readonly ref: ConnectionRef;
  readonly listener: SipListener;
  readonly transport: 'tcp' | 'tls';
  readonly remote: Address;
  readonly framer: StreamFramer;
  readonly alarm: Alarm;
  readonly watchers: Set<() => void>;
  certificateNames: readonly string[];
  open: boolean;
  pending: Uint8Array[];
  pendingBytes: number;
  /** When the connection was asked for or accepted, later when the unfinished message began. */
  since: Millis;
  partial: boolean;
  heard: boolean;
  lastHeard: Millis;
}

/** A hop made usable: what a transaction sends over. */
export interface Link {
  readonly hop: Hop;
  send(bytes: Uint8Array): void;
  release(): void;
}

type Opened = Extract<SipInput, { kind: 'stream-open' }>;

export class Transport {
  readonly #core: Core;
  readonly #receiver: Receiver;
  readonly #connections = new Map<ConnectionRef, Connection>();
  /** The newest connection to a remote address, by transport and address. */
  readonly #byRemote = new Map<string, Connection>();
  readonly #perSource = new Map<string, number>();
  /** Client transactions waiting for a datagram destination, by address; and their number by IP. */
  readonly #waiting = new Map<string, Set<() => void>>();
  readonly #waitingIps = new Map<string, number>();
  #nextRef = 2;

  constructor(core: Core, receiver: Receiver) {
    this.#core = core;
    this.#receiver = receiver;
  }

  get connections(): number {
    return this.#connections.size;
  }

  isOpen(ref: ConnectionRef | undefined): boolean {
    return ref !== undefined && this.#connections.get(ref)?.open === true;
  }

  /** The hop of an open connection (a registration's flow); undefined where it is gone. */
  hopOf(ref: ConnectionRef): Hop | undefined {
    const connection = this.#connections.get(ref);
    return connection?.open === true ? hopOf(connection) : undefined;
  }

  datagram(listenerName: string, remote: Address, bytes: Uint8Array): void {
    const listener = this.#core.listeners.find((l) => l.name === listenerName);
    if (listener === undefined) return;
    if (bytes.length <= 4) return; // keep-alives of NAT'd phones: CRLF, CRLFCRLF, NULs
    const hop: Hop = { transport: listener.transport, listener, remote };
    const peer = this.#identify(hop, []);
    if (peer === undefined) return this.#core.count('unknown-source', undefined, remote);
    if (!this.#withinRate(remote, peer)) return this.#core.count('source-rate', undefined, remote);
    const parsed = parseDatagram(bytes);
    if (parsed.ok) this.#receiver.message(parsed.value, { hop, peer });
    else this.#receiver.malformed(parsed.error, { hop, peer });
  }

  opened(input: Opened): void {
    const own = this.#connections.get(input.connection);
    if (own !== undefined) {
      own.open = true;
      own.since = this.#core.now;
      own.lastHeard = this.#core.now;
      own.certificateNames = input.certificateNames;
      for (const bytes of own.pending) this.#write(own, bytes);
      own.pending = [];
      own.pendingBytes = 0;
      return this.#arm(own);
    }
    const refusal = this.#refusal(input);
    if (refusal !== undefined) {
      this.#core.count(refusal, undefined, input.remote);
      this.#core.emit({ kind: 'close-stream', connection: input.connection, reason: refusal });
      return;
    }
    const listener = this.#core.listeners.find((l) => l.name === input.listener)!;
    const connection = this.#add(input.connection, listener, input.transport, input.remote);
    connection.open = true;
    connection.certificateNames = input.certificateNames;
  }

  /** Why an accepted connection is closed at once; undefined: it may stay. */
  #refusal(input: Opened): string | undefined {
    const { limits } = this.#core.options;
    const listener = this.#core.listeners.find((l) => l.name === input.listener);
    if (listener === undefined) return 'unknown-listener';
    if (input.connection % 2 === 0) return 'late-connection'; // ours, given up meanwhile
    const hop: Hop = { transport: input.transport, listener, remote: input.remote };
    if (this.#identify(hop, input.certificateNames) === undefined) return 'unknown-source';
    if (this.#connections.size >= limits.connections) return 'connections';
    if ((this.#perSource.get(input.remote.ip) ?? 0) >= limits.connectionsPerSource) {
      return 'connections-per-source';
    }
    return undefined;
  }

  data(ref: ConnectionRef, bytes: Uint8Array): void {
    const connection = this.#connections.get(ref);
    if (connection === undefined) return;
    const hop = hopOf(connection);
    const peer = this.#identify(hop, connection.certificateNames);
    if (peer === undefined) {
      this.#core.count('unknown-source', undefined, connection.remote);
      return this.close(ref, 'unknown-source');
    }
    connection.lastHeard = this.#core.now;
    connection.framer.push(bytes);
    for (;;) {
      const item = connection.framer.next();
      if (item === undefined) break;
      connection.heard = true;
      if (!this.#withinRate(connection.remote, peer)) {
        this.#core.count('source-rate', undefined, connection.remote);
        return this.close(ref, 'source-rate');
      }
      if (item.kind === 'message') this.#receiver.message(item.message, { hop, peer });
      else if (item.kind === 'keep-alive') this.#write(connection, CRLF);
      else {
        this.#receiver.malformed(item.error, { hop, peer });
        if (item.error.close) return this.close(ref, item.error.reason);
      }
      if (!this.#connections.has(ref)) return;
    }
    const partial = connection.framer.pending > 0;
    if (partial && !connection.partial) connection.since = this.#core.now;
    if (partial !== connection.partial) {
      connection.partial = partial;
      this.#arm(connection);
    }
  }

  closed(ref: ConnectionRef): void {
    const connection = this.#connections.get(ref);
    if (connection === undefined) return;
    this.#forget(connection);
    for (const lost of [...connection.watchers]) lost();
  }

  /** Closes from our side; those who wait for the connection are told. */
  close(ref: ConnectionRef, reason: string): void {
    if (!this.#connections.has(ref)) return;
    this.#core.emit({ kind: 'close-stream', connection: ref, reason });
    this.closed(ref);
  }

  /** ICMP error: told to those who wait for an answer from there. */
  unreachable(remote: Address): void {
    for (const lost of [...(this.#waiting.get(formatAddress(remote)) ?? [])]) lost();
  }

  /** Sends where no answer is awaited: responses and ACKs. False where the connection is gone. */
  send(hop: Hop, bytes: Uint8Array): boolean {
    if (hop.transport === 'udp') {
      this.#datagram(hop, bytes);
      return true;
    }
    const connection = hop.connection === undefined ? undefined : this.#connections.get(hop.connection);
    if (connection === undefined) return false;
    this.#write(connection, bytes);
    return true;
  }

  /**
   * Readies a hop for a client transaction: finds or opens its connection. `lost` is called at most once, when the
   * connection fails or the destination is reported unreachable. Undefined: no connection may be opened now.
   */
  link(hop: Hop, lost: () => void): Link | undefined {
    return hop.transport === 'udp' ? this.#datagramLink(hop, lost) : this.#streamLink(hop, lost);
  }

  /** Tells when the connection a request came over is gone. Nothing for datagrams. */
  watch(hop: Hop, lost: () => void): () => void {
    const connection = hop.connection === undefined ? undefined : this.#connections.get(hop.connection);
    connection?.watchers.add(lost);
    return () => connection?.watchers.delete(lost);
  }

  #datagramLink(hop: Hop, lost: () => void): Link {
    const key = formatAddress(hop.remote);
    const { ip } = hop.remote;
    const set = this.#waiting.get(key) ?? new Set();
    set.add(lost);
    this.#waiting.set(key, set);
    increase(this.#waitingIps, ip);
    let held = true;
    return {
      hop,
      send: (bytes) => this.#datagram(hop, bytes),
      release: () => {
        if (!held) return;
        held = false;
        set.delete(lost);
        if (set.size === 0) this.#waiting.delete(key);
        decrease(this.#waitingIps, ip);
      },
    };
  }

  #streamLink(hop: Hop, lost: () => void): Link | undefined {
    const connection = this.#connectionFor(hop);
    if (connection === undefined) return undefined;
    connection.watchers.add(lost);
    return {
      hop: { ...hop, connection: connection.ref },
      send: (bytes) => this.#write(connection, bytes),
      release: () => connection.watchers.delete(lost),
    };
  }

  #connectionFor(hop: Hop): Connection | undefined {
    if (hop.connection !== undefined) return this.#connections.get(hop.connection);
    const known = this.#byRemote.get(remoteKey(hop.transport, hop.remote));
    if (known !== undefined) return known;
    if (this.#connections.size >= this.#core.options.limits.connections) {
      this.#core.count('connections', undefined, hop.remote);
      return undefined;
    }
    const ref = this.#nextRef;
    this.#nextRef += 2;
    const transport = hop.transport as 'tcp' | 'tls';
    const connection = this.#add(ref, hop.listener, transport, hop.remote);
    connection.heard = true; // we dialled it: it owes us no first message
    this.#core.emit({
      kind: 'open-stream',
      connection: ref,
      listener: hop.listener.name,
      transport,
      remote: hop.remote,
      ...(hop.serverName === undefined ? {} : { serverName: hop.serverName }),
    });
    return connection;
  }

  #add(ref: ConnectionRef, listener: SipListener, transport: 'tcp' | 'tls', remote: Address): Connection {
    const connection: Connection = {
      ref,
      listener,
      transport,
      remote,
      framer: new StreamFramer(),
      alarm: this.#core.alarm(() => this.#overdue(connection)),
      watchers: new Set(),
      certificateNames: [],
      open: false,
      pending: [],
      pendingBytes: 0,
      since: this.#core.now,
      partial: false,
      heard: false,
      lastHeard: this.#core.now,
    };
    this.#connections.set(ref, connection);
    this.#byRemote.set(remoteKey(transport, remote), connection);
    increase(this.#perSource, remote.ip);
    this.#arm(connection);
    return connection;
  }

  #forget(connection: Connection): void {
    connection.alarm.set(undefined);
    this.#connections.delete(connection.ref);
    const key = remoteKey(connection.transport, connection.remote);
    if (this.#byRemote.get(key) === connection) this.#byRemote.delete(key);
    decrease(this.#perSource, connection.remote.ip);
  }

  #limit(connection: Connection): { readonly at: Millis; readonly reason: string } {
    if (!connection.open) return { at: connection.since + CONNECT_LIMIT, reason: 'connect-timeout' };
    if (connection.partial || !connection.heard) {
      return { at: connection.since + PARTIAL_LIMIT, reason: 'header-timeout' };
    }
    return { at: connection.lastHeard + IDLE_LIMIT, reason: 'idle' };
  }

  #arm(connection: Connection): void {
    connection.alarm.set(this.#limit(connection).at);
  }

  /** Armed lazily: hearing does not move the alarm, firing looks again. */
  #overdue(connection: Connection): void {
    const limit = this.#limit(connection);
    if (limit.at > this.#core.now) return connection.alarm.set(limit.at);
    // An idle connection that a transaction still waits on is not idle.
    if (limit.reason === 'idle' && connection.watchers.size > 0) {
      return connection.alarm.set(this.#core.now + PARTIAL_LIMIT);
    }
    this.#core.count(limit.reason, undefined, connection.remote);
    this.close(connection.ref, limit.reason);
  }

  #datagram(hop: Hop, bytes: Uint8Array): void {
    this.#core.emit({ kind: 'send-datagram', listener: hop.listener.name, remote: hop.remote, bytes });
  }

  #write(connection: Connection, bytes: Uint8Array): void {
    if (!this.#connections.has(connection.ref)) return;
    if (connection.open) {
      this.#core.emit({ kind: 'send-stream', connection: connection.ref, bytes });
    } else if (connection.pendingBytes + bytes.length <= PENDING_BYTES) {
      connection.pending.push(bytes);
      connection.pendingBytes += bytes.length;
    } else this.#core.count('connection-backlog', undefined, connection.remote);
  }

  #withinRate(remote: Address, peer: string): boolean {
    return this.#core.options.decisions.withinRate?.({ remote, peer }) ?? true;
  }

  /**
   * The peer a source belongs to: what the user decides; else the peer whose host name resolved to this address; else,
   * for answers to what we just sent there, nobody's name ('') which matches no dialog and no new request.
   */
  #identify(hop: Hop, certificateNames: readonly string[]): string | undefined {
    const { remote, listener, transport } = hop;
    const name = this.#core.options.decisions.identify({
      remote,
      listener: listener.name,
      transport,
      certificateNames,
    });
    const resolved = this.#core.resolvedPeers.get(remote.ip, this.#core.now);
    const found = name === undefined ? undefined : this.#core.peers.get(name);
    // A peer for everybody is asked last: a provider known by its host name is no stranger.
    if (found !== undefined && (resolved === undefined || found.boundToSource !== true)) return found.name;
    if (resolved !== undefined) return resolved;
    return this.#waitingIps.has(remote.ip) || (hop.connection ?? 1) % 2 === 0 ? '' : undefined;
  }
}

const CRLF = Uint8Array.of(0x0d, 0x0a);

function hopOf(connection: Connection): Hop {
  return {
    transport: connection.transport,
    listener: connection.listener,
    remote: connection.remote,
    connection: connection.ref,
  };
}

function remoteKey(transport: SignallingTransport, remote: Address): string {
  return `${transport} ${formatAddress(remote)}`;
}
