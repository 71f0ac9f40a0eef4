import type { Millis } from '../machine/machine.ts';

/** Jitter (RFC 3550 A.8) of what one far end sends. */
export class Reception {
  #transit = 0;
  #hasTransit = false;
  #clockRate = 8000;
  #jitter = 0; // in timestamp units

  get jitterMs(): number {
    return (this.#jitter / this.#clockRate) * 1000;
  }

  /** In timestamp units, as reports want it (RFC 3550 6.4.1). */
  get jitter(): number {
    return Math.floor(this.#jitter);
  }

  newSource(): void {
    this.#hasTransit = false;
  }

  arrived(timestamp: number, clockRate: number, event: boolean, now: Millis): void {
    // The packets of one event all carry the event's start (RFC 4733 2.2.1): they say nothing of jitter.
    if (event) {
      this.#hasTransit = false;
      return;
    }
    const transit = ((now / 1000) * clockRate - timestamp) % 0x1_0000_0000;
    if (this.#hasTransit && this.#clockRate === clockRate) {
      let d = Math.abs(transit - this.#transit);
      if (d > 0x8000_0000) d = 0x1_0000_0000 - d;
      // A pause or a step of the timestamp is not jitter.
      if (d < clockRate) this.#jitter += (d - this.#jitter) / 16;
    }
    this.#clockRate = clockRate;
    this.#transit = transit;
    this.#hasTransit = true;
  }
}

/** Share of packets lost since the last report, in 1/256 (RFC 3550 A.3). */
export class IntervalLoss {
  #expected = 0;
  #received = 0;

  next(expected: number, received: number): number {
    const wanted = expected - this.#expected;
    const lost = wanted - (received - this.#received);
    this.#expected = expected;
    this.#received = received;
    return wanted <= 0 || lost <= 0 ? 0 : Math.min(255, Math.floor((lost * 256) / wanted));
  }
}

/** The reports this gateway sent, so that LSR and DLSR give the round trip (RFC 3550 6.4.1). */
export class RoundTrip {
  readonly #sent: { middle: number; at: Millis }[] = [];
  ms = -1;

  /** `middle`: the middle 32 bits of the NTP timestamp in a sender report sent `now`. */
  sent(middle: number, now: Millis): void {
    this.#sent.push({ middle, at: now });
    if (this.#sent.length > 4) this.#sent.shift();
  }

  /** A report block came. `delay` in 1/65536 s. Claims about reports never sent are ignored. */
  reported(lastReport: number, delay: number, now: Millis): void {
    const report = this.#sent.find((s) => s.middle === lastReport);
    if (report === undefined || lastReport === 0) return;
    const ms = now - report.at - (delay * 1000) / 65536;
    if (ms >= -1 && ms < 30_000) this.ms = Math.max(0, ms);
  }
}
