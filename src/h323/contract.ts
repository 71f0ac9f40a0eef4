/**
 * The H.323 endpoint's contract: bytes and connections on one side, call-level events and commands on the other.
 * The endpoint (endpoint.ts) is a Machine<H323Input, H323Output>; it owns RAS, call signalling (H.225.0) and media control
 * (H.245), knows no other protocol and decides no policy: `decisions` of its options do.
 *
 * What the user need not know: PER, call references, request numbers, master and slave, tunnelled or separate H.245, who connects
 * to whom, acknowledgements, logical channel numbers, retransmission, keep-alive. What it must know: a channel carries media one
 * way, and there is at most one channel per call, kind and direction (`send`: from us to the far end, `receive`: to us).
 */
import type { Address } from '../machine/address.ts';
import type { Timeout } from '../machine/machine.ts';
import type {
  ChannelRefusal,
  FastStartChoice,
  FastStartOffer,
  FastStartProposal,
  H323Capabilities,
  H323Capability,
  H323Channel,
  MediaAddress,
  MediaKind,
} from './media-contract.ts';
import type { H323Alias, H323GatekeeperService, H323Listener, H323Peer } from './peer-contract.ts';

/**
 * Names one call between endpoint and user; counts up, never reused. The user chooses even numbers for its `setup`
 * commands, the endpoint odd ones for `incoming`.
 */
export type CallRef = number;
export type ConnectionRef = number;
export type ListenRef = number;

export type H323Input =
  | Timeout
  /** RAS, on a listener of transport udp. */
  | {
      readonly kind: 'datagram';
      readonly listener: string;
      readonly remote: Address;
      readonly bytes: Uint8Array;
    }
  /**
   * Accepted by a listener or by a `listen` (then `listening` says which; ref chosen by net, odd) or the success of `open-stream`
   * (ref of the endpoint, even).
   */
  | {
      readonly kind: 'stream-open';
      readonly connection: ConnectionRef;
      readonly listener: string;
      readonly listening?: ListenRef;
      readonly local: Address;
      readonly remote: Address;
    }
  | { readonly kind: 'stream-data'; readonly connection: ConnectionRef; readonly bytes: Uint8Array }
  | { readonly kind: 'stream-closed'; readonly connection: ConnectionRef; readonly reason: string }
  /** ICMP error or send failure for a datagram destination. */
  | { readonly kind: 'unreachable'; readonly listener: string; readonly remote: Address }
  /** Answers `listen`: `local` is what was bound. */
  | { readonly kind: 'listening'; readonly listening: ListenRef; readonly local: Address }
  | { readonly kind: 'listen-failed'; readonly listening: ListenRef; readonly reason: string }
  | {
      readonly kind: 'resolved';
      readonly query: number;
      readonly targets: readonly { readonly address: Address }[];
    }
  | { readonly kind: 'command'; readonly command: H323Command };

export type H323Output =
  | {
      readonly kind: 'send-datagram';
      readonly listener: string;
      readonly remote: Address;
      readonly bytes: Uint8Array;
    }
  /** Connect from the address of this listener (any port) to `remote`; answered by `stream-open` or `stream-closed`. */
  | {
      readonly kind: 'open-stream';
      readonly connection: ConnectionRef;
      readonly listener: string;
      readonly transport: 'tcp';
      readonly remote: Address;
    }
  | { readonly kind: 'send-stream'; readonly connection: ConnectionRef; readonly bytes: Uint8Array }
  /** What was given to `send-stream` before still goes out. No `stream-closed` follows. */
  | { readonly kind: 'close-stream'; readonly connection: ConnectionRef; readonly reason: string }
  /**
   * Bind a TCP port of the H.245 range at the address of this listener for one connection; answered by `listening` or
   * `listen-failed`. Ends with `unlisten`, which leaves accepted connections open.
   */
  | { readonly kind: 'listen'; readonly listening: ListenRef; readonly listener: string }
  | { readonly kind: 'unlisten'; readonly listening: ListenRef }
  /** AAAA/A of a peer's or gatekeeper's host name; answered by `resolved` (empty: failed). Same shape as SIP's. */
  | {
      readonly kind: 'resolve';
      readonly query: number;
      readonly host: string;
      readonly port: number;
      readonly transport: 'tcp';
      readonly secure: false;
    }
  | { readonly kind: 'event'; readonly event: H323Event }
  /** A refusal or oddity to count. `name` is a foreign name where there is one; not a metric label. */
  | { readonly kind: 'count'; readonly reason: string; readonly name?: string; readonly remote?: Address }
  /** One message sent or received, for the ladder. `call` undefined outside a call. `line`: decoded name and essentials, no numbers in full. */
  | {
      readonly kind: 'trace';
      readonly call?: CallRef;
      readonly direction: 'in' | 'out';
      readonly remote: Address;
      readonly transport: 'tcp' | 'udp';
      readonly line: string;
    };

