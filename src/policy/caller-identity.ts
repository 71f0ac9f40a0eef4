/** Whether a caller is who the call says, and how much of the caller the other end is shown. */
import type { Result } from '../machine/machine.ts';
import { fail, ok } from '../machine/machine.ts';
import type { Party } from '../meta/message.ts';
import { asDialled, matchesPattern, numberText } from './number-pattern.ts';
import type { Refusal } from './refusal.ts';

export interface CallerEvidence {
  /** The account the call authenticated as has this number. */
  readonly accountNumber?: string;
  /** The peer is inside our trust domain (RFC 3325 2.2): what it asserts counts. */
  readonly trusted: boolean;
  /** The call comes from outside (the Internet side). */
  readonly outside: boolean;
}

/** Q.850 21: call rejected. */
const REJECTED = 21;

export class CallerIdentity {
  readonly #own: readonly string[];

  /** `own`: numbers and patterns (number-pattern.ts) that belong to the enterprise. */
  constructor(own: readonly string[]) {
    this.#own = own;
  }

  /** However it is written: who reads the number on a telephone takes `+4930100` and `004930100` for `4930100`. */
  isOwn(party: Pick<Party, 'number' | 'numberType'>): boolean {
    const forms = party.number === '' ? [] : spellings(asDialled(party));
    return this.#own.some((pattern) => forms.some((form) => matchesPattern(pattern, form)));
  }

  /**
   * The caller as this gateway vouches for it. From outside, an own number without authentication is a forgery and refused;
   * an authenticated caller may not claim another own number than its account's.
   */
  check(claimed: Party, evidence: CallerEvidence): Result<Party, Refusal> {
    const caller = asDialled(claimed);
    const { accountNumber, trusted, outside } = evidence;
    if (accountNumber !== undefined) {
      if (sameNumber(caller, accountNumber)) return ok({ ...caller, verified: true });
      if (this.isOwn(caller)) return fail({ cause: REJECTED, reason: 'caller-not-account' });
    } else if (outside && !trusted && this.isOwn(caller)) {
      return fail({ cause: REJECTED, reason: 'caller-own-number' });
    }
    return ok({ ...caller, verified: trusted && caller.verified });
  }
}

function spellings(party: Pick<Party, 'number' | 'numberType'>): Pick<Party, 'number' | 'numberType'>[] {
  if (party.numberType === 'uri') return [party];
  const numbers = party.number.startsWith('00') ? [party.number, party.number.slice(2)] : [party.number];
  return numbers.flatMap((number) => [
    { number, numberType: party.numberType },
    { number, numberType: 'unknown' },
    { number, numberType: 'international' },
  ]);
}

function sameNumber(caller: Party, number: string): boolean {
  const text = numberText(caller);
  return text === number || (text.startsWith('+') && text.slice(1) === number);
}
