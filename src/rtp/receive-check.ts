import { distance16, distance32 } from '../bytes/sequence.ts';
import { ownPlace, type Place, placeIn } from '../machine/cells.ts';
import type { Millis } from '../machine/machine.ts';
import { BUCKET_CELLS, hasTokens, keepTokens, makeBucket, spendTokens } from '../machine/token-bucket.ts';
import { LossRuns, RUN_CELLS, receivedOne } from './loss-runs.ts';
import { type PacketFields, packetFields, parsePacket } from './packet.ts';
import { arrived, RECEPTION_CELLS, Reception } from './reception.ts';
import { ACCEPTED, REFUSED } from './refusal.ts';
import {
  classifySequence,
  commitSequence,
  DUPLICATE,
  highestSequence,
  IN_ORDER,
  JUMP,
  restartSequence,
  SequenceWindow,
  WINDOW_CELLS,
} from './sequence-window.ts';
import {
  isLockedTo,
  SOURCE_CANDIDATE,
  SOURCE_MATCHES,
  SOURCE_REFUSED,
  type SourceLock,
} from './source-lock.ts';
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

/** What an accepted packet was: one object for all checks of a user, refilled. */
export interface AcceptedPacket extends PacketFields {
  /** Neutral format id. */
  format: number;
  /** Sequence and timestamp on this gateway's own scale: continuous where the SSRC changed. */
  neutralSequence: number;
  neutralTimestamp: number;
  /** Whether it is a telephone event. */
  isEvent: boolean;
}

export function acceptedPacket(): AcceptedPacket {
  return { ...packetFields(), format: 0, neutralSequence: 0, neutralTimestamp: 0, isEvent: false };
}

// The cells of a check, in the order in which a packet meets them.
const RECEIVES = 0;
const RTCP_MUX = 1;
/** The format that comes most, by what was negotiated. */
const USUAL = 2;
// Cells of a format.
const PAYLOAD_TYPE = 0; // -1: none
const MAX_PAYLOAD = 1;
const EVENT = 2;
const CLOCK_RATE = 3;
const FORMAT = 4;
const BUCKET = 5;
const FORMAT_CELLS = BUCKET + BUCKET_CELLS;
const SSRC = USUAL + FORMAT_CELLS; // -1: none yet
const WINDOW = SSRC + 1;
const LAST_TIMESTAMP = WINDOW + WINDOW_CELLS;
const TIMESTAMP_AT = LAST_TIMESTAMP + 1;
/** Something of another series has come: to be forgotten with the next accepted packet. */
const DOUBT = TIMESTAMP_AT + 1;
const RUN = DOUBT + 1;
const LAST_ACCEPTED_AT = RUN + RUN_CELLS;
const RECEPTION = LAST_ACCEPTED_AT + 1;
const FORMAT_IN_USE = RECEPTION + RECEPTION_CELLS;
const SEQUENCE_SHIFT = FORMAT_IN_USE + 1;
const TIMESTAMP_SHIFT = SEQUENCE_SHIFT + 1;
export const CHECK_CELLS = TIMESTAMP_SHIFT + 1;

interface Slot {
  readonly rules: ReceiveFormat;
  /** FORMAT_CELLS. */
  readonly place: Place;
}

/**
 * The checks of one stream leg's incoming RTP. All state is allocated when the leg is opened; `check` allocates nothing, and what it needs of a
 * stream where nothing is unusual is in `place`.
 *
 * The order: shape, source, payload type and size, direction, rate, SSRC, sequence, timestamp, and only then is anything
 * committed. Source first of the stateful ones, so that a flood from elsewhere costs little and uses nobody's tokens up.
 */
export class ReceiveCheck {
  readonly #cells: Float64Array;
  readonly #at: number;
  readonly #lockCells: Float64Array;
  readonly #lockAt: number;
  /** The last accepted packet, of this check or of another one that shares it. */
  readonly packet: AcceptedPacket;
  /** Set when the last accepted packet locked the source; the caller clears it. */
  justLocked = false;
  readonly window: SequenceWindow;
  readonly reception: Reception;
  readonly runs: LossRuns;
  /** Packets that came after a later one, and second copies of one that had come. */
  late = 0;
  duplicates = 0;
  /** When the first packet was accepted; -1: none yet. */
  firstAcceptedAt: Millis = -1;
  readonly #lock: SourceLock;
  #slots: Slot[] = [];
  readonly #slotOf = new Int8Array(128);

