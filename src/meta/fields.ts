/**
 * The table both encode.ts and decode.ts follow (docs/meta-protocol.md, "Messages" and "Fields"): which fields a message
 * has, how each is written and what it may hold. Codes are never reused; `since` is the minor version that brought it.
 */
import type { MetaMessage } from './message.ts';
import { META_LIMITS } from './message.ts';

export type FieldType =
  | {
      readonly type: 'integer';
      readonly octets: 1 | 2 | 4;
      readonly min: number;
      readonly max: number;
      readonly multipleOf: number;
    }
  /** One octet: the index in `values`. */
  | { readonly type: 'choice'; readonly values: readonly string[] }
  | { readonly type: 'flag' }
  | { readonly type: 'digit' }
  | { readonly type: 'call' }
  | { readonly type: 'ascii'; readonly min: number; readonly max: number }
  | { readonly type: 'party' }
  | { readonly type: 'media' }
  | { readonly type: 'proof' };

export interface Field {
  readonly code: number;
  /** Property of the message. */
  readonly name: string;
  readonly type: FieldType;
  readonly optional: boolean;
  readonly since: number;
}

export type MessageKind = MetaMessage['kind'];

/** A message seen as its fields. */
export interface MessageValues {
  [name: string]: unknown;
  call?: unknown;
  exchange?: unknown;
}

export interface MessageLayout {
  readonly kind: MessageKind;
  readonly code: number;
  readonly since: number;
  /** What stands behind the type octet: 16 octets of call id or 4 of exchange number. */
  readonly head: 'call' | 'exchange';
  /** Ascending by code. */
  readonly fields: readonly Field[];
}

export const DIGITS = '0123456789*#ABCD';
export const PRIORITIES = ['normal', 'priority', 'emergency'] as const;
export const ORIGINS = ['caller', 'callee', 'termination-gateway', 'relay-gateway', 'tunnel'] as const;
export const CALL_STATES = [
  'null',
  'initiated',
  'proceeding',
  'alerting',
  'connected',
  'modifying',
  'releasing',
] as const;

function integer(octets: 1 | 2 | 4, min: number, max: number, multipleOf = 1): FieldType {
  return { type: 'integer', octets, min, max, multipleOf };
}

function choice(values: readonly string[]): FieldType {
  return { type: 'choice', values };
}

function field(code: number, name: string, type: FieldType, optional = false, since = 0): Field {
  return { code, name, type, optional, since };
}

function orNot(of: Field): Field {
  return { ...of, optional: true };
}

const PARTY: FieldType = { type: 'party' };

const F = {
  shard: field(1, 'shard', integer(2, 0, META_LIMITS.shards - 1)),
  streamBase: field(2, 'streamBase', integer(4, 8, 0xffff_fff8, 8)),
  caller: field(3, 'caller', PARTY),
  callee: field(4, 'callee', PARTY),
  diverting: field(5, 'diverting', PARTY),
  connected: field(6, 'connected', PARTY),
  target: field(7, 'target', PARTY),
  number: field(8, 'number', PARTY),
  priority: field(9, 'priority', choice(PRIORITIES)),
  accountingId: field(10, 'accountingId', { type: 'ascii', min: 1, max: META_LIMITS.accountingBytes }),
  hops: field(11, 'hops', integer(1, 0, META_LIMITS.hops)),
  branch: field(12, 'branch', integer(2, 0, META_LIMITS.branch)),
  media: field(13, 'media', { type: 'media' }),
  cause: field(14, 'cause', integer(1, 1, 127)),
  origin: field(15, 'origin', choice(ORIGINS)),
  retryAfterSeconds: field(16, 'retryAfterSeconds', integer(4, 0, META_LIMITS.retryAfterSeconds)),
  glare: field(17, 'glare', { type: 'flag' }),
  digit: field(18, 'digit', { type: 'digit' }),
  durationMs: field(19, 'durationMs', integer(2, 40, 8000)),
  event: field(20, 'event', choice(['hold', 'retrieve', 'queued', 'forwarding'])),
  replaces: field(21, 'replaces', { type: 'call' }),
  transferOutcome: field(22, 'outcome', choice(['trying', 'alerting', 'success', 'failure'])),
  state: field(23, 'state', choice(CALL_STATES)),
  mediaGeneration: field(24, 'mediaGeneration', integer(4, 0, 0xffff_ffff)),
  proof: field(25, 'proof', { type: 'proof' }),
  authenticateOutcome: field(26, 'outcome', choice(['accepted', 'refused', 'unknown'])),
  account: field(27, 'account', { type: 'ascii', min: 1, max: META_LIMITS.accountBytes }),
  expiresSeconds: field(28, 'expiresSeconds', integer(4, 0, 0xffff_ffff)),
  registerOutcome: field(29, 'outcome', choice(['accepted', 'refused', 'unauthenticated'])),
} as const;

