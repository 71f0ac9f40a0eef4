/** Programs of the lab: run one to its end, keep one in the background, wait for a condition, and leave nothing behind. */
import { type ChildProcess, type SpawnOptions } from 'node:child_process';
/** The repository, seen from dist/test/lab. */
export declare const root: string;
/** Files that the compiler does not carry to dist: scenarios, configuration templates. */
export declare const source: string;
export declare class CommandError extends Error {
  readonly output: string;
  constructor(command: string, status: number | null, output: string);
}
/** Runs to the end; throws CommandError unless it exits 0. `input` goes to stdin. Returns stdout. */
export declare function run(command: string, args: readonly string[], input?: string): string;
/** True where the command exits 0; its output is thrown away. */
export declare function succeeds(command: string, args: readonly string[]): boolean;
export declare function sleep(ms: number): Promise<void>;
/** Polls until `condition` gives something other than undefined or false; throws with `what` after `ms`. */
export declare function until<T>(
  what: string,
  ms: number,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T>;
/** A program kept running, its output collected (last 2 MB), ended with the lab at the latest. */
export declare class Background {
  #private;
  readonly name: string;
  readonly child: ChildProcess;
  readonly exited: Promise<number>;
  output: string;
  /** Exit code, 128 + signal number, undefined while it runs. */
  code: number | undefined;
  constructor(name: string, command: string, args: readonly string[], options?: SpawnOptions);
  get pid(): number;
  get running(): boolean;
  write(text: string): void;
  kill(signal: NodeJS.Signals): void;
  /** Waits for the end; undefined where it still runs after `ms`. */
  wait(ms: number): Promise<number | undefined>;
  /** SIGTERM (or `signal`), then SIGKILL after `graceMs`. */
  stop(signal?: NodeJS.Signals, graceMs?: number): Promise<number>;
}
export declare function stopAll(): Promise<void>;
