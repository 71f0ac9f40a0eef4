/** RequestMode (H.245 C.9): one side asks the other to send something else; the way to T.38. */
import type { RequestMode } from '../asn1/h245-types.ts';
import type { Call } from '../call.ts';
import type { H323Capability } from '../media-contract.ts';
import { capabilityOfMode, modeOf } from '../mode.ts';
import type { Stack } from '../stack.ts';
import { sendRequest, sendResponse } from './control.ts';
import { armMode } from './due.ts';
import { controlUp } from './state.ts';

export function requestMode(stack: Stack, call: Call, capability: H323Capability): void {
  const { control } = call;
  if (!controlUp(control) || !control.ready) {
    return stack.core.event({ kind: 'mode-answered', call: call.ref, accepted: false });
  }
  control.modeSequence = (control.modeSequence + 1) % 256;
  control.modeWaiting = true;
  armMode(stack, call);
  sendRequest(stack, call, {
    choice: 'requestMode',
    value: {
      sequenceNumber: control.modeSequence,
      requestedModes: [[{ type: modeOf(capability) }]],
    },
  });
}

export function modeAnswered(stack: Stack, call: Call, sequenceNumber: number, accepted: boolean): void {
  const { control } = call;
  if (!control.modeWaiting || sequenceNumber !== control.modeSequence) return;
  control.modeWaiting = false;
  armMode(stack, call);
  stack.core.event({ kind: 'mode-answered', call: call.ref, accepted });
}

/** The first mode of the far end's list that has one element we know; a newer request takes the place of an older one. */
export function modeAsked(stack: Stack, call: Call, asked: RequestMode): void {
  const { control } = call;
  control.modeAsked = asked.sequenceNumber;
  for (const mode of asked.requestedModes.slice(0, 16)) {
    const [element] = mode;
    const capability =
      mode.length === 1 && element !== undefined ? capabilityOfMode(element.type) : undefined;
    if (capability === undefined) continue;
    armMode(stack, call);
    return stack.core.event({ kind: 'mode-asked', call: call.ref, capability });
  }
  stack.core.count('mode-unknown', call.remote);
  refuseMode(stack, call);
}

export function answerMode(stack: Stack, call: Call, accepted: boolean): void {
  const { control } = call;
  const { modeAsked: sequenceNumber } = control;
  if (sequenceNumber === undefined) return;
  if (!accepted) return refuseMode(stack, call);
  control.modeAsked = undefined;
  armMode(stack, call);
  sendResponse(stack, call, {
    choice: 'requestModeAck',
    value: { sequenceNumber, response: { choice: 'willTransmitMostPreferredMode', value: null } },
  });
}

export function refuseMode(stack: Stack, call: Call): void {
  const { control } = call;
  const { modeAsked: sequenceNumber } = control;
  if (sequenceNumber === undefined) return;
  control.modeAsked = undefined;
  armMode(stack, call);
  sendResponse(stack, call, {
    choice: 'requestModeReject',
    value: { sequenceNumber, cause: { choice: 'modeUnavailable', value: null } },
  });
}
