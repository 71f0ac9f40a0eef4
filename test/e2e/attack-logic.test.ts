/** Logic abuse: ATTACKS 5. Hijack, relaying, spoofing, loops; the strangers are what a peer for everybody lets in. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  DOMAIN,
  GATEWAY,
  INSIDE,
  INSIDE_NUMBER,
  Lab,
  OWN_NUMBER,
  PROVIDER_NUMBER,
  sleep,
  until,
} from './attack-lab.ts';
import {
  ackOf,
  authorization,
  challengeOf,
  headerOf,
  offer,
  type RequestOptions,
  request,
  statusOf,
  type Target,
  UdpAttacker,
  unique,
} from './attack-sip.ts';

let lab: Lab;
let trunk: UdpAttacker;
const open: UdpAttacker[] = [];
before(async () => {
  lab = await Lab.start({ remoteUsers: true });
  trunk = await attacker(GATEWAY);
});
after(async () => {
  for (const one of open) one.close();
  await lab?.stop();
});

const sip = (): Target => ({ ip: GATEWAY, port: lab.ports.sip });

async function attacker(ip: string): Promise<UdpAttacker> {
  const one = await UdpAttacker.bind(ip);
  open.push(one);
  return one;
}

const FROM = '<sip:4917012345@provider.example>';
const tagOf = (message: string, name: string): string =>
  /;tag=([^;\r\n]+)/.exec(headerOf(message, name) ?? '')?.[1] ?? '';

interface Call {
  readonly invite: string;
  readonly ok: string;
  /** A request in the call's dialog, with the caller's tags, from wherever. */
  inDialog(method: string, from: UdpAttacker, more?: Partial<RequestOptions>): string;
}

/** A call from the permitted address to the recording PBX, answered and acknowledged. */
async function established(at = trunk, more: Partial<RequestOptions> = {}): Promise<Call> {
  const invite = request({
    method: 'INVITE',
    user: INSIDE_NUMBER,
    from: FROM,
    target: sip(),
    at,
    body: offer(at.ip, 40_100),
    ...more,
  });
  const ok = (await at.answer(invite, sip(), 3000)) ?? '';
  assert.equal(statusOf(ok), 200, ok);
  at.send(ackOf(invite, ok, true), sip());
  await sleep(50);
  let cseq = Number.parseInt(headerOf(invite, 'cseq') ?? '1', 10);
  return {
    invite,
    ok,
    inDialog: (method, from, over = {}) =>
      request({
        method,
        user: INSIDE_NUMBER,
        from: more.from ?? FROM,
        fromTag: tagOf(invite, 'from'),
        toTag: tagOf(ok, 'to'),
        callId: headerOf(invite, 'call-id') ?? '',
        cseq: ++cseq,
        target: sip(),
        at: from,
        ...over,
      }),
  };
}

const connected = async (): Promise<number> =>
  (await lab.calls()).filter((c) => c.state === 'connected').length;

test('hijack: BYE, re-INVITE, UPDATE, INFO, REFER and CANCEL from a third address with the right tags', async () => {
  const call = await established();
  const thief = await attacker('127.0.0.40');
  const seen = await lab.inside.settled();
  const before = await lab.refused('foreign-dialog');
  for (const method of ['BYE', 'INVITE', 'UPDATE', 'INFO', 'REFER', 'OPTIONS', 'NOTIFY', 'PRACK']) {
    const body = method === 'INVITE' || method === 'UPDATE' ? offer(thief.ip, 41_000) : '';
    const status = await thief.ask(
      call.inDialog(method, thief, { body, headers: ['Refer-To: <sip:601@127.0.0.1>'] }),
      sip(),
      3000,
    );
    assert.equal(status, 481, method);
  }
  const cancel = call.invite
    .replace(/INVITE/g, 'CANCEL')
    .replace(/Content-Type.*\r\n/, '')
    .replace(/Content-Length: \d+\r\n\r\n[\s\S]*/, 'Content-Length: 0\r\n\r\n');
  assert.ok([0, 481].includes(await thief.ask(cancel, sip(), 300)));
  await sleep(150);
  assert.deepEqual(lab.inside.received.slice(seen), [], 'nothing reached the PBX');
  assert.equal(await connected(), 1);
  assert.ok((await lab.refused('foreign-dialog')) - before >= 8);
  assert.equal(await trunk.ask(call.inDialog('BYE', trunk), sip(), 3000), 200, 'the caller itself can');
  assert.ok(await until(() => lab.inside.requests('BYE', seen).length === 1));
});

