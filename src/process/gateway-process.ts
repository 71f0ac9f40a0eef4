/**
 * Carries one gateway machine: sockets, workers, timers and files on one side, its inputs and outputs on the other. No
 * decision is taken here.
 */
import { randomBytes } from 'node:crypto';
import type { GatewayConfig } from '../gateway/config.ts';
import type { GatewayInput, GatewayOutput, OperatorCommand, StatusView } from '../gateway/contract.ts';
import { Gateway } from '../gateway/gateway.ts';
import { LogLimit } from '../gateway/log-limit.ts';
import type { PlaneEvent, StreamCounters } from '../media/plane-contract.ts';
import { REFUSALS } from '../media/plane-contract.ts';
import { SipResolver } from '../net/dns.ts';
import { monotonicNow, systemCrypto, systemRandom, wallNow } from '../net/providers.ts';
import { PlaneSupervisor } from '../plane/supervisor.ts';
import { CdrWriter } from '../store/cdr.ts';
import type { Logger } from '../store/log.ts';
import { GatewayMetrics } from '../store/metrics.ts';
import { H323Carrier } from './h323-carrier.ts';
import { type Identities, readIdentities } from './identities.ts';
import { MediaTotalsBook } from './media-totals.ts';
import { SipCarrier } from './sip-carrier.ts';
import { bufferHint, sharesPorts } from './socket-buffers.ts';
import { TunnelCarrier } from './tunnel-carrier.ts';

const REPORT_EVERY_MS = 1000;

export class GatewayProcess {
  readonly #log: Logger;
  readonly #gateway: Gateway;
  readonly #plane = new PlaneSupervisor();
  readonly #sip: SipCarrier;
  readonly #h323: H323Carrier;
  readonly #tunnel: TunnelCarrier;
  readonly metrics: GatewayMetrics;
  readonly #totals = new MediaTotalsBook();
  readonly #logLimit = new LogLimit();
  #config: GatewayConfig;
  #identities: Identities;
  #cdr: CdrWriter | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = 0;
  #draining = false;
  #closed = false;
  /** Sites whose signalling link works. */
  readonly #linksUp = new Set<string>();
  #operatorWaits = new Map<number, (reply: { value: unknown; error?: string }) => void>();
  #nextRequest = 1;
  #reloads: Promise<void> = Promise.resolve();
  /** Resolves when the gateway has said `stopped`. */
  readonly stopped: Promise<void>;
  #onStopped: () => void = () => undefined;

