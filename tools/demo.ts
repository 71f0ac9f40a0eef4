/**
 * npm run demo: both gateways as real processes with fresh certificates, a small PBX behind GW1 and an Internet phone in
 * front of GW2, a call in each direction with a tune, compared by content at the far end.
 *   --h323   the PBX behind GW1 speaks H.323
 *   --json   one object on the last line and nothing else    --stay   keep everything running for a softphone
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { REFUSALS } from '../src/media/plane-contract.ts';
import { DEMO_IP, type DemoPorts, writeDemoConfigs } from './demo-config.ts';
import { H323Agent } from './h323-agent.ts';
import { compareRepeated, render, tune } from './melody.ts';
import { type AgentCall, type Behaviour, SipAgent } from './sip-agent.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const launcher = join(root, 'bin/voip-sgw.js');
const run = promisify(execFile);
const args = new Set(process.argv.slice(2));
const json = args.has('--json');
const stay = args.has('--stay');
const h323 = args.has('--h323');

/** A phone or PBX of either protocol. */
type Agent = SipAgent | H323Agent;

const PBX_SOUND = render(tune(7));
const PHONE_SOUND = render(tune(21));

function say(text = ''): void {
  if (!json) process.stdout.write(`${text}\n`);
}

/** A gateway process of the demo; its log goes to a file shown when it fails. */
class GatewayProcess {
  readonly child: ChildProcess;
  readonly #name: string;
  output = '';

  constructor(role: 'termination' | 'relay', config: string) {
    this.#name = role;
    this.child = spawn(process.execPath, [launcher, role, '--config', config], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const keep = (chunk: Buffer): void => {
      this.output = (this.output + chunk.toString()).slice(-20_000);
    };
    this.child.stdout?.on('data', keep);
    this.child.stderr?.on('data', keep);
  }

  ensureAlive(): void {
    if (this.child.exitCode !== null)
      throw new Error(`the ${this.#name} gateway ended (${this.child.exitCode}):\n${this.output}`);
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 5000);
    await ended;
    clearTimeout(timer);
  }
}

async function freeTcpPort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

async function freeUdpPort(ip: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    socket.once('error', reject);
    socket.bind(0, ip, () => {
      const { port } = socket.address();
      socket.close(() => resolve(port));
    });
  });
}

async function ask<T>(config: string, ...command: string[]): Promise<T> {
  const { stdout } = await run(process.execPath, [launcher, ...command, '--config', config, '--json']);
  return JSON.parse(stdout) as T;
}

interface Status {
  readonly tunnels: readonly {
    readonly state: string;
    readonly lanes: number;
    readonly roundTripMs: number;
  }[];
}

