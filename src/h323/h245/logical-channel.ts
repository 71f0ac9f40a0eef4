/** Logical channels (H.245 C.4, C.5): one way each, at most one per kind and direction. */
import { fromH245, toH245 } from '../addresses.ts';
import type {
  OpenLogicalChannel,
  OpenLogicalChannelAck,
  OpenLogicalChannelReject,
} from '../asn1/h245-types.ts';
import type { Call } from '../call.ts';
import { sameCodec } from '../capability.ts';
import type { H323Command } from '../contract.ts';
import { giveUpFastStart } from '../h225/fast-start.ts';
import { CHANNEL_ANSWER_LIMIT, CHANNEL_LIMIT } from '../limits.ts';
import type { ChannelRefusal, H323Capability, H323Channel, MediaKind } from '../media-contract.ts';
import type { Stack } from '../stack.ts';
import { sendRequest, sendResponse } from './control.ts';
import { armEarliest } from './due.ts';
import { channelOf, channelParameters, spell } from './parameters.ts';
import { controlUp, type ReceiveChannel, type SendChannel, type WantedChannel } from './state.ts';

type Cause = OpenLogicalChannelReject['cause'];

/** The user wants to send: now, or once H.245 is up. What is open of this kind gives way. */
export function openChannel(
  stack: Stack,
  call: Call,
  command: Extract<H323Command, { kind: 'open-channel' }>,
): void {
  const { control } = call;
  const { capability, local, payloadType } = command;
  control.wanted.set(capability.kind, { capability, local, payloadType });
  openWanted(stack, call);
}

export function openWanted(stack: Stack, call: Call): void {
  const { control } = call;
  if (!control.ready || control.farHeld || control.msd !== 'done') return;
  for (const [kind, wanted] of [...control.wanted]) {
    control.wanted.delete(kind);
    open(stack, call, kind, wanted);
  }
}

function open(stack: Stack, call: Call, kind: MediaKind, wanted: WantedChannel): void {
  const { control } = call;
  const { local, payloadType } = wanted;
  const like = control.remoteTable.find((entry) => fits(entry.capability, wanted.capability));
  if (like === undefined) {
    return stack.core.event({ kind: 'channel-rejected', call: call.ref, media: kind, reason: 'codec' });
  }
  const capability = smaller(wanted.capability, like.capability);
  closeSend(stack, call, kind);
  const number = nextNumber(call);
  control.send.set(kind, { number, kind, capability, payloadType, state: 'opening', remote: undefined });
  control.sendDue.set(kind, stack.core.now + CHANNEL_LIMIT);
  armEarliest(control.sendAlarm, control.sendDue);
  sendRequest(stack, call, {
    choice: 'openLogicalChannel',
    value: {
      forwardLogicalChannelNumber: number,
      forwardLogicalChannelParameters: {
        dataType: spell(capability, like.data),
        multiplexParameters: {
          choice: 'h2250LogicalChannelParameters',
          value: channelParameters(capability, { rtcp: local.rtcp, payloadType }),
        },
      },
    },
  });
}

function fits(theirs: H323Capability, ours: H323Capability): boolean {
  return sameCodec(theirs, ours);
}

/** H.245 7.2.2.9: what a side can receive is the most that may be sent in one packet. */
function smaller(ours: H323Capability, theirs: H323Capability): H323Capability {
  if (ours.kind !== 'audio' || theirs.kind !== 'audio') return ours;
  return {
    ...ours,
    packetTime: Math.min(ours.packetTime, theirs.packetTime),
    silenceSuppression: ours.silenceSuppression && theirs.silenceSuppression,
  };
}

/** 1..65535, none of those in use. */
function nextNumber(call: Call): number {
  const { control } = call;
  for (;;) {
    const number = control.nextChannel;
    control.nextChannel = (number % 65_535) + 1;
    if (![...control.send.values()].some((channel) => channel.number === number)) return number;
  }
}

function shown(
  channel: SendChannel | ReceiveChannel,
): Pick<H323Channel, 'kind' | 'capability' | 'payloadType'> {
  const { kind, capability, payloadType } = channel;
  return { kind, capability, ...(payloadType === undefined ? {} : { payloadType }) };
}

