/** How a call begins at a gateway, from its leg or from the tunnel: who calls, where it goes, whether it may, and its place in the table. */
import { HalfCall } from '../call/half-call.ts';
import type { LegSetup } from '../call/leg.ts';
import type { H323Leg } from '../interworking/h323-leg.ts';
import type { SipLeg } from '../interworking/sip-leg.ts';
import { fail, ok, type Result } from '../machine/machine.ts';
import type { MediaCall } from '../media/stream-config.ts';
import type { CallId, CallMessage, Party } from '../meta/message.ts';
import { describeMeta } from '../meta/text.ts';
import type { Refusal } from '../policy/refusal.ts';
import { gatewayName, legId } from './calls.ts';
import type { GatewayCall } from './gateway-call.ts';
import { legTo, sourceOf, targetOf } from './legs.ts';
import type { NoLeg } from './no-leg.ts';
import { admitCall } from './preemption.ts';
import type { SiteLink } from './site-link.ts';
import type { GatewayState } from './state.ts';
import { traceEntry } from './trace.ts';
import { replacedBy } from './transfer.ts';

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
  const { id, link, adapter } = options;
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
  const { peer: peerName, caller, callee, route, priority, admission } = options;
  const call: GatewayCall = {
    half: newHalf(gw, options, shard, base),
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

function newHalf(gw: GatewayState, options: Enter, shard: number, streamBase: number): HalfCall {
  return new HalfCall({
    call: options.id,
    side: options.side,
    gateway: gatewayName(gw),
    peer: options.peer,
    shard,
    streamBase,
    ...(options.accountingId === undefined ? {} : { accountingId: options.accountingId }),
    timers: {
      ringMs: Math.min(options.ringMs ?? Number.POSITIVE_INFINITY, gw.config.limits.maxRingSeconds * 1000),
      maxCallMs: gw.config.limits.maxCallSeconds * 1000,
    },
  });
}

/** Learning from anybody is stealing by anybody (RTP bleed): where no host is known, a far end is taken at the host it names only. */
function mediaSource(wished: 'signalled' | 'latch', source: string | undefined): MediaCall['source'] {
  return wished === 'latch' && source === undefined ? 'signalled-host' : wished;
}

function leastLoaded(gw: GatewayState, shards: number): number {
  const load = new Array<number>(shards).fill(0);
  if (shards === 1) return 0;
  for (const call of gw.calls.values()) if (call.shard < shards) load[call.shard] = load[call.shard]! + 1;
  return load.indexOf(Math.min(...load));
}
