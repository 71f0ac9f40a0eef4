/**
 * Signalling floods: ATTACKS 4. An honest call is up with sound all the while, honest requests are counted. Measured per
 * flood: share of the honest that is answered, growth of both gateways, what is counted, what the flood got back.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type FloodResult, flood } from './attack-flooder.ts';
import {
  ACCOUNT,
  DOMAIN,
  FULL,
  GATEWAY,
  INSIDE_NUMBER,
  Lab,
  sleep,
  type VerifiedCall,
} from './attack-lab.ts';
import { authorization, challengeOf, offer, request, type Target, UdpAttacker } from './attack-sip.ts';

const PERMITTED = '127.0.0.4';
const MS = FULL ? 15_000 : 2000;
/**
 * Packets per second: what the gateway can answer on this machine as busy as it is now, which is a flood at any rate. Where
 * that is little even without a flood, other work on the machine would be measured.
 */
const LEAST = 200;
let busy: string | false = false;
let rate = FULL ? 8000 : 3000;
let lab: Lab;
let honest: UdpAttacker;
let call: VerifiedCall;
before(async () => {
  lab = await Lab.start({
    remoteUsers: true,
    maxCallsPerSecond: 50,
    maxCallsPerSecondPerSource: 5,
    trunk: `, sources: ["${PERMITTED}/32"]`,
  });
  honest = await UdpAttacker.bind(GATEWAY);
  call = await lab.verifiedCall();
  if (FULL) return;
  const started = performance.now();
  for (let i = 0; i < 10; i++) {
    await Promise.all(
      Array.from({ length: 30 }, () => honest.askPolitely(request({ target: sip(), at: honest }), sip())),
    );
  }
  const each = 300 / ((performance.now() - started) / 1000);
  rate = Math.max(2 * LEAST, Math.min(rate, each));
  if (each < LEAST)
    busy = `machine too busy: ${each.toFixed(0)} OPTIONS a second are answered without a flood`;
});
after(async () => {
  honest?.close();
  await lab?.stop();
});

const sip = (): Target => ({ ip: GATEWAY, port: lab.ports.sip });
/** A template for the flooder. */
const template = (method: string, more: Partial<Parameters<typeof request>[0]> = {}): string =>
  request({
    method,
    target: sip(),
    at: { ip: '@IP', port: 0 },
    via: 'Via: SIP/2.0/UDP @IP:@PORT;branch=z9hG4bK@@;rport',
    fromTag: '@@',
    callId: '@@',
    contact: 'Contact: <sip:x@@IP:@PORT>',
    ...more,
  });
const MANY = Array.from({ length: 200 }, (_, i) => `127.${1 + (i >> 4)}.${i & 15}.9`);

interface Outcome {
  readonly answered: number;
  readonly result: FloodResult;
  readonly growth: number;
  readonly counted: (reason: string) => number;
}

async function under(
  name: string,
  from: readonly string[],
  messages: readonly (string | Uint8Array)[],
  perSecond = rate,
): Promise<Outcome> {
  const [memory, relay] = [lab.memory(), lab.memory('gw1')];
  const before = (await lab.status()).counters['sipRefused'] ?? {};
  const end = Date.now() + MS;
  const attack = flood({ from, to: sip(), messages, perSecond, ms: MS });
  let asked = 0;
  let answered = 0;
  const waiting: Promise<void>[] = [];
  while (Date.now() < end) {
    asked++;
    const ask = honest.askPolitely(request({ target: sip(), at: honest }), sip());
    waiting.push(
      ask.then((status) => {
        if (status === 200) answered++;
      }),
    );
    await sleep(50);
  }
  const result = await attack;
  await Promise.all(waiting);
  lab.ensureAlive();
  const counters = (await lab.status()).counters['sipRefused'] ?? {};
  const counted = (reason: string): number => (counters[reason] ?? 0) - (before[reason] ?? 0);
  const growth = Math.max(lab.memory() - memory, lab.memory('gw1') - relay);
  const what = `${name}: ${answered} of ${asked} honest, ${result.sent} sent, ${result.received} back, grew ${growth.toFixed(0)} MB`;
  assert.ok(asked > 10 && answered / asked >= 0.95, what);
  assert.ok(growth < 80, what);
  return { answered: answered / asked, result, growth, counted };
}

test('OPTIONS flood from one source: the source is limited, the honest are answered', async (t) => {
  if (busy !== false) return t.skip(busy);
  const { counted, result } = await under('OPTIONS', ['127.0.0.60'], [template('OPTIONS')]);
  assert.ok(counted('source-rate') > 0, `of ${result.sent}`);
  assert.ok(result.received <= 50 * (MS / 1000 + 6), `${result.received} answers`);
});

