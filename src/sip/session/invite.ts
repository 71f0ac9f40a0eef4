/** The caller's side of a new session (RFC 3261 13.2): INVITE, provisional and final responses, forks. */
import { ALLOW, buildRequest, contactFor, OFFERED, tagged } from '../build.ts';
import type { SipBody, SipCommand, SipPeer, SipTarget } from '../contract.ts';
import type { Core, Source } from '../core.ts';
import { type Caller, type Dialog, dialogOfResponse } from '../dialog.ts';
import { firstHeader, nameAddresses } from '../header/access.ts';
import { formatNameAddress } from '../header/name-address.ts';
import { hidesIdentity } from '../header/privacy.ts';
import { formatReplaces } from '../header/replaces.ts';
import { parseRetryAfter } from '../header/retry-after.ts';
import { NO_PARAMETERS } from '../header/scanner.ts';
import { tableKey } from '../key.ts';
import type { SipResponse, SipUri } from '../message.ts';
import { type Attempt, ClientRequest } from '../request.ts';
import { type Query, queryOfPeer, type Target } from '../resolve.ts';
import type { HeaderPair } from '../serialize.ts';
import type { Stack } from '../stack.ts';
import type { Outgoing } from '../transaction/client.ts';
import { formatUri, sipUri } from '../uri.ts';
import { expectAnswer, repeatAck, sendAck } from './ack.ts';
import { bodyField } from './body-of.ts';
import { q850Of, sendBye } from './bye.ts';
import { cancelInvite, sendCancel } from './cancel.ts';
import { refreshSession } from './refresh.ts';
import { type OutgoingInvite, q850Field, SETUP_LIMIT, Session } from './session.ts';
import { followTimer } from './timer.ts';

/** Early dialogs of one INVITE at most. */
const MOST_FORKS = 16;

type InviteCommand = Extract<SipCommand, { kind: 'invite' }>;

/** Starts the call, or ends it at once with the status that says why not. */
export function startInvite(stack: Stack, command: InviteCommand): void {
  const { core } = stack;
  const { session: ref } = command;
  if (stack.sessions.has(ref)) return core.count('session-exists');
  const refuse = (status: number): void =>
    core.event({ kind: 'ended', session: ref, by: 'protocol', status });
  const peer = core.peers.get(command.peer);
  if (peer === undefined) return refuse(404);
  const home = homeListener(core, peer);
  const to = command.target === undefined ? queryOfPeer(peer) : targetOf(stack, command.target, peer);
  if (home === undefined || to === undefined) return refuse(503);
  if (command.hops <= 0) return refuse(483);
  if (core.drainSeconds !== undefined || !hasRoom(stack)) return refuse(503);
  const uri = requestUri(command, peer);
  const { from, to: callee } = command.parties;
  const host = home.advertise.ip;
  const caller: Caller = {
    callId: plainCallId(command.callId) ?? core.token(16),
    localTag: core.token(8),
    local: from.anonymous
      ? '"Anonymous" <sip:anonymous@anonymous.invalid>' // RFC 3323 4.1.1.3
      : formatNameAddress({ displayName: from.displayName, uri: sipUri(from.user, host) }),
    remote: formatNameAddress({ displayName: callee.displayName, uri: sipUri(callee.user, uri.host) }),
    requestUri: uri,
  };
  const session = new Session(stack, ref, 'uac', peer);
  session.onRefresh = (): void => refreshSession(stack, session);
  session.expect(core.now + SETUP_LIMIT, () => {
    session.end({ by: 'timeout', status: 408 });
    cancelInvite(stack, session, undefined);
  });
  send(stack, session, command, caller, to, privateHeaders(command, host));
}

export function hasRoom(stack: Stack): boolean {
  return stack.live < stack.core.options.limits.sessions && stack.table.room;
}

