/** Real peers' sides of the captures (Asterisk, H323Plus, GnuGk) played to our endpoint. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RasMessage } from '../../src/h323/asn1/h225-types.ts';
import { decodeRas, encodeRas } from '../../src/h323/messages.ts';
import {
  audio,
  capabilities,
  IDLE,
  media,
  Net,
  Node,
  party,
  setup,
} from '../../src/h323/test-network.test.ts';
import { User } from '../../src/h323/test-user.test.ts';
import { readCapture, UDP } from '../lab/packets.ts';
import { CAPTURES, capturesAbsent } from './reference.ts';
import { CALLEE, CALLER, playCallee, playCaller, stepsOf } from './replay.ts';

const skip = capturesAbsent;

interface Expected {
  readonly name: string;
  readonly caller?: string;
  /** Where the caller's connection of the capture went; default: Asterisk. */
  readonly callee?: string;
  readonly tunnelling: boolean;
  readonly fastStart: boolean;
  /** What the caller cleared with. */
  readonly cause?: number;
  readonly digits?: string;
  readonly codec?: string;
  readonly called?: RegExp;
  /** Whose media it is, where not the caller's. */
  readonly media?: string;
  /** What is passed over, and counted. */
  readonly counted?: string;
}

const PLUS = '127.0.0.1';
const GATEKEEPER = '127.0.0.10';

const CALLS: readonly Expected[] = [
  { name: '01-slowstart-separate-h245', tunnelling: false, fastStart: false, cause: 16 },
  { name: '02-slowstart-tunnelled', tunnelling: true, fastStart: false, cause: 16 },
  { name: '03-faststart-tunnelled', tunnelling: true, fastStart: true, cause: 16 },
  { name: '04-faststart-separate-h245', tunnelling: false, fastStart: true, cause: 16 },
  { name: '07-dtmf-h245signal-tunnelled', tunnelling: true, fastStart: true, digits: '159*0#' },
  { name: '08-dtmf-h245signal-separate', tunnelling: false, fastStart: false, digits: '159*0#' },
  { name: '17-codec-gsm', tunnelling: true, fastStart: false, codec: 'GSM' },
  { name: '18-codec-gsm-faststart', tunnelling: true, fastStart: true, codec: 'GSM' },
  {
    name: '50-h323plus-to-asterisk-slow-tunnelled',
    caller: PLUS,
    tunnelling: true,
    fastStart: false,
    codec: 'PCMA',
  },
  {
    name: '51-h323plus-to-asterisk-faststart',
    caller: PLUS,
    tunnelling: true,
    fastStart: true,
    codec: 'PCMA',
  },
  {
    name: '40-h323plus-qos-to-asterisk-slow-tunnelled',
    caller: PLUS,
    tunnelling: true,
    fastStart: false,
    codec: 'PCMA',
  },
  {
    name: '42-h323plus-qos-to-asterisk-separate-h245',
    caller: PLUS,
    tunnelling: false,
    fastStart: false,
    codec: 'PCMA',
  },
  {
    name: '56-h323plus-dtmf-to-asterisk',
    caller: PLUS,
    tunnelling: true,
    fastStart: false,
    digits: '15',
    codec: 'PCMA',
  },
  // H323Plus through GnuGk with RAS inside call signalling (H.460.17), which is passed over; GnuGk's own leg of that call.
  {
    name: '62-gnugk-h46017-tunnelled-ras',
    caller: PLUS,
    callee: GATEKEEPER,
    tunnelling: true,
    fastStart: false,
    codec: 'PCMA',
    called: /^111$/,
    counted: 'global-call-reference',
  },
  {
    name: '62-gnugk-h46017-tunnelled-ras',
    caller: GATEKEEPER,
    callee: CALLER,
    tunnelling: true,
    fastStart: false,
    codec: 'PCMA',
    called: /^111$/,
  },
  {
    name: '60-gnugk-h46018-19-h323plus-to-asterisk',
    caller: GATEKEEPER,
    callee: CALLER,
    tunnelling: true,
    fastStart: false,
    codec: 'PCMA',
    called: /^111$/,
  },
  {
    name: '35-gk-proxied-faststart',
    caller: GATEKEEPER,
    callee: CALLEE,
    tunnelling: true,
    fastStart: true,
    called: /^222$/,
  },
  {
    name: '34-gk-h245-routed-separate',
    caller: GATEKEEPER,
    callee: CALLEE,
    tunnelling: false,
    fastStart: false,
    called: /^222$/,
    media: CALLER,
  },
];

