/** Both gateways' media planes on this machine's loopback, one worker each, as the media bench measures them. */
import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:net';
import { type PlaneEvent, REFUSALS, type StreamCounters } from '../../src/media/plane-contract.ts';
import { PlaneSupervisor } from '../../src/plane/supervisor.ts';
import { createAuthority, issueCertificate } from '../../src/store/pki.ts';
import { BENCH_SESSION, voiceLeg } from '../../test/lab/planes/voice-leg.ts';
import { PHONE_A, PHONE_B, phonePorts, type Relay, type Route } from '../media-route.ts';

const GW1 = '127.77.0.1';
const GW2 = '127.77.0.2';
const FIRST_PORT = 20_000;

export interface LoopbackOptions {
  readonly calls: number;
  readonly lanes: number;
  readonly implementation: 'auto' | 'koffi' | 'dgram';
  /** All legs of a side on one pair of ports. */
  readonly shared: boolean;
}

export class LoopbackPair {
  readonly #gw1 = new PlaneSupervisor();
  readonly #gw2 = new PlaneSupervisor();
  readonly #say: (text: string) => void;
  readonly #refused = new Map<string, number>();
  #server: Server | undefined;
  #opened = 0;
  #lanes = 0;
  #failed: string | undefined;
  readonly #pausesMs: number[] = [];

  constructor(say: (text: string) => void) {
    this.#say = say;
  }

  /** Resolves when all lanes and calls are up. */
  async start(options: LoopbackOptions): Promise<Relay> {
    const { calls, lanes, implementation } = options;
    const authority = await createAuthority('bench');
    const tls = async (use: 'relay' | 'termination', name: string) => {
      const made = await issueCertificate(authority, { use, dnsNames: [name] });
      return { certificate: made.certificate, key: made.key, ca: authority.certificate };
    };
    this.#gw1.onEvent = (_shard, event) => this.#event(event);
    this.#gw2.onEvent = (_shard, event) => this.#event(event);
    await this.#gw1.start({ workers: 1, implementation, tls: await tls('relay', 'gw1.example') });
    await this.#gw2.start({ workers: 1, implementation, tls: await tls('termination', 'gw2.example') });
    this.#server = createServer({ pauseOnConnect: true }, (socket) => this.#gw2.acceptLane(socket));
    await new Promise<void>((resolve) => this.#server?.listen(0, GW2, resolve));
    const { port } = this.#server.address() as { port: number };
    await this.#connect(port, lanes);
    // As gateways have it: counters once per second.
    for (const plane of [this.#gw1, this.#gw2]) plane.command(0, { kind: 'report', every: 1000 });
    const routes = this.#open(options);
    await this.#until(() => this.#opened === 2 * calls);
    const pids = [...this.#gw1.pids(), ...this.#gw2.pids()];
    const takePauses = () => this.#pausesMs.splice(0);
    return { aIp: GW2, bIp: GW1, routes, pids, takePauses, stop: () => this.stop() };
  }

  async stop(): Promise<void> {
    await Promise.all([this.#gw1.stop(), this.#gw2.stop()]);
    this.#server?.close();
    this.#say(`  refused: ${JSON.stringify(Object.fromEntries(this.#refused))}`);
  }

  #event(event: PlaneEvent): void {
    if (event.kind === 'opened') this.#opened++;
    if (event.kind === 'lane-up') this.#lanes++;
    if (event.kind === 'ready') this.#say(`  worker: ${event.implementation}, lanes by ${event.lanes}`);
    if (event.kind === 'counters') this.#pausesMs.push(...(event.pausesMs ?? []));
    if (event.kind === 'closed') this.#count(event.counters);
    if (event.kind === 'open-failed') this.#failed = event.reason;
  }

  /** Why packets were lost, where they were: the pair knows. */
  #count(counters: StreamCounters): void {
    const add = (name: string, by: number): void => {
      if (by > 0) this.#refused.set(name, (this.#refused.get(name) ?? 0) + by);
    };
    counters.refused.forEach((by, i) => {
      add(REFUSALS[i] ?? '?', by);
    });
    add('lost before the gateway', counters.lostIn);
    add('lost in the tunnel', counters.framesLost);
  }

  async #connect(port: number, lanes: number): Promise<void> {
    const common = {
      kind: 'session',
      session: BENCH_SESSION,
      key: randomBytes(32).toString('hex'),
      limits: { maxLanes: lanes, maxStreams: 4000, maxBytesPerSecond: 1e9 },
    } as const;
    this.#gw2.command(0, { ...common, peerName: 'gw1.example' });
    const dial = { remote: { ip: GW2, port }, serverName: 'gw2.example', lanes, shard: 0 };
    this.#gw1.command(0, { ...common, peerName: 'gw2.example', dial });
    await this.#until(() => this.#lanes === 2 * lanes);
  }

  #open({ calls, shared }: LoopbackOptions): Route[] {
    return Array.from({ length: calls }, (_, i) => {
      const phones = phonePorts(i);
      const port = shared ? FIRST_PORT : FIRST_PORT + 2 * i;
      const a = voiceLeg(i + 1, { ip: GW2, port, shared }, { ip: PHONE_A, port: phones.aPort });
      const b = voiceLeg(i + 1, { ip: GW1, port, shared }, { ip: PHONE_B, port: phones.bPort });
      this.#gw2.command(0, { kind: 'open', leg: a });
      this.#gw1.command(0, { kind: 'open', leg: b });
      return { ...phones, aTarget: port, bTarget: port };
    });
  }

  async #until(check: () => boolean): Promise<void> {
    const end = Date.now() + 10_000;
    while (!check()) {
      if (this.#failed !== undefined) throw new Error(this.#failed);
      if (Date.now() > end) throw new Error('the pair did not get ready');
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}
