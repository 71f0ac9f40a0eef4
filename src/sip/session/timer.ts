/** Session timers (RFC 4028): honoured where the far end asks for them, never asked for by us. */
import { supports } from '../dialog.ts';
import { firstHeader } from '../header/access.ts';
import { formatSessionExpires, parseSessionExpires } from '../header/session-expires.ts';
import type { SipRequest, SipResponse } from '../message.ts';
import type { HeaderPair } from '../serialize.ts';
import type { Stack } from '../stack.ts';
import { sendBye } from './bye.ts';
import type { Session } from './session.ts';

/** RFC 4028 5: the least interval anybody may ask for. Seconds. */
export const MIN_SE = 90;
/** Longer intervals are as good as none; timers stay small. Seconds. */
const MAX_SE = 86_400;

/** 422 is due: the interval asked for is too small (RFC 4028 9). */
export function tooSmall(request: SipRequest): boolean {
  const asked = parseSessionExpires(firstHeader(request, 'Session-Expires') ?? '');
  return asked !== undefined && asked.seconds < MIN_SE;
}

/** UAS: agrees to what an INVITE or UPDATE asks, starts the timer, gives the headers of our 2xx. */
export function agreeTimer(stack: Stack, session: Session, request: SipRequest): HeaderPair[] {
  const asked = parseSessionExpires(firstHeader(request, 'Session-Expires') ?? '');
  if (asked === undefined) {
    startTimer(stack, session, undefined);
    return [];
  }
  const seconds = Math.min(Math.max(asked.seconds, MIN_SE), MAX_SE);
  // RFC 4028 9, table 2: a UAC that knows no timers cannot refresh.
  const refresher = supports(request, 'timer') ? (asked.refresher ?? 'uac') : 'uas';
  startTimer(stack, session, { seconds, ours: refresher === 'uas' });
  const answer: HeaderPair = ['Session-Expires', formatSessionExpires({ seconds, refresher })];
  return refresher === 'uac' ? [answer, ['Require', 'timer']] : [answer];
}

/** UAC: follows what a 2xx to our INVITE or UPDATE says (RFC 4028 7.2). */
export function followTimer(stack: Stack, session: Session, response: SipResponse): void {
  const said = parseSessionExpires(firstHeader(response, 'Session-Expires') ?? '');
  if (said === undefined || said.seconds < MIN_SE) return startTimer(stack, session, undefined);
  const seconds = Math.min(said.seconds, MAX_SE);
  startTimer(stack, session, { seconds, ours: said.refresher !== 'uas' });
}

/** What our own re-INVITE or UPDATE says: the roles as they are. */
export function timerHeaders(session: Session): HeaderPair[] {
  const { refresh } = session;
  if (refresh === undefined) return [];
  const refresher = refresh.ours ? 'uac' : 'uas';
  return [['Session-Expires', formatSessionExpires({ seconds: refresh.seconds, refresher })]];
}

function startTimer(
  stack: Stack,
  session: Session,
  refresh: { readonly seconds: number; readonly ours: boolean } | undefined,
): void {
  session.refresh = refresh;
  if (refresh === undefined || session.state === 'ended') return session.timer.set(undefined);
  const { core } = stack;
  const interval = refresh.seconds * 1000;
  // RFC 4028 10: the refresher acts at half the interval; the other side hangs up shortly before its end.
  const silent = core.now + interval - Math.min(32_000, interval / 3);
  session.onTimer = (): void => {
    if (refresh.ours && core.now < silent) {
      session.timer.set(silent);
      session.onRefresh?.();
    } else expire(stack, session);
  };
  session.timer.set(refresh.ours ? core.now + interval / 2 : silent);
}

/** RFC 4028 10: nobody refreshed. */
export function expire(stack: Stack, session: Session): void {
  if (session.state !== 'confirmed' || session.dialog === undefined) return;
  sendBye(stack, session, session.dialog, 102); // recovery on timer expiry
  session.end({ by: 'timeout', status: 0, q850: 102 });
}
