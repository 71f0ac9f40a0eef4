import type { Millis, Random, WallMillis } from '../machine/machine.ts';
import {
  type CodecImpairment,
  delayOf,
  estimateMos,
  IMPAIRMENTS,
  mosOfRating,
  rating,
} from '../rtp/emodel.ts';
import type { Rebuilder } from '../rtp/rebuild.ts';
import type { ReceiveCheck } from '../rtp/receive-check.ts';
import { IntervalLoss, RoundTrip } from '../rtp/reception.ts';
import {
  buildRtcp,
  ntpMiddle,
  ntpOf,
  type ReceivedRtcp,
  type ReportBlock,
  type RtcpReport,
  type SenderInfo,
} from '../rtp/rtcp.ts';
import type { Concealment, VoipMetrics } from '../rtp/rtcp-xr.ts';

/** RFC 3550 6.2: the recommended fixed minimum. */
const INTERVAL_MS = 5000;

export interface ReportExtra {
  readonly bye?: boolean;
  readonly pictureLoss?: boolean;
  /** The codec of what the far end sends, where it asked for VoIP metrics. */
  readonly voipMetricsOf?: CodecImpairment;
}

/** What one leg reports to its far end and learns from its reports. Generated here, never passed on (terminate means build). */
export class RtcpReports {
  /** Packets lost towards the far end, as it says; -1 unknown. */
  lostOut = -1;
  /** Jitter of what we send, as the far end measures it, timestamp units; -1 unknown. */
  jitterOut = -1;
  /** What its device does about loss, and how its listener fares (RFC 3611 4.7.5, 0 unknown), where it says so. */
  concealment: Concealment = 'unknown';
  mosReported = 0;
  readonly roundTrip = new RoundTrip();
  nextAt: Millis;
  readonly #cname: string;
  readonly #random: Random;
  readonly #loss = new IntervalLoss();
  #lastReport = 0;
  #lastReportAt: Millis = 0;
  #packetsReported = 0;
  /** The media clock of the stream's origin, where the other gateway told it: outgoing timestamp and NTP time. */
  #clock: { timestamp: number; high: number; low: number; at: Millis } | undefined;

  constructor(cname: string, random: Random, now: Millis) {
    this.#cname = cname;
    this.#random = random;
    this.nextAt = now + this.#interval() / 2; // 6.2: half the interval before the first
  }

  received(rtcp: ReceivedRtcp, rebuilder: Rebuilder, now: Millis): void {
    if (rtcp.sender !== undefined) {
      this.#lastReport = ntpMiddle(rtcp.sender.ntpHigh, rtcp.sender.ntpLow);
      this.#lastReportAt = now;
    }
    for (const block of rtcp.blocks) {
      if (block.ssrc !== rebuilder.ssrc) continue;
      this.lostOut = Math.max(0, block.cumulativeLost);
      this.jitterOut = block.jitter;
      this.roundTrip.reported(block.lastReport, block.delay, now);
    }
    for (const metrics of rtcp.voipMetrics) {
      if (metrics.ssrc !== rebuilder.ssrc) continue;
      this.concealment = metrics.concealment;
      this.mosReported = metrics.mosCq ?? metrics.mosLq ?? 0;
    }
  }

  /** `timestamp` on the outgoing scale was at this NTP time where the media comes from: lip sync survives. */
  setClock(timestamp: number, high: number, low: number, now: Millis): void {
    this.#clock = { timestamp, high, low, at: now };
  }

  /** Nothing is reported this time. */
  skip(now: Millis): void {
    this.nextAt = now + this.#interval();
  }

  /** The next compound packet; sets `nextAt`. */
  build(
    check: ReceiveCheck,
    rebuilder: Rebuilder,
    now: Millis,
    wall: WallMillis,
    extra: ReportExtra = {},
  ): Uint8Array {
    this.skip(now);
    const sender = this.#sender(rebuilder, now, wall);
    const report: RtcpReport = {
      ssrc: rebuilder.ssrc,
      cname: this.#cname,
      blocks: this.#blocks(check, now),
      ...(sender ? { sender } : {}),
      ...(extra.bye === true ? { bye: true } : {}),
      ...(extra.pictureLoss === true && check.ssrc >= 0 ? { pictureLossOf: check.ssrc } : {}),
      ...(extra.voipMetricsOf !== undefined && check.ssrc >= 0
        ? { voipMetrics: voipMetrics(check, extra.voipMetricsOf, this.roundTrip.ms) }
        : {}),
    };
    return buildRtcp(report);
  }

