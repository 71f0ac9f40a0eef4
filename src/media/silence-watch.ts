/** When an answered call is silent: nothing moves on any of its streams that is to carry packets both ways. */
import type { Millis } from '../machine/machine.ts';
import type { CallId } from '../meta/message.ts';
import type { StreamCounters, StreamLegConfig } from './plane-contract.ts';
import type { MediaCall } from './stream-config.ts';

/** Counters come every second; a worker that says nothing for so long says nothing of silence either. */
const COUNTERS_OVERDUE_MS = 10_000;

/** When the packets of one open stream last moved, either way. */
export class Movement {
  #packets = 0;
  #at: Millis;

  constructor(now: Millis) {
    this.#at = now;
  }

  get at(): Millis {
    return this.#at;
  }

  /** Its whole time begins: it was opened, agreed on anew, answered. */
  restart(now: Millis): void {
    this.#at = now;
  }

  counted({ packetsIn, packetsOut }: StreamCounters, now: Millis): void {
    const packets = packetsIn + packetsOut;
    if (packets === this.#packets) return;
    this.#packets = packets;
    this.#at = now;
  }

  /** Nobody counted for so long. */
  excuse(ms: Millis, now: Millis): void {
    this.#at = Math.min(now, this.#at + ms);
  }
}

export interface WatchedCall {
  readonly call: CallId;
  readonly data: MediaCall | undefined;
  readonly open: ReadonlyMap<number, { readonly config: StreamLegConfig; readonly movement: Movement }>;
  readonly answered: boolean;
  readonly released: boolean;
  toldSilence: boolean;
}

export class SilenceWatch {
  readonly #limit: () => Millis;
  /** When each worker counted last: what nobody counted was not silence. */
  readonly #countedAt = new Map<number | undefined, Millis>();

  /** `limit`: silent for so long; asked each time, 0: never. */
  constructor(limit: () => Millis) {
    this.#limit = limit;
  }

  /**
   * A worker (`shard`; undefined: the only one) has counted: what it did not tell of did not move. Returns the calls that are silent
   * now and since when in ms, each once.
   */
  counted(
    shard: number | undefined,
    calls: Iterable<WatchedCall>,
    now: Millis,
  ): { readonly call: CallId; readonly ms: Millis }[] {
    const uncounted = now - (this.#countedAt.get(shard) ?? Number.NEGATIVE_INFINITY);
    this.#countedAt.set(shard, now);
    const overdue = uncounted > COUNTERS_OVERDUE_MS;
    const limit = this.#limit();
    if (limit <= 0 && !overdue) return [];
    const silent: { readonly call: CallId; readonly ms: Millis }[] = [];
    for (const call of calls) {
      if (call.open.size === 0 || (shard !== undefined && call.data?.shard !== shard)) continue;
      if (overdue) {
        for (const { movement } of call.open.values()) movement.excuse(uncounted, now);
        continue;
      }
      const ms = silentFor(call, now);
      if (ms < limit || ms === Number.POSITIVE_INFINITY) continue;
      call.toldSilence = true;
      silent.push({ call: call.call, ms });
    }
    return silent;
  }
}

/**
 * Only streams that are to carry packets both ways count: on hold silence is no sign, whoever holds. An emergency call is never given
 * up for being silent: the caller may have to be. Infinite: nothing that can be silent.
 */
function silentFor(call: WatchedCall, now: Millis): Millis {
  if (!call.answered || call.toldSilence || call.released) return Number.POSITIVE_INFINITY;
  if (call.data?.priority === 'emergency') return Number.POSITIVE_INFINITY;
  let movedAt = Number.NEGATIVE_INFINITY;
  for (const { config, movement } of call.open.values())
    if (config.direction === 'sendrecv') movedAt = Math.max(movedAt, movement.at);
  return now - movedAt;
}
