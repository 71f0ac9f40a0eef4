#!/usr/bin/env node
// npm test            all tests that need no privileges and no foreign program
// npm run test:lab    namespaces, packet filter, real peers (root; installs what it needs); -- --full for the whole matrix
// Both end with "N passed, N failed[, N skipped]"; with VOIP_SGW_COUNTS=FILE the counts are appended there as JSON.
import { spawn } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root, setup } from './setup.mjs';

/** The files of test/e2e that take longest, those first. */
const LONG =
  'attack-media attack-h323 pair-cuts pair-hostile pair-calls attack-streams attack-tunnel h323-calls attack-messages'.split(
    ' ',
  );
/** Files that need no system, no port and no clock. */
const PURE =
  /\/dist\/(src\/(bytes|call|gateway|h323|interworking|machine|media|meta|policy|rtp|sdp|sip|tunnel)|test\/(sim|h323))\//;

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
// Real processes and sounds want room: after the rest, and three files at a time, which wait more than half of their time; floods, and
// the plane with its sound, one at a time. What only waits for a deadline does so beside what computes.
const kindOf = (file) => {
  if (lab || /plane\/plane(-\w+)?\.test|attack-floods|pair-crashes/.test(file)) return 'alone';
  if (file.includes('/test/e2e/')) return 'real';
  return /plane\/supervisor\.test|net\/operator\.test/.test(file) ? 'waiting' : 'quick';
};
const scratch = mkdtempSync(join(tmpdir(), 'voip-sgw-test-'));
const total = { passed: 0, failed: 0, skipped: 0, failures: [] };
const parts = [
  [
    ['quick', 2],
    ['waiting', 1],
  ],
  [['real', 3]],
  [['alone', 1]],
];
for (const beside of parts) {
  await Promise.all(beside.map(([kind, concurrency]) => run(kind, entries(kind), concurrency)));
}
rmSync(scratch, { recursive: true, force: true });

/**
 * The runner takes files in the order of their names: the long ones first, so that none is left running alone. Tests of pure
 * folders share processes, 15 files each: to start one takes longer than most of their tests.
 */
function entries(kind) {
  const some = files.filter((f) => kindOf(f) === kind);
  const pure = some.filter((f) => PURE.test(f));
  // Dealt out, so that the slow ones, which stand together, are spread.
  const count = Math.ceil(pure.length / 15);
  const groups = Array.from({ length: count }, (_, i) => pure.filter((_, at) => at % count === i));
  groups.push(...some.filter((f) => !PURE.test(f)).map((f) => [f]));
  const place = ([file]) => LONG.findIndex((name) => file.includes(`/e2e/${name}.`)) + 1 || 99;
  return groups
    .sort((a, b) => place(a) - place(b))
    .map((group, i) => {
      const entry = join(scratch, `${kind}-${String(i).padStart(3, '0')}.mjs`);
      writeFileSync(entry, group.map((f) => `import ${JSON.stringify(pathToFileURL(f).href)};\n`).join(''));
      return entry;
    });
}

async function run(kind, some, concurrency) {
  if (some.length === 0) return;
  const counts = join(scratch, `counts-${kind}.json`);
  const child = spawn(
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
      stdio: ['inherit', kind === 'waiting' ? 'pipe' : 'inherit', 'inherit'],
      env: {
        ...process.env,
        NODE_OPTIONS: '--enable-source-maps',
        VOIP_SGW_PROPERTY_SEED: String(seed),
        VOIP_SGW_TEST_INIT: join(scratch, 'init'),
        ...(full ? { VOIP_SGW_FULL: '1' } : {}),
      },
    },
  );
  // What runs beside something else is printed in one piece.
  const held = [];
  child.stdout?.on('data', (bytes) => held.push(bytes));
  const status = await new Promise((resolve) => child.once('close', resolve));
  process.stdout.write(Buffer.concat(held));
  const part = existsSync(counts)
    ? JSON.parse(readFileSync(counts, 'utf8'))
    : { passed: 0, failed: 1, skipped: 0, failures: ['the test runner itself'] };
  if (status !== 0 && part.failed === 0) part.failed = 1;
  total.passed += part.passed;
  total.failed += part.failed;
  total.skipped += part.skipped;
  total.failures.push(...part.failures);
}

if (process.env.VOIP_SGW_COUNTS) appendFileSync(process.env.VOIP_SGW_COUNTS, `${JSON.stringify(total)}\n`);
for (const name of total.failures) console.log(`failed: ${name}`);
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed === 0 ? 0 : 1);
