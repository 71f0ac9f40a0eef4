/** The user agent server's core (RFC 3261 8.2): what happens to a request before anything remembers it. */
import { latin1Bytes, toHex } from '../bytes/text.ts';
import { Authenticator } from './authenticate.ts';
import { sessionDescription } from './body.ts';
import { ACCEPT, ALLOW, buildResponse, READABLE, SUPPORTED } from './build.ts';
import type { SessionRef, SipBody } from './contract.ts';
import type { Core, Source } from './core.ts';
import { dialogKey } from './dialog.ts';
import { firstHeader, headerValues, optionTags } from './header/access.ts';
import { tableKey } from './key.ts';
import type { SipRequest } from './message.ts';
import { Outside } from './outside.ts';
import type { HeaderPair } from './serialize.ts';
import { belongs, receiveDialogAck, receiveInDialog } from './session/in-dialog.ts';
import { SessionNumbers, startIncoming } from './session/incoming.ts';
import { hasRoom } from './session/invite.ts';
import { MIN_SE, tooSmall } from './session/timer.ts';
import type { Stack } from './stack.ts';
import { replyHop, type ServerTransaction } from './transaction/server.ts';
import { formatUri } from './uri.ts';

/** Methods of RFCs that we know and do not do: 405, not 501 (8.2.1). */
const KNOWN = new Set(['MESSAGE', 'SUBSCRIBE', 'PUBLISH']);
/** Methods that make sense inside a dialog only. */
const DIALOG_ONLY = new Set(['BYE', 'INFO', 'UPDATE', 'PRACK', 'NOTIFY']);
const OPTIONS_KNOWN = new Set(SUPPORTED.split(', '));
/** Scanning tools that say their names. They get silence. */
const SCANNER = /friendly-scanner|sipvicious|sundayddr|sip-?scan|sipsak|iwar|vaxsip|pplsip/i;

export function requestLine(request: SipRequest): string {
  const { method, uri, cseq } = request;
  return `${method} ${formatUri(uri)} SIP/2.0 (CSeq ${cseq.number} ${cseq.method})`;
}

export class Uas {
  readonly authenticator: Authenticator;
  readonly outside: Outside;
  readonly #stack: Stack;
  readonly #core: Core;
  readonly #numbers = new SessionNumbers();
  readonly #tagKey: Uint8Array;

  constructor(stack: Stack) {
    this.#stack = stack;
    this.#core = stack.core;
    this.authenticator = new Authenticator(stack.core);
    this.outside = new Outside(stack.core);
    this.#tagKey = stack.core.options.random.bytes(20);
  }

  receive(request: SipRequest, source: Source): void {
    const known = this.#stack.table.matchRequest(request, source);
    if (known !== undefined) {
      this.#core.trace('in', source.hop, requestLine(request), known.session);
      if (request.method !== 'ACK') return known.repeated();
      known.acknowledged();
    }
    if (source.peer === '') return this.#core.count('unknown-source', undefined, source.hop.remote);
    if (request.method === 'CANCEL') return this.#cancel(request, source);
    if (request.toTag !== '') return this.#inDialog(request, source);
    if (request.method !== 'ACK') this.#outOfDialog(request, source);
  }