export function channelAcknowledged(stack: Stack, call: Call, ack: OpenLogicalChannelAck): void {
  const channel = sendByNumber(call, ack.forwardLogicalChannelNumber);
  if (channel?.state !== 'opening') return; // closed meanwhile, or of FastStart (some acknowledge those)
  const { control } = call;
  const parameters = ack.forwardMultiplexAckParameters;
  const value = parameters?.choice === 'h2250LogicalChannelAckParameters' ? parameters.value : undefined;
  const rtp = fromH245(value?.mediaChannel);
  control.sendDue.delete(channel.kind);
  armEarliest(control.sendAlarm, control.sendDue);
  if (rtp === undefined) {
    stack.core.count('channel-without-address', call.remote);
    closeSend(stack, call, channel.kind);
    const { kind: media } = channel;
    return stack.core.event({ kind: 'channel-rejected', call: call.ref, media, reason: 'address' });
  }
  const rtcp = fromH245(value?.mediaControlChannel);
  channel.state = 'open';
  channel.remote = { rtp, ...(rtcp === undefined ? {} : { rtcp }) };
  stack.core.event({
    kind: 'channel-opened',
    call: call.ref,
    channel: { ...shown(channel), direction: 'send', remote: channel.remote },
  });
  stack.ras.bandwidthChanged(call);
}

export function channelRejected(stack: Stack, call: Call, reject: OpenLogicalChannelReject): void {
  const channel = sendByNumber(call, reject.forwardLogicalChannelNumber);
  if (channel?.state !== 'opening') return;
  forgetSend(call, channel.kind);
  stack.core.event({
    kind: 'channel-rejected',
    call: call.ref,
    media: channel.kind,
    reason: REFUSALS[reject.cause.choice] ?? 'other',
  });
}

const REFUSALS: Readonly<Record<string, ChannelRefusal>> = {
  dataTypeNotSupported: 'codec',
  dataTypeNotAvailable: 'codec',
  unknownDataType: 'codec',
  dataTypeALCombinationNotSupported: 'codec',
  masterSlaveConflict: 'conflict',
  insufficientBandwidth: 'bandwidth',
};

function sendByNumber(call: Call, number: number): SendChannel | undefined {
  return [...call.control.send.values()].find((channel) => channel.number === number);
}

function receiveByNumber(call: Call, number: number): ReceiveChannel | undefined {
  return [...call.control.receive.values()].find((channel) => channel.number === number);
}

function forgetSend(call: Call, kind: MediaKind): void {
  const { control } = call;
  control.send.delete(kind);
  control.sendDue.delete(kind);
  armEarliest(control.sendAlarm, control.sendDue);
}

/** Closes what we send of this kind; says so where it was open. */
export function closeSend(stack: Stack, call: Call, kind: MediaKind): void {
  const channel = call.control.send.get(kind);
  if (channel === undefined) return;
  forgetSend(call, kind);
  sendRequest(stack, call, {
    choice: 'closeLogicalChannel',
    value: { forwardLogicalChannelNumber: channel.number, source: { choice: 'user', value: null } },
  });
  if (channel.state === 'open') {
    stack.core.event({ kind: 'channel-closed', call: call.ref, media: kind, direction: 'send' });
  }
}

/** H.323 8.4.6: on the empty capability set all our channels close, and no wish stays open. */
export function closeSendForHold(stack: Stack, call: Call): void {
  const { control } = call;
  for (const [media, channel] of [...control.send]) {
    closeSend(stack, call, media);
    if (channel.state === 'opening') {
      stack.core.event({ kind: 'channel-rejected', call: call.ref, media, reason: 'other' });
    }
  }
  if (!control.ready) return; // wishes from before the first exchange wait for its end
  for (const media of [...control.wanted.keys()]) {
    control.wanted.delete(media);
    stack.core.event({ kind: 'channel-rejected', call: call.ref, media, reason: 'other' });
  }
}

/** The user closes. */
export function closeChannel(
  stack: Stack,
  call: Call,
  command: Extract<H323Command, { kind: 'close-channel' }>,
): void {
  const { control } = call;
  if (command.direction === 'send') {
    control.wanted.delete(command.media);
    return closeSend(stack, call, command.media);
  }
  const channel = control.receive.get(command.media);
  if (channel?.state !== 'open' || !controlUp(control)) return;
  channel.state = 'closing';
  sendRequest(stack, call, {
    choice: 'requestChannelClose',
    value: {
      forwardLogicalChannelNumber: channel.number,
      reason: { choice: 'normal', value: null },
    },
  });
}

