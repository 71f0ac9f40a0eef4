/**
 * RTCP extended reports, RFC 3611: of the blocks only the VoIP metrics (4.7) are made and read; others are stepped over.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *   |     BT=7      |   reserved    |       block length = 8        |
 *   |                        SSRC of source                         |
 *   |   loss rate   | discard rate  | burst density |  gap density  |
 *   |       burst duration          |         gap duration          |
 *   |     round trip delay          |       end system delay        |
 *   | signal level  |  noise level  |     RERL      |     Gmin      |
 *   |   R factor    | ext. R factor |    MOS-LQ     |    MOS-CQ     |
 *   |   RX config   |   reserved    |          JB nominal           |
 *   |          JB maximum           |          JB abs max           |
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */
import type { Reader } from '../bytes/reader.ts';
import type { Writer } from '../bytes/writer.ts';
import { GMIN } from './loss-runs.ts';

export const XR = 207;
const VOIP_METRICS = 7;
const VOIP_WORDS = 8;
/** RFC 3611 4.7: no figure. */
const UNAVAILABLE = 127;
/** Words of an XR packet with one block, length field as RFC 3550 6.4.1 counts. */
export const XR_WORDS = 1 + 1 + VOIP_WORDS;
/** Blocks of one packet that are looked at. */
const MAX_BLOCKS = 16;

/** RFC 3611 4.7.6: what the receiver does about lost packets. */
export type Concealment = 'unknown' | 'disabled' | 'enhanced' | 'standard';
const CONCEALMENT: readonly Concealment[] = ['unknown', 'disabled', 'enhanced', 'standard'];

/** Shares 0..1, durations in ms, scores and ratings undefined where there is no figure. */
export interface VoipMetrics {
  readonly ssrc: number;
  readonly lossRate: number;
  readonly discardRate: number;
  readonly burstDensity: number;
  readonly gapDensity: number;
  readonly burstMs: number;
  readonly gapMs: number;
  readonly roundTripMs: number;
  readonly endSystemMs: number;
  /** 0..100 */
  readonly rFactor?: number;
  /** 1..5, listening quality: without delay. */
  readonly mosLq?: number;
  /** 1..5, conversational quality: with delay. */
  readonly mosCq?: number;
  readonly concealment: Concealment;
}

/** The packet's body behind its header: `ssrc` is our own. A gateway plays nothing: no levels, no jitter buffer. */
export function writeVoipMetrics(w: Writer, ssrc: number, m: VoipMetrics): void {
  w.u32(ssrc);
  w.u8(VOIP_METRICS);
  w.u8(0);
  w.u16(VOIP_WORDS);
  w.u32(m.ssrc);
  for (const share of [m.lossRate, m.discardRate, m.burstDensity, m.gapDensity])
    w.u8(scaled(share, 256, 255));
  for (const ms of [m.burstMs, m.gapMs, m.roundTripMs, m.endSystemMs]) w.u16(scaled(ms, 1, 0xffff));
  for (const level of [UNAVAILABLE, UNAVAILABLE, UNAVAILABLE, GMIN]) w.u8(level);
  w.u8(m.rFactor === undefined ? UNAVAILABLE : scaled(m.rFactor, 1, 100));
  w.u8(UNAVAILABLE);
  for (const mos of [m.mosLq, m.mosCq]) {
    w.u8(mos === undefined ? UNAVAILABLE : Math.max(10, scaled(mos, 10, 50)));
  }
  w.u8(CONCEALMENT.indexOf(m.concealment) << 6);
  w.u8(0);
  for (let i = 0; i < 3; i++) w.u16(0);
}

function scaled(value: number, by: number, most: number): number {
  return Math.max(0, Math.min(most, Math.round(value * by)));
}

/** Reads an XR packet's body into `found`. False: out of shape. */
export function readXr(r: Reader, found: VoipMetrics[]): boolean {
  r.u32(); // the reporter
  for (let n = 0; r.remaining > 0; n++) {
    const type = r.u8();
    r.u8();
    const words = r.u16();
    if (r.failed || 4 * words > r.remaining || n >= MAX_BLOCKS) return false;
    if (type !== VOIP_METRICS) {
      r.raw(4 * words);
      continue;
    }
    // RFC 3611 4.7.1: the length is fixed.
    if (words !== VOIP_WORDS) return false;
    const block = readVoipMetrics(r);
    if (block === undefined) return false;
    found.push(block);
  }
  return !r.failed;
}

function readVoipMetrics(r: Reader): VoipMetrics | undefined {
  const ssrc = r.u32();
  const [lossRate, discardRate, burstDensity, gapDensity] = [r.u8(), r.u8(), r.u8(), r.u8()];
  const [burstMs, gapMs, roundTripMs, endSystemMs] = [r.u16(), r.u16(), r.u16(), r.u16()];
  r.u32(); // levels, Gmin
  const rFactor = r.u8();
  r.u8();
  const [lq, cq] = [score(r.u8()), score(r.u8())];
  const config = r.u8();
  r.u8();
  r.raw(6);
  if (r.failed) return undefined;
  return {
    ssrc,
    lossRate: lossRate / 256,
    discardRate: discardRate / 256,
    burstDensity: burstDensity / 256,
    gapDensity: gapDensity / 256,
    burstMs,
    gapMs,
    roundTripMs,
    endSystemMs,
    ...(rFactor <= 100 ? { rFactor } : {}),
    ...(lq === undefined ? {} : { mosLq: lq }),
    ...(cq === undefined ? {} : { mosCq: cq }),
    concealment: CONCEALMENT[config >> 6]!,
  };
}

/** RFC 3611 4.7.5: 10..50; 127 is no figure, and so is any other number. */
function score(octet: number): number | undefined {
  return octet >= 10 && octet <= 50 ? octet / 10 : undefined;
}
