/** Requests of the far end inside a dialog, and where ours go. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IDLE, invite, sdp, textOf } from '../test-network.test.ts';
import { answered, header, PEER, request, respond, stage, status, toTag } from '../test-peer.test.ts';

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
    [500],
  );
  const wait = Number(header(raw.received[0]!.text, 'Retry-After'));
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
      .slice(1)
      .sort(),
    [200, 487],
  );
  assert.equal(gw.seen('ended')[0]?.by, 'far-end');
});

const REFERRER = { peers: [{ name: 'raw', host: PEER, mayRefer: true }] };

test('REFER: 202, NOTIFY 100 at once, NOTIFYs of the user, the last one terminated (RFC 3515)', () => {
  const { net, gw, raw, inside } = answered(REFERRER);
  const refer = ['Refer-To: <sip:400@192.0.2.1>'];
  net.send(raw, gw, request('REFER', { ...inside, cseq: '2 REFER', headers: refer }));
  net.run(10);
  assert.equal(gw.seen('refer')[0]?.target.user, '400');
  gw.command({ kind: 'notify-refer', session: 1, status: 200, final: true });
  net.run(10);
  assert.equal(status(raw.received[0]!.text), 202);
  const notifies = raw.received.slice(1).map((r) => r.text);
  assert.match(notifies[0]!, /Subscription-State: active[\s\S]*SIP\/2\.0 100 Trying/);
  assert.match(notifies[1]!, /Subscription-State: terminated[\s\S]*SIP\/2\.0 200 OK/);
});

test('REFER: two targets, another method or headers for the new request are refused, never left out (RFC 3515 2.4.2, RFC 5589 7)', () => {
  const { net, gw, raw, inside } = answered(REFERRER);
  const cases = [
    [['Refer-To: <sip:400@192.0.2.1>', 'Refer-To: <sip:401@192.0.2.1>'], 400],
    [[], 400],
    [['Refer-To: <http://192.0.2.1/>'], 400],
    [['Refer-To: <sip:400@192.0.2.1;method=BYE>'], 501],
    [['Refer-To: <sip:400@192.0.2.1?Replaces=abc>'], 501],
    [['Refer-To: <sip:400@192.0.2.1?Replaces=a%0d%0aX:%20y%3Bto-tag%3D1%3Bfrom-tag%3D2>'], 501],
    [['Refer-To: <sip:400@192.0.2.1?Replaces=abc%3Bto-tag%3D1%3Bfrom-tag%3D2&Subject=x>'], 501],
    [
      [
        `Refer-To: <sip:400@192.0.2.1?Replaces=${inside.callId}%3Bto-tag%3D${inside.to}%3Bfrom-tag%3D${inside.from}>`,
      ],
      501,
    ],
    [['Refer-To: <sip:400@192.0.2.1?Subject=x>'], 501],
  ] as const;
  for (const [n, [headers, code]] of cases.entries()) {
    net.send(raw, gw, request('REFER', { ...inside, cseq: `${n + 2} REFER`, headers: [...headers] }));
    net.run(10);
    assert.equal(status(raw.received.at(-1)!.text), code, headers.join());
  }
  assert.equal(gw.seen('refer').length, 0);
});

test('REFER with Replaces: the dialog at the peer is told with the target, and goes into the INVITE as it was (RFC 3891, RFC 5589 7)', () => {
  const { net, gw, raw, inside } = answered(REFERRER);
  const refer = [
    'Refer-To: <sip:400@192.0.2.1?Replaces=a%22b%40h.example%3Bto-tag%3Dt1%3Bfrom-tag%3Df2%3Bearly-only>',
  ];
  net.send(raw, gw, request('REFER', { ...inside, cseq: '2 REFER', headers: refer }));
  net.run(10);
  const replaces = gw.seen('refer')[0]?.replaces;
  assert.deepEqual(replaces, { callId: 'a"b@h.example', toTag: 't1', fromTag: 'f2' });
  gw.command(invite(2, 'raw', { replaces: replaces! }));
  net.run(10);
  const sent = raw.received.find((r) => r.text.startsWith('INVITE '))!.text;
  assert.equal(header(sent, 'Replaces'), 'a"b@h.example;to-tag=t1;from-tag=f2');
  assert.equal(header(sent, 'Require'), 'replaces');
});

test('REFER of a peer that may not ask for transfers: 403', () => {
  const { net, gw, raw, inside } = answered();
  net.send(
    raw,
    gw,
    request('REFER', { ...inside, cseq: '2 REFER', headers: ['Refer-To: <sip:400@192.0.2.1>'] }),
  );
  net.run(10);
  assert.equal(status(raw.received.at(-1)!.text), 403);
  assert.equal(gw.seen('refer').length, 0);
  assert.equal(gw.counted('refer-not-permitted'), 1);
});

test('the end of a call tells who referred us that nothing came of it, before BYE (RFC 3515 2.4.7)', () => {
  const { net, gw, raw, inside } = answered(REFERRER);
  net.send(
    raw,
    gw,
    request('REFER', { ...inside, cseq: '2 REFER', headers: ['Refer-To: <sip:400@192.0.2.1>'] }),
  );
  net.run(10);
  gw.command({ kind: 'end', session: 1 });
  net.run(10);
  const said = raw.received.map((r) => r.text);
  const last = said.findIndex((text) => /Subscription-State: terminated[\s\S]*SIP\/2\.0 487 /.test(text));
  const bye = said.findIndex((text) => text.startsWith('BYE '));
  assert.ok(last >= 0 && bye > last);
});

/** Our REFER in an established call, with what the far end answers to it. */
function referring(code: number) {
  const it = answered();
  it.gw.command({ kind: 'refer', session: 1, user: '400' });
  it.net.run(10);
  const refer = it.raw.received.find((r) => r.text.startsWith('REFER '))!.text;
  it.net.send(it.raw, it.gw, respond(refer, code, 'x'));
  it.net.run(10);
  const notify = (n: number, state: string, fragment: string) =>
    request('NOTIFY', {
      ...it.inside,
      cseq: `${n} NOTIFY`,
      headers: ['Event: refer', `Subscription-State: ${state}`],
      type: 'message/sipfrag',
      body: fragment,
    });
  return { ...it, refer, notify };
}

