/** CallProceeding (H.225.0 7.3.2). */
import type { Call } from '../call.ts';
import { mayAnswer } from '../call.ts';
import { exchangeAfterFastStart } from '../h245/capability-exchange.ts';
import { beginEarly } from '../h245/connection.ts';
import { PROCEEDING_LIMIT } from '../limits.ts';
import type { FastStartChoice } from '../media-contract.ts';
import type { Stack } from '../stack.ts';
import { answerFastStart } from './fast-start.ts';
import { answerFields, sendSignalling } from './message.ts';
import { awaitUser } from './setup.ts';

export function callProceedingReceived(stack: Stack, call: Call): void {
  if (!call.outgoing || call.state !== 'initiated') return stack.core.count('wrong-state', call.remote);
  call.state = 'proceeding';
  call.alarm.set(stack.core.now + PROCEEDING_LIMIT);
  stack.core.event({ kind: 'proceeding', call: call.ref });
  beginEarly(stack, call);
}

export function sendCallProceeding(stack: Stack, call: Call, choices?: readonly FastStartChoice[]): void {
  if (!mayAnswer(call)) return;
  answerFastStart(stack, call, choices);
  if (call.state !== 'present') return; // said already; a FastStart answer waits for the next message
  call.state = 'proceeding';
  awaitUser(stack, call);
  const answer = answerFields(call, call.peer.earlyH245);
  sendSignalling(stack, call, 'callProceeding', {
    choice: 'callProceeding',
    value: answer,
  });
  exchangeAfterFastStart(stack, call);
  beginEarly(stack, call);
}
