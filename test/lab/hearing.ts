/** What a recording of one end must be: the tone that the other end said. */
import assert from 'node:assert/strict';
import { listen, type ToneReport } from './tone.ts';
import { readWav } from './wav.ts';

export interface Hearing {
  readonly file: string; // WAV
  readonly frequency: number; // Hz
  /** Seconds of the tone, at least. */
  readonly seconds: number;
  /** Seconds without it between its first and its last frame, at most; any by default. */
  readonly missing?: number;
}

/** The sound that was sent and nothing else, in the length asked for. */
export function assertHeard(who: string, { file, frequency, seconds, missing }: Hearing): void {
  const report = listen(readWav(file), frequency);
  const what = `${who}: ${JSON.stringify(report)}`;
  assert.ok(report.toneSeconds >= seconds, what);
  assert.ok(report.share > 0.9, what);
  assert.ok(report.otherSeconds < 0.2, what);
  assert.ok(missingSeconds(report) < (missing ?? Number.POSITIVE_INFINITY), what);
}

export function missingSeconds(report: ToneReport): number {
  return report.gaps.reduce((sum, [from, to]) => sum + to - from, 0);
}
