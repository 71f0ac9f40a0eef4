import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertSound, connected, finish, type Protocol, pair } from './h323-world.ts';

const COMBINATIONS: readonly (readonly [Protocol, Protocol])[] = [
  ['sip', 'h323'],
  ['h323', 'sip'],
  ['h323', 'h323'],
];
const MODES = [
  { name: 'FastStart and tunnelling', fastStart: true, tunnelling: true },
  { name: 'FastStart, H.245 apart', fastStart: true, tunnelling: false },
  { name: 'slow start, tunnelled', fastStart: false, tunnelling: true },
  { name: 'slow start, H.245 apart', fastStart: false, tunnelling: false },
] as const;

for (const [outer, inner] of COMBINATIONS) {
  for (const mode of MODES) {
    const { fastStart, tunnelling } = mode;
    const side = (protocol: Protocol) =>
      ({ protocol, h323: { fastStart, tunnelling }, gateway: { fastStart, tunnelling } }) as const;
    test(`${outer} outside, ${inner} inside, ${mode.name}: sound both ways, released from each side`, () => {
      for (const direction of ['in', 'out'] as const) {
        for (const ender of ['caller', 'callee'] as const) {
          const it = pair(side(outer), side(inner));
          const [from, to] = direction === 'in' ? [it.outside, it.inside] : [it.inside, it.outside];
          const [call, taken] = connected(it, from, to);
          assert.equal(taken.number, '601');
          assert.ok(call.ringing, 'the caller was told that it rings');
          if (direction === 'in') assertSound(it, call, taken);
          else assertSound(it, taken, call);
          const [one, other] = ender === 'caller' ? [call, taken] : [taken, call];
          one.end();
          it.world.until(() => other.state === 'ended', 5000, 'release');
          assert.equal(other.cause, 16);
          finish(it);
        }
      }
    });
  }
}
