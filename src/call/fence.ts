/**
 * After a cut: which calls do only we know, and where do the two views differ. The far list stands in the message stream
 * so that nothing older is in flight from there; what we said ourselves may not have arrived when it was made.
 */
import type { CallId, FenceCall, MetaCallState, Side } from '../meta/message.ts';

export interface LocalCall extends FenceCall {
  readonly side: Side;
}

export interface FenceComparison {
  /** Known only here: release with cause 41, origin tunnel. */
  readonly release: readonly CallId[];
  /** Known to both, seen differently: HalfCall.enquire. */
  readonly enquire: readonly CallId[];
  /** How many calls only the far gateway knows; it finds them in our list and releases them itself. */
  readonly unknownHere: number;
}

export function compareFence(local: readonly LocalCall[], remote: readonly FenceCall[]): FenceComparison {
  const theirs = new Map(remote.map((c) => [c.call, c]));
  const release: CallId[] = [];
  const enquire: CallId[] = [];
  let known = 0;
  for (const ours of local) {
    const other = theirs.get(ours.call);
    if (other !== undefined) known++;
    if (other === undefined) {
      // Our set-up may be younger than their list; the timer of a set-up waits for it.
      if (!(ours.side === 'originator' && ours.state === 'initiated') && ours.state !== 'null') {
        release.push(ours.call);
      }
    } else if (differs(ours, other)) {
      enquire.push(ours.call);
    }
  }
  return { release, enquire, unknownHere: theirs.size - known };
}

function differs(a: FenceCall, b: FenceCall): boolean {
  return stage(a.state) !== stage(b.state) || a.mediaGeneration !== b.mediaGeneration;
}

/** States that differ only while a message is in flight count as one. */
function stage(state: MetaCallState): 'early' | 'established' | 'over' {
  switch (state) {
    case 'connected':
    case 'modifying':
      return 'established';
    case 'null':
    case 'releasing':
      return 'over';
    default:
      return 'early';
  }
}
