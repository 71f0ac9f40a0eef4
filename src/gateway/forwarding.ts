/**
 * Call forwarding: a far end that was called names another party instead of answering (Facility callForwarded, H.225.0 7.4.6;
 * SIP 3xx, RFC 3261 21.3). Followed here, at the gateway that called it, so that nothing of it crosses the tunnel but what comes
 * of the call. Only a trusted peer may send a call on: another could have its caller pay for a number of its choice.
 */
import type { H323Leg } from '../interworking/h323-leg.ts';
import type { SipLeg } from '../interworking/sip-leg.ts';
import { fail, ok, type Result } from '../machine/machine.ts';
import type { Cause, Party } from '../meta/message.ts';
import { asCalled } from '../policy/number-pattern.ts';
import type { Refusal } from '../policy/refusal.ts';
import type { GatewayCall, SetupCommand } from './gateway-call.ts';
import { type LegTarget, legTo, targetOf } from './legs.ts';
import type { GatewayState } from './state.ts';

/** Forwards of one call: a few telephones in a row; two that forward to each other end here. */
const MOST_FORWARDS = 5;

export interface Forwarded {
  readonly leg: SipLeg | H323Leg;
  /** What to call the new leg with. */
  readonly setup: SetupCommand;
}

interface Way {
  readonly target: LegTarget;
  readonly route: string;
  readonly caller: Party;
  readonly callee: Party;
}

/** A leg to the party that the called one named, in place of the old one; or why the call ends instead. */
export function forwardCall(
  gw: GatewayState,
  call: GatewayCall,
  to: Party,
  /** Of the far end's release: what the caller is told where the forward is not followed. */
  cause: Cause,
): Result<Forwarded, Refusal> {
  const { forwarding } = call;
  if (forwarding === undefined || call.half.side !== 'terminator' || call.connected) {
    return fail({ cause, reason: 'forward-out-of-place' });
  }
  if (gw.peer(call.peer)?.trusted !== true) return fail({ cause, reason: 'forward-untrusted' });
  // The offer has one answer, and the caller has it.
  if (call.half.mediaGeneration > 0) return fail({ cause, reason: 'forward-after-media' });
  const hops = forwarding.setup.hops - 1;
  if (forwarding.count >= MOST_FORWARDS || hops < 1) return fail({ cause: 25, reason: 'forward-loop' });
  const way = wayTo(gw, call, to, { caller: forwarding.caller, cause });
  if (!way.ok) return way;
  const { target, route, caller, callee } = way.value;
  const emergency = call.priority === 'emergency';
  gw.policy.leave(call.admission);
  const admitted = gw.policy.admit({ site: call.site, peer: target.peer.name, emergency }, gw.now);
  if (!admitted.ok) return fail({ ...admitted.error, reason: `forward-${admitted.error.reason}` });
  const setup = { ...forwarding.setup, hops, diverting: call.callee };
  call.admission = admitted.value;
  call.forwarding = { setup, caller: forwarding.caller, count: forwarding.count + 1 };
  call.peer = target.peer.name;
  call.route = route;
  call.caller = caller;
  call.callee = callee;
  gw.log('info', 'call forwarded', { call: call.half.call, peer: call.peer, route });
  return ok({ leg: legTo(gw, call.half.call, target), setup });
}

/**
 * By the rules for calls of the other gateway, from which this one is. A number they do not know is one of the
 * telephone system's own: it goes back there. One that a rule refuses, or sends to the tunnel, goes nowhere.
 */
function wayTo(
  gw: GatewayState,
  call: GatewayCall,
  to: Party,
  of: { readonly caller: Party; readonly cause: Cause },
): Result<Way, Refusal> {
  const decision = gw.policy.route(`tunnel:${call.site}`, to, of.caller);
  if (decision.kind === 'tunnel') return fail({ cause: of.cause, reason: 'forward-to-tunnel' });
  if (decision.kind === 'refuse') {
    const { cause, reason } = decision.refusal;
    const peer = gw.peer(call.peer);
    if (reason !== 'no-route' || peer === undefined) return fail({ cause, reason: `forward-${reason}` });
    return ok({ target: { peer }, route: call.route, caller: call.caller, callee: asCalled(to) });
  }
  const target = targetOf(gw, decision);
  if (!target.ok) return fail({ ...target.error, reason: `forward-${target.error.reason}` });
  const { route, caller, callee } = decision;
  return ok({ target: target.value, route, caller, callee });
}
