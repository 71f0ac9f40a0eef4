import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GatewayConfig, PeerConfig } from '../../src/gateway/config.ts';
import { type Address, formatAddress } from '../../src/machine/address.ts';
import type { SipRequest } from '../../src/sip/message.ts';
import { assertSound, connect, finish } from './check.ts';
import type { SimH323Options } from './h323-peer.ts';
import { peer, relayConfig, route, terminationConfig } from './sim-config.ts';
import type { SimCall, SimPeer, SimPeerOptions } from './sim-peer.ts';
import { ADDRESSES, World } from './world.ts';

/** A call between the phone outside and the PBX; the PBX asks for the phone to be transferred. */
function established(
  options: {
    readonly from?: 'phone' | 'pbx';
    readonly pbx?: Partial<SimPeerOptions>;
    readonly termination?: Partial<GatewayConfig>;
    readonly relay?: Partial<GatewayConfig>;
    readonly seed?: number;
    readonly h323?: SimH323Options;
  } = {},
) {
  const world = new World({
    ...(options.seed === undefined ? {} : { seed: options.seed }),
    ...(options.pbx === undefined ? {} : { pbx: options.pbx }),
    ...(options.termination === undefined ? {} : { termination: options.termination }),
    ...(options.relay === undefined ? {} : { relay: options.relay }),
  });
  if (options.h323 !== undefined) world.addH323Peer(options.h323);
  world.start();
  const { phone, pbx } = world;
  const outward = options.from === 'pbx';
  const [call, taken] = outward ? connect(world, pbx, phone, '555') : connect(world, phone, pbx, '601');
  const [outside, inside] = outward ? [taken, call] : [call, taken];
  return { world, phone, pbx, outside, inside };
}

/** A PBX that does this with a call for a number, and answers all others. */
function except(number: string, what: (call: SimCall, pbx: SimPeer) => void) {
  return {
    answer: (call: SimCall, _request: SipRequest, pbx: SimPeer): void => {
      if (call.number === number) return what(call, pbx);
      pbx.ring(call);
      pbx.later(100, () => pbx.accept(call));
    },
  };
}

for (const from of ['phone', 'pbx'] as const) {
  test(`REFER of the PBX in a call of the ${from}: the party outside is connected with the new number (RFC 3515, RFC 5589 6)`, () => {
    const { world, phone, pbx, outside, inside } = established({ from });
    pbx.refer(inside, '602');
    world.until(() => inside.state === 'ended', 10_000, 'the transfer');
    world.run(500);
    assert.deepEqual(inside.referStatuses, [180, 200]);
    assert.equal(outside.state, 'connected', 'the transferred party stays in its one call');
    const target = pbx.calls.find((c) => c.number === '602')!;
    assert.equal(target.state, 'connected');
    assertSound(world, [phone, outside], [pbx, target]);
    assert.equal(phone.calls.length, 1);
    phone.end(outside);
    world.until(() => target.state === 'ended', 5000, 'the end reaches the new party');
    finish(world);
    const [first, second] = world.relay.cdrs;
    assert.deepEqual([first!.result, second!.result], ['connected', 'connected']);
    assert.equal(second!.callee?.number, '602');
    assert.equal(second!.accountingId, first!.call, 'both records name the first call');
    assert.equal(world.termination.counted('transfers/success'), 1);
  });
}

test('what the transferred party says while the new one rings is still heard by the old one', () => {
  const { world, phone, pbx, outside, inside } = established({
    pbx: except('602', (call, pbx) => pbx.ring(call)),
  });
  pbx.refer(inside, '602');
  world.run(3000);
  assert.deepEqual(inside.referStatuses, [180]);
  assertSound(world, [phone, outside], [pbx, inside]);
  const ringing = pbx.calls.find((c) => c.number === '602')!;
  pbx.accept(ringing);
  world.until(() => inside.state === 'ended', 5000, 'the transfer');
  world.run(500);
  assertSound(world, [phone, outside], [pbx, ringing]);
  finish(world);
});

