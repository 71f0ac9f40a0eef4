/** The policies of one gateway, made from its configuration: who a source is, who may call where, where media may go. */
import type { Address, SignallingTransport } from '../machine/address.ts';
import type { Millis, Result } from '../machine/machine.ts';
import { TokenBucket } from '../machine/token-bucket.ts';
import type { Party } from '../meta/message.ts';
import { AccountBackOff } from '../policy/account-back-off.ts';
import { addressKind, CidrSet, mediaAddressProblem } from '../policy/address-policy.ts';
import {
  Admission,
  type AdmissionLimits,
  type AdmissionRequest,
  type AdmissionTicket,
  type ScopeName,
} from '../policy/admission.ts';
import { CallerIdentity } from '../policy/caller-identity.ts';
import {
  compileRoutes,
  type DialPlan,
  type RouteDecision,
  type RouteExplanation,
} from '../policy/dial-rules.ts';
import { EmergencyNumbers } from '../policy/emergency.ts';
import { parseIp, sourceKey } from '../policy/ip.ts';
import { RateLimiter } from '../policy/rate-limit.ts';
import type { Refusal } from '../policy/refusal.ts';
import { SourceBans } from '../policy/source-ban.ts';
import type { GatewayConfig, PeerConfig } from './config.ts';
import { offenceOf } from './offences.ts';

/** Meta messages per second (and burst) of one far gateway: far above what calls within the limits need. */
const META_MESSAGES_PER_SECOND = 5000;
const EMERGENCY_SHARE = 0.05;
const UNKNOWN: Party = { number: '', numberType: 'unknown', privacy: 'allowed', verified: false };

export interface Source {
  readonly remote: Address;
  readonly listener: string;
  readonly transport: SignallingTransport;
  readonly certificateNames: readonly string[];
}

interface PeerPolicy {
  readonly peer: PeerConfig;
  readonly sources: CidrSet;
  readonly everybody: boolean;
  /** Prefix length of its widest network, 0..128: narrow peers are asked first, so that one address is not lost in a network around it. */
  readonly widest: number;
  readonly media: CidrSet;
  readonly mediaClosed: boolean;
}

/**
 * SIP messages per call that a source may send, floor of the rate per second, and how many seconds come as a burst of one
 * source (all strangers together: one second, as a gateway busy with a burst answers nobody). A call with authentication
 * takes about eight; registrations of an office come on top.
 */
const SIP_RATE = { perCall: 10, stranger: 50, strangers: 500, peer: 500, burstSeconds: 4 } as const;
const SIP_SOURCES = 10_000;
/** What a termination gateway in foreign hands may try against one account: the honest one stops far below. */
const RELAY_BACK_OFF = { failures: 60, refillMs: 10_000 } as const;

export class GatewayPolicy {
  #config: GatewayConfig;
  #peers: readonly PeerPolicy[] = [];
  #own = new CidrSet([]);
  #targets: CidrSet | undefined;
  #plan: DialPlan;
  #emergency = new EmergencyNumbers([]);
  #identity = new CallerIdentity([]);
  readonly #admission: Admission;
  readonly #bans: SourceBans;
  #sipRates: RateLimiter;
  #peerRates: RateLimiter;
  readonly #backOff: AccountBackOff;
  readonly #metaRates = new Map<string, TokenBucket>();

  /** Throws where routes do not compile: store/config.ts has refused such a configuration before. */
  constructor(config: GatewayConfig, now: Millis) {
    this.#config = config;
    this.#plan = planOf(config);
    this.#admission = new Admission(admissionLimits(config), now);
    this.#bans = new SourceBans();
    this.#sipRates = strangerRates(config, now);
    this.#peerRates = peerRates(config, now);
    this.#backOff = new AccountBackOff(config.role === 'relay' ? RELAY_BACK_OFF : {});
    this.configure(config, now);
  }

