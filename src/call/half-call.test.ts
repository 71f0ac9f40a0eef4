import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MediaExchange, Side } from '../meta/message.ts';
import {
  ALICE,
  answer,
  audio,
  Bench,
  BOB,
  CALL,
  connectedCallee,
  connectedCaller,
  LEG_SETUP,
  META_SETUP,
  offer,
  PCMA,
} from './fixtures.test.ts';
import { HalfCall } from './half-call.ts';

test('originator: the way of a call from set-up to release', () => {
  const o = new Bench('originator');
  assert.deepEqual(o.leg(LEG_SETUP), ['tunnel:setup', 'state:initiated']);
  assert.equal((o.lastMessage as { media: MediaExchange }).media.number, 1, 'Meta numbers offers from 1');
  assert.deepEqual(o.tunnel({ kind: 'proceeding' }), ['leg:proceeding', 'state:proceeding']);
  assert.deepEqual(o.tunnel({ kind: 'alerting', branch: 1 }), ['leg:alerting', 'state:alerting']);
  assert.deepEqual(o.tunnel({ kind: 'progress', branch: 1, media: answer('originator', 1, 1) }), [
    'leg:progress',
  ]);
  const early = o.lastCommand as { media: MediaExchange };
  assert.equal(early.media.number, 7, 'the leg sees its own number');
  assert.deepEqual(o.tunnel({ kind: 'connect', branch: 1 }), ['leg:connect', 'state:connected']);
  assert.equal(o.half.mediaGeneration, 1);
  assert.deepEqual(o.leg({ kind: 'release', cause: 16 }), [
    'tunnel:release',
    'state:ended',
    'ended:16:caller',
  ]);
  assert.equal(o.half.deadline(), undefined);
  assert.deepEqual(
    o.tunnel({ kind: 'release', cause: 16, origin: 'callee' }),
    [],
    'crossing releases are silent',
  );
});

test('terminator: proceeding goes back at once, the leg gets the routed peer', () => {
  const t = new Bench('terminator');
  assert.deepEqual(t.tunnel(META_SETUP), ['tunnel:proceeding', 'leg:setup', 'state:initiated']);
  assert.deepEqual(t.lastCommand, { ...LEG_SETUP, peer: 'pbx', media: META_SETUP.media });
  assert.deepEqual(t.leg({ kind: 'proceeding' }), ['state:proceeding']);
  assert.deepEqual(t.leg({ kind: 'alerting', branch: 1 }), ['tunnel:alerting', 'state:alerting']);
  assert.deepEqual(t.leg({ kind: 'connect', branch: 1, media: answer('originator', 1, 1) }), [
    'tunnel:connect',
    'state:connected',
  ]);
  assert.deepEqual(t.tunnel({ kind: 'release', cause: 16, origin: 'caller' }), [
    'leg:release',
    'state:ended',
    'ended:16:caller',
  ]);
});

test('late offer: the callee offers in connect, the caller answers in media', () => {
  const t = new Bench('terminator');
  const { media: _, ...bare } = META_SETUP;
  t.tunnel(bare);
  assert.deepEqual(t.leg({ kind: 'connect', branch: 3, media: offer('terminator', 9, 3) }), [
    'tunnel:connect',
    'state:connected',
  ]);
  assert.equal((t.lastMessage as { media: MediaExchange }).media.number, 1);
  assert.deepEqual(t.tunnel({ kind: 'media', media: answer('terminator', 1, 0) }), ['leg:media']);
  assert.equal((t.lastCommand as { media: MediaExchange }).media.number, 9);
  assert.equal(t.half.mediaGeneration, 1);
});

