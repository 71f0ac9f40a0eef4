/** The calls of one gateway, by call id and by leg, up to a cap. What a gateway keeps about a call extends CallEntry. */
import type { CallId, CallMessage, FenceCall, Party, ReleaseOrigin } from '../meta/message.ts';
import type { HalfCall } from './half-call.ts';
import type { LegId } from './leg.ts';

export interface CallEntry {
  readonly half: HalfCall;
  /** Another one after a forward (`moveLeg`). */
  leg: LegId;
  /** Configured peer at this gateway's leg. */
  peer: string;
  /** The far gateway. */
  readonly site: string;
}

/** One line of `voip-sgw calls`. */
export interface CallListing {
  readonly call: CallId;
  readonly state: string;
  readonly side: string;
  readonly peer: string;
  readonly site: string;
  readonly caller: Party | undefined;
  readonly callee: Party | undefined;
  readonly priority: string;
  readonly seconds: number;
  readonly connectedSeconds: number;
}

export class CallTable<Entry extends CallEntry = CallEntry> {
  readonly #cap: number;
  readonly #byCall = new Map<CallId, Entry>();
  readonly #byLeg = new Map<LegId, Entry>();

  constructor(cap: number) {
    this.#cap = cap;
  }

  get size(): number {
    return this.#byCall.size;
  }

  /** 'duplicate': a live call has this id (or leg) already; the new one must be refused. */
  add(entry: Entry): 'added' | 'full' | 'duplicate' {
    if (this.#byCall.has(entry.half.call) || this.#byLeg.has(entry.leg)) return 'duplicate';
    if (this.#byCall.size >= this.#cap) return 'full';
    this.#byCall.set(entry.half.call, entry);
    this.#byLeg.set(entry.leg, entry);
    return 'added';
  }

  /** Each of the two calls gets the other's leg. */
  swapLegs(a: Entry, b: Entry): void {
    [a.leg, b.leg] = [b.leg, a.leg];
    this.#byLeg.set(a.leg, a);
    this.#byLeg.set(b.leg, b);
  }

  byCall(call: CallId): Entry | undefined {
    return this.#byCall.get(call);
  }

  /** As a far gateway may ask: another site's call is unknown to it. */
  forSite(call: CallId, site: string): Entry | undefined {
    const entry = this.#byCall.get(call);
    return entry?.site === site ? entry : undefined;
  }

  byLeg(leg: LegId): Entry | undefined {
    return this.#byLeg.get(leg);
  }

  /** The call goes on with another leg: events of the old one find nothing any more. */
  moveLeg(entry: Entry, leg: LegId): void {
    this.#byLeg.delete(entry.leg);
    entry.leg = leg;
    this.#byLeg.set(leg, entry);
  }

  remove(call: CallId): Entry | undefined {
    const entry = this.#byCall.get(call);
    if (entry === undefined) return undefined;
    this.#byCall.delete(call);
    this.#byLeg.delete(entry.leg);
    return entry;
  }

  values(): IterableIterator<Entry> {
    return this.#byCall.values();
  }

  *ofSite(site: string): Generator<Entry> {
    for (const entry of this.#byCall.values()) if (entry.site === site) yield entry;
  }

  /** The body of the fence for one far gateway. */
  fence(site: string): readonly FenceCall[] {
    const calls: FenceCall[] = [];
    for (const { half } of this.ofSite(site)) {
      calls.push({ call: half.call, state: half.metaState, mediaGeneration: half.mediaGeneration });
    }
    return calls;
  }

  /** Oldest first. */
  list(now: number): readonly CallListing[] {
    return [...this.#byCall.values()].map((entry) => listing(entry, now));
  }
}

function listing(entry: CallEntry, now: number): CallListing {
  const { half, peer, site } = entry;
  const { caller, callee, priority, setupAt, connectAt } = half.facts;
  const since = (at: number | undefined) =>
    at === undefined ? 0 : Math.max(0, Math.round((now - at) / 1000));
  return {
    call: half.call,
    state: half.state,
    side: half.side,
    peer,
    site,
    caller,
    callee,
    priority,
    seconds: since(setupAt),
    connectedSeconds: since(connectAt),
  };
}

/**
 * What to answer to a message of a call that is not in the table (other than `setup`): the far gateway learns that it is
 * alone with it. Releases, statuses and refusals are not answered, so that nothing can echo for ever.
 */
export function answerUnknownCall(message: CallMessage, origin: ReleaseOrigin): CallMessage | undefined {
  const { call } = message;
  switch (message.kind) {
    case 'release':
    case 'status':
    case 'modify-refuse':
      return undefined;
    case 'status-enquiry':
      return { kind: 'status', call, state: 'null', mediaGeneration: 0 };
    default:
      return { kind: 'release', call, cause: 81, origin }; // Q.850 81: invalid call reference value
  }
}
