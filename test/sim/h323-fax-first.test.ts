/** Calls that are a fax from the start, towards H.323 and from it (H.323 D.3, D.4; T.38 D.2.3). The switch within a call: h323-fax.test.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { assertFax, change, faxSide as side } from './h323-fax-sides.ts';
import { assertSound, type Call, connected, finish, type Pair, type Phone, pair } from './h323-world.ts';
import { type FaxPlace, faxPort } from './sim-peer.ts';

const SLOW = { fastStart: false, tunnelling: false };
const EARLY = { fastStart: false, earlyH245: true };
const MODES = { FastStart: {}, 'slow start': SLOW, 'early H.245': EARLY };

/** A SIP phone calls with a fax in its INVITE. */
function faxCall({ world }: Pair, from: Phone, fax: FaxPlace, number = '601'): Call {
  const call = from.sip!.call(number, { fax });
  world.until(() => call.state === 'connected' || call.state === 'ended', 20_000, 'an outcome');
  world.run(3000);
  return { ...from.calls().at(-1)!, sip: call };
}

for (const [mode, options] of Object.entries(MODES)) {
  for (const fax of [true, 'only'] as const) {
    for (const from of ['outside', 'inside'] as const) {
      const far = fax === 'only' ? 'a far end of nothing but T.38' : 'a far end with sound and T.38';
      test(`m=image alone in the INVITE from ${from}, ${mode}, ${far}: a fax from the start`, () => {
        const sip = side('sip');
        const h323 = side('h323', options, fax);
        const it = from === 'outside' ? pair(sip, h323) : pair(h323, sip);
        const to = from === 'outside' ? it.inside : it.outside;
        const call = faxCall(it, it[from], 'instead');
        assert.equal(call.sip!.state, 'connected');
        const taken = to.calls().at(-1)!;
        if (from === 'outside') assertFax(it, call, taken);
        else assertFax(it, taken, call);
        assert.ok(!taken.h323!.seen.includes('mode-asked'), 'there was no sound to be replaced');
        assert.equal(call.sip!.modifiesSeen, 0);
        finish(it);
        for (const gateway of [it.world.termination, it.world.relay])
          assert.deepEqual(
            gateway.cdrs[0]!.streams.map((s) => [s.kind, s.codec]),
            [['image', 'T38']],
          );
      });
    }
  }

  test(`a far end without T.38, ${mode}: 488`, () => {
    const it = pair(side('sip'), side('h323', options, false));
    const call = faxCall(it, it.outside, 'instead');
    assert.deepEqual([call.sip!.state, call.sip!.endStatus, call.sip!.endCause], ['ended', 488, 88]);
    finish(it);
  });

  test(`a fax from the start becomes speech, asked for by either side, ${mode}`, () => {
    for (const from of ['outside', 'inside'] as const) {
      const it = pair(side('sip'), side('h323', options));
      const call = faxCall(it, it.outside, 'instead');
      const taken = it.inside.calls().at(-1)!;
      assertFax(it, call, taken);
      change(it[from], from === 'outside' ? call : taken, false);
      it.world.run(4000);
      assertSound(it, it.outside.calls().at(-1)!, taken);
      change(it[from], from === 'outside' ? call : taken, true);
      it.world.run(4000);
      assertFax(it, call, taken);
      finish(it);
    }
  });

  for (const inner of ['sip', 'h323'] as const) {
    test(`an H.323 caller of nothing but T.38, ${mode}, towards ${inner}`, () => {
      for (const from of ['outside', 'inside'] as const) {
        const other = side(inner);
        const caller = side('h323', options, 'only');
        const it = from === 'outside' ? pair(caller, other) : pair(other, caller);
        const [call, taken] = connected(it, it[from], it[from === 'outside' ? 'inside' : 'outside']);
        it.world.run(4000);
        if (from === 'outside') assertFax(it, call, taken);
        else assertFax(it, taken, call);
        if (mode === 'FastStart') {
          assert.equal(taken.sip?.modifiesSeen ?? 0, 0, 'a fax at once');
          assert.ok(!(taken.h323?.seen ?? []).includes('mode-asked'));
        }
        finish(it);
      }
    });
  }
}

test('a far end that takes no fax by FastStart: its channels open by H.245', () => {
  const it = pair(side('sip'), side('h323'));
  it.inside.h323!.takesFastFax = false;
  const call = faxCall(it, it.outside, 'instead');
  const taken = it.inside.calls().at(-1)!;
  assert.equal(taken.h323!.fast, 'refused');
  assertFax(it, call, taken);
  finish(it);
});