for (const expected of CALLS) {
  const { name, callee = expected.caller === PLUS ? CALLER : CALLEE } = expected;
  const who = expected.caller === GATEKEEPER ? 'GnuGk' : 'the caller';
  test(`${who} of ${name} calls us: channels, digits, release`, { skip }, () => {
    const from = expected.caller ?? CALLER;
    const net = new Net(1);
    const node = new Node(net, {
      name: 'node',
      ip: CALLEE,
      peers: [{ name: 'pbx', host: from, tunnelling: expected.tunnelling, fastStart: expected.fastStart }],
    });
    const user = new User(node, capabilities('PCMU', 'PCMA', 'GSM', 'G729'));
    const heard = playCaller(net, node, stepsOf(name, from, callee), from);
    const [incoming] = node.seen('incoming');
    assert.ok(incoming !== undefined);
    assert.match(incoming.callee.number, expected.called ?? /^6\d\d$/);
    assert.equal(node.seen('incoming').length, 1);
    assert.equal(incoming.fastStart.length > 0, expected.fastStart);
    const codec = expected.codec ?? 'PCMU';
    const sends =
      node.seen('channel-opened').length > 0 ||
      (expected.fastStart && heard.signalling.some((s) => s.q931.type === 'alerting'));
    assert.ok(sends, 'we send');
    if (expected.fastStart) {
      const [offer] = incoming.fastStart;
      assert.ok(offer !== undefined);
      assert.ok(offer.send.some((s) => s.capability.codec === codec));
      assert.ok(offer.send.every((s) => s.remote.rtp.port > 1024));
    } else {
      assert.deepEqual(
        node.seen('channel-asked').map((e) => [e.channel.capability.codec, e.channel.remoteRtcp?.ip]),
        [[codec, expected.media ?? from]],
      );
    }
    assert.equal(
      node
        .seen('user-input')
        .map((e) => e.digit)
        .join(''),
      expected.digits ?? '',
    );
    assert.equal(node.seen('capabilities').length, 1);
    assert.ok(user.books.size === 1);
    net.run();
    assert.equal(node.seen('released').length, 1);
    if (expected.cause !== undefined) {
      assert.deepEqual(
        [node.seen('released')[0]?.by, node.seen('released')[0]?.cause],
        ['far-end', expected.cause],
      );
    }
    assert.deepEqual(node.endpoint.sizes, IDLE);
    const odd = node.counts.filter((c) => !HARMLESS.has(c.reason) && c.reason !== expected.counted);
    assert.deepEqual(odd, [], JSON.stringify(odd));
    if (expected.counted !== undefined) assert.ok(node.counted(expected.counted) > 0);
  });
}

/** What real peers add that we do not know, and what a script that cannot react makes happen. */
const HARMLESS = new Set([
  'non-standard',
  'unknown-extension',
  'generic-data',
  'msd-disagreement',
  'fast-start-unknown',
  'no-call',
  'function-not-supported',
  'h245-unknown',
]);

const REFUSALS: readonly [name: string, cause: number, reason: string][] = [
  ['05-busy', 17, 'inConf'],
  ['24-unallocated', 1, 'undefinedReason'],
  ['25-congestion', 34, 'inConf'],
  ['26-reject-cause21', 21, 'destinationRejection'],
  ['28-unacceptable-ip', 21, 'destinationRejection'],
];

