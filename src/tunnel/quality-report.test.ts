import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { QUALITY_LENGTH, readQuality, TunnelTally, writeQuality } from './quality-report.ts';

test('a quality report is read as it was written, wherever it lies', () => {
  fc.assert(
    fc.property(
      fc.nat(0xffff_ffff),
      fc.nat(0xffff_ffff),
      fc.integer({ min: 0, max: 65_535 }),
      fc.nat(20),
      (framesSent, lost, tenths, at) => {
        const bytes = new Uint8Array(at + QUALITY_LENGTH);
        writeQuality(bytes.subarray(at), { framesSent, lost, jitterMs: tenths / 10 });
        assert.deepEqual(readQuality(bytes, at), { framesSent, lost, jitterMs: tenths / 10 });
      },
    ),
  );
});

test('what was sent and did not come was lost in the tunnel; frames that come after the report are no longer', () => {
  const tally = new TunnelTally(false);
  assert.equal(tally.lost, -1, 'unknown until the far gateway says something');
  tally.arrived = 95;
  tally.report({ framesSent: 100, lost: 7, jitterMs: 3 });
  assert.deepEqual([tally.lost, tally.farLost, tally.farJitterMs], [5, 7, 3]);
  tally.arrived = 200;
  tally.report({ framesSent: 200, lost: 7, jitterMs: 3 });
  assert.equal(tally.lost, 0, 'they were only late');
});

test('where the far worker begins anew what was lost before stays', () => {
  const tally = new TunnelTally(false);
  tally.arrived = 90;
  tally.report({ framesSent: 100, lost: 0, jitterMs: 0 });
  tally.arrived = 140;
  tally.report({ framesSent: 50, lost: 0, jitterMs: 0 });
  assert.equal(tally.lost, 10);
  tally.arrived = 188;
  tally.report({ framesSent: 100, lost: 0, jitterMs: 0 });
  assert.equal(tally.lost, 12);
});

test('a worker that joins a running stream does not count what went before it', () => {
  const tally = new TunnelTally(true);
  tally.arrived = 3;
  tally.report({ framesSent: 10_000, lost: 0, jitterMs: 0 });
  assert.equal(tally.lost, 0);
  tally.arrived = 50;
  tally.report({ framesSent: 10_050, lost: 0, jitterMs: 0 });
  assert.equal(tally.lost, 3);
});
