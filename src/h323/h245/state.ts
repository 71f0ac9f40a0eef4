/** What one call remembers of its H.245 session. Data only; the procedures are beside this file. */
import type { Address } from '../../machine/address.ts';
import type { Alarm } from '../../machine/alarm.ts';
import type { DataType } from '../asn1/h245-types.ts';
import type { Connection } from '../connections.ts';
import type { ListenRef } from '../contract.ts';
import type { H323Capabilities, H323Capability, MediaAddress, MediaKind } from '../media-contract.ts';

/** A channel we send on. */
export interface SendChannel {
  readonly number: number;
  readonly kind: MediaKind;
  readonly capability: H323Capability;
  readonly payloadType: number | undefined;
  state: 'opening' | 'open';
  remote: MediaAddress | undefined;
}

/** A channel the far end sends on. */
export interface ReceiveChannel {
  readonly number: number;
  readonly kind: MediaKind;
  readonly capability: H323Capability;
  readonly payloadType: number | undefined;
  state: 'asked' | 'open' | 'closing';
}

/** An open-channel that waits until H.245 is up. */
export interface WantedChannel {
  readonly capability: H323Capability;
  readonly local: MediaAddress;
  readonly payloadType: number | undefined;
}

/** One entry of the far end's capability table that we know, with its own spelling. */
export interface RemoteCapability {
  readonly capability: H323Capability;
  readonly data: DataType;
}

export interface ControlState {
  /** `idle`: nothing yet. `listening`: our port is or will be told. `dialling`: to the far end's. `up`: separate connection or tunnel. */
  transport: 'idle' | 'listening' | 'dialling' | 'tunnel' | 'separate' | 'ended';
  listening: { readonly ref: ListenRef; address: Address | undefined } | undefined;
  connection: Connection | undefined;
  /** Told by the far end, not used yet. */
  farAddress: Address | undefined;
  /** The far end knows our port. */
  addressTold: boolean;
  /** We gave the far end the first go at connecting. */
  waited: boolean;
  /** Tunnelled messages that wait for the next call signalling message. */
  outbox: Uint8Array[];

  /** Master/slave determination (H.245 C.2). `incoming`: we acknowledged and wait for theirs. */
  msd: 'idle' | 'outgoing' | 'incoming' | 'done';
  master: boolean;
  msdNumber: number;
  msdTries: number;

  /** Our capabilities as last given by the user. */
  local: H323Capabilities | undefined;
  held: boolean;
  tcsSequence: number;
  tcsOut: 'none' | 'sent' | 'acknowledged';
  remote: H323Capabilities | undefined;
  remoteTable: RemoteCapability[];
  farHeld: boolean;
  /** `capabilities` was told to the user. */
  ready: boolean;

  nextChannel: number;
  send: Map<MediaKind, SendChannel>;
  receive: Map<MediaKind, ReceiveChannel>;
  wanted: Map<MediaKind, WantedChannel>;
  modeSequence: number;
  modeAsked: number | undefined;
  modeWaiting: boolean;
  /** The far end said endSessionCommand. */
  farEnded: boolean;
  /** How often we said functionNotSupported. */
  complaints: number;

  /** MSD and capability exchange. */
  readonly alarm: Alarm;
  readonly sendAlarm: Alarm;
  readonly receiveAlarm: Alarm;
  readonly modeAlarm: Alarm;
  /** When which channel's wait is over, by kind; the alarms stand at the earliest. */
  readonly sendDue: Map<MediaKind, number>;
  readonly receiveDue: Map<MediaKind, number>;
}

export function newControl(alarms: {
  readonly alarm: Alarm;
  readonly sendAlarm: Alarm;
  readonly receiveAlarm: Alarm;
  readonly modeAlarm: Alarm;
}): ControlState {
  return {
    transport: 'idle',
    listening: undefined,
    connection: undefined,
    farAddress: undefined,
    addressTold: false,
    waited: false,
    outbox: [],
    msd: 'idle',
    master: false,
    msdNumber: 0,
    msdTries: 0,
    local: undefined,
    held: false,
    tcsSequence: 0,
    tcsOut: 'none',
    remote: undefined,
    remoteTable: [],
    farHeld: false,
    ready: false,
    nextChannel: 1,
    send: new Map(),
    receive: new Map(),
    wanted: new Map(),
    modeSequence: 0,
    modeAsked: undefined,
    modeWaiting: false,
    farEnded: false,
    complaints: 0,
    sendDue: new Map(),
    receiveDue: new Map(),
    ...alarms,
  };
}

/** Whether H.245 messages can be sent. */
export function controlUp(control: ControlState): boolean {
  return control.transport === 'tunnel' || control.transport === 'separate';
}
