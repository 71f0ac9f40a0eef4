import { copyBytes } from '../bytes/copy.ts';
import type { Millis, WallMillis } from '../machine/machine.ts';
import type { PlaneEvent } from '../media/plane-contract.ts';
import { isRtcp, RTP_HEADER, readU32, writeU32 } from '../rtp/packet.ts';
import { ACCEPTED, REFUSED } from '../rtp/refusal.ts';
import { parseRtcp, type ReceivedRtcp } from '../rtp/rtcp.ts';
import { SOURCE_REFUSED } from '../rtp/source-lock.ts';
import { type SourceWords, sourceAddress } from '../rtp/source-words.ts';
import { digitOfEvent, EVENT_LENGTH, parseEvent, rebuildEvent } from '../rtp/telephone-event.ts';
import { inTurn } from '../tunnel/frame-order.ts';
import {
  CONTROL_CLOCK,
  CONTROL_PICTURE_LOSS,
  CONTROL_QUALITY,
  FLAG_CONTROL,
  FLAG_MARKER,
  MEDIA_HEADER,
  type MediaFrame,
  mediaFrame,
} from '../tunnel/media-frame.ts';
import { QUALITY_LENGTH, readQuality, writeQuality } from '../tunnel/quality-report.ts';
import { faxFromFarEnd, faxReleased, faxToFarEnd } from './fax-path.ts';
import { checkFrame, checkOtherFrame, SECOND_COPY } from './frame-check.ts';
import { IDENTITY } from './packet-transform.ts';
import type { ReportExtra } from './rtcp-reports.ts';
import { CLOCK_RATE, EVENT, FORMAT, PAYLOAD_TYPE, type SendFormat } from './send-formats.ts';
import type { StreamLeg } from './stream-leg.ts';
import { ARRIVED, FRAMES_TO_TUNNEL, ORDER, USUAL } from './stream-row.ts';
import type { Udp } from './udp.ts';

/**
 * The way of a packet, both directions. In steady state nothing is allocated:
 * udp batch -> `fromFarEnd` -> rtp checks -> frame -> lane, and lane -> `fromTunnel` -> checks again -> rebuild -> udp.
 */
export class PacketPath {
  readonly #udp: Udp;
  readonly #emit: (event: PlaneEvent) => void;
  readonly #wall: () => WallMillis;
  readonly #wantsClock: (call: string) => boolean;
  readonly #frame = mediaFrame();
  readonly #scratch = new Uint8Array(16);
  /** Legs with frames that wait for the one before them. */
  readonly #waiting = new Set<StreamLeg>();
  /** Legs whose far end's fax packets wait for one that parities may restore. */
  readonly #repairing = new Set<StreamLeg>();

  /** `wantsClock`: whether streams of this call must keep lip sync. */
  constructor(
    udp: Udp,
    emit: (event: PlaneEvent) => void,
    wall: () => WallMillis,
    wantsClock: (call: string) => boolean,
  ) {
    this.#udp = udp;
    this.#emit = emit;
    this.#wall = wall;
    this.#wantsClock = wantsClock;
  }

