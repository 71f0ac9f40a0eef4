import type { Millis } from '../machine/machine.ts';
import { TokenBucket } from '../machine/token-bucket.ts';
import { isIfp } from './ifp.ts';
import { MAX_DATAGRAM } from './packet.ts';
import { ACCEPTED, REFUSED } from './refusal.ts';
import { DUPLICATE, IN_ORDER, JUMP, REORDERED, SequenceWindow } from './sequence-window.ts';
import { SOURCE_CANDIDATE, SOURCE_REFUSED, type SourceLock } from './source-lock.ts';
import type { SourceWords } from './source-words.ts';
import { parseUdptl, udptlFields } from './udptl.ts';
import { UdptlRepair } from './udptl-repair.ts';

export interface UdptlRules {
  /** Whether the far end may send at all. */
  readonly receive: boolean;
  /** Octets of a whole datagram. */
  readonly maxDatagram: number;
  /** Of IFP packets that are new. */
  readonly maxPacketsPerSecond: number;
  /** Of whole datagrams, repetitions included. */
  readonly maxBytesPerSecond: number;
}

/** Of one IFP packet that is new. */
export interface FreshIfp {
  /** The datagram, or what was kept. */
  bytes: Uint8Array;
  start: number;
  length: number;
  /** 0 .. 65535 on this gateway's own scale: continuous where the far end began anew. */
  sequence: number;
}

/**
 * The checks of one fax stream's incoming UDPTL, in the order of ReceiveCheck and for its reasons: size, source, shape of everything in the
 * datagram, direction, rate, sequence, and only then is anything committed. Error recovery ends here: `fresh` is every IFP packet that has
 * not come before, those that only a repetition or parities brought included, in order. `check` allocates nothing in steady state.
 */
export class UdptlCheck {
  /** After ACCEPTED, or `release`: the first `count` are new; valid until the next call. */
  readonly fresh: FreshIfp[] = [];
  count = 0;
  /** Set when the last accepted datagram locked the source; the caller clears it. */
  justLocked = false;
  lastAcceptedAt: Millis;
  readonly window = new SequenceWindow();
  late = 0;
  duplicates = 0;
  readonly #fields = udptlFields();
  readonly #lock: SourceLock;
  /** Of a far end that has sent parities. */
  #repair: UdptlRepair | undefined;
  #rules: UdptlRules;
  #packets: TokenBucket;
  #bytes: TokenBucket;
  #shift: number;
  #last = 0; // newest, own scale
  #relearn = false;
  #resyncAt = -1;

  /** `base` 0..65535: random start of the neutral scale. */
  constructor(rules: UdptlRules, lock: SourceLock, base: number, now: Millis) {
    this.#rules = rules;
    this.#lock = lock;
    this.#shift = base;
    this.lastAcceptedAt = now;
    this.#packets = packetBucket(rules, now);
    this.#bytes = byteBucket(rules, now);
  }

  setRules(rules: UdptlRules, now: Millis): void {
    const was = this.#rules;
    this.#rules = rules;
    if (rules.maxPacketsPerSecond !== was.maxPacketsPerSecond) this.#packets = packetBucket(rules, now);
    if (rules.maxBytesPerSecond !== was.maxBytesPerSecond) this.#bytes = byteBucket(rules, now);
  }

  /** After a negotiation: the next datagram may begin a new series. */
  relearn(): void {
    this.#relearn = true;
  }

  /** Packets wait for one that parities may restore: call `release` every few milliseconds. */
  get holding(): boolean {
    return this.#repair?.holding === true;
  }

  /** Of packets restored from parities. */
  get restored(): number {
    return this.#repair?.restored ?? 0;
  }

  /** Packets that have waited long enough, in `fresh`. */
  release(now: Millis): void {
    this.count = 0;
    this.#repair?.turn();
    this.#repair?.release(now);
  }