  configure(config: GatewayConfig, now: Millis): void {
    const plan = planOf(config);
    this.#config = config;
    this.#plan = plan;
    this.#peers = config.peers.map((peer) => peerPolicy(config, peer)).sort((a, b) => b.widest - a.widest);
    this.#own = new CidrSet(ownAddresses(config));
    this.#targets = targetAddresses(config);
    this.#emergency = new EmergencyNumbers(config.emergency);
    this.#identity = new CallerIdentity(config.ownNumbers ?? []);
    this.#admission.configure(admissionLimits(config), now);
    this.#sipRates = strangerRates(config, now);
    this.#peerRates = peerRates(config, now);
  }

  /** The peer a source belongs to: by certificate name, else by address; a peer for everybody comes last. Banned strangers: nobody. */
  identify(source: Source, now: Millis, protocol: PeerConfig['protocol'] = 'sip'): string | undefined {
    const byName = this.#peers.find(
      ({ peer }) =>
        peer.protocol === protocol &&
        peer.certificateName !== undefined &&
        source.certificateNames.includes(peer.certificateName),
    );
    const found = byName ?? this.#peerOf(source.remote.ip, protocol);
    if (found === undefined) return undefined;
    if (found.everybody && this.#bans.banned(sourceKey(source.remote.ip), now)) return undefined;
    return found.peer.name;
  }

