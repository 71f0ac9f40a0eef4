/** SIP, SIPS (RFC 3261 19.1) and tel (RFC 3966) URIs. */
import { latin1Bytes, utf8Bytes, utf8Text } from '../bytes/text.ts';
import type { Writable } from '../machine/machine.ts';
import {
  CLASS,
  DIALLED,
  lowerCase,
  PARAMETER,
  PASSWORD,
  PERCENT,
  runEnd,
  URI_HEADER,
  USER,
} from './characters.ts';
import { NO_PARAMETERS } from './header/scanner.ts';
import { formatHost, parseHostPort, sameHost } from './host.ts';
import { SIP_LIMITS, type SipUri } from './message.ts';

const TEL_NUMBER = /^(?:\+[0-9\-.()]*[0-9][0-9\-.()]*|[0-9A-Fa-f*#\-.()]*[0-9A-Fa-f*#][0-9A-Fa-f*#\-.()]*)$/;
const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]{0,31}:/;

/** The lower-case scheme of anything that looks like an absolute URI, undefined where it does not. */
export function uriScheme(text: string): string | undefined {
  const match = SCHEME.exec(text);
  return match === null ? undefined : match[0].slice(0, -1).toLowerCase();
}

/**
 * Parses without surrounding white space or brackets. Undefined: other scheme, malformed, over SIP_LIMITS, an escape
 * that is no UTF-8, or an escaped control octet anywhere but in the user part (RFC 4475 3.1.1.4 has %00 there).
 */
export function parseUri(text: string): SipUri | undefined {
  if (text.length > SIP_LIMITS.uriBytes) return undefined;
  const colon = text.indexOf(':');
  switch (lowerCase(text, 0, Math.max(colon, 0))) {
    case 'sip':
      return parseSip('sip', text, 4);
    case 'sips':
      return parseSip('sips', text, 5);
    case 'tel':
      return parseTel(text.slice(4));
    default:
      return undefined;
  }
}

function parseSip(scheme: 'sip' | 'sips', text: string, from: number): SipUri | undefined {
  const at = text.indexOf('@', from);
  let user = '';
  let password: string | undefined;
  if (at >= 0) {
    // The user part has no raw colon, so the first one begins the password.
    const userEnd = runEnd(text, from, at, USER | PERCENT | DIALLED);
    const name = decodeEscapes(text.slice(from, userEnd), true);
    if (name === undefined || name === '' || userEnd - from > SIP_LIMITS.userBytes) return undefined;
    user = name;
    if (userEnd < at) {
      if (text.charCodeAt(userEnd) !== 0x3a) return undefined;
      if (runEnd(text, userEnd + 1, at, PASSWORD | PERCENT) < at) return undefined;
      password = decodeEscapes(text.slice(userEnd + 1, at), true);
      if (password === undefined) return undefined;
    }
  }
  const start = at < 0 ? from : at + 1;
  const question = text.indexOf('?', start);
  const end = question < 0 ? text.length : question;
  const headers = question < 0 ? '' : text.slice(question + 1);
  if (runEnd(headers, 0, headers.length, URI_HEADER | PERCENT) < headers.length) return undefined;
  const semicolon = text.indexOf(';', start);
  const hostEnd = semicolon < 0 || semicolon > end ? end : semicolon;
  const hostPort = parseHostPort(text, start, hostEnd);
  if (hostPort === undefined) return undefined;
  const parameters = hostEnd === end ? NO_PARAMETERS : parseParameters(text, hostEnd + 1, end);
  if (parameters === undefined) return undefined;
  const uri: Writable<SipUri> = { scheme, user, host: hostPort.host, parameters, headers };
  if (password !== undefined) uri.password = password;
  if (hostPort.port !== undefined) uri.port = hostPort.port;
  return uri;
}

function parseTel(rest: string): SipUri | undefined {
  const semicolon = rest.indexOf(';');
  const user = semicolon < 0 ? rest : rest.slice(0, semicolon);
  if (user.length > SIP_LIMITS.userBytes || !TEL_NUMBER.test(user)) return undefined;
  const parameters = semicolon < 0 ? NO_PARAMETERS : parseParameters(rest, semicolon + 1, rest.length);
  return parameters && { scheme: 'tel', user, host: '', parameters, headers: '' };
}

/** `name [ "=" value ] *( ";" ... )`; undefined for an empty piece, a raw character out of class, a name given twice. */
function parseParameters(text: string, from: number, to: number): ReadonlyMap<string, string> | undefined {
  const out = new Map<string, string>();
  for (let at = from; ; at++) {
    const nameEnd = runEnd(text, at, to, PARAMETER | PERCENT);
    const decoded = nameEnd === at ? undefined : decodeEscapes(text.slice(at, nameEnd), false);
    if (decoded === undefined) return undefined;
    const name = lowerCase(decoded);
    at = nameEnd;
    let value: string | undefined = '';
    if (at < to && text.charCodeAt(at) === 0x3d) {
      at = runEnd(text, nameEnd + 1, to, PARAMETER | PERCENT);
      value = at === nameEnd + 1 ? undefined : decodeEscapes(text.slice(nameEnd + 1, at), false);
    }
    if (value === undefined || out.has(name) || out.size >= SIP_LIMITS.parameters) return undefined;
    out.set(name, value);
    if (at === to) return out;
    if (text.charCodeAt(at) !== 0x3b) return undefined;
  }
}

/** Undefined where an escape is broken or no UTF-8, or hides a control octet where those are not wanted. */
function decodeEscapes(text: string, controls: boolean): string | undefined {
  if (!text.includes('%')) return text;
  let octets = '';
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c !== 0x25) {
      octets += text[i];
      continue;
    }
    const hex = text.slice(i + 1, i + 3);
    if (!/^[0-9A-Fa-f]{2}$/.test(hex)) return undefined;
    octets += String.fromCharCode(Number.parseInt(hex, 16));
    i += 2;
  }
  if (!controls && /[\x00-\x1f\x7f]/.test(octets)) return undefined;
  return utf8Text(latin1Bytes(octets));
}

