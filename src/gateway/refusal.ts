import { causeToStatus } from '../interworking/cause.ts';
import type { Refusal } from '../policy/refusal.ts';

/** The SIP answer to a call that policy refuses: 503 where it is worth trying again, else by cause. */
export function statusOfRefusal(refusal: Refusal): {
  readonly status: number;
  readonly retryAfterSeconds?: number;
} {
  if (refusal.retryAfterSeconds === undefined) return { status: causeToStatus(refusal.cause) };
  return { status: 503, retryAfterSeconds: refusal.retryAfterSeconds };
}
