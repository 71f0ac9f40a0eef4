/** CSeq (RFC 3261 20.16, 8.1.1.5) and RAck (RFC 3262 7.2). */
import type { CSeq } from '../message.ts';
import { Scanner } from './scanner.ts';

const MAX = 0x7fff_ffff;

/** Undefined where malformed or the number is not below 2^31. */
export function parseCSeq(text: string): CSeq | undefined {
  const scanner = new Scanner(text);
  scanner.space();
  const number = scanner.number(MAX);
  const before = scanner.at;
  scanner.space();
  if (number === undefined || scanner.at === before) return undefined;
  const method = scanner.token();
  scanner.space();
  return method !== '' && scanner.done ? { number, method } : undefined;
}
