import { latin1Text } from '../bytes/text.ts';
import { fail, ok, type Result } from '../machine/machine.ts';
import { type AttributeSink, newMedia, newSession, takeAttribute } from './attributes.ts';
import {
  type Bandwidth,
  type Connection,
  type MediaDescription,
  type Origin,
  SDP_LIMITS,
  type SdpError,
  type SdpErrorReason,
  type SessionDescription,
} from './description.ts';
import { familyOf, isHost, parseConnection, TOKEN, unbracketed, words } from './syntax.ts';

/**
 * Parses a session description (RFC 8866 5). Accepted beyond the letter, because devices send it: LF alone as line end, empty
 * lines before and after it, no s= or t=, session lines in another order, blanks in the o= user name, repeated blanks between tokens,
 * malformed attributes (dropped like unknown ones), IPv6 addresses in brackets, the same c= twice. Refused: control characters, lines without `x=`, unknown types (RFC 8866 5: "MUST"),
 * single lines twice, session lines after the first m=, numbers out of range, and everything past SDP_LIMITS. Never throws.
 */
export function parseSdp(bytes: Uint8Array): Result<SessionDescription, SdpError> {
  if (bytes.length === 0) return fail({ reason: 'empty', line: 0 });
  if (bytes.length > SDP_LIMITS.bytes) return fail({ reason: 'too-long', line: 0 });
  const lines = splitLines(bytes);
  if (lines === undefined) return fail({ reason: 'control-character', line: 0 });
  if (lines.length > SDP_LIMITS.lines) return fail({ reason: 'too-many-lines', line: 0 });
  const parser = new Parser();
  for (let i = 0; i < lines.length; i++) {
    const reason = parser.line(lines[i]!, i);
    if (reason !== undefined) return fail({ reason, line: i + 1 });
  }
  return parser.finish(lines.length);
}

/** Lines without their ends; undefined where a control character (also a bare CR) is among them. */
function splitLines(bytes: Uint8Array): string[] | undefined {
  const lines: string[] = [];
  const text = latin1Text(bytes);
  let start = 0;
  for (let i = 0; i <= bytes.length; i++) {
    const c = i < bytes.length ? bytes[i]! : 0x0a;
    if (c === 0x0a) {
      const end = i > start && bytes[i - 1] === 0x0d ? i - 1 : i;
      lines.push(text.slice(start, end));
      start = i + 1;
    } else if ((c < 0x20 && c !== 0x09 && !(c === 0x0d && isLineEnd(bytes, i + 1))) || c === 0x7f) {
      return undefined;
    }
  }
  while (lines.length > 0 && lines[lines.length - 1] === '') lines.pop();
  const first = lines.findIndex((line) => line !== '');
  if (first > 0) lines.splice(0, first);
  return lines;
}

/** After CR: LF or the end of the description. */
function isLineEnd(bytes: Uint8Array, at: number): boolean {
  return at === bytes.length || bytes[at] === 0x0a;
}

class Parser {
  #session: AttributeSink<SessionDescription> = newSession();
  #media: AttributeSink<MediaDescription>[] = [];
  #attributes = 0;
  #seen = new Set<string>();
  #origin: Origin | undefined;

