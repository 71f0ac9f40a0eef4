/**
 * Wrong passwords for one account, from wherever they come: after a few, proofs for it are refused unexamined and one more
 * try comes back with time. A place that has shown the right password goes on, so that a guesser does not lock the user
 * out. Accounts that do not exist are treated alike. Bounded: the account not tried for longest is forgotten.
 */
import type { Millis } from '../machine/machine.ts';
import { TokenBucket } from '../machine/token-bucket.ts';

export interface BackOffOptions {
  /** Wrong passwords at once. */
  readonly failures: number;
  /** One more try in this time. */
  readonly refillMs: Millis;
  /** A good place is remembered for this time. */
  readonly trustMs: Millis;
  /** Accounts, and places of all accounts, remembered. */
  readonly capacity: number;
}

export const BACK_OFF_DEFAULTS: BackOffOptions = {
  failures: 10,
  refillMs: 60_000,
  trustMs: 24 * 3600_000,
  capacity: 10_000,
};

export class AccountBackOff {
  readonly #options: BackOffOptions;
  /** In order of use. */
  readonly #tries = new Map<string, TokenBucket>();
  /** When a place last showed the right password, by account and source. */
  readonly #places = new Map<string, Millis>();

  constructor(options: Partial<BackOffOptions> = {}) {
    this.#options = { ...BACK_OFF_DEFAULTS, ...options };
  }

  get size(): number {
    return this.#tries.size + this.#places.size;
  }

  /** Whether a proof for `account` from `source` may be examined now. */
  allows(account: string, source: string, now: Millis): boolean {
    const shown = this.#places.get(placeKey(account, source));
    if (shown !== undefined && now - shown <= this.#options.trustMs) return true;
    return this.#tries.get(account)?.has(1, now) ?? true;
  }

  /** The proof was wrong. */
  failed(account: string, source: string, now: Millis): void {
    const { failures, refillMs, capacity } = this.#options;
    // A good place that errs loses its privilege: the device behind an address may have changed.
    this.#places.delete(placeKey(account, source));
    const bucket = this.#tries.get(account) ?? new TokenBucket(failures, 1000 / refillMs, now);
    if (bucket.has(1, now)) bucket.spend(1);
    remember(this.#tries, account, bucket, capacity);
  }

  /** The proof was right. */
  succeeded(account: string, source: string, now: Millis): void {
    remember(this.#places, placeKey(account, source), now, this.#options.capacity);
  }
}

function placeKey(account: string, source: string): string {
  return `${source}\n${account}`;
}

/** To the end of the table, and the longest unused one out. */
function remember<V>(table: Map<string, V>, key: string, value: V, capacity: number): void {
  table.delete(key);
  table.set(key, value);
  if (table.size <= capacity) return;
  const oldest = table.keys().next().value;
  if (oldest !== undefined) table.delete(oldest);
}