  /** One datagram on the leg's RTP port. */
  fromFarEnd(
    leg: StreamLeg,
    bytes: Uint8Array,
    start: number,
    length: number,
    source: SourceWords,
    now: Millis,
  ): void {
    if (leg.fax !== undefined) {
      faxFromFarEnd(leg, leg.fax, this.#frame, bytes, start, length, source, now);
      if (leg.fax.check.justLocked) this.#locked(leg);
      if (leg.fax.check.holding) this.#repairing.add(leg);
      return;
    }
    if (leg.rtcpMux && isRtcp(bytes, start, length)) {
      this.rtcpFromFarEnd(leg, bytes, start, length, source, now);
      return;
    }
    const check = leg.check;
    const verdict = this.#verdict(leg, bytes, start, length, source, now);
    if (verdict !== ACCEPTED) {
      leg.refused[verdict]!++;
      return;
    }
    if (check.justLocked) this.#locked(leg);
    leg.cameIn(length);
    leg.saidSilent = false;
    const lanes = leg.session.lanes;
    if (lanes === undefined) return;
    const packet = check.packet;
    const frame = this.#frame;
    frame.flags = (packet.marker ? FLAG_MARKER : 0) | leg.urgency;
    frame.format = packet.format;
    frame.stream = leg.stream;
    frame.sequence = packet.neutralSequence;
    frame.timestamp = packet.neutralTimestamp;
    frame.sent = now & 0xffff;
    frame.bytes = bytes;
    frame.start = packet.payloadStart;
    frame.length = packet.payloadLength;
    if (packet.isEvent) this.#rebuiltEvent(frame);
    leg.cells[leg.row + FRAMES_TO_TUNNEL]!++;
    lanes.send(frame, now);
  }

  /** Reports are read for what they measure; nothing of them is passed on but what media itself needs. */
  rtcpFromFarEnd(
    leg: StreamLeg,
    bytes: Uint8Array,
    start: number,
    length: number,
    source: SourceWords,
    now: Millis,
  ): void {
    // UDPTL has no RTCP (T.38 9.1).
    if (leg.fax !== undefined || !leg.rtcpFrom(source)) {
      leg.refused[REFUSED.rtcpSource]!++;
      return;
    }
    const plain = leg.rtcpTransform.unprotect(bytes, start, length);
    if (plain < 0) {
      leg.refused[REFUSED.authentication]!++;
      return;
    }
    if (!leg.rtcpAllowed(now)) {
      leg.refused[REFUSED.rate]!++;
      return;
    }
    const rtcp = parseRtcp(bytes, start, plain);
    if (rtcp === undefined) {
      leg.refused[REFUSED.rtcpMalformed]!++;
      return;
    }
    // A BYE of the far end ends nothing: calls end by signalling only.
    leg.reports.received(rtcp, leg.rebuilder, now);
    if (rtcp.pictureLoss && leg.config.kind === 'video' && leg.pictureLossAllowed(now)) {
      this.#scratch[0] = CONTROL_PICTURE_LOSS;
      this.#control(leg, 0, 1, now);
    }
    this.#clock(leg, rtcp.sender, now);
  }

  /** A frame of an authenticated lane. The far gateway is not believed: everything is checked again. */
  fromTunnel(leg: StreamLeg, frame: MediaFrame, now: Millis): void {
    if ((frame.flags & FLAG_CONTROL) !== 0) {
      this.#controlFrame(leg, frame, now);
      return;
    }
    const { cells, row } = leg;
    const usual = cells[row + USUAL + FORMAT] === frame.format;
    const refusal = usual
      ? checkFrame(leg, cells, row + USUAL, frame, now)
      : checkOtherFrame(leg, frame, now);
    if (refusal !== SECOND_COPY && refusal !== REFUSED.sequence) cells[row + ARRIVED]!++;
    if (refusal === ACCEPTED) {
      if (usual || leg.formats.sent[frame.format] !== undefined) this.#inOrder(leg, frame, now);
      else this.#tell(leg, leg.formats.told[frame.format]!, frame);
    } else if (refusal !== SECOND_COPY) leg.refused[refusal]!++;
    else leg.framesDuplicate++;
  }

  /** Frames wait for the one before them. */
  get holds(): boolean {
    return this.#waiting.size > 0 || this.#repairing.size > 0;
  }

  /** Frames that waited long enough for the one before them are sent. To be called every few milliseconds. */
  tick(now: Millis): void {
    for (const leg of this.#waiting) this.#release(leg, now);
    for (const leg of this.#repairing) {
      if (leg.fax !== undefined) faxReleased(leg, leg.fax, this.#frame, now);
      if (leg.fax?.check.holding !== true) this.#repairing.delete(leg);
    }
  }

  /** The leg is gone: what waits of it is too. */
  forget(leg: StreamLeg): void {
    this.#waiting.delete(leg);
    this.#repairing.delete(leg);
  }

  #inOrder(leg: StreamLeg, frame: MediaFrame, now: Millis): void {
    if (inTurn(leg.cells, leg.row + ORDER, frame.sequence)) {
      this.#toFarEnd(leg, frame, now);
      return;
    }
    if (leg.order.hold(frame, now)) {
      this.#waiting.add(leg);
      return;
    }
    this.#toFarEnd(leg, frame, now);
    if (leg.order.holding) this.#release(leg, now);
  }

  #release(leg: StreamLeg, now: Millis): void {
    for (let frame = leg.order.next(now); frame !== undefined; frame = leg.order.next(now)) {
      // Renegotiated meanwhile: the format, or the direction.
      if (leg.formats.sent[frame.format] !== undefined && leg.sends) this.#toFarEnd(leg, frame, now);
    }
    if (!leg.order.holding) this.#waiting.delete(leg);
  }

  /** Sends what is due of the digits of a leg. False where none is left. */
  play(leg: StreamLeg, now: Millis): boolean {
    if (!leg.sends || leg.destination === undefined || leg.eventFormat() === undefined) leg.dropDigits();
    leg.startDigit(now);
    const sender = leg.playing;
    if (sender === undefined) return leg.hasDigits;
    const payloadType = leg.playingFormat!.rules.sendPayloadType;
    while (!sender.done && now >= sender.dueAt) {
      const out = this.#udp.outgoing;
      leg.rebuilder.inject(out, 0, payloadType, sender.marker, leg.playingAt, EVENT_LENGTH);
      sender.write(out, RTP_HEADER);
      this.#sendRtp(leg, RTP_HEADER + EVENT_LENGTH);
    }
    if (sender.done) leg.digitEnded(now);
    return true;
  }

  sendReport(leg: StreamLeg, now: Millis, wanted: ReportExtra = {}): void {
    if (leg.fax !== undefined) {
      leg.reports.skip(now);
      return;
    }
    const codec = leg.config.voipMetrics === true ? leg.impairmentIn() : undefined;
    const extra = codec === undefined ? wanted : { ...wanted, voipMetricsOf: codec };
    const report = leg.reports.build(leg.check, leg.rebuilder, now, this.#wall(), extra);
    if (leg.rtcpDestination === undefined) return;
    const out = this.#udp.outgoing;
    out.set(report);
    const length = leg.rtcpTransform.protect(out, 0, report.length);
    if (length >= 0) this.#udp.send(leg.rtcpToken, leg.rtcpDestination, length);
  }

  /** Tells the other gateway what this leg took and sent, so that it can say where something was lost. */
  sendQuality(leg: StreamLeg, now: Millis): void {
    if (leg.framesToTunnel === 0) return;
    writeQuality(this.#scratch, {
      framesSent: leg.framesToTunnel,
      lost: (leg.fax ?? leg).check.window.lost,
      jitterMs: leg.check.reception.jitterMs,
    });
    this.#control(leg, 0, QUALITY_LENGTH, now);
  }

  /** The source first: no cryptography for strangers. */
  #verdict(
    leg: StreamLeg,
    bytes: Uint8Array,
    start: number,
    length: number,
    source: SourceWords,
    now: Millis,
  ): number {
    if (leg.rtpTransform === IDENTITY) return leg.check.check(bytes, start, length, source, now);
    if (leg.lock.classify(source, now) === SOURCE_REFUSED) return REFUSED.source;
    const plain = leg.rtpTransform.unprotect(bytes, start, length);
    return plain < 0 ? REFUSED.authentication : leg.check.check(bytes, start, plain, source, now);
  }

