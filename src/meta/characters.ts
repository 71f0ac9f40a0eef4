/** Which characters may stand in the texts of Meta (docs/meta-protocol.md, "Texts"). */
import { utf8Bytes } from '../bytes/text.ts';
import type { NumberType } from './message.ts';
import { META_LIMITS } from './message.ts';

/** Printable ASCII, U+0020..U+007E. */
export function isPrintable(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text);
}

/** Octets as characters U+0000..U+00FF, none of them a control: what digest parameters are (RFC 7616 allows UTF-8 in some). */
export function isOctets(text: string): boolean {
  return /^[\x20-\x7e\x80-\xff]*$/.test(text);
}

/** Whether `number` may stand in a party of this type. Length included. */
export function isNumber(number: string, type: NumberType): boolean {
  if (number.length > META_LIMITS.numberBytes) return false;
  switch (type) {
    case 'uri':
      return /^[\x21-\x7e]*$/.test(number);
    case 'unknown':
      return /^[0-9*#A-D]*$/.test(number);
    case 'international':
      return /^[0-9]+$/.test(number);
    case 'national':
    case 'subscriber':
      return /^[0-9*#A-D]+$/.test(number);
  }
}

/**
 * Code points a display name must not hold: controls (C0, DEL, C1), line and paragraph separators, bidirectional marks,
 * embeddings, overrides and isolates, the byte-order mark, interlinear annotation, tags, noncharacters. Each could make
 * an operator's console or a phone show something else than what was sent.
 */
function isForbidden(c: number): boolean {
  return (
    c < 0x20 ||
    (c >= 0x7f && c <= 0x9f) ||
    c === 0x061c ||
    c === 0x200e ||
    c === 0x200f ||
    (c >= 0x2028 && c <= 0x202e) ||
    (c >= 0x2066 && c <= 0x2069) ||
    (c >= 0xd800 && c <= 0xdfff) ||
    (c >= 0xfdd0 && c <= 0xfdef) ||
    c === 0xfeff ||
    (c >= 0xfff9 && c <= 0xfffb) ||
    (c & 0xfffe) === 0xfffe ||
    (c >= 0xe0000 && c <= 0xe007f)
  );
}

export function isDisplayName(text: string): boolean {
  if (text.length === 0 || text.length > META_LIMITS.displayBytes) return false;
  for (const ch of text) if (isForbidden(ch.codePointAt(0)!)) return false;
  return utf8Bytes(text).length <= META_LIMITS.displayBytes;
}
