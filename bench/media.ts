/**
 * Media bench: CPU per relayed packet of the pair (both plane workers, all checks, TLS lanes) against a C epoll relay and
 * rtpengine in user space that relay the same calls in the same run. `node dist/bench/media.js [--json] [--calls 50,300]
 * [--seconds N]`. A run with loss above 0.1 % is void.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  type PlaneEvent,
  REFUSALS,
  type StreamCounters,
  type StreamLegConfig,
} from '../src/media/plane-contract.ts';
import { PlaneSupervisor } from '../src/plane/supervisor.ts';
import { createAuthority, issueCertificate } from '../src/store/pki.ts';
import { PHONE_A, PHONE_B, phonePorts, type Relay, type Route } from './media-route.ts';
import { startRtpengine } from './media-rtpengine.ts';

const CLOCK_TICK = Number(spawnSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }).stdout) || 100;
const PACKETS_PER_SECOND = 50;
const WARM_UP_SECONDS = 5;
const MAX_LOSS_PERCENT = 0.1;
const SOURCES = fileURLToPath(new URL('../../bench/c/', import.meta.url));

const GW1 = '127.77.0.1';
const GW2 = '127.77.0.2';
const C_RELAY = '127.77.0.3';

interface Measured {
  readonly usPerPacket: number;
  readonly lossPercent: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

interface LoadResult {
  readonly sent: number;
  readonly received: number;
  readonly damaged: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const { values: args } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    calls: { type: 'string', default: '50,300,500' },
    seconds: { type: 'string', default: '10' },
    lanes: { type: 'string', default: '2' },
    implementation: { type: 'string', default: 'auto' },
    only: { type: 'string', default: 'c,pair,rtpengine' },
  },
});

function say(text: string): void {
  if (!args.json) console.log(text);
}

/** Compiles one source into `dir`; undefined where there is no compiler. */
function compile(dir: string, name: string): string | undefined {
  const out = join(dir, name);
  const made = spawnSync('cc', ['-O2', '-o', out, join(SOURCES, `${name}.c`)], { encoding: 'utf8' });
  if (made.status === 0) return out;
  if (made.error === undefined) console.error(made.stderr);
  return undefined;
}

/** CPU seconds (user and system) of processes so far. */
function cpuSeconds(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / CLOCK_TICK;
}

/** Runs the load through a relay and measures its processes during the window. */
async function measure(load: string, dir: string, relay: Relay, seconds: number): Promise<Measured> {
  const file = join(dir, 'routes');
  writeFileSync(file, relay.routes.map((r) => `${r.aPort} ${r.bPort} ${r.aTarget} ${r.bTarget}\n`).join(''));
  const child = spawn(
    load,
    [file, PHONE_A, PHONE_B, relay.aIp, relay.bIp, String(seconds), String(WARM_UP_SECONDS)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let before = 0;
  let after = 0;
  let result: LoadResult | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === 'window') before = cpuSeconds(relay.pids);
    else if (line === 'over') after = cpuSeconds(relay.pids);
    else result = JSON.parse(line) as LoadResult;
  }
  if (result === undefined || result.sent === 0) throw new Error('the load generator failed');
  const { sent, received, p50Ms, p99Ms } = result;
  return {
    usPerPacket: ((after - before) * 1e6) / received,
    lossPercent: (100 * (sent - received)) / sent,
    p50Ms,
    p99Ms,
  };
}

async function startC(binary: string, dir: string, calls: number): Promise<Relay> {
  const routes: Route[] = Array.from({ length: calls }, (_, i) => ({
    ...phonePorts(i),
    aTarget: 20_000 + 4 * i,
    bTarget: 20_002 + 4 * i,
  }));
  const file = join(dir, 'relay-routes');
  writeFileSync(file, routes.map((r) => `${r.aTarget} ${r.bTarget} ${r.aPort} ${r.bPort}\n`).join(''));
  const child = spawn(binary, [file, C_RELAY, PHONE_A, PHONE_B], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('exit', () => reject(new Error('the C relay did not start')));
  });
  return { aIp: C_RELAY, bIp: C_RELAY, routes, pids: [child.pid!], stop: () => stopChild(child) };
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}

function leg(
  stream: number,
  ip: string,
  port: number,
  remote: { ip: string; port: number },
): StreamLegConfig {
  return {
    session: 'bench',
    stream,
    call: `bench-${stream}`,
    kind: 'audio',
    priority: 'normal',
    local: { ip, port },
    rtcpMux: false,
    remote,
    source: 'signalled',
    latchWindowMs: 5000,
    direction: 'sendrecv',
    formats: [
      {
        format: 0,
        receivePayloadType: 0,
        sendPayloadType: 0,
        clockRate: 8000,
        maxPayload: 240,
        maxPacketsPerSecond: 120,
        kind: 'voice',
      },
    ],
    cname: 'bench@gateway',
  };
}

class Pair {
  readonly #gw1 = new PlaneSupervisor();
  readonly #gw2 = new PlaneSupervisor();
  #server: Server | undefined;
  #opened = 0;
  #lanes = 0;
  readonly #refused = new Map<string, number>();

