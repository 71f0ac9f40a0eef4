/** Token buckets: one, and one per source in a bounded table. */
import type { Millis } from '../machine/machine.ts';

export class TokenBucket {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #at: Millis;

  /** `perSecond` > 0; `burst` tokens at most, full at the start. */
  constructor(perSecond: number, burst: number, now: Millis) {
    this.#perMs = perSecond / 1000;
    this.#burst = burst;
    this.#tokens = burst;
    this.#at = now;
  }

  available(now: Millis): boolean {
    this.#fill(now);
    return this.#tokens >= 1;
  }

  /** Takes one; false and nothing taken where there is none. */
  take(now: Millis): boolean {
    if (!this.available(now)) return false;
    this.#tokens--;
    return true;
  }

  /** Whole milliseconds until one is there. */
  wait(now: Millis): Millis {
    this.#fill(now);
    return this.#tokens >= 1 ? 0 : Math.ceil((1 - this.#tokens) / this.#perMs);
  }

  #fill(now: Millis): void {
    if (now > this.#at) {
      this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#at) * this.#perMs);
      this.#at = now;
    }
  }
}

export interface RateLimits {
  readonly perSource: { readonly perSecond: number; readonly burst: number };
  /** All strangers together. */
  readonly strangers: { readonly perSecond: number; readonly burst: number };
  /** All configured sources together. */
  readonly known: { readonly perSecond: number; readonly burst: number };
  /** Sources remembered. */
  readonly sources: number;
}

/**
 * Limits requests per source and altogether. Configured sources have a budget of their own, so that a flood from many
 * (spoofed) addresses leaves it alone. The table forgets the source that was quiet longest; a forgotten source starts afresh,
 * which is why the common budgets exist.
 */
export class RateLimiter {
  readonly #limits: RateLimits;
  readonly #buckets = new Map<string, TokenBucket>();
  readonly #strangers: TokenBucket;
  readonly #known: TokenBucket;

  constructor(limits: RateLimits, now: Millis) {
    this.#limits = limits;
    this.#strangers = new TokenBucket(limits.strangers.perSecond, limits.strangers.burst, now);
    this.#known = new TokenBucket(limits.known.perSecond, limits.known.burst, now);
  }

  get size(): number {
    return this.#buckets.size;
  }

  /** `source`: address-policy.ts sourceKey. */
  take(source: string, known: boolean, now: Millis): 'taken' | 'source-rate' | 'total-rate' {
    const bucket = this.#bucket(source, now);
    if (!bucket.available(now)) return 'source-rate';
    if (!(known ? this.#known : this.#strangers).take(now)) return 'total-rate';
    bucket.take(now);
    return 'taken';
  }

  #bucket(source: string, now: Millis): TokenBucket {
    const { perSource, sources } = this.#limits;
    let bucket = this.#buckets.get(source);
    if (bucket === undefined) {
      if (this.#buckets.size >= sources) {
        const oldest = this.#buckets.keys().next().value;
        if (oldest !== undefined) this.#buckets.delete(oldest);
      }
      bucket = new TokenBucket(perSource.perSecond, perSource.burst, now);
    } else {
      this.#buckets.delete(source); // to the end: the order of the table is that of use
    }
    this.#buckets.set(source, bucket);
    return bucket;
  }
}