  /** A refusal that the SIP endpoint has counted for `source`. */
  offence(reason: string, source: string, now: Millis): 'noted' | 'banned' | 'none' {
    const offence = offenceOf(reason);
    if (offence === undefined) return 'none';
    // A peer's address can be forged; banning it would be the attacker's work done.
    if (this.#peerOf(source)?.everybody === false) return 'noted';
    return this.#bans.offend(sourceKey(source), offence, now);
  }

  /**
   * Whether one more SIP message of this source is within its rate. Peers, and users who have authenticated, have budgets
   * of their own, which a flood of strangers leaves alone.
   */
  sipMessage(source: { readonly remote: Address; readonly peer: string }, now: Millis): boolean {
    const policy = this.#peers.find((p) => p.peer.name === source.peer);
    const key = sourceKey(source.remote.ip);
    if (policy?.everybody === false) return this.#peerRates.take(key, true, now) === 'taken';
    // Users who have authenticated do not share a budget with those who have not.
    return this.#sipRates.take(key, this.#bans.vouchedFor(key, now), now) === 'taken';
  }

  /** Whether a digest proof for this account name may be examined. `source` '': the far gateway does not say. */
  mayAuthenticate(account: string, source: string, now: Millis): boolean {
    return this.#backOff.allows(account, source, now);
  }

  authenticated(account: string, source: string, right: boolean, now: Millis): void {
    if (!right) return this.#backOff.failed(account, source, now);
    if (source === '') return;
    this.#backOff.succeeded(account, source, now);
    this.#bans.forgive(sourceKey(source), now);
  }

  challenge(
    peer: string,
  ): { readonly realm: string; readonly algorithms: readonly ('MD5' | 'SHA-256')[] } | undefined {
    const config = this.#config.peers.find((p) => p.name === peer);
    if (config?.authenticate !== 'digest') return undefined;
    return {
      realm: this.#config.sip.domain ?? this.#config.name,
      algorithms: config.challenges ?? ['SHA-256', 'MD5'],
    };
  }

  /**
   * Whether a Request-URI can mean this gateway: a host name, or an address of ours. Another address, or `maddr`, asks us
   * to relay; calls are routed by number alone, so it would lead nowhere but is refused before it looks as if it did.
   */
  ownTarget(uri: { readonly host: string; readonly parameters: ReadonlyMap<string, string> }): boolean {
    if (uri.parameters.has('maddr')) return false;
    if (parseIp(uri.host) === undefined) return true;
    return this.#targets?.has(uri.host) ?? true;
  }

  mediaAddress(ip: string, peer: string, signallingSource: string | undefined): boolean {
    const policy = this.#peers.find((p) => p.peer.name === peer);
    if (policy === undefined) return false;
    const rules = { networks: policy.media, closed: policy.mediaClosed, own: this.#own };
    return mediaAddressProblem(ip, rules, signallingSource) === undefined;
  }

  /**
   * A phone behind NAT names a private address that means nothing here. Where the peer's media is latched and its
   * signalling source is known, the stream is taken and its address learned from that host alone; nothing is sent before.
   */
  learnMediaAddress(ip: string, peer: string, signallingSource: string | undefined): boolean {
    const policy = this.#peers.find((p) => p.peer.name === peer);
    if (policy === undefined || policy.mediaClosed || signallingSource === undefined) return false;
    if ((policy.peer.symmetric ?? this.#config.media.symmetric) !== 'latch') return false;
    return addressKind(ip) === 'private';
  }

  /** Whether signalling (H.245, a call signalling address told by a gatekeeper) may be connected to this address for the peer. */
  signallingAddress(ip: string, peer: string): boolean {
    const policy = this.#peers.find((p) => p.peer.name === peer);
    if (policy === undefined) return false;
    const rules = { networks: policy.media, closed: !policy.everybody, own: this.#own };
    return mediaAddressProblem(ip, rules, undefined) === undefined;
  }

  emergency(callee: Party): boolean {
    return this.#emergency.includes(callee);
  }

  /** `from`: 'peer:NAME' or 'tunnel:SITE'. */
  route(from: string, callee: Party, caller: Party): RouteDecision {
    return this.#plan.decide(from, callee, caller);
  }

  explain(from: string, callee: Party): RouteExplanation {
    return this.#plan.explain(from, callee, UNKNOWN);
  }

  /** The caller as this gateway vouches for it, or why the call is refused. */
  caller(caller: Party, peer: string, account: string | undefined): Result<Party, Refusal> {
    const config = this.#config.peers.find((p) => p.name === peer);
    return this.#identity.check(caller, {
      trusted: config?.trusted ?? false,
      outside: this.#config.role === 'termination',
      ...(account === undefined ? {} : { accountNumber: account }),
    });
  }

  /** Places taken. */
  get admitted(): number {
    return this.#admission.calls;
  }

  admit(request: AdmissionRequest, now: Millis): Result<AdmissionTicket, Refusal> {
    const { source } = request;
    return this.#admission.admit(
      source === undefined ? request : { ...request, source: sourceKey(source) },
      now,
    );
  }

  /** What has not one place left for such a call. */
  crowded(request: AdmissionRequest): readonly ScopeName[] {
    return this.#admission.crowded(request);
  }

  /** Whether one more call may be ended for another now. */
  preemption(now: Millis): boolean {
    return this.#admission.preemption(now);
  }

  leave(ticket: AdmissionTicket): void {
    this.#admission.leave(ticket);
  }

  /** Whether one more Meta message of this far gateway is within its rate. */
  metaMessage(site: string, now: Millis): boolean {
    let bucket = this.#metaRates.get(site);
    if (bucket === undefined) {
      bucket = new TokenBucket(2 * META_MESSAGES_PER_SECOND, META_MESSAGES_PER_SECOND, now);
      this.#metaRates.set(site, bucket);
    }
    return bucket.take(now);
  }

  #peerOf(ip: string, protocol?: PeerConfig['protocol']): PeerPolicy | undefined {
    return this.#peers.find(
      (p) => (protocol === undefined || p.peer.protocol === protocol) && p.sources.has(ip),
    );
  }
}

function planOf(config: GatewayConfig): DialPlan {
  const plan = compileRoutes(config.routes);
  if (!plan.ok) throw new Error(plan.error.map((p) => `route ${p.route}: ${p.problem}`).join('; '));
  return plan.value;
}

