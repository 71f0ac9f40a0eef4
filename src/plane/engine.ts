import type { Millis, Random, WallMillis } from '../machine/machine.ts';
import type {
  PlaneCommand,
  PlaneEvent,
  SessionId,
  StreamCounters,
  StreamId,
  StreamLegConfig,
} from '../media/plane-contract.ts';
import { REFUSED } from '../rtp/refusal.ts';
import type { SourceWords } from '../rtp/source-words.ts';
import { eventOfDigit } from '../rtp/telephone-event.ts';
import type { MediaFrame } from '../tunnel/media-frame.ts';
import { faxFormat } from './fax-stream.ts';
import { PacketPath } from './packet-path.ts';
import type { LegTransforms } from './packet-transform.ts';
import { type FrameSink, SessionStreams } from './session-streams.ts';
import { SharedPorts } from './shared-ports.ts';
import { type LegState, StreamLeg } from './stream-leg.ts';
import { StreamRows } from './stream-row.ts';
import type { Udp, UdpReceiver } from './udp.ts';

const SILENT_AFTER_MS = 30_000;
const HOUSEKEEPING_MS = 100;
/** A report of all streams goes out in so many parts: a poll must not wait for hundreds of them. */
const REPORT_PHASES = 4;
/** All sessions of a worker together. */
const MAX_LEGS = 8192;
const MAX_SESSIONS = 256;

export type SessionCommand = PlaneCommand & { readonly kind: 'session' };

export interface EngineOptions {
  readonly random: Random;
  readonly emit: (event: PlaneEvent) => void;
  /** Makes the lanes of a session. */
  readonly lanes: (command: SessionCommand, streams: SessionStreams) => FrameSink;
  readonly now: () => Millis;
  readonly wall: () => WallMillis;
  /** Asked when a leg is opened; absent or undefined: plain RTP. */
  readonly transforms?: (config: StreamLegConfig) => LegTransforms | undefined;
  /** The process's garbage collections since the last call, ms each, for the reports. */
  readonly pauses?: () => readonly number[];
}

export interface LegSnapshot {
  readonly session: SessionId;
  readonly stream: StreamId;
  readonly state: LegState;
}

/** The stream table of one worker, shared by both implementations: commands and time; packet-path.ts moves the packets. */
export class Engine implements UdpReceiver {
  readonly #options: EngineOptions;
  readonly #sessions = new Map<SessionId, SessionStreams>();
  readonly #legs: (StreamLeg | undefined)[] = [];
  readonly #rows = new StreamRows();
  readonly #freeSlots: number[] = [];
  readonly #playing = new Set<StreamLeg>();
  /** Calls with a video stream and how many: only these need the origin's clock for lip sync. */
  readonly #videoLegs = new Map<string, number>();
  #udp!: Udp;
  #path!: PacketPath;
  #shared!: SharedPorts;
  #count = 0;
  #draining = false;
  #drained = false;
  #reportEvery = 0;
  #reportAt: Millis = 0;
  #reportPhase = 0;
  #housekeepingAt: Millis = 0;
  /** When a packet or a frame came last. */
  movedAt: Millis = Number.NEGATIVE_INFINITY;

  constructor(options: EngineOptions) {
    this.#options = options;
  }

  /** Before the first command. (The receiver and its sockets need each other.) */
  attach(udp: Udp): void {
    const { emit, wall } = this.#options;
    this.#udp = udp;
    this.#shared = new SharedPorts(udp, MAX_LEGS);
    this.#path = new PacketPath(udp, emit, wall, (call) => this.#videoLegs.has(call));
  }

  get openLegs(): number {
    return this.#count;
  }

  /** Digits are on their way to a far end, packet by packet, or frames wait for their turn. */
  get playing(): boolean {
    return this.#playing.size > 0 || this.#path.holds;
  }

  command(command: PlaneCommand, resume?: LegState): void {
    const now = this.#options.now();
    switch (command.kind) {
      case 'session':
        this.#startSession(command, now);
        break;
      case 'session-end':
        this.#endSession(command.session, now);
        break;
      case 'open':
        this.#open(command.leg, now, resume);
        break;
      case 'modify':
        this.#modify(command.leg, command.relearn, now);
        break;
      case 'close':
        this.#close(this.#find(command.session, command.stream), now);
        break;
      case 'digit':
        this.#digit(this.#find(command.session, command.stream), command.digit, command.durationMs);
        break;
      case 'report':
        this.#reportEvery = Math.max(0, command.every);
        this.#reportAt = now + this.#reportEvery / REPORT_PHASES;
        break;
      case 'drain':
        this.#draining = true;
        this.#checkDrained();
        break;
    }
  }

