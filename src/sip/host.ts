/** Host names and address literals as they stand in URIs and Via (RFC 3261 25.1, RFC 5118, RFC 5954). */

import { canonicalIp as canonical } from '../bytes/ip.ts';

/**
 * Canonical text (RFC 5952) of an address literal without brackets, undefined where it is none. The stray third colon
 * of RFC 3261's grammar before an embedded IPv4 address (RFC 5118 4.10, `2001:db8:::192.0.2.1`) is read as two.
 */
export function canonicalIp(text: string): string | undefined {
  return canonical(text.includes(':::') && text.includes('.') ? text.replace(':::', '::') : text);
}

const HOST = /^[0-9A-Za-z_](?:[0-9A-Za-z_.-]{0,253}[0-9A-Za-z_.])?$/;

/**
 * A host name or IPv4 address. Underscores are let through, as real devices and DNS have them. A name whose last label is
 * a number is none (25.1 `toplabel`): resolvers take `2130706433` or `0177.1` for addresses.
 */
export function isHostName(text: string): boolean {
  if (!HOST.test(text) || text.includes('..')) return false;
  const last = text.charCodeAt(text.length - 1);
  if (last < 0x30 || (last > 0x39 && last !== 0x2e)) return true;
  return canonical(text) !== undefined || !/(?:^|\.)(?:\d+|0[xX][0-9a-fA-F]*)\.?$/.test(text);
}

/**
 * `host [":" port]` with IPv6 in brackets. Host lower case without brackets; undefined where malformed or the port is
 * not 1..65535.
 */
export function parseHostPort(text: string): { readonly host: string; readonly port?: number } | undefined {
  let host: string;
  let rest: string;
  if (text.charCodeAt(0) === 0x5b) {
    const close = text.indexOf(']');
    host = text.slice(1, Math.max(close, 1));
    if (!host.includes(':') || canonicalIp(host) === undefined) return undefined;
    rest = text.slice(close + 1);
  } else {
    const colon = text.indexOf(':');
    host = colon < 0 ? text : text.slice(0, colon);
    if (!isHostName(host)) return undefined;
    rest = colon < 0 ? '' : text.slice(colon);
  }
  host = host.toLowerCase();
  if (rest === '') return { host };
  const port = parsePort(rest);
  return port === undefined ? undefined : { host, port };
}

/** `":" 1*DIGIT` */
function parsePort(text: string): number | undefined {
  if (!/^:\d{1,5}$/.test(text)) return undefined;
  const port = Number(text.slice(1));
  return port >= 1 && port <= 65_535 ? port : undefined;
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
