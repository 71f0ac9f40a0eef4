/** Counters of one stream that was opened more than once: a worker died, or the stream changed its kind. */
import type { StreamCounters } from './plane-contract.ts';

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
    lostIn: earlier.lostIn + later.lostIn,
    jitterInMs: later.packetsIn > 0 ? later.jitterInMs : earlier.jitterInMs,
    lostOut: later.lostOut >= 0 ? later.lostOut : earlier.lostOut,
    roundTripMs: later.roundTripMs >= 0 ? later.roundTripMs : earlier.roundTripMs,
    mosIn: later.mosIn > 0 ? later.mosIn : earlier.mosIn,
    refused: earlier.refused.map((count, slot) => count + (later.refused[slot] ?? 0)),
    ...(locked === undefined ? {} : { lockedSource: locked }),
  };
}
