/** Signed distance from `b` to `a` in 16-bit serial arithmetic (RFC 1982): -32768 .. 32767. */
export function distance16(a: number, b: number): number {
  return ((a - b) << 16) >> 16;
}

/** Signed distance from `b` to `a` in 32-bit serial arithmetic: -2^31 .. 2^31-1. */
export function distance32(a: number, b: number): number {
  return (a - b) | 0;
}
