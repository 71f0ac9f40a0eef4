/** One H.245 session: sends, receives, and hands each message to its procedure. */
import type {
  CommandMessage,
  IndicationMessage,
  MultimediaSystemControlMessage,
  RequestMessage,
  ResponseMessage,
} from '../asn1/h245-types.ts';
import type { Call } from '../call.ts';
import { CONTROL_LIMIT } from '../limits.ts';
import { decodeH245, encodeH245, messageErrorText } from '../messages.ts';
import type { Stack } from '../stack.ts';
import {
  capabilitySetAcknowledged,
  capabilitySetReceived,
  sendCapabilitySet,
} from './capability-exchange.ts';
import { endSessionReceived } from './end-session.ts';
import { flowControlReceived, miscellaneousReceived } from './flow-control.ts';
import {
  channelAcknowledged,
  channelAsked,
  channelCloseAsked,
  channelClosed,
  channelRejected,
} from './logical-channel.ts';
import {
  beginDetermination,
  determinationAcknowledged,
  determinationReceived,
  determinationRejected,
} from './master-slave.ts';
import { modeAnswered, modeAsked } from './request-mode.ts';
import { roundTripReceived } from './round-trip-delay.ts';
import { userInputReceived } from './user-input.ts';

/** functionNotSupported sent in one call. */
const MOST_COMPLAINTS = 8;

/** H.245 can be sent now: both procedures begin (H.323 8.2). Capabilities wait for the user where it has not told them. */
export function startControl(stack: Stack, call: Call): void {
  const { control } = call;
  control.alarm.set(call.state === 'connected' ? stack.core.now + CONTROL_LIMIT : undefined);
  sendCapabilitySet(stack, call);
  beginDetermination(stack, call);
}

export function sendControl(stack: Stack, call: Call, message: MultimediaSystemControlMessage): void {
  const { control } = call;
  const bytes = encodeH245(message);
  if (control.transport === 'separate' && control.connection !== undefined) {
    stack.core.trace('out', 'tcp', control.connection.remote, lineOf(message), call.ref);
    return stack.connections.send(control.connection, bytes);
  }
  if (control.transport !== 'tunnel') return;
  stack.core.trace('out', 'tcp', call.remote, lineOf(message), call.ref);
  control.outbox.push(bytes);
  stack.dirty.add(call);
}

export function sendRequest(stack: Stack, call: Call, value: RequestMessage): void {
  sendControl(stack, call, { choice: 'request', value });
}

export function sendResponse(stack: Stack, call: Call, value: ResponseMessage): void {
  sendControl(stack, call, { choice: 'response', value });
}

/** `H.245 openLogicalChannel`. */
function lineOf(message: MultimediaSystemControlMessage): string {
  if (message.choice === 'unknown') return 'H.245 (unknown)';
  return `H.245 ${message.value.choice}`;
}

/** False: it was none. */
export function controlReceived(stack: Stack, call: Call, bytes: Uint8Array): boolean {
  const { core } = stack;
  const remote = call.control.connection?.remote ?? call.remote;
  const decoded = decodeH245(bytes);
  if (!decoded.ok) {
    core.count(`h245-${decoded.error.reason}`, remote);
    core.trace('in', 'tcp', remote, `H.245 (undecodable: ${messageErrorText(decoded.error)})`, call.ref);
    notSupported(stack, call, 'syntaxError');
    return false;
  }
  const { message, unknown } = decoded.value;
  core.trace('in', 'tcp', remote, lineOf(message), call.ref);
  if (unknown > 0) core.count('unknown-extension', remote);
  switch (message.choice) {
    case 'request':
      requestReceived(stack, call, message.value);
      break;
    case 'response':
      responseReceived(stack, call, message.value);
      break;
    case 'command':
      commandReceived(stack, call, message.value);
      break;
    case 'indication':
      indicationReceived(stack, call, message.value);
      break;
    default:
      core.count('h245-unknown', remote);
      notSupported(stack, call, 'unknownFunction');
  }
  return true;
}

