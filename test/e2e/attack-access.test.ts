/** Reconnaissance and credentials: ATTACKS 1. Real gateways on loopback; the attackers are at 127.0.0.x. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  ACCOUNT,
  DOMAIN,
  GATEWAY,
  INSIDE_NUMBER,
  Lab,
  PROVIDER_NUMBER,
  PROVIDER_REALM,
  sleep,
  until,
} from './attack-lab.ts';
import {
  ackOf,
  authorization,
  callFromInside,
  challengeOf,
  headerOf,
  offer,
  request,
  statusOf,
  type Target,
  UdpAttacker,
} from './attack-sip.ts';

let lab: Lab;
const open: UdpAttacker[] = [];
before(async () => {
  lab = await Lab.start({ remoteUsers: true });
});
after(async () => {
  for (const attacker of open) attacker.close();
  await lab?.stop();
});

const sip = (): Target => ({ ip: GATEWAY, port: lab.ports.sip });

async function attacker(ip: string): Promise<UdpAttacker> {
  const one = await UdpAttacker.bind(ip);
  open.push(one);
  return one;
}

const register = (a: UdpAttacker, username: string, headers: readonly string[] = [], more = {}): string =>
  request({
    method: 'REGISTER',
    uri: `sip:${DOMAIN}`,
    target: sip(),
    at: a,
    from: `<sip:${username}@${DOMAIN}>`,
    to: `<sip:${username}@${DOMAIN}>`,
    headers: [...headers, 'Expires: 600'],
    ...more,
  });

/** One guess: a challenge, then a proof. The final status; 0: silence. */
async function guess(a: UdpAttacker, username: string, password: string): Promise<number> {
  const asked = await a.answer(register(a, username), sip(), 3000);
  if (asked === undefined) return 0;
  const challenge = challengeOf(asked);
  assert.ok(challenge, asked);
  const proof = authorization(challenge, { username, password, method: 'REGISTER', uri: `sip:${DOMAIN}` });
  return a.ask(register(a, username, [proof], { cseq: 2 }), sip(), 3000);
}

test('fingerprint: no answer names a product, a version or an inner address', async () => {
  const a = await attacker('127.0.0.20');
  const answers: string[] = [];
  for (const method of ['OPTIONS', 'REGISTER', 'INVITE', 'MESSAGE', 'SUBSCRIBE', 'FOO', 'BYE']) {
    const answer = await a.answer(request({ method, target: sip(), at: a }), sip());
    if (answer !== undefined) answers.push(answer);
  }
  answers.push(
    (await a.answer(
      `OPTIONS sip:x SIP/7.0\r\n${register(a, 'x').split('\r\n').slice(1).join('\r\n')}`,
      sip(),
    )) ?? '',
  );
  assert.ok(answers.length >= 6);
  for (const answer of answers) {
    assert.doesNotMatch(answer, /^(?:Server|User-Agent|Warning|Organization):/im);
    assert.doesNotMatch(answer, /voip-sgw|node|127\.0\.0\.2\b/i);
  }
});

test('scanner: a tool that says its name gets silence, and its source is banned', async () => {
  const a = await attacker('127.0.0.21');
  const other = await attacker('127.0.0.22');
  const before = await lab.refused('scanner');
  const probe = request({ target: sip(), at: a, headers: ['User-Agent: friendly-scanner'] });
  assert.equal(await a.ask(probe, sip(), 300), 0);
  assert.equal(await lab.refused('scanner'), before + 1);
  assert.ok((await lab.refused('source-banned')) >= 1);
  assert.equal(await a.ask(request({ target: sip(), at: a }), sip(), 300), 0, 'banned');
  assert.equal(await other.ask(request({ target: sip(), at: other }), sip()), 200, 'others are answered');
});

