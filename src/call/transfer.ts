/** Transfers: the leg's request goes to the other gateway, which carries it out (or says why not). One at a time. */
import type { CallContext, CallInput, Outcome, TunnelInput } from './call-context.ts';
import { CAUSES } from './call-context.ts';
import { deliver, forward } from './passing.ts';

export function transferOut(context: CallContext, input: CallInput): Outcome {
  if (context.transferring) {
    context.refuse(input, 'transfer-pending');
    return false;
  }
  if (forward(context, input) === false) {
    context.toLeg({ kind: 'transfer-result', outcome: 'failure', cause: CAUSES.invalidNumber });
    return false;
  }
  context.transferring = true;
  context.due.set('transfer', input.now + context.timers.transferMs);
  return true;
}

export function transferIn(context: CallContext, message: TunnelInput<'transfer-request'>): Outcome {
  const { target, replaces } = message;
  context.push({ kind: 'transfer', target, ...(replaces === undefined ? {} : { replaces }) });
  return true;
}

export function transferResult(
  context: CallContext,
  message: TunnelInput<'transfer-result'>,
  input: CallInput,
): Outcome {
  if (!context.transferring) {
    context.refuse(input, 'no-transfer');
    return false;
  }
  if (message.outcome === 'success' || message.outcome === 'failure') {
    context.transferring = false;
    context.due.delete('transfer');
  }
  return deliver(context, input);
}

export function transferExpired(context: CallContext): void {
  context.transferring = false;
  context.toLeg({ kind: 'transfer-result', outcome: 'failure', cause: CAUSES.timerExpired });
}
