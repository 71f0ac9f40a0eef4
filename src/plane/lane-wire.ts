import type { Socket } from 'node:net';
import type { Address } from '../machine/address.ts';
import type { TlsIdentity } from '../net/tls.ts';

/** A buffer for frames on their way out: a part of `bytes` from `start` on. `address`: of that part; 0 where nobody needs one. */
export interface WireBuffer {
  readonly bytes: Buffer;
  readonly start: number;
  readonly address: number;
}

/** What a secure connection tells its lane. */
export interface WireUser {
  /** `bytes[start..end)` is valid during the call only and may be written to. */
  data(bytes: Uint8Array, start: number, end: number): void;
  /** The far end will send no more. */
  finished(): void;
  /** Once, whoever ended it; nothing follows. `reason` where it was a failure. */
  closed(reason: string | undefined): void;
}

/**
 * One media connection after its TLS 1.3 handshake, both certificates verified against the own CA. Two implementations: Node's own sockets
 * (lane-wire-node.ts), and OpenSSL called straight on the descriptor (lane-wire-openssl.ts).
 */
export interface LaneWire {
  readonly remote: string;
  /** For questions to the kernel; -1 where it is gone. */
  readonly fd: number;
  /** dNSNames of the far end's certificate. */
  readonly peerNames: readonly string[];
  /** RFC 8446 7.5: the connection's own secret value. */
  readonly exporter: Uint8Array;
  /** Milliseconds until the far end's certificate expires. */
  lifetime(): number;
  /** Before anything arrives. */
  attach(user: WireUser): void;
  /** Takes `length` octets. `taken` once the buffer may be used again: at once, or when the system took them. */
  write(buffer: WireBuffer, length: number, taken: (buffer: WireBuffer, octets: number) => void): void;
  /** Nothing is read until `resume`. */
  pause(): void;
  resume(): void;
  /** No more will be written; what was is sent. */
  end(): void;
  destroy(): void;
}

export interface WireEvents {
  /** The handshake is over and the far end verified. */
  secure(wire: LaneWire): void;
  /** Once, at the end of the connection, however far it came. */
  closed(reason: string | undefined): void;
}

/** A connection that may not be secure yet. */
export interface Connecting {
  destroy(): void;
}

/** Makes secure connections. */
export interface LaneWires {
  readonly implementation: 'openssl' | 'node';
  allocate(octets: number): WireBuffer;
  /** `serverName`: what the server's certificate must say, exactly. */
  dial(identity: TlsIdentity, remote: Address, serverName: string, events: WireEvents): Connecting;
  /** A raw connection of which nothing has been read. */
  accept(socket: Socket, events: WireEvents): Connecting;
  /** The identity for connections accepted from now on. Throws, and changes nothing, where it is not usable. */
  identify(identity: TlsIdentity): void;
  /** Tries again what the system did not take. To be called with every flush. */
  retry(): void;
  stop(): void;
}

/** The descriptor of Node's socket, -1 where it is gone. Node has no public name for it. */
export function descriptorOf(socket: Socket): number {
  return (socket as { _handle?: { fd?: number } | null })._handle?.fd ?? -1;
}
