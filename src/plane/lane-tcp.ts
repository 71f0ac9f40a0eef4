import type { Native, NativeMemory } from './native.ts';

/**
 * What the kernel's TCP can be asked and told about a lane. Everything is a wish: what this kernel does not know is left as it is, and
 * without koffi nothing is asked at all; the lanes' own acknowledgements then do.
 */
export interface LaneTcp {
  /** Settings for a lane that has just connected. A descriptor of -1 is passed over in silence, here and below. */
  tune(fd: number, congestion: 'bbr' | 'system'): void;
  /** Octets that the far end's TCP has not acknowledged; -1 unknown. */
  unacknowledged(fd: number): number;
  /** Fills `into`; false where it is not to be had. */
  counts(fd: number, into: TcpCounts): boolean;
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
  setsockopt(fd: number, level: number, name: number, value: number, length: number): number;
  getsockopt(fd: number, level: number, name: number, value: number, length: number): number;
  ioctl(fd: number, request: number, value: number): number;
}

export class KernelTcp implements LaneTcp {
  readonly #calls: Calls;
  readonly #word: NativeMemory;
  readonly #length: NativeMemory;
  readonly #info: NativeMemory;
  readonly #bbr: NativeMemory;

  constructor(native: Native) {
    this.#calls = {
      setsockopt: native.define('int setsockopt(int, int, int, uintptr_t, uint32_t)'),
      getsockopt: native.define('int getsockopt(int, int, int, uintptr_t, uintptr_t)'),
      ioctl: native.define('int ioctl(int, unsigned long, uintptr_t)'),
    };
    this.#word = native.allocate(4);
    this.#length = native.allocate(4);
    this.#info = native.allocate(INFO_LENGTH);
    this.#bbr = native.text('bbr');
  }

  tune(fd: number, congestion: 'bbr' | 'system'): void {
    if (fd < 0) return;
    if (congestion === 'bbr') this.#calls.setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, this.#bbr.address, 3);
    this.#set(fd, TCP_NOTSENT_LOWAT, NOT_SENT_OCTETS);
    this.#set(fd, TCP_THIN_LINEAR_TIMEOUTS, 1);
    this.#set(fd, TCP_RTO_MAX_MS, RETRANSMIT_AT_MOST_MS);
    this.#set(fd, TCP_RTO_MIN_US, RETRANSMIT_AFTER_US);
    this.#set(fd, TCP_DELACK_MAX_US, ACKNOWLEDGE_WITHIN_US);
  }

  unacknowledged(fd: number): number {
    if (fd < 0 || this.#calls.ioctl(fd, SIOCOUTQ, this.#word.address) !== 0) return -1;
    return this.#word.bytes.readInt32LE();
  }

  counts(fd: number, into: TcpCounts): boolean {
    const [info, length] = [this.#info, this.#length];
    length.bytes.writeUInt32LE(INFO_LENGTH);
    if (fd < 0 || this.#calls.getsockopt(fd, IPPROTO_TCP, TCP_INFO, info.address, length.address) !== 0) {
      return false;
    }
    const told = length.bytes.readUInt32LE();
    if (told < INFO_DATA_SEGS_OUT + 4) return false; // before Linux 4.6
    const needless = told < INFO_LENGTH ? 0 : info.bytes.readUInt32LE(INFO_DSACK_DUPS);
    into.segmentsOut = info.bytes.readUInt32LE(INFO_DATA_SEGS_OUT);
    const least = info.bytes.readUInt32LE(INFO_MIN_RTT); // microseconds, all ones: none yet
    into.roundTripMs = least === 0xffff_ffff ? 0 : least / 1000;
    into.lost = Math.max(0, info.bytes.readUInt32LE(INFO_TOTAL_RETRANS) - needless);
    return true;
  }

  #set(fd: number, name: number, value: number): void {
    this.#word.bytes.writeInt32LE(value);
    this.#calls.setsockopt(fd, IPPROTO_TCP, name, this.#word.address, 4);
  }
}
