/** Character classes of RFC 3261 25.1, one table for all scanners: a bit each, so that a run is checked in one pass. */
export const TOKEN = 1;
export const SPACE = 2;
/** Ends an unquoted parameter value: `; , < > "` white space and controls. */
export const VALUE_END = 4;
/** Raw in the user part, the password, a parameter and the headers of a SIP URI; `%` is added where escapes are read. */
export const USER = 8;
export const PASSWORD = 16;
export const PARAMETER = 32;
export const URI_HEADER = 64;
/** Letters, digits, hyphen, dot and underscore. */
export const HOST = 128;
export const UPPER = 256;
export const PERCENT = 512;
/** The raw `#` that phones put into a user part; read, and written as %23. */
export const DIALLED = 1024;

export const CLASS = new Uint16Array(256);

const UPPER_LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
const LETTERS_AND_DIGITS = `0123456789${UPPER_LETTERS}abcdefghijklmnopqrstuvwxyz`;
const UNRESERVED = `${LETTERS_AND_DIGITS}-_.!~*'()`;

mark(TOKEN, `${LETTERS_AND_DIGITS}-.!%*_+\`'~`);
mark(SPACE, ' \t');
mark(VALUE_END, ' ;,<>"\x7f');
for (let c = 0; c < 0x20; c++) CLASS[c]! |= VALUE_END;
mark(USER, `${UNRESERVED}&=+$,;?/`);
mark(PASSWORD, `${UNRESERVED}&=+$,`);
mark(PARAMETER, `${UNRESERVED}[]/:&+$`);
mark(URI_HEADER, `${UNRESERVED}[]/?:+$=&`);
mark(HOST, `${LETTERS_AND_DIGITS}-._`);
mark(UPPER, UPPER_LETTERS);
mark(PERCENT, '%');
mark(DIALLED, '#');

function mark(bit: number, characters: string): void {
  for (const c of characters) CLASS[c.charCodeAt(0)]! |= bit;
}

/** Index of the first character in `text[from, to)` that is of none of the classes in `mask`, or `to`. */
export function runEnd(text: string, from: number, to: number, mask: number): number {
  let i = from;
  while (i < to && (CLASS[text.charCodeAt(i)]! & mask) !== 0) i++;
  return i;
}

/** `text[from, to)` with its ASCII capitals made small; the same string where there are none. */
export function lowerCase(text: string, from = 0, to = text.length): string {
  const piece = text.slice(from, to);
  for (let i = from; i < to; i++) {
    if ((CLASS[text.charCodeAt(i)]! & UPPER) !== 0) return piece.toLowerCase();
  }
  return piece;
}
