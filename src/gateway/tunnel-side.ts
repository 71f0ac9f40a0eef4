/** What the far gateways tell: links coming and going, Meta messages, fences. Nothing in here is believed unexamined. */
import { answerUnknownCall } from '../call/call-table.ts';
import { compareFence, type LocalCall } from '../call/fence.ts';
import type { Millis } from '../machine/machine.ts';
import type { PlaneCommand } from '../media/plane-contract.ts';
import { decodeFence, encodeFence } from '../meta/fence.ts';
import type { CallMessage, MetaMessage } from '../meta/message.ts';
import { describeMeta } from '../meta/text.ts';
import type { TunnelEvent } from '../tunnel/contract.ts';
import { beginFromTunnel } from './call-setup.ts';
import { drainCall, gatewayName, releaseCall } from './calls.ts';
import type { GatewayCall } from './gateway-call.ts';
import { recordRefused } from './refused-records.ts';
import { answer, checkFarProof, vouched } from './remote-users.ts';
import type { SiteLink } from './site-link.ts';
import type { GatewayState } from './state.ts';
import { traceEntry } from './trace.ts';

/** One line a minute about a far gateway that stays away for the same reason. */
const DIAL_FAILED_EVERY_MS = 60_000;

export function tunnelEvent(gw: GatewayState, link: SiteLink, event: TunnelEvent): void {
  switch (event.kind) {
    case 'session':
      newSession(gw, link, event);
      break;
    case 'up':
      link.state = 'up';
      link.problem = undefined;
      gw.emit({ kind: 'link', site: link.site, up: true });
      gw.count('tunnelEvents', event.resumed ? 'resumed' : 'up');
      gw.log('info', 'tunnel is up', { site: link.site, resumed: event.resumed });
      for (const call of callsOf(gw, link)) {
        call.half.tunnelUp(gw.now);
        gw.dirty.add(call);
      }
      break;
    case 'down':
      link.state = 'down';
      gw.emit({ kind: 'link', site: link.site, up: false });
      gw.count('tunnelEvents', 'down');
      gw.log('warn', 'tunnel is down', { site: link.site, reason: event.reason });
      for (const call of callsOf(gw, link)) {
        call.half.tunnelDown(gw.now);
        gw.dirty.add(call);
      }
      break;
    case 'dial-failed':
      dialFailed(gw, link, event.reason);
      break;
    case 'lost':
      link.state = 'down';
      gw.count('tunnelEvents', 'lost');
      gw.log(link.draining || gw.draining ? 'info' : 'error', 'tunnel session lost', {
        site: link.site,
        reason: event.reason,
      });
      endSession(gw, link);
      break;
    case 'payload':
      payload(gw, link, event.payload);
      break;
    case 'fence-wanted':
      fenceWanted(gw, link);
      break;
    case 'fence':
      fence(gw, link, event.body);
      break;
    case 'undelivered':
      gw.count('metaRefused', `undelivered-${event.reason}`);
      break;
    case 'peer-draining':
      link.draining = true;
      gw.log('info', 'far gateway drains', { site: link.site });
      break;
    case 'alarm':
      gw.count('tunnelEvents', 'alarm');
      gw.log('error', 'tunnel alarm', { site: link.site, reason: event.reason });
      break;
    case 'round-trip':
      link.roundTripMs = event.ms;
      gw.emit({ kind: 'round-trip', site: link.site, ms: event.ms });
      break;
  }
}

/** Told when it begins, when its reason changes, and once a minute: dials repeat for as long as the far gateway is away. */
function dialFailed(gw: GatewayState, link: SiteLink, reason: string): void {
  gw.count('tunnelEvents', 'dial-failed');
  const { problem } = link;
  if (problem?.reason === reason && gw.now - problem.toldAt < DIAL_FAILED_EVERY_MS) return;
  link.problem = { reason, toldAt: gw.now };
  const { ip, port } = gw.config.tunnel.signalling;
  gw.log('warn', 'tunnel dial failed', { site: link.site, remote: ip, port, reason });
}

