/** Illegal messages and hostile peers: the protocol's own answer, a count with its reason, bounded tables, and nothing thrown. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { toHex } from '../bytes/text.ts';
import { SeededRandom } from '../machine/seeded-random.test.ts';
import { toH225 } from './addresses.ts';
import type { H323UserInformation, SetupUUIE } from './asn1/h225-types.ts';
import { ENDPOINT_TYPE, H225_PROTOCOL } from './identity.ts';
import { decodeSignalling, encodeH245, encodeSignalling } from './messages.ts';
import type { Q931Message } from './q931.ts';
import { encodeQ931 } from './q931-encode.ts';
import {
  audio,
  capabilities,
  IDLE,
  media,
  Net,
  Node,
  type NodeOptions,
  pair,
  setup,
} from './test-network.test.ts';
import { User } from './test-user.test.ts';
import { TpktFramer, tpktPacket } from './tpkt.ts';

const PEER = { ip: '192.0.2.1', port: 40_001 };
const GUID = new Uint8Array(16).fill(7);

function scene(more: Partial<NodeOptions> = {}) {
  const net = new Net(1);
  const node = new Node(net, {
    name: 'node',
    ip: '192.0.2.2',
    peers: [{ name: 'pbx', host: PEER.ip, tunnelling: true }],
    ...more,
  });
  return { net, node };
}

const SETUP: SetupUUIE = {
  protocolIdentifier: H225_PROTOCOL,
  sourceInfo: ENDPOINT_TYPE,
  destinationAddress: [{ choice: 'dialledDigits', value: '200' }],
  activeMC: false,
  conferenceID: new Uint8Array(16).fill(9),
  conferenceGoal: { choice: 'create', value: null },
  callType: { choice: 'pointToPoint', value: null },
  callIdentifier: { guid: GUID },
};

type Pdu = H323UserInformation['h323UuPdu'];

function bytesOf(
  type: Q931Message['type'],
  body: Pdu['h323MessageBody'],
  more: { readonly q931?: Partial<Q931Message>; readonly pdu?: Partial<Pdu> } = {},
): Uint8Array {
  return encodeSignalling(
    { type, callReference: 5, fromDestination: false, ...more.q931 },
    { h323UuPdu: { h323MessageBody: body, h245Tunnelling: true, ...more.pdu } },
  );
}

function setupBytes(value: Partial<SetupUUIE> = {}, reference = 5, pdu: Partial<Pdu> = {}): Uint8Array {
  return bytesOf(
    'setup',
    { choice: 'setup', value: { ...SETUP, ...value } },
    { q931: { callReference: reference }, pdu },
  );
}

/** Types and causes of what a raw connection received. */
function answers(received: readonly Uint8Array[]): string[] {
  const framer = new TpktFramer();
  return received
    .flatMap((bytes) => framer.push(bytes))
    .map((payload) => {
      const decoded = decodeSignalling(payload);
      assert.ok(decoded.ok);
      const { type, cause } = decoded.value.q931;
      return cause === undefined ? type : `${type} ${cause.value}`;
    });
}

const ILLEGAL: readonly [name: string, payload: Uint8Array, answer: string[], counted: string][] = [
  ['PER that ends too early', cut(setupBytes(), 30), ['releaseComplete 111'], 'signalling-per-truncated'],
  [
    'no User-user element',
    encodeQ931({ type: 'setup', callReference: 5, fromDestination: false }),
    ['releaseComplete 96'],
    'no-user-user',
  ],
  [
    'another body than the message says',
    bytesOf('setup', { choice: 'empty', value: null }),
    ['releaseComplete 111'],
    'setup-contradiction',
  ],
  ['no called party', setupBytes({ destinationAddress: [] }), ['releaseComplete 28'], 'no-called-party'],
  [
    'a conference',
    setupBytes({ conferenceGoal: { choice: 'join', value: null } }),
    ['releaseComplete 79'],
    'conference-goal',
  ],
  ['global call reference', setupBytes({}, 0), [], 'global-call-reference'],
  ['no Q.931', Uint8Array.of(9, 2, 0, 5, 5, 9, 9), [], 'signalling-q931-discriminator'],
  [
    'an element longer than the message',
    Uint8Array.of(8, 2, 0, 5, 5, 0x6c, 200, 1),
    [],
    'signalling-q931-truncated',
  ],
  [
    'an answer to no call',
    bytesOf('connect', {
      choice: 'connect',
      value: {
        protocolIdentifier: H225_PROTOCOL,
        destinationInfo: ENDPOINT_TYPE,
        conferenceID: GUID,
        callIdentifier: { guid: GUID },
      },
    }),
    [],
    'no-call',
  ],
  [
    'a question about no call (Q.931 5.8.10)',
    bytesOf('statusInquiry', {
      choice: 'statusInquiry',
      value: { protocolIdentifier: H225_PROTOCOL, callIdentifier: { guid: GUID } },
    }),
    ['status 30'],
    '',
  ],
];

