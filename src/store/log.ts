/**
 * JSON logs. Above debug numbers are shortened to their last three digits, and credentials are removed at every level: here,
 * in one place, so that a careless line elsewhere does not leak.
 */
import pino from 'pino';
import { LineOutput } from './line-output.ts';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, unknown>>;

/** `event` is a short stable text; what varies goes into `fields`. */
export interface Logger {
  trace(event: string, fields?: LogFields): void;
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  /** A logger whose lines all carry `fields`. */
  child(fields: LogFields): Logger;
  setLevel(level: LogLevel): void;
  /** Hands what is buffered to the system. For the end of the process. */
  flush(): void;
}

export interface LogOptions {
  readonly level: LogLevel;
  /** On every line, for example gateway name and role. */
  readonly fields?: LogFields;
  /** Where lines go instead of standard output (tests). */
  readonly write?: (line: string) => void;
}

/** Keys whose values are secrets, wherever they stand. */
const SECRET =
  /^(password|passwd|secret|key|privateKey|laneKey|credentials|authorization|proxyAuthorization|response|nonce|cnonce|proof|exporter|ha1|token)$/i;
/** Keys whose values are people, and keys whose values may be telephone numbers (then they have three digits or more). */
const PERSON =
  /^(number|caller|callee|calling|called|diverting|diversion|account|user|username|asserted|displayName)$/i;
const MAYBE_NUMBER = /^(from|to|connected|target)$/i;
/** User parts of URIs inside any text. */
const URI_USER = /\b(sips?:|tel:|h323:)([^@\s;>,]+)/gi;
const MAX_DEPTH = 6;
const MAX_TEXT = 2048;

export function createLogger(options: LogOptions): Logger {
  const output = options.write === undefined ? new LineOutput(1) : undefined;
  const destination: pino.DestinationStream = output ?? { write: options.write ?? (() => undefined) };
  const root = pino(
    {
      level: options.level,
      base: options.fields === undefined ? null : (redact(options.fields, false) as Record<string, unknown>),
      messageKey: 'event',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
  return new PinoLogger(root, root, () => output?.flush());
}

class PinoLogger implements Logger {
  readonly #pino: pino.Logger;
  readonly #root: pino.Logger;
  readonly #flush: () => void;
  readonly #fields: LogFields;

  constructor(root: pino.Logger, self: pino.Logger, flush: () => void, fields: LogFields = {}) {
    this.#root = root;
    this.#pino = self;
    this.#flush = flush;
    this.#fields = fields;
  }

  trace(event: string, fields?: LogFields): void {
    this.#write('trace', event, fields);
  }
  debug(event: string, fields?: LogFields): void {
    this.#write('debug', event, fields);
  }
  info(event: string, fields?: LogFields): void {
    this.#write('info', event, fields);
  }
  warn(event: string, fields?: LogFields): void {
    this.#write('warn', event, fields);
  }
  error(event: string, fields?: LogFields): void {
    this.#write('error', event, fields);
  }

  child(fields: LogFields): Logger {
    return new PinoLogger(this.#root, this.#pino, this.#flush, { ...this.#fields, ...fields });
  }

  setLevel(level: LogLevel): void {
    this.#root.level = level;
  }

  flush(): void {
    this.#flush();
  }

  #write(level: LogLevel, event: string, fields?: LogFields): void {
    if (!this.#pino.isLevelEnabled(level)) return;
    const whole = level === 'debug' || level === 'trace';
    const safe = redact({ ...this.#fields, ...fields }, whole) as Record<string, unknown>;
    this.#pino[level](safe, redactText(event, whole));
  }
}

/** A copy of `value` that may be logged. `whole`: numbers may appear in full (debug and trace). */
export function redact(value: unknown, whole: boolean): unknown {
  return redactValue(value, whole, 0);
}

function redactValue(value: unknown, whole: boolean, depth: number): unknown {
  if (typeof value === 'string') return redactText(value, whole);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= MAX_DEPTH) return '[deep]';
  if (value instanceof Error) return redactError(value, whole);
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} octets]`;
  if (Array.isArray(value)) return value.slice(0, 100).map((item) => redactValue(item, whole, depth + 1));
  const copy: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) {
    if (SECRET.test(key)) copy[key] = '[removed]';
    else if (!whole && isNumberField(key, item)) copy[key] = shortenNumber(String(item));
    else copy[key] = redactValue(item, whole, depth + 1);
  }
  return copy;
}

function isNumberField(key: string, item: unknown): boolean {
  if (typeof item !== 'string' && typeof item !== 'number') return false;
  return PERSON.test(key) || (MAYBE_NUMBER.test(key) && (String(item).match(/\d/g)?.length ?? 0) >= 3);
}

function redactError(error: Error, whole: boolean): Record<string, unknown> {
  const code = (error as NodeJS.ErrnoException).code;
  return {
    name: error.name,
    message: redactText(error.message, whole),
    ...(code === undefined ? {} : { code }),
    ...(error.stack === undefined ? {} : { stack: redactText(error.stack, whole) }),
  };
}

function redactText(text: string, whole: boolean): string {
  const cut = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}...` : text;
  if (whole) return cut;
  return cut.replace(URI_USER, (_, scheme: string, user: string) => scheme + shortenNumber(user));
}

/** `+43123456789` as `...789`; what has three characters or less as `...`. */
export function shortenNumber(number: string): string {
  return number.length <= 3 ? '...' : `...${number.slice(-3)}`;
}
