/**
 * Media bench: CPU per relayed packet of the pair (both plane workers, all checks, TLS lanes) against a C epoll relay and
 * rtpengine in user space that relay the same calls in the same run; `shared` is the pair with all legs of a side on one pair of ports.
 * npm run bench -- media [--json] [--calls 50,300,500] [--seconds N] [--only c,pair,shared,rtpengine]. A run with loss above 0.1 %, on a
 * machine that is busy above 90 %, or from which the hypervisor took more than 2 % is repeated, then void.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { disturbance, MachineTime, type TimeShares } from '../test/lab/machine-time.ts';
import { PHONE_A, PHONE_B, phonePorts, type Relay, type Route } from './media-route.ts';
import { startRtpengine } from './media-rtpengine.ts';
import { LoopbackPair } from './support/loopback-pair.ts';
import { type Pauses, pauses } from './support/pauses.ts';
import { goBeforeOthers } from './support/real-time.ts';
import { compile, runLoad } from './support/voice-load.ts';

const CLOCK_TICK = Number(spawnSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }).stdout) || 100;
const PACKETS_PER_SECOND = 50;
/** What runs often is compiled again and better (V8): a gateway runs for months, and with few calls it takes some seconds until all is. */
function warmUpSeconds(calls: number): number {
  return Math.min(30, Math.max(5, Math.ceil(1500 / calls)));
}
const MAX_LOSS_PERCENT = 0.1;

const C_RELAY = '127.77.0.3';

interface Measured {
  readonly usPerPacket: number;
  readonly lossPercent: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly machine: TimeShares;
  /** Of the pair's workers. */
  readonly pauses: Pauses;
}

const { values: args } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    calls: { type: 'string', default: '50,300,500' },
    seconds: { type: 'string', default: '10' },
    lanes: { type: 'string', default: '2' },
    implementation: { type: 'string', default: 'auto' },
    attempts: { type: 'string', default: '3' },
    only: { type: 'string', default: 'c,pair,shared,rtpengine' },
  },
});

