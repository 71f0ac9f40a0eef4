/**
 * TCP connections of call signalling and of H.245, without sockets: whose they are, limits, TPKT framing. Payloads leave upwards;
 * what is in them is not looked at here.
 */
import type { Address } from '../machine/address.ts';
import { formatAddress } from '../machine/address.ts';
import type { Alarm } from '../machine/alarm.ts';
import { decrease, increase } from '../machine/counts.ts';
import type { Millis } from '../machine/machine.ts';
import type { ConnectionRef, H323Input, ListenRef } from './contract.ts';
import type { Core } from './core.ts';
import type { H323Listener } from './peer-contract.ts';
import { TpktFramer, tpktPacket } from './tpkt.ts';

/** Milliseconds: our own connect; a first or begun message that does not become whole; a connection that nobody uses. */
const CONNECT_LIMIT = 5_000;
const PARTIAL_LIMIT = 10_000;
const IDLE_LIMIT = 15_000;
/** An unused connection kept for the next call (maintainConnection). */
const KEPT_LIMIT = 600_000;
const PENDING_BYTES = 131_072;
/** Octets of one message: the largest Setup with many FastStart proposals is a tenth of this. */
const MESSAGE_BYTES = 16_384;
/** Messages of one input chunk; more is a flood. */
const MESSAGES_PER_CHUNK = 200;

/** Whoever uses a connection. */
export interface ConnectionUser {
  opened(connection: Connection): void;
  received(connection: Connection, payload: Uint8Array): void;
  /** The connection is gone, by the far end's doing, the network's, or its fault. */
  lost(connection: Connection, reason: string): void;
}

export interface Connection {
  readonly ref: ConnectionRef;
  readonly purpose: 'signalling' | 'h245';
  readonly listener: H323Listener;
  readonly remote: Address;
  local: Address | undefined;
  /** We dialled it. */
  readonly ours: boolean;
  readonly user: ConnectionUser;
  readonly framer: TpktFramer;
  readonly alarm: Alarm;
  open: boolean;
  /** Calls (or one H.245 session) that need it. */
  users: number;
  keep: boolean;
  pending: Uint8Array[];
  pendingBytes: number;
  since: Millis;
  partial: boolean;
  heard: boolean;
}

export type Opened = Extract<H323Input, { kind: 'stream-open' }>;

export interface Acceptor {
  /** Whose an accepted connection on a signalling listener is; undefined: refused (`reason` counted). */
  signalling(input: Opened): ConnectionUser | { readonly refused: string };
  /** Whose an accepted connection on an H.245 port is. */
  h245(listening: ListenRef, input: Opened): ConnectionUser | { readonly refused: string };
}

export class Connections {
  readonly #core: Core;
  readonly #acceptor: Acceptor;
  readonly #connections = new Map<ConnectionRef, Connection>();
  readonly #perSource = new Map<string, number>();
  #nextRef = 2;

  constructor(core: Core, acceptor: Acceptor) {
    this.#core = core;
    this.#acceptor = acceptor;
  }

  get size(): number {
    return this.#connections.size;
  }

  /** An open signalling connection we dialled to this address and may use for another call. */
  kept(remote: Address): Connection | undefined {
    const wanted = formatAddress(remote);
    for (const c of this.#connections.values()) {
      if (c.purpose === 'signalling' && c.ours && c.keep && formatAddress(c.remote) === wanted) return c;
    }
    return undefined;
  }

