import type { Part, PartQuality, StreamQuality } from '../call/quality.ts';
import type { StreamCounters } from '../media/plane-contract.ts';
import { delayOf, IMPAIRMENTS, rating } from '../rtp/emodel.ts';
import { REFUSED } from '../rtp/refusal.ts';

/** Points of the E-model's rating: less is not heard. */
const HEARD = 2;
/** Of G.107's points, what a millisecond costs below the knee at 177 ms: so that much delay shows before it hurts. */
const POINTS_PER_MS = 0.024;

/**
 * The plane's counters of one stream of a leg, put down to the parts of its way. `roundTripMs`: of the tunnel, -1 unknown. What the other
 * gateway's leg lost is what that gateway says.
 */
export function streamQuality(
  c: StreamCounters,
  role: 'termination' | 'relay',
  roundTripMs: number,
): StreamQuality {
  const [near, far]: readonly Part[] =
    role === 'termination' ? ['internet', 'intranet'] : ['intranet', 'internet'];
  const oneWay = c.roundTripMs < 0 ? -1 : rounded(c.roundTripMs / 2);
  const origin = {
    part: far!,
    lost: c.farLost,
    late: -1,
    duplicates: -1,
    jitterMs: rounded(c.farJitterMs),
    delayMs: -1,
  };
  const tunnel = {
    part: 'tunnel' as const,
    lost: c.tunnelLost,
    late: c.refused[REFUSED.frameStale] ?? 0,
    duplicates: c.framesDuplicate,
    jitterMs: -1,
    delayMs: c.tunnelDelayMs < 0 ? -1 : rounded(c.tunnelDelayMs + Math.max(0, roundTripMs) / 2),
  };
  const last = {
    part: near!,
    lost: c.lostOut,
    late: -1,
    duplicates: -1,
    jitterMs: rounded(c.jitterOutMs),
    delayMs: oneWay,
  };
  const parts = [origin, tunnel, last];
  return {
    received: {
      part: near!,
      lost: c.lostIn,
      late: c.lateIn,
      duplicates: c.duplicatesIn,
      jitterMs: rounded(c.jitterInMs),
      delayMs: oneWay,
      mos: rounded(c.mosIn),
    },
    sent: {
      mos: rounded(c.mosOut),
      mosReported: c.mosOutReported,
      parts,
      worst: worstOf(parts, c.framesFromTunnel + c.framesLost),
    },
  };
}

/** To hundredths: finer means nothing, and fills records. */
function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

function worstOf(parts: readonly PartQuality[], packets: number): Part | 'none' {
  let worst: Part | 'none' = 'none';
  let most = HEARD;
  for (const part of parts) {
    const cost = costOf(part, packets);
    if (cost <= most) continue;
    worst = part.part;
    most = cost;
  }
  return worst;
}

/** Points this part alone would take, of G.711 with concealment. */
function costOf(part: PartQuality, packets: number): number {
  // What a leg passed on late is not lost; what the tunnel dropped late is.
  const dropped = part.part === 'tunnel' ? part.late : 0;
  const lost = Math.max(0, part.lost, dropped);
  const lossPercent = packets === 0 ? 0 : (100 * lost) / packets;
  const codec = IMPAIRMENTS.G711;
  const delay = delayOf({ lossPercent, jitterMs: part.jitterMs, roundTripMs: -1, codec });
  const points = rating(0, 0, codec) - rating(lossPercent, 0, codec);
  return points + POINTS_PER_MS * (delay + Math.max(0, part.delayMs));
}
