/** ITU-T G.107: an estimate of the listener's opinion from loss and delay. */

export interface CodecImpairment {
  /** Equipment impairment without loss (G.113 table I.1). */
  readonly ie: number;
  /** Packet-loss robustness (G.113 table I.4). */
  readonly bpl: number;
}

/**
 * G.113 appendix I (2007) where it has the codec. G.711 with packet-loss concealment, as listeners' devices have it; one that says it has
 * none (RTCP XR) counts as G711_BARE. What the appendix does not have is marked `taken as`.
 *
 * All ratings are on the narrow-band scale of G.107 (0..100), so that figures of different calls compare. A wide-band codec therefore
 * shows 4.4 at best, as G.711 does: its gain in sound, which G.107.1 counts on a scale of its own (0..129), is not in the figure. What loss
 * and delay do to it is.
 */
export const IMPAIRMENTS = {
  G711: { ie: 0, bpl: 25.1 },
  G711_BARE: { ie: 0, bpl: 4.3 },
  G729: { ie: 11, bpl: 19 }, // G.729A with VAD
  G723: { ie: 15, bpl: 16.1 }, // 6.3 kbit/s with VAD
  GSM: { ie: 20, bpl: 10 }, // full rate; robustness taken as the enhanced full rate's
  AMR: { ie: 5, bpl: 10 }, // 12.2 kbit/s: the same codec as GSM enhanced full rate
  ILBC: { ie: 11, bpl: 32 },
  G726: { ie: 7, bpl: 4.3 }, // 32 kbit/s; robustness taken as that of G.711 without concealment
  SPEEX: { ie: 11, bpl: 19 }, // taken as G.729A
  WIDE: { ie: 0, bpl: 25.1 }, // G.722, Opus, AMR-WB: taken as G.711 with concealment, which their decoders have
} as const satisfies Readonly<Record<string, CodecImpairment>>;

/**
 * Transmission rating R, 0..100 (G.107 7). `lossPercent` 0..100; `delayMs` one way, mouth to ear. `burstRatio` (7.4): 1 random loss, greater
 * where losses come together. Default values of table 2 otherwise, so R0 - Is + A = 93.2.
 */
export function rating(lossPercent: number, delayMs: number, codec: CodecImpairment, burstRatio = 1): number {
  const loss = Math.min(100, Math.max(0, lossPercent));
  const burst = Math.min(8, Math.max(1, burstRatio));
  const ieEffective = codec.ie + (95 - codec.ie) * (loss / (loss / burst + codec.bpl));
  return Math.max(0, Math.min(100, 93.2 - delayImpairment(delayMs) - Math.min(95, ieEffective)));
}

/** Idd of G.107 7.3 (equation 7-27): nothing up to 100 ms. */
function delayImpairment(delayMs: number): number {
  if (delayMs <= 100) return 0;
  const x = Math.log2(delayMs / 100);
  return 25 * ((1 + x ** 6) ** (1 / 6) - 3 * (1 + (x / 3) ** 6) ** (1 / 6) + 2);
}

/** Mean opinion score 1..4.5 of a rating (G.107 annex B). */
export function mosOfRating(r: number): number {
  if (r <= 0) return 1;
  if (r >= 100) return 4.5;
  const mos = 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6;
  return Math.min(4.5, Math.max(1, mos));
}

/** Packet and look-ahead of the sender: what a far end adds in any case. */
const SENDER_MS = 20;

export interface HeardStream {
  /** 0..100 */
  readonly lossPercent: number;
  /** RFC 3550; a receiver's buffer adds about twice of it. */
  readonly jitterMs: number;
  /** Of the way to the listener, both ways; -1 unknown. */
  readonly roundTripMs: number;
  /** Known delay on top, one way. */
  readonly delayMs?: number;
  readonly burstRatio?: number;
  readonly codec: CodecImpairment;
}

/** One way, mouth to ear, as far as known. */
export function delayOf(heard: HeardStream): number {
  return (
    Math.max(0, heard.roundTripMs) / 2 + 2 * Math.max(0, heard.jitterMs) + SENDER_MS + (heard.delayMs ?? 0)
  );
}

/** Opinion of a stream, conversational: delay counts (MOS-CQ). */
export function estimateMos(heard: HeardStream): number {
  return mosOfRating(rating(heard.lossPercent, delayOf(heard), heard.codec, heard.burstRatio));
}
