/**
 * The Meta IP telephony protocol: the neutral call-control messages that cross between the two gateways.
 * It knows neither SIP nor H.323. docs/meta-protocol.md is its specification; encode.ts and decode.ts obey both.
 */

/** 16 octets as 32 lower-case hexadecimal digits, chosen at random by the gateway where the call entered. */
export type CallId = string;

/** Number types of Q.931 table 4-7, as far as used; `uri` is an address that is not a number (user part only). */
export type NumberType = 'unknown' | 'international' | 'national' | 'subscriber' | 'uri';

export interface Party {
  /**
   * At most 64 octets. `uri`: printable ASCII without space. Else digits, and where not international also `*`, `#`, A-D.
   * '+' is not part of the number (type says international). Empty: no number known (then `unknown` or `uri`).
   */
  readonly number: string;
  readonly numberType: NumberType;
  /** 1..128 octets of UTF-8 without control and bidirectional formatting characters. */
  readonly displayName?: string;
  readonly privacy: 'allowed' | 'restricted' | 'unavailable';
  /** Whether the gateway where the call entered vouches for the number. */
  readonly verified: boolean;
}

export type Priority = 'normal' | 'priority' | 'emergency';

/** Media, neutral. Formats are told apart by name and clock rate; RTP payload type numbers never cross. */
export type MediaKind = 'audio' | 'video' | 'image';
export type Direction = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';

/** Names of formats that may cross; anything else is not passed. The code in the encoding is the index. */
export const FORMAT_NAMES = [
  'PCMU',
  'PCMA',
  'G722',
  'G729',
  'GSM',
  'G723',
  'OPUS',
  'ILBC',
  'AMR',
  'AMR-WB',
  'L16',
  'SPEEX',
  'telephone-event',
  'CN',
  'T38',
  'H263',
  'H264',
  'VP8',
  'G726-32',
  'RED',
] as const;
export type FormatName = (typeof FORMAT_NAMES)[number];

export interface Format {
  /** 0..31, unique within a stream; used in media frames in place of the payload type. Chosen by the offerer. */
  readonly id: number;
  readonly name: FormatName;
  /** Hz. */
  readonly clockRate: number;
  /** 1..2 */
  readonly channels: number;
  /** Neutral parameters by known name (at most 8; value at most 64 octets printable ASCII), sorted by name. */
  readonly parameters: readonly FormatParameter[];
}

/** Parameter names that may cross (fmtp of audio, H.264 and T.38 attributes). */
export const PARAMETER_NAMES = [
  'annexb',
  'mode',
  'bitrate',
  'events',
  'maxplaybackrate',
  'stereo',
  'useinbandfec',
  'usedtx',
  'mode-set',
  'octet-align',
  'profile-level-id',
  'packetization-mode',
  't38-version',
  't38-bitrate',
  't38-rate-management',
  't38-max-buffer',
  't38-max-datagram',
  't38-udp-ec',
  't38-options',
] as const;
export type ParameterName = (typeof PARAMETER_NAMES)[number];
export interface FormatParameter {
  readonly name: ParameterName;
  readonly value: string;
}

export interface Stream {
  /** Position in the session (0..7), constant for the life of the call. A refused stream keeps its place. */
  readonly index: number;
  readonly kind: MediaKind;
  readonly refused: boolean;
  /** Seen from the sender of this description. */
  readonly direction: Direction;
  /** Milliseconds of one packet wished for, 5..200; undefined: the format's default. */
  readonly packetTime?: number;
  /** At most 16; empty where refused. In order of preference. */
  readonly formats: readonly Format[];
}

/**
 * Media negotiation is an exchange of its own, numbered per call by the offerer (1, 2, ...), riding on any call
 * message. `by` tells whose numbering: the gateway where the call entered (`originator`) or the other.
 * `branch` names the early dialog at the called side (0 until there is one; forked answers differ).
 */
export type MediaExchange =
  | MediaOffer
  | MediaAnswer
  | {
      readonly kind: 'refuse';
      readonly by: Side;
      readonly number: number;
      readonly branch: number;
      readonly cause: Cause;
    };

export interface MediaOffer {
  readonly kind: 'offer';
  readonly by: Side;
  readonly number: number;
  readonly branch: number;
  readonly streams: readonly Stream[];
}

export interface MediaAnswer {
  readonly kind: 'answer';
  readonly by: Side;
  readonly number: number;
  readonly branch: number;
  readonly streams: readonly Stream[];
}

export type Side = 'originator' | 'terminator';

/** Q.850 cause value 1..127. */
export type Cause = number;
/** Where a release began. */
export type ReleaseOrigin = 'caller' | 'callee' | 'termination-gateway' | 'relay-gateway' | 'tunnel';

/**
 * RFC 7616 digest parameters as received; GW2 forwards them and holds no H(A1). Every string at most 256 octets, one
 * character per octet (a user name in UTF-8 stays what the far end hashed), no controls.
 */
export interface DigestProof {
  readonly algorithm: 'MD5' | 'SHA-256';
  readonly username: string;
  readonly realm: string;
  readonly nonce: string;
  readonly uri: string;
  readonly response: string;
  readonly cnonce: string;
  readonly nonceCount: number;
  readonly method: string;
}

