/** RAS: our client against our gatekeeper, against scripted gatekeepers, and H.235.1 against a real peer's message. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import { fromHex } from '../../bytes/text.ts';
import { SeededRandom } from '../../machine/seeded-random.test.ts';
import { systemCrypto } from '../../net/providers.ts';
import { toH225 } from '../addresses.ts';
import type { RasMessage } from '../asn1/h225-types.ts';
import type { H323Decisions } from '../contract.ts';
import { Core } from '../core.ts';
import { decodeRas, encodeRas } from '../messages.ts';
import type { H323GatekeeperAccess } from '../peer-contract.ts';
import { IDLE, LIMITS, Net, Node, type NodeOptions, party, setup, WALL } from '../test-network.test.ts';
import { User } from '../test-user.test.ts';
import { ReplayWindow, signed, verify } from './security.ts';

const GATEKEEPER = '192.0.2.10';
const TERMINAL = '192.0.2.20';

function access(more: Partial<H323GatekeeperAccess> = {}): H323GatekeeperAccess {
  return { host: GATEKEEPER, aliases: [{ kind: 'number', number: '200' }], ...more };
}

/** `gk` is a gateway with our gatekeeper, `terminal` a gateway that registers there. */
function scene(
  options: {
    readonly access?: Partial<H323GatekeeperAccess>;
    readonly decisions?: Partial<H323Decisions>;
    readonly limits?: NodeOptions['limits'];
  } = {},
) {
  const net = new Net(3);
  const gk = new Node(net, {
    name: 'gk',
    ip: GATEKEEPER,
    peers: [{ name: 'terminals', host: TERMINAL }],
    gatekeeper: {},
    decisions: { terminal: () => 'open', ...options.decisions },
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  });
  const terminal = new Node(net, {
    name: 'terminal',
    ip: TERMINAL,
    peers: [{ name: 'pbx', host: GATEKEEPER, gatekeeper: access(options.access) }],
  });
  return { net, gk, terminal };
}

test('discovery, registration, keep-alive for as long as it lives, unregistration', () => {
  const { net, gk, terminal } = scene();
  net.run(100);
  assert.deepEqual(
    terminal.seen('registration').map((e) => e.state),
    ['registered'],
  );
  const [registered] = gk.seen('terminal-registered');
  assert.equal(registered?.account, '200');
  assert.deepEqual(registered?.address, { ip: TERMINAL, port: 1720 });
  assert.equal(registered?.expiresSeconds, 120);
  net.run(600_000);
  assert.equal(gk.endpoint.sizes.terminals, 1, 'kept alive');
  assert.equal(terminal.seen('registration').length, 1);
  assert.ok(terminal.said('out RAS registrationRequest') > 5);
  terminal.command({ kind: 'unregister' });
  net.run();
  assert.deepEqual(
    gk.seen('terminal-unregistered').map((e) => e.account),
    ['200'],
  );
  assert.deepEqual(gk.endpoint.sizes, IDLE);
  assert.deepEqual(terminal.endpoint.sizes, IDLE);
});

test('a terminal that falls silent expires; one whose gatekeeper forgot it registers anew', () => {
  const { net, gk, terminal } = scene();
  net.run(100);
  gk.configure(); // no gatekeeper any more
  assert.equal(gk.endpoint.sizes.terminals, 0);
  net.run(200_000);
  assert.equal(terminal.seen('registration').at(-1)?.state, 'failed');
  gk.configure({});
  net.run(120_000);
  assert.equal(terminal.seen('registration').at(-1)?.state, 'registered');
  net.loss = 1;
  net.run(600_000);
  assert.deepEqual(
    gk.seen('terminal-unregistered').map((e) => e.account),
    ['200', '200'],
  );
});

