/** The life of a call at a gateway, once it has its place (call-setup.ts): moved between leg and tunnel, ended, recorded. */
import type { HalfCallOutput } from '../call/half-call-contract.ts';
import type { LegCommand, LegEvent, LegId } from '../call/leg.ts';
import type { H323Leg, H323LegOutput } from '../interworking/h323-leg.ts';
import type { SipLeg, SipLegOutput } from '../interworking/sip-leg.ts';
import type { Millis } from '../machine/machine.ts';
import type { Cause } from '../meta/message.ts';
import { describeMeta } from '../meta/text.ts';
import { forwardCall } from './forwarding.ts';
import type { GatewayCall } from './gateway-call.ts';
import type { NoLeg } from './no-leg.ts';
import { recordOf } from './records.ts';
import type { GatewayState } from './state.ts';
import { traceEntry } from './trace.ts';
import { offerToLeg, startTransfer, transferCommand, transferEvent } from './transfer.ts';

export function legId(gw: GatewayState, adapter: SipLeg | H323Leg | NoLeg): LegId {
  return adapter.protocol === 'h323' ? gw.h323Leg(adapter.call) : adapter.session;
}

export function gatewayName(gw: GatewayState): 'relay-gateway' | 'termination-gateway' {
  return gw.config.role === 'relay' ? 'relay-gateway' : 'termination-gateway';
}

/** Moves what leg and half-call have to say, until both are silent. */
export function drainCall(gw: GatewayState, call: GatewayCall): void {
  for (;;) {
    const fromLeg = call.adapter.poll();
    if (fromLeg !== undefined) {
      fromAdapter(gw, call, fromLeg);
      continue;
    }
    const output = call.half.poll();
    if (output === undefined) break;
    fromHalf(gw, call, output);
  }
  if (call.transfer !== undefined) offerToLeg(gw, call);
  if (call.overAt === undefined) gw.media.update(call.half.call, call.adapter.streams(), gw.now);
  gw.timers.set(call, call.overAt === undefined ? callDeadline(call) : call.overAt + MEDIA_WAIT_MS);
}

function legRefused(call: GatewayCall): 'sipRefused' | 'h323Refused' {
  return call.adapter.protocol === 'h323' ? 'h323Refused' : 'sipRefused';
}

function callDeadline(call: GatewayCall): Millis | undefined {
  const half = call.half.deadline();
  const leg = call.adapter.protocol === 'h323' ? call.adapter.deadline() : undefined;
  return half === undefined || (leg !== undefined && leg < half) ? leg : half;
}

/** What of a call is due. */
export function callTimeout(gw: GatewayState, call: GatewayCall): void {
  if (call.overAt !== undefined) return;
  if (call.adapter.protocol === 'h323') call.adapter.timeout(gw.now);
  call.half.timeout(gw.now);
}

function fromAdapter(gw: GatewayState, call: GatewayCall, output: SipLegOutput | H323LegOutput): void {
  switch (output.kind) {
    case 'event':
      legEvent(gw, call, output.event);
      break;
    case 'sip':
      gw.sip.handle({ kind: 'command', command: output.command }, gw.now);
      break;
    case 'h323':
      gw.h323.handle({ kind: 'command', command: output.command }, gw.now);
      break;
    case 'digit':
      gw.media.digit(call.half.call, output.stream, output.digit, output.durationMs);
      break;
    case 'count':
      gw.count(legRefused(call), output.reason);
      break;
  }
}

function legEvent(gw: GatewayState, call: GatewayCall, event: LegEvent): void {
  if (transferEvent(gw, call, event)) return;
  if (event.kind !== 'release' || event.redirect === undefined) {
    call.half.leg(event, gw.now);
    return;
  }
  const forwarded = forwardCall(gw, call, event.redirect, event.cause);
  if (!forwarded.ok) {
    const { cause, reason } = forwarded.error;
    gw.count(legRefused(call), reason);
    call.half.leg({ kind: 'release', cause }, gw.now);
    return;
  }
  const { leg, setup } = forwarded.value;
  call.adapter = leg;
  gw.calls.moveLeg(call, legId(gw, leg));
  gw.trace.claim(call.half.call, call.leg);
  leg.command(withRoute(call, setup), gw.now);
}

function fromHalf(gw: GatewayState, call: GatewayCall, output: HalfCallOutput): void {
  switch (output.kind) {
    case 'leg':
      if (transferCommand(gw, call, output.command)) break;
      if (output.command.kind === 'setup' && call.asked !== undefined)
        call.forwarding = { setup: output.command, caller: call.asked, count: 0 };
      call.adapter.command(withRoute(call, output.command), gw.now);
      // Ports and payload types are settled before the far end can have read our message.
      if (call.overAt === undefined) gw.media.update(call.half.call, call.adapter.streams(), gw.now);
      break;
    case 'tunnel':
      gw.trace.add(
        call.half.call,
        traceEntry(gw.providers.wall(), 'tunnel', 'out', describeMeta(output.message)),
      );
      gw.links.get(call.site)?.send(output.message, gw.now);
      break;
    case 'state':
      if (output.state === 'connected' && !call.connected) {
        call.connected = true;
        call.forwarding = undefined;
        gw.count('calls', 'connected');
        gw.media.connected(call.half.call, gw.now);
      }
      break;
    case 'transfer':
      startTransfer(gw, call, output.target, output.replaces !== undefined);
      break;
    case 'refused-message':
      gw.count(output.from === 'tunnel' ? 'metaRefused' : legRefused(call), output.reason);
      gw.log('debug', 'message out of state', {
        call: call.half.call,
        from: output.from,
        what: output.what,
        state: output.state,
        reason: output.reason,
      });
      break;
    case 'ended':
      endCall(gw, call, output.cause);
      break;
  }
}

/** Routing chose where the leg goes; the half-call does not know it. */
function withRoute(call: GatewayCall, command: LegCommand): LegCommand {
  if (command.kind !== 'setup') return command;
  return { ...command, peer: call.peer, caller: call.caller, callee: call.callee };
}

function endCall(gw: GatewayState, call: GatewayCall, cause: Cause): void {
  if (call.overAt !== undefined) return;
  call.overAt = gw.now;
  if (!call.connected) gw.count('calls', 'failed');
  gw.count('releases', String(cause));
  gw.policy.leave(call.admission);
  gw.media.release(call.half.call, gw.now);
  gw.links.get(call.site)?.bases.free(call.streamBase, gw.now);
}

/** Longest wait for the plane's last counters. */
const MEDIA_WAIT_MS = 3000;

/** Writes the record once everything about the call is known (or has had its time), and forgets the call. */
export function finishCall(gw: GatewayState, call: GatewayCall): void {
  if (call.overAt === undefined || gw.calls.byCall(call.half.call) !== call) return;
  if (!call.mediaOver && gw.now < call.overAt + MEDIA_WAIT_MS) return;
  gw.emit({ kind: 'cdr', record: recordOf(gw, call) });
  gw.recordedCalls.add(call.half.call);
  gw.media.forget(call.half.call);
  gw.trace.end(call.half.call);
  gw.calls.remove(call.half.call);
  gw.timers.set(call, undefined);
  gw.dirty.delete(call);
}

/** Releases a call from here: operator, lost tunnel, media failure. */
export function releaseCall(
  gw: GatewayState,
  call: GatewayCall,
  cause: Cause,
  origin: 'tunnel' | 'own',
): void {
  call.half.release(cause, origin === 'tunnel' ? 'tunnel' : gatewayName(gw), gw.now);
  gw.dirty.add(call);
}
