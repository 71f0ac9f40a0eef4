/** Keeps what strangers or a far gateway can provoke from filling the log: each event has a rate of its own. */
import type { Millis } from '../machine/machine.ts';
import { TokenBucket } from '../machine/token-bucket.ts';

const BURST = 50;
const PER_SECOND = 5;

interface EventRate {
  readonly bucket: TokenBucket;
  suppressed: number;
}

export class LogLimit {
  /** Events are short stable texts of our own: bounded in number. */
  readonly #events = new Map<string, EventRate>();

  /** How many lines of this event were left out since the last one, where this one may be written. Everything is counted elsewhere. */
  admit(event: string, now: Millis): number | undefined {
    let rate = this.#events.get(event);
    if (rate === undefined) {
      rate = { bucket: new TokenBucket(BURST, PER_SECOND, now), suppressed: 0 };
      this.#events.set(event, rate);
    }
    if (!rate.bucket.take(now)) {
      rate.suppressed++;
      return undefined;
    }
    const { suppressed } = rate;
    rate.suppressed = 0;
    return suppressed;
  }
}
