/**
 * RTCP, RFC 3550 6: built by this gateway for each leg, read strictly, never passed on.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *   |V=2|P|    RC   |       PT      |             length            |
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *   |                         SSRC of sender                        |
 *   +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
 */
import { Reader } from '../bytes/reader.ts';
import { latin1Bytes } from '../bytes/text.ts';
import { Writer } from '../bytes/writer.ts';
import type { WallMillis } from '../machine/machine.ts';
import { MAX_DATAGRAM, RTP_VERSION } from './packet.ts';
import { readXr, type VoipMetrics, writeVoipMetrics, XR, XR_WORDS } from './rtcp-xr.ts';

const SR = 200;
const RR = 201;
const SDES = 202;
const BYE = 203;
const RTPFB = 205; // RFC 4585 6.1
const PSFB = 206;
const PSFB_PLI = 1; // RFC 4585 6.3.1
const PSFB_FIR = 4; // RFC 5104 4.3.1
const SDES_CNAME = 1;
const MAX_PACKETS = 32;
/** One per source that is reported on; we send one. */
const MAX_VOIP_METRICS = 4;

export interface ReportBlock {
  readonly ssrc: number;
  /** 1/256 */
  readonly fractionLost: number;
  /** Signed 24 bits. */
  readonly cumulativeLost: number;
  readonly highestSequence: number;
  /** Timestamp units. */
  readonly jitter: number;
  /** Middle 32 bits of the NTP timestamp of the last sender report, 0: none. */
  readonly lastReport: number;
  /** 1/65536 s */
  readonly delay: number;
}

/** When the sender's timestamp was, on its own wall clock (RFC 3550 6.4.1). */
export interface SenderInfo {
  readonly ntpHigh: number;
  readonly ntpLow: number;
  readonly timestamp: number;
  readonly packets: number;
  readonly octets: number;
}

export interface RtcpReport {
  readonly ssrc: number;
  readonly sender?: SenderInfo;
  readonly blocks: readonly ReportBlock[];
  readonly cname: string;
  readonly bye?: boolean;
  /** Asks the far end for a whole picture: SSRC of its video (RFC 4585 6.3.1). */
  readonly pictureLossOf?: number;
  /** RFC 3611 4.7, where the far end asked for it. */
  readonly voipMetrics?: VoipMetrics;
}

export interface ReceivedRtcp {
  readonly sender?: SenderInfo & { readonly ssrc: number };
  readonly blocks: readonly ReportBlock[];
  readonly bye: boolean;
  /** PLI or FIR. */
  readonly pictureLoss: boolean;
  readonly voipMetrics: readonly VoipMetrics[];
}

const NTP_OFFSET = 2_208_988_800; // seconds from 1900 to 1970

export function ntpOf(wall: WallMillis): { readonly high: number; readonly low: number } {
  const seconds = Math.floor(wall / 1000);
  return {
    high: (seconds + NTP_OFFSET) >>> 0,
    low: Math.floor(((wall - seconds * 1000) / 1000) * 0x1_0000_0000) >>> 0,
  };
}

/** RFC 3550 6.4.1: the middle 32 bits. */
export function ntpMiddle(high: number, low: number): number {
  return ((high << 16) | (low >>> 16)) >>> 0;
}

/** A compound packet (6.1): report first, then SDES with a CNAME, then PLI or BYE. At most 31 blocks. */
export function buildRtcp(report: RtcpReport): Uint8Array {
  const w = new Writer(128);
  const blocks = report.blocks.slice(0, 31);
  const sender = report.sender;
  header(w, blocks.length, sender ? SR : RR, (sender ? 6 : 1) + 6 * blocks.length);
  w.u32(report.ssrc);
  if (sender) for (const v of [sender.ntpHigh, sender.ntpLow, sender.timestamp]) w.u32(v);
  if (sender) for (const v of [sender.packets, sender.octets]) w.u32(v >>> 0);
  for (const block of blocks) writeBlock(w, block);
  writeCname(w, report.ssrc, report.cname);
  if (report.voipMetrics !== undefined) {
    header(w, 0, XR, XR_WORDS);
    writeVoipMetrics(w, report.ssrc, report.voipMetrics);
  }
  if (report.pictureLossOf !== undefined) {
    header(w, PSFB_PLI, PSFB, 2);
    w.u32(report.ssrc);
    w.u32(report.pictureLossOf);
  }
  if (report.bye === true) {
    header(w, 1, BYE, 1);
    w.u32(report.ssrc);
  }
  return w.bytes();
}