test('forked answers: every branch may answer the first offer once, until connect', () => {
  const o = new Bench('originator');
  o.leg(LEG_SETUP);
  o.tunnel({ kind: 'proceeding' });
  assert.deepEqual(o.tunnel({ kind: 'progress', branch: 1, media: answer('originator', 1, 1) }), [
    'leg:progress',
  ]);
  assert.deepEqual(o.tunnel({ kind: 'progress', branch: 2, media: answer('originator', 1, 2) }), [
    'leg:progress',
  ]);
  assert.deepEqual(o.tunnel({ kind: 'progress', branch: 2, media: answer('originator', 1, 2) }), [
    'refused:tunnel:progress.media:answer-duplicate',
    'leg:progress',
  ]);
  assert.equal((o.lastCommand as { media?: MediaExchange }).media, undefined, 'the duplicate is stripped');
  o.tunnel({ kind: 'connect', branch: 2 });
  assert.deepEqual(o.tunnel({ kind: 'media', media: answer('originator', 1, 3) }), [
    'refused:tunnel:media.media:answer-unknown',
  ]);
});

test('forked answers: the answer of the branch that connects is told again where another came after it', () => {
  const o = new Bench('originator');
  o.leg(LEG_SETUP);
  o.tunnel({ kind: 'proceeding' });
  o.tunnel({ kind: 'progress', branch: 1, media: answer('originator', 1, 1) });
  o.tunnel({ kind: 'progress', branch: 2, media: answer('originator', 1, 2) });
  o.tunnel({ kind: 'connect', branch: 1 });
  assert.equal((o.lastCommand as { media?: MediaExchange }).media?.branch, 1);
  const t = new Bench('originator');
  t.leg(LEG_SETUP);
  t.tunnel({ kind: 'proceeding' });
  t.tunnel({ kind: 'progress', branch: 1, media: answer('originator', 1, 1) });
  t.tunnel({ kind: 'connect', branch: 1 });
  assert.equal((t.lastCommand as { media?: MediaExchange }).media, undefined, 'the leg has it already');
});

test('a call connected on a branch that has not answered still waits for its answer', () => {
  const o = new Bench('originator');
  o.leg(LEG_SETUP);
  o.tunnel({ kind: 'proceeding' });
  o.tunnel({ kind: 'progress', branch: 1, media: answer('originator', 1, 1) });
  o.tunnel({ kind: 'connect', branch: 2 });
  assert.deepEqual(o.leg({ kind: 'modify', media: offer('originator', 8) }), ['leg:modify-refuse']);
  assert.deepEqual(o.tunnel({ kind: 'media', media: answer('originator', 1, 2) }), ['leg:media']);
  assert.deepEqual(o.leg({ kind: 'modify', media: offer('originator', 8) }), [
    'tunnel:modify',
    'state:modifying-out',
  ]);
});

for (const [what, exchange, reason] of [
  ['an offer of the wrong side', offer('originator', 2), 'offer-side'],
  ['a number used before', offer('terminator', 0), 'offer-stale'],
  ['a number left out', offer('terminator', 2), 'offer-gap'],
  ['an answer nobody asked for', answer('originator', 2), 'answer-unknown'],
  ['an answer to the far side itself', answer('terminator', 1), 'answer-unknown'],
] as const) {
  test(`media: ${what} is dropped with a reason`, () => {
    const o = connectedCaller();
    assert.deepEqual(o.tunnel({ kind: 'media', media: exchange }), [`refused:tunnel:media.media:${reason}`]);
    assert.equal(o.half.state, 'connected');
  });
}

test('media: an answer with a format that was not offered ends the call with cause 111', () => {
  const o = new Bench('originator');
  o.leg(LEG_SETUP);
  o.tunnel({ kind: 'proceeding' });
  const odd = { ...PCMA, name: 'G722' as const };
  const bad = { ...answer('originator', 1), streams: [audio(odd)] };
  assert.deepEqual(o.tunnel({ kind: 'connect', branch: 0, media: bad }), [
    'refused:tunnel:connect.media:bad-answer-format',
    'leg:release',
    'tunnel:release',
    'state:ended',
    'ended:111:termination-gateway',
  ]);
});

