/** StatusInquiry and Status (Q.931 5.8.10, 5.8.11). */
import type { Call } from '../call.ts';
import type { Connection } from '../connections.ts';
import { H225_PROTOCOL } from '../identity.ts';
import type { Signalling } from '../messages.ts';
import { encodeSignalling } from '../messages.ts';
import type { Q931Message } from '../q931.ts';
import type { Stack } from '../stack.ts';
import { common, sendSignalling } from './message.ts';
import { endCall } from './release-complete.ts';

/** Cause 30: response to STATUS ENQUIRY. */
const RESPONSE = { value: 30, location: 0 };

/** Call state values of Q.931 4.5.7. */
function stateValue(call: Call): number {
  if (call.state === 'connected') return 10;
  if (call.outgoing) return { initiated: 1, proceeding: 3, alerting: 4 }[call.state as 'initiated'] ?? 0;
  return { present: 6, proceeding: 9, alerting: 7 }[call.state as 'present'] ?? 6;
}

export function statusInquiryReceived(stack: Stack, call: Call): void {
  sendSignalling(
    stack,
    call,
    'status',
    { choice: 'status', value: common(call) },
    { cause: RESPONSE, callState: stateValue(call) },
  );
}

/** Q.931 5.8.10: no such call here: state null. */
export function statusWithoutCall(stack: Stack, connection: Connection, signalling: Signalling): void {
  const body = signalling.uuie?.h323UuPdu.h323MessageBody;
  const guid = body?.choice === 'statusInquiry' ? body.value.callIdentifier.guid : new Uint8Array(16);
  const bytes = encodeSignalling(
    {
      type: 'status',
      callReference: signalling.q931.callReference,
      fromDestination: !signalling.q931.fromDestination,
      cause: RESPONSE,
      callState: 0,
    },
    {
      h323UuPdu: {
        h323MessageBody: {
          choice: 'status',
          value: { protocolIdentifier: H225_PROTOCOL, callIdentifier: { guid } },
        },
        h245Tunnelling: false,
      },
    },
  );
  stack.core.trace('out', 'tcp', connection.remote, 'Status');
  stack.connections.send(connection, bytes);
}

/** Q.931 5.8.11: the far end knows nothing of the call: it is over. Other differences are borne. */
export function statusReceived(stack: Stack, call: Call, q931: Q931Message): void {
  if (q931.callState === 0) {
    return endCall(stack, call, { by: 'protocol', cause: q931.cause?.value ?? 101, tell: false });
  }
  if (q931.cause !== undefined && q931.cause.value !== RESPONSE.value) {
    stack.core.count('status-cause', call.remote, String(q931.cause.value));
  }
}
