/** A real pair of gateways on loopback, built launcher and all, with a phone outside and a PBX inside. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { CallView, StatusView } from '../../src/gateway/contract.ts';
import { operatorRequest } from '../../src/net/unix-socket.ts';
import { DEMO_IP, type DemoPorts, writeDemoConfigs } from '../../tools/demo-config.ts';
import { render, tune } from '../../tools/melody.ts';
import { type AgentCall, type Behaviour, SipAgent } from '../../tools/sip-agent.ts';
import { initFolder } from './init-folder.ts';
import { claimWindow, PAIR_WINDOWS } from './port-window.ts';

export const launcher = join(dirname(fileURLToPath(import.meta.url)), '../../../bin/voip-sgw.js');
const execute = promisify(execFile);

export const PHONE_SOUND = render(tune(31));
export const PBX_SOUND = render(tune(32));
export const PHONE_NUMBER = '4930901820';

export type Name = 'gw2' | 'gw1';

export interface PairOptions {
  readonly implementation?: 'koffi' | 'dgram' | 'auto';
  /** Changes to a configuration's text before it is written. */
  readonly edit?: (name: Name, text: string, ports: DemoPorts) => string;
  /** Before anything is started. */
  readonly onPorts?: (ports: DemoPorts) => Promise<void>;
  readonly logLevel?: string;
  /** Not started: somebody else plays this gateway. */
  readonly without?: Name;
}

export class Pair {
  readonly folder: string;
  readonly ports: DemoPorts;
  readonly metrics: Readonly<Record<Name, number>>;
  readonly gateways = new Map<Name, GatewayChild>();
  phone!: SipAgent;
  pbx!: SipAgent;

  private constructor(folder: string, ports: DemoPorts, metrics: Record<Name, number>) {
    this.folder = folder;
    this.ports = ports;
    this.metrics = metrics;
  }

  #releasePorts = (): void => undefined;

  static async start(options: PairOptions = {}): Promise<Pair> {
    const folder = mkdtempSync(join(tmpdir(), 'voip-sgw-e2e-'));
    chmodSync(folder, 0o700);
    const window = await claimWindow(PAIR_WINDOWS);
    const { ports, metrics } = await freePorts(window.first);
    const pair = new Pair(folder, ports, metrics);
    pair.#releasePorts = window.release;
    try {
      await initFolder(launcher, folder);
      writeDemoConfigs(
        folder,
        ports,
        (file, text) => {
          const name = file.endsWith('demo-relay.yaml') ? 'gw1' : 'gw2';
          const full = text.replace(
            /^ {2}socket: .*$/m,
            (line) => `${line}\n  metrics: "${DEMO_IP}:${metrics[name]}"`,
          );
          writeFileSync(file, options.edit?.(name, full, ports) ?? full, { mode: 0o600 });
        },
        { implementation: options.implementation ?? 'auto', logLevel: options.logLevel ?? 'info' },
      );
      await options.onPorts?.(ports);
      await pair.#startPeers();
      for (const name of ['gw2', 'gw1'] as const) if (options.without !== name) pair.spawn(name);
      if (options.without === undefined) await pair.tunnelUp();
      return pair;
    } catch (error) {
      await pair.stop();
      throw error;
    }
  }

  config(name: Name): string {
    return join(this.folder, name === 'gw2' ? 'demo-termination.yaml' : 'demo-relay.yaml');
  }

  spawn(name: Name): GatewayChild {
    const gateway = new GatewayChild(name === 'gw2' ? 'termination' : 'relay', this.config(name));
    this.gateways.set(name, gateway);
    return gateway;
  }

  get gw2(): GatewayChild {
    return this.gateways.get('gw2')!;
  }

  get gw1(): GatewayChild {
    return this.gateways.get('gw1')!;
  }

  async stop(): Promise<void> {
    this.phone?.stop();
    this.pbx?.stop();
    await Promise.all([...this.gateways.values()].map((g) => g.kill()));
    this.#releasePorts();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async ask<T>(name: Name, command: object): Promise<T> {
    return (await operatorRequest(join(this.folder, `${name}.sock`), command)) as T;
  }

  status(name: Name): Promise<StatusView> {
    return this.ask(name, { command: 'status' });
  }

  calls(name: Name): Promise<readonly CallView[]> {
    return this.ask(name, { command: 'calls' });
  }

