/** Status enquiry and status: how two gateways that disagree after a cut find out. */
import type { CallContext, CallInput, Outcome, TunnelInput } from './call-context.ts';
import { CAUSES } from './call-context.ts';
import { metaState } from './transitions.ts';

export function enquire(context: CallContext, now: number): void {
  if (context.state === 'null' || context.over || context.enquired !== undefined) return;
  context.enquired = metaState(context.state);
  context.due.set('enquiry', now + context.timers.enquiryMs);
  context.toTunnel({ kind: 'status-enquiry', call: context.options.call });
}

export function reportStatus(context: CallContext): Outcome {
  const mediaGeneration = context.exchanges.generation;
  context.toTunnel({
    kind: 'status',
    call: context.options.call,
    state: metaState(context.state),
    mediaGeneration,
  });
  return true;
}

/** The far state was true when our enquiry arrived there, so it is compared with ours of the time we asked. */
export function compareStatus(
  context: CallContext,
  status: TunnelInput<'status'>,
  input: CallInput,
): Outcome {
  const asked = context.enquired;
  if (asked === undefined) {
    context.refuse(input, 'not-asked');
    return false;
  }
  context.enquired = undefined;
  context.due.delete('enquiry');
  const there = status.state === 'connected' || status.state === 'modifying';
  const here = asked === 'connected' || asked === 'modifying';
  if (status.state === 'null' || status.state === 'releasing') {
    context.release(CAUSES.temporaryFailure, 'tunnel', input.now);
  } else if ((here && !there) || (there && !context.established)) {
    // A connect is lost: the terminator's would have been delivered before its status, ours before our enquiry.
    context.release(CAUSES.notCompatibleWithState, 'tunnel', input.now);
  }
  return true;
}
