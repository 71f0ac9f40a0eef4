#!/usr/bin/env node
// Starts the built program. The sources are TypeScript: a checkout must be built once.
import { existsSync } from 'node:fs';

const main = new URL('../dist/src/process/main.js', import.meta.url);
if (existsSync(main)) {
  await import(main.href);
} else {
  console.error('voip-sgw is not built yet; run: npm install && npm run build');
  process.exitCode = 2;
}
