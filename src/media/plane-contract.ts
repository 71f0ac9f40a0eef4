/**
 * The media plane's contract: what main (media control) tells a plane worker and what the worker tells main.
 * All values are plain data (they cross a process boundary by IPC). Both implementations (koffi and dgram) obey it.
 *
 * A *stream leg* is the UDP side of one stream of one call on this gateway; it is bound to a tunnel stream id that
 * both gateways know (`stream`, chosen by the originating gateway at call set-up: unique per tunnel session and shard).
 */
import type { Address } from '../machine/address.ts';
import type { Direction, MediaKind, Priority } from '../meta/message.ts';
import type { CodecImpairment } from '../rtp/emodel.ts';

export type StreamId = number; // 1 .. 2^32-1
export type SessionId = string; // tunnel session, see tunnel/contract.ts

/** How a packet of one payload type is checked and named in tunnel frames. */
export interface PlaneFormat {
  /** Neutral format id, 0..31 (meta/message.ts Format.id). */
  readonly format: number;
  /** Payload type expected from the leg's far end (what we announced), or -1. */
  readonly receivePayloadType: number;
  /** Payload type to use when sending to the far end (what it announced), or -1. */
  readonly sendPayloadType: number;
  readonly clockRate: number;
  /** Greatest payload in octets. */
  readonly maxPayload: number;
  /** Greatest sustained packets per second; the token bucket allows a burst of the same size as half a second. */
  readonly maxPacketsPerSecond: number;
  readonly kind: 'voice' | 'event' | 'comfort-noise' | 'video' | 'udptl';
  /** Voice: what the codec does to the E-model's rating; absent: as G.711. */
  readonly impairment?: CodecImpairment;
  /** `udptl`, always there then; payload types are -1, and `maxPayload` is the greatest IFP packet. */
  readonly udptl?: UdptlLimits;
}

/** What a fax stream was described with (T.38 D.2.1). Octets; datagrams include what repairs earlier ones. */
export interface UdptlLimits {
  /** Taken from the far end. */
  readonly maxDatagramIn: number;
  readonly maxBytesPerSecond: number;
  /** Towards the far end: earlier IFP packets repeated in each datagram, as many as fit. */
  readonly redundancy: number;
  readonly maxDatagramOut: number;
}

export interface LegLocal {
  readonly ip: string;
  readonly port: number;
  /**
   * Other legs of this worker may use the same pair (all of them say so): packets are told apart by their exact source, so `source` must be
   * `signalled`, and a leg whose `remote` another leg of the pair has already is refused (`open-failed`).
   */
  readonly shared?: boolean;
}

export interface StreamLegConfig {
  readonly session: SessionId;
  readonly stream: StreamId;
  readonly call: string; // CallId, for logs and counters
  readonly kind: MediaKind;
  readonly priority: Priority;
  /** Local pair: RTP on `port`, RTCP on `port + 1` unless rtcpMux. */
  readonly local: LegLocal;
  readonly rtcpMux: boolean;
  /** Where to send; undefined: nowhere yet (offer sent, no answer) or hold. */
  readonly remote?: Address;
  readonly remoteRtcp?: Address;
  /**
   * Who may send to us. `signalled`: only the signalled address and port. `signalled-host`: that host, any port, the first
   * port seen stays. `latch`: the first source within `latchWindowMs` after open or re-negotiation whose packets pass all
   * other checks (three in a row) is locked and replies go to it; never changed without a new command.
   */
  readonly source: 'signalled' | 'signalled-host' | 'latch';
  readonly latchWindowMs: number;
  /**
   * latch: besides the signalled host the only one that may be learned: where the far end's signalling comes from. Absent
   * where that is not known: any.
   */
  readonly latchHost?: string;
  /** What this gateway may send to (`send`) and take from (`receive`) the far end. */
  readonly direction: Direction;
  readonly formats: readonly PlaneFormat[];
  /** RTCP identity, made up by this gateway. */
  readonly cname: string;
  /** The far end asked for VoIP metrics in our reports (RFC 3611 5.1). */
  readonly voipMetrics?: boolean;
  /** Where our RTP towards the far end begins (RFC 3550 5.1: random); a successor of the worker goes on from it. Absent: the worker's choice. */
  readonly rtpBase?: RtpBase;
}

