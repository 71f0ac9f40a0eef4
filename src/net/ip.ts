import { isIPv4, isIPv6, SocketAddress } from 'node:net';
import type { Address } from '../machine/address.ts';

/**
 * Canonical text of an IP address: IPv6 as RFC 5952 says, without zone or brackets, an IPv4-mapped one as IPv4.
 * Undefined where `text` is no IP address.
 */
export function canonicalIp(text: string): string | undefined {
  if (isIPv4(text)) return text;
  const bare = text.replace(/^\[(.*)\]$/, '$1').replace(/%.*$/, '');
  if (!isIPv6(bare)) return undefined;
  const canonical = new SocketAddress({ address: bare, family: 'ipv6' }).address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(canonical);
  return mapped === null ? canonical : mapped[1];
}

/** What a socket reports of an end, in canonical form. A socket that is gone reports nothing: `0.0.0.0:0`. */
export function canonicalAddress(ip: string | undefined, port: number | undefined): Address {
  return { ip: canonicalIp(ip ?? '') ?? '0.0.0.0', port: port ?? 0 };
}

/** What limits per source count by: an IPv4 address, or the /64 of an IPv6 address (one customer has that many). */
export function sourceKey(ip: string): string {
  if (!ip.includes(':')) return ip;
  const [head = '', tail] = ip.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...new Array<string>(zeros).fill('0'), ...right];
  return `${groups.slice(0, 4).join(':')}::/64`;
}

export function isLoopback(ip: string): boolean {
  return ip === '::1' || ip.startsWith('127.');
}

export function isWildcard(ip: string): boolean {
  return ip === '0.0.0.0' || ip === '::';
}