test('hijack: another remote user, authenticated or not, cannot touch the call of one behind a shared peer', async () => {
  const alice = await attacker('127.0.0.41');
  const thief = await attacker('127.0.0.42');
  const uri = `sip:${INSIDE_NUMBER}@${DOMAIN}`;
  const from = `<sip:4930102@${DOMAIN}>`;
  const proof = async (who: UdpAttacker, method: string, target: string): Promise<string> => {
    const asked = await who.answer(
      request({ method: 'INVITE', uri: target, from, target: sip(), at: who, body: offer(who.ip) }),
      sip(),
    );
    return authorization(challengeOf(asked ?? '')!, {
      username: 'bob',
      password: 'battery staple 99',
      method,
      uri: target,
    });
  };
  const call = await established(alice, { uri, from, headers: [await proof(alice, 'INVITE', uri)] });
  const seen = await lab.inside.settled();
  assert.equal(
    await thief.ask(call.inDialog('BYE', thief, { headers: [await proof(thief, 'BYE', uri)] }), sip()),
    481,
  );
  assert.equal(
    await thief.ask(
      call.inDialog('INVITE', thief, { body: offer(thief.ip), headers: [await proof(thief, 'INVITE', uri)] }),
      sip(),
    ),
    481,
  );
  assert.equal(lab.inside.received.length, seen);
  assert.equal(await alice.ask(call.inDialog('BYE', alice), sip(), 3000), 200);
});

test('REFER and Replaces: strangers and permitted callers move nobody’s call', async () => {
  const call = await established();
  const stranger = await attacker('127.0.0.43');
  const seen = await lab.inside.settled();
  const replaces = `Replaces: ${headerOf(call.invite, 'call-id')};to-tag=${tagOf(call.ok, 'to')};from-tag=${tagOf(call.invite, 'from')}`;
  const refer = request({
    method: 'REFER',
    user: INSIDE_NUMBER,
    target: sip(),
    at: stranger,
    headers: ['Refer-To: <sip:601@127.0.0.1>'],
  });
  assert.ok([401, 403, 405, 481].includes(await stranger.ask(refer, sip())));
  const taking = (at: UdpAttacker, require: readonly string[]): string =>
    request({
      method: 'INVITE',
      user: '998',
      from: FROM,
      target: sip(),
      at,
      body: offer(at.ip),
      headers: [replaces, ...require],
    });
  assert.ok([401, 403, 481].includes(await stranger.ask(taking(stranger, []), sip())));
  assert.equal(await trunk.ask(taking(trunk, ['Require: replaces']), sip()), 420);
  assert.ok((await trunk.ask(taking(trunk, []), sip(), 3000)) >= 400);
  assert.deepEqual(lab.inside.received.slice(seen), []);
  assert.equal(await connected(), 1);
  assert.equal(await trunk.ask(call.inDialog('BYE', trunk), sip(), 3000), 200);
});

test('open relay: Route, maddr, inside addresses and premium numbers lead nowhere', async () => {
  const arrived = (): number[] => {
    const begun = ['INVITE', 'OPTIONS', 'MESSAGE'].flatMap((m) => lab.inside.requests(m));
    return [begun.length, lab.provider.received.length, lab.phone.taken.length];
  };
  const seen = arrived();
  const inside = `${INSIDE}:${lab.ports.inside}`;
  const outside = `127.0.0.3:${lab.ports.provider}`;
  const tries: Partial<RequestOptions>[] = [
    { uri: `sip:998@${GATEWAY}`, headers: [`Route: <sip:${inside};lr>`] },
    {
      uri: `sip:998@${GATEWAY}`,
      headers: [`Route: <sip:${GATEWAY}:${lab.ports.sip};lr>, <sip:${inside};lr>`],
    },
    { uri: `sip:998@${GATEWAY};maddr=${INSIDE}` },
    { uri: `sip:998@${inside}` },
    { uri: `sip:998@${inside};transport=tcp` },
    { uri: `sip:${inside}` },
    { uri: 'tel:+19005551234' },
    { uri: `sip:+19005551234@${GATEWAY};user=phone` },
    { uri: `sip:${PROVIDER_NUMBER}@${GATEWAY}` },
    { uri: `sip:${PROVIDER_NUMBER}@${outside}` },
    { uri: `sip:0700@${GATEWAY}` },
    { uri: `sip:998@${GATEWAY}`, to: `<sip:998@${inside}>`, contact: `Contact: <sip:x@${inside}>` },
    { method: 'OPTIONS', uri: `sip:998@${inside}`, headers: [`Route: <sip:${inside};lr>`] },
    { method: 'MESSAGE', uri: `sip:998@${inside}`, headers: [`Route: <sip:${inside};lr>`] },
  ];
  const stranger = await attacker('127.0.0.44');
  for (const at of [trunk, stranger]) {
    for (const over of tries) {
      const status = await at.ask(
        request({ method: 'INVITE', from: FROM, target: sip(), at, body: offer(at.ip), ...over }),
        sip(),
        3000,
      );
      assert.ok(status >= 400 || over.method === 'OPTIONS', `${JSON.stringify(over)}: ${status}`);
    }
  }
  assert.deepEqual(arrived(), seen);
});

