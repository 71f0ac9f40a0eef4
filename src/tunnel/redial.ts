import type { Millis, Random } from '../machine/machine.ts';

/** When the dialer dials next: a random time up to a ceiling that doubles with each attempt (full jitter). */
export class Redial {
  readonly #backoff: { readonly firstMs: number; readonly maxMs: number };
  readonly #random: Random;
  #attempts = 0;
  at: Millis | undefined;

  constructor(backoff: { readonly firstMs: number; readonly maxMs: number }, random: Random) {
    this.#backoff = backoff;
    this.#random = random;
  }

  /** Does nothing where a dial is due already. */
  schedule(now: Millis): void {
    if (this.at !== undefined) return;
    const { firstMs, maxMs } = this.#backoff;
    const ceiling = Math.min(maxMs, firstMs * 2 ** Math.min(this.#attempts, 30));
    this.#attempts++;
    this.at = now + Math.floor((this.#random.uint32() / 2 ** 32) * ceiling);
  }

  /** After a connection that lasted. */
  reset(): void {
    this.#attempts = 0;
  }
}