  /** 6.4: a sender report where something was sent since the last one. */
  #sender(rebuilder: Rebuilder, now: Millis, wall: WallMillis): SenderInfo | undefined {
    if (rebuilder.packets === this.#packetsReported) return undefined;
    this.#packetsReported = rebuilder.packets;
    const { ntp, timestamp } = this.#instant(rebuilder, now, wall);
    this.roundTrip.sent(ntpMiddle(ntp.high, ntp.low), now);
    return {
      ntpHigh: ntp.high,
      ntpLow: ntp.low,
      timestamp,
      packets: rebuilder.packets,
      octets: rebuilder.octets,
    };
  }

  #instant(rebuilder: Rebuilder, now: Millis, wall: WallMillis) {
    const clock = this.#clock;
    if (clock === undefined) return { ntp: ntpOf(wall), timestamp: rebuilder.timestampAt(now) };
    const passed = (now - clock.at) / 1000;
    const low = clock.low + (passed % 1) * 0x1_0000_0000;
    const carry = low >= 0x1_0000_0000 ? 1 : 0;
    return {
      ntp: { high: (clock.high + Math.floor(passed) + carry) >>> 0, low: low >>> 0 },
      timestamp: (clock.timestamp + Math.round(passed * rebuilder.clockRate)) >>> 0,
    };
  }

  #blocks(check: ReceiveCheck, now: Millis): ReportBlock[] {
    if (check.ssrc < 0) return [];
    const window = check.window;
    const delay = this.#lastReport === 0 ? 0 : Math.round(((now - this.#lastReportAt) / 1000) * 65536);
    return [
      {
        ssrc: check.ssrc,
        fractionLost: this.#loss.next(window.expected, window.received),
        cumulativeLost: window.lost,
        highestSequence: window.extendedHighest,
        jitter: check.reception.jitter,
        lastReport: this.#lastReport,
        delay: Math.min(0xffff_ffff, delay),
      },
    ];
  }

  /** 6.3.1: between half and one and a half times the interval. */
  #interval(): number {
    return INTERVAL_MS * (0.5 + this.#random.uint32() / 0x1_0000_0000);
  }
}

/** Where nothing can be measured yet, ms of one packet. */
const PACKET_MS = 20;

/** RFC 3611 4.7 of what the far end sends to us. Nothing is discarded here: what comes late is passed on late. */
function voipMetrics(check: ReceiveCheck, codec: CodecImpairment, roundTripMs: number): VoipMetrics {
  const { expected, lost } = check.window;
  const measured = (check.lastAcceptedAt - check.firstAcceptedAt) / Math.max(1, expected - 1);
  const packetMs = expected < 10 ? PACKET_MS : Math.max(5, Math.min(200, measured));
  const { burstDensity, gapDensity, burstPackets, gapPackets } = check.runs.burstGap();
  const heard = { ...heardStream(check, roundTripMs), codec };
  return {
    ssrc: check.ssrc,
    lossRate: expected === 0 ? 0 : lost / expected,
    discardRate: 0,
    burstDensity,
    gapDensity,
    burstMs: burstPackets * packetMs,
    gapMs: gapPackets * packetMs,
    roundTripMs: Math.max(0, roundTripMs),
    endSystemMs: 0,
    rFactor: rating(heard.lossPercent, delayOf(heard), codec, heard.burstRatio),
    mosLq: mosOfRating(rating(heard.lossPercent, 0, codec, heard.burstRatio)),
    mosCq: estimateMos(heard),
    concealment: 'unknown',
  };
}

/** What a check measured, for the E-model; the codec is missing. */
export function heardStream(check: ReceiveCheck, roundTripMs: number) {
  const { expected, lost } = check.window;
  return {
    lossPercent: expected === 0 ? 0 : (100 * lost) / expected,
    jitterMs: check.reception.jitterMs,
    roundTripMs,
    burstRatio: check.runs.burstRatio(expected),
  };
}

/** A listener's device without concealment hears loss of G.711 much more (G.113 table I.4). */
export function heardAs(codec: CodecImpairment, concealment: Concealment): CodecImpairment {
  return concealment === 'disabled' && codec.ie === 0 ? IMPAIRMENTS.G711_BARE : codec;
}
