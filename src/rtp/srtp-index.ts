/** Numbers one packet may be behind the highest and still be taken (RFC 3711 3.3.2 asks for 64 at least). */
export const REPLAY_WINDOW = 256;
/** RFC 3711 9.2: a master key ends after so many packets of one source. */
const MOST_RTP = 2 ** 48;
const MOST_RTCP = 2 ** 31;

export const INDEX_NEW = 0;
/** Seen before, or too old to know. */
export const INDEX_REPLAYED = 1;
export const INDEX_EXHAUSTED = 2;

/**
 * The packet index of one source under one key: roll-over counter (RFC 3711 3.3.1) and replay list (3.3.2). `estimate` and `judge` look,
 * `commit` counts, and only after the packet has been authenticated: a forged one moves neither. The same serves the sender: an index is
 * never used twice, or two packets would share a key stream (9.1).
 */
export class SrtpIndex {
  readonly ssrc: number;
  readonly #most: number;
  readonly #seen = new Uint8Array(REPLAY_WINDOW);
  #highest: number;

  /** `highest`: the index the source stands at, where known; -1: nothing was sent or received yet. */
  constructor(ssrc: number, kind: 'rtp' | 'rtcp', highest = -1) {
    this.ssrc = ssrc;
    this.#most = kind === 'rtp' ? MOST_RTP : MOST_RTCP;
    this.#highest = highest;
  }

  /** Highest index so far, or -1. */
  get highest(): number {
    return this.#highest;
  }

  /** RFC 3711 3.3.1 and appendix A: the likely index of a packet with this sequence number; negative where there is none. */
  estimate(sequence: number): number {
    if (this.#highest < 0) return sequence;
    const rollOver = Math.floor(this.#highest / 0x1_0000);
    const last = this.#highest % 0x1_0000;
    let guess = rollOver;
    if (last < 0x8000) {
      if (sequence - last > 0x8000) guess--;
    } else if (last - 0x8000 > sequence) guess++;
    return guess * 0x1_0000 + sequence;
  }

  /** INDEX_NEW, INDEX_REPLAYED or INDEX_EXHAUSTED. */
  judge(index: number): number {
    if (index < 0) return INDEX_REPLAYED;
    if (index >= this.#most) return INDEX_EXHAUSTED;
    if (index > this.#highest) return INDEX_NEW;
    if (this.#highest - index >= REPLAY_WINDOW) return INDEX_REPLAYED;
    return this.#seen[index % REPLAY_WINDOW] === 0 ? INDEX_NEW : INDEX_REPLAYED;
  }

  /** Only after `judge` said INDEX_NEW. */
  commit(index: number): void {
    const step = index - this.#highest;
    if (this.#highest < 0 || step >= REPLAY_WINDOW) this.#seen.fill(0);
    else for (let i = 1; i < step; i++) this.#seen[(this.#highest + i) % REPLAY_WINDOW] = 0;
    this.#seen[index % REPLAY_WINDOW] = 1;
    if (step > 0) this.#highest = index;
  }
}

/** Sources under one key: a far end has one, and a new one after a restart or a transfer. */
export const MOST_SOURCES = 8;

/**
 * The sources of one direction. None is ever forgotten while the key lives, or its packets could be replayed; more than MOST_SOURCES
 * are refused. A source is entered once a packet of it has been authenticated.
 */
export class SrtpSources {
  readonly #kind: 'rtp' | 'rtcp';
  readonly #known: SrtpIndex[] = [];
  #fresh: SrtpIndex;
  #last: SrtpIndex;

  constructor(kind: 'rtp' | 'rtcp') {
    this.#kind = kind;
    this.#fresh = new SrtpIndex(-1, kind);
    this.#last = this.#fresh;
  }

  get size(): number {
    return this.#known.length;
  }

  /** Where a source stands; one that is not entered stands at nothing. Undefined: there are too many. */
  of(ssrc: number): SrtpIndex | undefined {
    if (this.#last.ssrc === ssrc) return this.#last;
    for (const known of this.#known) {
      if (known.ssrc !== ssrc) continue;
      this.#last = known;
      return known;
    }
    return this.#known.length < MOST_SOURCES ? this.#fresh : undefined;
  }

  /** A packet of `ssrc` with this index, judged by what `of` gave, is genuine. */
  commit(ssrc: number, at: SrtpIndex, index: number): void {
    let entered = at;
    if (at.ssrc !== ssrc) {
      entered = new SrtpIndex(ssrc, this.#kind);
      this.#known.push(entered);
      this.#last = entered;
    }
    entered.commit(index);
  }

  /** Makes the source known at an index before its first packet (a successor of a worker, late joining: RFC 3711 3.3.1). */
  resume(ssrc: number, highest: number): void {
    if (this.#known.length < MOST_SOURCES) this.#known.push(new SrtpIndex(ssrc, this.#kind, highest));
  }
}
