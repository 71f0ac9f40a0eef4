/** The end of a call, from either side. Crossing releases need nothing: what comes after the end is not looked at. */
import type { Millis } from '../machine/machine.ts';
import type { ReleaseOrigin } from '../meta/message.ts';
import { META_LIMITS } from '../meta/message.ts';
import type { CallContext, CallInput, LegInput, Outcome, TunnelInput } from './call-context.ts';

/** Q.850 31: normal, unspecified. */
const UNSPECIFIED = 31;

/** The leg is gone: the other gateway is told (the tunnel queues it during a cut). */
export function legReleased(context: CallContext, event: LegInput<'release'>, now: Millis): Outcome {
  const known = Number.isInteger(event.cause) && event.cause >= 1 && event.cause <= 127;
  const cause = known ? event.cause : UNSPECIFIED;
  const origin = context.options.side === 'originator' ? 'caller' : 'callee';
  if (context.state !== 'null') {
    const retry = event.retryAfterSeconds;
    const seconds = Math.round(Math.min(META_LIMITS.retryAfterSeconds, Math.max(0, retry ?? 0)));
    context.toTunnel({
      kind: 'release',
      call: context.options.call,
      cause,
      origin,
      ...(retry === undefined ? {} : { retryAfterSeconds: seconds }),
    });
  }
  context.end(cause, origin, now);
  return true;
}

export function tunnelReleased(
  context: CallContext,
  message: TunnelInput<'release'>,
  input: CallInput,
): Outcome {
  const { cause, retryAfterSeconds } = message;
  context.toLeg({
    kind: 'release',
    cause,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  });
  const { side, gateway } = context.options;
  // The far gateway cannot say that our leg or we ended the call; if it does, it was itself.
  const ours: ReleaseOrigin = side === 'originator' ? 'caller' : 'callee';
  const claimed = message.origin === ours || message.origin === gateway;
  if (claimed) context.refuse(input, 'origin', '.origin');
  const other = gateway === 'relay-gateway' ? 'termination-gateway' : 'relay-gateway';
  context.end(cause, claimed ? other : message.origin, input.now);
  return true;
}
