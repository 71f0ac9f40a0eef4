/** Random values of a type, from a seed; kept small, and shallow where types contain themselves. */
import type { PerModule } from '../../src/h323/per/compile.ts';
import type { Size, TypeSpec } from '../../src/h323/per/types.ts';
import { flat } from './naive-common.ts';

const DEPTH = 9;

/** Uniform numbers below `limit`. */
export type Chance = (limit: number) => number;

export function chance(seed: number): Chance {
  let state = seed >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
}

function count(pick: Chance, size: Size, most: number): number {
  const ub = Math.min(size.ub ?? Infinity, size.lb + most);
  return pick(4) === 0 ? size.lb : size.lb + pick(ub - size.lb + 1);
}

function octetsOf(pick: Chance, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => pick(256));
}

function numberOf(pick: Chance, lb: number | undefined, ub: number | undefined): number | bigint {
  if (lb !== undefined && ub !== undefined) {
    const near = pick(4);
    if (near === 0) return lb;
    if (near === 1) return ub;
    return lb + Math.floor(((pick(2 ** 30) + 1) / 2 ** 30) * (ub - lb));
  }
  if (pick(8) === 0) {
    const big = BigInt(pick(2 ** 31)) ** BigInt(2 + pick(4)) * (lb === undefined && pick(2) === 0 ? -1n : 1n);
    return Number.isSafeInteger(Number(big)) ? Number(big) : big;
  }
  const value = pick(2 ** (1 + pick(46)));
  return lb === undefined ? (pick(2) === 0 ? value : -value - 1) : lb + value;
}

function textOf(pick: Chance, type: Extract<TypeSpec, { readonly kind: 'string' }>): string {
  const alphabet =
    type.alphabet ??
    { numeric: '0123456789 ', bmp: 'aé漢\uffff ', general: 'a\u00ff1 ' }[type.charset as 'numeric'] ??
    "Az09 '()+,-./:=?";
  const length = count(pick, type.size, 12);
  return Array.from({ length }, () => alphabet[pick(alphabet.length)]!).join('');
}

/** Deep equality with what decoding yields: canonical BIT STRINGs, no undefined fields, additions in order behind the root. */
export function randomValue(pick: Chance, module: PerModule, type: TypeSpec, depth = 0): unknown {
  if (typeof type === 'string') {
    const named = module.describe(type);
    return randomValue(pick, named.module, named.spec, depth + 1);
  }
  switch (type.kind) {
    case 'boolean':
      return pick(2) === 0;
    case 'null':
      return null;
    case 'oid':
      return ['0.0.8.2250.0.4', '2.25.9007199254740993', '1.39', '2.999.16384'][pick(4)];
    case 'open':
      return octetsOf(pick, 1 + pick(200));
    case 'integer': {
      const free = type.extensible && pick(3) === 0;
      return free ? type.ub! + 1 + pick(2 ** 31) : numberOf(pick, type.lb, type.ub);
    }
    case 'enumerated': {
      const all = [...type.root, ...(type.additions ?? [])];
      return all[pick(all.length)];
    }
    case 'octets':
      return octetsOf(pick, count(pick, type.size, pick(10) === 0 ? 300 : 20));
    case 'bits': {
      const bits = count(pick, type.size, 40);
      const bytes = octetsOf(pick, (bits + 7) >> 3);
      if (bits % 8 !== 0) bytes[bytes.length - 1]! &= 0xff << (8 - (bits % 8));
      return { bits, bytes };
    }
    case 'string':
      return textOf(pick, type);
    case 'of': {
      const length = depth > DEPTH ? type.size.lb : count(pick, type.size, 3);
      return Array.from({ length }, () => randomValue(pick, module, type.item, depth + 1));
    }
    case 'sequence': {
      const out: Record<string, unknown> = {};
      const sparse = depth > DEPTH ? Infinity : depth + 2;
      for (const field of type.root) {
        if (field.length === 3 && pick(Math.min(sparse, 2 ** 30)) > 1) continue;
        out[field[0]] = randomValue(pick, module, field[1], depth + 1);
      }
      if (depth <= DEPTH && pick(2) === 0) {
        for (const field of flat(type.additions ?? [])) {
          if (pick(depth + 3) <= 1) out[field[0]] = randomValue(pick, module, field[1], depth + 1);
        }
      }
      return out;
    }
    case 'choice': {
      const all = [...type.root, ...(type.additions ?? [])];
      const [choice, inner] = all[depth > DEPTH ? 0 : pick(all.length)]!;
      return { choice, value: randomValue(pick, module, inner, depth + 1) };
    }
  }
}
