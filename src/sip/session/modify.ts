/** re-INVITE (RFC 3261 14.2) and UPDATE (RFC 3311) from the far end. */

import { sessionDescription } from '../body.ts';
import { ALLOW, buildResponse, dialogHeaders, READABLE, SUPPORTED, wholeSeconds } from '../build.ts';
import type { SipBody, SipCommand } from '../contract.ts';
import { contactOf, type Dialog } from '../dialog.ts';
import type { Stack } from '../stack.ts';
import type { ServerTransaction } from '../transaction/server.ts';
import { repeatUntilAck } from './accept.ts';
import { acknowledged } from './ack.ts';
import { refuse } from './refuse.ts';
import { yieldToFarEnd } from './reinvite.ts';
import type { Session } from './session.ts';
import { agreeTimer, MIN_SE, tooSmall } from './timer.ts';

/** The user answers within this time, else 500. Milliseconds. */
const MODIFY_LIMIT = 20_000;

export function receiveModify(
  stack: Stack,
  session: Session,
  dialog: Dialog,
  transaction: ServerTransaction,
): void {
  const { core } = stack;
  const { request } = transaction;
  const found = sessionDescription(request);
  if (!found.ok) {
    core.count(found.error.reason, undefined, transaction.source.hop.remote);
    return refuse(transaction, found.error.status, found.error.status === 415 ? READABLE : []);
  }
  if (tooSmall(request)) return refuse(transaction, 422, [['Min-SE', String(MIN_SE)]]);
  const isInvite = request.method === 'INVITE';
  if (isInvite && contactOf(request) === undefined) return refuse(transaction, 400);
  // RFC 4028 7.4: an UPDATE without a description only refreshes.
  if (!isInvite && found.value === undefined) return refresh(stack, session, dialog, transaction);
  const conflict = conflictOf(session);
  if (conflict === 500) {
    return refuse(transaction, 500, [['Retry-After', String(core.between(0, 10))]]);
  }
  if (conflict !== undefined) return refuse(transaction, conflict);
  // RFC 5407 3.1.4: a re-INVITE before the ACK of our 2xx implies that ACK.
  if (session.unacknowledged !== undefined) acknowledged(stack, session, dialog, undefined);
  yieldToFarEnd(stack, session);
  ask(stack, session, transaction, found.value);
}

/** 14.2, RFC 3311 5.2: why an offer cannot be taken now. */
function conflictOf(session: Session): 491 | 500 | undefined {
  // 14.2: a request of the far end waits for our final answer already.
  if (session.incoming !== undefined || session.modified !== undefined) return 500;
  if (session.state === 'setup') return 491;
  if (session.modify?.pending === true || session.answerDue !== undefined) return 491;
  return session.unacknowledged?.offered === true ? 491 : undefined;
}

function ask(
  stack: Stack,
  session: Session,
  transaction: ServerTransaction,
  body: SipBody | undefined,
): void {
  const { core } = stack;
  session.modified = transaction;
  transaction.user = { lost: () => abandon(session) };
  session.expect(core.now + MODIFY_LIMIT, () => {
    core.count('modify-unanswered');
    if (session.modified === transaction) refuse(transaction, 500, [['Retry-After', '5']]);
    abandon(session);
  });
  core.event({ kind: 'modify', session: session.ref, ...(body === undefined ? {} : { body }) });
}

function abandon(session: Session): void {
  session.modified = undefined;
  session.expect(undefined);
}

export function acceptModify(
  stack: Stack,
  session: Session,
  command: Extract<SipCommand, { kind: 'modify-accept' }>,
): void {
  const { modified: transaction, dialog } = session;
  if (transaction === undefined || dialog === undefined) return;
  abandon(session);
  const { body } = command;
  const { request } = transaction;
  session.lastBody = body ?? session.lastBody;
  dialog.remoteTarget = contactOf(request) ?? dialog.remoteTarget; // 12.2.2: target refresh
  const message = success(stack, session, dialog, transaction, body);
  if (request.method !== 'INVITE') return transaction.respond(200, message);
  repeatUntilAck(stack, session, transaction, message, body !== undefined && request.body.length === 0);
}

export function refuseModify(
  session: Session,
  command: Extract<SipCommand, { kind: 'modify-refuse' }>,
): void {
  const { modified: transaction } = session;
  if (transaction === undefined) return;
  abandon(session);
  const { status, retryAfterSeconds: seconds } = command;
  const usable = status >= 300 && status <= 699 ? status : 488;
  refuse(transaction, usable, seconds === undefined ? [] : [['Retry-After', String(wholeSeconds(seconds))]]);
}

function refresh(stack: Stack, session: Session, dialog: Dialog, transaction: ServerTransaction): void {
  dialog.remoteTarget = contactOf(transaction.request) ?? dialog.remoteTarget;
  transaction.respond(200, success(stack, session, dialog, transaction, undefined));
}

function success(
  stack: Stack,
  session: Session,
  dialog: Dialog,
  transaction: ServerTransaction,
  body: SipBody | undefined,
) {
  const { request, source } = transaction;
  return buildResponse(request, 200, source.hop, {
    headers: [
      ...dialogHeaders(transaction.request, transaction.source.hop, dialog),
      ['Allow', ALLOW],
      ['Supported', SUPPORTED],
      ...(session.state === 'confirmed' ? agreeTimer(stack, session, request) : []),
    ],
    body,
  });
}
