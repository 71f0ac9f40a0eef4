/** Who calls whom: alias addresses of H.225.0 and number elements of Q.931 ↔ neutral parties. Nothing foreign survives unchecked. */
import type { AliasAddress, PartyNumber } from './asn1/h225-types.ts';
import type { H323Party } from './contract.ts';
import type { H323Alias } from './peer-contract.ts';
import type { Q931Number, Q931NumberType } from './q931.ts';

/** Longest number and name taken or given. */
export const NUMBER_LENGTH = 64;
const NAME_LENGTH = 128;
const DISPLAY_LENGTH = 82;
/** Aliases of one message that are looked at. */
const MOST_ALIASES = 16;

const DIALLED = /^[0-9*#]{1,64}$/;

export function isNumber(text: string): boolean {
  return DIALLED.test(text);
}

/** A name without control characters, surrogates torn apart or trailing NULs; undefined where nothing is left. */
export function cleanName(text: string, most = NAME_LENGTH): string | undefined {
  const clean = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '').trim();
  const cut = clean.slice(0, most).replace(/[\ud800-\udfff]/gu, ''); // with `u` only surrogates without their other half
  return cut === '' ? undefined : cut;
}

export function cleanDisplay(text: string | undefined): string | undefined {
  return text === undefined ? undefined : cleanName(text, DISPLAY_LENGTH);
}

type NumberType = H323Party['numberType'];

interface Names {
  number?: string;
  numberType?: NumberType;
  name?: string;
}

/** The first usable number and the first usable name of a list of aliases. */
export function namesOf(aliases: readonly AliasAddress[] | undefined): Names {
  const out: Names = {};
  for (const alias of (aliases ?? []).slice(0, MOST_ALIASES)) {
    switch (alias.choice) {
      case 'dialledDigits':
        takeNumber(out, alias.value, 'unknown');
        break;
      case 'partyNumber':
        takePartyNumber(out, alias.value);
        break;
      case 'h323ID':
      case 'urlID':
      case 'emailID': {
        const name = cleanName(alias.value);
        if (name !== undefined) out.name ??= name;
        break;
      }
      default:
    }
  }
  // Many terminals put their number into the h323-ID.
  if (out.number === undefined && out.name !== undefined && isNumber(out.name)) out.number = out.name;
  return out;
}

function takePartyNumber(out: Names, party: PartyNumber): void {
  if (party.choice === 'e164Number') {
    const { publicTypeOfNumber: type, publicNumberDigits: digits } = party.value;
    takeNumber(out, digits, PUBLIC_TYPES[type.choice] ?? 'unknown');
  } else if (party.choice === 'privateNumber') {
    takeNumber(out, party.value.privateNumberDigits, 'unknown');
  }
}

const PUBLIC_TYPES: Readonly<Record<string, NumberType>> = {
  internationalNumber: 'international',
  nationalNumber: 'national',
  subscriberNumber: 'subscriber',
};

function takeNumber(out: Names, digits: string, type: NumberType): void {
  const plain = digits.replaceAll(',', '');
  if (out.number !== undefined || !isNumber(plain)) return;
  out.number = plain;
  out.numberType = type;
}

const FROM_Q931: Partial<Record<Q931NumberType, NumberType>> = {
  international: 'international',
  national: 'national',
  subscriber: 'subscriber',
};

/** The number of a Q.931 element; undefined where it is none. */
export function numberOf(
  element: Q931Number | undefined,
): { readonly number: string; readonly numberType: NumberType } | undefined {
  if (element === undefined) return undefined;
  const plus = element.digits.startsWith('+');
  const digits = plus ? element.digits.slice(1) : element.digits;
  if (!isNumber(digits)) return undefined;
  return { number: digits, numberType: plus ? 'international' : (FROM_Q931[element.type] ?? 'unknown') };
}

/** A number element of ours. `presentation`: with octet 3a. */
export function numberElement(party: H323Party, withPresentation: boolean): Q931Number | undefined {
  if (!isNumber(party.number)) return undefined;
  const element: Q931Number = { type: party.numberType, plan: 'isdn', digits: party.number };
  if (!withPresentation) return element;
  return {
    ...element,
    presentation: party.presentation,
    screening: party.verified ? 'passed' : 'not-screened',
  };
}

/** Aliases of a party of ours: its number, and its name where it has one. */
export function aliasesOf(party: H323Party): AliasAddress[] {
  const out: AliasAddress[] = [];
  if (isNumber(party.number)) out.push({ choice: 'dialledDigits', value: party.number });
  const name = party.name === undefined ? undefined : cleanName(party.name);
  if (name !== undefined) out.push({ choice: 'h323ID', value: name });
  return out;
}

/** A configured alias; undefined where it cannot be sent. */
export function toAlias(alias: H323Alias): AliasAddress | undefined {
  if (alias.kind === 'number') {
    return isNumber(alias.number) ? { choice: 'dialledDigits', value: alias.number } : undefined;
  }
  const name = cleanName(alias.name);
  return name === undefined ? undefined : { choice: 'h323ID', value: name };
}

export function toAliases(aliases: readonly H323Alias[]): AliasAddress[] {
  return aliases.map((alias) => toAlias(alias)).filter((alias) => alias !== undefined);
}

/** What a terminal calls itself, as far as usable. */
export function fromAliases(aliases: readonly AliasAddress[] | undefined): H323Alias[] {
  const out: H323Alias[] = [];
  for (const alias of (aliases ?? []).slice(0, MOST_ALIASES)) {
    const one = namesOf([alias]);
    if (alias.choice === 'dialledDigits' || alias.choice === 'partyNumber') {
      if (one.number !== undefined) out.push({ kind: 'number', number: one.number });
    } else if (one.name !== undefined) out.push({ kind: 'name', name: one.name });
  }
  return out;
}

export function aliasText(alias: H323Alias): string {
  return alias.kind === 'number' ? alias.number : alias.name;
}

/** A party told by aliases alone (connected address, forwarded to). */
export function partyOf(aliases: readonly AliasAddress[] | undefined, element?: Q931Number): H323Party {
  const names = namesOf(aliases);
  const fromElement = numberOf(element);
  return {
    number: fromElement?.number ?? names.number ?? '',
    numberType: fromElement?.numberType ?? names.numberType ?? 'unknown',
    presentation: presentationOf(element),
    verified: element?.screening === 'passed' || element?.screening === 'network',
    ...(names.name === undefined ? {} : { name: names.name }),
  };
}

export function presentationOf(element: Q931Number | undefined): H323Party['presentation'] {
  switch (element?.presentation) {
    case 'restricted':
      return 'restricted';
    case 'unavailable':
      return 'unavailable';
    default:
      return 'allowed';
  }
}
