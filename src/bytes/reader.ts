/**
 * A bounded big-endian reader. It never throws: reading past the end returns 0 (or empty bytes) and sets
 * `failed`, which stays set, so a decoder checks once at its end.
 */
export class Reader {
  readonly bytes: Uint8Array;
  readonly end: number;
  offset: number;
  failed = false;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.bytes = bytes;
    this.offset = start;
    this.end = end;
  }

  get remaining(): number {
    return this.end - this.offset;
  }

  u8(): number {
    return this.#take(1) ? this.bytes[this.offset - 1]! : 0;
  }

  u16(): number {
    if (!this.#take(2)) return 0;
    const { bytes, offset } = this;
    return (bytes[offset - 2]! << 8) | bytes[offset - 1]!;
  }

  u32(): number {
    if (!this.#take(4)) return 0;
    const { bytes, offset: o } = this;
    return ((bytes[o - 4]! << 24) | (bytes[o - 3]! << 16) | (bytes[o - 2]! << 8) | bytes[o - 1]!) >>> 0;
  }

  /** Eight octets; fails above 2^53-1. */
  u64(): number {
    const high = this.u32();
    const low = this.u32();
    if (high > 0x1f_ffff) this.failed = true;
    return this.failed ? 0 : high * 0x1_0000_0000 + low;
  }

  /** A view (not a copy) of the next `length` octets. */
  raw(length: number): Uint8Array {
    return this.#take(length) ? this.bytes.subarray(this.offset - length, this.offset) : new Uint8Array(0);
  }

  #take(count: number): boolean {
    if (this.failed || count < 0 || this.offset + count > this.end) {
      this.failed = true;
      return false;
    }
    this.offset += count;
    return true;
  }
}