function callOut(tunnelling: boolean, fastStart: boolean) {
  const net = new Net(1);
  const node = new Node(net, {
    name: 'node',
    ip: CALLER,
    peers: [{ name: 'pbx', host: CALLEE, tunnelling, fastStart, earlyH245: tunnelling }],
  });
  new User(node, capabilities('PCMU', 'PCMA', 'GSM'));
  return { net, node };
}

for (const [name, cause, reason] of REFUSALS) {
  test(`the callee of ${name} refuses our call: cause ${cause}`, { skip }, () => {
    const { net, node } = callOut(false, false);
    playCallee(net, stepsOf(name));
    node.command(setup(2, 'pbx', { callee: party('603') }));
    net.run();
    const [released] = node.seen('released');
    assert.deepEqual([released?.by, released?.cause, released?.reason], ['far-end', cause, reason]);
    assert.deepEqual(node.endpoint.sizes, IDLE);
  });
}

const ANSWERED: readonly [name: string, fastStart: boolean, cause: number][] = [
  ['02-slowstart-tunnelled', false, 16],
  ['03-faststart-tunnelled', true, 16],
  ['14-remote-hangup-faststart', true, 16],
  ['15-remote-hangup-cause', true, 41],
  ['23-early-media', true, 16],
];

for (const [name, fastStart, cause] of ANSWERED) {
  test(`the callee of ${name} answers our call`, { skip }, () => {
    const { net, node } = callOut(true, fastStart);
    playCallee(net, stepsOf(name));
    const local = media(node, 30_000);
    const proposals = [
      {
        kind: 'audio' as const,
        capabilities: [audio('PCMU'), audio('PCMA'), audio('GSM')],
        direction: 'both' as const,
        local,
      },
    ];
    node.command(
      setup(2, 'pbx', {
        callee: party('608'),
        capabilities: capabilities('PCMU', 'PCMA', 'GSM'),
        ...(fastStart ? { fastStart: proposals } : {}),
      }),
    );
    net.run(3000);
    assert.equal(node.seen('proceeding').length, 1);
    assert.equal(node.seen('connected').length, 1);
    if (fastStart) {
      const [answered] = node.seen('fast-start-answered');
      assert.deepEqual(answered?.channels.map((c) => [c.direction, c.capability.codec]).sort(), [
        ['receive', 'PCMU'],
        ['send', 'PCMU'],
      ]);
      assert.equal(answered.channels.find((c) => c.direction === 'send')?.remote?.rtp.ip, CALLEE);
    }
    if (name.startsWith('23')) assert.equal(node.seen('progress')[0]?.inBand, true);
    if (node.seen('released').length === 0) node.command({ kind: 'release', call: 2, cause });
    net.run();
    assert.equal(node.seen('released')[0]?.cause, cause);
    assert.deepEqual(node.endpoint.sizes, IDLE);
  });
}

/** RAS messages of a capture sent to or from port 1719, in order. */
function rasOf(name: string, toGatekeeper: boolean): RasMessage[] {
  const out: RasMessage[] = [];
  for (const p of readCapture(`${CAPTURES}pcap/${name}.pcap`)) {
    if (p.protocol !== UDP || (toGatekeeper ? p.destinationPort : p.sourcePort) !== 1719) continue;
    const decoded = decodeRas(p.payload);
    assert.ok(decoded.ok);
    out.push(decoded.value.message);
  }
  return out;
}