  #inDialog(request: SipRequest, source: Source): void {
    const { table, dialogs } = this.#stack;
    const found = dialogs.get(dialogKey(request.callId, request.toTag, request.fromTag));
    const isAck = request.method === 'ACK';
    const foreign = found !== undefined && !belongs(found.session, found.dialog, source);
    this.#core.trace('in', source.hop, requestLine(request), foreign ? undefined : found?.session.ref);
    if (foreign) this.#core.count('foreign-dialog', undefined, source.hop.remote);
    if (found === undefined || foreign) {
      if (!isAck) this.#refuse(request, source, 481);
      return;
    }
    const { session, dialog } = found;
    if (isAck) return receiveDialogAck(this.#stack, session, dialog, request, source);
    if (this.#unsupported(request, source) || !this.#knownMethod(request, source)) return;
    if (!table.reserve) return this.#full(request, source);
    const transaction = table.server(request, source);
    transaction.session = session.ref;
    receiveInDialog(this.#stack, session, dialog, transaction);
  }

  /** 9.2. The source is part of a transaction's key: only who sent the INVITE can cancel it. */
  #cancel(cancel: SipRequest, source: Source): void {
    const { table } = this.#stack;
    const invite = table.matchCancel(cancel, source);
    this.#core.trace('in', source.hop, requestLine(cancel), invite?.session);
    if (invite === undefined) return this.#refuse(cancel, source, 481);
    if (!table.reserve) return this.#full(cancel, source);
    const transaction = table.server(cancel, source);
    transaction.session = invite.session;
    // 9.1: Call-ID, From tag, CSeq number and branch are the same in both.
    const toTag = this.tag(cancel);
    transaction.respond(200, buildResponse(cancel, 200, source.hop, { toTag }));
    if (!invite.answered) invite.user.cancelled?.(cancel);
  }

  #outOfDialog(request: SipRequest, source: Source): void {
    if (SCANNER.test(firstHeader(request, 'User-Agent') ?? '')) {
      return this.#core.count('scanner', undefined, source.hop.remote);
    }
    if (!this.#knownMethod(request, source)) return;
    const { method } = request;
    if (method === 'INVITE' || method === 'REGISTER') return this.#examine(request, source);
    this.#core.trace('in', source.hop, requestLine(request), undefined);
    if (DIALOG_ONLY.has(method)) return this.#refuse(request, source, 481);
    if (method === 'REFER') return this.#refuse(request, source, 403);
    if (this.#unsupported(request, source)) return;
    this.#refuse(request, source, 200, [
      ['Accept', ACCEPT],
      ['Allow', ALLOW],
      ['Supported', SUPPORTED],
    ]);
  }

