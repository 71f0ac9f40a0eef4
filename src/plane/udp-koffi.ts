import { copyBytes } from '../bytes/copy.ts';
import { type Address, isIpv6 } from '../machine/address.ts';
import type { SocketBuffers } from '../media/plane-contract.ts';
import { MAX_DATAGRAM } from '../rtp/packet.ts';
import { isV4, parseSource, type SourceWords, sourceWords } from '../rtp/source-words.ts';
import { type Arena, type Native, type NativeMemory, viewOf } from './native.ts';
import type { Poller } from './poller.ts';
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

/** Datagrams taken from one socket per call, and from one leg's socket per poll: a flood on one port leaves the others their turn. */
const BATCH = 32;
/** Calls per poll for a socket that many streams share. */
const SHARED_CALLS = 16;
/** For all streams of a shared socket: what comes while the process is kept from running for a while. */
const SHARED_BUFFER = 4 * 1024 * 1024;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const MSGHDR = 64; // struct mmsghdr
const IOVEC = 16;
const NAME = 32; // room for a sockaddr_in6 (28)
const SLOT = 2048;
/** In one piece of memory, which lives as long as the last of them. */
const DESTINATIONS = 64;

// What is known of each token, beside each other.
const FD = 0; // -1: none
/** The poll in which it had something to read last. */
const READ_IN = 1;
/** 1: many streams share it. */
const SHARED = 2;
const TOKEN = 4;

/** System calls as plain functions of numbers. */
interface Calls {
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: number, length: number): number;
  setsockopt(fd: number, level: number, name: number, value: number, length: number): number;
  getsockopt(fd: number, level: number, name: number, value: number, length: number): number;
  close(fd: number): number;
  sendmmsg(fd: number, messages: number, count: number, flags: number): number;
  sendto(fd: number, data: number, length: number, flags: number, to: number, toLength: number): number;
  recvfrom(fd: number, into: number, length: number, flags: number, from: number, fromLength: number): number;
  recvmmsg(fd: number, messages: number, count: number, flags: number, timeout: number): number;
}

interface KoffiDestination extends Destination {
  readonly memory: Uint8Array; // keeps the sockaddr alive
  readonly at: number;
  readonly length: number;
}

/** Messages that leave a shared socket together. */
class SendBatch {
  readonly fd: number;
  count = 0;
  readonly #bytes: Uint8Array;
  readonly dataAt: number;
  readonly #messages: NativeMemory;
  readonly #view: DataView;
  /** A destination lives until its message has left. */
  readonly #to: (KoffiDestination | undefined)[] = new Array<undefined>(BATCH).fill(undefined);

  constructor(fd: number, native: Native, arena: Arena, dataAt: number) {
    this.fd = fd;
    this.#bytes = arena.bytes;
    this.dataAt = dataAt;
    this.#messages = native.allocate(BATCH * (MSGHDR + IOVEC));
    this.#view = viewOf(this.#messages.bytes);
    for (let i = 0; i < BATCH; i++) {
      const vector = BATCH * MSGHDR + i * IOVEC;
      this.#view.setBigUint64(vector, BigInt(arena.address + dataAt + i * SLOT), true);
      this.#view.setBigUint64(i * MSGHDR + 16, BigInt(this.#messages.address + vector), true); // msg_iov
      this.#view.setBigUint64(i * MSGHDR + 24, 1n, true); // msg_iovlen
    }
  }

  get full(): boolean {
    return this.count === BATCH;
  }