test('our REFER names a number at the peer, and its NOTIFYs are told until the last (RFC 3515 2.4.5)', () => {
  const { net, gw, raw, refer, notify } = referring(202);
  assert.match(refer, new RegExp(`^Refer-To: <sip:400@${PEER}>`, 'm'));
  net.send(raw, gw, notify(2, 'active', 'SIP/2.0 100 Trying\r\n'));
  net.send(raw, gw, notify(3, 'active;expires=9', 'SIP/2.0 180 Ringing\r\n'));
  net.send(raw, gw, notify(4, 'terminated;reason=noresource', 'SIP/2.0 486 Busy Here\r\n'));
  net.send(raw, gw, notify(5, 'terminated', 'SIP/2.0 200 OK\r\n'));
  net.run(10);
  assert.deepEqual(
    gw.seen('refer-progress').map((e) => [e.status, e.final]),
    [
      [180, false],
      [486, true],
    ],
  );
  assert.equal(status(raw.received.at(-1)!.text), 481, 'the subscription is over');
});

test('our REFER: refused, never reported on, or answered by BYE after the 202 (RFC 5589 6.1)', () => {
  const refused = referring(603);
  assert.deepEqual(
    refused.gw.seen('refer-progress').map((e) => [e.status, e.final]),
    [[603, true]],
  );
  const silent = referring(202);
  silent.net.run(61_000);
  assert.deepEqual(
    silent.gw.seen('refer-progress').map((e) => [e.status, e.final]),
    [[408, true]],
  );
  const gone = referring(202);
  gone.net.send(gone.raw, gone.gw, request('BYE', { ...gone.inside, cseq: '2 BYE' }));
  gone.net.run(10);
  assert.deepEqual(
    gone.gw.seen('refer-progress').map((e) => [e.status, e.final]),
    [[200, true]],
  );
  assert.equal(gone.gw.seen('ended').length, 1);
});

test('a NOTIFY of nonsense about our REFER changes nothing', () => {
  const { net, gw, raw, inside, notify } = referring(202);
  net.send(raw, gw, notify(2, 'active', 'BYE sip:400@192.0.2.1 SIP/2.0\r\n'));
  net.send(raw, gw, request('NOTIFY', { ...inside, cseq: '3 NOTIFY', headers: ['Event: presence'] }));
  net.run(10);
  assert.deepEqual(
    raw.received.slice(-2).map((r) => status(r.text)),
    [400, 489],
  );
  assert.equal(gw.seen('refer-progress').length, 0);
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

test('two peers that are one host: requests with the name of either are of its dialog, those of another host are not', () => {
  const { net, gw, raw } = stage({
    peers: [
      { name: 'raw', host: PEER },
      { name: 'raw-tcp', host: PEER },
      { name: 'other', host: '192.0.2.10' },
    ],
    sources: { [PEER]: 'raw-tcp' }, // as `identify` sees it, whichever of the two was called
  });
  gw.command(invite(2, 'raw'));
  net.run(10);
  const sent = raw.received[0]!.text;
  net.send(raw, gw, respond(sent, 200, 'theirs', [`Contact: <sip:200@${PEER}>`], textOf(sdp('answer'))));
  net.run(10);
  assert.equal(gw.seen('answered').length, 1);
  const ours = /;tag=(\S+)/.exec(header(sent, 'From')!)![1]!;
  const inside = { callId: header(sent, 'Call-ID')!, from: 'theirs', to: ours };
  const thief = net.peer('192.0.2.10');
  net.send(thief, gw, request('BYE', { ...inside, cseq: '2 BYE' }));
  net.run(10);
  assert.equal(gw.counted('foreign-dialog'), 1);
  assert.equal(gw.seen('ended').length, 0);
  net.send(raw, gw, request('BYE', { ...inside, cseq: '3 BYE' }));
  net.run(10);
  assert.equal(gw.seen('ended').length, 1);
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

test('a strict router in front: its URI is the Request-URI, the remote target the last route (12.2.1.1)', () => {
  const routes = [`Record-Route: <sip:${PEER};transport=udp>`, 'Record-Route: <sip:p2.example.com;lr>'];
  const { net, gw, raw } = answered({}, { headers: routes });
  gw.command({ kind: 'end', session: 1 });
  net.run(10);
  const bye = raw.received[0]!.text;
  assert.match(bye, new RegExp(`^BYE sip:${PEER};transport=udp SIP/2.0\r\n`));
  assert.deepEqual(
    [...bye.matchAll(/^Route: (.*)\r$/gm)].map(([, value]) => value),
    ['<sip:p2.example.com;lr>', `<sip:300@${PEER}>`],
  );
});

test('an invitation that expires before anybody answers gets 487 (13.3.1)', () => {
  const { net, gw, raw } = stage();
  net.send(raw, gw, request('INVITE', { headers: ['Expires: 20'] }));
  net.run(19_000);
  assert.equal(gw.seen('ended').length, 0);
  net.run(2000);
  assert.equal(status(raw.received.at(-1)!.text), 487);
  assert.equal(gw.seen('ended')[0]?.by, 'timeout');
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
  assert.deepEqual(statuses(), [183, 183, 183], 'at 0, 0.5 and 1.5 s');
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