function callsOf(gw: GatewayState, link: SiteLink): GatewayCall[] {
  return [...gw.calls.ofSite(link.site)].filter((call) => call.overAt === undefined);
}

function newSession(
  gw: GatewayState,
  link: SiteLink,
  event: Extract<TunnelEvent, { kind: 'session' }>,
): void {
  endSession(gw, link);
  link.begin(event);
  const { tunnel } = gw.config;
  const site = tunnel.sites.find((s) => s.name === link.site);
  for (let shard = 0; shard < link.shards; shard++) {
    const command: PlaneCommand = {
      kind: 'session',
      session: link.sessionId,
      key: link.laneKey,
      peerName: link.site,
      limits: {
        maxLanes: 64,
        maxStreams:
          (gw.config.role === 'relay'
            ? gw.config.limits.maxCalls
            : (site?.maxCalls ?? gw.config.limits.maxCalls)) * 8,
        maxBytesPerSecond:
          gw.config.role === 'relay'
            ? gw.config.limits.maxMediaBytesPerSecond
            : (site?.maxMediaBytesPerSecond ?? 0x7fff_ffff),
      },
      ...(gw.config.role === 'relay'
        ? { dial: { remote: tunnel.media, serverName: link.site, lanes: tunnel.lanes, shard } }
        : {}),
    };
    gw.emit({ kind: 'plane', shard, command });
  }
  gw.log('info', 'tunnel session begins', { site: link.site, session: link.sessionId, shards: link.shards });
}

/** Everything of the link's session is over: its calls at both legs, its lanes. */
function endSession(gw: GatewayState, link: SiteLink): void {
  if (link.sessionId === '') return;
  for (const call of callsOf(gw, link)) {
    releaseCall(gw, call, 41, 'tunnel');
    drainCall(gw, call); // now: what it gives back belongs to this session, not to the next
  }
  for (let shard = 0; shard < link.shards; shard++) {
    gw.emit({ kind: 'plane', shard, command: { kind: 'session-end', session: link.sessionId } });
  }
  link.sessionId = '';
  link.lanes.clear();
}

function payload(gw: GatewayState, link: SiteLink, bytes: Uint8Array): void {
  if (!gw.policy.metaMessage(link.site, gw.now)) {
    gw.count('metaRefused', 'rate');
    return;
  }
  const decoded = link.decode(bytes);
  if (!decoded.ok) {
    gw.count('metaRefused', decoded.error.reason);
    gw.log('warn', 'meta message refused', {
      site: link.site,
      reason: decoded.error.reason,
      field: decoded.error.field,
      offset: decoded.error.offset,
    });
    return;
  }
  const message = decoded.value;
  if ('call' in message) callMessage(gw, link, message);
  else otherMessage(gw, link, message);
}

function callMessage(gw: GatewayState, link: SiteLink, message: CallMessage): void {
  const call = gw.calls.byCall(message.call);
  // A call belongs to the site it was made with: one site cannot touch the calls of another.
  if (call !== undefined && call.site !== link.site) {
    gw.count('metaRefused', 'call-of-another-site');
    return;
  }
  if (message.kind === 'setup') {
    const begun = beginFromTunnel(gw, link, message);
    if (begun.ok) return;
    gw.count('callsRefused', begun.error.reason);
    gw.count('calls', 'refused');
    gw.log('info', 'call refused', { site: link.site, call: message.call, reason: begun.error.reason });
    if (begun.error.reason === 'call-id-in-use') return; // a release would end the call that has the id
    const { cause, reason, retryAfterSeconds } = begun.error;
    const { caller, callee, priority } = message;
    recordRefused(gw, {
      ...{ call: message.call, side: 'terminator', site: link.site, peer: '' },
      ...{ caller, callee, priority, cause, reason },
    });
    link.send(
      {
        kind: 'release',
        call: message.call,
        cause,
        origin: gatewayName(gw),
        ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
      },
      gw.now,
    );
    return;
  }
  if (call === undefined || call.overAt !== undefined) {
    unknownCall(gw, link, message);
    return;
  }
  gw.trace.add(message.call, traceEntry(gw.providers.wall(), 'tunnel', 'in', describeMeta(message)));
  call.half.tunnel(message, gw.now);
  gw.dirty.add(call);
}

