/** SIP status codes ↔ Q.850 causes: RFC 3398 7.2.4.1 and 8.2.6.1, and for newer status codes the nearest cause. */
import type { Cause } from '../meta/message.ts';

/** RFC 3398 8.2.6.1; codes marked (+) are younger than it. */
const CAUSE_OF_STATUS: Readonly<Record<number, Cause>> = {
  301: 22, // number changed
  380: 31,
  400: 41,
  401: 21,
  402: 21,
  403: 21,
  404: 1,
  405: 63,
  406: 79,
  407: 21,
  408: 102,
  410: 22,
  412: 127,
  413: 127,
  414: 127,
  415: 79,
  416: 127,
  420: 127,
  421: 127,
  422: 127,
  423: 127,
  428: 21, // (+) RFC 8224: identity wanted
  429: 21,
  430: 27, // (+) RFC 5626: flow failed
  433: 24, // (+) RFC 5079: anonymity disallowed
  436: 21, // (+) RFC 8224
  437: 21,
  438: 21,
  439: 79,
  440: 25,
  469: 79,
  470: 21,
  480: 18,
  481: 41,
  482: 25,
  483: 25,
  484: 28,
  485: 1,
  486: 17,
  487: 16, // the caller gave up
  488: 65, // RFC 3398 leaves it to the Warning; 65 is what maps back to 488
  489: 79,
  491: 41,
  493: 111,
  494: 21,
  500: 41,
  501: 79,
  502: 38,
  503: 41,
  504: 102,
  505: 127,
  513: 127,
  555: 79,
  580: 47, // (+) RFC 3312: precondition failure
  600: 17,
  603: 21,
  604: 1,
  606: 65,
  607: 21, // (+) RFC 8197: unwanted
  608: 21, // (+) RFC 8688: rejected
};

/** RFC 3398 7.2.4.1. */
const STATUS_OF_CAUSE: Readonly<Record<Cause, number>> = {
  1: 404,
  2: 404,
  3: 404,
  8: 503, // preempted
  9: 503,
  16: 480, // a call that is cleared before it was answered, by the called side
  17: 486,
  18: 408,
  19: 480,
  20: 480,
  21: 403,
  22: 410,
  23: 410,
  24: 433,
  25: 483, // loops are seen as such on both sides
  26: 404,
  27: 502,
  28: 484,
  29: 501,
  31: 480,
  34: 503,
  38: 503,
  41: 503,
  42: 503,
  47: 503,
  55: 403,
  57: 403,
  58: 503,
  63: 503,
  65: 488,
  69: 501,
  70: 488,
  79: 501,
  87: 403,
  88: 488, // RFC 3398 says 503; here it means that the two descriptions do not fit, and trying again is of no use
  102: 504,
  111: 500,
  127: 500,
};

/**
 * The cause for a final response 300..699. `q850` from a Reason header (RFC 3326) wins where it is a cause; an unknown status counts as the
 * first of its class (RFC 3261 8.1.3.2).
 */
export function statusToCause(status: number, q850?: number): Cause {
  if (q850 !== undefined && Number.isInteger(q850) && q850 >= 1 && q850 <= 127) return q850;
  const known = CAUSE_OF_STATUS[status];
  if (known !== undefined) return known;
  switch (Math.floor(status / 100)) {
    case 3:
      return 31; // a redirection that is not followed
    case 4:
    case 5:
      return 41;
    case 6:
      return 17;
    default:
      return 31;
  }
}

/** The final response 400..699 for a cause; an unknown cause counts as the last of its class (Q.850 2.2.5). */
export function causeToStatus(cause: Cause): number {
  const known = STATUS_OF_CAUSE[cause];
  if (known !== undefined) return known;
  if (cause < 32) return 480;
  if (cause < 64) return 503;
  if (cause < 80) return 501;
  return 500;
}
