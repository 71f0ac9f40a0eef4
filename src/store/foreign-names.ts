/**
 * Counters by a name the other side chose (header, method, option tag): a table of 100 and `other`, never metric labels,
 * so that a peer that invents names costs a fixed amount of memory.
 */
export class ForeignNames {
  readonly #counts = new Map<string, number>();
  readonly #cap: number;
  #other = 0;

  constructor(cap = 100) {
    this.#cap = cap;
  }

  /** Names are cut at 64 characters and control characters shown as `?`. */
  count(name: string, by = 1): void {
    const key = printable(name);
    const before = this.#counts.get(key);
    if (before !== undefined) this.#counts.set(key, before + by);
    else if (this.#counts.size < this.#cap) this.#counts.set(key, by);
    else this.#other += by;
  }

  /** Most frequent first; `other` last where it is not zero. */
  table(): Readonly<Record<string, number>> {
    const rows = [...this.#counts].sort((a, b) => b[1] - a[1]);
    // The table is data of strangers: a null prototype keeps a header named `__proto__` a plain key.
    const table = Object.assign(Object.create(null) as Record<string, number>, Object.fromEntries(rows));
    if (this.#other > 0) table['(other)'] = this.#other;
    return table;
  }
}

function printable(name: string): string {
  return name.slice(0, 64).replace(/[^\x20-\x7e]/g, '?');
}