/** Who calls or is called, as H.323 says it. Numbers: 0..64 of 0-9 * # (a `+` is numberType international). */
export interface H323Party {
  readonly number: string;
  readonly numberType: 'unknown' | 'international' | 'national' | 'subscriber';
  /** h323-ID, URL-ID or email-ID (user part and host as received): a name where there is no number. 0..128 characters. */
  readonly name?: string;
  /** Display information element, 0..82 characters without controls. */
  readonly display?: string;
  readonly presentation: 'allowed' | 'restricted' | 'unavailable';
  /** Screening indicator: provided by the user and verified, or by the network. */
  readonly verified: boolean;
}

/** FastStart answers ride on the first of these commands that carries one; later ones repeat nothing. */
interface WithFastStart {
  readonly call: CallRef;
  readonly fastStart?: readonly FastStartChoice[];
}

export type H323Command =
  /** Caller. `capabilities` are what we can receive. `target` overrides the peer's address (registered terminal, redirect). */
  | {
      readonly kind: 'setup';
      readonly call: CallRef;
      readonly peer: string;
      readonly target?: Address;
      readonly caller: H323Party;
      readonly callee: H323Party;
      readonly redirecting?: {
        readonly number: string;
        readonly reason?: 'busy' | 'no-answer' | 'unconditional';
      };
      /** Gateways the call may still pass, 1..31. */
      readonly hops: number;
      /** The called side's own name for a call of its own that this one is to take the place of (H.450.2 callTransferSetup): 1 to 4 digits. */
      readonly consultation?: string;
      readonly capabilities: H323Capabilities;
      readonly fastStart?: readonly FastStartProposal[];
      /** bit/s both ways, for admission; default 1 280 (x 100) for audio. */
      readonly bandwidth?: number;
    }
  /** Callee: CallProceeding. (The endpoint sends it itself where none of these comes within 2 s of `incoming`.) */
  | ({ readonly kind: 'proceeding' } & WithFastStart)
  | ({ readonly kind: 'alerting'; readonly inBand: boolean } & WithFastStart)
  /** Callee: Progress with progress indicator 8 (in-band) or 1, and the cause where there is one. */
  | ({ readonly kind: 'progress'; readonly inBand: boolean; readonly cause?: number } & WithFastStart)
  /** Callee. Without FastStart answer until now, FastStart is refused and H.245 negotiates. */
  | ({ readonly kind: 'connect'; readonly connected?: H323Party } & WithFastStart)
  /** Either side, any state. `cause`: Q.850. The H.225 reason follows from it. */
  | { readonly kind: 'release'; readonly call: CallRef; readonly cause: number }
  /** Callee before Connect, or either side after: asks the far end to call this number instead (Facility callForwarded). */
  | { readonly kind: 'forward'; readonly call: CallRef; readonly number: string }
  /** What we can receive; needed once per incoming call before H.245 can start, later to change it. */
  | { readonly kind: 'capabilities'; readonly call: CallRef; readonly capabilities: H323Capabilities }
  /** Sends the empty capability set: the far end stops and closes its channels. */
  | { readonly kind: 'hold'; readonly call: CallRef }
  /** Sends the last `capabilities` again. */
  | { readonly kind: 'retrieve'; readonly call: CallRef }
  /**
   * We want to send. May be given at any time; acted on once H.245 is up (both capability sets acknowledged, master known).
   * Answered by channel-opened or channel-rejected. `local`: our RTCP address matters here.
   */
  | {
      readonly kind: 'open-channel';
      readonly call: CallRef;
      readonly capability: H323Capability;
      readonly local: MediaAddress;
      readonly payloadType?: number;
    }
  /** Answers channel-asked. */
  | {
      readonly kind: 'accept-channel';
      readonly call: CallRef;
      readonly media: MediaKind;
      readonly local: MediaAddress;
    }
  | {
      readonly kind: 'reject-channel';
      readonly call: CallRef;
      readonly media: MediaKind;
      readonly reason: ChannelRefusal;
    }
  /** `send`: closed at once. `receive`: the far end is asked to close (requestChannelClose). channel-closed follows where it was open. */
  | {
      readonly kind: 'close-channel';
      readonly call: CallRef;
      readonly media: MediaKind;
      readonly direction: 'send' | 'receive';
    }
  /** Asks the far end to send this instead (H.245 RequestMode; T.38 switch-over). Answered by mode-answered. */
  | { readonly kind: 'request-mode'; readonly call: CallRef; readonly capability: H323Capability }
  /** Answers mode-asked. */
  | { readonly kind: 'answer-mode'; readonly call: CallRef; readonly accepted: boolean }
  /** Answers transfer-asked, once it is known. The far end hears of it where it asked by H.450.2. */
  | { readonly kind: 'answer-transfer'; readonly call: CallRef; readonly accepted: boolean }
  /** The endpoint chooses signal, alphanumeric or keypad by what the far end can. Not for RFC 4733. */
  | {
      readonly kind: 'user-input';
      readonly call: CallRef;
      /** 0-9 * # A-D ! (hook flash) */
      readonly digit: string;
      readonly durationMs: number;
    }
  /** videoFastUpdatePicture: the far end's encoder shall send a whole picture. */
  | { readonly kind: 'refresh-picture'; readonly call: CallRef }
  | {
      readonly kind: 'configure';
      readonly peers: readonly H323Peer[];
      readonly listeners: readonly H323Listener[];
      readonly gatekeeper?: H323GatekeeperService;
    }
  /** Unregisters everywhere (at shutdown). */
  | { readonly kind: 'unregister' }
  /** No new calls: ReleaseComplete with cause 42 (switching equipment congestion), admissions rejected. */
  | { readonly kind: 'drain' };

