/** Why policy says no: a Q.850 cause for the caller, a stable token for counters and "why was this call refused". */
export interface Refusal {
  readonly cause: number;
  readonly reason: string;
  readonly retryAfterSeconds?: number;
}
