import { readFileSync } from 'node:fs';
import { main } from '../cli/main.ts';
import { runGateway } from './run.ts';

/** The package's version, two folders above the built sources. */
function version(): string {
  const file = new URL('../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

process.exitCode = await main(process.argv.slice(2), { run: runGateway, version: version() });
