/** Tests that measure milliseconds, on machines whose hypervisor may take the processor away for longer than that. */
import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';

export const ATTEMPTS = 3;
/** A greater share of stolen time than this, and what was measured is the hypervisor. */
const MAX_STOLEN = 0.02;

/**
 * Runs `measure`, which throws where what it finds is wrong. What it finds counts where the processor was ours; a failure while it was
 * taken away (`steal` in /proc/stat) is tried again, and after the third time the test is skipped with the share that was taken.
 */
export async function undisturbed(t: TestContext, measure: () => Promise<void>): Promise<void> {
  const taken = await again(t, measure);
  if (taken !== undefined) t.skip(`void ${ATTEMPTS} times: ${disturbance(taken.share)}`);
}

/**
 * The same for a test whose rule has nothing to do with milliseconds, though its peers do: it is tried again as well, and fails with what
 * the last attempt found.
 */
export async function insistently(t: TestContext, attempt: () => Promise<void>): Promise<void> {
  const taken = await again(t, attempt);
  if (taken !== undefined) throw taken.error;
}

/** How the last attempt failed, where each failed and each was disturbed; throws at the first failure that was not. */
async function again(
  t: TestContext,
  measure: () => Promise<void>,
): Promise<{ readonly error: unknown; readonly share: number } | undefined> {
  for (let attempt = 1; ; attempt++) {
    const before = processorTime();
    try {
      await measure();
      return undefined;
    } catch (error) {
      const after = processorTime();
      const share = (after.stolen - before.stolen) / Math.max(1, after.all - before.all);
      if (share <= MAX_STOLEN) throw error;
      if (attempt === ATTEMPTS) return { error, share };
      const what = String(error).split('\n', 1)[0];
      t.diagnostic(`attempt ${attempt} void, ${disturbance(share)}: ${what}`);
    }
  }
}

function disturbance(share: number): string {
  return `the hypervisor took ${(100 * share).toFixed(0)} % of the processor time`;
}

/** Ticks since boot over all processors (proc_stat(5): the eighth is `steal`). */
function processorTime(): { readonly all: number; readonly stolen: number } {
  const line = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0] ?? '';
  const fields = line.trim().split(/\s+/).slice(1, 9).map(Number);
  return { all: fields.reduce((sum, ticks) => sum + ticks, 0), stolen: fields[7] ?? 0 };
}
