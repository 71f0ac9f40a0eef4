/** How a stream fares, and on which part of its way: in `calls --json`, in the record of the call and in the metrics. */

/** A stream's way: one leg, the tunnel between the gateways, the other leg. */
export type Part = 'internet' | 'tunnel' | 'intranet';

/** What one part did to one direction of a stream. -1: not known here. */
export interface PartQuality {
  readonly part: Part;
  /** Packets that never came. */
  readonly lost: number;
  /** Legs: came after a later one, and were passed on. Tunnel: came too late to be of use, and were dropped. */
  readonly late: number;
  /** Legs: second copies, dropped. Tunnel: copies sent on purpose (docs/media-lanes.md). */
  readonly duplicates: number;
  /** RFC 3550 6.4.1. */
  readonly jitterMs: number;
  /** One way: half the round trip of a leg; of the tunnel that and how much later than the fastest frames come on average. */
  readonly delayMs: number;
}

export interface StreamQuality {
  /** From this gateway's peer, as it arrives here. `mos`: 1..4.5, 0 unknown. */
  readonly received: PartQuality & { readonly mos: number };
  /** To this gateway's peer: the whole way from the other end, in the order it goes. */
  readonly sent: {
    /** What the peer's listener hears by our reckoning, and by its own (RFC 3611), 0 unknown. */
    readonly mos: number;
    readonly mosReported: number;
    readonly parts: readonly PartQuality[];
    /** The part that costs most; `none`: nothing that is heard. */
    readonly worst: Part | 'none';
  };
}
