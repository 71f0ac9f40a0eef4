/**
 * Sockets of SIP and H.323: UDP, TCP and TLS listeners, ports opened for one call, outgoing connections. Knows no protocol; the
 * shapes are those that the endpoints take (src/sip/contract.ts, src/h323/contract.ts). Connections accepted here have odd
 * numbers; those the endpoint opens are named by it.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { connect as connectTcp, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import {
  connect as connectTls,
  createServer as createTlsServer,
  TLSSocket,
  type Server as TlsServer,
} from 'node:tls';
import type { Address, SignallingTransport } from '../machine/address.ts';
import { certificateNames, flatNames } from './certificate-names.ts';
import { canonicalAddress, isWildcard } from './ip.ts';
import { listenTcp } from './listen.ts';
import { plainBytes } from './providers.ts';
import { SourceCounts } from './source-limits.ts';
import { Stream } from './stream.ts';
import { HANDSHAKE_WITHIN_MS, sipClientOptions, sipServerOptions, type TlsIdentity } from './tls.ts';
import { remoteOf, TlsAcceptor } from './tls-acceptor.ts';

export interface SipListenerOptions {
  readonly name: string;
  readonly transport: SignallingTransport;
  readonly address: Address;
  /** TLS: own certificate; with `ca`, certificates of clients (and of servers dialled from here) are verified with it. */
  readonly identity?: TlsIdentity;
}

export interface OpenedStream {
  readonly connection: number;
  readonly listener: string;
  readonly transport: 'tcp' | 'tls';
  readonly local: Address;
  readonly remote: Address;
  readonly certificateNames: readonly string[];
  /** Accepted by `listen`: its reference. */
  readonly listening?: number;
}

export interface SipTransportHandlers {
  onDatagram(listener: string, remote: Address, bytes: Uint8Array): void;
  onStreamOpen(stream: OpenedStream): void;
  onStreamData(connection: number, bytes: Uint8Array): void;
  /** Also the answer to `openStream` that failed. Not called after `closeStream`. */
  onStreamClosed(connection: number, reason: string): void;
  /** A datagram could not be sent there. */
  onUnreachable(listener: string, remote: Address): void;
  /** To count; `reason` is one of a few words. */
  onRefused(reason: string, remote: Address): void;
}

export interface SipTransportLimits {
  /** Accepted connections, handshakes included. Defaults 4000 and 20. */
  readonly connections?: number;
  readonly connectionsPerSource?: number;
  /** An accepted connection that is silent in both directions for so long is closed. Default 15 minutes (RFC 5626 4.4.1 pings every 2). */
  readonly idleMs?: number;
  readonly connectWithinMs?: number;
}

export interface OpenStream {
  readonly connection: number;
  readonly listener: string;
  readonly transport: 'tcp' | 'tls';
  readonly remote: Address;
  readonly serverName?: string;
}

/** Most octets that may wait for one connection, and datagrams for one listener. */
const MAX_QUEUED = 1024 * 1024;
const MAX_QUEUED_DATAGRAMS = 4096;
/** Asked of the kernel, which may give less (net.core.rmem_max). */
const UDP_RECEIVE_BUFFER = 4 * 1024 * 1024;

/** Ports tried for one `listen` before it fails. */
const PORT_TRIES = 20;

interface Listener {
  readonly name: string;
  readonly transport: SignallingTransport;
  readonly local: Address;
  identity: TlsIdentity | undefined;
  readonly udp?: UdpSocket;
  readonly server?: Server;
  readonly tls?: TlsServer;
  readonly acceptor?: TlsAcceptor;
  queued: number;
}

export class SipTransport {
  readonly #handlers: SipTransportHandlers;
  readonly #places: SourceCounts;
  readonly #idleMs: number;
  readonly #connectWithinMs: number;
  readonly #listeners = new Map<string, Listener>();
  readonly #streams = new Map<number, Stream>();
  readonly #raw = new Set<Socket>();
  readonly #extra = new Map<number, Server>();
  #nextPort = 0;
  #next = 1;

  constructor(handlers: SipTransportHandlers, limits: SipTransportLimits = {}) {
    this.#handlers = handlers;
    this.#places = new SourceCounts(limits.connections ?? 4000, limits.connectionsPerSource ?? 20);
    this.#idleMs = limits.idleMs ?? 15 * 60_000;
    this.#connectWithinMs = limits.connectWithinMs ?? HANDSHAKE_WITHIN_MS;
  }