/** What the user may choose as Call-ID (25.1, a subset); anything else is replaced. */
function plainCallId(text: string | undefined): string | undefined {
  return text !== undefined && /^[\w.!%*+`'~-]{1,128}(?:@[\w.-]{1,127})?$/.test(text) ? text : undefined;
}

function homeListener(core: Core, peer: SipPeer) {
  const named = core.listeners.find((l) => l.name === peer.listener);
  const family = peer.host.includes(':') ? '::' : '0.0.0.0';
  return named ?? core.listenerFor(peer.transport ?? 'udp', family) ?? core.listeners[0];
}

function requestUri(command: InviteCommand, peer: SipPeer): SipUri {
  const target = command.target?.uri;
  if (target !== undefined) {
    const parameters = new Map(target.parameters);
    parameters.delete('method'); // 19.1.1: may not stand in a Request-URI
    return { ...target, parameters, headers: '' };
  }
  const { transport } = peer;
  const udp = transport === undefined || transport === 'udp';
  const parameters = udp ? NO_PARAMETERS : new Map([['transport', transport]]);
  return sipUri(command.parties.to.user, peer.host, peer.port, parameters);
}

/** A registered contact: over the flow it registered from (RFC 5626), else where its URI says. */
function targetOf(stack: Stack, target: SipTarget, peer: SipPeer): Target[] | Query | undefined {
  const { flow, uri } = target;
  if (flow?.kind === 'datagram') {
    return [{ transport: 'udp', address: flow.remote, listener: flow.listener }];
  }
  if (flow?.kind === 'stream') {
    const hop = stack.transport.hopOf(flow.connection);
    if (hop !== undefined) {
      const { transport, remote: address, connection, listener } = hop;
      return [{ transport, address, connection, listener: listener.name }];
    }
    return undefined; // a phone behind NAT cannot be reached otherwise
  }
  if (uri.scheme === 'tel') return undefined;
  const stated = uri.parameters.get('transport')?.toLowerCase();
  const transport = uri.scheme === 'sips' ? 'tls' : stated === 'tcp' || stated === 'tls' ? stated : undefined;
  return { host: uri.host, port: uri.port, transport, listener: peer.listener };
}

function privateHeaders(command: InviteCommand, host: string): HeaderPair[] {
  const { from, asserted, diversion } = command.parties;
  const out: HeaderPair[] = [];
  if (from.anonymous) out.push(['Privacy', 'id']);
  if (asserted !== undefined) {
    out.push(['P-Asserted-Identity', formatNameAddress({ uri: sipUri(asserted, host) })]);
  }
  if (diversion !== undefined) {
    const { reason } = diversion;
    const parameters = new Map<string, string>();
    if (reason !== undefined && /^[a-z-]{1,32}$/.test(reason)) parameters.set('reason', reason);
    if (diversion.restricted === true) parameters.set('privacy', 'full'); // RFC 5806 7
    out.push(['Diversion', formatNameAddress({ uri: sipUri(diversion.user, host), parameters })]);
  }
  if (command.priority) out.push(['Priority', 'emergency']);
  if (command.replaces !== undefined) {
    // RFC 3891 3: who cannot replace shall refuse, not ring.
    out.push(['Replaces', formatReplaces(command.replaces)], ['Require', 'replaces']);
  }
  return out;
}

interface OwnParts {
  readonly maxForwards: number;
  readonly identity: readonly HeaderPair[];
  readonly body: SipBody | undefined;
}

function send(
  stack: Stack,
  session: Session,
  command: InviteCommand,
  caller: Caller,
  to: readonly Target[] | Query,
  identity: readonly HeaderPair[],
): void {
  const uri = formatUri(caller.requestUri);
  const callingKey = tableKey([caller.callId, caller.localTag]);
  // What only the INVITE itself says: its transaction outlives the answer by half a minute, and these closures with it.
  let own: OwnParts | undefined = {
    maxForwards: Math.min(Math.floor(command.hops), 255),
    identity,
    body: command.body,
  };
  const build = (attempt: Attempt, method: string, toTag: string): Outgoing =>
    buildRequest({
      method,
      uri,
      ...attempt,
      from: tagged(caller.local, caller.localTag),
      to: tagged(caller.remote, toTag),
      callId: caller.callId,
      // 17.1.1.3: the ACK of a failure carries nothing of the INVITE but what identifies it.
      ...(method === 'ACK' || own === undefined
        ? {}
        : {
            maxForwards: own.maxForwards,
            headers: [
              ['Contact', contactFor(attempt.hop.listener)],
              ['Allow', ALLOW],
              ['Supported', OFFERED],
              ...own.identity,
              ...attempt.authorization,
            ],
            body: own.body,
          }),
    });
  const request = new ClientRequest(stack, {
    method: 'INVITE',
    peer: session.peer,
    session: session.ref,
    to,
    uri,
    nextSequence: () => ++invite.sequence,
    build: (attempt) => build(attempt, 'INVITE', ''),
    ack: (attempt, toTag) => build(attempt, 'ACK', toTag),
    response: (response, source) => {
      if (response.status >= 200) own = undefined;
      receive(stack, session, invite, response, source);
    },
    failed: (why) => {
      const status = why === 'timeout' ? 408 : 503; // 8.1.3.1
      session.end({ by: why, status });
    },
    done: () => {
      stack.calling.delete(callingKey);
      done(session, invite);
    },
  });
  const invite: OutgoingInvite = {
    request,
    caller,
    forks: new Map(),
    cancel: 'no',
    cancelReason: undefined,
    sequence: 0,
    lateOffer: command.body === undefined,
  };
  session.invite = invite;
  session.lastBody = command.body;
  session.hold();
  stack.calling.set(callingKey, caller.requestUri);
  request.start();
}

function done(session: Session, invite: OutgoingInvite): void {
  for (const { dialog } of invite.forks.values()) {
    if (dialog !== session.dialog) session.removeDialog(dialog);
  }
  session.invite = undefined;
  session.release();
}

function receive(
  stack: Stack,
  session: Session,
  invite: OutgoingInvite,
  response: SipResponse,
  source: Source,
): void {
  if (response.status >= 300) return session.end(failure(response));
  if (response.status >= 200) return answered(stack, session, invite, response, source);
  if (invite.cancel === 'wanted') sendCancel(stack, session, invite); // 9.1: now it may go
  if (response.status === 100 || session.state !== 'setup') return;
  const fork = response.toTag === '' ? undefined : forkOf(session, invite, response, source);
  if (response.toTag !== '' && fork === undefined) return stack.core.count('forks');
  stack.core.event({
    kind: 'provisional',
    session: session.ref,
    status: response.status,
    branch: fork?.branch ?? 0,
    ...bodyField(response),
  });
}

/** 12.1: one early dialog per To tag. Undefined: too many. */
function forkOf(session: Session, invite: OutgoingInvite, response: SipResponse, source: Source) {
  const known = invite.forks.get(response.toTag);
  if (known !== undefined) {
    known.dialog.source = source;
    return known;
  }
  if (invite.forks.size >= MOST_FORKS) return undefined;
  const dialog = dialogOfResponse(invite.caller, response, invite.sequence, source);
  const fork = { branch: invite.forks.size + 1, dialog };
  invite.forks.set(response.toTag, fork);
  session.addDialog(dialog);
  return fork;
}

function answered(
  stack: Stack,
  session: Session,
  invite: OutgoingInvite,
  response: SipResponse,
  source: Source,
): void {
  const { core } = stack;
  const sequence = response.cseq.number;
  const known = invite.forks.get(response.toTag);
  if (known !== undefined && repeatAck(stack, session, known.dialog, sequence)) return;
  if (known !== undefined && known.dialog === session.dialog) return; // the user still makes the answer
  const fork = forkOf(session, invite, response, source);
  if (fork === undefined) return core.count('forks');
  confirm(session, fork, invite, response, source);
  const authorization = invite.request.attempt?.authorization ?? [];
  if (session.state !== 'setup') {
    // 13.2.2.4: the 2xx of another branch, or of an INVITE cancelled too late: acknowledged, then ended.
    sendAck(stack, session, fork.dialog, { sequence, authorization });
    return sendBye(stack, session, fork.dialog, invite.cancelReason);
  }
  session.dialog = fork.dialog;
  session.state = 'confirmed';
  session.expect(undefined);
  const body = bodyField(response);
  const needsAck = invite.lateOffer && body.body !== undefined;
  if (needsAck) expectAnswer(stack, session, sequence, authorization);
  else sendAck(stack, session, fork.dialog, { sequence, authorization });
  followTimer(stack, session, response);
  const connected = nameAddresses(response, 'P-Asserted-Identity', 4)?.[0];
  core.event({
    kind: 'answered',
    session: session.ref,
    branch: fork.branch,
    needsAck,
    ...body,
    ...(connected === undefined ? {} : { connected }),
    ...(hidesIdentity(response) ? { connectedRestricted: true } : {}),
  });
}

/** 13.2.2.4: the route set and the remote target of the 2xx replace those of the early dialog. */
function confirm(
  session: Session,
  fork: { dialog: Dialog },
  invite: OutgoingInvite,
  response: SipResponse,
  source: Source,
): void {
  const early = fork.dialog;
  fork.dialog = dialogOfResponse(invite.caller, response, early.localSequence, source);
  fork.dialog.remoteSequence = early.remoteSequence;
  session.addDialog(fork.dialog);
}

function failure(response: SipResponse): Parameters<Session['end']>[0] {
  const retryAfterSeconds = parseRetryAfter(firstHeader(response, 'Retry-After') ?? '');
  const moved = response.status < 400 ? nameAddresses(response, 'Contact', 8)?.[0]?.uri : undefined;
  return {
    by: 'far-end',
    status: response.status,
    ...q850Field(q850Of(response)),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    ...(moved === undefined ? {} : { redirect: moved }),
  };
}
