import type { Address } from '../machine/address.ts';
import { Alarm } from '../machine/alarm.ts';
import type { Call } from './call.ts';
import type { CallRef, H323Command } from './contract.ts';
import { alarmDue } from './h225/due.ts';
import { controlDue, modeDue, receiveDue, sendDue } from './h245/due.ts';
import { newControl } from './h245/state.ts';
import { freshGuid } from './identity.ts';
import type { H323Peer } from './peer-contract.ts';
import { report } from './ras/info-request.ts';
import type { Stack } from './stack.ts';

/** A call in state `preparing`, not in the table yet. */
export function newCall(
  stack: Stack,
  from: {
    readonly ref: CallRef;
    readonly peer: H323Peer;
    readonly remote: Address;
    readonly callReference: number;
    readonly setup?: Extract<H323Command, { kind: 'setup' }>;
    /** Those of the caller, where it is not us. */
    readonly callIdentifier?: Uint8Array;
    readonly conferenceID?: Uint8Array;
  },
): Call {
  const { core } = stack;
  const alarm = (fire: (stack: Stack, call: Call) => void): Alarm =>
    new Alarm(core.timers, () => fire(stack, call));
  const call: Call = {
    ref: from.ref,
    peer: from.peer,
    outgoing: from.setup !== undefined,
    callIdentifier: from.callIdentifier ?? freshGuid(core.options.random),
    conferenceID: from.conferenceID ?? freshGuid(core.options.random),
    callReference: from.callReference,
    connection: undefined,
    remote: from.remote,
    alternatives: [],
    state: 'preparing',
    setup: from.setup,
    tunnelling: from.peer.tunnelling ? 'offered' : 'off',
    fastStart: 'none',
    proposed: [],
    proposals: [],
    offered: [],
    fastStartAnswer: undefined,
    control: newControl({
      alarm: alarm(controlDue),
      sendAlarm: alarm(sendDue),
      receiveAlarm: alarm(receiveDue),
      modeAlarm: alarm(modeDue),
    }),
    admission: undefined,
    admitting: false,
    alarm: alarm(alarmDue),
    reportAlarm: alarm(report),
    reportEvery: undefined,
    forwarding: false,
    services: [],
    servicesAnswered: 0,
    transferInvoke: undefined,
    setupInvoke: undefined,
  };
  return call;
}