  #relearn = false;
  #candidate = -1;
  #candidateNext = 0;
  #candidateCount = 0;
  #resyncAt = -1; // RFC 3550 A.1 bad_seq
  #stepTo = -1; // timestamp that a second packet has to confirm

  /** `sequenceBase` 0..65535 and `timestampBase` 0..2^32-1: random starts of the neutral scale. */
  constructor(
    rules: ReceiveRules,
    lock: SourceLock,
    sequenceBase: number,
    timestampBase: number,
    now: Millis,
    place: Place = ownPlace(CHECK_CELLS),
    packet: AcceptedPacket = acceptedPacket(),
  ) {
    const { cells, at } = place;
    this.#cells = cells;
    this.#at = at;
    this.#lock = lock;
    this.#lockCells = lock.place.cells;
    this.#lockAt = lock.place.at;
    this.packet = packet;
    this.window = new SequenceWindow(placeIn(place, WINDOW));
    this.reception = new Reception(placeIn(place, RECEPTION));
    this.runs = new LossRuns(placeIn(place, RUN));
    cells[at + SSRC] = -1;
    cells[at + SEQUENCE_SHIFT] = sequenceBase;
    cells[at + TIMESTAMP_SHIFT] = timestampBase;
    cells[at + LAST_ACCEPTED_AT] = now;
    cells[at + TIMESTAMP_AT] = now;
    this.setRules(rules, now);
  }

  get ssrc(): number {
    return this.#cells[this.#at + SSRC]!;
  }

  /** Neutral format id of the last accepted packet. */
  get format(): number {
    return this.#cells[this.#at + FORMAT_IN_USE]!;
  }

  get lastAcceptedAt(): Millis {
    return this.#cells[this.#at + LAST_ACCEPTED_AT]!;
  }

