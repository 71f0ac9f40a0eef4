import { copyBytes } from '../bytes/copy.ts';
import { distance16 } from '../bytes/sequence.ts';
import type { Millis } from '../machine/machine.ts';
import { isIfp } from './ifp.ts';
import { DUPLICATE, REORDERED, type SequenceWindow } from './sequence-window.ts';
import { MAX_SECONDARIES, type UdptlFields } from './udptl.ts';

/** IFP packets that are kept, and the most that one parity may reach back. Devices reach back 9 to 15. */
export const REPAIR_WINDOW = 64;
const MASK = REPAIR_WINDOW - 1;
/** The first parities have little to cover and do not reach far: a series is young until it is so long, and twice as long as they reach. */
const YOUNG = 16;
/** A fax receiver does not mind a pause, and gives up what comes behind its successor (tunnel/frame-order.ts has the same number). */
export const REPAIR_HOLD_MS = 500;

interface Kept {
  /** UDPTL sequence number; -1: none. */
  number: number;
  at: Millis;
  /** The datagram, or the IFP packet alone. Grows as needed, 1500 octets at most. */
  bytes: Uint8Array;
  ifpStart: number;
  ifpLength: number;
  /** Of the datagram: packets in each of its parities, and the parities. */
  span: number;
  parities: number;
  readonly starts: Int32Array;
  readonly lengths: Int32Array;
  /** The turn in which its bytes were given out: they must stay until the next. */
  lent: number;
}

/** Takes one IFP packet whose turn it is; `bytes` are valid until the next call of anything here. */
export type RepairSink = (number: number, bytes: Uint8Array, start: number, length: number) => void;

/**
 * Restores IFP packets from parities (T.38 9.1.4.2, "fec-info"), for far ends that send them. Parity m of the n in datagram s is the exclusive or of
 * the packets s + m - n, s + m - 2n, ... (as many as the span says), shorter ones filled with zeros; one that is missing is what is left over. What
 * was restored may be what another parity lacked, so that this is repeated until nothing more comes of it.
 *
 * A packet behind a gap waits while a parity may still fill the gap, because what comes behind its successor is of no use to a fax; never longer
 * than REPAIR_HOLD_MS. Costs REPAIR_WINDOW datagrams of memory, and at most REPAIR_WINDOW squared steps for one that comes while others are missing.
 */
