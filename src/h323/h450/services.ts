/**
 * Supplementary services of H.450.1: remote operations in `h4501SupplementaryService` of any call signalling message. Taken: call
 * transfer towards us (H.450.2 callTransferInitiate), a call that comes of a transfer elsewhere (callTransferSetup) and what the far end tells of hold
 * (H.450.4). Every other operation has the answer that H.450.1 6.6 wants for what is not known: discard, clear, or reject. We invoke callTransferSetup
 * alone, where the far end itself has named the call that is to be replaced.
 */
import type { InterpretationApdu, SupplementaryService } from '../asn1/h4501-types.ts';
import { H4502 } from '../asn1/h4502.ts';
import type { CTInitiateArg, CTSetupArg } from '../asn1/h4502-types.ts';
import type { Invoke, ROS } from '../asn1/x880-types.ts';
import type { Call } from '../call.ts';
import { sendFacility } from '../h225/message.ts';
import { endCall } from '../h225/release-complete.ts';
import { decodeSupplementary, encodeSupplementary } from '../messages.ts';
import { partyOf } from '../party.ts';
import { decodePer } from '../per/decode.ts';
import { encodePer } from '../per/encode.ts';
import type { Stack } from '../stack.ts';

/** Services of one message, operations of one service, and answers of one call that are given. */
const MOST_SERVICES = 4;
const MOST_OPERATIONS = 8;
const MOST_ANSWERS = 32;

/** Local operation codes (H.450.2, H.450.4). */
const CALL_TRANSFER_IDENTIFY = 7;
const CALL_TRANSFER_ABANDON = 8;
const CALL_TRANSFER_INITIATE = 9;
const CALL_TRANSFER_SETUP = 10;
const HOLD_NOTIFIC = 101;
const RETRIEVE_NOTIFIC = 102;

/** H.450.2 CallTransferErrors. */
const ERROR = { invalidReroutingNumber: 1004, unrecognizedCallIdentity: 1005, establishmentFailure: 1006 };
/** H.450.1 GeneralErrorList. */
const NOT_AVAILABLE = 3;
const INVALID_CALL_STATE = 7;
/** Normal, unspecified: a call that should have replaced one that is not here (H.450.2 8.4). */
const NOT_TO_BE_JOINED = 31;
/** Ours: one operation is all we ever invoke in a call. */
const SETUP_INVOKE = 1;
/** X.880 InvokeProblem. */
const PROBLEM = { unrecognizedOperation: 1, mistypedArgument: 2 };

const INITIATE = H4502.type<CTInitiateArg>('CTInitiateArg');
const SETUP = H4502.type<CTSetupArg>('CTSetupArg');

export function servicesReceived(stack: Stack, call: Call, services: readonly Uint8Array[]): void {
  const { core } = stack;
  if (services.length > MOST_SERVICES) core.count('supplementary-flood', call.remote);
  for (const bytes of services.slice(0, MOST_SERVICES)) {
    const decoded = decodeSupplementary(bytes);
    if (!decoded.ok) {
      core.count('supplementary-undecodable', call.remote);
      continue;
    }
    serviceReceived(stack, call, decoded.value.message);
    if (call.state === 'ended') return;
  }
  flushServices(stack, call);
}

function serviceReceived(stack: Stack, call: Call, service: SupplementaryService): void {
  const { serviceApdu, interpretationApdu } = service;
  if (serviceApdu.choice !== 'rosApdus') return stack.core.count('supplementary-unknown', call.remote);
  if (serviceApdu.value.length > MOST_OPERATIONS) stack.core.count('supplementary-flood', call.remote);
  for (const apdu of serviceApdu.value.slice(0, MOST_OPERATIONS)) {
    if (apdu.choice !== 'invoke') answered(stack, call, apdu);
    else invoked(stack, call, apdu.value, interpretationApdu);
    if (call.state === 'ended') return;
  }
}

/** A result, error or reject. H.450.2 8.2: the far end ends the call itself where it cannot join what it was asked to. */
function answered(stack: Stack, call: Call, apdu: Exclude<ROS, { choice: 'invoke' }>): void {
  if (call.setupInvoke === undefined || Number(apdu.value.invokeId) !== call.setupInvoke)
    return stack.core.count('supplementary-stray', call.remote);
  call.setupInvoke = undefined;
  if (apdu.choice !== 'returnResult') stack.core.count('transfer-setup-refused', call.remote);
}

function invoked(
  stack: Stack,
  call: Call,
  invoke: Invoke,
  interpretation: InterpretationApdu | undefined,
): void {
  const operation = invoke.opcode.choice === 'local' ? Number(invoke.opcode.value) : undefined;
  switch (operation) {
    case CALL_TRANSFER_INITIATE:
      return transferInitiated(stack, call, invoke);
    case CALL_TRANSFER_SETUP:
      return transferSetUp(stack, call, invoke);
    case CALL_TRANSFER_IDENTIFY:
      // Two calls through this gateway would have to be joined here; the far end can connect them itself.
      stack.core.count('transfer-identify', call.remote);
      return answer(stack, call, errorOf(invoke.invokeId, NOT_AVAILABLE));
    case CALL_TRANSFER_ABANDON:
      return; // of an identity that was not given; has no answer (H.450.2 8.1)
    case HOLD_NOTIFIC:
      return stack.core.event({ kind: 'notify', call: call.ref, notification: 'hold' });
    case RETRIEVE_NOTIFIC:
      return stack.core.event({ kind: 'notify', call: call.ref, notification: 'retrieve' });
    default:
      return unrecognized(stack, call, invoke.invokeId, interpretation);
  }
}

