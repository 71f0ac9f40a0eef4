import { ownPlace, type Place } from '../machine/cells.ts';
import type { Millis } from '../machine/machine.ts';

const TRANSIT = 0;
const HAS_TRANSIT = 1;
/** 0: nothing came yet. */
const CLOCK_RATE = 2;
const JITTER = 3; // in timestamp units
export const RECEPTION_CELLS = 4;

/** Jitter (RFC 3550 A.8) of what one far end sends. */
export class Reception {
  readonly #cells: Float64Array;
  readonly #at: number;

  constructor(place: Place = ownPlace(RECEPTION_CELLS)) {
    this.#cells = place.cells;
    this.#at = place.at;
  }

  get jitterMs(): number {
    const clockRate = this.#cells[this.#at + CLOCK_RATE]!;
    return clockRate === 0 ? 0 : (this.#cells[this.#at + JITTER]! / clockRate) * 1000;
  }

  /** In timestamp units, as reports want it (RFC 3550 6.4.1). */
  get jitter(): number {
    return Math.floor(this.#cells[this.#at + JITTER]!);
  }

  newSource(): void {
    this.#cells[this.#at + HAS_TRANSIT] = 0;
  }

  arrived(timestamp: number, clockRate: number, event: boolean, now: Millis): void {
    arrived(this.#cells, this.#at, timestamp, clockRate, event, now);
  }
}

/** As `Reception.arrived`. */
export function arrived(
  cells: Float64Array,
  at: number,
  timestamp: number,
  clockRate: number,
  event: boolean,
  now: Millis,
): void {
  // The packets of one event all carry the event's start (RFC 4733 2.2.1): they say nothing of jitter.
  if (event) {
    cells[at + HAS_TRANSIT] = 0;
    return;
  }
  const transit = ((now / 1000) * clockRate - timestamp) % 0x1_0000_0000;
  if (cells[at + HAS_TRANSIT] === 1 && cells[at + CLOCK_RATE] === clockRate) {
    let d = Math.abs(transit - cells[at + TRANSIT]!);
    if (d > 0x8000_0000) d = 0x1_0000_0000 - d;
    // A pause or a step of the timestamp is not jitter.
    if (d < clockRate) cells[at + JITTER]! += (d - cells[at + JITTER]!) / 16;
  }
  cells[at + CLOCK_RATE] = clockRate;
  cells[at + TRANSIT] = transit;
  cells[at + HAS_TRANSIT] = 1;
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