function say(text: string): void {
  if (!args.json) console.log(text);
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
  const machine = new MachineTime();
  let before = 0;
  let after = 0;
  let collected: readonly number[] = [];
  let shares: TimeShares = { busy: 0, niced: 0, stolen: 0 };
  const time = { seconds, warmUpSeconds: warmUpSeconds(relay.routes.length) };
  const result = await runLoad(load, dir, relay, time, (over) => {
    if (over) after = cpuSeconds(relay.pids);
    else before = cpuSeconds(relay.pids);
    shares = machine.shares();
    collected = relay.takePauses?.() ?? [];
  });
  const { sent, received, p50Ms, p99Ms } = result;
  return {
    usPerPacket: ((after - before) * 1e6) / received,
    lossPercent: (100 * (sent - received)) / sent,
    p50Ms,
    p99Ms,
    machine: shares,
    pauses: pauses(collected),
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

type Subject = 'c' | 'pair' | 'shared' | 'rtpengine';

/** Undefined where the subject is not to be had on this machine. */
async function start(subject: Subject, dir: string, relayBinary: string, calls: number) {
  if (subject === 'c') return startC(relayBinary, dir, calls);
  if (subject === 'rtpengine') return startRtpengine(calls);
  const { implementation, lanes } = args;
  return new LoopbackPair(say).start({
    calls,
    lanes: Number(lanes),
    implementation: implementation as 'auto' | 'koffi' | 'dgram',
    shared: subject === 'shared',
  });
}

function round(value: number, digits = 2): number {
  return Number(value.toFixed(digits));
}

/** Why a run does not count; undefined where it does. */
function voidReason(m: Measured): string | undefined {
  if (m.lossPercent > MAX_LOSS_PERCENT) return `loss ${m.lossPercent.toFixed(2)} %`;
  return disturbance(m.machine);
}

class Run {
  readonly #dir: string;
  readonly #load: string;
  readonly #relay: string;
  readonly #calls = args.calls.split(',').map(Number);
  readonly #wanted = args.only.split(',') as Subject[];
  readonly #results = new Map<string, Measured>();
  readonly #void: Record<string, string> = {};
  readonly #missing = new Set<Subject>();

  constructor(dir: string, load: string, relay: string) {
    this.#dir = dir;
    this.#load = load;
    this.#relay = relay;
  }

  async all(): Promise<object> {
    for (const calls of this.#calls) for (const subject of this.#wanted) await this.#one(subject, calls);
    return {
      bench: 'media',
      packetsPerSecondPerCall: 2 * PACKETS_PER_SECOND,
      ...this.#row('pair'),
      ...(this.#wanted.includes('shared') ? { sharedPorts: this.#row('shared') } : {}),
      usPerPacket: Object.fromEntries([...this.#results].map(([key, m]) => [key, round(m.usPerPacket)])),
      loadPercent: Object.fromEntries(
        [...this.#results].map(([key, m]) => [key, round(100 * m.machine.busy, 0)]),
      ),
      stolenPercent: Object.fromEntries(
        [...this.#results].map(([key, m]) => [key, round(100 * m.machine.stolen, 1)]),
      ),
      void: this.#void,
      missing: [...this.#missing],
    };
  }

  /** Others compute on this machine too: what is void is tried again. */
  async #one(subject: Subject, calls: number): Promise<void> {
    for (let attempt = 1; attempt <= Number(args.attempts); attempt++) {
      const relay = await start(subject, this.#dir, this.#relay, calls);
      if (relay === undefined) {
        if (!this.#missing.has(subject)) say(`${subject}: not to be had here, left out`);
        this.#missing.add(subject);
        return;
      }
      const m = await measure(this.#load, this.#dir, relay, Number(args.seconds)).finally(() => relay.stop());
      const refused = voidReason(m);
      say(
        `${subject} ${calls} calls: ${m.usPerPacket.toFixed(2)} us CPU per packet, loss ${m.lossPercent.toFixed(3)} %, ` +
          `p50 ${m.p50Ms} ms, p99 ${m.p99Ms} ms, machine ${(100 * m.machine.busy).toFixed(0)} %, ` +
          `stolen ${(100 * m.machine.stolen).toFixed(1)} %${refused ? ` (void: ${refused})` : ''}`,
      );
      const key = `${subject} ${calls}`;
      if (refused === undefined) {
        this.#results.set(key, m);
        delete this.#void[key];
        return;
      }
      this.#void[key] = refused;
    }
  }

  #row(subject: 'pair' | 'shared'): object {
    const each = (value: (m: Measured, calls: number) => number | null) =>
      Object.fromEntries(
        this.#calls.map((calls) => {
          const m = this.#results.get(`${subject} ${calls}`);
          return [calls, m === undefined ? null : value(m, calls)];
        }),
      );
    const ratio = (other: Subject) =>
      each((m, calls) => {
        const base = this.#results.get(`${other} ${calls}`);
        return base === undefined ? null : round(m.usPerPacket / base.usPerPacket);
      });
    return {
      pairToC: ratio('c'),
      pairToRtpengine: ratio('rtpengine'),
      p50Ms: each((m) => m.p50Ms),
      p99Ms: each((m) => m.p99Ms),
      gcPauses: Object.fromEntries(
        this.#calls.map((calls) => [calls, this.#results.get(`${subject} ${calls}`)?.pauses ?? null]),
      ),
    };
  }
}

goBeforeOthers();
const dir = mkdtempSync(join(tmpdir(), 'voip-sgw-bench-'));
try {
  const load = compile(dir, 'load');
  const relayBinary = compile(dir, 'relay');
  if (load === undefined || relayBinary === undefined) {
    console.log(JSON.stringify({ bench: 'media', skipped: 'no C compiler (cc) here' }));
  } else {
    console.log(JSON.stringify(await new Run(dir, load, relayBinary).all()));
  }
} finally {
  rmSync(dir, { recursive: true, force: true });
}
