import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TraceView } from '../gateway/contract.ts';
import { ladder } from './ladder.ts';

const AT = Date.UTC(2026, 10, 22, 8, 0, 0);

const TRACE: TraceView = {
  call: '0011',
  gateway: 'gw2',
  role: 'termination',
  peer: 'users',
  site: 'gw1',
  entries: [
    { at: AT, column: 'leg', direction: 'in', line: 'INVITE 1 INVITE' },
    { at: AT + 1, column: 'leg', direction: 'out', line: '100 Trying' },
    { at: AT + 4, column: 'tunnel', direction: 'out', line: 'setup' },
    {
      at: AT + 20,
      column: 'tunnel',
      direction: 'in',
      line: 'alerting with a text far too long for its column',
    },
    { at: AT + 21, column: 'leg', direction: 'out', line: '180 Ringing\u001b[2J\n' },
  ],
};

test('the termination gateway draws the Internet on the left and the tunnel on the right', () => {
  assert.equal(
    ladder(TRACE, 72),
    `Call 0011 at gw2 (termination gateway), times UTC

              Internet: users            gw2                tunnel: gw1
08:00:00.000  |-- INVITE 1 INVITE ------->|                           |
08:00:00.001  |<-- 100 Trying ------------|                           |
08:00:00.004  |                           |-- setup ----------------->|
08:00:00.020  |                           |<-- alerting with a text~ -|
08:00:00.021  |<-- 180 Ringing?[2J? ------|                           |
`,
  );
});

test('the relay gateway draws the tunnel on the left and the intranet on the right', () => {
  const text = ladder({ ...TRACE, gateway: 'gw1', role: 'relay', peer: 'pbx', site: 'gw2' }, 72);
  const lines = text.split('\n');
  assert.match(lines[2]!, /^ {14}tunnel: gw2 +gw1 +intranet: pbx$/);
  // The INVITE comes in from the right, the set-up goes out to the left.
  assert.match(lines[3]!, /\| +\|<-- INVITE 1 INVITE -+\|$/);
  assert.match(lines[5]!, /\|<-- setup -+\| +\|$/);
});

test('every line of a ladder is as wide as the others, whatever the terminal', () => {
  for (const columns of [20, 60, 80, 100, 200]) {
    const rows = ladder(TRACE, columns).split('\n').slice(3, -1);
    assert.equal(new Set(rows.map((row) => row.length)).size, 1, `${columns} columns`);
  }
});
