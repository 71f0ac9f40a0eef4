/**
 * CPU per call of the two gateways together against Asterisk as a plain B2BUA, the same calls (SIPp to SIPp, no media) at
 * the same rate in the same run, one after the other, four times. A round from which the hypervisor took time, or on a full machine, is made again;
 * where too few were undisturbed, the ratio is that of all and `void` says why. Needs root: Asterisk runs in its chroot, everything in a
 * network namespace with nothing but loopback.  npm run bench -- sip-call [--json] [--calls N] [--rate N] [--rounds N]
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { parse, stringify } from 'yaml';
import { install } from '../test/lab/install.ts';
import { disturbance, MachineTime } from '../test/lab/machine-time.ts';
import { ask, children } from '../test/lab/operator.ts';
import { Asterisk } from '../test/lab/peers/asterisk.ts';
import { Sipp } from '../test/lab/peers/sipp.ts';
import { type Background, root, run, sleep, stopAll, until } from '../test/lab/run.ts';
import { buildBench, remove, spawnInside } from '../test/lab/topology.ts';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    calls: { type: 'string', default: '600' },
    rate: { type: 'string', default: '100' },
    rounds: { type: 'string', default: '4' },
  },
});
const CALLS = Number(values.calls);
const RATE = Number(values.rate);
const ROUNDS = Number(values.rounds);
/** Rounds that may be made again: they are short, so that some fall between what the hypervisor takes. */
const AGAIN = 12;
const HOLD_MS = 1000;
/**
 * Calls before the measurement, faster than it: connections are up, and the gateways' code is compiled by the engine, which goes on
 * for some 5000 calls (a gateway runs for months; a round at the start is measured as well and shown as `cold`).
 */
const WARM_UP = 6000;
const WARM_UP_RATE = 150;

const ip = {
  caller: '127.0.1.1',
  gw2: '127.0.1.2',
  tunnel: '127.0.1.3',
  gw1: '127.0.1.5',
  callee: '127.0.1.9',
  asterisk: '127.0.1.10',
};
const TICKS_PER_SECOND = Number(run('getconf', ['CLK_TCK']));

/** utime and stime of processes, in milliseconds. */
function cpuMs(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return (ticks * 1000) / TICKS_PER_SECOND;
}

interface Round {
  readonly cpuMsPerCall: number;
  /** The same by part: signalling process or media worker. */
  readonly parts: Readonly<Record<string, number>>;
  readonly failedCalls: number;
  readonly why: string;
  /** Percent of the machine's processor time. */
  readonly stolen: number;
  /** Why it does not count. */
  readonly disturbed: string | undefined;
}

/** Process ids by part. */
type Parts = Readonly<Record<string, readonly number[]>>;

/** One load: a callee, a caller, the CPU of `pids` in between. */
async function load(
  folder: string,
  to: string,
  number: string,
  calls: number,
  pids: () => Parts,
  rate = RATE,
): Promise<Round> {
  const base = { folder, place: 'bench', patienceSeconds: Math.ceil(calls / rate) + 30 } as const;
  const callee = new Sipp({ ...base, scenario: 'uas', ip: ip.callee, port: 5060, calls: 1_000_000 });
  await sleep(500);
  const group = pids();
  const before = Object.entries(group).map(([part, list]) => [part, cpuMs(list)] as const);
  const more = ['-r', String(rate), '-d', String(HOLD_MS), '-l', String(rate * 10)];
  const caller = new Sipp({ ...base, scenario: 'uac', ip: ip.caller, port: 5070, to, number, calls, more });
  const machine = new MachineTime();
  const called = await caller.result();
  const shares = machine.shares();
  const parts = Object.fromEntries(before.map(([part, ms]) => [part, (cpuMs(group[part]!) - ms) / calls]));
  await sleep(2000); // what is on its way belongs to this round
  await callee.process.stop('SIGKILL');
  return {
    cpuMsPerCall: Object.values(parts).reduce((sum, ms) => sum + ms, 0),
    parts,
    failedCalls: failedCalls(caller.process.output, called.ok, calls),
    why: called.why,
    stolen: 100 * shares.stolen,
    disturbed: disturbance(shares),
  };
}

