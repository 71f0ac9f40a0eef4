/** Tests that measure milliseconds, on machines whose hypervisor may take the processor away for longer than that. */
import type { TestContext } from 'node:test';
import { disturbance, MachineTime } from './machine-time.ts';

export const ATTEMPTS = 3;

/** A peer's own program ended in the middle of a test: no finding about the gateways, unless it happens each time. */
export class PeerEnded extends Error {
  constructor(how: string, cause: unknown) {
    super(`${how}; what the test saw: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/**
 * Runs `measure`, which throws where what it finds is wrong. What it finds counts where the processor was ours; a failure while it was
 * taken away (`steal` in /proc/stat) is tried again, and after the third time the test is skipped with the share that was taken.
 */
export async function undisturbed(t: TestContext, measure: () => Promise<void>): Promise<void> {
  const disturbed = await again(t, measure);
  if (disturbed !== undefined) t.skip(`void ${ATTEMPTS} times: ${disturbed.reason}`);
}

/**
 * The same for a test whose rule has nothing to do with milliseconds, though its peers do: it is tried again as well, and fails with what
 * the last attempt found.
 */
export async function insistently(t: TestContext, attempt: () => Promise<void>): Promise<void> {
  const disturbed = await again(t, attempt);
  if (disturbed !== undefined) throw disturbed.error;
}

/** How the last attempt failed, where each failed and each was disturbed; throws at the first failure that was not. */
async function again(
  t: TestContext,
  measure: () => Promise<void>,
): Promise<{ readonly error: unknown; readonly reason: string } | undefined> {
  for (let attempt = 1; ; attempt++) {
    const time = new MachineTime();
    try {
      await measure();
      return undefined;
    } catch (error) {
      const reason = disturbance({ ...time.shares(), busy: 0, niced: 0 }); // a test's own load is none
      if (error instanceof PeerEnded) {
        if (attempt === ATTEMPTS) throw error;
        t.diagnostic(`attempt ${attempt}: ${error.message.split('\n', 1)[0]}`);
        continue;
      }
      if (reason === undefined) throw error;
      if (attempt === ATTEMPTS) return { error, reason };
      t.diagnostic(`attempt ${attempt} void, ${reason}: ${String(error).split('\n', 1)[0]}`);
    }
  }
}