test('modify: asked, answered, refused, in both directions', () => {
  const o = connectedCaller();
  assert.deepEqual(o.leg({ kind: 'modify', media: offer('originator', 8) }), [
    'tunnel:modify',
    'state:modifying-out',
  ]);
  assert.deepEqual(o.tunnel({ kind: 'modify-accept', media: answer('originator', 2) }), [
    'leg:modify-accept',
    'state:connected',
  ]);
  assert.equal((o.lastCommand as { media: MediaExchange }).media.number, 8);
  assert.deepEqual(o.tunnel({ kind: 'modify', media: offer('terminator', 1) }), [
    'leg:modify',
    'state:modifying-in',
  ]);
  assert.deepEqual(o.leg({ kind: 'modify-refuse', cause: 88, glare: false }), [
    'tunnel:modify-refuse',
    'state:connected',
  ]);
  assert.equal(o.half.mediaGeneration, 2);
  assert.deepEqual(o.tunnel({ kind: 'modify' }), ['leg:modify', 'state:modifying-in']);
  assert.deepEqual(o.leg({ kind: 'modify-accept', media: offer('originator', 9) }), [
    'tunnel:modify-accept',
    'state:connected',
  ]);
  assert.deepEqual(o.tunnel({ kind: 'media', media: answer('originator', 3) }), ['leg:media']);
});

test('glare: the originator goes on with its change and says nothing', () => {
  const o = connectedCaller();
  o.leg({ kind: 'modify', media: offer('originator', 8) });
  assert.deepEqual(o.tunnel({ kind: 'modify', media: offer('terminator', 1) }), [
    'refused:tunnel:modify:glare',
  ]);
  assert.deepEqual(o.tunnel({ kind: 'modify-accept', media: answer('originator', 2) }), [
    'leg:modify-accept',
    'state:connected',
  ]);
  assert.deepEqual(o.tunnel({ kind: 'modify', media: offer('terminator', 2) }), [
    'leg:modify',
    'state:modifying-in',
  ]);
});

test("glare: the terminator's leg is refused with glare and gets the originator's change", () => {
  const t = connectedCallee();
  t.leg({ kind: 'modify', media: offer('terminator', 5) });
  assert.deepEqual(t.tunnel({ kind: 'modify', media: offer('originator', 2) }), [
    'leg:modify-refuse',
    'leg:modify',
    'state:modifying-in',
  ]);
  assert.deepEqual(t.commands.at(-2), { kind: 'modify-refuse', cause: 41, glare: true });
  assert.deepEqual(t.leg({ kind: 'modify-accept', media: answer('originator', 2) }), [
    'tunnel:modify-accept',
    'state:connected',
  ]);
  assert.deepEqual(t.leg({ kind: 'modify', media: offer('terminator', 6) }), [
    'tunnel:modify',
    'state:modifying-out',
  ]);
  assert.equal(
    (t.lastMessage as { media: MediaExchange }).media.number,
    2,
    'the lost number is not used again',
  );
});

test('glare: a change of the leg while one of the far side is open is refused here', () => {
  const t = connectedCallee();
  t.tunnel({ kind: 'modify', media: offer('originator', 2) });
  assert.deepEqual(t.leg({ kind: 'modify', media: offer('terminator', 1) }), ['leg:modify-refuse']);
});

test('glare of early offers (RFC 3311): the terminator yields, the originator stays', () => {
  const early = (side: Side): Bench => {
    const bench = new Bench(side);
    if (side === 'originator') {
      bench.leg(LEG_SETUP);
      bench.tunnel({ kind: 'proceeding' });
      bench.tunnel({ kind: 'progress', branch: 1, media: answer('originator', 1, 1) });
    } else {
      bench.tunnel(META_SETUP);
      bench.leg({ kind: 'progress', branch: 1, media: answer('originator', 1, 1) });
    }
    return bench;
  };
  const o = early('originator');
  o.leg({ kind: 'media', media: offer('originator', 8, 1) });
  assert.deepEqual(o.tunnel({ kind: 'media', media: offer('terminator', 1, 1) }), [
    'refused:tunnel:media.media:glare',
  ]);
  const t = early('terminator');
  t.leg({ kind: 'media', media: offer('terminator', 4, 1) });
  assert.deepEqual(t.tunnel({ kind: 'media', media: offer('originator', 2, 1) }), ['leg:media', 'leg:media']);
  assert.deepEqual(t.commands.at(-2), {
    kind: 'media',
    media: { kind: 'refuse', by: 'terminator', number: 4, branch: 1, cause: 41 },
  });
});

