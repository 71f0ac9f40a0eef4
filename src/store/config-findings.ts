/** Where a check of the configuration tells what it found: the key it stands at, and what to do next. */
import type { ConfigPath } from './yaml-source.ts';

export interface Findings {
  error(path: ConfigPath, message: string): void;
  warning(path: ConfigPath, message: string): void;
}
