/** Outgoing messages, every header built from typed fields: nothing that came in goes out, but what RFC 3261 echoes. */

import { formatAddress } from '../machine/address.ts';
import type { SipBody, SipListener } from './contract.ts';
import type { Hop } from './core.ts';
import type { Dialog } from './dialog.ts';
import { formatNameAddress } from './header/name-address.ts';
import { NO_PARAMETERS } from './header/scanner.ts';
import type { NameAddress, SipRequest, SipUri } from './message.ts';
import { replyTo } from './reply.ts';
import type { Attempt } from './request.ts';
import { type HeaderPair, serializeRequest } from './serialize.ts';
import type { Outgoing } from './transaction/client.ts';
import { formatUri, sipUri } from './uri.ts';

/** Methods answered in or out of dialogs. */
export const ALLOW = 'INVITE, ACK, CANCEL, BYE, PRACK, OPTIONS, INFO, UPDATE, REFER';
export const ACCEPT = 'application/sdp, application/dtmf-relay, application/dtmf';
/** What a 415 says (RFC 3261 8.2.3). */
export const READABLE: readonly HeaderPair[] = [
  ['Accept', ACCEPT],
  ['Accept-Encoding', 'identity'],
];
/** What our requests offer, and what we do when a request asks for it. */
export const OFFERED = 'timer';
export const SUPPORTED = 'timer, 100rel';

/** Retry-After as it may be written (20.33). */
export function wholeSeconds(seconds: number): number {
  return Math.min(Math.max(Math.ceil(seconds) || 0, 0), 86_400);
}

/** RFC 3261 8.1.1.6. */
export const MAX_FORWARDS = 70;

export interface RequestParts {
  readonly method: string;
  /** Text of the Request-URI. */
  readonly uri: string;
  readonly hop: Hop;
  readonly branch: string;
  readonly sequence: number;
  readonly from: string;
  readonly to: string;
  readonly callId: string;
  readonly maxForwards?: number;
  readonly routes?: readonly NameAddress[];
  readonly headers?: readonly HeaderPair[];
  readonly body?: SipBody | undefined;
}

export function buildRequest(parts: RequestParts): Outgoing {
  const { method, sequence } = parts;
  const headers: HeaderPair[] = [
    ['Via', viaOf(parts.hop, parts.branch)],
    ['Max-Forwards', String(parts.maxForwards ?? MAX_FORWARDS)],
  ];
  for (const route of parts.routes ?? []) headers.push(['Route', formatNameAddress(route)]);
  headers.push(
    ['From', parts.from],
    ['To', parts.to],
    ['Call-ID', parts.callId],
    ['CSeq', `${sequence} ${method}`],
  );
  for (const header of parts.headers ?? []) headers.push(header);
  const { body } = parts;
  if (body !== undefined) headers.push(['Content-Type', body.contentType]);
  const bytes = serializeRequest({ method, uri: parts.uri, headers, body: body?.bytes });
  return { bytes, line: `${method} ${parts.uri} SIP/2.0 (CSeq ${sequence} ${method})` };
}

/** A request inside a dialog (RFC 3261 12.2.1.1). */
export function buildInDialog(
  dialog: Dialog,
  method: string,
  attempt: Attempt,
  headers: readonly HeaderPair[],
  body: SipBody | undefined,
): Outgoing {
  return buildRequest({
    method,
    uri: requestUriOf(dialog),
    hop: attempt.hop,
    branch: attempt.branch,
    sequence: attempt.sequence,
    from: `${dialog.local};tag=${dialog.localTag}`,
    to: tagged(dialog.remote, dialog.remoteTag),
    callId: dialog.callId,
    routes: routesOf(dialog),
    headers: [...attempt.authorization, ...headers],
    body,
  });
}

/**
 * The remote target; where the nearest proxy is a strict router (no `lr`), its URI, and the remote target is the last route instead
 * (RFC 3261 12.2.1.1).
 */
export function requestUriOf(dialog: Dialog): string {
  return formatUri(asRequestUri(strictRouter(dialog)?.uri ?? dialog.remoteTarget));
}

function routesOf(dialog: Dialog): readonly NameAddress[] {
  if (strictRouter(dialog) === undefined) return dialog.routes;
  return [...dialog.routes.slice(1), { uri: asRequestUri(dialog.remoteTarget), parameters: NO_PARAMETERS }];
}

function strictRouter(dialog: Dialog): NameAddress | undefined {
  const [nearest] = dialog.routes;
  return nearest?.uri.parameters.has('lr') === false ? nearest : undefined;
}

/** Without what may not stand in a Request-URI (RFC 3261 19.1.1). */
function asRequestUri(uri: SipUri): SipUri {
  if (uri.headers === '' && !uri.parameters.has('method')) return uri;
  const parameters = new Map(uri.parameters);
  parameters.delete('method');
  return { ...uri, parameters, headers: '' };
}

/** RFC 2543 far ends may have no tag. */
export function tagged(value: string, tag: string): string {
  return tag === '' ? value : `${value};tag=${tag}`;
}

function viaOf(hop: Hop, branch: string): string {
  const rport = hop.transport === 'udp' ? ';rport' : ''; // RFC 3581 3
  const sentBy = formatAddress(hop.listener.advertise);
  return `SIP/2.0/${hop.transport.toUpperCase()} ${sentBy};branch=${branch}${rport}`;
}

/** Said in nearly every message, and the same for as long as the listener is. */
const contacts = new WeakMap<SipListener, string>();

/** Contact as the far end reaches this hop's listener. */
export function contactFor(listener: SipListener, user = ''): string {
  if (user !== '') return contactOfUser(listener, user);
  const known = contacts.get(listener) ?? contactOfUser(listener, user);
  contacts.set(listener, known);
  return known;
}

function contactOfUser({ advertise, transport }: SipListener, user: string): string {
  const { ip, port } = advertise;
  const parameters = transport === 'udp' ? NO_PARAMETERS : new Map([['transport', transport]]);
  return formatNameAddress({ uri: sipUri(user, ip, port, parameters) });
}

export interface ResponseParts {
  readonly toTag?: string | undefined;
  readonly headers?: readonly HeaderPair[];
  readonly body?: SipBody | undefined;
}

/** `source`: where the request came from. */
export function buildResponse(
  request: SipRequest,
  status: number,
  source: Hop,
  parts: ResponseParts = {},
): Outgoing {
  const { toTag, headers, body } = parts;
  const bytes = replyTo(request, status, { source: source.remote, toTag, headers, body });
  return { bytes, line: `SIP/2.0 ${status} (CSeq ${request.cseq.number} ${request.cseq.method})` };
}

/** Headers of a response that makes or keeps a dialog (12.1.1): the request's Record-Route rebuilt in order, Contact. */
export function dialogHeaders(request: SipRequest, source: Hop, dialog: Dialog): HeaderPair[] {
  const routes = request.toTag === '' ? dialog.routes : [];
  return [
    ...routes.map((route): HeaderPair => ['Record-Route', formatNameAddress(route)]),
    ['Contact', contactFor(source.listener)],
  ];
}

/** Headers of a provisional response. */
export function provisionalHeaders(request: SipRequest, source: Hop, dialog: Dialog): HeaderPair[] {
  return [...dialogHeaders(request, source, dialog), ['Allow', ALLOW]];
}
