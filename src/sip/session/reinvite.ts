/** Our re-INVITE (RFC 3261 14.1). */
import { ALLOW, contactFor, OFFERED } from '../build.ts';
import type { SipBody } from '../contract.ts';
import { contactOf } from '../dialog.ts';
import type { SipResponse } from '../message.ts';
import type { Attempt } from '../request.ts';
import type { Stack } from '../stack.ts';
import { TRANSACTION_LIFE } from '../transaction/timing.ts';
import { expectAnswer, repeatAck, sendAck } from './ack.ts';
import { bodyField } from './body-of.ts';
import { sendBye } from './bye.ts';
import { sendInDialog } from './in-dialog-request.ts';
import type { OutgoingModify, Session } from './session.ts';
import { followTimer, refreshLater, timerHeaders, widened } from './timer.ts';

/** No final answer within this time counts as 408: nobody needs to think about a re-INVITE. Milliseconds. */
const ANSWER_LIMIT = 2 * TRANSACTION_LIFE;
/** 491 in a row before the user is told. */
const MOST_GLARES = 5;

/** The user's `reinvite`: at once, after the ACK we wait for, or refused as glare. */
export function reinvite(stack: Stack, session: Session, body: SipBody | undefined): void {
  if (session.state !== 'confirmed') return;
  // 14.1: not while another INVITE is in progress, in either direction.
  if (session.modify !== undefined || session.modified !== undefined || session.answerDue !== undefined) {
    return glare(stack, session);
  }
  if (session.unacknowledged !== undefined) session.modifyLater = { body };
  else sendReinvite(stack, session, body, false);
}

/** The ACK is here: what waited for it goes out. */
export function sendLater(stack: Stack, session: Session): void {
  const later = session.modifyLater;
  if (later === undefined || session.unacknowledged !== undefined) return;
  session.modifyLater = undefined;
  reinvite(stack, session, later.body);
}

function glare(stack: Stack, session: Session): void {
  stack.core.event({ kind: 'modify-refused', session: session.ref, status: 491, glare: true });
}

/** The far end modifies while ours waits for its retry: theirs goes first, ours is over. */
export function yieldToFarEnd(stack: Stack, session: Session): void {
  const { modify } = session;
  session.retry.set(undefined);
  session.modify = undefined;
  const later = session.modifyLater;
  session.modifyLater = undefined;
  if ((modify !== undefined && !modify.refresh) || later !== undefined) glare(stack, session);
  if (modify?.refresh === true) refreshLater(stack, session);
}

/** `refresh`: for the session timer, with the description last sent; the user hears nothing of it. */
export function sendReinvite(
  stack: Stack,
  session: Session,
  body: SipBody | undefined,
  refresh: boolean,
): void {
  if (refresh && (session.modify ?? session.modified ?? session.unacknowledged ?? session.answerDue)) {
    return refreshLater(stack, session);
  }
  const modify: OutgoingModify = { pending: false, body, glares: 0, refresh };
  session.modify = modify;
  send(stack, session, modify);
}

function send(stack: Stack, session: Session, modify: OutgoingModify): void {
  const { dialog } = session;
  if (dialog === undefined) return;
  modify.pending = true;
  const overdue = stack.core.alarm(() => {
    request.abandon();
    hangUp(stack, session, 408);
  });
  overdue.set(stack.core.now + ANSWER_LIMIT);
  const request = sendInDialog(stack, session, dialog, {
    method: 'INVITE',
    headers: (attempt) => [
      ['Contact', contactFor(attempt.hop.listener)],
      ['Allow', ALLOW],
      ['Supported', OFFERED],
      ...timerHeaders(session),
    ],
    body: modify.body,
    response: (response, _source, attempt) => {
      if (response.status >= 200) overdue.set(undefined);
      receive(stack, session, modify, response, attempt);
    },
    failed: (why) => {
      overdue.set(undefined);
      if (why === 'timeout') hangUp(stack, session, 408);
      else refused(stack, session, modify, 503);
    },
  });
}

function receive(
  stack: Stack,
  session: Session,
  modify: OutgoingModify,
  response: SipResponse,
  attempt: Attempt,
): void {
  const { status } = response;
  if (status < 200) return;
  if (status < 300) return accepted(stack, session, modify, response, attempt);
  modify.pending = false;
  if (status === 491) return later(stack, session, modify);
  // 12.2.1.2: these say that the far end has no such dialog (any more).
  if (status === 481 || status === 408) return hangUp(stack, session, status);
  const stands = session.state === 'confirmed' && session.modify === modify;
  if (status === 422 && stands && widened(stack, session, response)) return send(stack, session, modify);
  refused(stack, session, modify, status);
}

function accepted(
  stack: Stack,
  session: Session,
  modify: OutgoingModify,
  response: SipResponse,
  attempt: Attempt,
): void {
  const { dialog } = session;
  const { sequence, authorization } = attempt;
  if (dialog === undefined || repeatAck(stack, session, dialog, sequence)) return;
  if (session.answerDue?.sequence === sequence) return; // the user still makes the answer
  if (!modify.pending) return; // an old 2xx, its ACK replaced by a newer one
  modify.pending = false;
  if (session.modify === modify) session.modify = undefined;
  session.lastBody = modify.body ?? session.lastBody;
  dialog.remoteTarget = contactOf(response) ?? dialog.remoteTarget; // 12.2.1.2: target refresh
  const field = bodyField(response);
  const needsAck = modify.body === undefined && field.body !== undefined;
  if (session.state === 'ended' || !needsAck || modify.refresh) {
    sendAck(stack, session, dialog, { sequence, authorization });
  } else expectAnswer(stack, session, sequence, authorization);
  if (session.state === 'ended') return;
  followTimer(stack, session, response);
  if (modify.refresh) return;
  stack.core.event({ kind: 'modify-accepted', session: session.ref, needsAck, ...field });
}

/** 14.1: after 491 the owner of the Call-ID waits 2.1 to 4 s, the other side 0 to 2 s, in steps of 10 ms. */
function later(stack: Stack, session: Session, modify: OutgoingModify): void {
  if (session.state === 'ended' || session.modify !== modify) return;
  modify.glares++;
  if (modify.glares > MOST_GLARES) return refused(stack, session, modify, 491);
  const { core } = stack;
  const wait = session.role === 'uac' ? core.between(210, 400) : core.between(0, 200);
  session.onRetry = (): void => {
    if (session.state !== 'confirmed' || session.modify !== modify) return;
    if (session.modified !== undefined) return yieldToFarEnd(stack, session);
    send(stack, session, modify);
  };
  session.retry.set(core.now + 10 * wait);
}

function refused(stack: Stack, session: Session, modify: OutgoingModify, status: number): void {
  modify.pending = false;
  if (session.state === 'ended' || session.modify !== modify) return;
  session.modify = undefined;
  if (modify.refresh) return refreshLater(stack, session);
  stack.core.event({ kind: 'modify-refused', session: session.ref, status, glare: status === 491 });
}

function hangUp(stack: Stack, session: Session, status: number): void {
  if (session.state === 'ended' || session.dialog === undefined) return;
  sendBye(stack, session, session.dialog, undefined);
  session.end({ by: status === 481 ? 'far-end' : 'timeout', status });
}
