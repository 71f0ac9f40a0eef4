import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { main, type RunGateway } from '../cli/main.ts';

/*
 * Several threads that collect the few megabytes of a young generation together spend more on finding each other than they save:
 * a third of the CPU of the engine's helper threads. The flag is honoured at any time.
 */
setFlagsFromString('--no-parallel-scavenge');

/** The package's version, two folders above the built sources. */
function version(): string {
  const file = new URL('../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

/** Imported when a gateway is to run: `voip-sgw calls` must not wait for all of it. */
const run: RunGateway = async (config, configPath) => {
  const { runGateway } = await import('./run.ts');
  return runGateway(config, configPath);
};

process.exitCode = await main(process.argv.slice(2), { run, version: version() });
