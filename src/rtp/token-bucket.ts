import type { Millis } from '../machine/machine.ts';

/** A token bucket: `rate` tokens per second, at most `burst` saved. Starts full. */
export class TokenBucket {
  readonly #rate: number;
  readonly #burst: number;
  #tokens: number;
  #at: Millis;

  constructor(rate: number, burst: number, now: Millis) {
    this.#rate = rate / 1000;
    this.#burst = burst;
    this.#tokens = burst;
    this.#at = now;
  }

  /** Whether `count` tokens are there; takes none. */
  has(count: number, now: Millis): boolean {
    if (now > this.#at) {
      this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#at) * this.#rate);
      this.#at = now;
    }
    return this.#tokens >= count;
  }

  take(count: number): void {
    this.#tokens -= count;
  }
}
