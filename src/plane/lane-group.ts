import { fromHex } from '../bytes/text.ts';
import type { Millis, Random } from '../machine/machine.ts';
import type { LaneCounters, PlaneEvent } from '../media/plane-contract.ts';
import { systemCrypto } from '../net/providers.ts';
import type { TlsIdentity } from '../net/tls.ts';
import { helloProven, type ReceivedHello, readHello, writeHello } from '../tunnel/lane-hello.ts';
import { LaneCount, MOST_LANES, PathQuality } from '../tunnel/lane-quality.ts';
import { FewestOutstanding, FrameAge, FrameBacklog } from '../tunnel/lane-scheduler.ts';
import {
  FLAG_DUPLICATE,
  FLAG_EMERGENCY,
  FRAME_HELLO,
  FRAME_HELLO_ACK,
  MEDIA_HEADER,
  type MediaFrame,
} from '../tunnel/media-frame.ts';
import type { SessionCommand } from './engine.ts';
import { type BufferPool, Lane } from './lane.ts';
import type { LaneTcp } from './lane-tcp.ts';
import type { Connecting, LaneWire, LaneWires } from './lane-wire.ts';
import type { FrameSink, SessionStreams } from './session-streams.ts';

const CONNECT_TIMEOUT_MS = 3000;
const HELLO_TIMEOUT_MS = 3000;
const BACKOFF_FIRST_MS = 100;
const BACKOFF_MAX_MS = 3000;
/** A lane up for so long starts anew at the first step of the backoff. */
const SETTLED_MS = 5000;
/** On a lossy path one segment's worth of frames goes to the same lanes; the next batch chooses again. */
const BATCH_LOSSY = 1200;
/** On a clean one everything of a poll: a write costs more than what is in it. */
const BATCH_CLEAN = 12 * 1024;
const MAX_COPIES = 3;
/** A lane without an acknowledgement for so long is dialled again beside the old one. */
const STUCK_MS = 1000;
/**
 * Nothing gets through on any lane for so long past its time: a new connection is faster than TCP's own patience, which doubles. Another is dialled
 * every so often, or after a part of the outage so far, until one gets through.
 */
const OUTAGE_MS = 60;
const OUTAGE_DIAL_MS = 50;
const OUTAGE_PART = 4;
/** What was dialled during an outage lost its first packet and would wait a second for it: not waited for, where it had this long. */
const OUTAGE_PATIENCE_MS = 150;
/** A frame so much later than the fastest was behind a loss. */
const LATE_FRAME_MS = 20;
/** Of the last sixteen steps (four seconds) so many must have seen late frames. */
const LATE_HISTORY = 0xffff;
const LATE_STEPS = 8;
/** The far end sees losses that this side does not: it knows best what to do with lanes, this side only provides them. */
const LANES_FOR_FAR_END = 8;

export interface LaneEnvironment {
  readonly pool: BufferPool;
  readonly random: Random;
  readonly shard: number;
  /** Undefined: without koffi. Set before the first session. */
  readonly tcp: LaneTcp | undefined;
  readonly wires: LaneWires;
  identity(): TlsIdentity;
  now(): Millis;
  emit(event: PlaneEvent): void;
  frame(streams: SessionStreams, frame: MediaFrame, now: Millis): void;
  dirty(group: LaneGroup): void;
}

/** One lane that this side dials, again and again. */
interface DialSlot {
  readonly number: number;
  lane: Lane | undefined;
  /** Being connected, or connected and not proven yet. */
  upcoming: Connecting | undefined;
  dialledAt: Millis;
  attempts: number;
  timer: NodeJS.Timeout | undefined;
}

