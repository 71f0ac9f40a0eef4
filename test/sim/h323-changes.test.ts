import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertSound, type Call, connected, finish, type Pair, type Phone, pair } from './h323-world.ts';

const SLOW = { fastStart: false, tunnelling: false };

function arrived(it: Pair, to: Phone): Call {
  it.world.until(() => to.calls().length > 0, 5000, 'arrival');
  return to.calls()[0]!;
}

test('causes of an H.323 side as SIP status (RFC 3398 8.2.6.1)', () => {
  for (const [cause, status] of [
    [1, 404],
    [3, 404],
    [18, 408],
    [19, 480],
    [21, 403],
    [27, 502],
    [28, 484],
    [34, 503],
    [38, 503],
  ] as const) {
    const it = pair({ protocol: 'sip' }, { protocol: 'h323' }, { manual: true });
    const call = it.outside.call('601');
    const taken = arrived(it, it.inside);
    taken.end(cause);
    it.world.until(() => call.state === 'ended', 5000, 'refusal');
    assert.equal(call.sip!.endStatus, status, `cause ${cause}`);
    finish(it);
  }
});

test('SIP status as causes of an H.323 side (RFC 3398 7.2.4.1); a Q.850 Reason wins (RFC 3326)', () => {
  for (const [status, cause, q850] of [
    [404, 1, undefined],
    [486, 17, undefined],
    [480, 18, undefined],
    [603, 21, undefined],
    [484, 28, undefined],
    [503, 41, undefined],
    [503, 34, 34],
  ] as const) {
    const it = pair({ protocol: 'h323' }, { protocol: 'sip' }, { manual: true });
    const call = it.outside.call('601');
    const taken = arrived(it, it.inside);
    it.inside.sip!.reject(taken.sip!, status, q850 === undefined ? {} : { q850 });
    it.world.until(() => call.state === 'ended', 5000, 'refusal');
    assert.equal(call.cause, cause, `status ${status}`);
    finish(it);
  }
});

for (const mode of [{}, SLOW]) {
  const name = 'fastStart' in mode ? 'slow start' : 'FastStart';
  test(`${name}: a SIP side that changes the codec makes the H.323 side change its channels`, () => {
    const it = pair(
      { protocol: 'sip', sip: { formats: '8 0 101' } },
      { protocol: 'h323', h323: mode, gateway: mode },
    );
    const [call, taken] = connected(it, it.outside, it.inside);
    assert.equal(taken.h323!.send!.capability.codec, 'PCMA');
    it.outside.sip!.reinvite(call.sip!, 'sendrecv', '0 101');
    it.world.run(4000);
    assert.equal(call.sip!.modifyAccepted, 1);
    assert.equal(taken.h323!.send!.capability.codec, 'PCMU');
    assert.equal(taken.h323!.receive!.capability.codec, 'PCMU');
    assertSound(it, call, taken);
    finish(it);
  });

  test(`${name}: a re-INVITE without an offer gets what was agreed (RFC 3261 14.2)`, () => {
    const it = pair({ protocol: 'sip' }, { protocol: 'h323', h323: mode, gateway: mode });
    const [call, taken] = connected(it, it.outside, it.inside);
    it.outside.sip!.reinvite(call.sip!, undefined);
    it.world.run(3000);
    assert.equal(call.sip!.modifyRefused, 0);
    assertSound(it, call, taken);
    finish(it);
  });

  test(`${name}: a codec that the H.323 side has not is refused 488, and the call goes on as it was`, () => {
    const it = pair(
      { protocol: 'sip', sip: { formats: '8 0 101' } },
      { protocol: 'h323', h323: mode, gateway: mode },
    );
    const [call, taken] = connected(it, it.outside, it.inside);
    it.outside.sip!.reinvite(call.sip!, 'sendrecv', '18 101');
    it.world.run(3000);
    assert.equal(call.sip!.modifyRefused, 1);
    assert.equal(call.state, 'connected');
    assert.equal(taken.h323!.send!.capability.codec, 'PCMA');
    finish(it);
  });

  test(`${name}: both hold at once and both resume: sound again`, () => {
    const it = pair(
      { protocol: 'h323', h323: mode, gateway: mode },
      { protocol: 'h323', h323: mode, gateway: mode },
    );
    const [call, taken] = connected(it, it.outside, it.inside);
    it.outside.h323!.hold(call.h323!);
    it.inside.h323!.hold(taken.h323!);
    it.world.run(8000);
    assert.equal(call.h323!.held, true);
    assert.equal(taken.h323!.held, true);
    it.outside.h323!.retrieve(call.h323!);
    it.inside.h323!.retrieve(taken.h323!);
    it.world.run(15_000);
    assertSound(it, call, taken);
    finish(it);
  });
}

