import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compare, compareRepeated, render, tune } from './melody.ts';

const sent = render(tune(1));

test('the same sound behind a delay is found whole', () => {
  const heard = new Int16Array(sent.length + 4000);
  heard.set(sent, 1234);
  const result = compare(sent, heard);
  assert.equal(result.offset, 1234);
  assert.equal(result.match, 1);
});

test('another tune is not taken for the one that was sent', () => {
  const result = compare(sent, render(tune(2)));
  assert.ok(result.match < 0.5, `match ${result.match}`);
});

test('silence, and packets that are only there, do not count as sound', () => {
  assert.equal(compare(sent, new Int16Array(sent.length)).match, 0);
  assert.ok(compare(sent, new Int16Array(sent.length).fill(1000)).match < 0.1);
});

test('a gap costs only its own blocks', () => {
  const heard = sent.slice();
  heard.fill(0, 8000, 8000 + 1600);
  const { match } = compare(sent, heard);
  assert.ok(match > 0.9 && match < 1, `match ${match}`);
});

test('a repeated sound is found wherever hearing began, and only that sound', () => {
  const heard = Int16Array.from({ length: 2 * sent.length }, (_, i) => sent[(i + 5555) % sent.length]!);
  const result = compareRepeated(sent, heard);
  assert.equal(result.match, 1);
  assert.ok(compareRepeated(render(tune(2)), heard).match < 0.5);
  assert.ok(
    compareRepeated(sent, heard.subarray(0, sent.length >> 1)).match < 0.6,
    'half a round is not the whole sound',
  );
  assert.equal(compareRepeated(sent, new Int16Array(heard.length)).match, 0);
});