/** The lanes of one session in this worker: GW1 dials them, on GW2 the acceptor attaches them. */
export class LaneGroup implements FrameSink {
  readonly pool: BufferPool;
  readonly key: Uint8Array;
  readonly peerName: string;
  readonly session: string;
  readonly lanes: Lane[] = [];
  readonly #environment: LaneEnvironment;
  readonly #streams: SessionStreams;
  readonly #command: SessionCommand;
  readonly quality: PathQuality;
  readonly #policy = new FewestOutstanding();
  readonly #backlog = new FrameBacklog();
  /** Lanes of the batch being collected. */
  readonly #picked = new Int32Array(MAX_COPIES);
  readonly #others = new Int32Array(2);
  #copies = 0;
  #batch = 0;
  #batchAt: Millis = 0;
  readonly #slots: DialSlot[] = [];
  readonly #count: LaneCount;
  #outageDialAt: Millis = 0;
  /** What arrives: a loss on the far end's side shows as frames that are late. */
  readonly #age = new FrameAge();
  #framesIn = 0;
  #framesLate = 0;
  /** A bit per step, the newest lowest: whether some frames came late and most did not. */
  #lateHistory = 0;
  #over = false;

  constructor(command: SessionCommand, streams: SessionStreams, environment: LaneEnvironment) {
    this.pool = environment.pool;
    this.session = command.session;
    this.key = fromHex(command.key) ?? new Uint8Array(0);
    this.peerName = command.peerName;
    this.#command = command;
    this.#streams = streams;
    this.#environment = environment;
    this.quality = new PathQuality(environment.tcp === undefined ? 'frames' : 'kernel');
    const least = Math.min(command.dial?.lanes ?? 0, command.limits.maxLanes, 255);
    this.#count = new LaneCount(least, Math.min(MOST_LANES, command.limits.maxLanes));
    this.#dialMore(least);
  }

  get over(): boolean {
    return this.#over;
  }

  // ---- frames ----