for (const [mode, options] of Object.entries(MODES)) {
  test(`sound and a fax in the INVITE, ${mode}: sound, and the fax when it is asked for`, () => {
    const it = pair(side('sip'), side('h323', options));
    const call = faxCall(it, it.outside, 'both');
    const taken = it.inside.calls().at(-1)!;
    call.sip!.fax = undefined;
    assertSound(it, it.outside.calls().at(-1)!, taken);
    it.outside.sip!.refax(call.sip!, 'beside');
    it.world.run(4000);
    assertFax(it, call, taken);
    change(it.inside, taken, false);
    it.world.run(4000);
    assertSound(it, it.outside.calls().at(-1)!, taken);
    finish(it);
  });
}

for (const options of [SLOW, EARLY]) {
  test(`sound and a fax in the INVITE, the far end has no sound: the fax (${JSON.stringify(options)})`, () => {
    const it = pair(side('sip'), side('h323', options, 'only'));
    const call = faxCall(it, it.outside, 'both');
    const taken = it.inside.calls().at(-1)!;
    assert.equal(call.sip!.state, 'connected');
    const [stream] = [...it.world.relay.openStreams.values()];
    assert.deepEqual([stream?.kind, stream?.direction], ['image', 'sendrecv']);
    assert.equal(taken.h323!.faxSend?.remote?.rtp.port, stream!.local.port);
    finish(it);
  });
}

test('an INVITE without a description towards a far end of nothing but T.38: the fax is offered', () => {
  const it = pair(side('sip'), side('h323', SLOW, 'only'));
  const call = it.outside.sip!.call('601', { lateOffer: true });
  it.world.until(() => call.state === 'connected', 20_000, 'connect');
  it.world.run(3000);
  assertFax(it, { ...it.outside.calls().at(-1)!, sip: call }, it.inside.calls().at(-1)!);
  finish(it);
});

test('the SIP side refuses the fax of an H.323 caller that has nothing else: it is told, and nothing is left', () => {
  for (const [mode, options] of Object.entries(MODES)) {
    const inside = side('sip');
    const it = pair(side('h323', options, 'only'), {
      ...inside,
      sip: {
        answer: (call, _request, peer) =>
          faxPort(call.remoteSdp) > 0 ? peer.reject(call, 488) : peer.accept(call),
      },
    });
    it.inside.sip!.takesFax = false;
    const call = it.outside.call('601');
    it.world.run(40_000);
    assert.equal(call.state, 'ended');
    // RFC 3398 has no number of its own for a 488 to an INVITE; that to a change of the call is ours.
    assert.equal(call.cause, mode === 'FastStart' ? 65 : 88);
    finish(it);
  }
});

test('however a call begins and whatever is asked in it: it stands or has ended, the same at both gateways', () => {
  let firsts = 0;
  fc.assert(
    fc.property(
      fc.constantFrom('outside' as const, 'inside' as const),
      fc.constantFrom(...Object.values(MODES)),
      fc.constantFrom(true, true, 'only' as const, false),
      fc.constantFrom<(FaxPlace | 'late' | 'h323')[]>('instead', 'both', 'late', 'h323'),
      fc.boolean(),
      fc.array(
        fc.record({
          sip: fc.boolean(),
          fax: fc.boolean(),
          takes: fc.boolean(),
          wait: fc.oneof(fc.nat(300), fc.nat(6000)),
        }),
        { maxLength: 4 },
      ),
      (from, options, fax, begin, takesFast, steps) => {
        const [sip, h323] = [side('sip'), side('h323', options, fax)];
        const it = from === 'outside' ? pair(sip, h323) : pair(h323, sip);
        const [one, other] = from === 'outside' ? [it.outside, it.inside] : [it.inside, it.outside];
        other.h323!.takesFastFax = takesFast;
        if (begin === 'h323') other.call('601');
        else one.sip!.call('601', begin === 'late' ? { lateOffer: true } : { fax: begin });
        for (const { sip: bySip, fax: toFax, takes, wait } of steps) {
          it.world.run(wait);
          const [call, taken] = [one.calls().at(-1), other.calls().at(-1)];
          one.sip!.takesFax = takes;
          other.h323!.takesModes = takes;
          if (bySip && call?.state === 'connected') change(one, call, toFax);
          else if (!bySip && taken?.state === 'connected') change(other, taken, toFax);
        }
        it.world.run(60_000);
        const states = [one, other].map((p) => p.calls().at(-1)?.state ?? 'ended');
        assert.ok(new Set(states).size === 1, states.join());
        const kinds = [it.world.termination, it.world.relay].map((g) =>
          [...g.openStreams.values()].map((s) => `${s.stream} ${s.kind}`).sort(),
        );
        assert.deepEqual(kinds[0], kinds[1]);
        if (states[0] === 'connected') assert.equal(kinds[0]!.length, 1);
        if (begin === 'instead' && it.world.relay.counted(from === 'outside' ? 'faxes/terminator' : 'faxes/originator') > 0) firsts++; // biome-ignore format: one rule
        finish(it);
      },
    ),
    { numRuns: 200 },
  );
  assert.ok(firsts > 15, `${firsts} faxes from the start`);
});
