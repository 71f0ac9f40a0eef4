/** The life of a call at a gateway: begun from its leg or from the tunnel, moved between the two, ended, recorded. */
import { HalfCall, type HalfCallOutput } from '../call/half-call.ts';
import type { LegCommand, LegSetup } from '../call/leg.ts';
import { SdpNegotiation } from '../interworking/sdp-negotiation.ts';
import { SipLeg } from '../interworking/sip-leg.ts';
import { fail, ok, type Result } from '../machine/machine.ts';
import type { CallId, CallMessage, Cause, Party } from '../meta/message.ts';
import { describeMeta } from '../meta/text.ts';
import type { SessionRef, SipTarget } from '../sip/contract.ts';
import type { PeerConfig } from './config.ts';
import type { GatewayCall } from './gateway-call.ts';
import { writeRecord } from './records.ts';
import type { Refusal } from './refusal.ts';
import type { SiteLink } from './site-link.ts';
import type { GatewayState } from './state.ts';
import { traceEntry } from './trace.ts';

type Setup = Extract<CallMessage, { kind: 'setup' }>;

export function newLeg(
  gw: GatewayState,
  options: {
    call: CallId;
    session: SessionRef;
    role: 'caller' | 'callee';
    peer: PeerConfig;
    target?: SipTarget;
  },
): SipLeg {
  const { peer, role } = options;
  const side = role === 'caller' ? 'originator' : 'terminator';
  const negotiation = new SdpNegotiation({
    side,
    ports: gw.media.ports(options.call),
    sessionId: gw.providers.random.uint32() & 0x7fff_ffff,
    codecs: gw.config.media.codecs,
    acceptMediaAddress: (ip) => gw.policy.mediaAddress(ip, peer.name),
  });
  return new SipLeg({
    session: options.session,
    role,
    negotiation,
    trusted: peer.trusted,
    ...(options.target === undefined ? {} : { target: options.target }),
  });
}

export interface BeginFromLeg {
  readonly call: CallId;
  readonly leg: SipLeg;
  readonly setup: LegSetup;
  /** Signalling source address, for the rate limits. */
  readonly source: string;
  readonly authenticated: boolean;
}

/** A call from this gateway's own side, towards the tunnel. */
export function beginFromLeg(gw: GatewayState, begin: BeginFromLeg): Result<GatewayCall, Refusal> {
  const { setup } = begin;
  const identity = gw.policy.caller(setup.caller, setup.peer, begin.authenticated);
  if (!identity.ok) return identity;
  const emergency = gw.policy.emergency(setup.callee);
  const decision = gw.policy.route(`peer:${setup.peer}`, setup.callee, identity.value);
  if (decision.kind === 'refuse') return fail(decision.refusal);
  if (decision.kind !== 'tunnel') return fail({ cause: 3, reason: 'route-not-over-tunnel' });
  const link = decision.site === undefined ? [...gw.links.values()][0] : gw.links.get(decision.site);
  if (link === undefined) return fail({ cause: 3, reason: 'unknown-site' });
  if (!link.usable)
    return fail({ cause: 41, reason: link.draining ? 'peer-draining' : 'tunnel-down', retryAfterSeconds: 5 });
  const admitted = gw.policy.admit(
    { from: 'peer', name: setup.peer, source: begin.source, site: link.site, emergency },
    gw.now,
  );
  if (!admitted.ok) return admitted;
  const call = enter(gw, {
    id: begin.call,
    side: 'originator',
    link,
    leg: begin.leg,
    peer: setup.peer,
    caller: decision.caller,
    callee: decision.callee,
    route: decision.route,
    priority: emergency ? 'emergency' : 'normal',
    admission: admitted.value,
  });
  if (!call.ok) {
    gw.policy.leave(admitted.value);
    return call;
  }
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
  if (gw.calls.has(setup.call)) return fail({ cause: 101, reason: 'call-id-in-use' });
  if (gw.draining) return fail({ cause: 41, reason: 'draining', retryAfterSeconds: 30 });
  // A class asserted by the termination gateway never preempts; one from the intranet is believed by it.
  const emergency =
    gw.config.role === 'relay' ? gw.policy.emergency(setup.callee) : setup.priority === 'emergency';
  const decision = gw.policy.route(`tunnel:${link.site}`, setup.callee, setup.caller);
  if (decision.kind === 'refuse') return fail(decision.refusal);
  if (decision.kind === 'tunnel') return fail({ cause: 3, reason: 'route-back-to-tunnel' });
  const target = targetOf(gw, decision);
  if (!target.ok) return target;
  const admitted = gw.policy.admit(
    { from: 'site', name: link.site, site: link.site, peer: target.value.peer.name, emergency },
    gw.now,
  );
  if (!admitted.ok) return admitted;
  const session = gw.newSession();
  const leg = newLeg(gw, {
    call: setup.call,
    session,
    role: 'callee',
    peer: target.value.peer,
    ...(target.value.target === undefined ? {} : { target: target.value.target }),
  });
  const call = enter(gw, {
    id: setup.call,
    side: 'terminator',
    link,
    leg,
    peer: target.value.peer.name,
    caller: decision.caller,
    callee: decision.callee,
    route: decision.route,
    priority: emergency ? 'emergency' : 'normal',
    admission: admitted.value,
    streamBase: setup.streamBase,
    shard: setup.shard,
  });
  if (!call.ok) {
    gw.policy.leave(admitted.value);
    gw.media.release(setup.call, gw.now);
    return call;
  }
  gw.trace.add(setup.call, traceEntry(gw.providers.wall(), 'tunnel', 'in', describeMeta(setup)));
  call.value.half.tunnel(
    { ...setup, caller: decision.caller, callee: decision.callee, priority: call.value.priority },
    gw.now,
  );
  gw.dirty.add(call.value);
  return call;
}