/** H.245 B.14.11; not without end, so that two sides that do not understand each other come to rest. */
function notSupported(stack: Stack, call: Call, cause: 'syntaxError' | 'unknownFunction'): void {
  if (call.control.complaints++ >= MOST_COMPLAINTS) return;
  sendControl(stack, call, {
    choice: 'indication',
    value: { choice: 'functionNotSupported', value: { cause: { choice: cause, value: null } } },
  });
}

function requestReceived(stack: Stack, call: Call, request: RequestMessage): void {
  switch (request.choice) {
    case 'masterSlaveDetermination':
      return determinationReceived(stack, call, request.value);
    case 'terminalCapabilitySet':
      return capabilitySetReceived(stack, call, request.value);
    case 'openLogicalChannel':
      return channelAsked(stack, call, request.value);
    case 'closeLogicalChannel':
      return channelClosed(stack, call, request.value.forwardLogicalChannelNumber);
    case 'requestChannelClose':
      return channelCloseAsked(stack, call, request.value.forwardLogicalChannelNumber);
    case 'requestMode':
      return modeAsked(stack, call, request.value);
    case 'roundTripDelayRequest':
      return roundTripReceived(stack, call, request.value.sequenceNumber);
    default:
      stack.core.count(request.choice === 'nonStandard' ? 'non-standard' : 'h245-unknown', call.remote);
      return notSupported(stack, call, 'unknownFunction');
  }
}

function responseReceived(stack: Stack, call: Call, response: ResponseMessage): void {
  switch (response.choice) {
    case 'masterSlaveDeterminationAck':
      return determinationAcknowledged(stack, call, response.value.decision);
    case 'masterSlaveDeterminationReject':
      return determinationRejected(stack, call);
    case 'terminalCapabilitySetAck':
      return capabilitySetAcknowledged(stack, call, response.value.sequenceNumber, true);
    case 'terminalCapabilitySetReject':
      return capabilitySetAcknowledged(stack, call, response.value.sequenceNumber, false);
    case 'openLogicalChannelAck':
      return channelAcknowledged(stack, call, response.value);
    case 'openLogicalChannelReject':
      return channelRejected(stack, call, response.value);
    case 'requestModeAck':
      return modeAnswered(stack, call, response.value.sequenceNumber, true);
    case 'requestModeReject':
      return modeAnswered(stack, call, response.value.sequenceNumber, false);
    case 'closeLogicalChannelAck':
    case 'requestChannelCloseAck':
    case 'requestChannelCloseReject':
    case 'roundTripDelayResponse':
      return; // nothing waits for them
    default:
      return stack.core.count(
        response.choice === 'nonStandard' ? 'non-standard' : 'h245-unknown',
        call.remote,
      );
  }
}

function commandReceived(stack: Stack, call: Call, command: CommandMessage): void {
  switch (command.choice) {
    case 'endSessionCommand':
      return endSessionReceived(stack, call);
    case 'sendTerminalCapabilitySet':
      if (call.control.local !== undefined) sendCapabilitySet(stack, call);
      return;
    case 'flowControlCommand':
      return flowControlReceived(stack, call, command.value);
    case 'miscellaneousCommand':
      return miscellaneousReceived(stack, call, command.value);
    default:
      return stack.core.count(
        command.choice === 'nonStandard' ? 'non-standard' : 'h245-unknown',
        call.remote,
      );
  }
}

function indicationReceived(stack: Stack, call: Call, indication: IndicationMessage): void {
  switch (indication.choice) {
    case 'userInput':
      return userInputReceived(stack, call, indication.value);
    case 'nonStandard':
    case 'vendorIdentification':
      return stack.core.count('non-standard', call.remote);
    case 'functionNotUnderstood':
    case 'functionNotSupported':
      return stack.core.count('function-not-supported', call.remote);
    case 'unknown':
      return stack.core.count('h245-unknown', call.remote);
    default:
      return; // jitter, skew, releases of requests that gave up: told only
  }
}
