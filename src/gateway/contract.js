/** A whole gateway as one machine: what goes in, what comes out. process/ carries; test/sim plays the world. */
/** Metric families with one label each; the label's name stands behind it. */
export const COUNTER_NAMES = {
    calls: 'result', // connected, failed, refused
    callsRefused: 'reason',
    releases: 'cause',
    sipRefused: 'reason',
    metaRefused: 'reason',
    tunnelEvents: 'event',
    laneRefused: 'reason',
    mediaRefused: 'reason',
    registrations: 'outcome',
};
//# sourceMappingURL=contract.js.map