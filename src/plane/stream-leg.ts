import { type Place, placeIn } from '../machine/cells.ts';
import type { Millis, Random } from '../machine/machine.ts';
import { TokenBucket } from '../machine/token-bucket.ts';
import type { PlaneFormat, StreamCounters, StreamId, StreamLegConfig } from '../media/plane-contract.ts';
import { sends, takes } from '../media/stream-config.ts';
import { type CodecImpairment, estimateMos, IMPAIRMENTS } from '../rtp/emodel.ts';
import { Rebuilder, type RebuildState } from '../rtp/rebuild.ts';
import { ReceiveCheck, type ReceiveRules } from '../rtp/receive-check.ts';
import { REFUSAL_COUNT } from '../rtp/refusal.ts';
import { SequenceWindow } from '../rtp/sequence-window.ts';
import { SourceLock } from '../rtp/source-lock.ts';
import { parseSource, type SourceWords, sameHost, sameSource, sourceAddress } from '../rtp/source-words.ts';
import { EventSender } from '../rtp/telephone-event.ts';
import { FAX, FrameOrder } from '../tunnel/frame-order.ts';
import { FLAG_EMERGENCY } from '../tunnel/media-frame.ts';
import { TunnelTally } from '../tunnel/quality-report.ts';
import { FaxStream, faxFormat } from './fax-stream.ts';
import { IDENTITY, type PacketTransform } from './packet-transform.ts';
import { heardAs, heardStream, RtcpReports } from './rtcp-reports.ts';
import { type SendFormat, SendFormats } from './send-formats.ts';
import type { SessionStreams } from './session-streams.ts';
import {
  ARRIVED,
  BYTES_IN,
  BYTES_OUT,
  CHECK,
  COPIES_UNTIL,
  FRAMES,
  FRAMES_FROM_TUNNEL,
  FRAMES_TO_TUNNEL,
  LOCK,
  ORDER,
  PACKETS_IN,
  PACKETS_OUT,
  REBUILD,
  type StreamRows,
  TUNNEL_DELAY,
  USUAL,
} from './stream-row.ts';
import type { Destination, Udp } from './udp.ts';

/** What a leg's successor in another process needs (source lock, numbers towards the far end). */
export interface LegState {
  readonly rebuild: RebuildState;
  readonly locked?: { readonly ip: string; readonly port: number };
  /** Fax: number of the newest datagram. */
  readonly fax?: number;
}

const MAX_DIGITS = 32;
const PICTURE_LOSS_EVERY_MS = 500;
/** RFC 3550 6.2 asks for one in some seconds; feedback of video (RFC 4585) comes more often. */
const RTCP = { burst: 50, perSecond: 20 };
/** Between two digits (RFC 4733 leaves it open; Q.24 asks for 40 ms or more). */
const DIGIT_PAUSE_MS = 60;

/** The UDP side of one stream of one call: state only; engine.ts moves the packets. */
export class StreamLeg {
  // What every packet needs comes first: objects are read line by line, too.
  /** The numbers of the stream (stream-row.ts). */
  readonly cells: Float64Array;
  readonly row: number;
  /** In place of what is RTP's here: T.38. */
  readonly fax: FaxStream | undefined;
  opened = false;
  /** Something came or went since the last report of its counters. */
  stirred = false;
  /** Between the wire and the path: SRTP and SRTCP where negotiated. */
  rtpTransform: PacketTransform = IDENTITY;
  // To the tunnel.
  readonly check: ReceiveCheck;
  readonly session: SessionStreams;
  saidSilent = false;
  rtcpMux = false;
  /** Flag of every frame to the tunnel. */
  urgency = 0;
  readonly stream: StreamId;
  // To the far end.
  sends = false;
  destination: Destination | undefined;
  /** An event of our own goes out in the place of what comes. */
  playing: EventSender | undefined;
  /** Of the sockets it sends from: its own, or shared ones. */
  rtpToken: number;
  readonly rebuilder: Rebuilder;

