/** Which formats of a stream may be used, and in what order they are offered. */
import type { FormatName } from '../meta/message.ts';
import { META_LIMITS } from '../meta/message.ts';
import { FORMAT_FACTS } from './formats.ts';

/**
 * Formats that ride along with others (DTMF, comfort noise): always allowed, never enough by themselves. An administrator
 * who lists codecs does not mean to switch keys off.
 */
export function isAuxiliary(name: FormatName): boolean {
  const kind = FORMAT_FACTS[name].plane;
  return kind === 'event' || kind === 'comfort-noise';
}

/**
 * What of `formats` may be used where `codecs` are allowed: in the order they came, at most META_LIMITS.formats. Empty where
 * nothing but auxiliary formats is left.
 */
export function allowedFormats<T extends { readonly name: FormatName }>(
  formats: readonly T[],
  codecs: readonly FormatName[],
): T[] {
  const allowed = formats.filter((f) => isAuxiliary(f.name) || codecs.includes(f.name));
  const main = allowed.filter((f) => !isAuxiliary(f.name));
  if (main.length === 0) return [];
  if (allowed.length <= META_LIMITS.formats) return allowed;
  // Too many: the last codecs go, not the keys.
  const auxiliary = allowed.filter((f) => isAuxiliary(f.name)).slice(0, 4);
  return [...main.slice(0, META_LIMITS.formats - auxiliary.length), ...auxiliary];
}

/** `formats` in the order of `codecs`, auxiliary ones last; formats of the same name keep their order. */
export function preferred<T extends { readonly name: FormatName }>(
  formats: readonly T[],
  codecs: readonly FormatName[],
): T[] {
  const rank = (f: T): number => (isAuxiliary(f.name) ? codecs.length : codecs.indexOf(f.name));
  return [...formats].sort((a, b) => rank(a) - rank(b));
}