test('transfer to a busy number: the old call stands, who asked is told 486 (RFC 3515 2.4.5)', () => {
  const it = established({ pbx: except('602', (call, pbx) => pbx.reject(call, 486)) });
  const { world } = it;
  it.pbx.refer(it.inside, '602');
  world.run(3000);
  assert.deepEqual(it.inside.referStatuses, [486]);
  assert.equal(it.inside.state, 'connected');
  assertSound(world, [it.phone, it.outside], [it.pbx, it.inside]);
  // and it can be asked again
  it.pbx.refer(it.inside, '603');
  world.until(() => it.inside.state === 'ended', 5000, 'the second transfer');
  assert.deepEqual(it.inside.referStatuses, [486, 180, 200]);
  finish(world);
});

test('transfer to a number nobody answers: told within the time the asking side waits (Meta 4.1)', () => {
  const it = established({ pbx: except('602', (call, pbx) => pbx.ring(call)) });
  const { world } = it;
  it.pbx.refer(it.inside, '602');
  world.run(59_000);
  assert.deepEqual(it.inside.referStatuses, [180, 480]);
  assert.equal(it.inside.state, 'connected');
  assertSound(world, [it.phone, it.outside], [it.pbx, it.inside]);
  finish(world);
});

test('who asked hangs up at once: the transfer goes on without them (RFC 5589 6.1)', () => {
  for (let delay = 0; delay <= 140; delay += 7) {
    const { world, phone, pbx, outside, inside } = established({ seed: 40 + delay });
    pbx.refer(inside, '602');
    world.until(() => world.termination.counted('transfers/begun') === 1, 1000, 'the request');
    world.run(delay);
    pbx.end(inside);
    world.run(3000);
    const target = pbx.calls.find((c) => c.number === '602')!;
    assert.equal(outside.state, 'connected', `delay ${delay}`);
    assert.equal(target.state, 'connected', `delay ${delay}`);
    assertSound(world, [phone, outside], [pbx, target]);
    // The release of who asked may cross the gateway's own, once the transfer has been done.
    finish(world, { crossed: true });
  }
});

test('who asked hangs up and the new party is busy: the transferred party is released with its cause', () => {
  const busy = (call: SimCall, pbx: SimPeer): void => {
    pbx.ring(call);
    pbx.later(1000, () => pbx.reject(call, 486));
  };
  const it = established({ pbx: except('602', busy) });
  const { world } = it;
  it.pbx.refer(it.inside, '602');
  world.run(300);
  it.pbx.end(it.inside);
  world.run(300);
  assert.equal(it.outside.state, 'connected', 'while the new party rings');
  world.until(() => it.outside.state === 'ended', 3000, 'the end');
  assert.equal(it.outside.endCause, 17);
  finish(world);
});

test('the transferred party hangs up at any moment of a transfer: nothing is left', () => {
  for (let delay = 0; delay <= 160; delay += 5) {
    const { world, phone, pbx, outside, inside } = established({ seed: 300 + delay });
    pbx.refer(inside, '602');
    world.run(delay);
    phone.end(outside);
    world.run(3000);
    for (const call of pbx.calls) assert.equal(call.state, 'ended', `${call.number} at ${delay}`);
    finish(world);
  }
});

test('the new party hangs up at any moment: nothing is left', () => {
  for (let delay = 100; delay <= 130; delay += 2) {
    const fickle = (call: SimCall, pbx: SimPeer): void => {
      pbx.ring(call);
      pbx.later(100, () => pbx.accept(call));
      pbx.later(delay, () => pbx.end(call));
    };
    const it = established({ seed: 500 + delay, pbx: except('602', fickle) });
    const { world } = it;
    it.pbx.refer(it.inside, '602');
    world.run(5000);
    finish(world);
  }
});

test('the transferred party holds and resumes at any moment of a transfer: it is carried out all the same', () => {
  for (let delay = 90; delay <= 130; delay += 1) {
    const { world, phone, pbx, outside, inside } = established({ seed: 1100 + delay });
    pbx.refer(inside, '602');
    world.run(delay);
    phone.reinvite(outside, 'sendonly');
    world.run(8000);
    const target = pbx.calls.find((c) => c.number === '602')!;
    assert.equal(target.state, 'connected', `delay ${delay}`);
    assert.equal(inside.state, 'ended', `delay ${delay}`);
    assert.equal(outside.state, 'connected', `delay ${delay}`);
    phone.reinvite(outside, 'sendrecv');
    world.run(8000);
    assertSound(world, [phone, outside], [pbx, target]);
    finish(world);
  }
});

