/** The encoding half of naive-decoder.ts. */
import type { PerModule } from '../../src/h323/per/compile.ts';
import type { Size, TypeSpec } from '../../src/h323/per/types.ts';
import type { Fields, Kind } from './naive-common.ts';
import { bitOf, characters, flat, log2 } from './naive-common.ts';

export class NaiveEncoder {
  readonly #bits: number[] = [];

  static encode(module: PerModule, type: TypeSpec, value: unknown): Uint8Array {
    const encoder = new NaiveEncoder();
    encoder.#value(module, type, value);
    return encoder.#pack();
  }

  #pack(): Uint8Array {
    const out = new Uint8Array(Math.max(1, Math.ceil(this.#bits.length / 8)));
    for (const [i, bit] of this.#bits.entries()) out[i >> 3]! += bit * 2 ** (7 - (i % 8));
    return out;
  }

  #number(value: number, count: number): void {
    for (let i = count - 1; i >= 0; i--) this.#bits.push(Math.floor(value / 2 ** i) % 2);
  }

  #align(): void {
    while (this.#bits.length % 8 !== 0) this.#bits.push(0);
  }

  #range(lb: number, ub: number, value: number): void {
    const range = ub - lb + 1;
    const offset = value - lb;
    if (!(offset >= 0 && offset < range)) throw new Error('range');
    if (range < 256) return this.#number(offset, log2(range));
    if (range <= 65_536) {
      this.#align();
      return this.#number(offset, range === 256 ? 8 : 16);
    }
    const count = Math.max(1, Math.ceil(log2(offset + 1) / 8));
    this.#number(count - 1, log2(Math.ceil(log2(range) / 8)));
    this.#align();
    this.#number(offset, 8 * count);
  }

  #units(size: Size, length: number, aligned: boolean, unit: (index: number) => void): void {
    if (length < size.lb || length > (size.ub ?? Infinity)) throw new Error('size');
    const from = (start: number, count: number): void => {
      if (aligned && count > 0) this.#align();
      for (let i = start; i < start + count; i++) unit(i);
    };
    if (size.ub !== undefined && size.ub < 65_536) {
      this.#range(size.lb, size.ub, length);
      return from(0, length);
    }
    let done = 0;
    while (length - done >= 16_384) {
      const pieces = Math.min(4, Math.floor((length - done) / 16_384));
      this.#align();
      this.#number(0xc0 + pieces, 8);
      from(done, 16_384 * pieces);
      done += 16_384 * pieces;
    }
    this.#align();
    if (length - done < 128) this.#number(length - done, 8);
    else this.#number(0x8000 + length - done, 16);
    from(done, length - done);
  }

