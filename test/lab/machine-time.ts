/** What became of the machine's processor time: others compute on it, and its hypervisor may take it away. */
import { readFileSync } from 'node:fs';

/** A machine busier than this measures itself, not what runs on it. */
const MAX_BUSY = 0.9;
/** A greater share of stolen time than this, and what was measured is the hypervisor. */
const MAX_STOLEN = 0.02;

/** Shares of the processor time of all processors, 0 .. 1. */
export interface TimeShares {
  /** Not idle, stolen time included; niced work is not, for it gives way to everything measured. */
  readonly busy: number;
  /** Taken by the hypervisor while somebody wanted to run (proc_stat(5): the eighth field, `steal`). */
  readonly stolen: number;
}

/** Why a measurement does not count; undefined where it does. */
export function disturbance({ busy, stolen }: TimeShares): string | undefined {
  if (stolen > MAX_STOLEN) return `the hypervisor took ${(100 * stolen).toFixed(0)} % of the processor time`;
  return busy > MAX_BUSY ? `the machine was busy ${(100 * busy).toFixed(0)} %` : undefined;
}

export class MachineTime {
  #last = ticks();

  /** Since the last reading. */
  shares(): TimeShares {
    const [before, now] = [this.#last, ticks()];
    this.#last = now;
    const all = Math.max(1, now.all - before.all);
    return { busy: (now.busy - before.busy) / all, stolen: (now.stolen - before.stolen) / all };
  }
}

/** Since boot, over all processors. */
function ticks(): { readonly all: number; readonly busy: number; readonly stolen: number } {
  const line = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0] ?? '';
  // user nice system idle iowait irq softirq steal
  const fields = line.trim().split(/\s+/).slice(1, 9).map(Number);
  const all = fields.reduce((sum, part) => sum + part, 0);
  const [, nice = 0, , idle = 0, wait = 0] = fields;
  return { all, busy: all - nice - idle - wait, stolen: fields[7] ?? 0 };
}