test('enumeration: existing and missing users get the same answers (svwar)', async () => {
  const a = await attacker('127.0.0.23');
  const shape = (text: string | undefined): string =>
    (text ?? '')
      .replace(/(tag|branch|nonce)="?[^;",\r\n]+/g, '$1')
      .replace(/(From|To|Call-ID|Via):[^\r\n]*/g, '$1');
  for (const method of ['REGISTER', 'INVITE', 'OPTIONS', 'SUBSCRIBE']) {
    const answers: (string | undefined)[] = [];
    for (const user of [ACCOUNT.username, 'nobody7', ACCOUNT.number, '601', '998']) {
      const uri = method === 'REGISTER' ? `sip:${DOMAIN}` : `sip:${user}@${DOMAIN}`;
      const to = `<sip:${user}@${DOMAIN}>`;
      answers.push(
        await a.answer(
          request({
            method,
            uri,
            to,
            from: to,
            target: sip(),
            at: a,
            body: method === 'INVITE' ? offer(a.ip) : '',
          }),
          sip(),
        ),
      );
    }
    assert.ok(statusOf(answers[0] ?? '') >= 200, method);
    assert.equal(new Set(answers.map(shape)).size, 1, `${method}: ${answers.map(shape).join('\n---\n')}`);
  }
});

test('enumeration: a wrong password of a real user and any password of nobody look alike, in time too', async () => {
  const times: Record<string, number[]> = { [ACCOUNT.username]: [], nobody7: [] };
  for (let i = 0; i < 2; i++) {
    for (const user of [ACCOUNT.username, 'nobody7']) {
      const a = await attacker(`127.0.0.${24 + i}`);
      const started = performance.now();
      assert.equal(await guess(a, user, 'wrong'), 401);
      times[user]!.push(performance.now() - started);
    }
  }
  const best = Object.values(times).map((t) => Math.min(...t));
  assert.ok(Math.abs(best[0]! - best[1]!) < 100, JSON.stringify(times));
});

test('password guessing from one source: silence long before a word list is through; others register', async () => {
  const a = await attacker('127.0.0.30');
  const results: number[] = [];
  for (let i = 0; i < 12 && results.at(-1) !== 0; i++) results.push(await guess(a, 'bob', `guess${i}`));
  assert.equal(results.at(-1), 0, `never banned: ${results}`);
  assert.ok(results.length <= 7, `${results}`);
  assert.ok(results.slice(0, -1).every((s) => s === 401));
  assert.ok((await lab.refused('authentication-refused')) >= 4);
  const honest = await attacker('127.0.0.31');
  assert.equal(await guess(honest, ACCOUNT.username, ACCOUNT.password), 200);
});

test('password guessing from many sources: the account itself backs off, its user at a known place does not', async () => {
  const home = await attacker('127.0.0.32');
  assert.equal(await guess(home, ACCOUNT.username, ACCOUNT.password), 200);
  for (let i = 0; i < 12; i++) {
    const a = await attacker(`127.0.1.${10 + i}`);
    assert.equal(await guess(a, ACCOUNT.username, `guess${i}a`), 401);
    assert.equal(await guess(a, ACCOUNT.username, `guess${i}b`), 401);
  }
  const counters = (await lab.status()).counters;
  assert.ok((counters['registrations']?.['account-back-off'] ?? 0) >= 1, JSON.stringify(counters));
  const lucky = await attacker('127.0.1.60');
  assert.equal(
    await guess(lucky, ACCOUNT.username, ACCOUNT.password),
    401,
    'even a right guess is not told now',
  );
  assert.equal(await guess(home, ACCOUNT.username, ACCOUNT.password), 200, 'the user goes on');
});

