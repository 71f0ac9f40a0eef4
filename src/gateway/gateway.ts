/**
 * A whole gateway as one Machine: SIP endpoint, calls, tunnels and media control, composed. It has no socket and no
 * clock: process/ carries its inputs and outputs in production, test/sim does in virtual time.
 */
import { H323Endpoint } from '../h323/endpoint.ts';
import type { Machine, Millis } from '../machine/machine.ts';
import { MediaControl } from '../media/media-control.ts';
import { SipEndpoint } from '../sip/endpoint.ts';
import type { TunnelOptions } from '../tunnel/contract.ts';
import { callTimeout, drainCall, finishCall, releaseCall } from './calls.ts';
import type { GatewayConfig } from './config.ts';
import type { GatewayInput, GatewayOutput } from './contract.ts';
import { GatewayPolicy } from './gateway-policy.ts';
import { configureH323, h323Decisions, h323Output } from './h323-side.ts';
import { mediaOutput, planeEvent } from './media-side.ts';
import { configureSip, sipDecisions, sipOutput } from './sip-side.ts';
import { SiteLink } from './site-link.ts';
import { type GatewayProviders, GatewayState } from './state.ts';
import { linkTimeout, tunnelEvent } from './tunnel-side.ts';
import { operatorReply } from './views.ts';

export interface GatewayOptions {
  readonly config: GatewayConfig;
  readonly providers: GatewayProviders;
  /** Tells restarts apart in the tunnel (tunnel/contract.ts). */
  readonly bootId: TunnelOptions['bootId'];
}

/** Longest wait at the end for trunks to take back our registrations. */
const LEAVE_MS = 3000;
/** Most inputs handled between two drains of everything: a guard against an endless exchange, which would be a bug. */
const SETTLE_ROUNDS = 10_000;
const NEVER = Number.POSITIVE_INFINITY;

export class Gateway implements Machine<GatewayInput, GatewayOutput> {
  readonly #gw: GatewayState;
  readonly #bootId: TunnelOptions['bootId'];
  #drainUntil: Millis | undefined;
  #leaveUntil: Millis = 0;