function cut(payload: Uint8Array, octets: number): Uint8Array {
  // The User-user length is corrected: only the PER is cut.
  const at = payload.indexOf(0x7e);
  const out = payload.slice(0, payload.length - octets);
  const length = out.length - at - 3;
  out[at + 1] = length >> 8;
  out[at + 2] = length & 255;
  return out;
}

for (const [name, payload, expected, counted] of ILLEGAL) {
  test(`refused: ${name}`, () => {
    const { net, node } = scene();
    const raw = net.connect(PEER, node);
    net.run(20);
    raw.send(tpktPacket(payload));
    net.run(20);
    assert.deepEqual(answers(raw.received), expected);
    if (counted !== '') assert.equal(node.counted(counted), 1, JSON.stringify(node.counts));
    assert.equal(node.events.length, 0);
    assert.equal(node.endpoint.sizes.calls, 0);
    raw.send(tpktPacket(setupBytes()));
    net.run(20);
    assert.equal(node.seen('incoming').length, 1, 'a good Setup after it is taken');
  });
}

test("a stranger is closed without a word; an H.245 port admits the call's own peer only", () => {
  const { net, node } = scene();
  const stranger = net.connect({ ip: '203.0.113.1', port: 1 }, node);
  net.run(50);
  assert.equal(stranger.open, false);
  assert.equal(stranger.received.length, 0);
  assert.equal(node.counted('unknown-source'), 1);
  new User(node);
  const raw = net.connect(PEER, node);
  raw.send(tpktPacket(setupBytes({}, 5, { h245Tunnelling: false })));
  net.run(50);
  assert.equal(net.boundPorts, 1);
  const thief = net.connect({ ip: '203.0.113.1', port: 2 }, node, 12_000);
  net.run(50);
  assert.equal(thief.open, false);
  assert.equal(node.counted('h245-source'), 1);
  const own = net.connect({ ip: PEER.ip, port: 3 }, node, 12_000);
  net.run(50);
  assert.equal(own.open, true);
  assert.ok(own.received.length > 0, 'H.245 begins');
});

test('H.245 is never dialled to an address the peer may not have (ATTACKS: h245Address aimed at third parties)', () => {
  const { net, node } = scene();
  new User(node);
  const victim = net.peer('198.51.100.9', 22);
  const raw = net.connect(PEER, node);
  const h245Address = toH225(victim.address);
  raw.send(tpktPacket(setupBytes({ h245Address }, 5, { h245Tunnelling: false })));
  net.run(100);
  raw.send(
    tpktPacket(
      bytesOf(
        'facility',
        {
          choice: 'facility',
          value: {
            protocolIdentifier: H225_PROTOCOL,
            reason: { choice: 'startH245', value: null },
            callIdentifier: { guid: GUID },
            h245Address,
          },
        },
        { pdu: { h245Tunnelling: false } },
      ),
    ),
  );
  net.run(5000);
  assert.equal(node.counted('h245-address'), 2);
  assert.equal(victim.received.length, 0);
  assert.equal(node.endpoint.sizes.connections, 1);
});

