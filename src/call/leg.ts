/**
 * The contract between a half-call and the leg of a foreign protocol (SIP, H.323). Both sides speak in Meta's
 * call-control terms; interworking/ translates. Media crosses as neutral exchanges only; where packets go at this leg
 * (addresses, payload types) stays in the leg's adapter, which shows it as LegStreams to media control.
 */
import type { Address } from '../machine/address.ts';
import type {
  Cause,
  Direction,
  Format,
  FormatParameter,
  MediaExchange,
  MediaKind,
  Party,
  Priority,
} from '../meta/message.ts';

/** Unique per gateway process, counts up from 1. */
export type LegId = number;

/**
 * What a leg tells its half-call. `release` is the leg's last event; after the command `release` the leg says nothing more.
 * Media offers of a leg are numbered by the leg as it likes (echoed in the answer); the half-call gives them their
 * Meta numbers. Branch 0 in an exchange means: whichever dialog there is.
 */
export type LegEvent =
  | LegSetup
  | { readonly kind: 'proceeding' }
  | { readonly kind: 'alerting'; readonly branch: number; readonly media?: MediaExchange }
  | {
      readonly kind: 'progress';
      readonly branch: number;
      readonly cause?: Cause;
      readonly media?: MediaExchange;
    }
  | {
      readonly kind: 'connect';
      readonly branch: number;
      readonly connected?: Party;
      readonly media?: MediaExchange;
    }
  | { readonly kind: 'media'; readonly media: MediaExchange }
  | { readonly kind: 'modify'; readonly media?: MediaExchange }
  | { readonly kind: 'modify-accept'; readonly media?: MediaExchange }
  /** `retryAfterSeconds`: the tunnel is cut; the same change may succeed after that time. */
  | {
      readonly kind: 'modify-refuse';
      readonly cause: Cause;
      readonly glare: boolean;
      readonly retryAfterSeconds?: number;
    }
  | { readonly kind: 'user-input'; readonly digit: string; readonly durationMs: number }
  | { readonly kind: 'transfer-request'; readonly target: Party }
  /** How the far end fares with the command `transfer`; for the gateway, not for the half-call. */
  | {
      readonly kind: 'transfer-progress';
      readonly outcome: 'alerting' | 'success' | 'failure';
      readonly cause?: Cause;
    }
  /** `redirect`: who to call instead, says a called far end that has not answered. For the gateway alone: it follows, or not. */
  | {
      readonly kind: 'release';
      readonly cause: Cause;
      readonly retryAfterSeconds?: number;
      readonly redirect?: Party;
    };

export interface LegSetup {
  readonly kind: 'setup';
  /** Name of the configured peer the call came from, or goes to (then chosen by routing). */
  readonly peer: string;
  readonly caller: Party;
  readonly callee: Party;
  readonly diverting?: Party;
  readonly hops: number;
  readonly priority: Priority;
  readonly media?: MediaExchange;
}

/** What a half-call asks of its leg. After `release` nothing more is asked. */
export type LegCommand =
  | Exclude<LegEvent, { kind: 'transfer-request' | 'transfer-progress' }>
  /** The far end shall call this number of its own peer instead. */
  | { readonly kind: 'transfer'; readonly target: Party }
  | {
      readonly kind: 'transfer-result';
      readonly outcome: 'trying' | 'alerting' | 'success' | 'failure';
      readonly cause?: Cause;
    };

/** One stream at a leg as it stands after the last step of negotiation: what media control needs to steer the plane. */
export interface LegStream {
  readonly index: number;
  readonly kind: MediaKind;
  /** false: refused or removed; the port may be given back. */
  readonly active: boolean;
  /** Seen from this gateway towards the leg's far end: `sendonly` = we send to it and take nothing from it. */
  readonly direction: Direction;
  /** Our receiving address at this leg (as bound, not as advertised). */
  readonly local?: { readonly ip: string; readonly port: number };
  /** Where the far end receives; undefined before its description arrived or on hold with an unspecified address. */
  readonly remote?: Address;
  readonly remoteRtcp?: Address;
  readonly rtcpMux: boolean;
  /** The far end asked for VoIP metrics in our reports (RFC 3611 5.1). */
  readonly voipMetrics?: boolean;
  readonly packetTime: number;
  /** -1 where that direction has no payload type. */
  readonly formats: readonly {
    readonly format: Format;
    readonly receivePayloadType: number;
    readonly sendPayloadType: number;
    /** Fax: what the far end described, where it differs in meaning from ours (T.38 D.2.1: each says what it takes). */
    readonly farParameters?: readonly FormatParameter[];
  }[];
}

/** Gives ports to a leg's negotiation. Asked once per stream; the same stream keeps its port. */
export interface LegPorts {
  /**
   * `bound` is what the plane binds, `advertised` goes into SDP; undefined: no port left (of that address family, where one
   * is wished: that of the far end's offer).
   */
  allocate(
    index: number,
    kind: MediaKind,
    family?: 4 | 6,
  ):
    | { readonly bound: { readonly ip: string; readonly port: number }; readonly advertised: Address }
    | undefined;
}
