/** A gateway's configuration as typed values. store/ makes it from YAML and says where it is wrong. */
import type { Address, SignallingTransport } from '../machine/address.ts';
import type { FormatName } from '../meta/message.ts';
import type { RouteRule } from '../policy/dial-rules.ts';
export type Role = 'termination' | 'relay';
export interface GatewayConfig {
  readonly role: Role;
  /** Name of this gateway, as in its tunnel certificate (DNS subjectAltName). 1..64 characters a-z 0-9 - . */
  readonly name: string;
  readonly tunnel: TunnelConfig;
  readonly sip: SipConfig;
  readonly media: MediaConfig;
  readonly peers: readonly PeerConfig[];
  readonly accounts: readonly AccountConfig[];
  readonly routes: readonly RouteConfig[];
  readonly limits: LimitsConfig;
  readonly emergency: readonly string[];
  /** Numbers and patterns of the enterprise itself: a caller from outside may not claim one without authentication. */
  readonly ownNumbers?: readonly string[];
  /** GW1 only: networks that media may be exchanged with besides the peers' own addresses (phones), CIDR. */
  readonly mediaNetworks: readonly string[];
  readonly operator: OperatorConfig;
  readonly log: {
    readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error';
  };
  readonly cdr: {
    readonly file?: string;
  };
}
export interface TunnelConfig {
  /** Termination: where to listen. Relay: where to dial. Default ports 7060 and 7061. */
  readonly signalling: Address;
  readonly media: Address;
  readonly certificate: string;
  readonly key: string;
  readonly ca: string;
  /** Relay: the termination gateway's certificate name. */
  readonly peerName?: string;
  /** Termination: sites (relay gateways) by certificate name. */
  readonly sites: readonly SiteConfig[];
  readonly lanes: number;
}
export interface SiteConfig {
  readonly name: string;
  readonly maxCalls: number;
  readonly maxCallsPerSecond: number;
  readonly maxMediaBytesPerSecond: number;
}
export interface SipConfig {
  readonly listeners: readonly ListenerConfig[];
  /** Domain for which remote users may register (termination); also used as host in From where given. */
  readonly domain?: string;
}
export interface ListenerConfig {
  readonly name: string;
  readonly transport: SignallingTransport;
  readonly address: Address;
  readonly advertise?: Address;
  /** TLS only; PEM files. `clientCa`: ask for and verify client certificates. */
  readonly certificate?: string;
  readonly key?: string;
  readonly clientCa?: string;
}
export interface MediaConfig {
  /** One per address family; ports inclusive, RTP on even numbers. */
  readonly pools: readonly MediaPoolConfig[];
  readonly workers: number;
  readonly implementation: 'auto' | 'koffi' | 'dgram';
  /** Formats allowed, in order of preference. */
  readonly codecs: readonly FormatName[];
  readonly symmetric: 'signalled' | 'latch';
}
export interface MediaPoolConfig {
  readonly ip: string;
  readonly advertise?: string;
  readonly ports: readonly [number, number];
}
/** A SIP (later H.323) neighbour on this gateway's own side. */
export interface PeerConfig {
  readonly name: string;
  readonly protocol: 'sip';
  readonly host: string;
  readonly port?: number;
  readonly transport?: SignallingTransport;
  readonly listener?: string;
  /** Sources taken as this peer besides `host` where it is an address: CIDR. */
  readonly sources: readonly string[];
  /** TLS client certificate name taken as this peer. */
  readonly certificateName?: string;
  readonly credentials?: {
    readonly username: string;
    readonly password: string;
    readonly realm?: string;
  };
  /** `digest`: INVITE and REGISTER of this source are challenged, accounts decide. */
  readonly authenticate: 'none' | 'digest';
  /** Algorithms of the challenges, in order of preference (RFC 8760 2.4); default both, SHA-256 first. */
  readonly challenges?: readonly ('SHA-256' | 'MD5')[];
  /** Asserted identity (P-Asserted-Identity) is believed from and sent to this peer. */
  readonly trusted: boolean;
  readonly probeSeconds: number;
  /** Where media of this peer comes from; overrides media.symmetric. */
  readonly symmetric?: 'signalled' | 'latch';
  /** Media addresses this peer may name (CIDR); empty: termination: any public or equal to the signalling source; relay: peer host + mediaNetworks. */
  readonly mediaNetworks: readonly string[];
  readonly maxCalls: number;
}
/** Secrets live on GW1 only (relay). */
export interface AccountConfig {
  readonly username: string;
  readonly password: string;
  readonly number: string;
  readonly displayName?: string;
}
/** A dial rule; policy/dial-rules.ts gives it meaning. */
export type RouteConfig = RouteRule;
export interface LimitsConfig {
  readonly maxCalls: number;
  readonly maxCallsPerSecond: number;
  readonly maxCallsPerSecondPerSource: number;
  /** Relay: most octets per second taken from the tunnel's media. */
  readonly maxMediaBytesPerSecond: number;
  readonly maxRingSeconds: number;
  readonly maxCallSeconds: number;
  readonly connectionsPerSource: number;
}
export interface OperatorConfig {
  /** UNIX socket path, mode 0600. */
  readonly socket: string;
  readonly metrics?: Address;
}