  /** Opens a listener; resolves with the bound address (port 0 in the options: any). Rejects with the system's error. */
  async addListener(options: SipListenerOptions): Promise<Address> {
    if (this.#listeners.has(options.name)) throw new Error(`listener ${options.name} exists`);
    const listener =
      options.transport === 'udp' ? await this.#bindUdp(options) : await this.#listenStream(options);
    this.#listeners.set(options.name, listener);
    return listener.local;
  }

  /** Closes the port; accepted connections go on. */
  async removeListener(name: string): Promise<void> {
    const listener = this.#listeners.get(name);
    this.#listeners.delete(name);
    listener?.udp?.close();
    listener?.server?.close();
  }

  /** New certificate for a TLS listener, for connections from now on. Throws, and changes nothing, where it is not usable. */
  reloadTls(name: string, identity: TlsIdentity): void {
    const listener = this.#listeners.get(name);
    if (listener === undefined) return;
    listener.tls?.setSecureContext(sipServerOptions(identity));
    listener.identity = identity;
  }

  sendDatagram(name: string, remote: Address, bytes: Uint8Array): void {
    const listener = this.#listeners.get(name);
    if (listener?.udp === undefined) return;
    if (listener.queued >= MAX_QUEUED_DATAGRAMS) {
      this.#handlers.onRefused('datagram-queue', remote);
      return;
    }
    listener.queued++;
    listener.udp.send(bytes, remote.port, remote.ip, (error) => {
      listener.queued--;
      if (error !== null) this.#handlers.onUnreachable(name, remote);
    });
  }

  /** Answered by `onStreamOpen` or `onStreamClosed`, never before this returns. */
  openStream(open: OpenStream): void {
    const listener = this.#listeners.get(open.listener);
    const { connection, remote, transport } = open;
    if (listener === undefined || this.#streams.has(connection)) {
      setImmediate(() => this.#handlers.onStreamClosed(connection, 'no-listener'));
      return;
    }
    const from = isWildcard(listener.local.ip) ? {} : { localAddress: listener.local.ip };
    const target = { host: remote.ip, port: remote.port, ...from };
    const socket =
      transport === 'tls'
        ? connectTls({ ...sipClientOptions(listener.identity, open.serverName), ...target })
        : connectTcp(target);
    const stream = this.#adopt(connection, socket);
    const timer = setTimeout(() => stream.fail('connect-timeout'), this.#connectWithinMs);
    socket.once('close', () => clearTimeout(timer));
    socket.once(transport === 'tls' ? 'secureConnect' : 'connect', () => {
      clearTimeout(timer);
      if (!stream.closed) this.#opened(connection, open.listener, transport, socket);
    });
  }

  sendStream(connection: number, bytes: Uint8Array): void {
    this.#streams.get(connection)?.send(bytes);
  }

  /** Sends what waits and ends; `onStreamClosed` is not called. */
  closeStream(connection: number): void {
    this.#streams.get(connection)?.close();
    this.#streams.delete(connection);
  }

  /**
   * Opens a TCP port of `ports` (inclusive) at the address of the listener `name`, until `unlisten(listening)`. Resolves with what was
   * bound; rejects where no port of the range can be had.
   */
  async listen(listening: number, name: string, ports: readonly [number, number]): Promise<Address> {
    const listener = this.#listeners.get(name);
    if (listener === undefined || this.#extra.has(listening)) throw new Error('no-listener');
    const [first, last] = ports;
    const size = last - first + 1;
    for (let attempt = 0; attempt < Math.min(PORT_TRIES, size); attempt++) {
      // In turn, so that a port rests as long as possible before another call has it.
      const port = first + (this.#nextPort++ % size);
      const server = createTcpServer((socket) => this.#onAccept(name, socket, listening));
      try {
        await listenTcp(server, { ip: listener.local.ip, port });
      } catch {
        continue;
      }
      this.#extra.set(listening, server);
      return { ip: listener.local.ip, port };
    }
    throw new Error('no-port');
  }

  /** Accepted connections go on. */
  unlisten(listening: number): void {
    this.#extra.get(listening)?.close();
    this.#extra.delete(listening);
  }

  async stop(): Promise<void> {
    for (const listening of [...this.#extra.keys()]) this.unlisten(listening);
    for (const stream of this.#streams.values()) stream.close();
    this.#streams.clear();
    for (const name of [...this.#listeners.keys()]) await this.removeListener(name);
    for (const socket of this.#raw) socket.destroy();
  }

  #bindUdp(options: SipListenerOptions): Promise<Listener> {
    const v6 = options.address.ip.includes(':');
    const udp = createSocket({
      type: v6 ? 'udp6' : 'udp4',
      ipv6Only: v6,
      recvBufferSize: UDP_RECEIVE_BUFFER,
      // Destinations are addresses: nothing to look up, and no turn of the event loop to wait.
      lookup: (host, _options, callback) => callback(null, host, v6 ? 6 : 4),
    });
    return new Promise((resolve, reject) => {
      udp.once('error', reject);
      udp.bind(options.address.port, options.address.ip, () => {
        udp.off('error', reject);
        // Linux tells an unconnected socket of no ICMP error; what arrives here is not about one destination.
        udp.on('error', () => undefined);
        const local = canonicalAddress(udp.address().address, udp.address().port);
        udp.on('message', (message, from) => {
          const remote = canonicalAddress(from.address, from.port);
          // Port 0 cannot be answered; nobody honest sends from it.
          if (remote.port !== 0) this.#handlers.onDatagram(options.name, remote, plainBytes(message));
        });
        resolve({ name: options.name, transport: 'udp', local, identity: undefined, udp, queued: 0 });
      });
    });
  }

  async #listenStream(options: SipListenerOptions): Promise<Listener> {
    const { name, transport, identity } = options;
    // Limits apply to the raw connection, before a handshake costs anything.
    const server = createTcpServer((socket) => this.#onAccept(name, socket));
    const secured = transport === 'tls' ? this.#secured(name, identity) : {};
    await listenTcp(server, options.address);
    const bound = server.address();
    if (bound === null || typeof bound === 'string') throw new Error('not listening');
    const local = canonicalAddress(bound.address, bound.port);
    return { name, transport, local, identity, server, ...secured, queued: 0 };
  }

  #secured(name: string, identity: TlsIdentity | undefined) {
    if (identity === undefined) throw new Error(`listener ${name} has no certificate`);
    const tls = createTlsServer(sipServerOptions(identity));
    const acceptor = new TlsAcceptor(tls, HANDSHAKE_WITHIN_MS, {
      onSecure: (socket, remote) => this.#onSecure(name, socket, remote),
      onRefused: (reason, remote) => this.#handlers.onRefused(reason, remote),
    });
    return { tls, acceptor };
  }

  #onSecure(name: string, socket: TLSSocket, remote: Address): void {
    // TLS 1.2 has renegotiation; the option in sipServerOptions refuses it, this ends who insists.
    socket.disableRenegotiation();
    const presented = Object.keys(socket.getPeerCertificate() ?? {}).length > 0;
    if (presented && !socket.authorized) {
      this.#handlers.onRefused('certificate-invalid', remote);
      socket.destroy();
      return;
    }
    this.#accepted(name, 'tls', socket);
  }

  #onAccept(name: string, socket: Socket, listening?: number): void {
    const remote = remoteOf(socket);
    const release = this.#places.take(remote.ip);
    const listener = this.#listeners.get(name);
    socket.on('error', () => undefined);
    if (typeof release === 'string' || listener === undefined) {
      this.#handlers.onRefused(typeof release === 'string' ? release : 'no-listener', remote);
      if (typeof release === 'function') release();
      socket.destroy();
      return;
    }
    this.#raw.add(socket);
    socket.once('close', () => {
      release();
      this.#raw.delete(socket);
    });
    if (listener.acceptor !== undefined) listener.acceptor.accept(socket, () => undefined);
    else this.#accepted(name, 'tcp', socket, listening);
  }

  #accepted(listener: string, transport: 'tcp' | 'tls', socket: Socket, listening?: number): void {
    if (socket.destroyed) return;
    const connection = this.#next;
    this.#next += 2;
    const stream = this.#adopt(connection, socket);
    socket.setTimeout(this.#idleMs, () => stream.fail('idle'));
    this.#opened(connection, listener, transport, socket, listening);
  }

  #adopt(connection: number, socket: Socket): Stream {
    const stream = new Stream(socket, MAX_QUEUED, {
      onData: (bytes) => this.#handlers.onStreamData(connection, bytes),
      onClosed: (reason) => {
        if (this.#streams.delete(connection)) this.#handlers.onStreamClosed(connection, reason);
      },
    });
    this.#streams.set(connection, stream);
    return stream;
  }

  #opened(
    connection: number,
    listener: string,
    transport: 'tcp' | 'tls',
    socket: Socket,
    listening?: number,
  ): void {
    const verified = socket instanceof TLSSocket && socket.authorized;
    this.#handlers.onStreamOpen({
      connection,
      listener,
      transport,
      local: canonicalAddress(socket.localAddress, socket.localPort),
      remote: remoteOf(socket),
      certificateNames: verified ? flatNames(certificateNames(socket.getPeerCertificate())) : [],
      ...(listening === undefined ? {} : { listening }),
    });
  }
}
