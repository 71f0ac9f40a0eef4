/** The beginning of a call: the leg's set-up becomes Meta's on one gateway and the other leg's on the other. */
import type { CallMessage } from '../meta/message.ts';
import type { CallContext, CallInput, Outcome, TunnelInput } from './call-context.ts';
import { CAUSES, CUT_RETRY_SECONDS } from './call-context.ts';
import type { LegSetup } from './leg.ts';
import { problemOf } from './passing.ts';

/** Originator: from the calling leg to the tunnel. */
export function startCall(context: CallContext, setup: LegSetup, input: CallInput): Outcome {
  const { call, shard = 0, streamBase = 8, accountingId } = context.options;
  remember(context, setup, input);
  if (accountingId !== undefined) context.note({ accountingId });
  if (context.downSince !== undefined) {
    // A new call during a cut is answered 503 with Retry-After, not held.
    context.toLeg({ kind: 'release', cause: CAUSES.temporaryFailure, retryAfterSeconds: CUT_RETRY_SECONDS });
    context.end(CAUSES.temporaryFailure, 'tunnel', input.now);
    return false;
  }
  const media = context.media(input, setup.media);
  if (media === 'broken') return false;
  const { caller, callee, diverting, priority, hops } = setup;
  const message: CallMessage = {
    kind: 'setup',
    call,
    shard,
    streamBase,
    caller,
    callee,
    priority,
    hops,
    ...(diverting === undefined ? {} : { diverting }),
    ...(accountingId === undefined ? {} : { accountingId }),
    ...(media === undefined ? {} : { media }),
  };
  const problem = problemOf(message);
  if (problem !== undefined) {
    context.refuse(input, problem);
    const cause = problem.startsWith('call') ? CAUSES.invalidNumber : CAUSES.protocolError;
    context.release(cause, context.options.gateway, input.now);
    return false;
  }
  context.toTunnel(message);
  return true;
}

/** Terminator: from the tunnel to the leg that is to be called. */
export function takeCall(context: CallContext, setup: TunnelInput<'setup'>, input: CallInput): Outcome {
  remember(context, setup, input);
  if (setup.accountingId !== undefined) context.note({ accountingId: setup.accountingId });
  const media = context.media(input, setup.media);
  if (media === 'broken') return false;
  context.toTunnel({ kind: 'proceeding', call: context.options.call });
  const { caller, callee, diverting, hops, priority } = setup;
  context.toLeg({
    kind: 'setup',
    peer: context.options.peer ?? '',
    caller,
    callee,
    hops,
    priority,
    ...(diverting === undefined ? {} : { diverting }),
    ...(media === undefined ? {} : { media }),
  });
  return true;
}

function remember(context: CallContext, setup: LegSetup | TunnelInput<'setup'>, input: CallInput): void {
  const { caller, callee, diverting, priority } = setup;
  context.note({ caller, callee, priority, setupAt: input.now });
  if (diverting !== undefined) context.note({ diverting });
}
