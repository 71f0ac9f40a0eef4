/** Which part of a message body is its session description (RFC 3261 20.11, 20.15; RFC 5621). */
import { latin1Bytes, latin1Text } from '../bytes/text.ts';
import { fail, ok, type Result } from '../machine/machine.ts';
import type { SipBody } from './contract.ts';
import { firstHeader, headerValues } from './header/access.ts';
import { parseContentDisposition, parseContentType } from './header/content-type.ts';
import { trimSpace } from './header/scanner.ts';
import type { SipMessage } from './message.ts';

export interface BodyProblem {
  /** 400 malformed, 415 a required part we do not understand (with Accept and Accept-Encoding in the answer). */
  readonly status: 400 | 415;
  readonly reason: string;
}

const SDP = 'application/sdp';
const MAX_DEPTH = 2;
const MAX_PARTS = 8;

/** A leaf or container as it stands at the top or inside a multipart. */
interface Part {
  readonly type: string | undefined;
  readonly disposition: string | undefined;
  readonly encodings: readonly string[];
  readonly id: string | undefined;
  readonly bytes: Uint8Array;
}

type Found = Result<Uint8Array | undefined, BodyProblem>;

/**
 * The one SDP part: the body itself, the first in multipart/mixed, the last in multipart/alternative (the richest,
 * RFC 2046 5.1.4). `undefined`: there is none and nothing in the body requires more of us.
 */
export function sessionDescription(message: SipMessage): Result<SipBody | undefined, BodyProblem> {
  if (message.body.length === 0) return ok(undefined);
  const found = search(
    {
      type: firstHeader(message, 'Content-Type'),
      disposition: firstHeader(message, 'Content-Disposition'),
      encodings: headerValues(message, 'Content-Encoding'),
      id: undefined,
      bytes: message.body,
    },
    0,
  );
  if (!found.ok) return found;
  return ok(found.value === undefined ? undefined : { contentType: SDP, bytes: found.value });
}

function search(part: Part, depth: number): Found {
  if (part.type === undefined) return fail({ status: 400, reason: 'content-type-missing' }); // 20.15
  const type = parseContentType(part.type);
  if (type === undefined) return fail({ status: 400, reason: 'content-type' });
  const disposition = part.disposition === undefined ? undefined : parseContentDisposition(part.disposition);
  // RFC 5621 8: handling is required unless it says optional; 5: a part with an id is only for who refers to it.
  const optional = disposition?.optional === true || (depth > 0 && part.id !== undefined);
  const refused: Found = optional ? ok(undefined) : fail({ status: 415, reason: 'body-part' });
  if (part.encodings.some((encoding) => encoding.toLowerCase() !== 'identity')) {
    return optional ? refused : fail({ status: 415, reason: 'content-encoding' });
  }
  if (type.type === 'multipart/mixed' || type.type === 'multipart/alternative') {
    if (depth >= MAX_DEPTH) return fail({ status: 415, reason: 'multipart-depth' });
    return searchParts(
      part.bytes,
      type.parameters.get('boundary'),
      type.type === 'multipart/alternative',
      depth,
    );
  }
  if (type.type !== SDP) return refused;
  if (disposition !== undefined && disposition.type !== 'session') return refused;
  return ok(part.bytes);
}

function searchParts(
  bytes: Uint8Array,
  boundary: string | undefined,
  alternative: boolean,
  depth: number,
): Found {
  const parts = boundary === undefined ? undefined : splitMultipart(bytes, boundary);
  if (parts === undefined) return fail({ status: 400, reason: 'multipart' });
  if (parts.length > MAX_PARTS) return fail({ status: 415, reason: 'multipart-parts' });
  let chosen: Uint8Array | undefined;
  let understood = false;
  let problem: BodyProblem = { status: 415, reason: 'body-part' };
  for (const part of parts) {
    const found = search(part, depth + 1);
    if (found.ok) {
      understood = true;
      if (found.value !== undefined && (alternative || chosen === undefined)) chosen = found.value;
    } else {
      problem = found.error;
      if (!alternative || problem.status === 400) return found;
    }
  }
  return understood ? ok(chosen) : fail(problem);
}

/** RFC 2046 5.1.1. Undefined where the boundary is malformed or never closes; stops past MAX_PARTS + 1 parts. */
function splitMultipart(bytes: Uint8Array, boundary: string): Part[] | undefined {
  if (!/^[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]$/.test(boundary)) return undefined;
  const text = `\r\n${latin1Text(bytes)}`;
  const delimiter = `\r\n--${boundary}`;
  const out: Part[] = [];
  let at = text.indexOf(delimiter);
  while (at >= 0 && out.length <= MAX_PARTS) {
    let from = at + delimiter.length;
    if (text.startsWith('--', from)) return out.length === 0 ? undefined : out;
    while (text[from] === ' ' || text[from] === '\t') from++;
    at = text.indexOf(delimiter, from);
    if (!text.startsWith('\r\n', from)) continue; // a longer boundary that begins like ours
    if (at < 0) return undefined;
    out.push(readPart(text.slice(from, at)));
  }
  return out.length > MAX_PARTS ? out : undefined;
}

/** `text` begins with the CRLF of its delimiter line; no headers means text/plain (RFC 2046 5.1). */
function readPart(text: string): Part {
  const bare = text.startsWith('\r\n\r\n');
  const end = bare ? 0 : text.indexOf('\r\n\r\n');
  const head = end < 0 ? text : text.slice(0, end);
  const fields = new Map<string, string>();
  for (const line of head.replace(/\r\n[ \t]+/g, ' ').split('\r\n', 32)) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.set(trimSpace(line, 0, colon).toLowerCase(), trimSpace(line, colon + 1));
  }
  const encodings = [
    fields.get('content-encoding'),
    transferEncoding(fields.get('content-transfer-encoding')),
  ];
  return {
    type: fields.get('content-type') ?? 'text/plain',
    disposition: fields.get('content-disposition'),
    encodings: encodings.filter((encoding) => encoding !== undefined),
    id: fields.get('content-id'),
    bytes: latin1Bytes(end < 0 ? '' : text.slice(end + 4)),
  };
}

/** SIP is binary-safe: the identity encodings mean nothing, base64 and quoted-printable are not undone. */
function transferEncoding(value: string | undefined): string | undefined {
  return value === undefined || /^(?:7bit|8bit|binary)$/i.test(value) ? undefined : value;
}
