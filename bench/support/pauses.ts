/** Pauses for garbage collection, of both workers of a pair; milliseconds. */
export interface Pauses {
  readonly count: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export function pauses(ms: readonly number[]): Pauses {
  const sorted = [...ms].sort((a, b) => a - b);
  const round = (value: number | undefined): number => Number((value ?? 0).toFixed(2));
  return {
    count: sorted.length,
    p99Ms: round(sorted[Math.ceil(0.99 * sorted.length) - 1]),
    maxMs: round(sorted.at(-1)),
  };
}
