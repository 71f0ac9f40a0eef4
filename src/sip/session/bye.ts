import { buildResponse } from '../build.ts';
import type { Dialog } from '../dialog.ts';
import { firstHeader } from '../header/access.ts';
import { formatQ850, parseQ850 } from '../header/reason.ts';
import type { SipMessage } from '../message.ts';
import type { HeaderPair } from '../serialize.ts';
import type { Stack } from '../stack.ts';
import type { ServerTransaction } from '../transaction/server.ts';
import { sendInDialog } from './in-dialog-request.ts';
import { q850Field, type Session } from './session.ts';

/** RFC 3261 15.1.1. Whatever the answer, the dialog is over. */
export function sendBye(stack: Stack, session: Session, dialog: Dialog, q850: number | undefined): void {
  if (dialog === session.dialog) answerPending(session, 487);
  sendInDialog(stack, session, dialog, { method: 'BYE', headers: () => reasonHeaders(q850) });
}

/** RFC 3261 15.1.2. */
export function receiveBye(session: Session, dialog: Dialog, transaction: ServerTransaction): void {
  const { request, source } = transaction;
  transaction.respond(200, buildResponse(request, 200, source.hop));
  // A caller may end one early dialog; the callee may not, but then only that fork is gone.
  if (session.role === 'uac' && session.state === 'setup') return session.removeDialog(dialog);
  answerPending(session, 487);
  stopWaitingForAck(session);
  session.end({ by: 'far-end', status: 0, ...q850Field(q850Of(request)) });
}

/** 15.1.2: requests of the far end that still wait are answered before the session goes. */
export function answerPending(session: Session, status: number): void {
  for (const waiting of [session.incoming, session.modified]) {
    const toTag = session.dialog?.localTag;
    waiting?.respond(status, buildResponse(waiting.request, status, waiting.source.hop, { toTag }));
  }
  session.incoming = undefined;
  session.modified = undefined;
}

export function stopWaitingForAck(session: Session): void {
  session.unacknowledged?.alarm.set(undefined);
  session.unacknowledged = undefined;
}

export function reasonHeaders(q850: number | undefined): HeaderPair[] {
  return q850 === undefined ? [] : [['Reason', formatQ850(q850)]];
}

export function q850Of(message: Pick<SipMessage, 'headers'>): number | undefined {
  const value = firstHeader(message, 'Reason');
  return value === undefined ? undefined : parseQ850(value);
}
