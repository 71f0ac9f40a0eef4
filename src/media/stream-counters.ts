/** Counters of one stream that was opened more than once: a worker died, or the stream changed its kind. */
import { REFUSALS, type SessionId, type StreamCounters, type StreamId } from './plane-contract.ts';

/** Of a stream that has carried nothing. */
export function noCounters(session: SessionId, stream: StreamId, call = ''): StreamCounters {
  return {
    session,
    stream,
    call,
    packetsIn: 0,
    bytesIn: 0,
    packetsOut: 0,
    bytesOut: 0,
    framesToTunnel: 0,
    framesFromTunnel: 0,
    framesLost: 0,
    framesDuplicate: 0,
    lostIn: 0,
    lateIn: 0,
    duplicatesIn: 0,
    jitterInMs: 0,
    lostOut: -1,
    jitterOutMs: -1,
    roundTripMs: -1,
    mosIn: 0,
    mosOut: 0,
    mosOutReported: 0,
    tunnelLost: -1,
    tunnelDelayMs: -1,
    farLost: -1,
    farJitterMs: -1,
    refused: REFUSALS.map(() => 0),
  };
}

/** Sums add up; what is a measure rather than a sum is that of the later segment where it has one. */
export function addCounters(earlier: StreamCounters | undefined, later: StreamCounters): StreamCounters {
  if (earlier === undefined) return later;
  const locked = later.lockedSource ?? earlier.lockedSource;
  return {
    session: later.session,
    stream: later.stream,
    call: later.call,
    packetsIn: earlier.packetsIn + later.packetsIn,
    bytesIn: earlier.bytesIn + later.bytesIn,
    packetsOut: earlier.packetsOut + later.packetsOut,
    bytesOut: earlier.bytesOut + later.bytesOut,
    framesToTunnel: earlier.framesToTunnel + later.framesToTunnel,
    framesFromTunnel: earlier.framesFromTunnel + later.framesFromTunnel,
    framesLost: earlier.framesLost + later.framesLost,
    framesDuplicate: earlier.framesDuplicate + later.framesDuplicate,
    lostIn: earlier.lostIn + later.lostIn,
    lateIn: earlier.lateIn + later.lateIn,
    duplicatesIn: earlier.duplicatesIn + later.duplicatesIn,
    jitterInMs: later.packetsIn > 0 ? later.jitterInMs : earlier.jitterInMs,
    lostOut: known(later.lostOut, earlier.lostOut),
    jitterOutMs: known(later.jitterOutMs, earlier.jitterOutMs),
    roundTripMs: known(later.roundTripMs, earlier.roundTripMs),
    mosIn: later.mosIn > 0 ? later.mosIn : earlier.mosIn,
    mosOut: later.mosOut > 0 ? later.mosOut : earlier.mosOut,
    mosOutReported: later.mosOutReported > 0 ? later.mosOutReported : earlier.mosOutReported,
    tunnelLost: sum(earlier.tunnelLost, later.tunnelLost),
    tunnelDelayMs: known(later.tunnelDelayMs, earlier.tunnelDelayMs),
    // The far gateway's own sum where its stream went on; the greater one where it began anew too.
    farLost: Math.max(earlier.farLost, later.farLost),
    farJitterMs: known(later.farJitterMs, earlier.farJitterMs),
    refused: earlier.refused.map((count, slot) => count + (later.refused[slot] ?? 0)),
    ...(locked === undefined ? {} : { lockedSource: locked }),
  };
}

/** -1: unknown. */
function known(later: number, earlier: number): number {
  return later >= 0 ? later : earlier;
}

function sum(a: number, b: number): number {
  if (a < 0 || b < 0) return Math.max(a, b);
  return a + b;
}