test('modify: nobody answers: our leg is refused later than the far side gives up', () => {
  const o = connectedCaller();
  o.leg({ kind: 'modify', media: offer('originator', 8) }, 1000);
  assert.equal(o.half.deadline(), 41_000);
  assert.deepEqual(o.timeout(41_000), ['leg:modify-refuse', 'state:connected']);
  assert.deepEqual(o.tunnel({ kind: 'modify-accept', media: answer('originator', 2) }), [
    'refused:tunnel:modify-accept:state',
  ]);
  const t = connectedCallee();
  t.tunnel({ kind: 'modify', media: offer('originator', 2) }, 1000);
  assert.deepEqual(t.timeout(36_000), ['tunnel:modify-refuse', 'state:connected']);
  assert.deepEqual(t.leg({ kind: 'modify-accept' }, 36_100), ['refused:leg:modify-accept:state']);
});

test('an offer of an established call that is never answered is refused, its offerer waits longer', () => {
  const t = new Bench('terminator');
  const { media: _, ...bare } = META_SETUP;
  t.tunnel(bare);
  t.leg({ kind: 'connect', branch: 1, media: offer('terminator', 9, 1) }, 100);
  assert.deepEqual(t.timeout(40_100), ['leg:media']);
  assert.deepEqual((t.lastCommand as { media: MediaExchange }).media, {
    kind: 'refuse',
    by: 'terminator',
    number: 9,
    branch: 1,
    cause: 102,
  });
});

test('timers: set-up, ringing, longest call, each with its cause', () => {
  const o = new Bench('originator', { ringMs: 60_000, maxCallMs: 3_600_000 });
  o.leg(LEG_SETUP, 0);
  assert.deepEqual(o.timeout(9_999), []);
  assert.deepEqual(o.timeout(10_000).at(-1), 'ended:102:termination-gateway');
  const ringing = new Bench('originator', { ringMs: 60_000 });
  ringing.leg(LEG_SETUP, 0);
  ringing.tunnel({ kind: 'proceeding' }, 10);
  ringing.tunnel({ kind: 'alerting', branch: 1 }, 20_000);
  assert.equal(ringing.half.deadline(), 60_010);
  assert.deepEqual(ringing.timeout(60_010), [
    'leg:release',
    'tunnel:release',
    'state:ended',
    'ended:19:termination-gateway',
  ]);
  const talking = connectedCallee();
  assert.equal(talking.half.deadline(), 14_400_000);
  assert.equal(talking.timeout(14_400_000).at(-1), 'ended:102:relay-gateway');
});

test('cut: a set-up lives 8 s, an established call 30 s', () => {
  const o = new Bench('originator');
  o.leg(LEG_SETUP, 0);
  o.tunnel({ kind: 'proceeding' }, 1);
  o.half.tunnelDown(100);
  assert.equal(o.half.deadline(), 8100);
  assert.deepEqual(o.timeout(8100), ['leg:release', 'tunnel:release', 'state:ended', 'ended:38:tunnel']);
  const c = connectedCaller();
  c.half.tunnelDown(100);
  assert.equal(c.half.deadline(), 30_100);
  c.half.tunnelUp(20_000);
  assert.deepEqual(c.timeout(30_100), []);
  c.half.tunnelDown(40_000);
  assert.equal(c.timeout(70_000).at(-1), 'ended:38:tunnel');
});

test('cut: a release of the leg is handled at once and queued for the far side', () => {
  const c = connectedCaller();
  c.half.tunnelDown(0);
  assert.deepEqual(c.leg({ kind: 'release', cause: 16 }), [
    'tunnel:release',
    'state:ended',
    'ended:16:caller',
  ]);
});

