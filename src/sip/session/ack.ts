/** ACK of a 2xx (RFC 3261 13.2.2.4): made by the user agent core, outside any transaction. */
import { buildInDialog } from '../build.ts';
import type { SipBody, SipCommand } from '../contract.ts';
import type { Hop } from '../core.ts';
import { type Dialog, nextHop } from '../dialog.ts';
import type { SipRequest } from '../message.ts';
import type { Target } from '../resolve.ts';
import type { HeaderPair } from '../serialize.ts';
import type { Stack } from '../stack.ts';
import { bodyField } from './body-of.ts';
import { sendBye, stopWaitingForAck } from './bye.ts';
import type { Session } from './session.ts';

/** The user answers an offer in a 2xx within this time, else the call ends. Milliseconds. */
export const ANSWER_LIMIT = 10_000;

export interface AckParts {
  readonly sequence: number;
  /** 22.1: the credentials the INVITE went with. */
  readonly authorization: readonly HeaderPair[];
  readonly body?: SipBody | undefined;
}

/** Sends the ACK, and keeps it for repeated 2xx. */
export function sendAck(stack: Stack, session: Session, dialog: Dialog, parts: AckParts): void {
  const to = nextHop(stack.core, stack.transport, dialog, session.peer);
  if (!('host' in to)) return sendTo(stack, session, dialog, parts, to[0]);
  stack.resolver.resolve(to, (targets) => sendTo(stack, session, dialog, parts, targets[0]));
}

function sendTo(
  stack: Stack,
  session: Session,
  dialog: Dialog,
  parts: AckParts,
  target: Target | undefined,
): void {
  const { core } = stack;
  const listener = target && core.listenerFor(target.transport, target.address.ip, target.listener);
  if (target === undefined || listener === undefined) return core.count('ack-unsendable');
  const { transport, connection } = target;
  const hop: Hop = {
    transport,
    listener,
    remote: target.address,
    ...(connection === undefined ? {} : { connection }),
    ...(target.serverName === undefined ? {} : { serverName: target.serverName }),
  };
  const branch = `z9hG4bK${core.token(12)}`;
  const { sequence, authorization, body } = parts;
  const message = buildInDialog(dialog, 'ACK', { hop, branch, sequence, authorization }, [], body);
  dialog.ack = { sequence, message, hop };
  emit(stack, session, dialog);
}

/** The 2xx came again: so does its ACK. False where it is not the one acknowledged last. */
export function repeatAck(stack: Stack, session: Session, dialog: Dialog, sequence: number): boolean {
  if (dialog.ack?.sequence !== sequence) return false;
  emit(stack, session, dialog);
  return true;
}

function emit(stack: Stack, session: Session, dialog: Dialog): void {
  const { ack } = dialog;
  const link = ack && stack.transport.link(ack.hop, () => undefined);
  if (ack === undefined || link === undefined) return;
  link.send(ack.message.bytes);
  link.release();
  stack.core.trace('out', link.hop, ack.message.line, session.ref);
}

/** UAS: an ACK in the dialog. One that acknowledges nothing we wait for is a repetition. */
export function receiveAck(stack: Stack, session: Session, dialog: Dialog, ack: SipRequest): void {
  const waiting = session.unacknowledged;
  if (waiting === undefined || waiting.sequence !== ack.cseq.number) return;
  acknowledged(stack, session, dialog, ack);
}

/** The ACK is here, or implied by a later request of the same dialog (RFC 5407 3.1.4). */
export function acknowledged(
  stack: Stack,
  session: Session,
  dialog: Dialog,
  ack: SipRequest | undefined,
): void {
  stopWaitingForAck(session);
  if (session.byeAfterAck !== undefined) {
    sendBye(stack, session, dialog, session.byeAfterAck.q850);
    session.byeAfterAck = undefined;
  }
  if (session.state === 'ended') return session.settle();
  stack.core.event({
    kind: 'acknowledged',
    session: session.ref,
    ...(ack === undefined ? {} : bodyField(ack)),
  });
}

/** A 2xx brought an offer: the ACK waits for the user's answer. */
export function expectAnswer(
  stack: Stack,
  session: Session,
  sequence: number,
  authorization: readonly HeaderPair[],
): void {
  const { core } = stack;
  session.answerDue = { sequence, authorization };
  session.expect(core.now + ANSWER_LIMIT, () => {
    const { dialog } = session;
    if (dialog === undefined) return;
    core.count('answer-missing');
    session.answerDue = undefined;
    sendAck(stack, session, dialog, { sequence, authorization });
    sendBye(stack, session, dialog, undefined);
    session.end({ by: 'timeout', status: 0 });
  });
}

/** The user's answer to an offer in a 2xx goes into the ACK. */
export function acknowledge(
  stack: Stack,
  session: Session,
  command: Extract<SipCommand, { kind: 'acknowledge' }>,
): void {
  const due = session.answerDue;
  if (due === undefined || session.dialog === undefined) return;
  session.answerDue = undefined;
  session.expect(undefined);
  session.lastBody = command.body;
  sendAck(stack, session, session.dialog, { ...due, body: command.body });
}
