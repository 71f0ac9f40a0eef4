/** REFER inside a call (RFC 3515), the far end's and ours, and the NOTIFYs that report on it. */
import { latin1Bytes, latin1Text } from '../../bytes/text.ts';
import type { Millis } from '../../machine/machine.ts';
import { buildResponse, contactFor, dialogHeaders } from '../build.ts';
import type { SipCommand } from '../contract.ts';
import { dialogKey } from '../dialog.ts';
import { firstHeader, headerValues } from '../header/access.ts';
import { parseContentType } from '../header/content-type.ts';
import { formatNameAddress, parseNameAddress } from '../header/name-address.ts';
import { replacesOfUri, type SipReplaces } from '../header/replaces.ts';
import type { SipRequest, SipUri } from '../message.ts';
import { reasonPhrase } from '../reason-phrases.ts';
import type { Stack } from '../stack.ts';
import type { ServerTransaction } from '../transaction/server.ts';
import { sipUri } from '../uri.ts';
import { sendInDialog } from './in-dialog-request.ts';
import { refuse } from './refuse.ts';
import type { Session } from './session.ts';

/** How long a reference may take; told in Subscription-State. Seconds. */
const EXPIRES = 180;
/** A far end that took our REFER and then says nothing about it. */
const REFER_LIMIT: Millis = 60_000;

export function receiveRefer(stack: Stack, session: Session, transaction: ServerTransaction): void {
  const { request, source } = transaction;
  const { dialog, peer } = session;
  const { core } = stack;
  if (session.state !== 'confirmed' || dialog === undefined) return refuse(transaction, 481);
  if (peer.mayRefer !== true) {
    core.count('refer-not-permitted', undefined, source.hop.remote);
    return refuse(transaction, 403);
  }
  const values = headerValues(request, 'Refer-To');
  const target = values.length === 1 ? parseNameAddress(values[0]!)?.uri : undefined; // 2.4.2: exactly one
  if (target === undefined) return refuse(transaction, 400);
  const replaces = target.headers === '' ? undefined : replacesOfUri(target.headers);
  if (asksMore(target, replaces) || (replaces !== undefined && isOurs(stack, replaces))) {
    core.count('refer-target', undefined, source.hop.remote);
    return refuse(transaction, 501);
  }
  if (session.refer !== undefined) return refuse(transaction, 500, [['Retry-After', '10']]);
  transaction.respond(
    202,
    buildResponse(request, 202, source.hop, {
      headers: dialogHeaders(transaction.request, transaction.source.hop, dialog),
    }),
  );
  session.refer = request.cseq.number;
  notify(stack, session, 100, false); // 2.4.4: at once
  core.event({
    kind: 'refer',
    session: session.ref,
    target: { ...target, headers: '' },
    ...(replaces === undefined ? {} : { replaces }),
  });
}

/**
 * A reference to something else than "call this number", perhaps in place of a dialog there: another method, or other headers for the
 * new request. To leave them out would be another transfer than the one asked for.
 */
function asksMore(target: SipUri, replaces: SipReplaces | undefined): boolean {
  const method = target.parameters.get('method');
  const more = target.headers !== '' && replaces === undefined;
  return more || (method !== undefined && method.toUpperCase() !== 'INVITE');
}

/** A dialog of ours: the two calls would have to be joined here. RFC 3891 3: its to-tag is the tag of who gets the INVITE, us. */
function isOurs(stack: Stack, { callId, toTag, fromTag }: SipReplaces): boolean {
  return stack.dialogs.has(dialogKey(callId, toTag, fromTag));
}

export function notifyRefer(
  stack: Stack,
  session: Session,
  command: Pick<Extract<SipCommand, { kind: 'notify-refer' }>, 'status' | 'final'>,
): void {
  if (session.refer === undefined || command.status < 100 || command.status > 699) return;
  notify(stack, session, command.status, command.final);
  if (command.final) session.refer = undefined;
}

