import type { X509Certificate } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import type { Address } from '../machine/address.ts';
import { certificateNames } from '../net/certificate-names.ts';
import { certificateLifetime, HANDSHAKE_WITHIN_MS, type TlsIdentity } from '../net/tls.ts';
import { LANE_EXPORTER_LABEL, LANE_EXPORTER_LENGTH } from '../tunnel/lane-hello.ts';
import { LANE_CIPHERS } from './lane-tls.ts';
import {
  type Connecting,
  descriptorOf,
  type LaneWire,
  type LaneWires,
  type WireBuffer,
  type WireEvents,
  type WireUser,
} from './lane-wire.ts';
import type { Arena, Native } from './native.ts';
import { Openssl, SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE, SSL_ERROR_ZERO_RETURN } from './openssl.ts';
import { LANE_TAGS, type Poller } from './poller.ts';

const F_DUPFD_CLOEXEC = 1030;
const SHUT_WR = 1;
/** A record's worth. */
const READ = 16 * 1024;
interface Calls {
  fcntl(fd: number, command: number, value: number): number;
  shutdown(fd: number, how: number): number;
  close(fd: number): number;
}

interface Shared {
  readonly openssl: Openssl;
  readonly calls: Calls;
  readonly poller: Poller;
  readonly arena: Arena;
  /** Part of the arena where all wires read to, one after the other. */
  readonly readAt: number;
  readonly wires: Map<number, OpensslWire>;
  readonly unwritten: Set<OpensslWire>;
}

/**
 * TLS connections by OpenSSL straight on the descriptor: Node makes or accepts the TCP connection and hands it over. A write is one system
 * call, a read too, both within the worker's poll; nothing is allocated.
 */
export class OpensslWires implements LaneWires {
  readonly implementation = 'openssl';
  readonly #native: Native;
  readonly #shared: Shared;
  #serving: number;
  #dialling: { readonly identity: TlsIdentity; readonly context: number } | undefined;
  #nextTag = LANE_TAGS;

