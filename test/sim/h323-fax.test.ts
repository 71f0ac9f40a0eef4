/** Fax by T.38 through H.323: RequestMode and fax channels towards one side, SIP or H.323 towards the other (H.323 D.5). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { assertFax, change, faxSide as side } from './h323-fax-sides.ts';
import { assertSound, connected, finish, pair } from './h323-world.ts';

const SLOW = { fastStart: false, tunnelling: false };

for (const [outer, inner] of [
  ['sip', 'h323'],
  ['h323', 'sip'],
  ['h323', 'h323'],
] as const) {
  for (const mode of [{}, SLOW]) {
    for (const from of ['outside', 'inside'] as const) {
      const name = 'fastStart' in mode ? 'slow start' : 'FastStart';
      test(`${outer} outside, ${inner} inside, ${name}: the phone ${from} makes a fax of the call, and speech again`, () => {
        const it = pair(side(outer, mode), side(inner, mode));
        const [call, taken] = connected(it, it.outside, it.inside);
        assertSound(it, call, taken);
        const who = from === 'outside' ? call : taken;
        change(it[from], who, true);
        it.world.run(4000);
        assertFax(it, call, taken);
        change(it[from], who, false);
        it.world.run(4000);
        assertSound(it, call, taken);
        assert.deepEqual([call.state, taken.state], ['connected', 'connected']);
        finish(it);
        for (const gateway of [it.world.termination, it.world.relay])
          assert.match(gateway.cdrs[0]!.streams[0]!.codec, /^PCM[AU]\+T38$/);
      });
    }
  }
}

test('one makes the fax, the other ends it', () => {
  for (const [first, second] of [
    ['outside', 'inside'],
    ['inside', 'outside'],
  ] as const) {
    const it = pair(side('sip'), side('h323'));
    const [call, taken] = connected(it, it.outside, it.inside);
    const calls = { outside: call, inside: taken };
    change(it[first], calls[first], true);
    it.world.run(4000);
    assertFax(it, call, taken);
    change(it[second], calls[second], false);
    it.world.run(4000);
    assertSound(it, call, taken);
    finish(it);
  }
});

test('a far end without T.38 is not asked: 488, and the call goes on as sound', () => {
  const it = pair(side('sip'), side('h323', {}, false));
  const [call, taken] = connected(it, it.outside, it.inside);
  change(it.outside, call, true);
  it.world.run(3000);
  assert.equal(call.sip!.modifyRefused, 1);
  assert.ok(!taken.h323!.seen.includes('mode-asked'));
  call.sip!.fax = undefined;
  assertSound(it, call, taken);
  finish(it);
});

test('a far end that says no to RequestMode: 488, and the call goes on as sound', () => {
  const it = pair(side('sip'), side('h323'));
  const [call, taken] = connected(it, it.outside, it.inside);
  it.inside.h323!.takesModes = false;
  change(it.outside, call, true);
  it.world.run(3000);
  assert.equal(call.sip!.modifyRefused, 1);
  call.sip!.fax = undefined;
  assertSound(it, call, taken);
  finish(it);
});

test('the SIP side says no: RequestModeReject, and the call goes on as sound', () => {
  const it = pair(side('sip'), side('h323'));
  const [, taken] = connected(it, it.outside, it.inside);
  it.outside.sip!.takesFax = false;
  change(it.inside, taken, true);
  it.world.run(3000);
  assert.deepEqual(taken.h323!.modes, [false]);
  assert.ok(taken.h323!.send !== undefined && taken.h323!.receive !== undefined);
  assert.deepEqual(
    [...it.world.relay.openStreams.values()].map((s) => s.kind),
    ['audio'],
  );
  finish(it);
});

test('no T.38 in the configuration: neither told to the far end nor granted', () => {
  const { codecs: _, ...h323 } = side('h323');
  const it = pair(side('sip'), h323);
  const [call, taken] = connected(it, it.outside, it.inside);
  change(it.inside, taken, true);
  it.world.run(3000);
  assert.deepEqual(taken.h323!.modes, [false]);
  assertSound(it, call, taken);
  finish(it);
});

test('both sides want the fax at once: it is one in the end, or sound, and the same at both gateways', () => {
  const it = pair(side('sip'), side('h323'));
  const [call, taken] = connected(it, it.outside, it.inside);
  change(it.outside, call, true);
  change(it.inside, taken, true);
  it.world.run(10_000);
  const kinds = [it.world.termination, it.world.relay].map((g) =>
    [...g.openStreams.values()].map((s) => s.kind).join(),
  );
  assert.deepEqual(kinds, ['image', 'image']);
  assertFax(it, call, taken);
  finish(it);
});

test('whatever the two ask of each other and when: the call stands, speech or fax, the same at both gateways', () => {
  let faxes = 0;
  fc.assert(
    fc.property(
      fc.constantFrom(['sip', 'h323'] as const, ['h323', 'sip'] as const, ['h323', 'h323'] as const),
      fc.boolean(),
      fc.array(
        fc.record({
          from: fc.constantFrom('outside' as const, 'inside' as const),
          fax: fc.boolean(),
          takes: fc.constantFrom(true, true, true, false),
          wait: fc.oneof(fc.nat(20), fc.nat(400), fc.nat(6000)),
        }),
        { minLength: 1, maxLength: 6 },
      ),
      ([outer, inner], slow, steps) => {
        const mode = slow ? SLOW : {};
        const it = pair(side(outer, mode), side(inner, mode));
        const [call, taken] = connected(it, it.outside, it.inside);
        for (const { from, fax, takes, wait } of steps) {
          const other = it[from === 'outside' ? 'inside' : 'outside'];
          if (other.sip !== undefined) other.sip.takesFax = takes;
          else other.h323!.takesModes = takes;
          change(it[from], from === 'outside' ? call : taken, fax);
          it.world.run(wait);
        }
        it.world.run(40_000);
        assert.deepEqual([call.state, taken.state], ['connected', 'connected']);
        const kinds = [it.world.termination, it.world.relay].map((g) =>
          [...g.openStreams.values()].map((s) => `${s.stream} ${s.kind}`).sort(),
        );
        assert.deepEqual(kinds[0], kinds[1]);
        faxes += it.world.relay.counted('faxes/terminator');
        finish(it);
      },
    ),
    { numRuns: 150 },
  );
  assert.ok(faxes > 50, `${faxes} faxes`);
});
