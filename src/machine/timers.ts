import type { Millis } from './machine.ts';

/**
 * A set of keyed deadlines: one timer per key, earliest first. Thousands of machines register here so that a
 * gateway's `deadline()` does not walk them all. A binary heap with lazy deletion: cancelling leaves a stale
 * entry that is skipped, and the heap is rebuilt when stale entries outnumber live ones.
 */
export class Timers<Key> {
  #due = new Map<Key, Millis>();
  #heap: { at: Millis; key: Key }[] = [];

  get size(): number {
    return this.#due.size;
  }

  /** Sets, moves (a number) or cancels (undefined) the timer of `key`. */
  set(key: Key, at: Millis | undefined): void {
    if (at === undefined) {
      this.#due.delete(key);
    } else if (this.#due.get(key) !== at) {
      this.#due.set(key, at);
      this.#push({ at, key });
    }
    if (this.#heap.length > 64 && this.#heap.length > 2 * this.#due.size) this.#rebuild();
  }

  /** The earliest deadline, or undefined. */
  next(): Millis | undefined {
    this.#dropStale();
    return this.#heap[0]?.at;
  }

  /** Removes and returns one key whose deadline is at or before `now`. */
  take(now: Millis): Key | undefined {
    this.#dropStale();
    const top = this.#heap[0];
    if (top === undefined || top.at > now) return undefined;
    this.#pop();
    this.#due.delete(top.key);
    return top.key;
  }

  #dropStale(): void {
    for (let top = this.#heap[0]; top !== undefined; top = this.#heap[0]) {
      if (this.#due.get(top.key) === top.at) return;
      this.#pop();
    }
  }

  #rebuild(): void {
    this.#heap = [...this.#due].map(([key, at]) => ({ at, key })).sort((a, b) => a.at - b.at);
  }

  #push(entry: { at: Millis; key: Key }): void {
    const heap = this.#heap;
    let i = heap.push(entry) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (heap[parent]!.at <= entry.at) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.at < heap[child]!.at) child++;
      if (heap[child]!.at >= last.at) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
  }
}