function notify(stack: Stack, session: Session, status: number, final: boolean): void {
  const { dialog } = session;
  if (dialog === undefined) return;
  const state = final ? 'terminated;reason=noresource' : `active;expires=${EXPIRES}`;
  sendInDialog(stack, session, dialog, {
    method: 'NOTIFY',
    headers: (attempt) => [
      ['Contact', contactFor(attempt.hop.listener)],
      ['Event', `refer;id=${session.refer ?? 0}`],
      ['Subscription-State', state],
    ],
    // RFC 3420; the phrase is ours, not the far end's.
    body: {
      contentType: 'message/sipfrag;version=2.0',
      bytes: latin1Bytes(`SIP/2.0 ${status} ${reasonPhrase(status)}\r\n`),
    },
  });
}

// ---- ours ---------------------------------------------------------------------------------------------------------

/** Asks the far end to call `user` at its own domain. Told how it goes until `final`; a second one waits for nobody. */
export function sendRefer(stack: Stack, session: Session, user: string): void {
  const { core } = stack;
  const { dialog, peer } = session;
  if (session.state !== 'confirmed' || dialog === undefined || session.referring !== undefined) {
    return core.event({ kind: 'refer-progress', session: session.ref, status: 491, final: true });
  }
  const alarm = core.alarm(() => progress(stack, session, 408, true));
  const referring = { accepted: false, alarm };
  session.referring = referring;
  alarm.set(core.now + REFER_LIMIT);
  const target = formatNameAddress({
    uri: sipUri(user, peer.host === '' ? dialog.remoteTarget.host : peer.host),
  });
  sendInDialog(stack, session, dialog, {
    method: 'REFER',
    headers: (attempt) => [
      ['Contact', contactFor(attempt.hop.listener)],
      ['Refer-To', target],
    ],
    response: ({ status }) => {
      if (session.referring !== referring) return;
      if (status >= 200 && status < 300) referring.accepted = true;
      else if (status >= 300) progress(stack, session, status, true);
    },
    failed: (why) => {
      if (session.referring === referring) progress(stack, session, why === 'timeout' ? 408 : 503, true);
    },
  });
}

/** RFC 3515 2.4.4, 2.4.5: what the far end says about our REFER; a NOTIFY may come before the 202. */
export function receiveNotify(stack: Stack, session: Session, transaction: ServerTransaction): void {
  const { request } = transaction;
  const event = firstHeader(request, 'Event')?.split(';', 1)[0]?.trim().toLowerCase();
  if (session.referring === undefined) return refuse(transaction, 481); // we subscribed to nothing
  if (event !== 'refer') return refuse(transaction, 489);
  const status = fragmentStatus(request);
  const over = /^\s*terminated\b/i.test(firstHeader(request, 'Subscription-State') ?? '');
  if (status === undefined && !over) return refuse(transaction, 400);
  refuse(transaction, 200);
  if (status !== undefined && status >= 200) progress(stack, session, status, true);
  // Terminated without a final answer: it gave no account of what became of it.
  else if (over) progress(stack, session, 487, true);
  else if (status !== undefined && status > 100) progress(stack, session, status, false);
}

function fragmentStatus(request: SipRequest): number | undefined {
  const type = parseContentType(firstHeader(request, 'Content-Type') ?? '')?.type;
  if (type !== 'message/sipfrag' || request.body.length > 4096) return undefined;
  const status = /^SIP\/2\.0 ([1-6]\d\d)(?: |\r?\n|$)/.exec(latin1Text(request.body))?.[1];
  return status === undefined ? undefined : Number(status);
}

function progress(stack: Stack, session: Session, status: number, final: boolean): void {
  const { referring } = session;
  if (referring === undefined) return;
  if (final) {
    referring.alarm.set(undefined);
    session.referring = undefined;
  }
  stack.core.event({ kind: 'refer-progress', session: session.ref, status, final });
}

/** The far end hangs up: where it had taken our REFER it has gone over to the new call (RFC 5589 6.1). */
export function referredAway(stack: Stack, session: Session): void {
  if (session.referring?.accepted === true) progress(stack, session, 200, true);
}
