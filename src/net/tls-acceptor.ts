import type { Socket } from 'node:net';
import type { TLSSocket, Server as TlsServer } from 'node:tls';
import { type Address, formatAddress } from '../machine/address.ts';
import { canonicalAddress } from './ip.ts';

export interface TlsAcceptorHandlers {
  /** The handshake is over; whether the far end showed a good certificate is for the callee to ask. */
  onSecure(socket: TLSSocket, remote: Address): void;
  onRefused(reason: string, remote: Address): void;
}

/**
 * Handshakes on the accepting side, each with an absolute deadline. (The one of tls.Server starts anew with every octet, so a
 * far end that dribbles would hold it for ever.)
 */
export class TlsAcceptor {
  readonly #server: TlsServer;
  readonly #withinMs: number;
  readonly #handlers: TlsAcceptorHandlers;
  /** Handshakes going on, by the far end's address and port: the only thing that raw and TLS socket both show. */
  readonly #pending = new Map<string, Handshake>();

  /** `server` is one without a port (tls.createServer). */
  constructor(server: TlsServer, withinMs: number, handlers: TlsAcceptorHandlers) {
    this.#server = server;
    this.#withinMs = withinMs;
    this.#handlers = handlers;
    server.on('secureConnection', (socket) => this.#onSecure(socket));
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      const handshake = this.#pending.get(formatAddress(remoteOf(socket)));
      if (handshake !== undefined) handshake.reason ??= handshakeFailure(error);
      socket.destroy();
    });
  }

  /** `settled` is called once, when the handshake has succeeded or the connection is gone. */
  accept(raw: Socket, settled: () => void): void {
    const remote = remoteOf(raw);
    const key = formatAddress(remote);
    let over = false;
    const handshake: Handshake = {
      raw,
      reason: undefined,
      finish: () => {
        if (over) return;
        over = true;
        clearTimeout(timer);
        // Connections that were reset before they came here have no address any more, all the same one, and a port may be used again at once.
        if (this.#pending.get(key) === handshake) this.#pending.delete(key);
        settled();
      },
    };
    const timer = setTimeout(() => {
      handshake.reason ??= 'handshake-timeout';
      raw.destroy();
    }, this.#withinMs);
    this.#pending.set(key, handshake);
    raw.on('error', () => undefined);
    raw.once('close', () => {
      if (over) return;
      handshake.finish();
      this.#handlers.onRefused(handshake.reason ?? 'handshake-reset', remote);
    });
    this.#server.emit('connection', raw);
  }

  stop(): void {
    for (const { raw } of this.#pending.values()) raw.destroy();
  }

  #onSecure(socket: TLSSocket): void {
    const remote = remoteOf(socket);
    socket.on('error', () => undefined);
    this.#pending.get(formatAddress(remote))?.finish();
    this.#handlers.onSecure(socket, remote);
  }
}

interface Handshake {
  readonly raw: Socket;
  reason: string | undefined;
  finish(): void;
}

export function remoteOf(socket: Socket): Address {
  return canonicalAddress(socket.remoteAddress, socket.remotePort);
}

/** One of a few words for what went wrong in a handshake; the far end's text goes nowhere. */
export function handshakeFailure(error: NodeJS.ErrnoException): string {
  const code = error.code ?? '';
  if (code === 'ECONNRESET') return 'handshake-reset';
  if (code === 'ERR_TLS_HANDSHAKE_TIMEOUT') return 'handshake-timeout';
  if (/PEER_DID_NOT_RETURN|CERTIFICATE_REQUIRED/.test(code)) return 'no-certificate';
  if (/VERSION|PROTOCOL/.test(code)) return 'tls-version';
  if (/CERT|ISSUER|SIGNATURE|CHAIN/.test(code)) return 'certificate-invalid';
  return 'handshake-failed';
}
