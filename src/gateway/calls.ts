/** The life of a call at a gateway: begun from its leg or from the tunnel, moved between the two, ended, recorded. */
import { HalfCall } from '../call/half-call.ts';
import type { HalfCallOutput } from '../call/half-call-contract.ts';
import type { LegCommand, LegEvent, LegId, LegSetup } from '../call/leg.ts';
import type { H323Leg, H323LegOutput } from '../interworking/h323-leg.ts';
import type { SipLeg, SipLegOutput } from '../interworking/sip-leg.ts';
import { fail, type Millis, ok, type Result } from '../machine/machine.ts';
import type { MediaCall } from '../media/stream-config.ts';
import type { CallId, CallMessage, Cause, Party } from '../meta/message.ts';
import { describeMeta } from '../meta/text.ts';
import type { Refusal } from '../policy/refusal.ts';
import { forwardCall } from './forwarding.ts';
import type { GatewayCall } from './gateway-call.ts';
import { legTo, sourceOf, targetOf } from './legs.ts';
import type { NoLeg } from './no-leg.ts';
import { admitCall } from './preemption.ts';
import { recordOf } from './records.ts';
import type { SiteLink } from './site-link.ts';
import type { GatewayState } from './state.ts';
import { traceEntry } from './trace.ts';
import { offerToLeg, replacedBy, startTransfer, transferCommand, transferEvent } from './transfer.ts';

type Setup = Extract<CallMessage, { kind: 'setup' }>;

export interface BeginFromLeg {
  readonly call: CallId;
  readonly leg: SipLeg | H323Leg;
  readonly setup: LegSetup;
  /** Signalling source address, for the rate limits. */
  readonly source: string;
  /** Number of the account the call authenticated as. */
  readonly account?: string;
}

/** A call from this gateway's own side, towards the tunnel. */
export function beginFromLeg(gw: GatewayState, begin: BeginFromLeg): Result<GatewayCall, Refusal> {
  const { setup } = begin;
  const identity = gw.policy.caller(setup.caller, setup.peer, begin.account);
  if (!identity.ok) return identity;
  const emergency = gw.policy.emergency(setup.callee);
  const decision = gw.policy.route(`peer:${setup.peer}`, setup.callee, identity.value);
  if (decision.kind === 'refuse') return fail(decision.refusal);
  if (decision.kind !== 'tunnel') return fail({ cause: 3, reason: 'route-not-over-tunnel' });
  const link = decision.site === undefined ? [...gw.links.values()][0] : gw.links.get(decision.site);
  if (link === undefined) return fail({ cause: 3, reason: 'unknown-site' });
  if (!link.usable)
    return fail({ cause: 41, reason: link.draining ? 'peer-draining' : 'tunnel-down', retryAfterSeconds: 5 });
  // Strangers who dial an emergency number take nobody's place.
  const known = gw.config.role === 'relay' || begin.account !== undefined;
  const admitted = admitCall(
    gw,
    { peer: setup.peer, source: begin.source, site: link.site, emergency },
    known ? 'any' : 'none',
  );
  if (!admitted.ok) return admitted;
  const call = enter(gw, {
    id: begin.call,
    side: 'originator',
    link,
    adapter: begin.leg,
    peer: setup.peer,
    caller: decision.caller,
    callee: decision.callee,
    route: decision.route,
    priority: emergency ? 'emergency' : 'normal',
    admission: admitted.value,
    source: begin.source,
  });
  if (!call.ok) return call;
  call.value.half.leg(
    { ...setup, caller: decision.caller, callee: decision.callee, priority: call.value.priority },
    gw.now,
  );
  gw.dirty.add(call.value);
  return call;
}

/** A call from the far gateway, towards this gateway's own side. GW1 judges again, by its own rules. */
export function beginFromTunnel(
  gw: GatewayState,
  link: SiteLink,
  setup: Setup,
): Result<GatewayCall, Refusal> {
  if (gw.calls.byCall(setup.call) !== undefined) return fail({ cause: 101, reason: 'call-id-in-use' });
  if (gw.recordedCalls.has(setup.call)) return fail({ cause: 101, reason: 'call-id-used' });
  if (gw.draining) return fail({ cause: 41, reason: 'draining', retryAfterSeconds: 30 });
  // A class asserted by the termination gateway never preempts; one from the intranet is believed by it.
  const emergency =
    gw.config.role === 'relay' ? gw.policy.emergency(setup.callee) : setup.priority === 'emergency';
  const decision = gw.policy.route(`tunnel:${link.site}`, setup.callee, setup.caller);
  if (decision.kind === 'refuse') return fail(decision.refusal);
  if (decision.kind === 'tunnel') return fail({ cause: 3, reason: 'route-back-to-tunnel' });
  const target = targetOf(gw, decision);
  if (!target.ok) return target;
  const ownNumber = gw.policy.emergency(setup.callee);
  const preempts = gw.config.role === 'relay' ? 'none' : ownNumber ? 'any' : 'of-site';
  const admitted = admitCall(gw, { site: link.site, peer: target.value.peer.name, emergency }, preempts);
  if (!admitted.ok) return admitted;
  const leg = legTo(gw, setup.call, target.value, replacedBy(gw, link.site, target.value.peer.name, setup));
  const call = enter(gw, {
    id: setup.call,
    side: 'terminator',
    link,
    adapter: leg,
    peer: target.value.peer.name,
    caller: decision.caller,
    callee: decision.callee,
    route: decision.route,
    priority: emergency ? 'emergency' : 'normal',
    admission: admitted.value,
    source: sourceOf(target.value),
    streamBase: setup.streamBase,
    shard: setup.shard,
    asked: setup.caller,
  });
  if (!call.ok) return call;
  gw.trace.add(setup.call, traceEntry(gw.providers.wall(), 'tunnel', 'in', describeMeta(setup)));
  call.value.half.tunnel(
    { ...setup, caller: decision.caller, callee: decision.callee, priority: call.value.priority },
    gw.now,
  );
  gw.dirty.add(call.value);
  return call;
}

