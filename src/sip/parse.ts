/**
 * Bytes to messages. Every rule of RFC 3261 that makes a message unusable is applied here once, so that what leaves
 * this file can be relied on; RFC 4475 and RFC 5118 are its test cases.
 */
import { fail, ok, type Result } from '../machine/machine.ts';
import { findHeadEnd, type Head, type Problem, readHead } from './head.ts';
import { parseCSeq } from './header/cseq.ts';
import { parseNameAddress, parseNameAddressList } from './header/name-address.ts';
import { isToken } from './header/scanner.ts';
import { parseVias } from './header/via.ts';
import {
  type CSeq,
  type HeaderName,
  type NameAddress,
  type ReplyFields,
  SIP_LIMITS,
  type SipMessage,
  type SipParseError,
  type SipUri,
  type Via,
} from './message.ts';
import { parseUri, uriScheme } from './uri.ts';

type Parsed = Result<SipMessage, SipParseError>;

const NO_BODY = new Uint8Array(0);

/**
 * One UDP datagram. Octets after Content-Length are ignored, a body that is shorter is refused with 400 (RFC 3261
 * 18.3). A datagram of line ends only (keep-alive) is the error 'empty', to be dropped.
 */
export function parseDatagram(bytes: Uint8Array): Parsed {
  let start = 0;
  // 7.5: empty lines before the start line are ignored.
  while (bytes[start] === 0x0d && bytes[start + 1] === 0x0a) start += 2;
  if (start >= bytes.length) return fail({ reason: 'empty', close: false });
  const end = findHeadEnd(bytes, start, bytes.length);
  const head = readHead(bytes, start, end < 0 ? trailingLineEnd(bytes) : end);
  if (end < 0) return refuse(head, { reason: 'head-end', status: 400, framing: true });
  const from = end + 4;
  const length = head.contentLength ?? bytes.length - from;
  if (from + length > bytes.length)
    return refuse(head, { reason: 'content-length', status: 400, framing: true });
  if (bytes.length > SIP_LIMITS.messageBytes)
    return refuse(head, { reason: 'size', status: 513, framing: false });
  return finish(head, length === 0 ? NO_BODY : copy(bytes, from, from + length));
}

/** A head without its empty line, so that the error of a missing one can still be answered. */
function trailingLineEnd(bytes: Uint8Array): number {
  const { length } = bytes;
  return bytes[length - 2] === 0x0d && bytes[length - 1] === 0x0a ? length - 2 : length;
}

/** A plain copy: the caller may reuse its receive buffer, and a Buffer's `slice` is a view. */
function copy(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Uint8Array(bytes.subarray(start, end));
}

/**
 * One message of a stream, cut by framing.ts: `head` ends before its empty line, `body` has exactly Content-Length
 * octets. The body is kept, not copied.
 */
export function parseFramed(head: Uint8Array, body: Uint8Array): Parsed {
  return finishFramed(readHead(head, 0, head.length), body);
}

/** As parseFramed, for a head that was read already to learn Content-Length. */
export function finishFramed(head: Head, body: Uint8Array): Parsed {
  // 18.3: on a stream Content-Length is how the next message is found.
  if (head.contentLength === undefined || head.contentLength !== body.length) {
    return refuse(head, head.problem ?? { reason: 'content-length', status: 400, framing: true });
  }
  return finish(head, body);
}

function finish(head: Head, body: Uint8Array): Parsed {
  if (body.length > SIP_LIMITS.bodyBytes)
    return refuse(head, { reason: 'body-size', status: 413, framing: false });
  return isResponse(head.startLine) ? response(head, body) : request(head, body);
}

function isResponse(startLine: string): boolean {
  return (startLine.charCodeAt(0) | 32) === 0x73 && /^SIP\//i.test(startLine);
}

// ---- requests ----