  /** Throws where there is no OpenSSL to call, or the identity is not usable. */
  constructor(native: Native, poller: Poller, arena: Arena, identity: TlsIdentity) {
    this.#native = native;
    this.#shared = {
      openssl: new Openssl(native),
      calls: {
        fcntl: native.define('int fcntl(int, int, int)'),
        shutdown: native.define('int shutdown(int, int)'),
        close: native.define('int close(int)'),
      },
      poller,
      arena,
      readAt: arena.take(READ),
      wires: new Map(),
      unwritten: new Set(),
    };
    this.#serving = this.#shared.openssl.context(identity, LANE_CIPHERS);
    poller.onLane = (tag) => this.#shared.wires.get(tag)?.readable();
  }

  allocate(octets: number): WireBuffer {
    const { arena } = this.#shared;
    const start = arena.take(octets);
    if (start >= 0) return { bytes: arena.bytes, start, address: arena.address + start };
    return { start: 0, ...this.#native.allocate(octets) };
  }

  dial(identity: TlsIdentity, remote: Address, serverName: string, events: WireEvents): Connecting {
    let wire: OpensslWire | undefined;
    let over = false;
    const failed = (reason: string | undefined): void => {
      if (wire !== undefined || over) return;
      over = true;
      socket.destroy();
      events.closed(reason);
    };
    const socket = connect({ host: remote.ip, port: remote.port });
    // Nothing is read here: OpenSSL does.
    socket.pause();
    socket.on('error', (error) => failed(error.message));
    socket.on('close', () => failed(undefined));
    socket.on('connect', () => {
      try {
        wire = this.#takeOver(socket, this.#dialContext(identity), serverName, events);
        wire.begin();
      } catch (error) {
        failed(error instanceof Error ? error.message : String(error));
      }
    });
    return {
      destroy() {
        if (wire !== undefined) wire.destroy();
        else socket.destroy();
      },
    };
  }

  accept(socket: Socket, events: WireEvents): Connecting {
    socket.on('error', ignore);
    let wire: OpensslWire;
    try {
      wire = this.#takeOver(socket, this.#serving, undefined, events);
    } catch (error) {
      socket.destroy();
      const reason = error instanceof Error ? error.message : String(error);
      setImmediate(() => events.closed(reason));
      return socket;
    }
    wire.begin();
    return wire;
  }

  identify(identity: TlsIdentity): void {
    const { openssl } = this.#shared;
    const context = openssl.context(identity, LANE_CIPHERS);
    openssl.calls.SSL_CTX_free(this.#serving); // connections hold it as long as they need it
    this.#serving = context;
  }

  retry(): void {
    for (const wire of this.#shared.unwritten) wire.writable();
  }

  stop(): void {
    for (const wire of [...this.#shared.wires.values()]) wire.destroy();
  }

  #dialContext(identity: TlsIdentity): number {
    if (this.#dialling?.identity === identity) return this.#dialling.context;
    const { openssl } = this.#shared;
    const context = openssl.context(identity, LANE_CIPHERS);
    if (this.#dialling !== undefined) openssl.calls.SSL_CTX_free(this.#dialling.context);
    this.#dialling = { identity, context };
    return context;
  }

  /** The connection goes on under a descriptor of our own; Node closes its. */
  #takeOver(
    socket: Socket,
    context: number,
    serverName: string | undefined,
    events: WireEvents,
  ): OpensslWire {
    const { calls } = this.#shared;
    const remote = socket.remoteAddress ?? '?';
    socket.setNoDelay(true);
    const theirs = descriptorOf(socket);
    const fd = theirs < 0 ? -1 : calls.fcntl(theirs, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) throw new Error('the connection is gone');
    const tag = this.#nextTag++;
    if (this.#nextTag >= 0x7fff_0000) this.#nextTag = LANE_TAGS;
    const wire = new OpensslWire(this.#shared, { fd, tag, remote, context, serverName, events });
    socket.destroy();
    return wire;
  }
}

interface WireOptions {
  readonly fd: number;
  readonly tag: number;
  readonly remote: string;
  readonly context: number;
  readonly serverName: string | undefined;
  readonly events: WireEvents;
}

interface Unwritten {
  readonly buffer: WireBuffer;
  readonly length: number;
  at: number;
  readonly taken: (buffer: WireBuffer, octets: number) => void;
}

class OpensslWire implements LaneWire {
  readonly remote: string;
  peerNames: readonly string[] = [];
  exporter: Uint8Array = new Uint8Array(0);
  readonly #shared: Shared;
  readonly #options: WireOptions;
  readonly #ssl: number;
  readonly #timer: NodeJS.Timeout;
  #fd: number;
  #secure = false;
  #watched = false;
  #user: WireUser | undefined;
  #certificate: X509Certificate | undefined;
  readonly #unwritten: Unwritten[] = [];
  #ending = false;
  #finished = false;

  constructor(shared: Shared, options: WireOptions) {
    this.#shared = shared;
    this.#options = options;
    this.#fd = options.fd;
    this.remote = options.remote;
    try {
      this.#ssl = shared.openssl.connection(options.context, options.fd, options.serverName);
    } catch (error) {
      shared.calls.close(options.fd);
      throw error;
    }
    this.#timer = setTimeout(() => this.#close('handshake-timeout'), HANDSHAKE_WITHIN_MS);
    shared.wires.set(options.tag, this);
  }

  get fd(): number {
    return this.#fd;
  }

  lifetime(): number {
    return this.#certificate === undefined ? 0 : certificateLifetime({ valid_to: this.#certificate.validTo });
  }

  begin(): void {
    this.#watch();
    this.readable();
  }

  attach(user: WireUser): void {
    this.#user = user;
  }

  /** Something has arrived. */
  readable(): void {
    if (this.#fd < 0) return;
    if (!this.#secure) this.#handshake();
    if (this.#secure && this.#watched && !this.#finished) this.#read();
  }

  write(buffer: WireBuffer, length: number, taken: (buffer: WireBuffer, octets: number) => void): void {
    if (this.#fd < 0 || this.#ending) return;
    const written = this.#unwritten.length > 0 ? 0 : this.#send(buffer.address, length);
    if (written === length) {
      taken(buffer, length);
      return;
    }
    if (this.#fd < 0) return;
    this.#unwritten.push({ buffer, length, at: written, taken });
    this.#shared.unwritten.add(this);
  }

  /** The system may take more now. */
  writable(): void {
    if (this.#fd < 0) return;
    if (!this.#secure) {
      this.#shared.unwritten.delete(this);
      this.#handshake();
      return;
    }
    for (let next = this.#unwritten[0]; next !== undefined; next = this.#unwritten[0]) {
      next.at += this.#send(next.buffer.address + next.at, next.length - next.at);
      if (this.#fd < 0 || next.at < next.length) return;
      this.#unwritten.shift();
      next.taken(next.buffer, next.length);
    }
    this.#shared.unwritten.delete(this);
    if (this.#ending) this.#goodbye();
  }

  pause(): void {
    if (this.#fd < 0 || !this.#watched) return;
    this.#watched = false;
    this.#shared.poller.unwatch(this.#fd);
  }

  resume(): void {
    if (this.#fd < 0 || this.#watched || this.#finished) return;
    this.#watch();
    this.readable(); // what OpenSSL holds already, no poll tells of
  }

  end(): void {
    if (this.#fd < 0 || this.#ending) return;
    this.#ending = true;
    if (this.#unwritten.length === 0) this.#goodbye();
  }

  destroy(): void {
    this.#close(undefined);
  }

  #watch(): void {
    this.#watched = true;
    const refused = this.#shared.poller.watch(this.#fd, this.#options.tag);
    if (refused !== undefined) this.#close(refused);
  }

  #handshake(): void {
    const { calls } = this.#shared.openssl;
    calls.ERR_clear_error();
    const result = calls.SSL_do_handshake(this.#ssl);
    if (result === 1) {
      this.#verified();
      return;
    }
    const error = calls.SSL_get_error(this.#ssl, result);
    if (error === SSL_ERROR_WANT_WRITE) this.#shared.unwritten.add(this);
    else if (error !== SSL_ERROR_WANT_READ) this.#close(`TLS: ${this.#shared.openssl.reason()}`);
  }

  #verified(): void {
    const { openssl } = this.#shared;
    const { serverName, events } = this.#options;
    clearTimeout(this.#timer);
    this.#certificate = openssl.peer(this.#ssl);
    if (this.#certificate === undefined) {
      this.#close('certificate not verified');
      return;
    }
    this.peerNames = certificateNames({ subjectaltname: this.#certificate.subjectAltName ?? '' }).dns;
    if (serverName !== undefined && !this.peerNames.includes(serverName)) {
      this.#close(`the tunnel server's certificate does not say ${serverName}`);
      return;
    }
    this.exporter = openssl.exporter(this.#ssl, LANE_EXPORTER_LABEL, LANE_EXPORTER_LENGTH);
    this.#secure = true;
    events.secure(this);
  }

  #read(): void {
    const { arena, readAt, openssl } = this.#shared;
    const { calls } = openssl;
    const into = arena.address + readAt;
    calls.ERR_clear_error();
    do {
      const read = calls.SSL_read(this.#ssl, into, READ);
      if (read <= 0) {
        this.#readNothing(read);
        return;
      }
      this.#user?.data(arena.bytes, readAt, readAt + read);
    } while (this.#fd >= 0 && this.#watched && calls.SSL_has_pending(this.#ssl) === 1);
  }

  #readNothing(result: number): void {
    const { openssl } = this.#shared;
    const error = openssl.calls.SSL_get_error(this.#ssl, result);
    if (error === SSL_ERROR_WANT_READ || error === SSL_ERROR_WANT_WRITE) return;
    if (error !== SSL_ERROR_ZERO_RETURN) {
      this.#close(openssl.reason());
      return;
    }
    this.#finished = true;
    this.pause();
    this.#user?.finished();
    this.end();
    if (this.#unwritten.length === 0) this.#close(undefined);
  }

  /** Octets that the system took: all, none, or what it had room for. */
  #send(address: number, length: number): number {
    const { calls } = this.#shared.openssl;
    calls.ERR_clear_error();
    const written = calls.SSL_write(this.#ssl, address, length);
    if (written > 0) return written;
    const error = calls.SSL_get_error(this.#ssl, written);
    if (error !== SSL_ERROR_WANT_WRITE && error !== SSL_ERROR_WANT_READ)
      this.#close(this.#shared.openssl.reason());
    return 0;
  }

  #goodbye(): void {
    const { openssl, calls } = this.#shared;
    openssl.calls.ERR_clear_error();
    openssl.calls.SSL_shutdown(this.#ssl);
    calls.shutdown(this.#fd, SHUT_WR);
    if (this.#finished) this.#close(undefined);
  }

  #close(reason: string | undefined): void {
    const fd = this.#fd;
    if (fd < 0) return;
    this.#fd = -1;
    clearTimeout(this.#timer);
    const shared = this.#shared;
    shared.wires.delete(this.#options.tag);
    shared.unwritten.delete(this);
    shared.poller.unwatch(fd);
    shared.openssl.calls.SSL_free(this.#ssl);
    shared.calls.close(fd);
    this.#unwritten.length = 0;
    // Not from within the call that found out.
    setImmediate(() => {
      this.#user?.closed(reason);
      this.#options.events.closed(reason);
    });
  }
}

function ignore(): void {}