test('cut: a change is refused with retry-after, a new call too', () => {
  const c = connectedCaller();
  c.half.tunnelDown(0);
  assert.deepEqual(c.leg({ kind: 'modify', media: offer('originator', 8) }), ['leg:modify-refuse']);
  assert.deepEqual(c.lastCommand, { kind: 'modify-refuse', cause: 41, glare: false, retryAfterSeconds: 5 });
  const o = new Bench('originator');
  o.half.tunnelDown(0);
  assert.deepEqual(o.leg(LEG_SETUP), ['leg:release', 'state:ended', 'ended:41:tunnel']);
  assert.deepEqual(o.lastCommand, { kind: 'release', cause: 41, retryAfterSeconds: 5 });
});

test('cut: a change that waits does not time out before what was queued has been replayed', () => {
  const c = connectedCaller();
  c.leg({ kind: 'modify', media: offer('originator', 8) }, 0);
  c.half.tunnelDown(15_000);
  assert.deepEqual(c.timeout(40_000), []);
  c.half.tunnelUp(44_000);
  assert.equal(
    c.half.deadline(),
    74_000,
    'later by the length of the cut, and a margin where it came due meanwhile',
  );
  assert.deepEqual(c.tunnel({ kind: 'modify-accept', media: answer('originator', 2) }, 44_100), [
    'leg:modify-accept',
    'state:connected',
  ]);
});

test('a gateway refuses a call on the side it came from only', () => {
  const o = new Bench('originator');
  o.half.release(21, 'termination-gateway', 0);
  assert.deepEqual(o.drain(), ['leg:release', 'state:ended', 'ended:21:termination-gateway']);
  const t = new Bench('terminator');
  t.half.release(1, 'relay-gateway', 0, 30);
  assert.deepEqual(t.drain(), ['tunnel:release', 'state:ended', 'ended:1:relay-gateway']);
  assert.deepEqual(t.lastMessage, {
    kind: 'release',
    call: CALL,
    cause: 1,
    origin: 'relay-gateway',
    retryAfterSeconds: 30,
  });
});

test('a far gateway cannot blame a release on our leg or on us', () => {
  const t = connectedCallee();
  assert.deepEqual(t.tunnel({ kind: 'release', cause: 16, origin: 'relay-gateway' }), [
    'leg:release',
    'refused:tunnel:release.origin:origin',
    'state:ended',
    'ended:16:termination-gateway',
  ]);
});

test('digits are brought into range, nonsense is refused', () => {
  const c = connectedCaller();
  c.leg({ kind: 'user-input', digit: '5', durationMs: 1 });
  assert.deepEqual(c.lastMessage, { kind: 'user-input', call: CALL, digit: '5', durationMs: 40 });
  assert.deepEqual(c.leg({ kind: 'user-input', digit: 'x', durationMs: 100 }), [
    'refused:leg:user-input:digit',
  ]);
  assert.deepEqual(c.tunnel({ kind: 'user-input', digit: '#', durationMs: 90 }), ['leg:user-input']);
});

test('transfer: one at a time, its results reach the leg, silence becomes failure', () => {
  const c = connectedCaller();
  assert.deepEqual(c.tunnel({ kind: 'transfer-result', outcome: 'success' }), [
    'refused:tunnel:transfer-result:no-transfer',
  ]);
  assert.deepEqual(c.leg({ kind: 'transfer-request', target: BOB }, 0), ['tunnel:transfer-request']);
  assert.deepEqual(c.leg({ kind: 'transfer-request', target: ALICE }, 0), [
    'refused:leg:transfer-request:transfer-pending',
  ]);
  assert.deepEqual(c.tunnel({ kind: 'transfer-result', outcome: 'trying' }), ['leg:transfer-result']);
  assert.deepEqual(c.timeout(60_000), ['leg:transfer-result']);
  assert.deepEqual(c.tunnel({ kind: 'transfer-request', target: BOB }), ['transfer']);
  c.half.transferResult('failure', 50);
  assert.deepEqual(c.drain(), ['tunnel:transfer-result']);
});

