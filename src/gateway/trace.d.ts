/** The ladder of each call as this gateway sees it: bounded rings, kept for a while after the call. */
import type { WallMillis } from '../machine/machine.ts';
import type { SessionRef } from '../sip/contract.ts';
import type { TraceEntry } from './contract.ts';
export interface CallTrace {
  readonly entries: TraceEntry[];
  /** Entries that did not fit any more. */
  dropped: number;
  peer: string;
  site: string;
  session: SessionRef | undefined;
}
export declare class TraceBook {
  #private;
  open(call: string, peer: string, site: string): void;
  /** The session's earlier lines become the beginning of the call's ladder. */
  claim(call: string, session: SessionRef): void;
  add(call: string, entry: TraceEntry): void;
  /** A line of a session: of its call, or kept until a call claims it. */
  addOf(session: SessionRef, entry: TraceEntry): void;
  /** Sessions whose lines wait for their call. */
  get pending(): number;
  forgetPending(session: SessionRef): void;
  /** The call is over; its ladder stays until 200 later calls have ended. */
  end(call: string): void;
  /** By full call id or any unique beginning of at least 4 characters. */
  find(call: string):
    | {
        readonly call: string;
        readonly trace: CallTrace;
      }
    | 'unknown'
    | 'ambiguous';
}
export declare function traceEntry(
  at: WallMillis,
  column: TraceEntry['column'],
  direction: TraceEntry['direction'],
  line: string,
): TraceEntry;