test('calls through the gatekeeper: admitted both ways, routed, disengaged', () => {
  const { net, gk, terminal } = scene();
  net.run(100);
  new User(gk);
  new User(terminal);
  terminal.command(setup(2, 'pbx', { callee: party('300') }));
  net.run(2000);
  assert.equal(terminal.seen('connected').length, 1);
  const [incoming] = gk.seen('incoming');
  assert.deepEqual([incoming?.peer, incoming?.account], ['terminals', '200']);
  assert.equal(terminal.said('in RAS admissionConfirm'), 1);
  terminal.command({ kind: 'release', call: 2, cause: 16 });
  net.run(2000);
  assert.equal(terminal.said('in RAS disengageConfirm'), 1);
  // The other way: the terminal asks before it takes the call.
  const address = gk.seen('terminal-registered')[0]!.address;
  gk.command(setup(2, 'terminals', { target: address, callee: party('200') }));
  net.run(2000);
  assert.equal(gk.seen('connected').length, 1);
  assert.equal(terminal.said('out RAS admissionRequest'), 2);
  gk.command({ kind: 'release', call: 2, cause: 16 });
  net.run(2000);
  assert.equal(terminal.said('in RAS disengageConfirm'), 2);
  assert.equal(terminal.endpoint.sizes.calls + gk.endpoint.sizes.calls, 0);
});

test('H.235.1: the right password registers and calls; a wrong one, none, and an unknown alias are told the same', () => {
  const terminal = (alias: string) => (alias === '200' ? { password: 'secret' } : undefined);
  const good = scene({ access: { password: { user: '200', password: 'secret' } }, decisions: { terminal } });
  good.net.run(100);
  assert.equal(good.terminal.seen('registration')[0]?.state, 'registered');
  new User(good.gk);
  good.terminal.command(setup(2, 'pbx'));
  good.net.run(2000);
  assert.equal(good.terminal.seen('connected').length, 1, 'admission proves itself too');
  assert.deepEqual(good.gk.counts, []);
  assert.deepEqual(good.terminal.counts, []);
  const reasons = [
    { password: { user: '200', password: 'Secret' } },
    { password: { user: '201', password: 'secret' } },
    {},
    {
      aliases: [
        { kind: 'number', number: '200' },
        { kind: 'number', number: '777' },
      ],
    },
  ].map((more) => {
    const bad = scene({ access: more as Partial<H323GatekeeperAccess>, decisions: { terminal } });
    bad.net.run(30);
    assert.equal(bad.gk.endpoint.sizes.terminals, 0);
    assert.equal(bad.terminal.said('in RAS registrationReject securityDenial'), 1);
    return bad.terminal.seen('registration')[0]?.reason;
  });
  assert.deepEqual(new Set(reasons), new Set(['securityDenial']));
});

test('H.235.1: the message of a real peer (H323Plus) verifies with its password, and with no other', () => {
  const bytes = fromHex(
    '0ec03e9f060008914a00078001007f00001f06b801007f00000ad6fd22c00900003d1048333233506c75732073696d706c6500001a312e32382e30202848333233706c75732076312e32382e302900000001400300730069006d00700c0067006b002d0074006500730074600900003d1048333233506c75732073696d706c6500001a312e32382e30202848333233706c75732076312e32382e302900002eeb192202003b31014d000a2a864886f70c0a010201c06b028bc8105aadd3e520539f16e1f1a53fa71d60b601260800730069006d007000007a0274070008816b000201c500070008816b000205c06b028bc804452396c60c0067006b002d00740065007300740280090600730069006d0070070008816b000206006066c457c1ae79edcf559863c2040300730069006d0070c06b028bc8082a864886f70d020500808022ad27a571bd677c0be5758da9552e9e0100018001000100027000013016100200001240001700024000011d0000021d0000071c0100',
  )!;
  const core = new Core({
    random: new SeededRandom(1),
    crypto: systemCrypto,
    wall: () => 1_795_328_990_000,
    decisions: {} as H323Decisions,
    limits: LIMITS,
  });
  const decoded = decodeRas(bytes);
  assert.ok(decoded.ok);
  const { message } = decoded.value;
  const check = (password: string, window = new ReplayWindow(), generalID = ['gk-test'], what = bytes) =>
    verify(core, what, message, { password, window, generalID });
  const window = new ReplayWindow();
  assert.equal(check('secret', window), 'good');
  assert.equal(check('secret', window), 'replay');
  assert.equal(check('Secret'), 'wrong');
  assert.equal(check('secret', undefined, ['other']), 'wrong');
  const touched = bytes.slice();
  touched[20]! ^= 1;
  assert.equal(check('secret', undefined, undefined, touched), 'wrong');
  // As a socket gives it: what is decoded may be views into the datagram, which must stay what it is.
  const datagram = Buffer.from(bytes);
  const viewed = decodeRas(datagram);
  assert.ok(viewed.ok);
  const fresh = { password: 'secret', window: new ReplayWindow() };
  assert.equal(verify(core, datagram, viewed.value.message, fresh), 'good');
  const late = new Core({ ...core.options, wall: () => 1_795_328_969_000 + 121_000 });
  assert.equal(verify(late, bytes, message, { password: 'secret', window: new ReplayWindow() }), 'time');
});

