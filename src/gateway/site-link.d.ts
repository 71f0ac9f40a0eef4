/** One far gateway (a site at the termination gateway, the termination gateway at a relay) and what is open with it. */
import { StreamBases } from '../call/stream-bases.ts';
import type { Crypto, Millis, Random, Result } from '../machine/machine.ts';
import type { CallId, MetaError, MetaMessage } from '../meta/message.ts';
import type { TunnelEvent, TunnelInput, TunnelOptions, TunnelOutput } from '../tunnel/contract.ts';
import { TunnelSession } from '../tunnel/session.ts';
/** What waits for the result of an `authenticate` or `register` sent to the far gateway. */
export interface PendingExchange {
  readonly purpose: 'authenticate';
  /** The SIP endpoint's own exchange number. */
  readonly sipExchange: number;
}
export declare class SiteLink {
  #private;
  readonly site: string;
  readonly tunnel: TunnelSession;
  state: 'never' | 'up' | 'down';
  sessionId: string;
  laneKey: string;
  shards: number;
  /** Stream ids of the live session. */
  bases: StreamBases;
  minor: number;
  roundTripMs: number;
  /** The far end drains: no new calls to it. */
  draining: boolean;
  /** Calls named in our last answer to `fence-wanted`. */
  fenceListed: ReadonlySet<CallId>;
  /** Lanes known to be up, by `shard/lane`. */
  readonly lanes: Set<string>;
  constructor(
    site: string,
    options: TunnelOptions,
    providers: {
      random: Random;
      crypto: Crypto;
    },
  );
  input(input: TunnelInput, now: Millis): void;
  poll(): TunnelOutput | undefined;
  deadline(): Millis | undefined;
  get usable(): boolean;
  begin(
    event: Extract<
      TunnelEvent,
      {
        kind: 'session';
      }
    >,
  ): void;
  /** false: the message holds what Meta cannot carry (a stranger's digest parameters, say) and was not sent. */
  send(message: MetaMessage, now: Millis): boolean;
  decode(payload: Uint8Array): Result<MetaMessage, MetaError>;
  get openExchanges(): number;
  /** Number of a new exchange with the far gateway, or undefined where too many are open. */
  open(pending: PendingExchange, now: Millis): number | undefined;
  settle(exchange: number): PendingExchange | undefined;
  /** Exchanges whose time is over. */
  overdue(now: Millis): Iterable<PendingExchange>;
}