test('early H.245: channels before Connect let the caller hear tones of a slow-start callee', () => {
  const mode = { fastStart: false, tunnelling: true, earlyH245: true };
  const it = pair({ protocol: 'sip' }, { protocol: 'h323', h323: mode, gateway: mode }, { manual: true });
  const call = it.outside.call('601');
  const taken = arrived(it, it.inside);
  taken.ring(true);
  it.world.run(3000);
  assert.ok(call.sip!.provisionals.includes(183));
  assertSound(it, call, taken);
  taken.accept();
  it.world.until(() => call.state === 'connected', 5000, 'connect');
  it.world.run(1500);
  assertSound(it, call, taken);
  finish(it);
});

test('a far end that refuses FastStart gets slow start', () => {
  const it = pair(
    { protocol: 'sip' },
    { protocol: 'h323', h323: { fastStart: false }, gateway: { fastStart: true } },
  );
  const [call, taken] = connected(it, it.outside, it.inside);
  assertSound(it, call, taken);
  finish(it);
  const other = pair(
    { protocol: 'h323', h323: { fastStart: true }, gateway: { fastStart: false } },
    { protocol: 'sip' },
  );
  const [out, inner] = connected(other, other.outside, other.inside);
  assertSound(other, out, inner);
  finish(other);
});

test('a slow-start caller without G.711 is offered again with what it has', () => {
  const mode = { fastStart: false, tunnelling: true };
  const it = pair(
    { protocol: 'h323', h323: { ...mode, codecs: ['G729'] }, gateway: mode },
    { protocol: 'sip', sip: { formats: '0 8 18 101' } },
  );
  const [call, taken] = connected(it, it.outside, it.inside);
  it.world.run(5000);
  assert.equal(taken.sip!.modifiesSeen, 1);
  assertSound(it, call, taken);
  assert.equal(call.h323!.send!.capability.codec, 'G729');
  finish(it);
});

test('many calls one after the other and at once leave nothing', () => {
  const it = pair({ protocol: 'h323' }, { protocol: 'h323', h323: SLOW, gateway: SLOW }, { seed: 7 });
  for (let round = 0; round < 3; round++) {
    const calls = Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? it.outside : it.inside).call(`60${i}`));
    it.world.run(4000);
    for (const call of calls) assert.equal(call.state, 'connected');
    for (const [i, call] of calls.entries()) if (i % 3 > 0) call.end();
    it.world.run(2000);
  }
  finish(it);
});

test('hops: a loop through SIP and H.323 comes to an end (483, cause 25)', () => {
  const it = pair({ protocol: 'sip' }, { protocol: 'h323' });
  const call = it.outside.sip!.call('601', { hops: 1 });
  it.world.until(() => call.state === 'ended', 5000, 'refusal');
  assert.equal(call.endStatus, 483);
  assert.equal(it.inside.calls().length, 0);
  finish(it);
});

test('the ladder begins with the Setup', () => {
  const it = pair({ protocol: 'h323' }, { protocol: 'h323' });
  const [call] = connected(it, it.outside, it.inside);
  call.end();
  it.world.run(3000);
  for (const gateway of [it.outside.gateway, it.inside.gateway]) {
    const command = { command: 'trace', call: gateway.cdrs[0]!.call } as const;
    it.world.input(gateway, { kind: 'operator', request: 1, command });
    const view = gateway.operatorReplies.get(1) as { entries: { column: string; line: string }[] };
    const leg = view.entries.filter((e) => e.column === 'leg');
    assert.match(leg[0]!.line, /^Setup/);
    assert.match(leg.at(-1)!.line, /ReleaseComplete/);
  }
  finish(it);
});

test('tones of the called side for a slow-start caller: heard with early H.245; without it rings by itself', () => {
  for (const earlyH245 of [false, true]) {
    const mode = { fastStart: false, tunnelling: true, earlyH245 };
    const it = pair({ protocol: 'h323', h323: mode, gateway: mode }, { protocol: 'sip' }, { manual: true });
    const call = it.outside.call('601');
    const taken = arrived(it, it.inside);
    taken.ring(true);
    it.world.run(3000);
    assert.equal(call.h323!.inBand, earlyH245);
    assert.equal(call.ringing, !earlyH245);
    if (earlyH245) assertSound(it, call, taken);
    taken.accept();
    it.world.until(() => call.state === 'connected', 5000, 'connect');
    it.world.run(1500);
    assertSound(it, call, taken);
    finish(it);
  }
});
