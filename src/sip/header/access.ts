/** Lazy access to the headers that parse.ts does not read. */
import type { HeaderName, NameAddress, SipMessage } from '../message.ts';
import { parseTokenList } from './list.ts';
import { parseNameAddressList } from './name-address.ts';

/** Raw values of every header of that name in order, list headers not split. */
export function headerValues(message: Pick<SipMessage, 'headers'>, name: HeaderName): string[] {
  const out: string[] = [];
  for (const header of message.headers) if (header.name === name) out.push(header.value);
  return out;
}

export function firstHeader(message: Pick<SipMessage, 'headers'>, name: HeaderName): string | undefined {
  for (const header of message.headers) if (header.name === name) return header.value;
  return undefined;
}

/**
 * All tokens of a token-list header over its lines. Undefined where one is malformed: 400 is due for Require, and
 * other headers may be taken as empty.
 */
export function tokenList(message: Pick<SipMessage, 'headers'>, name: HeaderName): string[] | undefined {
  const out: string[] = [];
  for (const value of headerValues(message, name)) {
    const tokens = parseTokenList(value);
    if (tokens === undefined || out.length + tokens.length > 128) return undefined;
    out.push(...tokens);
  }
  return out;
}

/** Option tags, lower case, without repeats; malformed lines count as none. */
export function optionTags(
  message: Pick<SipMessage, 'headers'>,
  name: 'Require' | 'Proxy-Require' | 'Supported' | 'Unsupported',
): ReadonlySet<string> {
  return new Set((tokenList(message, name) ?? []).map((tag) => tag.toLowerCase()));
}

/** All addresses of Route, Record-Route, Contact ... in order; undefined where one is malformed. `*` is not an address. */
export function nameAddresses(
  message: Pick<SipMessage, 'headers'>,
  name: HeaderName,
  limit = 64,
): NameAddress[] | undefined {
  const out: NameAddress[] = [];
  for (const value of headerValues(message, name)) {
    const addresses = parseNameAddressList(value, limit - out.length);
    if (addresses === undefined) return undefined;
    out.push(...addresses);
  }
  return out;
}