test('RFC 7616 5.5: a proof seen once is of no use again, elsewhere, or for another method or URI', async () => {
  const a = await attacker('127.0.0.33');
  const challenge = challengeOf((await a.answer(register(a, 'bob'), sip())) ?? '');
  assert.ok(challenge);
  const account = { username: 'bob', password: 'battery staple 99' };
  const proof = authorization(challenge, { ...account, method: 'REGISTER', uri: `sip:${DOMAIN}` });
  assert.equal(await a.ask(register(a, 'bob', [proof], { cseq: 2 }), sip(), 3000), 200);
  const again = await a.answer(register(a, 'bob', [proof], { cseq: 3 }), sip(), 3000);
  assert.equal(statusOf(again ?? ''), 401, 'same count again');
  assert.match(again ?? '', /stale=true/i);
  const thief = await attacker('127.0.0.34');
  const later = authorization(challenge, { ...account, method: 'REGISTER', uri: `sip:${DOMAIN}`, nc: 2 });
  assert.equal(
    await thief.ask(register(thief, 'bob', [later], { cseq: 4 }), sip(), 3000),
    401,
    'other source',
  );
  const call = {
    method: 'INVITE',
    uri: `sip:${INSIDE_NUMBER}@${DOMAIN}`,
    target: sip(),
    at: a,
    body: offer(a.ip),
  };
  const forRegister = authorization(challenge, {
    ...account,
    method: 'REGISTER',
    uri: `sip:${DOMAIN}`,
    nc: 3,
  });
  assert.equal(await a.ask(request({ ...call, headers: [forRegister] }), sip(), 3000), 401, 'other method');
  const forOther = authorization(challenge, {
    ...account,
    method: 'INVITE',
    uri: `sip:601@${DOMAIN}`,
    nc: 4,
  });
  const seen = await lab.inside.settled();
  assert.equal(
    await a.ask(request({ ...call, headers: [forOther] }), sip(), 3000),
    401,
    'other Request-URI (3.4.6)',
  );
  assert.equal(lab.inside.requests('INVITE', seen).length, 0);
});

test('SIP digest leak: no challenge from the untrusted side is answered, ours only in the configured realm', async () => {
  // A stranger with an account calls, the PBX hangs up, and the stranger challenges the BYE.
  const a = await attacker('127.0.0.35');
  const account = { username: 'bob', password: 'battery staple 99' };
  const uri = `sip:${INSIDE_NUMBER}@${DOMAIN}`;
  const base = {
    method: 'INVITE',
    uri,
    target: sip(),
    at: a,
    body: offer(a.ip),
    from: `<sip:4930102@${DOMAIN}>`,
  };
  const asked = await a.answer(request(base), sip());
  const challenge = challengeOf(asked ?? '');
  assert.ok(challenge, asked);
  const proof = authorization(challenge, { ...account, method: 'INVITE', uri });
  const invite = request({ ...base, headers: [proof], cseq: 2 });
  const ok = await a.answer(invite, sip(), 3000);
  assert.equal(statusOf(ok ?? ''), 200, ok);
  a.send(ackOf(invite, ok ?? '', true), sip());
  await sleep(50);
  lab.inside.hangUp();
  const bye = (): string | undefined => a.received.find((t) => t.startsWith('BYE '));
  assert.ok(await until(() => bye() !== undefined));
  const at = a.received.length;
  const challenged = [
    'SIP/2.0 407 Proxy Authentication Required',
    `Via: ${headerOf(bye()!, 'via')}`,
    `From: ${headerOf(bye()!, 'from')}`,
    `To: ${headerOf(bye()!, 'to')}`,
    `Call-ID: ${headerOf(bye()!, 'call-id')}`,
    `CSeq: ${headerOf(bye()!, 'cseq')}`,
    `Proxy-Authenticate: Digest realm="${PROVIDER_REALM}", nonce="n1", algorithm=MD5, qop="auth"`,
    'Content-Length: 0\r\n\r\n',
  ].join('\r\n');
  a.send(challenged, sip());
  await sleep(400);
  assert.ok(!a.received.slice(at).some((t) => /Authorization:/i.test(t)), 'credentials went to a stranger');

  // The provider itself asks in a realm that is not its own.
  lab.provider.reaction = { challenge: 'elsewhere.example' };
  const seen = lab.provider.received.length;
  callFromInside(lab, PROVIDER_NUMBER, 40_002);
  assert.ok(await until(() => lab.provider.requests('INVITE', seen).length > 0));
  await sleep(300);
  assert.ok(!lab.provider.received.slice(seen).some((t) => /Authorization:/i.test(t)), 'wrong realm');
  lab.provider.reaction = { challenge: PROVIDER_REALM };
  const after = lab.provider.received.length;
  callFromInside(lab, PROVIDER_NUMBER, 40_002);
  assert.ok(
    await until(() => lab.provider.received.slice(after).some((t) => /Proxy-Authorization: Digest/i.test(t))),
    'the right realm is answered, so the test can fail',
  );
  lab.provider.reaction = 'answer';
});

