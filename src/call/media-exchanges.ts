/**
 * The media exchanges of one call as one half-call sees them (docs/meta-protocol.md, "Media exchanges"): at most one is
 * open, offers are numbered 1, 2, ... per side, an answer names the offer it answers. The first offer of the originator
 * may be answered once on every early dialog (branch) until the call is connected, as RFC 3261 13.2.2.4 allows.
 */
import { answerProblem, mediaProblem } from '../meta/media-rules.ts';
import type { MediaExchange, MediaOffer, Side, Stream } from '../meta/message.ts';
import { META_LIMITS } from '../meta/message.ts';

/** Why an exchange is not taken. */
export type ExchangeProblem =
  | 'offer-open'
  | 'offer-side'
  | 'offer-stale'
  | 'offer-gap'
  | 'offer-limit'
  | 'answer-unknown'
  | 'answer-duplicate'
  | 'branch-limit'
  /** Both sides offered at once; the originator's offer stands. */
  | 'glare'
  /** The description itself is wrong; followed by the rule it breaks. */
  | `bad-${string}`;

export type Verdict =
  | {
      readonly kind: 'pass';
      readonly exchange: MediaExchange;
      /** An offer of ours that lost against this one; as our leg numbered it. */
      readonly yielded?: MediaExchange;
    }
  | { readonly kind: 'drop'; readonly problem: ExchangeProblem };

interface Offer {
  readonly by: Side;
  readonly number: number;
  /** How our leg numbered it (own offers). */
  readonly legNumber: number;
  readonly branch: number;
  readonly streams: readonly Stream[];
  readonly answered: Set<number>;
}

/** Early dialogs that may answer the first offer. */
const MAX_BRANCHES = 16;

export class MediaExchanges {
  readonly #side: Side;
  readonly #other: Side;
  #open: Offer | undefined;
  /** The originator's first offer while further branches may answer it. */
  #first: Offer | undefined;
  #connected = false;
  /** What our leg was given as answer to our first offer, by branch, and on which branch last. */
  readonly #answers = new Map<number, MediaExchange>();
  #answeredOn: number | undefined;
  #lastOwn = 0;
  #lastRemote = 0;
  #generation = 0;

  constructor(side: Side) {
    this.#side = side;
    this.#other = side === 'originator' ? 'terminator' : 'originator';
  }

  /** Answers so far, of both numberings. */
  get generation(): number {
    return this.#generation;
  }

  /** Whose offer waits for its answer. */
  get open(): 'own' | 'remote' | undefined {
    if (this.#open === undefined) return undefined;
    return this.#open.by === this.#side ? 'own' : 'remote';
  }

  /** An exchange our leg wants sent. Its offers get their Meta number here. */
  fromLeg(exchange: MediaExchange): Verdict {
    const problem = mediaProblem(exchange);
    if (problem !== undefined) return drop(`bad-${problem}`);
    if (exchange.kind !== 'offer') return this.#reply(this.#other, exchange, exchange.number);
    if (this.#open !== undefined) return drop('offer-open');
    if (this.#lastOwn === META_LIMITS.exchangeNumber) return drop('offer-limit');
    const number = ++this.#lastOwn;
    this.#opened(this.#side, number, exchange);
    return { kind: 'pass', exchange: { ...exchange, by: this.#side, number } };
  }

  /** An exchange that came through the tunnel. Replies get the number our leg gave its offer. */
  fromTunnel(exchange: MediaExchange): Verdict {
    if (exchange.kind !== 'offer') {
      const offer = this.#asked(this.#side, exchange);
      const verdict = this.#reply(this.#side, exchange, offer?.legNumber ?? exchange.number);
      if (verdict.kind === 'pass' && offer?.number === 1 && !this.#connected) {
        this.#answers.set(exchange.branch, verdict.exchange);
        this.#answeredOn = exchange.branch;
      }
      return verdict;
    }
    if (exchange.by !== this.#other) return drop('offer-side');
    if (exchange.number <= this.#lastRemote) return drop('offer-stale');
    if (exchange.number !== this.#lastRemote + 1) return drop('offer-gap');
    this.#lastRemote = exchange.number;
    if (this.open === 'remote') return drop('offer-open');
    if (this.open === 'own' && this.#side === 'originator') return drop('glare');
    const yielded = this.abandon();
    this.#opened(this.#other, exchange.number, exchange);
    return yielded === undefined ? { kind: 'pass', exchange } : { kind: 'pass', exchange, yielded };
  }

  /**
   * Gives up the open exchange (refused with its message, timed out, lost a crossing). Returns the refusal to show to
   * the side that offered it: our leg, in its own numbering, or the tunnel.
   */
  abandon(cause = 41): MediaExchange | undefined {
    const offer = this.#open;
    if (offer === undefined) return undefined;
    this.#open = undefined;
    return { kind: 'refuse', by: offer.by, number: offer.legNumber, branch: offer.branch, cause };
  }

  /** Passes over the number of an offer that came with a message that lost a crossing. */
  skip(exchange: MediaExchange | undefined): void {
    if (
      exchange?.kind === 'offer' &&
      exchange.by === this.#other &&
      exchange.number === this.#lastRemote + 1
    ) {
      this.#lastRemote = exchange.number;
    }
  }

  /**
   * The call will be connected on `branch`, which answered before another did: its answer, for our leg, which holds that of
   * the other. Undefined: nothing to say again.
   */
  reselected(branch: number): MediaExchange | undefined {
    return branch === this.#answeredOn || branch === 0 ? undefined : this.#answers.get(branch);
  }

  /** The call is connected on `branch`: other branches are over. Call after the exchange in `connect`. */
  connected(branch: number): void {
    this.#connected = true;
    this.#answers.clear();
    const first = this.#first;
    this.#first = undefined;
    if (first === undefined || this.#open !== undefined) return;
    const settled = branch === 0 || first.answered.has(branch) || first.answered.has(0);
    if (!settled) this.#open = { ...first, branch };
  }

  #opened(by: Side, number: number, exchange: MediaOffer): void {
    const { branch, streams } = exchange;
    this.#open = { by, number, legNumber: exchange.number, branch, streams, answered: new Set() };
    if (by === 'originator' && number === 1 && !this.#connected) this.#first = this.#open;
  }

  /** The offer of `by` that `exchange` replies to. */
  #asked(by: Side, exchange: MediaExchange): Offer | undefined {
    for (const offer of [this.#open, this.#first]) {
      if (offer === undefined || offer.by !== by || offer.number !== exchange.number) continue;
      if (offer.branch === 0 || exchange.branch === 0 || offer.branch === exchange.branch) return offer;
    }
    return undefined;
  }

  #reply(by: Side, exchange: Exclude<MediaExchange, { kind: 'offer' }>, number: number): Verdict {
    const offer = exchange.by === by ? this.#asked(by, exchange) : undefined;
    if (offer === undefined) return drop('answer-unknown');
    if (offer.answered.has(exchange.branch)) return drop('answer-duplicate');
    if (offer.answered.size >= MAX_BRANCHES) return drop('branch-limit');
    if (exchange.kind === 'answer') {
      const problem = answerProblem(offer.streams, exchange.streams);
      if (problem !== undefined) return drop(`bad-${problem}`);
      this.#generation++;
    }
    offer.answered.add(exchange.branch);
    if (this.#open === offer) this.#open = undefined;
    return { kind: 'pass', exchange: { ...exchange, number } };
  }
}

function drop(problem: ExchangeProblem): Verdict {
  return { kind: 'drop', problem };
}