  config: StreamLegConfig;
  /** Tokens are 2 * slot (RTP) and 2 * slot + 1 (RTCP). */
  readonly slot: number;
  rtcpToken: number;
  readonly lock: SourceLock;
  readonly reports: RtcpReports;
  /** What came over the tunnel. */
  readonly frames: SequenceWindow;
  readonly order: FrameOrder;
  readonly refused = new Float64Array(REFUSAL_COUNT);
  readonly formats: SendFormats;
  /** The event being told, and the timestamp of the one told last. */
  telling: { readonly event: number; readonly durationMs: number; readonly timestamp: number } | undefined;
  toldAt: number | undefined;
  rtcpTransform: PacketTransform = IDENTITY;
  rtcpDestination: Destination | undefined;
  receives = false;
  /** Counts bindings, so that a late answer to an earlier one is known. */
  bindGeneration = 0;
  /** Since when a packet is expected. */
  expectedSince: Millis;
  framesDuplicate = 0;
  readonly tally: TunnelTally;
  playingAt = 0; // timestamp of the event
  playingFormat: SendFormat | undefined;
  readonly #digits: { readonly event: number; readonly durationMs: number }[] = [];
  #pauseUntil: Millis = 0;
  #inSnapshot = 0;
  readonly #udp: Udp;
  #pictureLossAt: Millis = Number.NEGATIVE_INFINITY;
  readonly #rtcp: TokenBucket;

  constructor(
    config: StreamLegConfig,
    session: SessionStreams,
    slot: number,
    udp: Udp,
    random: Random,
    now: Millis,
    rows: StreamRows,
    resume?: LegState,
  ) {
    const whole = rows.fresh(slot);
    const place = (offset: number): Place => placeIn(whole, offset);
    this.cells = whole.cells;
    this.row = whole.at;
    this.cells[this.row + COPIES_UNTIL] = -1;
    this.config = config;
    this.session = session;
    this.stream = config.stream;
    this.slot = slot;
    this.rtpToken = 2 * slot;
    this.rtcpToken = config.rtcpMux ? 2 * slot : 2 * slot + 1;
    this.#udp = udp;
    const remote = config.remote && parseSource(config.remote);
    this.lock = new SourceLock(config.source, remote, config.latchWindowMs, now, place(LOCK));
    this.lock.latchHost = hostOf(config);
    const fax = faxFormat(config);
    this.fax = fax && new FaxStream(config, fax, this.lock, random, now, resume?.fax);
    this.order = new FrameOrder(fax && FAX, place(ORDER));
    this.frames = new SequenceWindow(place(FRAMES));
    const base = random.uint32();
    const [sequence, timestamp] = [base & 0xffff, random.uint32()];
    const rules = rulesOf(config);
    this.check = new ReceiveCheck(rules, this.lock, sequence, timestamp, now, place(CHECK), rows.packet);
    this.rebuilder = new Rebuilder(random, resume?.rebuild, config.rtpBase, place(REBUILD));
    this.formats = new SendFormats(place(USUAL));
    this.tally = new TunnelTally(resume !== undefined, place(ARRIVED));
    this.reports = new RtcpReports(config.cname, random, now);
    this.expectedSince = now;
    this.#rtcp = new TokenBucket(RTCP.burst, RTCP.perSecond, now);
    const locked = resume?.locked && parseSource(resume.locked);
    if (locked !== undefined) this.lock.lock(locked);
    this.#apply(now);
  }

  get packetsIn(): number {
    return this.cells[this.row + PACKETS_IN]!;
  }

  get bytesIn(): number {
    return this.cells[this.row + BYTES_IN]!;
  }

  get packetsOut(): number {
    return this.cells[this.row + PACKETS_OUT]!;
  }

  get bytesOut(): number {
    return this.cells[this.row + BYTES_OUT]!;
  }

  get framesToTunnel(): number {
    return this.cells[this.row + FRAMES_TO_TUNNEL]!;
  }

  get framesFromTunnel(): number {
    return this.cells[this.row + FRAMES_FROM_TUNNEL]!;
  }

  /** How much later than the fastest frames come, smoothed as RFC 3550 smooths jitter; -1: none came. */
  get tunnelDelay(): number {
    return this.framesFromTunnel === 0 ? -1 : this.cells[this.row + TUNNEL_DELAY]!;
  }

  /** A datagram of so many octets came in, and was accepted. */
  cameIn(octets: number): void {
    this.cells[this.row + PACKETS_IN]!++;
    this.cells[this.row + BYTES_IN]! += octets;
  }

  /** A datagram of so many octets was sent. */
  wentOut(octets: number): void {
    this.cells[this.row + PACKETS_OUT]!++;
    this.cells[this.row + BYTES_OUT]! += octets;
  }

