/** Retry-After (RFC 3261 20.33): `18000;duration=3600` or `120 (I'm in a meeting)`. */
import { Scanner } from './scanner.ts';

/** Seconds to wait, 0..2^31-1; comment and parameters are ignored. */
export function parseRetryAfter(text: string): number | undefined {
  const scanner = new Scanner(text);
  scanner.space();
  const seconds = scanner.number(0x7fff_ffff);
  scanner.space();
  const next = scanner.peek();
  return next === -1 || next === 0x3b || next === 0x28 ? seconds : undefined;
}