  line(line: string, index: number): SdpErrorReason | undefined {
    if (line.length < 2 || line[1] !== '=') return 'syntax';
    const type = line[0]!;
    const value = line.slice(2);
    // RFC 8866 5: a description begins with v=; nothing else tells it from other text.
    if (index === 0) return type === 'v' && value.trim() === '0' ? undefined : 'version';
    const media = this.#media[this.#media.length - 1];
    switch (type) {
      case 'a':
        if (++this.#attributes > SDP_LIMITS.attributes) return 'too-many-attributes';
        return takeAttribute(media ?? this.#session, media !== undefined, value);
      case 'b':
        return this.#bandwidth(value, media ?? this.#session);
      case 'c':
        return this.#connection(value, media ?? this.#session);
      case 'm':
        return this.#mediaLine(value);
      case 'i':
      case 'k': // RFC 8866 5.12: obsolete, MUST NOT be used, ignored
        return undefined;
      default:
        return media === undefined
          ? this.#sessionLine(type, value)
          : 'osuteprzv'.includes(type)
            ? 'order'
            : 'unknown-type';
    }
  }

  finish(lines: number): Result<SessionDescription, SdpError> {
    if (this.#origin === undefined) return fail({ reason: 'origin', line: lines });
    return ok({ ...this.#session, origin: this.#origin, media: this.#media });
  }

  #sessionLine(type: string, value: string): SdpErrorReason | undefined {
    if (type === 'v' || type === 'o' || type === 's') {
      if (type === 'v' || this.#seen.has(type)) return 'duplicate';
      this.#seen.add(type);
    }
    switch (type) {
      case 'o':
        this.#origin = parseOrigin(value);
        return this.#origin === undefined ? 'origin' : undefined;
      case 's':
        this.#session.name = value;
        return undefined;
      case 't':
      case 'r':
      case 'z':
      case 'u':
      case 'e':
      case 'p':
        return undefined;
      default:
        return 'unknown-type';
    }
  }

  #connection(value: string, target: { connection?: Connection }): SdpErrorReason | undefined {
    const connection = parseConnection(value);
    if (connection === undefined) return 'connection';
    const before = target.connection;
    if (before !== undefined) {
      // Said twice is harmless; two different ones would be read differently by different readers.
      const same = before.ipVersion === connection.ipVersion && before.address === connection.address;
      return same ? undefined : 'duplicate';
    }
    target.connection = connection;
    return undefined;
  }

  #bandwidth(value: string, target: { bandwidths: Bandwidth[] }): SdpErrorReason | undefined {
    const match = /^([^:]{1,32}):(\d{1,9})$/.exec(value.trim());
    if (match === null || !TOKEN.test(match[1]!)) return undefined; // a hint only; malformed ones exist in the field
    if (target.bandwidths.length < SDP_LIMITS.bandwidths) {
      target.bandwidths.push({ type: match[1]!, value: Number(match[2]) });
    }
    return undefined;
  }

  #mediaLine(value: string): SdpErrorReason | undefined {
    if (this.#media.length >= SDP_LIMITS.media) return 'too-many-media';
    const parts = words(value);
    const [type, ports, protocol, ...formats] = parts;
    if (type === undefined || ports === undefined || protocol === undefined || formats.length === 0)
      return 'media';
    if (!TOKEN.test(type) || type.length > 32 || protocol.length > 64) return 'media';
    if (!protocol.split('/').every((p) => TOKEN.test(p))) return 'media';
    const match = /^(\d{1,5})(?:\/(\d{1,5}))?$/.exec(ports);
    if (match === null) return 'port';
    const port = Number(match[1]);
    const portCount = match[2] === undefined ? 1 : Number(match[2]);
    if (port > 65535 || portCount < 1 || port + portCount - 1 > 65535) return 'port';
    if (formats.length > SDP_LIMITS.formats) return 'too-many-formats';
    if (!formats.every((f) => f.length <= 64 && TOKEN.test(f))) return 'media';
    this.#media.push(newMedia({ type, port, portCount, protocol, formats: [...new Set(formats)] }));
    return undefined;
  }
}

/** RFC 8866 5.2. The user name is what stands before the last five words: some devices put blanks in it. */
function parseOrigin(value: string): Origin | undefined {
  const parts = words(value);
  if (parts.length < 6) return undefined;
  const [sessionId, version, net, family, written] = parts.slice(-5) as [
    string,
    string,
    string,
    string,
    string,
  ];
  const ipVersion = familyOf(net, family);
  const address = unbracketed(written);
  if (ipVersion === undefined || !isHost(address)) return undefined;
  if (!/^\d{1,40}$/.test(sessionId) || !/^\d{1,40}$/.test(version)) return undefined;
  return { username: parts.slice(0, -5).join(' '), sessionId, version, ipVersion, address };
}
