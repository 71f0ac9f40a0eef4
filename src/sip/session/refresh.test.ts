/** Session timers whose refresh does not go through at once (RFC 4028 7.4, 10): a call does not end for one refusal. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sdp } from '../test-network.test.ts';
import { answered, header, PEER, request, respond, status } from '../test-peer.test.ts';

type Reply = readonly [status: number, ...headers: string[]];

const AGREED: Reply = [200, 'Session-Expires: 90;refresher=uac', `Contact: <sip:300@${PEER}>`];

/** A call that we refresh; the far end answers the refreshes of that method in turn, then 200. */
function refreshed(allow: string, replies: Readonly<Record<string, readonly Reply[]>>) {
  const headers = ['Supported: timer', 'Session-Expires: 90;refresher=uas', `Allow: ${allow}`];
  const made = answered({}, { headers });
  const { net, gw, raw } = made;
  const seen: { readonly at: number; readonly text: string }[] = [];
  const left = new Map(Object.entries(replies).map(([method, list]) => [method, [...list]]));
  raw.on = (text): void => {
    const method = /^(INVITE|UPDATE) /.exec(text)?.[1];
    if (method === undefined) return;
    seen.push({ at: net.now, text });
    const [code, ...more] = left.get(method)?.shift() ?? AGREED;
    net.send(raw, gw, respond(text, code, '', more, code === 200 && method === 'INVITE' ? 'same' : ''));
  };
  return { ...made, seen };
}

const methods = (seen: readonly { readonly text: string }[]): string[] =>
  seen.map(({ text }) => text.slice(0, 6));

test('a refresh that is refused for now is made again before the session expires (RFC 4028 10)', () => {
  for (const [allow, method] of [
    ['INVITE, UPDATE', 'UPDATE'],
    ['INVITE', 'INVITE'],
  ] as const) {
    const { net, gw, seen } = refreshed(allow, { [method]: [[500, 'Retry-After: 3'], [503]] });
    net.run(110_000);
    assert.equal(gw.seen('ended').length, 0, method);
    assert.ok(seen.length >= 4, `${method}: two refused, two taken`);
    net.run(100_000);
    assert.equal(gw.seen('ended').length, 0, method);
  }
});

test('a far end that takes no UPDATE after all is refreshed by re-INVITE (RFC 4028 7.4)', () => {
  for (const code of [405, 501]) {
    const { net, gw, seen } = refreshed('INVITE, UPDATE', { UPDATE: [[code]] });
    net.run(200_000);
    assert.deepEqual(methods(seen).slice(0, 3), ['UPDATE', 'INVITE', 'INVITE'], String(code));
    assert.equal(gw.seen('ended').length, 0);
  }
});

test('422: refreshed again at once with the interval that is wanted, nonsense and contradictions are no loop (RFC 4028 7.4)', () => {
  for (const allow of ['INVITE, UPDATE', 'INVITE']) {
    const method = allow === 'INVITE' ? 'INVITE' : 'UPDATE';
    const { net, gw, seen } = refreshed(allow, { [method]: [[422, 'Min-SE: 1800']] });
    net.run(60_000);
    assert.equal(seen.length, 2, method);
    assert.match(header(seen[1]!.text, 'Session-Expires')!, /^1800;/);
    assert.equal(gw.seen('ended').length, 0);
  }
  for (const least of [(): number => 60, (time: number): number => 91 + time]) {
    const endless = Array.from({ length: 500 }, (_, i): Reply => [422, `Min-SE: ${least(i)}`]);
    const { net, gw, seen } = refreshed('INVITE, UPDATE', { UPDATE: endless });
    net.run(200_000);
    assert.ok(seen.length < 10, String(seen.length));
    assert.equal(gw.seen('ended').length, 1);
  }
});

