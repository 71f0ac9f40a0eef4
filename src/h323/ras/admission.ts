/** Admission and disengage (H.323 8.1.2 ff., 8.5): the gatekeeper's consent to a call, and telling it of the end. */
import { fromH225, toH225 } from '../addresses.ts';
import type { AdmissionConfirm, RasMessage } from '../asn1/h225-types.ts';
import type { Call } from '../call.ts';
import { causeOfRasReason, reasonOfCause } from '../causes.ts';
import type { H323Event } from '../contract.ts';
import { endCall } from '../h225/release-complete.ts';
import { connectCall } from '../h225/setup.ts';
import { aliasesOf, toAliases } from '../party.ts';
import type { Stack } from '../stack.ts';
import type { Answer } from './exchange.ts';
import type { Registration } from './registration.ts';

/** bit/s both ways of a call whose need is not told: G.711. */
const USUAL_BANDWIDTH = 128_000;

type Incoming = Extract<H323Event, { kind: 'incoming' }>;

function ready(stack: Stack, call: Call): Registration | undefined {
  const registration = stack.ras.registration(call.peer);
  if (registration?.state === 'registered' && registration.endpointIdentifier !== undefined)
    return registration;
  stack.core.count('not-registered', call.remote);
  endCall(stack, call, { by: 'gatekeeper', cause: 38, reason: 'unreachableGatekeeper', tell: true });
  return undefined;
}

function request(
  call: Call,
  registration: Registration,
  requestSeqNum: number,
  more: Pick<
    Extract<RasMessage, { choice: 'admissionRequest' }>['value'],
    'destinationInfo' | 'srcInfo' | 'srcCallSignalAddress' | 'destCallSignalAddress'
  >,
): RasMessage {
  const { gatekeeperIdentifier, endpointIdentifier } = registration;
  return {
    choice: 'admissionRequest',
    value: {
      requestSeqNum,
      callType: { choice: 'pointToPoint', value: null },
      callModel: { choice: 'direct', value: null },
      endpointIdentifier: endpointIdentifier!,
      ...more,
      bandWidth: Math.ceil(bandwidthOf(call) / 100),
      callReferenceValue: call.callReference,
      conferenceID: call.conferenceID,
      activeMC: false,
      answerCall: !call.outgoing,
      canMapAlias: true,
      callIdentifier: { guid: call.callIdentifier },
      ...(gatekeeperIdentifier === undefined ? {} : { gatekeeperIdentifier }),
      willSupplyUUIEs: false,
    },
  };
}

function bandwidthOf(call: Call): number {
  const wanted = call.setup?.bandwidth ?? USUAL_BANDWIDTH;
  return Math.max(100, Math.min(1_000_000_000, Math.floor(wanted)));
}

/** Outgoing: the AdmissionConfirm says where the Setup goes (direct model, or the gatekeeper itself). */
export function askAdmission(stack: Stack, call: Call): void {
  const registration = ready(stack, call);
  const command = call.setup;
  if (registration === undefined || command === undefined) return;
  const address = registration.signalAddress();
  const own = [...aliasesOf(command.caller), ...toAliases(registration.access.aliases)];
  registration.request(
    (requestSeqNum) =>
      request(call, registration, requestSeqNum, {
        destinationInfo: aliasesOf(command.callee),
        srcInfo: own,
        ...(address === undefined ? {} : { srcCallSignalAddress: toH225(address) }),
      }),
    (answer) => {
      if (!granted(stack, call, registration, answer)) return;
      const to = fromH225(answer.value.destCallSignalAddress);
      if (to === undefined || !stack.core.options.decisions.acceptSignallingAddress(call.peer.name, to)) {
        stack.core.count('signalling-address', to ?? registration.gatekeeper);
        return endCall(stack, call, { by: 'gatekeeper', cause: 3, tell: false });
      }
      call.remote = to;
      connectCall(stack, call);
    },
  );
}

/** Incoming: the caller waits until our gatekeeper agrees. */
export function askIncomingAdmission(stack: Stack, call: Call, event: Incoming, admitted: () => void): void {
  const registration = ready(stack, call);
  if (registration === undefined) return;
  const address = registration.signalAddress();
  registration.request(
    (requestSeqNum) =>
      request(call, registration, requestSeqNum, {
        destinationInfo: aliasesOf(event.callee),
        srcInfo: aliasesOf(event.caller),
        srcCallSignalAddress: toH225(call.remote),
        ...(address === undefined ? {} : { destCallSignalAddress: toH225(address) }),
      }),
    (answer) => {
      if (granted(stack, call, registration, answer)) admitted();
    },
  );
}

/** Takes an AdmissionConfirm into the call; everything else ends it. */
function granted(
  stack: Stack,
  call: Call,
  registration: Registration,
  answer: Answer | undefined,
): answer is { choice: 'admissionConfirm'; value: AdmissionConfirm } {
  const confirmed = answer?.choice === 'admissionConfirm';
  if (confirmed) {
    call.admission = { bandwidth: answer.value.bandWidth * 100 };
    call.reportEvery = answer.value.irrFrequency;
  }
  if (call.state !== 'preparing') {
    // The call ended while the gatekeeper thought.
    if (confirmed) disengage(stack, call, 16);
    return false;
  }
  if (confirmed) return true;
  if (answer?.choice !== 'admissionReject') {
    stack.core.count('admission-timeout', registration.gatekeeper);
    endCall(stack, call, { by: 'gatekeeper', cause: 38, reason: 'unreachableGatekeeper', tell: true });
    return false;
  }
  const reason = answer.value.rejectReason.choice;
  endCall(stack, call, { by: 'gatekeeper', cause: causeOfRasReason(reason), reason, tell: true });
  if (reason === 'callerNotRegistered' || reason === 'invalidEndpointIdentifier') registration.lost(reason);
  return false;
}

/** Once per granted admission; nothing hangs on the answer. */
export function disengage(stack: Stack, call: Call, cause: number): void {
  call.admission = undefined;
  const registration = stack.ras.registration(call.peer);
  if (registration?.endpointIdentifier === undefined) return;
  const { endpointIdentifier, gatekeeperIdentifier } = registration;
  registration.request(
    (requestSeqNum) => ({
      choice: 'disengageRequest',
      value: {
        requestSeqNum,
        endpointIdentifier,
        conferenceID: call.conferenceID,
        callReferenceValue: call.callReference,
        disengageReason: { choice: 'normalDrop', value: null },
        callIdentifier: { guid: call.callIdentifier },
        ...(gatekeeperIdentifier === undefined ? {} : { gatekeeperIdentifier }),
        answeredCall: !call.outgoing,
        terminationCause: { choice: 'releaseCompleteReason', value: reasonOfCause(cause) },
      },
    }),
    () => undefined,
  );
}
