/**
 * Memory, pauses and delay of the media plane over a long time: the pair on loopback under steady calls, resident memory of both workers every
 * ten seconds.  npm run soak [-- --minutes 30] [--calls 100] [--shared] [--json]. Exit code 1 where memory grew by more than a tenth and 8 MB
 * after the first third, packets were lost, or a worker stood still for 5 ms to collect garbage (of 99 in 100 collections where the hypervisor
 * took more than 2 % of the processor: then it may have been the one who stood still).
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { disturbance, MachineTime } from '../test/lab/machine-time.ts';
import { LoopbackPair } from './support/loopback-pair.ts';
import { pauses } from './support/pauses.ts';
import { goBeforeOthers } from './support/real-time.ts';
import { compile, runLoad } from './support/voice-load.ts';

const SAMPLE_MS = 10_000;
const PAGE = 4096;
const MEGABYTE = 1024 * 1024;
const MAX_LOSS_PERCENT = 0.1;
const MAX_PAUSE_MS = 5;

const { values: args } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    minutes: { type: 'string', default: '2' },
    calls: { type: 'string', default: '100' },
    shared: { type: 'boolean', default: false },
    implementation: { type: 'string', default: 'auto' },
  },
});

function say(text: string): void {
  if (!args.json) console.log(text);
}

/** Resident memory of all of them. */
function resident(pids: readonly number[]): number {
  const pages = pids.map((pid) => Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]));
  return pages.reduce((a, b) => a + b, 0) * PAGE;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

async function soak(dir: string, load: string): Promise<boolean> {
  const relay = await new LoopbackPair(say).start({
    calls: Number(args.calls),
    lanes: 2,
    implementation: args.implementation as 'auto' | 'koffi' | 'dgram',
    shared: args.shared,
  });
  const samples: number[] = [];
  const timer = setInterval(() => {
    samples.push(resident(relay.pids));
    say(`${(samples.length * SAMPLE_MS) / 1000} s: ${(samples.at(-1)! / MEGABYTE).toFixed(1)} MB`);
  }, SAMPLE_MS);
  const time = { seconds: Math.max(30, 60 * Number(args.minutes)), warmUpSeconds: 5 };
  const machine = new MachineTime();
  const pausesMs: number[] = [];
  const collect = () => pausesMs.push(...(relay.takePauses?.() ?? []));
  const result = await runLoad(load, dir, relay, time, (over) => {
    // What was compiled and allocated to begin with is not the steady state.
    if (over) collect();
    else relay.takePauses?.();
  }).finally(() => clearInterval(timer));
  const shares = machine.shares();
  await relay.stop();
  const third = Math.floor(samples.length / 3);
  const [early, late] = [median(samples.slice(third, 2 * third)), median(samples.slice(2 * third))];
  const lossPercent = (100 * (result.sent - result.received)) / result.sent;
  const grewBytes = late - early;
  const collected = pauses(pausesMs);
  const disturbed = disturbance({ ...shares, busy: 0, niced: 0 });
  const paused = disturbed === undefined ? collected.maxMs : collected.p99Ms;
  const ok =
    grewBytes < Math.max(8 * MEGABYTE, early / 10) &&
    lossPercent <= MAX_LOSS_PERCENT &&
    collected.count > 0 &&
    paused < MAX_PAUSE_MS;
  console.log(
    JSON.stringify({
      bench: 'soak',
      minutes: time.seconds / 60,
      calls: Number(args.calls),
      residentMb: { middleThird: Math.round(early / MEGABYTE), lastThird: Math.round(late / MEGABYTE) },
      lossPercent: Number(lossPercent.toFixed(4)),
      p50Ms: result.p50Ms,
      p99Ms: result.p99Ms,
      pauses: collected,
      loadPercent: Math.round(100 * shares.busy),
      stolenPercent: Number((100 * shares.stolen).toFixed(1)),
      ok,
    }),
  );
  return ok;
}

goBeforeOthers();
const dir = mkdtempSync(join(tmpdir(), 'voip-sgw-soak-'));
try {
  const load = compile(dir, 'load');
  if (load === undefined) console.log(JSON.stringify({ bench: 'soak', skipped: 'no C compiler (cc) here' }));
  else if (!(await soak(dir, load))) process.exitCode = 1;
} finally {
  rmSync(dir, { recursive: true, force: true });
}