export interface RtpBase {
  readonly ssrc: number;
  readonly sequence: number;
  readonly timestamp: number;
}

/** Main to worker. */
export type PlaneCommand =
  | { readonly kind: 'open'; readonly leg: StreamLegConfig }
  | {
      readonly kind: 'modify';
      readonly leg: StreamLegConfig /** source lock is learned anew */;
      readonly relearn: boolean;
    }
  | { readonly kind: 'close'; readonly session: SessionId; readonly stream: StreamId }
  /** A tunnel session whose media lanes this worker may serve. `key` authenticates lanes (tunnel/lane-hello.ts). */
  | {
      readonly kind: 'session';
      readonly session: SessionId;
      readonly key: string /* hex */;
      /** Name the far end's certificate must carry on every lane of this session (on GW1 equal to `dial.serverName`). */
      readonly peerName: string;
      readonly dial?: LaneDial;
      readonly limits: SessionLimits;
      /** Congestion control of the lanes: BBR where the kernel offers it (the default), or what the system has. */
      readonly congestion?: 'bbr' | 'system';
    }
  | { readonly kind: 'session-end'; readonly session: SessionId }
  /** Sends one RFC 4733 digit towards the far end. */
  | {
      readonly kind: 'digit';
      readonly session: SessionId;
      readonly stream: StreamId;
      readonly digit: string;
      readonly durationMs: number;
    }
  | { readonly kind: 'report'; readonly every: number /* ms */ }
  /** Finish: no new streams; end when the last one closes. */
  | { readonly kind: 'drain' };

export interface SessionLimits {
  readonly maxLanes: number;
  readonly maxStreams: number;
  /** Octets per second taken from the tunnel of this session, all streams; above it frames are dropped and counted. */
  readonly maxBytesPerSecond: number;
}

/** GW1 only: how to dial lanes. PEM text; the worker verifies CA and name as net/tls.ts does. */
export interface LaneDial {
  readonly remote: Address;
  readonly serverName: string;
  /** On a clean path; a lossy one is given more, up to 16 and the session's limit. */
  readonly lanes: number;
  readonly shard: number;
}

/** Why a packet or frame was refused. Index = counter slot in `StreamCounters.refused`. */
export const REFUSALS = [
  'version',
  'too-short',
  'too-long',
  'payload-type',
  'payload-size',
  'rate',
  'source',
  'sequence',
  'timestamp',
  'direction',
  'ssrc',
  'extension',
  'padding',
  'rtcp-malformed',
  'rtcp-source',
  'frame-unknown-stream',
  'frame-format',
  'frame-stale',
  'frame-rate',
  'not-rtp',
  'authentication',
  'udptl',
  'error-recovery',
  'ifp',
] as const;
export type Refusal = (typeof REFUSALS)[number];

/** Counters of one stream leg since it was opened. */
export interface StreamCounters {
  readonly session: SessionId;
  readonly stream: StreamId;
  readonly call: string;
  /** From the far end of this leg. */
  readonly packetsIn: number;
  readonly bytesIn: number;
  /** To the far end of this leg. */
  readonly packetsOut: number;
  readonly bytesOut: number;
  readonly framesToTunnel: number;
  readonly framesFromTunnel: number;
  /** Frames missing in the numbers of the stream: lost at the far gateway's leg (`farLost`) or in the tunnel (`tunnelLost`). */
  readonly framesLost: number;
  /** Second copies, sent on purpose (docs/media-lanes.md). */
  readonly framesDuplicate: number;
  /** RFC 3550 6.4.1 of what the far end sent to us. */
  readonly lostIn: number;
  readonly lateIn: number;
  readonly duplicatesIn: number;
  readonly jitterInMs: number;
  /** From the far end's receiver reports; -1 unknown. */
  readonly lostOut: number;
  readonly jitterOutMs: number;
  readonly roundTripMs: number;
  /** E-model estimate 1..4.5 of what the far end sends to us; 0 unknown. */
  readonly mosIn: number;
  /** The same of what the far end hears, the whole way counted; 0 unknown. */
  readonly mosOut: number;
  /** What the far end itself says of that (RFC 3611 4.7.5); 0 unknown. */
  readonly mosOutReported: number;
  /** Of the frames that the far gateway says it sent, those that never came; -1 unknown. */
  readonly tunnelLost: number;
  /** How much later than the fastest frames come, on average; -1 unknown. */
  readonly tunnelDelayMs: number;
  /** What the far gateway says of its own leg: lost there before the tunnel, and jitter; -1 unknown. */
  readonly farLost: number;
  readonly farJitterMs: number;
  readonly refused: readonly number[];
  readonly lockedSource?: Address;
}