async function waitForTunnel(config: string, gateways: readonly GatewayProcess[]): Promise<Status> {
  const until = Date.now() + 20_000;
  for (;;) {
    for (const gateway of gateways) gateway.ensureAlive();
    const status = await ask<Status>(config, 'status').catch(() => undefined);
    const tunnel = status?.tunnels[0];
    if (status !== undefined && tunnel?.state === 'up' && tunnel.lanes > 0) return status;
    if (Date.now() > until) {
      throw new Error(`the tunnel did not come up:\n${gateways.map((g) => g.output).join('\n')}`);
    }
    await sleep(150);
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

interface StreamView {
  readonly packetsIn: number;
  readonly packetsOut: number;
  readonly lostIn: number;
  readonly jitterInMs: number;
  readonly mosIn: number;
  readonly refused: readonly number[];
}
interface CallView {
  readonly call: string;
  readonly state: string;
  readonly codecs: readonly string[];
  readonly streams: readonly StreamView[];
}

interface Outcome {
  readonly title: string;
  readonly setupMs: number;
  readonly verified: boolean;
  readonly matches: readonly { readonly what: string; readonly match: number }[];
  /** Packets the gateways refused, by reason. */
  readonly refused: Readonly<Record<string, number>>;
  readonly mos: number;
}

interface Scene {
  readonly termination: string;
  readonly relay: string;
  readonly phone: Agent;
  readonly pbx: Agent;
}

const CALL_MS = 4500;
/** Share of the sent sound that must be found at the far end. */
const NEEDED = 0.95;

/** One call, heard on both ends; the ladder of both gateways and the quality are shown while it lasts. */
async function scene(title: string, from: Agent, number: string, to: Agent, s: Scene): Promise<Outcome> {
  say(`\n${title}`);
  const taken = to.taken.length;
  const call = await from.call(number, from === s.phone ? PHONE_SOUND : PBX_SOUND);
  if (call.state !== 'connected')
    throw new Error(`the call to ${number} failed (SIP status or Q.850 cause ${call.endStatus})`);
  say(`  connected after ${call.setupMs.toFixed(0)} ms`);
  const callee = to.taken[taken] as AgentCall;
  await sleep(CALL_MS / 2);
  await showQuality(s);
  await sleep(CALL_MS / 2);
  const [here, there] = await Promise.all([
    ask<CallView[]>(s.termination, 'calls'),
    ask<CallView[]>(s.relay, 'calls'),
  ]);
  const views = [...here, ...there];
  const id = here[0]?.call;
  const sentByCaller = from === s.phone ? PHONE_SOUND : PBX_SOUND;
  const sentByCallee = from === s.phone ? PBX_SOUND : PHONE_SOUND;
  const matches = [
    { what: 'caller to callee', match: compareRepeated(sentByCaller, callee.line.heard()).match },
    { what: 'callee to caller', match: compareRepeated(sentByCallee, call.line.heard()).match },
  ];
  await from.hangUp(call);
  await sleep(200);
  if (id !== undefined) await showLadder(s, id);
  for (const m of matches) say(`  sound ${m.what}: ${(100 * m.match).toFixed(1)} % found at the far end`);
  const streams = views.flatMap((v) => v.streams);
  return {
    title,
    setupMs: call.setupMs,
    verified: matches.every((m) => m.match >= NEEDED),
    matches,
    refused: refusedBy(streams),
    mos: Math.min(...streams.map((v) => v.mosIn).filter((m) => m > 0), 4.5),
  };
}

function refusedBy(streams: readonly StreamView[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const stream of streams) {
    stream.refused.forEach((count, slot) => {
      const reason = REFUSALS[slot] ?? 'other';
      if (count > 0) sum[reason] = (sum[reason] ?? 0) + count;
    });
  }
  return sum;
}

async function showQuality(s: Scene): Promise<void> {
  if (json) return;
  for (const [name, config] of [
    ['GW2 (Internet leg)', s.termination],
    ['GW1 (intranet leg)', s.relay],
  ] as const) {
    for (const view of await ask<CallView[]>(config, 'calls')) {
      for (const stream of view.streams) {
        say(
          `  ${name.padEnd(19)} ${view.codecs.join('+').padEnd(20)} in ${stream.packetsIn} out ${stream.packetsOut} packets, ` +
            `lost ${stream.lostIn}, jitter ${stream.jitterInMs.toFixed(1)} ms, MOS ${stream.mosIn.toFixed(2)}`,
        );
      }
    }
  }
}

async function showLadder(s: Scene, call: string): Promise<void> {
  if (json) return;
  for (const config of [s.termination, s.relay]) {
    const { stdout } = await run(process.execPath, [launcher, 'trace', call, '--config', config]);
    for (const line of stdout.trimEnd().split('\n')) say(`  ${line}`);
  }
}

function dialPlan(sample: Int16Array): (number: string) => Behaviour {
  return (number) => {
    if (number.endsWith('600')) return { kind: 'echo' };
    if (number.endsWith('601') || number.endsWith('700')) return { kind: 'play', sound: sample };
    if (number.endsWith('603')) return { kind: 'reject', status: 486 };
    return { kind: 'reject', status: 404 };
  };
}

function summary(outcomes: readonly Outcome[]) {
  return {
    calls: outcomes.length,
    audioVerified: outcomes.filter((o) => o.verified).length,
    setupMs: Math.round(Math.max(...outcomes.map((o) => o.setupMs)) * 10) / 10,
    refusedPackets: outcomes.flatMap((o) => Object.values(o.refused)).reduce((a, b) => a + b, 0),
    mos: Math.min(...outcomes.map((o) => o.mos)),
    details: outcomes.map(({ title, setupMs, matches, refused }) => ({ title, setupMs, matches, refused })),
  };
}

async function main(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'voip-sgw-demo-'));
  chmodSync(folder, 0o700);
  const stops: (() => unknown)[] = [];
  const tidy = async (): Promise<void> => {
    for (const stop of stops.splice(0).reverse()) await stop();
    rmSync(folder, { recursive: true, force: true });
  };
  // Whenever it is interrupted, nothing is left running; while it stays, that is its orderly end.
  let staying = false;
  const interrupted = (): void => void tidy().then(() => process.exit(staying ? 0 : 130));
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    say(
      `VoIP Secure Gateway demo: Internet phone -> GW2 -> (two TCP connections dialled by GW1) -> GW1 -> ${h323 ? 'H.323 ' : ''}PBX`,
    );
    const rtp = 2 * randomInt(10_000, 15_000);
    const ports: DemoPorts = {
      signalling: await freeTcpPort(),
      media: await freeTcpPort(),
      gw2Sip: await freeUdpPort(DEMO_IP),
      gw1Sip: await freeUdpPort(DEMO_IP),
      phoneSip: await freeUdpPort(DEMO_IP),
      pbxSip: await (h323 ? freeTcpPort() : freeUdpPort(DEMO_IP)),
      ...(h323 ? { gw1H323: await freeTcpPort() } : {}),
      gw2Rtp: rtp,
      gw1Rtp: rtp + 1000,
    };
    await run(process.execPath, [launcher, 'init', folder]);
    const configs = writeDemoConfigs(folder, ports, (file, text) =>
      writeFileSync(file, text, { mode: 0o600 }),
    );
    say('certificates and configurations are written; starting both gateways');
    const gateways = [
      new GatewayProcess('termination', configs.termination),
      new GatewayProcess('relay', configs.relay),
    ];
    stops.push(...gateways.map((g) => () => g.stop()));
    const status = await waitForTunnel(configs.termination, gateways);
    say(
      `tunnel is up: TLS 1.3, ${status.tunnels[0]?.lanes} media connections, round trip ${status.tunnels[0]?.roundTripMs.toFixed(1)} ms`,
    );
    const phone = await SipAgent.start({
      name: '4930901820',
      ip: DEMO_IP,
      port: ports.phoneSip,
      peer: { ip: DEMO_IP, port: ports.gw2Sip },
      dialPlan: dialPlan(PHONE_SOUND),
    });
    stops.push(() => phone.stop());
    const own = { name: '200', ip: DEMO_IP, port: ports.pbxSip, dialPlan: dialPlan(PBX_SOUND) };
    const pbx =
      ports.gw1H323 === undefined
        ? await SipAgent.start({ ...own, peer: { ip: DEMO_IP, port: ports.gw1Sip } })
        : await H323Agent.start({ ...own, peer: { ip: DEMO_IP, port: ports.gw1H323 } });
    stops.push(() => pbx.stop());
    const s: Scene = { ...configs, phone, pbx };
    const outcomes = [
      await scene('Call 1: Internet phone calls 601 at the PBX', phone, '601', pbx, s),
      await scene('Call 2: PBX calls 0700 on the Internet', pbx, '0700', phone, s),
    ];
    const result = summary(outcomes);
    if (json) process.stdout.write(`${JSON.stringify(result)}\n`);
    say(
      `\n${result.calls} calls, sound verified in ${result.audioVerified}; set-up ${result.setupMs} ms at most, ` +
        `${result.refusedPackets} packets refused, MOS ${result.mos.toFixed(2)}`,
    );
    if (stay) {
      say(`\nStill running. Point a softphone (UDP, no registration) at 127.0.0.1:${ports.gw2Sip} and call`);
      say(`  sip:600@127.0.0.1:${ports.gw2Sip}   echo`);
      say(`  sip:601@127.0.0.1:${ports.gw2Sip}   plays the sample`);
      say(`  voip-sgw calls --config ${configs.termination}`);
      say('Ctrl-C ends it.');
      staying = true;
      await new Promise(() => undefined);
    }
    return result.audioVerified === result.calls ? 0 : 1;
  } finally {
    await tidy();
  }
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  },
);
