/** Fax by T.38 between SIP peers (through H.323: h323-fax.test.ts): the switch from speech and back, its refusal, and what the records say (RFC 3264 8.3, T.38 D.2). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { assertSound, connect, finish } from './check.ts';
import { peer, relayConfig, terminationConfig } from './sim-config.ts';
import type { SimGateway } from './sim-gateway.ts';
import { FAX_ATTRIBUTES, type FaxPlace, faxPort, type SimCall, type SimPeer } from './sim-peer.ts';
import { CLEAN, LOSSY, World, type WorldOptions } from './world.ts';

type SideName = 'phone' | 'pbx';
const OTHER = { phone: 'pbx', pbx: 'phone' } as const;

const usual = terminationConfig();
const media = { ...usual.media, codecs: [...usual.media.codecs, 'T38' as const] };
const inner = { ...relayConfig().media, codecs: media.codecs };
const FAX: WorldOptions = { termination: { media }, relay: { media: inner } };

function established(options: WorldOptions = FAX) {
  const world = new World(options).start();
  const [call, taken] = connect(world, world.phone, world.pbx, '601');
  const calls: Record<SideName, SimCall> = { phone: call, pbx: taken };
  return { world, calls };
}

/** Both gateways have one stream, a fax, between what the two peers were told and where they are. */
function assertFax(
  world: World,
  outside: readonly [SimPeer, SimCall],
  inside: readonly [SimPeer, SimCall],
): void {
  const leg = (gateway: SimGateway, [who, call]: readonly [SimPeer, SimCall]) => {
    const streams = [...gateway.openStreams.values()];
    assert.equal(streams.length, 1, `${gateway.name}: the fax and nothing else`);
    const [stream] = streams;
    assert.equal(stream!.kind, 'image');
    assert.equal(stream!.local.port, faxPort(call.remoteSdp), `${who.options.name} was told the port`);
    assert.deepEqual(stream!.remote, { ip: who.options.address.ip, port: who.mediaPort(call) });
    assert.equal(stream!.direction, 'sendrecv');
    const [format] = stream!.formats;
    assert.equal(format!.udptl!.maxDatagramOut, 238, 'no more than the peer takes');
    assert.equal(format!.udptl!.redundancy, 3);
    return stream!;
  };
  assert.equal(leg(world.termination, outside).stream, leg(world.relay, inside).stream);
}

for (const place of ['instead', 'beside'] as const) {
  for (const from of ['phone', 'pbx'] as const) {
    test(`${from} makes a fax of the call, ${place === 'instead' ? 'in the place of the sound' : 'in a line beside it'}, and speech again`, () => {
      const { world, calls } = established();
      const other = OTHER[from];
      world[from].refax(calls[from], place);
      world.run(1500);
      assert.equal(calls[from].modifyAccepted, 1);
      assertFax(world, [world.phone, calls.phone], [world.pbx, calls.pbx]);
      const told = calls[other].remoteSdp.split('\r\n');
      assert.deepEqual(
        told.filter((line) => line.startsWith('a=T38')),
        FAX_ATTRIBUTES,
        'every attribute, as the standard writes it',
      );
      assert.ok(!told.some((line) => line.startsWith('a=sendrecv') && place === 'instead'));
      world[from].refax(calls[from], undefined);
      world.run(1500);
      assert.equal(calls[from].modifyAccepted, 2);
      assertSound(world, [world.phone, calls.phone], [world.pbx, calls.pbx]);
      finish(world);
      for (const gateway of [world.termination, world.relay]) {
        const streams = gateway.cdrs[0]!.streams.map((s) => [s.index, s.kind, s.codec]);
        assert.deepEqual(
          streams,
          place === 'instead'
            ? [[0, 'audio', 'PCMU+T38']]
            : [
                [0, 'audio', 'PCMU'],
                [1, 'image', 'T38'],
              ],
        );
      }
      assert.deepEqual(
        [world.termination.counted('faxes/originator'), world.relay.counted('faxes/terminator')],
        [1, 1],
      );
    });
  }
}

test('a fax from the first INVITE on', () => {
  const world = new World(FAX).start();
  const call = world.phone.call('601', { fax: 'instead' });
  world.until(() => call.state === 'connected', 10_000, 'connect');
  world.run(200);
  assertFax(world, [world.phone, call], [world.pbx, world.pbx.calls[0]!]);
  finish(world);
  assert.deepEqual(
    world.relay.cdrs[0]!.streams.map((s) => [s.kind, s.codec]),
    [['image', 'T38']],
  );
});

for (const [what, options] of [
  ['of all', {}],
  [
    'of the peer outside',
    {
      ...FAX,
      termination: {
        media,
        peers: [peer('internet', '203.0.113.5', { sources: ['203.0.113.0/24'], fax: false })],
      },
    },
  ],
  [
    'of the PBX',
    { ...FAX, relay: { media: inner, peers: relayConfig().peers.map((p) => ({ ...p, fax: false })) } },
  ],
] as const) {
  test(`no fax by the configuration ${what}: 488, and the call goes on as it was`, () => {
    const { world, calls } = established(options);
    for (const from of ['phone', 'pbx'] as const) {
      world[from].refax(calls[from], 'instead');
      world.run(1500);
      assert.equal(calls[from].modifyRefused, 1, `${from} is told no`);
      assert.equal(faxPort(calls[OTHER[from]].remoteSdp), 0, 'nobody was asked');
      assert.deepEqual([calls.phone.state, calls.pbx.state], ['connected', 'connected']);
      assertSound(world, [world.phone, calls.phone], [world.pbx, calls.pbx]);
      calls[from].fax = undefined;
    }
    assert.equal(world.relay.counted('faxes/terminator'), 0);
    finish(world);
  });
}

