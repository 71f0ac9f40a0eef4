/** The head of a message - start line and header lines - as text and table, before anything is made of it. */
import { asciiText, latin1Text, utf8Text } from '../bytes/text.ts';
import { isToken, trimSpace } from './header/scanner.ts';
import { headerInfo } from './header-names.ts';
import { type Header, SIP_LIMITS } from './message.ts';

/** `problem`: the first thing wrong; the table then holds what could be read, to address an answer. */
export interface Head {
  readonly startLine: string;
  readonly headers: readonly Header[];
  readonly unknownHeaders: readonly string[];
  /** undefined where absent or not a number within `1*10DIGIT`; then `problem` says so, unless absent. */
  readonly contentLength: number | undefined;
  readonly problem: Problem | undefined;
}

export interface Problem {
  readonly reason: string;
  readonly status: number;
  /** Where the next message begins is in doubt: a stream must end. */
  readonly framing: boolean;
}

/**
 * Index of the first of the two CRLF that end a head at or after `from`, -1 where they are not before `end` yet. Looks at
 * every fourth octet only, as far as it is none of the four (Boyer and Moore).
 */
export function findHeadEnd(bytes: Uint8Array, from: number, end: number): number {
  let i = from;
  while (i + 3 < end) {
    const last = bytes[i + 3];
    if (last === 0x0d) i += 1;
    else if (last !== 0x0a) i += 4;
    else if (bytes[i + 2] === 0x0d && bytes[i + 1] === 0x0a && bytes[i] === 0x0d) return i;
    else i += 2;
  }
  return -1;
}

/**
 * Whether every octet of `bytes[start, end)` is printable ASCII, HTAB or half of a CRLF: true for nearly every head, and
 * then nothing needs another look. Four octets at a time: the high bit of each octet of `suspect` is set where it is above
 * 127, below 32 (a borrow may mark its neighbour too) or 127.
 */
function isOrdinary(bytes: Uint8Array, start: number, end: number): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let i = start;
  for (; i + 4 <= end; i += 4) {
    const four = view.getInt32(i);
    const suspect = four | (four - 0x20202020) | ((four ^ 0x7f7f7f7f) - 0x01010101);
    if ((suspect & 0x80808080) !== 0 && !areOrdinary(bytes, i, i + 4)) return false;
  }
  return areOrdinary(bytes, i, end);
}

function areOrdinary(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    const octet = bytes[i]!;
    if (octet === 0x0d ? bytes[i + 1] !== 0x0a : octet === 0x0a && bytes[i - 1] !== 0x0d) return false;
    if (octet > 0x7e || (octet < 0x20 && octet !== 0x0d && octet !== 0x0a && octet !== 0x09)) return false;
  }
  return true;
}

/** Reads the head in `bytes[start, end)`, the closing empty line excluded. */
export function readHead(bytes: Uint8Array, start: number, end: number): Head {
  const table = new HeadTable(!isOrdinary(bytes, start, end));
  const text = table.hasUnusual ? latin1Text(bytes, start, end) : asciiText(bytes, start, end);
  if (table.hasUnusual && utf8Text(bytes.subarray(start, end)) === undefined) {
    table.refuse(problem('utf8', 400));
  }
  if (end - start > SIP_LIMITS.headerBytes) table.refuse(problem('head-size', 513));
  table.read(text);
  return table;
}

class HeadTable implements Head {
  startLine = '';
  readonly headers: Header[] = [];
  readonly unknownHeaders: string[] = [];
  contentLength: number | undefined;
  problem: Problem | undefined;
  /** Some octet is neither printable ASCII nor white space, or a CR or LF stands alone. */
  readonly hasUnusual: boolean;
  #seen = 0;
  #lines = 0;

  constructor(hasUnusual: boolean) {
    this.hasUnusual = hasUnusual;
  }

  /** The first problem stays; one that spoils the framing outranks others. */
  refuse(found: Problem | undefined): void {
    if (found !== undefined && (this.problem === undefined || (found.framing && !this.problem.framing))) {
      this.problem = found;
    }
  }

