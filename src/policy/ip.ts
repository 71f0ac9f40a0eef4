/** IP addresses as values, for comparing with networks. IPv4 in IPv6 (::ffff:0:0/96) is IPv4. */

export interface IpValue {
  readonly family: 4 | 6;
  /** 32 bits each: one for IPv4, four for IPv6. */
  readonly words: readonly number[];
}

/** Undefined where `text` is no IPv4 or IPv6 address in the text forms of RFC 4291 2.2; a zone is no part of one. */
export function parseIp(text: string): IpValue | undefined {
  if (!text.includes(':')) {
    const v4 = parseIpv4(text);
    return v4 === undefined ? undefined : { family: 4, words: [v4] };
  }
  const words = parseIpv6(text);
  if (words === undefined) return undefined;
  const mapped = words[0] === 0 && words[1] === 0 && words[2] === 0xffff;
  return mapped ? { family: 4, words: [words[3]!] } : { family: 6, words };
}

/** Four decimal numbers without leading zeros (others mean octal to some and must not be guessed at). */
function parseIpv4(text: string): number | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  let value = 0;
  for (const part of parts) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return undefined;
    value = value * 256 + Number(part);
  }
  return value;
}

function parseIpv6(text: string): readonly number[] | undefined {
  if (text.length > 45) return undefined;
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = groups(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? groups(halves[1]!, true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const gap = 8 - head.length - tail.length;
  if (halves.length === 2 ? gap < 1 : gap !== 0) return undefined;
  const all = [...head, ...new Array<number>(Math.max(0, gap)).fill(0), ...tail];
  const words: number[] = [];
  for (let i = 0; i < 8; i += 2) words.push(all[i]! * 0x1_0000 + all[i + 1]!);
  return words;
}

/** `dotted`: the last group may be an IPv4 address (it ends the text). */
function groups(text: string, dotted: boolean): number[] | undefined {
  if (text === '') return [];
  const parts = text.split(':');
  const out: number[] = [];
  for (const [i, part] of parts.entries()) {
    if (dotted && i === parts.length - 1 && part.includes('.')) {
      const v4 = parseIpv4(part);
      if (v4 === undefined) return undefined;
      out.push(Math.floor(v4 / 0x1_0000), v4 % 0x1_0000);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      out.push(Number.parseInt(part, 16));
    } else {
      return undefined;
    }
  }
  return out.length > 8 ? undefined : out;
}

/**
 * What a source is counted as: an IPv4 address, or the /64 of an IPv6 one (a single host owns 2^64 of those). Text that is
 * no address counts as itself.
 */
export function sourceKey(ip: string): string {
  const value = parseIp(ip);
  if (value === undefined) return ip.slice(0, 64);
  if (value.family === 6) return `${hex(value.words[0]!)}:${hex(value.words[1]!)}/64`;
  const v4 = value.words[0]!;
  return `${v4 >>> 24}.${(v4 >>> 16) & 255}.${(v4 >>> 8) & 255}.${v4 & 255}`;
}

function hex(word: number): string {
  return word.toString(16);
}