test('caller-ID: nobody outside is one of our own numbers without authentication, nor asserts one', async () => {
  const seen = await lab.inside.settled();
  for (const number of [OWN_NUMBER, `+${OWN_NUMBER}`, '200', '4930101']) {
    const spoofed = request({
      method: 'INVITE',
      user: INSIDE_NUMBER,
      from: `<sip:${number}@${GATEWAY}>`,
      target: sip(),
      at: trunk,
      body: offer(trunk.ip),
    });
    assert.equal(await trunk.ask(spoofed, sip(), 3000), 403, number);
  }
  assert.equal(lab.inside.received.length, seen);
  assert.ok(((await lab.status()).counters['callsRefused']?.['caller-own-number'] ?? 0) >= 3);
  const asserted = await established(trunk, {
    headers: [`P-Asserted-Identity: <sip:${OWN_NUMBER}@${GATEWAY}>`],
  });
  const arrived = lab.inside.requests('INVITE', seen).at(-1) ?? '';
  assert.doesNotMatch(arrived, new RegExp(`sip:\\+?${OWN_NUMBER}`));
  await trunk.ask(asserted.inDialog('BYE', trunk), sip(), 3000);
  // An account is its own number and no other, whatever From says.
  const user = await attacker('127.0.0.45');
  const uri = `sip:${INSIDE_NUMBER}@${DOMAIN}`;
  const base = {
    method: 'INVITE',
    uri,
    from: `<sip:${OWN_NUMBER}@${DOMAIN}>`,
    target: sip(),
    at: user,
    body: offer(user.ip),
  };
  const challenge = challengeOf((await user.answer(request(base), sip())) ?? '')!;
  const proof = authorization(challenge, {
    username: 'bob',
    password: 'battery staple 99',
    method: 'INVITE',
    uri,
  });
  const mine = request({ ...base, headers: [proof] });
  const ok = (await user.answer(mine, sip(), 2000)) ?? '';
  assert.equal(statusOf(ok), 200);
  user.send(ackOf(mine, ok, true), sip());
  assert.match(lab.inside.requests('INVITE', seen).at(-1) ?? '', /\nFrom: .*sip:4930102@/);
});

test('responses without a transaction, and with a guessed or seen branch from elsewhere, change nothing', async () => {
  lab.provider.reaction = 'ring';
  const seen = lab.provider.received.length;
  const at = lab.inside;
  const call = request({
    method: 'INVITE',
    uri: `sip:${PROVIDER_NUMBER}@${GATEWAY}`,
    target: { ip: GATEWAY, port: lab.ports.gw1 },
    at,
    from: `<sip:299@${INSIDE}>`,
    body: offer(at.ip, 40_006),
  });
  const fromInside = lab.inside.received.length;
  at.send(call, { ip: GATEWAY, port: lab.ports.gw1 });
  assert.ok(await until(() => lab.provider.requests('INVITE', seen).length === 1));
  assert.ok(await until(() => lab.inside.received.slice(fromInside).some((t) => statusOf(t) === 180)));
  const invite = lab.provider.requests('INVITE', seen)[0]!;
  const response = (status: string, from = invite): string =>
    [
      `SIP/2.0 ${status}`,
      `Via: ${headerOf(from, 'via')}`,
      `From: ${headerOf(from, 'from')}`,
      `To: ${headerOf(from, 'to')};tag=${unique()}`,
      `Call-ID: ${headerOf(from, 'call-id')}`,
      `CSeq: ${headerOf(from, 'cseq')}`,
      'Contact: <sip:thief@127.0.0.46:5060>',
      'Proxy-Authenticate: Digest realm="provider.example", nonce="x", algorithm=MD5, qop="auth"',
      'Content-Length: 0\r\n\r\n',
    ].join('\r\n');
  const thief = await attacker('127.0.0.46');
  const marker = lab.inside.received.length;
  const sent = lab.provider.received.length;
  for (const status of [
    '183 Session Progress',
    '200 OK',
    '407 Proxy Authentication Required',
    '302 Moved',
    '486 Busy Here',
    '100 Trying',
  ]) {
    thief.send(response(status), sip());
    thief.send(response(status, invite.replace(/branch=[^;\r\n]+/, `branch=z9hG4bK${unique()}`)), sip());
    // From a configured peer that the request did not go to.
    trunk.send(response(status), sip());
  }
  await sleep(400);
  assert.deepEqual(lab.inside.received.slice(marker), [], 'nothing was passed on');
  assert.deepEqual(lab.provider.received.slice(sent), []);
  assert.ok(!thief.received.some((t) => /^(ACK|INVITE|BYE)/.test(t)));
  assert.ok((await lab.refused('stray-response')) >= 6);
  const cancel = call
    .replace(/INVITE/g, 'CANCEL')
    .replace(/Content-Type.*\r\n/, '')
    .replace(/Content-Length: \d+\r\n\r\n[\s\S]*/, 'Content-Length: 0\r\n\r\n');
  at.send(cancel, { ip: GATEWAY, port: lab.ports.gw1 });
  assert.ok(await until(() => lab.provider.requests('CANCEL', seen).length === 1));
  lab.provider.reaction = 'answer';
});

