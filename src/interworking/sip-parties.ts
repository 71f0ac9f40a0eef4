/** Caller and callee between SIP addresses and Meta parties. Every outgoing field is built from the neutral one. */
import type { Writable } from '../machine/machine.ts';
import type { NumberType, Party } from '../meta/message.ts';
import { META_LIMITS } from '../meta/message.ts';
import type { CallParties } from '../sip/contract.ts';
import { firstHeader } from '../sip/header/access.ts';
import { parseNameAddressList } from '../sip/header/name-address.ts';
import type { NameAddress, SipRequest, SipUri } from '../sip/message.ts';

const NUMBER = /^[0-9*#A-D]{1,32}$/;
const INTERNATIONAL = /^\+[0-9]{1,32}$/;
const VISUAL_SEPARATORS = /[-.()]/g; // RFC 3966 5.1.1

/** Number and type of the user part of a URI; `uri` type where it is a name. Characters outside printable ASCII are dropped. */
export function numberOf(user: string): { readonly number: string; readonly numberType: NumberType } {
  const plain = user.split(';', 1)[0]!;
  const digits = plain.replace(VISUAL_SEPARATORS, '');
  if (INTERNATIONAL.test(digits)) return { number: digits.slice(1), numberType: 'international' };
  if (NUMBER.test(digits)) return { number: digits, numberType: 'unknown' };
  const name = plain.replace(/[^\x21-\x7e]/g, '').slice(0, META_LIMITS.numberBytes);
  return { number: name, numberType: 'uri' };
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

/** The caller of an INVITE: the asserted identity of a trusted peer, else From (RFC 3325, RFC 3323). */
export function callerOf(request: SipRequest, trust: IdentityTrust): Party {
  const asserted = trust.trusted ? firstHeader(request, 'P-Asserted-Identity') : undefined;
  const identities = asserted === undefined ? undefined : parseNameAddressList(asserted);
  const identity = identities?.[0];
  const restricted = isRestricted(request);
  if (trust.account !== undefined) {
    const display = displayNameOf(request.from.displayName);
    return partyOf(numberOf(trust.account), display, restricted ? 'restricted' : 'allowed', true);
  }
  if (identity !== undefined) return party(identity, true, restricted ? 'restricted' : 'allowed');
  const anonymous = request.from.uri.host === 'anonymous.invalid' || request.from.uri.user === 'anonymous';
  if (anonymous) return { number: '', numberType: 'unknown', privacy: 'unavailable', verified: false };
  return party(request.from, false, restricted ? 'restricted' : 'allowed');
}

function isRestricted(request: SipRequest): boolean {
  const privacy = firstHeader(request, 'Privacy');
  return privacy?.split(';').some((p) => ['id', 'user', 'header'].includes(p.trim().toLowerCase())) ?? false;
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
  const value = firstHeader(request, 'Diversion');
  const entry = value === undefined ? undefined : parseNameAddressList(value)?.[0];
  return entry === undefined ? undefined : party(entry, true, 'allowed');
}

export function connectedOf(address: NameAddress | undefined): Party | undefined {
  return address === undefined ? undefined : party(address, false, 'allowed');
}

export function targetOf(uri: SipUri): Party {
  return { ...numberOf(uri.user), privacy: 'allowed', verified: false };
}

/** SIP parties for an outgoing INVITE. A restricted caller is shown to trusted peers only, in P-Asserted-Identity (RFC 3325). */
export function sipParties(
  setup: { caller: Party; callee: Party; diverting?: Party },
  trusted: boolean,
): CallParties {
  const { caller, callee, diverting } = setup;
  const anonymous = caller.privacy !== 'allowed' || caller.number === '';
  return {
    from: {
      user: anonymous ? 'anonymous' : userOf(caller),
      anonymous,
      ...(caller.displayName !== undefined && !anonymous ? { displayName: caller.displayName } : {}),
    },
    to: { user: userOf(callee) },
    ...(trusted && caller.number !== '' ? { asserted: userOf(caller) } : {}),
    ...(trusted && diverting !== undefined ? { diversion: { user: userOf(diverting) } } : {}),
  };
}
