/** A growing big-endian byte writer. `bytes()` returns a view of what was written; the writer may be reused after `reset()`. */
export class Writer {
  #buffer: Uint8Array;
  #length = 0;

  constructor(capacity = 256) {
    this.#buffer = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  reset(): void {
    this.#length = 0;
  }

  /** A copy of the written bytes. */
  bytes(): Uint8Array {
    return this.#buffer.slice(0, this.#length);
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
  }

  u16(value: number): void {
    this.#reserve(2);
    this.#buffer[this.#length++] = value >> 8;
    this.#buffer[this.#length++] = value;
  }

  u32(value: number): void {
    this.#reserve(4);
    this.#buffer[this.#length++] = value >>> 24;
    this.#buffer[this.#length++] = value >> 16;
    this.#buffer[this.#length++] = value >> 8;
    this.#buffer[this.#length++] = value;
  }

  /** 0 .. 2^53-1 in eight octets. */
  u64(value: number): void {
    this.u32(Math.floor(value / 0x1_0000_0000));
    this.u32(value >>> 0);
  }

  raw(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  /** Overwrites a 16-bit field written before, e.g. a length that is known only now. */
  patchU16(offset: number, value: number): void {
    this.#buffer[offset] = value >> 8;
    this.#buffer[offset + 1] = value;
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.max(needed, 2 * this.#buffer.length));
    grown.set(this.#buffer);
    this.#buffer = grown;
  }
}
