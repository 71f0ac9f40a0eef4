import { inBackground, type Native, type NativeMemory, viewOf } from './native.ts';

// Linux constants (include/uapi/linux/eventpoll.h, asm-generic); the same on x86-64 and arm64.
const EPOLLIN = 1;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CLOEXEC = 0x80000;
const EFD_NONBLOCK = 0x800;
const EFD_CLOEXEC = 0x80000;
/** struct epoll_event is packed on x86-64 only. */
const EVENT_SIZE = process.arch === 'x64' ? 12 : 16;
const EVENT_DATA = EVENT_SIZE - 8;
const EVENTS = 1024;
/** Waits without a poll are renewed after so long. */
const WATCH_MS = 10_000;
/** Tags from here on belong to lanes, below it to the ports of legs. */
export const LANE_TAGS = 0x4000_0000;
const WAKE_TAG = 0x7fff_ffff;
const LEGS_TAG = 0x7fff_fffe;

interface Calls {
  epoll_create1(flags: number): number;
  epoll_ctl(epoll: number, operation: number, fd: number, event: number): number;
  epoll_wait(epoll: number, events: number, count: number, timeout: number): number;
  eventfd(initial: number, flags: number): number;
  write(fd: number, data: number, length: number): number;
  close(fd: number): number;
}

/**
 * Which of a worker's sockets have something to read, level triggered. The ports of legs are asked when it is time; lanes are what a worker may
 * sleep on, so they have a set of their own. While nobody asks for the legs, their whole set is one more thing to sleep on.
 */
export class Poller {
  /** Something is readable; the receiver reads what it likes, the rest is told again by the next poll. */
  onLeg: (tag: number) => void = ignore;
  onLane: (tag: number) => void = ignore;
  readonly #native: Native;
  readonly #calls: Calls;
  readonly #legs: number;
  readonly #lanes: number;
  readonly #wake: number;
  readonly #events: NativeMemory;
  readonly #view: DataView;
  readonly #scratch: NativeMemory;
  readonly #background: NativeMemory;
  #watching = false;
  #stopped = false;

  constructor(native: Native) {
    this.#native = native;
    this.#calls = {
      epoll_create1: native.define('int epoll_create1(int)'),
      epoll_ctl: native.define('int epoll_ctl(int, int, int, uintptr_t)'),
      epoll_wait: native.define('int epoll_wait(int, uintptr_t, int, int)'),
      eventfd: native.define('int eventfd(uint32_t, int)'),
      write: native.define('intptr_t write(int, uintptr_t, size_t)'),
      close: native.define('int close(int)'),
    };
    this.#events = native.allocate(EVENTS * EVENT_SIZE);
    this.#view = viewOf(this.#events.bytes);
    this.#scratch = native.allocate(16);
    this.#background = native.allocate(EVENT_SIZE);
    this.#legs = this.#calls.epoll_create1(EPOLL_CLOEXEC);
    this.#lanes = this.#calls.epoll_create1(EPOLL_CLOEXEC);
    if (this.#legs < 0 || this.#lanes < 0) throw new Error(`epoll_create1: ${native.lastError()}`);
    this.#wake = this.#calls.eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (this.#wake < 0) throw new Error(`eventfd: ${native.lastError()}`);
    this.watch(this.#wake, WAKE_TAG);
    this.sleepOnLegs(true);
  }

  /** Whether a packet for a leg ends a sleep, as one from a lane does; so at first. */
  sleepOnLegs(on: boolean): void {
    this.#set(this.#lanes, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, this.#legs, LEGS_TAG);
  }

  /** Undefined, or why not. A closed descriptor leaves by itself, unless it was duplicated. */
  watch(fd: number, tag: number): string | undefined {
    const set = tag < LANE_TAGS ? this.#legs : this.#lanes;
    const added = this.#set(set, EPOLL_CTL_ADD, fd, tag);
    return added === 0 ? undefined : `epoll_ctl: ${this.#native.lastError()}`;
  }

  #set(set: number, operation: number, fd: number, tag: number): number {
    const view = viewOf(this.#scratch.bytes);
    view.setUint32(0, EPOLLIN, true);
    view.setUint32(EVENT_DATA, tag, true);
    view.setUint32(EVENT_DATA + 4, 0, true);
    return this.#calls.epoll_ctl(set, operation, fd, this.#scratch.address);
  }

  /** A lane. */
  unwatch(fd: number): void {
    this.#calls.epoll_ctl(this.#lanes, EPOLL_CTL_DEL, fd, this.#scratch.address);
  }

  /** The ports of legs. */
  poll(): void {
    const ready = this.#calls.epoll_wait(this.#legs, this.#events.address, EVENTS, 0);
    for (let i = 0; i < ready; i++) this.onLeg(this.#view.getUint32(i * EVENT_SIZE + EVENT_DATA, true));
  }

  /** The lanes. Sleeps until one has something to read, `sleepMs` (whole) at most. */
  pollLanes(sleepMs: number): void {
    const ready = this.#calls.epoll_wait(this.#lanes, this.#events.address, EVENTS, sleepMs);
    for (let i = 0; i < ready; i++) {
      const tag = this.#view.getUint32(i * EVENT_SIZE + EVENT_DATA, true);
      if (tag < LEGS_TAG) this.onLane(tag);
    }
  }

  /**
   * Without regular polls: a thread waits, and `wake` is called once something is readable. `wake` decides how to go on: by polling, or by
   * calling this again. One wait at a time.
   */
  wait(wake: () => void): void {
    if (this.#watching || this.#stopped) return;
    this.#watching = true;
    inBackground(this.#calls.epoll_wait, [this.#lanes, this.#background.address, 1, WATCH_MS], () => {
      this.#watching = false;
      if (!this.#stopped) wake();
    });
  }

  /** A thread that waits is let go, so that the process can end. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    const view = viewOf(this.#scratch.bytes);
    view.setBigUint64(0, 1n, true);
    this.#calls.write(this.#wake, this.#scratch.address, 8);
  }
}

function ignore(): void {}
