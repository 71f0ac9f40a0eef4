/**
 * RFC 4733 named telephone events, the payload of section 2.3.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *   |     event     |E|R| volume    |          duration             |
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */
import type { Millis } from '../machine/machine.ts';
import { readU16, writeU16 } from './packet.ts';

export const EVENT_LENGTH = 4;
const END = 0x80;
const RESERVED = 0x40;
const VOLUME = 0x3f;
/** DTMF digits in the order of RFC 4733 3.2; 16 is the hook flash. */
const DIGITS = '0123456789*#ABCD';
export const FLASH_EVENT = 16;
/** -10 dBm0: inside the -8 .. -55 dBm0 that receivers must take (2.3.4). */
const EVENT_VOLUME = 10;

export interface TelephoneEvent {
  readonly event: number;
  readonly end: boolean;
  readonly volume: number;
  /** Timestamp units. */
  readonly duration: number;
}

/** One event block, DTMF or flash. Other events are not passed. */
export function checkEvent(bytes: Uint8Array, start: number, length: number): boolean {
  return length === EVENT_LENGTH && bytes[start]! <= FLASH_EVENT;
}

/** Undefined where `checkEvent` says no. */
export function parseEvent(bytes: Uint8Array, start: number, length: number): TelephoneEvent | undefined {
  if (!checkEvent(bytes, start, length)) return undefined;
  const second = bytes[start + 1]!;
  return {
    event: bytes[start]!,
    end: (second & END) !== 0,
    volume: second & VOLUME,
    duration: readU16(bytes, start + 2),
  };
}

/** The block again, built from its fields: the R bit is cleared (2.3.3). `from` passed `checkEvent`. */
export function rebuildEvent(from: Uint8Array, start: number, to: Uint8Array, at: number): void {
  to[at] = from[start]!;
  to[at + 1] = from[start + 1]! & ~RESERVED;
  writeU16(to, at + 2, readU16(from, start + 2));
}

/** Event code of a digit `0-9 * # A-D` (lower case too) or `!` (flash); undefined for anything else. */
export function eventOfDigit(digit: string): number | undefined {
  if (digit === '!') return FLASH_EVENT;
  const index = digit.length === 1 ? DIGITS.indexOf(digit.toUpperCase()) : -1;
  return index < 0 ? undefined : index;
}

export function digitOfEvent(event: number): string | undefined {
  return event === FLASH_EVENT ? '!' : DIGITS[event];
}

/** Time between the packets of an event (2.5.1.2). */
export const EVENT_INTERVAL_MS = 20;
const END_PACKETS = 3; // 2.5.1.4: the final packet and two retransmissions

/** Paces the packets of one digit: a start with the marker, updates, then three end packets (2.5.1). */
export class EventSender {
  readonly #event: number;
  readonly #clockRate: number;
  readonly #durationMs: number;
  readonly #startedAt: Millis;
  #sent = 0;
  #ends = 0;
  /** When `write` is due next. */
  dueAt: Millis;

  /** `durationMs` is kept within 40..6000 (a duration field holds 8 s at 8 kHz). */
  constructor(event: number, durationMs: number, clockRate: number, now: Millis) {
    this.#event = event;
    this.#clockRate = clockRate;
    const longest = Math.min(6000, Math.floor((65535 / clockRate) * 1000));
    this.#durationMs = Math.min(longest, Math.max(40, durationMs));
    this.#startedAt = now;
    this.dueAt = now;
  }

  get done(): boolean {
    return this.#ends === END_PACKETS;
  }

  get marker(): boolean {
    return this.#sent === 0;
  }

  /** Writes the payload of the next packet at `at`. Only while not `done`. */
  write(out: Uint8Array, at: number): void {
    this.#sent++;
    const played = Math.min(this.#durationMs, this.#sent * EVENT_INTERVAL_MS);
    const end = played >= this.#durationMs;
    if (end) this.#ends++;
    out[at] = this.#event;
    out[at + 1] = end ? END | EVENT_VOLUME : EVENT_VOLUME;
    writeU16(out, at + 2, Math.round((played * this.#clockRate) / 1000));
    this.dueAt = this.#startedAt + this.#sent * EVENT_INTERVAL_MS;
  }
}
