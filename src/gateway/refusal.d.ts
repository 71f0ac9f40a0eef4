import type { Refusal } from '../policy/refusal.ts';
/** The SIP answer to a call that policy refuses: 503 where it is worth trying again, else by cause. */
export declare function statusOfRefusal(refusal: Refusal): {
  readonly status: number;
  readonly retryAfterSeconds?: number;
};