export type H323Event =
  /** A new Setup of an identified peer (and where there is a gatekeeper, admitted). */
  | {
      readonly kind: 'incoming';
      readonly call: CallRef;
      readonly peer: string;
      /** Registered terminal of our gatekeeper: the alias it registered first. */
      readonly account?: string;
      readonly caller: H323Party;
      readonly callee: H323Party;
      readonly redirecting?: { readonly number: string };
      readonly hops: number;
      readonly fastStart: readonly FastStartOffer[];
      readonly remote: Address;
    }
  | { readonly kind: 'proceeding'; readonly call: CallRef }
  /** `inBand`: progress indicator 1 or 8 was there (tones in the media). */
  | { readonly kind: 'alerting'; readonly call: CallRef; readonly inBand: boolean }
  | {
      readonly kind: 'progress';
      readonly call: CallRef;
      readonly inBand: boolean;
      readonly cause?: number;
    }
  | { readonly kind: 'connected'; readonly call: CallRef; readonly connected?: H323Party }
  /** Our FastStart was answered: these channels are open, in both directions as far as listed. Comes before the event of the same message. */
  | {
      readonly kind: 'fast-start-answered';
      readonly call: CallRef;
      readonly channels: readonly H323Channel[];
    }
  /**
   * Our FastStart was not taken (told by Connect or by fastConnectRefused): H.245 follows. Incoming: the caller opened a channel by
   * H.245 before its FastStart was answered; `fastStart` of later commands is ignored.
   */
  | { readonly kind: 'fast-start-refused'; readonly call: CallRef }
  /**
   * The far end's capabilities, first and changed. `media` is never empty here (see far-hold). `master`: we decide conflicts.
   * Advice: the master opens its channels at once; the other waits for the far end's channel-asked (at most a second) and opens
   * the same codec, so that both directions agree.
   */
  | {
      readonly kind: 'capabilities';
      readonly call: CallRef;
      readonly capabilities: H323Capabilities;
      readonly master: boolean;
    }
  /** The far end sent the empty capability set; our send channels were closed (a channel-closed each before this). */
  | { readonly kind: 'far-hold'; readonly call: CallRef }
  /** It can receive again: a `capabilities` event follows; open-channel again. */
  | { readonly kind: 'far-retrieve'; readonly call: CallRef }
  /**
   * The far end wants to send this; answer accept-channel or reject-channel (8 s, then rejected by the endpoint).
   * `conflict`: its codec is not that of our own send channel of this kind. Master may reject (`conflict`), the other accepts
   * and opens anew with this codec; two codecs are legal where both are in the negotiated set.
   */
  | {
      readonly kind: 'channel-asked';
      readonly call: CallRef;
      readonly channel: H323Channel;
      readonly conflict: boolean;
    }
  /** Our open-channel was acknowledged. */
  | { readonly kind: 'channel-opened'; readonly call: CallRef; readonly channel: H323Channel }
  | {
      readonly kind: 'channel-rejected';
      readonly call: CallRef;
      readonly media: MediaKind;
      readonly reason: ChannelRefusal | 'timeout';
    }
  /** An open channel is closed, whoever did it; not at the end of the call. */
  | {
      readonly kind: 'channel-closed';
      readonly call: CallRef;
      readonly media: MediaKind;
      readonly direction: 'send' | 'receive';
    }
  /** The far end asks us to send this; answer within 5 s, then rejected. */
  | { readonly kind: 'mode-asked'; readonly call: CallRef; readonly capability: H323Capability }
  | { readonly kind: 'mode-answered'; readonly call: CallRef; readonly accepted: boolean }
  | {
      readonly kind: 'user-input';
      readonly call: CallRef;
      readonly digit: string;
      readonly durationMs: number;
    }
  | { readonly kind: 'refresh-picture'; readonly call: CallRef }
  /**
   * The far end wants the party behind us to be called from there on: Facility callForwarded after Connect, or H.450.2. `consultation`: the new
   * call shall take the place of the one that the target knows by this name (1 to 4 digits).
   */
  | {
      readonly kind: 'transfer-asked';
      readonly call: CallRef;
      readonly target: H323Party;
      readonly consultation?: string;
    }
  /** Notify: remote hold and retrieval, told only. */
  | {
      readonly kind: 'notify';
      readonly call: CallRef;
      readonly notification: 'hold' | 'retrieve' | 'other';
    }
  /**
   * The call is over, whoever ended it: exactly once per call, last event. `cause`: Q.850 (from the Cause element, else from the
   * H.225 or RAS reason). `redirect`: Facility callForwarded before Connect. Channels are closed with it.
   */
  | {
      readonly kind: 'released';
      readonly call: CallRef;
      readonly by: 'far-end' | 'local' | 'timeout' | 'transport' | 'protocol' | 'gatekeeper';
      readonly cause: number;
      /** H.225 or RAS reason by its ASN.1 name, where the far end gave one. */
      readonly reason?: string;
      readonly redirect?: H323Party;
    }
  /** Registration of a peer at its gatekeeper. `failed`: and tried again. */
  | {
      readonly kind: 'registration';
      readonly peer: string;
      readonly state: 'registered' | 'failed' | 'unregistered';
      readonly reason?: string;
    }
  /** Our gatekeeper: a terminal came, changed or went. `account`: its first alias. */
  | {
      readonly kind: 'terminal-registered';
      readonly account: string;
      readonly aliases: readonly H323Alias[];
      readonly address: Address;
      readonly expiresSeconds: number;
    }
  | { readonly kind: 'terminal-unregistered'; readonly account: string };

