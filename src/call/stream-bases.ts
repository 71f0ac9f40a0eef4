/**
 * Tunnel stream ids of one tunnel session: a call has eight, `streamBase + Stream.index`. Each gateway gives bases to the
 * calls it originates; bit 31 tells whose they are, so that both may choose at once. A base rests after its call, because
 * frames of the old call may still be on their way.
 */
import type { Millis } from '../machine/machine.ts';

const STEP = 8;
const RELAY_BIT = 0x8000_0000;
const FIRST = STEP;
const LAST = 0x7fff_fff8;

export const BASE_REST_MS = 5000;

export class StreamBases {
  readonly #ownBit: 0 | 0x8000_0000;
  readonly #live = new Set<number>();
  /** In the order of their end. */
  readonly #resting = new Map<number, Millis>();
  #next = FIRST;

  constructor(gateway: 'termination-gateway' | 'relay-gateway') {
    this.#ownBit = gateway === 'relay-gateway' ? RELAY_BIT : 0;
  }

  get live(): number {
    return this.#live.size;
  }

  /** A base for a call that begins here. Counts up, so that a base comes back only after all others. */
  allocate(now: Millis): number {
    this.#rested(now);
    for (;;) {
      const base = this.#next + this.#ownBit;
      this.#next = this.#next === LAST ? FIRST : this.#next + STEP;
      if (this.#live.has(base) || this.#resting.has(base)) continue;
      this.#live.add(base);
      return base;
    }
  }

  /** Takes the base the far gateway chose. false: not a base, not its to give, or still in use. */
  accept(base: number, now: Millis): boolean {
    this.#rested(now);
    const valid = Number.isInteger(base) && base >= FIRST && base <= 0xffff_fff8 && base % STEP === 0;
    const theirs = base >= RELAY_BIT ? this.#ownBit === 0 : this.#ownBit === RELAY_BIT;
    // Above the relay bit the first base is RELAY_BIT + 8 as well.
    if (!valid || !theirs || base === RELAY_BIT || this.#live.has(base) || this.#resting.has(base))
      return false;
    this.#live.add(base);
    return true;
  }

  free(base: number, now: Millis): void {
    if (this.#live.delete(base)) this.#resting.set(base, now + BASE_REST_MS);
  }

  #rested(now: Millis): void {
    for (const [base, until] of this.#resting) {
      if (until > now) return;
      this.#resting.delete(base);
    }
  }
}
