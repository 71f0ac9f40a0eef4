/** Progress (H.225.0 7.3.7): tones or announcements before an answer. */
import type { Call } from '../call.ts';
import { mayAnswer } from '../call.ts';
import { sendableCause } from '../causes.ts';
import type { H323Command } from '../contract.ts';
import { exchangeAfterFastStart } from '../h245/capability-exchange.ts';
import { beginEarly } from '../h245/connection.ts';
import { PROCEEDING_LIMIT } from '../limits.ts';
import type { Q931Message } from '../q931.ts';
import type { Stack } from '../stack.ts';
import { IN_BAND, inBand } from './alerting.ts';
import { answerFastStart } from './fast-start.ts';
import { answerFields, fastStartNote, sendSignalling } from './message.ts';
import { awaitUser } from './setup.ts';

export function progressReceived(stack: Stack, call: Call, q931: Q931Message): void {
  const { core } = stack;
  if (!call.outgoing) return core.count('wrong-state', call.remote);
  if (call.state === 'connected') return; // Q.931 3.1.8 allows it, chan_ooh323 does it; nothing follows from it
  if (call.state === 'initiated' || call.state === 'proceeding') {
    // Q.931 5.2.4: Progress stops T303 and T310; without either a call could wait for ever.
    call.state = 'proceeding';
    call.alarm.set(core.now + 3 * PROCEEDING_LIMIT);
  }
  const cause = q931.cause?.value;
  core.event({
    kind: 'progress',
    call: call.ref,
    inBand: inBand(q931),
    ...(cause === undefined || cause === 0 ? {} : { cause }),
  });
  beginEarly(stack, call);
}

export function sendProgress(
  stack: Stack,
  call: Call,
  command: Extract<H323Command, { kind: 'progress' }>,
): void {
  if (!mayAnswer(call)) return;
  answerFastStart(stack, call, command.fastStart);
  if (call.state === 'present') {
    call.state = 'proceeding';
    awaitUser(stack, call);
  }
  const answer = answerFields(call, call.peer.earlyH245);
  sendSignalling(
    stack,
    call,
    'progress',
    {
      choice: 'progress',
      value: answer,
    },
    {
      ...(command.inBand ? IN_BAND : { progress: [{ description: 1, location: 0 }] }),
      ...(command.cause === undefined ? {} : { cause: { value: sendableCause(command.cause), location: 0 } }),
    },
    fastStartNote(answer),
  );
  exchangeAfterFastStart(stack, call);
  beginEarly(stack, call);
}