  /** 8.2.1: 405 for a method we know and do not do, 501 for others. Case counts (7.1). */
  #knownMethod(request: SipRequest, source: Source): boolean {
    const { method } = request;
    if (ALLOWED.has(method) || DIALOG_ONLY.has(method) || method === 'REGISTER') return true;
    this.#core.trace('in', source.hop, requestLine(request), undefined);
    this.#core.count('unknown-method', method, source.hop.remote);
    if (KNOWN.has(method)) this.#refuse(request, source, 405, [['Allow', ALLOW]]);
    else this.#refuse(request, source, 501, [['Allow', ALLOW]]);
    return false;
  }

  /** 8.2.2.3. */
  #unsupported(request: SipRequest, source: Source, ref?: SessionRef): boolean {
    const unknown = [...optionTags(request, 'Require')].filter((tag) => !OPTIONS_KNOWN.has(tag));
    if (unknown.length === 0) return false;
    for (const tag of unknown) this.#core.count('unknown-option', tag, source.hop.remote);
    this.#refuse(request, source, 420, [['Unsupported', unknown.join(', ')]], ref);
    return true;
  }

  /** INVITE and REGISTER: every reason to refuse without state, then authentication. */
  #examine(request: SipRequest, source: Source): void {
    const isInvite = request.method === 'INVITE';
    const refusal = this.#refusal(request, source, isInvite);
    const ref = isInvite && refusal === undefined ? this.#numbers.next() : undefined;
    this.#core.trace('in', source.hop, requestLine(request), ref);
    if (refusal !== undefined) {
      this.#core.count(refusal.reason, undefined, source.hop.remote);
      return this.#refuse(request, source, refusal.status, refusal.headers);
    }
    if (this.#unsupported(request, source, ref)) return;
    const found = isInvite ? sessionDescription(request) : undefined;
    if (found?.ok === false) {
      const { status, reason } = found.error;
      this.#core.count(reason, undefined, source.hop.remote);
      return this.#refuse(request, source, status, status === 415 ? READABLE : [], ref);
    }
    this.#authenticate(request, source, ref, found?.value);
  }

  #refusal(request: SipRequest, source: Source, isInvite: boolean) {
    const { table, calling } = this.#stack;
    const busy: HeaderPair[] = [['Retry-After', String(this.#core.drainSeconds ?? 5)]];
    if (request.maxForwards === 0) return refusal(483, 'max-forwards');
    if (table.isMerged(request, source)) return refusal(482, 'merged'); // 8.2.2.2
    if (!table.roomFor(source)) return refusal(503, 'transactions', busy);
    if (!isInvite) return undefined;
    if (this.#core.drainSeconds !== undefined) return refusal(503, 'draining', busy);
    const ours = calling.get(tableKey([request.callId, request.fromTag]));
    if (ours?.user === request.uri.user) return refusal(482, 'loop'); // our own INVITE, unchanged
    if (!takesDescriptions(request)) return refusal(406, 'accept');
    if (tooSmall(request)) return refusal(422, 'session-interval', [['Min-SE', String(MIN_SE)]]);
    return hasRoom(this.#stack) ? undefined : refusal(503, 'sessions', busy);
  }

  #authenticate(
    request: SipRequest,
    source: Source,
    ref: number | undefined,
    body: SipBody | undefined,
  ): void {
    const asked = this.authenticator.examine(request, source);
    if (asked?.kind === 'challenge') return this.#refuse(request, source, 401, asked.headers, ref);
    const transaction = this.#stack.table.server(request, source);
    transaction.session = ref;
    if (asked === undefined) return this.#admit(transaction, ref, body, undefined);
    const callOff = this.authenticator.submit(asked, source, (verdict) => {
      transaction.user = {};
      if (verdict.kind === 'accepted') return this.#admit(transaction, ref, body, verdict.account);
      if (verdict.kind === 'challenge') return this.#answer(transaction, 401, verdict.headers);
      this.#answer(transaction, 503, [['Retry-After', '5']]);
    });
    if (transaction.answered) return;
    transaction.user = {
      lost: callOff,
      cancelled: () => {
        callOff();
        this.#answer(transaction, 487);
      },
    };
  }

  #admit(
    transaction: ServerTransaction,
    ref: number | undefined,
    body: SipBody | undefined,
    account: string | undefined,
  ): void {
    if (ref === undefined) {
      this.outside.ask(transaction, account, (status, headers, answer) =>
        this.#answer(transaction, status, headers, answer),
      );
    } else if (!startIncoming(this.#stack, { ref, transaction, body, account })) {
      this.#core.count('contact', undefined, transaction.source.hop.remote);
      this.#answer(transaction, 400);
    }
  }

  #answer(
    transaction: ServerTransaction,
    status: number,
    headers: readonly HeaderPair[] = [],
    body?: SipBody,
  ): void {
    const { request, source } = transaction;
    const toTag = this.tag(request);
    transaction.respond(status, buildResponse(request, status, source.hop, { toTag, headers, body }));
  }

  #full(request: SipRequest, source: Source): void {
    this.#core.count('transactions', undefined, source.hop.remote);
    this.#refuse(request, source, 503, [['Retry-After', '5']]);
  }

  /** An answer without state: a repetition is answered again, with the same To tag (8.2.7). */
  #refuse(
    request: SipRequest,
    source: Source,
    status: number,
    headers: readonly HeaderPair[] = [],
    ref?: SessionRef,
  ): void {
    const message = buildResponse(request, status, source.hop, { toTag: this.tag(request), headers });
    const hop = replyHop(request, source);
    if (this.#stack.transport.send(hop, message.bytes)) {
      this.#core.trace('out', hop, message.line, ref);
    }
  }

  /** The To tag of answers that belong to no dialog: the same for the same request, unknown to others. */
  tag(request: SipRequest): string {
    const { callId, fromTag, cseq, vias } = request;
    const text = `${callId}\n${fromTag}\n${cseq.number}\n${vias[0]?.branch ?? ''}`;
    return toHex(this.#core.options.crypto.hmac('sha1', this.#tagKey, latin1Bytes(text)).subarray(0, 8));
  }
}

/** RFC 3261 20.1, 21.4.7: an Accept that names nothing an INVITE can be answered with. */
function takesDescriptions(request: SipRequest): boolean {
  const accept = headerValues(request, 'Accept');
  return (
    accept.length === 0 || accept.some((v) => /(?:^|,)[ \t]*(?:application\/(?:sdp|\*)|\*\/\*)/i.test(v))
  );
}

const ALLOWED = new Set(ALLOW.split(', '));

function refusal(status: number, reason: string, headers: readonly HeaderPair[] = []) {
  return { status, reason, headers };
}
