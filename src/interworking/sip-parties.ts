/** Caller and callee between SIP addresses and Meta parties. Every outgoing field is built from the neutral one. */
import type { Writable } from '../machine/machine.ts';
import type { NumberType, Party } from '../meta/message.ts';
import { META_LIMITS } from '../meta/message.ts';
import type { CallParties } from '../sip/contract.ts';
import { nameAddresses } from '../sip/header/access.ts';
import { hidesDiverting, hidesIdentity } from '../sip/header/privacy.ts';
import type { NameAddress, SipRequest, SipUri } from '../sip/message.ts';

const NUMBER = /^[0-9*#A-D]{1,32}$/;
const INTERNATIONAL = /^\+[0-9]{1,32}$/;
const VISUAL_SEPARATORS = /[-.()]/g; // RFC 3966 5.1.1

/**
 * Number and type of the user part of a URI; `uri` type where it is a name. Characters outside printable ASCII are dropped before anything
 * else is looked at: what is a number without them goes on as one, and is judged as one.
 */
export function numberOf(user: string): { readonly number: string; readonly numberType: NumberType } {
  const plain = user.split(';', 1)[0]!.replace(/[^\x21-\x7e]/g, '');
  const digits = plain.replace(VISUAL_SEPARATORS, '');
  if (INTERNATIONAL.test(digits)) return { number: digits.slice(1), numberType: 'international' };
  if (NUMBER.test(digits)) return { number: digits, numberType: 'unknown' };
  return { number: plain.slice(0, META_LIMITS.numberBytes), numberType: 'uri' };
}

/** User part to send for a party: `+` in front of an international number. */
export function userOf(party: Party): string {
  return party.numberType === 'international' ? `+${party.number}` : party.number;
}

/** Display names cross without control and bidirectional-override characters, cut at the Meta limit. */
export function displayNameOf(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const clean = text
    .replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, '')
    .trim();
  let out = '';
  let octets = 0;
  for (const ch of clean) {
    const c = ch.codePointAt(0)!;
    octets += c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    if (octets > META_LIMITS.displayBytes) break;
    out += ch;
  }
  return out === '' ? undefined : out;
}

function party(address: NameAddress, verified: boolean, privacy: Party['privacy']): Party {
  return partyOf(numberOf(address.uri.user), displayNameOf(address.displayName), privacy, verified);
}

function partyOf(
  { number, numberType }: Pick<Party, 'number' | 'numberType'>,
  displayName: string | undefined,
  privacy: Party['privacy'],
  verified: boolean,
): Party {
  const made: Writable<Party> = { number, numberType, privacy, verified };
  if (displayName !== undefined) made.displayName = displayName;
  return made;
}

export interface IdentityTrust {
  /** P-Asserted-Identity and Diversion of this peer are believed (RFC 3325 5). */
  readonly trusted: boolean;
  /** Number of the account the request authenticated as. */
  readonly account?: string;
}

/**
 * The caller of an INVITE: the account, else the asserted identity of a trusted peer, else From (RFC 3325, RFC 3323). Many telephones ask
 * for privacy with an anonymous From alone (RFC 3323 4.1.1.3): who we know by other means is restricted then too.
 */
export function callerOf(request: SipRequest, trust: IdentityTrust): Party {
  const anonymous = isAnonymous(request.from.uri);
  const privacy = anonymous || hidesIdentity(request) ? 'restricted' : 'allowed';
  if (trust.account !== undefined) {
    return partyOf(numberOf(trust.account), displayNameOf(request.from.displayName), privacy, true);
  }
  const identity = trust.trusted ? assertedOf(request) : undefined;
  if (identity !== undefined) return party(identity, true, privacy);
  if (anonymous) return { number: '', numberType: 'unknown', privacy: 'unavailable', verified: false };
  return party(request.from, false, privacy);
}

/** RFC 3325 9.1: one identity, or a sip and a tel one; the one that is a telephone number says more here. */
function assertedOf(request: SipRequest): NameAddress | undefined {
  const identities = nameAddresses(request, 'P-Asserted-Identity', 4);
  return identities?.find(({ uri }) => numberOf(uri.user).numberType !== 'uri') ?? identities?.[0];
}

function isAnonymous({ user, host }: SipUri): boolean {
  return host === 'anonymous.invalid' || user.toLowerCase() === 'anonymous';
}

/**
 * The callee: the Request-URI's user, not To (RFC 3261 8.2.2.1). Empty number: nobody is named. But where that is only the
 * contact we registered at a trunk (`trunkUser`), which says no more than "you", the number that To names, if it does.
 */
export function calleeOf(request: SipRequest, trunkUser?: string): Party {
  const displayName = displayNameOf(request.to.displayName);
  const named = numberOf(request.to.uri.user);
  const asked =
    request.uri.user === trunkUser && named.numberType !== 'uri' ? named : numberOf(request.uri.user);
  return partyOf(asked, displayName, 'allowed', false);
}

/** First Diversion entry (RFC 5806) of a trusted peer. */
export function divertingOf(request: SipRequest, trust: IdentityTrust): Party | undefined {
  if (!trust.trusted) return undefined;
  const entry = nameAddresses(request, 'Diversion')?.[0];
  return entry && party(entry, true, hidesDiverting(entry) ? 'restricted' : 'allowed');
}

/** Who answered. `restricted`: the answer asked for privacy (RFC 3325 9.3). */
export function connectedOf(address: NameAddress | undefined, restricted: boolean): Party | undefined {
  return address && party(address, false, restricted ? 'restricted' : 'allowed');
}

export function targetOf(uri: SipUri): Party {
  return { ...numberOf(uri.user), privacy: 'allowed', verified: false };
}

export interface AssertionTrust {
  /** The peer gets asserted identities, those of restricted callers too (RFC 3325 5). */
  readonly trusted: boolean;
  /** Callers come out of the enterprise, which vouches for them. Else only who was verified is asserted. */
  readonly vouched: boolean;
}

/**
 * SIP parties for an outgoing INVITE. A restricted caller is shown to trusted peers only, in P-Asserted-Identity; nobody is asserted whom
 * nobody has verified (RFC 3325 5): what a stranger wrote into From stays From.
 */
export function sipParties(
  setup: { caller: Party; callee: Party; diverting?: Party },
  { trusted, vouched }: AssertionTrust,
): CallParties {
  const { caller, callee, diverting } = setup;
  const anonymous = caller.privacy !== 'allowed' || caller.number === '';
  const asserted = trusted && caller.number !== '' && (vouched || caller.verified);
  return {
    from: {
      user: anonymous ? 'anonymous' : userOf(caller),
      anonymous,
      ...(caller.displayName !== undefined && !anonymous ? { displayName: caller.displayName } : {}),
    },
    to: { user: userOf(callee) },
    ...(asserted ? { asserted: userOf(caller) } : {}),
    ...(trusted && diverting !== undefined
      ? { diversion: { user: userOf(diverting), restricted: diverting.privacy !== 'allowed' } }
      : {}),
  };
}
