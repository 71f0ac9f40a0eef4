/**
 * May this call be set up now? Calls and calls per second, of the gateway, of the peer, of the far gateway (on GW1 that is
 * the defence against a GW2 in an attacker's hands) and of the source. The last places are kept for emergency calls.
 */
import type { Millis, Result } from '../machine/machine.ts';
import { fail, ok } from '../machine/machine.ts';
import { TokenBucket } from '../machine/token-bucket.ts';
import { RateLimiter } from './rate-limit.ts';
import type { Refusal } from './refusal.ts';

export interface ScopeLimits {
  readonly maxCalls: number;
  /** undefined: no limit of its own. */
  readonly maxCallsPerSecond?: number;
}

export interface AdmissionLimits {
  readonly maxCalls: number;
  readonly maxCallsPerSecond: number;
  readonly maxCallsPerSecondPerSource: number;
  /** By name; a peer or site that is not listed has no places. */
  readonly peers: ReadonlyMap<string, ScopeLimits>;
  readonly sites: ReadonlyMap<string, ScopeLimits>;
  /** Share of every number of calls kept for emergency calls, 0..0.5. At most 10 places each. */
  readonly emergencyShare: number;
}

export interface AdmissionRequest {
  /** The peer at this gateway's leg. */
  readonly peer?: string;
  readonly site?: string;
  /** Signalling source (address-policy.ts sourceKey), for calls from this gateway's own side. */
  readonly source?: string;
  /** By this gateway's own numbers. */
  readonly emergency: boolean;
}

/** Opaque; give it back with `leave` when the call is over. */
export type AdmissionTicket = string;

/** Bursts: as many calls as two seconds bring. */
const BURST_SECONDS = 2;
const SOURCES = 10_000;
const RESERVED_AT_MOST = 10;
/** Calls ended for emergency calls. */
const PREEMPTIONS = { burst: 10, perSecond: 0.5 } as const;
/** Q.850 42: switching equipment congestion. */
const CONGESTION = 42;

export type ScopeName = 'gateway' | 'peer' | 'site';

class Scope {
  calls = 0;
  limits: ScopeLimits;
  #rate: TokenBucket | undefined;

  constructor(limits: ScopeLimits, now: Millis) {
    this.limits = limits;
    this.configure(limits, now);
  }

  configure(limits: ScopeLimits, now: Millis): void {
    if (this.#rate !== undefined && limits.maxCallsPerSecond === this.limits.maxCallsPerSecond) {
      this.limits = limits;
      return;
    }
    this.limits = limits;
    const rate = limits.maxCallsPerSecond;
    this.#rate =
      rate === undefined ? undefined : new TokenBucket(Math.max(1, rate * BURST_SECONDS), rate, now);
  }

  full(reserve: number): boolean {
    return this.calls >= this.limits.maxCalls - reserve;
  }

  /** Milliseconds until the rate allows a call. */
  wait(now: Millis): Millis {
    return this.#rate?.wait(now) ?? 0;
  }

  enter(now: Millis): void {
    this.calls++;
    this.#rate?.take(now);
  }
}

export class Admission {
  #limits: AdmissionLimits;
  #gateway: Scope;
  readonly #peers = new Map<string, Scope>();
  readonly #sites = new Map<string, Scope>();
  #sources: RateLimiter;
  #emergencies: TokenBucket;
  readonly #preemptions: TokenBucket;
  readonly #tickets = new Map<AdmissionTicket, readonly Scope[]>();
  #nextTicket = 1;

  constructor(limits: AdmissionLimits, now: Millis) {
    this.#limits = limits;
    this.#gateway = new Scope(limits, now);
    this.#sources = sourceLimiter(limits, now);
    this.#emergencies = emergencyBucket(limits, now);
    this.#preemptions = new TokenBucket(PREEMPTIONS.burst, PREEMPTIONS.perSecond, now);
    this.configure(limits, now);
  }

