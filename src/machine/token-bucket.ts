import type { Place } from './cells.ts';
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
    this.#tokens = refilled(this.#tokens, now - this.#at, this.#perSecond, this.#burst);
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

const TOKENS = 0;
const AT = 1;
const PER_SECOND = 2;
const BURST = 3;
/** Of a bucket that is a part of something's cells (cells.ts). */
export const BUCKET_CELLS = 4;

/** A full one. */
export function makeBucket({ cells, at }: Place, burst: number, perSecond: number, now: Millis): void {
  cells[at + TOKENS] = burst;
  cells[at + AT] = now;
  cells[at + PER_SECOND] = perSecond;
  cells[at + BURST] = burst;
}

/** What is in a bucket, to be put back into it or its successor of the same rate. */
export function keepTokens({ cells, at }: Place): (to: Place) => void {
  const kept = cells.slice(at, at + BUCKET_CELLS);
  return (to) => to.cells.set(kept, to.at);
}

/** As `TokenBucket.has`. */
export function hasTokens(cells: Float64Array, at: number, count: number, now: Millis): boolean {
  const tokens = refilled(
    cells[at + TOKENS]!,
    now - cells[at + AT]!,
    cells[at + PER_SECOND]!,
    cells[at + BURST]!,
  );
  cells[at + TOKENS] = tokens;
  cells[at + AT] = now;
  return tokens >= count;
}

/** After `hasTokens` said yes. */
export function spendTokens(cells: Float64Array, at: number, count: number): void {
  cells[at + TOKENS]! -= count;
}

function refilled(tokens: number, ms: Millis, perSecond: number, burst: number): number {
  return Math.min(burst, tokens + (ms * perSecond) / 1000);
}
