/** Capability exchange (H.245 C.3), and the empty capability set as hold (H.323 8.4.6). */
import type {
  Capability,
  CapabilityTableEntry,
  DataType,
  H2250Capability,
  MultipointCapability,
  TerminalCapabilitySet,
} from '../asn1/h245-types.ts';
import type { Call } from '../call.ts';
import { capabilityOf, dataTypesOf, H264_NON_INTERLEAVED } from '../capability.ts';
import { H245_PROTOCOL } from '../identity.ts';
import { CONTROL_LIMIT } from '../limits.ts';
import type { H323Capabilities, H323Capability } from '../media-contract.ts';
import type { Stack } from '../stack.ts';
import { sendRequest, sendResponse } from './control.ts';
import { closeSendForHold, openWanted } from './logical-channel.ts';
import { beginDetermination } from './master-slave.ts';
import type { RemoteCapability } from './state.ts';
import { controlUp } from './state.ts';

/** Entries of a foreign table that are looked at. */
const MOST_ENTRIES = 128;

/** The user's `capabilities`: first, or changed. */
export function capabilitiesGiven(stack: Stack, call: Call, capabilities: H323Capabilities): void {
  const { control } = call;
  control.local = capabilities;
  if (controlUp(control) && !control.held) sendCapabilitySet(stack, call);
}

/** FastStart is answered or refused by the message just sent: what waited for it goes. */
export function exchangeAfterFastStart(stack: Stack, call: Call): void {
  const { control } = call;
  if (controlUp(control) && control.tcsOut === 'none') sendCapabilitySet(stack, call);
}

export function hold(stack: Stack, call: Call): void {
  const { control } = call;
  if (control.held) return;
  control.held = true;
  if (controlUp(control)) sendCapabilitySet(stack, call);
}

/** H.323 8.4.6: after the pause both sides begin as at the start of phase B, with master/slave determination. */
export function retrieve(stack: Stack, call: Call): void {
  const { control } = call;
  if (!control.held) return;
  control.held = false;
  if (!controlUp(control)) return;
  sendCapabilitySet(stack, call);
  beginDetermination(stack, call);
}

export function sendCapabilitySet(stack: Stack, call: Call): void {
  const { control } = call;
  const { local } = control;
  if (local === undefined) return;
  // A caller that has our set opens channels at once, beside those of its FastStart if that is answered later (chan_ooh323).
  if (!call.outgoing && call.fastStart === 'open') return;
  control.tcsSequence = (control.tcsSequence % 255) + 1;
  control.tcsOut = 'sent';
  if (!control.ready) control.alarm.set(stack.core.now + CONTROL_LIMIT);
  const empty = control.held || local.media.length === 0;
  sendRequest(stack, call, {
    choice: 'terminalCapabilitySet',
    value: {
      sequenceNumber: control.tcsSequence,
      protocolIdentifier: H245_PROTOCOL,
      ...(empty ? {} : tableOf(local)),
    },
  });
}

const NO_MULTIPOINT: MultipointCapability = {
  multicastCapability: false,
  multiUniCastConference: false,
  mediaDistributionCapability: [
    {
      centralizedControl: false,
      distributedControl: false,
      centralizedAudio: false,
      distributedAudio: false,
      centralizedVideo: false,
      distributedVideo: false,
    },
  ],
};

/** No QoS capabilities: chan_ooh323 cannot decode what has them. */
function multiplex(local: H323Capabilities): H2250Capability {
  const nonInterleaved = local.media.some((c) => c.kind === 'video' && c.packetizationMode === 1);
  return {
    maximumAudioDelayJitter: 60,
    receiveMultipointCapability: NO_MULTIPOINT,
    transmitMultipointCapability: NO_MULTIPOINT,
    receiveAndTransmitMultipointCapability: NO_MULTIPOINT,
    mcCapability: { centralizedConferenceMC: false, decentralizedConferenceMC: false },
    rtcpVideoControlCapability: false,
    mediaPacketizationCapability: {
      h261aVideoPacketization: false,
      ...(nonInterleaved
        ? { rtpPayloadType: [{ payloadDescriptor: { choice: 'oid', value: H264_NON_INTERLEAVED } }] }
        : {}),
    },
  };
}

