/** Pages given to an Asterisk to send, and compared with what another one received. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { Asterisk } from './peers/asterisk.ts';
import { run, until } from './run.ts';
import { drawPage, type Page, readTiff, writeTiff } from './tiff.ts';

/** A sixth of a page in fine resolution, some seconds at 14 400 bit/s. */
const LINES = 300;
export const PATIENCE_MS = 90_000;

/** A page, compressed as faxes are, where the dialplan looks for it. */
export function givePage(sender: Asterisk, seed: number): Page {
  const page = drawPage(LINES, seed);
  const plain = join(sender.folder, 'spool/plain.tif');
  writeTiff(plain, page);
  run('tiffcp', ['-c', 'g4', plain, join(sender.folder, 'spool/page.tif')]);
  return page;
}

/** Sends a page in the call that `begin` makes; dot by dot what arrives is what was sent. Returns the mode it came by: T38 or audio. */
export async function sendPage(
  from: Asterisk,
  to: Asterisk,
  seed: number,
  begin: () => void,
): Promise<string> {
  const page = givePage(from, seed);
  const [sentBefore, gotBefore] = [from.faxes().length, to.faxes().length];
  const pages = to.pages().length;
  begin();
  await until('the fax to end at both sides', PATIENCE_MS, () => {
    return from.faxes().length > sentBefore && to.faxes().length > gotBefore;
  });
  const [sent, got] = [from.faxes().at(-1)!, to.faxes().at(-1)!];
  const what = `sender: ${sent}; receiver: ${got}`;
  const [mode, status, count] = got.split(' ');
  assert.deepEqual([status, count, sent.split(' ')[1]], ['SUCCESS', '1', 'SUCCESS'], what);
  const plain = join(to.folder, 'spool/received.tif');
  run('tiffcp', ['-c', 'none', to.pages()[pages]!, plain]);
  const arrived = readTiff(plain);
  assert.equal(arrived.width, page.width, what);
  const wrong = page.rows.filter((row, y) => Buffer.compare(row, arrived.rows[y] ?? Buffer.alloc(0)) !== 0);
  assert.equal(wrong.length, 0, `${wrong.length} of ${LINES} lines differ; ${what}`);
  assert.equal(mode, sent.split(' ')[0], what);
  return mode!;
}