test('slow and idle connections are closed: no first message, half a message, nothing after a call', () => {
  const { net, node } = scene();
  const mute = net.connect(PEER, node);
  const slow = net.connect(PEER, node);
  slow.send(Uint8Array.of(3, 0, 1));
  for (let i = 0; i < 12; i++) {
    net.run(1000);
    slow.send(Uint8Array.of(0));
  }
  assert.equal(mute.open, false);
  assert.equal(slow.open, false, 'an octet a second is no progress');
  assert.equal(node.counted('message-timeout'), 2);
  net.run();
  assert.deepEqual(node.endpoint.sizes, IDLE);
});

test('contradictory and oversize lengths: TPKT faults close the connection', () => {
  for (const [bytes, reason] of [
    [Uint8Array.of(3, 0, 0, 3), 'tpkt-length'],
    [Uint8Array.of(3, 0, 0xff, 0xff), 'tpkt-limit'],
    [Uint8Array.of(0x47, 0x45, 0x54, 0x20), 'tpkt-version'],
  ] as const) {
    const { net, node } = scene();
    const raw = net.connect(PEER, node);
    raw.send(bytes);
    net.run(50);
    assert.equal(raw.open, false);
    assert.equal(node.counted(reason), 1, reason);
  }
});

test('one source cannot hold many connections or calls', () => {
  const { net, node } = scene({ limits: { connectionsPerSource: 3, callsPerSource: 4 } });
  const raws = Array.from({ length: 5 }, (_, i) => net.connect({ ip: PEER.ip, port: i + 1 }, node));
  net.run(50);
  assert.deepEqual(
    raws.map((r) => r.open),
    [true, true, true, false, false],
  );
  for (let reference = 1; reference <= 6; reference++) raws[0]!.send(tpktPacket(setupBytes({}, reference)));
  net.run(50);
  assert.equal(node.endpoint.sizes.calls, 4);
  assert.deepEqual(answers(raws[0]!.received), ['releaseComplete 42', 'releaseComplete 42']);
  assert.equal(node.counted('calls-per-source'), 2);
  for (const raw of raws) raw.close();
  net.run();
  assert.deepEqual(node.endpoint.sizes, IDLE);
});

test('a connection that sends nothing but rubbish is closed after a few messages', () => {
  const { net, node } = scene();
  const raw = net.connect(PEER, node);
  for (let i = 0; i < 8; i++) raw.send(tpktPacket(Uint8Array.of(8, 2, 0, 1, 0xee, 1)));
  net.run(100);
  assert.equal(raw.open, false);
  assert.equal(node.counted('signalling-q931-type'), 5);
});

test('messages of another call identifier, of another state, and tunnelled H.245 without agreement change nothing', () => {
  const { net, node } = scene();
  const raw = net.connect(PEER, node);
  raw.send(tpktPacket(setupBytes({}, 5, { h245Tunnelling: false })));
  net.run(50);
  node.command({ kind: 'connect', call: 1 });
  const release = (guid: Uint8Array): Uint8Array =>
    bytesOf('releaseComplete', {
      choice: 'releaseComplete',
      value: { protocolIdentifier: H225_PROTOCOL, callIdentifier: { guid } },
    });
  raw.send(tpktPacket(release(new Uint8Array(16).fill(1))));
  raw.send(tpktPacket(setupBytes()));
  const alerting = {
    protocolIdentifier: H225_PROTOCOL,
    destinationInfo: ENDPOINT_TYPE,
    callIdentifier: { guid: GUID },
  };
  const control = encodeH245({
    choice: 'request',
    value: { choice: 'roundTripDelayRequest', value: { sequenceNumber: 1 } },
  });
  raw.send(
    tpktPacket(
      bytesOf('alerting', { choice: 'alerting', value: alerting }, { pdu: { h245Control: [control] } }),
    ),
  );
  net.run(100);
  for (const reason of ['call-identifier', 'setup-repeated', 'wrong-state', 'tunnelled-not-agreed']) {
    assert.equal(node.counted(reason), 1, reason);
  }
  assert.equal(node.seen('released').length, 0);
  raw.send(tpktPacket(release(GUID)));
  net.run(100);
  assert.equal(node.seen('released').length, 1);
});