  /** A datagram: token 2 * slot is the leg's RTP port, 2 * slot + 1 its RTCP port; beyond MAX_LEGS those of shared ports. */
  packet(token: number, bytes: Uint8Array, start: number, length: number, source: SourceWords): void {
    const leg = token < 2 * MAX_LEGS ? this.#legs[token >> 1] : this.#shared.find(token, source);
    if (leg === undefined) return;
    const now = this.#options.now();
    this.movedAt = now;
    leg.stirred = true;
    if ((token & 1) === 0) this.#path.fromFarEnd(leg, bytes, start, length, source, now);
    else this.#path.rtcpFromFarEnd(leg, bytes, start, length, source, now);
  }

  /** A frame of an authenticated lane of `session`. */
  frame(session: SessionStreams, frame: MediaFrame, now: Millis): void {
    this.movedAt = now;
    const leg = session.legs.get(frame.stream);
    if (leg !== undefined) leg.stirred = true;
    if (!session.bytes.has(frame.length, now)) {
      if (leg === undefined) session.framesRefused++;
      else leg.refused[REFUSED.frameRate]!++;
      return;
    }
    session.bytes.spend(frame.length);
    if (leg?.opened) this.#path.fromTunnel(leg, frame, now);
    else session.stray(frame, now);
  }