  /** Copies the datagram. */
  add(to: KoffiDestination, from: Uint8Array, start: number, length: number): void {
    const i = this.count++;
    const at = this.dataAt + i * SLOT;
    if (from === this.#bytes) this.#bytes.copyWithin(at, start, start + length);
    else copyBytes(from, start, length, this.#bytes, at);
    const view = this.#view;
    if (this.#to[i] !== to) {
      this.#to[i] = to;
      view.setUint32(i * MSGHDR, to.at % 0x1_0000_0000, true); // msg_name
      view.setUint32(i * MSGHDR + 4, to.at / 0x1_0000_0000, true);
      view.setUint32(i * MSGHDR + 8, to.length, true); // msg_namelen
    }
    view.setUint32(BATCH * MSGHDR + i * IOVEC + 8, length, true);
  }

  send(calls: Calls): void {
    for (let i = 0; i < this.count; ) {
      const sent = calls.sendmmsg(
        this.fd,
        this.#messages.address + i * MSGHDR,
        this.count - i,
        MSG_DONTWAIT | MSG_NOSIGNAL,
      );
      i += Math.max(1, sent); // what the system does not take is lost, the others are not
    }
    this.count = 0;
  }
}

/** recvfrom, recvmmsg and sendto through koffi, told by a Poller; nothing is allocated per packet. */
export class KoffiUdp implements Udp {
  readonly implementation = 'koffi';
  readonly polled = true;
  readonly buffers: SocketBuffers | undefined;
  readonly outgoing: Uint8Array;
  readonly arena: Uint8Array;
  readonly #arenaAt: number;
  readonly #native: Native;
  readonly #calls: Calls;
  readonly #poller: Poller;
  readonly #receiver: UdpReceiver;
  readonly #outgoingAt: number;
  /** Part of the arena for datagrams that come in. */
  readonly #buffersAt: number;
  readonly #names: NativeMemory;
  readonly #namesView: DataView;
  readonly #messages: DataView;
  readonly #messagesAt: number;
  /** Destinations come from pieces of memory that hold many: asking for one, and for its address, costs as much as a system call. */
  #destinations: NativeMemory;
  #destination = 0;
  /** A sockaddr's length, told and asked back. */
  readonly #nameLength: NativeMemory;
  readonly #nameLengthView: DataView;
  readonly #scratch: NativeMemory;
  readonly #source = sourceWords();
  #tokens = unknownTokens(64);
  #polls = 1;
  /** By token, of shared sockets. */
  readonly #batches = new Map<number, SendBatch>();
  readonly #shared: SendBatch[] = [];
  readonly #freeData: number[] = [];
  readonly #arena: Arena;

  /** `arena`: where frames of lanes are, too; packets are built and sent where they came in. */
  constructor(receiver: UdpReceiver, native: Native, poller: Poller, arena: Arena) {
    this.#arena = arena;
    this.arena = arena.bytes;
    this.#arenaAt = arena.address;
    this.#receiver = receiver;
    this.#native = native;
    this.#poller = poller;
    this.#calls = {
      socket: native.define('int socket(int, int, int)'),
      bind: native.define('int bind(int, uintptr_t, uint32_t)'),
      setsockopt: native.define('int setsockopt(int, int, int, uintptr_t, uint32_t)'),
      getsockopt: native.define('int getsockopt(int, int, int, uintptr_t, uintptr_t)'),
      close: native.define('int close(int)'),
      sendto: native.define('intptr_t sendto(int, uintptr_t, size_t, int, uintptr_t, uint32_t)'),
      sendmmsg: native.define('int sendmmsg(int, uintptr_t, uint32_t, int)'),
      recvfrom: native.define('intptr_t recvfrom(int, uintptr_t, size_t, int, uintptr_t, uintptr_t)'),
      recvmmsg: native.define('int recvmmsg(int, uintptr_t, uint32_t, int, uintptr_t)'),
    };
    poller.onLeg = (tag) => this.#receive(tag);
    const outgoing = native.allocate(SLOT);
    this.outgoing = outgoing.bytes;
    this.#outgoingAt = outgoing.address;
    this.#buffersAt = arena.take(BATCH * SLOT);
    this.#names = native.allocate(BATCH * NAME);
    this.#namesView = viewOf(this.#names.bytes);
    // mmsghdrs, then the iovecs they name by address: one piece of memory, so neither is freed before the other.
    const messages = native.allocate(BATCH * (MSGHDR + IOVEC));
    this.#messages = viewOf(messages.bytes);
    this.#messagesAt = messages.address;
    this.#nameLength = native.allocate(4);
    this.#nameLengthView = viewOf(this.#nameLength.bytes);
    this.#scratch = native.allocate(64);
    this.#destinations = native.allocate(DESTINATIONS * NAME);
    this.buffers = this.#probe();
    const m = this.#messages;
    for (let i = 0; i < BATCH; i++) {
      const vector = BATCH * MSGHDR + i * IOVEC;
      m.setBigUint64(vector, BigInt(arena.address + this.#buffersAt + i * SLOT), true);
      m.setBigUint64(vector + 8, BigInt(MAX_DATAGRAM + 1), true); // one more than allowed shows as too long
      m.setBigUint64(i * MSGHDR, BigInt(this.#names.address + i * NAME), true); // msg_name
      m.setUint32(i * MSGHDR + 8, NAME, true); // msg_namelen
      m.setBigUint64(i * MSGHDR + 16, BigInt(messages.address + vector), true); // msg_iov
      m.setBigUint64(i * MSGHDR + 24, 1n, true); // msg_iovlen
    }
  }

  open(local: Address, token: number, done: (error: string | undefined) => void, shared = false): void {
    const v6 = isIpv6(local.ip);
    const fd = this.#calls.socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
      done(`socket: ${this.#native.lastError()}`);
      return;
    }
    const error = this.#bind(fd, local, v6) ?? this.#poller.watch(fd, token);
    if (error !== undefined) {
      this.#calls.close(fd);
      done(error);
      return;
    }
    if (TOKEN * token >= this.#tokens.length) {
      const grown = unknownTokens(Math.max(token + 1, (2 * this.#tokens.length) / TOKEN));
      grown.set(this.#tokens);
      this.#tokens = grown;
    }
    this.#tokens[TOKEN * token + FD] = fd;
    if (shared) this.#share(token, fd);
    done(undefined);
  }

  close(token: number): void {
    const fd = this.#fd(token);
    if (fd < 0) return;
    this.#tokens[TOKEN * token + FD] = -1;
    this.#unshare(token);
    this.#calls.close(fd); // leaves the epoll set by itself
  }

  destination(address: Address): Destination | undefined {
    const source = parseSource(address);
    if (source === undefined || address.port <= 0) return undefined;
    if (this.#destination === DESTINATIONS) {
      this.#destinations = this.#native.allocate(DESTINATIONS * NAME);
      this.#destination = 0;
    }
    const { bytes, address: block } = this.#destinations;
    const offset = this.#destination++ * NAME;
    const length = writeSockaddr(viewOf(bytes), source, offset);
    const made: KoffiDestination = { address, memory: bytes, at: block + offset, length };
    return made;
  }

  send(token: number, destination: Destination, length: number): void {
    if (this.#sendTogether(token, destination, this.outgoing, 0, length)) return;
    const to = destination as KoffiDestination;
    const fd = this.#fd(token);
    if (fd >= 0)
      this.#calls.sendto(fd, this.#outgoingAt, length, MSG_DONTWAIT | MSG_NOSIGNAL, to.at, to.length);
  }

  sendFrom(token: number, destination: Destination, start: number, length: number): void {
    if (this.#sendTogether(token, destination, this.arena, start, length)) return;
    const to = destination as KoffiDestination;
    const fd = this.#fd(token);
    const from = this.#arenaAt + start;
    if (fd >= 0) this.#calls.sendto(fd, from, length, MSG_DONTWAIT | MSG_NOSIGNAL, to.at, to.length);
  }

  flush(): void {
    for (const batch of this.#shared) if (batch.count > 0) batch.send(this.#calls);
  }

  poll(): void {
    this.#polls = (this.#polls + 1) | 0;
    this.#poller.poll();
  }

  stop(): void {
    for (let token = 0; TOKEN * token < this.#tokens.length; token++) this.close(token);
  }

  /**
   * Speech comes one packet at a time: one cheap call takes it, and a second one that would find nothing is not made. A socket that had
   * something in the poll before has more than that.
   */
  #receive(token: number): void {
    const fd = this.#fd(token);
    if (fd < 0) return; // closed by an earlier packet of this poll
    const tokens = this.#tokens;
    if (tokens[TOKEN * token + SHARED] === 1) {
      for (let i = 0; i < SHARED_CALLS && this.#receiveMany(fd, token) === BATCH; i++);
      return;
    }
    const before = tokens[TOKEN * token + READ_IN]!;
    tokens[TOKEN * token + READ_IN] = this.#polls;
    if (((this.#polls - before) | 0) === 1) {
      this.#receiveMany(fd, token);
      return;
    }
    this.#nameLengthView.setUint32(0, NAME, true);
    const at = this.#buffersAt;
    const length = this.#calls.recvfrom(
      fd,
      this.#arenaAt + at,
      MAX_DATAGRAM + 1, // one more than allowed shows as too long
      MSG_DONTWAIT,
      this.#names.address,
      this.#nameLength.address,
    );
    if (length >= 0 && this.#readSource(0))
      this.#receiver.packet(token, this.arena, at, length, this.#source);
  }

  #receiveMany(fd: number, token: number): number {
    const count = this.#calls.recvmmsg(fd, this.#messagesAt, BATCH, MSG_DONTWAIT, 0);
    const m = this.#messages;
    for (let i = 0; i < count; i++) {
      const length = m.getUint32(i * MSGHDR + 56, true);
      m.setUint32(i * MSGHDR + 8, NAME, true);
      if (this.#readSource(i * NAME)) {
        this.#receiver.packet(token, this.arena, this.#buffersAt + i * SLOT, length, this.#source);
      }
    }
    return count;
  }

  #share(token: number, fd: number): void {
    for (const option of [SO_RCVBUF, SO_SNDBUF]) this.#buffer(fd, option);
    const dataAt = this.#freeData.pop() ?? this.#arena.take(BATCH * SLOT);
    if (dataAt < 0) return; // packet by packet, then
    const batch = new SendBatch(fd, this.#native, this.#arena, dataAt);
    this.#batches.set(token, batch);
    this.#tokens[TOKEN * token + SHARED] = 1;
    this.#shared.push(batch);
  }

  /** What the kernel grants a shared socket, before there is one: the administrator is told at the start. */
  #probe(): SocketBuffers | undefined {
    const fd = this.#calls.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return undefined;
    const [receive, send] = [this.#buffer(fd, SO_RCVBUF), this.#buffer(fd, SO_SNDBUF)];
    this.#calls.close(fd);
    return { asked: SHARED_BUFFER, receive, send };
  }

  /** Asks for a shared socket's buffer; returns the octets granted. */
  #buffer(fd: number, option: number): number {
    const view = viewOf(this.#scratch.bytes);
    const { address } = this.#scratch;
    view.setUint32(0, SHARED_BUFFER, true);
    this.#calls.setsockopt(fd, SOL_SOCKET, option, address, 4);
    view.setUint32(8, 4, true); // the value's length, told and asked back
    if (this.#calls.getsockopt(fd, SOL_SOCKET, option, address, address + 8) !== 0) return 0;
    return view.getUint32(0, true) / 2; // socket(7): the kernel doubles what it was asked for, and tells that
  }

  #unshare(token: number): void {
    const batch = this.#batches.get(token);
    if (batch === undefined) return;
    if (batch.count > 0) batch.send(this.#calls);
    this.#batches.delete(token);
    this.#tokens[TOKEN * token + SHARED] = 0;
    this.#shared.splice(this.#shared.indexOf(batch), 1);
    this.#freeData.push(batch.dataAt);
  }

  #sendTogether(
    token: number,
    destination: Destination,
    bytes: Uint8Array,
    start: number,
    length: number,
  ): boolean {
    if (this.#tokens[TOKEN * token + SHARED] !== 1) return false;
    const batch = this.#batches.get(token)!;
    batch.add(destination as KoffiDestination, bytes, start, length);
    if (batch.full) batch.send(this.#calls);
    return true;
  }

  #fd(token: number): number {
    return this.#tokens[TOKEN * token + FD] ?? -1;
  }

  #readSource(at: number): boolean {
    const names = this.#namesView;
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
}

function unknownTokens(count: number): Int32Array {
  const tokens = new Int32Array(TOKEN * count);
  for (let at = FD; at < tokens.length; at += TOKEN) tokens[at] = -1;
  return tokens;
}

/** struct sockaddr_in or sockaddr_in6 at offset `at`; returns its length. */
function writeSockaddr(view: DataView, source: SourceWords, at = 0): number {
  for (let i = 0; i < 28; i += 4) view.setUint32(at + i, 0);
  view.setUint16(at + 2, source.port);
  if (isV4(source)) {
    view.setUint16(at, AF_INET, true);
    view.setInt32(at + 4, source.d);
    return 16;
  }
  view.setUint16(at, AF_INET6, true);
  view.setInt32(at + 8, source.a);
  view.setInt32(at + 12, source.b);
  view.setInt32(at + 16, source.c);
  view.setInt32(at + 20, source.d);
  return 28;
}
