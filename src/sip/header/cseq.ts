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

export function formatCSeq(cseq: CSeq): string {
  return `${cseq.number} ${cseq.method}`;
}

export interface RAck {
  readonly rseq: number; // 1 .. 2^32-1
  readonly cseq: CSeq;
}

export function parseRAck(text: string): RAck | undefined {
  const scanner = new Scanner(text);
  scanner.space();
  const rseq = scanner.number(0xffff_ffff);
  if (rseq === undefined || rseq === 0) return undefined;
  const cseq = /^[ \t]/.test(text.slice(scanner.at)) ? parseCSeq(text.slice(scanner.at)) : undefined;
  return cseq && { rseq, cseq };
}
