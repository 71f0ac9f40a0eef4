import { LRUCache } from 'lru-cache';
import type { Millis } from '../machine/machine.ts';
import { TokenBucket } from '../machine/token-bucket.ts';
import { sourceKey } from './ip.ts';

/** Counts what is open, in total and per source. Bounded by the total: there are never more sources than open things. */
export class SourceCounts {
  readonly #total: number;
  readonly #perSource: number;
  readonly #counts = new Map<string, number>();
  #open = 0;

  constructor(total: number, perSource: number) {
    this.#total = total;
    this.#perSource = perSource;
  }

  get open(): number {
    return this.#open;
  }

  /** Takes a place: gives a function that returns it (once), or the reason for refusing. */
  take(ip: string): (() => void) | 'too-many' | 'too-many-from-source' {
    const key = sourceKey(ip);
    const count = this.#counts.get(key) ?? 0;
    if (this.#open >= this.#total) return 'too-many';
    if (count >= this.#perSource) return 'too-many-from-source';
    this.#open++;
    this.#counts.set(key, count + 1);
    let returned = false;
    return () => {
      if (returned) return;
      returned = true;
      this.#open--;
      const left = this.#counts.get(key)! - 1;
      if (left === 0) this.#counts.delete(key);
      else this.#counts.set(key, left);
    };
  }
}

/** A rate per source, remembered for the 4096 sources seen last. */
export class SourceRates {
  readonly #burst: number;
  readonly #perSecond: number;
  readonly #buckets = new LRUCache<string, TokenBucket>({ max: 4096 });

  constructor(burst: number, perSecond: number) {
    this.#burst = burst;
    this.#perSecond = perSecond;
  }

  take(ip: string, now: Millis): boolean {
    const key = sourceKey(ip);
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      bucket = new TokenBucket(this.#burst, this.#perSecond, now);
      this.#buckets.set(key, bucket);
    }
    return bucket.take(now);
  }
}
