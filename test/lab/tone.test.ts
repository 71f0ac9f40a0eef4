import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { listen } from './tone.ts';
import { readWav, type Sound, writeTone } from './wav.ts';

function sine(frequency: number, seconds: number, amplitude = 0.3): Sound {
  const samples = new Float64Array(8000 * seconds);
  for (let i = 0; i < samples.length; i += 1)
    samples[i] = amplitude * Math.sin((2 * Math.PI * frequency * i) / 8000);
  return { rate: 8000, samples };
}

test('a written tone is read back and heard, another frequency is not', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vsgw-tone-'));
  try {
    const file = join(folder, 'a.wav');
    writeTone(file, 500, 2);
    const sound = readWav(file);
    assert.equal(listen(sound, 500).toneSeconds, 2);
    const wrong = listen(sound, 700);
    assert.equal(wrong.toneSeconds, 0);
    assert.equal(wrong.otherSeconds, 2);
    assert.ok(wrong.share < 0.1);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('silence is neither the tone nor another sound', () => {
  const report = listen(sine(500, 1, 0), 500);
  assert.equal(report.toneSeconds, 0);
  assert.equal(report.otherSeconds, 0);
});

test('a gap is found with its place, a click of one frame is not a gap', () => {
  const sound = sine(500, 3);
  sound.samples.fill(0, 8000, 12_000);
  sound.samples.fill(0, 16_000, 16_160);
  assert.deepEqual(listen(sound, 500).gaps, [[1, 1.5]]);
});

test('a tone drowned in noise is another sound', () => {
  const sound = sine(500, 1);
  let seed = 1;
  for (let i = 0; i < sound.samples.length; i += 1) {
    seed = (seed * 48_271) % 2_147_483_647;
    sound.samples[i]! += 0.6 * (seed / 1_073_741_823 - 1);
  }
  assert.ok(listen(sound, 500).toneSeconds < 0.2);
});
