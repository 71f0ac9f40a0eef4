import { ALLOW, contactFor, OFFERED } from '../build.ts';
import type { Stack } from '../stack.ts';
import { sendInDialog } from './in-dialog-request.ts';
import { sendReinvite } from './reinvite.ts';
import type { Session } from './session.ts';
import { expire, followTimer, timerHeaders } from './timer.ts';

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
      if (response.status >= 200 && response.status < 300) followTimer(stack, session, response);
      else if (response.status === 481) expire(stack, session);
    },
  });
}
