/** Responses built from requests (RFC 3261 8.2.6.2, 18.2.1; RFC 3581). */
import type { Address } from '../machine/address.ts';
import type { Writable } from '../machine/machine.ts';
import type { SipBody } from './contract.ts';
import { splitList } from './header/list.ts';
import { formatVia, parseVias } from './header/via.ts';
import { sameHost } from './host.ts';
import type { ReplyFields, SipRequest, Via } from './message.ts';
import { responseDestination } from './response-destination.ts';
import { type HeaderPair, serializeEcho } from './serialize.ts';

export interface ReplyOptions {
  /** Where the request came from. */
  readonly source: Address;
  /** Added to To where the request had no tag; not for 100. */
  readonly toTag?: string | undefined;
  readonly reason?: string | undefined;
  readonly headers?: readonly HeaderPair[] | undefined;
  /** With its Content-Type. */
  readonly body?: SipBody | undefined;
}

/** Via, From, To, Call-ID, CSeq of the request, then `headers`, then the body. */
export function replyTo(request: SipRequest, status: number, options: ReplyOptions): Uint8Array {
  const echo: HeaderPair[] = [];
  let top = true;
  for (const { name, value } of request.headers) {
    switch (name) {
      case 'Via':
        echo.push([name, top ? markReceived(value, options.source) : value]);
        top = false;
        break;
      case 'To':
        echo.push([name, withTag(value, request.toTag === '' && status !== 100 ? options.toTag : undefined)]);
        break;
      case 'From':
      case 'Call-ID':
      case 'CSeq':
        echo.push([name, value]);
        break;
      default:
    }
  }
  const { headers, body } = options;
  if (headers !== undefined) echo.push(...headers);
  if (body !== undefined) echo.push(['Content-Type', body.contentType]);
  return serializeEcho({ status, reason: options.reason, headers: echo, body: body?.bytes });
}

/**
 * The stateless answer to a request that could not be parsed (`SipParseError.reply` and `.respond`). Its To tag depends on
 * the request alone, so that retransmissions get the same one.
 */
export function refusalReply(fields: ReplyFields, status: number, source: Address): Uint8Array {
  const headers: HeaderPair[] = fields.vias.map((via, index) => [
    'Via',
    index === 0 ? markReceived(via, source) : via,
  ]);
  if (fields.from !== '') headers.push(['From', fields.from]);
  if (fields.to !== '') {
    const tagged = /;[ \t]*tag[ \t]*=/i.test(fields.to);
    headers.push(['To', withTag(fields.to, tagged ? undefined : statelessTag(fields))]);
  }
  if (fields.callId !== '') headers.push(['Call-ID', fields.callId]);
  if (fields.cseq !== '') headers.push(['CSeq', fields.cseq]);
  return serializeEcho({ status, headers });
}

/** Where the refusal goes over UDP. */
export function refusalDestination(fields: ReplyFields, source: Address): Address {
  return responseDestination(topVia(fields.vias[0] ?? ''), source);
}

function topVia(value: string): Via | undefined {
  const vias: Via[] = [];
  const first = splitList(value)?.[0];
  return first !== undefined && parseVias(first, vias) ? vias[0] : undefined;
}

/**
 * The top Via with `received` where sent-by is not the source's address (RFC 3261 18.2.1) and `rport` filled where asked
 * for (RFC 3581 4, which then wants `received` too). A Via nobody can read goes back as it came.
 */
function markReceived(value: string, source: Address): string {
  const via = topVia(value);
  if (via === undefined) return value;
  const wanted = via.rport !== undefined;
  const { transport, host, branch } = via;
  let { parameters } = via;
  if (parameters.has('received')) {
    // What the request claimed is not what we saw.
    parameters = new Map([...parameters].filter(([name]) => name !== 'received'));
  }
  const marked: Writable<Via> = { transport, host, branch, parameters };
  if (via.port !== undefined) marked.port = via.port;
  if (via.maddr !== undefined) marked.maddr = via.maddr;
  if (wanted || !sameHost(host, source.ip)) marked.received = source.ip;
  if (wanted) marked.rport = source.port;
  const list = splitList(value) ?? [];
  if (list.length < 2) return formatVia(marked);
  return [formatVia(marked), ...list.slice(1)].join(', ');
}

function withTag(to: string, tag: string | undefined): string {
  return tag === undefined || tag === '' ? to : `${to};tag=${tag}`;
}

/** FNV-1a twice: no secret is in it, it only has to be the same for the same request and rarely for another. */
function statelessTag(fields: ReplyFields): string {
  const text = [fields.vias[0], fields.from, fields.to, fields.callId, fields.cseq].join('\n');
  let a = 0x811c9dc5;
  let b = 0x1234567;
  for (let i = 0; i < text.length; i++) {
    a = Math.imul(a ^ text.charCodeAt(i), 0x01000193);
    b = Math.imul(b ^ text.charCodeAt(i), 0x85ebca6b) ^ (b >>> 13);
  }
  return `s${(a >>> 0).toString(36)}${(b >>> 0).toString(36)}`;
}