test('REGISTER flood from one source, with and without credentials', async (t) => {
  if (busy !== false) return t.skip(busy);
  const uri = `sip:${DOMAIN}`;
  const proof =
    'Authorization: Digest username="alice", realm="example.com", nonce="00", uri="sip:example.com", response="0123456789abcdef0123456789abcdef", algorithm=MD5, qop=auth, nc=00000001, cnonce="x"';
  const { counted } = await under(
    'REGISTER',
    ['127.0.0.61'],
    [template('REGISTER', { uri }), template('REGISTER', { uri, headers: [proof] })],
  );
  assert.ok(counted('source-rate') > 0);
  assert.ok((await lab.status()).registrations === 0);
});

test('INVITE flood from one stranger: challenges without state, nothing inside', async (t) => {
  if (busy !== false) return t.skip(busy);
  const seen = lab.inside.received.length;
  await under(
    'INVITE',
    ['127.0.0.62'],
    [template('INVITE', { user: INSIDE_NUMBER, body: offer('127.0.0.62') })],
  );
  assert.equal(lab.inside.received.length, seen);
});

test('flood from 200 sources at once: tables bounded, peers and registered users answered', async (t) => {
  if (busy !== false) return t.skip(busy);
  const user = await UdpAttacker.bind('127.0.0.64');
  const register = (headers: readonly string[] = []): string =>
    request({
      method: 'REGISTER',
      uri: `sip:${DOMAIN}`,
      target: sip(),
      at: user,
      headers,
      cseq: 1 + headers.length,
    });
  const challenge = challengeOf((await user.answer(register(), sip())) ?? '')!;
  const proof = authorization(challenge, { ...ACCOUNT, method: 'REGISTER', uri: `sip:${DOMAIN}` });
  assert.equal(await user.ask(register([proof]), sip(), 1500), 200);
  let [asked, answered, over] = [0, 0, false];
  const users = (async () => {
    while (!over) {
      asked++;
      if ((await user.askPolitely(request({ target: sip(), at: user }), sip())) === 200) answered++;
      await sleep(50);
    }
  })();
  const floods = [
    template('OPTIONS'),
    template('REGISTER'),
    template('INVITE', { body: offer('127.1.0.9') }),
  ];
  const { counted, result } = await under('many sources', MANY, floods).finally(() => {
    over = true;
  });
  await users;
  user.close();
  assert.ok(answered / asked >= 0.95, `${answered} of ${asked} of a registered user`);
  assert.ok(counted('source-rate') > 0 || result.sent < 3000, 'strangers together have a limit too');
});

test('garbage, broken messages, responses and stray requests of dialogs: dropped, the source banned', async (t) => {
  if (busy !== false) return t.skip(busy);
  const { result, counted } = await under(
    'garbage',
    ['127.0.0.63'],
    [
      'INVITE\u0000\u0001\u0002@@',
      new Uint8Array(1200).fill(255),
      'SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK@@\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: @@\r\nCSeq: 1 INVITE\r\n\r\n',
      template('CANCEL'),
      template('BYE', { toTag: '@@' }),
      template('ACK', { toTag: '@@' }),
      template('PRACK', { toTag: '@@' }),
      template('INVITE', { toTag: '@@' }),
    ],
  );
  assert.ok(counted('source-banned') === 1);
  assert.ok(result.received < 100, `${result.received} answers`);
});

test('INVITE flood from a permitted source: calls limited per source, other callers get through', async (t) => {
  if (busy !== false) return t.skip(busy);
  const seen = lab.inside.requests('INVITE').length;
  let calls = 0;
  let connected = 0;
  const started = Date.now();
  const end = started + MS;
  const attack = flood({
    from: [PERMITTED],
    to: sip(),
    messages: [
      template('INVITE', { user: INSIDE_NUMBER, from: '<sip:4917012345@h>', body: offer(PERMITTED) }),
    ],
    perSecond: Math.min(rate, 500),
    ms: MS,
  });
  while (Date.now() < end) {
    calls++;
    const mine = await lab.phone.call('600');
    if (mine.state === 'connected') {
      connected++;
      await lab.phone.hangUp(mine);
    }
    await sleep(300);
  }
  const result = await attack;
  assert.equal(connected, calls, `${connected} of ${calls} honest calls`);
  const rang = lab.inside.requests('INVITE').length - seen;
  const seconds = (Date.now() - started) / 1000;
  assert.ok(rang <= 5 * (seconds + 2) + calls + 5, `${rang} of ${result.sent} reached the PBX`);
  const refused = (await lab.status()).counters['callsRefused'] ?? {};
  assert.ok((refused['source-call-rate'] ?? 0) > 10, JSON.stringify(refused));
});

test('the tables forget: what the floods left is gone, and the honest call has lost nothing', async () => {
  assert.ok(call.match() >= 0.5, `match ${call.match()}`);
  assert.ok(call.loss() < 0.1, `loss ${call.loss()}`);
  const calls = await lab.calls();
  assert.ok(calls.some((c) => c.state === 'connected' && c.caller.includes('4930901820')));
  await call.hangUp();
});
