import type { Connection } from './description.ts';

/** RFC 8866 9: token. */
export const TOKEN = /^[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+$/;

export function words(text: string): string[] {
  return text.split(/[ \t]+/).filter((w) => w !== '');
}

/** RFC 8866 5.7: `IN IP4 address[/ttl[/count]]`; `IN IP6 address[/count]`. */
export function parseConnection(value: string): Connection | undefined {
  const [net, family, address, ...rest] = words(value);
  if (net === undefined || family === undefined || address === undefined || rest.length > 0) return undefined;
  const ipVersion = familyOf(net, family);
  const match = /^([^/]+)(?:\/\d{1,5}){0,2}$/.exec(unbracketed(address));
  if (ipVersion === undefined || match === null || !isHost(match[1]!)) return undefined;
  return { ipVersion, address: match[1]! };
}

/** `[2001:db8::1]` as in a URI: SIPp and some telephones write it so; it can mean nothing else. */
export function unbracketed(address: string): string {
  return /^\[([0-9A-Fa-f:.]+)\]$/.exec(address)?.[1] ?? address;
}

export function familyOf(net: string, family: string): 4 | 6 | undefined {
  if (net.toUpperCase() !== 'IN') return undefined;
  const upper = family.toUpperCase();
  return upper === 'IP4' ? 4 : upper === 'IP6' ? 6 : undefined;
}

/** Letters of host names and of IPv4 and IPv6 addresses; whether it is an address is for the user to say. */
export function isHost(text: string): boolean {
  return text.length <= 255 && /^[0-9A-Za-z.:_-]+$/.test(text);
}
