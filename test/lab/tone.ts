/** Is this the tone that was sent, and where is it missing? Goertzel's recurrence over frames of 20 ms. */
import type { Sound } from './wav.ts';

const FRAME_MS = 20;
/** Below this mean power (-60 dB of full scale) a frame is silence. */
const SILENCE = 1e-6;
/** A frame is the tone where this share of its energy is at the frequency. */
const PURE = 0.8;

export interface ToneReport {
  readonly seconds: number;
  /** Seconds that are the tone. */
  readonly toneSeconds: number;
  /** Seconds that are another sound. */
  readonly otherSeconds: number;
  /** Share of the energy of the whole recording that is at the frequency, over frames that are not silent. */
  readonly share: number;
  /** Stretches of at least 60 ms without the tone between its first and its last frame: [start, end] in seconds. */
  readonly gaps: readonly (readonly [number, number])[];
}

/** Share of a frame's energy that is at `frequency`, 0..1, and its mean power. */
export function goertzel(
  samples: Float64Array,
  from: number,
  length: number,
  frequency: number,
  rate: number,
): { share: number; power: number } {
  const coefficient = 2 * Math.cos((2 * Math.PI * frequency) / rate);
  let s1 = 0;
  let s2 = 0;
  let energy = 0;
  for (let i = from; i < from + length; i += 1) {
    const x = samples[i] ?? 0;
    const s0 = x + coefficient * s1 - s2;
    s2 = s1;
    s1 = s0;
    energy += x * x;
  }
  const at = s1 * s1 + s2 * s2 - coefficient * s1 * s2;
  return { share: energy === 0 ? 0 : Math.min(1, (2 * at) / (length * energy)), power: energy / length };
}

export function listen(sound: Sound, frequency: number): ToneReport {
  const length = Math.round((sound.rate * FRAME_MS) / 1000);
  const frames = Math.floor(sound.samples.length / length);
  const isTone: boolean[] = [];
  let other = 0;
  let weighted = 0;
  let total = 0;
  for (let n = 0; n < frames; n += 1) {
    const { share, power } = goertzel(sound.samples, n * length, length, frequency, sound.rate);
    const audible = power > SILENCE;
    isTone.push(audible && share >= PURE);
    if (!audible) continue;
    if (share < PURE) other += 1;
    weighted += share * power;
    total += power;
  }
  return {
    seconds: (frames * FRAME_MS) / 1000,
    toneSeconds: (isTone.filter(Boolean).length * FRAME_MS) / 1000,
    otherSeconds: (other * FRAME_MS) / 1000,
    share: total === 0 ? 0 : weighted / total,
    gaps: gaps(isTone),
  };
}

function gaps(isTone: readonly boolean[]): (readonly [number, number])[] {
  const found: (readonly [number, number])[] = [];
  const last = isTone.lastIndexOf(true);
  let start = -1;
  for (let n = isTone.indexOf(true); n >= 0 && n <= last; n += 1) {
    if (!isTone[n]) {
      if (start < 0) start = n;
    } else if (start >= 0) {
      if (n - start >= 3) found.push([(start * FRAME_MS) / 1000, (n * FRAME_MS) / 1000]);
      start = -1;
    }
  }
  return found;
}
