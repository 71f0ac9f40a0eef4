/** Text and octets of IP addresses, and what kind an address is. Nothing here resolves names. */

/**
 * 4 octets of an IPv4 address (dotted decimal, no leading zeros) or 16 of an IPv6 address (RFC 4291 2.2, also with an embedded
 * IPv4 tail; no brackets, no zone). Undefined for everything else, host names included.
 */
export function parseIp(text: string): Uint8Array | undefined {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text);
}

function parseIpv4(text: string): Uint8Array | undefined {
  const { length } = text;
  if (length < 7 || length > 15) return undefined;
  const out = new Uint8Array(4);
  let part = 0;
  let digits = 0;
  let value = 0;
  for (let i = 0; i < length; i++) {
    const c = text.charCodeAt(i) - 0x30;
    if (c >= 0 && c <= 9) {
      if (digits > 0 && value === 0) return undefined; // a leading zero: octal to some
      value = 10 * value + c;
      digits++;
      if (value > 255) return undefined;
    } else if (c === -2 && digits > 0 && part < 3) {
      out[part++] = value;
      digits = 0;
      value = 0;
    } else return undefined;
  }
  if (part !== 3 || digits === 0) return undefined;
  out[3] = value;
  return out;
}

function parseIpv6(text: string): Uint8Array | undefined {
  if (text.length < 2 || text.length > 45) return undefined;
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = groupsOf(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? groupsOf(halves[1]!, true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail];
  return Uint8Array.from(groups.flatMap((g) => [g >> 8, g & 255]));
}

/** The 16-bit groups of one side of `::`; an IPv4 tail counts as two and may stand only at the very end. */
function groupsOf(text: string, last: boolean): number[] | undefined {
  if (text === '') return [];
  const parts = text.split(':');
  const out: number[] = [];
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]!;
    if (part.includes('.')) {
      const v4 = last && i === parts.length - 1 ? parseIpv4(part) : undefined;
      if (v4 === undefined) return undefined;
      out.push((v4[0]! << 8) | v4[1]!, (v4[2]! << 8) | v4[3]!);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      out.push(Number.parseInt(part, 16));
    } else {
      return undefined;
    }
  }
  return out;
}

/** Canonical text of 4 or 16 octets; IPv6 as RFC 5952 writes it (lower case, longest zero run as `::`). */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((bytes[i]! << 8) | bytes[i + 1]!);
  let start = -1;
  let length = 1; // RFC 5952 4.2.2: a single zero group is not shortened
  for (let i = 0; i < 8; ) {
    let end = i;
    while (end < 8 && groups[end] === 0) end++;
    if (end - i > length) {
      start = i;
      length = end - i;
    }
    i = end + 1;
  }
  const hex = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((g) => g.toString(16))
      .join(':');
  return start < 0 ? hex(0, 8) : `${hex(0, start)}::${hex(start + length, 8)}`;
}

/** The canonical text of an address, or undefined where `text` is none. */
export function canonicalIp(text: string): string | undefined {
  const bytes = parseIp(text);
  return bytes === undefined ? undefined : formatIp(bytes);
}

/**
 * `mapped`: an IPv4 address inside an IPv6 one (::ffff:0:0/96, and the deprecated ::/96): a second spelling of an address that
 * a check of the first spelling would miss. `reserved`: 0.0.0.0/8 and 240.0.0.0/4 with the broadcast address.
 */
export type IpClass =
  | 'unicast'
  | 'unspecified'
  | 'loopback'
  | 'link-local'
  | 'multicast'
  | 'mapped'
  | 'reserved';

export function classifyIp(bytes: Uint8Array): IpClass {
  return bytes.length === 4 ? classifyIpv4(bytes) : classifyIpv6(bytes);
}

function classifyIpv4(b: Uint8Array): IpClass {
  if (b.every((o) => o === 0)) return 'unspecified';
  if (b[0] === 127) return 'loopback';
  if (b[0] === 169 && b[1] === 254) return 'link-local';
  if (b[0] === 0 || b[0]! >= 240) return 'reserved';
  return b[0]! >= 224 ? 'multicast' : 'unicast';
}

function classifyIpv6(b: Uint8Array): IpClass {
  if (b[0] === 0xff) return 'multicast';
  if (b[0] === 0xfe && (b[1]! & 0xc0) === 0x80) return 'link-local';
  if (!b.subarray(0, 10).every((o) => o === 0)) return 'unicast';
  if (b[10] === 0xff && b[11] === 0xff) return 'mapped';
  if (b[10] !== 0 || b[11] !== 0) return 'unicast';
  const low = b.subarray(12);
  if (low.every((o) => o === 0)) return 'unspecified';
  return low[0] === 0 && low[1] === 0 && low[2] === 0 && low[3] === 1 ? 'loopback' : 'mapped';
}
