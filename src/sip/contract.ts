/**
 * The SIP endpoint's contract: bytes and connections on one side, call-level events and commands on the other.
 * The endpoint (endpoint.ts) is a Machine<SipInput, SipOutput>; it owns transactions, dialogs and sessions, knows no
 * other protocol and decides no policy: `identify` and `challenge` of its options do.
 */
import type { Address, SignallingTransport } from '../machine/address.ts';
import type { Timeout } from '../machine/machine.ts';
import type { SipReplaces } from './header/replaces.ts';
import type { NameAddress, SipRequest, SipUri } from './message.ts';

/**
 * Names one INVITE session between endpoint and user; counts up, never reused. The user chooses even numbers for its
 * `invite` commands, the endpoint odd ones for `incoming`, so that both can count without asking each other.
 */
export type SessionRef = number;
export type ConnectionRef = number;

export type SipInput =
  | Timeout
  | {
      readonly kind: 'datagram';
      readonly listener: string;
      readonly remote: Address;
      readonly bytes: Uint8Array;
    }
  /** Accepted by a listener (ref chosen by net, odd) or the success of `open-stream` (ref of the endpoint, even). */
  | {
      readonly kind: 'stream-open';
      readonly connection: ConnectionRef;
      readonly listener: string;
      readonly transport: 'tcp' | 'tls';
      readonly local: Address;
      readonly remote: Address;
      readonly certificateNames: readonly string[];
    }
  | { readonly kind: 'stream-data'; readonly connection: ConnectionRef; readonly bytes: Uint8Array }
  | { readonly kind: 'stream-closed'; readonly connection: ConnectionRef; readonly reason: string }
  /** ICMP error or send failure for a datagram destination. */
  | { readonly kind: 'unreachable'; readonly listener: string; readonly remote: Address }
  | { readonly kind: 'resolved'; readonly query: number; readonly targets: readonly ResolvedTarget[] }
  | { readonly kind: 'command'; readonly command: SipCommand };

export interface ResolvedTarget {
  readonly transport: SignallingTransport;
  readonly address: Address;
}

export type SipOutput =
  | {
      readonly kind: 'send-datagram';
      readonly listener: string;
      readonly remote: Address;
      readonly bytes: Uint8Array;
    }
  | {
      readonly kind: 'open-stream';
      readonly connection: ConnectionRef;
      readonly listener: string;
      readonly transport: 'tcp' | 'tls';
      readonly remote: Address;
      readonly serverName?: string;
    }
  | { readonly kind: 'send-stream'; readonly connection: ConnectionRef; readonly bytes: Uint8Array }
  | { readonly kind: 'close-stream'; readonly connection: ConnectionRef; readonly reason: string }
  /** RFC 3263: the net side resolves NAPTR/SRV/AAAA/A and answers `resolved` (empty: failed) in order of preference. */
  | {
      readonly kind: 'resolve';
      readonly query: number;
      readonly host: string;
      readonly port?: number;
      readonly transport?: SignallingTransport;
      readonly secure: boolean;
    }
  | { readonly kind: 'event'; readonly event: SipEvent }
  /** A refusal or oddity to count. `name` is a foreign name (header, method) where there is one; not a metric label. */
  | { readonly kind: 'count'; readonly reason: string; readonly name?: string; readonly remote?: Address }
  /** One message sent or received, for the ladder. `session` undefined outside a session. Text is the start line and CSeq only. */
  | {
      readonly kind: 'trace';
      readonly session?: SessionRef;
      readonly direction: 'in' | 'out';
      readonly remote: Address;
      readonly transport: SignallingTransport;
      readonly line: string;
    };

/** Our registration with a peer (RFC 3261 10.2). */
export interface SipRegistration {
  /** User part of the address of record, and of our contact. */
  readonly user: string;
  /** Of the address of record and the Request-URI; default: the peer's host. */
  readonly domain?: string;
  /** What we ask for; a server may want more (423) or grant less. */
  readonly expiresSeconds: number;
}