  async start(calls: number): Promise<Relay> {
    const implementation = args.implementation as 'auto' | 'koffi' | 'dgram';
    const authority = await createAuthority('bench');
    const tls = async (use: 'relay' | 'termination', name: string) => {
      const made = await issueCertificate(authority, { use, dnsNames: [name] });
      return { certificate: made.certificate, key: made.key, ca: authority.certificate };
    };
    const note = (event: PlaneEvent): void => {
      if (event.kind === 'opened') this.#opened++;
      if (event.kind === 'lane-up') this.#lanes++;
      if (event.kind === 'ready') say(`  worker: ${event.implementation}`);
      if (event.kind === 'closed') this.#count(event.counters);
      if (event.kind === 'open-failed') throw new Error(event.reason);
    };
    this.#gw1.onEvent = (_shard, event) => note(event);
    this.#gw2.onEvent = (_shard, event) => note(event);
    await this.#gw1.start({ workers: 1, implementation, tls: await tls('relay', 'gw1.example') });
    await this.#gw2.start({ workers: 1, implementation, tls: await tls('termination', 'gw2.example') });
    this.#server = createServer({ pauseOnConnect: true }, (socket) => this.#gw2.acceptLane(socket));
    await new Promise<void>((resolve) => this.#server?.listen(0, GW2, resolve));
    const { port } = this.#server.address() as { port: number };
    await this.#connect(port, Number(args.lanes));
    const routes = this.#open(calls);
    await until(() => this.#opened === 2 * calls);
    const pids = [...this.#gw1.pids(), ...this.#gw2.pids()];
    return { aIp: GW2, bIp: GW1, routes, pids, stop: () => this.stop() };
  }

  async stop(): Promise<void> {
    await Promise.all([this.#gw1.stop(), this.#gw2.stop()]);
    this.#server?.close();
    say(`  refused: ${JSON.stringify(Object.fromEntries(this.#refused))}`);
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
      session: 'bench',
      key: randomBytes(32).toString('hex'),
      limits: { maxLanes: lanes, maxStreams: 4000, maxBytesPerSecond: 1e9 },
    } as const;
    this.#gw2.command(0, { ...common, peerName: 'gw1.example' });
    const dial = { remote: { ip: GW2, port }, serverName: 'gw2.example', lanes, shard: 0 };
    this.#gw1.command(0, { ...common, peerName: 'gw2.example', dial });
    await until(() => this.#lanes === 2 * lanes);
  }

  #open(calls: number): Route[] {
    return Array.from({ length: calls }, (_, i) => {
      const phones = phonePorts(i);
      const at = 20_000 + 2 * i;
      const a = leg(i + 1, GW2, at, { ip: PHONE_A, port: phones.aPort });
      const b = leg(i + 1, GW1, at, { ip: PHONE_B, port: phones.bPort });
      this.#gw2.command(0, { kind: 'open', leg: a });
      this.#gw1.command(0, { kind: 'open', leg: b });
      return { ...phones, aTarget: at, bTarget: at };
    });
  }
}

async function until(check: () => boolean): Promise<void> {
  const end = Date.now() + 10_000;
  while (!check()) {
    if (Date.now() > end) throw new Error('the pair did not get ready');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

type Subject = 'c' | 'pair' | 'rtpengine';

/** Undefined where the subject is not to be had on this machine. */
async function start(subject: Subject, dir: string, relayBinary: string, calls: number) {
  if (subject === 'c') return startC(relayBinary, dir, calls);
  if (subject === 'pair') return new Pair().start(calls);
  return startRtpengine(calls);
}

function round(value: number, digits = 2): number {
  return Number(value.toFixed(digits));
}

async function runAll(dir: string, load: string, relayBinary: string): Promise<object> {
  const seconds = Number(args.seconds);
  const results = new Map<string, Measured>();
  const wanted = args.only.split(',') as Subject[];
  const missing = new Set<string>();
  const voided: string[] = [];
  const callCounts = args.calls.split(',').map(Number);
  for (const calls of callCounts) {
    for (const subject of wanted) {
      const relay = await start(subject, dir, relayBinary, calls);
      if (relay === undefined) {
        if (!missing.has(subject)) say(`${subject}: not installed here, left out`);
        missing.add(subject);
        continue;
      }
      const m = await measure(load, dir, relay, seconds).finally(() => relay.stop());
      const isVoid = m.lossPercent > MAX_LOSS_PERCENT;
      if (isVoid) voided.push(`${subject} ${calls}`);
      else results.set(`${subject} ${calls}`, m);
      const line = `${m.usPerPacket.toFixed(2)} us CPU per packet, loss ${m.lossPercent.toFixed(3)} %, `;
      say(
        `${subject} ${calls} calls: ${line}p50 ${m.p50Ms} ms, p99 ${m.p99Ms} ms${isVoid ? ' (void: loss)' : ''}`,
      );
    }
  }
  const ratio = (other: Subject): Record<string, number | null> =>
    Object.fromEntries(
      callCounts.map((calls) => {
        const [pair, base] = [results.get(`pair ${calls}`), results.get(`${other} ${calls}`)];
        return [calls, pair && base ? round(pair.usPerPacket / base.usPerPacket) : null];
      }),
    );
  const shown = results.get('pair 300') ?? [...results].find(([key]) => key.startsWith('pair'))?.[1];
  return {
    bench: 'media',
    packetsPerSecondPerCall: 2 * PACKETS_PER_SECOND,
    pairToC: ratio('c'),
    pairToRtpengine: ratio('rtpengine'),
    p50Ms: shown?.p50Ms ?? null,
    p99Ms: shown?.p99Ms ?? null,
    usPerPacket: Object.fromEntries([...results].map(([key, m]) => [key, round(m.usPerPacket)])),
    void: voided,
    missing: [...missing],
  };
}

const dir = mkdtempSync(join(tmpdir(), 'voip-sgw-bench-'));
try {
  const load = compile(dir, 'load');
  const relayBinary = compile(dir, 'relay');
  if (load === undefined || relayBinary === undefined) {
    console.log(JSON.stringify({ bench: 'media', skipped: 'no C compiler (cc) here' }));
  } else {
    console.log(JSON.stringify(await runAll(dir, load, relayBinary)));
  }
} finally {
  rmSync(dir, { recursive: true, force: true });
}
