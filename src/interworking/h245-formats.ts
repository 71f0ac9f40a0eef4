/** Formats of an H.245 capability ↔ neutral formats. Only codecs that both vocabularies name; parameters by known name. */

import type { H323Capability } from '../h323/contract.ts';
import { defaultPacketTime, staticPayloadType } from '../media/formats.ts';
import type { FormatName } from '../meta/message.ts';
import type { BareFormat } from './sdp-formats.ts';

export type AudioCapability = Extract<H323Capability, { kind: 'audio' }>;
type AudioCodec = AudioCapability['codec'];

const AUDIO: readonly FormatName[] = ['PCMU', 'PCMA', 'G722', 'G729', 'G723', 'GSM'] satisfies AudioCodec[];

/** H.323 6.2.5: what every terminal with audio can do; offered for a far end whose capabilities are not known yet. */
export const MANDATORY: readonly FormatName[] = ['PCMA', 'PCMU'];

/** RFC 4733 2.1: what we ask to be sent with, in capability sets and channels of ours. */
export const EVENT_PAYLOAD_TYPE = 101;

export const EVENTS: BareFormat = {
  name: 'telephone-event',
  clockRate: 8000,
  channels: 1,
  parameters: [],
};

export function isH323Audio(name: FormatName): name is AudioCodec {
  return AUDIO.includes(name);
}

/** The codec as a neutral format. */
export function formatOfCapability(capability: AudioCapability): BareFormat {
  const plainG729 = capability.codec === 'G729' && !capability.silenceSuppression;
  return {
    name: capability.codec,
    clockRate: 8000,
    channels: 1,
    parameters: plainG729 ? [{ name: 'annexb', value: 'no' }] : [],
  };
}

export function formatNamed(name: AudioCodec): BareFormat {
  return { name, clockRate: 8000, channels: 1, parameters: [] };
}

/** What we can receive of this format, or would send. `packetTime`: the other side's wish, ms; H.245 rounds to the codec's frames. */
export function capabilityOf(
  format: BareFormat,
  packetTime: number | undefined,
): AudioCapability | undefined {
  if (!isH323Audio(format.name) || format.channels !== 1) return undefined;
  const time = Math.max(10, packetTime ?? defaultPacketTime(format.name));
  return {
    kind: 'audio',
    codec: format.name,
    packetTime: format.name === 'G723' ? Math.max(30, time - (time % 30)) : time,
    silenceSuppression: silence(format),
  };
}

/** Annex B of G.729 is on where nobody says no (RFC 4856 2.1.9); the others have none that matters to the packets' format. */
function silence(format: BareFormat): boolean {
  if (format.name !== 'G729') return false;
  return !format.parameters.some((p) => p.name === 'annexb' && p.value === 'no');
}

/** RTP payload type of a channel: as told, else the codec's static one. */
export function payloadTypeOf(format: BareFormat, told: number | undefined): number {
  return told ?? staticPayloadType(format) ?? -1;
}