export class UdptlRepair {
  restored = 0;
  readonly #window: SequenceWindow;
  readonly #sink: RepairSink;
  readonly #kept: readonly Kept[] = Array.from({ length: REPAIR_WINDOW }, () => ({
    number: -1,
    at: 0,
    bytes: new Uint8Array(0),
    ifpStart: 0,
    ifpLength: 0,
    span: 0,
    parities: 0,
    starts: new Int32Array(MAX_SECONDARIES),
    lengths: new Int32Array(MAX_SECONDARIES),
    lent: 0,
  }));
  #begun = false;
  /** Whose turn it is. */
  #next = 0;
  #highest = 0;
  /** Before this one there is nothing to restore: parities of the first packets may be over what never was. */
  #oldest = 0;
  /** The farthest that parities of this series reach back. */
  #reach = 0;
  #turn = 0;

  /** `window`: of the stream; what is restored is committed there. */
  constructor(window: SequenceWindow, sink: RepairSink) {
    this.#window = window;
    this.#sink = sink;
  }

  /** Something waits: call `release` every few milliseconds. */
  get holding(): boolean {
    return this.#begun && distance16(this.#highest, this.#next) >= 0;
  }

  /** Before one datagram, or `release`: what was given out is not needed any more. */
  turn(): void {
    this.#turn++;
  }

  /** The series ends: what waits goes out, gaps stay. */
  end(): void {
    if (this.#begun) this.#giveUp((this.#highest + 1) & 0xffff);
    this.#begun = false;
    this.#reach = 0;
    for (const kept of this.#kept) kept.number = -1;
  }

  /** A series of which nothing came before begins: what its first parities cover may be restored and is waited for. Numbers begin at 0. */
  begin(number: number, fields: UdptlFields): void {
    const reach = Math.max(YOUNG, reachOf(fields));
    this.#start(number, number >= reach ? number - reachOf(fields) : 0);
  }

  #start(number: number, oldest: number): void {
    this.#begun = true;
    this.#highest = number;
    this.#next = oldest;
    this.#oldest = oldest;
  }

  /** An IFP packet that is new, its number committed to the window. */
  put(number: number, bytes: Uint8Array, start: number, length: number, now: Millis): void {
    if (!this.#begun) this.#start(number, number);
    this.#store(number, bytes, start, length, now);
  }

  /** After the IFP packets of a datagram: its parities are kept, and all that can be is restored; then what has its turn goes out. */
  settle(bytes: Uint8Array, start: number, length: number, fields: UdptlFields, now: Millis): void {
    this.#keepParities(bytes, start, length, fields);
    while (this.#missing() && this.#restoreOne(now));
    this.release(now);
  }

  /** What has its turn, or has waited long enough. */
  release(now: Millis): void {
    while (this.holding) {
      const kept = this.#at(this.#next);
      if (kept !== undefined) this.#give(kept);
      else if (this.#worthWaiting(now)) return;
      this.#next = (this.#next + 1) & 0xffff;
    }
  }

  #at(number: number): Kept | undefined {
    const kept = this.#kept[number & MASK]!;
    return kept.number === number ? kept : undefined;
  }

  #give(kept: Kept): void {
    kept.lent = this.#turn;
    this.#sink(kept.number, kept.bytes, kept.ifpStart, kept.ifpLength);
  }

  /** Up to this number, which excluded, nothing is waited for any more. */
  #giveUp(number: number): void {
    const most = distance16(number, this.#next);
    if (most <= 0) return;
    // Older than the window nothing is kept.
    for (let i = Math.max(0, most - 2 * REPAIR_WINDOW); i < most; i++) {
      const kept = this.#at((this.#next + i) & 0xffff);
      if (kept !== undefined) this.#give(kept);
    }
    this.#next = number;
  }

  /** What comes here has its slot; what had it goes out before. */
  #store(number: number, bytes: Uint8Array, start: number, length: number, now: Millis): void {
    const ahead = distance16(number, this.#highest);
    if (ahead <= -REPAIR_WINDOW) {
      this.#sink(number, bytes, start, length);
      return;
    }
    if (ahead >= REPAIR_WINDOW) this.#giveUp((this.#highest + 1) & 0xffff);
    this.#giveUp((number - MASK) & 0xffff);
    if (ahead > 0) this.#highest = number;
    if (distance16(this.#highest, this.#oldest) > 2 * REPAIR_WINDOW)
      this.#oldest = (this.#highest - 2 * REPAIR_WINDOW) & 0xffff;
    const kept = this.#kept[number & MASK]!;
    this.#fill(kept, bytes, start, length);
    kept.number = number;
    kept.at = now;
    kept.ifpStart = 0;
    kept.ifpLength = length;
    kept.span = 0;
    kept.parities = 0;
    // Given up before: late, as any that comes in another order.
    if (distance16(number, this.#next) < 0) this.#give(kept);
  }

  #fill(kept: Kept, bytes: Uint8Array, start: number, length: number): void {
    if (kept.bytes.length < length || kept.lent === this.#turn)
      kept.bytes = new Uint8Array(Math.max(64, length));
    copyBytes(bytes, start, length, kept.bytes, 0);
  }

  #keepParities(bytes: Uint8Array, start: number, length: number, fields: UdptlFields): void {
    const kept = this.#at(fields.sequence);
    const reach = reachOf(fields);
    if (kept === undefined || reach === 0 || reach >= REPAIR_WINDOW) return;
    this.#reach = Math.max(this.#reach, reach);
    this.#fill(kept, bytes, start, length);
    kept.ifpStart = fields.primaryStart - start;
    kept.span = fields.span;
    kept.parities = fields.parities;
    for (let m = 0; m < fields.parities; m++) {
      kept.starts[m] = fields.starts[m]! - start;
      kept.lengths[m] = fields.lengths[m]!;
    }
  }

  /** Whether anything within reach of a kept parity has not come. */
  #missing(): boolean {
    for (let age = 1; age < REPAIR_WINDOW; age++) {
      if (this.#at((this.#highest - age) & 0xffff) === undefined) return true;
    }
    return false;
  }

  /** The first parity that lacks one packet alone gives it back. False: there is none. */
  #restoreOne(now: Millis): boolean {
    for (let age = 0; age < REPAIR_WINDOW; age++) {
      const holder = this.#at((this.#highest - age) & 0xffff);
      if (holder === undefined) continue;
      for (let m = 0; m < holder.parities; m++) {
        if (holder.lengths[m] === 0) continue;
        const number = this.#onlyMissing(holder, m);
        if (number >= 0 && this.#restore(holder, m, number, now)) return true;
      }
    }
    return false;
  }

  /** The one packet of this parity that is missing; -1: none, or several, or one that is not kept any more. */
  #onlyMissing(holder: Kept, m: number): number {
    let missing = -1;
    for (let k = 1; k <= holder.span; k++) {
      const number = (holder.number + m - holder.parities * k) & 0xffff;
      if (this.#at(number) !== undefined) continue;
      if (missing >= 0 || distance16(this.#highest, number) >= REPAIR_WINDOW) return -1;
      missing = number;
    }
    return missing;
  }

  #restore(holder: Kept, m: number, missing: number, now: Millis): boolean {
    const length = holder.lengths[m]!;
    const from = holder.starts[m]!;
    const octets = holder.bytes.slice(from, from + length);
    for (let k = 1; k <= holder.span; k++) {
      const kept = this.#at((holder.number + m - holder.parities * k) & 0xffff);
      if (kept === undefined) continue;
      // A packet longer than the parity over it: the sender has another parity in mind. isIfp tells.
      const common = Math.min(length, kept.ifpLength);
      for (let i = 0; i < common; i++) octets[i]! ^= kept.bytes[kept.ifpStart + i]!;
    }
    const size = wholeIfp(octets);
    holder.lengths[m] = 0; // it has said what it had to say, or nothing
    if (size === 0) return false;
    const order = this.#window.classify(missing);
    if (order === DUPLICATE) {
      // It came before anything was kept: of use to other parities, and sent already.
      this.#keepOnly(missing, octets, size, now);
      return true;
    }
    if (order !== REORDERED || distance16(missing, this.#oldest) < 0) return false;
    this.#window.commit(missing);
    this.restored++;
    this.#store(missing, octets, 0, size, now);
    return true;
  }

  #keepOnly(number: number, bytes: Uint8Array, length: number, now: Millis): void {
    const next = this.#next;
    if (distance16(number, next) < 0) this.#next = number; // no second time
    this.#store(number, bytes, 0, length, now);
    this.#next = next;
  }

  /** Whose turn it is has not come: whether a parity may still bring it. */
  #worthWaiting(now: Millis): boolean {
    const number = this.#next;
    if (this.#window.classify(number) === DUPLICATE) return false; // before anything was kept
    const behind = distance16(this.#highest, number);
    if (behind >= REPAIR_WINDOW) return false;
    for (let k = 1; k <= behind; k++) {
      const after = this.#at((number + k) & 0xffff);
      if (after === undefined) continue;
      if (now - after.at >= REPAIR_HOLD_MS) return false;
      break;
    }
    const young = distance16(this.#highest, this.#oldest) < Math.max(YOUNG, 2 * this.#reach);
    return young || behind < this.#reach || this.#isCovered(number, behind);
  }

  /** A parity that came is over this packet, and over others that are missing. */
  #isCovered(number: number, behind: number): boolean {
    for (let k = 1; k <= behind; k++) {
      const holder = this.#at((number + k) & 0xffff);
      if (holder === undefined || holder.parities === 0 || k > holder.span * holder.parities) continue;
      // s + m - n*j = number: m is what k leaves over, to the next multiple.
      const m = (holder.parities - (k % holder.parities)) % holder.parities;
      if (holder.lengths[m] !== 0) return true;
    }
    return false;
  }
}

/** How far back the parities of a datagram reach, packets. */
function reachOf({ span, parities }: UdptlFields): number {
  return span * parities;
}

/** Octets of the IFP packet that these begin with, nothing but the zeros of longer ones behind it; 0: there is none. */
function wholeIfp(octets: Uint8Array): number {
  let least = octets.length;
  while (least > 0 && octets[least - 1] === 0) least--;
  for (let length = Math.max(1, least); length <= octets.length; length++) {
    if (isIfp(octets, 0, length)) return length;
  }
  return 0;
}
