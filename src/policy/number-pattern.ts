/** Patterns of numbers as dial rules write them, and numbers as text: `+` in front of an international one. */
import type { Party } from '../meta/message.ts';

/** `+4930123`, `2001`, `alice`. */
export function numberText(party: Pick<Party, 'number' | 'numberType'>): string {
  return party.numberType === 'international' ? `+${party.number}` : party.number;
}

/** What separates digits for the eye only (RFC 3966 5.1.1), and what people put there besides; a `+` that is not in front. */
const SEPARATORS = /[-.()/, ]|(?<=.)\+/g;

/**
 * A name that reads as a number (`0900-1`, `+4930100;x`) is that number: whoever dials or shows it looks at its characters, not at the
 * type somebody gave it. Judged as a name, it would pass every rule for numbers. No country code begins with 0 (E.164): `+0900` is
 * `0900`, which is what a telephone system dials that does not look at the type.
 */
export function asDialled<T extends Pick<Party, 'number' | 'numberType'>>(party: T): T {
  if (party.numberType === 'international') return domesticIfZero(party);
  if (party.numberType !== 'uri') return party;
  const digits = party.number.split(';', 1)[0]!.replace(SEPARATORS, '').toUpperCase();
  if (/^\+[0-9]+$/.test(digits))
    return domesticIfZero({ ...party, number: digits.slice(1), numberType: 'international' });
  const isNumber = /^[0-9*#A-D]+$/.test(digits) && /[0-9]/.test(digits);
  return isNumber ? { ...party, number: digits, numberType: 'unknown' } : party;
}

/**
 * The number a call is for, as it is judged and as it is called: without a type that a rule does not see and a telephone network would dial by
 * (`900123` that is `national` is `0900123` there).
 */
export function asCalled<T extends Pick<Party, 'number' | 'numberType'>>(party: T): T {
  const dialled = asDialled(party);
  const hidden = dialled.numberType === 'national' || dialled.numberType === 'subscriber';
  return hidden ? { ...dialled, numberType: 'unknown' } : dialled;
}

function domesticIfZero<T extends Pick<Party, 'number' | 'numberType'>>(party: T): T {
  return party.number.startsWith('0') ? { ...party, numberType: 'unknown' } : party;
}

/**
 * `pattern`: digits stand for themselves, `X` one digit, `N` 2-9, `.` at the end one or more digits (`*` and `#` count), `*` alone
 * everything, also nothing. A leading `+` means international: a pattern without it never matches such a number. Names
 * (type `uri`) match `*` and their own exact text only. One pass, no backtracking.
 */
export function matchesPattern(pattern: string, party: Pick<Party, 'number' | 'numberType'>): boolean {
  if (pattern === '*') return true;
  const text = numberText(party);
  if (party.numberType === 'uri') return text !== '' && pattern === text;
  const international = pattern.startsWith('+');
  if (international !== (party.numberType === 'international')) return false;
  const rest = international ? pattern.slice(1) : pattern;
  const digits = party.number;
  for (let i = 0; i < rest.length; i++) {
    const p = rest[i]!;
    if (p === '.' && i === rest.length - 1) return digits.length > i;
    const d = digits[i];
    if (d === undefined || !matchesDigit(p, d)) return false;
  }
  return digits.length === rest.length;
}

function matchesDigit(pattern: string, digit: string): boolean {
  if (pattern === 'X') return digit >= '0' && digit <= '9';
  if (pattern === 'N') return digit >= '2' && digit <= '9';
  return pattern === digit;
}

/** Undefined where `pattern` is one, else what is wrong with it. */
export function patternProblem(pattern: string): string | undefined {
  if (pattern === '') return 'is empty';
  if (pattern.length > 64) return 'is longer than 64 characters';
  if (pattern === '*' || /^\+?[0-9XN*#A-D]*\.?$/.test(pattern)) return undefined;
  if (/^[\x21-\x7e]+$/.test(pattern) && !pattern.includes('.')) return undefined; // a name, exactly
  return 'may hold digits, X, N, * and #, a + in front and a . at the end';
}
