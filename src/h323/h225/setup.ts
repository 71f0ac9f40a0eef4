/** Setup (H.225.0 7.3.10): starting a call, and being called. */
import { isIpv6 } from '../../machine/address.ts';
import { toH225 } from '../addresses.ts';
import type { PresentationIndicator, SetupUUIE } from '../asn1/h225-types.ts';
import type { Call } from '../call.ts';
import type { Connection } from '../connections.ts';
import type { H323Command, H323Event, H323Party } from '../contract.ts';
import { controlAddressTold, listenForControl } from '../h245/connection.ts';
import { servicesReceived, transferSetup } from '../h450/services.ts';
import { ENDPOINT_TYPE } from '../identity.ts';
import { ANSWER_LIMIT, PREPARING_LIMIT, PROCEEDING_AFTER, SETUP_LIMIT } from '../limits.ts';
import type { Signalling } from '../messages.ts';
import { newCall } from '../new-call.ts';
import {
  aliasesOf,
  cleanDisplay,
  isNumber,
  NUMBER_LENGTH,
  namesOf,
  numberElement,
  numberOf,
  partyOf,
  toAliases,
} from '../party.ts';
import type { H323Peer } from '../peer-contract.ts';
import type { Q931Elements } from '../q931.ts';
import type { Stack } from '../stack.ts';
import { proposeFastStart, readFastStart } from './fast-start.ts';
import { common, connectionFields, sendSignalling } from './message.ts';
import { endCall, refuseWithoutCall } from './release-complete.ts';

type SetupCommand = Extract<H323Command, { kind: 'setup' }>;

export function startSetup(stack: Stack, command: SetupCommand): void {
  const { core, calls } = stack;
  const refuse = (cause: number): void =>
    core.event({ kind: 'released', call: command.call, by: 'local', cause });
  if (calls.get(command.call) !== undefined || command.call % 2 !== 0)
    return core.count('call-reference-reused');
  const peer = core.peers.get(command.peer);
  if (peer === undefined) return refuse(3);
  if (core.draining || calls.size >= core.options.limits.calls) return refuse(42);
  const port = peer.port ?? 1720;
  const call = newCall(stack, {
    ref: command.call,
    peer,
    remote: command.target ?? { ip: '0.0.0.0', port },
    callReference: calls.nextReference(),
    setup: command,
  });
  calls.add(call);
  call.control.local = command.capabilities;
  call.alarm.set(core.now + PREPARING_LIMIT);
  if (command.target !== undefined) return connectCall(stack, call);
  if (peer.gatekeeper !== undefined) return stack.ras.admit(call);
  core.resolve(peer.host, port, (ips) => {
    if (call.state !== 'preparing') return;
    const [first, ...rest] = ips.slice(0, 4).map((ip) => ({ ip, port }));
    if (first === undefined) return endCall(stack, call, { by: 'local', cause: 3, tell: false });
    for (const ip of ips) core.resolvedPeers.set(ip, peer.name);
    call.remote = first;
    call.alternatives = rest;
    connectCall(stack, call);
  });
}

/** The call's address is known (resolved or admitted): connects and sends the Setup. */
export function connectCall(stack: Stack, call: Call): void {
  const { core, connections, calls } = stack;
  const listener = core.listenerFor('tcp', call.remote.ip, call.peer.listener);
  const kept = call.peer.keepConnection === true ? connections.kept(call.remote) : undefined;
  const connection =
    kept ?? (listener && connections.open('signalling', listener, call.remote, stack.dialled));
  if (connection === undefined) return endCall(stack, call, { by: 'local', cause: 42, tell: false });
  connection.keep = call.peer.keepConnection === true;
  connections.hold(connection);
  calls.bind(call, connection);
  call.state = 'initiated';
  call.alarm.set(core.now + SETUP_LIMIT);
  sendSetup(stack, call, connection);
}

/** Another address of the peer after the connect failed; false: none is left. */
export function tryNextAddress(stack: Stack, call: Call): boolean {
  const next = call.alternatives.shift();
  if (next === undefined || call.state !== 'initiated') return false;
  stack.calls.unbind(call);
  call.remote = next;
  call.proposed = [];
  call.state = 'preparing';
  connectCall(stack, call);
  return true;
}

