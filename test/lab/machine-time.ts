/** What became of the machine's processor time: others compute on it, and its hypervisor may take it away. */
import { readFileSync } from 'node:fs';

/** A machine busier than this measures itself, not what runs on it. */
const MAX_BUSY = 0.9;
/** A greater share of stolen time than this, and what was measured is the hypervisor. */
const MAX_STOLEN = 0.02;

/** Shares of the processor time of all processors, 0 .. 1. */
export interface TimeShares {
  /** Not idle, stolen and niced time included. */
  readonly busy: number;
  /** A part of it: work of others that gives way, to what the real-time scheduler runs at least (between sessions a nice value means nothing). */
  readonly niced: number;
  /** Taken by the hypervisor while somebody wanted to run (proc_stat(5): the eighth field, `steal`). */
  readonly stolen: number;
}

/** Why a measurement does not count; undefined where it does. */
export function disturbance({ busy, niced, stolen }: TimeShares): string | undefined {
  if (stolen > MAX_STOLEN) return `the hypervisor took ${(100 * stolen).toFixed(0)} % of the processor time`;
  return busy - niced > MAX_BUSY ? `the machine was busy ${(100 * busy).toFixed(0)} %` : undefined;
}

export class MachineTime {
  #last = ticks();

  /** Since the last reading. */
  shares(): TimeShares {
    const [before, now] = [this.#last, ticks()];
    this.#last = now;
    const all = Math.max(1, now.all - before.all);
    return {
      busy: (now.busy - before.busy) / all,
      niced: (now.niced - before.niced) / all,
      stolen: (now.stolen - before.stolen) / all,
    };
  }
}

/** Since boot, over all processors. */
function ticks(): TimeShares & { readonly all: number } {
  const line = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0] ?? '';
  // user nice system idle iowait irq softirq steal
  const fields = line.trim().split(/\s+/).slice(1, 9).map(Number);
  const all = fields.reduce((sum, part) => sum + part, 0);
  const [, nice = 0, , idle = 0, wait = 0] = fields;
  return { all, busy: all - idle - wait, niced: nice, stolen: fields[7] ?? 0 };
}
