import { ALLOW, contactFor, OFFERED } from '../build.ts';
import type { SipResponse } from '../message.ts';
import type { Stack } from '../stack.ts';
import { sendInDialog } from './in-dialog-request.ts';
import { sendReinvite } from './reinvite.ts';
import type { Session } from './session.ts';
import { expire, followTimer, refreshLater, timerHeaders, widened } from './timer.ts';

/** Our refresh of the session timer (RFC 4028 7.4): UPDATE where the far end takes it, else a re-INVITE. */
export function refreshSession(stack: Stack, session: Session): void {
  const { dialog } = session;
  if (dialog === undefined || session.state !== 'confirmed') return;
  if (!dialog.takesUpdate) return sendReinvite(stack, session, session.lastBody, true);
  sendInDialog(stack, session, dialog, {
    method: 'UPDATE',
    headers: (attempt) => [
      ['Contact', contactFor(attempt.hop.listener)],
      ['Allow', ALLOW],
      ['Supported', OFFERED],
      ...timerHeaders(session),
    ],
    response: (response) => {
      if (response.status < 200 || session.state !== 'confirmed') return;
      if (response.status < 300) return followTimer(stack, session, response);
      if (response.status === 405 || response.status === 501) {
        dialog.takesUpdate = false;
        return refreshSession(stack, session);
      }
      refreshRefused(stack, session, response);
    },
    failed: (why) => (why === 'timeout' ? expire(stack, session) : refreshLater(stack, session)),
  });
}

/** RFC 4028 7.4, 10: 481 and 408 end the call, 422 names another interval, anything else may be better in a while. */
function refreshRefused(stack: Stack, session: Session, response: SipResponse): void {
  const { status } = response;
  if (status === 481 || status === 408) expire(stack, session);
  else if (status === 422 && widened(stack, session, response)) refreshSession(stack, session);
  else refreshLater(stack, session);
}
