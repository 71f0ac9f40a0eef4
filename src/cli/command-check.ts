/** `voip-sgw check FILE...`: each file by itself, and a termination gateway's with each relay gateway's. */
import { type ConfigError, formatConfigError, type LoadedConfig, loadConfig } from '../store/config.ts';
import { checkPair } from '../store/pair-checks.ts';
import { EXIT, type ExitCode, type Io, printJson } from './io.ts';

export interface CheckOptions {
  /** Commander's negation of --no-files. */
  readonly files: boolean;
  readonly json?: boolean;
}

export function checkCommand(paths: readonly string[], options: CheckOptions, io: Io): ExitCode {
  const errors: ConfigError[] = [];
  const warnings: ConfigError[] = [];
  const loaded: LoadedConfig[] = [];
  const described: { readonly file: string; readonly role: string; readonly name: string }[] = [];
  for (const path of paths) {
    const result = loadConfig(path, { files: options.files });
    if (!result.ok) {
      errors.push(...result.error);
      continue;
    }
    loaded.push(result.value);
    warnings.push(...result.value.warnings);
    described.push({ file: path, role: result.value.config.role, name: result.value.config.name });
  }
  const pairs = pairsOf(loaded);
  for (const [termination, relay] of pairs) {
    const found = checkPair(termination, relay, { files: options.files });
    errors.push(...found.errors);
    warnings.push(...found.warnings);
  }
  if (options.json === true) {
    printJson(io, { ok: errors.length === 0, files: described, pairs: pairs.length, errors, warnings });
  } else {
    for (const error of errors) io.stderr(`${formatConfigError(error)}\n`);
    for (const warning of warnings) io.stderr(`warning: ${formatConfigError(warning)}\n`);
    for (const { file, role, name } of described) io.stdout(`${file}: ${role} gateway "${name}": read\n`);
    io.stdout(verdict(errors.length, warnings.length, pairs.length));
  }
  return errors.length === 0 ? EXIT.ok : EXIT.usage;
}

function pairsOf(loaded: readonly LoadedConfig[]): [LoadedConfig, LoadedConfig][] {
  const terminations = loaded.filter(({ config }) => config.role === 'termination');
  const relays = loaded.filter(({ config }) => config.role === 'relay');
  return terminations.flatMap((termination) =>
    relays.map((relay): [LoadedConfig, LoadedConfig] => [termination, relay]),
  );
}

function verdict(errors: number, warnings: number, pairs: number): string {
  const noted = warnings === 0 ? '' : `, ${warnings} ${warnings === 1 ? 'warning' : 'warnings'}`;
  if (errors > 0) return `${errors} ${errors === 1 ? 'error' : 'errors'}${noted}\n`;
  return `ok${pairs === 0 ? '' : ', they fit together'}${noted}\n`;
}