function message(
  code: number,
  kind: MessageKind,
  head: 'call' | 'exchange',
  ...fields: readonly Field[]
): MessageLayout {
  return { code, kind, head, since: 0, fields: [...fields].sort((a, b) => a.code - b.code) };
}

const MEDIA = orNot(F.media);

export const LAYOUTS: readonly MessageLayout[] = [
  message(
    1,
    'setup',
    'call',
    F.shard,
    F.streamBase,
    F.caller,
    F.callee,
    orNot(F.diverting),
    F.priority,
    orNot(F.accountingId),
    F.hops,
    MEDIA,
  ),
  message(2, 'proceeding', 'call'),
  message(3, 'alerting', 'call', F.branch, MEDIA),
  message(4, 'progress', 'call', F.branch, orNot(F.cause), MEDIA),
  message(5, 'connect', 'call', F.branch, orNot(F.connected), MEDIA),
  message(6, 'media', 'call', F.media),
  message(7, 'modify', 'call', MEDIA),
  message(8, 'modify-accept', 'call', MEDIA),
  message(9, 'modify-refuse', 'call', F.cause, F.glare),
  message(10, 'user-input', 'call', F.digit, F.durationMs),
  message(11, 'notify', 'call', F.event),
  message(12, 'transfer-request', 'call', F.target, orNot(F.replaces)),
  message(13, 'transfer-result', 'call', F.transferOutcome, orNot(F.cause)),
  message(14, 'release', 'call', F.cause, F.origin, orNot(F.retryAfterSeconds)),
  message(15, 'status-enquiry', 'call'),
  message(16, 'status', 'call', F.state, F.mediaGeneration),
  message(32, 'authenticate', 'exchange', F.proof),
  message(33, 'authenticate-result', 'exchange', F.authenticateOutcome, orNot(F.account)),
  message(34, 'register', 'exchange', F.account, F.number, F.expiresSeconds, orNot(F.proof)),
  message(35, 'register-result', 'exchange', F.registerOutcome, F.expiresSeconds, orNot(F.cause)),
  message(36, 'unregister', 'exchange', F.account),
];

export const LAYOUT_BY_KIND: ReadonlyMap<string, MessageLayout> = new Map(LAYOUTS.map((l) => [l.kind, l]));
export const LAYOUT_BY_CODE: ReadonlyMap<number, MessageLayout> = new Map(LAYOUTS.map((l) => [l.code, l]));

/** Choices inside parties, media and proofs; the code is the index. */
export const NUMBER_TYPES = ['unknown', 'international', 'national', 'subscriber', 'uri'] as const;
export const PRIVACIES = ['allowed', 'restricted', 'unavailable'] as const;
export const MEDIA_KINDS = ['audio', 'video', 'image'] as const;
export const DIRECTIONS = ['sendrecv', 'sendonly', 'recvonly', 'inactive'] as const;
export const EXCHANGE_KINDS = ['offer', 'answer', 'refuse'] as const;
export const SIDES = ['originator', 'terminator'] as const;
export const DIGEST_ALGORITHMS = ['MD5', 'SHA-256'] as const;
/** Strings of a proof, in the order in which they are written. */
export const PROOF_STRINGS = ['username', 'realm', 'nonce', 'uri', 'response', 'cnonce', 'method'] as const;
