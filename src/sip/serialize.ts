/**
 * Messages to bytes. The only place where header lines are written, so the only place where a line could be injected:
 * a CR, LF or NUL in any piece throws, because every caller builds its values from parsed fields (a bug, not input).
 */
import { latin1Bytes } from '../bytes/text.ts';
import { encodeText } from './header/text.ts';
import type { SipUri } from './message.ts';
import { reasonPhrase } from './reason-phrases.ts';
import { formatUri } from './uri.ts';

/** Values are octet text (header/text.ts). Content-Length is added last and must not be among them. */
export type HeaderPair = readonly [name: string, value: string];

export interface RequestParts {
  readonly method: string;
  readonly uri: SipUri | string;
  readonly headers: readonly HeaderPair[];
  readonly body?: Uint8Array | undefined;
}

export interface ResponseParts {
  readonly status: number;
  /** Unicode; the registered phrase where absent. */
  readonly reason?: string | undefined;
  readonly headers: readonly HeaderPair[];
  readonly body?: Uint8Array | undefined;
}

export function serializeRequest(parts: RequestParts): Uint8Array {
  const uri = typeof parts.uri === 'string' ? parts.uri : formatUri(parts.uri);
  if (uri.includes(' ') || parts.method.includes(' ')) throw new Error('bug: white space in a request line');
  return write(`${parts.method} ${uri} SIP/2.0`, parts.headers, parts.body, BREAKING);
}

export function serializeResponse(parts: ResponseParts): Uint8Array {
  return write(statusLine(parts.status, parts.reason), parts.headers, parts.body, BREAKING);
}

/**
 * A response whose values include echoes of a parsed request. There NUL can stand in a quoted pair (the parser lets it
 * through nowhere else), and RFC 3261 8.2.6.2 wants To and From back as they came.
 */
export function serializeEcho(parts: ResponseParts): Uint8Array {
  return write(statusLine(parts.status, parts.reason), parts.headers, parts.body, LINE_BREAK);
}

function statusLine(status: number, reason = reasonPhrase(status)): string {
  if (!Number.isInteger(status) || status < 100 || status > 699) throw new Error('bug: status out of range');
  return `SIP/2.0 ${status} ${encodeText(reason)}`;
}

const BREAKING = /[\r\n\0]/;
const LINE_BREAK = /[\r\n]/;

function write(
  startLine: string,
  headers: readonly HeaderPair[],
  body: Uint8Array | undefined,
  forbidden: RegExp,
): Uint8Array {
  let text = startLine;
  if (forbidden.test(startLine)) throw new Error('bug: line break in a start line');
  for (const [name, value] of headers) {
    if (forbidden.test(value) || forbidden.test(name))
      throw new Error(`bug: line break in header ${name.slice(0, 32)}`);
    text += `\r\n${name}: ${value}`;
  }
  const length = body?.length ?? 0;
  text += `\r\nContent-Length: ${length}\r\n\r\n`;
  if (body === undefined || length === 0) return latin1Bytes(text);
  const out = new Uint8Array(text.length + length);
  for (let i = 0; i < text.length; i++) out[i] = text.charCodeAt(i);
  out.set(body, text.length);
  return out;
}