test('RFC 5393: the last hop, merged requests and our own calls coming back end here', async () => {
  const seen = await lab.inside.settled();
  const base: RequestOptions = {
    method: 'INVITE',
    user: INSIDE_NUMBER,
    from: FROM,
    target: sip(),
    at: trunk,
    body: offer(trunk.ip),
  };
  const last = request(base).replace('Max-Forwards: 70', 'Max-Forwards: 0');
  assert.equal(await trunk.ask(last, sip()), 483);
  assert.equal(lab.inside.received.length, seen);
  const call = await established(trunk, { callId: unique() });
  const merged = call.invite.replace(/branch=[^;]+/, `branch=z9hG4bK${unique()}`);
  const from = trunk.received.length;
  trunk.send(merged, sip());
  assert.ok(await until(() => trunk.received.slice(from).some((r) => statusOf(r) === 482)));
  assert.equal(lab.inside.requests('INVITE', seen).length, 1);
  await trunk.ask(call.inDialog('BYE', trunk), sip(), 3000);
});

test('reflection: Via maddr, received and a foreign sent-by aim no answer at a third party; no answer is large', async () => {
  const victim = await attacker('127.0.0.77');
  const liar = await attacker('127.0.0.47');
  const vias = [
    `Via: SIP/2.0/UDP ${victim.ip}:${victim.port};branch=z9hG4bKa${unique()}`,
    `Via: SIP/2.0/UDP ${liar.ip}:${liar.port};maddr=${victim.ip};branch=z9hG4bKb${unique()}`,
    `Via: SIP/2.0/UDP ${liar.ip}:${victim.port};received=${victim.ip};branch=z9hG4bKc${unique()}`,
    `Via: SIP/2.0/UDP ${liar.ip}:${victim.port};received=${victim.ip};rport=${victim.port};branch=z9hG4bKd${unique()}`,
  ];
  for (const via of vias) {
    for (const method of ['OPTIONS', 'REGISTER', 'INVITE', 'FOO', 'BYE']) {
      liar.send(
        request({ method, via, target: sip(), at: liar, body: method === 'INVITE' ? offer(victim.ip) : '' }),
        sip(),
      );
      trunk.send(
        request({
          method,
          via: via.replaceAll(liar.ip, trunk.ip),
          target: sip(),
          at: trunk,
          user: '998',
          from: FROM,
          body: method === 'INVITE' ? offer(trunk.ip) : '',
        }),
        sip(),
      );
    }
    liar.send(`BROKEN ${unique()} SIP/9.0\r\n${via}\r\nCall-ID: x\r\nCSeq: 1 BROKEN\r\n\r\n`, sip());
  }
  await sleep(1200); // a first repetition of anything falls into this
  assert.deepEqual(victim.received, []);
  const one = await attacker('127.0.0.48');
  for (const method of ['OPTIONS', 'REGISTER', 'INVITE', 'MESSAGE', 'FOO']) {
    one.bytesReceived = 0;
    one.bytesSent = 0;
    one.send(request({ method, target: sip(), at: one }), sip());
    await sleep(700);
    const factor = one.bytesReceived / one.bytesSent;
    assert.ok(factor > 0 && factor <= 3, `${method}: ${factor.toFixed(2)}`);
  }
  assert.deepEqual(victim.received, []);
});
