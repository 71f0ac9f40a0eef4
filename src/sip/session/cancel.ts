import { buildRequest, tagged } from '../build.ts';
import type { SipRequest } from '../message.ts';
import type { Stack } from '../stack.ts';
import { TRANSACTION_LIFE } from '../transaction/timing.ts';
import { formatUri } from '../uri.ts';
import { answerPending, q850Of, reasonHeaders } from './bye.ts';
import { type OutgoingInvite, q850Field, type Session } from './session.ts';

/** The user wants our unanswered INVITE back. A 2xx that crosses is acknowledged and ended (invite.ts). */
export function cancelInvite(stack: Stack, session: Session, q850: number | undefined): void {
  const { invite } = session;
  if (invite === undefined || invite.cancel !== 'no') return;
  invite.cancelReason = q850;
  if (invite.request.giveUp()) return; // nothing was sent yet
  // 9.1: CANCEL may not be sent before a provisional response.
  if (invite.request.provisional) sendCancel(stack, session, invite);
  else invite.cancel = 'wanted';
}

/** RFC 3261 9.1: same Request-URI, Call-ID, To, CSeq number, From, and the top Via of the INVITE. */
export function sendCancel(stack: Stack, session: Session, invite: OutgoingInvite): void {
  const { attempt, transaction } = invite.request;
  if (attempt === undefined || transaction === undefined) return;
  invite.cancel = 'sent';
  const { caller } = invite;
  const message = buildRequest({
    method: 'CANCEL',
    uri: formatUri(caller.requestUri),
    hop: transaction.hop,
    branch: attempt.branch,
    sequence: attempt.sequence,
    from: tagged(caller.local, caller.localTag),
    to: caller.remote,
    callId: caller.callId,
    headers: reasonHeaders(invite.cancelReason),
  });
  const spec = {
    method: 'CANCEL',
    branch: attempt.branch,
    hop: transaction.hop,
    peer: session.peer.name,
    session: session.ref,
    user: { response: () => undefined, failed: () => undefined },
  };
  stack.table.client(spec, message);
  // 9.1: no final response within 64*T1 of the CANCEL, and the INVITE counts as cancelled.
  session.expect(stack.core.now + TRANSACTION_LIFE, () => invite.request.abandon());
}

/** The far end takes its unanswered INVITE back (9.2); the CANCEL itself was answered with 200. */
export function receiveCancel(session: Session, cancel: SipRequest): void {
  if (session.incoming === undefined) return; // answered already: no effect
  answerPending(session, 487);
  session.end({ by: 'far-end', status: 0, ...q850Field(q850Of(cancel)) });
}
