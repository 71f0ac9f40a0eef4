/** Call signalling as received: decodes, finds the call, and hands the message to its operation. Refusals are here. */

import { sameBytes } from '../bytes/equal.ts';
import type { AlertingUUIE, H323UserInformation, SetupUUIE } from './asn1/h225-types.ts';
import type { Call } from './call.ts';
import type { Connection, ConnectionUser } from './connections.ts';
import { alertingReceived } from './h225/alerting.ts';
import { callProceedingReceived } from './h225/call-proceeding.ts';
import { connectReceived } from './h225/connect.ts';
import { facilityReceived } from './h225/facility.ts';
import { fastStartAnswered, refuseFastStart } from './h225/fast-start.ts';
import { informationReceived } from './h225/information.ts';
import { lineOf } from './h225/message.ts';
import { notifyReceived } from './h225/notify.ts';
import { progressReceived } from './h225/progress.ts';
import { endCall, refuseWithoutCall, releaseCompleteReceived } from './h225/release-complete.ts';
import { setupReceived, tryNextAddress } from './h225/setup.ts';
import { statusInquiryReceived, statusReceived, statusWithoutCall } from './h225/status.ts';
import { controlAddressTold, tunnelAgreed, tunnelReceived, tunnelRefused } from './h245/connection.ts';
import { servicesReceived } from './h450/services.ts';
import type { Signalling } from './messages.ts';
import { decodeSignalling, messageErrorText } from './messages.ts';
import type { H323Peer } from './peer-contract.ts';
import type { Q931Type } from './q931.ts';
import { decodeQ931 } from './q931-decode.ts';
import type { Stack } from './stack.ts';

/** Undecodable messages on one connection before it is closed. */
const MOST_FAULTS = 5;

type Body = H323UserInformation['h323UuPdu']['h323MessageBody'];

/** Whose a signalling connection is. `undefined` where we dialled it: it bears our calls only. */
export interface Source {
  readonly peer: H323Peer;
  readonly account?: string;
}

export class SignallingUser implements ConnectionUser {
  readonly #stack: () => Stack;
  readonly #source: Source | undefined;
  #faults = 0;

  constructor(stack: () => Stack, source: Source | undefined) {
    this.#stack = stack;
    this.#source = source;
  }

  opened(): void {
    // what waited for the connection goes out by itself
  }

  lost(connection: Connection, reason: string): void {
    const stack = this.#stack();
    for (const call of stack.calls.onConnection(connection)) {
      const never = call.outgoing && call.state === 'initiated' && !connection.heard;
      if ((never || !connection.open) && tryNextAddress(stack, call)) continue;
      endCall(stack, call, {
        by: reason === 'connect-timeout' ? 'timeout' : 'transport',
        cause: connection.open ? 41 : 27, // 27: destination out of order
        tell: false,
      });
    }
  }

  received(connection: Connection, payload: Uint8Array): void {
    const stack = this.#stack();
    const decoded = decodeSignalling(payload);
    if (!decoded.ok) {
      const { layer, reason } = decoded.error;
      stack.core.trace('in', 'tcp', connection.remote, `(undecodable: ${messageErrorText(decoded.error)})`);
      stack.core.count(`signalling-${layer}-${reason}`, connection.remote);
      this.#undecodable(stack, connection, payload);
      // The far end may still be heard out: the connection is closed only after the answer.
      if (++this.#faults >= MOST_FAULTS) {
        this.lost(connection, 'protocol');
        stack.connections.close(connection, 'protocol');
      }
      return;
    }
    this.#route(stack, connection, decoded.value);
  }

