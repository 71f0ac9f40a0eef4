/** What the naive PER encoder and decoder both need. */
import type { FieldSpec, GroupSpec, TypeSpec } from '../../src/h323/per/types.ts';

export type Spec = Exclude<TypeSpec, string>;
export type Kind<K extends Spec['kind']> = Extract<Spec, { readonly kind: K }>;
export type Fields = Record<string, unknown>;

export const log2 = (count: number): number => {
  let bits = 0;
  while (2 ** bits < count) bits++;
  return bits;
};

/** Bits per character and, where indices are sent, the sorted codes. */
export function characters(spec: Kind<'string'>): { bits: number; codes: number[] | undefined } {
  if (spec.charset === 'bmp') return { bits: 16, codes: undefined };
  const alphabet = spec.alphabet ?? (spec.charset === 'numeric' ? '0123456789 ' : undefined);
  if (alphabet === undefined) return { bits: 8, codes: undefined };
  const codes = [...new Set(alphabet)].map((c) => c.charCodeAt(0)).sort((a, b) => a - b);
  const needed = log2(codes.length);
  const bits = needed <= 1 ? 1 : needed <= 2 ? 2 : needed <= 4 ? 4 : 8;
  return { bits, codes: Math.max(...codes) < 2 ** bits ? undefined : codes };
}

export const flat = (additions: readonly (FieldSpec | GroupSpec)[]): FieldSpec[] =>
  additions.map((a) => {
    if ('group' in a) throw new Error('groups are not used in H.323');
    return a;
  });

export function bitOf(octet: number, index: number): number {
  return Math.floor(octet / 2 ** (7 - index)) % 2;
}