/** A configured peer as the endpoint needs it. */
export interface SipPeer {
  readonly name: string;
  /** Where requests go: a literal address or a host name (RFC 3263), optionally with fixed port and transport. */
  readonly host: string;
  readonly port?: number;
  readonly transport?: SignallingTransport;
  /** Listener to send from; chosen by transport and address family where absent. */
  readonly listener?: string;
  /** Credentials to answer this peer's challenges with (only this peer's, only this realm where given). */
  readonly credentials?: { readonly username: string; readonly password: string; readonly realm?: string };
  /** We register there; events `registration` tell how that stands. Needs a `host`. */
  readonly registration?: SipRegistration;
  /** Interval of OPTIONS probes in ms; 0: none. Events `peer-up` / `peer-down`. */
  readonly probeEveryMs: number;
  /**
   * true: a name for many users anywhere (remote phones, often behind NAT). A dialog is then bound to the source address it
   * was made from, and requests in it go there whatever its Contact says. Default false: bound to what `identify` calls this peer.
   */
  readonly boundToSource?: boolean;
  /** true: its REFER inside a call is told as event `refer`; default false: refused with 403. */
  readonly mayRefer?: boolean;
}

/** Signalling listener as the endpoint sees it. `advertise` is used in Via, Contact (static NAT); else `local`. */
export interface SipListener {
  readonly name: string;
  readonly transport: SignallingTransport;
  readonly local: Address;
  readonly advertise: Address;
}

export interface CallParties {
  readonly from: { readonly user: string; readonly displayName?: string; readonly anonymous: boolean };
  readonly to: { readonly user: string; readonly displayName?: string };
  /** P-Asserted-Identity user to send (trusted peers only). */
  readonly asserted?: string;
  readonly diversion?: { readonly user: string; readonly reason?: string; readonly restricted?: boolean };
}

export interface SipBody {
  readonly contentType: string;
  readonly bytes: Uint8Array;
}

export type SipCommand =
  /** UAC: starts an INVITE. `body` undefined: late offer. `target` overrides the peer's address (registered contact). */
  | {
      readonly kind: 'invite';
      readonly session: SessionRef;
      readonly peer: string;
      readonly target?: SipTarget;
      readonly parties: CallParties;
      readonly hops: number;
      readonly priority: boolean;
      readonly body?: SipBody;
      readonly callId?: string;
      readonly replaces?: SipReplaces;
    }
  /** UAS: sends a provisional (101..199) response. */
  | {
      readonly kind: 'provisional';
      readonly session: SessionRef;
      readonly status: number;
      readonly body?: SipBody;
    }
  /** UAS: 200 to the INVITE. `body` is the answer, or the offer where the INVITE had none. */
  | {
      readonly kind: 'accept';
      readonly session: SessionRef;
      readonly body?: SipBody;
      readonly connected?: { readonly user: string; readonly displayName?: string };
    }
  /** UAS: final failure 300..699. */
  | {
      readonly kind: 'reject';
      readonly session: SessionRef;
      readonly status: number;
      readonly retryAfterSeconds?: number;
      readonly q850?: number;
      readonly reasonText?: string;
    }
  /** UAC: answer to an offer that came in the 200 (goes into ACK). */
  | { readonly kind: 'acknowledge'; readonly session: SessionRef; readonly body?: SipBody }
  /** Either side, any state: CANCEL, BYE or a final response, whichever the state calls for. */
  | {
      readonly kind: 'end';
      readonly session: SessionRef;
      readonly q850?: number;
      readonly status?: number;
      readonly retryAfterSeconds?: number;
    }
  /** Established: re-INVITE. `body` undefined asks the far end for an offer. */
  | { readonly kind: 'reinvite'; readonly session: SessionRef; readonly body?: SipBody }
  /** Answers an incoming re-INVITE (or UPDATE) event. */
  | { readonly kind: 'modify-accept'; readonly session: SessionRef; readonly body?: SipBody }
  | {
      readonly kind: 'modify-refuse';
      readonly session: SessionRef;
      readonly status: number;
      readonly retryAfterSeconds?: number;
    }
  | {
      readonly kind: 'info-dtmf';
      readonly session: SessionRef;
      readonly digit: string;
      readonly durationMs: number;
    }
  | {
      readonly kind: 'notify-refer';
      readonly session: SessionRef;
      readonly status: number;
      readonly final: boolean;
    }
  /** Asks the far end to call `user` at this peer instead (RFC 3515); `refer-progress` tells how that goes, the last one `final`. */
  | { readonly kind: 'refer'; readonly session: SessionRef; readonly user: string }
  /** Out of dialog: the user answers `request` events (REGISTER and what else `handles` lists). */
  | {
      readonly kind: 'respond';
      readonly transaction: number;
      readonly status: number;
      readonly headers?: readonly { readonly name: string; readonly value: string }[];
      readonly body?: SipBody;
    }
  | {
      readonly kind: 'configure';
      readonly peers: readonly SipPeer[];
      readonly listeners: readonly SipListener[];
    }
  /** Answers `authenticate`. Refused: the request is challenged again, the same for existing and missing accounts. */
  | {
      readonly kind: 'authenticated';
      readonly exchange: number;
      readonly outcome: 'accepted' | 'refused';
      readonly account?: string;
    }
  /** Takes back our registrations (RFC 3261 10.2.2) for good. */
  | { readonly kind: 'unregister' }
  /** No new sessions; 503 with Retry-After to INVITE. */
  | { readonly kind: 'drain'; readonly retryAfterSeconds: number };

