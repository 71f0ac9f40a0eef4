/** What `voip-sgw init` writes, for a pair of gateways under test. */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, renameSync, rmSync } from 'node:fs';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/**
 * By the command itself, or a copy of what it wrote for another file of the same run of the tests: VOIP_SGW_TEST_INIT names a
 * folder that is not there before the first.
 */
export async function initFolder(launcher: string, folder: string): Promise<void> {
  const kept = process.env['VOIP_SGW_TEST_INIT'];
  if (kept !== undefined && existsSync(kept)) {
    cpSync(kept, folder, { recursive: true });
    return;
  }
  await execute(process.execPath, [launcher, 'init', folder]);
  if (kept === undefined) return;
  const copy = `${kept}-${process.pid}`;
  cpSync(folder, copy, { recursive: true });
  try {
    renameSync(copy, kept);
  } catch {
    rmSync(copy, { recursive: true }); // another file was first
  }
}
