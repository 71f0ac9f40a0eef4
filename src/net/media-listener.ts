/**
 * GW2's media port. Accepts and hands the raw socket on, paused, so that the ClientHello is still in the kernel when a
 * worker process gets the handle; TLS and the proof of belonging happen there.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { Address } from '../machine/address.ts';
import { canonicalAddress } from './ip.ts';
import { listenTcp } from './listen.ts';
import { monotonicNow } from './providers.ts';
import { SourceRates } from './source-limits.ts';

export interface MediaListenerOptions {
  readonly address: Address;
  /** New connections of one source (IPv4 address, IPv6 /64): a burst and a rate. Defaults 64 and 8 per second. */
  readonly burstPerSource?: number;
  readonly perSecondPerSource?: number;
  /** New connections of all sources per second, burst twice that. Default 64. */
  readonly perSecond?: number;
}

export interface MediaListenerHandlers {
  /** The callee owns the socket. It is paused; nothing has been read. */
  onSocket(socket: Socket, remote: Address): void;
  onRefused(reason: string, remote: Address): void;
}

export class MediaListener {
  readonly #server: Server;
  readonly #sources: SourceRates;
  readonly #all: SourceRates;
  readonly #handlers: MediaListenerHandlers;

  static async listen(
    options: MediaListenerOptions,
    handlers: MediaListenerHandlers,
  ): Promise<MediaListener> {
    const listener = new MediaListener(options, handlers);
    await listenTcp(listener.#server, options.address);
    return listener;
  }

  constructor(options: MediaListenerOptions, handlers: MediaListenerHandlers) {
    const perSecond = options.perSecond ?? 64;
    this.#handlers = handlers;
    this.#sources = new SourceRates(options.burstPerSource ?? 64, options.perSecondPerSource ?? 8);
    this.#all = new SourceRates(2 * perSecond, perSecond);
    this.#server = createServer({ pauseOnConnect: true }, (socket) => this.#onAccept(socket));
  }

  get address(): Address {
    const bound = this.#server.address();
    if (bound === null || typeof bound === 'string') throw new Error('not listening');
    return canonicalAddress(bound.address, bound.port);
  }

  /** Closes the port. Sockets handed on belong to their new owners. */
  async stop(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      // `close` would wait for sockets that somebody else owns now.
      resolve();
    });
  }

  #onAccept(socket: Socket): void {
    const remote = canonicalAddress(socket.remoteAddress, socket.remotePort);
    socket.on('error', () => undefined);
    const now = monotonicNow();
    // The source's own limit first: one source cannot use up the rate of all.
    const refused = !this.#sources.take(remote.ip, now)
      ? 'too-many-from-source'
      : !this.#all.take('0.0.0.0', now)
        ? 'too-many'
        : undefined;
    if (refused === undefined) {
      this.#handlers.onSocket(socket, remote);
      return;
    }
    this.#handlers.onRefused(refused, remote);
    socket.destroy();
  }
}
