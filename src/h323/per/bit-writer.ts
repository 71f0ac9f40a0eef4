/** Grows while an aligned PER encoding is written, first bit of each octet first. Bits not written yet are 0. */
export class BitWriter {
  #buffer = new Uint8Array(256);
  #pos = 0;

  /** Bits written. */
  get pos(): number {
    return this.#pos;
  }

  /** A copy of the whole octets so far. */
  bytes(): Uint8Array {
    return this.#buffer.slice(0, (this.#pos + 7) >> 3);
  }

  bit(value: boolean): void {
    this.#reserve(1);
    if (value) this.#buffer[this.#pos >> 3]! |= 0x80 >> (this.#pos & 7);
    this.#pos++;
  }

  /** `value` 0 .. 2^count - 1, `count` 0 .. 32. */
  bits(value: number, count: number): void {
    this.#reserve(count);
    let left = count;
    while (left > 0) {
      const room = 8 - (this.#pos & 7);
      const take = Math.min(room, left);
      left -= take;
      const chunk = (value >>> left) & ((1 << take) - 1);
      this.#buffer[this.#pos >> 3]! |= chunk << (room - take);
      this.#pos += take;
    }
  }

  align(): void {
    this.#pos = (this.#pos + 7) & ~7;
    this.#reserve(0);
  }

  /** An aligned unsigned number in `count` octets. */
  number(value: number, count: number): void {
    this.align();
    this.#reserve(8 * count);
    const at = this.#pos >> 3;
    let left = value;
    for (let i = count - 1; i >= 0; i--) {
      this.#buffer[at + i] = left % 256;
      left = Math.floor(left / 256);
    }
    this.#pos += 8 * count;
  }

  /** The first `count` bits of `bytes`, from an octet boundary where `aligned`. */
  put(bytes: Uint8Array, count: number, aligned: boolean): void {
    if (aligned && count > 0) this.align(); // a field of no bits is not padded (X.691 11.9.3.3)
    if ((this.#pos & 7) === 0 && (count & 7) === 0) {
      this.#reserve(count);
      this.#buffer.set(bytes.subarray(0, count >> 3), this.#pos >> 3);
      this.#pos += count;
      return;
    }
    for (let i = 0, left = count; left > 0; i++, left -= 8) {
      const take = Math.min(8, left);
      this.bits(bytes[i]! >> (8 - take), take);
    }
  }

  /** Inserts one octet at octet `at`, moving what follows. */
  insert(at: number, octet: number): void {
    this.align();
    this.#reserve(8);
    this.#buffer.copyWithin(at + 1, at, this.#pos >> 3);
    this.#buffer[at] = octet;
    this.#pos += 8;
  }

  patch(at: number, octet: number): void {
    this.#buffer[at] = octet;
  }

  /** Takes everything from octet `at` on out again. */
  cut(at: number): Uint8Array {
    const out = this.#buffer.slice(at, (this.#pos + 7) >> 3);
    this.#buffer.fill(0, at, at + out.length);
    this.#pos = 8 * at;
    return out;
  }

  #reserve(count: number): void {
    const needed = (this.#pos + count + 7) >> 3;
    if (needed <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.max(needed, 2 * this.#buffer.length));
    grown.set(this.#buffer);
    this.#buffer = grown;
  }
}
