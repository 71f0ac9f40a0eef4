import type { Millis } from './machine.ts';

/** A rate limit: `burst` at once, `perSecond` in the long run. */
export class TokenBucket {
  readonly #burst: number;
  readonly #perSecond: number;
  #tokens: number;
  #at: Millis;

  constructor(burst: number, perSecond: number, now: Millis) {
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#tokens = burst;
    this.#at = now;
  }

  take(now: Millis): boolean {
    if (!this.has(1, now)) return false;
    this.spend(1);
    return true;
  }

  /** Whether `count` tokens are there; takes none. Where other checks come between, `spend` follows them. */
  has(count: number, now: Millis): boolean {
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#at) * this.#perSecond) / 1000);
    this.#at = now;
    return this.#tokens >= count;
  }

  /** Whole milliseconds until one is there. */
  wait(now: Millis): Millis {
    return this.has(1, now) ? 0 : Math.ceil(((1 - this.#tokens) * 1000) / this.#perSecond);
  }

  /** After `has` said yes. */
  spend(count: number): void {
    this.#tokens -= count;
  }
}
