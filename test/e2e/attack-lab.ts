/**
 * A real pair of gateways on loopback for the attack tests: GW2 with UDP, TCP and TLS listeners, GW1 behind it with a PBX
 * (tools/sip-agent.ts), a second PBX that records what arrives as bytes (attack-pbx.ts), and an honest phone. Attackers
 * sit on 127.0.0.x with x above 9.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CallView, StatusView } from '../../src/gateway/contract.ts';
import { operatorRequest } from '../../src/net/unix-socket.ts';
import { compareRepeated, render, tune } from '../../tools/melody.ts';
import { type AgentCall, type Behaviour, SipAgent } from '../../tools/sip-agent.ts';
import { RecordingPbx } from './attack-pbx.ts';
import { initFolder } from './init-folder.ts';
import { ATTACK_WINDOWS, claimWindow } from './port-window.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');
const launcher = join(root, 'bin/voip-sgw.js');

/** VOIP_SGW_FULL=1: floods and generated sets at full length. */
export const FULL = process.env['VOIP_SGW_FULL'] === '1';
/** Reference messages beside the repository, where present. */
export const TORTURE = new URL('../../../../shared/sip/', import.meta.url);

export const GATEWAY = '127.0.0.1';
/** Where the PBX that records is, seen from GW1. */
export const INSIDE = '127.0.0.2';
/** Calls to this number reach the recording PBX. */
export const INSIDE_NUMBER = '299';
/** A provider on the Internet side that records too; GW2 has credentials for it. Calls from inside to this number go there. */
export const PROVIDER = '127.0.0.3';
export const PROVIDER_NUMBER = '0800';
export const PROVIDER_REALM = 'provider.example';
/** A phone as behind NAT: its peer has `symmetric: latch`. */
export const NAT_PHONE = '127.0.0.5';
export const OWN_NUMBER = '4930100';
export const ACCOUNT = { username: 'alice', password: 'correct horse battery', number: '4930101' };
export const DOMAIN = 'example.com';

const RTP_PORTS = ATTACK_WINDOWS.width / 2;

export const SOUND = render(tune(11));
export const PBX_SOUND = render(tune(12));

export interface LabOptions {
  /** A peer for everybody with digest, as remote users have it. Otherwise only the trunk's address is known. */
  readonly remoteUsers?: boolean;
  readonly symmetric?: 'signalled' | 'latch';
  readonly maxCallsPerSecond?: number;
  readonly maxCallsPerSecondPerSource?: number;
  /** A second honest phone, at NAT_PHONE, whose media source GW2 learns. */
  readonly latch?: boolean;
  /** More lines for GW2's peer `internet`. */
  readonly trunk?: string;
}

export interface Ports {
  readonly sip: number;
  readonly tls: number;
  readonly phone: number;
  readonly pbx: number;
  readonly inside: number;
  readonly provider: number;
  readonly gw1: number;
  readonly rtp: number;
  readonly signalling: number;
  readonly media: number;
}

export class Lab {
  readonly ports: Ports;
  readonly folder: string;
  readonly phone: SipAgent;
  readonly pbx: SipAgent;
  readonly inside: RecordingPbx;
  readonly provider: RecordingPbx;
  readonly #gateways: readonly GatewayChild[];
  #releasePorts: () => void = () => undefined;

  private constructor(
    ports: Ports,
    folder: string,
    ends: Awaited<ReturnType<typeof startEnds>>,
    gateways: readonly GatewayChild[],
  ) {
    this.ports = ports;
    this.folder = folder;
    this.phone = ends.phone;
    this.pbx = ends.pbx;
    this.inside = ends.inside;
    this.provider = ends.provider;
    this.#gateways = gateways;
  }

  /** Twice where need be: a free port may be somebody else's a moment later, a busy machine may be too slow. */
  static start(options: LabOptions = {}): Promise<Lab> {
    return Lab.#start(options).catch(() => Lab.#start(options));
  }

