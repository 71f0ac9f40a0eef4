import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkMessage } from '../meta/check.ts';
import type { CallMessage, Side } from '../meta/message.ts';
import { answer, Bench, BOB, CALL, LEG_SETUP, META_SETUP } from './fixtures.test.ts';
import type { LegEvent } from './leg.ts';
import { type CallState, type InputName, TRANSITIONS } from './transitions.ts';

// Every (state, input) pair by generation (python-hyper/h2's habit).
const LEG_EVENTS: readonly LegEvent[] = [
  LEG_SETUP,
  { kind: 'proceeding' },
  { kind: 'alerting', branch: 0 },
  { kind: 'progress', branch: 0 },
  { kind: 'connect', branch: 0 },
  { kind: 'media', media: answer('originator', 99) },
  { kind: 'modify' },
  { kind: 'modify-accept' },
  { kind: 'modify-refuse', cause: 88, glare: false },
  { kind: 'user-input', digit: '1', durationMs: 100 },
  { kind: 'transfer-request', target: BOB },
  { kind: 'release', cause: 16 },
];
const MESSAGES: readonly CallMessage[] = [
  META_SETUP,
  ...LEG_EVENTS.slice(1, -1).map((e) => ({ ...e, call: CALL }) as CallMessage),
  { kind: 'notify', call: CALL, event: 'hold' },
  { kind: 'transfer-result', call: CALL, outcome: 'success' },
  { kind: 'release', call: CALL, cause: 16, origin: 'tunnel' },
  { kind: 'status-enquiry', call: CALL },
  { kind: 'status', call: CALL, state: 'connected', mediaGeneration: 0 },
];

function inState(side: Side, state: CallState): Bench {
  const bench = new Bench(side);
  const way: Record<Side, readonly (() => void)[]> = {
    originator: [
      () => bench.leg({ ...LEG_SETUP }),
      () => bench.tunnel({ kind: 'proceeding' }),
      () => bench.tunnel({ kind: 'alerting', branch: 1 }),
      () => bench.tunnel({ kind: 'connect', branch: 1, media: answer('originator', 1, 1) }),
    ],
    terminator: [
      () => bench.tunnel(META_SETUP),
      () => bench.leg({ kind: 'proceeding' }),
      () => bench.leg({ kind: 'alerting', branch: 1 }),
      () => bench.leg({ kind: 'connect', branch: 1, media: answer('originator', 1, 1) }),
    ],
  };
  const steps = ['null', 'initiated', 'proceeding', 'alerting', 'connected'].indexOf(state);
  for (const step of way[side].slice(0, steps < 0 ? 4 : steps)) step();
  if (state === 'modifying-out') bench.leg({ kind: 'modify' });
  if (state === 'modifying-in') bench.tunnel({ kind: 'modify' });
  if (state === 'ended') bench.leg({ kind: 'release', cause: 16 });
  assert.equal(bench.half.state, state);
  return bench;
}

const STATES = Object.keys(TRANSITIONS.originator) as CallState[];
for (const side of ['originator', 'terminator'] as const) {
  for (const state of STATES) {
    test(`table: every input of a ${side} in ${state}: as listed, else refused without a change of state`, () => {
      const inputs = [
        ...LEG_EVENTS.map((message) => ({ from: 'leg' as const, message })),
        ...MESSAGES.map((message) => ({ from: 'tunnel' as const, message })),
      ];
      for (const { from, message } of inputs) {
        const bench = inState(side, state);
        const name = `${from}:${message.kind}` as InputName;
        const out = from === 'leg' ? bench.leg(message as LegEvent) : bench.tunnel(message as CallMessage);
        const listed = TRANSITIONS[side][state][name];
        if (state === 'ended') assert.deepEqual(out, [], name);
        else if (listed === undefined) {
          assert.deepEqual(out, [`refused:${from}:${message.kind}:state`]);
          assert.equal(bench.half.state, state);
        } else {
          assert.ok(!out.some((o) => o.endsWith(':state')), `${name} was refused: ${out.join()}`);
          const next = bench.half.state;
          assert.ok(
            [listed.next ?? state, state, 'connected', 'modifying-in'].includes(next),
            `${name}: ${next}`,
          );
        }
        for (const m of bench.messages) assert.equal(checkMessage(m, 0), undefined, `${name} → ${m.kind}`);
        if (bench.half.state === 'ended') assert.equal(bench.half.deadline(), undefined, name);
        else if (state !== 'null') assert.notEqual(bench.half.deadline(), undefined, `${name}: no deadline`);
      }
    });
  }
}
