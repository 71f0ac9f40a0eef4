import type { StreamQuality } from '../call/quality.ts';
import { buildRecord, type CallRecord, type StreamRecord } from '../call/record.ts';
import { FORMAT_FACTS } from '../media/formats.ts';
import { REFUSALS, type StreamCounters } from '../media/plane-contract.ts';
import type { GatewayCall } from './gateway-call.ts';
import { streamQuality } from './quality.ts';
import type { GatewayState } from './state.ts';

/** The record of a call that is over, from its half-call and the plane's last counters. */
export function recordOf(gw: GatewayState, call: GatewayCall): CallRecord {
  const { half, peer, site, route } = call;
  return buildRecord({
    call: half.call,
    gateway: gw.config.name,
    role: gw.config.role,
    side: half.side,
    site,
    peer,
    route,
    facts: { ...half.facts, caller: call.caller, callee: call.callee },
    clock: { now: gw.now, wall: gw.providers.wall() },
    ...(call.endReason === undefined ? {} : { reason: call.endReason }),
    streams: gw.media.counters(half.call).map((c) => streamRecord(gw, call, c)),
  });
}

function streamRecord(gw: GatewayState, call: GatewayCall, c: StreamCounters): StreamRecord {
  const refused: Record<string, number> = {};
  c.refused.forEach((count, slot) => {
    const reason = REFUSALS[slot];
    if (count > 0 && reason !== undefined) refused[reason] = count;
  });
  const { packetsIn, bytesIn, packetsOut, bytesOut, lostIn, jitterInMs, lostOut, roundTripMs, mosIn } = c;
  const codecs = gw.media.codecs(call.half.call, c.stream);
  const [first] = codecs;
  return {
    index: c.stream - call.streamBase,
    kind: first === undefined ? 'audio' : FORMAT_FACTS[first].media,
    codec: codecs.join('+'),
    packetsIn,
    bytesIn,
    packetsOut,
    bytesOut,
    lostIn,
    jitterInMs,
    lostOut,
    roundTripMs,
    mosIn,
    quality: qualityOf(gw, call, c),
    refused,
  };
}

/** How a stream of a call fares, by the parts of its way. */
export function qualityOf(gw: GatewayState, call: GatewayCall, c: StreamCounters): StreamQuality {
  return streamQuality(c, gw.config.role, gw.links.get(call.site)?.roundTripMs ?? -1);
}
