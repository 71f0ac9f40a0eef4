/** Monotonic milliseconds. Never compared between two gateways. */
export type Millis = number;
/** UTC milliseconds since 1970, for CDRs, nonces and certificates only. */
export type WallMillis = number;

/**
 * The contract of every state machine of this product. One mutation (`handle`), then drain (`poll` until
 * undefined), then wait for more input or for `deadline()`, at which `handle({ kind: 'timeout' }, now)` is due.
 * Effects leave as values; a machine never throws on input from a peer.
 */
export interface Machine<In, Out> {
  handle(input: In, now: Millis): void;
  poll(): Out | undefined;
  deadline(): Millis | undefined;
}

export interface Timeout {
  readonly kind: 'timeout';
}

/** Randomness as a constructor argument: seeded in simulation, the system's in production. */
export interface Random {
  /** `length` (1..65536) unpredictable bytes, freshly allocated. */
  bytes(length: number): Uint8Array;
  /** Uniform integer in 0 .. 2^32-1. */
  uint32(): number;
}

export type HashName = 'md5' | 'sha1' | 'sha256' | 'sha512-256';

export interface Crypto {
  hash(name: HashName, data: Uint8Array): Uint8Array;
  hmac(name: 'sha1' | 'sha256', key: Uint8Array, data: Uint8Array): Uint8Array;
  /** Constant-time comparison; false where lengths differ. */
  equal(a: Uint8Array, b: Uint8Array): boolean;
}

/** Of a value that is being made: fields that may be absent are set one by one. */
export type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Parse results are values; exceptions mean bugs. */
export type Result<T, E> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: E };

export function ok<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value };
}

export function fail<E>(error: E): { readonly ok: false; readonly error: E } {
  return { ok: false, error };
}