function targetOf(
  gw: GatewayState,
  decision:
    | { readonly kind: 'peer'; readonly peer: string }
    | { readonly kind: 'registered'; readonly callee: Party },
): Result<{ readonly peer: PeerConfig; readonly target?: SipTarget }, Refusal> {
  if (decision.kind === 'peer') {
    const peer = gw.peer(decision.peer);
    if (peer === undefined) return fail({ cause: 3, reason: 'unknown-peer' });
    if (gw.peersDown.has(peer.name)) return fail({ cause: 27, reason: 'peer-down' });
    return ok({ peer });
  }
  const binding = gw.registrar.lookup(decision.callee.number, gw.now).at(-1);
  const peer = binding === undefined ? undefined : gw.peer(binding.peer);
  if (binding === undefined || peer === undefined) return fail({ cause: 20, reason: 'not-registered' });
  return ok({ peer, target: { uri: binding.uri, flow: binding.flow } });
}

interface Enter {
  readonly id: CallId;
  readonly side: 'originator' | 'terminator';
  readonly link: SiteLink;
  readonly leg: SipLeg;
  readonly peer: string;
  readonly caller: Party;
  readonly callee: Party;
  readonly route: string;
  readonly priority: GatewayCall['priority'];
  readonly admission: string;
  readonly streamBase?: number;
  readonly shard?: number;
}

function enter(gw: GatewayState, options: Enter): Result<GatewayCall, Refusal> {
  const { id, link, leg } = options;
  const base = options.streamBase ?? gw.streams.take(gw.now);
  if (base === undefined) return fail({ cause: 34, reason: 'no-stream-ids' });
  const shard = options.shard ?? leastLoaded(gw, link.shards);
  if (shard >= link.shards) return fail({ cause: 95, reason: 'shard' });
  if (options.streamBase !== undefined && !gw.streams.claim(link.site, base))
    return fail({ cause: 95, reason: 'stream-base' });
  const peer = gw.peer(options.peer)!;
  gw.media.begin({
    call: id,
    session: link.sessionId,
    shard,
    streamBase: base,
    priority: options.priority,
    source: peer.symmetric ?? gw.config.media.symmetric,
  });
  const half = new HalfCall({
    call: id,
    side: options.side,
    role: gw.config.role,
    shard,
    streamBase: base,
    timers: {
      ringMs: gw.config.limits.maxRingSeconds * 1000,
      maxCallMs: gw.config.limits.maxCallSeconds * 1000,
    },
  });
  const call: GatewayCall = {
    id,
    side: options.side,
    site: link.site,
    half,
    leg,
    session: leg.session,
    streamBase: base,
    shard,
    peer: options.peer,
    caller: options.caller,
    callee: options.callee,
    route: options.route,
    priority: options.priority,
    startedAt: gw.now,
    startedWall: gw.providers.wall(),
    connectedAt: undefined,
    alertingAt: undefined,
    state: 'null',
    admitted: options.admission,
    over: undefined,
    legOver: false,
    mediaOver: false,
  };
  gw.calls.set(id, call);
  gw.bySession.set(leg.session, call);
  gw.trace.open(id, options.peer, link.site);
  gw.trace.claim(id, leg.session);
  return ok(call);
}