  #general(bytes: ArrayLike<number>): void {
    this.#units({ lb: 0, ub: undefined }, bytes.length, true, (i) => this.#number(bytes[i]!, 8));
  }

  #value(module: PerModule, type: TypeSpec, value: unknown): void {
    if (typeof type === 'string') {
      const named = module.describe(type);
      return this.#value(named.module, named.spec, value);
    }
    switch (type.kind) {
      case 'boolean':
        return this.#number(value === true ? 1 : 0, 1);
      case 'null':
        return;
      case 'open':
        return this.#general(value as Uint8Array);
      case 'oid':
        return this.#oid(value as string);
      case 'integer':
        return this.#integer(type, value as number | bigint);
      case 'enumerated': {
        const index = type.root.indexOf(value as string);
        if (type.additions !== undefined) this.#number(index < 0 ? 1 : 0, 1);
        if (index >= 0) return this.#range(0, type.root.length - 1, index);
        return this.#number(type.additions!.indexOf(value as string), 7);
      }
      case 'octets': {
        const bytes = value as Uint8Array;
        const aligned = type.size.lb !== type.size.ub || type.size.lb > 2;
        return this.#units(type.size, bytes.length, aligned, (i) => this.#number(bytes[i]!, 8));
      }
      case 'bits': {
        const { bits, bytes } = value as { bits: number; bytes: Uint8Array };
        const aligned = type.size.lb !== type.size.ub || type.size.lb > 16;
        return this.#units(type.size, bits, aligned, (i) => this.#number(bitOf(bytes[i >> 3]!, i % 8), 1));
      }
      case 'string': {
        const text = value as string;
        const { bits, codes } = characters(type);
        const most = (type.size.ub ?? 65_536) * bits;
        const aligned = type.size.lb === type.size.ub ? most > 16 : most >= 16;
        return this.#units(type.size, text.length, aligned, (i) => {
          const code = text.charCodeAt(i);
          this.#number(codes === undefined ? code : codes.indexOf(code), bits);
        });
      }
      case 'of': {
        const list = value as unknown[];
        return this.#units(type.size, list.length, false, (i) => this.#value(module, type.item, list[i]));
      }
      case 'sequence':
        return this.#sequence(module, type, value as Fields);
      case 'choice':
        return this.#choice(module, type, value as { choice: string; value: unknown });
    }
  }

  #oid(text: string): void {
    const [first, second, ...rest] = text.split('.').map(BigInt);
    const octets: number[] = [];
    for (let arc of [40n * first! + second!, ...rest]) {
      const part = [Number(arc % 128n)];
      for (arc /= 128n; arc > 0n; arc /= 128n) part.unshift(Number(arc % 128n) + 128);
      octets.push(...part);
    }
    this.#general(octets);
  }

  #integer(type: Kind<'integer'>, value: number | bigint): void {
    const { lb, ub } = type;
    const bounded = lb !== undefined && ub !== undefined;
    const inside = bounded && value >= lb && value <= ub;
    if (type.extensible) this.#number(inside ? 0 : 1, 1);
    if (inside) return this.#range(lb, ub, Number(value));
    let rest = BigInt(value);
    const octets: number[] = [];
    if (!bounded && lb !== undefined) {
      rest -= BigInt(lb);
      octets.unshift(Number(rest % 256n));
      for (rest /= 256n; rest > 0n; rest /= 256n) octets.unshift(Number(rest % 256n));
    } else {
      let count = 1n;
      while (rest < -(128n * 256n ** (count - 1n)) || rest >= 128n * 256n ** (count - 1n)) count++;
      if (rest < 0n) rest += 256n ** count;
      for (let i = 0n; i < count; i++, rest /= 256n) octets.unshift(Number(rest % 256n));
    }
    this.#general(octets);
  }

  #sequence(module: PerModule, type: Kind<'sequence'>, value: Fields): void {
    const additions = flat(type.additions ?? []);
    const extended = additions.some((f) => value[f[0]] !== undefined);
    if (type.additions !== undefined) this.#number(extended ? 1 : 0, 1);
    for (const field of type.root) {
      if (field.length === 3) this.#number(value[field[0]] === undefined ? 0 : 1, 1);
    }
    for (const field of type.root) {
      if (value[field[0]] !== undefined) this.#value(module, field[1], value[field[0]]);
    }
    if (!extended) return;
    this.#number(additions.length - 1, 7);
    for (const field of additions) this.#number(value[field[0]] === undefined ? 0 : 1, 1);
    for (const field of additions) {
      if (value[field[0]] !== undefined)
        this.#general(NaiveEncoder.encode(module, field[1], value[field[0]]));
    }
  }

  #choice(module: PerModule, type: Kind<'choice'>, value: { choice: string; value: unknown }): void {
    const index = type.root.findIndex((a) => a[0] === value.choice);
    if (type.additions !== undefined) this.#number(index < 0 ? 1 : 0, 1);
    if (index >= 0) {
      this.#range(0, type.root.length - 1, index);
      return this.#value(module, type.root[index]![1], value.value);
    }
    const addition = type.additions!.findIndex((a) => a[0] === value.choice);
    this.#number(addition, 7);
    this.#general(NaiveEncoder.encode(module, type.additions![addition]![1], value.value));
  }
}
