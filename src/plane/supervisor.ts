import { type ChildProcess, fork } from 'node:child_process';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { PlaneCommand, PlaneEvent, SessionId, StreamLegConfig } from '../media/plane-contract.ts';
import type { TlsIdentity } from '../net/tls.ts';
import type { LegSnapshot, SessionCommand } from './engine.ts';
import type { LegState } from './stream-leg.ts';
import { WaitingCommands } from './waiting-commands.ts';
import type { ToMain, ToWorker } from './worker-messages.ts';

export interface PlaneOptions {
  /** 1..16; one shard each. */
  readonly workers: number;
  readonly implementation: 'auto' | 'koffi' | 'dgram';
  /** `node`: lanes by Node's TLS although OpenSSL might be called. */
  readonly lanes?: 'auto' | 'node';
  readonly tls: TlsIdentity;
  /** Seconds without a word of a worker that has streams, until it is ended. Default HUNG_SECONDS. */
  readonly hungSeconds?: number;
}

/** Each second a worker with streams reports, at the least that nothing moved. So long a standstill is no busy machine. */
const HUNG_SECONDS = 15;
const READY_MS = 10_000;
const STOP_MS = 1000;
/** A worker that keeps dying is started again ever more slowly. */
const RESTART_FIRST_MS = 50;
const RESTART_MAX_MS = 5000;
const STABLE_MS = 10_000;

/** What main knows of one worker, enough to give a successor the same work. */
interface Shard {
  readonly number: number;
  child: ChildProcess | undefined;
  startedAt: number;
  restarts: number;
  timer: NodeJS.Timeout | undefined;
  /** It said so; before that, what is commanded waits in memory. */
  ready: boolean;
  report: PlaneCommand | undefined;
  draining: boolean;
  readonly waiting: WaitingCommands;
  /** Seconds, as counted while main itself runs, in which nothing was heard of it. */
  unheard: number;
  readonly sessions: Map<SessionId, SessionCommand>;
  readonly legs: Map<string, StreamLegConfig>;
  /** Last known state of each leg, by key, and when it was taken (wall clock). */
  readonly states: Map<string, { readonly leg: LegSnapshot; readonly at: number }>;
}

/**
 * Main's side of the media plane: starts the workers, spreads the work by shard, gives a dead worker's sessions and streams to
 * its successor. No media passes here.
 */
export class PlaneSupervisor {
  /** Set before `start`. */
  onEvent: (shard: number, event: PlaneEvent) => void = () => {};
  #options: PlaneOptions | undefined;
  #shards: Shard[] = [];
  #stopping = false;
  #next = 0;
  #watch: NodeJS.Timeout | undefined;

  get shards(): number {
    return this.#shards.length;
  }