function tableOf(
  local: H323Capabilities,
): Pick<TerminalCapabilitySet, 'multiplexCapability' | 'capabilityTable' | 'capabilityDescriptors'> {
  const capabilityTable: CapabilityTableEntry[] = [];
  const add = (capability: Capability): number => {
    const number = capabilityTable.length + 1;
    capabilityTable.push({ capabilityTableEntryNumber: number, capability });
    return number;
  };
  const simultaneous: number[][] = [];
  for (const kind of ['audio', 'video', 'image'] as const) {
    const alternatives = local.media
      .filter((c) => c.kind === kind)
      .flatMap((c) => dataTypesOf(c))
      .map((data) => add(receive(data)));
    if (alternatives.length > 0) simultaneous.push(alternatives);
  }
  const { alphanumeric, signal, rfc4733PayloadType } = local.userInput;
  const input: number[] = [];
  if (rfc4733PayloadType !== undefined && rfc4733PayloadType >= 96 && rfc4733PayloadType <= 127) {
    const value = { dynamicRTPPayloadType: rfc4733PayloadType, audioTelephoneEvent: '0-16' };
    input.push(add({ choice: 'receiveRTPAudioTelephonyEventCapability', value }));
  }
  if (alphanumeric) input.push(add(userInput('basicString')));
  if (signal) input.push(add(userInput('dtmf')));
  if (input.length > 0) simultaneous.push(input);
  return {
    multiplexCapability: { choice: 'h2250Capability', value: multiplex(local) },
    capabilityTable,
    capabilityDescriptors: [{ capabilityDescriptorNumber: 1, simultaneousCapabilities: simultaneous }],
  };
}

function userInput(choice: 'basicString' | 'dtmf'): Capability {
  return { choice: 'receiveAndTransmitUserInputCapability', value: { choice, value: null } };
}

function receive(data: DataType): Capability {
  switch (data.choice) {
    case 'audioData':
      return { choice: 'receiveAudioCapability', value: data.value };
    case 'videoData':
      return { choice: 'receiveVideoCapability', value: data.value };
    case 'data':
      return { choice: 'receiveDataApplicationCapability', value: data.value };
    default:
      throw new Error(`no capability of ours: ${data.choice}`);
  }
}

export function capabilitySetReceived(stack: Stack, call: Call, set: TerminalCapabilitySet): void {
  const { control } = call;
  sendResponse(stack, call, {
    choice: 'terminalCapabilitySetAck',
    value: { sequenceNumber: set.sequenceNumber },
  });
  const table = set.capabilityTable ?? [];
  if (table.length === 0) return farHold(stack, call);
  const read = readTable(set);
  control.remoteTable = read.table;
  control.remote = read.capabilities;
  if (read.capabilities.media.length === 0) stack.core.count('no-known-capability', call.remote);
  const retrieved = control.farHeld && control.ready;
  control.farHeld = false;
  if (!control.ready) return readyIfDone(stack, call);
  if (retrieved) stack.core.event({ kind: 'far-retrieve', call: call.ref });
  tellCapabilities(stack, call);
  openWanted(stack, call);
}

function farHold(stack: Stack, call: Call): void {
  const { control } = call;
  if (control.farHeld) return;
  control.farHeld = true;
  closeSendForHold(stack, call);
  stack.core.event({ kind: 'far-hold', call: call.ref });
}

export function capabilitySetAcknowledged(
  stack: Stack,
  call: Call,
  sequenceNumber: number,
  accepted: boolean,
): void {
  const { control } = call;
  if (control.tcsOut !== 'sent' || sequenceNumber !== control.tcsSequence) return;
  // A set that was rejected is not tried smaller: what the far end opens we judge ourselves.
  if (!accepted) stack.core.count('capability-set-rejected', call.remote);
  control.tcsOut = 'acknowledged';
  readyIfDone(stack, call);
}

/** Both sets acknowledged and the master known: channels may be opened. */
export function readyIfDone(stack: Stack, call: Call): void {
  const { control } = call;
  if (control.msd !== 'done' || control.tcsOut !== 'acknowledged') return;
  if (!control.ready && control.remote !== undefined && !control.farHeld) {
    control.ready = true;
    control.alarm.set(undefined);
    tellCapabilities(stack, call);
  } else if (control.farHeld) control.alarm.set(undefined); // a call that begins on hold waits as long as it lasts
  openWanted(stack, call);
}