  /** To be called every millisecond or so while streams are open, else at least every second. */
  tick(): void {
    const now = this.#options.now();
    this.#path.tick(now);
    for (const leg of this.#playing) {
      leg.stirred = true;
      if (!this.#path.play(leg, now)) this.#playing.delete(leg);
    }
    if (now >= this.#housekeepingAt) {
      this.#housekeepingAt = now + HOUSEKEEPING_MS;
      for (const session of this.#sessions.values()) this.#keepSession(session, now);
    }
    if (this.#reportEvery > 0 && now >= this.#reportAt) {
      // In step, unless the process stood still.
      this.#reportAt = Math.max(this.#reportAt + this.#reportEvery / REPORT_PHASES, now);
      this.#report();
    }
  }

  /** What a successor of this worker needs to go on: every `phases`-th leg that had packets since, so that no poll waits for all. */
  snapshot(phase: number, phases: number): LegSnapshot[] {
    const now = this.#options.now();
    const out: LegSnapshot[] = [];
    for (let slot = phase; slot < this.#legs.length; slot += phases) {
      const leg = this.#legs[slot];
      if (!leg?.opened || !leg.movedSinceSnapshot()) continue;
      const { session, stream } = leg.config;
      out.push({ session, stream, state: leg.state(now) });
    }
    return out;
  }

  /** Closes everything; final counters are emitted. */
  stop(): void {
    const now = this.#options.now();
    for (const id of [...this.#sessions.keys()]) this.#endSession(id, now);
  }

  #startSession(command: SessionCommand, now: Millis): void {
    const known = this.#sessions.get(command.session);
    if (known?.key === command.key) {
      // Said again, after a reload: only the limits may differ.
      known.setLimits(command.limits, now);
      return;
    }
    this.#endSession(command.session, now);
    if (this.#sessions.size >= MAX_SESSIONS) return;
    const streams = new SessionStreams(command.session, command.key, command.limits, now);
    this.#sessions.set(command.session, streams);
    streams.lanes = this.#options.lanes(command, streams);
  }

  #endSession(id: SessionId, now: Millis): void {
    const session = this.#sessions.get(id);
    if (session === undefined) return;
    for (const leg of [...session.legs.values()]) this.#close(leg, now);
    this.#sessions.delete(id);
    session.lanes?.end('session-ended');
  }

  #open(config: StreamLegConfig, now: Millis, resume?: LegState): void {
    const known = this.#find(config.session, config.stream);
    if (known !== undefined) {
      this.#modify(config, true, now);
      const { session, stream } = config;
      if (known.opened) this.#options.emit({ kind: 'opened', session, stream });
      return;
    }
    const session = this.#sessions.get(config.session);
    const refusal = this.#openRefusal(config, session);
    if (refusal !== undefined || session === undefined) {
      this.#openFailed(config, refusal ?? 'no such session');
      return;
    }
    const slot = this.#freeSlots.pop() ?? this.#legs.length;
    const leg = new StreamLeg(
      config,
      session,
      slot,
      this.#udp,
      this.#options.random,
      now,
      this.#rows,
      resume,
    );
    const transforms = leg.fax === undefined ? this.#options.transforms?.(config) : undefined;
    if (transforms !== undefined) {
      leg.rtpTransform = transforms.rtp;
      leg.rtcpTransform = transforms.rtcp;
    }
    this.#legs[slot] = leg;
    session.legs.set(config.stream, leg);
    this.#count++;
    this.#countVideo(config, 1);
    this.#bind(leg);
  }

  #openRefusal(config: StreamLegConfig, session: SessionStreams | undefined): string | undefined {
    if (this.#draining) return 'draining';
    if (session === undefined) return 'no such session';
    if (session.legs.size >= session.limits.maxStreams) return 'too many streams of this session';
    if (this.#count >= MAX_LEGS) return 'too many streams';
    if (config.stream < 1 || config.stream > 0xffff_ffff) return 'stream id out of range';
    if (config.local.shared === true && config.source !== 'signalled')
      return 'a shared port needs a signalled source';
    if (config.formats.some((f) => f.kind === 'udptl' && f.udptl === undefined))
      return 'udptl without limits';
    return undefined;
  }

  #bind(leg: StreamLeg): void {
    const { ip, port, shared } = leg.config.local;
    const generation = leg.bindGeneration;
    if (shared === true) {
      this.#shared.join(leg, (error) => {
        if (this.#legs[leg.slot] !== leg || leg.bindGeneration !== generation) return;
        if (error !== undefined) this.#bindFailed(leg, error);
        else if (!leg.opened) this.#bound(leg);
      });
      return;
    }
    leg.rtpToken = 2 * leg.slot;
    leg.rtcpToken = leg.config.rtcpMux ? 2 * leg.slot : 2 * leg.slot + 1;
    const step = (token: number, at: number, next: () => void): void => {
      this.#udp.open({ ip, port: at }, token, (error) => {
        if (this.#legs[leg.slot] !== leg || leg.bindGeneration !== generation) return;
        if (error === undefined) next();
        else this.#bindFailed(leg, error);
      });
    };
    step(2 * leg.slot, port, () => {
      if (leg.config.rtcpMux || leg.fax !== undefined) this.#bound(leg);
      else step(2 * leg.slot + 1, port + 1, () => this.#bound(leg));
    });
  }

  #bound(leg: StreamLeg): void {
    leg.opened = true;
    const { session, stream } = leg.config;
    this.#options.emit({ kind: 'opened', session, stream });
    const now = this.#options.now();
    for (const frame of leg.session.release(stream, now)) this.#path.fromTunnel(leg, frame, now);
  }

