/** The load generator of the media benches (bench/c/load.c): phones that speak to each other through a relay. */
import { spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { PHONE_A, PHONE_B, type Relay } from '../media-route.ts';
import { haveProgram } from './install.ts';

const SOURCES = fileURLToPath(new URL('../../../bench/c/', import.meta.url));

/** Of the packets sent within the window. */
export interface LoadResult {
  readonly sent: number;
  readonly received: number;
  readonly damaged: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface LoadTime {
  readonly seconds: number;
  readonly warmUpSeconds: number;
}

/** Compiles one source into `dir`; undefined where there is no compiler to be had. */
export function compile(dir: string, name: string): string | undefined {
  if (!haveProgram('cc', 'gcc libc6-dev')) return undefined;
  const out = join(dir, name);
  const made = spawnSync('cc', ['-O2', '-o', out, join(SOURCES, `${name}.c`)], { encoding: 'utf8' });
  if (made.status === 0) return out;
  console.error(made.stderr);
  return undefined;
}

/** Runs the load; `window` is called when the warm-up is over and when the window is. */
export async function runLoad(
  load: string,
  dir: string,
  relay: Relay,
  time: LoadTime,
  window: (over: boolean) => void,
): Promise<LoadResult> {
  const file = join(dir, 'routes');
  writeFileSync(file, relay.routes.map((r) => `${r.aPort} ${r.bPort} ${r.aTarget} ${r.bTarget}\n`).join(''));
  const { seconds, warmUpSeconds } = time;
  const child = spawn(
    load,
    [file, PHONE_A, PHONE_B, relay.aIp, relay.bIp, String(seconds), String(warmUpSeconds)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let result: LoadResult | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === 'window' || line === 'over') window(line === 'over');
    else result = JSON.parse(line) as LoadResult;
  }
  if (result === undefined || result.sent === 0) throw new Error('the load generator failed');
  return result;
}
