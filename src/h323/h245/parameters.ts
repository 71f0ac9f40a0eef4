/** H2250LogicalChannelParameters: where a channel's packets go and how they look. */
import { isIpv6 } from '../../machine/address.ts';
import { fromH245, toH245 } from '../addresses.ts';
import type { DataType, H2250LogicalChannelParameters } from '../asn1/h245-types.ts';
import {
  capabilityOf,
  dataTypesOf,
  H264_NON_INTERLEAVED,
  H264_SINGLE_NAL,
  SESSION_ID,
} from '../capability.ts';
import type { H323Capability, MediaAddress } from '../media-contract.ts';

export interface ChannelAddresses {
  /** Told by whoever receives. */
  readonly rtp?: MediaAddress['rtp'] | undefined;
  readonly rtcp?: MediaAddress['rtcp'] | undefined;
  readonly payloadType?: number | undefined;
}

export function channelParameters(
  capability: H323Capability,
  addresses: ChannelAddresses,
): H2250LogicalChannelParameters {
  const { rtp, rtcp, payloadType } = addresses;
  const dynamic = payloadType !== undefined && payloadType >= 96 && payloadType <= 127;
  return {
    sessionID: SESSION_ID[capability.kind],
    ...(rtp === undefined ? {} : { mediaChannel: toH245(rtp) }),
    // RTCP of the other address family than RTP would be no pair.
    ...(rtcp === undefined || (rtp !== undefined && isIpv6(rtp.ip) !== isIpv6(rtcp.ip))
      ? {}
      : { mediaControlChannel: toH245(rtcp) }),
    ...(dynamic ? { dynamicRTPPayloadType: payloadType } : {}),
    ...(capability.codec === 'H264' ? { mediaPacketization: packetization(capability, payloadType) } : {}),
  };
}

function packetization(
  capability: Extract<H323Capability, { kind: 'video' }>,
  payloadType: number | undefined,
): NonNullable<H2250LogicalChannelParameters['mediaPacketization']> {
  const oid = capability.packetizationMode === 1 ? H264_NON_INTERLEAVED : H264_SINGLE_NAL;
  return {
    choice: 'rtpPayloadType',
    value: {
      payloadDescriptor: { choice: 'oid', value: oid },
      ...(payloadType === undefined ? {} : { payloadType: payloadType & 127 }),
    },
  };
}

/** What a foreign channel carries and where; undefined: not something we know. */
export function channelOf(
  data: DataType,
  parameters: H2250LogicalChannelParameters,
):
  | {
      readonly capability: H323Capability;
      readonly remote: MediaAddress | undefined;
      readonly remoteRtcp: MediaAddress['rtcp'];
      readonly payloadType: number | undefined;
    }
  | undefined {
  const plain = capabilityOf(data);
  if (plain === undefined) return undefined;
  const mode = parameters.mediaPacketization;
  const nonInterleaved =
    mode?.choice === 'rtpPayloadType' &&
    mode.value.payloadDescriptor.choice === 'oid' &&
    mode.value.payloadDescriptor.value === H264_NON_INTERLEAVED;
  const capability: H323Capability =
    plain.kind === 'video' && nonInterleaved ? { ...plain, packetizationMode: 1 } : plain;
  const rtp = fromH245(parameters.mediaChannel);
  const rtcp = fromH245(parameters.mediaControlChannel);
  return {
    capability,
    remote: rtp === undefined ? undefined : { rtp, ...(rtcp === undefined ? {} : { rtcp }) },
    remoteRtcp: rtcp,
    payloadType: parameters.dynamicRTPPayloadType,
  };
}

/** Our spelling of a capability: the far end's where it has one for this codec (G.729 has several), else the usual one. */
export function spell(capability: H323Capability, like: DataType | undefined): DataType {
  const all = dataTypesOf(capability);
  return all.find((data) => spelling(data) === (like && spelling(like))) ?? all[0]!;
}

function spelling(data: DataType): string {
  return data.choice === 'audioData' ? data.value.choice : data.choice;
}
