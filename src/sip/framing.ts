/** Messages out of a TCP or TLS stream (RFC 3261 18.3), and the keep-alives between them (RFC 5626 4.4.1). */
import { findHeadEnd, type Head, readHead } from './head.ts';
import { SIP_LIMITS, type SipMessage, type SipParseError } from './message.ts';
import { finishFramed } from './parse.ts';

export interface FramerLimits {
  readonly headerBytes: number;
  readonly bodyBytes: number;
}

export type Frame =
  | { readonly kind: 'message'; readonly message: SipMessage }
  /** After `error.close` the framer is finished: it takes no more bytes and yields nothing. */
  | { readonly kind: 'error'; readonly error: SipParseError }
  /** CRLFCRLF between messages; a CRLF is the answer. */
  | { readonly kind: 'keep-alive' };

/** Push what arrives, drain `next` until undefined. Every octet is looked at a bounded number of times, however cut. */
export class StreamFramer {
  readonly #limits: FramerLimits;
  #buffer = new Uint8Array(0);
  #start = 0;
  #end = 0;
  /** How far the end of the head has been looked for. */
  #scanned = 0;
  #head: Head | undefined;
  #closed = false;

  constructor(limits: FramerLimits = SIP_LIMITS) {
    this.#limits = limits;
  }

  /** Octets held of a message that is not finished: above 0 its sender owes the rest. A line end owes nothing. */
  get pending(): number {
    const held = this.#held;
    if (this.#head !== undefined) return Math.max(1, held); // its body is owed
    return held <= 3 && this.#buffer[this.#start] === 0x0d ? 0 : held;
  }

  get #held(): number {
    return this.#end - this.#start;
  }

  push(bytes: Uint8Array): void {
    if (this.#closed || bytes.length === 0) return;
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  next(): Frame | undefined {
    if (this.#closed) return undefined;
    if (this.#head === undefined) {
      const before = this.#beforeHead();
      if (before !== undefined) return before;
      if (this.#start === this.#end) {
        this.#release();
        return undefined;
      }
      const error = this.#readHead();
      if (error !== undefined) return error;
      if (this.#head === undefined) return undefined;
    }
    return this.#readBody(this.#head);
  }

  /** Line ends before a start line: two are a ping, one (an answer to ours, or 7.5) is nothing. */
  #beforeHead(): Frame | undefined {
    while (this.#start < this.#end && this.#buffer[this.#start] === 0x0d) {
      const held = this.#held;
      if (held >= 2 && this.#buffer[this.#start + 1] !== 0x0a) {
        return this.#close({ reason: 'line-ending', close: true });
      }
      const second = held >= 3 && this.#buffer[this.#start + 2] === 0x0d;
      if (held < 3 || (second && held < 4)) return undefined; // the rest decides
      const ping = second && this.#buffer[this.#start + 3] === 0x0a;
      this.#start += ping ? 4 : 2;
      this.#scanned = this.#start;
      if (ping) return { kind: 'keep-alive' };
    }
    return undefined;
  }

  #readHead(): Frame | undefined {
    if (this.#buffer[this.#start] === 0x0d) return undefined; // a line end that may become a ping
    const end = findHeadEnd(this.#buffer, this.#scanned, this.#end);
    const length = (end < 0 ? this.#end : end) - this.#start;
    if (length > this.#limits.headerBytes) return this.#close({ reason: 'head-size', close: true });
    if (end < 0) {
      this.#scanned = Math.max(this.#start, this.#end - 3);
      return undefined;
    }
    const head = readHead(this.#buffer, this.#start, end);
    this.#start = end + 4;
    this.#scanned = this.#start;
    const size = head.contentLength;
    if (size === undefined || head.problem?.framing === true || size > this.#limits.bodyBytes) {
      const parsed = finishFramed(head, OVERSIZE);
      const error: SipParseError = parsed.ok ? { reason: 'framing', close: true } : parsed.error;
      const tooLarge = size !== undefined && head.problem === undefined;
      return this.#close(
        tooLarge && error.respond !== undefined
          ? { ...error, reason: 'body-size', respond: 413, close: true }
          : { ...error, close: true },
      );
    }
    this.#head = head;
    return undefined;
  }

  #readBody(head: Head): Frame | undefined {
    const length = head.contentLength ?? 0;
    if (this.#held < length) return undefined;
    const parsed = finishFramed(head, this.#buffer.slice(this.#start, this.#start + length));
    this.#head = undefined;
    this.#start += length;
    this.#scanned = this.#start;
    if (parsed.ok) return { kind: 'message', message: parsed.value };
    return parsed.error.close ? this.#close(parsed.error) : { kind: 'error', error: parsed.error };
  }

  #close(error: SipParseError): Frame {
    this.#closed = true;
    this.#release();
    return { kind: 'error', error };
  }

  #release(): void {
    this.#start = 0;
    this.#end = 0;
    this.#scanned = 0;
    if (this.#closed || this.#buffer.length > 4096) this.#buffer = new Uint8Array(0);
  }

  /** Room for `count` more: moves to the front where half is free, else doubles; so each octet moves O(1) times. */
  #reserve(count: number): void {
    if (this.#end + count <= this.#buffer.length) return;
    const held = this.#held;
    const needed = held + count;
    const target =
      needed * 2 <= this.#buffer.length ? this.#buffer : new Uint8Array(Math.max(1024, needed * 2));
    target.set(this.#buffer.subarray(this.#start, this.#end));
    this.#scanned -= this.#start;
    this.#buffer = target;
    this.#start = 0;
    this.#end = held;
  }
}

/** Never equal in length to a Content-Length, so that finishFramed refuses. */
const OVERSIZE = new Uint8Array(0);