/** The far end asks to send. */
export function channelAsked(stack: Stack, call: Call, asked: OpenLogicalChannel): void {
  const { control } = call;
  const number = asked.forwardLogicalChannelNumber;
  const refuse = (cause: Cause['choice'], reason: string): void => {
    stack.core.count(reason, call.remote);
    reject(stack, call, number, cause);
  };
  const { dataType, multiplexParameters, replacementFor } = asked.forwardLogicalChannelParameters;
  if (asked.reverseLogicalChannelParameters !== undefined) {
    return refuse('unsuitableReverseParameters', 'channel-bidirectional');
  }
  if (multiplexParameters.choice !== 'h2250LogicalChannelParameters')
    return refuse('unspecified', 'channel-multiplex');
  const content = channelOf(dataType, multiplexParameters.value);
  if (content === undefined) return refuse('unknownDataType', 'channel-unknown');
  const { capability, payloadType, remoteRtcp } = content;
  const { kind } = capability;
  if (control.local?.media.some((c) => sameCodec(c, capability)) !== true) {
    return refuse('dataTypeNotSupported', 'channel-not-capable');
  }
  // H.323 8.1.7.2: who opens channels by H.245 has given up its FastStart; answering it now would open two of each.
  giveUpFastStart(stack, call);
  // Also while we hold: chan_ooh323 opens anew at once, and takes a rejection for the end of the call.
  if (receiveByNumber(call, number) !== undefined) return refuse('unspecified', 'channel-number');
  const present = control.receive.get(kind);
  if (present !== undefined && replacementFor !== present.number) {
    return refuse('dataTypeNotAvailable', 'channel-second');
  }
  control.receive.set(kind, { number, kind, capability, payloadType, state: 'asked' });
  control.receiveDue.set(kind, stack.core.now + CHANNEL_ANSWER_LIMIT);
  armEarliest(control.receiveAlarm, control.receiveDue);
  const own = control.send.get(kind);
  stack.core.event({
    kind: 'channel-asked',
    call: call.ref,
    channel: {
      kind,
      direction: 'receive',
      capability,
      ...(remoteRtcp === undefined ? {} : { remoteRtcp }),
      ...(payloadType === undefined ? {} : { payloadType }),
    },
    conflict: own !== undefined && !sameCodec(own.capability, capability),
  });
}

function reject(stack: Stack, call: Call, number: number, cause: Cause['choice']): void {
  sendResponse(stack, call, {
    choice: 'openLogicalChannelReject',
    value: { forwardLogicalChannelNumber: number, cause: { choice: cause, value: null } as Cause },
  });
}

export function acceptChannel(
  stack: Stack,
  call: Call,
  command: Extract<H323Command, { kind: 'accept-channel' }>,
): void {
  const { control } = call;
  const channel = control.receive.get(command.media);
  if (channel?.state !== 'asked') return;
  channel.state = 'open';
  control.receiveDue.delete(command.media);
  armEarliest(control.receiveAlarm, control.receiveDue);
  const { rtp, rtcp } = command.local;
  sendResponse(stack, call, {
    choice: 'openLogicalChannelAck',
    value: {
      forwardLogicalChannelNumber: channel.number,
      forwardMultiplexAckParameters: {
        choice: 'h2250LogicalChannelAckParameters',
        value: {
          sessionID: channelParameters(channel.capability, {}).sessionID,
          mediaChannel: toH245(rtp),
          ...(rtcp === undefined ? {} : { mediaControlChannel: toH245(rtcp) }),
        },
      },
    },
  });
}

const CAUSES: Readonly<Record<ChannelRefusal, Cause['choice']>> = {
  codec: 'dataTypeNotSupported',
  conflict: 'masterSlaveConflict',
  bandwidth: 'insufficientBandwidth',
  address: 'unspecified',
  other: 'unspecified',
};

export function rejectChannel(stack: Stack, call: Call, media: MediaKind, reason: ChannelRefusal): void {
  const { control } = call;
  const channel = control.receive.get(media);
  if (channel?.state !== 'asked') return;
  control.receive.delete(media);
  control.receiveDue.delete(media);
  armEarliest(control.receiveAlarm, control.receiveDue);
  reject(stack, call, channel.number, CAUSES[reason]);
}

/** CloseLogicalChannel: what the far end sends ends. Always acknowledged, also what we do not know (C.4.3). */
export function channelClosed(stack: Stack, call: Call, number: number): void {
  const { control } = call;
  sendResponse(stack, call, {
    choice: 'closeLogicalChannelAck',
    value: { forwardLogicalChannelNumber: number },
  });
  const channel = receiveByNumber(call, number);
  if (channel === undefined) return;
  control.receive.delete(channel.kind);
  control.receiveDue.delete(channel.kind);
  armEarliest(control.receiveAlarm, control.receiveDue);
  // Asked and withdrawn: the user learns of it in the same words.
  stack.core.event({ kind: 'channel-closed', call: call.ref, media: channel.kind, direction: 'receive' });
}

/** requestChannelClose: the far end wants us to stop sending. */
export function channelCloseAsked(stack: Stack, call: Call, number: number): void {
  const channel = sendByNumber(call, number);
  if (channel === undefined) {
    return sendResponse(stack, call, {
      choice: 'requestChannelCloseReject',
      value: { forwardLogicalChannelNumber: number, cause: { choice: 'unspecified', value: null } },
    });
  }
  sendResponse(stack, call, {
    choice: 'requestChannelCloseAck',
    value: { forwardLogicalChannelNumber: number },
  });
  const { state, kind: media } = channel;
  closeSend(stack, call, media);
  if (state === 'opening') {
    stack.core.event({ kind: 'channel-rejected', call: call.ref, media, reason: 'other' });
  }
}