  static async #start(options: LabOptions): Promise<Lab> {
    const folder = mkdtempSync(join(tmpdir(), 'voip-sgw-attack-'));
    chmodSync(folder, 0o700);
    const started: { stop(): unknown }[] = [];
    try {
      const window = await claimWindow(ATTACK_WINDOWS);
      started.push({ stop: window.release });
      const ports = await freePorts(window.first);
      await initFolder(launcher, folder);
      writeConfigs(folder, ports, options);
      const gateways = [
        new GatewayChild('termination', join(folder, 'gw2.yaml')),
        new GatewayChild('relay', join(folder, 'gw1.yaml')),
      ];
      started.push(...gateways);
      const ends = await startEnds(ports);
      started.push(ends.phone, ends.pbx, ends.inside, ends.provider);
      const lab = new Lab(ports, folder, ends, gateways);
      lab.#releasePorts = window.release;
      await lab.#waitForTunnel();
      return lab;
    } catch (error) {
      for (const item of started) await item.stop();
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  async stop(): Promise<void> {
    this.phone.stop();
    this.pbx.stop();
    this.inside.stop();
    this.provider.stop();
    await Promise.all(this.#gateways.map((g) => g.stop()));
    this.#releasePorts();
    rmSync(this.folder, { recursive: true, force: true });
  }

  get gw2(): GatewayChild {
    return this.#gateways[0]!;
  }

  get gw1(): GatewayChild {
    return this.#gateways[1]!;
  }

  /** A gateway that died is every test's failure. */
  ensureAlive(): void {
    for (const gateway of this.#gateways) gateway.ensureAlive();
  }

  status(which: 'gw2' | 'gw1' = 'gw2'): Promise<StatusView> {
    return this.#ask<StatusView>(which, 'status');
  }

  calls(which: 'gw2' | 'gw1' = 'gw2'): Promise<readonly CallView[]> {
    return this.#ask<readonly CallView[]>(which, 'calls');
  }

  /** How often GW2 has counted `reason` among the SIP messages it refused. */
  async refused(reason: string): Promise<number> {
    return (await this.status()).counters['sipRefused']?.[reason] ?? 0;
  }

  /** Resident memory of a gateway's processes together, MB. */
  memory(which: 'gw2' | 'gw1' = 'gw2'): number {
    return residentMb(which === 'gw2' ? this.gw2.pid : this.gw1.pid);
  }

  /** A call of the honest phone to the PBX, which echoes nothing and plays its own tune. */
  async verifiedCall(phone = this.phone, number = '601'): Promise<VerifiedCall> {
    const taken = this.pbx.taken.length;
    const here = await phone.call(number, SOUND);
    if (here.state !== 'connected') throw new Error(`the honest call failed: ${here.endStatus}`);
    return new VerifiedCall(phone, here, this.pbx.taken[taken]!);
  }

  /** Another honest phone, known by address like the first one. */
  secondPhone(ip: string): Promise<SipAgent> {
    const { phone, sip } = this.ports;
    return SipAgent.start({ name: '4930901821', ip, port: phone, peer: { ip: GATEWAY, port: sip } });
  }

  async #ask<T>(which: 'gw2' | 'gw1', command: 'status' | 'calls'): Promise<T> {
    return (await operatorRequest(join(this.folder, `${which}.sock`), { command })) as T;
  }

  async #waitForTunnel(): Promise<void> {
    const until = Date.now() + 30_000;
    for (;;) {
      this.ensureAlive();
      const tunnel = (await this.status().catch(() => undefined))?.tunnels[0];
      if (tunnel?.state === 'up' && tunnel.lanes > 0) return;
      if (Date.now() > until) throw new Error(`no tunnel:\n${this.gw2.output}\n${this.gw1.output}`);
      await sleep(100);
    }
  }
}

/** A call in progress whose sound is compared at both ends. */
export class VerifiedCall {
  readonly here: AgentCall;
  readonly there: AgentCall;
  readonly #phone: SipAgent;

  constructor(phone: SipAgent, here: AgentCall, there: AgentCall) {
    this.#phone = phone;
    this.here = here;
    this.there = there;
  }

  /**
   * Share of the worse direction's sound found at the far end, 0..1. On a busy machine the agents themselves skip frames, which
   * tells nothing of the gateways: `loss` is what to be strict with.
   */
  match(): number {
    const to = compareRepeated(SOUND, this.there.line.heard()).match;
    const from = compareRepeated(PBX_SOUND, this.here.line.heard()).match;
    return Math.min(to, from);
  }

  /** Share of the packets of the worse direction that never came. */
  loss(): number {
    return Math.max(lossOf(this.here), lossOf(this.there));
  }

