/** InfoRequest and InfoRequestResponse (H.323 8.4.2): the gatekeeper asks how a call stands, or is told every so often. */

import { sameBytes } from '../../bytes/equal.ts';
import type { Address } from '../../machine/address.ts';
import { toH225 } from '../addresses.ts';
import type { InfoRequest, InfoRequestResponse, RasMessage } from '../asn1/h225-types.ts';
import type { Call } from '../call.ts';
import { ENDPOINT_TYPE } from '../identity.ts';
import { toAliases } from '../party.ts';
import type { Stack } from '../stack.ts';
import { sendRas } from './exchange.ts';
import type { Registration } from './registration.ts';

type PerCall = NonNullable<InfoRequestResponse['perCallInfo']>[number];

/** Calls told in one answer: a datagram holds no more. */
const MOST_CALLS = 8;
/** Least seconds between unsolicited reports. */
const LEAST_SECONDS = 10;

/** Answered to the gatekeeper's own address: a replyAddress elsewhere would be a reflection. */
export function infoRequested(
  stack: Stack,
  registration: Registration,
  asked: InfoRequest,
  remote: Address,
): void {
  const guid = asked.callIdentifier?.guid;
  const mine = [...stack.calls.all()].filter(
    (call) => call.admission !== undefined && call.peer.name === registration.peer.name,
  );
  // H.225.0 7.15.1: call reference 0 asks for all calls.
  const all = asked.callReferenceValue === 0;
  const calls = all
    ? mine
    : mine.filter((call) => guid !== undefined && sameBytes(guid, call.callIdentifier));
  send(stack, registration, remote, response(stack, registration, asked.requestSeqNum, calls, false));
}

/** The unsolicited report of one call. */
export function report(stack: Stack, call: Call): void {
  const registration = stack.ras.registration(call.peer);
  if (call.admission === undefined || registration?.gatekeeper === undefined) return;
  send(stack, registration, registration.gatekeeper, response(stack, registration, 1, [call], true));
  armReport(stack, call);
}

export function armReport(stack: Stack, call: Call): void {
  if (call.reportEvery === undefined) return;
  call.reportAlarm.set(stack.core.now + 1000 * Math.max(LEAST_SECONDS, call.reportEvery));
}

function send(
  stack: Stack,
  registration: Registration,
  remote: Address,
  message: RasMessage | undefined,
): void {
  if (message === undefined || registration.listener === undefined) return;
  sendRas(stack.core, registration.listener.name, remote, message, registration.credentials());
}

function response(
  stack: Stack,
  registration: Registration,
  requestSeqNum: number,
  calls: readonly Call[],
  unsolicited: boolean,
): RasMessage | undefined {
  const { endpointIdentifier, listener } = registration;
  const address = registration.signalAddress();
  if (endpointIdentifier === undefined || listener === undefined || address === undefined) return undefined;
  if (calls.length > MOST_CALLS) stack.core.count('report-cut', registration.gatekeeper);
  return {
    choice: 'infoRequestResponse',
    value: {
      requestSeqNum,
      endpointType: ENDPOINT_TYPE,
      endpointIdentifier,
      rasAddress: toH225(listener.advertise),
      callSignalAddress: [toH225(address)],
      endpointAlias: toAliases(registration.access.aliases),
      ...(calls.length === 0 ? {} : { perCallInfo: calls.slice(0, MOST_CALLS).map(perCall) }),
      needResponse: false,
      unsolicited,
    },
  };
}

function perCall(call: Call): PerCall {
  return {
    callReferenceValue: call.callReference,
    conferenceID: call.conferenceID,
    originator: call.outgoing,
    h245: {},
    callSignalling: { sendAddress: toH225(call.remote) },
    callType: { choice: 'pointToPoint', value: null },
    bandWidth: Math.ceil((call.admission?.bandwidth ?? 0) / 100),
    callModel: { choice: 'direct', value: null },
    callIdentifier: { guid: call.callIdentifier },
    substituteConfIDs: [],
  };
}
