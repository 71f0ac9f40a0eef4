/** Header names we understand, their compact forms (RFC 3261 7.3.3 and later RFCs), and which may stand only once. */
import type { HeaderName } from './message.ts';

export interface HeaderInfo {
  readonly name: HeaderName;
  /** A bit of its own for a header that may stand only once, 0 for one that may repeat. */
  readonly once: number;
}

/** Repeating one of these would let two elements read two different messages (RFC 3261 7.3.1, RFC 4475 3.3.8). */
const ONCE: readonly HeaderName[] = [
  'From',
  'To',
  'Call-ID',
  'CSeq',
  'Max-Forwards',
  'Content-Length',
  'Content-Type',
  'Content-Disposition',
  'MIME-Version',
  'Expires',
  'Min-Expires',
  'Retry-After',
  'RSeq',
  'RAck',
  'Session-Expires',
  'Min-SE',
  'Refer-To',
  'Referred-By',
  'Replaces',
  'Event',
  'Subscription-State',
  'Timestamp',
  'Date',
];

const REPEATABLE: readonly HeaderName[] = [
  'Via',
  'Contact',
  'Route',
  'Record-Route',
  'Content-Encoding',
  'Accept',
  'Allow',
  'Supported',
  'Require',
  'Proxy-Require',
  'Unsupported',
  'Authorization',
  'Proxy-Authorization',
  'WWW-Authenticate',
  'Proxy-Authenticate',
  'Reason',
  'Warning',
  'P-Asserted-Identity',
  'P-Preferred-Identity',
  'Privacy',
  'Diversion',
  'History-Info',
  'User-Agent',
  'Server',
  'Allow-Events',
  'In-Reply-To',
  'Subject',
  'Organization',
  'Identity',
  'Alert-Info',
  'Call-Info',
  'Error-Info',
  'Priority',
  'Path',
  'Service-Route',
  'Accept-Contact',
  'Geolocation',
  'Resource-Priority',
];

const COMPACT: readonly (readonly [string, HeaderName])[] = [
  ['a', 'Accept-Contact'],
  ['b', 'Referred-By'],
  ['c', 'Content-Type'],
  ['e', 'Content-Encoding'],
  ['f', 'From'],
  ['i', 'Call-ID'],
  ['k', 'Supported'],
  ['l', 'Content-Length'],
  ['m', 'Contact'],
  ['o', 'Event'],
  ['r', 'Refer-To'],
  ['s', 'Subject'],
  ['t', 'To'],
  ['u', 'Allow-Events'],
  ['v', 'Via'],
  ['x', 'Session-Expires'],
  ['y', 'Identity'],
];

const BY_NAME = new Map<string, HeaderInfo>();
for (const [index, name] of ONCE.entries()) add(name, { name, once: 1 << index });
for (const name of REPEATABLE) add(name, { name, once: 0 });
for (const [compact, name] of COMPACT) {
  const info = BY_NAME.get(name)!;
  BY_NAME.set(compact, info);
  BY_NAME.set(compact.toUpperCase(), info);
}

function add(name: HeaderName, info: HeaderInfo): void {
  BY_NAME.set(name, info); // the spelling nearly everybody sends needs no case folding
  BY_NAME.set(name.toLowerCase(), info);
}

/** `name` as written, without white space; undefined for a name we do not understand. */
export function headerInfo(name: string): HeaderInfo | undefined {
  return BY_NAME.get(name) ?? BY_NAME.get(name.toLowerCase());
}
