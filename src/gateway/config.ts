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
  /** Undefined: this gateway speaks no H.323. */
  readonly h323?: H323Config;
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
  readonly log: { readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' };
  /** `refusedPerSecond`: most records of refused calls, bursts of ten seconds; 0: none. */
  readonly cdr: { readonly file?: string; readonly refusedPerSecond: number };
}

export interface TunnelConfig {
  /** Termination: where to listen. Relay: where to dial. Default ports 7060 and 7061. */
  readonly signalling: Address;
  readonly media: Address;
  readonly certificate: string; // PEM file paths, resolved against the configuration file's folder
  readonly key: string;
  readonly ca: string;
  /** Relay: the termination gateway's certificate name. */
  readonly peerName?: string;
  /** Termination: sites (relay gateways) by certificate name. */
  readonly sites: readonly SiteConfig[];
  readonly lanes: number; // media connections, relay; default 2
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

/** H.323 on the own side of this gateway. */
export interface H323Config {
  readonly listeners: readonly H323ListenerConfig[];
  /** TCP ports for H.245 connections to us, inclusive; default 30000..30999. */
  readonly h245Ports: readonly [number, number];
  /** Our own small gatekeeper. */
  readonly gatekeeper?: GatekeeperConfig;
}

/** `tcp`: call signalling (1720), `udp`: RAS (1719). */
export interface H323ListenerConfig {
  readonly name: string;
  readonly transport: 'tcp' | 'udp';
  readonly address: Address;
  readonly advertise?: Address;
}

/** For terminals that have no gatekeeper: accounts of this gateway are who may register. */
export interface GatekeeperConfig {
  readonly identifier: string;
  /** RAS listener it answers on, and signalling listener its terminals are told to call. */
  readonly listener: string;
  readonly signalling: string;
  /** Peer whose name calls of registered terminals bear. */
  readonly peer: string;
  readonly timeToLiveSeconds: number;
  /** Terminals with a number of `accounts` may register without a password. */
  readonly open: boolean;
}

/** What only H.323 peers have. */
export interface H323PeerConfig {
  readonly fastStart: boolean;
  readonly tunnelling: boolean;
  /** Begin H.245 before Connect. */
  readonly earlyH245: boolean;
  readonly keepConnection: boolean;
  /** Our own names towards this peer: numbers (0-9 * #) or h323-IDs. */
  readonly aliases: readonly string[];
  /** Register there, and ask admission for every call from and to this peer. */
  readonly gatekeeper?: GatekeeperAccessConfig;
}

export interface GatekeeperAccessConfig {
  readonly host: string;
  readonly port?: number;
  /** RAS listener to send from. */
  readonly listener?: string;
  readonly identifier?: string;
  /** Numbers or h323-IDs to register, at least one. */
  readonly aliases: readonly string[];
  readonly timeToLiveSeconds: number;
  /** H.235.1 baseline (password, HMAC-SHA1-96). */
  readonly username?: string;
  readonly password?: string;
}

export interface MediaConfig {
  /** One per address family; ports inclusive, RTP on even numbers. */
  readonly pools: readonly MediaPoolConfig[];
  readonly workers: number; // default 1
  readonly implementation: 'auto' | 'koffi' | 'dgram';
  /** Formats allowed, in order of preference. */
  readonly codecs: readonly FormatName[];
  readonly symmetric: 'signalled' | 'latch';
  /** Streams of peers whose media comes from where signalling says use one pair of ports per worker. */
  readonly sharedPorts?: boolean;
}

export interface MediaPoolConfig {
  readonly ip: string;
  readonly advertise?: string;
  readonly ports: readonly [number, number]; // default 16384..32767
}

/** A SIP or H.323 neighbour on this gateway's own side. */
export interface PeerConfig {
  readonly name: string;
  readonly protocol: 'sip' | 'h323';
  readonly host: string;
  readonly port?: number;
  readonly transport?: SignallingTransport;
  readonly listener?: string;
  /** Sources taken as this peer besides `host` where it is an address: CIDR. */
  readonly sources: readonly string[];
  /** TLS client certificate name taken as this peer. */
  readonly certificateName?: string;
  readonly credentials?: { readonly username: string; readonly password: string; readonly realm?: string };
  /** We register there as a client (RFC 3261 10.2), so that it sends us its calls. Only with `host` and `credentials`. */
  readonly register?: boolean;
  /** User part of the address of record; default: the credentials' user name. */
  readonly registerAs?: string;
  /** Domain of the address of record; default: `host`. */
  readonly registerDomain?: string;
  /** What we ask for; default 600. */
  readonly registerSeconds?: number;
  /** `digest`: INVITE and REGISTER of this source are challenged, accounts decide. */
  readonly authenticate: 'none' | 'digest';
  /** Algorithms of the challenges, in order of preference (RFC 8760 2.4); default both, SHA-256 first. */
  readonly challenges?: readonly ('SHA-256' | 'MD5')[];
  /** Asserted identity (P-Asserted-Identity) is believed from and sent to this peer. */
  readonly trusted: boolean;
  /** It may ask for the other party of its calls to be transferred. Default: on a relay gateway. */
  readonly mayTransfer?: boolean;
  /** It may be transferred where the other party asks for it. Default: on a termination gateway. */
  readonly transferable?: boolean;
  readonly probeSeconds: number; // 0: none; default 30
  /** Where media of this peer comes from; overrides media.symmetric. */
  readonly symmetric?: 'signalled' | 'latch';
  /** Overrides media.sharedPorts. */
  readonly sharedPorts?: boolean;
  /** T.38 with this peer; default: where media.codecs names it. */
  readonly fax?: boolean;
  /** Media addresses this peer may name (CIDR); empty: termination: any public or equal to the signalling source; relay: peer host + mediaNetworks. */
  readonly mediaNetworks: readonly string[];
  readonly maxCalls: number;
  /** Only, and always, where `protocol` is h323. */
  readonly h323?: H323PeerConfig;
}

/** A remote user. Secrets live on GW1 only (relay). */
export interface AccountConfig {
  readonly username: string;
  /** Relay: always. Termination: never. */
  readonly password?: string;
  /** Termination: the site that knows the account, where that is not the first one. It can say of no other number that it is this user's. */
  readonly site?: string;
  readonly number: string;
  readonly displayName?: string;
}

/** A dial rule; policy/dial-rules.ts gives it meaning. */
export type RouteConfig = RouteRule;

export interface LimitsConfig {
  readonly maxCalls: number; // default 2000
  readonly maxCallsPerSecond: number; // default 50, burst 2 s
  readonly maxCallsPerSecondPerSource: number; // default 10
  /** Relay: most octets per second taken from the tunnel's media. */
  readonly maxMediaBytesPerSecond: number;
  /** An emergency call of the intranet that finds no place ends another call; default true. */
  readonly preemption?: boolean;
  readonly maxRingSeconds: number; // default 180
  readonly maxCallSeconds: number; // default 14400
  /** No packet either way at this gateway's leg for so long ends the call; 0: never. */
  readonly mediaSilenceSeconds: number; // default 300
  readonly connectionsPerSource: number; // default 20
}

export interface OperatorConfig {
  /** UNIX socket path, mode 0600. */
  readonly socket: string;
  readonly metrics?: Address;
}
