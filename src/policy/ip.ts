/** IP addresses as values, for comparing with networks. IPv4 in IPv6 (::ffff:0:0/96) is IPv4. */
import { parseIp as parseOctets } from '../bytes/ip.ts';

export interface IpValue {
  readonly family: 4 | 6;
  /** 32 bits each: one for IPv4, four for IPv6. */
  readonly words: readonly number[];
}

/** The same few addresses are asked about several times for each message. (A text may hold the message that it was cut from.) */
const REMEMBERED = 128;
const values = new Map<string, IpValue>();
const keys = new Map<string, string>();

function remember<T>(known: Map<string, T>, text: string, value: T): T {
  if (known.size >= REMEMBERED) known.clear();
  known.set(text, value);
  return value;
}

/** Undefined where `text` is no IPv4 or IPv6 address in the text forms of RFC 4291 2.2; a zone is no part of one. */
export function parseIp(text: string): IpValue | undefined {
  if (text.length > 45) return undefined;
  const known = values.get(text);
  if (known !== undefined) return known;
  const value = readIp(text);
  return value && remember(values, text, value);
}

function readIp(text: string): IpValue | undefined {
  const octets = parseOctets(text);
  if (octets === undefined) return undefined;
  const words: number[] = [];
  for (let i = 0; i < octets.length; i += 4) {
    words.push(((octets[i]! << 24) | (octets[i + 1]! << 16) | (octets[i + 2]! << 8) | octets[i + 3]!) >>> 0);
  }
  if (words.length === 1) return { family: 4, words };
  const mapped = words[0] === 0 && words[1] === 0 && words[2] === 0xffff;
  return mapped ? { family: 4, words: [words[3]!] } : { family: 6, words };
}

/**
 * What a source is counted as: an IPv4 address, or the /64 of an IPv6 one (a single host owns 2^64 of those). Text that is
 * no address counts as itself.
 */
export function sourceKey(ip: string): string {
  return keys.get(ip) ?? remember(keys, ip.slice(0, 64), keyOf(ip));
}

function keyOf(ip: string): string {
  const value = parseIp(ip);
  if (value === undefined) return ip.slice(0, 64);
  if (value.family === 6) return `${hex(value.words[0]!)}:${hex(value.words[1]!)}/64`;
  const v4 = value.words[0]!;
  return `${v4 >>> 24}.${(v4 >>> 16) & 255}.${(v4 >>> 8) & 255}.${v4 & 255}`;
}

function hex(word: number): string {
  return word.toString(16);
}
