/** Where a response over UDP goes (RFC 3261 18.2.2, RFC 3581 4). */
import type { Address } from '../machine/address.ts';
import type { Via } from './message.ts';

/**
 * Always the address the request came from, whatever Via says: `maddr`, `received` and a foreign sent-by would let a
 * stranger aim our answers at somebody else. The port is the source's with `rport` or where Via was unreadable
 * (undefined), else sent-by's.
 */
export function responseDestination(topVia: Via | undefined, source: Address): Address {
  if (topVia === undefined || topVia.rport !== undefined) return source;
  const port = topVia.port ?? (topVia.transport === 'TLS' ? 5061 : 5060);
  return { ip: source.ip, port };
}