test('status: an enquiry is answered, a disagreement about connect ends the call', () => {
  const c = connectedCaller();
  assert.deepEqual(c.tunnel({ kind: 'status-enquiry' }), ['tunnel:status']);
  assert.deepEqual(c.lastMessage, { kind: 'status', call: CALL, state: 'connected', mediaGeneration: 1 });
  assert.deepEqual(c.tunnel({ kind: 'status', state: 'null', mediaGeneration: 0 }), [
    'refused:tunnel:status:not-asked',
  ]);
  c.half.enquire(0);
  assert.deepEqual(c.drain(), ['tunnel:status-enquiry']);
  assert.deepEqual(c.tunnel({ kind: 'status', state: 'modifying', mediaGeneration: 1 }), []);
  c.half.enquire(0);
  assert.deepEqual(c.timeout(10_000).slice(-1), ['ended:41:tunnel']);
  const d = connectedCallee();
  d.half.enquire(0);
  d.drain();
  assert.equal(
    d.tunnel({ kind: 'status', state: 'alerting', mediaGeneration: 0 }).at(-1),
    'ended:101:tunnel',
  );
});

test('status: a connect that crossed our enquiry is no disagreement', () => {
  const t = new Bench('terminator');
  t.tunnel(META_SETUP);
  t.half.enquire(0);
  t.leg({ kind: 'connect', branch: 1, media: answer('originator', 1, 1) });
  assert.deepEqual(t.tunnel({ kind: 'status', state: 'proceeding', mediaGeneration: 0 }), []);
  assert.equal(t.half.state, 'connected');
});

test('what Meta cannot carry does not reach the tunnel', () => {
  const o = new Bench('originator');
  const odd = { ...LEG_SETUP, callee: { ...BOB, number: '20 01' } };
  assert.deepEqual(o.leg(odd), [
    'refused:leg:setup:callee.number',
    'leg:release',
    'state:ended',
    'ended:28:termination-gateway',
  ]);
  const parameters = (['annexb', 'bitrate', 'events', 'mode', 'stereo', 'usedtx'] as const).map((name) => ({
    name,
    value: 'x'.repeat(64),
  }));
  const formats = Array.from({ length: 16 }, (_, id) => ({ ...PCMA, id, parameters }));
  const streams = [0, 1].map((index) => ({ ...audio(...formats), index }));
  const huge = new Bench('originator');
  assert.equal(
    huge.leg({ ...LEG_SETUP, media: { ...offer('originator', 1), streams } as MediaExchange })[0],
    'refused:leg:setup:message',
  );
  const t = new Bench('terminator');
  t.tunnel(META_SETUP);
  const connected = { ...BOB, number: '\r\n' };
  t.leg({ kind: 'connect', branch: 1, connected, media: answer('originator', 1, 1) });
  assert.equal('connected' in t.lastMessage!, false);
});

test('facts for the record', () => {
  const half = new HalfCall({
    call: CALL,
    side: 'originator',
    gateway: 'termination-gateway',
    accountingId: 'a1',
  });
  half.leg(LEG_SETUP, 5);
  half.tunnel({ kind: 'proceeding', call: CALL }, 6);
  half.tunnel({ kind: 'alerting', call: CALL, branch: 1 }, 7);
  half.tunnel({ kind: 'connect', call: CALL, branch: 1, connected: BOB }, 8);
  half.leg({ kind: 'release', cause: 16 }, 9);
  assert.deepEqual(half.facts, {
    caller: ALICE,
    callee: BOB,
    connected: BOB,
    priority: 'normal',
    accountingId: 'a1',
    setupAt: 5,
    proceedingAt: 6,
    alertingAt: 7,
    connectAt: 8,
    endAt: 9,
    cause: 16,
    origin: 'caller',
  });
});