function header(w: Writer, count: number, type: number, words: number): void {
  w.u8((RTP_VERSION << 6) | count);
  w.u8(type);
  w.u16(words);
}

function writeBlock(w: Writer, block: ReportBlock): void {
  w.u32(block.ssrc);
  const lost = Math.max(-0x80_0000, Math.min(0x7f_ffff, block.cumulativeLost));
  w.u32(((block.fractionLost << 24) | (lost & 0xff_ffff)) >>> 0);
  w.u32(block.highestSequence);
  w.u32(block.jitter);
  w.u32(block.lastReport);
  w.u32(block.delay);
}

function writeCname(w: Writer, ssrc: number, cname: string): void {
  const text = latin1Bytes(cname.slice(0, 255));
  // 6.5: item, then at least one null octet, up to the next word.
  const words = 1 + Math.floor((2 + text.length) / 4) + 1;
  header(w, 1, SDES, words);
  w.u32(ssrc);
  w.u8(SDES_CNAME);
  w.u8(text.length);
  w.raw(text);
  for (let i = 4 + 2 + text.length; i < 4 * words; i++) w.u8(0);
}

/** Reads a compound packet. Undefined where anything is out of shape (6.1 and A.2): it is dropped as a whole. */
export function parseRtcp(bytes: Uint8Array, start: number, length: number): ReceivedRtcp | undefined {
  if (length < 8 || length % 4 !== 0 || length > MAX_DATAGRAM) return undefined;
  const found: Found = { blocks: [], bye: false, pictureLoss: false, voipMetrics: [] };
  const r = new Reader(bytes, start, start + length);
  for (let n = 0; r.remaining > 0; n++) {
    const first = r.u8();
    const type = r.u8();
    const octets = 4 * r.u16();
    const padded = (first & 0x20) !== 0;
    if (r.failed || first >> 6 !== RTP_VERSION || octets > r.remaining || n >= MAX_PACKETS) return undefined;
    // 6.1: a report comes first. RFC 5506 lets feedback come alone.
    if (n === 0 && type !== SR && type !== RR && type !== RTPFB && type !== PSFB) return undefined;
    // A.2: only the last packet may be padded.
    if (padded && (n === 0 || octets !== r.remaining)) return undefined;
    const body = new Reader(bytes, r.offset, r.offset + octets);
    if (!readPacket(body, type, first & 0x1f, found)) return undefined;
    r.raw(octets);
  }
  return r.failed ? undefined : found;
}

interface Found {
  sender?: SenderInfo & { readonly ssrc: number };
  blocks: ReportBlock[];
  bye: boolean;
  pictureLoss: boolean;
  voipMetrics: VoipMetrics[];
}

function readPacket(r: Reader, type: number, count: number, found: Found): boolean {
  if (type === SR || type === RR) {
    const ssrc = r.u32();
    if (type === SR) {
      const [ntpHigh, ntpLow, timestamp, packets, octets] = [r.u32(), r.u32(), r.u32(), r.u32(), r.u32()];
      found.sender = { ssrc, ntpHigh, ntpLow, timestamp, packets, octets };
    }
    for (let i = 0; i < count; i++) {
      const block = readBlock(r);
      if (!r.failed && found.blocks.length < 31) found.blocks.push(block);
    }
  } else if (type === BYE) {
    r.raw(4 * count);
    found.bye = true;
  } else if (type === PSFB) {
    r.raw(8);
    if (count === PSFB_PLI || count === PSFB_FIR) found.pictureLoss = true;
  } else if (type === XR) {
    if (!readXr(r, found.voipMetrics)) return false;
    found.voipMetrics.splice(MAX_VOIP_METRICS);
  }
  return !r.failed;
}

function readBlock(r: Reader): ReportBlock {
  const ssrc = r.u32();
  const loss = r.u32();
  return {
    ssrc,
    fractionLost: loss >>> 24,
    cumulativeLost: (loss << 8) >> 8,
    highestSequence: r.u32(),
    jitter: r.u32(),
    lastReport: r.u32(),
    delay: r.u32(),
  };
}
