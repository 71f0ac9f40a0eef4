#!/usr/bin/env node
// npm run bench -- NAME [--json] [options]: builds, then runs bench/NAME.ts. Without a name: lists them.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { root, setup } from './setup.mjs';

const [name, ...rest] = process.argv.slice(2);
const names = readdirSync(join(root, 'bench'))
  .filter((f) => f.endsWith('.bench.ts') || (f.endsWith('.ts') && !f.includes('.'.concat('d.'))))
  .map((f) => f.replace(/\.ts$/, ''));
if (!name || name.startsWith('-') || !existsSync(join(root, 'bench', `${name}.ts`))) {
  console.error(`usage: npm run bench -- NAME [--json]\nbenches: ${names.join(', ')}`);
  process.exit(2);
}
setup();
const result = spawnSync(
  process.execPath,
  ['--enable-source-maps', join(root, 'dist/bench', `${name}.js`), ...rest],
  { cwd: root, stdio: 'inherit' },
);
process.exit(result.status ?? 1);