  /** New limits; calls that are up stay counted. */
  configure(limits: AdmissionLimits, now: Millis): void {
    const before = this.#limits;
    this.#limits = limits;
    this.#gateway.configure(limits, now);
    configureScopes(this.#peers, limits.peers, now);
    configureScopes(this.#sites, limits.sites, now);
    if (
      before.maxCallsPerSecond !== limits.maxCallsPerSecond ||
      before.maxCallsPerSecondPerSource !== limits.maxCallsPerSecondPerSource
    ) {
      this.#sources = sourceLimiter(limits, now);
      this.#emergencies = emergencyBucket(limits, now);
    }
  }

  get calls(): number {
    return this.#gateway.calls;
  }

  callsOf(kind: 'peer' | 'site', name: string): number {
    return (kind === 'peer' ? this.#peers : this.#sites).get(name)?.calls ?? 0;
  }

  /** What has not one place left for such a call. */
  crowded(request: AdmissionRequest): readonly ScopeName[] {
    const scopes = this.#scopes(request);
    if (!scopes.ok) return [];
    const full = ([, scope]: [ScopeName, Scope]): boolean =>
      scope.full(request.emergency ? 0 : this.#reserve(scope.limits.maxCalls));
    return scopes.value.filter(full).map(([kind]) => kind);
  }

  #scopes(request: AdmissionRequest): Result<[ScopeName, Scope][], Refusal> {
    const scopes: [ScopeName, Scope][] = [['gateway', this.#gateway]];
    for (const [kind, name, table] of [
      ['site', request.site, this.#sites],
      ['peer', request.peer, this.#peers],
    ] as const) {
      if (name === undefined) continue;
      const scope = table.get(name);
      if (scope === undefined) return fail({ cause: 21, reason: `${kind}-unknown` });
      scopes.push([kind, scope]);
    }
    return ok(scopes);
  }

  admit(request: AdmissionRequest, now: Millis): Result<AdmissionTicket, Refusal> {
    const found = this.#scopes(request);
    if (!found.ok) return found;
    const scopes = found.value;
    for (const [kind, scope] of scopes) {
      const reserve = request.emergency ? 0 : this.#reserve(scope.limits.maxCalls);
      if (scope.full(reserve))
        return fail({ cause: CONGESTION, reason: `${kind}-calls`, retryAfterSeconds: 10 });
    }
    const refusal = request.emergency ? this.#emergencyRate(now) : this.#rate(scopes, request, now);
    if (refusal !== undefined) return fail(refusal);
    for (const [, scope] of scopes) scope.enter(now);
    const ticket = `a${this.#nextTicket++}`;
    this.#tickets.set(
      ticket,
      scopes.map(([, scope]) => scope),
    );
    return ok(ticket);
  }

  /** Whether one more call may be ended for another now: emergency numbers are few, and so are emergencies. */
  preemption(now: Millis): boolean {
    return this.#preemptions.take(now);
  }

  /** Any number of times; only the first counts. */
  leave(ticket: AdmissionTicket): void {
    const scopes = this.#tickets.get(ticket);
    if (scopes === undefined) return;
    this.#tickets.delete(ticket);
    for (const scope of scopes) scope.calls--;
  }

  #reserve(maxCalls: number): number {
    return Math.min(RESERVED_AT_MOST, Math.floor(maxCalls * this.#limits.emergencyShare));
  }

  /** Emergency calls pass the other rates but have one of their own: numbers can be dialled by anybody. */
  #emergencyRate(now: Millis): Refusal | undefined {
    if (this.#emergencies.take(now)) return undefined;
    return { cause: CONGESTION, reason: 'emergency-rate', retryAfterSeconds: 1 };
  }

  #rate(scopes: readonly [ScopeName, Scope][], request: AdmissionRequest, now: Millis): Refusal | undefined {
    for (const [kind, scope] of scopes) {
      const wait = scope.wait(now);
      if (wait > 0) {
        const retryAfterSeconds = Math.max(1, Math.ceil(wait / 1000));
        return { cause: CONGESTION, reason: `${kind}-call-rate`, retryAfterSeconds };
      }
    }
    if (request.source === undefined || this.#sources.take(request.source, true, now) === 'taken')
      return undefined;
    return { cause: CONGESTION, reason: 'source-call-rate', retryAfterSeconds: 1 };
  }
}

function configureScopes(
  scopes: Map<string, Scope>,
  limits: ReadonlyMap<string, ScopeLimits>,
  now: Millis,
): void {
  for (const [name, limit] of limits) {
    const scope = scopes.get(name);
    if (scope === undefined) scopes.set(name, new Scope(limit, now));
    else scope.configure(limit, now);
  }
  // A scope that is gone from the configuration lives on in its calls' tickets only.
  for (const name of scopes.keys()) if (!limits.has(name)) scopes.delete(name);
}

function emergencyBucket(limits: AdmissionLimits, now: Millis): TokenBucket {
  return new TokenBucket(
    Math.max(1, limits.maxCallsPerSecond * BURST_SECONDS),
    limits.maxCallsPerSecond,
    now,
  );
}

function sourceLimiter(limits: AdmissionLimits, now: Millis): RateLimiter {
  const rate = limits.maxCallsPerSecondPerSource;
  const unlimited = { perSecond: 1e9, burst: 1e9 }; // the gateway's scope is the common limit
  return new RateLimiter(
    {
      perSource: { perSecond: rate, burst: Math.max(1, rate * BURST_SECONDS) },
      strangers: unlimited,
      known: unlimited,
      sources: SOURCES,
    },
    now,
  );
}