test('422 repeats the change with the interval and Min-SE that are wanted, be it a refresh or a hold; not after the end (RFC 4028 7.4)', () => {
  const wanted: Reply = [422, 'Min-SE: 1800'];
  const { gw, net, seen } = refreshed('INVITE', { INVITE: [wanted] });
  gw.command({ kind: 'reinvite', session: 1, body: sdp('hold') });
  net.run(2000);
  assert.deepEqual(
    seen.map(({ text }) => [text.split('\r\n\r\n')[1], header(text, 'Min-SE')]),
    [
      ['hold', undefined],
      ['hold', '1800'],
    ],
  );
  assert.equal(gw.seen('modify-accepted').length, 1);
  const late = refreshed('INVITE', {});
  let open = '';
  late.raw.on = (text): void => {
    if (text.startsWith('INVITE ')) open = text;
  };
  late.net.run(46_000);
  late.net.send(late.raw, late.gw, request('BYE', { ...late.inside, cseq: '2 BYE' }));
  late.net.run(10);
  const before = late.raw.received.filter(({ text }) => text.startsWith('INVITE ')).length;
  late.net.send(late.raw, late.gw, respond(open, 422, '', ['Min-SE: 1800']));
  late.net.run(100);
  assert.ok(open !== '');
  assert.equal(late.raw.received.filter(({ text }) => text.startsWith('INVITE ')).length, before);
});

test('481 and 408 to a refresh by UPDATE end the call, as to one by re-INVITE (RFC 4028 10, RFC 3261 12.2.1.2)', () => {
  for (const code of [481, 408]) {
    const { net, gw, raw } = refreshed('INVITE, UPDATE', { UPDATE: [[code]] });
    net.run(46_000);
    assert.equal(gw.seen('ended').length, 1, String(code));
    assert.ok(raw.received.some(({ text }) => text.startsWith('BYE ')));
  }
});

test('a refresh that falls into a change of the user’s is made after it, where that was refused', () => {
  const { net, gw, raw, seen } = refreshed('INVITE', {});
  const refreshes = raw.on;
  let change = '';
  raw.on = (text): void => {
    if (text.startsWith('INVITE ')) change = text;
  };
  net.run(44_000);
  gw.command({ kind: 'reinvite', session: 1, body: sdp('hold') });
  net.run(3000); // the refresh would have been due
  raw.on = refreshes;
  net.send(raw, gw, respond(change, 488, ''));
  net.run(150_000);
  assert.equal(gw.seen('modify-refused').length, 1);
  assert.equal(gw.seen('ended').length, 0);
  assert.ok(seen.length >= 2);
});

test('a refresh by re-INVITE offers what stands, never an offer that was refused (RFC 3261 14.1)', () => {
  const { net, gw, seen } = refreshed('INVITE', { INVITE: [[488]] });
  gw.command({ kind: 'reinvite', session: 1, body: sdp('hold') });
  net.run(50_000);
  assert.deepEqual(
    seen.map(({ text }) => text.split('\r\n\r\n')[1]),
    ['hold', 'answer'],
  );
});

test('a refresh that waits for its retry after 491 gives way to a change of the far end, and comes again where that is refused', () => {
  const { net, gw, raw, inside, seen } = refreshed('INVITE', { INVITE: [[491]] });
  gw.on = (event): void => {
    if (event.kind === 'modify') gw.command({ kind: 'modify-refuse', session: 1, status: 488 });
  };
  while (seen.length === 0) net.run(100);
  net.send(raw, gw, request('INVITE', { ...inside, cseq: '2 INVITE', body: 'theirs' }));
  net.run(20);
  assert.ok(raw.received.some(({ text }) => status(text) === 488 || status(text) === 491));
  net.run(150_000);
  assert.equal(gw.seen('ended').length, 0);
});

test('a session interval below the least is refused only to who knows session timers, for others it is raised (RFC 4028 9)', () => {
  const { ok } = answered({}, { headers: ['Session-Expires: 60'] });
  assert.equal(header(ok, 'Session-Expires'), '90;refresher=uas');
});
