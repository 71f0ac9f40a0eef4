/** Answers to the initial INVITE (RFC 3261 13.3.1): provisional, 2xx with its repetition, failure. */
import {
  ALLOW,
  buildResponse,
  dialogHeaders,
  provisionalHeaders,
  SUPPORTED,
  wholeSeconds,
} from '../build.ts';
import type { SipCommand } from '../contract.ts';
import { formatNameAddress } from '../header/name-address.ts';
import { formatQ850 } from '../header/reason.ts';
import type { HeaderPair } from '../serialize.ts';
import type { Stack } from '../stack.ts';
import type { Outgoing } from '../transaction/client.ts';
import type { ServerTransaction } from '../transaction/server.ts';
import { T1, T2, TRANSACTION_LIFE } from '../transaction/timing.ts';
import { sipUri } from '../uri.ts';
import { sendBye, stopWaitingForAck } from './bye.ts';
import { receivePrack, requiresReliable, sendReliable } from './prack.ts';
import { q850Field, type Session } from './session.ts';
import { agreeTimer } from './timer.ts';

type Provisional = Extract<SipCommand, { kind: 'provisional' }>;
type Accept = Extract<SipCommand, { kind: 'accept' }>;
type Reject = Extract<SipCommand, { kind: 'reject' }>;

/** 13.3.1.1: proxies on the way give up three minutes after the last provisional response. Milliseconds. */
const REPEAT_PROVISIONAL = 60_000;

export function sendProvisional(stack: Stack, session: Session, command: Provisional): void {
  const { incoming: transaction, dialog } = session;
  const { status, body } = command;
  if (transaction === undefined || dialog === undefined || status <= 100 || status > 199) return;
  session.lastBody = body ?? session.lastBody;
  if (requiresReliable(transaction.request)) {
    return sendReliable(stack, session, command, () => {
      stack.core.count('prack-missing');
      reject(session, { status: 504 }); // RFC 3262 3: 5xx
    });
  }
  const message = buildResponse(transaction.request, status, transaction.source.hop, {
    toTag: dialog.localTag,
    headers: provisionalHeaders(transaction.request, transaction.source.hop, dialog),
    body,
  });
  transaction.respond(status, message);
  session.onRetry = (): void => {
    if (session.incoming === undefined) return;
    transaction.respond(status, message);
    session.retry.set(stack.core.now + REPEAT_PROVISIONAL);
  };
  session.retry.set(stack.core.now + REPEAT_PROVISIONAL);
}

export function accept(stack: Stack, session: Session, command: Accept): void {
  const { incoming: transaction, dialog } = session;
  if (transaction === undefined || dialog === undefined) return;
  const { reliable } = session;
  if (reliable?.open === true && reliable.described) {
    reliable.accept = command;
    return;
  }
  reliable?.alarm.set(undefined);
  const body = reliable?.described === true ? undefined : command.body;
  const { connected } = command;
  session.incoming = undefined;
  session.state = 'confirmed';
  session.expect(undefined);
  session.retry.set(undefined);
  session.lastBody = body ?? session.lastBody;
  const identity: HeaderPair[] = [];
  if (connected !== undefined) {
    const uri = sipUri(connected.user, transaction.source.hop.listener.advertise.ip);
    const address = { displayName: connected.displayName, uri };
    identity.push(['P-Asserted-Identity', formatNameAddress(address)]);
  }
  const message = buildResponse(transaction.request, 200, transaction.source.hop, {
    toTag: dialog.localTag,
    headers: [
      ...dialogHeaders(transaction.request, transaction.source.hop, dialog),
      ['Allow', ALLOW],
      ['Supported', SUPPORTED],
      ...identity,
      ...agreeTimer(stack, session, transaction.request),
    ],
    body,
  });
  repeatUntilAck(
    stack,
    session,
    transaction,
    message,
    body !== undefined && transaction.request.body.length === 0,
  );
}

/** 13.3.1.4: the 2xx goes at T1, doubling to T2, until its ACK; without one for 64*T1 the session ends with BYE. */
export function repeatUntilAck(
  stack: Stack,
  session: Session,
  transaction: ServerTransaction,
  message: Outgoing,
  offered: boolean,
): void {
  const { core } = stack;
  stopWaitingForAck(session);
  const alarm = core.alarm(() => repeat());
  const waiting = {
    sequence: transaction.request.cseq.number,
    offered,
    alarm,
    giveUpAt: core.now + TRANSACTION_LIFE,
    interval: T1,
  };
  const repeat = (): void => {
    if (core.now >= waiting.giveUpAt) return giveUp(stack, session);
    transaction.respond(200, message);
    waiting.interval = Math.min(2 * waiting.interval, T2);
    alarm.set(Math.min(core.now + waiting.interval, waiting.giveUpAt));
  };
  session.unacknowledged = waiting;
  alarm.set(core.now + T1);
  transaction.respond(200, message);
}

function giveUp(stack: Stack, session: Session): void {
  const { dialog } = session;
  stack.core.count('ack-missing');
  stopWaitingForAck(session);
  if (dialog === undefined) return;
  if (session.state !== 'ended' || session.byeAfterAck !== undefined) {
    sendBye(stack, session, dialog, session.byeAfterAck?.q850 ?? 102);
    session.byeAfterAck = undefined;
  }
  session.end({ by: 'timeout', status: 0, q850: 102 });
  session.settle();
}

/** 13.3.1.2 and 13.3.1.3: 300..699. */
export function reject(session: Session, command: Omit<Reject, 'kind' | 'session'>): void {
  const { incoming: transaction, dialog } = session;
  if (transaction === undefined) return;
  const status = command.status >= 300 && command.status <= 699 ? command.status : 500;
  session.incoming = undefined;
  const headers: HeaderPair[] = [];
  if (command.retryAfterSeconds !== undefined) {
    headers.push(['Retry-After', String(wholeSeconds(command.retryAfterSeconds))]);
  }
  if (command.q850 !== undefined) {
    headers.push(['Reason', formatQ850(command.q850, command.reasonText)]);
  }
  transaction.respond(
    status,
    buildResponse(transaction.request, status, transaction.source.hop, {
      toTag: dialog?.localTag,
      headers,
    }),
  );
  session.end({ by: 'local', status, ...q850Field(command.q850) });
}

/** PRACK: what waited for it goes on. */
export function continueAfterPrack(stack: Stack, session: Session, transaction: ServerTransaction): void {
  const { next, accept: waiting } = receivePrack(session, transaction);
  if (next !== undefined) sendProvisional(stack, session, next);
  else if (waiting !== undefined) accept(stack, session, waiting);
}
