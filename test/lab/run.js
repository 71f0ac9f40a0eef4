/** Programs of the lab: run one to its end, keep one in the background, wait for a condition, and leave nothing behind. */
import { spawn, spawnSync } from 'node:child_process';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
/** The repository, seen from dist/test/lab. */
export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
/** Files that the compiler does not carry to dist: scenarios, configuration templates. */
export const source = resolve(root, 'test/lab');
export class CommandError extends Error {
    output;
    constructor(command, status, output) {
        super(`${command}: exit ${status ?? 'by signal'}\n${output.trim().split('\n').slice(-15).join('\n')}`);
        this.output = output;
    }
}
/** Runs to the end; throws CommandError unless it exits 0. `input` goes to stdin. Returns stdout. */
export function run(command, args, input) {
    const result = spawnSync(command, [...args], {
        encoding: 'utf8',
        maxBuffer: 1 << 28,
        ...(input === undefined ? {} : { input }),
    });
    if (result.status !== 0) {
        throw new CommandError([command, ...args].join(' '), result.status, `${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? ''}`);
    }
    return result.stdout;
}
/** True where the command exits 0; its output is thrown away. */
export function succeeds(command, args) {
    return spawnSync(command, [...args], { stdio: 'ignore' }).status === 0;
}
export function sleep(ms) {
    return new Promise((done) => setTimeout(done, ms));
}
/** Polls until `condition` gives something other than undefined or false; throws with `what` after `ms`. */
export async function until(what, ms, condition) {
    const end = performance.now() + ms;
    for (;;) {
        const value = await condition();
        if (value !== undefined && value !== false)
            return value;
        if (performance.now() > end)
            throw new Error(`waited ${ms} ms for: ${what}`);
        await sleep(50);
    }
}
const living = new Set();
/** A program kept running, its output collected (last 2 MB), ended with the lab at the latest. */
export class Background {
    name;
    child;
    exited;
    output = '';
    /** Exit code, 128 + signal number, undefined while it runs. */
    code;
    constructor(name, command, args, options = {}) {
        this.name = name;
        this.child = spawn(command, [...args], { stdio: ['pipe', 'pipe', 'pipe'], ...options });
        living.add(this);
        const collect = (chunk) => {
            this.output = (this.output + chunk.toString('utf8')).slice(-2_000_000);
        };
        this.child.stdout?.on('data', collect);
        this.child.stderr?.on('data', collect);
        this.child.stdin?.on('error', () => { }); // the program ended before it read: its exit code tells
        this.exited = new Promise((done) => {
            this.child.once('error', (error) => {
                this.output += `\n${error.message}`;
                this.#end(127, done);
            });
            this.child.once('close', (code, signal) => this.#end(code ?? (signal === 'SIGKILL' ? 137 : 143), done));
        });
    }
    get pid() {
        const pid = this.child.pid;
        if (pid === undefined)
            throw new Error(`${this.name} did not start: ${this.output}`);
        return pid;
    }
    get running() {
        return this.code === undefined;
    }
    write(text) {
        this.child.stdin?.write(text);
    }
    kill(signal) {
        if (this.running)
            this.child.kill(signal);
    }
    /** Waits for the end; undefined where it still runs after `ms`. */
    async wait(ms) {
        let timer;
        const late = new Promise((done) => {
            timer = setTimeout(() => done(undefined), ms);
        });
        const code = await Promise.race([this.exited, late]);
        clearTimeout(timer);
        return code;
    }
    /** SIGTERM (or `signal`), then SIGKILL after `graceMs`. */
    async stop(signal = 'SIGTERM', graceMs = 3000) {
        this.kill(signal);
        const code = await this.wait(graceMs);
        if (code !== undefined)
            return code;
        this.kill('SIGKILL');
        return this.exited;
    }
    #end(code, done) {
        this.code = code;
        living.delete(this);
        done(code);
    }
}
export async function stopAll() {
    await Promise.all([...living].map((program) => program.stop()));
}
// A test file that crashes must not leave peers behind.
process.once('exit', () => {
    for (const program of living)
        program.kill('SIGKILL');
});
//# sourceMappingURL=run.js.map