test('H.235.1: what we sign verifies, each time with another token', () => {
  const core = new Core({
    random: new SeededRandom(5),
    crypto: systemCrypto,
    wall: () => WALL,
    decisions: {} as H323Decisions,
    limits: LIMITS,
  });
  const message: RasMessage = { choice: 'disengageConfirm', value: { requestSeqNum: 7 } };
  const window = new ReplayWindow();
  for (let i = 0; i < 3; i++) {
    const bytes = signed(core, message, { password: 'pässword', sendersID: 'me', generalID: 'you' });
    const decoded = decodeRas(bytes);
    assert.ok(decoded.ok);
    const verdict = verify(core, bytes, decoded.value.message, {
      password: 'pässword',
      generalID: ['you'],
      window,
    });
    assert.equal(verdict, 'good');
  }
  const plain = encodeRas(message);
  assert.equal(verify(core, plain, message, { password: 'x', window }), 'missing');
});

test('addresses of a registration are bound to its source: nothing is ever sent elsewhere', () => {
  const { net, gk } = scene();
  gk.command({ kind: 'configure', peers: [], listeners: [] });
  gk.configure({});
  const victim = net.peer('198.51.100.1', 1719);
  const attacker = { ip: TERMINAL, port: 4000 };
  const rrq = (callSignalAddress: { ip: string; port: number }): RasMessage => ({
    choice: 'registrationRequest',
    value: {
      requestSeqNum: 1,
      protocolIdentifier: '0.0.8.2250.0.4',
      discoveryComplete: true,
      callSignalAddress: [toH225(callSignalAddress)],
      rasAddress: [toH225(victim.address)],
      terminalType: { mc: false, undefinedNode: false },
      terminalAlias: [{ choice: 'dialledDigits', value: '999' }],
      endpointVendor: { vendor: { t35CountryCode: 1, t35Extension: 0, manufacturerCode: 1 } },
    },
  });
  const seen: string[] = [];
  net.peer(attacker.ip, attacker.port).on = (bytes) => {
    const answer = decodeRas(bytes);
    if (answer.ok) seen.push(answer.value.message.choice);
  };
  net.datagram(attacker, gk, encodeRas(rrq({ ip: '198.51.100.1', port: 1720 })));
  net.run(100);
  net.datagram(attacker, gk, encodeRas(rrq({ ip: TERMINAL, port: 1720 })));
  net.run(100);
  assert.deepEqual(seen, ['registrationReject', 'registrationConfirm']);
  assert.equal(victim.received.length, 0);
  assert.deepEqual(gk.seen('terminal-registered').at(-1)?.address, { ip: TERMINAL, port: 1720 });
  // A stranger gets silence; whoever floods, too.
  net.datagram({ ip: '203.0.113.9', port: 5 }, gk, encodeRas(rrq({ ip: '203.0.113.9', port: 1720 })));
  net.run(100);
  assert.equal(gk.counted('unknown-source'), 1);
  for (let i = 0; i < 500; i++) {
    net.datagram(attacker, gk, encodeRas({ ...rrq({ ip: TERMINAL, port: 1720 }) }));
  }
  const message = rrq({ ip: TERMINAL, port: 1720 });
  for (let i = 0; i < 100; i++) {
    const value = { ...(message.value as object), requestSeqNum: 100 + i };
    net.datagram(attacker, gk, encodeRas({ choice: 'registrationRequest', value } as RasMessage));
  }
  net.run(100);
  assert.ok(gk.counted('ras-flood') > 500);
  assert.ok(seen.length < 40);
});