  constructor(options: GatewayOptions) {
    const { config, providers } = options;
    this.#bootId = options.bootId;
    const policy = new GatewayPolicy(config, 0);
    const sip = new SipEndpoint({
      random: providers.random,
      crypto: providers.crypto,
      decisions: sipDecisions(() => this.#gw),
      limits: {
        // Two per call and leg live on for 32 s after it (RFC 3261 17): the call rate counts as well as the calls.
        transactions: 4 * config.limits.maxCalls + 70 * config.limits.maxCallsPerSecond + 20_000,
        sessions: config.limits.maxCalls + 100,
        connections: 2000,
        connectionsPerSource: config.limits.connectionsPerSource,
      },
    });
    const media = new MediaControl({
      random: providers.random,
      pools: config.media.pools,
      maxCalls: config.limits.maxCalls + 100,
      workers: config.media.workers,
      silenceMs: () => 1000 * this.#gw.config.limits.mediaSilenceSeconds,
    });
    const h323 = new H323Endpoint({
      random: providers.random,
      crypto: providers.crypto,
      wall: () => providers.wall(),
      decisions: h323Decisions(() => this.#gw),
      limits: {
        calls: config.limits.maxCalls + 100,
        callsPerSource: config.limits.maxCalls,
        connections: 2000,
        connectionsPerSource: config.limits.connectionsPerSource,
        exchanges: 2000,
        terminals: 10_000,
        terminalsPerSource: 20,
      },
    });
    this.#gw = new GatewayState({ config, policy, providers, sip, h323, media });
    for (const site of sitesOf(config)) this.#addLink(site);
  }

  /** What tests count after everything is over: each must be zero (links and bindings aside). */
  get sizes(): Readonly<Record<string, number>> {
    const gw = this.#gw;
    const links = [...gw.links.values()];
    const sum = (of: (link: SiteLink) => number): number => links.reduce((n, link) => n + of(link), 0);
    return {
      calls: gw.calls.size,
      ...gw.sip.sizes,
      ...prefixed('h323', gw.h323.sizes),
      ports: gw.media.sizes.ports,
      mediaCalls: gw.media.sizes.calls,
      mediaStreams: gw.media.sizes.streams,
      admitted: gw.policy.admitted,
      streamBases: sum((link) => link.bases.live),
      exchanges: sum((link) => link.openExchanges),
      unacknowledged: sum((link) => link.tunnel.waiting),
      dirty: gw.dirty.size,
      tracePending: gw.trace.pending,
    };
  }

  handle(input: GatewayInput, now: Millis): void {
    const gw = this.#gw;
    gw.now = Math.max(gw.now, now);
    gw.media.at(gw.now);
    switch (input.kind) {
      case 'timeout':
        this.#timeout();
        break;
      case 'sip':
        if (input.input.kind === 'stream-closed') gw.registrar.connectionClosed(input.input.connection);
        gw.sip.handle(input.input, gw.now);
        break;
      case 'h323':
        gw.h323.handle(input.input, gw.now);
        break;
      case 'tunnel':
        gw.links.get(input.site)?.input(input.input, gw.now);
        break;
      case 'plane':
        planeEvent(gw, input.shard, input.event);
        break;
      case 'refused':
        gw.count(input.name, input.reason);
        break;
      case 'operator':
        gw.emit({ kind: 'operator-reply', request: input.request, ...operatorReply(gw, input.command) });
        if (input.command.command === 'drain') this.#drain(gw.now + 24 * 3600_000);
        break;
      case 'configure':
        this.#configure(input.config);
        break;
      case 'start':
        this.#start();
        break;
      case 'drain':
        this.#drain(gw.now + input.withinMs);
        break;
    }
    this.#settle();
  }

  poll(): GatewayOutput | undefined {
    return this.#gw.next();
  }

  deadline(): Millis | undefined {
    const { timers, sip, h323, media, registrar, links } = this.#gw;
    let next = Math.min(
      timers.next() ?? NEVER,
      sip.deadline() ?? NEVER,
      h323.deadline() ?? NEVER,
      media.deadline() ?? NEVER,
      registrar.deadline() ?? NEVER,
    );
    for (const link of links.values()) next = Math.min(next, link.deadline() ?? NEVER);
    return next === NEVER ? undefined : next;
  }

  #addLink(site: string): void {
    const { config, providers } = this.#gw;
    const relay = config.role === 'relay';
    const options: TunnelOptions = {
      role: relay ? 'dialer' : 'acceptor',
      name: config.name,
      peerName: site,
      bootId: this.#bootId,
      shards: config.media.workers,
      heartbeatEveryMs: 1000,
      deadAfterMs: 3000,
      resumeWithinMs: 30_000,
      backoff: { firstMs: 200, maxMs: 10_000 },
      maxPayload: 8192,
    };
    this.#gw.links.set(site, new SiteLink(site, options, providers));
  }

  /** A site that is gone loses its session and its calls; should it come back, it begins anew. */
  #removeLink(site: string): void {
    const gw = this.#gw;
    gw.links.get(site)?.input({ kind: 'stop' }, gw.now);
    this.#drainLinks();
    this.#drainCalls();
    gw.links.delete(site);
  }

