/** Payloads numbered but not yet acknowledged, oldest first: the memory that makes replay possible. */
export class Outbox {
  readonly #maxCount: number;
  readonly #maxBytes: number;
  #items: Uint8Array[] = [];
  /** Items before this index are acknowledged; dropped in bulk so that an acknowledgement costs amortised O(1). */
  #head = 0;
  #bytes = 0;
  #last = 0;

  constructor(maxCount: number, maxBytes: number) {
    this.#maxCount = maxCount;
    this.#maxBytes = maxBytes;
  }

  /** Payloads waiting. */
  get count(): number {
    return this.#items.length - this.#head;
  }

  /** Number given last; 0 before the first. */
  get last(): number {
    return this.#last;
  }

  /** The payload's number, or undefined where the buffer is full. */
  add(payload: Uint8Array): number | undefined {
    if (this.count >= this.#maxCount || this.#bytes + payload.length > this.#maxBytes) return undefined;
    this.#items.push(payload);
    this.#bytes += payload.length;
    return ++this.#last;
  }

  /** Forgets everything up to `number`; a number acknowledged before changes nothing. */
  acknowledge(number: number): void {
    const first = this.#last - this.count + 1;
    for (let n = first; n <= number && this.#head < this.#items.length; n++) {
      this.#bytes -= this.#items[this.#head]!.length;
      this.#items[this.#head++] = EMPTY;
    }
    if (this.#head > 64 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Every waiting payload above `number`, in order. */
  *after(number: number): Generator<{ readonly number: number; readonly payload: Uint8Array }> {
    const first = this.#last - this.count + 1;
    for (let n = Math.max(first, number + 1); n <= this.#last; n++) {
      yield { number: n, payload: this.#items[this.#head + n - first]! };
    }
  }
}

const EMPTY = new Uint8Array(0);