  /** Q.931 5.8.6.2: the frame is well, what is in it is not. A release is one all the same; a Setup is refused. */
  #undecodable(stack: Stack, connection: Connection, payload: Uint8Array): void {
    const frame = decodeQ931(payload);
    if (!frame.ok) return;
    const { type, callReference, fromDestination, cause } = frame.value;
    const call = stack.calls.find(connection, fromDestination, callReference);
    if (call !== undefined) {
      if (type === 'releaseComplete') return releaseCompleteReceived(stack, call, cause, undefined);
      // An answer that cannot be read leaves the call in the dark.
      if (ANSWERS.has(type)) endCall(stack, call, { by: 'protocol', cause: 111, tell: true });
    } else if (type === 'setup' && !fromDestination && callReference !== 0) {
      refuseWithoutCall(stack, connection, callReference, 111);
    }
  }

  #route(stack: Stack, connection: Connection, signalling: Signalling): void {
    const { core, calls } = stack;
    const { q931, uuie } = signalling;
    const { type, callReference, fromDestination } = q931;
    const call = calls.find(connection, fromDestination, callReference);
    const body = uuie?.h323UuPdu.h323MessageBody;
    const tunnelled = uuie?.h323UuPdu.h245Control?.length ?? 0;
    const line = lineOf(type, noteOf(signalling, body), tunnelled);
    // A Setup is shown with the call it becomes (setupReceived), where it becomes one.
    const begins = call === undefined && callReference !== 0 && this.#begins(type, fromDestination, body);
    if (!begins) core.trace('in', 'tcp', connection.remote, line, call?.ref);
    if (signalling.unknown > 0) core.count('unknown-extension', connection.remote);
    if (uuie !== undefined) this.#countForeign(stack, connection, uuie);
    if (callReference === 0) return core.count('global-call-reference', connection.remote);
    if (call === undefined) return this.#withoutCall(stack, connection, signalling, body, line);
    if (type === 'setup') return core.count('setup-repeated', connection.remote); // Q.931 5.8.3.2 c
    if (body !== undefined && !fits(type, body)) return core.count('contradiction', connection.remote);
    if (!sameCall(call, body)) return core.count('call-identifier', connection.remote);
    receive(stack, call, signalling, body);
  }

  /** Whether `setupReceived` has a say in it. */
  #begins(type: Q931Type, fromDestination: boolean, body: Body | undefined): boolean {
    return type === 'setup' && !fromDestination && body?.choice === 'setup' && this.#source !== undefined;
  }

  #withoutCall(
    stack: Stack,
    connection: Connection,
    signalling: Signalling,
    body: Body | undefined,
    line: string,
  ): void {
    const { type, callReference, fromDestination } = signalling.q931;
    if (type === 'setup' && !fromDestination) {
      if (body?.choice === 'setup' && this.#source !== undefined) {
        return setupReceived(stack, connection, this.#source, signalling, body.value, line);
      }
      stack.core.count(body === undefined ? 'no-user-user' : 'setup-contradiction', connection.remote);
      // Q.931 5.8.6.1: mandatory element missing; else protocol error, or a connection we made for our calls.
      const cause = body === undefined ? 96 : body.choice === 'setup' ? 47 : 111;
      return refuseWithoutCall(stack, connection, callReference, cause);
    }
    if (type === 'statusInquiry') return statusWithoutCall(stack, connection, signalling);
    if (ANSWERS.has(type)) {
      // Q.931 5.8.3.2 a: cause 81, invalid call reference value. Others cross a release that is on its way: silence.
      stack.core.count('no-call', connection.remote);
      if (fromDestination) stack.core.count('answer-without-call', connection.remote);
    } else if (type !== 'releaseComplete') stack.core.count('no-call', connection.remote);
  }

  /** What no message of ours ever repeats. */
  #countForeign(stack: Stack, connection: Connection, uuie: H323UserInformation): void {
    const { core } = stack;
    const pdu = uuie.h323UuPdu;
    if (uuie.userData !== undefined) core.count('user-data', connection.remote);
    if (pdu.nonStandardData !== undefined || pdu.nonStandardControl !== undefined) {
      core.count('non-standard', connection.remote);
    }
    if (pdu.genericData !== undefined) core.count('generic-data', connection.remote);
    if (pdu.tunnelledSignallingMessage !== undefined || pdu.stimulusControl !== undefined) {
      core.count('tunnelled-signalling', connection.remote);
    }
  }
}

const ANSWERS: ReadonlySet<Q931Type> = new Set([
  'callProceeding',
  'alerting',
  'progress',
  'connect',
  'setupAcknowledge',
]);

/** Messages whose h245Tunnelling is believed; some peers leave it FALSE in the others. */
const SAYS_TUNNELLING: ReadonlySet<Q931Type> = new Set([
  'callProceeding',
  'alerting',
  'progress',
  'connect',
  'facility',
]);

