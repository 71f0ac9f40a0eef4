import type { Millis } from './machine.ts';
import type { Timers } from './timers.ts';

/** One deadline of one object: what the shared Timers hold as key. Fires once per `set`. */
export class Alarm {
  readonly fire: () => void;
  readonly #timers: Timers<Alarm>;

  constructor(timers: Timers<Alarm>, fire: () => void) {
    this.#timers = timers;
    this.fire = fire;
  }

  /** Sets, moves (a number) or cancels (undefined). */
  set(at: Millis | undefined): void {
    this.#timers.set(this, at);
  }
}