test('the transferred party refuses the new description: the old call stands, the new one is over', () => {
  const { world, phone, pbx, outside, inside } = established();
  phone.acceptModify = false;
  pbx.refer(inside, '602');
  world.run(5000);
  assert.equal(inside.referStatuses.at(-1)! >= 400, true);
  assert.equal(inside.state, 'connected');
  assert.equal(outside.state, 'connected');
  assert.equal(pbx.calls.find((c) => c.number === '602')!.state, 'ended');
  assertSound(world, [phone, outside], [pbx, inside]);
  finish(world);
});

test('the tunnel is cut at any moment of a transfer, for short and for long: nobody is left alone', () => {
  for (const ms of [3000, 60_000]) {
    for (let delay = 0; delay <= 160; delay += 10) {
      const { world, phone, pbx, outside, inside } = established({ seed: 700 + delay });
      pbx.refer(inside, '602');
      world.run(delay);
      world.cut(ms, delay % 20 === 0);
      world.run(ms + 10_000);
      const target = pbx.calls.find((c) => c.number === '602');
      const alive = [inside, target].filter((c) => c?.state === 'connected');
      if (outside.state === 'connected') {
        assert.equal(alive.length, 1, `one partner at ${delay}, cut ${ms}`);
        assertSound(world, [phone, outside], [pbx, alive[0]!]);
      } else assert.equal(alive.length, 0, `no partner at ${delay}, cut ${ms}`);
      finish(world, { crossed: true });
    }
  }
});

test('a transfer of a transferred call, and of a call on hold', () => {
  const { world, phone, pbx, outside, inside } = established();
  pbx.reinvite(inside, 'sendonly');
  world.run(1500);
  pbx.refer(inside, '602');
  world.until(() => inside.state === 'ended', 5000, 'the first transfer');
  world.run(500);
  const second = pbx.calls.find((c) => c.number === '602')!;
  assertSound(world, [phone, outside], [pbx, second]);
  phone.reinvite(outside, 'sendonly');
  world.run(1500);
  assert.equal(second.modifiesSeen, 1, 'hold crosses the new call');
  phone.reinvite(outside, 'sendrecv');
  world.run(1500);
  pbx.refer(second, '603');
  world.until(() => second.state === 'ended', 5000, 'the second transfer');
  world.run(500);
  const third = pbx.calls.find((c) => c.number === '603')!;
  assertSound(world, [phone, outside], [pbx, third]);
  assert.equal(outside.state, 'connected');
  finish(world);
});

test('extensions that transfer to each other without end: twenty times, then the caller stays where it is (Q.850 25)', () => {
  const { world, phone, pbx, outside, inside } = established();
  let current = inside;
  for (let i = 0; i < 25 && (current.referStatuses.at(-1) ?? 0) < 300; i++) {
    pbx.refer(current, `6${10 + i}`);
    world.run(1000);
    current = pbx.calls.find((c) => c.state === 'connected')!;
  }
  assert.equal(current.number, '629');
  assert.deepEqual(current.referStatuses, [483]);
  assert.equal(world.termination.counted('transfers/loop'), 1);
  assertSound(world, [phone, outside], [pbx, current]);
  finish(world);
});

test('dial rules decide whether the transferred party may be brought there', () => {
  const { world, pbx, inside } = established({
    termination: {
      routes: [
        route('no', 'peers', '00.', 'refuse:21'),
        route('in', 'peers', '*', 'tunnel:site-a'),
        route('none', 'tunnel', '00.', 'refuse:21'),
        route('out', 'tunnel', '*', 'peer:internet'),
      ],
    },
  });
  pbx.refer(inside, '0043555');
  world.run(2000);
  assert.deepEqual(inside.referStatuses, [403]);
  assert.equal(inside.state, 'connected');
  assert.equal(pbx.calls.length, 1);
  finish(world);
});

test('REFER from the Internet is refused as configured by default: nobody outside makes the enterprise call', () => {
  const { world, phone, outside, pbx } = established();
  phone.refer(outside, '0900123');
  world.run(2000);
  assert.deepEqual(outside.referStatuses, [403]);
  assert.equal(pbx.calls.length, 1);
  assert.equal(world.termination.counted('sipRefused/refer-not-permitted'), 1);
  finish(world);
});

