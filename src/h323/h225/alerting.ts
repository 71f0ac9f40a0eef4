/** Alerting (H.225.0 7.3.1). */
import type { Call } from '../call.ts';
import { mayAnswer } from '../call.ts';
import type { H323Command } from '../contract.ts';
import { exchangeAfterFastStart } from '../h245/capability-exchange.ts';
import { beginEarly } from '../h245/connection.ts';
import { ALERTING_LIMIT } from '../limits.ts';
import type { Q931Elements, Q931Message } from '../q931.ts';
import type { Stack } from '../stack.ts';
import { answerFastStart } from './fast-start.ts';
import { answerFields, fastStartNote, sendSignalling } from './message.ts';
import { awaitUser } from './setup.ts';

/** Q.931 4.5.23: 1 not end-to-end ISDN (in-band information may come), 8 in-band information now available. */
export function inBand(q931: Q931Elements): boolean {
  return q931.progress?.some((p) => p.description === 1 || p.description === 8) ?? false;
}

export const IN_BAND: Q931Elements = { progress: [{ description: 8, location: 0 }] };

export function alertingReceived(stack: Stack, call: Call, q931: Q931Message): void {
  const { core } = stack;
  if (!call.outgoing || (call.state !== 'initiated' && call.state !== 'proceeding')) {
    return core.count('wrong-state', call.remote);
  }
  call.state = 'alerting';
  call.alarm.set(core.now + ALERTING_LIMIT);
  core.event({ kind: 'alerting', call: call.ref, inBand: inBand(q931) });
  beginEarly(stack, call);
}

export function sendAlerting(
  stack: Stack,
  call: Call,
  command: Extract<H323Command, { kind: 'alerting' }>,
): void {
  if (!mayAnswer(call) || call.state === 'alerting') return;
  answerFastStart(stack, call, command.fastStart);
  call.state = 'alerting';
  awaitUser(stack, call);
  const answer = answerFields(call, call.peer.earlyH245);
  sendSignalling(
    stack,
    call,
    'alerting',
    {
      choice: 'alerting',
      value: answer,
    },
    command.inBand ? IN_BAND : {},
    fastStartNote(answer),
  );
  exchangeAfterFastStart(stack, call);
  beginEarly(stack, call);
}
