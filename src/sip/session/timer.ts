/** Session timers (RFC 4028): honoured where the far end asks for them, never asked for by us. */
import { supports } from '../dialog.ts';
import { firstHeader } from '../header/access.ts';
import { formatSessionExpires, parseMinSe, parseSessionExpires } from '../header/session-expires.ts';
import type { SipRequest, SipResponse } from '../message.ts';
import type { HeaderPair } from '../serialize.ts';
import type { Stack } from '../stack.ts';
import { sendBye } from './bye.ts';
import type { Session } from './session.ts';

/** RFC 4028 5: the least interval anybody may ask for. Seconds. */
export const MIN_SE = 90;
/** Longer intervals are as good as none; timers stay small. Seconds. */
const MAX_SE = 86_400;

/** A refresh that was refused, or had to wait, is made again after this share of the interval, but not sooner. Milliseconds. */
const AGAIN = { share: 1 / 60, least: 5000 } as const;
/** Longer intervals a far end may ask for in a row, one hop of the way after the other (RFC 4028 7.4). */
const MOST_WIDENED = 4;

/** 422 is due: the interval asked for is too small (RFC 4028 9); not to a far end that knows nothing of session timers. */
export function tooSmall(request: SipRequest): boolean {
  if (!supports(request, 'timer')) return false;
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
  const headers: HeaderPair[] = [
    ['Session-Expires', formatSessionExpires({ seconds: refresh.seconds, refresher })],
  ];
  // RFC 4028 7.4: the largest that was asked for, so that nobody on the way lowers the interval again.
  if (session.leastInterval > 0) headers.push(['Min-SE', String(session.leastInterval)]);
  return headers;
}

/** Our refresh came to nothing, or could not go out now: once more, as long as the session has not expired. */
export function refreshLater(stack: Stack, session: Session): void {
  const { refresh } = session;
  if (refresh?.ours !== true || session.state !== 'confirmed') return;
  const wait = Math.max(1000 * refresh.seconds * AGAIN.share, AGAIN.least);
  session.timer.set(Math.min(stack.core.now + wait, refresh.silentAt));
}

/** 422 to our refresh: its Min-SE is the interval from now on (RFC 4028 7.4). False where it asks for nothing longer. */
export function widened(stack: Stack, session: Session, response: SipResponse): boolean {
  const { refresh } = session;
  const least = parseMinSe(firstHeader(response, 'Min-SE') ?? '');
  if (refresh === undefined || least === undefined || least > MAX_SE) return false;
  if (least <= refresh.seconds || refresh.widened >= MOST_WIDENED) return false;
  session.refresh = { ...refresh, seconds: least, widened: refresh.widened + 1 };
  session.leastInterval = Math.max(session.leastInterval, least);
  stack.core.count('session-interval');
  return true;
}

function startTimer(
  stack: Stack,
  session: Session,
  agreed: { readonly seconds: number; readonly ours: boolean } | undefined,
): void {
  session.refresh = undefined;
  if (agreed === undefined || session.state === 'ended') return session.timer.set(undefined);
  const { core } = stack;
  const interval = agreed.seconds * 1000;
  // RFC 4028 10: the refresher acts at half the interval; the other side hangs up shortly before its end.
  const silentAt = core.now + interval - Math.min(32_000, interval / 3);
  session.refresh = { ...agreed, silentAt, widened: 0 };
  session.onTimer = (): void => {
    if (agreed.ours && core.now < silentAt) {
      session.timer.set(silentAt);
      session.onRefresh?.();
    } else expire(stack, session);
  };
  session.timer.set(agreed.ours ? core.now + interval / 2 : silentAt);
}

/** RFC 4028 10: nobody refreshed. */
export function expire(stack: Stack, session: Session): void {
  if (session.state !== 'confirmed' || session.dialog === undefined) return;
  sendBye(stack, session, session.dialog, 102); // recovery on timer expiry
  session.end({ by: 'timeout', status: 0, q850: 102 });
}