test('a termination gateway that asks for transfers all the same: the relay gateway refuses by itself', () => {
  const { world, phone, outside, pbx } = established({
    termination: {
      peers: [peer('internet', '203.0.113.5', { sources: ['203.0.113.0/24'], mayTransfer: true })],
    },
  });
  phone.refer(outside, '602');
  world.run(2000);
  assert.deepEqual(outside.referStatuses, [403]);
  assert.equal(pbx.calls.length, 1);
  assert.equal(world.relay.counted('transfers/not-permitted'), 1);
  finish(world);
});

/** Both gateways let the phone outside ask for transfers; inner numbers are the PBX's. */
function open(): ReturnType<typeof established> {
  const outer: Partial<PeerConfig> = { sources: ['203.0.113.0/24'], mayTransfer: true };
  const inner = peer('pbx', '10.0.0.10', { trusted: true, transferable: true });
  return established({
    termination: { ...terminationConfig(), peers: [peer('internet', '203.0.113.5', outer)] },
    relay: {
      ...relayConfig(),
      peers: [inner],
      routes: [route('in', 'tunnel', '6.', 'peer:pbx'), route('out', 'peers', '0.', 'tunnel')],
    },
  });
}

test('target and transferred party at the same peer: the peer gets a REFER of our own making', () => {
  const { world, phone, pbx, outside, inside } = open();
  phone.refer(outside, '602');
  world.run(500);
  assert.deepEqual(inside.referredTo, ['602']);
  pbx.notify(inside, 180, false);
  world.run(500);
  pbx.notify(inside, 200, true);
  world.until(() => outside.state === 'ended' && inside.state === 'ended', 5000, 'both ends');
  assert.deepEqual(outside.referStatuses, [180, 200]);
  finish(world);
});

test('the peer that got our REFER says busy: the call stands; it hangs up after taking it: that was success', () => {
  const { world, phone, pbx, outside, inside } = open();
  phone.refer(outside, '602');
  world.run(500);
  pbx.notify(inside, 486, true);
  world.run(500);
  assert.deepEqual(outside.referStatuses, [486]);
  assertSound(world, [phone, outside], [pbx, inside]);
  phone.refer(outside, '603');
  world.run(500);
  pbx.end(inside);
  world.until(() => outside.state === 'ended', 5000, 'the end');
  assert.deepEqual(inside.referredTo, ['602', '603']);
  finish(world);
});

test('random transfers, ends and changes leave nothing', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const { world, phone, pbx, outside, inside } = established({
      seed: 9000 + seed,
      from: seed % 2 ? 'phone' : 'pbx',
    });
    const actions = [
      () => pbx.refer(inside, '602'),
      () => pbx.reinvite(inside, 'sendonly'),
      () => phone.reinvite(outside, 'sendrecv'),
      () => pbx.end(inside),
      () => phone.end(outside),
      () => world.cut(500, seed % 3 === 0),
      () => {
        const target = pbx.calls.find((c) => c.number === '602' && c.state === 'connected');
        if (target !== undefined) pbx.refer(target, '603');
      },
    ];
    pbx.refer(inside, '602');
    for (let step = 0; step < 4; step++) {
      world.run(world.random.below(120));
      actions[world.random.below(actions.length)]!();
    }
    world.run(20_000);
    finish(world, { crossed: true });
  }
});

