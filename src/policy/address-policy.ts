/**
 * Which addresses this gateway deals with: sets of networks, the closed list of the intranet, and which addresses a far end
 * may name for its media (ATTACKS "media never aimed at loopback, link-local, multicast, own or internal addresses").
 */
import type { IpValue } from './ip.ts';
import { parseIp } from './ip.ts';

interface Network {
  readonly words: readonly number[];
  readonly prefix: number;
}

/** A set of networks. IPv4 ranges are merged and searched by halves; IPv6 networks are few and looked through. */
export class CidrSet {
  readonly #v4: { readonly first: number; readonly last: number }[] = [];
  readonly #v6: Network[] = [];
  readonly #hosts = new Set<string>();
  /** What was not a network. */
  readonly invalid: readonly string[];

  /** `networks`: `10.0.0.0/8`, `2001:db8::/32`, or a bare address. What cannot be read is left out and listed in `invalid`. */
  constructor(networks: readonly string[]) {
    const invalid: string[] = [];
    for (const text of networks) if (!this.#add(text)) invalid.push(text);
    this.invalid = invalid;
    this.#merge();
  }

  get empty(): boolean {
    return this.#v4.length === 0 && this.#v6.length === 0;
  }

  has(ip: string | IpValue): boolean {
    const value = typeof ip === 'string' ? parseIp(ip) : ip;
    if (value === undefined) return false;
    return value.family === 4 ? this.#has4(value.words[0]!) : this.#has6(value.words);
  }

  /** Whether this very address was written down, not only a network around it. */
  namesHost(ip: string): boolean {
    const value = parseIp(ip);
    return value !== undefined && this.#hosts.has(hostKey(value));
  }

  #add(text: string): boolean {
    const [host = '', length, ...rest] = text.split('/');
    const value = parseIp(host);
    if (value === undefined || rest.length > 0) return false;
    // The prefix of a mapped address counts from its 96 fixed bits.
    const written = host.includes(':') ? 128 : 32;
    const bits = value.family === 4 ? 32 : 128;
    const prefix = length === undefined ? bits : Number(length) - (written - bits);
    if ((length !== undefined && !/^\d{1,3}$/.test(length)) || prefix < 0 || prefix > bits) return false;
    if (prefix === bits) this.#hosts.add(hostKey(value));
    if (value.family === 6) {
      this.#v6.push({ words: value.words, prefix });
      return true;
    }
    const size = 2 ** (32 - prefix);
    const first = Math.floor(value.words[0]! / size) * size;
    this.#v4.push({ first, last: first + size - 1 });
    return true;
  }

  #merge(): void {
    const ranges = this.#v4.sort((a, b) => a.first - b.first);
    const merged: { first: number; last: number }[] = [];
    for (const range of ranges) {
      const last = merged.at(-1);
      if (last !== undefined && range.first <= last.last + 1) last.last = Math.max(last.last, range.last);
      else merged.push({ ...range });
    }
    this.#v4.splice(0, this.#v4.length, ...merged);
  }

  #has4(value: number): boolean {
    let low = 0;
    let high = this.#v4.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const range = this.#v4[middle]!;
      if (value < range.first) high = middle - 1;
      else if (value > range.last) low = middle + 1;
      else return true;
    }
    return false;
  }

  #has6(words: readonly number[]): boolean {
    return this.#v6.some((network) => {
      for (let i = 0, left = network.prefix; left > 0; i++, left -= 32) {
        const mask = left >= 32 ? 0xffff_ffff : (0xffff_ffff << (32 - left)) >>> 0;
        if ((words[i]! & mask) >>> 0 !== (network.words[i]! & mask) >>> 0) return false;
      }
      return true;
    });
  }
}

function hostKey(value: IpValue): string {
  return value.words.join('.');
}

export type AddressKind =
  | 'invalid'
  | 'unspecified'
  | 'loopback'
  | 'link-local'
  | 'multicast'
  | 'broadcast'
  | 'reserved'
  | 'private'
  | 'public';

const KINDS: readonly (readonly [AddressKind, CidrSet])[] = (
  [
    ['broadcast', ['255.255.255.255']],
    ['unspecified', ['0.0.0.0/8', '::']], // RFC 1122 3.2.1.3
    ['loopback', ['127.0.0.0/8', '::1']],
    ['link-local', ['169.254.0.0/16', 'fe80::/10']],
    ['multicast', ['224.0.0.0/4', 'ff00::/8']],
    // RFC 6890: protocol assignments, benchmarking, future use; IPv4 hidden in IPv6 (NAT64, 6to4, Teredo, compatible),
    // discard-only, site-local.
    [
      'reserved',
      [
        '192.0.0.0/24',
        '240.0.0.0/4',
        '::/96',
        '64:ff9b::/96',
        '64:ff9b:1::/48',
        '100::/64',
        '2001::/32',
        '2002::/16',
        'fec0::/10',
      ],
    ],
    // RFC 1918, RFC 6598, RFC 2544, RFC 4193
    [
      'private',
      ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '198.18.0.0/15', 'fc00::/7'],
    ],
  ] as const
).map(([kind, networks]) => [kind, new CidrSet(networks)]);

export function addressKind(ip: string): AddressKind {
  const value = parseIp(ip);
  if (value === undefined) return 'invalid';
  for (const [kind, set] of KINDS) if (set.has(value)) return kind;
  return 'public';
}

export interface MediaAddressRules {
  /** Networks whose media addresses are taken; the only ones where `closed`. */
  readonly networks: CidrSet;
  /** true: nothing outside `networks` (the intranet). false: any public address besides. */
  readonly closed: boolean;
  /** Addresses of this gateway itself: bound and advertised. */
  readonly own: CidrSet;
}

/**
 * Undefined where media may go to `ip`, else the reason. Link-local, multicast, broadcast, unspecified and reserved addresses are never
 * taken; loopback only where `networks` hold it; an own address only where `networks` name that very host (a peer on the
 * same machine) or it is a permitted loopback. `signallingSource`: where the far end's signalling comes from; equal is taken
 * where not closed.
 */
export function mediaAddressProblem(
  ip: string,
  rules: MediaAddressRules,
  signallingSource?: string,
): string | undefined {
  const kind = addressKind(ip);
  switch (kind) {
    case 'invalid':
    case 'unspecified':
    case 'link-local':
    case 'multicast':
    case 'broadcast':
    case 'reserved':
      return `address-${kind}`;
    case 'loopback':
      return rules.networks.has(ip) ? undefined : 'address-loopback';
    default:
      break;
  }
  if (rules.own.has(ip) && !rules.networks.namesHost(ip)) return 'address-own';
  if (rules.networks.has(ip)) return undefined;
  if (rules.closed) return 'address-not-listed';
  if (kind === 'public') return undefined;
  if (signallingSource !== undefined && sameHost(ip, signallingSource)) return undefined;
  return 'address-private';
}

function sameHost(a: string, b: string): boolean {
  const [x, y] = [parseIp(a), parseIp(b)];
  return x !== undefined && y !== undefined && hostKey(x) === hostKey(y);
}
