/** What the endpoint answers before anything remembers the request (RFC 3261 8.2), and what gets silence. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeOptions } from './test-network.test.ts';
import { IDLE, invite, type Node } from './test-network.test.ts';
import { header, PEER, request, respond, stage, status, toTag } from './test-peer.test.ts';

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
    [183, 183],
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
    [482],
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
  assert.deepEqual(raw.received.map((r) => status(r.text)).sort(), [200, 487]);
});

test('a CANCEL after the final answer changes nothing, and gets 200 with the same tag each time (9.2)', () => {
  const { net, gw, raw } = stage({ sources: { '192.0.2.10': 'raw' } });
  const text = request('INVITE', { branch: 'z9hG4bKlate' });
  net.send(raw, gw, text);
  net.run(10);
  gw.command({ kind: 'reject', session: gw.seen('incoming')[0]!.session, status: 486 });
  net.run(10);
  const cancel = text.replace(/^INVITE/, 'CANCEL').replace('1 INVITE', '1 CANCEL');
  for (let i = 0; i < 2; i++) net.send(raw, gw, cancel);
  net.run(10);
  const answers = raw.received.filter((r) => header(r.text, 'CSeq') === '1 CANCEL');
  assert.deepEqual(
    answers.map((r) => status(r.text)),
    [200, 200],
  );
  assert.match(header(answers[0]!.text, 'To')!, /;tag=[0-9a-f]{16}$/);
  assert.equal(header(answers[0]!.text, 'To'), header(answers[1]!.text, 'To'));
  assert.equal(gw.seen('ended').length, 1);
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
