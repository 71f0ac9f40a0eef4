/** Host names and address literals as they stand in URIs and Via (RFC 3261 25.1, RFC 5118, RFC 5954). */

/** IPv4 dotted quad, decimal without leading zeros ambiguity: each part 0..255. */
export function isIpv4(text: string): boolean {
  if (text.length > 15) return false;
  const parts = text.split('.');
  return parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255);
}

/**
 * The eight groups of an IPv6 address literal without brackets and zone; undefined where it is none. The stray third
 * colon of RFC 3261's grammar before an embedded IPv4 address (RFC 5118 4.10, `2001:db8:::192.0.2.1`) is read as two.
 */
export function parseIpv6(text: string): number[] | undefined {
  if (text.length < 2 || text.length > 46 || !/^[0-9A-Fa-f:.]+$/.test(text)) return undefined;
  const mended = text.includes('.') ? text.replace(':::', '::') : text;
  const halves = mended.split('::');
  if (halves.length > 2) return undefined;
  const head = groups(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? groups(halves[1]!, true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  return [...head, ...new Array<number>(missing).fill(0), ...tail];
}

function groups(text: string, last: boolean): number[] | undefined {
  if (text === '') return [];
  const out: number[] = [];
  const parts = text.split(':');
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]!;
    if (last && i === parts.length - 1 && part.includes('.')) {
      if (!isIpv4(part)) return undefined;
      const [a, b, c, d] = part.split('.').map(Number);
      out.push((a! << 8) | b!, (c! << 8) | d!);
    } else if (/^[0-9A-Fa-f]{1,4}$/.test(part)) out.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return out;
}

/** Canonical text of an address literal (RFC 5952; IPv4-mapped stays `::ffff:a.b.c.d`), undefined where it is a name. */
export function canonicalIp(text: string): string | undefined {
  if (isIpv4(text)) return text.split('.').map(Number).join('.');
  const g = parseIpv6(text);
  if (g === undefined) return undefined;
  if (g.slice(0, 5).every((x) => x === 0) && g[5] === 0xffff) {
    return `::ffff:${g[6]! >> 8}.${g[6]! & 255}.${g[7]! >> 8}.${g[7]! & 255}`;
  }
  let best = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; i++) {
    let n = 0;
    while (i + n < 8 && g[i + n] === 0) n++;
    if (n > bestLength) {
      best = i;
      bestLength = n;
    }
    i += n;
  }
  const hex = g.map((x) => x.toString(16));
  if (best < 0) return hex.join(':');
  return `${hex.slice(0, best).join(':')}::${hex.slice(best + bestLength).join(':')}`;
}

const HOST = /^[0-9A-Za-z_](?:[0-9A-Za-z_.-]{0,253}[0-9A-Za-z_.])?$/;

/** A host name or IPv4 address; underscores are let through, as real devices and DNS have them. */
export function isHostName(text: string): boolean {
  return HOST.test(text) && !text.includes('..');
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
    host = text.slice(1, close < 0 ? 0 : close);
    if (parseIpv6(host) === undefined) return undefined;
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
