import { endianness } from 'node:os';
import { type Address, isIpv6 } from '../machine/address.ts';
import { MAX_DATAGRAM } from '../rtp/packet.ts';
import { isV4, parseSource, type SourceWords, sourceWords } from '../rtp/source-words.ts';
import type { Destination, Udp, UdpReceiver } from './udp.ts';

// Linux constants; the same on x86-64 and arm64 (include/uapi/asm-generic).
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x80000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
const EPOLLIN = 1;
const EPOLL_CTL_ADD = 1;
const EPOLL_CLOEXEC = 0x80000;

/** struct epoll_event is packed on x86-64 only. */
const EVENT_SIZE = process.arch === 'x64' ? 12 : 16;
const EVENT_DATA = EVENT_SIZE - 8;
const EVENTS = 512;
/** Datagrams taken from one socket per poll: a flood on one port leaves the others their turn. */
const BATCH = 16;
const MSGHDR = 64; // struct mmsghdr
const IOVEC = 16;
const NAME = 32; // room for a sockaddr_in6 (28)
const SLOT = 2048;

/** System calls as plain functions of numbers; addresses are given raw, so that a call allocates nothing. */
interface Calls {
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: number, length: number): number;
  setsockopt(fd: number, level: number, name: number, value: number, length: number): number;
  close(fd: number): number;
  sendto(fd: number, data: number, length: number, flags: number, to: number, toLength: number): number;
  recvmmsg(fd: number, messages: number, count: number, flags: number, timeout: number): number;
  epoll_create1(flags: number): number;
  epoll_ctl(epoll: number, operation: number, fd: number, event: number): number;
  epoll_wait(epoll: number, events: number, count: number, timeout: number): number;
}

interface Native {
  readonly calls: Calls;
  /** Memory that never moves, and where it is. */
  allocate(octets: number): { readonly bytes: Uint8Array; readonly address: number };
  lastError(): string;
}

interface KoffiDestination extends Destination {
  readonly memory: Uint8Array; // keeps the sockaddr alive
  readonly at: number;
  readonly length: number;
}

/** Rejects where koffi or the system calls are not to be had (other systems, musl without a build, ...). */
export async function loadKoffiUdp(receiver: UdpReceiver): Promise<Udp> {
  if (process.platform !== 'linux' || endianness() !== 'LE' || !['x64', 'arm64'].includes(process.arch)) {
    throw new Error('the koffi plane needs Linux on x64 or arm64');
  }
  return new KoffiUdp(receiver, await loadNative());
}

async function loadNative(): Promise<Native> {
  const koffi = (await import('koffi')).default;
  const library = koffi.load(null);
  const define = (definition: string): never => library.func(definition) as never;
  const calls: Calls = {
    socket: define('int socket(int, int, int)'),
    bind: define('int bind(int, uintptr_t, uint32_t)'),
    setsockopt: define('int setsockopt(int, int, int, uintptr_t, uint32_t)'),
    close: define('int close(int)'),
    sendto: define('intptr_t sendto(int, uintptr_t, size_t, int, uintptr_t, uint32_t)'),
    recvmmsg: define('int recvmmsg(int, uintptr_t, uint32_t, int, uintptr_t)'),
    epoll_create1: define('int epoll_create1(int)'),
    epoll_ctl: define('int epoll_ctl(int, int, int, uintptr_t)'),
    epoll_wait: define('int epoll_wait(int, uintptr_t, int, int)'),
  };
  const names = new Map(Object.entries(koffi.os.errno).map(([name, value]) => [Number(value), name]));
  return {
    calls,
    allocate(octets) {
      const bytes = Buffer.allocUnsafeSlow(octets).fill(0);
      return { bytes, address: Number(koffi.address(bytes)) };
    },
    lastError: () => names.get(koffi.errno()) ?? `errno ${koffi.errno()}`,
  };
}

/** epoll, recvmmsg and sendto through koffi; nothing is allocated per packet. */
class KoffiUdp implements Udp {
  readonly implementation = 'koffi';
  readonly polled = true;
  readonly outgoing: Uint8Array;
  readonly #native: Native;
  readonly #calls: Calls;
  readonly #receiver: UdpReceiver;
  readonly #epoll: number;
  readonly #outgoingAt: number;
  readonly #events: DataView;
  readonly #eventsAt: number;
  readonly #buffers: Uint8Array;
  readonly #names: DataView;
  readonly #messages: DataView;
  readonly #messagesAt: number;
  readonly #scratch: { readonly bytes: Uint8Array; readonly address: number };
  readonly #source = sourceWords();
  #fds = new Int32Array(64).fill(-1);

