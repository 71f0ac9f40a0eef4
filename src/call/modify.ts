/**
 * Changes of an established call, and what happens when both sides want one at once. A crossing needs no message: the
 * link is ordered, so each gateway sees the other's request while its own is open and knows that the originator's stands.
 */
import type { Cause, MediaExchange } from '../meta/message.ts';
import type { CallContext, CallInput, Outcome } from './call-context.ts';
import { CAUSES, CUT_RETRY_SECONDS, RATE_RETRY_SECONDS } from './call-context.ts';
import { deliver, forward } from './passing.ts';

/** Our leg asks. */
export function modifyOut(context: CallContext, input: CallInput): Outcome {
  // A change during a cut is answered 500 with Retry-After, not held.
  if (context.downSince !== undefined) return later(context, CUT_RETRY_SECONDS);
  if (context.exchanges.open !== undefined) {
    context.refuseGlare();
    return false;
  }
  if (!context.within('leg-modify', input.now)) {
    context.refuse(input, 'rate');
    return later(context, RATE_RETRY_SECONDS);
  }
  if (forward(context, input) === false) return false;
  const { modifyMs, modifyMarginMs } = context.timers;
  context.due.set('modify', input.now + modifyMs + modifyMarginMs);
  return true;
}

function later(context: CallContext, retryAfterSeconds: number): false {
  const refusal = { kind: 'modify-refuse', cause: CAUSES.temporaryFailure, glare: false } as const;
  context.toLeg({ ...refusal, retryAfterSeconds });
  return false;
}

/** The other gateway asks. */
export function modifyIn(context: CallContext, input: CallInput): Outcome {
  const { media } = input.message as { readonly media?: MediaExchange };
  const open = context.exchanges.open;
  if (open === 'own' && context.options.side === 'originator') {
    context.exchanges.skip(media); // our offer, sent before this came, stands
    context.refuse(input, 'glare');
    return false;
  }
  if (open === 'remote') {
    context.exchanges.skip(media);
    context.refuse(input, 'offer-open');
    return refuseRequest(context);
  }
  if (!context.within('tunnel-modify', input.now)) {
    context.exchanges.skip(media);
    context.refuse(input, 'rate');
    return refuseRequest(context, CAUSES.temporaryFailure);
  }
  if (open === 'own' && media === undefined) {
    context.toLeg({ kind: 'media', media: context.exchanges.abandon()! });
  }
  const taken = context.media(input, media);
  if (taken === 'broken') return false;
  if (media !== undefined && taken === undefined) return refuseRequest(context);
  context.toLeg(taken === undefined ? { kind: 'modify' } : { kind: 'modify', media: taken });
  context.due.set('modify', input.now + context.timers.modifyMs);
  return true;
}

/** A request that breaks the rules is answered, so that its sender does not wait. */
function refuseRequest(context: CallContext, cause: Cause = CAUSES.notCompatibleWithState): false {
  const { call } = context.options;
  context.toTunnel({ kind: 'modify-refuse', call, cause, glare: false });
  return false;
}

/** The answer to our leg's change, or our leg's answer to the other's. */
export function modifyAnswered(context: CallContext, input: CallInput): Outcome {
  if (input.message.kind === 'modify-refuse') context.exchanges.abandon();
  return input.from === 'leg' ? forward(context, input) : deliver(context, input);
}

/** Our change is on its way and a request of the other side arrives. */
export function cross(context: CallContext, input: CallInput): Outcome {
  const { kind, media } = input.message as { readonly kind: string; readonly media?: MediaExchange };
  if (kind !== 'modify' && media?.kind !== 'offer') return deliver(context, input);
  if (context.options.side === 'originator') {
    context.exchanges.skip(media);
    context.refuse(input, 'glare');
    return false;
  }
  context.exchanges.abandon();
  context.due.delete('modify');
  context.refuseGlare();
  if (kind === 'modify') return modifyIn(context, input) === true ? 'modifying-in' : 'connected';
  deliver(context, input);
  return 'connected';
}

/** Nobody answered in time. */
export function modifyExpired(context: CallContext): void {
  const refusal = { kind: 'modify-refuse', cause: CAUSES.timerExpired, glare: false } as const;
  if (context.state === 'modifying-out') context.toLeg(refusal);
  else context.toTunnel({ ...refusal, call: context.options.call });
  context.exchanges.abandon();
}

/** An offer of an established call that nobody answered. */
export function exchangeExpired(context: CallContext): void {
  const own = context.exchanges.open === 'own';
  const media = context.exchanges.abandon(CAUSES.timerExpired);
  if (media === undefined) return;
  if (own) context.toLeg({ kind: 'media', media });
  else context.toTunnel({ kind: 'media', call: context.options.call, media });
}
