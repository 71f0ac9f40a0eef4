/** Why and where decoding stopped. */
export interface PerError {
  readonly reason: PerReason;
  /** Bits from the start of the encoding (of an open type in fragments: its start). */
  readonly bit: number;
  /** ASN.1 identifiers from the type decoded down to the one that failed, `.` between them, `[n]` for elements. */
  readonly path: string;
}

/**
 * `truncated`: more bits wanted than there are. `trailing`: whole octets left over. `range` (also of an index), `length`,
 * `alphabet`: a constraint of the type is broken. `identifier`: an OBJECT IDENTIFIER's octets are none. `bytes`, `depth`, `elements`,
 * `additions`: a limit of the decoder.
 */
export type PerReason =
  | 'truncated'
  | 'trailing'
  | 'range'
  | 'length'
  | 'alphabet'
  | 'identifier'
  | 'bytes'
  | 'depth'
  | 'elements'
  | 'additions';

/**
 * Bits of an aligned PER encoding, first bit of each octet first. Never throws: past the end, or after a failure, everything
 * reads as 0 and `reason` stays set, so that decoders look at it where they loop.
 */
export class BitReader {
  readonly bytes: Uint8Array;
  /** Next bit, and the bit after the last. */
  pos: number;
  end: number;
  reason: PerReason | undefined;
  failedAt = 0;
  path = '';

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.pos = 0;
    this.end = 8 * bytes.length;
  }

  fail(reason: PerReason): void {
    if (this.reason !== undefined) return;
    this.reason = reason;
    this.failedAt = this.pos;
  }

  /** Prefixes the path of a failure while the decoder unwinds. */
  within(name: string): void {
    this.path = this.path === '' || this.path.startsWith('[') ? name + this.path : `${name}.${this.path}`;
  }

  bit(): number {
    const { pos } = this;
    if (pos >= this.end || this.reason !== undefined) {
      this.fail('truncated');
      return 0;
    }
    this.pos = pos + 1;
    return (this.bytes[pos >> 3]! >> (7 - (pos & 7))) & 1;
  }

  /** `count` 0 .. 32. */
  bits(count: number): number {
    let { pos } = this;
    const stop = pos + count;
    if (stop > this.end || this.reason !== undefined) {
      this.fail('truncated');
      return 0;
    }
    let value = 0;
    while (pos < stop) {
      const room = 8 - (pos & 7);
      const take = Math.min(room, stop - pos);
      const chunk = (this.bytes[pos >> 3]! >> (room - take)) & ((1 << take) - 1);
      value = value * (1 << take) + chunk;
      pos += take;
    }
    this.pos = stop;
    return value;
  }

  /** Padding bits are skipped, whatever they are. */
  align(): void {
    this.pos = (this.pos + 7) & ~7;
  }

  /** An aligned unsigned number of `count` octets, 1 .. 6. */
  number(count: number): number {
    this.align();
    let value = 0;
    if (!this.has(8 * count)) return 0;
    let at = this.pos >> 3;
    for (let i = 0; i < count; i++) value = value * 256 + this.bytes[at++]!;
    this.pos += 8 * count;
    return value;
  }

  /** A copy of `count` bits, from an octet boundary where `aligned`; the unused bits of the last octet are 0. */
  take(count: number, aligned: boolean): Uint8Array {
    if (aligned && count > 0) this.align(); // a field of no bits is not padded (X.691 11.9.3.3)
    if (!this.has(count)) return new Uint8Array(0);
    const at = this.pos >> 3;
    const length = (count + 7) >> 3;
    let out: Uint8Array;
    if ((this.pos & 7) === 0) {
      out = this.bytes.slice(at, at + length);
    } else {
      const shift = this.pos & 7;
      out = new Uint8Array(length);
      for (let i = 0; i < length; i++) {
        out[i] = (this.bytes[at + i]! << shift) | ((this.bytes[at + i + 1] ?? 0) >> (8 - shift));
      }
    }
    if ((count & 7) !== 0) out[length - 1]! &= 0xff << (8 - (count & 7));
    this.pos += count;
    return out;
  }

  has(count: number): boolean {
    if (this.pos + count <= this.end && this.reason === undefined) return true;
    this.fail('truncated');
    return false;
  }
}
