/** Host names and address literals as they stand in URIs and Via (RFC 3261 25.1, RFC 5118, RFC 5954). */

import { canonicalIp as canonical } from '../bytes/ip.ts';
import { CLASS, HOST, lowerCase } from './characters.ts';

/**
 * Canonical text (RFC 5952) of an address literal without brackets, undefined where it is none. The stray third colon
 * of RFC 3261's grammar before an embedded IPv4 address (RFC 5118 4.10, `2001:db8:::192.0.2.1`) is read as two.
 */
export function canonicalIp(text: string): string | undefined {
  if (!text.includes(':')) return isIpv4(text, 0, text.length) ? text : undefined;
  return canonical(text.includes(':::') && text.includes('.') ? text.replace(':::', '::') : text);
}

/** Dotted quad without leading zeros, which is its own canonical form. */
function isIpv4(text: string, from: number, to: number): boolean {
  let dots = 0;
  let value = -1;
  for (let i = from; i < to; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit >= 0 && digit <= 9) {
      if (value === 0) return false;
      value = value < 0 ? digit : value * 10 + digit;
      if (value > 255) return false;
    } else if (digit === -2 && value >= 0 && dots < 3) {
      dots++;
      value = -1;
    } else return false;
  }
  return dots === 3 && value >= 0;
}

const MAX_NAME = 255;
const NUMERIC = /^(?:\d+|0[xX][0-9a-fA-F]*)\.?$/;

/**
 * Index after the host name or IPv4 address at `from`, -1 where there is none. Underscores are let through, as real
 * devices and DNS have them. A name whose last label is a number is none (25.1 `toplabel`): resolvers take `2130706433` or
 * `0x7f.1` for addresses.
 */
export function hostEnd(text: string, from: number, to: number): number {
  let end = from;
  let label = from; // where the last label begins
  for (; end < to; end++) {
    const c = text.charCodeAt(end);
    if ((CLASS[c]! & HOST) === 0) break;
    if (c !== 0x2e) continue;
    if (end === label) return -1; // an empty label
    if (end + 1 < to && (CLASS[text.charCodeAt(end + 1)]! & HOST) !== 0) label = end + 1;
  }
  if (end === from || end - from > MAX_NAME) return -1;
  if (text.charCodeAt(from) === 0x2d || text.charCodeAt(end - 1) === 0x2d) return -1;
  const c = text.charCodeAt(label);
  const numeric = c >= 0x30 && c <= 0x39 && NUMERIC.test(text.slice(label, end));
  return numeric && !isIpv4(text, from, end) ? -1 : end;
}

export interface HostPort {
  readonly host: string;
  readonly port?: number;
}

/**
 * `host [":" port]` with IPv6 in brackets, the whole of `text[from, to)`. Host lower case without brackets; undefined
 * where malformed or the port is not 1..65535.
 */
export function parseHostPort(text: string, from = 0, to = text.length): HostPort | undefined {
  let host: string;
  let end: number;
  if (text.charCodeAt(from) === 0x5b) {
    const close = text.indexOf(']', from);
    if (close < 0 || close >= to) return undefined;
    host = lowerCase(text, from + 1, close);
    if (!host.includes(':') || canonicalIp(host) === undefined) return undefined;
    end = close + 1;
  } else {
    end = hostEnd(text, from, to);
    if (end < 0) return undefined;
    host = lowerCase(text, from, end);
  }
  if (end === to) return { host };
  const port = parsePort(text, end, to);
  return port === 0 ? undefined : { host, port };
}

/** `":" 1*5DIGIT`; 0 where it is not that, or not a port. */
function parsePort(text: string, from: number, to: number): number {
  if (text.charCodeAt(from) !== 0x3a || to - from > 6) return 0;
  let port = 0;
  for (let i = from + 1; i < to; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return 0;
    port = port * 10 + digit;
  }
  return port <= 65_535 ? port : 0;
}

/** Brackets around IPv6. */
export function formatHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

/** Equality of hosts: addresses by value, names without regard to case. */
export function sameHost(a: string, b: string): boolean {
  if (a === b) return true;
  const left = canonicalIp(a);
  return left !== undefined ? left === canonicalIp(b) : a.toLowerCase() === b.toLowerCase();
}
