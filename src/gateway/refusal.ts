import { causeToStatus } from '../interworking/cause.ts';

/** Why a call is refused before it exists: a Q.850 cause for the caller and a stable token for the counter. */
export interface Refusal {
  readonly cause: number;
  readonly reason: string;
  readonly retryAfterSeconds?: number;
}

export function statusOfRefusal(refusal: Refusal): {
  readonly status: number;
  readonly retryAfterSeconds?: number;
} {
  const status = refusal.retryAfterSeconds === undefined ? causeToStatus(refusal.cause) : 503;
  return refusal.retryAfterSeconds === undefined
    ? { status }
    : { status, retryAfterSeconds: refusal.retryAfterSeconds };
}
