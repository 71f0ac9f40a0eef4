/** Notify (Q.931 3.1.6, Q.932 notification descriptions). Told to the user, nothing follows from it here. */
import type { Call } from '../call.ts';
import type { Q931Message } from '../q931.ts';
import type { Stack } from '../stack.ts';

export function notifyReceived(stack: Stack, call: Call, q931: Q931Message): void {
  if (q931.notification === undefined) return;
  stack.core.event({ kind: 'notify', call: call.ref, notification: meaning(q931.notification) });
}

function meaning(description: number): 'hold' | 'retrieve' | 'other' {
  // Q.931 4.5.22 user suspended/resumed; Q.953 remote hold/retrieval.
  if (description === 0x00 || description === 0x79) return 'hold';
  if (description === 0x01 || description === 0x7a) return 'retrieve';
  return 'other';
}
