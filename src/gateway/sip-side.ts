/**
 * What the SIP endpoint tells and is told: its peers and listeners, new calls, events of their sessions, registrations, digest proofs.
 */
import type { LegSetup } from '../call/leg.ts';
import { statusToCause } from '../interworking/cause.ts';
import { type Incoming, setupFromInvite } from '../interworking/sip-to-meta.ts';
import type { SipDecisions, SipEvent, SipOutput } from '../sip/contract.ts';
import { beginFromLeg } from './call-setup.ts';
import type { ListenerConfig, PeerConfig } from './config.ts';
import { newLeg } from './legs.ts';
import { statusOfRefusal } from './refusal.ts';
import { recordRefused } from './refused-records.ts';
import { authenticate, register } from './remote-users.ts';
import type { GatewayState } from './state.ts';
import { traceEntry } from './trace.ts';

function sipEvent(gw: GatewayState, event: SipEvent): void {
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
    case 'peer-unprobed':
      gw.peersUp.delete(event.peer);
      gw.peersDown.delete(event.peer);
      return;
    case 'registration':
      registration(gw, event);
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

/** How our registration with a trunk stands. */
function registration(gw: GatewayState, event: Extract<SipEvent, { kind: 'registration' }>): void {
  const { peer, registered, reason, status } = event;
  const before = gw.trunks.get(peer);
  const until = event.untilMs ?? before?.until ?? 0;
  if (gw.peer(peer)?.register === true) gw.trunks.set(peer, { registered, until, reason });
  else gw.trunks.delete(peer);
  gw.count('trunkRegistrations', reason);
  if (registered && reason === 'registered') {
    if (before?.registered === true && before.reason === 'registered') return; // a refresh
    gw.log('info', 'registered with trunk', { peer, seconds: Math.round((until - gw.now) / 1000) });
  } else if (reason === 'unregistered') gw.log('info', 'registration with trunk taken back', { peer });
  else
    gw.log('warn', 'registration with trunk failed', { peer, reason, status, stillRegistered: registered });
}

/** A new INVITE: admitted, routed, and begun as a call; or refused with the right status, counted with its reason. */
function incoming(gw: GatewayState, event: Incoming): void {
  const call = gw.newCallId();
  const refuse = (
    status: number,
    reason: string,
    retryAfterSeconds?: number,
    q850?: number,
    setup?: LegSetup,
  ): void => {
    gw.count('callsRefused', reason);
    gw.count('calls', 'refused');
    const cause = q850 ?? statusToCause(status);
    recordRefused(gw, { ...setup, call, side: 'originator', site: '', peer: event.peer, cause, reason });
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
  const leg = newLeg(gw, { call, session: event.session, role: 'caller', peer, source: event.remote.ip });
  const setup = setupFromInvite(
    leg,
    event,
    event.account === undefined ? undefined : { number: event.account },
    trunkUser(peer),
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
  refuse(status, verdict.error.reason, retryAfterSeconds, verdict.error.cause, setup);
}

/** What our contact at a trunk is called: a call to it names the number wanted in To. */
export function trunkUser(peer: PeerConfig): string | undefined {
  return peer.register === true ? (peer.registerAs ?? peer.credentials?.username) : undefined;
}

/** The endpoint asks, the gateway's policy answers. `gw`: it exists by the time of the first question. */
export function sipDecisions(gw: () => GatewayState): SipDecisions {
  return {
    identify: (source) => gw().policy.identify(source, gw().now),
    withinRate: (source) => gw().policy.sipMessage(source, gw().now),
    authenticate: (peer) => gw().policy.challenge(peer),
  };
}

export function configureSip({ config, sip, now }: GatewayState): void {
  sip.handle(
    {
      kind: 'command',
      command: {
        kind: 'configure',
        peers: config.peers
          .filter((p) => p.protocol === 'sip')
          .map((p) => sipPeer(p, config.role === 'relay')),
        listeners: config.sip.listeners.map(sipListener),
      },
    },
    now,
  );
}

export function sipOutput(gw: GatewayState, output: SipOutput): void {
  switch (output.kind) {
    case 'event':
      sipEvent(gw, output.event);
      break;
    case 'count':
      gw.count('sipRefused', output.reason);
      if (output.name !== undefined) gw.counters.addForeign(output.name);
      if (output.remote !== undefined) gw.offence(output.reason, output.remote.ip);
      break;
    case 'trace': {
      gw.emit({ kind: 'sip-message', direction: output.direction, line: output.line });
      if (output.session === undefined) break;
      const { direction, line, remote, transport, session } = output;
      const at = gw.providers.wall();
      gw.trace.addOf(session, traceEntry(at, 'leg', direction, line, `${remote.ip} ${transport}`));
      break;
    }
    default:
      gw.emit({ kind: 'sip', output });
  }
}

function sipPeer(peer: PeerConfig, relay: boolean) {
  return {
    name: peer.name,
    host: peer.host,
    probeEveryMs: peer.probeSeconds * 1000,
    ...(peer.port === undefined ? {} : { port: peer.port }),
    ...(peer.transport === undefined ? {} : { transport: peer.transport }),
    ...(peer.listener === undefined ? {} : { listener: peer.listener }),
    ...(peer.credentials === undefined ? {} : { credentials: peer.credentials }),
    // A peer that stands for many sources has no address of its own to bind a dialog to.
    ...(peer.register !== true
      ? {}
      : {
          registration: {
            user: trunkUser(peer) ?? '',
            ...(peer.registerDomain === undefined ? {} : { domain: peer.registerDomain }),
            expiresSeconds: peer.registerSeconds ?? 600,
          },
        }),
    mayRefer: peer.mayTransfer ?? relay,
    boundToSource: peer.sources.some((s) => s.endsWith('/0')),
  };
}

function sipListener(listener: ListenerConfig) {
  return {
    name: listener.name,
    transport: listener.transport,
    local: listener.address,
    advertise: listener.advertise ?? listener.address,
  };
}