function presentation(party: H323Party): PresentationIndicator {
  switch (party.presentation) {
    case 'restricted':
      return { choice: 'presentationRestricted', value: null };
    case 'unavailable':
      return { choice: 'addressNotAvailable', value: null };
    default:
      return { choice: 'presentationAllowed', value: null };
  }
}

/**
 * Optional (H.225.0 7.3.10), and where the connection comes from is known to who accepts it. Not over IPv6: chan_ooh323 of Asterisk 22 ends by itself at an
 * address of that family here, for which its buffer is too small.
 */
function sourceAddressOf({ listener }: Connection): Pick<SetupUUIE, 'sourceCallSignalAddress'> {
  const { advertise } = listener;
  return isIpv6(advertise.ip) ? {} : { sourceCallSignalAddress: toH225(advertise) };
}

function sendSetup(stack: Stack, call: Call, connection: Connection): void {
  const command = call.setup!;
  const { peer } = call;
  const fastStart =
    peer.fastStart && command.fastStart !== undefined ? proposeFastStart(call, command.fastStart) : [];
  call.fastStart = fastStart.length > 0 ? 'open' : 'none';
  const source = [...aliasesOf(command.caller), ...toAliases(peer.aliases ?? [])];
  const destination = aliasesOf(command.callee);
  const value: SetupUUIE = {
    ...common(call),
    ...connectionFields(call),
    ...(source.length === 0 ? {} : { sourceAddress: source }),
    sourceInfo: ENDPOINT_TYPE,
    ...(destination.length === 0 ? {} : { destinationAddress: destination }),
    destCallSignalAddress: toH225(call.remote),
    activeMC: false,
    conferenceID: call.conferenceID,
    conferenceGoal: { choice: 'create', value: null },
    callType: { choice: 'pointToPoint', value: null },
    ...sourceAddressOf(connection),
    mediaWaitForConnect: false,
    canOverlapSend: false,
    ...(fastStart.length === 0 ? {} : { fastStart }),
    presentationIndicator: presentation(command.caller),
    screeningIndicator: command.caller.verified ? 'userProvidedVerifiedAndPassed' : 'userProvidedNotScreened',
    hopCount: Math.max(1, Math.min(31, Math.floor(command.hops))),
  };
  const note = fastStart.length === 0 ? '' : `fastStart(${fastStart.length})`;
  call.services = command.consultation === undefined ? [] : [transferSetup(call, command.consultation)];
  sendSignalling(stack, call, 'setup', { choice: 'setup', value }, setupElements(command), note);
}

function setupElements(command: SetupCommand): Q931Elements {
  const display = cleanDisplay(command.caller.display);
  const calling = numberElement(command.caller, true);
  const called = numberElement(command.callee, false);
  const { redirecting } = command;
  return {
    bearer: { capability: 'speech', rate: 0x10, layer1: 3 },
    ...(display === undefined ? {} : { display }),
    ...(calling === undefined ? {} : { calling }),
    ...(called === undefined ? {} : { called }),
    ...(redirecting === undefined || !isNumber(redirecting.number)
      ? {}
      : { redirecting: { type: 'unknown', plan: 'isdn', digits: redirecting.number } }),
  };
}