  async counted(name: Name, family: string, reason: string): Promise<number> {
    return (await this.status(name)).counters[family]?.[reason] ?? 0;
  }

  /** The command as an operator types it. */
  async cli(name: Name, ...args: string[]): Promise<string> {
    const { stdout } = await execute(process.execPath, [launcher, ...args, '--config', this.config(name)]);
    return stdout;
  }

  async tunnelUp(ms = 60_000): Promise<void> {
    await eventually(
      async () => {
        for (const gateway of this.gateways.values()) gateway.ensureAlive();
        for (const name of ['gw2', 'gw1'] as const) {
          const tunnel = (await this.status(name).catch(() => undefined))?.tunnels[0];
          if (tunnel?.state !== 'up' || tunnel.lanes === 0) return false;
        }
        return true;
      },
      ms,
      () => `the tunnel is not up:\n${this.gw2?.log}\n${this.gw1?.log}`,
    );
  }

  records(name: Name): Record<string, unknown>[] {
    const file = join(this.folder, `${name}.cdr.jsonl`);
    if (!existsSync(file)) return [];
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** A call of the phone to the PBX, both playing their tunes. */
  async call(from: 'phone' | 'pbx' = 'phone', number = '601'): Promise<SoundingCall> {
    const to = from === 'phone' ? this.pbx : this.phone;
    const sound = from === 'phone' ? PHONE_SOUND : PBX_SOUND;
    let here = await this[from].call(number, sound);
    // A machine with too much to do may lose the tunnel for a moment: 503 with Retry-After is an invitation.
    for (let i = 0; i < 5 && here.endStatus === 503; i++) {
      await sleep(2000);
      here = await this[from].call(number, sound);
    }
    if (here.state !== 'connected') throw new Error(`the call to ${number} failed: ${here.endStatus}`);
    const there = to.taken.at(-1)!;
    return new SoundingCall(from === 'phone' ? here : there, from === 'phone' ? there : here, () =>
      this[from].hangUp(here),
    );
  }

  async #startPeers(): Promise<void> {
    const plan =
      (sound: Int16Array) =>
      (number: string): Behaviour =>
        number.endsWith('601') ? { kind: 'play', sound } : { kind: 'reject', status: 404 };
    const { phoneSip, pbxSip, gw2Sip, gw1Sip } = this.ports;
    this.phone = await SipAgent.start({
      name: PHONE_NUMBER,
      ip: DEMO_IP,
      port: phoneSip,
      peer: { ip: DEMO_IP, port: gw2Sip },
      dialPlan: plan(PHONE_SOUND),
    });
    this.pbx = await SipAgent.start({
      name: '200',
      ip: DEMO_IP,
      port: pbxSip,
      peer: { ip: DEMO_IP, port: gw1Sip },
      dialPlan: plan(PBX_SOUND),
    });
  }
}

export class SoundingCall {
  readonly phone: AgentCall;
  readonly pbx: AgentCall;
  readonly hangUp: () => Promise<void>;

  constructor(phone: AgentCall, pbx: AgentCall, hangUp: () => Promise<void>) {
    this.phone = phone;
    this.pbx = pbx;
    this.hangUp = hangUp;
  }

  /** How well the next 1.5 s of sound, which must come within `ms`, is what was sent: 0..1, of the worse direction. */
  async matchNow(ms = 4000): Promise<number> {
    const calls = [this.phone, this.pbx];
    const starts = calls.map((c) => c.line.heard().length);
    const parts = (): Int16Array[] => calls.map((c, i) => c.line.heard().subarray(starts[i]));
    const heard = (): Promise<boolean> => Promise.resolve(parts().every((p) => p.length >= 12_000));
    await eventually(heard, ms, () => `heard only ${parts().map((p) => p.length / 8)} ms of sound`);
    const [phone, pbx] = parts();
    return Math.min(phraseMatch(PBX_SOUND, phone!), phraseMatch(PHONE_SOUND, pbx!));
  }

  /** Resolves with the milliseconds until packets arrive again at both ends. */
  async resumed(within: number): Promise<number> {
    const start = Date.now();
    const lines = [this.phone.line, this.pbx.line];
    const before = lines.map((l) => l.statistics.received);
    await eventually(
      () => Promise.resolve(lines.every((l, i) => l.statistics.received >= before[i]! + 5)),
      within,
      () => `no sound after ${within} ms`,
    );
    return Date.now() - start;
  }