test('foreign things are counted and none of them leaves again', () => {
  const net = new Net(2);
  const node = new Node(net, {
    name: 'node',
    ip: '192.0.2.2',
    peers: [
      { name: 'pbx', host: PEER.ip },
      { name: 'next', host: '192.0.2.3' },
    ],
  });
  const next = net.peer('192.0.2.3', 1720);
  const raw = net.connect(PEER, node);
  const nonStandardData = {
    nonStandardIdentifier: { choice: 'object' as const, value: '1.2.3' },
    data: Uint8Array.of(0xde, 0xad, 0xbe, 0xef),
  };
  raw.send(
    tpktPacket(
      setupBytes({ callIdentifier: { guid: GUID } }, 5, {
        nonStandardData,
        genericData: [{ id: { choice: 'standard', value: 1 } }],
        h4501SupplementaryService: [Uint8Array.of(255, 2)],
      }),
    ),
  );
  net.run(50);
  for (const reason of ['non-standard', 'generic-data', 'supplementary-undecodable']) {
    assert.equal(node.counted(reason), 1, reason);
  }
  const [incoming] = node.seen('incoming');
  node.command(setup(2, 'next', { caller: incoming!.caller, callee: incoming!.callee }));
  net.run(50);
  const sent = next.received.map((bytes) => toHex(bytes)).join('');
  assert.ok(sent.length > 50);
  for (const foreign of [GUID, SETUP.conferenceID, nonStandardData.data]) {
    assert.equal(sent.includes(toHex(foreign)), false);
  }
});

test('a FastStart caller gets our capability set after the answer only; one that opens a channel before has given FastStart up', () => {
  for (const early of [false, true]) {
    const { net, node } = scene();
    const caller = scene({ ip: PEER.ip, name: 'caller', peers: [{ name: 'node', host: '192.0.2.2' }] });
    // A Setup with FastStart of our own making.
    const local = media(caller.node, 7000);
    const target = caller.net.peer('192.0.2.2', 1720);
    caller.node.command(
      setup(2, 'node', {
        fastStart: [{ kind: 'audio', capabilities: [audio('PCMA')], direction: 'both', local }],
      }),
    );
    caller.net.run(50);
    const framer = new TpktFramer();
    const [first] = target.received.flatMap((bytes) => framer.push(bytes));
    const decoded = decodeSignalling(first!);
    assert.ok(decoded.ok && decoded.value.uuie !== undefined);
    const { callReference } = decoded.value.q931;
    const body = decoded.value.uuie.h323UuPdu.h323MessageBody;
    assert.ok(body.choice === 'setup');
    const callIdentifier = body.value.callIdentifier!;
    const raw = net.connect(PEER, node);
    raw.send(tpktPacket(first!));
    net.run(50);
    const call = node.seen('incoming')[0]!;
    const offer = call.fastStart[0]!;
    node.command({ kind: 'capabilities', call: call.call, capabilities: capabilities('PCMA') });
    node.command({ kind: 'alerting', call: call.call, inBand: false });
    const tunnel = (message: Parameters<typeof encodeH245>[0]): void => {
      const value = {
        protocolIdentifier: H225_PROTOCOL,
        reason: { choice: 'transportedInformation' as const, value: null },
        callIdentifier,
      };
      raw.send(
        tpktPacket(
          bytesOf(
            'facility',
            { choice: 'facility', value },
            { q931: { callReference }, pdu: { h245Control: [encodeH245(message)] } },
          ),
        ),
      );
      net.run(50);
    };
    tunnel({
      choice: 'request',
      value: {
        choice: 'masterSlaveDetermination',
        value: { terminalType: 50, statusDeterminationNumber: 9 },
      },
    });
    assert.equal(node.said('out H.245 masterSlaveDeterminationAck'), 1);
    assert.equal(node.said('out H.245 terminalCapabilitySet'), 0);
    if (early) {
      tunnel({
        choice: 'request',
        value: {
          choice: 'openLogicalChannel',
          value: {
            forwardLogicalChannelNumber: 3,
            forwardLogicalChannelParameters: {
              dataType: { choice: 'audioData', value: { choice: 'g711Alaw64k', value: 20 } },
              multiplexParameters: {
                choice: 'h2250LogicalChannelParameters',
                value: { sessionID: 1 },
              },
            },
          },
        },
      });
    }
    assert.equal(node.seen('fast-start-refused').length, early ? 1 : 0);
    assert.equal(node.seen('channel-asked').length, early ? 1 : 0);
    // A minute of ringing is no reason to give H.245 up.
    net.run(60_000);
    const capability = offer.send[0]!.capability;
    node.command({
      kind: 'connect',
      call: call.call,
      fastStart: [{ kind: 'audio', send: capability, receive: capability, local: media(node, 8000) }],
    });
    net.run(50);
    const connect = node.lines.findIndex((l) => l.startsWith('out Connect'));
    assert.equal(node.lines[connect], early ? 'out Connect' : 'out Connect fastStart(2)');
    assert.ok(node.lines.indexOf('out H.245 terminalCapabilitySet') > connect);
    assert.equal(node.counted('h245-timeout'), 0);
    node.command({ kind: 'release', call: call.call, cause: 16 });
    net.run();
    assert.deepEqual(node.endpoint.sizes, IDLE);
  }
});

