/** Our registrations with trunks (RFC 3261 10.2), against a registrar that is written by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SipFlow, SipPeer } from './contract.ts';
import { IDLE, invite, pair } from './test-network.test.ts';
import { header, PEER, request, respond, stage, status } from './test-peer.test.ts';

const CONTACT = '<sip:trunk1@192.0.2.1:5060>';

function trunk(more: Partial<SipPeer> = {}) {
  const peer = {
    name: 'raw',
    host: PEER,
    registration: { user: 'trunk1', domain: 'provider.example', expiresSeconds: 600 },
    credentials: { username: 'u1', password: 'secret', realm: 'provider' },
    ...more,
  };
  const it = stage({ peers: [peer] });
  /** Waits for the next REGISTER and takes it. */
  const next = (ms = 1000): string => {
    it.net.run(ms);
    const found = it.raw.received.findIndex((r) => r.text.startsWith('REGISTER '));
    assert.ok(found >= 0, 'a REGISTER');
    const { text } = it.raw.received[found]!;
    it.raw.received.length = 0;
    return text;
  };
  const answer = (text: string, code: number, ...headers: string[]): void => {
    it.net.send(it.raw, it.gw, respond(text, code, 'r', headers));
    it.net.run(10);
  };
  const told = () => it.gw.seen('registration').map((e) => [e.registered, e.reason]);
  return { ...it, peer, next, answer, told };
}

test('REGISTER names the address of record, our contact and how long; refreshed before it ends with the same Call-ID (10.2.4)', () => {
  const { next, answer, told, net, raw } = trunk();
  const first = next();
  assert.match(first, /^REGISTER sip:provider\.example SIP\/2\.0\r\n/);
  assert.equal(header(first, 'To'), '<sip:trunk1@provider.example>');
  assert.match(header(first, 'From')!, /^<sip:trunk1@provider\.example>;tag=/);
  assert.equal(header(first, 'Contact'), CONTACT);
  assert.equal(header(first, 'Expires'), '600');
  answer(first, 200, `Contact: <sip:other@192.0.2.77>;expires=9, ${CONTACT};expires=300`);
  assert.deepEqual(told(), [[true, 'registered']]);
  net.run(200_000);
  assert.equal(raw.received.length, 0, 'not refreshed too early');
  const second = next(30_000);
  assert.equal(header(second, 'Call-ID'), header(first, 'Call-ID'));
  assert.ok(Number.parseInt(header(second, 'CSeq')!, 10) > Number.parseInt(header(first, 'CSeq')!, 10));
});

for (const [algorithm, digits] of [
  ['MD5', 32],
  ['SHA-256', 64],
] as const) {
  test(`a challenge of our realm is answered with ${algorithm} (RFC 8760); one of another never (digest leak)`, () => {
    const { next, answer, told } = trunk();
    answer(
      next(),
      401,
      `WWW-Authenticate: Digest realm="provider", nonce="n1", qop="auth", algorithm=${algorithm}`,
    );
    const proven = next(10);
    assert.match(header(proven, 'Authorization')!, new RegExp(`response="[0-9a-f]{${digits}}"`));
    assert.match(header(proven, 'Authorization')!, /uri="sip:provider\.example"/);
    answer(proven, 200, `Contact: ${CONTACT};expires=300`);
    assert.deepEqual(told(), [[true, 'registered']]);

    const other = trunk();
    other.answer(other.next(), 401, 'WWW-Authenticate: Digest realm="elsewhere", nonce="n1", algorithm=MD5');
    assert.deepEqual(other.told(), [[false, 'status 401']]);
    assert.equal(other.raw.received.length, 0);
  });
}

test('423: asked again at once for Min-Expires, and from then on (10.2.8)', () => {
  const { next, answer, told } = trunk();
  answer(next(), 423, 'Min-Expires: 1800');
  const again = next(10);
  assert.equal(header(again, 'Expires'), '1800');
  answer(again, 200, 'Expires: 1800');
  assert.deepEqual(told(), [[true, 'registered']]);
  assert.equal(header(next(1_800_000), 'Expires'), '1800');
});

