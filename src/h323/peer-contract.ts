/** Whom the endpoint deals with and where it listens, as its user configures it. */
import type { Address } from '../machine/address.ts';

/** A listener as the endpoint sees it: `tcp` call signalling (1720), `udp` RAS (1719). `advertise` goes into messages (static NAT). */
export interface H323Listener {
  readonly name: string;
  readonly transport: 'tcp' | 'udp';
  readonly local: Address;
  readonly advertise: Address;
}

/** A configured peer as the endpoint needs it. */
export interface H323Peer {
  readonly name: string;
  /** Literal address or host name of its call signalling. Not used for calls admitted by a gatekeeper, nor where `target` is given. */
  readonly host: string;
  /** Default 1720. */
  readonly port?: number;
  /** Signalling listener to call from; chosen by address family where absent. */
  readonly listener?: string;
  /** Offer and answer FastStart. */
  readonly fastStart: boolean;
  /** H.245 inside call signalling (the far end may still insist on a connection of its own). */
  readonly tunnelling: boolean;
  /** Begin H.245 before Connect. */
  readonly earlyH245: boolean;
  /** Keep the signalling connection for the next call (maintainConnection, multipleCalls). */
  readonly keepConnection?: boolean;
  /** Our own names towards this peer: put into Setup's sourceAddress besides the caller's number. */
  readonly aliases?: readonly H323Alias[];
  /** Register there, and ask admission for each call from and to this peer. */
  readonly gatekeeper?: H323GatekeeperAccess;
}

export type H323Alias =
  /** 1..64 of 0-9 * # */
  | { readonly kind: 'number'; readonly number: string }
  /** h323-ID, 1..128 characters. */
  | { readonly kind: 'name'; readonly name: string };

/** How to use a foreign gatekeeper. */
export interface H323GatekeeperAccess {
  /** Literal address or host name; RAS default port 1719. */
  readonly host: string;
  readonly port?: number;
  /** RAS listener to send from. */
  readonly listener?: string;
  readonly identifier?: string;
  /** At least one. */
  readonly aliases: readonly H323Alias[];
  /** Time to live to ask for, seconds, default 300. */
  readonly timeToLiveSeconds?: number;
  /** H.235 Annex D (H.235.1) baseline: HMAC-SHA1-96 over every RAS message. `user` is the sender's id. */
  readonly password?: { readonly user: string; readonly password: string };
}

/** Our own small gatekeeper, for terminals that have none. */
export interface H323GatekeeperService {
  readonly identifier: string;
  /** RAS listener it answers on. */
  readonly listener: string;
  /** Signalling listener its terminals are told to call (the gatekeeper-routed model, always). */
  readonly signalling: string;
  /** Peer whose name calls of registered terminals bear. */
  readonly peer: string;
  /** Longest time to live granted, seconds. */
  readonly timeToLiveSeconds: number;
}
