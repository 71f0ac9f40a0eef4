/** What the operations of a half-call (setup, passing, modify, transfer, status, release) work on. Not for use outside. */
import type { Millis } from '../machine/machine.ts';
import { TokenBucket } from '../machine/token-bucket.ts';
import type { CallMessage, Cause, MediaExchange, MetaCallState, ReleaseOrigin } from '../meta/message.ts';
import type {
  CallFacts,
  CallTimers,
  HalfCallOptions,
  HalfCallOutput,
  MutableFacts,
} from './half-call-contract.ts';
import { CALL_TIMERS } from './half-call-contract.ts';
import type { LegCommand, LegEvent } from './leg.ts';
import { MediaExchanges } from './media-exchanges.ts';
import type { CallState } from './transitions.ts';

export type CallInput =
  | { readonly from: 'leg'; readonly message: LegEvent; readonly now: Millis }
  | { readonly from: 'tunnel'; readonly message: CallMessage; readonly now: Millis };

export type LegInput<Kind extends LegEvent['kind']> = Extract<LegEvent, { kind: Kind }>;
export type TunnelInput<Kind extends CallMessage['kind']> = Extract<CallMessage, { kind: Kind }>;

/** false: refused, nothing changes; true: as the table says; a state: that one. */
export type Outcome = boolean | CallState;

export type TimerName = 'setup' | 'ring' | 'max' | 'modify' | 'exchange' | 'transfer' | 'cut' | 'enquiry';

/** Q.850 causes that begin in a half-call. */
export const CAUSES = {
  noAnswer: 19,
  invalidNumber: 28,
  networkOutOfOrder: 38,
  temporaryFailure: 41,
  notCompatibleWithState: 101,
  timerExpired: 102,
  protocolError: 111,
} as const;

/** Told to the leg when the tunnel is cut: about the time a reconnect takes. */
export const CUT_RETRY_SECONDS = 5;
/** Told to a leg that changes its media too often. */
export const RATE_RETRY_SECONDS = 10;

/**
 * What one call may say to the other side, so that a far end with one call floods neither the tunnel nor the PBX behind it: so many at once,
 * and so many a second. Of what comes from the tunnel more is taken than a gateway lets pass, so that crossings break no rule.
 */
const RATES = {
  'leg-modify': { burst: 20, perSecond: 1 },
  'tunnel-modify': { burst: 40, perSecond: 2 },
  'leg-digit': { burst: 50, perSecond: 20 },
  'tunnel-digit': { burst: 100, perSecond: 40 },
  'media-digit': { burst: 50, perSecond: 20 },
  // Alerting and progress: a called party that forks and plays announcements has some tens in the first seconds.
  'leg-ringing': { burst: 50, perSecond: 5 },
  'tunnel-ringing': { burst: 100, perSecond: 10 },
} as const;

export class CallContext {
  readonly options: HalfCallOptions;
  readonly timers: CallTimers;
  readonly exchanges: MediaExchanges;
  readonly due = new Map<TimerName, Millis>();
  state: CallState = 'null';
  /** Since when the signalling link is cut. */
  downSince: Millis | undefined;
  transferring = false;
  /** Our state when we asked for the other gateway's. */
  enquired: MetaCallState | undefined;
  /** Most calls change nothing and dial nothing: made when one does. */
  #rates: Map<keyof typeof RATES, TokenBucket> | undefined;
  readonly #facts: MutableFacts = { priority: 'normal' };
  #out: HalfCallOutput[] = [];

  constructor(options: HalfCallOptions) {
    this.options = options;
    this.timers = { ...CALL_TIMERS, ...options.timers };
    this.exchanges = new MediaExchanges(options.side);
  }

  get facts(): CallFacts {
    return this.#facts;
  }

  get over(): boolean {
    return this.state === 'ended';
  }

  get established(): boolean {
    return this.#facts.connectAt !== undefined && !this.over;
  }

  note(facts: Partial<CallFacts>): void {
    Object.assign(this.#facts, facts);
  }

  poll(): HalfCallOutput | undefined {
    return this.#out.shift();
  }

  push(output: HalfCallOutput): void {
    this.#out.push(output);
  }

  toLeg(command: LegCommand): void {
    this.push({ kind: 'leg', command });
  }

  toTunnel(message: CallMessage): void {
    this.push({ kind: 'tunnel', message });
  }

  refuse(input: CallInput, reason: string, part = ''): void {
    const what = input.message.kind + part;
    this.push({ kind: 'refused-message', from: input.from, what, state: this.state, reason });
  }

  /** Whether one more of these is within what a call may say. */
  within(what: keyof typeof RATES, now: Millis): boolean {
    this.#rates ??= new Map();
    let bucket = this.#rates.get(what);
    if (bucket === undefined) {
      const { burst, perSecond } = RATES[what];
      bucket = new TokenBucket(burst, perSecond, now);
      this.#rates.set(what, bucket);
    }
    return bucket.take(now);
  }

  refuseGlare(): void {
    this.toLeg({ kind: 'modify-refuse', cause: CAUSES.temporaryFailure, glare: true });
  }

  /**
   * What of an exchange goes on. 'broken': the description fits no offer and the call is released (it would be a call
   * without sound). Other faults cost the exchange only: stale, duplicate, out of turn.
   */
  media(input: CallInput, exchange: MediaExchange | undefined): MediaExchange | undefined | 'broken' {
    if (exchange === undefined) return undefined;
    const verdict =
      input.from === 'leg' ? this.exchanges.fromLeg(exchange) : this.exchanges.fromTunnel(exchange);
    if (verdict.kind === 'pass') {
      if (verdict.yielded !== undefined) this.toLeg({ kind: 'media', media: verdict.yielded });
      return verdict.exchange;
    }
    this.refuse(input, verdict.problem, '.media');
    if (verdict.problem.startsWith('bad-')) {
      this.release(CAUSES.protocolError, this.options.gateway, input.now);
      return 'broken';
    }
    if (input.from === 'leg' && exchange.kind === 'offer') {
      const { by, number, branch } = exchange;
      const cause = CAUSES.temporaryFailure;
      this.toLeg({ kind: 'media', media: { kind: 'refuse', by, number, branch, cause } });
    }
    return undefined;
  }

  /** Ends the call from here: both sides are told. */
  release(cause: Cause, origin: ReleaseOrigin, now: Millis, retryAfterSeconds?: number): void {
    if (this.over) return;
    const retry = retryAfterSeconds === undefined ? {} : { retryAfterSeconds };
    const { side, call } = this.options;
    // Before the set-up has been passed on, only the side it came from knows of the call.
    if (this.state !== 'null' || side === 'originator') this.toLeg({ kind: 'release', cause, ...retry });
    if (this.state !== 'null' || side === 'terminator') {
      this.toTunnel({ kind: 'release', call, cause, origin, ...retry });
    }
    this.end(cause, origin, now);
  }

  end(cause: Cause, origin: ReleaseOrigin, now: Millis): void {
    this.due.clear();
    this.note({ cause, origin, endAt: now });
    this.state = 'ended';
    this.push({ kind: 'state', state: 'ended' });
    this.push({ kind: 'ended', cause, origin });
  }
}