test('423 that names nothing longer, or for ever more, is a failure and no loop', () => {
  for (const values of [
    ['Min-Expires: 600'],
    [''],
    ['Min-Expires: 99999999999'],
    ['Min-Expires: 700', 'Min-Expires: 800', 'Min-Expires: 900'],
  ]) {
    const { next, answer, told, raw, net } = trunk();
    for (const value of values) answer(next(), 423, ...(value === '' ? [] : [value]));
    net.run(1000);
    assert.deepEqual(told(), [[false, 'status 423']], values.join());
    assert.equal(raw.received.length, 0);
  }
});

test('failures: later and later, 503 as its Retry-After says, silence as a timeout (RFC 5626 4.5)', () => {
  const { next, answer, told, net, raw } = trunk();
  answer(next(), 403);
  net.run(14_000);
  assert.equal(raw.received.length, 0);
  answer(next(17_000), 403);
  net.run(29_000);
  assert.equal(raw.received.length, 0);
  answer(next(32_000), 503, 'Retry-After: 500');
  net.run(495_000);
  assert.equal(raw.received.length, 0);
  next(10_000);
  net.run(35_000);
  assert.deepEqual(
    told().map(([, reason]) => reason),
    ['status 403', 'status 403', 'status 503', 'timeout'],
  );
});

test('a refresh that fails leaves the binding until it expires, and says so', () => {
  const { next, answer, told, net } = trunk();
  answer(next(), 200, `Contact: ${CONTACT};expires=300`);
  answer(next(230_000), 500);
  assert.deepEqual(told().at(-1), [true, 'status 500']);
  for (let i = 0; i < 6; i++) {
    net.run(20_000);
  }
  assert.ok(told().some(([registered, reason]) => !registered && reason === 'expired'));
});

test('a 2xx that lists other contacts only is no registration', () => {
  const { next, answer, told } = trunk();
  answer(next(), 200, 'Contact: <sip:a@192.0.2.77>;expires=9, <sip:b@192.0.2.78>;expires=9');
  assert.deepEqual(told(), [[false, 'not bound']]);
});

test('unregister: Expires 0, answered or not; no state is left (10.2.2)', () => {
  for (const answered of [true, false]) {
    const { next, answer, told, net, gw } = trunk();
    answer(next(), 200, `Contact: ${CONTACT};expires=300`);
    gw.command({ kind: 'unregister' });
    assert.equal(gw.endpoint.unregistering, 1);
    const last = next(10);
    assert.equal(header(last, 'Expires'), '0');
    if (answered) answer(last, 200);
    net.run(40_000);
    assert.equal(gw.endpoint.unregistering, 0);
    assert.deepEqual(told().at(-1), [false, 'unregistered']);
    net.run(2_000_000);
    assert.deepEqual(gw.endpoint.sizes, IDLE);
    assert.equal(gw.seen('registration').length, 2, 'never again');
  }
});

test('a peer that is taken out of the configuration or changed: its binding is taken back', () => {
  const { next, answer, gw, peer } = trunk();
  const listeners = gw.listeners;
  answer(next(), 200, `Contact: ${CONTACT};expires=300`);
  gw.command({ kind: 'configure', listeners, peers: [{ probeEveryMs: 0, ...peer }] });
  assert.equal(gw.endpoint.unregistering, 0, 'the same: undisturbed');
  const registration = { ...peer.registration, user: 'trunk2' };
  gw.command({ kind: 'configure', listeners, peers: [{ probeEveryMs: 0, ...peer, registration }] });
  const back = next(10);
  assert.equal(header(back, 'Expires'), '0');
  answer(back, 200);
  assert.match(next(600), /trunk2@/);
});

test('a call to our contact is taken from the trunk, and from nobody else', () => {
  const { next, answer, gw, net, raw } = trunk();
  answer(next(), 200, `Contact: ${CONTACT};expires=300`);
  net.send(raw, gw, request('INVITE', { uri: 'sip:trunk1@192.0.2.1:5060', body: 'offer' }));
  net.run(10);
  assert.equal(gw.seen('incoming')[0]?.peer, 'raw');
  const stranger = net.peer('192.0.2.66');
  net.send(stranger, gw, request('INVITE', { uri: 'sip:trunk1@192.0.2.1:5060', body: 'offer' }));
  net.run(10);
  assert.equal(gw.seen('incoming').length, 1);
  assert.deepEqual(
    stranger.received.map((r) => status(r.text)),
    [],
  );
});

