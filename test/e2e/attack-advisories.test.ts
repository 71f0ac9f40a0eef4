/** Messages of published advisories, one by one (ATTACKS 1 to 5), where the generated ones are not exactly theirs. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DOMAIN, GATEWAY, INSIDE_NUMBER, Lab, sleep, until } from './attack-lab.ts';
import {
  authorization,
  callFromInside,
  challengeOf,
  headerOf,
  offer,
  type RequestOptions,
  request,
  statusOf,
  type Target,
  TcpAttacker,
  UdpAttacker,
  unique,
} from './attack-sip.ts';

const PERMITTED = '127.0.0.4';
let lab: Lab;
let a: UdpAttacker;
before(async () => {
  lab = await Lab.start({
    maxCallsPerSecond: 500,
    remoteUsers: true,
    trunk: `, sources: ["${PERMITTED}/32"]`,
  });
  a = await UdpAttacker.bind(PERMITTED);
});
after(async () => {
  a?.close();
  await lab?.stop();
});

const sip = (): Target => ({ ip: GATEWAY, port: lab.ports.sip });
const from = '<sip:4917012345@provider.example>';
/** To a number nobody has: what is accepted gets 404. */
const message = (o: Partial<RequestOptions> = {}): string =>
  request({ method: 'INVITE', user: '998', from, target: sip(), at: a, body: offer(a.ip), ...o });

/** Whatever the answer to `text` (none is one too), OPTIONS is answered after it, and nothing was asked inside. */
async function harmless(what: string, text: string, wanted: readonly number[]): Promise<void> {
  const seen = lab.inside.received.length;
  const status = await a.ask(text, sip(), 400);
  assert.ok(wanted.includes(status), `${what}: ${status}`);
  assert.equal(await a.ask(request({ target: sip(), at: a }), sip(), 2000), 200, `alive after ${what}`);
  assert.equal(lab.inside.received.length, seen, `${what}: nothing inside`);
  lab.ensureAlive();
}

const long = (n: number, c = 'A'): string => c.repeat(n);

test('overflows in CSeq, branch, tags and Via of any method (ES2017-01 CVE-2017-9372, ES2018-05 CVE-2018-8828)', async () => {
  for (const method of ['INVITE', 'OPTIONS', 'REGISTER', 'SUBSCRIBE', 'NOTIFY']) {
    const body = method === 'INVITE' ? offer(a.ip) : '';
    const refused = [0, 400, 401, 403, 404, 405, 413, 481, 513];
    await harmless(
      `${method}: CSeq method`,
      message({ method, body }).replace(/CSeq: 1 \w+/, `CSeq: 1 ${long(9000)}`),
      refused,
    );
    await harmless(
      `${method}: CSeq number`,
      message({ method, body }).replace('CSeq: 1', `CSeq: ${long(200, '9')}`),
      refused,
    );
    await harmless(
      `${method}: CSeq blanks`,
      message({ method, body }).replace('CSeq: 1 ', `CSeq: 1${long(8000, ' ')}`),
      [...refused, 200, 404, 488],
    );
    await harmless(`${method}: From tag`, message({ method, body, fromTag: long(16_000) }), [
      ...refused,
      488,
    ]);
    await harmless(`${method}: To tag`, message({ method, body, toTag: long(16_000) }), refused);
    await harmless(`${method}: branch`, message({ method, body, branch: long(16_000) }), [...refused, 488]);
  }
});

test('SUBSCRIBE with more Accept headers than any list has room for (ES2018-01 CVE-2018-7284)', async () => {
  for (const n of [33, 50, 1000]) {
    const headers = ['Event: presence', ...Array.from({ length: n }, (_, i) => `Accept: application/x-${i}`)];
    await harmless(
      `${n} Accept`,
      message({ method: 'SUBSCRIBE', body: '', headers }),
      [400, 403, 405, 413, 489, 513],
    );
  }
});

test('SDP with an fmtp of nothing, media formats of nonsense, damaged crypto and fingerprints (ES2018-02, ES2018-03, ES2020-03, ES2020-04)', async () => {
  const bodies: Record<string, string> = {
    'fmtp without format': offer(a.ip, 40_000, ['a=fmtp:', 'a=fmtp: ', 'a=fmtp:\t']),
    'only the format in fmtp': offer(a.ip, 40_000, ['a=fmtp:101', 'a=fmtp:999 x']),
    'rtpmap of a format that is not there': offer(a.ip, 40_000, [
      'a=rtpmap:-1 X/1',
      'a=rtpmap:4294967296 X/1',
    ]),
    crypto: offer(a.ip, 40_000, [
      'a=crypto:',
      'a=crypto:1',
      'a=crypto:1 AES_CM_128_HMAC_SHA1_80',
      `a=crypto:1 x inline:${long(9000)}`,
    ]),
    fingerprint: offer(a.ip, 40_000, [
      'a=fingerprint:',
      'a=fingerprint:sha-256',
      `a=fingerprint:sha-256 ${long(9000, 'AB:')}`,
    ]),
    candidates: offer(
      a.ip,
      40_000,
      Array.from({ length: 300 }, (_, i) => `a=candidate:${i} 1 UDP 1 127.0.0.1 ${i} typ host`),
    ),
  };
  for (const [what, body] of Object.entries(bodies)) {
    const text = message({ body });
    await harmless(what, text, [400, 404, 488, 480, 503]);
  }
  for (const formats of ['-1', '256', '0x00', '""', '%n', '0,8', long(4000, '0 ')]) {
    const body = offer(a.ip).replace('RTP/AVP 0 101', `RTP/AVP ${formats}`);
    await harmless(`formats ${formats.slice(0, 10)}`, message({ body }), [400, 404, 413, 488, 480, 503]);
  }
});

