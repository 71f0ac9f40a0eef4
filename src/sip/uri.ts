/** SIP, SIPS (RFC 3261 19.1) and tel (RFC 3966) URIs. */
import { latin1Bytes, latin1Text, utf8Bytes, utf8Text } from '../bytes/text.ts';
import { NO_PARAMETERS } from './header/scanner.ts';
import { formatHost, parseHostPort, sameHost } from './host.ts';
import { SIP_LIMITS, type SipUri } from './message.ts';

const USER_RAW = /^[A-Za-z0-9\-_.!~*'()&=+$,;?/%]*$/;
const PASSWORD_RAW = /^[A-Za-z0-9\-_.!~*'()&=+$,%]*$/;
const PARAMETER_RAW = /^[A-Za-z0-9\-_.!~*'()[\]/:&+$%]+$/;
const HEADERS_RAW = /^[A-Za-z0-9\-_.!~*'()[\]/?:+$%=&]*$/;
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
  switch (text.slice(0, Math.max(colon, 0)).toLowerCase()) {
    case 'sip':
      return parseSip('sip', text.slice(4));
    case 'sips':
      return parseSip('sips', text.slice(5));
    case 'tel':
      return parseTel(text.slice(4));
    default:
      return undefined;
  }
}

function parseSip(scheme: 'sip' | 'sips', rest: string): SipUri | undefined {
  const at = rest.indexOf('@');
  let user = '';
  let password: string | undefined;
  if (at >= 0) {
    const info = rest.slice(0, at);
    const colon = info.indexOf(':');
    const name = decodeEscapes(colon < 0 ? info : info.slice(0, colon), USER_RAW, true);
    if (name === undefined || name === '' || name.length > SIP_LIMITS.userBytes) return undefined;
    user = name;
    if (colon >= 0) {
      password = decodeEscapes(info.slice(colon + 1), PASSWORD_RAW, true);
      if (password === undefined) return undefined;
    }
  }
  const question = rest.indexOf('?', at + 1);
  const headers = question < 0 ? '' : rest.slice(question + 1);
  if (question >= 0 && !HEADERS_RAW.test(headers)) return undefined;
  const tail = rest.slice(at + 1, question < 0 ? rest.length : question);
  const semicolon = tail.indexOf(';');
  const hostPort = parseHostPort(semicolon < 0 ? tail : tail.slice(0, semicolon));
  const parameters = semicolon < 0 ? NO_PARAMETERS : parseParameters(tail.slice(semicolon + 1));
  if (hostPort === undefined || parameters === undefined) return undefined;
  return { scheme, user, ...(password === undefined ? {} : { password }), ...hostPort, parameters, headers };
}

function parseTel(rest: string): SipUri | undefined {
  const semicolon = rest.indexOf(';');
  const user = semicolon < 0 ? rest : rest.slice(0, semicolon);
  if (user.length > SIP_LIMITS.userBytes || !TEL_NUMBER.test(user)) return undefined;
  const parameters = semicolon < 0 ? NO_PARAMETERS : parseParameters(rest.slice(semicolon + 1));
  return parameters && { scheme: 'tel', user, host: '', parameters, headers: '' };
}

function parseParameters(text: string): ReadonlyMap<string, string> | undefined {
  const out = new Map<string, string>();
  for (const piece of text.split(';', SIP_LIMITS.parameters + 1)) {
    const equals = piece.indexOf('=');
    const name = decodeEscapes(
      equals < 0 ? piece : piece.slice(0, equals),
      PARAMETER_RAW,
      false,
    )?.toLowerCase();
    const value = equals < 0 ? '' : decodeEscapes(piece.slice(equals + 1), PARAMETER_RAW, false);
    if (name === undefined || value === undefined || out.has(name) || out.size >= SIP_LIMITS.parameters) {
      return undefined;
    }
    out.set(name, value);
  }
  return out;
}

/** Undefined where a raw character is outside `raw`, an escape is broken or no UTF-8, or hides a control octet. */
function decodeEscapes(text: string, raw: RegExp, controls: boolean): string | undefined {
  if (!raw.test(text)) return undefined;
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

const USER_PLAIN = /^[A-Za-z0-9\-_.!~*'()&=+$,;?/]*$/;
const PASSWORD_PLAIN = /^[A-Za-z0-9\-_.!~*'()&=+$,]*$/;
const PARAMETER_PLAIN = /^[A-Za-z0-9\-_.!~*'()[\]/:&+$]*$/;

/** The URI as text, everything that may not stand raw escaped (RFC 3261 19.1.2). */
export function formatUri(uri: SipUri): string {
  let out = `${uri.scheme}:`;
  if (uri.scheme === 'tel') out += uri.user;
  else {
    if (uri.user !== '') {
      out += encodeEscapes(uri.user, USER_PLAIN);
      if (uri.password !== undefined) out += `:${encodeEscapes(uri.password, PASSWORD_PLAIN)}`;
      out += '@';
    }
    out += formatHost(uri.host);
    if (uri.port !== undefined) out += `:${uri.port}`;
  }
  for (const [name, value] of uri.parameters) {
    out +=
      value === ''
        ? `;${encodeEscapes(name, PARAMETER_PLAIN)}`
        : `;${encodeEscapes(name, PARAMETER_PLAIN)}=${encodeEscapes(value, PARAMETER_PLAIN)}`;
  }
  return uri.headers === '' ? out : `${out}?${uri.headers}`;
}

function encodeEscapes(text: string, plain: RegExp): string {
  if (plain.test(text)) return text;
  let out = '';
  for (const octet of latin1Text(utf8Bytes(text))) {
    out += plain.test(octet) ? octet : `%${octet.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return out;
}

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
  return { scheme: 'sip', user, host, ...(port === undefined ? {} : { port }), parameters, headers: '' };
}