  modify(config: StreamLegConfig, relearn: boolean, now: Millis): void {
    const couldReceive = this.receives;
    this.config = config;
    const remote = config.remote && parseSource(config.remote);
    this.lock.latchHost = hostOf(config);
    const anew = this.lock.modify(config.source, remote, config.latchWindowMs, relearn, now);
    if (anew) (this.fax ?? this).check.relearn();
    this.check.setRules(rulesOf(config), now);
    const fax = faxFormat(config);
    if (fax !== undefined) this.fax?.modify(config, fax, now);
    this.#apply(now);
    if (this.receives && !couldReceive) this.expectedSince = now;
    this.saidSilent = false;
  }

  /** The far end's addresses: what it signalled, or the source that was latched to (RFC 4961 behind NAT). */
  aim(): void {
    const { config, lock } = this;
    const follow = lock.isLocked && config.source === 'latch';
    const rtp = follow ? sourceAddress(lock.locked) : config.remote;
    this.destination = rtp && this.#udp.destination(rtp);
    if (config.rtcpMux) {
      this.rtcpDestination = this.destination;
      return;
    }
    const moved = follow && !(config.remote && sameSource(lock.locked, parseSource(config.remote) ?? NOBODY));
    const rtcp = !moved && config.remoteRtcp ? config.remoteRtcp : rtp && { ip: rtp.ip, port: rtp.port + 1 };
    this.rtcpDestination = rtcp && this.#udp.destination(rtcp);
  }

  /** Whether RTCP may come from here: the host the media comes from, or the one signalled for RTCP. */
  rtcpFrom(source: SourceWords): boolean {
    const { config, lock } = this;
    if (lock.isLocked ? sameHost(source, lock.locked) : false) return true;
    if (lock.isLocked && config.source === 'latch') return false;
    const rtcp = config.remoteRtcp && parseSource(config.remoteRtcp);
    if (rtcp !== undefined && sameHost(source, rtcp)) return true;
    return lock.signalled !== undefined && sameHost(source, lock.signalled);
  }

  /** One more RTCP packet. */
  rtcpAllowed(now: Millis): boolean {
    return this.#rtcp.take(now);
  }

