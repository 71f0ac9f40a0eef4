/**
 * ASN.1 value notation (X.680) as the reference decodings are written in it, and its comparison with our values. The notation does
 * not say by itself whether braces are a SEQUENCE or a list, so what is compared is the notation that our value should have.
 */
import { toHex } from '../../src/bytes/text.ts';

const TOKEN = /"(?:[^"]|"")*"|'[0-9A-Fa-f]*'[HB]|[A-Za-z][\w-]*|-?\d+|[{}:,<>]/g;

/** Words of the notation without comments. */
export function notationTokens(text: string): string[] {
  const strings: string[] = []; // hyphens and quotes inside strings are no comments
  const kept = text.replace(/"(?:[^"]|"")*"/g, (s) => `\u0001${strings.push(s) - 1}\u0002`);
  const clean = kept.replace(/--.*?(?:--|$)/gm, ' ');
  return clean.replace(/\u0001(\d+)\u0002/g, (_, n: string) => strings[Number(n)]!).match(TOKEN) ?? [];
}

/** Reads the notation next to a value of ours; the first difference is thrown. */
class Comparison {
  readonly #tokens: readonly string[];
  #at = 0;

  constructor(text: string) {
    this.#tokens = notationTokens(text);
  }

  whole(value: unknown): void {
    this.#value(value, '');
    if (this.#at !== this.#tokens.length) this.#differ('', 'end');
  }

  #differ(path: string, ours: string): never {
    throw new Error(`${path}: ours ${ours}, theirs ${this.#tokens.slice(this.#at, this.#at + 6).join(' ')}`);
  }

  #expect(token: string, path: string): void {
    if (this.#tokens[this.#at] !== token) this.#differ(path, token);
    this.#at++;
  }

  #value(value: unknown, path: string): void {
    if (value === null) return this.#expect('NULL', path);
    if (value === true || value === false) return this.#expect(String(value).toUpperCase(), path);
    if (typeof value === 'number' || typeof value === 'bigint') return this.#expect(String(value), path);
    if (typeof value === 'string') return this.#text(value, path);
    if (value instanceof Uint8Array) return this.#expect(`'${toHex(value).toUpperCase()}'H`, path);
    if (Array.isArray(value)) return this.#list(value, path);
    const parts = value as { choice?: unknown; value?: unknown; bits?: unknown; bytes?: unknown };
    if (typeof parts.choice === 'string') {
      this.#name(parts.choice, path);
      this.#expect(':', path);
      return this.#value(parts.value, `${path}.${parts.choice}`);
    }
    if (typeof parts.bits === 'number' && parts.bytes instanceof Uint8Array) {
      return this.#bits(parts.bits, parts.bytes, path);
    }
    this.#sequence(value as Record<string, unknown>, path);
  }

  /** A string, an object identifier or the item of an ENUMERATED. */
  #text(value: string, path: string): void {
    const token = this.#tokens[this.#at];
    if (token === '{') {
      const end = this.#tokens.indexOf('}', this.#at);
      if (this.#tokens.slice(this.#at + 1, end).join('.') !== value) this.#differ(path, value);
      this.#at = end + 1;
    } else if (token?.startsWith('"')) {
      this.#expect(`"${value.replaceAll('"', '""')}"`, path);
    } else {
      this.#name(value, path);
    }
  }

  #name(name: string, path: string): void {
    const theirs = this.#tokens[this.#at]?.replace(/-(.)/g, (_, c: string) => c.toUpperCase());
    if (theirs !== name) this.#differ(path, name);
    this.#at++;
  }

  #bits(count: number, bytes: Uint8Array, path: string): void {
    const digits = [...bytes].map((b) => b.toString(2).padStart(8, '0')).join('');
    const token = this.#tokens[this.#at] ?? '';
    if (token.endsWith('H') && count % 4 === 0) {
      return this.#expect(
        `'${toHex(bytes)
          .toUpperCase()
          .slice(0, count / 4)}'H`,
        path,
      );
    }
    this.#expect(`'${digits.slice(0, count)}'B`, path);
  }

  #list(list: readonly unknown[], path: string): void {
    this.#expect('{', path);
    for (const [i, item] of list.entries()) {
      if (i > 0) this.#expect(',', path);
      this.#value(item, `${path}[${i}]`);
    }
    this.#expect('}', path);
  }

  #sequence(fields: Record<string, unknown>, path: string): void {
    this.#expect('{', path);
    for (const [i, [name, value]] of Object.entries(fields).entries()) {
      if (i > 0) this.#expect(',', path);
      this.#name(name, path);
      this.#value(value, `${path}.${name}`);
    }
    this.#expect('}', path);
  }
}

/** The first difference between a value of ours and one in notation; undefined where they are the same. */
export function notationDifference(value: unknown, text: string): string | undefined {
  try {
    new Comparison(text).whole(value);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
