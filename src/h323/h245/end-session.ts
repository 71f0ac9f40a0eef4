/** EndSessionCommand (H.245 B.12.6, H.323 8.5): the last word of H.245; ReleaseComplete ends the call. */
import type { Call } from '../call.ts';
import { END_SESSION_LIMIT } from '../limits.ts';
import type { Stack } from '../stack.ts';
import { sendControl } from './control.ts';
import { controlUp } from './state.ts';

/** Ours, where H.245 is up; tunnelled it rides on the ReleaseComplete that follows. */
export function endSession(stack: Stack, call: Call): void {
  if (!controlUp(call.control)) return;
  sendControl(stack, call, {
    choice: 'command',
    value: { choice: 'endSessionCommand', value: { choice: 'disconnect', value: null } },
  });
}

/** The far end is about to release; where its ReleaseComplete does not come, ours goes. */
export function endSessionReceived(stack: Stack, call: Call): void {
  call.control.farEnded = true;
  awaitRelease(stack, call);
}

/** H.245 is over on its own connection; the ReleaseComplete on the other one may be on its way. */
export function awaitRelease(stack: Stack, call: Call): void {
  if (call.state === 'connected') call.alarm.set(stack.core.now + END_SESSION_LIMIT);
}
