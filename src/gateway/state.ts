/** Everything one gateway holds, and the way effects leave it. The other files of this folder are the operations on it. */
import { toHex } from '../bytes/text.ts';
import { CallTable } from '../call/call-table.ts';
import type { LegId } from '../call/leg.ts';
import type { CallRef } from '../h323/contract.ts';
import type { H323Endpoint } from '../h323/endpoint.ts';
import type { Crypto, Millis, Random, WallMillis } from '../machine/machine.ts';
import { Timers } from '../machine/timers.ts';
import type { MediaControl } from '../media/media-control.ts';
import type { CallId } from '../meta/message.ts';
import type { SessionRef } from '../sip/contract.ts';
import type { SipEndpoint } from '../sip/endpoint.ts';
import type { GatewayConfig, PeerConfig } from './config.ts';
import type { CounterName, GatewayOutput, LogLine } from './contract.ts';
import { Counters } from './counters.ts';
import type { GatewayCall } from './gateway-call.ts';
import type { GatewayPolicy } from './gateway-policy.ts';
import { LogLimit } from './log-limit.ts';
import { RecordedCalls, RefusedRate } from './refused-records.ts';
import { Registrar } from './registrar.ts';
import type { SiteLink } from './site-link.ts';
import { Terminals } from './terminals.ts';
import { TraceBook } from './trace.ts';

export interface GatewayProviders {
  readonly random: Random;
  readonly crypto: Crypto;
  /** UTC, for records and nonces only. */
  wall(): WallMillis;
}

/** Our registration with a peer. */
export interface TrunkState {
  readonly registered: boolean;
  readonly until: Millis;
  /** How the last REGISTER ended. */
  readonly reason: string;
}

/** Leg ids of H.323 calls begin here; a gateway does not live to see as many SIP sessions. */
const H323_LEGS = 2 ** 40;

export class GatewayState {
  config: GatewayConfig;
  policy: GatewayPolicy;
  readonly providers: GatewayProviders;
  readonly sip: SipEndpoint;
  readonly h323: H323Endpoint;
  readonly media: MediaControl;
  readonly links = new Map<string, SiteLink>();
  readonly calls: CallTable<GatewayCall>;
  /** Calls with output to drain. */
  readonly dirty = new Set<GatewayCall>();
  /** Deadlines of calls, and the gateway's own; its machines have theirs. */
  readonly timers = new Timers<'drain' | 'leave' | GatewayCall>();
  readonly counters = new Counters();
  readonly registrar = new Registrar();
  /** Terminals at our gatekeeper: account to the peer's address to call, by alias. */
  readonly terminals = new Terminals();
  readonly trace = new TraceBook();
  readonly peersDown = new Set<string>();
  readonly peersUp = new Set<string>();
  /** How our registrations stand, by peer. */
  readonly trunks = new Map<string, TrunkState>();
  readonly shards = new Map<number, string>();
  readonly refusedRecords = new RefusedRate();
  readonly recordedCalls = new RecordedCalls();
  draining = false;
  stopped = false;
  now: Millis = 0;
  readonly #logLimit = new LogLimit();
  #nextSession = 2; // sip/contract.ts: the user's sessions are even
  #out: GatewayOutput[] = [];
  #head = 0;

  constructor(options: {
    config: GatewayConfig;
    policy: GatewayPolicy;
    providers: GatewayProviders;
    sip: SipEndpoint;
    h323: H323Endpoint;
    media: MediaControl;
  }) {
    this.config = options.config;
    this.policy = options.policy;
    this.providers = options.providers;
    this.sip = options.sip;
    this.h323 = options.h323;
    this.media = options.media;
    this.calls = new CallTable(options.config.limits.maxCalls + 100);
  }

  emit(output: GatewayOutput): void {
    this.#out.push(output);
  }

  next(): GatewayOutput | undefined {
    if (this.#head >= this.#out.length) {
      this.#out.length = 0;
      this.#head = 0;
      return undefined;
    }
    return this.#out[this.#head++];
  }

  count(name: CounterName, label: string): void {
    this.emit({ kind: 'count', name, label: this.counters.add(name, label) });
  }

  /** A refusal that counts against its source. */
  offence(reason: string, source: string): void {
    if (this.policy.offence(reason, source, this.now) !== 'banned') return;
    this.count('sipRefused', 'source-banned');
    this.log('warn', 'source banned', { source, reason });
  }

  log(level: LogLine['level'], event: string, fields: LogLine['fields'] = {}): void {
    const suppressed = level === 'debug' ? 0 : this.#logLimit.admit(event, this.now);
    if (suppressed === undefined) return;
    this.emit({ kind: 'log', level, event, fields: suppressed === 0 ? fields : { ...fields, suppressed } });
  }

  newSession(): SessionRef {
    const session = this.#nextSession;
    this.#nextSession += 2;
    return session;
  }

  /** The leg of an H.323 call: its references and SIP's sessions count by themselves. */
  h323Leg(call: CallRef): LegId {
    return H323_LEGS + call;
  }

  newCallId(): CallId {
    return toHex(this.providers.random.bytes(16));
  }

  peer(name: string): PeerConfig | undefined {
    return this.config.peers.find((p) => p.name === name);
  }
}
