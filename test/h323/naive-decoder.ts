/**
 * Aligned PER (X.691) bit by bit, straight from the type tables: the oracle of the PER tests and, with naive-encoder.ts, the baseline of bench/per.ts. Shares
 * no code with src/h323/per but the tables. Throws where an encoding or a value is wrong; knows no limits.
 */
import type { PerModule } from '../../src/h323/per/compile.ts';
import type { Size, TypeSpec } from '../../src/h323/per/types.ts';
import type { Fields, Kind } from './naive-common.ts';
import { bitOf, characters, flat, log2 } from './naive-common.ts';

export class NaiveDecoder {
  readonly #bits: readonly number[];
  #at = 0;

  private constructor(bits: readonly number[]) {
    this.#bits = bits;
  }

  /** The value of a complete encoding; throws where it is wrong or something is left over. */
  static decode(module: PerModule, type: TypeSpec, bytes: Uint8Array): unknown {
    const bits = [...bytes].flatMap((octet) => [0, 1, 2, 3, 4, 5, 6, 7].map((i) => bitOf(octet, i)));
    const decoder = new NaiveDecoder(bits);
    const value = decoder.#value(module, type);
    const used = Math.max(1, Math.ceil(decoder.#at / 8));
    if (used !== bytes.length) throw new Error('left over');
    return value;
  }

  #one(): number {
    const bit = this.#bits[this.#at++];
    if (bit === undefined) throw new Error('end');
    return bit;
  }

  #number(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i++) value = 2 * value + this.#one();
    return value;
  }

  #align(): void {
    while (this.#at % 8 !== 0) this.#at++;
  }

