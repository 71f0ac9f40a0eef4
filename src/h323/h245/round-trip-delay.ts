/** Round-trip delay (H.245 C.10): answered at once; we never ask. */
import type { Call } from '../call.ts';
import type { Stack } from '../stack.ts';
import { sendResponse } from './control.ts';

export function roundTripReceived(stack: Stack, call: Call, sequenceNumber: number): void {
  sendResponse(stack, call, { choice: 'roundTripDelayResponse', value: { sequenceNumber } });
}
