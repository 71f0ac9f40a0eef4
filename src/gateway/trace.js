const ENTRIES_PER_CALL = 200;
/** Ended calls whose ladder can still be asked for. */
const KEPT_CALLS = 200;
const PENDING_SESSIONS = 256;
export class TraceBook {
    #calls = new Map();
    #ended = [];
    /** Which call a session belongs to; also for a while after the call, when its last responses arrive. */
    #sessions = new Map();
    /** Lines of SIP sessions that no call has claimed yet (the INVITE arrives before its call exists). */
    #pending = new Map();
    open(call, peer, site) {
        this.#calls.set(call, { entries: [], dropped: 0, peer, site, session: undefined });
    }
    /** The session's earlier lines become the beginning of the call's ladder. */
    claim(call, session) {
        const lines = this.#pending.get(session);
        this.#pending.delete(session);
        this.#sessions.set(session, call);
        const trace = this.#calls.get(call);
        if (trace !== undefined)
            trace.session = session;
        for (const line of lines ?? [])
            this.add(call, line);
    }
    add(call, entry) {
        const trace = this.#calls.get(call);
        if (trace === undefined)
            return;
        if (trace.entries.length < ENTRIES_PER_CALL)
            trace.entries.push(entry);
        else
            trace.dropped++;
    }
    /** A line of a session: of its call, or kept until a call claims it. */
    addOf(session, entry) {
        const call = this.#sessions.get(session);
        if (call === undefined)
            this.#addPending(session, entry);
        else
            this.add(call, entry);
    }
    #addPending(session, entry) {
        const lines = this.#pending.get(session);
        if (lines !== undefined) {
            if (lines.length < 20)
                lines.push(entry);
            return;
        }
        if (this.#pending.size >= PENDING_SESSIONS) {
            const oldest = this.#pending.keys().next().value;
            if (oldest !== undefined)
                this.#pending.delete(oldest);
        }
        this.#pending.set(session, [entry]);
    }
    /** Sessions whose lines wait for their call. */
    get pending() {
        return this.#pending.size;
    }
    forgetPending(session) {
        this.#pending.delete(session);
    }
    /** The call is over; its ladder stays until 200 later calls have ended. */
    end(call) {
        if (!this.#calls.has(call))
            return;
        this.#ended.push(call);
        if (this.#ended.length > KEPT_CALLS)
            this.#forget(this.#ended.shift());
    }
    #forget(call) {
        const session = this.#calls.get(call)?.session;
        if (session !== undefined)
            this.#sessions.delete(session);
        this.#calls.delete(call);
    }
    /** By full call id or any unique beginning of at least 4 characters. */
    find(call) {
        const exact = this.#calls.get(call);
        if (exact !== undefined)
            return { call, trace: exact };
        if (call.length < 4)
            return 'unknown';
        const matches = [...this.#calls.keys()].filter((id) => id.startsWith(call));
        if (matches.length > 1)
            return 'ambiguous';
        const only = matches[0];
        return only === undefined ? 'unknown' : { call: only, trace: this.#calls.get(only) };
    }
}
export function traceEntry(at, column, direction, line) {
    return { at, column, direction, line };
}
//# sourceMappingURL=trace.js.map