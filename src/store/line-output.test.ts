import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';

const log = new URL('./log.js', import.meta.url).href;
const SCRIPT = `
  import { createLogger } from ${JSON.stringify(log)};
  const log = createLogger({ level: 'info' });
  for (let i = 0; i < 20000; i++) log.info('line', { i });
  log.flush();
`;

test('all lines arrive, in order, before the process ends', () => {
  const { stdout, status } = spawnSync(process.execPath, ['--input-type=module', '-e', SCRIPT], {
    encoding: 'utf8',
    maxBuffer: 16 * 1024 * 1024,
    timeout: 30_000,
  });
  assert.equal(status, 0);
  const numbers = stdout
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { i: number }).i);
  assert.deepEqual(
    numbers,
    Array.from({ length: 20000 }, (_, i) => i),
  );
});

test('a reader that goes away neither ends nor hangs the process', async () => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', SCRIPT], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 30_000,
  });
  child.stdout.once('data', () => child.stdout.destroy());
  const [code] = await once(child, 'exit');
  assert.equal(code, 0);
});