test('one source cannot fill the table of terminals; another cannot take an alias, an identifier or a call', () => {
  const { net, gk, terminal } = scene();
  net.run(100);
  const intruder = { ip: '192.0.2.66', port: 1719 };
  const raw = net.peer(intruder.ip, intruder.port);
  const answers: RasMessage[] = [];
  raw.on = (bytes) => {
    const answer = decodeRas(bytes);
    if (answer.ok) answers.push(answer.value.message);
  };
  const open = new Node(net, {
    name: 'open',
    ip: '192.0.2.11',
    peers: [{ name: 'terminals', host: intruder.ip }],
    gatekeeper: {},
    decisions: { terminal: () => 'open' },
  });
  for (let i = 0; i < 5; i++) {
    const value = {
      requestSeqNum: i + 1,
      protocolIdentifier: '0.0.8.2250.0.4',
      discoveryComplete: false,
      callSignalAddress: [toH225({ ip: intruder.ip, port: 1720 + i })],
      rasAddress: [toH225(intruder)],
      terminalType: { mc: false, undefinedNode: false },
      terminalAlias: [{ choice: 'dialledDigits' as const, value: `90${i}` }],
      endpointVendor: { vendor: { t35CountryCode: 1, t35Extension: 0, manufacturerCode: 1 } },
    };
    net.datagram(intruder, open, encodeRas({ choice: 'registrationRequest', value }));
  }
  net.run(100);
  assert.equal(open.endpoint.sizes.terminals, LIMITS.terminalsPerSource);
  assert.deepEqual(answers.map((a) => a.choice).slice(3), ['registrationReject', 'registrationReject']);
  // Somebody else's registration at `gk`: with its identifier, from another address.
  const identifier = 'anything';
  net.datagram(
    { ip: TERMINAL, port: 9 },
    gk,
    encodeRas({
      choice: 'unregistrationRequest',
      value: { requestSeqNum: 9, callSignalAddress: [], endpointIdentifier: identifier },
    }),
  );
  net.run(100);
  assert.equal(gk.endpoint.sizes.terminals, 1);
  assert.equal(terminal.seen('registration').length, 1);
});

test('LocationRequest: known numbers of identified peers are located here, others denied', () => {
  const { net, gk } = scene({ decisions: { locate: (number) => number === '300' } });
  const neighbour = { ip: TERMINAL, port: 1719 };
  const answers: string[] = [];
  net.nodes.pop();
  net.peer(TERMINAL, 1719).on = (bytes) => {
    const answer = decodeRas(bytes);
    if (answer.ok) answers.push(answer.value.message.choice);
  };
  for (const [i, value] of ['300', '301'].entries()) {
    const request: RasMessage = {
      choice: 'locationRequest',
      value: {
        requestSeqNum: i + 1,
        destinationInfo: [{ choice: 'dialledDigits', value }],
        replyAddress: toH225({ ip: '198.51.100.1', port: 1719 }),
      },
    };
    net.datagram(neighbour, gk, encodeRas(request));
  }
  net.run(100);
  assert.deepEqual(answers.slice(0, 2), ['locationConfirm', 'locationReject']);
});

/** A gatekeeper that is not ours. */
function scripted(
  script: (request: RasMessage) => RasMessage | undefined,
  more: Partial<H323GatekeeperAccess> = {},
) {
  const net = new Net(4);
  const raw = net.peer(GATEKEEPER, 1719);
  const requests: RasMessage[] = [];
  const terminal = new Node(net, {
    name: 'terminal',
    ip: TERMINAL,
    peers: [{ name: 'pbx', host: GATEKEEPER, gatekeeper: access(more) }],
  });
  raw.on = (bytes) => {
    const decoded = decodeRas(bytes);
    assert.ok(decoded.ok, 'what we send is RAS');
    const request = decoded.value.message;
    requests.push(request);
    const answer = script(request) ?? usual(request);
    if (answer !== undefined) net.datagram(raw.address, terminal, encodeRas(answer));
  };
  return { net, raw, terminal, requests };
}