/**
 * Releases cross, so a message for a call that is over here is normal and no sign of a far gateway that misbehaves: callers who hang up
 * early would raise that alarm at will. What must be answered is.
 */
function unknownCall(gw: GatewayState, link: SiteLink, message: CallMessage): void {
  const reply = answerUnknownCall(message, gatewayName(gw));
  if (reply === undefined) return;
  const over = gw.calls.byCall(message.call) !== undefined || gw.recordedCalls.has(message.call);
  if (!over) gw.count('metaRefused', 'unknown-call');
  link.send(reply, gw.now);
}

function otherMessage(gw: GatewayState, link: SiteLink, message: Exclude<MetaMessage, CallMessage>): void {
  switch (message.kind) {
    case 'authenticate': {
      const account = gw.config.role === 'relay' ? checkFarProof(gw, message.proof) : undefined;
      const known = gw.config.accounts.length > 0;
      link.send(
        account === undefined
          ? {
              kind: 'authenticate-result',
              exchange: message.exchange,
              outcome: known ? 'refused' : 'unknown',
            }
          : { kind: 'authenticate-result', exchange: message.exchange, outcome: 'accepted', account },
        gw.now,
      );
      break;
    }
    case 'authenticate-result': {
      const pending = link.settle(message.exchange);
      if (pending === undefined) {
        gw.count('metaRefused', 'unknown-exchange');
        return;
      }
      const said = message.outcome === 'accepted' ? message.account : undefined;
      answer(gw, pending, said === undefined ? undefined : vouched(gw, link.site, pending.username, said));
      break;
    }
    case 'register':
      // Registrations end at the termination gateway for now; a PBX is told nothing.
      link.send(
        {
          kind: 'register-result',
          exchange: message.exchange,
          outcome: 'refused',
          expiresSeconds: 0,
          cause: 79,
        },
        gw.now,
      );
      break;
    default:
      gw.count('metaRefused', 'not-expected');
  }
}

function fenceList(gw: GatewayState, link: SiteLink): LocalCall[] {
  return callsOf(gw, link).map(({ half }) => ({
    call: half.call,
    side: half.side,
    state: half.metaState,
    mediaGeneration: half.mediaGeneration,
  }));
}

function fenceWanted(gw: GatewayState, link: SiteLink): void {
  const list = fenceList(gw, link);
  link.fenceListed = new Set(list.map((c) => c.call));
  link.input({ kind: 'fence', body: encodeFence(list) }, gw.now);
}

/** After a cut: what only this side knows is released, what is seen differently is asked about. */
function fence(gw: GatewayState, link: SiteLink, body: Uint8Array): void {
  const remote = decodeFence(body);
  if (!remote.ok) {
    gw.count('metaRefused', 'fence');
    return;
  }
  // Calls begun since our last list are not compared: the far end cannot know them yet.
  const local = fenceList(gw, link).filter((c) => link.fenceListed.has(c.call));
  const { release, enquire } = compareFence(local, remote.value);
  for (const id of release) {
    const call = gw.calls.byCall(id);
    if (call !== undefined) releaseCall(gw, call, 41, 'tunnel');
  }
  for (const id of enquire) {
    const call = gw.calls.byCall(id);
    if (call === undefined) continue;
    call.half.enquire(gw.now);
    gw.dirty.add(call);
  }
  if (release.length + enquire.length > 0) {
    gw.log('warn', 'calls differ after a cut', {
      site: link.site,
      released: release.length,
      asked: enquire.length,
    });
  }
}

export function linkTimeout(gw: GatewayState, link: SiteLink, now: Millis): void {
  link.input({ kind: 'timeout' }, now);
  // Nothing is told to the user here: the endpoint's own deadline answers.
  for (const _overdue of link.overdue(now)) gw.count('registrations', 'no-answer');
}