test('answers to our REGISTER from anywhere else are nobody’s: no proof leaves, nothing is bound (SIP digest leak)', () => {
  const { next, net, gw, told } = trunk();
  const asked = next();
  const thief = net.peer('192.0.2.66');
  net.send(thief, gw, respond(asked, 401, 'x', ['WWW-Authenticate: Digest realm="provider", nonce="n"']));
  net.send(thief, gw, respond(asked, 200, 'x', [`Contact: ${CONTACT};expires=300`]));
  net.run(400);
  assert.equal(thief.received.length, 0);
  assert.deepEqual(told(), []);
});

test('a registrar that challenges for ever, or with a nonce that is always stale, gets four answers and no more', () => {
  const { next, answer, told, raw, net } = trunk();
  let answers = 0;
  let text = next();
  for (let i = 0; i < 20; i++) {
    answer(text, 401, `WWW-Authenticate: Digest realm="provider", nonce="n${i}", qop="auth", stale=true`);
    const again = raw.received.find((r) => r.text.startsWith('REGISTER '))?.text;
    if (again === undefined) break;
    raw.received.length = 0;
    text = again;
    answers++;
  }
  net.run(100);
  assert.ok(answers <= 4, `${answers} proofs`);
  assert.deepEqual(told(), [[false, 'status 401']]);
});

const REGISTERS = { user: 'trunk1', expiresSeconds: 600 };

test('fail-over: the next server of the trunk is asked where one does not answer; calls of both are the trunk’s (RFC 3263 4.3)', () => {
  const { net, gw, raw } = stage({
    peers: [{ name: 'raw', host: 'trunk.example', registration: REGISTERS }],
  });
  const second = net.peer('192.0.2.10');
  gw.names.set('trunk.example', [
    { transport: 'udp', address: { ip: PEER, port: 5060 } },
    { transport: 'udp', address: { ip: '192.0.2.10', port: 5060 } },
  ]);
  net.run(40_000);
  assert.ok(
    raw.received.some((r) => r.text.startsWith('REGISTER ')),
    'the first was asked',
  );
  const asked = second.received[0]!.text;
  assert.match(asked, /^REGISTER sip:trunk\.example /);
  net.send(second, gw, respond(asked, 200, 'r', [`Contact: ${CONTACT};expires=300`]));
  net.run(10);
  assert.deepEqual(
    gw.seen('registration').map((e) => e.registered),
    [true],
  );
  for (const from of [raw, second]) {
    net.send(from, gw, request('INVITE', { uri: 'sip:trunk1@192.0.2.1:5060', body: 'offer' }));
  }
  net.run(10);
  assert.deepEqual(
    gw.seen('incoming').map((e) => e.peer),
    ['raw', 'raw'],
  );
});

test('over TCP: calls come over the connection we registered by; where it is lost we register anew within seconds (RFC 5626)', () => {
  const tcp = { transports: ['tcp'] as const };
  const { net, alice, bob } = pair(1, {
    alice: { ...tcp, peers: [{ name: 'bob', host: '192.0.2.2', transport: 'tcp', registration: REGISTERS }] },
    bob: { ...tcp, peers: [{ name: 'alice', host: '192.0.2.1', transport: 'tcp' }] },
  });
  const flows: SipFlow[] = [];
  bob.on = (event): void => {
    if (event.kind !== 'request') return;
    flows.push(event.flow);
    const headers = [{ name: 'Expires', value: '600' }];
    bob.command({ kind: 'respond', transaction: event.transaction, status: 200, headers });
  };
  net.run(2000);
  assert.deepEqual(
    alice.seen('registration').map((e) => e.registered),
    [true],
  );
  const uri = {
    scheme: 'sip',
    user: 'trunk1',
    host: '192.0.2.1',
    port: 5060,
    parameters: new Map(),
    headers: '',
  } as const;
  bob.command(invite(2, 'alice', { target: { uri, flow: flows[0]! } }));
  net.run(100);
  assert.equal(alice.seen('incoming').length, 1);
  bob.command({ kind: 'end', session: 2 });
  net.run(1000);
  net.cutStreams();
  net.run(5000);
  assert.equal(flows.length, 2, 'registered anew');
  assert.equal(alice.seen('registration').filter((e) => e.registered).length, 2);
});