  hangUp(): Promise<void> {
    return this.#phone.hangUp(this.here);
  }
}

function lossOf(call: AgentCall): number {
  const { lost, received } = call.statistics();
  return received === 0 ? 1 : lost / (lost + received);
}

class GatewayChild {
  readonly #child: ChildProcess;
  readonly #role: string;
  output = '';

  constructor(role: 'termination' | 'relay', config: string) {
    this.#role = role;
    this.#child = spawn(process.execPath, [launcher, role, '--config', config], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const keep = (chunk: Buffer): void => {
      this.output = (this.output + chunk.toString()).slice(-200_000);
    };
    this.#child.stdout?.on('data', keep);
    this.#child.stderr?.on('data', keep);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  ensureAlive(): void {
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null)
      throw new Error(`the ${this.#role} gateway ended (${exitCode ?? signalCode}):\n${this.output}`);
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 3000);
    await ended;
    clearTimeout(timer);
  }
}

async function startEnds(ports: Ports) {
  const gw2 = { ip: GATEWAY, port: ports.sip };
  const gw1 = { ip: GATEWAY, port: ports.gw1 };
  const plan =
    (sound: Int16Array) =>
    (number: string): Behaviour => {
      if (number.endsWith('601')) return { kind: 'play', sound };
      if (number.endsWith('602')) return { kind: 'early', sound, ms: 1500 };
      if (number.endsWith('600')) return { kind: 'echo' };
      if (number.endsWith('603')) return { kind: 'reject', status: 486 };
      return { kind: 'reject', status: 404 };
    };
  const phone = await SipAgent.start({
    name: '4930901820',
    ip: GATEWAY,
    port: ports.phone,
    peer: gw2,
    dialPlan: plan(SOUND),
  });
  const pbx = await SipAgent.start({
    name: '200',
    ip: GATEWAY,
    port: ports.pbx,
    peer: gw1,
    dialPlan: plan(PBX_SOUND),
  });
  const inside = await RecordingPbx.start({ ip: INSIDE, port: ports.inside });
  const provider = await RecordingPbx.start({ ip: PROVIDER, port: ports.provider });
  return { phone, pbx, inside, provider };
}

function writeConfigs(folder: string, ports: Ports, options: LabOptions): void {
  const rate = options.maxCallsPerSecond ?? 20;
  const tunnel = (name: string): string[] => [
    'tunnel:',
    `  signalling: "${GATEWAY}:${ports.signalling}"`,
    `  media: "${GATEWAY}:${ports.media}"`,
    `  certificate: pki/${name}.crt`,
    `  key: pki/${name}.key`,
    '  ca: pki/ca.crt',
  ];
  const common = (name: string, first: number): string[] => [
    'media:',
    `  pools: [{ ip: "${GATEWAY}", ports: [${first}, ${first + RTP_PORTS - 1}] }]`,
    `  symmetric: ${options.symmetric ?? 'signalled'}`,
    'operator:',
    `  socket: ${name}.sock`,
    'log: { level: info }',
    `limits: { maxCalls: 200, maxCallsPerSecond: ${rate}, maxCallsPerSecondPerSource: ${options.maxCallsPerSecondPerSource ?? rate} }`,
  ];
  const everybody =
    options.remoteUsers === true
      ? [
          '  - { name: remote, host: "", sources: ["0.0.0.0/0"], authenticate: digest, probeSeconds: 0, mediaNetworks: ["127.0.0.0/8"] }',
        ]
      : [];
  write(folder, 'gw2.yaml', [
    'role: termination',
    'name: gw2',
    ...tunnel('gw2'),
    '  sites: [{ name: gw1, maxCalls: 500, maxCallsPerSecond: 1000 }]',
    'sip:',
    `  domain: ${DOMAIN}`,
    '  listeners:',
    `    - { name: udp, transport: udp, address: "${GATEWAY}:${ports.sip}" }`,
    `    - { name: tcp, transport: tcp, address: "${GATEWAY}:${ports.sip}" }`,
    `    - { name: tls, transport: tls, address: "${GATEWAY}:${ports.tls}", certificate: pki/gw2-sip.crt, key: pki/gw2-sip.key }`,
    'peers:',
    `  - { name: internet, host: "${GATEWAY}", port: ${ports.phone}, transport: udp, probeSeconds: 0${options.trunk ?? ''} }`,
    `  - { name: provider, host: "${PROVIDER}", port: ${ports.provider}, transport: udp, probeSeconds: 0, credentials: { username: trunk, password: "secret of the trunk", realm: "${PROVIDER_REALM}" } }`,
    ...(options.latch === true
      ? [
          `  - { name: nat, host: "${NAT_PHONE}", port: ${ports.phone}, transport: udp, probeSeconds: 0, symmetric: latch }`,
        ]
      : []),
    ...everybody,
    'routes:',
    '  - { name: to-intranet, from: peers, match: "*", to: "tunnel:gw1" }',
    ...(options.remoteUsers === true
      ? [`  - { name: users, from: tunnel, match: "49301XX", to: registered }`]
      : []),
    `  - { name: to-provider, from: tunnel, match: "${PROVIDER_NUMBER}", to: "peer:provider" }`,
    '  - { name: to-internet, from: tunnel, match: "*", to: "peer:internet" }',
    `ownNumbers: ["${OWN_NUMBER}", "${ACCOUNT.number}", "2XX"]`,
    ...common('gw2', ports.rtp),
  ]);
  write(folder, 'gw1.yaml', [
    'role: relay',
    'name: gw1',
    ...tunnel('gw1'),
    '  peerName: gw2',
    'sip:',
    `  listeners: [{ name: udp, transport: udp, address: "${GATEWAY}:${ports.gw1}" }]`,
    'peers:',
    `  - { name: pbx, host: "${GATEWAY}", port: ${ports.pbx}, transport: udp, trusted: true, probeSeconds: 0 }`,
    `  - { name: inside, host: "${INSIDE}", port: ${ports.inside}, transport: udp, trusted: true, probeSeconds: 0 }`,
    'accounts:',
    `  - { username: ${ACCOUNT.username}, password: "${ACCOUNT.password}", number: "${ACCOUNT.number}" }`,
    '  - { username: bob, password: "battery staple 99", number: "4930102" }',
    'routes:',
    `  - { name: to-inside, from: tunnel, match: "${INSIDE_NUMBER}", to: "peer:inside" }`,
    '  - { name: to-pbx, from: tunnel, match: "6XX", to: "peer:pbx" }',
    '  - { name: to-internet, from: peers, match: "*", to: tunnel }',
    ...common('gw1', ports.rtp + RTP_PORTS),
  ]);
}

