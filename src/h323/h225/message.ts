/** Sends call signalling: Q.931 around an H323-UserInformation, with what else waits to ride on it. */
import { toH225 } from '../addresses.ts';
import type { FacilityUUIE, H323UserInformation, TransportAddress } from '../asn1/h225-types.ts';
import type { Call } from '../call.ts';
import { ENDPOINT_TYPE, H225_PROTOCOL } from '../identity.ts';
import { encodeSignalling } from '../messages.ts';
import type { Q931Elements, Q931Type } from '../q931.ts';
import type { Stack } from '../stack.ts';

export type Body = H323UserInformation['h323UuPdu']['h323MessageBody'];

/** Fields every message of a call has. */
export function common(call: Call) {
  return {
    protocolIdentifier: H225_PROTOCOL,
    callIdentifier: { guid: call.callIdentifier },
  };
}

export function connectionFields(call: Call) {
  const keep = call.peer.keepConnection === true;
  return { multipleCalls: keep, maintainConnection: keep };
}

/** The H.245 address to tell once, where H.245 has its own connection and we listen; marks it as told. */
export function addressToTell(call: Call): TransportAddress | undefined {
  const { listening, addressTold } = call.control;
  if (listening?.address === undefined || addressTold) return undefined;
  call.control.addressTold = true;
  return toH225(listening.address);
}

/**
 * What CallProceeding, Alerting, Progress and Connect tell alike (H.225.0 7.3): who answers, our part of a FastStart that waits, and
 * (`h245`) where H.245 is listened for; each once.
 */
export function answerFields(call: Call, h245: boolean) {
  const fastStart = call.fastStartAnswer;
  call.fastStartAnswer = undefined;
  const h245Address = h245 ? addressToTell(call) : undefined;
  return {
    ...common(call),
    ...connectionFields(call),
    destinationInfo: ENDPOINT_TYPE,
    ...(h245Address === undefined ? {} : { h245Address }),
    ...(fastStart === undefined ? {} : { fastStart }),
  };
}

/** For the ladder. */
export function fastStartNote({ fastStart }: { readonly fastStart?: readonly Uint8Array[] }): string {
  return fastStart === undefined ? '' : `fastStart(${fastStart.length})`;
}

/** Tunnelled H.245 rides on whatever is sent, but for the Setup. */
export function sendSignalling(
  stack: Stack,
  call: Call,
  type: Q931Type,
  body: Body,
  elements: Q931Elements = {},
  note = '',
): void {
  const { connection, control } = call;
  if (connection === undefined) return;
  const tunnelled = call.tunnelling === 'on' && type !== 'setup' ? control.outbox : [];
  if (tunnelled.length > 0) control.outbox = [];
  stack.dirty.delete(call);
  const { services } = call;
  if (services.length > 0) call.services = [];
  const bytes = encodeSignalling(
    {
      ...elements,
      type,
      callReference: call.callReference,
      fromDestination: !call.outgoing,
    },
    {
      h323UuPdu: {
        h323MessageBody: body,
        // H.323 8.2.1: in every message, TRUE as long as tunnelling is offered or in use.
        h245Tunnelling: call.tunnelling !== 'off',
        ...(tunnelled.length === 0 ? {} : { h245Control: tunnelled }),
        ...(services.length === 0 ? {} : { h4501SupplementaryService: services }),
      },
    },
  );
  stack.core.trace('out', 'tcp', call.remote, lineOf(type, note, tunnelled.length), call.ref);
  stack.connections.send(connection, bytes);
}

const NAMES: Readonly<Record<Q931Type, string>> = {
  alerting: 'Alerting',
  callProceeding: 'CallProceeding',
  progress: 'Progress',
  setup: 'Setup',
  connect: 'Connect',
  setupAcknowledge: 'SetupAcknowledge',
  connectAcknowledge: 'ConnectAcknowledge',
  releaseComplete: 'ReleaseComplete',
  facility: 'Facility',
  notify: 'Notify',
  statusInquiry: 'StatusInquiry',
  information: 'Information',
  status: 'Status',
};

/** `Setup fastStart`, `Facility transportedInformation h245`. */
export function lineOf(type: Q931Type, note: string, tunnelled: number): string {
  return [NAMES[type], note, tunnelled === 0 ? '' : 'h245'].filter((part) => part !== '').join(' ');
}

/** H.323 8.2.1: tunnelled H.245 that found no message to ride on goes in a Facility. */
export function flushTunnel(stack: Stack, call: Call): void {
  if (call.control.outbox.length === 0 || call.tunnelling !== 'on' || call.state === 'ended') return;
  sendFacility(stack, call, 'transportedInformation');
}

/** A Facility (H.225.0 7.4.6) with its Q.931 element, which is mandatory and empty. `note`: for the ladder, where the reason alone does not tell. */
export function sendFacility(
  stack: Stack,
  call: Call,
  reason: 'transportedInformation' | 'startH245' | 'callForwarded',
  more: Partial<FacilityUUIE> = {},
  note: string = reason,
): void {
  sendSignalling(
    stack,
    call,
    'facility',
    {
      choice: 'facility',
      value: {
        ...common(call),
        conferenceID: call.conferenceID,
        ...more,
        reason: { choice: reason, value: null },
      },
    },
    { facility: new Uint8Array(0) },
    note,
  );
}
