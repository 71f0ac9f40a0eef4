/** Counters of all streams that one call has or had: what the plane has finished, and the latest of what it has not. */
import type { CallId } from '../meta/message.ts';
import type { SessionId, StreamCounters, StreamId } from './plane-contract.ts';
import { addCounters, noCounters } from './stream-counters.ts';

export class CallCounters {
  readonly #call: CallId;
  readonly #done = new Map<number, StreamCounters>();
  readonly #live = new Map<number, StreamCounters>();

  constructor(call: CallId) {
    this.#call = call;
  }

  get none(): boolean {
    return this.#done.size === 0 && this.#live.size === 0;
  }

  /** The latest of an open stream, counted since it was opened. */
  latest(index: number, counters: StreamCounters): void {
    this.#live.set(index, counters);
  }

  /** The last of a stream that the plane has closed. */
  final(index: number, counters: StreamCounters): void {
    this.#done.set(index, addCounters(this.#done.get(index), counters));
    this.#live.delete(index);
  }

  /** Their worker died: what it said last is all there will be, a successor counts from the beginning. */
  workerLost(): void {
    for (const [index, counters] of this.#live)
      this.#done.set(index, addCounters(this.#done.get(index), counters));
    this.#live.clear();
  }

  /** Of each stream, by index; zero where the plane has nothing to report of one that is open. */
  all(
    open: ReadonlyMap<
      number,
      { readonly config: { readonly session: SessionId; readonly stream: StreamId } }
    >,
  ): StreamCounters[] {
    const indices = [...new Set([...this.#done.keys(), ...this.#live.keys(), ...open.keys()])];
    return indices
      .sort((a, b) => a - b)
      .map((index) => {
        const done = this.#done.get(index);
        const now = this.#live.get(index);
        const { session, stream } = open.get(index)?.config ?? done ?? now!;
        if (now === undefined) return done ?? noCounters(session, stream, this.#call);
        return addCounters(done, now);
      });
  }
}
