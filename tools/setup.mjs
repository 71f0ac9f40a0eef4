#!/usr/bin/env node
// Makes a checkout ready: dependencies (npm ci, install scripts off) and build output. Quick when nothing changed.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

function run(what, command, args) {
  const started = process.hrtime.bigint();
  process.stderr.write(`setup: ${what} ... `);
  const result = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, CI: 'true' },
  });
  if (result.status !== 0) {
    process.stderr.write('failed\n');
    process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}${result.error ?? ''}\n`);
    process.stderr.write(
      `setup: "${command} ${args.join(' ')}" failed; mend what it says above and run the same command again.\n`,
    );
    process.exit(1);
  }
  process.stderr.write(`${Number((process.hrtime.bigint() - started) / 1_000_000n)} ms\n`);
}

export function setup() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    process.stderr.write(
      `setup: Node ${process.versions.node} is too old; install Node 20.19 or newer (24 LTS recommended).\n`,
    );
    process.exit(1);
  }
  const lock = readFileSync(join(root, 'package-lock.json'));
  const digest = createHash('sha256').update(lock).digest('hex');
  const stamp = join(root, 'node_modules', '.voip-sgw-lock');
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== digest) {
    run('installing dependencies (npm ci)', process.platform === 'win32' ? 'npm.cmd' : 'npm', [
      'ci',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
    ]);
    mkdirSync(dirname(stamp), { recursive: true });
    writeFileSync(stamp, digest);
  }
  run('building (tsc -b)', process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-b']);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) setup();
