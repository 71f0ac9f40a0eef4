/** Whole calls between two endpoints in every way H.323 can set them up. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { H323Command } from './contract.ts';
import { audio, capabilities, IDLE, media, Net, Node, pair, party, setup } from './test-network.test.ts';
import { User } from './test-user.test.ts';

const CODECS = ['PCMA', 'PCMU', 'G722', 'G729', 'G723', 'GSM'] as const;

function proposal(node: Node, ...codecs: (typeof CODECS)[number][]) {
  return [
    {
      kind: 'audio' as const,
      capabilities: codecs.map((c) => audio(c)),
      direction: 'both' as const,
      local: media(node, 30_000),
    },
  ];
}

interface Manner {
  readonly fastStart: boolean;
  readonly taken: boolean;
  readonly tunnelling: readonly [alice: boolean, bob: boolean];
  readonly early: boolean;
  readonly codecs: readonly [
    alice: readonly (typeof CODECS)[number][],
    bob: readonly (typeof CODECS)[number][],
  ];
}

const LISTS: Manner['codecs'][] = [
  [['PCMA'], ['PCMA']],
  [
    ['PCMU', 'PCMA'],
    ['PCMA', 'PCMU'],
  ],
  [
    ['G729', 'PCMA'],
    ['G729', 'GSM'],
  ],
  [['G723'], ['PCMA', 'G723']],
  [['G722'], ['G722']],
  [['GSM'], ['GSM']],
];

function manners(): Manner[] {
  const out: Manner[] = [];
  for (const codecs of LISTS) {
    for (const tunnelling of [
      [true, true],
      [true, false],
      [false, true],
      [false, false],
    ] as const) {
      for (const early of [false, true]) {
        for (const [fastStart, taken] of [
          [true, true],
          [true, false],
          [false, false],
        ] as const)
          out.push({ codecs, tunnelling, early, fastStart, taken });
      }
    }
  }
  return out;
}

function start(manner: Manner, seed: number) {
  const { tunnelling, early, codecs, fastStart } = manner;
  const { net, alice, bob } = pair(seed, {
    bobPeer: { tunnelling: tunnelling[0], earlyH245: early, fastStart: true },
    alicePeer: { tunnelling: tunnelling[1], earlyH245: early, fastStart: true },
  });
  net.delay = [1, 30];
  const caller = new User(alice, capabilities(...codecs[0]));
  const callee = new User(bob, capabilities(...codecs[1]));
  callee.takeFastStart = manner.taken;
  alice.command(
    setup(2, 'bob', {
      capabilities: caller.caps,
      ...(fastStart ? { fastStart: proposal(alice, ...codecs[0]) } : {}),
    }),
  );
  return { net, alice, bob, caller, callee };
}

for (const manner of manners()) {
  const { fastStart, taken, tunnelling, early, codecs } = manner;
  const name = `${fastStart ? (taken ? 'FastStart' : 'FastStart refused') : 'slow start'}, tunnelling ${tunnelling.join('/')}, ${early ? 'early' : 'late'} H.245, ${codecs[0]} to ${codecs[1]}`;
  test(`a call connects with sound both ways and ends: ${name}`, () => {
    const { net, alice, bob, caller, callee } = start(manner, 7);
    net.run(3000);
    const [incoming] = bob.seen('incoming');
    assert.equal(incoming?.caller.number, '100');
    assert.equal(incoming?.callee.number, '200');
    assert.equal(incoming?.hops, 19);
    assert.equal(alice.seen('connected').length, 1);
    const a = caller.book(2);
    const b = callee.book(incoming.call);
    assert.ok(a.send?.remote !== undefined && b.send?.remote !== undefined, 'both send');
    assert.equal(a.send.remote.rtp.ip, bob.ip);
    assert.equal(b.send.remote.rtp.ip, alice.ip);
    assert.equal(a.send.capability.codec, b.receive?.capability.codec);
    assert.equal(b.send.capability.codec, a.receive?.capability.codec);
    assert.equal(
      a.send.capability.kind === 'audio' && a.send.capability.packetTime,
      codecs[0][0] === 'G723' ? 30 : 20,
    );
    assert.equal(alice.seen('fast-start-answered').length, taken ? 1 : 0);
    assert.equal(alice.seen('fast-start-refused').length, fastStart && !taken ? 1 : 0);
    // H.245 comes up in every case, once on each side, and they agree who is master.
    assert.equal(alice.seen('capabilities').length, 1);
    assert.equal(bob.seen('capabilities').length, 1);
    assert.notEqual(a.master, b.master);
    assert.equal(a.remote?.userInput.rfc4733PayloadType, 101);
    assert.deepEqual(
      a.remote?.media.map((c) => c.codec),
      codecs[1],
      'in the order of preference',
    );
    alice.command({ kind: 'user-input', call: 2, digit: '5', durationMs: 120 });
    net.run(500);
    assert.deepEqual(
      bob.seen('user-input').map((e) => [e.digit, e.durationMs]),
      [['5', 120]],
    );
    bob.command({ kind: 'release', call: incoming.call, cause: 16 });
    net.run();
    assert.deepEqual(
      alice.seen('released').map((e) => [e.call, e.by, e.cause]),
      [[2, 'far-end', 16]],
    );
    assert.deepEqual(
      bob.seen('released').map((e) => [e.by, e.cause]),
      [['local', 16]],
    );
    for (const node of [alice, bob]) {
      assert.deepEqual(node.endpoint.sizes, IDLE);
      assert.equal(node.endpoint.deadline(), undefined);
      assert.deepEqual(
        node.counts.filter((c) => c.reason !== 'fast-start-unknown'),
        [],
        'nothing refused',
      );
    }
    assert.equal(net.boundPorts, 0);
    assert.equal(net.openStreams, 0);
  });
}

for (const tunnelling of [true, false]) {
  test(`IPv6, ${tunnelling ? 'tunnelled' : 'separate'} H.245: addresses of call signalling, H.245 and media`, () => {
    const net = new Net(6);
    const [one, two] = ['2001:db8::1', '2001:db8::2'] as const;
    const more = { tunnelling, fastStart: true };
    const alice = new Node(net, { name: 'alice', ip: one, peers: [{ name: 'bob', host: two, ...more }] });
    const bob = new Node(net, { name: 'bob', ip: two, peers: [{ name: 'alice', host: one, ...more }] });
    const caller = new User(alice);
    const callee = new User(bob);
    alice.command(setup(2, 'bob', tunnelling ? { fastStart: proposal(alice, 'PCMA') } : {}));
    net.run(3000);
    assert.equal(caller.book(2).send?.remote?.rtp.ip, two);
    assert.equal(callee.book(1).send?.remote?.rtp.ip, one);
    assert.equal(caller.book(2).remote?.media.length, 2, 'H.245 is up');
    alice.command({ kind: 'release', call: 2, cause: 16 });
    net.run();
    assert.deepEqual(bob.endpoint.sizes, IDLE);
  });
}

test('tunnelling both ways opens one connection, separate H.245 two (H.323 8.2.1)', () => {
  for (const both of [true, false]) {
    const { net, alice, bob } = start(
      { fastStart: false, taken: false, tunnelling: [both, both], early: false, codecs: LISTS[0]! },
      3,
    );
    net.run(3000);
    assert.equal(alice.endpoint.sizes.connections, both ? 1 : 2);
    assert.equal(bob.endpoint.sizes.connections, both ? 1 : 2);
  }
});

const RELEASES: { state: string; give: H323Command[] }[] = [
  { state: 'untouched', give: [] },
  { state: 'proceeding', give: [{ kind: 'proceeding', call: 1 }] },
  { state: 'alerting', give: [{ kind: 'alerting', call: 1, inBand: true }] },
  { state: 'progress', give: [{ kind: 'progress', call: 1, inBand: true, cause: 1 }] },
  { state: 'connected', give: [{ kind: 'connect', call: 1 }] },
];

for (const { state, give } of RELEASES) {
  for (const by of ['caller', 'callee'] as const) {
    for (const tunnelling of [true, false]) {
      for (const wait of [0, 2, 7, 30, 3000]) {
        test(`release by the ${by} when ${state}, ${tunnelling ? 'tunnelled' : 'separate'}, after ${wait} ms: told once, all freed`, () => {
          const { net, alice, bob } = pair(5, { bobPeer: { tunnelling }, alicePeer: { tunnelling } });
          bob.on = (event) => {
            if (event.kind !== 'incoming') return;
            bob.command({ kind: 'capabilities', call: event.call, capabilities: capabilities('PCMA') });
            for (const command of give) bob.command(command);
          };
          alice.command(setup(2, 'bob'));
          net.run(30 + wait);
          if (by === 'caller') alice.command({ kind: 'release', call: 2, cause: 17 });
          else bob.command({ kind: 'release', call: 1, cause: 17 });
          net.run();
          const [a] = alice.seen('released');
          const [b] = bob.seen('released');
          assert.deepEqual([alice.seen('released').length, bob.seen('released').length], [1, 1]);
          assert.deepEqual([a?.cause, b?.cause], [17, 17]);
          assert.deepEqual([a?.by, b?.by], by === 'caller' ? ['local', 'far-end'] : ['far-end', 'local']);
          assert.equal((by === 'caller' ? b : a)?.reason, 'inConf');
          for (const node of [alice, bob]) assert.deepEqual(node.endpoint.sizes, IDLE);
          assert.equal(net.boundPorts + net.openStreams, 0);
        });
      }
    }
  }
}

test('parties cross with type, presentation, screening, name and display', () => {
  const { net, alice, bob } = pair();
  alice.command(
    setup(2, 'bob', {
      caller: party('49301234', {
        numberType: 'international',
        presentation: 'restricted',
        verified: true,
        name: 'Änne',
        display: 'Anne\u0000',
      }),
      callee: party('', { name: 'reception' }),
      redirecting: { number: '555' },
    }),
  );
  net.run(100);
  const [incoming] = bob.seen('incoming');
  assert.deepEqual(incoming?.caller, {
    number: '49301234',
    numberType: 'international',
    presentation: 'restricted',
    verified: true,
    name: 'Änne',
    display: 'Anne',
  });
  assert.equal(incoming?.callee.name, 'reception');
  assert.equal(incoming?.callee.number, '');
  assert.equal(incoming?.redirecting?.number, '555');
  bob.command({
    kind: 'connect',
    call: 1,
    connected: party('201', { presentation: 'restricted', display: 'Bob' }),
  });
  net.run(100);
  const [connected] = alice.seen('connected');
  assert.equal(connected?.connected?.number, '201');
  assert.equal(connected?.connected?.presentation, 'restricted');
  assert.equal(connected?.connected?.display, 'Bob');
});

test('H.323 8.4.6: hold is the empty capability set; the other side closes its channel, and opens anew on retrieve', () => {
  for (const tunnelling of [true, false]) {
    const { net, alice, bob, caller, callee } = start(
      { fastStart: true, taken: true, tunnelling: [tunnelling, tunnelling], early: false, codecs: LISTS[0]! },
      11,
    );
    net.run(3000);
    alice.command({ kind: 'hold', call: 2 });
    net.run(1000);
    assert.equal(bob.seen('far-hold').length, 1);
    assert.equal(callee.book(1).send, undefined);
    assert.equal(caller.book(2).receive, undefined, 'the far end closed what it sent');
    assert.notEqual(caller.book(2).send, undefined, 'we may still send: music');
    alice.command({ kind: 'retrieve', call: 2 });
    net.run(1000);
    assert.equal(bob.seen('far-retrieve').length, 1);
    assert.notEqual(callee.book(1).send, undefined);
    assert.notEqual(caller.book(2).receive, undefined);
    assert.equal(alice.seen('released').length + bob.seen('released').length, 0);
  }
});

test('request mode: asked, accepted and refused, and T.38 channels open in place of sound', () => {
  const { net, alice, bob, caller } = start(
    { fastStart: false, taken: false, tunnelling: [true, true], early: false, codecs: LISTS[0]! },
    2,
  );
  net.run(2000);
  const t38 = {
    kind: 'image',
    codec: 'T38',
    maxBitRate: 14_400,
    version: 0,
    rateManagement: 'transferredTCF',
    maxBuffer: 200,
    maxDatagram: 72,
    errorCorrection: 'redundancy',
  } as const;
  const both = { ...capabilities('PCMA'), media: [audio('PCMA'), t38] };
  alice.command({ kind: 'capabilities', call: 2, capabilities: both });
  bob.command({ kind: 'capabilities', call: 1, capabilities: both });
  net.run(500);
  assert.equal(bob.seen('capabilities').at(-1)?.capabilities.media.length, 2);
  bob.command({ kind: 'request-mode', call: 1, capability: t38 });
  net.run(500);
  assert.deepEqual(alice.seen('mode-asked')[0]?.capability, t38);
  assert.equal(bob.seen('mode-answered')[0]?.accepted, true);
  for (const [node, call] of [
    [alice, 2],
    [bob, 1],
  ] as const) {
    node.command({ kind: 'close-channel', call, media: 'audio', direction: 'send' });
    node.command({
      kind: 'open-channel',
      call,
      capability: t38,
      local: { rtp: { ip: node.ip, port: 31_000 } },
    });
  }
  net.run(500);
  assert.deepEqual(alice.seen('channel-opened').at(-1)?.channel.capability, t38);
  assert.deepEqual(bob.seen('channel-opened').at(-1)?.channel.capability, t38);
  assert.deepEqual(
    alice.seen('channel-closed').map((e) => e.direction),
    ['send', 'receive'],
  );
  // Without an answer of the user: refused after its time.
  const say = caller.event.bind(caller);
  alice.on = (event) => {
    if (event.kind !== 'mode-asked') say(event);
  };
  bob.command({ kind: 'request-mode', call: 1, capability: audio('PCMA') });
  net.run(10_000);
  assert.deepEqual(
    bob.seen('mode-answered').map((e) => e.accepted),
    [true, false],
  );
});

test('video is negotiated with its parameters, and pictures are refreshed', () => {
  const { net, alice, bob, callee } = start(
    { fastStart: false, taken: false, tunnelling: [false, false], early: false, codecs: LISTS[0]! },
    4,
  );
  net.run(2000);
  const h264 = {
    kind: 'video',
    codec: 'H264',
    maxBitRate: 512_000,
    profile: 64,
    level: 43,
    packetizationMode: 1,
  } as const;
  const h263 = { kind: 'video', codec: 'H263', maxBitRate: 256_000, cif: 1, qcif: 1 } as const;
  const both = { ...capabilities('PCMA'), media: [audio('PCMA'), h264, h263] };
  alice.command({ kind: 'capabilities', call: 2, capabilities: both });
  bob.command({ kind: 'capabilities', call: 1, capabilities: both });
  net.run(500);
  const remote = alice.seen('capabilities').at(-1)?.capabilities.media;
  assert.deepEqual(remote, [audio('PCMA'), h264, h263]);
  alice.command({
    kind: 'open-channel',
    call: 2,
    capability: h264,
    local: media(alice, 33_000),
    payloadType: 99,
  });
  net.run(500);
  const asked = bob.seen('channel-asked').at(-1)?.channel;
  assert.deepEqual(asked?.capability, h264);
  assert.equal(asked?.payloadType, 99);
  assert.deepEqual(asked?.remoteRtcp, { ip: alice.ip, port: 33_001 });
  assert.equal(alice.seen('channel-opened').at(-1)?.channel.payloadType, 99);
  assert.ok(callee.books.size > 0);
  bob.command({ kind: 'refresh-picture', call: 1 });
  net.run(500);
  assert.equal(alice.seen('refresh-picture').length, 1);
});

test('channels: rejected for cause, unanswered, closed from either side, and asked for closing', () => {
  const { net, alice, bob, callee } = start(
    { fastStart: false, taken: false, tunnelling: [true, true], early: false, codecs: LISTS[1]! },
    9,
  );
  let mood: 'codec' | 'silent' | 'accept' = 'codec';
  const say = callee.event.bind(callee);
  bob.on = (event) => {
    if (event.kind !== 'channel-asked' || mood === 'accept') return say(event);
    if (mood === 'codec')
      bob.command({ kind: 'reject-channel', call: event.call, media: 'audio', reason: 'conflict' });
  };
  net.run(2000);
  assert.equal(alice.seen('channel-rejected')[0]?.reason, 'conflict');
  mood = 'silent';
  alice.command({ kind: 'open-channel', call: 2, capability: audio('PCMU'), local: media(alice, 40_000) });
  net.run(30_000);
  assert.equal(alice.seen('channel-rejected').length, 2);
  mood = 'accept';
  alice.command({ kind: 'open-channel', call: 2, capability: audio('PCMU'), local: media(alice, 40_000) });
  net.run(500);
  assert.equal(alice.seen('channel-opened').length, 1);
  bob.command({ kind: 'close-channel', call: 1, media: 'audio', direction: 'receive' });
  net.run(500);
  assert.deepEqual(
    alice.seen('channel-closed').map((e) => e.direction),
    ['send'],
  );
  assert.deepEqual(
    bob.seen('channel-closed').map((e) => e.direction),
    ['receive'],
  );
  alice.command({ kind: 'open-channel', call: 2, capability: audio('G723'), local: media(alice, 40_000) });
  net.run(500);
  assert.equal(alice.seen('channel-rejected').at(-1)?.reason, 'codec', 'not what the far end can receive');
  alice.command({ kind: 'release', call: 2, cause: 16 });
  net.run();
  assert.deepEqual(alice.endpoint.sizes, IDLE);
});

test('Facility callForwarded before the answer ends the call with where to go, after it is told (H.323 8.4.5)', () => {
  const { net, alice, bob } = pair();
  alice.command(setup(2, 'bob'));
  net.run(100);
  bob.command({ kind: 'forward', call: 1, number: '333' });
  net.run(100);
  const [released] = alice.seen('released');
  assert.deepEqual([released?.by, released?.redirect?.number, released?.cause], ['far-end', '333', 23]);
  assert.equal(bob.seen('released')[0]?.reason, 'facilityCallDeflection');
  alice.command(setup(4, 'bob'));
  net.run(100);
  bob.command({ kind: 'connect', call: 3 });
  net.run(100);
  alice.command({ kind: 'forward', call: 4, number: '444' });
  net.run(100);
  assert.equal(bob.seen('transfer-asked')[0]?.target.number, '444');
  assert.equal(bob.seen('released').length, 1);
});

test('maintainConnection: the next call uses the same connection, two at once too', () => {
  const { net, alice, bob } = pair(1, {
    bobPeer: { keepConnection: true },
    alicePeer: { keepConnection: true },
  });
  new User(bob);
  new User(alice);
  for (const call of [2, 4]) alice.command(setup(call, 'bob'));
  net.run(2000);
  assert.equal(alice.seen('connected').length, 2);
  assert.equal(alice.endpoint.sizes.connections, 1);
  alice.command({ kind: 'release', call: 2, cause: 16 });
  alice.command({ kind: 'release', call: 4, cause: 16 });
  net.run(1000);
  assert.equal(bob.seen('released').length, 2);
  assert.equal(alice.endpoint.sizes.connections, 1, 'kept');
  alice.command(setup(6, 'bob'));
  net.run(1000);
  assert.equal(alice.seen('connected').length, 3);
  assert.equal(alice.endpoint.sizes.connections, 1);
  alice.command({ kind: 'release', call: 6, cause: 16 });
  net.run();
  assert.deepEqual(alice.endpoint.sizes, IDLE);
  assert.deepEqual(bob.endpoint.sizes, IDLE);
});

test('timers: no answer at all, no answer after CallProceeding, and the user that never answers', () => {
  const { net, alice, bob } = pair();
  const silent = net.peer('192.0.2.2', 1720);
  alice.command(setup(2, 'bob'));
  net.run(60_000);
  assert.ok(silent.received.length > 0);
  assert.deepEqual(
    alice.seen('released').map((e) => [e.by, e.cause]),
    [['timeout', 102]],
  );
  net.raw.clear();
  alice.command(setup(4, 'bob'));
  net.run(3000);
  assert.equal(alice.seen('proceeding').length, 1, 'the endpoint says CallProceeding by itself');
  net.run();
  assert.deepEqual(
    alice.seen('released').map((e) => [e.by, e.cause]),
    [
      ['timeout', 102],
      ['timeout', 102],
    ],
  );
  assert.equal(bob.seen('released').length, 1);
  alice.command(setup(6, 'bob'));
  bob.on = (event) => {
    if (event.kind === 'incoming') bob.command({ kind: 'alerting', call: event.call, inBand: false });
  };
  net.run();
  assert.deepEqual(alice.seen('released').at(-1)?.cause, 19);
  assert.deepEqual(alice.endpoint.sizes, IDLE);
  assert.deepEqual(bob.endpoint.sizes, IDLE);
});

test('a connection refused, cut in a call, and a busy table', () => {
  const { net, alice, bob } = pair(1, { alice: { limits: { calls: 1 } } });
  alice.command(setup(2, 'bob', { target: { ip: '192.0.2.9', port: 1720 } }));
  net.run();
  assert.deepEqual(
    alice.seen('released').map((e) => [e.by, e.cause]),
    [['transport', 27]],
  );
  new User(bob);
  alice.command(setup(4, 'bob'));
  alice.command(setup(6, 'bob'));
  assert.deepEqual(alice.seen('released').at(-1), { kind: 'released', call: 6, by: 'local', cause: 42 });
  net.run(1000);
  net.cutStreams();
  net.run();
  assert.deepEqual(
    alice.seen('released').map((e) => e.call),
    [2, 6, 4],
  );
  assert.deepEqual([bob.seen('released')[0]?.by, bob.seen('released')[0]?.cause], ['transport', 41]);
  assert.deepEqual(alice.endpoint.sizes, IDLE);
  assert.deepEqual(bob.endpoint.sizes, IDLE);
});

test('draining: incoming calls are refused with cause 42, calls in progress go on', () => {
  const { net, alice, bob } = pair();
  new User(bob);
  alice.command(setup(2, 'bob'));
  net.run(1000);
  bob.command({ kind: 'drain' });
  alice.command(setup(4, 'bob'));
  net.run(1000);
  assert.deepEqual(
    alice.seen('released').map((e) => [e.call, e.cause]),
    [[4, 42]],
  );
});

test('no port for H.245 at the called side: the caller offers its own (Facility startH245)', () => {
  const { net, alice, bob } = pair(1, { bobPeer: { tunnelling: false } });
  bob.noPorts = true;
  new User(alice);
  new User(bob);
  alice.command(setup(2, 'bob'));
  net.run(2000);
  assert.equal(alice.seen('channel-opened').length, 1);
  assert.equal(bob.seen('channel-opened').length, 1);
  assert.ok(alice.said('out Facility startH245') === 1);
});