function leastLoaded(gw: GatewayState, shards: number): number {
  const load = new Array<number>(shards).fill(0);
  if (shards === 1) return 0;
  for (const call of gw.calls.values()) if (call.shard < shards) load[call.shard]!++;
  return load.indexOf(Math.min(...load));
}

/** Moves what leg and half-call have to say, until both are silent. */
export function drainCall(gw: GatewayState, call: GatewayCall): void {
  for (;;) {
    const fromLeg = call.leg.poll();
    if (fromLeg !== undefined) {
      switch (fromLeg.kind) {
        case 'event':
          call.half.leg(fromLeg.event, gw.now);
          break;
        case 'sip':
          gw.sip.handle({ kind: 'command', command: fromLeg.command }, gw.now);
          break;
        case 'digit':
          gw.media.digit(call.id, fromLeg.stream, fromLeg.digit, fromLeg.durationMs);
          break;
        case 'count':
          gw.count('sipRefused', fromLeg.reason);
          break;
      }
      continue;
    }
    const output = call.half.poll();
    if (output === undefined) break;
    fromHalf(gw, call, output);
  }
  if (call.over === undefined) gw.media.update(call.id, call.leg.streams(), gw.now);
  gw.timers.set(`call:${call.id}`, callDeadline(call));
}

function fromHalf(gw: GatewayState, call: GatewayCall, output: HalfCallOutput): void {
  switch (output.kind) {
    case 'leg':
      call.leg.command(withRoute(call, output.command));
      // Ports and payload types are settled before the far end can have read our message.
      gw.media.update(call.id, call.leg.streams(), gw.now);
      break;
    case 'tunnel': {
      gw.trace.add(call.id, traceEntry(gw.providers.wall(), 'tunnel', 'out', describeMeta(output.message)));
      gw.links.get(call.site)?.send(output.message, gw.now);
      break;
    }
    case 'state':
      call.state = output.state;
      if (output.state === 'alerting') call.alertingAt ??= gw.now;
      if (output.state === 'connected' && call.connectedAt === undefined) {
        call.connectedAt = gw.now;
        gw.count('calls', 'connected');
      }
      break;
    case 'refused-message':
      gw.count(output.from === 'tunnel' ? 'metaRefused' : 'sipRefused', 'out-of-state');
      gw.log('debug', 'message out of state', {
        call: call.id,
        from: output.from,
        what: output.what,
        state: output.state,
      });
      break;
    case 'ended':
      endCall(gw, call, output.cause, output.origin);
      break;
  }
}

/** Routing chose where the leg goes; the half-call does not know it. */
function withRoute(call: GatewayCall, command: LegCommand): LegCommand {
  return command.kind === 'setup'
    ? { ...command, peer: call.peer, caller: call.caller, callee: call.callee }
    : command;
}

function endCall(gw: GatewayState, call: GatewayCall, cause: Cause, origin: string): void {
  if (call.over !== undefined) return;
  call.over = { cause, origin, at: gw.now, wall: gw.providers.wall() };
  call.state = 'ended';
  if (call.connectedAt === undefined) gw.count('calls', 'failed');
  gw.count('releases', String(cause));
  gw.policy.leave(call.admitted);
  gw.media.release(call.id, gw.now);
  gw.streams.release(call.site, call.streamBase, gw.now);
}

/** Longest wait for the plane's last counters and the leg's last transaction. */
const MEDIA_WAIT_MS = 3000;

function callDeadline(call: GatewayCall): number | undefined {
  if (call.over === undefined) return call.half.deadline();
  return call.over.at + MEDIA_WAIT_MS;
}

/** Writes the record once everything about the call is known (or has had its time), and forgets the call. */
export function finishCall(gw: GatewayState, call: GatewayCall): void {
  if (call.over === undefined) return;
  if (!call.mediaOver && gw.now < call.over.at + MEDIA_WAIT_MS) return;
  if (gw.calls.get(call.id) !== call) return;
  writeRecord(gw, call, call.over);
  gw.media.forget(call.id);
  gw.trace.end(call.id);
  gw.calls.delete(call.id);
  gw.bySession.delete(call.session);
  gw.timers.set(`call:${call.id}`, undefined);
  gw.dirty.delete(call);
}

/** Releases a call from here: operator, lost tunnel, media failure. */
export function releaseCall(
  gw: GatewayState,
  call: GatewayCall,
  cause: Cause,
  origin: 'tunnel' | 'own',
): void {
  call.half.release(cause, origin === 'tunnel' ? 'tunnel' : `${gw.config.role}-gateway`, gw.now);
  gw.dirty.add(call);
}
