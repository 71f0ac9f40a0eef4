/** One far gateway (a site at the termination gateway, the termination gateway at a relay) and what is open with it. */
import { toHex } from '../bytes/text.js';
import { StreamBases } from '../call/stream-bases.js';
import { Timers } from '../machine/timers.js';
import { decodeMeta } from '../meta/decode.js';
import { tryEncodeMeta } from '../meta/encode.js';
import { TunnelSession } from '../tunnel/session.js';
const EXCHANGE_DEADLINE_MS = 10_000;
const EXCHANGES = 1000;
export class SiteLink {
    site;
    tunnel;
    state = 'never';
    sessionId = '';
    laneKey = '';
    shards = 1;
    /** Stream ids of the live session. */
    bases;
    minor = 0;
    roundTripMs = -1;
    /** The far end drains: no new calls to it. */
    draining = false;
    /** Calls named in our last answer to `fence-wanted`. */
    fenceListed = new Set();
    /** Lanes known to be up, by `shard/lane`. */
    lanes = new Set();
    #exchange = 0;
    #pending = new Map();
    #timers = new Timers();
    #gateway;
    constructor(site, options, providers) {
        this.site = site;
        this.#gateway = options.role === 'dialer' ? 'relay-gateway' : 'termination-gateway';
        this.bases = new StreamBases(this.#gateway);
        this.tunnel = new TunnelSession(options, providers.crypto, providers.random);
    }
    input(input, now) {
        this.tunnel.handle(input, now);
    }
    poll() {
        return this.tunnel.poll();
    }
    deadline() {
        const a = this.tunnel.deadline();
        const b = this.#timers.next();
        return a === undefined ? b : b === undefined ? a : Math.min(a, b);
    }
    get usable() {
        return this.state === 'up' && !this.draining;
    }
    begin(event) {
        this.sessionId = event.session;
        this.laneKey = toHex(event.laneKey);
        this.shards = Math.max(1, event.shards);
        this.minor = event.metaMinor;
        this.draining = false;
        this.fenceListed = new Set();
        this.lanes.clear();
        this.bases = new StreamBases(this.#gateway);
    }
    /** false: the message holds what Meta cannot carry (a stranger's digest parameters, say) and was not sent. */
    send(message, now) {
        const payload = tryEncodeMeta(message, this.minor);
        if (payload.ok)
            this.tunnel.handle({ kind: 'send', payload: payload.value }, now);
        return payload.ok;
    }
    decode(payload) {
        return decodeMeta(payload, this.minor);
    }
    get openExchanges() {
        return this.#pending.size;
    }
    /** Number of a new exchange with the far gateway, or undefined where too many are open. */
    open(pending, now) {
        if (this.#pending.size >= EXCHANGES)
            return undefined;
        this.#exchange = (this.#exchange % 0xffff_ffff) + 1;
        this.#pending.set(this.#exchange, pending);
        this.#timers.set(this.#exchange, now + EXCHANGE_DEADLINE_MS);
        return this.#exchange;
    }
    settle(exchange) {
        const pending = this.#pending.get(exchange);
        this.#pending.delete(exchange);
        this.#timers.set(exchange, undefined);
        return pending;
    }
    /** Exchanges whose time is over. */
    *overdue(now) {
        for (let n = this.#timers.take(now); n !== undefined; n = this.#timers.take(now)) {
            const pending = this.#pending.get(n);
            this.#pending.delete(n);
            if (pending !== undefined)
                yield pending;
        }
    }
}
//# sourceMappingURL=site-link.js.map