/** The endpoint against a peer that writes its own messages: what is answered, with what, and what gets silence. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerChallenge, parseChallenge, verifyProof } from './digest.ts';
import {
  IDLE,
  invite,
  Net,
  Node,
  type NodeOptions,
  nodeCrypto,
  type RawPeer,
  sdp,
  textOf,
} from './test-network.test.ts';

const PEER = '192.0.2.9';

/** One endpoint at 192.0.2.1 and a raw peer at 192.0.2.9, called `raw` in its configuration. */
function stage(options: Partial<NodeOptions> = {}): { net: Net; gw: Node; raw: RawPeer } {
  const net = new Net(3);
  const gw = new Node(net, { name: 'gw', ip: '192.0.2.1', peers: [{ name: 'raw', host: PEER }], ...options });
  return { net, gw, raw: net.peer(PEER) };
}

let unique = 0;

interface Parts {
  readonly uri?: string;
  readonly branch?: string;
  readonly callId?: string;
  readonly from?: string;
  readonly to?: string;
  readonly cseq?: string;
  readonly via?: string;
  readonly maxForwards?: number;
  readonly headers?: readonly string[];
  readonly type?: string;
  readonly body?: string;
}

function request(method: string, parts: Parts = {}): string {
  unique++;
  const { body = '', headers = [] } = parts;
  return [
    `${method} ${parts.uri ?? 'sip:200@192.0.2.1'} SIP/2.0`,
    parts.via ?? `Via: SIP/2.0/UDP ${PEER}:5060;branch=${parts.branch ?? `z9hG4bKraw${unique}`};rport`,
    `Max-Forwards: ${parts.maxForwards ?? 70}`,
    `From: <sip:300@${PEER}>;tag=${parts.from ?? `raw${unique}`}`,
    `To: <sip:200@192.0.2.1>${parts.to === undefined ? '' : `;tag=${parts.to}`}`,
    `Call-ID: ${parts.callId ?? `call${unique}`}`,
    `CSeq: ${parts.cseq ?? `1 ${method}`}`,
    `Contact: <sip:300@${PEER}>`,
    ...headers,
    ...(body === '' ? [] : [`Content-Type: ${parts.type ?? 'application/sdp'}`]),
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n');
}

const status = (text: string): number => Number(/^SIP\/2\.0 (\d+)/.exec(text)?.[1] ?? 0);
const header = (text: string, name: string): string | undefined =>
  new RegExp(`^${name}: (.*)$`, 'm').exec(text)?.[1]?.trim();
const toTag = (text: string): string => /;tag=(\S+)/.exec(header(text, 'To') ?? '')?.[1] ?? '';

/** A response by a raw peer to a request of the gateway. */
function respond(
  text: string,
  code: number,
  tag: string,
  headers: readonly string[] = [],
  body = '',
): string {
  const line = (name: string): string => `${name}: ${header(text, name)}`;
  const to = header(text, 'To')!;
  return [
    `SIP/2.0 ${code} Whatever`,
    line('Via'),
    line('From'),
    `To: ${to.includes(';tag=') || tag === '' ? to : `${to};tag=${tag}`}`,
    line('Call-ID'),
    line('CSeq'),
    ...headers,
    ...(body === '' ? [] : ['Content-Type: application/sdp']),
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n');
}

/** Sends one request, returns the statuses that come back at once. */
function ask(text: string, options: Partial<NodeOptions> = {}): { answers: string[]; gw: Node } {
  const { net, gw, raw } = stage(options);
  net.send(raw, gw, text);
  net.run(400);
  return { answers: raw.received.map((r) => r.text), gw };
}

test('what is refused without state, and with what (RFC 3261 8.2)', () => {
  const cases: readonly (readonly [what: string, text: string, code: number, header?: string])[] = [
    ['unknown method (8.2.1)', request('DANCE'), 501, 'Allow'],
    ['a method is case-sensitive (7.1)', request('invite', { cseq: '1 invite' }), 501],
    ['known method, not done', request('MESSAGE'), 405, 'Allow'],
    ['SUBSCRIBE', request('SUBSCRIBE'), 405, 'Allow'],
    ['REFER from a stranger', request('REFER', { headers: ['Refer-To: <sip:1@192.0.2.77>'] }), 403],
    ['BYE without dialog (15.1.2)', request('BYE', { to: 'nobody' }), 481],
    ['BYE without To tag', request('BYE'), 481],
    ['CANCEL without INVITE (9.2)', request('CANCEL'), 481],
    ['INFO in an unknown dialog', request('INFO', { to: 'x' }), 481],
    [
      'Require of an unknown option (8.2.2.3)',
      request('INVITE', { headers: ['Require: 100rel, magic'] }),
      420,
      'Unsupported',
    ],
    ['OPTIONS with Require', request('OPTIONS', { headers: ['Require: magic'] }), 420, 'Unsupported'],
    ['a body we cannot read (8.2.3)', request('INVITE', { type: 'text/poem', body: 'roses' }), 415, 'Accept'],
    ['no hops left', request('INVITE', { maxForwards: 0 }), 483],
    ['INVITE without Contact (8.1.1.8)', request('INVITE').replace(/^Contact.*\r\n/m, ''), 400],
    [
      'a session interval below 90 s (RFC 4028 9)',
      request('INVITE', { headers: ['Supported: timer', 'Session-Expires: 60'] }),
      422,
      'Min-SE',
    ],
  ];
  for (const [what, text, code, name] of cases) {
    const { answers, gw } = ask(text);
    const last = answers.at(-1) ?? '';
    assert.equal(status(last), code, what);
    if (name !== undefined) assert.ok(header(last, name), `${what}: ${name}`);
    assert.notEqual(toTag(last), '', `${what}: To tag`);
    assert.equal(gw.endpoint.sizes.sessions, 0, what);
    assert.equal(gw.seen('incoming').length, 0, what);
    assert.ok(!/^(Server|User-Agent)/im.test(last), 'no product name');
  }
});

test('OPTIONS gets 200 with Accept, Allow, Supported and leaves no state (11.2), even with no hops left', () => {
  const { answers, gw } = ask(request('OPTIONS', { maxForwards: 0 }));
  assert.deepEqual(answers.map(status), [200]);
  for (const name of ['Accept', 'Allow', 'Supported']) assert.ok(header(answers[0]!, name), name);
  assert.deepEqual(gw.endpoint.sizes, IDLE);
});

test('unknown options, methods and headers are counted by name', () => {
  const { gw } = ask(request('INVITE', { headers: ['Require: magic', 'X-Canary: tweet'] }));
  assert.ok(gw.counts.some((c) => c.reason === 'unknown-option' && c.name === 'magic'));
  assert.ok(gw.counts.some((c) => c.reason === 'unknown-header' && c.name === 'x-canary'));
});

test('an unknown source gets silence, whatever it sends; a scanner of a known one too', () => {
  const { net, gw } = stage();
  const stranger = net.peer('203.0.113.5');
  for (const method of ['INVITE', 'OPTIONS', 'REGISTER', 'DANCE']) net.send(stranger, gw, request(method));
  net.send(stranger, gw, 'garbage');
  net.run(1000);
  assert.deepEqual(stranger.received, []);
  assert.equal(gw.counted('unknown-source'), 5);
  const { answers } = ask(request('OPTIONS', { headers: ['User-Agent: friendly-scanner'] }));
  assert.deepEqual(answers, []);
});

test('garbage and stray responses make no state', () => {
  const { net, gw, raw } = stage();
  net.send(raw, gw, 'INVITE sip:x SIP/2.0\r\n\r\n');
  net.send(raw, gw, respond(request('INVITE'), 200, 'x'));
  net.send(raw, gw, request('ACK', { to: 'x' }));
  net.run(1000);
  assert.deepEqual(gw.endpoint.sizes, IDLE);
  assert.equal(gw.counted('stray-response'), 1);
});

test('a repeated INVITE gets the last answer again, not a second session (17.2.1)', () => {
  const { net, gw, raw } = stage();
  const text = request('INVITE');
  net.send(raw, gw, text);
  net.run(10);
  gw.command({ kind: 'provisional', session: 1, status: 183 });
  net.send(raw, gw, text);
  net.run(10);
  assert.deepEqual(
    raw.received.map((r) => status(r.text)),
    [100, 183, 183],
  );
  assert.equal(gw.seen('incoming').length, 1);
});

test('the same INVITE by another path is merged: 482 (8.2.2.2)', () => {
  const { net, gw, raw } = stage();
  const same = { callId: 'fork', from: 'f1' };
  net.send(raw, gw, request('INVITE', same));
  net.send(raw, gw, request('INVITE', same));
  net.run(10);
  assert.deepEqual(
    raw.received.map((r) => status(r.text)),
    [100, 482],
  );
});

test('our own INVITE come back unchanged is a loop: 482', () => {
  const { net, gw, raw } = stage();
  gw.command(invite(2, 'raw'));
  net.run(10);
  const ours = raw.received[0]!.text;
  net.send(raw, gw, ours.replace(/^Via/m, `Via: SIP/2.0/UDP ${PEER};branch=z9hG4bKloop\r\nVia`));
  net.run(10);
  assert.equal(status(raw.received[1]!.text), 482);
});

test('answers go to the source: its port with rport, else the port of sent-by; never maddr (18.2.2, RFC 3581)', () => {
  const { net, gw } = stage();
  const nat = net.peer(PEER, 33_333);
  const home = net.peer(PEER, 5060);
  net.send(nat, gw, request('OPTIONS'));
  net.run(10);
  assert.equal(nat.received.length, 1);
  assert.match(header(nat.received[0]!.text, 'Via')!, /rport=33333/);
  net.send(
    nat,
    gw,
    request('OPTIONS', { via: 'Via: SIP/2.0/UDP 203.0.113.99:5060;maddr=203.0.113.99;branch=z9hG4bKm' }),
  );
  net.run(10);
  assert.equal(home.received.length, 1);
  assert.match(header(home.received[0]!.text, 'Via')!, /received=192\.0\.2\.9/);
});

/** An incoming call of the raw peer, answered. */
function answered(options: Partial<NodeOptions> = {}, parts: Parts = {}) {
  const made = stage(options);
  const { net, gw, raw } = made;
  const call = { callId: 'c1', from: 'f1' };
  const text = request('INVITE', { ...call, body: 'offer', ...parts });
  net.send(raw, gw, text);
  net.run(10);
  gw.command({ kind: 'accept', session: 1, body: sdp('answer') });
  net.run(10);
  const ok = raw.received.at(-1)!.text;
  const inside = { ...call, to: toTag(ok) };
  net.send(raw, gw, request('ACK', { ...inside, cseq: '1 ACK' }));
  net.run(10);
  assert.equal(gw.seen('acknowledged').length, 1);
  raw.received.length = 0;
  return { ...made, inside, ok };
}

test('requests inside a dialog: order of CSeq, unknown option, OPTIONS, NOTIFY (12.2.2)', () => {
  const { net, gw, raw, inside } = answered();
  const cases = [
    [request('OPTIONS', { ...inside, cseq: '10 OPTIONS' }), 200],
    [request('INFO', { ...inside, cseq: '9 INFO' }), 500],
    [request('INFO', { ...inside, cseq: '11 INFO' }), 200],
    [request('INFO', { ...inside, cseq: '12 INFO', type: 'application/poem', body: 'x' }), 415],
    [request('INFO', { ...inside, cseq: '13 INFO', headers: ['Require: magic'] }), 420],
    [request('NOTIFY', { ...inside, cseq: '14 NOTIFY' }), 481],
    [request('DANCE', { ...inside, cseq: '15 DANCE' }), 501],
    [request('BYE', { ...inside, cseq: '16 BYE' }), 200],
    [request('BYE', { ...inside, cseq: '17 BYE' }), 481],
  ] as const;
  for (const [text, code] of cases) {
    net.send(raw, gw, text);
    net.run(10);
    assert.equal(status(raw.received.at(-1)!.text), code, text.slice(0, 8));
  }
  assert.equal(gw.seen('ended').length, 1);
  net.run();
  assert.deepEqual(gw.endpoint.sizes, IDLE);
});

test('a repeated BYE gets 200 again (17.2.2)', () => {
  const { net, gw, raw, inside } = answered();
  const bye = request('BYE', { ...inside, cseq: '2 BYE' });
  net.send(raw, gw, bye);
  net.send(raw, gw, bye);
  net.run(10);
  assert.deepEqual(
    raw.received.map((r) => status(r.text)),
    [200, 200],
  );
});

test('DTMF in INFO: both content types, event numbers, nonsense 400', () => {
  const { net, gw, raw, inside } = answered();
  const info = (n: number, type: string, body: string): void =>
    net.send(raw, gw, request('INFO', { ...inside, cseq: `${n} INFO`, type, body }));
  info(2, 'application/dtmf-relay', 'Signal=7\r\nDuration=250\r\n');
  info(3, 'application/dtmf-relay', 'Signal= 11\r\n');
  info(4, 'application/dtmf', '*');
  info(5, 'application/dtmf-relay', 'Signal=banana\r\n');
  net.run(10);
  assert.deepEqual(
    gw.seen('info-dtmf').map((e) => [e.digit, e.durationMs]),
    [
      ['7', 250],
      ['#', 160],
      ['*', 160],
    ],
  );
  assert.deepEqual(
    raw.received.map((r) => status(r.text)),
    [200, 200, 200, 400],
  );
});

test('a second re-INVITE while the first waits for the user: 500, Retry-After 0..10; one crossing ours: 491 (14.2)', () => {
  const { net, gw, raw, inside } = answered();
  net.send(raw, gw, request('INVITE', { ...inside, cseq: '2 INVITE', body: 'a' }));
  net.send(raw, gw, request('INVITE', { ...inside, cseq: '3 INVITE', body: 'b' }));
  net.run(10);
  assert.deepEqual(
    raw.received.map((r) => status(r.text)),
    [100, 500],
  );
  const wait = Number(header(raw.received[1]!.text, 'Retry-After'));
  assert.ok(wait >= 0 && wait <= 10);
  gw.command({ kind: 'modify-accept', session: 1, body: sdp('c') });
  net.run(10);
  net.send(raw, gw, request('ACK', { ...inside, cseq: '2 ACK' }));
  net.run(10);
  gw.command({ kind: 'reinvite', session: 1, body: sdp('d') });
  net.send(raw, gw, request('INVITE', { ...inside, cseq: '4 INVITE', body: 'e' }));
  net.run(10);
  assert.equal(status(raw.received.at(-1)!.text), 491);
});

test('UPDATE with an offer is a modify, without one a refresh (RFC 3311 5.2)', () => {
  const { net, gw, raw, inside } = answered();
  net.send(raw, gw, request('UPDATE', { ...inside, cseq: '2 UPDATE' }));
  net.run(10);
  assert.equal(status(raw.received[0]!.text), 200);
  assert.equal(gw.seen('modify').length, 0);
  net.send(raw, gw, request('UPDATE', { ...inside, cseq: '3 UPDATE', body: 'new' }));
  net.run(10);
  assert.equal(textOf(gw.seen('modify')[0]?.body), 'new');
  gw.command({ kind: 'modify-accept', session: 1, body: sdp('fine') });
  net.run(10);
  assert.match(raw.received.at(-1)!.text, /^SIP\/2\.0 200 [\s\S]*fine$/);
});

test('an early BYE of the caller ends the call: 200 to BYE, 487 to INVITE (15)', () => {
  const { net, gw, raw } = stage();
  net.send(raw, gw, request('INVITE', { callId: 'c1', from: 'f1' }));
  net.run(10);
  gw.command({ kind: 'provisional', session: 1, status: 180 });
  net.run(10);
  const tag = toTag(raw.received.at(-1)!.text);
  net.send(raw, gw, request('BYE', { callId: 'c1', from: 'f1', to: tag, cseq: '2 BYE' }));
  net.run(10);
  assert.deepEqual(
    raw.received
      .map((r) => status(r.text))
      .slice(2)
      .sort(),
    [200, 487],
  );
  assert.equal(gw.seen('ended')[0]?.by, 'far-end');
});

test('REFER: 202, NOTIFY 100 at once, NOTIFYs of the user, the last one terminated (RFC 3515)', () => {
  const { net, gw, raw, inside } = answered();
  const refer = ['Refer-To: <sip:400@192.0.2.1?Replaces=abc%3Bto-tag%3D1%3Bfrom-tag%3D2>'];
  net.send(raw, gw, request('REFER', { ...inside, cseq: '2 REFER', headers: refer }));
  net.run(10);
  const [event] = gw.seen('refer');
  assert.equal(event?.target.user, '400');
  assert.equal(event?.replaces, 'abc;to-tag=1;from-tag=2');
  gw.command({ kind: 'notify-refer', session: 1, status: 200, reasonText: 'x', final: true });
  net.run(10);
  assert.equal(status(raw.received[0]!.text), 202);
  const notifies = raw.received.slice(1).map((r) => r.text);
  assert.match(notifies[0]!, /Subscription-State: active[\s\S]*SIP\/2\.0 100 Trying/);
  assert.match(notifies[1]!, /Subscription-State: terminated[\s\S]*SIP\/2\.0 200 OK/);
});

test('a dialog belongs to its peer: another known peer with the right tags gets 481 and changes nothing', () => {
  const { net, gw, inside } = answered({
    peers: [
      { name: 'raw', host: PEER },
      { name: 'other', host: '192.0.2.10' },
    ],
  });
  const thief = net.peer('192.0.2.10');
  net.send(thief, gw, request('BYE', { ...inside, cseq: '2 BYE' }));
  net.run(10);
  assert.deepEqual(
    thief.received.map((r) => status(r.text)),
    [481],
  );
  assert.equal(gw.counted('foreign-dialog'), 1);
  assert.equal(gw.seen('ended').length, 0);
});

test('boundToSource: another address of the same peer name is a stranger to the dialog; requests go to the source', () => {
  const { net, gw, raw, inside } = answered(
    { peers: [{ name: 'raw', host: PEER, boundToSource: true }], sources: { '192.0.2.10': 'raw' } },
    { headers: [] },
  );
  const thief = net.peer('192.0.2.10');
  net.send(thief, gw, request('BYE', { ...inside, cseq: '2 BYE' }));
  net.run(10);
  assert.deepEqual(
    thief.received.map((r) => status(r.text)),
    [481],
  );
  gw.command({ kind: 'end', session: 1 });
  net.run(10);
  assert.match(raw.received[0]!.text, /^BYE /);
});

test('only who sent the INVITE can cancel it (9.2): the source is part of the transaction', () => {
  const { net, gw, raw } = stage({ sources: { '192.0.2.10': 'raw' } });
  const text = request('INVITE', { branch: 'z9hG4bKvictim' });
  net.send(raw, gw, text);
  net.run(10);
  const cancel = text.replace(/^INVITE/, 'CANCEL').replace('1 INVITE', '1 CANCEL');
  const thief = net.peer('192.0.2.10');
  net.send(thief, gw, cancel);
  net.run(10);
  assert.equal(status(thief.received[0]!.text), 481);
  assert.equal(gw.seen('ended').length, 0);
  net.send(raw, gw, cancel);
  net.run(10);
  assert.deepEqual(
    raw.received
      .map((r) => status(r.text))
      .slice(1)
      .sort(),
    [200, 487],
  );
});

test('Record-Route of the INVITE is echoed, and is the route set of our requests (12.1.1, 12.2.1.1)', () => {
  const routes = ['Record-Route: <sip:192.0.2.9;lr>', 'Record-Route: <sip:198.51.100.7;lr>'];
  const { net, gw, raw, ok } = answered({}, { headers: routes });
  const lines = (text: string, name: string): string[] =>
    text
      .split('\r\n')
      .filter((l) => l.startsWith(`${name}:`))
      .map((l) => l.slice(name.length + 2));
  assert.deepEqual(lines(ok, 'Record-Route'), ['<sip:192.0.2.9;lr>', '<sip:198.51.100.7;lr>']);
  gw.command({ kind: 'end', session: 1 });
  net.run(10);
  const bye = raw.received[0]!.text;
  assert.match(bye, /^BYE sip:300@192\.0\.2\.9 /);
  assert.deepEqual(lines(bye, 'Route'), ['<sip:192.0.2.9;lr>', '<sip:198.51.100.7;lr>']);
});

test('a Contact or route that leads away from the peer is not followed: the request goes to the source', () => {
  for (const contact of [
    '<sip:300@127.0.0.1>',
    '<sip:300@10.1.2.3:5060>',
    '<sip:300@203.0.113.66>',
    '<sip:300@evil.example>',
  ]) {
    const { net, gw, raw } = stage();
    const call = { callId: 'c1', from: 'f1' };
    net.send(raw, gw, request('INVITE', call).replace(/^Contact: .*$/m, `Contact: ${contact}`));
    net.run(10);
    gw.command({ kind: 'accept', session: 1, body: sdp('answer') });
    net.run(10);
    net.send(raw, gw, request('ACK', { ...call, to: toTag(raw.received.at(-1)!.text), cseq: '1 ACK' }));
    net.run(10);
    raw.received.length = 0;
    gw.command({ kind: 'end', session: 1 });
    net.run(10);
    assert.match(raw.received[0]?.text ?? '', /^BYE sip:300@/, contact);
  }
});

test('forks: early dialogs by To tag; the first 2xx wins, others get ACK and BYE (13.2.2.4)', () => {
  const { net, gw, raw } = stage();
  gw.command(invite(2, 'raw'));
  net.run(10);
  const ours = raw.received[0]!.text;
  const contact = [`Contact: <sip:x@${PEER}>`];
  for (const [code, tag] of [
    [180, 'a'],
    [183, 'b'],
    [180, 'a'],
    [200, 'b'],
    [200, 'c'],
    [200, 'b'],
  ] as const) {
    net.send(raw, gw, respond(ours, code, tag, contact, code === 180 ? '' : `sdp ${tag}`));
    net.run(10);
  }
  assert.deepEqual(
    gw.seen('provisional').map((e) => [e.status, e.branch]),
    [
      [180, 1],
      [183, 2],
      [180, 1],
    ],
  );
  assert.deepEqual(
    gw.seen('answered').map((e) => [e.branch, textOf(e.body)]),
    [[2, 'sdp b']],
  );
  const sent = raw.received.slice(1).map((r) => `${r.text.slice(0, 3)} ${toTag(r.text)}`);
  assert.deepEqual(
    sent.filter((s) => s !== 'BYE c'),
    ['ACK b', 'ACK c', 'ACK b'],
  );
  assert.ok(sent.includes('BYE c'));
  gw.command({ kind: 'end', session: 2 });
  net.run();
  assert.equal(gw.seen('ended').length, 1);
  assert.deepEqual(gw.endpoint.sizes, IDLE);
});

test('a response counts only from where the request went (spoofed 200)', () => {
  const { net, gw, raw } = stage({
    peers: [
      { name: 'raw', host: PEER },
      { name: 'other', host: '192.0.2.10' },
    ],
  });
  gw.command(invite(2, 'raw'));
  net.run(10);
  net.send(net.peer('192.0.2.10'), gw, respond(raw.received[0]!.text, 200, 'evil', [], 'evil'));
  net.run(10);
  assert.equal(gw.seen('answered').length, 0);
  assert.equal(gw.counted('stray-response'), 1);
});

test('3xx tells where to, and nothing is followed by the endpoint', () => {
  const { net, gw, raw } = stage();
  raw.on = (text): void => {
    if (text.startsWith('INVITE'))
      net.send(raw, gw, respond(text, 302, 't', ['Contact: <sip:777@203.0.113.9>']));
  };
  gw.command(invite(2, 'raw'));
  net.run();
  assert.equal(gw.seen('ended')[0]?.redirect?.user, '777');
  assert.equal(raw.received.filter((r) => r.text.startsWith('ACK')).length, 1);
});

test('RFC 3263 4.3: the next target after 503, a timeout or an ICMP error; a 486 is final', () => {
  for (const trouble of ['503', 'silence', 'icmp', '486'] as const) {
    const net = new Net(5);
    const gw = new Node(net, {
      name: 'gw',
      ip: '192.0.2.1',
      peers: [{ name: 'trunk', host: 'trunk.example' }],
    });
    gw.names.set('trunk.example', [
      { transport: 'udp', address: { ip: '198.51.100.1', port: 5060 } },
      { transport: 'udp', address: { ip: '198.51.100.2', port: 5060 } },
    ]);
    const first = net.peer('198.51.100.1');
    const second = net.peer('198.51.100.2');
    first.on = (text): void => {
      if (!text.startsWith('INVITE')) return;
      if (trouble === '503' || trouble === '486') net.send(first, gw, respond(text, Number(trouble), 't'));
      if (trouble === 'icmp')
        net.at(1, () => gw.input({ kind: 'unreachable', listener: 'udp', remote: first.address }));
    };
    second.on = (text): void => {
      if (text.startsWith('INVITE'))
        net.send(second, gw, respond(text, 200, 't2', ['Contact: <sip:x@198.51.100.2>'], 'sdp'));
    };
    gw.command(invite(2, 'trunk'));
    net.run(40_000);
    assert.equal(gw.seen('answered').length, trouble === '486' ? 0 : 1, trouble);
    const branches = [...first.received, ...second.received]
      .filter((r) => r.text.startsWith('INVITE'))
      .map((r) => /branch=(\w+)/.exec(r.text)?.[1]);
    if (trouble === '503') assert.equal(new Set(branches).size, 2, 'a new branch for each target');
  }
});

test('a name that does not resolve ends the call with 503', () => {
  const { net, gw } = stage({ peers: [{ name: 'trunk', host: 'nowhere.example' }] });
  gw.command(invite(2, 'trunk'));
  net.run();
  assert.deepEqual(gw.seen('ended'), [{ kind: 'ended', session: 2, by: 'transport', status: 503 }]);
  assert.deepEqual(gw.endpoint.sizes, IDLE);
});

test('digest client: the challenge of the peer and realm is answered once per nonce, stale ones again (22.2)', () => {
  const peers = [
    { name: 'raw', host: PEER, credentials: { username: 'gw', password: 'secret', realm: 'trunk' } },
  ];
  const challenge = (realm: string, nonce: string, more = ''): string =>
    `WWW-Authenticate: Digest realm="${realm}", nonce="${nonce}", algorithm=SHA-256, qop="auth"${more}`;
  const run = (script: (n: number) => string): { sent: string[]; gw: Node } => {
    const { net, gw, raw } = stage({ peers });
    let n = 0;
    raw.on = (text): void => {
      if (text.startsWith('INVITE')) net.send(raw, gw, respond(text, 401, 't', [script(n++)]));
    };
    gw.command(invite(2, 'raw'));
    net.run();
    assert.equal(gw.seen('ended').length, 1);
    assert.deepEqual(gw.endpoint.sizes, IDLE);
    return { sent: raw.received.map((r) => r.text).filter((t) => t.startsWith('INVITE')), gw };
  };
  const refused = run(() => challenge('trunk', 'n1'));
  assert.equal(refused.sent.length, 2, 'wrong password: not a second time');
  assert.equal(refused.gw.seen('ended')[0]?.status, 401);
  assert.match(header(refused.sent[1]!, 'Authorization')!, /username="gw", realm="trunk", nonce="n1"/);
  assert.equal(header(refused.sent[1]!, 'CSeq'), '2 INVITE');
  assert.equal(run((n) => challenge('trunk', `n${n}`, n === 1 ? ', stale=true' : '')).sent.length, 3);
  assert.equal(run(() => challenge('elsewhere', 'n1')).sent.length, 1, 'not our realm');
});

test('SIP digest leak: a challenge to a BYE from somebody without configured credentials is not answered', () => {
  const { net, gw, raw } = answered();
  raw.on = (text): void => {
    if (text.startsWith('BYE'))
      net.send(raw, gw, respond(text, 401, 't', ['WWW-Authenticate: Digest realm="r", nonce="n"']));
  };
  gw.command({ kind: 'end', session: 1 });
  net.run();
  assert.equal(raw.received.filter((r) => /Authorization/.test(r.text)).length, 0);
  assert.deepEqual(gw.endpoint.sizes, IDLE);
});

test('digest server: challenge without state, proof to the user, account with the event (22.1, RFC 8760)', () => {
  const { net, gw, raw } = stage({ authenticate: () => ({ realm: 'gw', algorithms: ['SHA-256', 'MD5'] }) });
  const attempt = (password: string, nc: number, challengeText: string): string => {
    const challenge = parseChallenge(challengeText)!;
    const value = answerChallenge(
      nodeCrypto,
      challenge,
      { username: 'u300', password },
      {
        method: 'INVITE',
        uri: 'sip:200@192.0.2.1',
        cnonce: 'c',
        nc,
      },
    );
    return request('INVITE', { headers: [`Authorization: ${value}`] });
  };
  gw.on = (event): void => {
    if (event.kind !== 'authenticate') return;
    const right = verifyProof(nodeCrypto, event.proof, { username: 'u300', password: 'right' });
    gw.command({
      kind: 'authenticated',
      exchange: event.exchange,
      outcome: right ? 'accepted' : 'refused',
      account: 'acc',
    });
  };
  net.send(raw, gw, request('INVITE'));
  net.run(10);
  assert.deepEqual(
    raw.received.map((r) => status(r.text)),
    [401],
  );
  assert.deepEqual(gw.endpoint.sizes, IDLE, 'the challenge leaves no state');
  const first = raw.received[0]!.text.split('\r\n').filter((l) => l.startsWith('WWW-Authenticate'));
  assert.equal(first.length, 2, 'one header per algorithm');
  const value = first[0]!.slice('WWW-Authenticate: '.length);
  net.send(raw, gw, attempt('wrong', 1, value));
  net.run(10);
  assert.deepEqual(
    raw.received.slice(1).map((r) => status(r.text)),
    [100, 401],
  );
  net.send(raw, gw, attempt('right', 1, value));
  net.run(10);
  assert.match(header(raw.received.at(-1)!.text, 'WWW-Authenticate')!, /stale=true/, 'a count used twice');
  net.send(raw, gw, attempt('right', 2, value));
  net.run(10);
  assert.deepEqual(
    gw.seen('incoming').map((e) => e.account),
    ['acc'],
  );
});

test('nobody judges the proof: 503 after 10 s, nothing left', () => {
  const { net, gw, raw } = stage({ authenticate: () => ({ realm: 'gw', algorithms: ['MD5'] }) });
  net.send(raw, gw, request('REGISTER'));
  net.run(10);
  const challenge = parseChallenge(header(raw.received[0]!.text, 'WWW-Authenticate')!)!;
  const value = answerChallenge(
    nodeCrypto,
    challenge,
    { username: 'u', password: 'p' },
    {
      method: 'REGISTER',
      uri: 'sip:192.0.2.1',
      cnonce: 'c',
      nc: 1,
    },
  );
  net.send(raw, gw, request('REGISTER', { headers: [`Authorization: ${value}`] }));
  net.run(9000);
  assert.equal(gw.endpoint.sizes.pendingAuth, 1);
  net.run();
  assert.equal(status(raw.received.at(-1)!.text), 503);
  assert.deepEqual(gw.endpoint.sizes, IDLE);
});

test('CANCEL while the proof is being judged: 487, no session', () => {
  const { net, gw, raw } = stage({ authenticate: () => ({ realm: 'gw', algorithms: ['MD5'] }) });
  net.send(raw, gw, request('INVITE'));
  net.run(10);
  const challenge = parseChallenge(header(raw.received[0]!.text, 'WWW-Authenticate')!)!;
  const value = answerChallenge(
    nodeCrypto,
    challenge,
    { username: 'u', password: 'p' },
    {
      method: 'INVITE',
      uri: 'sip:200@192.0.2.1',
      cnonce: 'c',
      nc: 1,
    },
  );
  const text = request('INVITE', { headers: [`Authorization: ${value}`] });
  net.send(raw, gw, text);
  net.run(10);
  const [pending] = gw.seen('authenticate');
  net.send(raw, gw, text.replace(/^INVITE/, 'CANCEL').replace('1 INVITE', '1 CANCEL'));
  net.run(10);
  assert.deepEqual(
    raw.received
      .slice(-2)
      .map((r) => status(r.text))
      .sort(),
    [200, 487],
  );
  gw.command({ kind: 'authenticated', exchange: pending!.exchange, outcome: 'accepted' });
  net.run();
  assert.equal(gw.seen('incoming').length, 0);
  assert.deepEqual(gw.endpoint.sizes, IDLE);
});

test('REGISTER is the user’s to answer; 503 where the user does not', () => {
  const { net, gw, raw } = stage();
  net.send(raw, gw, request('REGISTER'));
  net.run(10);
  const [event] = gw.seen('request');
  gw.command({
    kind: 'respond',
    transaction: event!.transaction,
    status: 200,
    headers: [{ name: 'Expires', value: '60' }],
  });
  net.run(10);
  assert.equal(header(raw.received[0]!.text, 'Expires'), '60');
  net.send(raw, gw, request('REGISTER'));
  net.run();
  assert.equal(status(raw.received.at(-1)!.text), 503);
  assert.deepEqual(gw.endpoint.sizes, IDLE);
});

test('OPTIONS probes: up with the first answer, down after two without, up again', () => {
  const { net, gw, raw } = stage({ peers: [{ name: 'raw', host: PEER, probeEveryMs: 10_000 }] });
  let alive = true;
  raw.on = (text): void => {
    if (alive && text.startsWith('OPTIONS')) net.send(raw, gw, respond(text, 405, 't'));
  };
  net.run(5000);
  assert.equal(gw.seen('peer-up').length, 1);
  alive = false;
  net.run(16_000);
  assert.equal(gw.seen('peer-down').length, 0, 'one failure is none');
  net.run(20_000);
  assert.equal(gw.seen('peer-down').length, 1);
  alive = true;
  net.run(30_000);
  assert.equal(gw.seen('peer-up').length, 2);
  gw.command({ kind: 'configure', peers: [], listeners: gw.listeners });
  net.run();
  assert.deepEqual(gw.endpoint.sizes, IDLE);
});

test('session timer: we refresh where the far end wants it, hang up where it should have (RFC 4028)', () => {
  const timer = (refresher: string, allow = ''): readonly string[] => [
    'Supported: timer',
    `Session-Expires: 90;refresher=${refresher}`,
    ...(allow === '' ? [] : [`Allow: ${allow}`]),
  ];
  for (const allow of ['INVITE, UPDATE', 'INVITE']) {
    const { net, gw, raw, ok } = answered({}, { headers: timer('uas', allow) });
    assert.equal(header(ok, 'Session-Expires'), '90;refresher=uas');
    const method = allow.includes('UPDATE') ? 'UPDATE' : 'INVITE';
    let refreshes = 0;
    raw.on = (text): void => {
      if (!text.startsWith(method)) return;
      refreshes++;
      net.send(
        raw,
        gw,
        respond(
          text,
          200,
          '',
          ['Session-Expires: 90;refresher=uac', `Contact: <sip:300@${PEER}>`],
          method === 'INVITE' ? 'same' : '',
        ),
      );
    };
    net.run(200_000);
    assert.ok(refreshes >= 3, `${method} ${refreshes}`);
    assert.equal(gw.seen('ended').length, 0);
    assert.equal(gw.seen('modify-accepted').length, 0, 'the user hears nothing of it');
    raw.on = () => undefined;
    net.run();
    assert.equal(gw.seen('ended').length, 1);
    assert.deepEqual(gw.endpoint.sizes, IDLE);
  }
  const { net, gw, ok } = answered({}, { headers: timer('uac') });
  assert.equal(header(ok, 'Require'), 'timer');
  net.run(59_000);
  assert.equal(gw.seen('ended').length, 0);
  net.run(2000);
  assert.equal(gw.seen('ended')[0]?.by, 'timeout');
});

test('headers of ours have constant shape and carry nothing of the other side (topology hiding)', () => {
  const { net, gw, raw } = stage();
  gw.command(
    invite(2, 'raw', {
      parties: {
        from: { user: '+4930123', displayName: 'Evil"\r\nX-Injected: 1', anonymous: false },
        to: { user: '2 0\r\n0' },
        asserted: '+4930999',
        diversion: { user: '555', reason: 'no-answer' },
      },
      hops: 12,
      priority: true,
    }),
  );
  gw.command(invite(4, 'raw', { parties: { from: { user: '1', anonymous: true }, to: { user: '2' } } }));
  net.run(10);
  const [first, second] = raw.received.map((r) => r.text) as [string, string];
  assert.ok(!/^X-Injected/m.test(first));
  assert.match(first, /^INVITE sip:2%200%0D%0A0@192\.0\.2\.9 SIP/);
  assert.match(header(first, 'Call-ID')!, /^[0-9a-f]{32}$/);
  assert.match(header(first, 'Via')!, /^SIP\/2\.0\/UDP 192\.0\.2\.1:5060;branch=z9hG4bK[0-9a-f]{24};rport$/);
  assert.equal(header(first, 'Max-Forwards'), '12');
  assert.equal(header(first, 'P-Asserted-Identity'), '<sip:+4930999@192.0.2.1>');
  assert.equal(header(first, 'Priority'), 'emergency');
  assert.match(header(second, 'From')!, /^"Anonymous" <sip:anonymous@anonymous\.invalid>;tag=[0-9a-f]{16}$/);
  assert.equal(header(second, 'Privacy'), 'id');
});

test('stream limits: per source, no message, half a message, idle; unknown sources are closed at once', () => {
  const { net, gw } = stage({ transports: ['tcp'], limits: { connectionsPerSource: 2, connections: 3 } });
  const closed: string[] = [];
  const carry = net.carry.bind(net);
  net.carry = (node, out): void => {
    if (out.kind === 'close-stream') closed.push(`${out.connection} ${out.reason}`);
    carry(node, out);
  };
  const open = (connection: number, ip: string): void =>
    gw.input({
      kind: 'stream-open',
      connection,
      listener: 'tcp',
      transport: 'tcp',
      local: { ip: gw.ip, port: 5060 },
      remote: { ip, port: 1000 + connection },
      certificateNames: [],
    });
  const data = (connection: number, text: string): void =>
    gw.input({ kind: 'stream-data', connection, bytes: Uint8Array.from(text, (c) => c.charCodeAt(0)) });
  for (const ref of [1, 3, 5]) open(ref, PEER);
  open(7, '203.0.113.5');
  assert.deepEqual(closed.splice(0), ['5 connections-per-source', '7 unknown-source']);
  data(3, 'OPTIONS sip:x');
  for (let i = 0; i < 20; i++) {
    net.run(1000);
    if (i < 9) data(3, 'x'); // a slow writer does not move the limit
  }
  assert.deepEqual(closed.splice(0).sort(), ['1 header-timeout', '3 header-timeout']);
  open(9, PEER);
  data(9, request('OPTIONS', { via: `Via: SIP/2.0/TCP ${PEER};branch=z9hG4bKt` }));
  net.run(500_000);
  assert.deepEqual(closed, []);
  net.run();
  assert.deepEqual(closed, ['9 idle']);
  assert.equal(gw.endpoint.sizes.connections, 0);
});

test('a flood of INVITEs stops at the caps, and drains to nothing', () => {
  const { net, gw, raw } = stage({ limits: { transactions: 50, sessions: 20 } });
  for (let i = 0; i < 500; i++) net.send(raw, gw, request('INVITE'));
  net.run(100);
  assert.equal(gw.endpoint.sizes.sessions, 20);
  assert.equal(raw.received.filter((r) => status(r.text) === 503).length, 480);
  net.run();
  assert.equal(gw.seen('ended').length, 20);
  assert.deepEqual(gw.endpoint.sizes, IDLE);
});

test('one stranger cannot fill the table: honest peers are answered during its flood', () => {
  const { net, gw, raw } = stage({
    limits: { transactions: 400, sessions: 1000 },
    peers: [
      { name: 'raw', host: PEER },
      { name: 'phones', host: '', boundToSource: true },
    ],
    sources: { '203.0.113.5': 'phones' },
  });
  gw.on = (event): void => {
    if (event.kind === 'incoming') gw.command({ kind: 'reject', session: event.session, status: 403 });
  };
  const flooder = net.peer('203.0.113.5');
  for (let i = 0; i < 1000; i++) net.send(flooder, gw, request('INVITE'));
  net.run(100);
  assert.equal(gw.seen('incoming').length, 50);
  for (let i = 0; i < 100; i++) net.send(raw, gw, request('INVITE'));
  net.run(100);
  assert.equal(gw.seen('incoming').length, 150);
});

test('IPv6 over TLS: Via and Contact say so, the name to verify goes with the connection (RFC 5118, RFC 3261 26)', () => {
  const net = new Net(9);
  const gw = new Node(net, {
    name: 'gw',
    ip: '2001:db8::1',
    transports: ['udp', 'tls'],
    peers: [{ name: 'trunk', host: 'trunk.example', transport: 'tls' }],
  });
  gw.names.set('trunk.example', [{ transport: 'tls', address: { ip: '2001:db8::2', port: 5061 } }]);
  const trunk = new Node(net, {
    name: 'trunk',
    ip: '2001:db8::2',
    transports: ['tls'],
    peers: [{ name: 'gw', host: '2001:db8::1', transport: 'tls' }],
  });
  const opened: unknown[] = [];
  const carry = net.carry.bind(net);
  net.carry = (node, out): void => {
    if (out.kind === 'open-stream') opened.push(out.serverName);
    carry(node, out);
  };
  trunk.on = (event): void => {
    if (event.kind === 'incoming')
      trunk.command({ kind: 'accept', session: event.session, body: sdp('answer') });
  };
  gw.command(invite(2, 'trunk'));
  net.run(2000);
  assert.deepEqual(opened, ['trunk.example']);
  const [incoming] = trunk.seen('incoming');
  assert.deepEqual(
    incoming?.request.vias.map((v) => [v.transport, v.host, v.port]),
    [['TLS', '2001:db8::1', 5061]],
  );
  assert.equal(
    incoming?.request.headers.find((h) => h.name === 'Contact')?.value,
    '<sip:[2001:db8::1]:5061;transport=tls>',
  );
  assert.equal(gw.seen('answered').length, 1);
  trunk.command({ kind: 'end', session: 1 });
  net.run(2000);
  assert.equal(gw.seen('ended')[0]?.by, 'far-end');
  assert.equal(opened.length, 1, 'one connection for the whole call, both ways');
});

test('a registered phone is called over the flow it registered from, and nowhere else', () => {
  const { net, gw } = stage({
    peers: [{ name: 'phones', host: '', boundToSource: true }],
    sources: { '203.0.113.5': 'phones' },
  });
  const phone = net.peer('203.0.113.5', 41_000);
  net.send(phone, gw, request('REGISTER'));
  net.run(10);
  const flow = gw.seen('request')[0]!.flow;
  const uri = {
    scheme: 'sip',
    user: 'p7',
    host: '10.0.0.7',
    port: 5062,
    parameters: new Map(),
    headers: '',
  } as const;
  gw.command(invite(2, 'phones', { target: { uri, flow } }));
  net.run(10);
  assert.match(phone.received.at(-1)!.text, /^INVITE sip:p7@10\.0\.0\.7:5062 /);
  // Its Contact is a private address: ACK and BYE go where the 200 came from.
  net.send(
    phone,
    gw,
    respond(phone.received.at(-1)!.text, 200, 't', ['Contact: <sip:p7@10.0.0.7:5062>'], 'sdp'),
  );
  net.run(10);
  assert.match(phone.received.at(-1)!.text, /^ACK sip:p7@10\.0\.0\.7:5062 /);
  gw.command(invite(4, 'phones', { target: { uri, flow: { kind: 'stream', connection: 77 } } }));
  assert.deepEqual(
    gw.seen('ended').map((e) => [e.session, e.status]),
    [[4, 503]],
  );
});

test('a caller that requires 100rel: RSeq, repeated until PRACK, one at a time, 2xx after it without a description (RFC 3262)', () => {
  const { net, gw, raw } = stage();
  const call = { callId: 'c1', from: 'f1' };
  net.send(raw, gw, request('INVITE', { ...call, headers: ['Require: 100rel'], body: 'offer' }));
  net.run(10);
  gw.command({ kind: 'provisional', session: 1, status: 183, body: sdp('answer') });
  gw.command({ kind: 'provisional', session: 1, status: 180 });
  gw.command({ kind: 'accept', session: 1, body: sdp('answer') });
  net.run(1600);
  const statuses = (): number[] => raw.received.map((r) => status(r.text));
  assert.deepEqual(statuses(), [100, 183, 183, 183], 'at 0, 0.5 and 1.5 s');
  const early = raw.received.at(-1)!.text;
  assert.equal(header(early, 'Require'), '100rel');
  const prack = (text: string, n: number, cseq: number, rseq = Number(header(text, 'RSeq'))): void =>
    net.send(
      raw,
      gw,
      request('PRACK', {
        ...call,
        to: toTag(text),
        cseq: `${cseq} PRACK`,
        headers: [`RAck: ${rseq} ${n} INVITE`],
      }),
    );
  raw.received.length = 0;
  prack(early, 1, 2, 77);
  net.run(10);
  assert.deepEqual(statuses(), [481], 'nothing of ours');
  raw.received.length = 0;
  prack(early, 1, 3);
  net.run(10);
  assert.deepEqual(statuses(), [200, 180]);
  const ringing = raw.received.at(-1)!.text;
  assert.equal(Number(header(ringing, 'RSeq')), Number(header(early, 'RSeq')) + 1);
  raw.received.length = 0;
  prack(ringing, 1, 4);
  net.run(10);
  assert.deepEqual(statuses(), [200, 200]);
  assert.ok(!raw.received.at(-1)!.text.includes('answer'), 'the answer was given');
  net.send(raw, gw, request('ACK', { ...call, to: toTag(early), cseq: '1 ACK' }));
  net.run(10);
  gw.command({ kind: 'end', session: 1 });
  net.run();
  assert.deepEqual(gw.endpoint.sizes, IDLE);
});

test('no PRACK for 64*T1: the INVITE is refused with 504 (RFC 3262 3)', () => {
  const { net, gw, raw } = stage();
  net.send(raw, gw, request('INVITE', { headers: ['Require: 100rel'], body: 'offer' }));
  net.run(10);
  gw.command({ kind: 'provisional', session: 1, status: 180 });
  net.run();
  const last = raw.received.filter((r) => status(r.text) >= 200);
  assert.equal(status(last[0]!.text), 504);
  assert.equal(gw.seen('ended').length, 1);
  assert.deepEqual(gw.endpoint.sizes, IDLE);
});
