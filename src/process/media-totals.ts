import type { PlaneEvent, StreamCounters } from '../media/plane-contract.ts';
import { REFUSALS } from '../media/plane-contract.ts';
import { increase, type MediaTotals } from '../store/metrics.ts';

type Totals = { -readonly [K in keyof MediaTotals]: MediaTotals[K] extends number ? number : number[] };

/** Sums up the plane's counters over all streams, those that have ended included. */
export class MediaTotalsBook {
  readonly #ended = zero();
  readonly #live = new Map<string, StreamCounters>();
  /** By worker, since it began. */
  readonly #strangers = new Map<number, number>();

  report(shard: number, { streams, strangers }: Extract<PlaneEvent, { kind: 'counters' }>): void {
    for (const stream of streams) this.#live.set(key(stream), stream);
    if (strangers === undefined) return;
    this.#ended.strangers += increase(strangers, this.#strangers.get(shard));
    this.#strangers.set(shard, strangers);
  }

  closed(stream: StreamCounters): void {
    this.#live.delete(key(stream));
    add(this.#ended, stream);
  }

  totals(): MediaTotals {
    const sum = { ...this.#ended, refused: [...this.#ended.refused] };
    for (const stream of this.#live.values()) add(sum, stream);
    return sum;
  }
}

function key(stream: StreamCounters): string {
  return `${stream.session} ${stream.stream}`;
}

function zero(): Totals {
  return {
    packetsIn: 0,
    packetsOut: 0,
    framesToTunnel: 0,
    framesFromTunnel: 0,
    framesLost: 0,
    lostIn: 0,
    lateIn: 0,
    duplicatesIn: 0,
    lostOut: 0,
    tunnelLost: 0,
    framesDuplicate: 0,
    strangers: 0,
    refused: REFUSALS.map(() => 0),
  };
}

function add(sum: Totals, stream: StreamCounters): void {
  sum.packetsIn += stream.packetsIn;
  sum.packetsOut += stream.packetsOut;
  sum.framesToTunnel += stream.framesToTunnel;
  sum.framesFromTunnel += stream.framesFromTunnel;
  sum.framesLost += stream.framesLost;
  sum.lostIn += stream.lostIn;
  sum.lateIn += stream.lateIn;
  sum.duplicatesIn += stream.duplicatesIn;
  sum.lostOut += Math.max(0, stream.lostOut);
  sum.tunnelLost += Math.max(0, stream.tunnelLost);
  sum.framesDuplicate += stream.framesDuplicate;
  stream.refused.forEach((count, slot) => {
    sum.refused[slot] = (sum.refused[slot] ?? 0) + count;
  });
}