  #range(lb: number, ub: number): number {
    const range = ub - lb + 1;
    let offset: number;
    if (range < 256) offset = this.#number(log2(range));
    else if (range <= 65_536) {
      this.#align();
      offset = this.#number(range === 256 ? 8 : 16);
    } else {
      const most = Math.ceil(log2(range) / 8);
      const count = 1 + this.#number(log2(most));
      if (count > most) throw new Error('octets');
      this.#align();
      offset = this.#number(8 * count);
    }
    if (offset >= range) throw new Error('range');
    return lb + offset;
  }

  /** [length, whether a fragment]. */
  #length(size: Size): [number, boolean] {
    if (size.ub !== undefined && size.ub < 65_536) return [this.#range(size.lb, size.ub), false];
    this.#align();
    if (this.#one() === 0) return [this.#number(7), false];
    if (this.#one() === 0) return [this.#number(14), false];
    const pieces = this.#number(6);
    if (pieces < 1 || pieces > 4) throw new Error('fragment');
    return [16_384 * pieces, true];
  }

  /** Calls `unit` as often as the length says; `aligned` says where units start. */
  #units(size: Size, aligned: boolean, unit: () => void): void {
    let total = 0;
    for (let more = true; more; ) {
      const [length, fragment] = this.#length(size);
      more = fragment;
      total += length;
      if (aligned && length > 0) this.#align();
      for (let i = 0; i < length; i++) unit();
    }
    if (total < size.lb || total > (size.ub ?? Infinity)) throw new Error('size');
  }

  #general(): Uint8Array {
    const out: number[] = [];
    this.#units({ lb: 0, ub: undefined }, true, () => out.push(this.#number(8)));
    return Uint8Array.from(out);
  }

  #small(): number {
    if (this.#one() === 0) return this.#number(6);
    const octets = this.#general();
    if (octets.length < 1 || octets.length > 4) throw new Error('small number');
    return octets.reduce((value, octet) => 256 * value + octet, 0);
  }

  #open(module: PerModule, type: TypeSpec): unknown {
    const bytes = this.#general();
    const bits = [...bytes].flatMap((octet) => [0, 1, 2, 3, 4, 5, 6, 7].map((i) => bitOf(octet, i)));
    return new NaiveDecoder(bits).#value(module, type);
  }

  #value(module: PerModule, type: TypeSpec): unknown {
    if (typeof type === 'string') {
      const named = module.describe(type);
      return this.#value(named.module, named.spec);
    }
    switch (type.kind) {
      case 'boolean':
        return this.#one() === 1;
      case 'null':
        return null;
      case 'open':
        return this.#general();
      case 'oid':
        return this.#oid();
      case 'integer':
        return this.#integer(type);
      case 'enumerated': {
        if (type.additions !== undefined && this.#one() === 1)
          return type.additions[this.#small()] ?? 'unknown';
        return type.root[this.#range(0, type.root.length - 1)];
      }
      case 'octets': {
        const out: number[] = [];
        const fixed = type.size.lb === type.size.ub;
        this.#units(type.size, !fixed || type.size.lb > 2, () => out.push(this.#number(8)));
        return Uint8Array.from(out);
      }
      case 'bits': {
        const out: number[] = [];
        const fixed = type.size.lb === type.size.ub;
        this.#units(type.size, !fixed || type.size.lb > 16, () => out.push(this.#one()));
        const bytes = new Uint8Array(Math.ceil(out.length / 8));
        for (const [i, bit] of out.entries()) bytes[i >> 3]! += bit * 2 ** (7 - (i % 8));
        return { bits: out.length, bytes };
      }
      case 'string':
        return this.#text(type);
      case 'of': {
        const out: unknown[] = [];
        this.#units(type.size, false, () => out.push(this.#value(module, type.item)));
        return out;
      }
      case 'sequence':
        return this.#sequence(module, type);
      case 'choice':
        return this.#choice(module, type);
    }
  }

  #oid(): string {
    const arcs: bigint[] = [];
    let arc = 0n;
    for (const octet of this.#general()) {
      arc = arc * 128n + BigInt(octet % 128);
      if (octet >= 128) continue;
      arcs.push(arc);
      arc = 0n;
    }
    const [joint, ...rest] = arcs;
    const first = joint! < 40n ? 0n : joint! < 80n ? 1n : 2n;
    return [first, joint! - 40n * first, ...rest].join('.');
  }

  #integer(type: Kind<'integer'>): number | bigint {
    const outside = type.extensible && this.#one() === 1;
    if (!outside && type.lb !== undefined && type.ub !== undefined) return this.#range(type.lb, type.ub);
    const octets = this.#general();
    if (octets.length === 0) throw new Error('empty integer');
    let value = 0n;
    for (const octet of octets) value = 256n * value + BigInt(octet);
    if (!outside && type.lb !== undefined) value += BigInt(type.lb);
    else if (octets[0]! >= 128) value -= 256n ** BigInt(octets.length);
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }

  #text(type: Kind<'string'>): string {
    const { bits, codes } = characters(type);
    const most = (type.size.ub ?? 65_536) * bits;
    const fixed = type.size.lb === type.size.ub;
    let out = '';
    this.#units(type.size, fixed ? most > 16 : most >= 16, () => {
      const raw = this.#number(bits);
      const code = codes === undefined ? raw : codes[raw];
      const inside = type.alphabet === undefined || type.alphabet.includes(String.fromCharCode(code ?? 0));
      if (code === undefined || !inside || (type.charset === 'ia5' && code > 127))
        throw new Error('alphabet');
      out += String.fromCharCode(code);
    });
    return out;
  }

  #sequence(module: PerModule, type: Kind<'sequence'>): Fields {
    const out: Fields = {};
    const extended = type.additions !== undefined && this.#one() === 1;
    const present = new Set(type.root.filter((f) => f.length === 3 && this.#one() === 1).map((f) => f[0]));
    for (const field of type.root) {
      if (field.length === 2 || present.has(field[0])) out[field[0]] = this.#value(module, field[1]);
    }
    if (!extended) return out;
    const count = this.#one() === 0 ? this.#number(6) + 1 : this.#length({ lb: 0, ub: undefined })[0];
    const bitmap = Array.from({ length: count }, () => this.#one());
    const additions = flat(type.additions!);
    for (const [i, bit] of bitmap.entries()) {
      if (bit === 0) continue;
      const field = additions[i];
      if (field === undefined) this.#general();
      else out[field[0]] = this.#open(module, field[1]);
    }
    return out;
  }

  #choice(module: PerModule, type: Kind<'choice'>): unknown {
    if (type.additions === undefined || this.#one() === 0) {
      const [choice, inner] = type.root[this.#range(0, type.root.length - 1)]!;
      return { choice, value: this.#value(module, inner) };
    }
    const index = this.#small();
    const addition = type.additions[index];
    if (addition === undefined) return { choice: 'unknown', value: { index, bytes: this.#general() } };
    return { choice: addition[0], value: this.#open(module, addition[1]) };
  }
}
