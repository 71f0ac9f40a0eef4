/**
 * GW2's signalling port: TCP, then TLS, then the name in the certificate decides the site. Before that a connection costs a
 * place in a small table, which it has for `handshakeWithinMs` at most.
 */
import { createServer as createTcpServer, type Socket, type Server as TcpServer } from 'node:net';
import { createServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import type { Address } from '../machine/address.ts';
import { canonicalAddress } from './ip.ts';
import { listenTcp } from './listen.ts';
import { SourceCounts } from './source-limits.ts';
import { Stream } from './stream.ts';
import {
  HANDSHAKE_WITHIN_MS,
  reloadTunnelServer,
  type TlsIdentity,
  tunnelExporter,
  tunnelPeerName,
  tunnelServerOptions,
  watchExpiry,
} from './tls.ts';
import { remoteOf, TlsAcceptor } from './tls-acceptor.ts';

export interface TunnelListenerOptions {
  readonly address: Address;
  readonly identity: TlsIdentity;
  /** Certificate names of the sites that may connect. */
  readonly sites: readonly string[];
  readonly handshakeWithinMs?: number;
  /** Connections that have not shown a certificate yet. Defaults 64 and 8. */
  readonly maxUnauthenticated?: number;
  readonly maxUnauthenticatedPerSource?: number;
  /** Authenticated connections of one site. Default 8 (a session holds 4). */
  readonly maxPerSite?: number;
}

/** Events of one site's connections; `connection` counts up in steps of two from 1. */
export interface TunnelListenerHandlers {
  onConnected(site: string, connection: number, exporter: Uint8Array, remote: Address): void;
  onData(site: string, connection: number, bytes: Uint8Array): void;
  onClosed(site: string, connection: number, reason: string): void;
  /** A connection that became nothing, to count: `reason` is one of a few words, not the far end's. */
  onRefused(reason: string, remote: Address): void;
}

/** Most octets that may wait for one connection: above a session's unacknowledged 4 MB and a fence. */
const MAX_QUEUED = 8 * 1024 * 1024;

interface Accepted {
  readonly site: string;
  readonly stream: Stream;
}

export class TunnelListener {
  readonly #handlers: TunnelListenerHandlers;
  readonly #tcp: TcpServer;
  readonly #tls: TlsServer;
  readonly #handshakes: SourceCounts;
  readonly #maxPerSite: number;
  readonly #acceptor: TlsAcceptor;
  readonly #connections = new Map<number, Accepted>();
  #sites: ReadonlySet<string>;
  #next = 1;

  /** Resolves when the port is open; rejects with the system's error. */
  static async listen(
    options: TunnelListenerOptions,
    handlers: TunnelListenerHandlers,
  ): Promise<TunnelListener> {
    const listener = new TunnelListener(options, handlers);
    await listenTcp(listener.#tcp, options.address);
    return listener;
  }

  constructor(options: TunnelListenerOptions, handlers: TunnelListenerHandlers) {
    this.#handlers = handlers;
    this.#sites = new Set(options.sites);
    this.#maxPerSite = options.maxPerSite ?? 8;
    this.#handshakes = new SourceCounts(
      options.maxUnauthenticated ?? 64,
      options.maxUnauthenticatedPerSource ?? 8,
    );
    // Certificates that do not verify are refused in #onSecure, where the reason is known; Node would say "reset".
    this.#tls = createServer({ ...tunnelServerOptions(options.identity), rejectUnauthorized: false });
    this.#acceptor = new TlsAcceptor(this.#tls, options.handshakeWithinMs ?? HANDSHAKE_WITHIN_MS, {
      onSecure: (socket, remote) => this.#onSecure(socket, remote),
      onRefused: (reason, remote) => handlers.onRefused(reason, remote),
    });
    this.#tcp = createTcpServer((socket) => this.#onAccept(socket));
  }

  get address(): Address {
    const bound = this.#tcp.address();
    if (bound === null || typeof bound === 'string') throw new Error('not listening');
    return canonicalAddress(bound.address, bound.port);
  }

  /** Authenticated connections, for metrics. */
  get connections(): number {
    return this.#connections.size;
  }

  /** `mayWait`: as Stream.send. */
  send(connection: number, bytes: Uint8Array, mayWait?: boolean): void {
    this.#connections.get(connection)?.stream.send(bytes, mayWait);
  }

  close(connection: number): void {
    this.#connections.get(connection)?.stream.close();
    this.#connections.delete(connection);
  }

  /**
   * New certificate, CA, CRL and sites, for connections from now on. Connections of sites that are no longer listed end.
   * Throws, and changes nothing, where the PEM text is not usable.
   */
  reload(identity: TlsIdentity, sites: readonly string[]): void {
    reloadTunnelServer(this.#tls, identity);
    this.#sites = new Set(sites);
    for (const { site, stream } of [...this.#connections.values()]) {
      if (!this.#sites.has(site)) stream.fail('site-removed');
    }
  }

  /** Closes the port and every connection, silently. */
  async stop(): Promise<void> {
    for (const { stream } of this.#connections.values()) stream.close();
    this.#connections.clear();
    this.#acceptor.stop();
    await new Promise<void>((resolve) => this.#tcp.close(() => resolve()));
  }

  #onAccept(socket: Socket): void {
    const remote = remoteOf(socket);
    const release = this.#handshakes.take(remote.ip);
    if (typeof release === 'string') {
      socket.on('error', () => undefined);
      this.#handlers.onRefused(release, remote);
      socket.destroy();
      return;
    }
    this.#acceptor.accept(socket, release);
  }

  #onSecure(socket: TLSSocket, remote: Address): void {
    const site = tunnelPeerName(socket, this.#sites);
    if (site === undefined || this.#full(site)) {
      this.#handlers.onRefused(site === undefined ? strangerReason(socket) : 'too-many-of-site', remote);
      socket.destroy();
      return;
    }
    const connection = this.#next;
    this.#next += 2;
    const stream = new Stream(socket, MAX_QUEUED, {
      onData: (bytes) => this.#handlers.onData(site, connection, bytes),
      onClosed: (reason) => {
        if (this.#connections.delete(connection)) this.#handlers.onClosed(site, connection, reason);
      },
    });
    this.#connections.set(connection, { site, stream });
    const cancel = watchExpiry(socket, () => stream.fail('certificate-expired'));
    socket.once('close', cancel);
    this.#handlers.onConnected(site, connection, tunnelExporter(socket), remote);
  }

  #full(site: string): boolean {
    let count = 0;
    for (const accepted of this.#connections.values()) if (accepted.site === site) count++;
    return count >= this.#maxPerSite;
  }
}

function strangerReason(socket: TLSSocket): string {
  if (socket.authorized) return 'unknown-site';
  return Object.keys(socket.getPeerCertificate() ?? {}).length === 0
    ? 'no-certificate'
    : 'certificate-invalid';
}
