import { formatIp, parseIp } from '../bytes/ip.ts';
import type { Address } from '../machine/address.ts';
import { readU32, writeU32 } from './packet.ts';

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
  const octets = parseIp(address.ip);
  if (octets === undefined) return undefined;
  const at = octets.length - 4;
  const d = readU32(octets, at) | 0;
  if (octets.length === 4) return { a: 0, b: 0, c: MAPPED, d, port: address.port };
  return {
    a: readU32(octets, 0) | 0,
    b: readU32(octets, 4) | 0,
    c: readU32(octets, 8) | 0,
    d,
    port: address.port,
  };
}

export function isV4(source: SourceWords): boolean {
  return source.a === 0 && source.b === 0 && source.c === MAPPED;
}

/** The address of a source, in canonical text (RFC 5952). */
export function sourceAddress(source: SourceWords): Address {
  const v4 = isV4(source);
  const octets = new Uint8Array(v4 ? 4 : 16);
  const words = v4 ? [source.d] : [source.a, source.b, source.c, source.d];
  words.forEach((word, i) => {
    writeU32(octets, 4 * i, word);
  });
  return { ip: formatIp(octets), port: source.port };
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