  #start(): void {
    const gw = this.#gw;
    configureSip(gw);
    configureH323(gw);
    // A session has nothing to say until it is asked for the first time: its deadline is `dial now`.
    for (const link of gw.links.values()) link.input({ kind: 'timeout' }, gw.now);
    gw.log('info', 'gateway started');
  }

  #configure(config: GatewayConfig): void {
    const gw = this.#gw;
    gw.config = config;
    gw.policy.configure(config, gw.now);
    for (const peer of gw.trunks.keys()) if (gw.peer(peer)?.register !== true) gw.trunks.delete(peer);
    for (const site of sitesOf(config)) if (!gw.links.has(site)) this.#addLink(site);
    for (const site of [...gw.links.keys()]) if (!sitesOf(config).includes(site)) this.#removeLink(site);
    configureSip(gw);
    configureH323(gw);
    gw.log('info', 'configuration taken over');
  }

  #drain(until: Millis): void {
    const gw = this.#gw;
    this.#drainUntil = Math.min(until, this.#drainUntil ?? until);
    if (!gw.draining) {
      gw.draining = true;
      gw.sip.handle({ kind: 'command', command: { kind: 'drain', retryAfterSeconds: 30 } }, gw.now);
      // Now, not at the end: the trunk's next calls go elsewhere.
      gw.sip.handle({ kind: 'command', command: { kind: 'unregister' } }, gw.now);
      this.#leaveUntil = gw.now + LEAVE_MS;
      gw.timers.set('leave', this.#leaveUntil);
      gw.h323.handle({ kind: 'command', command: { kind: 'drain' } }, gw.now);
      for (const link of gw.links.values()) link.input({ kind: 'drain' }, gw.now);
      gw.log('info', 'draining', { calls: gw.calls.size });
    }
    gw.timers.set('drain', this.#drainUntil);
  }

  #timeout(): void {
    const gw = this.#gw;
    const isDue = (machine: { deadline(): Millis | undefined }): boolean =>
      (machine.deadline() ?? NEVER) <= gw.now;
    if (isDue(gw.sip)) gw.sip.handle({ kind: 'timeout' }, gw.now);
    if (isDue(gw.h323)) gw.h323.handle({ kind: 'timeout' }, gw.now);
    if (isDue(gw.media)) gw.media.timeout(gw.now);
    if (isDue(gw.registrar)) gw.registrar.expire(gw.now);
    for (const link of gw.links.values()) if (isDue(link)) linkTimeout(gw, link, gw.now);
    for (let key = gw.timers.take(gw.now); key !== undefined; key = gw.timers.take(gw.now)) {
      if (key === 'drain') {
        for (const call of gw.calls.values()) if (call.overAt === undefined) releaseCall(gw, call, 41, 'own');
      } else if (key !== 'leave' && gw.calls.byCall(key.half.call) === key) {
        callTimeout(gw, key);
        gw.dirty.add(key);
      }
    }
  }

  /** Drains every machine until nothing moves. */
  #settle(): void {
    const gw = this.#gw;
    for (let round = 0; ; round++) {
      if (round > SETTLE_ROUNDS) throw new Error('gateway does not settle');
      let moved = this.#drainSip();
      moved = this.#drainH323() || moved;
      moved = this.#drainLinks() || moved;
      moved = this.#drainMedia() || moved;
      moved = this.#drainCalls() || moved;
      if (!moved) break;
    }
    const leaving = gw.sip.unregistering > 0 && gw.now < this.#leaveUntil;
    if (this.#drainUntil !== undefined && gw.calls.size === 0 && !leaving && !gw.stopped) {
      gw.stopped = true;
      gw.timers.set('leave', undefined);
      for (const link of gw.links.values()) link.input({ kind: 'stop' }, gw.now);
      this.#drainLinks();
      gw.timers.set('drain', undefined);
      gw.emit({ kind: 'stopped' });
    }
  }

  #drainH323(): boolean {
    const gw = this.#gw;
    let moved = false;
    for (let output = gw.h323.poll(); output !== undefined; output = gw.h323.poll()) {
      moved = true;
      h323Output(gw, output);
    }
    return moved;
  }

  #drainSip(): boolean {
    const gw = this.#gw;
    let moved = false;
    for (let output = gw.sip.poll(); output !== undefined; output = gw.sip.poll()) {
      moved = true;
      sipOutput(gw, output);
    }
    return moved;
  }

  #drainLinks(): boolean {
    const gw = this.#gw;
    let moved = false;
    for (const link of gw.links.values()) {
      for (let output = link.poll(); output !== undefined; output = link.poll()) {
        moved = true;
        if (output.kind === 'event') tunnelEvent(gw, link, output.event);
        else gw.emit({ kind: 'tunnel', site: link.site, output });
      }
    }
    return moved;
  }

  #drainCalls(): boolean {
    const gw = this.#gw;
    const moved = gw.dirty.size > 0;
    for (const call of gw.dirty) {
      gw.dirty.delete(call);
      drainCall(gw, call);
      finishCall(gw, call);
    }
    return moved;
  }

  #drainMedia(): boolean {
    const gw = this.#gw;
    let moved = false;
    for (let output = gw.media.poll(); output !== undefined; output = gw.media.poll()) {
      moved = true;
      mediaOutput(gw, output);
    }
    return moved;
  }
}

function prefixed(prefix: string, sizes: object): Record<string, number> {
  return Object.fromEntries(Object.entries(sizes).map(([key, size]) => [`${prefix}.${key}`, size]));
}

function sitesOf(config: GatewayConfig): readonly string[] {
  return config.role === 'relay' ? [config.tunnel.peerName ?? ''] : config.tunnel.sites.map((s) => s.name);
}
