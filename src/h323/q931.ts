/** The Q.931 message around every H.225.0 call signalling PDU (H.225.0 7.2, Q.931 4), as data. */

/** Q.931 table 4-2, as far as H.225.0 uses it. */
export const Q931_TYPES = {
  alerting: 0x01,
  callProceeding: 0x02,
  progress: 0x03,
  setup: 0x05,
  connect: 0x07,
  setupAcknowledge: 0x0d,
  connectAcknowledge: 0x0f,
  releaseComplete: 0x5a,
  facility: 0x62,
  notify: 0x6e,
  statusInquiry: 0x75,
  information: 0x7b,
  status: 0x7d,
} as const;

export type Q931Type = keyof typeof Q931_TYPES;

export const NUMBER_TYPES = [
  'unknown',
  'international',
  'national',
  'network-specific',
  'subscriber',
  'reserved-5',
  'abbreviated',
  'reserved-7',
] as const;
export type Q931NumberType = (typeof NUMBER_TYPES)[number];

/** Numbering plan identification by code; the rest is reserved. */
export const NUMBER_PLANS = { unknown: 0, isdn: 1, data: 3, telex: 4, national: 8, private: 9 } as const;
export type Q931NumberPlan = keyof typeof NUMBER_PLANS;

export const PRESENTATIONS = ['allowed', 'restricted', 'unavailable', 'reserved'] as const;
export type Q931Presentation = (typeof PRESENTATIONS)[number];

export const SCREENINGS = ['not-screened', 'passed', 'failed', 'network'] as const;
export type Q931Screening = (typeof SCREENINGS)[number];

/** Called party number (4.5.8), and with octet 3a calling (4.5.10) and connected number (Q.951). */
export interface Q931Number {
  readonly type: Q931NumberType;
  readonly plan: Q931NumberPlan;
  /** 0..128 characters; decoded from IA5 without control characters. */
  readonly digits: string;
  /** Both absent: octet 3a is not sent; it means allowed and not-screened. Never in a called party number. */
  readonly presentation?: Q931Presentation | undefined;
  readonly screening?: Q931Screening | undefined;
}

/** 4.5.12. `value` 1..127 (Q.850), `location` 0 user, 1 private network local, 2 public network local ... */
export interface Q931Cause {
  readonly value: number;
  readonly location: number;
  readonly diagnostics?: Uint8Array | undefined;
}

export const BEARER_CAPABILITIES = {
  speech: 0x00,
  'unrestricted-digital': 0x08,
  'restricted-digital': 0x09,
  'audio-3.1khz': 0x10,
  'unrestricted-digital-with-tones': 0x11,
  video: 0x18,
} as const;

/** 4.5.5. */
export interface Q931Bearer {
  readonly capability: keyof typeof BEARER_CAPABILITIES;
  /** Information transfer rate: 0x10 is 64 kbit/s, 0x18 multirate with `multiplier` 1..127. */
  readonly rate: number;
  readonly multiplier?: number | undefined;
  /** User information layer 1 protocol: 2 is G.711 mu-law, 3 A-law, 5 H.221/H.242. */
  readonly layer1?: number | undefined;
}

/** 4.5.23. `description` 1 not end-to-end ISDN, 2 destination non-ISDN, 3 origination non-ISDN, 8 in-band information now available. */
export interface Q931Progress {
  readonly description: number;
  readonly location: number;
}

/** Information elements that may be in a message, each once (Q.931 5.8.5.2: repeats are ignored), `progress` several times. */
export interface Q931Elements {
  readonly bearer?: Q931Bearer | undefined;
  readonly cause?: Q931Cause | undefined;
  /** Call state value (4.5.7), 0..63: null 0, call initiated 1, delivered 4, received 7, active 10, ... */
  readonly callState?: number | undefined;
  /** Contents of the Facility element; empty where H.450 travels in the UUIE. */
  readonly facility?: Uint8Array | undefined;
  readonly progress?: readonly Q931Progress[] | undefined;
  /** Notification description (4.5.22), 0..127: user suspended 0, user resumed 1, hold 0x79, retrieval 0x7a. */
  readonly notification?: number | undefined;
  /** 1..82 characters (H.225.0 7.2.2.8); control characters and trailing NULs are dropped when decoding. */
  readonly display?: string | undefined;
  readonly keypad?: string | undefined;
  /** Signal value (4.5.28), 0..255. */
  readonly signal?: number | undefined;
  readonly calling?: Q931Number | undefined;
  readonly called?: Q931Number | undefined;
  readonly connected?: Q931Number | undefined;
  readonly redirecting?: Q931Number | undefined;
  readonly sendingComplete?: boolean | undefined;
  /** PER octets of the H323-UserInformation, behind the protocol discriminator 05 of the User-user element. */
  readonly userUser?: Uint8Array | undefined;
}

export interface Q931Message extends Q931Elements {
  readonly type: Q931Type;
  /** 0..32767; 0 is the global call reference of a connection. */
  readonly callReference: number;
  /** The flag: sent by the side that did not choose the call reference. */
  readonly fromDestination: boolean;
}

/** A decoded message, with the identifiers of elements that were passed over: unknown, repeated, or with contents that are none. */
export interface Q931Decoded extends Q931Message {
  readonly ignored: readonly number[];
}

/**
 * `truncated`: an element longer than the message. `discriminator`: not 08. `call-reference`: not two octets. `type`: a message
 * H.225.0 does not have. `elements`: too many. `user-user`: empty, or not protocol discriminator 05.
 */
export type Q931Reason = 'truncated' | 'discriminator' | 'call-reference' | 'type' | 'elements' | 'user-user';

export interface Q931Error {
  readonly reason: Q931Reason;
  /** Octet at which decoding stopped. */
  readonly offset: number;
}

export const Q931_DISCRIMINATOR = 0x08;

/** Element identifiers (Q.931 table 4-3). */
export const ELEMENT = {
  bearer: 0x04,
  cause: 0x08,
  callState: 0x14,
  facility: 0x1c,
  progress: 0x1e,
  notification: 0x27,
  display: 0x28,
  keypad: 0x2c,
  signal: 0x34,
  connected: 0x4c,
  calling: 0x6c,
  called: 0x70,
  redirecting: 0x74,
  userUser: 0x7e,
  sendingComplete: 0xa1,
} as const;
