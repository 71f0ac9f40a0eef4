/**
 * A media plane worker: a child process of main. In: start, commands, raw lane sockets. Out: events in batches, and a
 * snapshot every second so that a successor goes on where this one ends. supervisor.ts is the other side.
 */
import type { Socket } from 'node:net';
import type { PlaneEvent } from '../media/plane-contract.ts';
import { monotonicNow, systemRandom, wallNow } from '../net/providers.ts';
import type { TlsIdentity } from '../net/tls.ts';
import { Engine } from './engine.ts';
import { GcPauses } from './gc-pauses.ts';
import { BufferPool } from './lane.ts';
import { LaneAcceptor } from './lane-acceptor.ts';
import { type LaneEnvironment, LaneGroup } from './lane-group.ts';
import { KernelTcp, type LaneTcp } from './lane-tcp.ts';
import type { LaneWires } from './lane-wire.ts';
import { NodeWires } from './lane-wire-node.ts';
import { OpensslWires } from './lane-wire-openssl.ts';
import { Arena, loadNative, type Native } from './native.ts';
import { Poller } from './poller.ts';
import type { Udp, UdpReceiver } from './udp.ts';
import { DgramUdp } from './udp-dgram.ts';
import { KoffiUdp } from './udp-koffi.ts';
import type { ToMain, ToWorker, WorkerStart } from './worker-messages.ts';

/** A phone's packet waits for the poll: a period at most. The fewer streams, the dearer a poll for each. */
const POLL_MS: readonly { readonly below: number; readonly ms: number }[] = [
  { below: 100, ms: 8 },
  { below: 200, ms: 5 },
  { below: 700, ms: 3 },
  { below: Number.POSITIVE_INFINITY, ms: 2 },
];
/** Where lanes lose, what is overdue must be seen in time. */
const POLL_LOSSY_MS = 4;
/** Packets and frames on their way in and out: 16 lanes' buffers and a good many more. */
const ARENA = 2 * 1024 * 1024;
/** Streams are open, but nothing moves (calls ring, or are all on hold): the worker sleeps until something comes. */
const QUIET_AFTER_MS = 200;
/** Where nothing has to be polled, digits and reports still need a clock. */
const SLOW_TICK_MS = 10;
const KEEP_MS = 250;
/** Last counters of streams that were closed travel together: a record may wait so long. */
const CLOSED_WITHIN_MS = 100;
/** No stream is open: nobody waits for a lane, and heartbeats go out once per second. */
const KEEP_IDLE_MS = 1000;
/** Every leg is in a snapshot once per second, a part of them every so often. */
const SNAPSHOT_MS = 125;
const SNAPSHOT_PHASES = 8;

/**
 * Milliseconds since the machine started, not the process: the frames of a successor carry on the time line of its
 * predecessor's, or the far end would take them for stale.
 */
const PROCESS_STARTED = Number(process.hrtime.bigint()) / 1e6 - monotonicNow();
/** Whole milliseconds, and small numbers: V8 keeps them in registers, where fractions would be allocated for every call. */
const TIMELINE = Math.floor(PROCESS_STARTED / 0x1_0000) * 0x1_0000;
function machineNow(): number {
  return Math.floor(PROCESS_STARTED - TIMELINE + monotonicNow());
}

class Worker {
  readonly #shard: number;
  readonly #engine: Engine;
  readonly #groups = new Map<string, LaneGroup>();
  readonly #acceptor: LaneAcceptor;
  #identity: TlsIdentity;
  #udp!: Udp;
  #wires!: LaneWires;
  /** Where sockets are polled instead of Node's telling. */
  #poller: Poller | undefined;
  #tcp: LaneTcp | undefined;
  /** Read once per poll, datagram batch or chunk: a packet does not ask the system for the time. */
  #now = machineNow();
  #events: PlaneEvent[] = [];
  #timer: NodeJS.Timeout | undefined;
  #period = 0;
  #going = false;
  /** When the next poll is due. */
  #pollAt = 0;
  #keeper: NodeJS.Timeout | undefined;
  #snapshots: NodeJS.Timeout | undefined;
  #flushPlanned = false;
  #snapshotPhase = 0;
  #sendPlanned = false;
  #closedTimer: NodeJS.Timeout | undefined;

