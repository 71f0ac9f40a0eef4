/** One call as the endpoint knows it. Data only; the procedures are in h225/, h245/ and ras/. */
import type { Address } from '../machine/address.ts';
import type { Alarm } from '../machine/alarm.ts';
import type { Connection } from './connections.ts';
import type { CallRef, H323Command } from './contract.ts';
import type { FastStartProposed, OfferedChannel } from './h225/fast-start.ts';
import type { ControlState } from './h245/state.ts';
import type { FastStartProposal } from './media-contract.ts';
import type { H323Peer } from './peer-contract.ts';

/**
 * Outgoing: `preparing` (address, admission), `initiated` (Setup sent), then as the far end answers. Incoming: `preparing`
 * (admission), `present` (told to the user, nothing answered), then as we answered.
 */
export type CallState =
  | 'preparing'
  | 'initiated'
  | 'present'
  | 'proceeding'
  | 'alerting'
  | 'connected'
  | 'ended';

export interface Call {
  readonly ref: CallRef;
  readonly peer: H323Peer;
  readonly outgoing: boolean;
  readonly callIdentifier: Uint8Array;
  readonly conferenceID: Uint8Array;
  /** 1..32767, chosen by whoever called. */
  callReference: number;
  connection: Connection | undefined;
  /** Source of the Setup, or where it goes. */
  remote: Address;
  /** Addresses of the peer not tried yet. */
  alternatives: Address[];
  state: CallState;
  /** The setup command (outgoing). */
  readonly setup: Extract<H323Command, { kind: 'setup' }> | undefined;
  /** Tunnelling of H.245: `offered`: the far end has not said yet. */
  tunnelling: 'offered' | 'on' | 'off';
  /** FastStart. `none`: neither offered nor to be answered. */
  fastStart: 'none' | 'open' | 'answered' | 'refused';
  /** What we proposed (outgoing), or were offered (incoming). */
  proposed: FastStartProposed[];
  proposals: readonly FastStartProposal[];
  offered: OfferedChannel[];
  /** FastStart answer octets that wait for the next message. */
  fastStartAnswer: Uint8Array[] | undefined;
  readonly control: ControlState;
  /** Granted by a gatekeeper: bit/s both ways, and where a Disengage goes. */
  admission: { bandwidth: number } | undefined;
  /** An admission of this call is being asked for. */
  admitting: boolean;
  readonly alarm: Alarm;
  /** Unsolicited InfoRequestResponse, as the gatekeeper asked for. */
  readonly reportAlarm: Alarm;
  reportEvery: number | undefined;
  /** Call forwarding was asked for by us: released with facilityCallDeflection. */
  forwarding: boolean;
  /** H.450.1 answers that wait for a message, and how many were given in all. */
  services: Uint8Array[];
  servicesAnswered: number;
  /** H.450.2: the far end's callTransferInitiate that waits for the user. */
  transferInvoke: number | undefined;
  /** H.450.2: our callTransferSetup that has no answer yet. */
  setupInvoke: number | undefined;
}

export function mayAnswer(call: Call): boolean {
  return (
    !call.outgoing && (call.state === 'present' || call.state === 'proceeding' || call.state === 'alerting')
  );
}