function tellCapabilities(stack: Stack, call: Call): void {
  const { remote, master } = call.control;
  if (remote === undefined) return;
  stack.core.event({ kind: 'capabilities', call: call.ref, capabilities: remote, master });
}

function readTable(set: TerminalCapabilitySet): {
  readonly table: RemoteCapability[];
  readonly capabilities: H323Capabilities;
} {
  const entries = inPreference(set);
  const packetizationMode: 0 | 1 = nonInterleaved(set) ? 1 : 0;
  const table: RemoteCapability[] = [];
  let alphanumeric = false;
  let signal = false;
  let rfc4733PayloadType: number | undefined;
  for (const entry of entries) {
    switch (entry.choice) {
      case 'receiveRTPAudioTelephonyEventCapability':
        rfc4733PayloadType ??= entry.value.dynamicRTPPayloadType;
        break;
      case 'receiveUserInputCapability':
      case 'receiveAndTransmitUserInputCapability':
        if (['basicString', 'iA5String', 'generalString'].includes(entry.value.choice)) alphanumeric = true;
        if (entry.value.choice === 'dtmf') signal = true;
        break;
      default: {
        const data = receivable(entry);
        const plain = data && capabilityOf(data);
        const capability = plain?.codec === 'H264' ? { ...plain, packetizationMode } : plain;
        if (data !== undefined && capability !== undefined) table.push({ capability, data });
      }
    }
  }
  return {
    table,
    capabilities: {
      media: distinct(table.map((t) => t.capability)),
      userInput: {
        alphanumeric,
        signal,
        ...(rfc4733PayloadType === undefined ? {} : { rfc4733PayloadType }),
      },
    },
  };
}

/** H.241 7.1.2: packetization modes besides single NAL units are told for the whole set. */
function nonInterleaved({ multiplexCapability }: TerminalCapabilitySet): boolean {
  if (multiplexCapability?.choice !== 'h2250Capability') return false;
  const types = multiplexCapability.value.mediaPacketizationCapability.rtpPayloadType ?? [];
  return types
    .slice(0, MOST_ENTRIES)
    .some(({ payloadDescriptor: d }) => d.choice === 'oid' && d.value === H264_NON_INTERLEAVED);
}

function receivable(entry: Capability): DataType | undefined {
  switch (entry.choice) {
    case 'receiveAudioCapability':
    case 'receiveAndTransmitAudioCapability':
      return { choice: 'audioData', value: entry.value };
    case 'receiveVideoCapability':
    case 'receiveAndTransmitVideoCapability':
      return { choice: 'videoData', value: entry.value };
    case 'receiveDataApplicationCapability':
    case 'receiveAndTransmitDataApplicationCapability':
      return { choice: 'data', value: entry.value };
    default:
      return undefined;
  }
}

/** Table entries as the first descriptor orders them (H.245 7.2.2.8: in order of preference), then the others. */
function inPreference(set: TerminalCapabilitySet): Capability[] {
  const byNumber = new Map<number, Capability>();
  for (const { capabilityTableEntryNumber, capability } of (set.capabilityTable ?? []).slice(
    0,
    MOST_ENTRIES,
  )) {
    if (capability !== undefined) byNumber.set(capabilityTableEntryNumber, capability);
  }
  const ordered: Capability[] = [];
  for (const alternatives of set.capabilityDescriptors?.[0]?.simultaneousCapabilities ?? []) {
    for (const number of alternatives) {
      const capability = byNumber.get(number);
      if (capability !== undefined) ordered.push(capability);
      byNumber.delete(number);
    }
  }
  return [...ordered, ...byNumber.values()];
}

/** G.729 with and without Annex A are one to the user. */
function distinct(media: readonly H323Capability[]): H323Capability[] {
  const seen = new Set<string>();
  return media.filter((c) => {
    const variant = c.kind === 'audio' ? c.silenceSuppression : c.kind === 'video' && (c.profile ?? 0);
    const key = `${c.codec} ${variant}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}
