/** What the plane is told of one stream, and what of a change makes it learn the source anew. */
import type { LegStream } from '../call/leg.ts';
import { sameAddress } from '../machine/address.ts';
import type { Writable } from '../machine/machine.ts';
import type { CallId, Priority } from '../meta/message.ts';
import { META_LIMITS } from '../meta/message.ts';
import { faxPlaneFormat } from './fax.ts';
import { planeFormat } from './formats.ts';
import type { LegLocal, RtpBase, SessionId, StreamLegConfig } from './plane-contract.ts';

/** What the plane must know of a call besides its streams. */
export interface MediaCall {
  readonly call: CallId;
  readonly session: SessionId;
  readonly shard: number;
  /** Stream id = base + LegStream.index. */
  readonly streamBase: number;
  readonly priority: Priority;
  readonly source: 'signalled' | 'signalled-host' | 'latch';
  /** Address the far end's signalling comes from, where known. */
  readonly latchHost?: string;
}

export function legConfig(
  stream: LegStream & { readonly local: LegLocal },
  data: MediaCall,
  own: { readonly cname: string; readonly latchWindowMs: number; readonly rtpBase: RtpBase },
): StreamLegConfig {
  const { direction, kind, local, packetTime, remote, remoteRtcp, rtcpMux } = stream;
  const config: Writable<StreamLegConfig> = {
    session: data.session,
    stream: data.streamBase + stream.index,
    call: data.call,
    kind,
    priority: data.priority,
    local,
    rtcpMux,
    source: data.source,
    latchWindowMs: own.latchWindowMs,
    direction,
    formats: stream.formats.map((f) =>
      f.format.name === 'T38'
        ? faxPlaneFormat(f.format, f.farParameters)
        : planeFormat(f.format, packetTime, f.receivePayloadType, f.sendPayloadType),
    ),
    cname: own.cname,
    rtpBase: own.rtpBase,
  };
  if (remote !== undefined) config.remote = remote;
  if (remoteRtcp !== undefined) config.remoteRtcp = remoteRtcp;
  if (data.latchHost !== undefined) config.latchHost = data.latchHost;
  if (stream.voipMetrics === true) config.voipMetrics = true;
  return config;
}

export function isUsable(stream: LegStream): boolean {
  const inRange = stream.index >= 0 && stream.index < META_LIMITS.streams;
  return inRange && stream.active && stream.local !== undefined && stream.formats.length > 0;
}

/**
 * A source is learned anew only when the far end's own description moved: its address, or the payload types it sends; and, where
 * nobody was heard yet, when we begin to take packets (the window since `open` has passed while the call rang or was held).
 */
export function mustRelearn(was: StreamLegConfig, is: StreamLegConfig, locked: boolean): boolean {
  const moved =
    was.remote === undefined || is.remote === undefined
      ? was.remote !== is.remote
      : !sameAddress(was.remote, is.remote);
  const begins = !locked && takes(is) && !takes(was);
  return moved || begins || receiving(was) !== receiving(is);
}

/** We send to the far end. */
export function sends({ direction }: StreamLegConfig): boolean {
  return direction === 'sendrecv' || direction === 'sendonly';
}

/** We take what the far end sends. */
export function takes({ direction }: StreamLegConfig): boolean {
  return direction === 'sendrecv' || direction === 'recvonly';
}

function receiving(config: StreamLegConfig): string {
  return config.formats
    .map((f) => f.receivePayloadType)
    .sort((a, b) => a - b)
    .join();
}