function write(folder: string, file: string, lines: readonly string[]): void {
  writeFileSync(join(folder, file), `${lines.join('\n')}\n`, { mode: 0o600 });
}

/** Resident set of a process and its children, MB. */
export function residentMb(pid: number): number {
  let total = 0;
  const visit = (id: number): void => {
    try {
      total += Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${id}/status`, 'utf8'))?.[1] ?? 0) / 1024;
      const children = readFileSync(`/proc/${id}/task/${id}/children`, 'utf8').trim();
      for (const child of children.split(' ').filter((c) => c !== '')) visit(Number(child));
    } catch {
      // gone meanwhile
    }
  };
  visit(pid);
  return total;
}

export const HAS_PROC = existsSync('/proc/self/status');

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits until `holds` or the time is over; tells which. */
export async function until(holds: () => boolean, ms = 3000): Promise<boolean> {
  const end = Date.now() + ms;
  while (!holds()) {
    if (Date.now() > end) return false;
    await sleep(10);
  }
  return true;
}

/** `rtp`: first of the media ports, RTP_PORTS for each gateway. */
async function freePorts(rtp: number): Promise<Ports> {
  return {
    sip: await freeTcp(),
    tls: await freeTcp(),
    signalling: await freeTcp(),
    media: await freeTcp(),
    gw1: await freeUdp(GATEWAY),
    phone: await freeUdp(GATEWAY),
    pbx: await freeUdp(GATEWAY),
    inside: await freeUdp(INSIDE),
    provider: await freeUdp(PROVIDER),
    rtp,
  };
}

/** Free for UDP too: the same number is used for both. */
async function freeTcp(): Promise<number> {
  for (;;) {
    const port = await new Promise<number>((resolve, reject) => {
      const server = createServer();
      server.once('error', reject);
      server.listen(0, GATEWAY, () => {
        const { port } = server.address() as { port: number };
        server.close(() => resolve(port));
      });
    });
    if (await freeUdp(GATEWAY, port).then(Boolean, () => false)) return port;
  }
}

function freeUdp(ip: string, port = 0): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    socket.once('error', reject);
    socket.bind(port, ip, () => {
      const bound = socket.address().port;
      socket.close(() => resolve(bound));
    });
  });
}