/** Our client, and a gatekeeper that says what GnuGk said to the first client of a capture. */
function client(name: string) {
  const net = new Net(1);
  const node = new Node(net, {
    name: 'node',
    ip: CALLER,
    peers: [
      {
        name: 'pbx',
        host: GATEKEEPER,
        gatekeeper: { host: GATEKEEPER, aliases: [{ kind: 'number', number: '111' }] },
      },
    ],
  });
  const answers = rasOf(name, false);
  const requests: string[] = [];
  const raw = net.peer(GATEKEEPER, 1719);
  raw.on = (bytes): void => {
    const decoded = decodeRas(bytes);
    assert.ok(decoded.ok);
    const request = decoded.value.message;
    requests.push(request.choice);
    const { requestSeqNum } = request.value as { requestSeqNum: number };
    const kind = request.choice.replace('Request', '');
    const answer = answers.find((a) => a.choice === `${kind}Confirm` || a.choice === `${kind}Reject`);
    if (answer === undefined) return;
    const value = { ...(answer.value as object), requestSeqNum };
    net.datagram(raw.address, node, encodeRas({ choice: answer.choice, value } as RasMessage));
  };
  return { net, node, requests };
}

test('GnuGk of 30-ras-direct: registered, admitted to the address it told, disengaged', { skip }, () => {
  const { net, node, requests } = client('30-ras-direct');
  net.run(100);
  assert.equal(node.seen('registration')[0]?.state, 'registered');
  const callee = net.peer(CALLEE, 1720);
  new User(node);
  node.command(setup(2, 'pbx', { callee: party('222') }));
  net.run(200);
  assert.ok(callee.received.length > 0, 'Setup at the callee itself');
  node.command({ kind: 'release', call: 2, cause: 16 });
  net.run(200);
  for (const kind of ['gatekeeperRequest', 'registrationRequest', 'admissionRequest', 'disengageRequest']) {
    assert.ok(requests.includes(kind), kind);
  }
  assert.deepEqual(
    node.counts.filter((c) => !HARMLESS.has(c.reason)),
    [],
  );
});

for (const name of ['31-ras-arj', '36-gk-arj-h323id']) {
  test(`GnuGk of ${name}: the call is rejected with cause 20`, { skip }, () => {
    const { net, node } = client(name.startsWith('36') ? '30-ras-direct' : name);
    net.run(100);
    if (name.startsWith('36')) {
      // That capture holds nothing but the admission: registered as in 30, rejected as in 36.
      const reject = rasOf(name, false).find((m) => m.choice === 'admissionReject');
      assert.ok(reject?.choice === 'admissionReject');
      const raw = net.raw.get(`${GATEKEEPER}:1719`)!;
      raw.on = (bytes): void => {
        const request = decodeRas(bytes);
        assert.ok(request.ok);
        const { requestSeqNum } = request.value.message.value as { requestSeqNum: number };
        net.datagram(
          raw.address,
          node,
          encodeRas({ choice: 'admissionReject', value: { ...reject.value, requestSeqNum } }),
        );
      };
    }
    node.command(setup(2, 'pbx', { callee: party('999') }));
    net.run(200);
    const [released] = node.seen('released');
    assert.deepEqual(
      [released?.by, released?.cause, released?.reason],
      ['gatekeeper', 20, 'calledPartyNotRegistered'],
    );
  });
}

test('GnuGk of 32-ras-rrj-duplicate-alias: registration fails with its reason and is tried again', {
  skip,
}, () => {
  const { net, node, requests } = client('32-ras-rrj-duplicate-alias');
  const answers = rasOf('32-ras-rrj-duplicate-alias', false);
  assert.ok(answers.some((a) => a.choice === 'registrationReject'));
  const raw = net.raw.get(`${GATEKEEPER}:1719`)!;
  const usual = raw.on;
  raw.on = (bytes, from, connection): void => {
    const request = decodeRas(bytes);
    assert.ok(request.ok);
    if (request.value.message.choice !== 'registrationRequest') return usual(bytes, from, connection);
    requests.push('registrationRequest');
    const reject = answers.find((a) => a.choice === 'registrationReject')!;
    const { requestSeqNum } = request.value.message.value;
    const value = { ...(reject.value as object), requestSeqNum };
    net.datagram(raw.address, node, encodeRas({ choice: 'registrationReject', value } as RasMessage));
  };
  net.run(30_000);
  assert.deepEqual(node.seen('registration')[0]?.reason, 'duplicateAlias');
  assert.ok(requests.filter((r) => r === 'registrationRequest').length > 1);
});

