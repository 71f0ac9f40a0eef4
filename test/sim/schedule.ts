/** Virtual time: what happens when, in order; ties in order of scheduling. */
export class Schedule {
  now = 0;
  #queue: { at: number; order: number; run: () => void }[] = [];
  #order = 0;

  get size(): number {
    return this.#queue.length;
  }

  after(ms: number, run: () => void): void {
    const entry = { at: this.now + Math.max(0, ms), order: this.#order++, run };
    let low = 0;
    let high = this.#queue.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#queue[middle]!;
      if (other.at < entry.at || (other.at === entry.at && other.order < entry.order)) low = middle + 1;
      else high = middle;
    }
    this.#queue.splice(low, 0, entry);
  }

  /** Time of the next thing to happen. */
  next(): number | undefined {
    return this.#queue[0]?.at;
  }

  /** Runs what is due at `at` (which becomes now). */
  advance(at: number): void {
    this.now = at;
    for (let top = this.#queue[0]; top !== undefined && top.at <= at; top = this.#queue[0]) {
      this.#queue.shift();
      top.run();
    }
  }
}