export interface SipTarget {
  readonly uri: SipUri;
  /** The flow a registration came over (RFC 5626 style): reuse connection or source address. */
  readonly flow?: SipFlow;
}

export type SipFlow =
  | { readonly kind: 'datagram'; readonly listener: string; readonly remote: Address }
  | { readonly kind: 'stream'; readonly connection: ConnectionRef };

export type SipEvent =
  /** UAS: a new INVITE of an identified (and where asked authenticated) peer. The endpoint sends 100 where no answer comes within 200 ms. */
  | {
      readonly kind: 'incoming';
      readonly session: SessionRef;
      readonly peer: string;
      readonly account?: string;
      readonly request: SipRequest;
      readonly body?: SipBody;
      readonly remote: Address;
      readonly flow: SipFlow;
    }
  /** UAC: 101..199. `branch` counts early dialogs by To tag: 1, 2, ... (0: no tag). */
  | {
      readonly kind: 'provisional';
      readonly session: SessionRef;
      readonly status: number;
      readonly branch: number;
      readonly body?: SipBody;
    }
  /** UAC: 2xx of the first dialog to answer (others are acknowledged and ended by the endpoint). `needsAck`: body is an offer, `acknowledge` is due. */
  | {
      readonly kind: 'answered';
      readonly session: SessionRef;
      readonly branch: number;
      readonly body?: SipBody;
      readonly connected?: NameAddress;
      /** Who answered does not want `connected` shown (RFC 3325 9.3). */
      readonly connectedRestricted?: true;
      readonly needsAck: boolean;
    }
  /** UAS: ACK arrived (with the answer to our late offer where there is one). */
  | { readonly kind: 'acknowledged'; readonly session: SessionRef; readonly body?: SipBody }
  /** re-INVITE or UPDATE from the far end; answer with modify-accept / modify-refuse. No body in re-INVITE: an offer is asked for. */
  | { readonly kind: 'modify'; readonly session: SessionRef; readonly body?: SipBody }
  /** Results of our reinvite. 491 is retried by the endpoint after RFC 3261 14.1's delay unless the far end modified meanwhile; then glare: true. */
  | {
      readonly kind: 'modify-accepted';
      readonly session: SessionRef;
      readonly body?: SipBody;
      readonly needsAck: boolean;
    }
  | {
      readonly kind: 'modify-refused';
      readonly session: SessionRef;
      readonly status: number;
      readonly glare: boolean;
    }
  | {
      readonly kind: 'info-dtmf';
      readonly session: SessionRef;
      readonly digit: string;
      readonly durationMs: number;
    }
  | {
      readonly kind: 'refer';
      readonly session: SessionRef;
      readonly target: SipUri;
      /** The far end's dialog with the target, which the new call is to replace (RFC 3891). Means something to that peer only. */
      readonly replaces?: SipReplaces;
    }
  /** How our `refer` goes. 200 and final: the far end has the new call (or took the reference and left). */
  | {
      readonly kind: 'refer-progress';
      readonly session: SessionRef;
      readonly status: number;
      readonly final: boolean;
    }
  /** The session is over, whoever ended it: exactly once per session, last event. `status` of a failure response, else 0. */
  | {
      readonly kind: 'ended';
      readonly session: SessionRef;
      readonly by: 'far-end' | 'local' | 'timeout' | 'transport' | 'protocol';
      readonly status: number;
      readonly q850?: number;
      readonly retryAfterSeconds?: number;
      readonly redirect?: SipUri;
    }
  /** Request outside a session that needs the user's decision (REGISTER); 503 where no `respond` comes within 10 s. */
  | {
      readonly kind: 'request';
      readonly transaction: number;
      readonly peer: string;
      readonly account?: string;
      readonly request: SipRequest;
      readonly remote: Address;
      readonly flow: SipFlow;
    }
  /** A request with fresh credentials waits for `authenticated` (10 s, then 503). The proof's nonce is ours and unexpired. */
  | {
      readonly kind: 'authenticate';
      readonly exchange: number;
      readonly peer: string;
      readonly proof: SipDigestProof;
      readonly remote: Address;
    }
  /** Our registration with a peer: bound, refreshed, refused (`registered` then says whether the last binding still stands), over. */
  | {
      readonly kind: 'registration';
      readonly peer: string;
      readonly registered: boolean;
      /** 'registered', 'expired', 'unregistered', 'timeout', 'transport', 'not bound', 'status NNN'. */
      readonly reason: string;
      readonly status: number;
      /** When the binding expires, in the machine's time. */
      readonly untilMs?: number;
    }
  | { readonly kind: 'peer-up'; readonly peer: string }
  | { readonly kind: 'peer-down'; readonly peer: string; readonly reason: string }
  /** What the probes told counts no more: the peer was changed or taken out, or is not probed from now on. */
  | { readonly kind: 'peer-unprobed'; readonly peer: string };

/** RFC 7616 digest parameters as received; same fields as Meta's. Whoever holds H(A1) checks `response`. */
export interface SipDigestProof {
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

/** Decisions the endpoint asks of its user, synchronously. */
export interface SipDecisions {
  /** Which configured peer a source is; undefined: unknown source, silence. */
  identify(source: {
    readonly remote: Address;
    readonly listener: string;
    readonly transport: SignallingTransport;
    readonly certificateNames: readonly string[];
  }): string | undefined;
  /**
   * Whether one more message of this source is within its rate; asked before it is parsed. `peer` '': no peer, but we await
   * answers from there. false: silence, a stream is closed. Where absent there is no limit.
   */
  withinRate?(source: { readonly remote: Address; readonly peer: string }): boolean;
  /** Whether a peer's INVITE and REGISTER need digest credentials, and of which realm. undefined: no. */
  authenticate(
    peer: string,
  ): { readonly realm: string; readonly algorithms: readonly ('MD5' | 'SHA-256')[] } | undefined;
}

/** Caps of the endpoint's tables; at the cap new work is refused (503 or silence) and counted. */
export interface SipLimits {
  readonly transactions: number;
  readonly sessions: number;
  readonly connections: number;
  readonly connectionsPerSource: number;
}
