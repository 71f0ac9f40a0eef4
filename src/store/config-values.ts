/** Text of the configuration file to typed values: addresses, networks. Every refusal says what to write instead. */
import { isIPv4, isIPv6 } from 'node:net';
import type { Address } from '../machine/address.ts';
import { fail, ok, type Result } from '../machine/machine.ts';

/** Canonical text of an IPv4 or IPv6 address (RFC 5952), without brackets or zone. */
export function parseIp(text: string): Result<string, string> {
  if (isIPv4(text)) return ok(text);
  if (text.includes('%')) return fail(`"${text}" has a zone; use a global or unique local address`);
  if (!isIPv6(text)) {
    return fail(`"${text}" is not an IPv4 or IPv6 address; host names are not resolved here`);
  }
  const canonical = new URL(`http://[${text}]`).hostname.slice(1, -1);
  if (canonical.startsWith('::ffff:'))
    return fail(`"${text}" is IPv4 in IPv6 clothes; write the IPv4 address`);
  return ok(canonical);
}

/** `192.0.2.1:5060` or `[2001:db8::1]:5060`; port 1..65535, 0 not allowed. */
export function parseAddress(text: string): Result<Address, string> {
  const match = /^(?:\[([^\]]*)\]|([^[\]:]*)):(\d{1,5})$/.exec(text);
  if (match === null) return fail(addressHint(text));
  const ip = parseIp(match[1] ?? match[2] ?? '');
  if (!ip.ok) return ip;
  if ((match[1] !== undefined) !== ip.value.includes(':')) return fail(addressHint(text));
  const port = Number(match[3]);
  if (port < 1 || port > 65535) return fail(`port ${port} is out of range; use 1 to 65535`);
  return ok({ ip: ip.value, port });
}

function addressHint(text: string): string {
  if (/^\d+$/.test(text))
    return `"${text}" is only a port; write ADDRESS:PORT, for example "0.0.0.0:${text}"`;
  if (isIPv6(text)) return `"${text}" has no port or no brackets; write "[${text}]:5060"`;
  if (isIPv4(text)) return `"${text}" has no port; write "${text}:5060"`;
  return `"${text}" is not ADDRESS:PORT; write "192.0.2.1:5060" or "[2001:db8::1]:5060"`;
}

/** A network `10.0.0.0/8`; a bare address means that one address. Result is canonical and always has a prefix length. */
export function parseCidr(text: string): Result<string, string> {
  const [host = '', length, ...rest] = text.split('/');
  if (rest.length > 0)
    return fail(`"${text}" is not a network; write ADDRESS/LENGTH, for example "10.0.0.0/8"`);
  const ip = parseIp(host);
  if (!ip.ok) return ip;
  const bits = ip.value.includes(':') ? 128 : 32;
  if (length === undefined) return ok(`${ip.value}/${bits}`);
  if (!/^\d{1,3}$/.test(length) || Number(length) > bits) {
    return fail(`"/${length}" is not a prefix length; use 0 to ${bits}`);
  }
  const prefix = Number(length);
  const value = ipToBigInt(ip.value);
  const hostBits = BigInt(bits - prefix);
  const network = (value >> hostBits) << hostBits;
  if (network !== value) {
    return fail(`"${text}" has bits set past the prefix; write "${bigIntToIp(network, bits)}/${prefix}"`);
  }
  return ok(`${ip.value}/${prefix}`);
}

/** Numeric value of a canonical address. */
export function ipToBigInt(ip: string): bigint {
  if (!ip.includes(':')) return ip.split('.').reduce((sum, part) => (sum << 8n) | BigInt(part), 0n);
  const [head = '', tail] = ip.split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const middle = Array<string>(8 - left.length - right.length).fill('0');
  return [...left, ...middle, ...right].reduce((sum, part) => (sum << 16n) | BigInt(`0x${part}`), 0n);
}

function bigIntToIp(value: bigint, bits: number): string {
  if (bits === 32) {
    return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 255n)).join('.');
  }
  const groups = [];
  for (let shift = 112n; shift >= 0n; shift -= 16n) groups.push(((value >> shift) & 65535n).toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

/** `0.0.0.0` or `::`. */
export function isWildcard(ip: string): boolean {
  return ip === '0.0.0.0' || ip === '::';
}

export function isLoopback(ip: string): boolean {
  return ip === '::1' || ip.startsWith('127.');
}

/** 4 or 6. */
export function familyOf(ip: string): 4 | 6 {
  return ip.includes(':') ? 6 : 4;
}

/** True where a socket bound to `a` would take packets meant for `b` (same family, or the dual-stack `::`). */
export function bindsOverlap(a: string, b: string): boolean {
  return a === b || (familyOf(a) === familyOf(b) && (isWildcard(a) || isWildcard(b)));
}