  send(frame: MediaFrame, now: Millis): void {
    const urgent = (frame.flags & FLAG_EMERGENCY) !== 0;
    if (this.#backlog.size > 0 && !urgent) this.#backlog.add(frame, now);
    else if (!this.#place(frame, now)) this.#backlog.add(frame, now);
  }

  flush(now: Millis): void {
    for (const lane of this.lanes) lane.settle(now);
    if (this.#command.dial !== undefined) this.#outage(now);
    if (this.#backlog.size > 0) this.#drainBacklog(now);
    if (this.quality.againAfterMs < Number.POSITIVE_INFINITY) this.#sayAgain(now);
    if (this.#copies > 0 && now - this.#batchAt < this.quality.holdMs(this.lanes.length)) {
      for (let i = 0; i < this.lanes.length; i++) if (!this.#isPicked(i)) this.lanes[i]!.flush(now);
      return;
    }
    this.#copies = 0;
    for (const lane of this.lanes) lane.flush(now);
  }

  #isPicked(index: number): boolean {
    for (let i = 0; i < this.#copies; i++) if (this.#picked[i] === index) return true;
    return false;
  }

  /** What a lane lost goes to another one while it is still in time. Where most lanes wait it is the path itself, and more would make it worse. */
  #sayAgain(now: Millis): void {
    const after = this.quality.againAfterMs;
    let late = 0;
    for (const lane of this.lanes) if (waits(lane, now) > after) late++;
    if (late === 0 || 2 * late > this.lanes.length) return;
    for (const lane of this.lanes) {
      if (waits(lane, now) <= after) continue;
      for (;;) {
        const write = lane.overdueWrite(now, after);
        if (write === undefined) break;
        this.#other(lane, now)?.sendAgain(write, now);
      }
    }
  }

  /** The best lane beside this one, undefined where it is overdue as well. */
  #other(lane: Lane, now: Millis): Lane | undefined {
    const count = this.#policy.pick(this.lanes, 2, 0, now, this.#others);
    for (let i = 0; i < count; i++) {
      const other = this.lanes[this.#others[i]!]!;
      if (other !== lane) return waits(other, now) > this.quality.overdueMs ? undefined : other;
    }
    return undefined;
  }

  keep(now: Millis): void {
    this.#backlog.expire(now);
    for (const lane of [...this.lanes]) {
      lane.settle(now);
      lane.count(this.quality);
      lane.keep(now);
    }
    this.quality.step(now);
    this.#policy.overdueMs = this.quality.overdueMs;
    this.#policy.usual = this.quality.lanes > 0 ? this.quality.lanes : Number.POSITIVE_INFINITY;
    if (this.#command.dial !== undefined && !this.#over) this.#adapt(now);
  }

  counters(): readonly LaneCounters[] {
    return this.lanes.map((lane, i) => ({
      session: this.session,
      lane: lane.number,
      framesOut: lane.framesOut,
      framesIn: lane.framesIn,
      // Frames are dropped or refused for a session, not a lane: the first one's counters carry them.
      droppedStale: i === 0 ? this.#backlog.dropped : 0,
      framesRefused: i === 0 ? this.#streams.framesRefused : 0,
      outstandingBytes: lane.outstanding,
      roundTripMs: lane.roundTripMs,
    }));
  }

  #place(frame: MediaFrame, now: Millis): boolean {
    const size = MEDIA_HEADER + frame.length;
    if (this.#copies === 0 || this.#batch + size > (this.quality.lossy ? BATCH_LOSSY : BATCH_CLEAN)) {
      // What is collected must count as outstanding before the next lanes are chosen.
      for (let i = 0; i < this.#copies; i++) this.lanes[this.#picked[i]!]!.flush(now);
      this.#batch = 0;
      this.#batchAt = now;
      this.quality.batch();
      const wanted = this.quality.copies;
      this.#copies = this.#policy.pick(this.lanes, wanted, frame.flags, now, this.#picked);
      if (this.#copies === 0) return false;
    }
    this.#batch += size;
    if (this.#copies > 1) frame.flags |= FLAG_DUPLICATE;
    for (let i = 0; i < this.#copies; i++) this.lanes[this.#picked[i]!]!.sendMedia(frame);
    if ((frame.flags & FLAG_EMERGENCY) !== 0) this.#batchAt = 0; // nothing waits for company
    return true;
  }

  #drainBacklog(now: Millis): void {
    // Ask for a lane before taking a frame: what is taken cannot be put back.
    while (this.#backlog.size > 0 && this.#policy.pick(this.lanes, 1, 0, now, this.#picked) > 0) {
      this.#copies = 0;
      const frame = this.#backlog.take(now);
      if (frame !== undefined) this.#place(frame, now);
    }
  }

  // ---- lanes ----

  /** A proven lane joins (acceptor). A lane of the same number is replaced. */
  attach(lane: Lane, number: number): boolean {
    const old = this.lanes.find((l) => l.number === number);
    if (old === undefined && this.lanes.length >= this.#command.limits.maxLanes) return false;
    lane.number = number;
    old?.close('replaced');
    this.#up(lane);
    return true;
  }

  /** New certificates: every lane is dialled again before the old one is closed. */
  renew(): void {
    for (const slot of this.#slots) {
      if (slot.upcoming === undefined && slot.timer === undefined) this.#dial(slot);
    }
  }

  end(reason: 'session-ended' | 'stopping'): void {
    this.#over = true;
    for (const slot of this.#slots) {
      clearTimeout(slot.timer);
      slot.upcoming?.destroy();
    }
    for (const lane of [...this.lanes]) lane.close(reason);
  }

  intake(): number {
    return this.#streams.limits.maxBytesPerSecond;
  }

  now(): Millis {
    return this.#environment.now();
  }

  media(_lane: Lane, frame: MediaFrame, now: Millis): void {
    this.#framesIn++;
    if (this.#age.of(frame.sent, now) > LATE_FRAME_MS) this.#framesLate++;
    this.#environment.frame(this.#streams, frame, now);
  }

  dirty(): void {
    this.#environment.dirty(this);
  }

  ended(lane: Lane, reason: string): void {
    const index = this.lanes.indexOf(lane);
    if (index < 0) return;
    this.lanes.splice(index, 1);
    this.#copies = 0; // the indices of the batch are not these lanes any more
    const slot = this.#slots[lane.number];
    // Replaced by a newer one of the same number: the session never noticed.
    const replaced = this.lanes.some((l) => l.number === lane.number) || slot?.lane !== lane;
    if (slot !== undefined && replaced) return;
    this.#environment.emit({ kind: 'lane-down', session: this.session, lane: lane.number, reason });
    if (slot === undefined || this.#over) return;
    slot.lane = undefined;
    if (lane.number >= this.#count.wanted) return; // not wanted any more
    if (this.now() - lane.openedAt > SETTLED_MS) slot.attempts = 0;
    if (slot.upcoming === undefined) this.#dialLater(slot);
  }

  #up(lane: Lane): void {
    lane.usable = true;
    lane.tune(this.#command.congestion ?? 'bbr');
    this.lanes.push(lane);
    this.#environment.emit({ kind: 'lane-up', session: this.session, lane: lane.number });
    this.flush(this.now());
  }

  // ---- dialling (GW1) ----

  #dialMore(wanted: number): void {
    for (let number = 0; number < wanted; number++) {
      let slot = this.#slots[number];
      if (slot === undefined) {
        slot = { number, lane: undefined, upcoming: undefined, dialledAt: 0, attempts: 0, timer: undefined };
        this.#slots.push(slot);
      }
      if (slot.lane === undefined && slot.upcoming === undefined && slot.timer === undefined)
        this.#dial(slot);
    }
  }

  /** As many lanes as the path calls for, and none that is stuck. */
  #adapt(now: Millis): void {
    // Most of them late is congestion, or a clock that was learned anew: more lanes mend neither. And once is an accident.
    const late = this.#framesLate > 0 && this.#framesLate < this.#framesIn / 2;
    this.#lateHistory = ((this.#lateHistory << 1) | (late ? 1 : 0)) & LATE_HISTORY;
    this.#framesIn = 0;
    this.#framesLate = 0;
    const lossyIn = ones(this.#lateHistory) >= LATE_STEPS;
    const called = Math.max(this.quality.lanes, lossyIn ? LANES_FOR_FAR_END : 0);
    const wanted = this.#count.step(called, now);
    for (const slot of this.#slots) {
      if (slot.number < wanted) continue;
      clearTimeout(slot.timer);
      slot.timer = undefined;
      slot.upcoming?.destroy();
      slot.upcoming = undefined;
      slot.lane?.close('replaced');
    }
    this.#dialMore(wanted);
    this.#replaceStuck(now);
  }

  /** Make before break: the old lane stays until the new one has proven itself. */
  #replaceStuck(now: Millis): void {
    for (const slot of this.#slots) {
      if (slot.lane === undefined || slot.upcoming !== undefined) continue;
      if (waits(slot.lane, now) - this.quality.overdueMs < STUCK_MS) continue;
      this.#dial(slot);
      return; // one at a time
    }
  }

  /** Where nothing gets through on any lane it is not TCP that finds out when the path is back, but whichever connection is dialled next. */
  #outage(now: Millis): void {
    let least = Number.POSITIVE_INFINITY;
    for (const lane of this.lanes) least = Math.min(least, waits(lane, now));
    const lasts = this.lanes.length === 0 ? 0 : least - this.quality.overdueMs;
    if (lasts < OUTAGE_MS || now - this.#outageDialAt < Math.max(OUTAGE_DIAL_MS, lasts / OUTAGE_PART)) return;
    this.#outageDialAt = now;
    if (this.#count.more()) {
      this.#dialMore(this.#count.wanted);
      return;
    }
    let slot: DialSlot | undefined;
    for (const other of this.#slots) {
      if (other.timer !== undefined || (other.lane ?? other.upcoming) === undefined) continue;
      if (slot === undefined || other.dialledAt < slot.dialledAt) slot = other;
    }
    if (slot === undefined || now - slot.dialledAt < OUTAGE_PATIENCE_MS + 4 * this.quality.roundTripMs)
      return;
    slot.upcoming?.destroy();
    this.#dial(slot);
  }

  #dialLater(slot: DialSlot, within?: number): void {
    if (this.#over || slot.timer !== undefined) return;
    const most = within ?? Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** slot.attempts);
    slot.attempts = Math.min(16, slot.attempts + 1);
    // Full jitter: two gateways that lost each other do not meet in step.
    const delay = (this.#environment.random.uint32() / 0x1_0000_0000) * most;
    slot.timer = setTimeout(() => {
      slot.timer = undefined;
      this.#dial(slot);
    }, delay);
  }

  #dial(slot: DialSlot): void {
    const dial = this.#command.dial;
    if (dial === undefined || this.#over) return;
    let over = false;
    const failed = (): void => {
      over = true;
      clearTimeout(timer);
      if (slot.upcoming !== connecting) return;
      slot.upcoming = undefined;
      connecting?.destroy();
      this.#dialLater(slot);
    };
    const timer = setTimeout(failed, CONNECT_TIMEOUT_MS);
    const { wires } = this.#environment;
    const connecting = wires.dial(this.#environment.identity(), dial.remote, dial.serverName, {
      secure: (wire) => {
        clearTimeout(timer);
        if (!over && slot.upcoming === connecting) this.#secure(slot, wire);
        else wire.destroy();
      },
      closed: failed,
    });
    slot.upcoming = connecting;
    slot.dialledAt = this.now();
  }

  #secure(slot: DialSlot, wire: LaneWire): void {
    const shard = this.#command.dial!.shard;
    const { exporter } = wire;
    const timer = setTimeout(() => lane.close('hello-timeout'), HELLO_TIMEOUT_MS);
    let proven = false;
    const lane = new Lane(wire, {
      pool: this.pool,
      tcp: this.#environment.tcp,
      quality: () => this.quality,
      intake: () => this.intake(),
      now: () => this.now(),
      media: (l, frame, now) => this.media(l, frame, now),
      dirty: () => this.dirty(),
      hello: (_lane, type, body) => {
        clearTimeout(timer);
        proven = this.#answered(slot, lane, type, body, exporter, shard);
      },
      ended: (l, reason) => {
        clearTimeout(timer);
        if (proven) this.ended(l, reason);
        // Not proven: the connection's own end dials again.
      },
    });
    lane.number = slot.number;
    const hello = { shard, lane: slot.number, session: this.session };
    lane.sendHello(FRAME_HELLO, writeHello('dialer', hello, this.key, exporter, systemCrypto));
  }

  #answered(
    slot: DialSlot,
    lane: Lane,
    type: number,
    body: Uint8Array,
    exporter: Uint8Array,
    shard: number,
  ): boolean {
    const read = readHello(body);
    const belongs = type === FRAME_HELLO_ACK && read.ok && this.#proves(read.value, slot.number, exporter);
    if (!belongs) {
      lane.close('hello-refused');
      return false;
    }
    if (read.value.shard !== shard) {
      // The acceptor's main process gave the connection to another worker than ours needs: try again soon.
      slot.upcoming = undefined;
      lane.close('wrong-shard');
      this.#dialLater(slot, 50);
      slot.attempts = 0;
      return false;
    }
    slot.upcoming = undefined;
    const old = slot.lane;
    slot.lane = lane;
    this.#up(lane);
    old?.close('renewed');
    return true;
  }

  #proves(answer: ReceivedHello, number: number, exporter: Uint8Array): boolean {
    if (answer.session !== this.session || answer.lane !== number) return false;
    return helloProven('acceptor', answer, this.key, exporter, systemCrypto);
  }
}

/** Milliseconds since the oldest octets that are not acknowledged. */
function waits(lane: Lane, now: Millis): number {
  return lane.oldestAt === undefined ? 0 : now - lane.oldestAt;
}

function ones(bits: number): number {
  let count = 0;
  for (let rest = bits; rest !== 0; rest &= rest - 1) count++;
  return count;
}