  constructor(receiver: UdpReceiver, native: Native) {
    this.#receiver = receiver;
    this.#native = native;
    this.#calls = native.calls;
    this.#epoll = native.calls.epoll_create1(EPOLL_CLOEXEC);
    if (this.#epoll < 0) throw new Error(`epoll_create1: ${native.lastError()}`);
    const outgoing = native.allocate(SLOT);
    this.outgoing = outgoing.bytes;
    this.#outgoingAt = outgoing.address;
    const events = native.allocate(EVENTS * EVENT_SIZE);
    this.#events = viewOf(events.bytes);
    this.#eventsAt = events.address;
    const buffers = native.allocate(BATCH * SLOT);
    this.#buffers = buffers.bytes;
    const names = native.allocate(BATCH * NAME);
    this.#names = viewOf(names.bytes);
    // mmsghdrs, then the iovecs they name by address: one piece of memory, so neither is freed before the other.
    const messages = native.allocate(BATCH * (MSGHDR + IOVEC));
    this.#messages = viewOf(messages.bytes);
    this.#messagesAt = messages.address;
    this.#scratch = native.allocate(64);
    const m = this.#messages;
    for (let i = 0; i < BATCH; i++) {
      const vector = BATCH * MSGHDR + i * IOVEC;
      m.setBigUint64(vector, BigInt(buffers.address + i * SLOT), true);
      m.setBigUint64(vector + 8, BigInt(MAX_DATAGRAM + 1), true); // one more than allowed shows as too long
      m.setBigUint64(i * MSGHDR, BigInt(names.address + i * NAME), true); // msg_name
      m.setUint32(i * MSGHDR + 8, NAME, true); // msg_namelen
      m.setBigUint64(i * MSGHDR + 16, BigInt(messages.address + vector), true); // msg_iov
      m.setBigUint64(i * MSGHDR + 24, 1n, true); // msg_iovlen
    }
  }

  open(local: Address, token: number, done: (error: string | undefined) => void): void {
    const v6 = isIpv6(local.ip);
    const fd = this.#calls.socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
      done(`socket: ${this.#native.lastError()}`);
      return;
    }
    const error = this.#bind(fd, local, v6) ?? this.#watch(fd, token);
    if (error !== undefined) {
      this.#calls.close(fd);
      done(error);
      return;
    }
    if (token >= this.#fds.length) {
      const grown = new Int32Array(Math.max(token + 1, 2 * this.#fds.length)).fill(-1);
      grown.set(this.#fds);
      this.#fds = grown;
    }
    this.#fds[token] = fd;
    done(undefined);
  }

  close(token: number): void {
    const fd = this.#fds[token] ?? -1;
    if (fd < 0) return;
    this.#fds[token] = -1;
    this.#calls.close(fd); // leaves the epoll set by itself
  }

  destination(address: Address): Destination | undefined {
    const source = parseSource(address);
    if (source === undefined || address.port <= 0) return undefined;
    const memory = this.#native.allocate(NAME);
    const length = writeSockaddr(viewOf(memory.bytes), source);
    const made: KoffiDestination = { address, memory: memory.bytes, at: memory.address, length };
    return made;
  }

  send(token: number, destination: Destination, length: number): void {
    const to = destination as KoffiDestination;
    const fd = this.#fds[token] ?? -1;
    if (fd >= 0)
      this.#calls.sendto(fd, this.#outgoingAt, length, MSG_DONTWAIT | MSG_NOSIGNAL, to.at, to.length);
  }

  poll(): void {
    const ready = this.#calls.epoll_wait(this.#epoll, this.#eventsAt, EVENTS, 0);
    const events = this.#events;
    for (let i = 0; i < ready; i++) this.#receive(events.getUint32(i * EVENT_SIZE + EVENT_DATA, true));
  }

  stop(): void {
    for (let token = 0; token < this.#fds.length; token++) this.close(token);
    this.#calls.close(this.#epoll);
  }

  #receive(token: number): void {
    const fd = this.#fds[token] ?? -1;
    if (fd < 0) return; // closed by an earlier packet of this poll
    const count = this.#calls.recvmmsg(fd, this.#messagesAt, BATCH, MSG_DONTWAIT, 0);
    const m = this.#messages;
    for (let i = 0; i < count; i++) {
      const length = m.getUint32(i * MSGHDR + 56, true);
      m.setUint32(i * MSGHDR + 8, NAME, true);
      if (this.#readSource(i * NAME)) {
        this.#receiver.packet(token, this.#buffers, i * SLOT, length, this.#source);
      }
    }
  }

  #readSource(at: number): boolean {
    const names = this.#names;
    const source = this.#source;
    const family = names.getUint16(at, true);
    source.port = names.getUint16(at + 2);
    if (family === AF_INET) {
      source.a = 0;
      source.b = 0;
      source.c = 0xffff;
      source.d = names.getInt32(at + 4);
      return true;
    }
    source.a = names.getInt32(at + 8);
    source.b = names.getInt32(at + 12);
    source.c = names.getInt32(at + 16);
    source.d = names.getInt32(at + 20);
    return family === AF_INET6;
  }

  #bind(fd: number, local: Address, v6: boolean): string | undefined {
    const source = parseSource(local);
    if (source === undefined) return `bind: ${local.ip} is no address`;
    const scratch = this.#scratch;
    const view = viewOf(scratch.bytes);
    if (v6) {
      view.setInt32(0, 1, true);
      this.#calls.setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, scratch.address, 4);
    }
    const length = writeSockaddr(view, source);
    if (this.#calls.bind(fd, scratch.address, length) === 0) return undefined;
    return `bind ${local.ip} port ${local.port}: ${this.#native.lastError()}`;
  }

  #watch(fd: number, token: number): string | undefined {
    const view = viewOf(this.#scratch.bytes);
    view.setUint32(0, EPOLLIN, true);
    view.setUint32(EVENT_DATA, token, true);
    view.setUint32(EVENT_DATA + 4, 0, true);
    const added = this.#calls.epoll_ctl(this.#epoll, EPOLL_CTL_ADD, fd, this.#scratch.address);
    return added === 0 ? undefined : `epoll_ctl: ${this.#native.lastError()}`;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** struct sockaddr_in or sockaddr_in6; returns its length. */
function writeSockaddr(view: DataView, source: SourceWords): number {
  for (let i = 0; i < 28; i++) view.setUint8(i, 0);
  view.setUint16(2, source.port);
  if (isV4(source)) {
    view.setUint16(0, AF_INET, true);
    view.setInt32(4, source.d);
    return 16;
  }
  view.setUint16(0, AF_INET6, true);
  view.setInt32(8, source.a);
  view.setInt32(12, source.b);
  view.setInt32(16, source.c);
  view.setInt32(20, source.d);
  return 28;
}