  /** New rules. Buckets of unchanged formats stay as they are. */
  setRules(rules: ReceiveRules, now: Millis): void {
    const cells = this.#cells;
    const at = this.#at;
    const old = this.#slots.map((s) => ({ rules: s.rules, tokens: keepTokens(placeIn(s.place, BUCKET)) }));
    const formats = rules.formats.filter((f) => f.payloadType >= 0 && f.payloadType < 128).slice(0, 64);
    this.#slotOf.fill(-1);
    formats.forEach((f, i) => {
      this.#slotOf[f.payloadType] = i;
    });
    const first = formats.find((f) => !f.event) ?? formats[0];
    const usual = first === undefined ? -1 : this.#slotOf[first.payloadType]!;
    cells[at + USUAL + PAYLOAD_TYPE] = -1;
    this.#slots = formats.map((f, i) => {
      const place = i === usual ? { cells, at: at + USUAL } : ownPlace(FORMAT_CELLS);
      const rate = f.maxPacketsPerSecond;
      const kept = old.find((s) => s.rules.format === f.format && s.rules.maxPacketsPerSecond === rate);
      writeFormat(place, f);
      // A burst of half a second's worth, never less than two packets.
      if (kept === undefined) makeBucket(placeIn(place, BUCKET), Math.max(2, rate / 2), rate, now);
      else kept.tokens(placeIn(place, BUCKET));
      return { rules: f, place };
    });
    cells[at + RECEIVES] = rules.receive ? 1 : 0;
    cells[at + RTCP_MUX] = rules.rtcpMux ? 1 : 0;
  }

  /** A timestamp of the far end on this gateway's scale. */
  neutralTimestamp(timestamp: number): number {
    return (timestamp + this.#cells[this.#at + TIMESTAMP_SHIFT]!) >>> 0;
  }

  /** After a negotiation: the next packet may carry another SSRC at once. */
  relearn(): void {
    this.#relearn = true;
    this.#cells[this.#at + DOUBT] = 1;
  }

  /** One datagram. ACCEPTED, IS_RTCP or a reason out of REFUSED. */
  check(bytes: Uint8Array, start: number, length: number, source: SourceWords, now: Millis): number {
    const cells = this.#cells;
    const at = this.#at;
    const packet = this.packet;
    const locked = isLockedTo(this.#lockCells, this.#lockAt, source);
    const place = locked ? SOURCE_MATCHES : this.#lock.classify(source, now);
    if (place === SOURCE_REFUSED) return REFUSED.source;
    const shape = parsePacket(bytes, start, length, cells[at + RTCP_MUX] === 1, packet);
    if (shape !== ACCEPTED) return shape;
    if (cells[at + USUAL + PAYLOAD_TYPE] === packet.payloadType)
      return this.#checked(bytes, cells, at + USUAL, place, locked, source, now);
    const slot = this.#slots[this.#slotOf[packet.payloadType]!];
    if (slot === undefined) return REFUSED.payloadType;
    return this.#checked(bytes, slot.place.cells, slot.place.at, place, locked, source, now);
  }

  /** `formats`, `format`: the cells of the packet's format. */
  #checked(
    bytes: Uint8Array,
    formats: Float64Array,
    format: number,
    place: number,
    locked: boolean,
    source: SourceWords,
    now: Millis,
  ): number {
    const content = this.#checkContent(bytes, formats, format, now);
    if (content !== ACCEPTED) return content;
    const series = this.#checkSeries(formats[format + CLOCK_RATE]!, place === SOURCE_CANDIDATE, now);
    if (series !== ACCEPTED) return series;
    if (!locked && !this.#lockTo(source, place, now)) return REFUSED.source;
    this.#commit(formats, format, now);
    return ACCEPTED;
  }

  /** The first packet of a source passed all other checks. False: as a candidate it must show more. */
  #lockTo(source: SourceWords, place: number, now: Millis): boolean {
    const { ssrc, sequence } = this.packet;
    if (place !== SOURCE_CANDIDATE) this.#lock.lock(source);
    else if (!this.#lock.prove(source, ssrc, sequence, now)) return false;
    this.justLocked = true;
    return true;
  }

  #checkContent(bytes: Uint8Array, formats: Float64Array, format: number, now: Millis): number {
    const { payloadStart, payloadLength } = this.packet;
    if (payloadLength === 0 || payloadLength > formats[format + MAX_PAYLOAD]!) return REFUSED.payloadSize;
    if (formats[format + EVENT] === 1 && !checkEvent(bytes, payloadStart, payloadLength))
      return REFUSED.payloadSize;
    if (this.#cells[this.#at + RECEIVES] === 0) return REFUSED.direction;
    return hasTokens(formats, format + BUCKET, 1, now) ? ACCEPTED : REFUSED.rate;
  }

  #checkSeries(clockRate: number, candidate: boolean, now: Millis): number {
    const cells = this.#cells;
    const at = this.#at;
    const packet = this.packet;
    const ssrc = cells[at + SSRC]!;
    // A new source is a new series: nothing of the old one can be compared with it.
    if (candidate || ssrc < 0) return ACCEPTED;
    if (packet.ssrc !== ssrc) return this.#relearn || this.#ssrcProven(now) ? ACCEPTED : REFUSED.ssrc;
    const order = classifySequence(cells, at + WINDOW, packet.sequence);
    if (order === DUPLICATE) {
      this.duplicates++;
      return REFUSED.sequence;
    }
    if (order === JUMP && packet.sequence !== this.#resyncAt) {
      // RFC 3550 A.1: two in a row are needed to believe a jump.
      this.#resyncAt = (packet.sequence + 1) & 0xffff;
      cells[at + DOUBT] = 1;
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
    this.#cells[this.#at + DOUBT] = 1;
    return this.#candidateCount >= SSRC_PROOF && now - this.lastAcceptedAt >= SSRC_SILENCE_MS;
  }

  #timestampPlausible(clockRate: number, order: number, now: Millis): boolean {
    const cells = this.#cells;
    const at = this.#at;
    const timestamp = this.packet.timestamp;
    const step = distance32(timestamp, cells[at + LAST_TIMESTAMP]!);
    const slack = STEP_SECONDS * clockRate;
    const elapsed = ((now - cells[at + TIMESTAMP_AT]!) / 1000) * clockRate;
    if (step >= -slack && step <= elapsed + slack) return true;
    if (order !== IN_ORDER && order !== JUMP) return false;
    const confirmed = this.#stepTo >= 0 && Math.abs(distance32(timestamp, this.#stepTo)) <= clockRate;
    this.#stepTo = timestamp;
    cells[at + DOUBT] = 1;
    return confirmed;
  }

  #commit(formats: Float64Array, format: number, now: Millis): void {
    const cells = this.#cells;
    const at = this.#at;
    const packet = this.packet;
    const event = formats[format + EVENT] === 1;
    const clockRate = formats[format + CLOCK_RATE]!;
    spendTokens(formats, format + BUCKET, 1);
    const adopted = packet.ssrc !== cells[at + SSRC];
    if (adopted) this.#adopt(clockRate, now);
    else this.#count(packet.sequence);
    if (cells[at + DOUBT] === 1) this.#settle();
    // All packets of an event carry its start (RFC 4733 2.2.1): they do not move the clock, or the voice after it would seem to step.
    if (adopted || (highestSequence(cells, at + WINDOW) === packet.sequence && !event)) {
      cells[at + LAST_TIMESTAMP] = packet.timestamp;
      cells[at + TIMESTAMP_AT] = now;
    }
    cells[at + LAST_ACCEPTED_AT] = now;
    arrived(cells, at + RECEPTION, packet.timestamp, clockRate, event, now);
    packet.format = formats[format + FORMAT]!;
    cells[at + FORMAT_IN_USE] = packet.format;
    packet.isEvent = event;
    packet.neutralSequence = (packet.sequence + cells[at + SEQUENCE_SHIFT]!) & 0xffff;
    packet.neutralTimestamp = (packet.timestamp + cells[at + TIMESTAMP_SHIFT]!) >>> 0;
  }

  /** What seemed to be another series was none, or is the one now. */
  #settle(): void {
    this.#relearn = false;
    this.#candidate = -1;
    this.#candidateCount = 0;
    this.#resyncAt = -1;
    this.#stepTo = -1;
    this.#cells[this.#at + DOUBT] = 0;
  }

  #count(sequence: number): void {
    const cells = this.#cells;
    const window = this.#at + WINDOW;
    if (classifySequence(cells, window, sequence) === JUMP) {
      restartSequence(cells, window, sequence);
      return;
    }
    const step = distance16(sequence, highestSequence(cells, window));
    if (step < 0) this.late++;
    for (let i = 1; i < step; i++) this.runs.lost();
    receivedOne(cells, this.#at + RUN);
    commitSequence(cells, window, sequence);
  }

  /** A new synchronization source: the neutral scale goes on where the old one stood. */
  #adopt(clockRate: number, now: Millis): void {
    const cells = this.#cells;
    const at = this.#at;
    const packet = this.packet;
    if (cells[at + SSRC]! < 0) {
      this.firstAcceptedAt = now;
      cells[at + SEQUENCE_SHIFT] = (cells[at + SEQUENCE_SHIFT]! - packet.sequence) & 0xffff;
      cells[at + TIMESTAMP_SHIFT] = (cells[at + TIMESTAMP_SHIFT]! - packet.timestamp) >>> 0;
    } else {
      // Packets spent on proving the SSRC are a true gap.
      const gap = Math.max(1, this.#candidateCount);
      const last = this.window.highest + cells[at + SEQUENCE_SHIFT]!;
      const passed = Math.round(((now - cells[at + TIMESTAMP_AT]!) / 1000) * clockRate);
      const lastTimestamp = cells[at + LAST_TIMESTAMP]! + cells[at + TIMESTAMP_SHIFT]!;
      cells[at + SEQUENCE_SHIFT] = (last + gap - packet.sequence) & 0xffff;
      cells[at + TIMESTAMP_SHIFT] = (lastTimestamp + passed - packet.timestamp) >>> 0;
    }
    cells[at + SSRC] = packet.ssrc;
    this.window.restart(packet.sequence);
    this.reception.newSource();
    packet.marker = true; // a new series is a new talkspurt to the listener
  }
}

function writeFormat({ cells, at }: Place, format: ReceiveFormat): void {
  cells[at + PAYLOAD_TYPE] = format.payloadType;
  cells[at + MAX_PAYLOAD] = format.maxPayload;
  cells[at + EVENT] = format.event ? 1 : 0;
  cells[at + CLOCK_RATE] = format.clockRate;
  cells[at + FORMAT] = format.format;
}
