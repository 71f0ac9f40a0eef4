import { PerformanceObserver } from 'node:perf_hooks';

/** More within one report would be a disturbance of their own. */
const MOST = 256;

/** How long this process stood still to collect garbage: every collection, and every step of one that is made in steps. */
export class GcPauses {
  #pausesMs: number[] = [];
  readonly #observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) this.#add(entry.duration);
  });

  constructor() {
    this.#observer.observe({ entryTypes: ['gc'] });
  }

  /** Those since the last call, milliseconds; where there were very many, the longest. */
  take(): readonly number[] {
    const taken = this.#pausesMs;
    if (taken.length > 0) this.#pausesMs = [];
    return taken;
  }

  #add(ms: number): void {
    if (this.#pausesMs.length < MOST) {
      this.#pausesMs.push(ms);
      return;
    }
    const least = this.#pausesMs.reduce((at, other, i, all) => (other < all[at]! ? i : at), 0);
    if (ms > this.#pausesMs[least]!) this.#pausesMs[least] = ms;
  }
}