/** A Setup on a connection of an identified peer, with a call reference not in use. */
export function setupReceived(
  stack: Stack,
  connection: Connection,
  source: { readonly peer: H323Peer; readonly account?: string },
  signalling: Signalling,
  setup: SetupUUIE,
  /** As shown in the ladder. */
  line: string,
): void {
  const { core, calls, connections } = stack;
  const { callReference } = signalling.q931;
  const guid = setup.callIdentifier?.guid;
  const refuse = (cause: number, reason: string): void => {
    core.trace('in', 'tcp', connection.remote, line);
    core.count(reason, connection.remote);
    refuseWithoutCall(stack, connection, callReference, cause, guid);
  };
  const { limits } = core.options;
  if (core.draining) return refuse(42, 'draining');
  if (calls.size >= limits.calls) return refuse(42, 'calls');
  if (calls.fromSource(connection.remote.ip) >= limits.callsPerSource) return refuse(42, 'calls-per-source');
  // H.323 8.1: other goals are conferences, capability queries and H.450 without a call.
  if (setup.conferenceGoal.choice !== 'create') return refuse(79, 'conference-goal');
  const callee = calledParty(signalling, setup);
  if (callee.number === '' && callee.name === undefined) return refuse(28, 'no-called-party');

  const call = newCall(stack, {
    ref: calls.nextRef(),
    peer: source.peer,
    remote: connection.remote,
    callReference,
    callIdentifier: guid ?? new Uint8Array(16),
    conferenceID: setup.conferenceID,
  });
  core.trace('in', 'tcp', connection.remote, line, call.ref);
  calls.add(call);
  connections.hold(connection);
  calls.bind(call, connection);
  call.tunnelling =
    source.peer.tunnelling && signalling.uuie?.h323UuPdu.h245Tunnelling === true ? 'on' : 'off';
  const fastStart = source.peer.fastStart ? readFastStart(stack, call, setup.fastStart ?? []) : [];
  call.fastStart = fastStart.length > 0 ? 'open' : 'none';
  const redirecting = numberOf(signalling.q931.redirecting)?.number.slice(0, NUMBER_LENGTH);
  const event: Extract<H323Event, { kind: 'incoming' }> = {
    kind: 'incoming',
    call: call.ref,
    peer: source.peer.name,
    ...(source.account === undefined ? {} : { account: source.account }),
    caller: callingParty(signalling, setup),
    callee,
    ...(redirecting === undefined ? {} : { redirecting: { number: redirecting } }),
    hops: Math.max(0, (setup.hopCount ?? 31) - 1),
    fastStart,
    remote: connection.remote,
  };
  call.alarm.set(core.now + PREPARING_LIMIT);
  if (setup.h245Address !== undefined) controlAddressTold(stack, call, setup.h245Address);
  const services = signalling.uuie?.h323UuPdu.h4501SupplementaryService;
  if (services !== undefined) servicesReceived(stack, call, services);
  if (call.state === 'ended') return;
  if (source.peer.gatekeeper === undefined) return present(stack, call, event);
  stack.ras.admitIncoming(call, event, () => present(stack, call, event));
}

function present(stack: Stack, call: Call, event: H323Event): void {
  if (call.state !== 'preparing') return;
  call.state = 'present';
  call.alarm.set(stack.core.now + PROCEEDING_AFTER);
  if (call.tunnelling === 'off') listenForControl(stack, call);
  stack.core.event(event);
}

/** The user's time for an answer, from CallProceeding on. */
export function awaitUser(stack: Stack, call: Call): void {
  call.alarm.set(stack.core.now + ANSWER_LIMIT);
}

function calledParty(signalling: Signalling, setup: SetupUUIE): H323Party {
  // H.225.0 7.2.2.7: the number in the Called party number element wins, names are in the UUIE only.
  const { number, numberType, name } = partyOf(setup.destinationAddress, signalling.q931.called);
  return {
    number,
    numberType,
    presentation: 'allowed',
    verified: false,
    ...(name === undefined || name === number ? {} : { name }),
  };
}

function callingParty(signalling: Signalling, setup: SetupUUIE): H323Party {
  const party = partyOf(setup.sourceAddress, signalling.q931.calling);
  const names = namesOf(setup.sourceAddress);
  const display = cleanDisplay(signalling.q931.display);
  const indicated = setup.presentationIndicator?.choice;
  const restricted = party.presentation === 'restricted' || indicated === 'presentationRestricted';
  const verified =
    party.verified ||
    setup.screeningIndicator === 'networkProvided' ||
    setup.screeningIndicator === 'userProvidedVerifiedAndPassed';
  return {
    number: party.number,
    numberType: party.numberType,
    presentation: restricted ? 'restricted' : party.number === '' ? 'unavailable' : 'allowed',
    verified,
    ...(names.name === undefined || names.name === party.number ? {} : { name: names.name }),
    ...(display === undefined ? {} : { display }),
  };
}
