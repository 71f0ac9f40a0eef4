/** Information (H.225.0 7.3.5): digits of a keypad. Overlap sending is refused by never asking for it. */
import type { Call } from '../call.ts';
import { digitsReceived } from '../h245/user-input.ts';
import type { Q931Message } from '../q931.ts';
import type { Stack } from '../stack.ts';
import { common, sendSignalling } from './message.ts';

export function informationReceived(stack: Stack, call: Call, q931: Q931Message): void {
  // Before an answer a called number would come this way: we had it whole in the Setup.
  if (call.state !== 'connected') return stack.core.count('overlap-receiving', call.remote);
  if (q931.keypad !== undefined) digitsReceived(stack, call, q931.keypad);
}

export function sendKeypad(stack: Stack, call: Call, digit: string): void {
  sendSignalling(
    stack,
    call,
    'information',
    { choice: 'information', value: common(call) },
    { keypad: digit },
    'keypad',
  );
}
