import { ownPlace, type Place } from '../machine/cells.ts';

/** Packets received in a row after which a loss begins nothing of a burst (RFC 3611 4.7.2). */
export const GMIN = 16;

/** Bursts and gaps, RFC 3611 4.7.2. Densities in 0..1, durations in packets. */
export interface BurstGap {
  readonly burstDensity: number;
  readonly gapDensity: number;
  readonly burstPackets: number;
  readonly gapPackets: number;
}

/** The run that goes on: packets received since the last loss. */
export const RUN_CELLS = 1;

/**
 * How losses lie among the packets of one source: the model of four states of RFC 3611 A.2, fed with what was received and what was not,
 * in the order of sequence numbers. A receiver of a packet counts one up; only a loss does more.
 */
export class LossRuns {
  readonly #cells: Float64Array;
  readonly #at: number;
  /** Losses in a row, or with few received between: the burst that may be going on. */
  #lost = 0;
  #c11 = 0;
  #c13 = 0;
  #c14 = 0;
  #c22 = 0;
  #c23 = 0;
  #c33 = 0;
  #losses = 0;
  #runs = 0;

  constructor(place: Place = ownPlace(RUN_CELLS)) {
    this.#cells = place.cells;
    this.#at = place.at;
  }

  received(): void {
    receivedOne(this.#cells, this.#at);
  }

  lost(): void {
    const received = this.#cells[this.#at]!;
    this.#losses++;
    if (received >= GMIN) {
      if (this.#lost === 1) this.#c14++;
      else if (this.#lost > 1) this.#c13++;
      this.#lost = 1;
      this.#c11 += received;
      this.#runs++;
    } else {
      this.#lost++;
      if (received === 0) {
        this.#c33++;
        if (this.#losses === 1) this.#runs++;
      } else {
        this.#c23++;
        this.#c22 += received - 1;
        this.#runs++;
      }
    }
    this.#cells[this.#at] = 0;
  }

  /** Runs of lost packets are longer than random loss would make them, by this factor (G.107 7.4); at least 1. */
  burstRatio(expected: number): number {
    if (this.#runs === 0 || expected <= 0) return 1;
    const mean = this.#losses / this.#runs;
    const random = 1 / (1 - Math.min(0.99, this.#losses / expected));
    return Math.max(1, mean / random);
  }

  /** RFC 3611 A.2, transition counts and what follows from them. */
  burstGap(): BurstGap {
    // What goes on is counted as if it ended now.
    const c11 = this.#c11 + this.#cells[this.#at]!;
    const c14 = this.#c14 + (this.#lost === 1 ? 1 : 0);
    const c13 = this.#c13 + (this.#lost > 1 ? 1 : 0);
    const [c22, c23, c33] = [this.#c22, this.#c23, this.#c33];
    const c31 = c13;
    const c32 = c23;
    const total = c11 + c14 + c13 + c22 + c23 + c31 + c32 + c33;
    const p32 = c31 + c32 + c33 === 0 ? 0 : c32 / (c31 + c32 + c33);
    const p23 = c22 + c23 < 1 ? 1 : 1 - c22 / (c22 + c23);
    const gapPackets = c13 === 0 ? total : (c11 + c14 + c13) / c13;
    return {
      burstDensity: c13 === 0 ? 0 : p23 / (p23 + p32),
      gapDensity: c11 + c14 === 0 ? 0 : c14 / (c11 + c14),
      burstPackets: c13 === 0 ? 0 : Math.max(0, total / c13 - gapPackets),
      gapPackets,
    };
  }
}

/** As `LossRuns.received`. */
export function receivedOne(cells: Float64Array, at: number): void {
  cells[at]!++;
}