test('MESSAGE, SUBSCRIBE and PUBLISH from strangers: refused, nothing goes inside (ES2021-07, ES2021-08)', async () => {
  const a = await attacker('127.0.0.36');
  const seen = await lab.inside.settled();
  for (const method of [
    'MESSAGE',
    'SUBSCRIBE',
    'PUBLISH',
    'NOTIFY',
    'REFER',
    'INFO',
    'PRACK',
    'UPDATE',
    'BYE',
  ]) {
    const status = await a.ask(
      request({
        method,
        user: INSIDE_NUMBER,
        target: sip(),
        at: a,
        body: 'spam',
        contentType: 'text/plain',
        headers: ['Event: presence', 'Refer-To: <sip:299@127.0.0.2>'],
      }),
      sip(),
    );
    assert.ok([401, 403, 405, 481].includes(status), `${method} ${status}`);
  }
  const methods = [
    'MESSAGE',
    'SUBSCRIBE',
    'PUBLISH',
    'NOTIFY',
    'REFER',
    'INFO',
    'UPDATE',
    'OPTIONS',
    'INVITE',
  ];
  assert.deepEqual(
    methods.flatMap((method) => lab.inside.requests(method, seen)),
    [],
  );
});

test('registrar: 1000 contacts, endless expiry and inside contacts do not grow the table or aim calls', async () => {
  const a = await attacker('127.0.0.37');
  const account = {
    username: 'bob',
    password: 'battery staple 99',
    method: 'REGISTER',
    uri: `sip:${DOMAIN}`,
  };
  const many = async (contacts: string, nc: number): Promise<string> => {
    const challenge = challengeOf((await a.answer(register(a, 'bob'), sip())) ?? '')!;
    const proof = authorization(challenge, { ...account, nc });
    return (await a.answer(register(a, 'bob', [proof], { cseq: 2, contact: contacts }), sip(), 3000)) ?? '';
  };
  const list = Array.from({ length: 1000 }, (_, i) => `<sip:c${i}@${a.ip}:${1024 + i}>`).join(', ');
  assert.equal(statusOf(await many(`Contact: ${list}`, 1)), 400);
  assert.equal(statusOf(await many(`Contact: <sip:x@${a.ip}:${a.port}>;expires=-1`, 1)), 400);
  const long = await many(`Contact: <sip:x@127.0.0.2:${lab.ports.inside}>;expires=4294967296`, 1);
  assert.equal(statusOf(long), 200);
  assert.ok(
    [...long.matchAll(/expires=(\d+)/g)].every(([, seconds]) => Number(seconds) <= 3600),
    long,
  );
  assert.ok((await lab.status()).registrations <= 2);
  const seen = await lab.inside.settled();
  const asked = a.received.length;
  callFromInside(lab, '4930102', 40_004);
  assert.ok(
    await until(() => a.received.slice(asked).some((t) => t.startsWith('INVITE '))),
    'the call goes over the flow of the registration',
  );
  assert.equal(lab.inside.requests('INVITE', seen).length, 0, 'and not to the address in Contact');
});