/** Decisions the endpoint asks of its user, synchronously: answers from tables. */
export interface H323Decisions {
  /** Which configured peer a source is; undefined: unknown source, silence (TCP: closed). */
  identify(source: {
    readonly remote: Address;
    readonly listener: string;
    readonly transport: 'tcp' | 'udp';
  }): string | undefined;
  /** Whether H.245 may be connected to this address in a call with this peer. The source itself is always asked for too. */
  acceptH245Address(peer: string, address: Address): boolean;
  /** Whether a Setup may go to the address this peer's gatekeeper told in an AdmissionConfirm. */
  acceptSignallingAddress(peer: string, address: Address): boolean;
  /** Our gatekeeper: the password of a terminal's alias (H.235 Annex D). `open`: may register without; undefined: may not register. */
  terminal(alias: string): { readonly password: string } | 'open' | undefined;
  /** Our gatekeeper: whether this number is known here (LocationRequest of an identified peer). */
  locate(number: string, peer: string): boolean;
}

/** Caps of the endpoint's tables; at the cap new work is refused with the protocol's answer and counted. */
export interface H323Limits {
  readonly calls: number;
  readonly callsPerSource: number;
  readonly connections: number;
  readonly connectionsPerSource: number;
  /** RAS exchanges waiting. */
  readonly exchanges: number;
  /** Terminals registered at our gatekeeper, and of one source address. */
  readonly terminals: number;
  readonly terminalsPerSource: number;
}
