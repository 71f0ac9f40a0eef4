/** Transport addresses of H.225.0 and H.245 ↔ neutral ones. Only plain IPv4 and IPv6 unicast; everything else is none. */
import { formatIp, parseIp } from '../bytes/ip.ts';
import type { Address } from '../machine/address.ts';
import type { TransportAddress as H225Address } from './asn1/h225-types.ts';
import type { TransportAddress as H245Address } from './asn1/h245-types.ts';

/** Undefined: another kind of address, or port 0. */
export function fromH225(address: H225Address | undefined): Address | undefined {
  if (address?.choice !== 'ipAddress' && address?.choice !== 'ip6Address') return undefined;
  return neutral(address.value.ip, address.value.port);
}

export function fromH245(address: H245Address | undefined): Address | undefined {
  if (address?.choice !== 'unicastAddress') return undefined;
  const unicast = address.value;
  if (unicast.choice !== 'iPAddress' && unicast.choice !== 'iP6Address') return undefined;
  return neutral(unicast.value.network, unicast.value.tsapIdentifier);
}

function neutral(ip: Uint8Array, port: number): Address | undefined {
  return port === 0 ? undefined : { ip: formatIp(ip), port };
}

/** `address.ip` is canonical text (a listener's, a bound port's): anything else is a bug of the caller. */
export function toH225(address: Address): H225Address {
  const ip = octets(address.ip);
  return ip.length === 4
    ? { choice: 'ipAddress', value: { ip, port: address.port } }
    : { choice: 'ip6Address', value: { ip, port: address.port } };
}

export function toH245(address: Address): H245Address {
  const network = octets(address.ip);
  const value = { network, tsapIdentifier: address.port };
  return {
    choice: 'unicastAddress',
    value: network.length === 4 ? { choice: 'iPAddress', value } : { choice: 'iP6Address', value },
  };
}

function octets(ip: string): Uint8Array {
  const bytes = parseIp(ip);
  if (bytes === undefined) throw new Error('not an IP address');
  return bytes;
}