/** H.450.1 6.6: what the sender wishes to be done; rejection where it says nothing. */
function unrecognized(
  stack: Stack,
  call: Call,
  invokeId: number,
  interpretation: InterpretationApdu | undefined,
): void {
  stack.core.count('supplementary-service', call.remote);
  switch (interpretation?.choice) {
    case 'discardAnyUnrecognizedInvokePdu':
      return;
    case 'clearCallIfAnyInvokePduNotRecognized':
      return endCall(stack, call, { by: 'protocol', cause: 29, tell: true }); // 29: facility rejected
    default:
      return reject(stack, call, invokeId, PROBLEM.unrecognizedOperation);
  }
}

/** H.450.2 8.2: the far end wants the party behind us to call somebody else. */
function transferInitiated(stack: Stack, call: Call, invoke: Invoke): void {
  const { invokeId, argument } = invoke;
  const decoded = argument === undefined ? undefined : decodePer(INITIATE, argument);
  if (decoded?.ok !== true) {
    stack.core.count('supplementary-undecodable', call.remote);
    return reject(stack, call, invokeId, PROBLEM.mistypedArgument);
  }
  const fail = (error: number, reason: string): void => {
    stack.core.count(reason, call.remote);
    answer(stack, call, errorOf(invokeId, error));
  };
  if (call.state !== 'connected' || call.transferInvoke !== undefined) {
    return fail(INVALID_CALL_STATE, 'transfer-state');
  }
  const target = partyOf(decoded.value.reroutingNumber.destinationAddress);
  if (target.number === '' && target.name === undefined) {
    return fail(ERROR.invalidReroutingNumber, 'facility-no-alias');
  }
  call.transferInvoke = invokeId;
  const { callIdentity } = decoded.value;
  // It means something to the target alone, which made it (H.450.2 8.1): not ours to read.
  const consultation = callIdentity === '' ? {} : { consultation: callIdentity };
  stack.core.event({ kind: 'transfer-asked', call: call.ref, target, ...consultation });
}

/** H.450.2 8.3: a call that comes of a transfer elsewhere. One that is to replace a call needs a name that we have given, and we give none. */
function transferSetUp(stack: Stack, call: Call, invoke: Invoke): void {
  const { invokeId, argument } = invoke;
  const decoded = argument === undefined ? undefined : decodePer(SETUP, argument);
  if (decoded?.ok !== true) {
    stack.core.count('supplementary-undecodable', call.remote);
    return reject(stack, call, invokeId, PROBLEM.mistypedArgument);
  }
  if (call.outgoing || call.state !== 'preparing')
    return answer(stack, call, errorOf(invokeId, INVALID_CALL_STATE));
  if (decoded.value.callIdentity === '')
    return answer(stack, call, { choice: 'returnResult', value: { invokeId } });
  stack.core.count('transfer-consultation', call.remote);
  answer(stack, call, errorOf(invokeId, ERROR.unrecognizedCallIdentity));
  endCall(stack, call, { by: 'protocol', cause: NOT_TO_BE_JOINED, tell: true });
}

/** The service of our Setup: the call takes the place of the one that the far end knows by this name, or is none. */
export function transferSetup(call: Call, callIdentity: string): Uint8Array {
  call.setupInvoke = SETUP_INVOKE;
  const argument = encodePer(SETUP, { callIdentity });
  const opcode = { choice: 'local', value: CALL_TRANSFER_SETUP } as const;
  return encodeSupplementary({
    interpretationApdu: { choice: 'clearCallIfAnyInvokePduNotRecognized', value: null },
    serviceApdu: {
      choice: 'rosApdus',
      value: [{ choice: 'invoke', value: { invokeId: SETUP_INVOKE, opcode, argument } }],
    },
  });
}

/** The user's answer to transfer-asked: H.450.2 has a result or an error for it, Facility callForwarded has nothing. */
export function transferAnswered(stack: Stack, call: Call, accepted: boolean): void {
  const { transferInvoke } = call;
  if (transferInvoke === undefined) return;
  call.transferInvoke = undefined;
  answer(
    stack,
    call,
    accepted
      ? { choice: 'returnResult', value: { invokeId: transferInvoke } }
      : errorOf(transferInvoke, ERROR.establishmentFailure),
  );
  flushServices(stack, call);
}

function errorOf(invokeId: number, error: number): ROS {
  return { choice: 'returnError', value: { invokeId, errorCode: { choice: 'local', value: error } } };
}

function reject(stack: Stack, call: Call, invokeId: number, problem: number): void {
  answer(stack, call, {
    choice: 'reject',
    value: { invokeId, problem: { choice: 'invoke', value: problem } },
  });
}

/** Waits for a message to ride on (h225/message.ts). Not without end: who asks on and on is not answered on and on. */
function answer(stack: Stack, call: Call, apdu: ROS): void {
  if (call.servicesAnswered >= MOST_ANSWERS) return stack.core.count('supplementary-flood', call.remote);
  call.servicesAnswered++;
  call.services.push(encodeSupplementary({ serviceApdu: { choice: 'rosApdus', value: [apdu] } }));
}

/** H.450.1 6.2: in a Facility, where no other message goes now. Before we have answered a Setup at all, that answer takes it along. */
function flushServices(stack: Stack, call: Call): void {
  if (call.services.length === 0 || call.state === 'preparing' || call.state === 'present') return;
  sendFacility(stack, call, 'transportedInformation', {}, 'h450');
}