test('NOTIFY of a message summary without a subscription, with accounts of any length (CVE-2026-57191)', async () => {
  for (const account of ['', 'sip:x', `sip:${long(20_000)}@h`, '%s%n', '<<<>>>', '\u0000', 'a\r\n b']) {
    const body = `Messages-Waiting: yes\r\nMessage-Account: ${account}\r\nVoice-Message: 4294967296/-1 (0/0)\r\n`;
    const headers = ['Event: message-summary', 'Subscription-State: active'];
    await harmless(
      `account of ${account.length}`,
      message({ method: 'NOTIFY', headers, contentType: 'application/simple-message-summary', body }),
      [400, 413, 481, 489],
    );
  }
});

test('headers given twice, in long and in compact form, contradict each other: refused, never one of them chosen (RFC 3261 7.3.1)', async () => {
  const twice = (line: string): string => message({ headers: [line] });
  for (const line of [
    'f: <sip:4930100@provider.example>;tag=other',
    't: <sip:999@provider.example>',
    `i: ${unique()}`,
    'l: 3',
    'c: text/plain',
    'From: <sip:4930100@provider.example>;tag=other',
    'Call-ID: second',
    'CSeq: 2 INVITE',
    'Max-Forwards: 0',
  ]) {
    await harmless(line, twice(line), [0, 400]);
  }
});

test('RFC 2543: no branch, no tag, no Max-Forwards, compact forms alone: answered as the RFC says, or refused', async () => {
  const plain = request({ target: sip(), at: a });
  const old = plain
    .replace(/;branch=[^;]+/, '')
    .replace(/;tag=[^\r]+/, '')
    .replace('Max-Forwards: 70\r\n', '');
  const compact = plain
    .replace('From:', 'f:')
    .replace('To:', 't:')
    .replace('Call-ID:', 'i:')
    .replace('Via:', 'v:');
  for (const text of [old, compact]) {
    const callId = headerOf(text, 'call-id') ?? headerOf(text, 'i') ?? '';
    const from = a.received.length;
    a.send(text, sip());
    assert.ok(
      await until(() => a.received.slice(from).some((r) => r.includes(callId) && statusOf(r) === 200)),
      text,
    );
  }
});

test('INVITE flood over TCP, no answer awaited (ES2020-02 CVE-2020-28327): no transaction and no call is left, memory flat', async () => {
  const before = lab.memory();
  const tcp = sip();
  for (let round = 0; round < 5; round++) {
    const c = await TcpAttacker.connect(PERMITTED, tcp);
    for (let i = 0; i < 60; i++) {
      c.send(message({ transport: 'TCP', at: { ip: PERMITTED, port: 5060 }, target: tcp }));
    }
    await c.statuses(200);
    c.socket.resetAndDestroy();
  }
  assert.equal(await a.ask(request({ target: sip(), at: a }), sip(), 3000), 200);
  for (let wait = 0; wait < 50 && (await lab.calls()).length > 0; wait++) await sleep(200);
  assert.equal((await lab.calls()).length, 0, 'no call is left');
  assert.ok(lab.memory() - before < 60, `${lab.memory() - before} MB more`);
});

test('self-registration: a contact that is the gateway itself makes no loop (RFC 5393)', async () => {
  const phone = await UdpAttacker.bind('127.0.0.91');
  const account = { username: 'bob', password: 'battery staple 99' };
  const uri = `sip:${DOMAIN}`;
  const register = (headers: readonly string[], cseq: number): string =>
    request({
      method: 'REGISTER',
      uri,
      from: `<sip:bob@${DOMAIN}>`,
      to: `<sip:bob@${DOMAIN}>`,
      contact: `Contact: <sip:${INSIDE_NUMBER}@${GATEWAY}:${lab.ports.sip}>`,
      target: sip(),
      at: phone,
      headers,
      cseq,
    });
  const asked = await phone.answer(register([], 1), sip());
  const proof = authorization(challengeOf(asked ?? '')!, { ...account, method: 'REGISTER', uri });
  assert.equal(await phone.ask(register([proof], 2), sip()), 200);
  const seen = await lab.inside.settled();
  const heard = phone.received.length;
  callFromInside(lab, '4930102', 40_004);
  const invites = (): number =>
    new Set(
      phone.received
        .slice(heard)
        .filter((t) => t.startsWith('INVITE '))
        .map((t) => headerOf(t, 'call-id')),
    ).size;
  assert.ok(await until(() => invites() === 1), 'the call goes to who registered, over its flow');
  assert.equal(lab.inside.requests('INVITE', seen).length, 0, 'and does not come back inside');
  assert.ok((await lab.calls()).length <= 1);
  phone.close();
});
