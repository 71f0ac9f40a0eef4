import type { Socket } from 'node:net';
import { endianness } from 'node:os';

/**
 * What the kernel's TCP can be asked and told about a lane. Everything is a wish: what this kernel does not know is left as it is, and
 * without koffi nothing is asked at all; the lanes' own acknowledgements then do.
 */
export interface LaneTcp {
  /** Settings for a lane that has just connected. */
  tune(socket: Socket, congestion: 'bbr' | 'system'): void;
  /** Octets that the far end's TCP has not acknowledged; -1 unknown. */
  unacknowledged(socket: Socket): number;
  /** Fills `into`; false where it is not to be had. */
  counts(socket: Socket, into: TcpCounts): boolean;
}

/** Since the connection began. */
export interface TcpCounts {
  segmentsOut: number;
  /** Sent again and not needlessly so, as far as the far end told (RFC 2883). */
  lost: number;
  /** Least round trip, ms; 0 unknown yet. */
  roundTripMs: number;
}

// Linux constants (include/uapi/linux/tcp.h, asm-generic/ioctls.h).
const IPPROTO_TCP = 6;
const TCP_INFO = 11;
const TCP_CONGESTION = 13;
const TCP_THIN_LINEAR_TIMEOUTS = 16;
const TCP_NOTSENT_LOWAT = 25;
const TCP_RTO_MAX_MS = 44; // Linux 6.15
const TCP_RTO_MIN_US = 45; // Linux 6.15
const TCP_DELACK_MAX_US = 46; // Linux 6.15
const SIOCOUTQ = 0x5411;

/** Offsets in struct tcp_info. */
const INFO_TOTAL_RETRANS = 100;
const INFO_MIN_RTT = 148;
const INFO_DATA_SEGS_OUT = 156;
const INFO_DSACK_DUPS = 216;
const INFO_LENGTH = 220;

/** More would wait in the kernel, where it cannot be dropped any more. */
const NOT_SENT_OCTETS = 16 * 1024;
/** A loss that nothing follows is repaired this long after a round trip, not 200 ms. */
const RETRANSMIT_AFTER_US = 40_000;
const RETRANSMIT_AT_MOST_MS = 1000;
const ACKNOWLEDGE_WITHIN_US = 10_000;

interface Calls {
  setsockopt(fd: number, level: number, name: number, value: Uint8Array, length: number): number;
  getsockopt(fd: number, level: number, name: number, value: Uint8Array, length: Uint8Array): number;
  ioctl(fd: number, request: number, value: Uint8Array): number;
}

/** Rejects where koffi is not to be had. */
export async function loadLaneTcp(): Promise<LaneTcp> {
  if (process.platform !== 'linux' || endianness() !== 'LE' || !['x64', 'arm64'].includes(process.arch)) {
    throw new Error('needs Linux on x64 or arm64');
  }
  const koffi = (await import('koffi')).default;
  const library = koffi.load(null);
  const define = (definition: string): never => library.func(definition) as never;
  return new KernelTcp({
    setsockopt: define('int setsockopt(int, int, int, void *, uint32_t)'),
    getsockopt: define('int getsockopt(int, int, int, void *, void *)'),
    ioctl: define('int ioctl(int, unsigned long, void *)'),
  });
}

class KernelTcp implements LaneTcp {
  readonly #calls: Calls;
  readonly #word = Buffer.alloc(4);
  readonly #length = Buffer.alloc(4);
  readonly #info = Buffer.alloc(INFO_LENGTH);

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  tune(socket: Socket, congestion: 'bbr' | 'system'): void {
    const fd = descriptor(socket);
    if (fd < 0) return;
    if (congestion === 'bbr') {
      const name = Buffer.from('bbr');
      this.#calls.setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, name.length);
    }
    this.#set(fd, TCP_NOTSENT_LOWAT, NOT_SENT_OCTETS);
    this.#set(fd, TCP_THIN_LINEAR_TIMEOUTS, 1);
    this.#set(fd, TCP_RTO_MAX_MS, RETRANSMIT_AT_MOST_MS);
    this.#set(fd, TCP_RTO_MIN_US, RETRANSMIT_AFTER_US);
    this.#set(fd, TCP_DELACK_MAX_US, ACKNOWLEDGE_WITHIN_US);
  }

  unacknowledged(socket: Socket): number {
    const fd = descriptor(socket);
    if (fd < 0 || this.#calls.ioctl(fd, SIOCOUTQ, this.#word) !== 0) return -1;
    return this.#word.readInt32LE();
  }

  counts(socket: Socket, into: TcpCounts): boolean {
    const fd = descriptor(socket);
    this.#length.writeUInt32LE(INFO_LENGTH);
    if (fd < 0 || this.#calls.getsockopt(fd, IPPROTO_TCP, TCP_INFO, this.#info, this.#length) !== 0) {
      return false;
    }
    const told = this.#length.readUInt32LE();
    if (told < INFO_DATA_SEGS_OUT + 4) return false; // before Linux 4.6
    const needless = told < INFO_LENGTH ? 0 : this.#info.readUInt32LE(INFO_DSACK_DUPS);
    into.segmentsOut = this.#info.readUInt32LE(INFO_DATA_SEGS_OUT);
    const least = this.#info.readUInt32LE(INFO_MIN_RTT); // microseconds, all ones: none yet
    into.roundTripMs = least === 0xffff_ffff ? 0 : least / 1000;
    into.lost = Math.max(0, this.#info.readUInt32LE(INFO_TOTAL_RETRANS) - needless);
    return true;
  }

  #set(fd: number, name: number, value: number): void {
    this.#word.writeInt32LE(value);
    this.#calls.setsockopt(fd, IPPROTO_TCP, name, this.#word, 4);
  }
}

/** Node has no public name for it; -1 where the handle is gone. */
function descriptor(socket: Socket): number {
  return (socket as { _handle?: { fd?: number } | null })._handle?.fd ?? -1;
}
