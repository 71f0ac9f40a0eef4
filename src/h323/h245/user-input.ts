/** UserInputIndication (H.245 B.14.6): DTMF as signalling. */
import type { UserInputIndication } from '../asn1/h245-types.ts';
import type { Call } from '../call.ts';
import type { H323Command } from '../contract.ts';
import { sendKeypad } from '../h225/information.ts';
import type { Stack } from '../stack.ts';
import { sendControl } from './control.ts';
import { controlUp } from './state.ts';

const DIGIT = /^[0-9*#A-D!]$/;
/** Where nothing says how long a key was pressed, milliseconds. */
const USUAL_DURATION = 200;
/** Digits of one message that are taken. */
const MOST_DIGITS = 32;

export function userInputReceived(stack: Stack, call: Call, input: UserInputIndication): void {
  switch (input.choice) {
    case 'alphanumeric':
      return digitsReceived(stack, call, input.value);
    case 'extendedAlphanumeric':
      return digitsReceived(stack, call, input.value.alphanumeric);
    case 'signal': {
      const { signalType, duration, rtpPayloadIndication } = input.value;
      // The same digit comes in the media: taken from there.
      if (rtpPayloadIndication !== undefined) return;
      return digit(stack, call, signalType, duration ?? USUAL_DURATION);
    }
    case 'signalUpdate':
    case 'userInputSupportIndication':
      return; // the digit was taken with `signal`; its length is not corrected afterwards
    default:
      return stack.core.count('user-input-unknown', call.remote);
  }
}

export function digitsReceived(stack: Stack, call: Call, digits: string): void {
  if (digits.length > MOST_DIGITS) stack.core.count('user-input-long', call.remote);
  for (const one of digits.slice(0, MOST_DIGITS)) digit(stack, call, one.toUpperCase(), USUAL_DURATION);
}

function digit(stack: Stack, call: Call, value: string, duration: number): void {
  if (!DIGIT.test(value)) return stack.core.count('user-input-digit', call.remote);
  stack.core.event({
    kind: 'user-input',
    call: call.ref,
    digit: value,
    durationMs: Math.max(40, Math.min(8000, duration)),
  });
}

/**
 * `signal` where the far end takes it, else `alphanumeric` (which every H.323 terminal takes, H.323 6.2.8.2), else a keypad
 * element where there is no H.245.
 */
export function sendUserInput(
  stack: Stack,
  call: Call,
  command: Extract<H323Command, { kind: 'user-input' }>,
): void {
  const { digit: value, durationMs } = command;
  if (!DIGIT.test(value) || call.state === 'preparing') return;
  const { control } = call;
  if (!controlUp(control)) return sendKeypad(stack, call, value);
  const signal = control.remote?.userInput.signal === true;
  const duration = Math.max(1, Math.min(65_535, Math.round(durationMs)));
  sendControl(stack, call, {
    choice: 'indication',
    value: {
      choice: 'userInput',
      value: signal
        ? { choice: 'signal', value: { signalType: value, duration } }
        : { choice: 'alphanumeric', value },
    },
  });
}
