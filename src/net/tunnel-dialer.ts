/** GW1's signalling connections: dials the termination gateway, TLS 1.3, both certificates checked. */
import { connect as connectTls } from 'node:tls';
import type { Address } from '../machine/address.ts';
import { Stream } from './stream.ts';
import { type TlsIdentity, tunnelClientOptions, tunnelExporter, WRONG_NAME, watchExpiry } from './tls.ts';
import { handshakeFailure } from './tls-acceptor.ts';

export interface TunnelDialerOptions {
  readonly remote: Address;
  /** Name that the termination gateway's certificate must say. */
  readonly serverName: string;
  readonly identity: TlsIdentity;
  /** TCP and TLS together; default 8000. */
  readonly connectWithinMs?: number;
}

export interface TunnelDialerHandlers {
  onConnected(connection: number, exporter: Uint8Array): void;
  onData(connection: number, bytes: Uint8Array): void;
  /** Also the answer to a dial that failed. */
  onClosed(connection: number, reason: string): void;
}

const MAX_QUEUED = 8 * 1024 * 1024;

export class TunnelDialer {
  #options: TunnelDialerOptions;
  readonly #handlers: TunnelDialerHandlers;
  readonly #connections = new Map<number, Stream>();

  constructor(options: TunnelDialerOptions, handlers: TunnelDialerHandlers) {
    this.#options = options;
    this.#handlers = handlers;
  }

  /** `connection` is the caller's name for it. Answered by `onConnected` or `onClosed`, never before this returns. */
  dial(connection: number): void {
    const { remote, serverName, identity, connectWithinMs = 8000 } = this.#options;
    const options = { ...tunnelClientOptions(identity, serverName), host: remote.ip, port: remote.port };
    const socket = connectTls(options);
    let up = false;
    let fault: string | undefined;
    socket.once('error', (error) => {
      fault = up ? undefined : dialFault(error);
    });
    const stream = new Stream(socket, MAX_QUEUED, {
      onData: (bytes) => {
        if (up) this.#handlers.onData(connection, bytes);
      },
      onClosed: (reason) => {
        clearTimeout(timer);
        if (this.#connections.delete(connection)) this.#handlers.onClosed(connection, fault ?? reason);
      },
    });
    this.#connections.set(connection, stream);
    const timer = setTimeout(() => stream.fail('connect-timeout'), connectWithinMs);
    socket.once('secureConnect', () => {
      clearTimeout(timer);
      if (stream.closed) return;
      up = true;
      const cancel = watchExpiry(socket, () => stream.fail('certificate-expired'));
      socket.once('close', cancel);
      this.#handlers.onConnected(connection, tunnelExporter(socket));
    });
    // A dial given up before its handshake ended (`close`) must not leave its timer behind.
    socket.once('close', () => clearTimeout(timer));
  }

  /** `mayWait`: as Stream.send. */
  send(connection: number, bytes: Uint8Array, mayWait?: boolean): void {
    this.#connections.get(connection)?.send(bytes, mayWait);
  }

  close(connection: number): void {
    this.#connections.get(connection)?.close();
    this.#connections.delete(connection);
  }

  /** Address and certificates for dials from now on. The session's `renew` moves over to them. */
  reload(options: TunnelDialerOptions): void {
    this.#options = options;
  }

  stop(): void {
    for (const stream of this.#connections.values()) stream.close();
    this.#connections.clear();
  }
}

/** Which of the things an administrator can mend: network (the system's code), the far certificate, or the handshake otherwise. */
function dialFault(error: NodeJS.ErrnoException): string {
  const code = error.code ?? '';
  if (/^E(CONN|HOST|NET|TIMED|PIPE|ADDR)/.test(code)) return code;
  if (code === WRONG_NAME) return 'certificate-name';
  if (code === 'CERT_HAS_EXPIRED') return 'certificate-expired';
  if (code === 'CERT_NOT_YET_VALID') return 'certificate-not-yet-valid';
  if (/SELF_SIGNED|ISSUER|UNABLE_TO_(GET|VERIFY)/.test(code)) return 'certificate-authority';
  return handshakeFailure(error);
}
