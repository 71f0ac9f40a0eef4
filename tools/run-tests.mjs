#!/usr/bin/env node
// npm test            all tests that need no privileges and no foreign program
// npm run test:lab    namespaces, packet filter, real peers (root; installs what it needs); -- --full for the whole matrix
// Both end with "N passed, N failed[, N skipped]"; with VOIP_SGW_COUNTS=FILE the counts are appended there as JSON.
import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root, setup } from './setup.mjs';

const args = process.argv.slice(2);
const lab = args.includes('--lab');
const full = args.includes('--full');
const wanted = args.filter((a) => !a.startsWith('--'));
setup();

function find(folder, suffix) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((e) => e.isFile() && e.name.endsWith(suffix))
    .map((e) => join(e.parentPath ?? e.path, e.name))
    .filter((file) => sourceExists(file))
    .sort();
}

/** Compiled output of a test that has been deleted or renamed is not run. */
function sourceExists(file) {
  return existsSync(join(root, relative(join(root, 'dist'), file).replace(/\.js$/, '.ts')));
}

const files = (
  lab
    ? find(join(root, 'dist/test/lab'), '.lab.js')
    : ['src', 'test', 'tools'].flatMap((d) => find(join(root, 'dist', d), '.test.js'))
).filter((f) => wanted.length === 0 || wanted.some((w) => f.includes(w)));
if (files.length === 0) {
  console.error('no test file found');
  process.exit(1);
}
// The same cases each time, unless others are asked for: a failure can be repeated.
const seed = Number(process.env.VOIP_SGW_PROPERTY_SEED ?? (full ? Date.now() % 0x7fffffff : 20_261_122));
console.log(`property seed ${seed} (VOIP_SGW_PROPERTY_SEED)`);
// Real processes and sounds want room: after the rest, two files at a time; floods, and the plane with its sound, one at a time.
const kindOf = (file) => {
  if (lab || /plane\/plane(-\w+)?\.test|attack-floods|pair-crashes/.test(file)) return 'alone';
  return file.includes('/test/e2e/') ? 'real' : 'quick';
};
const scratch = mkdtempSync(join(tmpdir(), 'voip-sgw-test-'));
const total = { passed: 0, failed: 0, skipped: 0, failures: [] };
for (const [kind, concurrency] of Object.entries({ quick: 2, real: 2, alone: 1 })) {
  run(
    kind,
    files.filter((f) => kindOf(f) === kind),
    concurrency,
  );
}
rmSync(scratch, { recursive: true, force: true });

function run(kind, some, concurrency) {
  if (some.length === 0) return;
  const counts = join(scratch, `counts-${kind}.json`);
  const result = spawnSync(
    process.execPath,
    [
      '--import',
      pathToFileURL(join(root, 'tools/property-seed.mjs')).href,
      '--test',
      `--test-concurrency=${concurrency}`,
      '--test-reporter=spec',
      '--test-reporter-destination=stdout',
      `--test-reporter=${join(root, 'tools/count-reporter.mjs')}`,
      `--test-reporter-destination=${counts}`,
      ...some,
    ],
    {
      cwd: root,
      stdio: 'inherit',
      env: {
        ...process.env,
        NODE_OPTIONS: '--enable-source-maps',
        VOIP_SGW_PROPERTY_SEED: String(seed),
        ...(full ? { VOIP_SGW_FULL: '1' } : {}),
      },
    },
  );
  const part = existsSync(counts)
    ? JSON.parse(readFileSync(counts, 'utf8'))
    : { passed: 0, failed: 1, skipped: 0, failures: ['the test runner itself'] };
  if (result.status !== 0 && part.failed === 0) part.failed = 1;
  total.passed += part.passed;
  total.failed += part.failed;
  total.skipped += part.skipped;
  total.failures.push(...part.failures);
}

if (process.env.VOIP_SGW_COUNTS) appendFileSync(process.env.VOIP_SGW_COUNTS, `${JSON.stringify(total)}\n`);
for (const name of total.failures) console.log(`failed: ${name}`);
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed === 0 ? 0 : 1);