/** Everything both sides of some calls sent over TCP, as one side received it. */
function recorded(): Uint8Array[] {
  const out: Uint8Array[] = [];
  for (const tunnelling of [true, false]) {
    const { net, alice, bob } = pair(8, { alicePeer: { tunnelling }, bobPeer: { tunnelling } });
    new User(alice);
    new User(bob);
    const input = bob.input.bind(bob);
    const framer = new Map<number, TpktFramer>();
    bob.input = (what): void => {
      if (what.kind === 'stream-data') {
        const mine = framer.get(what.connection) ?? new TpktFramer();
        framer.set(what.connection, mine);
        out.push(...mine.push(what.bytes).map((p) => p.slice()));
      }
      input(what);
    };
    const local = media(alice, 7000);
    const fastStart = [
      { kind: 'audio' as const, capabilities: [audio('PCMA')], direction: 'both' as const, local },
    ];
    alice.command(setup(2, 'bob', tunnelling ? { fastStart } : {}));
    net.run(2000);
    alice.command({ kind: 'user-input', call: 2, digit: '1', durationMs: 100 });
    alice.command({ kind: 'hold', call: 2 });
    net.run(100);
    alice.command({ kind: 'retrieve', call: 2 });
    net.run(100);
    alice.command({ kind: 'release', call: 2, cause: 16 });
    net.run();
  }
  return out;
}

test('fuzz: messages of a call mutated, repeated and out of order never throw, and leave nothing behind', () => {
  const corpus = recorded();
  assert.ok(corpus.length > 15);
  fc.assert(
    fc.property(
      fc.integer(),
      fc.array(
        fc.record({
          which: fc.nat(corpus.length - 1),
          flips: fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 4 }),
          cut: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(60) }),
        }),
        { minLength: 1, maxLength: 25 },
      ),
      fc.boolean(),
      (seed, story, begin) => {
        const net = new Net(seed);
        const node = new Node(net, {
          name: 'node',
          ip: '192.0.2.2',
          peers: [{ name: 'pbx', host: PEER.ip, tunnelling: new SeededRandom(seed).uint32() % 2 === 0 }],
        });
        new User(node, capabilities('PCMA', 'PCMU'));
        const raw = net.connect(PEER, node);
        let control: ReturnType<Net['connect']> | undefined;
        if (begin) raw.send(tpktPacket(corpus[0]!));
        net.run(20);
        for (const { which, flips, cut: octets } of story) {
          const payload = corpus[which]!.slice(0, Math.max(1, corpus[which]!.length - octets));
          for (const [at, value] of flips) payload[at % payload.length] = value;
          if (net.boundPorts > 0 && control === undefined) control = net.connect(PEER, node, 12_000);
          (payload[0] === 8 || control === undefined ? raw : control).send(tpktPacket(payload));
          net.run(20);
        }
        raw.close();
        control?.close();
        net.run();
        const calls = node.seen('incoming').map((e) => e.call);
        assert.deepEqual(
          node
            .seen('released')
            .map((e) => e.call)
            .sort(),
          calls.sort(),
        );
        assert.deepEqual(node.endpoint.sizes, IDLE);
        assert.equal(net.boundPorts, 0);
      },
    ),
    { numRuns: 300 },
  );
});