function usual(request: RasMessage): RasMessage | undefined {
  switch (request.choice) {
    case 'gatekeeperRequest':
      return {
        choice: 'gatekeeperConfirm',
        value: {
          requestSeqNum: request.value.requestSeqNum,
          protocolIdentifier: '0.0.8.2250.0.4',
          gatekeeperIdentifier: 'gk',
          rasAddress: toH225({ ip: GATEKEEPER, port: 1719 }),
        },
      };
    case 'registrationRequest':
      return {
        choice: 'registrationConfirm',
        value: {
          requestSeqNum: request.value.requestSeqNum,
          protocolIdentifier: '0.0.8.2250.0.4',
          callSignalAddress: [],
          endpointIdentifier: 'ep-1',
          timeToLive: 60,
        },
      };
    default:
      return undefined;
  }
}

test('admission: rejected, unanswered (three times the same request), in progress, confirmed elsewhere', () => {
  let mood: 'reject' | 'silent' | 'progress' | 'confirm' = 'reject';
  const { net, raw, terminal, requests } = scripted((request) => {
    if (request.choice !== 'admissionRequest') return undefined;
    const { requestSeqNum } = request.value;
    if (mood === 'reject') {
      const rejectReason = { choice: 'calledPartyNotRegistered', value: null } as const;
      return { choice: 'admissionReject', value: { requestSeqNum, rejectReason } };
    }
    if (mood === 'silent') return undefined;
    const confirm: RasMessage = {
      choice: 'admissionConfirm',
      value: {
        requestSeqNum,
        bandWidth: 1280,
        callModel: { choice: 'direct', value: null },
        destCallSignalAddress: toH225({ ip: '192.0.2.77', port: 1722 }),
        irrFrequency: 30,
      },
    };
    if (mood === 'confirm') return confirm;
    net.at(20_000, () => net.datagram(raw.address, terminal, encodeRas(confirm)));
    return { choice: 'requestInProgress', value: { requestSeqNum, delay: 25_000 } };
  });
  net.run(100);
  terminal.command(setup(2, 'pbx'));
  net.run(100);
  assert.deepEqual(terminal.seen('released').at(-1), {
    kind: 'released',
    call: 2,
    by: 'gatekeeper',
    cause: 20,
    reason: 'calledPartyNotRegistered',
  });
  mood = 'silent';
  requests.length = 0;
  terminal.command(setup(4, 'pbx'));
  net.run(20_000);
  assert.deepEqual(
    [terminal.seen('released').at(-1)?.by, terminal.seen('released').at(-1)?.cause],
    ['gatekeeper', 38],
  );
  const tries = requests.filter((r) => r.choice === 'admissionRequest');
  assert.equal(tries.length, 3);
  assert.equal(new Set(tries.map((r) => r.value.requestSeqNum)).size, 1);
  mood = 'progress';
  const callee = net.peer('192.0.2.77', 1722);
  terminal.command(setup(6, 'pbx'));
  net.run(22_000);
  assert.equal(callee.received.length > 0, true, 'direct model: the Setup goes where the gatekeeper said');
  terminal.command({ kind: 'release', call: 6, cause: 16 });
  net.run(1000);
  const drq = requests.at(-1);
  assert.equal(drq?.choice, 'disengageRequest');
  // A call that ended while the gatekeeper thought is disengaged.
  mood = 'confirm';
  terminal.command(setup(8, 'pbx'));
  terminal.command({ kind: 'release', call: 8, cause: 16 });
  requests.length = 0;
  net.run(1000);
  assert.deepEqual(
    requests.map((r) => r.choice),
    ['admissionRequest', 'disengageRequest'],
  );
});

