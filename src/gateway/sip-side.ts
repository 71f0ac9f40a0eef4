/** What the SIP endpoint tells: new calls, events of their sessions, registrations, digest proofs. */
import { type Incoming, setupFromInvite } from '../interworking/sip-to-meta.ts';
import type { SipEvent } from '../sip/contract.ts';
import { beginFromLeg } from './calls.ts';
import { newLeg } from './legs.ts';
import { statusOfRefusal } from './refusal.ts';
import { authenticate, register } from './remote-users.ts';
import type { GatewayState } from './state.ts';

export function sipEvent(gw: GatewayState, event: SipEvent): void {
  switch (event.kind) {
    case 'incoming':
      incoming(gw, event);
      return;
    case 'request':
      register(gw, event);
      return;
    case 'authenticate':
      authenticate(gw, event);
      return;
    case 'peer-up':
      gw.peersDown.delete(event.peer);
      gw.peersUp.add(event.peer);
      gw.log('info', 'peer is up', { peer: event.peer });
      return;
    case 'peer-down':
      gw.peersUp.delete(event.peer);
      gw.peersDown.add(event.peer);
      gw.log('warn', 'peer is down', { peer: event.peer, reason: event.reason });
      return;
    default: {
      const call = gw.calls.byLeg(event.session);
      if (event.kind === 'ended') gw.trace.forgetPending(event.session);
      if (call === undefined) return; // refused before it became a call
      if (call.adapter.protocol === 'sip') call.adapter.sip(event);
      gw.dirty.add(call);
    }
  }
}

/** A new INVITE: admitted, routed, and begun as a call; or refused with the right status, counted with its reason. */
function incoming(gw: GatewayState, event: Incoming): void {
  const refuse = (status: number, reason: string, retryAfterSeconds?: number, q850?: number): void => {
    gw.count('callsRefused', reason);
    gw.count('calls', 'refused');
    gw.log('info', 'call refused', { peer: event.peer, reason, status });
    gw.offence(reason, event.remote.ip);
    gw.sip.handle(
      {
        kind: 'command',
        command: {
          kind: 'reject',
          session: event.session,
          status,
          ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
          ...(q850 === undefined ? {} : { q850 }),
        },
      },
      gw.now,
    );
  };
  const peer = gw.peer(event.peer);
  if (peer === undefined) {
    refuse(403, 'unknown-peer');
    return;
  }
  if (gw.draining) {
    refuse(503, 'draining', 30, 41);
    return;
  }
  if (gw.config.role === 'termination' && !gw.policy.ownTarget(event.request.uri)) {
    refuse(404, 'foreign-target');
    return;
  }
  const call = gw.newCallId();
  const leg = newLeg(gw, { call, session: event.session, role: 'caller', peer, source: event.remote.ip });
  const setup = setupFromInvite(
    leg,
    event,
    event.account === undefined ? undefined : { number: event.account },
  );
  if (setup.kind === 'refused') {
    gw.media.release(call, gw.now);
    refuse(setup.status, setup.reason);
    return;
  }
  const verdict = beginFromLeg(gw, {
    call,
    leg,
    setup,
    source: event.remote.ip,
    ...(event.account === undefined ? {} : { account: event.account }),
  });
  if (verdict.ok) return;
  gw.media.release(call, gw.now);
  const { status, retryAfterSeconds } = statusOfRefusal(verdict.error);
  refuse(status, verdict.error.reason, retryAfterSeconds, verdict.error.cause);
}
