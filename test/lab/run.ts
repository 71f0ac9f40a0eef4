/** Programs of the lab: run one to its end, keep one in the background, wait for a condition, and leave nothing behind. */
import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository, seen from dist/test/lab. */
export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
/** Files that the compiler does not carry to dist: scenarios, configuration templates. */
export const source = resolve(root, 'test/lab');

export class CommandError extends Error {
  readonly output: string;
  constructor(command: string, status: number | null, output: string) {
    super(`${command}: exit ${status ?? 'by signal'}\n${output.trim().split('\n').slice(-15).join('\n')}`);
    this.output = output;
  }
}

/** Runs to the end; throws CommandError unless it exits 0. `input` goes to stdin. Returns stdout. */
export function run(command: string, args: readonly string[], input?: string): string {
  const result = spawnSync(command, [...args], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    ...(input === undefined ? {} : { input }),
  });
  if (result.status !== 0) {
    throw new CommandError(
      [command, ...args].join(' '),
      result.status,
      `${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? ''}`,
    );
  }
  return result.stdout;
}

/** True where the command exits 0; its output is thrown away. */
export function succeeds(command: string, args: readonly string[]): boolean {
  return spawnSync(command, [...args], { stdio: 'ignore' }).status === 0;
}

export function sleep(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}

/** Polls until `condition` gives something other than undefined or false; throws with `what` after `ms`. */
export async function until<T>(
  what: string,
  ms: number,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const end = performance.now() + ms;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > end) throw new Error(`waited ${ms} ms for: ${what}`);
    await sleep(50);
  }
}

const living = new Set<Background>();

/** A program kept running, its output collected (last 2 MB), ended with the lab at the latest. */
export class Background {
  readonly name: string;
  readonly child: ChildProcess;
  readonly exited: Promise<number>;
  output = '';
  /** Exit code, 128 + signal number, undefined while it runs. */
  code: number | undefined;
  /** What ended it, where a signal did. */
  signal: NodeJS.Signals | undefined;

  constructor(name: string, command: string, args: readonly string[], options: SpawnOptions = {}) {
    this.name = name;
    this.child = spawn(command, [...args], { stdio: ['pipe', 'pipe', 'pipe'], ...options });
    living.add(this);
    const collect = (chunk: Buffer): void => {
      this.output = (this.output + chunk.toString('utf8')).slice(-2_000_000);
    };
    this.child.stdout?.on('data', collect);
    this.child.stderr?.on('data', collect);
    this.child.stdin?.on('error', () => {}); // the program ended before it read: its exit code tells
    this.exited = new Promise((done) => {
      this.child.once('error', (error) => {
        this.output += `\n${error.message}`;
        this.#end(127, done);
      });
      this.child.once('close', (code, signal) => {
        this.signal = signal ?? undefined;
        this.#end(code ?? 128 + (signal === null ? 0 : constants.signals[signal]), done);
      });
    });
  }

  get pid(): number {
    const pid = this.child.pid;
    if (pid === undefined) throw new Error(`${this.name} did not start: ${this.output}`);
    return pid;
  }

  get running(): boolean {
    return this.code === undefined;
  }

  write(text: string): void {
    this.child.stdin?.write(text);
  }

  kill(signal: NodeJS.Signals): void {
    if (this.running) this.child.kill(signal);
  }

  /** Waits for the end; undefined where it still runs after `ms`. */
  async wait(ms: number): Promise<number | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((done) => {
      timer = setTimeout(() => done(undefined), ms);
    });
    const code = await Promise.race([this.exited, late]);
    clearTimeout(timer);
    return code;
  }

  /** SIGTERM (or `signal`), then SIGKILL after `graceMs`. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', graceMs = 3000): Promise<number> {
    this.kill(signal);
    const code = await this.wait(graceMs);
    if (code !== undefined) return code;
    this.kill('SIGKILL');
    return this.exited;
  }

  #end(code: number, done: (code: number) => void): void {
    this.code = code;
    living.delete(this);
    done(code);
  }
}

export async function stopAll(): Promise<void> {
  await Promise.all([...living].map((program) => program.stop()));
}

// A test file that crashes must not leave peers behind.
process.once('exit', () => {
  for (const program of living) program.kill('SIGKILL');
});
