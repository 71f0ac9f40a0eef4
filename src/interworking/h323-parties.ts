/** Caller and callee between H.323 and Meta. Every outgoing field is built from the neutral one. */
import type { H323Party } from '../h323/contract.ts';
import type { Party } from '../meta/message.ts';
import { META_LIMITS } from '../meta/message.ts';
import { displayNameOf, numberOf } from './sip-parties.ts';

const DIALLED = /^[0-9*#]{1,64}$/;
const DIGITS = /^[0-9]{1,64}$/;
/** H.225.0 h323-ID, and Display in Q.931 4.5.16. */
const NAME_CHARACTERS = 128;
const DISPLAY_CHARACTERS = 82;

export interface H323Trust {
  /** Screening of this peer is believed. */
  readonly trusted: boolean;
  /** Alias the call's terminal registered with. */
  readonly account?: string;
}

export function partyFromH323(party: H323Party, trust: H323Trust): Party {
  const displayName = displayNameOf(party.display);
  const address = addressOf(party, trust.account);
  // `unavailable` says that there is no number; there is a name.
  const named = party.presentation === 'unavailable' && address.number !== '';
  return {
    ...address,
    ...(displayName === undefined ? {} : { displayName }),
    privacy: named ? 'allowed' : party.presentation,
    verified: trust.account !== undefined || (trust.trusted && party.verified),
  };
}

function addressOf(party: H323Party, account: string | undefined): Pick<Party, 'number' | 'numberType'> {
  if (account !== undefined) return numberOf(account);
  const { number, numberType, name } = party;
  if (DIALLED.test(number)) {
    // A `+` is a number type in Q.931; some terminals write it as digits of a national number, which stay what they are.
    if (numberType === 'international') {
      return DIGITS.test(number) ? { number, numberType } : { number, numberType: 'unknown' };
    }
    return { number, numberType };
  }
  // An h323-ID, url-ID or email-ID: its user part, as from a SIP URI.
  const user = (name ?? '').replace(/^(?:sips?|h323|tel):/i, '').split('@', 1)[0]!;
  return user === '' ? { number: '', numberType: 'unknown' } : numberOf(user);
}

/** A restricted party's number is shown to trusted peers only. */
export function partyToH323(party: Party, trusted: boolean): H323Party {
  const shown = party.privacy === 'allowed' || trusted;
  const base = {
    presentation: party.privacy,
    verified: shown && party.verified,
    ...(shown && party.displayName !== undefined ? { display: displayOf(party.displayName) } : {}),
  };
  if (!shown || party.number === '') return { number: '', numberType: 'unknown', ...base };
  const number = DIALLED.test(party.number) && party.numberType !== 'uri' ? party.number : '';
  if (number === '' || party.numberType === 'uri') {
    return { number: '', numberType: 'unknown', name: party.number.slice(0, NAME_CHARACTERS), ...base };
  }
  return { number: number.slice(0, META_LIMITS.numberBytes), numberType: party.numberType, ...base };
}

/** BMPString: no characters beyond the basic plane. */
function displayOf(text: string): string {
  return [...text]
    .filter((ch) => ch.length === 1)
    .slice(0, DISPLAY_CHARACTERS)
    .join('');
}
