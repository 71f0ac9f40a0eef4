/** What happens when a call's timer runs out. */
import type { Call } from '../call.ts';
import type { Stack } from '../stack.ts';
import { sendCallProceeding } from './call-proceeding.ts';
import { endCall } from './release-complete.ts';

export function alarmDue(stack: Stack, call: Call): void {
  // Nobody has answered the caller yet: keep its T303 at rest.
  if (call.state === 'present' && !call.outgoing) return sendCallProceeding(stack, call);
  if (call.state === 'connected') {
    // Set by the end of H.245 alone: endSessionCommand, or its connection lost, and no ReleaseComplete after it.
    const orderly = call.control.farEnded;
    return endCall(stack, call, {
      by: orderly ? 'far-end' : 'transport',
      cause: orderly ? 16 : 41,
      tell: true,
    });
  }
  stack.core.count(`timeout-${call.state}`, call.remote);
  // Q.931 9.5: T303, T310 and T301 end in clearing with cause 102; an unanswered ringing phone in 19.
  const cause = call.state === 'alerting' ? 19 : 102;
  endCall(stack, call, { by: 'timeout', cause, tell: true });
}