  /** One datagram. ACCEPTED or a reason out of REFUSED. */
  check(bytes: Uint8Array, start: number, length: number, source: SourceWords, now: Millis): number {
    this.count = 0;
    const place = this.#lock.classify(source, now);
    if (place === SOURCE_REFUSED) return REFUSED.source;
    if (length > MAX_DATAGRAM) return REFUSED.tooLong;
    const rules = this.#rules;
    if (length > rules.maxDatagram) return REFUSED.payloadSize;
    const shape = this.#shape(bytes, start, length);
    if (shape !== ACCEPTED) return shape;
    if (!rules.receive) return REFUSED.direction;
    if (!this.#packets.has(1, now) || !this.#bytes.has(length, now)) return REFUSED.rate;
    const fields = this.#fields;
    const candidate = place === SOURCE_CANDIDATE;
    const known = this.window.started && !candidate && !this.#begins(fields.sequence);
    if (known) {
      const refusal = this.#series(fields.sequence);
      if (refusal !== ACCEPTED) return refusal;
    }
    if (candidate) {
      if (!this.#lock.prove(source, 0, fields.sequence, now)) return REFUSED.source;
      this.justLocked = true;
    } else if (!this.#lock.isLocked) {
      this.#lock.lock(source);
      this.justLocked = true;
    }
    this.#bytes.spend(length);
    this.lastAcceptedAt = now;
    const { received } = this.window;
    const anew = !known || this.window.classify(fields.sequence) === JUMP;
    const repair = this.#repairing(anew);
    this.#commit(bytes, anew, now);
    repair?.settle(bytes, start, length, fields, now);
    // A repetition of what did not come before is as dear behind the tunnel as a datagram of its own.
    this.#packets.spend(Math.max(1, this.window.received - received));
    return ACCEPTED;
  }

  #shape(bytes: Uint8Array, start: number, length: number): number {
    const fields = this.#fields;
    const shape = parseUdptl(bytes, start, length, fields);
    if (shape !== ACCEPTED) return shape;
    if (!isIfp(bytes, fields.primaryStart, fields.primaryLength)) return REFUSED.ifp;
    for (let i = 0; i < fields.secondaries; i++) {
      const octets = fields.lengths[i]!;
      if (octets > 0 && !isIfp(bytes, fields.starts[i]!, octets)) return REFUSED.ifp;
    }
    return ACCEPTED;
  }

  /** After a negotiation: a series that goes on is not a new one, or its repetitions would count as new. */
  #begins(sequence: number): boolean {
    return this.#relearn && this.window.classify(sequence) !== IN_ORDER;
  }

  #series(sequence: number): number {
    const order = this.window.classify(sequence);
    if (order === DUPLICATE) {
      this.duplicates++;
      return REFUSED.sequence;
    }
    if (order === JUMP && sequence !== this.#resyncAt) {
      // As RFC 3550 A.1: two in a row are needed to believe a jump. The second repeats the first.
      this.#resyncAt = (sequence + 1) & 0xffff;
      return REFUSED.sequence;
    }
    if (order === REORDERED) this.late++;
    return ACCEPTED;
  }

  #repairing(anew: boolean): UdptlRepair | undefined {
    const fields = this.#fields;
    if (fields.fec)
      this.#repair ??= new UdptlRepair(this.window, (number, bytes, start, length) =>
        this.#give((number + this.#shift) & 0xffff, bytes, start, length),
      );
    const repair = this.#repair;
    repair?.turn();
    if (anew) repair?.end();
    if (!this.window.started) repair?.begin(fields.sequence, fields);
    return repair;
  }

  #commit(bytes: Uint8Array, anew: boolean, now: Millis): void {
    const { sequence, primaryStart, primaryLength, starts, lengths } = this.#fields;
    this.#relearn = false;
    this.#resyncAt = -1;
    let first = anew;
    // The oldest first: they leave in order.
    for (let i = this.#fields.secondaries - 1; i >= 0; i--) {
      if (lengths[i] === 0) continue;
      const number = (sequence - 1 - i) & 0xffff;
      if (!this.#isNew(number, first)) continue;
      first = false;
      this.#take(number, bytes, starts[i]!, lengths[i]!, now);
    }
    if (this.#isNew(sequence, first)) this.#take(sequence, bytes, primaryStart, primaryLength, now);
  }

  /** Commits the number where it is. */
  #isNew(sequence: number, first: boolean): boolean {
    const { window } = this;
    if (first) {
      this.#shift = window.started ? (this.#last + 1 - sequence) & 0xffff : (this.#shift - sequence) & 0xffff;
      if (window.started) window.restart(sequence);
      else window.commit(sequence);
    } else {
      const order = window.classify(sequence);
      if (order === DUPLICATE || order === JUMP) return false;
      window.commit(sequence);
    }
    if (window.highest === sequence) this.#last = (sequence + this.#shift) & 0xffff;
    return true;
  }

  #take(sequence: number, bytes: Uint8Array, start: number, length: number, now: Millis): void {
    if (this.#repair === undefined) this.#give((sequence + this.#shift) & 0xffff, bytes, start, length);
    else this.#repair.put(sequence, bytes, start, length, now);
  }

  #give(own: number, bytes: Uint8Array, start: number, length: number): void {
    this.fresh[this.count] ??= { bytes, start, length, sequence: own };
    const fresh = this.fresh[this.count++]!;
    fresh.bytes = bytes;
    fresh.start = start;
    fresh.length = length;
    fresh.sequence = own;
  }
}

function packetBucket({ maxPacketsPerSecond: rate }: UdptlRules, now: Millis): TokenBucket {
  return new TokenBucket(Math.max(2, rate / 2), rate, now);
}

/** A burst of a second: what waited for the start of a page comes at once. */
export function byteBucket(
  { maxBytesPerSecond: rate }: Pick<UdptlRules, 'maxBytesPerSecond'>,
  now: Millis,
): TokenBucket {
  return new TokenBucket(Math.max(MAX_DATAGRAM, rate), rate, now);
}