  #bindFailed(leg: StreamLeg, reason: string): void {
    this.#remove(leg);
    // After a move (modify) the stream had counters already: they must not be lost.
    if (leg.opened) this.#options.emit({ kind: 'closed', counters: leg.counters() });
    this.#openFailed(leg.config, reason);
    this.#checkDrained();
  }

  #openFailed(config: StreamLegConfig, reason: string): void {
    const { session, stream } = config;
    this.#options.emit({ kind: 'open-failed', session, stream, reason });
  }

  #modify(config: StreamLegConfig, relearn: boolean, now: Millis): void {
    const leg = this.#find(config.session, config.stream);
    if (leg === undefined) {
      this.#openFailed(config, 'no such stream');
      return;
    }
    if ((faxFormat(config) !== undefined) !== (leg.fax !== undefined)) {
      this.#close(leg, now);
      this.#open(config, now);
      return;
    }
    const { local, rtcpMux } = leg.config;
    this.#countVideo(leg.config, -1);
    this.#countVideo(config, 1);
    leg.modify(config, relearn, now);
    const { ip, port, shared } = config.local;
    const stays = local.ip === ip && local.port === port && local.shared === shared;
    if (stays && shared !== true && rtcpMux === config.rtcpMux) return;
    leg.bindGeneration++;
    if (!stays) this.#shared.leave(leg);
    this.#udp.close(2 * leg.slot);
    this.#udp.close(2 * leg.slot + 1);
    this.#bind(leg); // a shared port has to know the far end's new address
  }

  #close(leg: StreamLeg | undefined, now: Millis): void {
    if (leg === undefined) return;
    if (leg.opened && leg.rebuilder.packets > 0 && leg.fax === undefined)
      this.#path.sendReport(leg, now, { bye: true });
    if (leg.opened) this.#path.sendQuality(leg, now);
    this.#remove(leg);
    leg.session.closed(leg.config.stream, now);
    this.#options.emit({ kind: 'closed', counters: leg.counters() });
    this.#checkDrained();
  }

  #remove(leg: StreamLeg): void {
    this.#shared.leave(leg);
    this.#udp.close(2 * leg.slot);
    this.#udp.close(2 * leg.slot + 1);
    this.#legs[leg.slot] = undefined;
    this.#freeSlots.push(leg.slot);
    leg.session.legs.delete(leg.config.stream);
    this.#playing.delete(leg);
    this.#path.forget(leg);
    this.#count--;
    this.#countVideo(leg.config, -1);
  }

  #countVideo(config: StreamLegConfig, by: number): void {
    if (config.kind !== 'video') return;
    const count = (this.#videoLegs.get(config.call) ?? 0) + by;
    if (count > 0) this.#videoLegs.set(config.call, count);
    else this.#videoLegs.delete(config.call);
  }

  #find(session: SessionId, stream: StreamId): StreamLeg | undefined {
    return this.#sessions.get(session)?.legs.get(stream);
  }

  #checkDrained(): void {
    if (!this.#draining || this.#drained || this.#count > 0) return;
    this.#drained = true;
    this.#options.emit({ kind: 'drained' });
  }

  #digit(leg: StreamLeg | undefined, digit: string, durationMs: number): void {
    const event = eventOfDigit(digit);
    if (leg === undefined || event === undefined || leg.eventFormat() === undefined) return;
    leg.addDigit(event, durationMs);
    this.#playing.add(leg);
  }

  #keepSession(session: SessionStreams, now: Millis): void {
    session.expire(now);
    for (const leg of session.legs.values()) {
      if (!leg.opened) continue;
      if (now >= leg.reports.nextAt) {
        this.#path.sendReport(leg, now);
        this.#path.sendQuality(leg, now);
      }
      // Who receives a fax has nothing to say for as long as a page takes.
      if (leg.fax !== undefined) continue;
      const quietSince = Math.max(leg.expectedSince, leg.check.lastAcceptedAt);
      const expected = leg.receives && leg.destination !== undefined;
      if (!expected || leg.saidSilent || now - quietSince < SILENT_AFTER_MS) continue;
      leg.saidSilent = true;
      this.#options.emit({ kind: 'silent', session: session.id, stream: leg.config.stream });
    }
  }

  /** Streams in which nothing moved are as they were. While any is open something is said every time round: that too is known then. */
  #report(): void {
    const streams: StreamCounters[] = [];
    this.#reportPhase = (this.#reportPhase + 1) % REPORT_PHASES;
    for (let slot = this.#reportPhase; slot < this.#legs.length; slot += REPORT_PHASES) {
      const leg = this.#legs[slot];
      if (!leg?.opened || !leg.stirred) continue;
      leg.stirred = false;
      streams.push(leg.counters());
    }
    const whole = this.#reportPhase === 0;
    const lanes = whole ? [...this.#sessions.values()].flatMap((s) => s.lanes?.counters() ?? []) : [];
    const strangers = whole ? this.#shared.strangers : 0;
    const pausesMs = whole ? (this.#options.pauses?.() ?? []) : [];
    const nothing = streams.length + lanes.length + strangers + pausesMs.length === 0;
    if (nothing && !(whole && this.#count > 0)) return;
    this.#options.emit({
      kind: 'counters',
      streams,
      lanes,
      ...(strangers > 0 ? { strangers } : {}),
      ...(pausesMs.length > 0 ? { pausesMs } : {}),
    });
  }
}