for (const name of [
  '30-ras-direct',
  '34-gk-h245-routed-separate',
  '60-gnugk-h46018-19-h323plus-to-asterisk',
]) {
  test(`the terminals of ${name} register with our gatekeeper and are admitted`, { skip }, () => {
    const net = new Net(1);
    const requests = rasOf(name, true);
    const rrqs = requests.filter((m) => m.choice === 'registrationRequest');
    const first = rrqs[0]!.value;
    assert.ok('callSignalAddress' in first);
    const address = first.callSignalAddress[0]!;
    assert.ok(address.choice === 'ipAddress');
    const ip = [...address.value.ip].join('.');
    const gk = new Node(net, {
      name: 'gk',
      ip: GATEKEEPER,
      peers: [{ name: 'terminals', host: ip }],
      gatekeeper: {},
      decisions: { terminal: () => 'open' },
    });
    const answers: RasMessage[] = [];
    const source = { ip, port: 13_030 };
    net.peer(ip, source.port).on = (bytes) => {
      const decoded = decodeRas(bytes);
      assert.ok(decoded.ok);
      answers.push(decoded.value.message);
    };
    let endpointIdentifier: string | undefined;
    // One terminal's life: discovery, registration, admission, disengage, as far as the capture has them.
    for (const kind of ['gatekeeperRequest', 'registrationRequest', 'admissionRequest', 'disengageRequest']) {
      const request = requests.find((m) => m.choice === kind);
      if (request === undefined) continue;
      const known = 'endpointIdentifier' in (request.value as object) && endpointIdentifier !== undefined;
      const value = { ...(request.value as object), ...(known ? { endpointIdentifier } : {}) };
      net.datagram(source, gk, encodeRas({ choice: kind, value } as RasMessage));
      net.run(20);
      const last = answers.at(-1);
      if (last?.choice === 'registrationConfirm') endpointIdentifier = last.value.endpointIdentifier;
    }
    assert.ok(answers.length >= 2);
    for (const answer of answers) assert.match(answer.choice, /Confirm$/);
    assert.equal(gk.endpoint.sizes.terminals, 1);
  });
}

test('the terminal of 63-gnugk-rrq-with-password-tokens: its H.235.1 token counts where the alias has a password, else none', {
  skip,
}, () => {
  const TERMINAL = '127.0.0.31'; // as its call signalling address says
  const name = '63-gnugk-rrq-with-password-tokens';
  for (const password of [true, false]) {
    const net = new Net(1);
    const gk = new Node(net, {
      name: 'gk',
      ip: GATEKEEPER,
      peers: [{ name: 'terminals', host: TERMINAL }],
      gatekeeper: {},
      decisions: { terminal: () => (password ? { password: 'secret' } : 'open') },
    });
    const source = { ip: TERMINAL, port: 13_030 };
    const answers: RasMessage[] = [];
    net.peer(source.ip, source.port).on = (bytes) => {
      const decoded = decodeRas(bytes);
      assert.ok(decoded.ok);
      answers.push(decoded.value.message);
    };
    for (const request of rasOf(name, true)) {
      net.datagram(source, gk, encodeRas(request));
      net.run(20);
    }
    const last = answers.at(-1);
    if (!password) assert.equal(last?.choice, 'registrationConfirm', 'tokens of other kinds do no harm');
    else {
      assert.ok(last?.choice === 'registrationReject');
      assert.equal(last.value.rejectReason.choice, 'securityDenial');
      assert.equal(gk.counted('ras-token-wrong'), 1);
    }
  }
});
