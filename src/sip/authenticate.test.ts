/** Digest as client and as server (RFC 3261 22, RFC 8760). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemCrypto } from '../net/providers.ts';
import { answerChallenge, parseChallenge, verifyProof } from './digest.ts';
import { IDLE, invite, type Node } from './test-network.test.ts';
import { answered, header, PEER, request, respond, stage, status } from './test-peer.test.ts';

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
      systemCrypto,
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
    const right = verifyProof(systemCrypto, event.proof, { username: 'u300', password: 'right' });
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
    [401],
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

test('RFC 7616 3.4.6: a proof made for another Request-URI is challenged again and shown to nobody', () => {
  const { net, gw, raw } = stage({ authenticate: () => ({ realm: 'gw', algorithms: ['MD5'] }) });
  net.send(raw, gw, request('INVITE'));
  net.run(10);
  const challenge = parseChallenge(header(raw.received[0]!.text, 'WWW-Authenticate')!)!;
  const proof = (uri: string): string[] => {
    const made = { method: 'INVITE', uri, cnonce: 'c', nc: 1 };
    return [
      `Authorization: ${answerChallenge(systemCrypto, challenge, { username: 'u', password: 'p' }, made)}`,
    ];
  };
  for (const uri of ['sip:201@192.0.2.1', 'sip:200@192.0.2.7', 'sip:192.0.2.1', 'nonsense']) {
    net.send(raw, gw, request('INVITE', { headers: proof(uri) }));
    net.run(10);
    assert.equal(status(raw.received.at(-1)!.text), 401, uri);
    assert.equal(gw.seen('authenticate').length, 0, uri);
  }
  net.send(raw, gw, request('INVITE', { headers: proof('sip:200@192.0.2.1:5060;transport=udp') }));
  net.run(10);
  assert.equal(gw.seen('authenticate').length, 1, 'its count was not spent; port and parameters may differ');
});

test('nobody judges the proof: 503 after 10 s, nothing left', () => {
  const { net, gw, raw } = stage({ authenticate: () => ({ realm: 'gw', algorithms: ['MD5'] }) });
  net.send(raw, gw, request('REGISTER'));
  net.run(10);
  const challenge = parseChallenge(header(raw.received[0]!.text, 'WWW-Authenticate')!)!;
  const value = answerChallenge(
    systemCrypto,
    challenge,
    { username: 'u', password: 'p' },
    {
      method: 'REGISTER',
      uri: 'sip:200@192.0.2.1',
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
    systemCrypto,
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
