/** Support of tests, holds none. */
import type { Random } from './machine.ts';

/** Seeded randomness (mulberry32): a failing run replays from its seed. */
export class SeededRandom implements Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  uint32(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.uint32() & 255);
  }

  /** 0 <= x < 1 */
  real(): number {
    return this.uint32() / 0x1_0000_0000;
  }

  below(n: number): number {
    return Math.floor(this.real() * n);
  }
}
