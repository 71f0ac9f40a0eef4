/** The ladder of each call as this gateway sees it: bounded rings, kept for a while after the call. */
import type { WallMillis } from '../machine/machine.ts';
import type { SessionRef } from '../sip/contract.ts';
import type { TraceEntry } from './contract.ts';

const ENTRIES_PER_CALL = 200;
/** Ended calls whose ladder can still be asked for. */
const KEPT_CALLS = 200;
const PENDING_SESSIONS = 256;

export interface CallTrace {
  readonly entries: TraceEntry[];
  /** Entries that did not fit any more. */
  dropped: number;
  peer: string;
  site: string;
  session: SessionRef | undefined;
}

export class TraceBook {
  #calls = new Map<string, CallTrace>();
  #ended: string[] = [];
  /** Which call a session belongs to; also for a while after the call, when its last responses arrive. */
  #sessions = new Map<SessionRef, string>();
  /** Lines of SIP sessions that no call has claimed yet (the INVITE arrives before its call exists). */
  #pending = new Map<SessionRef, TraceEntry[]>();
  /** Sessions count up and are never used again. */
  #newest: SessionRef = 0;

  open(call: string, peer: string, site: string): void {
    this.#calls.set(call, { entries: [], dropped: 0, peer, site, session: undefined });
  }

  /** The session's earlier lines become the beginning of the call's ladder. */
  claim(call: string, session: SessionRef): void {
    const lines = this.#pending.get(session);
    this.#pending.delete(session);
    this.#sessions.set(session, call);
    const trace = this.#calls.get(call);
    if (trace !== undefined) trace.session = session;
    for (const line of lines ?? []) this.add(call, line);
  }

  add(call: string, entry: TraceEntry): void {
    const trace = this.#calls.get(call);
    if (trace === undefined) return;
    if (trace.entries.length < ENTRIES_PER_CALL) trace.entries.push(entry);
    else trace.dropped++;
  }

  /** A line of a session: of its call, or kept until a call claims it. */
  addOf(session: SessionRef, entry: TraceEntry): void {
    const call = this.#sessions.get(session);
    if (call === undefined) this.#addPending(session, entry);
    else this.add(call, entry);
  }

  #addPending(session: SessionRef, entry: TraceEntry): void {
    const lines = this.#pending.get(session);
    if (entry.direction === 'out' && /^SIP\/2\.0 [3-6]/.test(entry.line)) {
      this.#pending.delete(session); // refused or challenged: no call will claim it
      return;
    }
    if (lines !== undefined) {
      if (lines.length < 20) lines.push(entry);
      return;
    }
    if (session <= this.#newest) return; // a repeated INVITE of a session that is over
    this.#newest = session;
    if (this.#pending.size >= PENDING_SESSIONS) {
      const oldest = this.#pending.keys().next().value;
      if (oldest !== undefined) this.#pending.delete(oldest);
    }
    this.#pending.set(session, [entry]);
  }

  /** Sessions whose lines wait for their call. */
  get pending(): number {
    return this.#pending.size;
  }

  forgetPending(session: SessionRef): void {
    this.#pending.delete(session);
  }

  /** The call is over; its ladder stays until 200 later calls have ended. */
  end(call: string): void {
    if (!this.#calls.has(call)) return;
    this.#ended.push(call);
    if (this.#ended.length > KEPT_CALLS) this.#forget(this.#ended.shift()!);
  }

  #forget(call: string): void {
    const session = this.#calls.get(call)?.session;
    if (session !== undefined) this.#sessions.delete(session);
    this.#calls.delete(call);
  }

  /** By full call id or any unique beginning of at least 4 characters. */
  find(call: string): { readonly call: string; readonly trace: CallTrace } | 'unknown' | 'ambiguous' {
    const exact = this.#calls.get(call);
    if (exact !== undefined) return { call, trace: exact };
    if (call.length < 4) return 'unknown';
    const matches = [...this.#calls.keys()].filter((id) => id.startsWith(call));
    if (matches.length > 1) return 'ambiguous';
    const only = matches[0];
    return only === undefined ? 'unknown' : { call: only, trace: this.#calls.get(only)! };
  }
}

export function traceEntry(
  at: WallMillis,
  column: TraceEntry['column'],
  direction: TraceEntry['direction'],
  line: string,
  remote?: string,
): TraceEntry {
  return remote === undefined ? { at, column, direction, line } : { at, column, direction, line, remote };
}