  /** Requests for a whole picture are dear: one per PICTURE_LOSS_EVERY_MS passes. */
  pictureLossAllowed(now: Millis): boolean {
    if (now - this.#pictureLossAt < PICTURE_LOSS_EVERY_MS) return false;
    this.#pictureLossAt = now;
    return true;
  }

  addDigit(event: number, durationMs: number): void {
    if (this.#digits.length < MAX_DIGITS) this.#digits.push({ event, durationMs });
  }

  get hasDigits(): boolean {
    return this.playing !== undefined || this.#digits.length > 0;
  }

  /** The event format towards the far end on the clock of the voice, else any. */
  eventFormat(): SendFormat | undefined {
    const events = this.formats.sent.filter((f) => f?.rules.kind === 'event');
    return events.find((f) => f!.rules.clockRate === this.rebuilder.clockRate) ?? events[0];
  }

  /** Starts the next digit where one waits and none is playing. */
  startDigit(now: Millis): void {
    if (this.playing !== undefined || now < this.#pauseUntil) return;
    const format = this.eventFormat();
    const digit = this.#digits.shift();
    if (digit === undefined || format === undefined) return;
    this.playing = new EventSender(digit.event, digit.durationMs, format.rules.clockRate, now);
    this.playingFormat = format;
    this.playingAt = this.rebuilder.timestampAt(now);
  }

  digitEnded(now: Millis): void {
    this.playing = undefined;
    this.#pauseUntil = now + DIGIT_PAUSE_MS;
  }

  dropDigits(): void {
    this.playing = undefined;
    this.#digits.length = 0;
  }

  state(now: Millis): LegState {
    return {
      rebuild: this.rebuilder.state(now),
      ...(this.lock.isLocked ? { locked: sourceAddress(this.lock.locked) } : {}),
      ...(this.fax === undefined ? {} : { fax: this.fax.sender.state }),
    };
  }

  /** Whether a packet went either way since this was last asked: what did not move needs no new snapshot. */
  movedSinceSnapshot(): boolean {
    const packets = this.packetsIn + this.packetsOut;
    if (packets === this.#inSnapshot) return false;
    this.#inSnapshot = packets;
    return true;
  }

  counters(): StreamCounters {
    const { config, reports } = this;
    const { window, late, duplicates } = (this.fax ?? this).check;
    const { jitterOut, roundTrip } = reports;
    return {
      session: config.session,
      stream: config.stream,
      call: config.call,
      packetsIn: this.packetsIn,
      bytesIn: this.bytesIn,
      packetsOut: this.packetsOut,
      bytesOut: this.bytesOut,
      framesToTunnel: this.framesToTunnel,
      framesFromTunnel: this.framesFromTunnel,
      framesLost: this.frames.lost,
      framesDuplicate: this.framesDuplicate,
      lostIn: window.lost,
      lateIn: late,
      duplicatesIn: duplicates,
      jitterInMs: this.check.reception.jitterMs,
      lostOut: reports.lostOut,
      jitterOutMs: jitterOut < 0 ? -1 : (1000 * jitterOut) / this.rebuilder.clockRate,
      roundTripMs: roundTrip.ms,
      mosIn: this.#mosIn(),
      mosOut: this.#mosOut(),
      mosOutReported: reports.mosReported,
      tunnelLost: this.tally.lost,
      tunnelDelayMs: this.tunnelDelay,
      farLost: this.tally.farLost,
      farJitterMs: this.tally.farJitterMs,
      refused: [...this.refused],
      ...(this.lock.isLocked ? { lockedSource: sourceAddress(this.lock.locked) } : {}),
    };
  }

  /** Of what the far end sends; undefined where that is no voice. */
  impairmentIn(): CodecImpairment | undefined {
    return this.#impairment((f) => f.format === this.check.format && f.receivePayloadType >= 0);
  }

  #impairment(inUse: (format: PlaneFormat) => boolean): CodecImpairment | undefined {
    const voices = this.config.formats.filter((f) => f.kind === 'voice');
    const format = voices.find(inUse) ?? voices[0];
    return format && (format.impairment ?? IMPAIRMENTS.G711);
  }

  #mosIn(): number {
    const codec = this.impairmentIn();
    if (codec === undefined || this.check.window.expected === 0) return 0;
    return estimateMos({ ...heardStream(this.check, this.reports.roundTrip.ms), codec });
  }

  /** What our far end hears: what was lost on its leg comes on top of what was lost before. */
  #mosOut(): number {
    const codec = this.#impairment((f) => f.sendPayloadType >= 0);
    const { expected, lost } = this.frames;
    if (codec === undefined || expected === 0 || this.packetsOut === 0) return 0;
    const { lostOut, jitterOut, roundTrip, concealment } = this.reports;
    const arrived = (1 - lost / expected) * (1 - Math.min(1, Math.max(0, lostOut) / this.packetsOut));
    const jitterMs = jitterOut < 0 ? this.tally.farJitterMs : (1000 * jitterOut) / this.rebuilder.clockRate;
    return estimateMos({
      lossPercent: 100 * (1 - arrived),
      jitterMs,
      roundTripMs: roundTrip.ms,
      delayMs: Math.max(0, this.tunnelDelay),
      codec: heardAs(codec, concealment),
    });
  }

  #apply(now: Millis): void {
    const { config } = this;
    this.sends = sends(config);
    this.receives = takes(config);
    this.rtcpMux = config.rtcpMux;
    this.urgency = config.priority === 'emergency' ? FLAG_EMERGENCY : 0;
    this.formats.set(config.formats, now);
    this.aim();
  }
}

const NOBODY: SourceWords = { a: 0, b: 0, c: 0, d: 0, port: -1 };

function hostOf({ latchHost }: StreamLegConfig): SourceWords | undefined {
  return latchHost === undefined ? undefined : parseSource({ ip: latchHost, port: 0 });
}

function rulesOf(config: StreamLegConfig): ReceiveRules {
  return {
    receive: takes(config),
    rtcpMux: config.rtcpMux,
    formats: config.formats.map((f) => ({
      format: f.format,
      payloadType: f.receivePayloadType,
      clockRate: f.clockRate,
      maxPayload: f.maxPayload,
      maxPacketsPerSecond: f.maxPacketsPerSecond,
      event: f.kind === 'event',
    })),
  };
}