/** As SIPp's last screen says; all of them where it says nothing. */
function failedCalls(screen: string, ok: boolean, calls: number): number {
  if (ok) return 0;
  const found = /Failed call\s*\|\s*\d+\s*\|\s*(\d+)/.exec(screen);
  return found === null ? calls : Number(found[1]);
}

/** On a busy machine SIPp itself loses a call now and then; more than this share says nothing about CPU per call. */
const TOLERATED = 0.01;

interface Gateways {
  readonly termination: Background;
  readonly relay: Background;
}

/** `voip-sgw init` on loopback, a peer on each side, no records and only warnings logged (as Asterisk here). */
async function startPair(folder: string): Promise<Gateways> {
  const command = join(root, 'bin/voip-sgw.js');
  run(process.execPath, [command, 'init', folder, '--termination-address', ip.tunnel, '--internet', ip.gw2, '--relay-address', ip.gw1,
    '--pbx', `${ip.callee}:5060`]); // biome-ignore format: a command line
  const limits = { maxCalls: 5000, maxCallsPerSecond: 2000, maxCallsPerSecondPerSource: 2000 };
  const common = { limits, log: { level: 'warn' }, cdr: {} };
  const neighbour = { probeSeconds: 0, mediaNetworks: ['127.0.0.0/8'] };
  edit(join(folder, 'termination.yaml'), (config) => ({
    ...config,
    ...common,
    tunnel: {
      ...(config['tunnel'] as object),
      sites: [{ name: 'gw1', maxCalls: 5000, maxCallsPerSecond: 2000 }],
    },
    peers: [{ name: 'callers', sources: [`${ip.caller}/32`], ...neighbour }],
    routes: [{ name: 'in', from: 'peers', match: '*', to: 'tunnel' }],
  }));
  edit(join(folder, 'relay.yaml'), (config) => ({
    ...config,
    ...common,
    peers: [{ name: 'callee', host: ip.callee, port: 5060, transport: 'udp', ...neighbour }],
    accounts: [],
    routes: [{ name: 'in', from: 'tunnel', match: '*', to: 'peer:callee' }],
  }));
  const start = (role: 'termination' | 'relay'): Background =>
    spawnInside('bench', role, process.execPath, [command, role, '--config', join(folder, `${role}.yaml`)], {
      cwd: folder,
    });
  const gateways = { termination: start('termination'), relay: start('relay') };
  for (const [role, socket] of [
    ['termination', 'run/gw2.sock'],
    ['relay', 'run/gw1.sock'],
  ] as const) {
    await until(`${role}: tunnel up`, 20_000, async () => {
      if (!gateways[role].running) throw new Error(gateways[role].output);
      const status = (await ask(join(folder, socket), { command: 'status' }).catch(() => undefined)) as
        | { tunnels: { state: string; lanes: number }[] }
        | undefined;
      return status?.tunnels.some((t) => t.state === 'up' && t.lanes >= 1);
    });
  }
  return gateways;
}

function edit(file: string, change: (config: Record<string, unknown>) => Record<string, unknown>): void {
  writeFileSync(file, stringify(change(parse(readFileSync(file, 'utf8')) as Record<string, unknown>)), {
    mode: 0o600,
  });
}

function partsOf({ termination, relay }: Gateways): Parts {
  return {
    termination: [termination.pid],
    terminationMedia: children(termination.pid),
    relay: [relay.pid],
    relayMedia: children(relay.pid),
  };
}

function mean(list: readonly number[]): number {
  return list.reduce((sum, value) => sum + value, 0) / list.length;
}

