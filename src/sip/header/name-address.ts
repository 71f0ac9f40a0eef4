/** name-addr and addr-spec with header parameters: From, To, Contact, Route, P-Asserted-Identity ... (RFC 3261 20.10). */
import type { NameAddress, SipUri } from '../message.ts';
import { formatUri, parseUri, uriScheme } from '../uri.ts';
import { formatParameters, quote } from './parameters.ts';
import { NO_PARAMETERS, Scanner, trimSpace } from './scanner.ts';
import { decodeText, encodeText } from './text.ts';

/** One address that fills the whole value. Undefined where malformed or the URI is of another scheme than sip, sips, tel. */
export function parseNameAddress(text: string): NameAddress | undefined {
  const scanner = new Scanner(text);
  const address = scanNameAddress(scanner);
  return address === undefined || address === FOREIGN || !scanner.done ? undefined : address;
}

/**
 * A comma list of addresses. Those of foreign schemes (mailto:, http: in a Contact) are well-formed and left out.
 * Undefined where one is malformed or there are more than `limit`.
 */
export function parseNameAddressList(text: string, limit = 64): NameAddress[] | undefined {
  const out: NameAddress[] = [];
  const scanner = new Scanner(text);
  let count = 0;
  do {
    const address = scanNameAddress(scanner);
    if (address === undefined || ++count > limit) return undefined;
    if (address !== FOREIGN) out.push(address);
  } while (scanner.separator(0x2c));
  return scanner.done ? out : undefined;
}

/** Stands for a well-formed address whose URI scheme is not ours. */
const FOREIGN = 'foreign';

function scanNameAddress(scanner: Scanner): NameAddress | typeof FOREIGN | undefined {
  scanner.space();
  const { text } = scanner;
  let displayName: string | undefined;
  let uriText: string;
  if (scanner.peek() === 0x22) {
    displayName = scanner.quoted();
    if (displayName === undefined) return undefined;
    scanner.space();
    if (scanner.peek() !== 0x3c) return undefined;
  } else {
    const words = displayWords(scanner);
    if (words === undefined) return undefined;
    if (words !== '') displayName = words;
  }
  if (scanner.peek() === 0x3c) {
    const close = text.indexOf('>', scanner.at);
    if (close < 0 || close >= scanner.end) return undefined;
    uriText = text.slice(scanner.at + 1, close);
    scanner.at = close + 1;
  } else {
    uriText = scanner.value();
    // 20.10: a URI with a question mark, comma or semicolon must stand in brackets; RFC 4475 3.1.2.13.
    if (uriText.includes('?')) return undefined;
  }
  const parameters = scanner.parameters();
  if (parameters === undefined) return undefined;
  const uri = parseUri(uriText);
  if (uri === undefined) return isForeign(uriText) ? FOREIGN : undefined;
  if (displayName === undefined) return { uri, parameters };
  const decoded = decodeText(displayName);
  return decoded === undefined ? undefined : { displayName: printable(decoded), uri, parameters };
}

/**
 * An unquoted display name before `<`: cursor on the bracket. 25.1 allows tokens only; devices send more, so anything
 * that cannot be mistaken for structure is taken. '' with the cursor unmoved where no bracket follows (addr-spec).
 */
function displayWords(scanner: Scanner): string | undefined {
  const { text, end, at } = scanner;
  let i = at;
  for (; i < end; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x3c) {
      scanner.at = i;
      return trimSpace(text, at, i);
    }
    if (c === 0x3a || c === 0x3b || c === 0x2c || c === 0x22 || c === 0x3e) break;
  }
  return i < end && text.charCodeAt(i) === 0x3a ? '' : undefined;
}

/** Quoted pairs may carry any ASCII control (RFC 4475 3.1.1.2); nobody after the parser shall meet one, nor U+2028. */
function printable(name: string): string {
  if (PLAIN.test(name)) return name;
  return name.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/g, ' ');
}

const PLAIN = /^[\x20-\x7e]*$/;

function isForeign(uriText: string): boolean {
  const scheme = uriScheme(uriText);
  if (scheme === undefined || scheme === 'sip' || scheme === 'sips' || scheme === 'tel') return false;
  return /^[\x21-\x7e]+$/.test(uriText) && !/[<>"]/.test(uriText);
}

/** Always with brackets; the display name always quoted. */
export function formatNameAddress(address: {
  readonly displayName?: string | undefined;
  readonly uri: SipUri;
  readonly parameters?: ReadonlyMap<string, string>;
}): string {
  const name = address.displayName ? `${quote(encodeText(printable(address.displayName)))} ` : '';
  return `${name}<${formatUri(address.uri)}>${formatParameters(address.parameters ?? NO_PARAMETERS)}`;
}
