import type { Address } from '../machine/address.ts';

/**
 * A datagram's source as five integers, so that comparing two costs no allocation. IPv4 is kept IPv4-mapped
 * (RFC 4291 2.5.5.2). Words are signed 32-bit integers in network order.
 */
export interface SourceWords {
  a: number;
  b: number;
  c: number;
  d: number;
  port: number;
}

const MAPPED = 0xffff;

export function sourceWords(): SourceWords {
  return { a: 0, b: 0, c: 0, d: 0, port: 0 };
}

export function copySource(from: SourceWords, to: SourceWords): void {
  to.a = from.a;
  to.b = from.b;
  to.c = from.c;
  to.d = from.d;
  to.port = from.port;
}

export function sameHost(x: SourceWords, y: SourceWords): boolean {
  return x.d === y.d && x.c === y.c && x.b === y.b && x.a === y.a;
}

export function sameSource(x: SourceWords, y: SourceWords): boolean {
  return x.port === y.port && sameHost(x, y);
}

/** Undefined where `address.ip` is no IPv4 or IPv6 address. */
export function parseSource(address: Address): SourceWords | undefined {
  const out = sourceWords();
  out.port = address.port;
  return (address.ip.includes(':') ? parseV6(address.ip, out) : parseV4(address.ip, out)) ? out : undefined;
}

function parseV4(text: string, out: SourceWords): boolean {
  const parts = text.split('.');
  if (parts.length !== 4) return false;
  let word = 0;
  for (const part of parts) {
    if (!/^\d{1,3}$/.test(part) || Number(part) > 255) return false;
    word = (word << 8) | Number(part);
  }
  out.a = 0;
  out.b = 0;
  out.c = MAPPED;
  out.d = word;
  return true;
}

function parseV6(text: string, out: SourceWords): boolean {
  let address = text;
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (dotted) {
    if (!parseV4(dotted[2]!, out)) return false;
    address = `${dotted[1]}${(out.d >>> 16).toString(16)}:${(out.d & 0xffff).toString(16)}`;
  }
  const halves = address.split('::');
  if (halves.length > 2) return false;
  const head = halves[0] === '' ? [] : halves[0]!.split(':');
  const tail = halves[1] === undefined || halves[1] === '' ? [] : halves[1].split(':');
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return false;
  const groups = [...head, ...new Array<string>(missing).fill('0'), ...tail];
  if (groups.some((g) => !/^[0-9a-fA-F]{1,4}$/.test(g))) return false;
  const n = groups.map((g) => Number.parseInt(g, 16));
  out.a = (n[0]! << 16) | n[1]!;
  out.b = (n[2]! << 16) | n[3]!;
  out.c = (n[4]! << 16) | n[5]!;
  out.d = (n[6]! << 16) | n[7]!;
  return true;
}

export function isV4(source: SourceWords): boolean {
  return source.a === 0 && source.b === 0 && source.c === MAPPED;
}

/** Canonical text (RFC 5952) of a source. */
export function sourceAddress(source: SourceWords): Address {
  if (isV4(source)) {
    const d = source.d;
    return { ip: `${d >>> 24}.${(d >>> 16) & 255}.${(d >>> 8) & 255}.${d & 255}`, port: source.port };
  }
  const groups: number[] = [];
  for (const w of [source.a, source.b, source.c, source.d]) groups.push(w >>> 16, w & 0xffff);
  return { ip: compress(groups), port: source.port };
}

function compress(groups: readonly number[]): string {
  let best = 0;
  let bestLength = 1; // RFC 5952 4.2.2: a single zero group is not shortened
  for (let i = 0; i < 8; i++) {
    let n = 0;
    while (i + n < 8 && groups[i + n] === 0) n++;
    if (n > bestLength) {
      best = i;
      bestLength = n;
    }
  }
  const hex = groups.map((g) => g.toString(16));
  if (bestLength < 2) return hex.join(':');
  return `${hex.slice(0, best).join(':')}::${hex.slice(best + bestLength).join(':')}`;
}

/** Addresses that a far end behind a NAT would name as its own: RFC 1918, RFC 6598, RFC 4193, link-local. */
export function isPrivate(source: SourceWords): boolean {
  if (isV4(source)) {
    const d = source.d;
    const top = d >>> 24;
    return (
      top === 10 ||
      d >>> 20 === 0xac1 ||
      d >>> 16 === 0xc0a8 ||
      d >>> 16 === 0xa9fe ||
      d >>> 22 === 0x64400000 >>> 22
    );
  }
  const top = source.a >>> 16;
  return (top & 0xfe00) === 0xfc00 || (top & 0xffc0) === 0xfe80;
}
