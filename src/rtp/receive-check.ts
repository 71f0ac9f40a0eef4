import { distance16, distance32 } from '../bytes/sequence.ts';
import type { Millis } from '../machine/machine.ts';
import { TokenBucket } from '../machine/token-bucket.ts';
import { LossRuns } from './loss-runs.ts';
import { packetFields, parsePacket } from './packet.ts';
import { Reception } from './reception.ts';
import { ACCEPTED, REFUSED } from './refusal.ts';
import { DUPLICATE, IN_ORDER, JUMP, SequenceWindow } from './sequence-window.ts';
import { SOURCE_CANDIDATE, SOURCE_REFUSED, type SourceLock } from './source-lock.ts';
import type { SourceWords } from './source-words.ts';
import { checkEvent } from './telephone-event.ts';

/** What one payload type may carry. */
export interface ReceiveFormat {
  /** Neutral format id. */
  readonly format: number;
  /** 0..127, or -1: not taken from the far end. */
  readonly payloadType: number;
  /** Hz. */
  readonly clockRate: number;
  /** Octets. */
  readonly maxPayload: number;
  readonly maxPacketsPerSecond: number;
  readonly event: boolean;
}

export interface ReceiveRules {
  readonly formats: readonly ReceiveFormat[];
  /** Whether the far end may send at all. */
  readonly receive: boolean;
  readonly rtcpMux: boolean;
}

/** Consecutive packets a new SSRC must show, and the silence of the old one before it is believed. */
const SSRC_PROOF = 3;
const SSRC_SILENCE_MS = 50;
/** How far a timestamp may step from what the clock says, in seconds, before a second packet must confirm it. */
const STEP_SECONDS = 2;

interface Slot {
  readonly rules: ReceiveFormat;
  readonly bucket: TokenBucket;
}

/**
 * The checks of one stream leg's incoming RTP. All state is allocated when the leg is opened; `check` allocates nothing.
 *
 * The order: shape, source, payload type and size, direction, rate, SSRC, sequence, timestamp, and only then is anything
 * committed. Source first of the stateful ones, so that a flood from elsewhere costs little and uses nobody's tokens up.
 */
export class ReceiveCheck {
  /** Of the last accepted packet. */
  readonly packet = packetFields();
  /** Neutral format id of the last accepted packet. */
  format = 0;
  /** Sequence and timestamp of the last accepted packet on this gateway's own scale: continuous where the SSRC changed. */
  sequence = 0;
  timestamp = 0;
  /** Whether it is a telephone event. */
  isEvent = false;
  /** Set when the last accepted packet locked the source; the caller clears it. */
  justLocked = false;
  lastAcceptedAt: Millis;
  readonly window = new SequenceWindow();
  readonly reception = new Reception();
  readonly runs = new LossRuns();
  /** Packets that came after a later one, and second copies of one that had come. */
  late = 0;
  duplicates = 0;
  /** When the first packet was accepted; -1: none yet. */
  firstAcceptedAt: Millis = -1;
  readonly #lock: SourceLock;
  #rules: ReceiveRules;
  #slots: Slot[] = [];
  readonly #slotOf = new Int8Array(128);

  #ssrc = -1;
  #relearn = false;
  #candidate = -1;
  #candidateNext = 0;
  #candidateCount = 0;
  #resyncAt = -1; // RFC 3550 A.1 bad_seq
  #stepTo = -1; // timestamp that a second packet has to confirm
  #lastTimestamp = 0;
  #timestampAt: Millis;
  #sequenceShift: number;
  #timestampShift: number;

  /** `sequenceBase` 0..65535 and `timestampBase` 0..2^32-1: random starts of the neutral scale. */
  constructor(
    rules: ReceiveRules,
    lock: SourceLock,
    sequenceBase: number,
    timestampBase: number,
    now: Millis,
  ) {
    this.#lock = lock;
    this.#rules = rules;
    this.#sequenceShift = sequenceBase;
    this.#timestampShift = timestampBase;
    this.lastAcceptedAt = now;
    this.#timestampAt = now;
    this.setRules(rules, now);
  }

