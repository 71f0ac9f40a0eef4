import { buildRecord } from '../call/record.js';
import { REFUSALS } from '../media/plane-contract.js';
/** The record of a call that is over, from its half-call and the plane's last counters. */
export function recordOf(gw, call) {
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
        streams: gw.media
            .counters(half.call)
            .map((c) => streamRecord(call, c, gw.media.codec(half.call, c.stream))),
    });
}
function streamRecord(call, c, codec) {
    const refused = {};
    c.refused.forEach((count, slot) => {
        const reason = REFUSALS[slot];
        if (count > 0 && reason !== undefined)
            refused[reason] = count;
    });
    const { packetsIn, bytesIn, packetsOut, bytesOut, lostIn, jitterInMs, lostOut, roundTripMs, mosIn } = c;
    return {
        index: c.stream - call.streamBase,
        kind: 'audio',
        codec,
        packetsIn,
        bytesIn,
        packetsOut,
        bytesOut,
        lostIn,
        jitterInMs,
        lostOut,
        roundTripMs,
        mosIn,
        refused,
    };
}
//# sourceMappingURL=records.js.map