test('a peer alone may have fax where the others have none', () => {
  const peers = [peer('internet', '203.0.113.5', { sources: ['203.0.113.0/24'], fax: true })];
  const { world, calls } = established({ termination: { peers }, relay: { media: inner } });
  world.pbx.refax(calls.pbx, 'instead');
  world.run(1500);
  assertFax(world, [world.phone, calls.phone], [world.pbx, calls.pbx]);
  finish(world);
});

test('the other peer takes no fax: its 488 arrives, and the call goes on as it was', () => {
  const { world, calls } = established();
  world.pbx.takesFax = false;
  world.phone.refax(calls.phone, 'instead');
  world.run(1500);
  assert.equal(calls.phone.modifyRefused, 1);
  calls.phone.fax = undefined;
  assert.deepEqual(
    [...world.relay.openStreams.values()].map((s) => s.kind),
    ['audio'],
  );
  for (const direction of ['sendonly', 'sendrecv']) {
    world.phone.reinvite(calls.phone, direction);
    world.run(1500);
  }
  assertSound(world, [world.phone, calls.phone], [world.pbx, calls.pbx]);
  finish(world);
});

test('a peer that takes the fax and describes speech: refused with 488, it is told what stands, and the call goes on', () => {
  const { world, calls } = established();
  world.pbx.takesFax = 'as-speech';
  const { modifiesSeen } = calls.pbx;
  world.phone.refax(calls.phone, 'instead');
  world.run(3000);
  assert.equal(calls.phone.modifyRefused, 1);
  assert.equal(calls.pbx.modifiesSeen, modifiesSeen + 2, 'the fax, and the speech again');
  assert.equal(faxPort(calls.pbx.remoteSdp), 0);
  calls.phone.fax = undefined;
  assert.deepEqual([calls.phone.state, calls.pbx.state], ['connected', 'connected']);
  assertSound(world, [world.phone, calls.phone], [world.pbx, calls.pbx]);
  finish(world);
});

test('a peer whose every answer to a change is no answer: its call ends', () => {
  const { world, calls } = established();
  world.pbx.takesFax = 'never-answers';
  world.phone.refax(calls.phone, 'instead');
  world.run(3000);
  assert.deepEqual([calls.phone.state, calls.pbx.state], ['ended', 'ended']);
  finish(world);
});

test('both want the fax at once: one wins, and it is one (RFC 3261 14.1)', () => {
  const { world, calls } = established();
  world.phone.refax(calls.phone, 'instead');
  world.pbx.refax(calls.pbx, 'instead');
  world.run(6000);
  assert.equal([...world.termination.openStreams.values()].map((s) => s.kind).join(), 'image');
  assertFax(world, [world.phone, calls.phone], [world.pbx, calls.pbx]);
  finish(world);
});

test('a page is one way for minutes: no silence; nothing either way is one', () => {
  const { world, calls } = established();
  world.phone.refax(calls.phone, 'instead');
  world.run(1500);
  let packetsIn = 0;
  const second = (more: number): void => {
    packetsIn += more;
    const streams = [...world.termination.openStreams.values()].map(({ session, stream }) => ({
      ...world.termination.counters(session, stream),
      packetsIn,
    }));
    world.input(world.termination, {
      kind: 'plane',
      shard: 0,
      event: { kind: 'counters', streams, lanes: [] },
    });
    world.run(1000);
  };
  for (let i = 0; i < 600; i++) second(33);
  assert.equal(calls.phone.state, 'connected');
  for (let i = 0; i < 310; i++) second(0);
  assert.equal(calls.phone.state, 'ended');
  assert.equal(world.termination.counted('mediaRefused/silence-released'), 1);
  finish(world);
});

test('whatever the two ask of each other and when, over whatever network: speech or fax, the same at both gateways', () => {
  let faxes = 0;
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_000_000 }),
      fc.constantFrom(CLEAN, CLEAN, LOSSY),
      fc.array(
        fc.record({
          from: fc.constantFrom<SideName>('phone', 'pbx'),
          place: fc.constantFrom<(FaxPlace | undefined)[]>('instead', 'beside', undefined),
          takes: fc.constantFrom(true, true, true, false),
          wait: fc.oneof(fc.nat(20), fc.nat(400), fc.nat(5000)),
        }),
        { minLength: 1, maxLength: 8 },
      ),
      (seed, network, steps) => {
        const { world, calls } = established({ ...FAX, seed });
        world.network = network;
        for (const { from, place, takes, wait } of steps) {
          world[OTHER[from]].takesFax = takes;
          world[from].refax(calls[from], place);
          world.run(wait);
        }
        world.network = CLEAN;
        world.run(40_000);
        assert.deepEqual([calls.phone.state, calls.pbx.state], ['connected', 'connected'], `seed ${seed}`);
        const kinds = [world.termination, world.relay].map((g) =>
          [...g.openStreams.values()].map((s) => `${s.stream} ${s.kind} ${s.direction}`).sort(),
        );
        assert.deepEqual(kinds[0], kinds[1], `seed ${seed}`);
        faxes += world.relay.counted('faxes/terminator');
        finish(world);
      },
    ),
    { numRuns: 150 },
  );
  assert.ok(faxes > 50, `${faxes} faxes`);
});