/** The UUIE of a message is that of its Q.931 type; a Facility may bear `empty` (H.225.0 7.4.6 note). */
function fits(type: Q931Type, body: Body): boolean {
  if (body.choice === 'unknown') return false;
  return body.choice === type || (type === 'facility' && body.choice === 'empty');
}

/** Only what the far end said of this very call, where it names a call at all. */
function sameCall(call: Call, body: Body | undefined): boolean {
  if (body === undefined || body.choice === 'empty' || body.choice === 'unknown') return true;
  const guid = body.value.callIdentifier?.guid;
  return guid === undefined || guid.every((octet) => octet === 0) || sameBytes(guid, call.callIdentifier);
}

function noteOf(signalling: Signalling, body: Body | undefined): string {
  const { cause } = signalling.q931;
  if (cause !== undefined) return `cause=${cause.value}`;
  if (body?.choice === 'facility') return body.value.reason.choice;
  const items = fastStartOf(body)?.length ?? 0;
  return items > 0 ? `fastStart(${items})` : '';
}

function fastStartOf(body: Body | undefined): readonly Uint8Array[] | undefined {
  if (body === undefined || body.value === null || !('fastStart' in body.value)) return undefined;
  return (body.value as Pick<SetupUUIE, 'fastStart'>).fastStart;
}

/** What many messages may bear, in an order that lets the user see channels before the event, and H.245 after it. */
function receive(stack: Stack, call: Call, signalling: Signalling, body: Body | undefined): void {
  if (signalling.q931.type === 'releaseComplete') {
    const reason = body?.choice === 'releaseComplete' ? body.value.reason : undefined;
    return releaseCompleteReceived(stack, call, signalling.q931.cause, reason);
  }
  const pdu = signalling.uuie?.h323UuPdu;
  if (pdu !== undefined && SAYS_TUNNELLING.has(signalling.q931.type)) {
    // H.225.0 7.6: a provisional answer (a gatekeeper's CallProceeding) says nothing about the far end.
    const provisional = pdu.provisionalRespToH245Tunnelling === null && pdu.h245Tunnelling !== true;
    if (!provisional) negotiateTunnelling(stack, call, pdu.h245Tunnelling === true);
  }
  const answer = fastStartOf(body);
  if (answer !== undefined) fastStartAnswered(stack, call, answer);
  const fields = body?.value as Partial<AlertingUUIE> | null | undefined;
  if (fields?.fastConnectRefused === null && call.outgoing) refuseFastStart(stack, call);
  if (fields?.h245Address !== undefined) controlAddressTold(stack, call, fields.h245Address);
  dispatch(stack, call, signalling, body);
  if (call.state !== 'ended' && pdu?.h4501SupplementaryService !== undefined) {
    servicesReceived(stack, call, pdu.h4501SupplementaryService);
  }
  if (call.state !== 'ended' && pdu?.h245Control !== undefined) tunnelReceived(stack, call, pdu.h245Control);
}

/** H.323 8.2.1: tunnelling stands where both say so in every message; once off it stays off. */
function negotiateTunnelling(stack: Stack, call: Call, theirs: boolean): void {
  if (call.tunnelling === 'offered' && theirs) tunnelAgreed(stack, call);
  else if (call.tunnelling !== 'off' && !theirs) tunnelRefused(stack, call);
}

function dispatch(stack: Stack, call: Call, signalling: Signalling, body: Body | undefined): void {
  const { q931 } = signalling;
  switch (q931.type) {
    case 'callProceeding':
      return callProceedingReceived(stack, call);
    case 'alerting':
      return alertingReceived(stack, call, q931);
    case 'progress':
      return progressReceived(stack, call, q931);
    case 'connect':
      return connectReceived(stack, call, q931, body?.choice === 'connect' ? body.value : undefined);
    case 'facility':
      return facilityReceived(stack, call, body?.choice === 'facility' ? body.value : undefined);
    case 'information':
      return informationReceived(stack, call, q931);
    case 'notify':
      return notifyReceived(stack, call, q931);
    case 'statusInquiry':
      return statusInquiryReceived(stack, call);
    case 'status':
      return statusReceived(stack, call, q931);
    case 'setupAcknowledge':
      // We never overlap-send (canOverlapSend FALSE): the whole number was in the Setup.
      return endCall(stack, call, { by: 'protocol', cause: 28, tell: true });
    default:
      return stack.core.count('unexpected-message', call.remote);
  }
}