export interface Enter {
  readonly id: CallId;
  readonly side: 'originator' | 'terminator';
  readonly link: SiteLink;
  readonly adapter: SipLeg | H323Leg | NoLeg;
  readonly peer: string;
  readonly caller: Party;
  readonly callee: Party;
  readonly route: string;
  readonly priority: GatewayCall['priority'];
  readonly admission: string;
  /** Where the leg's signalling comes from, or goes to; undefined: by name, or over a connection. */
  readonly source: string | undefined;
  readonly streamBase?: number;
  readonly shard?: number;
  /** The caller as the other gateway named it. */
  readonly asked?: Party;
  /** Longest ringing, where it is less than the configured. */
  readonly ringMs?: number;
  readonly accountingId?: string;
}

/** A call with its place, its ports and its stream base; where it cannot be had, they are given back. */
export function enter(gw: GatewayState, options: Enter): Result<GatewayCall, Refusal> {
  const entered = tryEnter(gw, options);
  if (entered.ok) return entered;
  gw.policy.leave(options.admission);
  gw.media.release(options.id, gw.now);
  return entered;
}

function tryEnter(gw: GatewayState, options: Enter): Result<GatewayCall, Refusal> {
  const { id, link, adapter, side } = options;
  const shard = options.shard ?? leastLoaded(gw, link.shards);
  if (shard >= link.shards) return fail({ cause: 95, reason: 'shard' });
  const base = options.streamBase ?? link.bases.allocate(gw.now);
  if (options.streamBase !== undefined && !link.bases.accept(base, gw.now)) {
    return fail({ cause: 95, reason: 'stream-base' });
  }
  const peer = gw.peer(options.peer)!;
  gw.media.begin({
    call: id,
    session: link.sessionId,
    shard,
    streamBase: base,
    priority: options.priority,
    source: mediaSource(peer.symmetric ?? gw.config.media.symmetric, options.source),
    ...(options.source === undefined ? {} : { latchHost: options.source }),
  });
  const half = new HalfCall({
    call: id,
    side,
    gateway: gatewayName(gw),
    peer: options.peer,
    shard,
    streamBase: base,
    ...(options.accountingId === undefined ? {} : { accountingId: options.accountingId }),
    timers: {
      ringMs: Math.min(options.ringMs ?? Number.POSITIVE_INFINITY, gw.config.limits.maxRingSeconds * 1000),
      maxCallMs: gw.config.limits.maxCallSeconds * 1000,
    },
  });
  const { peer: peerName, caller, callee, route, priority, admission } = options;
  const call: GatewayCall = {
    half,
    leg: legId(gw, adapter),
    peer: peerName,
    site: link.site,
    adapter,
    streamBase: base,
    shard,
    caller,
    callee,
    route,
    priority,
    admission,
    asked: options.asked,
    forwarding: undefined,
    source: options.source,
    transfers: 0,
    transfer: undefined,
    referring: false,
    overAt: undefined,
    endReason: undefined,
    mediaOver: false,
    connected: false,
  };
  const added = gw.calls.add(call);
  if (added !== 'added') {
    link.bases.free(base, gw.now);
    return fail(
      added === 'full'
        ? { cause: 42, reason: 'table-full', retryAfterSeconds: 10 }
        : { cause: 101, reason: 'call-id-in-use' },
    );
  }
  gw.trace.open(id, options.peer, link.site);
  gw.trace.claim(id, call.leg);
  return ok(call);
}

/** Learning from anybody is stealing by anybody (RTP bleed): where no host is known, a far end is taken at the host it names only. */
function mediaSource(wished: 'signalled' | 'latch', source: string | undefined): MediaCall['source'] {
  return wished === 'latch' && source === undefined ? 'signalled-host' : wished;
}

function legId(gw: GatewayState, adapter: SipLeg | H323Leg | NoLeg): LegId {
  return adapter.protocol === 'h323' ? gw.h323Leg(adapter.call) : adapter.session;
}

export function gatewayName(gw: GatewayState): 'relay-gateway' | 'termination-gateway' {
  return gw.config.role === 'relay' ? 'relay-gateway' : 'termination-gateway';
}

function leastLoaded(gw: GatewayState, shards: number): number {
  const load = new Array<number>(shards).fill(0);
  if (shards === 1) return 0;
  for (const call of gw.calls.values()) if (call.shard < shards) load[call.shard] = load[call.shard]! + 1;
  return load.indexOf(Math.min(...load));
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

/** Q.850 102: recovery on timer expiry. Nobody has said why; 27 or 41 would blame a peer or a network that may be well. */
const SILENCE = 102;

/** A phone that is gone without a BYE, as far as media can tell. */
export function releaseSilent(gw: GatewayState, id: CallId, ms: Millis): void {
  const call = gw.calls.byCall(id);
  if (call === undefined || call.overAt !== undefined) return;
  call.endReason = 'media-silence';
  gw.count('mediaRefused', 'silence-released');
  gw.log('warn', 'call released: no media either way', { call: id, seconds: Math.round(ms / 1000) });
  releaseCall(gw, call, SILENCE, 'own');
}