  /** A frame of one of the formats that are sent. */
  #toFarEnd(leg: StreamLeg, frame: MediaFrame, now: Millis): void {
    const { cells, row } = leg;
    if (cells[row + USUAL + FORMAT] === frame.format) this.#send(leg, cells, row + USUAL, frame, now);
    else {
      const { place } = leg.formats.sent[frame.format]!;
      this.#send(leg, place.cells, place.at, frame, now);
    }
  }

  /** `formats`, `format`: the cells of the frame's format. */
  #send(leg: StreamLeg, formats: Float64Array, format: number, frame: MediaFrame, now: Millis): void {
    if (leg.fax !== undefined) {
      faxToFarEnd(leg, leg.fax, frame, this.#udp);
      return;
    }
    if (leg.destination === undefined) return; // nowhere yet: an offer without an answer
    if (leg.playing !== undefined) {
      leg.rebuilder.swallow(frame.sequence);
      return;
    }
    const event = formats[format + EVENT] === 1;
    // The payload stays where the lane put it; the RTP header goes over the frame's, which has been read.
    const inPlace =
      frame.bytes === this.#udp.arena &&
      frame.start >= MEDIA_HEADER &&
      leg.rtpTransform === IDENTITY &&
      !event;
    const out = inPlace ? frame.bytes : this.#udp.outgoing;
    const at = inPlace ? frame.start - RTP_HEADER : 0;
    leg.rebuilder.header(
      out,
      at,
      formats[format + PAYLOAD_TYPE]!,
      (frame.flags & FLAG_MARKER) !== 0,
      frame.sequence,
      frame.timestamp,
      formats[format + CLOCK_RATE]!,
      frame.length,
      now,
    );
    const length = RTP_HEADER + frame.length;
    if (inPlace) {
      this.#udp.sendFrom(leg.rtpToken, leg.destination, at, length);
      leg.wentOut(length);
      return;
    }
    if (event) rebuildEvent(frame.bytes, frame.start, out, RTP_HEADER);
    else copyBytes(frame.bytes, frame.start, frame.length, out, RTP_HEADER);
    this.#sendRtp(leg, length);
  }

  /** An event for signalling: all its packets have one timestamp, the last ones are repeated (RFC 4733 2.5.1). */
  #tell(leg: StreamLeg, format: SendFormat, frame: MediaFrame): void {
    leg.rebuilder.swallow(frame.sequence);
    const block = parseEvent(frame.bytes, frame.start, frame.length);
    if (block === undefined || frame.timestamp === leg.toldAt) return;
    // A new event and the end of the one before was lost.
    if (leg.telling !== undefined && leg.telling.timestamp !== frame.timestamp) this.#told(leg);
    const durationMs = Math.max(40, Math.round((block.duration * 1000) / format.rules.clockRate));
    leg.telling = { event: block.event, durationMs, timestamp: frame.timestamp };
    if (block.end) this.#told(leg);
  }

  #told(leg: StreamLeg): void {
    const { event, durationMs, timestamp } = leg.telling!;
    leg.telling = undefined;
    leg.toldAt = timestamp;
    const digit = digitOfEvent(event);
    const { session, stream } = leg.config;
    if (digit !== undefined) this.#emit({ kind: 'digit', session, stream, digit, durationMs });
  }

  #sendRtp(leg: StreamLeg, length: number): void {
    const wire = leg.rtpTransform.protect(this.#udp.outgoing, 0, length);
    if (wire < 0) return;
    this.#udp.send(leg.rtpToken, leg.destination!, wire);
    leg.wentOut(wire);
  }

  #locked(leg: StreamLeg): void {
    (leg.fax ?? leg).check.justLocked = false;
    if (leg.config.source === 'signalled') return;
    leg.aim();
    const { session, stream } = leg.config;
    this.#emit({ kind: 'source-locked', session, stream, source: sourceAddress(leg.lock.locked) });
  }

  /** Terminate means build: the event block is written again from its fields. */
  #rebuiltEvent(frame: MediaFrame): void {
    rebuildEvent(frame.bytes, frame.start, this.#scratch, 0);
    frame.bytes = this.#scratch;
    frame.start = 0;
    frame.length = EVENT_LENGTH;
  }

  #clock(leg: StreamLeg, sender: ReceivedRtcp['sender'], now: Millis): void {
    if (sender === undefined || sender.ssrc !== leg.check.ssrc || !this.#wantsClock(leg.config.call)) return;
    this.#scratch[0] = CONTROL_CLOCK;
    writeU32(this.#scratch, 1, sender.ntpHigh);
    writeU32(this.#scratch, 5, sender.ntpLow);
    this.#control(leg, leg.check.neutralTimestamp(sender.timestamp), 9, now);
  }

  #control(leg: StreamLeg, timestamp: number, length: number, now: Millis): void {
    const frame = this.#frame;
    frame.flags = FLAG_CONTROL | leg.urgency;
    frame.format = 0;
    frame.stream = leg.config.stream;
    frame.sequence = seriesOf(leg);
    frame.timestamp = timestamp;
    frame.sent = now & 0xffff;
    frame.bytes = this.#scratch;
    frame.start = 0;
    frame.length = length;
    leg.session.lanes?.send(frame, now);
  }

  #controlFrame(leg: StreamLeg, frame: MediaFrame, now: Millis): void {
    const { bytes, start, length } = frame;
    const kind = bytes[start];
    if (kind === CONTROL_PICTURE_LOSS && length === 1 && leg.config.kind === 'video') {
      if (leg.pictureLossAllowed(now)) this.sendReport(leg, now, { pictureLoss: true });
    } else if (kind === CONTROL_CLOCK && length === 9) {
      if (leg.rebuilder.packets === 0) return;
      const timestamp = leg.rebuilder.outgoingTimestamp(frame.timestamp);
      leg.reports.setClock(timestamp, readU32(bytes, start + 1), readU32(bytes, start + 5), now);
    } else if (kind === CONTROL_QUALITY && length === QUALITY_LENGTH) {
      // The last word of what the stream was before comes when the far gateway has changed it, too.
      if (frame.sequence === seriesOf(leg)) leg.tally.report(readQuality(bytes, start));
    } else {
      leg.refused[REFUSED.frameFormat]!++;
    }
  }
}

/** What control data is about: speech or video, or a fax in their place. */
function seriesOf(leg: StreamLeg): number {
  return leg.fax === undefined ? 0 : 1;
}