/** Worker to main. */
export type PlaneEvent =
  | {
      readonly kind: 'ready';
      readonly shard: number;
      readonly implementation: 'koffi' | 'dgram';
      /** Whose TLS the lanes have: OpenSSL's own, or Node's where that cannot be called. */
      readonly lanes: 'openssl' | 'node';
      /** Of ports that streams share. Undefined: they have what the system gives every socket. */
      readonly buffers?: SocketBuffers;
    }
  | { readonly kind: 'opened'; readonly session: SessionId; readonly stream: StreamId }
  | {
      readonly kind: 'open-failed';
      readonly session: SessionId;
      readonly stream: StreamId;
      readonly reason: string;
    }
  /** Final counters. */
  | { readonly kind: 'closed'; readonly counters: StreamCounters }
  /** Of the streams in which something moved since they were counted last; the others are as they were. */
  | {
      readonly kind: 'counters';
      readonly streams: readonly StreamCounters[];
      readonly lanes: readonly LaneCounters[];
      /** Datagrams on shared ports from nobody's far end, since the worker began; absent: none or not counted now. */
      readonly strangers?: number;
      /** The worker's garbage collections since the last report, milliseconds each; absent: none. */
      readonly pausesMs?: readonly number[];
    }
  | {
      readonly kind: 'source-locked';
      readonly session: SessionId;
      readonly stream: StreamId;
      readonly source: Address;
    }
  /**
   * A telephone event of the tunnel towards a far end that has no payload type for events (a format of kind `event` whose
   * sendPayloadType is -1): told once, when it has ended. `!` is a hook flash.
   */
  | {
      readonly kind: 'digit';
      readonly session: SessionId;
      readonly stream: StreamId;
      readonly digit: string;
      readonly durationMs: number;
    }
  /** No valid packet for 30 s although one was expected. */
  | { readonly kind: 'silent'; readonly session: SessionId; readonly stream: StreamId }
  | { readonly kind: 'lane-up'; readonly session: SessionId; readonly lane: number }
  | {
      readonly kind: 'lane-down';
      readonly session: SessionId;
      readonly lane: number;
      readonly reason: string;
    }
  /** A connection on the media port that did not prove itself or broke the frame rules. */
  | { readonly kind: 'lane-refused'; readonly remote: string; readonly reason: string }
  | { readonly kind: 'drained' }
  /**
   * From the supervisor: the worker of this shard died. It is started again and given its sessions and streams back (same
   * SSRC, sequence and source lock as far as its last snapshot knew), after which `shard-ready` follows; nothing need be sent again.
   */
  | { readonly kind: 'shard-lost'; readonly shard: number; readonly reason: string }
  | { readonly kind: 'shard-ready'; readonly shard: number };

/** Octets that were asked for, and what the kernel granted of it (without what it adds for its own book-keeping). */
export interface SocketBuffers {
  readonly asked: number;
  readonly receive: number;
  readonly send: number;
}

export interface LaneCounters {
  readonly session: SessionId;
  readonly lane: number;
  readonly framesOut: number;
  readonly framesIn: number;
  readonly droppedStale: number;
  /** Frames of the lane that no stream took (unknown stream, session byte rate). */
  readonly framesRefused: number;
  readonly outstandingBytes: number;
  readonly roundTripMs: number;
}