export type CallMessage =
  | {
      readonly kind: 'setup';
      readonly call: CallId;
      readonly shard: number;
      /**
       * Base of the call's tunnel stream ids: stream id = streamBase + Stream.index. A multiple of 8, 8 .. 2^32-8, unique among live
       * calls of the session; bit 31 clear where the termination gateway originates, set where the relay does.
       */
      readonly streamBase: number;
      readonly caller: Party;
      readonly callee: Party;
      readonly diverting?: Party;
      readonly priority: Priority;
      readonly accountingId?: string;
      /** Hops left (Max-Forwards, H.323 hopCount), 0..70. */
      readonly hops: number;
      readonly media?: MediaExchange;
    }
  /** The other gateway has taken the call; `shard` is the one both use. */
  | { readonly kind: 'proceeding'; readonly call: CallId }
  | {
      readonly kind: 'alerting';
      readonly call: CallId;
      readonly branch: number;
      readonly media?: MediaExchange;
    }
  | {
      readonly kind: 'progress';
      readonly call: CallId;
      readonly branch: number;
      readonly cause?: Cause;
      readonly media?: MediaExchange;
    }
  | {
      readonly kind: 'connect';
      readonly call: CallId;
      readonly branch: number;
      readonly connected?: Party;
      readonly media?: MediaExchange;
    }
  /** Media negotiation outside another message: an answer in ACK, a refusal, an H.245 answer after Connect. */
  | { readonly kind: 'media'; readonly call: CallId; readonly media: MediaExchange }
  /** A change of an established call; media offers in it are answered in modify-accept (or `media`). */
  | { readonly kind: 'modify'; readonly call: CallId; readonly media?: MediaExchange }
  | { readonly kind: 'modify-accept'; readonly call: CallId; readonly media?: MediaExchange }
  | { readonly kind: 'modify-refuse'; readonly call: CallId; readonly cause: Cause; readonly glare: boolean }
  /** One DTMF digit that came in signalling. `durationMs` 40..8000. */
  | {
      readonly kind: 'user-input';
      readonly call: CallId;
      readonly digit: string;
      readonly durationMs: number;
    }
  | {
      readonly kind: 'notify';
      readonly call: CallId;
      readonly event: 'hold' | 'retrieve' | 'queued' | 'forwarding';
    }
  | {
      readonly kind: 'transfer-request';
      readonly call: CallId;
      readonly target: Party;
      readonly replaces?: CallId;
    }
  | {
      readonly kind: 'transfer-result';
      readonly call: CallId;
      readonly outcome: 'trying' | 'alerting' | 'success' | 'failure';
      readonly cause?: Cause;
    }
  | {
      readonly kind: 'release';
      readonly call: CallId;
      readonly cause: Cause;
      readonly origin: ReleaseOrigin;
      readonly retryAfterSeconds?: number;
    }
  | { readonly kind: 'status-enquiry'; readonly call: CallId }
  | {
      readonly kind: 'status';
      readonly call: CallId;
      readonly state: MetaCallState;
      readonly mediaGeneration: number;
    };

/** State as reported in `status` and in the fence after a cut. */
export type MetaCallState =
  | 'null'
  | 'initiated'
  | 'proceeding'
  | 'alerting'
  | 'connected'
  | 'modifying'
  | 'releasing';

/** Messages that belong to no call. `exchange` (1..2^32-1) pairs request and result; each has a deadline of 10 s. */
export type OtherMessage =
  | { readonly kind: 'authenticate'; readonly exchange: number; readonly proof: DigestProof }
  | {
      readonly kind: 'authenticate-result';
      readonly exchange: number;
      readonly outcome: 'accepted' | 'refused' | 'unknown';
      readonly account?: string;
    }
  | {
      readonly kind: 'register';
      readonly exchange: number;
      readonly account: string;
      readonly number: Party;
      readonly expiresSeconds: number;
      readonly proof?: DigestProof;
    }
  | {
      readonly kind: 'register-result';
      readonly exchange: number;
      readonly outcome: 'accepted' | 'refused' | 'unauthenticated';
      readonly expiresSeconds: number;
      readonly cause?: Cause;
    }
  | { readonly kind: 'unregister'; readonly exchange: number; readonly account: string };

export type MetaMessage = CallMessage | OtherMessage;

/** The content of the fence both gateways exchange after a cut of the signalling link (opaque to the tunnel). */
export interface FenceCall {
  readonly call: CallId;
  readonly state: MetaCallState;
  /** How many media exchanges (of both numberings) were answered so far. */
  readonly mediaGeneration: number;
}

export const META_VERSION = { major: 1, minor: 0 } as const;

export const META_LIMITS = {
  messageBytes: 8192,
  shards: 256,
  branch: 65_535,
  exchangeNumber: 65_535,
  hops: 70,
  retryAfterSeconds: 86_400,
  accountBytes: 64,
  numberBytes: 64,
  displayBytes: 128,
  accountingBytes: 64,
  streams: 8,
  formats: 16,
  parameters: 8,
  parameterBytes: 64,
  digestBytes: 256,
  fenceCalls: 20_000,
} as const;

export interface MetaError {
  readonly reason: 'truncated' | 'trailing' | 'version' | 'type' | 'value' | 'limit' | 'not-canonical';
  /** Octet at which decoding stopped. */
  readonly offset: number;
  readonly field: string;
}
