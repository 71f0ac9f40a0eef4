/** Comma-separated header values (RFC 3261 7.3.1). */
import { isToken, trimSpace } from './scanner.ts';

/**
 * Cuts at commas outside quoted strings and angle brackets; pieces are trimmed. Undefined for an empty element, an
 * unfinished quote or bracket, or more than `limit` elements.
 */
export function splitList(text: string, limit = 256): string[] | undefined {
  const out: string[] = [];
  let start = 0;
  let inBrackets = false;
  for (let i = 0; i <= text.length; i++) {
    const c = i < text.length ? text.charCodeAt(i) : 0x2c;
    if (c === 0x22 && !inBrackets) {
      i = closingQuote(text, i);
      if (i < 0) return undefined;
    } else if (c === 0x3c) inBrackets = true;
    else if (c === 0x3e) inBrackets = false;
    else if (c === 0x2c && (!inBrackets || i === text.length)) {
      const piece = trimSpace(text, start, i);
      if (piece === '' || inBrackets || out.length >= limit) return undefined;
      out.push(piece);
      start = i + 1;
    }
  }
  return out;
}

/** Index of the quote that ends the quoted string starting at `open`; -1 where it does not end. */
export function closingQuote(text: string, open: number): number {
  for (let i = open + 1; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x22) return i;
    if (c === 0x5c) i++;
  }
  return -1;
}

/** A list of tokens such as Require, Supported or Allow; '' gives none. Undefined where an element is no token. */
export function parseTokenList(text: string, limit = 64): string[] | undefined {
  if (trimSpace(text) === '') return [];
  const items = splitList(text, limit);
  return items?.every(isToken) ? items : undefined;
}