  read(text: string): void {
    let at = this.#lineEnd(text, 0);
    if (at < 0) return;
    this.startLine = text.slice(0, at);
    if (this.hasUnusual && hasControl(this.startLine)) this.refuse(problem('control-octet', 400));
    while (at < text.length) {
      const start = at + 2;
      at = this.#lineEnd(text, start);
      if (at < 0) return;
      let folded: string[] | undefined;
      let next = text.charCodeAt(at + 2);
      // RFC 3261 7.3.1: a line that begins with white space continues the one before it.
      while (next === 0x20 || next === 0x09) {
        folded ??= [text.slice(start, at)];
        const from = at + 2;
        at = this.#lineEnd(text, from);
        if (at < 0) return;
        folded.push(trimSpace(text, from, at));
        next = text.charCodeAt(at + 2);
      }
      if (++this.#lines > SIP_LIMITS.headers) {
        this.refuse(problem('headers', 400, true));
        return;
      }
      if (folded === undefined) this.refuse(this.#header(text, start, at));
      else {
        const line = folded.join(' ');
        this.refuse(this.#header(line, 0, line.length));
      }
    }
  }

  /** Index of the CR that ends the line, or the text's length. -1, refused, for a CR or LF that stands alone. */
  #lineEnd(text: string, from: number): number {
    const ret = text.indexOf('\r', from);
    const end = ret < 0 ? text.length : ret;
    if (!this.hasUnusual) return end;
    const feed = text.indexOf('\n', from);
    if (feed < 0 ? ret < 0 : feed === ret + 1) return end;
    this.refuse(problem('line-ending', 400, true));
    return -1;
  }

  #header(text: string, start: number, end: number): Problem | undefined {
    const colon = text.indexOf(':', start);
    if (colon < 0 || colon >= end) return problem('header-line', 400, true);
    let nameEnd = colon;
    // 25.1 HCOLON allows white space before the colon, and it changes nothing about which header this is.
    while (
      nameEnd > start &&
      (text.charCodeAt(nameEnd - 1) === 0x20 || text.charCodeAt(nameEnd - 1) === 0x09)
    ) {
      nameEnd--;
    }
    const value = trimSpace(text, colon + 1, end);
    const info = headerInfo(text, start, nameEnd);
    if (value.length > SIP_LIMITS.headerValueBytes) return problem('header-size', 400);
    if (this.hasUnusual && hasControl(value)) return problem('control-octet', 400);
    if (info === undefined) {
      const written = text.slice(start, nameEnd);
      if (!isToken(written)) return problem('header-name', 400, true);
      if (this.unknownHeaders.length < SIP_LIMITS.unknownHeaders) {
        this.unknownHeaders.push(written.slice(0, 64).toLowerCase());
      }
      return undefined;
    }
    if (info.once !== 0) {
      if ((this.#seen & info.once) !== 0)
        return problem('duplicate-header', 400, info.name === 'Content-Length');
      this.#seen |= info.once;
    }
    this.headers.push({ name: info.name, value });
    return info.name === 'Content-Length' ? this.#contentLength(value) : undefined;
  }

  #contentLength(value: string): Problem | undefined {
    if (!/^[0-9]{1,10}$/.test(value)) return problem('content-length', 400, true);
    this.contentLength = Number(value);
    return undefined;
  }
}

function problem(reason: string, status: number, framing = false): Problem {
  return { reason, status, framing };
}

/**
 * Whether `value` has a control octet that the grammar does not allow: any but HTAB, unless it is the second half of a
 * quoted pair inside a quoted string (25.1; RFC 4475 3.1.1.2 quotes NUL, BEL and DEL in a display name).
 */
function hasControl(value: string): boolean {
  let quoted = false;
  for (let i = 0; i < value.length; i++) {
    const c = value.charCodeAt(i);
    if (c === 0x22) quoted = !quoted;
    else if (c === 0x5c && quoted) i++;
    else if ((c < 0x20 && c !== 0x09) || c === 0x7f) return true;
  }
  return false;
}
