import type { Socket } from 'node:net';
import tls from 'node:tls';
import type { Address } from '../machine/address.ts';
import { certificateNames } from '../net/certificate-names.ts';
import { certificateLifetime, HANDSHAKE_WITHIN_MS, type TlsIdentity } from '../net/tls.ts';
import { laneClientOptions, laneExporter, laneServerOptions } from './lane-tls.ts';
import {
  type Connecting,
  descriptorOf,
  type LaneWire,
  type LaneWires,
  type WireBuffer,
  type WireEvents,
  type WireUser,
} from './lane-wire.ts';

/** TLS connections of Node's own: everywhere to be had, dearer per write and read. */
export class NodeWires implements LaneWires {
  readonly implementation = 'node';
  readonly #server: tls.Server;
  readonly #accepting = new Map<Socket, WireEvents>();
  readonly #withinMs: number;

  /** `withinMs`: for a whole handshake. The time of tls.Server starts anew with every octet. */
  constructor(identity: TlsIdentity, withinMs = HANDSHAKE_WITHIN_MS) {
    this.#withinMs = withinMs;
    this.#server = tls.createServer(laneServerOptions(identity));
    this.#server.on('secureConnection', (socket: tls.TLSSocket & { _parent?: Socket }) => {
      const events = socket._parent && this.#accepting.get(socket._parent);
      if (events === undefined) socket.destroy();
      else this.#secure(socket, events);
    });
    this.#server.on('tlsClientError', (error, socket: tls.TLSSocket & { _parent?: Socket }) => {
      const events = socket._parent && this.#accepting.get(socket._parent);
      if (socket._parent) this.#accepting.delete(socket._parent);
      socket.destroy();
      events?.closed(handshakeFailure(error, socket));
    });
  }

  allocate(octets: number): WireBuffer {
    return { bytes: Buffer.allocUnsafeSlow(octets), start: 0, address: 0 };
  }

  dial(identity: TlsIdentity, remote: Address, serverName: string, events: WireEvents): Connecting {
    let wire: NodeWire | undefined;
    const options = laneClientOptions(identity, remote, serverName);
    const socket = tls.connect(options, () => {
      wire = new NodeWire(socket, events);
      events.secure(wire);
    });
    socket.on('error', (error) => {
      if (wire === undefined) failure = error.message;
    });
    let failure: string | undefined;
    socket.on('close', () => {
      if (wire === undefined) events.closed(failure);
    });
    return socket;
  }

  accept(socket: Socket, events: WireEvents): Connecting {
    this.#accepting.set(socket, events);
    socket.on('error', ignore);
    const late = setTimeout(() => {
      if (!this.#accepting.delete(socket)) return;
      socket.destroy();
      events.closed('handshake-timeout');
    }, this.#withinMs).unref();
    // Before its handshake was over, and the server does not say why (it does so after this): nobody else would tell.
    socket.once('close', () => {
      clearTimeout(late);
      setImmediate(() => {
        if (this.#accepting.delete(socket)) events.closed(undefined);
      });
    });
    this.#server.emit('connection', socket);
    return socket;
  }

  identify(identity: TlsIdentity): void {
    this.#server.setSecureContext(laneServerOptions(identity));
  }

  retry(): void {}

  stop(): void {}

  #secure(socket: tls.TLSSocket & { _parent?: Socket }, events: WireEvents): void {
    this.#accepting.delete(socket._parent!);
    if (socket.authorized) {
      events.secure(new NodeWire(socket, events));
      return;
    }
    socket.on('error', ignore);
    socket.destroy();
    events.closed('certificate not verified');
  }
}

class NodeWire implements LaneWire {
  readonly remote: string;
  readonly peerNames: readonly string[];
  readonly exporter: Uint8Array;
  readonly #socket: tls.TLSSocket;
  readonly #certificate: tls.PeerCertificate;
  #user: WireUser | undefined;

  constructor(socket: tls.TLSSocket, events: WireEvents) {
    this.#socket = socket;
    this.remote = socket.remoteAddress ?? '?';
    this.#certificate = socket.getPeerCertificate();
    this.peerNames = certificateNames(this.#certificate).dns;
    this.exporter = laneExporter(socket);
    let failure: string | undefined;
    socket.on('error', (error) => {
      failure = error.message;
    });
    socket.on('end', () => this.#user?.finished());
    socket.on('close', () => {
      this.#user?.closed(failure);
      events.closed(failure);
    });
  }

  get fd(): number {
    return descriptorOf(this.#socket);
  }

  lifetime(): number {
    return certificateLifetime(this.#certificate);
  }

  attach(user: WireUser): void {
    this.#user = user;
    this.#socket.setNoDelay(true);
    this.#socket.on('data', (chunk: Buffer) => user.data(chunk, 0, chunk.length));
  }

  write(buffer: WireBuffer, length: number, taken: (buffer: WireBuffer, octets: number) => void): void {
    this.#socket.write(buffer.bytes.subarray(buffer.start, buffer.start + length), () =>
      taken(buffer, length),
    );
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/** Where the certificate was refused Node's error says no more than that the connection ended. */
function handshakeFailure(error: unknown, socket: tls.TLSSocket): string {
  const why = socket.authorizationError as unknown;
  if (typeof why === 'string') return 'certificate not verified';
  return `TLS: ${(error instanceof Error ? error.message : 'handshake failed').slice(0, 200)}`;
}

function ignore(): void {}
