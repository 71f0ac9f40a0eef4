import { causeToStatus } from '../interworking/cause.js';
/** The SIP answer to a call that policy refuses: 503 where it is worth trying again, else by cause. */
export function statusOfRefusal(refusal) {
    if (refusal.retryAfterSeconds === undefined)
        return { status: causeToStatus(refusal.cause) };
    return { status: 503, retryAfterSeconds: refusal.retryAfterSeconds };
}
//# sourceMappingURL=refusal.js.map