/** Everything one gateway holds, and the way effects leave it. The other files of this folder are the operations on it. */
import { toHex } from '../bytes/text.js';
import { CallTable } from '../call/call-table.js';
import { Timers } from '../machine/timers.js';
import { Counters } from './counters.js';
import { Registrar } from './registrar.js';
import { TraceBook } from './trace.js';
export class GatewayState {
    config;
    policy;
    providers;
    sip;
    media;
    links = new Map();
    calls;
    /** Calls with output to drain. */
    dirty = new Set();
    timers = new Timers();
    counters = new Counters();
    registrar = new Registrar();
    trace = new TraceBook();
    peersDown = new Set();
    peersUp = new Set();
    shards = new Map();
    draining = false;
    stopped = false;
    now = 0;
    #nextSession = 2; // sip/contract.ts: the user's sessions are even
    #out = [];
    #head = 0;
    constructor(options) {
        this.config = options.config;
        this.policy = options.policy;
        this.providers = options.providers;
        this.sip = options.sip;
        this.media = options.media;
        this.calls = new CallTable(options.config.limits.maxCalls + 100);
    }
    emit(output) {
        this.#out.push(output);
    }
    next() {
        if (this.#head >= this.#out.length) {
            this.#out.length = 0;
            this.#head = 0;
            return undefined;
        }
        return this.#out[this.#head++];
    }
    count(name, label) {
        this.emit({ kind: 'count', name, label: this.counters.add(name, label) });
    }
    log(level, event, fields = {}) {
        this.emit({ kind: 'log', level, event, fields });
    }
    newSession() {
        const session = this.#nextSession;
        this.#nextSession += 2;
        return session;
    }
    newCallId() {
        return toHex(this.providers.random.bytes(16));
    }
    peer(name) {
        return this.config.peers.find((p) => p.name === name);
    }
}
//# sourceMappingURL=state.js.map