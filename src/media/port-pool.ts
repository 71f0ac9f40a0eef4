import type { Millis, Random } from '../machine/machine.ts';

export interface PortPoolOptions {
  /** Address the ports are bound on. */
  readonly ip: string;
  /** Inclusive; RTP takes even numbers, RTCP the odd one above (RFC 3550 11). */
  readonly first: number;
  readonly last: number;
  /** How long a released pair rests, at least: packets of the old call must not enter a new one. Milliseconds. */
  readonly restMs: number;
  readonly random: Random;
}

/**
 * Pairs of ports on one address. A pair is free, in use or resting; which free one is taken is random, so that nobody outside can
 * tell the next. Nothing is bound here: the plane's worker binds when media control opens the stream, which may fail.
 */
export class PortPool {
  readonly ip: string;
  /** Allocations that found no pair. */
  exhausted = 0;
  readonly #restMs: number;
  readonly #random: Random;
  #free: number[] = [];
  #used = new Set<number>();
  /** In the order of release, so the first is the first to be free again. */
  #resting: { readonly port: number; readonly until: Millis }[] = [];
  #restingHead = 0;

  constructor(options: PortPoolOptions) {
    this.ip = options.ip;
    this.#restMs = options.restMs;
    this.#random = options.random;
    const first = options.first + (options.first % 2);
    for (let port = first; port + 1 <= options.last; port += 2) this.#free.push(port);
  }

  get inUse(): number {
    return this.#used.size;
  }

  /** Pairs in all. */
  get size(): number {
    return this.#free.length + this.#used.size + this.#resting.length - this.#restingHead;
  }

  /** The even port of a pair, or undefined (counted) where none is free. */
  allocate(now: Millis): number | undefined {
    this.#wake(now);
    const count = this.#free.length;
    if (count === 0) {
      this.exhausted++;
      return undefined;
    }
    const at = Math.floor((this.#random.uint32() / 0x1_0000_0000) * count);
    const port = this.#free[at]!;
    this.#free[at] = this.#free[count - 1]!;
    this.#free.pop();
    this.#used.add(port);
    return port;
  }

  /** A pair that is not in use is left alone. */
  release(port: number, now: Millis): void {
    if (this.#used.delete(port)) this.#resting.push({ port, until: now + this.#restMs });
  }

  /** A pair that nobody was ever told of: free at once. */
  giveBack(port: number): void {
    if (this.#used.delete(port)) this.#free.push(port);
  }

  #wake(now: Millis): void {
    for (;;) {
      const next = this.#resting[this.#restingHead];
      if (next === undefined || next.until > now) break;
      this.#free.push(next.port);
      this.#restingHead++;
    }
    if (this.#restingHead > 64 && 2 * this.#restingHead > this.#resting.length) {
      this.#resting = this.#resting.slice(this.#restingHead);
      this.#restingHead = 0;
    }
  }
}