function request(head: Head, body: Uint8Array): Parsed {
  const line = requestLine(head.startLine);
  if (line.problem?.status === 505) return refuse(head, line.problem);
  if (head.problem !== undefined) return refuse(head, head.problem);
  if (line.problem !== undefined) return refuse(head, line.problem);
  const core = readCore(head);
  if (typeof core === 'string') return refuse(head, bad(core));
  if (core.cseq.method !== line.method) return refuse(head, bad('cseq-method')); // 8.1.1.5
  const maxForwards = core.maxForwards === undefined ? 70 : parseMaxForwards(core.maxForwards);
  if (maxForwards === undefined) return refuse(head, bad('max-forwards'));
  if (!contactsAreSound(head)) return refuse(head, bad('contact'));
  const uri = requestUri(line.uri);
  if (typeof uri === 'string') {
    return refuse(head, { reason: uri, status: statusOfUri(uri), framing: false });
  }
  return ok({
    kind: 'request',
    method: line.method,
    uri,
    maxForwards,
    headers: head.headers,
    vias: core.vias,
    from: core.from,
    to: core.to,
    fromTag: core.fromTag,
    toTag: core.toTag,
    callId: core.callId,
    cseq: core.cseq,
    body,
    unknownHeaders: head.unknownHeaders,
  });
}

interface RequestLine {
  readonly method: string;
  readonly uri: string;
  readonly problem?: Problem;
}

/** `Method SP Request-URI SP SIP-Version` (7.1): exactly one space each, methods are case-sensitive tokens. */
function requestLine(line: string): RequestLine {
  const first = line.indexOf(' ');
  const last = line.lastIndexOf(' ');
  const method = first < 0 ? '' : line.slice(0, first);
  const uri = line.slice(first + 1, Math.max(last, first + 1));
  if (method.length > 64 || !isToken(method)) return { method: '', uri, problem: bad('method') };
  if (!line.endsWith(' SIP/2.0') && line.slice(last + 1).toUpperCase() !== 'SIP/2.0') {
    const other = /^SIP\/\d{1,5}\.\d{1,5}$/i.test(line.slice(last + 1));
    return { method, uri, problem: other ? { ...bad('version'), status: 505 } : bad('request-line') };
  }
  if (first === last || uri === '' || uri.includes(' ')) return { method, uri, problem: bad('request-line') };
  return { method, uri };
}

/** The URI, or the reason token why it is not acceptable in a request line. */
function requestUri(text: string): SipUri | string {
  const uri = parseUri(text);
  if (uri === undefined) {
    if (text.length > SIP_LIMITS.uriBytes) return 'uri-size';
    const scheme = uriScheme(text);
    const known = scheme === undefined || scheme === 'sip' || scheme === 'sips' || scheme === 'tel';
    return known ? 'uri' : 'uri-scheme';
  }
  // 19.1.1: headers and the method parameter have no place in a Request-URI; RFC 4475 3.1.2.11.
  return uri.headers !== '' || uri.parameters.has('method') ? 'uri-headers' : uri;
}

function statusOfUri(reason: string): number {
  if (reason === 'uri-scheme') return 416; // 8.2.2.1
  return reason === 'uri-size' ? 414 : 400;
}

function parseMaxForwards(text: string): number | undefined {
  if (!/^\d{1,10}$/.test(text)) return undefined;
  const value = Number(text);
  return value <= 255 ? value : undefined; // 20.22
}

/** Every Contact is `*` or a list of addresses; checked here because dialogs and bindings are made of it. */
function contactsAreSound(head: Head): boolean {
  let count = 0;
  for (const header of head.headers) {
    if (header.name !== 'Contact') continue;
    if (++count > 64) return false;
    if (header.value !== '*' && parseNameAddressList(header.value) === undefined) return false;
  }
  return true;
}

// ---- responses ----