  get ssrc(): number {
    return this.#ssrc;
  }

  /** New rules. Buckets of unchanged formats stay as they are. */
  setRules(rules: ReceiveRules, now: Millis): void {
    const old = this.#slots;
    this.#rules = rules;
    this.#slotOf.fill(-1);
    this.#slots = rules.formats
      .filter((f) => f.payloadType >= 0 && f.payloadType < 128)
      .slice(0, 64)
      .map((f) => {
        const rate = f.maxPacketsPerSecond;
        const kept = old.find((s) => s.rules.format === f.format && s.rules.maxPacketsPerSecond === rate);
        // A burst of half a second's worth, never less than two packets.
        return { rules: f, bucket: kept?.bucket ?? new TokenBucket(Math.max(2, rate / 2), rate, now) };
      });
    this.#slots.forEach((slot, i) => {
      this.#slotOf[slot.rules.payloadType] = i;
    });
  }

  /** A timestamp of the far end on this gateway's scale. */
  neutralTimestamp(timestamp: number): number {
    return (timestamp + this.#timestampShift) >>> 0;
  }

  /** After a negotiation: the next packet may carry another SSRC at once. */
  relearn(): void {
    this.#relearn = true;
  }

  /** One datagram. ACCEPTED, IS_RTCP or a reason out of REFUSED. */
  check(bytes: Uint8Array, start: number, length: number, source: SourceWords, now: Millis): number {
    const packet = this.packet;
    const place = this.#lock.classify(source, now);
    if (place === SOURCE_REFUSED) return REFUSED.source;
    const shape = parsePacket(bytes, start, length, this.#rules.rtcpMux, packet);
    if (shape !== ACCEPTED) return shape;
    const slot = this.#slots[this.#slotOf[packet.payloadType]!];
    if (slot === undefined) return REFUSED.payloadType;
    const content = this.#checkContent(bytes, slot, now);
    if (content !== ACCEPTED) return content;
    const series = this.#checkSeries(slot.rules.clockRate, place === SOURCE_CANDIDATE, now);
    if (series !== ACCEPTED) return series;
    if (place === SOURCE_CANDIDATE) {
      if (!this.#lock.prove(source, packet.ssrc, packet.sequence, now)) return REFUSED.source;
      this.justLocked = true;
    } else if (!this.#lock.isLocked) {
      this.#lock.lock(source);
      this.justLocked = true;
    }
    this.#commit(slot, now);
    return ACCEPTED;
  }

  #checkContent(bytes: Uint8Array, slot: Slot, now: Millis): number {
    const packet = this.packet;
    if (packet.payloadLength === 0 || packet.payloadLength > slot.rules.maxPayload)
      return REFUSED.payloadSize;
    if (slot.rules.event && !checkEvent(bytes, packet.payloadStart, packet.payloadLength))
      return REFUSED.payloadSize;
    if (!this.#rules.receive) return REFUSED.direction;
    return slot.bucket.has(1, now) ? ACCEPTED : REFUSED.rate;
  }

  #checkSeries(clockRate: number, candidate: boolean, now: Millis): number {
    const packet = this.packet;
    // A new source is a new series: nothing of the old one can be compared with it.
    if (candidate || this.#ssrc < 0) return ACCEPTED;
    if (packet.ssrc !== this.#ssrc) return this.#relearn || this.#ssrcProven(now) ? ACCEPTED : REFUSED.ssrc;
    const order = this.window.classify(packet.sequence);
    if (order === DUPLICATE) {
      this.duplicates++;
      return REFUSED.sequence;
    }
    if (order === JUMP && packet.sequence !== this.#resyncAt) {
      // RFC 3550 A.1: two in a row are needed to believe a jump.
      this.#resyncAt = (packet.sequence + 1) & 0xffff;
      return REFUSED.sequence;
    }
    return this.#timestampPlausible(clockRate, order, now) ? ACCEPTED : REFUSED.timestamp;
  }

  /** Whether another SSRC from the right source takes over: some packets in a row while the old one is silent. */
  #ssrcProven(now: Millis): boolean {
    const packet = this.packet;
    const next = packet.ssrc === this.#candidate && packet.sequence === this.#candidateNext;
    this.#candidateCount = next ? this.#candidateCount + 1 : 1;
    this.#candidate = packet.ssrc;
    this.#candidateNext = (packet.sequence + 1) & 0xffff;
    return this.#candidateCount >= SSRC_PROOF && now - this.lastAcceptedAt >= SSRC_SILENCE_MS;
  }

  #timestampPlausible(clockRate: number, order: number, now: Millis): boolean {
    const timestamp = this.packet.timestamp;
    const step = distance32(timestamp, this.#lastTimestamp);
    const slack = STEP_SECONDS * clockRate;
    const elapsed = ((now - this.#timestampAt) / 1000) * clockRate;
    if (step >= -slack && step <= elapsed + slack) return true;
    if (order !== IN_ORDER && order !== JUMP) return false;
    const confirmed = this.#stepTo >= 0 && Math.abs(distance32(timestamp, this.#stepTo)) <= clockRate;
    this.#stepTo = timestamp;
    return confirmed;
  }

  #commit(slot: Slot, now: Millis): void {
    const packet = this.packet;
    slot.bucket.spend(1);
    const adopted = packet.ssrc !== this.#ssrc;
    if (adopted) this.#adopt(slot.rules.clockRate, now);
    else if (this.window.classify(packet.sequence) === JUMP) this.window.restart(packet.sequence);
    else this.#count(packet.sequence);
    this.#relearn = false;
    this.#candidate = -1;
    this.#candidateCount = 0;
    this.#resyncAt = -1;
    this.#stepTo = -1;
    // All packets of an event carry its start (RFC 4733 2.2.1): they do not move the clock, or the voice after it would seem to step.
    if (adopted || (this.window.highest === packet.sequence && !slot.rules.event)) {
      this.#lastTimestamp = packet.timestamp;
      this.#timestampAt = now;
    }
    if (this.firstAcceptedAt < 0) this.firstAcceptedAt = now;
    this.lastAcceptedAt = now;
    this.reception.arrived(packet.timestamp, slot.rules.clockRate, slot.rules.event, now);
    this.format = slot.rules.format;
    this.isEvent = slot.rules.event;
    this.sequence = (packet.sequence + this.#sequenceShift) & 0xffff;
    this.timestamp = (packet.timestamp + this.#timestampShift) >>> 0;
  }

  #count(sequence: number): void {
    const step = distance16(sequence, this.window.highest);
    if (step < 0) this.late++;
    for (let i = 1; i < step; i++) this.runs.lost();
    this.runs.received();
    this.window.commit(sequence);
  }

  /** A new synchronization source: the neutral scale goes on where the old one stood. */
  #adopt(clockRate: number, now: Millis): void {
    const packet = this.packet;
    if (this.#ssrc < 0) {
      this.#sequenceShift = (this.#sequenceShift - packet.sequence) & 0xffff;
      this.#timestampShift = (this.#timestampShift - packet.timestamp) >>> 0;
    } else {
      // Packets spent on proving the SSRC are a true gap.
      const gap = Math.max(1, this.#candidateCount);
      const last = this.window.highest + this.#sequenceShift;
      const passed = Math.round(((now - this.#timestampAt) / 1000) * clockRate);
      const lastTimestamp = this.#lastTimestamp + this.#timestampShift;
      this.#sequenceShift = (last + gap - packet.sequence) & 0xffff;
      this.#timestampShift = (lastTimestamp + passed - packet.timestamp) >>> 0;
    }
    this.#ssrc = packet.ssrc;
    this.window.restart(packet.sequence);
    this.reception.newSource();
    packet.marker = true; // a new series is a new talkspurt to the listener
  }
}