function isAddress(host: string): boolean {
  return new CidrSet([host]).invalid.length === 0;
}

function peerPolicy(config: GatewayConfig, peer: PeerConfig): PeerPolicy {
  const host = peer.host !== '' && isAddress(peer.host) ? [peer.host] : [];
  const everybody = peer.sources.some((s) => s.endsWith('/0'));
  // Where a peer may come from it may also receive, unless that is everywhere.
  const near = [...host, ...(everybody ? [] : peer.sources)];
  const relay = config.role === 'relay';
  return {
    peer,
    sources: new CidrSet([...host, ...peer.sources]),
    everybody,
    widest: Math.min(128, ...peer.sources.map(prefixLength)),
    media: new CidrSet([...near, ...peer.mediaNetworks, ...(relay ? config.mediaNetworks : [])]),
    // GW1: a closed list, always. GW2: closed where the administrator has named networks.
    mediaClosed: relay || peer.mediaNetworks.length > 0,
  };
}

/** On IPv6's scale. */
function prefixLength(network: string): number {
  const [ip = '', length] = network.split('/');
  const v4 = !ip.includes(':');
  return length === undefined ? 128 : Number(length) + (v4 && length !== '0' ? 96 : 0);
}

/** Addresses by which a Request-URI can mean us; undefined where a listener takes all, for then it is not known which are ours. */
function targetAddresses({ sip: { listeners } }: GatewayConfig): CidrSet | undefined {
  const mine = listeners.flatMap(({ address, advertise }) => [address.ip, advertise?.ip ?? address.ip]);
  return mine.some((ip) => ip === '0.0.0.0' || ip === '::') ? undefined : new CidrSet(mine);
}

function ownAddresses(config: GatewayConfig): string[] {
  const pools = config.media.pools.flatMap((p) => (p.advertise === undefined ? [p.ip] : [p.ip, p.advertise]));
  return pools.filter(isAddress);
}

function strangerRates({ limits }: GatewayConfig, now: Millis): RateLimiter {
  const { perCall, stranger, strangers, burstSeconds } = SIP_RATE;
  const each = Math.max(stranger, perCall * limits.maxCallsPerSecondPerSource);
  const all = Math.max(strangers, perCall * limits.maxCallsPerSecond);
  const perSource = { perSecond: each, burst: burstSeconds * each };
  const together = { perSecond: all, burst: all };
  return new RateLimiter({ perSource, strangers: together, known: together, sources: SIP_SOURCES }, now);
}

function peerRates({ limits }: GatewayConfig, now: Millis): RateLimiter {
  const { perCall, peer } = SIP_RATE;
  const perSecond = 2 * Math.max(peer, perCall * limits.maxCallsPerSecond);
  const rate = { perSecond, burst: 2 * perSecond };
  const all = { perSecond: 1e9, burst: 1e9 }; // peers are few, and each has its own
  return new RateLimiter({ perSource: rate, strangers: all, known: all, sources: SIP_SOURCES }, now);
}

function admissionLimits(config: GatewayConfig): AdmissionLimits {
  const { limits } = config;
  const site =
    config.role === 'relay'
      ? [
          [
            config.tunnel.peerName ?? '',
            { maxCalls: limits.maxCalls, maxCallsPerSecond: limits.maxCallsPerSecond },
          ] as const,
        ]
      : config.tunnel.sites.map(
          ({ name, maxCalls, maxCallsPerSecond }) => [name, { maxCalls, maxCallsPerSecond }] as const,
        );
  return {
    maxCalls: limits.maxCalls,
    maxCallsPerSecond: limits.maxCallsPerSecond,
    maxCallsPerSecondPerSource: limits.maxCallsPerSecondPerSource,
    peers: new Map(config.peers.map((p) => [p.name, { maxCalls: p.maxCalls }])),
    sites: new Map(site),
    emergencyShare: EMERGENCY_SHARE,
  };
}
