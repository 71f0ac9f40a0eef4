import type { SipCommand } from '../contract.ts';
import type { Stack } from '../stack.ts';
import { reject } from './accept.ts';
import { sendAck } from './ack.ts';
import { answerPending, sendBye } from './bye.ts';
import { cancelInvite } from './cancel.ts';
import { notifyRefer } from './refer.ts';
import { q850Field, type Session } from './session.ts';

/** The user's `end`: CANCEL, a final response or BYE, whichever the state calls for. `ended` follows at once. */
export function endSession(
  stack: Stack,
  session: Session,
  command: Omit<Extract<SipCommand, { kind: 'end' }>, 'kind' | 'session'>,
): void {
  const { q850 } = command;
  if (session.state === 'ended') return;
  if (session.state === 'setup') {
    if (session.role === 'uas') return reject(session, { ...command, status: command.status ?? 480 });
    session.end({ by: 'local', status: 0, ...q850Field(q850) });
    return cancelInvite(stack, session, q850);
  }
  hangUp(stack, session, q850);
  session.end({ by: 'local', status: 0, ...q850Field(q850) });
}

function hangUp(stack: Stack, session: Session, q850: number | undefined): void {
  const { dialog, answerDue, unacknowledged } = session;
  if (dialog === undefined) return;
  answerPending(session, 487);
  // RFC 3515 2.4.7: who referred us learns how it ended before the dialog goes.
  notifyRefer(stack, session, { status: 487, final: true });
  if (answerDue !== undefined) {
    // The 2xx is owed its ACK whatever comes after (13.2.2.4).
    session.answerDue = undefined;
    sendAck(stack, session, dialog, answerDue);
  }
  // 15: who answered may not send BYE before the ACK of its 2xx, or the end of waiting for it.
  if (unacknowledged !== undefined) session.byeAfterAck = { q850 };
  else sendBye(stack, session, dialog, q850);
}
