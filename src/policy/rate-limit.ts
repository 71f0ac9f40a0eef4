/** A token bucket per source in a bounded table, and two for all together. */
import type { Millis } from '../machine/machine.ts';
import { TokenBucket } from '../machine/token-bucket.ts';

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
    this.#strangers = new TokenBucket(limits.strangers.burst, limits.strangers.perSecond, now);
    this.#known = new TokenBucket(limits.known.burst, limits.known.perSecond, now);
  }

  get size(): number {
    return this.#buckets.size;
  }

  /** `source`: address-policy.ts sourceKey. */
  take(source: string, known: boolean, now: Millis): 'taken' | 'source-rate' | 'total-rate' {
    const bucket = this.#bucket(source, now);
    if (!bucket.has(1, now)) return 'source-rate';
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
      bucket = new TokenBucket(perSource.burst, perSource.perSecond, now);
    } else {
      this.#buckets.delete(source); // to the end: the order of the table is that of use
    }
    this.#buckets.set(source, bucket);
    return bucket;
  }
}
