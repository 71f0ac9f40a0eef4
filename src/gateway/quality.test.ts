import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noCounters } from '../media/stream-counters.ts';
import { streamQuality } from './quality.ts';

const counters = { ...noCounters('s', 1), packetsIn: 1000, framesFromTunnel: 1000, packetsOut: 1000 };

test('the parts of the way stand in its order, named by which gateway it is', () => {
  const parts = (role: 'termination' | 'relay'): string[] =>
    streamQuality(counters, role, 10).sent.parts.map((p) => p.part);
  assert.deepEqual(parts('termination'), ['intranet', 'tunnel', 'internet']);
  assert.deepEqual(parts('relay'), ['internet', 'tunnel', 'intranet']);
  assert.equal(streamQuality(counters, 'termination', 10).received.part, 'internet');
  assert.equal(streamQuality(counters, 'relay', 10).received.part, 'intranet');
});

test('what is not known stays unknown, and nothing is blamed for it', () => {
  const { sent } = streamQuality(counters, 'relay', -1);
  assert.deepEqual(sent.parts[0], {
    part: 'internet',
    lost: -1,
    late: -1,
    duplicates: -1,
    jitterMs: -1,
    delayMs: -1,
  });
  assert.equal(sent.worst, 'none');
});

test('loss, late frames and delay are put down to the part where they were', () => {
  const worst = (more: object): string => streamQuality({ ...counters, ...more }, 'relay', 10).sent.worst;
  assert.equal(worst({ farLost: 30, tunnelLost: 1, lostOut: 5 }), 'internet');
  assert.equal(worst({ farLost: 5, tunnelLost: 30, lostOut: 5 }), 'tunnel');
  assert.equal(worst({ farLost: 5, tunnelLost: 0, lostOut: 40 }), 'intranet');
  const stale = counters.refused.map((_, i) => (i === 17 ? 40 : 0));
  assert.equal(worst({ refused: stale, farLost: 5 }), 'tunnel', 'dropped because they came too late');
  assert.equal(worst({ farLost: 1, roundTripMs: 900 }), 'intranet', 'delay');
  assert.equal(worst({ farJitterMs: 80 }), 'internet', 'jitter');
  assert.equal(worst({ farLost: 2, tunnelLost: 1, lostOut: 1 }), 'none', 'two in a thousand nobody hears');
});

test('the delay of the tunnel is half its round trip and what frames are late on average', () => {
  const { sent } = streamQuality({ ...counters, tunnelDelayMs: 3 }, 'termination', 20);
  assert.equal(sent.parts[1]?.delayMs, 13);
});
