/** Connect (H.225.0 7.3.3). */
import type { ConnectUUIE } from '../asn1/h225-types.ts';
import type { Call } from '../call.ts';
import { mayAnswer } from '../call.ts';
import type { H323Command } from '../contract.ts';
import { exchangeAfterFastStart } from '../h245/capability-exchange.ts';
import { beginControl } from '../h245/connection.ts';
import { aliasesOf, cleanDisplay, numberElement, partyOf } from '../party.ts';
import type { Q931Message } from '../q931.ts';
import type { Stack } from '../stack.ts';
import { answerFastStart, refuseFastStart } from './fast-start.ts';
import { answerFields, fastStartNote, sendSignalling } from './message.ts';

export function connectReceived(
  stack: Stack,
  call: Call,
  q931: Q931Message,
  connect: ConnectUUIE | undefined,
): void {
  const { core } = stack;
  const { state } = call;
  if (!call.outgoing || (state !== 'initiated' && state !== 'proceeding' && state !== 'alerting')) {
    return core.count('wrong-state', call.remote);
  }
  refuseFastStart(stack, call); // where nothing answered it by now
  call.state = 'connected';
  call.alarm.set(undefined);
  const party = partyOf(connect?.connectedAddress, q931.connected);
  const display = cleanDisplay(q931.display);
  const named = party.number !== '' || party.name !== undefined || display !== undefined;
  core.event({
    kind: 'connected',
    call: call.ref,
    ...(named ? { connected: { ...party, ...(display === undefined ? {} : { display }) } } : {}),
  });
  stack.ras.callConnected(call);
  beginControl(stack, call);
}

export function sendConnect(
  stack: Stack,
  call: Call,
  command: Extract<H323Command, { kind: 'connect' }>,
): void {
  if (!mayAnswer(call)) return;
  answerFastStart(stack, call, command.fastStart);
  refuseFastStart(stack, call);
  call.state = 'connected';
  call.alarm.set(undefined);
  const answer = answerFields(call, true);
  const { connected } = command;
  const connectedAddress = connected === undefined ? [] : aliasesOf(connected);
  const number = connected === undefined ? undefined : numberElement(connected, true);
  const display = cleanDisplay(connected?.display);
  sendSignalling(
    stack,
    call,
    'connect',
    {
      choice: 'connect',
      value: {
        ...answer,
        conferenceID: call.conferenceID,
        ...(connectedAddress.length === 0 ? {} : { connectedAddress }),
        ...(connected === undefined || connected.presentation === 'allowed'
          ? {}
          : { presentationIndicator: { choice: 'presentationRestricted', value: null } }),
      },
    },
    {
      ...(display === undefined ? {} : { display }),
      ...(number === undefined ? {} : { connected: number }),
    },
    fastStartNote(answer),
  );
  exchangeAfterFastStart(stack, call);
  stack.ras.callConnected(call);
  beginControl(stack, call);
}