  get alive(): boolean {
    return this.phone.state === 'connected' && this.pbx.state === 'connected';
  }
}

/** How well a stretch of `heard` is some stretch of the repeated `sent`: the best correlation of all places, 0..1. */
function phraseMatch(sent: Int16Array, heard: Int16Array): number {
  const [skip, step, length] = [800, 7, 10_000]; // every seventh sample: enough, and no multiple of a pitch
  let best = 0;
  for (let offset = 0; offset < sent.length; offset++) {
    let [dot, a, b] = [0, 0, 0];
    for (let i = 0; i < length; i += step) {
      const x = sent[(offset + i) % sent.length]!;
      const y = heard[skip + i] ?? 0;
      dot += x * y;
      a += x * x;
      b += y * y;
    }
    if (a > 0 && b > 0) best = Math.max(best, dot / Math.sqrt(a * b));
  }
  return best;
}

export class GatewayChild {
  readonly child: ChildProcess;
  readonly role: string;
  log = '';

  constructor(role: 'termination' | 'relay', config: string) {
    this.role = role;
    this.child = spawn(process.execPath, [launcher, role, '--config', config], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const keep = (chunk: Buffer): void => {
      this.log = (this.log + chunk.toString()).slice(-500_000);
    };
    this.child.stdout?.on('data', keep);
    this.child.stderr?.on('data', keep);
  }

  get pid(): number {
    return this.child.pid!;
  }

  get ended(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  ensureAlive(): void {
    if (this.ended) throw new Error(`the ${this.role} gateway ended (${this.child.exitCode}):\n${this.log}`);
  }

  /** Process ids of its media workers. */
  workers(): number[] {
    const children = readFileSync(`/proc/${this.pid}/task/${this.pid}/children`, 'utf8').trim();
    return children === '' ? [] : children.split(' ').map(Number);
  }

  async exit(ms: number): Promise<number | null> {
    await eventually(
      () => Promise.resolve(this.ended),
      ms,
      () => `${this.role} does not end:\n${this.log}`,
    );
    return this.child.exitCode;
  }

  /** As a crash: no goodbye. */
  async kill(): Promise<void> {
    if (this.ended) return;
    const gone = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGKILL');
    await gone;
  }
}

export const HAS_PROC = existsSync(`/proc/self/task/${process.pid}/children`);

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export async function eventually(
  holds: () => Promise<boolean>,
  ms: number,
  problem: () => string,
): Promise<void> {
  const end = Date.now() + ms;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(problem());
    await sleep(50);
  }
}

/** Below the system's own range: a port it has just given back may be anybody's a moment later. */
async function freePort(bind: (port: number) => Promise<void>): Promise<number> {
  for (let tries = 0; ; tries++) {
    const port = randomInt(7000, 9700); // not among the media ports of anybody (port-window.ts)
    try {
      await bind(port);
      return port;
    } catch (error) {
      if (tries > 50) throw error;
    }
  }
}

export async function freeTcp(): Promise<number> {
  return freePort(bindTcp);
}

function bindTcp(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, DEMO_IP, () => server.close(() => resolve()));
  });
}

function bindUdp(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    socket.once('error', reject);
    socket.bind(port, DEMO_IP, () => socket.close(() => resolve()));
  });
}

/** `rtp`: first of the window's ports; a gateway's 200 media ports, then 200 for what else listens, the same for the other gateway. */
async function freePorts(rtp: number): Promise<{ ports: DemoPorts; metrics: Record<Name, number> }> {
  let next = rtp + 200 + randomInt(150);
  // One after the other, and nobody else's: of two that asked for any free port, both could be given the same one.
  const free = async (bind: (port: number) => Promise<void>): Promise<number> => {
    while (next < rtp + 400) {
      const port = next++;
      const taken = await bind(port).then(
        () => false,
        () => true,
      );
      if (!taken) return port;
    }
    throw new Error(`no free port from ${rtp + 200} on`);
  };
  const ports = {
    signalling: await free(bindTcp),
    media: await free(bindTcp),
    gw2Sip: await free(bindUdp),
    gw1Sip: await free(bindUdp),
    phoneSip: await free(bindUdp),
    pbxSip: await free(bindUdp),
    gw2Rtp: rtp,
    gw1Rtp: rtp + 400,
  };
  return { ports, metrics: { gw2: await free(bindTcp), gw1: await free(bindTcp) } };
}
