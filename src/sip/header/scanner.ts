/**
 * A cursor over one header value. Every method is linear and never backs up over what it consumed, so that no input
 * can make parsing more than linear. Text is latin1 of UTF-8 octets; the parser has checked UTF-8 and control octets.
 */
import { CLASS, lowerCase, runEnd, SPACE, TOKEN, VALUE_END } from '../characters.ts';
import { SIP_LIMITS } from '../message.ts';

export const NO_PARAMETERS: ReadonlyMap<string, string> = new Map();

/** RFC 3261 25.1 `token`. */
export function isToken(text: string): boolean {
  return text.length > 0 && runEnd(text, 0, text.length, TOKEN) === text.length;
}

/** Without white space (SP, HTAB) at both ends. Not `String.trim`: that also takes 0xA0, which is half a UTF-8 letter here. */
export function trimSpace(text: string, start = 0, end = text.length): string {
  let from = start;
  let to = end;
  while (from < to && (CLASS[text.charCodeAt(from)]! & SPACE) !== 0) from++;
  while (to > from && (CLASS[text.charCodeAt(to - 1)]! & SPACE) !== 0) to--;
  return text.slice(from, to);
}

export class Scanner {
  readonly text: string;
  readonly end: number;
  at: number;

  constructor(text: string, at = 0, end = text.length) {
    this.text = text;
    this.at = at;
    this.end = end;
  }

  get done(): boolean {
    return this.at >= this.end;
  }

  /** Code of the next character, -1 at the end. */
  peek(): number {
    return this.at < this.end ? this.text.charCodeAt(this.at) : -1;
  }

  space(): void {
    const c = this.text.charCodeAt(this.at); // NaN at the text's end
    if (c === 0x20 || c === 0x09) this.at = runEnd(this.text, this.at, this.end, SPACE);
  }

  /** Consumes `code` with white space on both sides (SLASH, SEMI, EQUAL, COMMA of 25.1); false leaves only space consumed. */
  separator(code: number): boolean {
    this.space();
    if (this.peek() !== code) return false;
    this.at++;
    this.space();
    return true;
  }

  /** '' where there is none. */
  token(): string {
    const start = this.at;
    this.at = runEnd(this.text, start, this.end, TOKEN);
    return this.text.slice(start, this.at);
  }

  /** A token in lower case. */
  name(): string {
    const start = this.at;
    this.at = runEnd(this.text, start, this.end, TOKEN);
    return lowerCase(this.text, start, this.at);
  }

  /** Decimal digits as a number, undefined where there are none or more than `limit` significant value. */
  number(limit: number): number | undefined {
    const start = this.at;
    let value = 0;
    for (; this.at < this.end; this.at++) {
      const digit = this.text.charCodeAt(this.at) - 48;
      if (digit < 0 || digit > 9) break;
      if (value <= limit) value = value * 10 + digit;
    }
    return this.at === start || value > limit ? undefined : value;
  }

  /** A quoted string at the cursor: its unescaped content, or undefined where it is not one or does not end. */
  quoted(): string | undefined {
    if (this.peek() !== 0x22) return undefined;
    const close = this.text.indexOf('"', this.at + 1);
    if (close < 0 || close >= this.end) return undefined;
    const plain = this.text.slice(this.at + 1, close);
    if (!plain.includes('\\')) {
      this.at = close + 1;
      return plain;
    }
    let out = '';
    let from = this.at + 1;
    for (let i = from; i < this.end; i++) {
      const c = this.text.charCodeAt(i);
      if (c === 0x22) {
        this.at = i + 1;
        return out + this.text.slice(from, i);
      }
      if (c === 0x5c) {
        out += this.text.slice(from, i);
        from = ++i;
        if (i >= this.end || this.text.charCodeAt(i) >= 0x80) return undefined; // quoted-pair is ASCII
      }
    }
    return undefined;
  }

  /** Any run up to `; , < > "`, white space or a control: wider than 25.1's `gen-value` for what devices send. */
  value(): string {
    return this.text.slice(this.at, this.skipValue());
  }

  /** As `value`, without cutting it out: the index after it, where the cursor then is. */
  skipValue(): number {
    const { text, end } = this;
    let i = this.at;
    while (i < end && (CLASS[text.charCodeAt(i)]! & VALUE_END) === 0) i++;
    this.at = i;
    return i;
  }

  /**
   * `*( SEMI generic-param )`; names become lower case, quoted values lose their quotes. Undefined for an empty
   * parameter, a name given twice, or more than SIP_LIMITS.parameters.
   */
  parameters(): ReadonlyMap<string, string> | undefined {
    this.space();
    if (this.peek() !== 0x3b) return NO_PARAMETERS;
    const found = new Map<string, string>();
    while (this.separator(0x3b)) {
      const name = this.name();
      if (name === '' || found.has(name) || found.size >= SIP_LIMITS.parameters) return undefined;
      let value = '';
      if (this.separator(0x3d)) {
        const text = this.peek() === 0x22 ? this.quoted() : this.value();
        if (text === undefined) return undefined;
        value = text;
      }
      found.set(name, value);
    }
    return found;
  }
}
