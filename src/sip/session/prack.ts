/**
 * Reliable provisional responses to a caller that requires them (RFC 3262). As caller we do not offer 100rel, and to one
 * that only supports it they go unreliably: the answer in the 2xx is what counts.
 */
import { buildResponse, provisionalHeaders } from '../build.ts';
import type { SipCommand } from '../contract.ts';
import { firstHeader, optionTags } from '../header/access.ts';
import type { SipRequest } from '../message.ts';
import type { Stack } from '../stack.ts';
import type { ServerTransaction } from '../transaction/server.ts';
import { T1, TRANSACTION_LIFE } from '../transaction/timing.ts';
import { refuse } from './refuse.ts';
import type { Reliable, Session } from './session.ts';

type Provisional = Extract<SipCommand, { kind: 'provisional' }>;

/** Provisional responses that wait for the PRACK of the one before, at most. */
const MOST_WAITING = 4;

export function requiresReliable(request: SipRequest): boolean {
  return optionTags(request, 'Require').has('100rel');
}

/** 3: one at a time; what comes meanwhile waits. */
export function sendReliable(
  stack: Stack,
  session: Session,
  command: Provisional,
  unanswered: () => void,
): void {
  const { incoming: transaction, dialog } = session;
  if (transaction === undefined || dialog === undefined) return;
  // 5: to an INVITE without an offer the first one must make it, which ours cannot: the 2xx does.
  if (transaction.request.body.length === 0) return stack.core.count('provisional-withheld');
  session.reliable ??= {
    invite: transaction.request.cseq.number,
    sequence: stack.core.between(1, 0x7fff_ffff) - 1,
    open: false,
    described: false,
    waiting: [],
    accept: undefined,
    alarm: stack.core.alarm(() => session.reliable?.repeat()),
    repeat: () => undefined,
  };
  const { reliable } = session;
  if (reliable.open) {
    if (reliable.waiting.length < MOST_WAITING) reliable.waiting.push(command);
    return;
  }
  reliable.open = true;
  reliable.sequence++;
  const { status } = command;
  // The answer is given once: a repeated description would be a new offer to some.
  const body = reliable.described ? undefined : command.body;
  reliable.described ||= body !== undefined;
  const message = buildResponse(transaction.request, status, transaction.source.hop, {
    toTag: dialog.localTag,
    headers: [
      ...provisionalHeaders(transaction.request, transaction.source.hop, dialog),
      ['Require', '100rel'],
      ['RSeq', String(reliable.sequence)],
    ],
    body,
  });
  const giveUpAt = stack.core.now + TRANSACTION_LIFE;
  let interval = T1;
  reliable.repeat = (): void => {
    if (stack.core.now >= giveUpAt) return unanswered();
    transaction.respond(status, message);
    interval *= 2; // 3: doubling, without T2
    reliable.alarm.set(Math.min(stack.core.now + interval, giveUpAt));
  };
  transaction.respond(status, message);
  reliable.alarm.set(stack.core.now + interval);
}

/** PRACK: the response it names is acknowledged, the next may go. Returns what waited for that. */
export function receivePrack(session: Session, transaction: ServerTransaction): Partial<Waited> {
  const { reliable } = session;
  const { request } = transaction;
  const named = /^(\d{1,10})[ \t]+(\d{1,10})[ \t]+INVITE$/.exec(firstHeader(request, 'RAck') ?? '');
  const [, sequence, invite] = (named ?? []).map(Number);
  if (reliable?.open !== true || sequence !== reliable.sequence || invite !== reliable.invite) {
    refuse(transaction, 481); // 3: nothing of ours
    return {};
  }
  reliable.open = false;
  reliable.alarm.set(undefined);
  refuse(transaction, request.body.length === 0 ? 200 : 488); // 5: a new offer here is not taken
  const next = reliable.waiting.shift();
  if (next !== undefined) return { next };
  const { accept } = reliable;
  return accept === undefined ? {} : { accept };
}

export interface Waited {
  readonly next: Provisional;
  readonly accept: NonNullable<Reliable['accept']>;
}
