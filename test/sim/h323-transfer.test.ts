import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  assertSound,
  type Call,
  connected,
  finish,
  type Pair,
  pair,
  type SideOptions,
} from './h323-world.ts';

/** Everybody answers at once, and the sound goes through both gateways. */
function transferred(it: Pair, outside: Call, inside: Call): Call {
  it.world.until(() => inside.state === 'ended', 15_000, 'the transfer');
  it.world.run(4000);
  const target = it.inside.calls().find((c) => c.number === '602');
  assert.ok(target !== undefined, 'the new party was called');
  assert.deepEqual([target.state, outside.state], ['connected', 'connected']);
  assertSound(it, outside, target);
  return target;
}

function over(it: Pair, outside: Call, target: Call): void {
  outside.end();
  it.world.until(() => target.state === 'ended', 5000, 'the end reaches the new party');
  finish(it);
  assert.equal(it.world.relay.cdrs.length, 2);
}

const MODES = [
  ['FastStart, tunnelled', { fastStart: true, tunnelling: true }],
  ['slow start, H.245 apart', { fastStart: false, tunnelling: false }],
] as const;

for (const [name, mode] of MODES) {
  const h323: SideOptions = { protocol: 'h323', h323: mode, gateway: mode };

  test(`REFER of a SIP PBX: its H.323 party outside is connected with the new number (${name})`, () => {
    for (const from of ['outside', 'inside'] as const) {
      const it = pair(h323, { protocol: 'sip' });
      const [call, taken] =
        from === 'outside' ? connected(it, it.outside, it.inside) : connected(it, it.inside, it.outside);
      const [outside, inside] = from === 'outside' ? [call, taken] : [taken, call];
      it.inside.sip!.refer(inside.sip!, '602');
      over(it, outside, transferred(it, outside, inside));
    }
  });

  test(`Facility callForwarded in an answered call: an H.323 PBX has the other party transferred (H.323 8.4.5, ${name})`, () => {
    for (const outer of [{ protocol: 'sip' }, h323] as const satisfies readonly SideOptions[]) {
      const it = pair(outer, h323);
      const [outside, inside] = connected(it, it.outside, it.inside);
      it.inside.h323!.command({ kind: 'forward', call: inside.h323!.ref, number: '602' });
      over(it, outside, transferred(it, outside, inside));
    }
  });
}

test('a transfer that fails leaves the H.323 party in its call, with sound', () => {
  const it = pair({ protocol: 'h323' }, { protocol: 'h323', h323: { answer: busyAt602 } });
  const [outside, inside] = connected(it, it.outside, it.inside);
  it.inside.h323!.command({ kind: 'forward', call: inside.h323!.ref, number: '602' });
  it.world.run(6000);
  assert.deepEqual([outside.state, inside.state], ['connected', 'connected']);
  assertSound(it, outside, inside);
  finish(it);
});

const busyAt602: NonNullable<NonNullable<SideOptions['h323']>['answer']> = (call, peer) => {
  if (call.number === '602') peer.command({ kind: 'release', call: call.ref, cause: 17 });
  else peer.accept(call);
};
