#!/usr/bin/env node
// npm run demo [-- --json | --stay]: builds, then runs tools/demo.ts.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { root, setup } from './setup.mjs';

setup();
const result = spawnSync(
  process.execPath,
  ['--enable-source-maps', join(root, 'dist/tools/demo.js'), ...process.argv.slice(2)],
  { cwd: root, stdio: 'inherit' },
);
process.exit(result.status ?? 1);