test('the gatekeeper drops a call, asks how it stands, changes its bandwidth, unregisters us', () => {
  const { net, raw, terminal, requests } = scripted((request) => {
    if (request.choice !== 'admissionRequest') return undefined;
    return {
      choice: 'admissionConfirm',
      value: {
        requestSeqNum: request.value.requestSeqNum,
        bandWidth: 1280,
        callModel: { choice: 'gatekeeperRouted', value: null },
        destCallSignalAddress: toH225({ ip: '192.0.2.77', port: 1720 }),
      },
    };
  });
  net.run(100);
  net.peer('192.0.2.77', 1720);
  terminal.command(setup(2, 'pbx'));
  net.run(100);
  const arq = requests.find((r) => r.choice === 'admissionRequest');
  assert.ok(arq?.choice === 'admissionRequest');
  const call = {
    callReferenceValue: arq.value.callReferenceValue,
    conferenceID: arq.value.conferenceID,
    callIdentifier: arq.value.callIdentifier,
  };
  const send = (message: RasMessage, from = raw.address): void => {
    net.datagram(from, terminal, encodeRas(message));
    net.run(100);
  };
  send({ choice: 'infoRequest', value: { requestSeqNum: 50, ...call } });
  const irr = requests.at(-1);
  assert.ok(irr?.choice === 'infoRequestResponse');
  assert.equal(irr.value.perCallInfo?.[0]?.callReferenceValue, call.callReferenceValue);
  send({
    choice: 'bandwidthRequest',
    value: { requestSeqNum: 51, endpointIdentifier: 'ep-1', bandWidth: 2000, ...call },
  });
  assert.equal(requests.at(-1)?.choice, 'bandwidthConfirm');
  const disengage: RasMessage = {
    choice: 'disengageRequest',
    value: {
      requestSeqNum: 52,
      endpointIdentifier: 'ep-1',
      disengageReason: { choice: 'forcedDrop', value: null },
      ...call,
    },
  };
  send(disengage, { ip: '203.0.113.5', port: 1719 });
  assert.equal(terminal.seen('released').length, 0, 'not from somebody else');
  send(disengage);
  assert.equal(requests.at(-1)?.choice, 'disengageConfirm');
  assert.deepEqual(
    [terminal.seen('released')[0]?.by, terminal.seen('released')[0]?.reason],
    ['gatekeeper', 'forcedDrop'],
  );
  send({ choice: 'unregistrationRequest', value: { requestSeqNum: 53, callSignalAddress: [] } });
  assert.deepEqual(
    terminal.seen('registration').map((e) => e.state),
    ['registered', 'failed'],
  );
  net.run(5000);
  assert.equal(terminal.seen('registration').at(-1)?.state, 'registered');
});

test('alternate gatekeepers are used when the first falls silent', () => {
  let dead = false;
  const { net, terminal, raw } = scripted((request) => {
    if (dead) return { choice: 'unknownMessageResponse', value: { requestSeqNum: 65_535 } };
    if (request.choice !== 'registrationRequest') return undefined;
    return {
      choice: 'registrationConfirm',
      value: {
        requestSeqNum: request.value.requestSeqNum,
        protocolIdentifier: '0.0.8.2250.0.4',
        callSignalAddress: [],
        endpointIdentifier: 'ep-1',
        timeToLive: 60,
        alternateGatekeeper: [
          {
            rasAddress: toH225({ ip: '192.0.2.12', port: 1719 }),
            needToRegister: true,
            priority: 1,
          },
        ],
      },
    };
  });
  net.run(100);
  assert.equal(terminal.seen('registration')[0]?.state, 'registered');
  const other = net.peer('192.0.2.12', 1719);
  other.on = (bytes) => {
    const decoded = decodeRas(bytes);
    const answer = decoded.ok ? usual(decoded.value.message) : undefined;
    if (answer !== undefined) net.datagram(other.address, terminal, encodeRas(answer));
  };
  dead = true;
  net.run(120_000);
  assert.deepEqual(
    terminal.seen('registration').map((e) => e.state),
    ['registered', 'failed', 'registered'],
  );
  assert.ok(other.received.length >= 2 && raw.received.length > 0);
});

test('with a password, an unsigned or forged answer is not believed', () => {
  const { net, terminal } = scripted(() => undefined, { password: { user: '200', password: 'secret' } });
  net.run(60_000);
  assert.ok(terminal.counted('ras-token-missing') > 0);
  assert.ok(terminal.seen('registration').every((e) => e.state === 'failed'));
});

test('not registered: calls end at once with cause 38', () => {
  const net = new Net(4);
  const terminal = new Node(net, {
    name: 'terminal',
    ip: TERMINAL,
    peers: [{ name: 'pbx', host: GATEKEEPER, gatekeeper: access() }],
  });
  terminal.command(setup(2, 'pbx'));
  assert.deepEqual(terminal.seen('released')[0]?.cause, 38);
  net.run(60_000);
  assert.equal(terminal.seen('registration')[0]?.reason, 'timeout');
  terminal.command({ kind: 'unregister' });
  net.run();
  assert.deepEqual(terminal.endpoint.sizes, IDLE);
});
