/** A transport address. `ip` is the canonical text of an IPv4 or IPv6 address without brackets or zone. */
export interface Address {
  readonly ip: string;
  readonly port: number;
}

export type SignallingTransport = 'udp' | 'tcp' | 'tls';

/** `192.0.2.1:5060` or `[2001:db8::1]:5060`. */
export function formatAddress(address: Address): string {
  return isIpv6(address.ip) ? `[${address.ip}]:${address.port}` : `${address.ip}:${address.port}`;
}

export function isIpv6(ip: string): boolean {
  return ip.includes(':');
}

export function sameAddress(a: Address, b: Address): boolean {
  return a.port === b.port && a.ip === b.ip;
}