  /** Undefined: no connection may be opened now (counted). */
  open(
    purpose: Connection['purpose'],
    listener: H323Listener,
    remote: Address,
    user: ConnectionUser,
  ): Connection | undefined {
    if (this.#connections.size >= this.#core.options.limits.connections) {
      this.#core.count('connections', remote);
      return undefined;
    }
    const ref = this.#nextRef;
    this.#nextRef += 2;
    const connection = this.#add(ref, purpose, listener, remote, user, true);
    connection.heard = true; // we dialled it: it owes us no first message
    this.#core.emit({
      kind: 'open-stream',
      connection: ref,
      listener: listener.name,
      transport: 'tcp',
      remote,
    });
    return connection;
  }

  opened(input: Opened): void {
    const own = this.#connections.get(input.connection);
    if (own !== undefined) {
      if (own.open) return;
      own.open = true;
      own.local = input.local;
      own.since = this.#core.now;
      const { pending } = own;
      own.pending = [];
      own.pendingBytes = 0;
      own.user.opened(own);
      for (const bytes of pending) this.#emit(own, bytes);
      return this.#arm(own);
    }
    const refuse = (reason: string): void => {
      this.#core.count(reason, input.remote);
      this.#core.emit({ kind: 'close-stream', connection: input.connection, reason });
    };
    const refusal = this.#refusal(input);
    if (refusal !== undefined) return refuse(refusal);
    const user =
      input.listening === undefined
        ? this.#acceptor.signalling(input)
        : this.#acceptor.h245(input.listening, input);
    if ('refused' in user) return refuse(user.refused);
    const listener = this.#core.listeners.find((l) => l.name === input.listener)!;
    const purpose = input.listening === undefined ? 'signalling' : 'h245';
    const connection = this.#add(input.connection, purpose, listener, input.remote, user, false);
    connection.open = true;
    connection.local = input.local;
    user.opened(connection);
  }

  /** Why an accepted connection is closed at once, whoever it is for. */
  #refusal(input: Opened): string | undefined {
    const { limits } = this.#core.options;
    if (!this.#core.listeners.some((l) => l.name === input.listener)) return 'unknown-listener';
    if (input.connection % 2 === 0) return 'late-connection'; // ours, given up meanwhile
    if (this.#connections.size >= limits.connections) return 'connections';
    if ((this.#perSource.get(input.remote.ip) ?? 0) >= limits.connectionsPerSource)
      return 'connections-per-source';
    return undefined;
  }

  data(ref: ConnectionRef, bytes: Uint8Array): void {
    const connection = this.#connections.get(ref);
    if (connection === undefined) return;
    let left = MESSAGES_PER_CHUNK;
    for (const payload of connection.framer.push(bytes)) {
      connection.heard = true;
      connection.partial = false;
      if (left-- === 0) return this.#fault(connection, 'message-flood');
      connection.user.received(connection, payload);
      if (!this.#connections.has(ref)) return;
    }
    const { fault, partial } = connection.framer;
    if (fault !== undefined) return this.#fault(connection, `tpkt-${fault}`);
    if (partial && !connection.partial) connection.since = this.#core.now;
    connection.partial = partial;
    this.#arm(connection);
  }

  closed(ref: ConnectionRef, reason: string): void {
    const connection = this.#connections.get(ref);
    if (connection === undefined) return;
    this.#forget(connection);
    connection.user.lost(connection, reason);
  }

  send(connection: Connection, payload: Uint8Array): void {
    if (!this.#connections.has(connection.ref)) return;
    const bytes = tpktPacket(payload);
    if (connection.open) return this.#emit(connection, bytes);
    if (connection.pendingBytes + bytes.length > PENDING_BYTES) {
      return this.#core.count('connection-backlog', connection.remote);
    }
    connection.pending.push(bytes);
    connection.pendingBytes += bytes.length;
  }

  hold(connection: Connection): void {
    connection.users++;
    this.#arm(connection);
  }

  /** One user less. What nobody uses is closed: at once where we dialled it, else after a while, the far end having the first word. */
  release(connection: Connection): void {
    connection.users--;
    if (!this.#connections.has(connection.ref) || connection.users > 0) return;
    if (connection.purpose === 'h245' || (connection.ours && !connection.keep)) {
      return this.close(connection, 'done');
    }
    connection.since = this.#core.now;
    this.#arm(connection);
  }

  /** Closes without telling the user. */
  close(connection: Connection, reason: string): void {
    if (!this.#connections.has(connection.ref)) return;
    this.#forget(connection);
    this.#core.emit({ kind: 'close-stream', connection: connection.ref, reason });
  }

  #fault(connection: Connection, reason: string): void {
    this.#core.count(reason, connection.remote);
    this.close(connection, reason);
    connection.user.lost(connection, reason);
  }

  #emit(connection: Connection, bytes: Uint8Array): void {
    this.#core.emit({ kind: 'send-stream', connection: connection.ref, bytes });
  }

  #add(
    ref: ConnectionRef,
    purpose: Connection['purpose'],
    listener: H323Listener,
    remote: Address,
    user: ConnectionUser,
    ours: boolean,
  ): Connection {
    const connection: Connection = {
      ref,
      purpose,
      listener,
      remote,
      local: undefined,
      ours,
      user,
      framer: new TpktFramer(MESSAGE_BYTES),
      alarm: this.#core.alarm(() => this.#overdue(connection)),
      open: false,
      users: 0,
      keep: false,
      pending: [],
      pendingBytes: 0,
      since: this.#core.now,
      partial: false,
      heard: false,
    };
    this.#connections.set(ref, connection);
    if (!ours) increase(this.#perSource, remote.ip);
    this.#arm(connection);
    return connection;
  }

  #forget(connection: Connection): void {
    connection.alarm.set(undefined);
    this.#connections.delete(connection.ref);
    if (!connection.ours) decrease(this.#perSource, connection.remote.ip);
  }

  #limit(connection: Connection): { readonly at: Millis; readonly reason: string } | undefined {
    if (!connection.open) return { at: connection.since + CONNECT_LIMIT, reason: 'connect-timeout' };
    if (connection.partial || !connection.heard) {
      return { at: connection.since + PARTIAL_LIMIT, reason: 'message-timeout' };
    }
    if (connection.users > 0) return undefined; // the calls have their own deadlines
    return { at: connection.since + (connection.keep ? KEPT_LIMIT : IDLE_LIMIT), reason: 'idle' };
  }

  #arm(connection: Connection): void {
    connection.alarm.set(this.#limit(connection)?.at);
  }

  #overdue(connection: Connection): void {
    const limit = this.#limit(connection);
    if (limit === undefined || limit.at > this.#core.now) return this.#arm(connection);
    if (limit.reason !== 'idle') this.#core.count(limit.reason, connection.remote);
    this.close(connection, limit.reason);
    connection.user.lost(connection, limit.reason);
  }
}