/** A broken response is dropped: nobody is there to tell (18.1.2; RFC 4475 3.1.2.5, 3.1.2.19). */
function response(head: Head, body: Uint8Array): Parsed {
  const line = /^SIP\/2\.0 ([1-6]\d\d)(?: (.*))?$/is.exec(head.startLine);
  if (line === null) return fail({ reason: 'status-line', close: head.problem?.framing ?? false });
  if (head.problem !== undefined) return fail({ reason: head.problem.reason, close: head.problem.framing });
  const core = readCore(head);
  if (typeof core === 'string') return fail({ reason: core, close: false });
  return ok({
    kind: 'response',
    status: Number(line[1]),
    reason: line[2] ?? '',
    headers: head.headers,
    vias: core.vias,
    from: core.from,
    to: core.to,
    fromTag: core.fromTag,
    toTag: core.toTag,
    callId: core.callId,
    cseq: core.cseq,
    body,
    unknownHeaders: head.unknownHeaders,
  });
}

// ---- both ----

interface Core {
  readonly vias: readonly Via[];
  readonly from: NameAddress;
  readonly to: NameAddress;
  readonly fromTag: string;
  readonly toTag: string;
  readonly callId: string;
  readonly cseq: CSeq;
  readonly maxForwards: string | undefined;
}

const CALL_ID = /^[\x21-\x7e]+$/;

/** The mandatory fields (8.1.1), or the reason token of the first that is missing or malformed. */
function readCore(head: Head): Core | string {
  const vias: Via[] = [];
  let from: NameAddress | undefined;
  let to: NameAddress | undefined;
  let callId = '';
  let cseq: CSeq | undefined;
  let maxForwards: string | undefined;
  for (const { name, value } of head.headers) {
    switch (name) {
      case 'Via':
        if (!parseVias(value, vias)) return 'via';
        break;
      case 'From':
        from = parseNameAddress(value);
        if (from === undefined) return 'from';
        break;
      case 'To':
        to = parseNameAddress(value);
        if (to === undefined) return 'to';
        break;
      case 'Call-ID':
        callId = value;
        if (value.length > SIP_LIMITS.callIdBytes || !CALL_ID.test(value)) return 'call-id';
        break;
      case 'CSeq':
        cseq = parseCSeq(value);
        if (cseq === undefined) return 'cseq';
        break;
      case 'Max-Forwards':
        maxForwards = value;
        break;
      default:
    }
  }
  if (from === undefined || to === undefined || cseq === undefined || callId === '' || vias.length === 0) {
    return 'missing-header';
  }
  // RFC 4475 3.2.1: the cookie alone is no transaction identifier.
  if (/^z9hG4bK$/i.test(vias[0]!.branch)) return 'branch';
  const fromTag = from.parameters.get('tag') ?? '';
  const toTag = to.parameters.get('tag') ?? '';
  if (fromTag.length > SIP_LIMITS.tagBytes || toTag.length > SIP_LIMITS.tagBytes) return 'tag';
  return { vias, from, to, fromTag, toTag, callId, cseq, maxForwards };
}

function bad(reason: string): Problem {
  return { reason, status: 400, framing: false };
}

/**
 * The error value of a message refused for `problem`. Responses, ACK (17.1.1.3: never answered) and what has no Via to
 * answer along get no status.
 */
function refuse(head: Head, problem: Problem): Parsed {
  const silent = fail({ reason: problem.reason, close: problem.framing });
  if (isResponse(head.startLine)) return silent;
  const { method } = requestLine(head.startLine);
  if (method === '' || method === 'ACK' || !/ SIP\/[\d.]{1,11} *$/i.test(head.startLine)) return silent;
  const reply = replyFields(head, method);
  if (reply === undefined) return silent;
  return fail({ reason: problem.reason, respond: problem.status, reply, close: problem.framing });
}

function replyFields(head: Head, method: string): ReplyFields | undefined {
  const vias: string[] = [];
  for (const header of head.headers) if (header.name === 'Via') vias.push(header.value);
  if (vias.length === 0) return undefined;
  const first = (name: HeaderName): string =>
    head.headers.find((header) => header.name === name)?.value ?? '';
  return {
    vias,
    from: first('From'),
    to: first('To'),
    callId: first('Call-ID'),
    cseq: first('CSeq'),
    method,
  };
}
