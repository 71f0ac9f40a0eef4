/** ITU-T G.107: an estimate of the listener's opinion from loss and delay. */

export interface CodecImpairment {
  /** Equipment impairment without loss (G.113 table I.1). */
  readonly ie: number;
  /** Packet-loss robustness (G.113 table I.4). */
  readonly bpl: number;
}

/** G.113 appendix I; G.711 with packet-loss concealment. */
export const IMPAIRMENTS: Readonly<Record<'G711' | 'G729' | 'G723' | 'GSM' | 'ILBC', CodecImpairment>> = {
  G711: { ie: 0, bpl: 25.1 },
  G729: { ie: 11, bpl: 19 },
  G723: { ie: 15, bpl: 16.1 },
  GSM: { ie: 20, bpl: 10 },
  ILBC: { ie: 11, bpl: 32 },
};

/**
 * Transmission rating R, 0..100 (G.107 7). `lossPercent` 0..100; `delayMs` one way, mouth to ear.
 * Default values of table 2 otherwise, so R0 - Is + A = 93.2.
 */
export function rating(lossPercent: number, delayMs: number, codec: CodecImpairment): number {
  const loss = Math.min(100, Math.max(0, lossPercent));
  // G.107 7.4, random loss (BurstR = 1).
  const ieEffective = codec.ie + (95 - codec.ie) * (loss / (loss + codec.bpl));
  return Math.max(0, Math.min(100, 93.2 - delayImpairment(delayMs) - ieEffective));
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

/** Opinion of a stream: `lossPercent` 0..100, jitter and round trip in ms (-1: unknown). */
export function estimateMos(
  lossPercent: number,
  jitterMs: number,
  roundTripMs: number,
  codec: CodecImpairment = IMPAIRMENTS.G711,
): number {
  // A receiver's buffer adds about twice the jitter; 20 ms of packet and look-ahead.
  const delay = Math.max(0, roundTripMs) / 2 + 2 * jitterMs + 20;
  return mosOfRating(rating(lossPercent, delay, codec));
}