  constructor(start: WorkerStart) {
    this.#shard = start.shard;
    this.#identity = start.tls;
    const worker = this;
    const environment: LaneEnvironment = {
      get tcp() {
        return worker.#tcp;
      },
      get wires() {
        return worker.#wires;
      },
      pool: new BufferPool((octets) => this.#wires.allocate(octets)),
      random: systemRandom,
      shard: start.shard,
      identity: () => this.#identity,
      now: () => this.#refresh(),
      emit: (event) => this.#emit(event),
      frame: (streams, frame, now) => this.#engine.frame(streams, frame, now),
      dirty: () => this.#planFlush(),
    };
    const pauses = new GcPauses();
    this.#engine = new Engine({
      random: systemRandom,
      pauses: () => pauses.take(),
      emit: (event) => this.#emit(event),
      now: () => this.#now,
      wall: wallNow,
      lanes: (command, streams) => {
        const group = new LaneGroup(command, streams, environment);
        this.#groups.set(command.session, group);
        return group;
      },
    });
    this.#acceptor = new LaneAcceptor(environment, (session) => {
      const group = this.#groups.get(session);
      return group?.over === false ? group : undefined;
    });
  }

  async run(start: WorkerStart): Promise<void> {
    await this.#openSockets(start);
    this.#engine.attach(this.#udp);
    this.#keeper = setInterval(() => this.#keep(), KEEP_IDLE_MS);
    const { implementation, buffers } = this.#udp;
    const lanes = this.#wires.implementation;
    this.#emit({
      kind: 'ready',
      shard: this.#shard,
      implementation,
      lanes,
      ...(buffers === undefined ? {} : { buffers }),
    });
  }

  /** Everything by system calls through koffi, or everything by Node: whichever was asked for or is to be had. */
  async #openSockets(start: WorkerStart): Promise<void> {
    const receiver: UdpReceiver = {
      packet: (token, bytes, at, length, source) => {
        if (!this.#udp.polled) this.#refresh();
        this.#engine.packet(token, bytes, at, length, source);
      },
    };
    if (start.implementation !== 'dgram') {
      try {
        const native = await loadNative();
        const poller = new Poller(native);
        const arena = new Arena(native, ARENA);
        this.#wires =
          start.lanes === 'node' ? new NodeWires(start.tls) : openWires(native, poller, arena, start.tls);
        this.#udp = new KoffiUdp(receiver, native, poller, arena);
        this.#tcp = new KernelTcp(native);
        this.#poller = poller;
        this.#wait();
        return;
      } catch (error) {
        if (start.implementation === 'koffi') throw error;
      }
    }
    // Lanes then go by their own acknowledgements.
    this.#udp = new DgramUdp(receiver);
    this.#wires = new NodeWires(start.tls);
  }

  message(message: ToWorker, socket: Socket | undefined): void {
    this.#refresh();
    switch (message.type) {
      case 'command':
        this.#engine.command(message.command, message.resume);
        this.#pace();
        break;
      case 'commands':
        for (const command of message.commands) this.#engine.command(command);
        this.#pace();
        break;
      case 'lane':
        if (socket !== undefined) this.#acceptor.accept(socket);
        break;
      case 'tls':
        this.#identity = message.tls;
        this.#acceptor.update(message.tls);
        for (const group of this.#groups.values()) group.renew();
        break;
      case 'stop':
        this.stop();
        break;
      case 'start':
        break;
    }
  }

  /** Final counters go out, lanes say goodbye, then the process ends. */
  stop(): void {
    this.#refresh();
    this.#engine.stop();
    this.#acceptor.stop();
    this.#udp.flush();
    this.#udp.stop();
    this.#period = 0;
    this.#poller?.stop();
    clearInterval(this.#timer);
    this.#sendEvents();
    setTimeout(() => process.exit(0), 100);
  }

  /** At once: nobody is there to tell. */
  exit(): void {
    this.#poller?.stop();
    process.exit(0);
  }

  #refresh(): number {
    this.#now = machineNow();
    return this.#now;
  }

  /** One poll per millisecond or two, only while packets move: an idle worker costs nothing. */
  #pace(): void {
    const legs = this.#engine.openLegs;
    const period = legs === 0 ? 0 : this.#pollPeriod(legs);
    if (period !== this.#period) {
      if (period === 0 || this.#period === 0) this.#rest(period === 0);
      this.#period = period;
      clearInterval(this.#timer);
      const polls = period > 0 && !this.#sleepsOnLanes;
      this.#timer = polls ? setInterval(() => this.#poll(), period) : undefined;
    }
    if (this.#sleepsOnLanes && this.#moves()) this.#go();
    else this.#wait();
  }

  #moves(): boolean {
    return this.#period > 0 && (this.#engine.playing || this.#now - this.#engine.movedAt < QUIET_AFTER_MS);
  }

  /** What a worker does beside polling, with streams and without. */
  #rest(idle: boolean): void {
    clearInterval(this.#keeper);
    clearInterval(this.#snapshots);
    this.#keeper = setInterval(() => this.#keep(), idle ? KEEP_IDLE_MS : KEEP_MS);
    this.#snapshots = idle ? undefined : setInterval(() => this.#snapshot(), SNAPSHOT_MS);
  }

  #pollPeriod(legs: number): number {
    if (!this.#udp.polled) return SLOW_TICK_MS;
    // Not back and forth around a limit.
    const slower = (ms: number): boolean => this.#period > 0 && ms > this.#period;
    const { ms } = POLL_MS.find((step) => legs < (slower(step.ms) ? 0.8 * step.below : step.below))!;
    for (const group of this.#groups.values()) if (group.quality.lossy) return Math.min(ms, POLL_LOSSY_MS);
    return ms;
  }

  get #sleepsOnLanes(): boolean {
    return this.#poller !== undefined && this.#wires.implementation === 'openssl';
  }

  /**
   * While streams are open and lanes are ours: not the event loop sleeps but `pollLanes`, because what lanes bring is sent on at once; only what
   * phones send waits for the poll. In between the event loop has its turn.
   */
  #go(): void {
    if (this.#going) return;
    this.#going = true;
    this.#poller!.sleepOnLegs(false);
    this.#pollAt = this.#refresh();
    const turn = (): void => {
      if (!this.#moves()) {
        this.#going = false;
        this.#poller!.sleepOnLegs(true);
        this.#wait();
        return;
      }
      setImmediate(turn);
      const rest = this.#pollAt - this.#refresh();
      this.#poller!.pollLanes(Math.max(0, Math.min(rest, this.#period)));
      // Half a period after the last poll this one does for both.
      if (this.#refresh() < this.#pollAt - this.#period / 2) {
        this.#udp.flush();
        return;
      }
      this.#pollAt = this.#now + this.#period;
      this.#poll();
    };
    turn();
  }

  #poll(): void {
    this.#refresh();
    this.#udp.poll();
    this.#engine.tick();
    this.#flush();
  }

  /** No stream is open, or nothing moves: what comes is read when it comes. */
  #wait(): void {
    if (this.#polls) return;
    this.#poller?.wait(() => {
      if (this.#polls) return;
      this.#poller?.pollLanes(0);
      this.#poll();
      this.#pace();
    });
  }

  /** Whether a poll is due soon. */
  get #polls(): boolean {
    return this.#going || (this.#udp.polled && this.#timer !== undefined);
  }

  #planFlush(): void {
    // The next poll writes; without one, the end of this turn of the event loop does.
    if (this.#flushPlanned || this.#polls) return;
    this.#flushPlanned = true;
    setImmediate(() => {
      this.#flushPlanned = false;
      this.#refresh();
      this.#flush();
    });
  }

  #flush(): void {
    this.#wires.retry();
    this.#udp.flush();
    for (const group of this.#groups.values()) group.flush(this.#now);
  }

  #keep(): void {
    const now = this.#refresh();
    for (const [session, group] of this.#groups) {
      group.keep(now);
      if (group.over && group.lanes.length === 0) this.#groups.delete(session);
    }
    this.#engine.tick();
    this.#udp.flush();
    this.#pace();
    this.#sendEvents();
  }

  #snapshot(): void {
    this.#snapshotPhase = (this.#snapshotPhase + 1) % SNAPSHOT_PHASES;
    if (this.#engine.openLegs === 0) return;
    const legs = this.#engine.snapshot(this.#snapshotPhase, SNAPSHOT_PHASES);
    if (legs.length > 0) send({ type: 'snapshot', legs });
  }

  /** Events of one turn travel together. */
  #emit(event: PlaneEvent): void {
    this.#events.push(event);
    // Nobody acts on it: it goes with the next event, or with the next tick of #keep, and wakes nobody by itself.
    if (event.kind === 'opened' || this.#sendPlanned) return;
    if (event.kind === 'closed') {
      this.#closedTimer ??= setTimeout(() => this.#sendEvents(), CLOSED_WITHIN_MS);
      return;
    }
    this.#sendPlanned = true;
    setImmediate(() => this.#sendEvents());
  }

  #sendEvents(): void {
    this.#sendPlanned = false;
    clearTimeout(this.#closedTimer);
    this.#closedTimer = undefined;
    if (this.#events.length === 0) return;
    send({ type: 'events', events: this.#events });
    this.#events = [];
  }
}

/** Without an OpenSSL to call (a node built otherwise), Node's own TLS does beside the koffi sockets. */
function openWires(native: Native, poller: Poller, arena: Arena, tls: TlsIdentity): LaneWires {
  try {
    return new OpensslWires(native, poller, arena, tls);
  } catch {
    return new NodeWires(tls);
  }
}

function send(message: ToMain): void {
  if (process.connected) process.send?.(message, undefined, undefined, ignore);
}

function ignore(): void {}

let starting: Promise<Worker> | undefined;
let started: Worker | undefined;

process.on('message', (raw, handle) => {
  const message = raw as ToWorker;
  if (message.type === 'start') {
    const worker = new Worker(message);
    starting = worker.run(message).then(() => {
      started = worker;
      return worker;
    });
    return;
  }
  // In order: everything waits for the start, and what waited is done with before the event loop brings more.
  if (started !== undefined) started.message(message, handle as Socket | undefined);
  else void starting?.then((worker) => worker.message(message, handle as Socket | undefined));
});

// Main is gone: nobody could close the calls any more.
process.on('disconnect', () => {
  if (starting === undefined) process.exit(0);
  void starting.then(
    (worker) => worker.exit(),
    () => process.exit(1),
  );
});
// The terminal's or service manager's signals are main's business; it stops the workers in order.
process.on('SIGINT', ignore);
process.on('SIGTERM', ignore);