/** The URI as text, everything that may not stand raw escaped (RFC 3261 19.1.2). */
export function formatUri(uri: SipUri): string {
  let out = `${uri.scheme}:`;
  if (uri.scheme === 'tel') out += uri.user;
  else {
    if (uri.user !== '') {
      out += encodeEscapes(uri.user, USER);
      if (uri.password !== undefined) out += `:${encodeEscapes(uri.password, PASSWORD)}`;
      out += '@';
    }
    out += formatHost(uri.host);
    if (uri.port !== undefined) out += `:${uri.port}`;
  }
  for (const [name, value] of uri.parameters) {
    out +=
      value === ''
        ? `;${encodeEscapes(name, PARAMETER)}`
        : `;${encodeEscapes(name, PARAMETER)}=${encodeEscapes(value, PARAMETER)}`;
  }
  return uri.headers === '' ? out : `${out}?${uri.headers}`;
}

function encodeEscapes(text: string, plain: number): string {
  if (runEnd(text, 0, text.length, plain) === text.length) return text;
  let out = '';
  for (const octet of utf8Bytes(text)) {
    out +=
      (CLASS[octet]! & plain) !== 0 ? String.fromCharCode(octet) : `%${HEX[octet >> 4]}${HEX[octet & 15]}`;
  }
  return out;
}

const HEX = '0123456789ABCDEF';

/** Parameters that make two URIs differ where only one has them (RFC 3261 19.1.4). */
const NEVER_IGNORED = ['user', 'ttl', 'method', 'maddr', 'transport'];

/** Equality by RFC 3261 19.1.4, and RFC 3966 5 for tel. Not transitive, as the RFC says. */
export function equalUri(a: SipUri, b: SipUri): boolean {
  if (a.scheme !== b.scheme) return false;
  if (a.scheme === 'tel') return equalTel(a, b);
  if (a.user !== b.user || a.password !== b.password || a.port !== b.port || !sameHost(a.host, b.host))
    return false;
  for (const [name, value] of a.parameters) {
    const other = b.parameters.get(name);
    if (other !== undefined && other.toLowerCase() !== value.toLowerCase()) return false;
  }
  if (NEVER_IGNORED.some((name) => a.parameters.has(name) !== b.parameters.has(name))) return false;
  return equalHeaders(a.headers, b.headers);
}

function equalTel(a: SipUri, b: SipUri): boolean {
  if (a.parameters.size !== b.parameters.size) return false;
  if (strip(a.user).toLowerCase() !== strip(b.user).toLowerCase()) return false;
  for (const [name, value] of a.parameters) {
    if (b.parameters.get(name)?.toLowerCase() !== value.toLowerCase()) return false;
  }
  return true;
}

/** URI headers compare as sets; each is small and rare. */
function equalHeaders(a: string, b: string): boolean {
  if (a === b) return true;
  const sorted = (text: string): string => text.toLowerCase().split('&').sort().join('&');
  return sorted(a) === sorted(b);
}

function strip(number: string): string {
  return number.replace(/[-.()]/g, '');
}

/**
 * The telephone number a URI names, without visual separators: `+` and digits, or local digits with `*` and `#`.
 * tel URIs, and sip URIs whose user part (up to `;`) is written as a number. Undefined where it is a name, not a number.
 */
export function numberOfUri(uri: SipUri): string | undefined {
  const semicolon = uri.user.indexOf(';');
  const number = strip(semicolon < 0 ? uri.user : uri.user.slice(0, semicolon));
  return /^\+?[0-9*#]{1,64}$/.test(number) ? number : undefined;
}

/** A sip URI of plain parts; `user` '' for none. */
export function sipUri(
  user: string,
  host: string,
  port?: number,
  parameters: ReadonlyMap<string, string> = NO_PARAMETERS,
): SipUri {
  const uri: Writable<SipUri> = { scheme: 'sip', user, host, parameters, headers: '' };
  if (port !== undefined) uri.port = port;
  return uri;
}