  constructor(config: GatewayConfig, log: Logger) {
    this.#config = config;
    this.#log = log;
    this.#identities = readIdentities(config);
    this.metrics = new GatewayMetrics({ name: config.name, role: config.role }, REFUSALS);
    const resolver = new SipResolver();
    this.stopped = new Promise((resolve) => {
      this.#onStopped = resolve;
    });
    this.#gateway = new Gateway({
      config,
      providers: { random: systemRandom, crypto: systemCrypto, wall: wallNow },
      bootId: { startedAt: wallNow(), nonce: randomBytes(8).toString('hex') },
    });
    this.#h323 = new H323Carrier(config, resolver, {
      input: (input) => this.#input({ kind: 'h323', input }),
      refused: (reason) => this.#input({ kind: 'refused', name: 'h323Refused', reason }),
    });
    this.#sip = new SipCarrier(config, resolver, {
      input: (input) => this.#input({ kind: 'sip', input }),
      refused: (reason) => this.#input({ kind: 'refused', name: 'sipRefused', reason }),
    });
    this.#tunnel = new TunnelCarrier(log, {
      input: (site, input) => this.#input({ kind: 'tunnel', site, input }),
      lane: (socket) => this.#plane.acceptLane(socket),
      refused: (reason, remote) => {
        this.#input({ kind: 'refused', name: 'laneRefused', reason });
        this.#logLimited('warn', 'tunnel connection refused', { reason, remote: remote.ip });
      },
    });
  }

  /** Opens everything; rejects with the system's error where a port cannot be had. */
  async start(): Promise<void> {
    const config = this.#config;
    if (config.cdr.file !== undefined) {
      this.#cdr = new CdrWriter({
        file: config.cdr.file,
        onError: (message) => this.#log.error('call record', { message }),
      });
      await this.#cdr.open();
    }
    this.#plane.onEvent = (shard, event) => this.#planeEvent(shard, event);
    const { workers, implementation } = config.media;
    await this.#plane.start({ workers, implementation, tls: this.#identities.tunnel });
    for (let shard = 0; shard < this.#plane.shards; shard++) {
      this.#plane.command(shard, { kind: 'report', every: REPORT_EVERY_MS });
    }
    await this.#sip.listen(config, this.#identities);
    await this.#h323.listen(config.h323);
    await this.#tunnel.start(config, this.#identities.tunnel);
    this.#input({ kind: 'start' });
  }

  /** Asks the machine; rejects with its error text. */
  operator(command: OperatorCommand): Promise<unknown> {
    const request = this.#nextRequest++;
    return new Promise((resolve, reject) => {
      this.#operatorWaits.set(request, ({ value, error }) =>
        error === undefined ? resolve(value) : reject(new Error(error)),
      );
      this.#input({ kind: 'operator', request, command });
    });
  }

  drain(withinMs: number): void {
    this.#draining = true;
    this.#input({ kind: 'drain', withinMs });
  }

  /**
   * A configuration of the same role and name. What cannot be changed while running is said in the result. Where it rejects, nothing has
   * changed. One after the other: two signals may come at once.
   */
  reload(config: GatewayConfig): Promise<string[]> {
    const reloaded = this.#reloads.then(() => this.#reload(config));
    this.#reloads = reloaded.then(ignore, ignore);
    return reloaded;
  }

  async #reload(config: GatewayConfig): Promise<string[]> {
    const messages: string[] = [];
    if (config.role !== this.#config.role || config.name !== this.#config.name) {
      throw new Error('role and name cannot change; restart the gateway');
    }
    const identities = readIdentities(config);
    messages.push(...atNextStart(this.#config, config));
    messages.push(...(await this.#moveListeners(config, identities)));
    this.#identities = identities;
    this.#config = config;
    this.#tunnel.reload(config, identities.tunnel);
    this.#plane.updateTls(identities.tunnel);
    this.#log.setLevel(config.log.level);
    this.#cdr?.reopen();
    this.#input({ kind: 'configure', config });
    return messages;
  }

  async stop(): Promise<void> {
    // What closes below still tells: nothing may start a timer again, or the process would not end.
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#sip.stop();
    await this.#h323.stop();
    await this.#tunnel.stop();
    await this.#plane.stop();
    await this.#cdr?.close();
  }

  /** Undefined: well; else what is not (for /healthz). */
  problem(): string | undefined {
    if (this.#draining) return 'draining';
    return this.#linksUp.size === 0 ? 'no tunnel is up' : undefined;
  }

  /** Text of the metrics page, gauges taken now. */
  async renderMetrics(): Promise<string> {
    const status = (await this.operator({
      command: 'status',
    })) as StatusView;
    const calls = (await this.operator({ command: 'calls' })) as readonly { state: string }[];
    const byState: Record<string, number> = {};
    for (const { state } of calls) byState[state] = (byState[state] ?? 0) + 1;
    this.metrics.setCalls(byState);
    this.metrics.forgetNeighbours();
    for (const tunnel of status.tunnels)
      this.metrics.setTunnel(tunnel.site, tunnel.state === 'up', tunnel.lanes);
    for (const peer of status.peers)
      if (peer.state !== 'unprobed') this.metrics.setPeer(peer.name, peer.state === 'up');
    for (const trunk of status.trunks) this.metrics.setTrunk(trunk.peer, trunk.registered);
    this.metrics.setRegistered(status.registrations);
    this.metrics.setMedia(this.#totals.totals());
    if (this.#cdr !== undefined) this.metrics.setCdr(this.#cdr.statistics);
    return (await this.metrics.render()).body;
  }

  #input(input: GatewayInput): void {
    if (this.#closed) return;
    try {
      this.#gateway.handle(input, monotonicNow());
    } catch (error) {
      // A defect of ours, met by one message: the other calls go on. Counted and logged with its place, not its data.
      this.metrics.count('sipRefused', 'defect');
      this.#logLimited('error', 'defect', {
        input: input.kind,
        stack: error instanceof Error ? (error.stack ?? '') : String(error),
      });
    }
    this.#drain();
  }

  /** Of what strangers can provoke. */
  #logLimited(level: 'warn' | 'error', event: string, fields: Record<string, string>): void {
    const suppressed = this.#logLimit.admit(event, monotonicNow());
    if (suppressed !== undefined)
      this.#log[level](event, suppressed === 0 ? fields : { ...fields, suppressed });
  }

  #drain(): void {
    for (let out = this.#gateway.poll(); out !== undefined; out = this.#gateway.poll()) this.#output(out);
    this.#arm();
  }

  /**
   * A timer that fires in time stays: set anew at each input, it would never fire while inputs come faster than it. One that
   * fires too early does no harm.
   */
  #arm(): void {
    const deadline = this.#gateway.deadline();
    if (this.#timer !== undefined) {
      if (deadline !== undefined && this.#timerAt <= Math.max(deadline, monotonicNow() + 1)) return;
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
    if (deadline === undefined) return;
    const now = monotonicNow();
    const wait = Math.min(2 ** 30, Math.max(1, Math.ceil(deadline - now)));
    this.#timerAt = now + wait;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#input({ kind: 'timeout' });
    }, wait);
  }

  #output(out: GatewayOutput): void {
    switch (out.kind) {
      case 'sip':
        this.#sip.output(out.output);
        break;
      case 'h323':
        this.#h323.output(out.output);
        break;
      case 'tunnel':
        this.#tunnel.output(out.output);
        break;
      case 'plane':
        this.#plane.command(out.shard, out.command);
        break;
      case 'cdr':
        this.#cdr?.append(out.record);
        this.metrics.callRouted(out.record.route);
        for (const stream of out.record.streams) this.metrics.streamEnded(stream.quality);
        if (out.record.connectAt !== undefined) {
          this.metrics.callConnected((out.record.connectAt - out.record.setupAt) / 1000);
          this.metrics.callEnded(out.record.durationMs / 1000);
        }
        break;
      case 'log':
        this.#log[out.level](out.event, out.fields);
        break;
      case 'count':
        this.metrics.count(out.name, out.label);
        break;
      case 'operator-reply': {
        const waiting = this.#operatorWaits.get(out.request);
        this.#operatorWaits.delete(out.request);
        waiting?.(out.error === undefined ? { value: out.value } : { value: out.value, error: out.error });
        break;
      }
      case 'sip-message':
        this.metrics.sipMessage(out.direction, out.line);
        break;
      case 'h323-message':
        this.metrics.h323Message(out.direction, out.line);
        break;
      case 'round-trip':
        this.metrics.roundTrip(out.site, out.ms);
        break;
      case 'link':
        if (out.up) this.#linksUp.add(out.site);
        else this.#linksUp.delete(out.site);
        break;
      case 'stopped':
        this.#onStopped();
        break;
    }
  }

  #planeEvent(shard: number, event: PlaneEvent): void {
    if (event.kind === 'ready') this.#workerReady(event);
    if (event.kind === 'counters') {
      this.#totals.report(shard, event);
      this.metrics.mediaPaused(event.pausesMs ?? []);
    }
    if (event.kind === 'closed') this.#totals.closed(event.counters as StreamCounters);
    this.#input({ kind: 'plane', shard, event });
  }

  #workerReady({ shard, buffers }: Extract<PlaneEvent, { kind: 'ready' }>): void {
    if (buffers === undefined) return;
    this.metrics.setBuffers(buffers);
    const hint = sharesPorts(this.#config) ? bufferHint(buffers) : undefined;
    const { asked, receive, send } = buffers;
    if (hint === undefined) this.#log.info('media socket buffers', { shard, asked, receive, send });
    else this.#log.warn('media socket buffers', { shard, asked, receive, send, hint });
  }

  async #moveListeners(config: GatewayConfig, identities: Identities): Promise<readonly string[]> {
    const sip = await this.#sip.listen(config, identities);
    try {
      return [...sip.messages, ...(await this.#h323.listen(config.h323))];
    } catch (error) {
      await sip.undo();
      throw error;
    }
  }
}

/** What a running gateway keeps, whatever the new configuration says. */
function atNextStart(before: GatewayConfig, after: GatewayConfig): string[] {
  const messages: string[] = [];
  for (const [what, was, is] of [
    [
      'tunnel addresses',
      [before.tunnel.signalling, before.tunnel.media],
      [after.tunnel.signalling, after.tunnel.media],
    ],
    [
      'media.workers and media.implementation',
      [before.media.workers, before.media.implementation],
      [after.media.workers, after.media.implementation],
    ],
    ['media.pools', before.media.pools, after.media.pools],
    ['operator', before.operator, after.operator],
    ['cdr.file', before.cdr.file, after.cdr.file],
  ] as const) {
    if (JSON.stringify(was) !== JSON.stringify(is)) messages.push(`${what}: takes effect at the next start`);
  }
  return messages;
}

function ignore(): void {}