for (const fastStart of [true, false]) {
  test(`a new party that speaks H.323, FastStart ${fastStart}: connected too (set-up without an offer)`, () => {
    const base = relayConfig();
    const h323 = { fastStart, tunnelling: true, earlyH245: false, keepConnection: false, aliases: [] };
    const { world, phone, pbx, outside, inside } = established({
      relay: {
        h323: {
          listeners: [{ name: 'cs', transport: 'tcp', address: { ip: '10.0.0.1', port: 1720 } }],
          h245Ports: [30_000, 30_999],
        },
        peers: [
          ...base.peers,
          peer('h323', '10.0.0.20', { protocol: 'h323', port: 1720, h323, trusted: true }),
        ],
        routes: [route('old', 'tunnel', '7.', 'peer:h323'), ...base.routes],
      },
      h323: {
        name: '700',
        address: { ip: '10.0.0.20', port: 1720 },
        gateway: { ip: '10.0.0.1', port: 1720 },
        mediaPort: 33_000,
      },
    });
    pbx.refer(inside, '700');
    world.until(() => inside.state === 'ended', 10_000, 'the transfer');
    world.run(1000);
    const [target] = world.h323Peers[0]!.calls;
    assert.deepEqual([target!.state, outside.state], ['connected', 'connected']);
    assert.equal(inside.referStatuses.at(-1), 200);
    const near = [...world.termination.openStreams.values()];
    const far = [...world.relay.openStreams.values()];
    assert.deepEqual([near.length, far.length], [1, 1]);
    assert.equal(near[0]!.stream, far[0]!.stream);
    assert.deepEqual([near[0]!.remote?.ip, far[0]!.remote?.ip], [phone.options.address.ip, '10.0.0.20']);
    phone.end(outside);
    world.until(() => target!.state === 'ended', 5000, 'the end');
    finish(world);
  });
}

/**
 * A PBX that asks for an attended transfer: its REFERs name a dialog of its own, and it takes an INVITE that replaces one (which the
 * endpoint that plays it does not know: the two headers are taken off).
 */
function attended(world: World) {
  const seen: { replaces: string | undefined; number: string }[] = [];
  const gw1 = formatAddress(ADDRESSES.gw1);
  const pass = (bytes: Uint8Array, from: Address): void =>
    world.input(world.relay, {
      kind: 'sip',
      input: { kind: 'datagram', listener: 'udp', remote: from, bytes },
    });
  world.raw.set(gw1, (text, from) => {
    const named = text.replace(
      /^Refer-To: <([^>]*)>/m,
      'Refer-To: <$1?Replaces=consult77%40pbx%3Bto-tag%3Dcc1%3Bfrom-tag%3Daa2>',
    );
    pass(Buffer.from(named, 'latin1'), from);
  });
  world.raw.set(formatAddress(ADDRESSES.pbx), (text, from) => {
    const replaces = /^Replaces: (.*)\r$/m.exec(text)?.[1];
    const number = /^INVITE sip:([^@]*)@/.exec(text)?.[1];
    if (number !== undefined && !/^To: .*;tag=/m.test(text)) seen.push({ replaces, number });
    const plain = text.replace(/^(Replaces|Require): .*\r\n/gm, '');
    const { pbx } = world;
    pbx.now = world.schedule.now;
    const bytes = Buffer.from(plain, 'latin1');
    pbx.endpoint.handle({ kind: 'datagram', listener: 'udp', remote: from, bytes }, pbx.now);
  });
  return seen;
}

test('attended: the call to the new party replaces the dialog that the PBX named; outside nothing is seen of it (RFC 5589 7)', () => {
  const { world, phone, pbx, outside, inside } = established();
  const seen = attended(world);
  pbx.refer(inside, '602');
  world.until(() => inside.state === 'ended', 10_000, 'the transfer');
  world.run(500);
  assert.deepEqual(seen, [{ number: '602', replaces: 'consult77@pbx;to-tag=cc1;from-tag=aa2' }]);
  assert.equal(inside.referStatuses.at(-1), 200);
  const target = pbx.calls.find((c) => c.number === '602')!;
  assertSound(world, [phone, outside], [pbx, target]);
  for (const { to, text } of world.delivered) {
    if (!to.ip.startsWith('10.')) assert.doesNotMatch(text, /consult77|cc1|aa2/);
  }
  const other = phone.call('603');
  world.until(() => other.state === 'connected', 5000, 'another call');
  assert.equal(seen.at(-1)!.replaces, undefined, 'other calls replace nothing');
  finish(world);
});

test('attended: a transferred party whose gateway makes another call first gets no dialog of the PBX replaced twice', () => {
  const { world, pbx, inside } = established();
  const seen = attended(world);
  pbx.refer(inside, '602');
  world.until(() => inside.state === 'ended', 10_000, 'the first transfer');
  world.run(500);
  const second = pbx.calls.find((c) => c.number === '602')!;
  pbx.refer(second, '603');
  world.until(() => second.state === 'ended', 10_000, 'the second transfer');
  assert.deepEqual(
    seen.map((s) => s.replaces !== undefined),
    [true, true],
  );
  finish(world);
});
