/** Header names we understand, their compact forms (RFC 3261 7.3.3 and later RFCs), and which may stand only once. */
import { lowerCase } from './characters.ts';
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
/** Candidates by length and first letter, so that the usual spelling is found without cutting the name out. */
const BY_SHAPE: (HeaderInfo[] | undefined)[] = [];
for (const [index, name] of ONCE.entries()) add({ name, once: 1 << index });
for (const name of REPEATABLE) add({ name, once: 0 });
for (const [compact, name] of COMPACT) BY_NAME.set(compact, BY_NAME.get(name.toLowerCase())!);

function add(info: HeaderInfo): void {
  BY_NAME.set(info.name.toLowerCase(), info);
  const shape = shapeOf(info.name, 0, info.name.length);
  BY_SHAPE[shape] ??= [];
  BY_SHAPE[shape].push(info);
}

function shapeOf(text: string, from: number, to: number): number {
  return (to - from) * 32 + (text.charCodeAt(from) & 31);
}

/** `text.startsWith(name, from)`, which is slower for names so short. */
function standsAt(text: string, from: number, name: string): boolean {
  for (let i = 0; i < name.length; i++) if (text.charCodeAt(from + i) !== name.charCodeAt(i)) return false;
  return true;
}

/** What `text[from, to)`, a header name without white space, stands for; undefined for one we do not understand. */
export function headerInfo(text: string, from: number, to: number): HeaderInfo | undefined {
  const candidates = to - from < 32 ? BY_SHAPE[shapeOf(text, from, to)] : undefined;
  if (candidates !== undefined) {
    for (const info of candidates) if (standsAt(text, from, info.name)) return info;
  }
  return BY_NAME.get(lowerCase(text, from, to));
}