  /** Resolves when every worker said `ready`; rejects where one cannot start. */
  async start(options: PlaneOptions): Promise<void> {
    this.#options = options;
    const count = Math.max(1, Math.min(16, options.workers));
    for (let number = 0; number < count; number++) this.#shards.push(newShard(number));
    await Promise.all(this.#shards.map((shard) => this.#startShard(shard)));
    for (const shard of this.#shards) this.#restore(shard);
    this.#watch = setInterval(() => this.#endHung(options.hungSeconds ?? HUNG_SECONDS), 1000);
    this.#watch.unref();
  }

  /** A worker that lives and does nothing any more is as good as dead, and its successor is better. */
  #endHung(seconds: number): void {
    for (const shard of this.#shards) {
      const reports = shard.ready && shard.report !== undefined && shard.legs.size > 0;
      shard.unheard = reports ? shard.unheard + 1 : 0;
      if (shard.unheard > seconds) shard.child?.kill('SIGKILL');
    }
  }

  /** Process ids of the workers, for the operator and the benches. */
  pids(): number[] {
    return this.#shards.flatMap((shard) => shard.child?.pid ?? []);
  }

  command(shard: number, command: PlaneCommand): void {
    const target = this.#shards[shard];
    if (target === undefined) {
      if (command.kind === 'open') {
        const { session, stream } = command.leg;
        this.onEvent(shard, { kind: 'open-failed', session, stream, reason: 'no such shard' });
      }
      return;
    }
    remember(target, command);
    // While it is down or starting, the successor gets everything from memory.
    if (target.ready) target.waiting.add(command);
  }

  /**
   * A connection on the media port, accepted with `pauseOnConnect` and unread. The shard it is for is said inside TLS, so
   * workers get connections in turn and a dialer that met the wrong one comes again.
   */
  acceptLane(socket: Socket): void {
    const alive = this.#shards.filter((s) => s.ready);
    const shard = alive[this.#next++ % Math.max(1, alive.length)];
    if (shard?.child === undefined || this.#stopping) {
      socket.destroy();
      return;
    }
    socket.on('error', ignore);
    const message: ToWorker = { type: 'lane' };
    shard.child.send(message, socket, { keepOpen: false }, (error) => {
      if (error !== null) socket.destroy();
    });
  }

  /** New certificates after a reload: lanes are dialled anew before the old ones close. */
  updateTls(tls: TlsIdentity): void {
    if (this.#options !== undefined) this.#options = { ...this.#options, tls };
    for (const shard of this.#shards) post(shard, { type: 'tls', tls });
  }

  /** Ends all streams and lanes. Resolves when the workers are gone. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#watch);
    await Promise.all(this.#shards.map((shard) => stopShard(shard)));
    this.#shards = [];
  }

  #startShard(shard: Shard): Promise<void> {
    const options = this.#options!;
    const child = fork(fileURLToPath(new URL('./worker.js', import.meta.url)), [], {
      execArgv: [],
      // Nothing of main's environment is a worker's business.
      env: {},
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      // Plain data only: JSON costs a third of structured cloning.
      serialization: 'json',
    });
    shard.child = child;
    shard.startedAt = Date.now();
    post(shard, {
      type: 'start',
      shard: shard.number,
      implementation: options.implementation,
      lanes: options.lanes ?? 'auto',
      tls: options.tls,
    });
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => child.kill('SIGKILL'), READY_MS);
      child.on('message', (message: ToMain) => {
        this.#message(shard, message, () => {
          clearTimeout(timer);
          resolve();
        });
      });
      child.on('error', ignore);
      child.on('exit', (code, signal) => {
        clearTimeout(timer);
        reject(new Error(`media plane worker ${shard.number} ended (${signal ?? code})`));
        if (shard.child === child) this.#died(shard, `${signal ?? `exit ${code}`}`);
      });
    });
  }

  #message(shard: Shard, message: ToMain, ready: () => void): void {
    shard.unheard = 0;
    if (message.type === 'snapshot') {
      const at = Date.now();
      for (const leg of message.legs) {
        const key = legKey(leg);
        if (shard.legs.has(key)) shard.states.set(key, { leg, at });
      }
      return;
    }
    for (const event of message.events) {
      if (event.kind === 'ready') ready();
      if (event.kind === 'open-failed') forget(shard, legKey(event));
      this.onEvent(shard.number, event);
    }
  }

  #died(shard: Shard, reason: string): void {
    shard.child = undefined;
    shard.ready = false;
    shard.unheard = 0;
    // Its successor gets everything from memory, and never knew the streams whose close waits.
    shard.waiting.clear();
    if (this.#stopping) return;
    this.onEvent(shard.number, { kind: 'shard-lost', shard: shard.number, reason });
    if (Date.now() - shard.startedAt > STABLE_MS) shard.restarts = 0;
    const delay = Math.min(RESTART_MAX_MS, RESTART_FIRST_MS * 2 ** shard.restarts);
    shard.restarts = Math.min(10, shard.restarts + 1);
    shard.timer = setTimeout(() => {
      // A failed start comes back here by its exit event.
      this.#startShard(shard).then(() => {
        this.#restore(shard);
        this.onEvent(shard.number, { kind: 'shard-ready', shard: shard.number });
      }, ignore);
    }, delay);
  }

  /** Gives the successor the sessions and streams, and where each stream stood. */
  #restore(shard: Shard): void {
    shard.ready = true;
    const now = Date.now();
    for (const command of shard.sessions.values()) post(shard, { type: 'command', command });
    if (shard.report !== undefined) post(shard, { type: 'command', command: shard.report });
    for (const [key, leg] of shard.legs) {
      const known = shard.states.get(key);
      const command: PlaneCommand = { kind: 'open', leg };
      if (known === undefined) post(shard, { type: 'command', command });
      else post(shard, { type: 'command', command, resume: older(known.leg.state, now - known.at) });
    }
    if (shard.draining) post(shard, { type: 'command', command: { kind: 'drain' } });
  }
}

function newShard(number: number): Shard {
  const shard: Shard = {
    number,
    child: undefined,
    startedAt: 0,
    restarts: 0,
    timer: undefined,
    ready: false,
    unheard: 0,
    report: undefined,
    draining: false,
    waiting: new WaitingCommands((commands) => post(shard, { type: 'commands', commands })),
    sessions: new Map(),
    legs: new Map(),
    states: new Map(),
  };
  return shard;
}

function remember(shard: Shard, command: PlaneCommand): void {
  switch (command.kind) {
    case 'session':
      shard.sessions.set(command.session, command);
      break;
    case 'session-end':
      shard.sessions.delete(command.session);
      for (const [key, leg] of shard.legs) if (leg.session === command.session) forget(shard, key);
      break;
    case 'open':
      shard.legs.set(legKey(command.leg), command.leg);
      begin(shard, command.leg);
      break;
    case 'modify':
      shard.legs.set(legKey(command.leg), command.leg);
      break;
    case 'close':
      forget(shard, legKey(command));
      break;
    case 'report':
      shard.report = command;
      break;
    case 'drain':
      shard.draining = true;
      break;
    case 'digit':
      break;
  }
}

/** Until the worker's first snapshot a successor goes on from where main let the stream begin. */
function begin(shard: Shard, leg: StreamLegConfig): void {
  const { session, stream, rtpBase } = leg;
  if (rtpBase === undefined || shard.states.has(legKey(leg))) return;
  const clockRate = leg.formats[0]?.clockRate ?? 8000;
  const state: LegState = { rebuild: { ...rtpBase, age: 0, clockRate } };
  shard.states.set(legKey(leg), { leg: { session, stream, state }, at: Date.now() });
}

function forget(shard: Shard, key: string): void {
  shard.legs.delete(key);
  shard.states.delete(key);
}

function legKey(leg: { readonly session: string; readonly stream: number }): string {
  return `${leg.stream} ${leg.session}`;
}

function older(state: LegState, age: number): LegState {
  return { ...state, rebuild: { ...state.rebuild, age: state.rebuild.age + age } };
}

function post(shard: Shard, message: ToWorker): void {
  if (shard.child?.connected === true) shard.child.send(message, ignore);
}

async function stopShard(shard: Shard): Promise<void> {
  clearTimeout(shard.timer);
  const child = shard.child;
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    shard.waiting.flush();
    post(shard, { type: 'stop' });
  });
  shard.child = undefined;
}

function ignore(): void {}
