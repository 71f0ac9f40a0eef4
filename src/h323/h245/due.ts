/** What happens when H.245 does not come about, or an answer in it does not come. */
import type { Alarm } from '../../machine/alarm.ts';
import type { Call } from '../call.ts';
import { closeControl, endCall } from '../h225/release-complete.ts';
import { MODE_LIMIT } from '../limits.ts';
import type { MediaKind } from '../media-contract.ts';
import type { Stack } from '../stack.ts';
import { dialInstead } from './connection.ts';
import { awaitRelease } from './end-session.ts';
import { closeSend, rejectChannel } from './logical-channel.ts';
import { modeAnswered, refuseMode } from './request-mode.ts';
import { controlUp } from './state.ts';

export function armEarliest(alarm: Alarm, due: ReadonlyMap<MediaKind, number>): void {
  alarm.set(due.size === 0 ? undefined : Math.min(...due.values()));
}

/** T101, T106, or nobody came to our H.245 port. */
export function controlDue(stack: Stack, call: Call): void {
  if (dialInstead(stack, call)) return;
  // Before Connect a side may wait with its capabilities as long as it rings (T301); the time begins with Connect.
  if (controlUp(call.control) && call.state !== 'connected') return;
  stack.core.count('h245-timeout', call.remote);
  controlFailed(stack, call);
}

/**
 * H.245 is lost or never came up. A call whose media runs by FastStart lives without it (as against H.323 v1 terminals);
 * one whose channels were to be opened by it has no media and ends; so does an established one whose H.245 connection broke
 * (H.323 8.5: closing it ends the call).
 */
export function controlFailed(stack: Stack, call: Call): void {
  const { control } = call;
  const hasMedia = control.send.size > 0 || control.receive.size > 0;
  if (!control.ready && (hasMedia || call.state !== 'connected') && call.fastStart !== 'none') {
    stack.core.count('h245-absent', call.remote);
    return closeControl(stack, call);
  }
  if (call.state !== 'connected' && !control.ready) {
    // Early H.245 that failed: the answer may still come with FastStart, or the call end for another reason.
    stack.core.count('h245-absent', call.remote);
    return closeControl(stack, call);
  }
  if (control.ready) {
    closeControl(stack, call);
    return awaitRelease(stack, call);
  }
  endCall(stack, call, { by: 'timeout', cause: 102, tell: true });
}

/** T103. */
export function sendDue(stack: Stack, call: Call): void {
  const { control } = call;
  for (const media of overdue(stack, control.sendDue)) {
    closeSend(stack, call, media);
    stack.core.event({ kind: 'channel-rejected', call: call.ref, media, reason: 'timeout' });
  }
  armEarliest(control.sendAlarm, control.sendDue);
}

/** The user did not answer channel-asked. */
export function receiveDue(stack: Stack, call: Call): void {
  const { control } = call;
  for (const media of overdue(stack, control.receiveDue)) {
    stack.core.count('channel-unanswered', call.remote);
    rejectChannel(stack, call, media, 'other');
  }
  armEarliest(control.receiveAlarm, control.receiveDue);
}

function overdue(stack: Stack, due: Map<MediaKind, number>): MediaKind[] {
  const kinds = [...due].filter(([, at]) => at <= stack.core.now).map(([kind]) => kind);
  for (const kind of kinds) due.delete(kind);
  return kinds;
}

/** T109, or the user's answer to mode-asked. */
export function modeDue(stack: Stack, call: Call): void {
  const { control } = call;
  if (control.modeAsked !== undefined) refuseMode(stack, call);
  if (control.modeWaiting) modeAnswered(stack, call, control.modeSequence, false);
}

export function armMode(stack: Stack, call: Call): void {
  const { control } = call;
  const waiting = control.modeWaiting || control.modeAsked !== undefined;
  control.modeAlarm.set(waiting ? stack.core.now + MODE_LIMIT : undefined);
}
