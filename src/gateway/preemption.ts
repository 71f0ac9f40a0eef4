/**
 * An emergency call that finds every place taken, those kept for it too, takes that of another call (Q.850 8). Only where its class is
 * beyond doubt: from the intranet, or by a user who has authenticated. A stranger who dials an emergency number, or a termination
 * gateway that lets one, would else end calls at will.
 */
import { fail, type Result } from '../machine/machine.ts';
import type { AdmissionRequest, AdmissionTicket } from '../policy/admission.ts';
import type { Refusal } from '../policy/refusal.ts';
import { releaseCall } from './calls.ts';
import type { GatewayCall } from './gateway-call.ts';
import type { GatewayState } from './state.ts';

/** Whose calls may be ended: nobody's, those of the same site (its class is its own word), anybody's. */
export type Preempts = 'none' | 'of-site' | 'any';

/** Q.850 8: preemption. */
const PREEMPTION = 8;
/** The gateway's places, its peer's and its site's may each need one. */
const SCOPES = 3;

/** A place for the call, by ending another one where that is permitted. */
export function admitCall(
  gw: GatewayState,
  request: AdmissionRequest,
  preempts: Preempts,
): Result<AdmissionTicket, Refusal> {
  const admitted = gw.policy.admit(request, gw.now);
  if (admitted.ok || !request.emergency || preempts === 'none') return admitted;
  if (gw.policy.crowded(request).length === 0) return admitted; // its own rate
  if (gw.config.limits.preemption === false) return admitted;
  if (!gw.policy.preemption(gw.now)) return fail({ ...admitted.error, reason: 'preemption-rate' });
  for (let scope = 0; scope < SCOPES; scope++) {
    const [full] = gw.policy.crowded(request);
    if (full === undefined) break;
    const victim = victimOf(gw, request, full, preempts);
    if (victim === undefined) return admitted;
    preempt(gw, victim);
  }
  return gw.policy.admit(request, gw.now);
}

/** Who is not talking yet, else who has talked least: the newest. Never another emergency. */
function victimOf(
  gw: GatewayState,
  request: AdmissionRequest,
  full: 'gateway' | 'peer' | 'site',
  preempts: Preempts,
): GatewayCall | undefined {
  let chosen: GatewayCall | undefined;
  for (const call of gw.calls.values()) {
    if (call.overAt !== undefined || call.priority === 'emergency') continue;
    if (preempts === 'of-site' && call.site !== request.site) continue;
    if (full === 'peer' && call.peer !== request.peer) continue;
    if (full === 'site' && call.site !== request.site) continue;
    // In the order they began: the last of its kind is the newest.
    if (chosen === undefined || !call.connected || chosen.connected) chosen = call;
  }
  return chosen;
}

function preempt(gw: GatewayState, call: GatewayCall): void {
  call.endReason = 'preempted';
  gw.count('calls', 'preempted');
  gw.log('warn', 'call ended for an emergency call', {
    call: call.half.call,
    peer: call.peer,
    site: call.site,
  });
  gw.policy.leave(call.admission); // the place is free now, not when the leg has heard of it
  releaseCall(gw, call, PREEMPTION, 'own');
}
