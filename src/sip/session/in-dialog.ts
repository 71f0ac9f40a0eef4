/** Requests of the far end inside a dialog (RFC 3261 12.2.2). */
import { ACCEPT, ALLOW, SUPPORTED } from '../build.ts';
import type { Source } from '../core.ts';
import type { Dialog } from '../dialog.ts';
import type { SipRequest } from '../message.ts';
import type { Stack } from '../stack.ts';
import type { ServerTransaction } from '../transaction/server.ts';
import { continueAfterPrack } from './accept.ts';
import { receiveAck } from './ack.ts';
import { receiveBye, stopWaitingForAck } from './bye.ts';
import { receiveInfo } from './info.ts';
import { receiveModify } from './modify.ts';
import { receiveNotify, receiveRefer, referredAway } from './refer.ts';
import { refuse } from './refuse.ts';
import { sendLater } from './reinvite.ts';
import type { Session } from './session.ts';

/** A dialog is the peer's it was made with; where many users share a peer's name, the source address is part of it. */
export function belongs(session: Session, dialog: Dialog, source: Source): boolean {
  const there = source.hop.remote.ip === dialog.source.hop.remote.ip;
  if (session.peer.boundToSource === true) return source.peer === session.peer.name && there;
  // One host may be two peers, called in two ways: what comes from there has the name of one of them.
  return source.peer === session.peer.name || (source.peer === dialog.source.peer && there);
}

export function receiveDialogAck(
  stack: Stack,
  session: Session,
  dialog: Dialog,
  ack: SipRequest,
  source: Source,
): void {
  dialog.source = source;
  receiveAck(stack, session, dialog, ack);
  sendLater(stack, session);
}

/** The transaction is new and the source is the dialog's; order and state are judged here. */
export function receiveInDialog(
  stack: Stack,
  session: Session,
  dialog: Dialog,
  transaction: ServerTransaction,
): void {
  const { core } = stack;
  const { request, source } = transaction;
  // 12.2.2: lower than the last one is out of order.
  if (dialog.remoteSequence !== undefined && request.cseq.number < dialog.remoteSequence) {
    core.count('cseq-order', undefined, source.hop.remote);
    return refuse(transaction, 500);
  }
  dialog.remoteSequence = request.cseq.number;
  dialog.source = source;
  if (session.state === 'ended') {
    if (request.method !== 'BYE') return refuse(transaction, 481);
    refuse(transaction, 200); // it crosses ours, or saves us from sending ours
    stopWaitingForAck(session);
    session.byeAfterAck = undefined;
    return session.settle();
  }
  switch (request.method) {
    case 'INVITE':
    case 'UPDATE':
      return receiveModify(stack, session, dialog, transaction);
    case 'BYE':
      referredAway(stack, session);
      return receiveBye(session, dialog, transaction);
    case 'PRACK':
      return continueAfterPrack(stack, session, transaction);
    case 'INFO':
      return receiveInfo(stack, session, transaction);
    case 'REFER':
      return receiveRefer(stack, session, transaction);
    case 'OPTIONS': // 11.2: as an INVITE would be answered
      return refuse(transaction, 200, [
        ['Accept', ACCEPT],
        ['Allow', ALLOW],
        ['Supported', SUPPORTED],
      ]);
    case 'NOTIFY':
      return receiveNotify(stack, session, transaction);
    default:
      return refuse(transaction, 481);
  }
}
