import { copyBytes } from '../bytes/copy.ts';
import { distance16 } from '../bytes/sequence.ts';
import { writeU16 } from './packet.ts';
import { MAX_DROPOUT, MAX_MISORDER } from './sequence-window.ts';
import { octetsOf, writeLength } from './udptl.ts';

/** The most IFP packets repeated in one datagram. */
export const MAX_REDUNDANCY = 3;
const KEPT = 4;
/** Datagrams that may have left since the last snapshot of a worker that died. */
const UNSEEN = 100;
/** Sequence number, length of the IFP packet, kind and count of what repairs. */
const OVERHEAD = 6;

/** Octets of the greatest datagram with one IFP packet of this length. */
export function datagramOf(ifpLength: number): number {
  return OVERHEAD + ifpLength;
}

interface Sent {
  /** Its number, not folded to 16 bits; -Infinity: none. */
  number: number;
  length: number;
  readonly bytes: Uint8Array;
}

/** How the far end wants it. */
export interface UdptlManner {
  /** IFP packets before this one to repeat, 0 .. MAX_REDUNDANCY. */
  readonly redundancy: number;
  /** Octets; repetitions are left out that would exceed it. The IFP packet itself is sent in any case. */
  readonly maxDatagram: number;
}

/**
 * Builds this gateway's own UDPTL towards one far end (terminate means build): numbers begin at 0, because receivers compare them without
 * folding, gaps of the origin survive, repetitions are made here of what was sent before.
 */
export class UdptlSender {
  packets = 0;
  /** Of the newest datagram; -1: none. */
  #highest: number;
  #highestFrame = 0;
  #started = false;
  readonly #first: number;
  readonly #sent: readonly Sent[];

  /** `resume`: the number where a predecessor was. `maxIfp`: octets of the greatest IFP packet. */
  constructor(maxIfp: number, resume?: number) {
    this.#highest = resume === undefined ? -1 : resume + UNSEEN;
    this.#first = this.#highest + 1;
    this.#sent = Array.from({ length: KEPT }, () => ({
      number: Number.NEGATIVE_INFINITY,
      length: 0,
      bytes: new Uint8Array(maxIfp),
    }));
  }

  /** What a successor needs. */
  get state(): number {
    return this.#highest;
  }

  /** Writes the datagram of one IFP packet with this neutral number to `out`; returns its octets, 0 where it is too old to be sent. */
  write(
    out: Uint8Array,
    frameSequence: number,
    bytes: Uint8Array,
    start: number,
    length: number,
    manner: UdptlManner,
  ): number {
    const number = this.#number(frameSequence);
    if (number < this.#first) return 0;
    writeU16(out, 0, number & 0xffff);
    let at = writeLength(out, 2, length);
    copyBytes(bytes, start, length, out, at);
    at += length;
    out[at] = 0; // secondary-ifp-packets
    const countAt = at + 1;
    at += 2;
    let count = 0;
    for (; count < manner.redundancy; count++) {
      const wanted = number - 1 - count;
      const before = this.#sent[wanted & (KEPT - 1)]!;
      // A list without gaps: places are told by their order alone.
      if (before.number !== wanted) break;
      if (at + octetsOf(before.length) + before.length > manner.maxDatagram) break;
      at = writeLength(out, at, before.length);
      copyBytes(before.bytes, 0, before.length, out, at);
      at += before.length;
    }
    out[countAt] = count;
    this.#keep(number, bytes, start, length);
    this.packets++;
    return at;
  }

  #number(frameSequence: number): number {
    const step = this.#started ? distance16(frameSequence, this.#highestFrame) : MAX_DROPOUT;
    // As for RTP: a jump that no receiver would follow is another gateway's worker that began anew.
    if (step >= MAX_DROPOUT || step <= -MAX_MISORDER) {
      this.#started = true;
      this.#highestFrame = frameSequence;
      this.#highest++;
      return this.#highest;
    }
    if (step <= 0) return this.#highest + step;
    this.#highestFrame = frameSequence;
    this.#highest += step;
    return this.#highest;
  }

  #keep(number: number, bytes: Uint8Array, start: number, length: number): void {
    const slot = this.#sent[number & (KEPT - 1)]!;
    if (slot.number > number || length > slot.bytes.length) return;
    slot.number = number;
    slot.length = length;
    copyBytes(bytes, start, length, slot.bytes, 0);
  }
}