async function main(folder: string): Promise<void> {
  const installed = install();
  buildBench();
  const asterisk = await Asterisk.start({
    installed,
    folder: join(folder, 'asterisk'),
    place: 'bench',
    name: 'b2bua',
    ip: ip.asterisk,
    trunk: `${ip.callee}:5060`,
    quiet: true,
  });
  const pair = await startPair(join(folder, 'pair'));
  const systems = [
    {
      name: 'asterisk',
      to: `${ip.asterisk}:5060`,
      number: '8600',
      pids: (): Parts => ({ asterisk: [asterisk.pid] }),
      rounds: [] as Round[],
    },
    {
      name: 'pair',
      to: `${ip.gw2}:5060`,
      number: '600',
      pids: () => partsOf(pair),
      rounds: [] as Round[],
    },
  ];
  const cold: Record<string, number> = {};
  for (const s of systems) {
    const first = await load(join(folder, `cold-${s.name}`), s.to, s.number, CALLS, s.pids);
    cold[s.name] = round(first.cpuMsPerCall);
  }
  for (const s of systems)
    await load(join(folder, `warm-${s.name}`), s.to, s.number, WARM_UP, s.pids, WARM_UP_RATE);
  let undisturbed = 0;
  for (let round = 0; undisturbed < ROUNDS && round < ROUNDS + AGAIN; round++) {
    for (const s of systems) {
      const result = await load(join(folder, `${s.name}-${round}`), s.to, s.number, CALLS, s.pids);
      s.rounds.push(result);
      console.error(told(s.name, result));
    }
    if (systems.every((s) => s.rounds[round]!.disturbed === undefined)) undisturbed++;
  }
  // A round counts for both or for neither.
  const clean = (_: Round, i: number): boolean => systems.every((s) => s.rounds[i]!.disturbed === undefined);
  const enough = undisturbed >= ROUNDS;
  const [ofAsterisk, ofPair] = systems.map((s) => (enough ? s.rounds.filter(clean) : s.rounds));
  const [asteriskMs, pairMs] = [ofAsterisk!, ofPair!].map((rounds) =>
    mean(rounds.map((r) => r.cpuMsPerCall)),
  );
  const failed = systems.flatMap((s) =>
    s.rounds.some((r) => r.failedCalls > CALLS * TOLERATED) ? [s.name] : [],
  );
  const result = {
    bench: 'sip-call',
    pairToAsterisk: round(pairMs! / asteriskMs!),
    callsPerSecond: RATE,
    calls: CALLS * ofPair!.length,
    holdMs: HOLD_MS,
    pairCpuMsPerCall: round(pairMs!),
    asteriskCpuMsPerCall: round(asteriskMs!),
    parts: partMeans(ofPair!),
    stolenPercent: round(mean([...ofAsterisk!, ...ofPair!].map((r) => r.stolen))),
    coldCpuMsPerCall: cold,
    failed,
    ...(enough ? {} : { void: `${undisturbed} of ${systems[0]!.rounds.length} rounds undisturbed` }),
  };
  if (!values.json) {
    console.log(
      `CPU per call: pair ${result.pairCpuMsPerCall} ms, Asterisk ${result.asteriskCpuMsPerCall} ms: ${result.pairToAsterisk} x` +
        (enough ? '' : ` (void: ${result.void})`),
    );
  } else console.log(JSON.stringify(result));
  if (failed.length > 0) process.exitCode = 1;
}

function told(name: string, { cpuMsPerCall, failedCalls, why, disturbed }: Round): string {
  const failed = failedCalls > 0 ? `, ${failedCalls} calls failed: ${why.slice(0, 600)}` : '';
  return `${name}: ${cpuMsPerCall.toFixed(3)} ms CPU per call${failed}${disturbed === undefined ? '' : `, void: ${disturbed}`}`;
}

function partMeans(rounds: readonly Round[]): Record<string, number> {
  const names = Object.keys(rounds[0]?.parts ?? {});
  return Object.fromEntries(names.map((name) => [name, round(mean(rounds.map((r) => r.parts[name] ?? 0)))]));
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}

const folder = mkdtempSync(join(tmpdir(), 'vsgw-bench-'));
try {
  await main(folder);
} finally {
  await stopAll();
  remove(['bench']);
  rmSync(folder, { recursive: true, force: true });
}
