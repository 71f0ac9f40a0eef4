/** Single malformed messages and smuggling: ATTACKS 2 and 3. Sent by a permitted source, which is never banned. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { FULL, GATEWAY, INSIDE_NUMBER, Lab, sleep, TORTURE, until } from './attack-lab.ts';
import { generatedInvites } from './attack-protos.ts';
import {
  ackOf,
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

/** A second address of the peer `internet`. Torture messages want their answers at the ports of their Via. */
const PERMITTED = '127.0.0.4';
let lab: Lab;
let a: UdpAttacker;
before(async () => {
  // The rate of calls has tests of its own.
  lab = await Lab.start({ maxCallsPerSecond: 500, trunk: `, sources: ["${PERMITTED}/32"]` });
  a = await UdpAttacker.bind(PERMITTED);
});
after(async () => {
  a?.close();
  await lab?.stop();
});

const sip = (): Target => ({ ip: GATEWAY, port: lab.ports.sip });
const invite = (o: Partial<RequestOptions> = {}): string =>
  request({
    method: 'INVITE',
    user: INSIDE_NUMBER,
    from: '<sip:4917012345@provider.example>',
    target: sip(),
    at: a,
    body: offer(a.ip),
    ...o,
  });

/** An INVITE that should work still does; the call is ended again. */
async function validCall(): Promise<boolean> {
  const message = invite();
  const ok = await a.answer(message, sip(), 3000);
  if (ok === undefined || statusOf(ok) !== 200) return false;
  a.send(ackOf(message, ok, true), sip());
  const bye = request({
    method: 'BYE',
    user: INSIDE_NUMBER,
    target: sip(),
    at: a,
    from: '<sip:4917012345@provider.example>',
    fromTag: /tag=([^;\r\n]+)/.exec(headerOf(message, 'from') ?? '')?.[1] ?? '',
    toTag: /tag=([^;\r\n]+)/.exec(headerOf(ok, 'to') ?? '')?.[1] ?? '',
    callId: headerOf(message, 'call-id') ?? '',
    cseq: 2,
  });
  return (await a.ask(bye, sip(), 3000)) === 200;
}

async function optionsAnswered(): Promise<boolean> {
  return (await a.ask(request({ target: sip(), at: a }), sip(), 2000)) === 200;
}

/** Where the answer follows from what a gateway is: no such dialog, Max-Forwards of an endpoint, MESSAGE is not done. */
const OWN: Readonly<Record<string, readonly number[]>> = {
  'wsinv.dat': [481],
  'zeromf.dat': [200],
  'mpart01.dat': [405],
  'test.dat': [],
};

for (const suite of ['rfc4475', 'rfc5118']) {
  const skip = existsSync(new URL(suite, TORTURE)) ? false : 'no ../shared/sip here';
  const rows =
    skip === false
      ? readFileSync(new URL(`${suite}/index.tsv`, TORTURE), 'utf8')
          .trim()
          .split('\n')
          .slice(1)
      : [];
  test(`${suite} over UDP: the answer the RFC asks for`, { skip }, async () => {
    const doors = await Promise.all(
      [5060, 5061, 5050, 6050, 19_823].map((port) => UdpAttacker.bind(PERMITTED, port)),
    );
    try {
      for (const row of rows) {
        const [file = '', , kind = '', method = '', , action = '', status = ''] = row.split('\t');
        // Some share host and branch, and would be taken for repetitions of each other.
        const text = readFileSync(new URL(`${suite}/${file}`, TORTURE), 'latin1');
        const bytes = Buffer.from(text.replace(/branch=z9hG4bKkdjuw(?=\r)/, `$&${unique()}`), 'latin1');
        for (const door of doors) door.received.length = 0;
        // Refusals of earlier INVITEs are repeated, as nobody sends their ACK.
        const callId = headerOf(bytes.toString('latin1'), '(?:call-id|i)');
        const finals = (): number[] =>
          doors
            .flatMap((d) => d.received)
            .filter((r) => headerOf(r, 'call-id') === callId)
            .map(statusOf)
            .filter((s) => s >= 200);
        doors[0]!.send(bytes, sip());
        const silent = kind === 'response' || action === 'drop' || OWN[file]?.length === 0;
        await until(() => finals().length > 0, silent ? 60 : 3000);
        const got = [...new Set(finals())];
        const what = `${file} ${method} ${action} ${status}: ${got.join()}`;
        const wanted = status === '' ? [] : status.split(',').map(Number);
        if (OWN[file] !== undefined) assert.deepEqual(got, OWN[file], what);
        else if (silent) assert.deepEqual(got, [], what);
        else if (action === 'reject' && wanted.length > 0)
          assert.ok(got.length === 1 && wanted.includes(got[0]!), what);
        // Well-formed: GW1 knows no such number; a trunk has nothing to register; or what the RFC allows besides.
        else
          assert.ok(
            got.length === 1 && ![500, 502, 505].includes(got[0]!) && (action !== 'accept' || got[0] !== 400),
            what,
          );
      }
    } finally {
      for (const door of doors) door.close();
    }
    assert.ok(await optionsAnswered());
    assert.equal((await lab.status()).calls, 0);
  });

  test(`${suite} over TCP: a refusal, an answer or the end of the connection`, { skip }, async () => {
    const results = await Promise.all(
      rows.slice(0, 200).map(async (row, i) => {
        const [file = '', , , , , action = ''] = row.split('\t');
        await sleep(Math.floor(i / 10) * 150); // 20 connections a source
        const tcp = await TcpAttacker.connect(PERMITTED, sip());
        tcp.socket.write(readFileSync(new URL(`${suite}/${file}`, TORTURE)));
        await sleep(400);
        const statuses = [...tcp.received.matchAll(/(?:^|\n)SIP\/2\.0 (\d{3})/g)].map((m) => Number(m[1]));
        tcp.close();
        return { file, action, statuses };
      }),
    );
    for (const { file, action, statuses } of results) {
      if (action === 'reject')
        assert.ok(
          statuses.every((s) => s >= 400 || s < 200),
          `${file}: ${statuses}`,
        );
      assert.ok(!statuses.includes(500), file);
    }
    assert.ok(await optionsAnswered());
  });
}

test('generated INVITEs (after PROTOS c07-sip): OPTIONS after every 10th, a call after every 100th, memory flat', async () => {
  const base = (over: Partial<RequestOptions>): string => invite({ user: '998', ...over });
  const messages = [...generatedInvites(base, a.ip, FULL)];
  assert.ok(messages.length > 400, `${messages.length}`);
  assert.ok(await validCall(), 'a valid call works before');
  const memory = lab.memory();
  let sent = 0;
  for (const message of messages) {
    if (message.length < 60_000) a.send(message, sip());
    sent++;
    if (sent % 10 === 0) assert.ok(await optionsAnswered(), `OPTIONS after message ${sent}`);
    if (sent % 200 === 0)
      assert.ok(
        await validCall(),
        `call after message ${sent} ${JSON.stringify((await lab.status()).counters)}`,
      );
  }
  lab.ensureAlive();
  assert.ok(await validCall(), 'a valid call works after');
  const growth = lab.memory() - memory;
  assert.ok(growth < (FULL ? 120 : 60), `GW2 grew by ${growth.toFixed(1)} MB`);
});

/** Every line the intranet got is one header of ours. */
function assertClean(texts: readonly string[], marker: RegExp): void {
  for (const text of texts) {
    const head = text.slice(0, text.indexOf('\r\n\r\n'));
    assert.doesNotMatch(head.replaceAll('\r\n', ''), /[\u0000-\u001f\u007f\u0085]/, head);
    for (const line of head.split('\r\n').slice(1)) {
      assert.match(line, /^[A-Z][A-Za-z-]*: /, head);
      assert.doesNotMatch(line, marker, head);
    }
  }
}

test('smuggled headers: none of them reaches the intranet, however written (ES2020-01, RFC 3325 7)', async () => {
  const names = [
    'P-Asserted-Identity',
    'Remote-Party-ID',
    'Diversion',
    'Identity',
    'X-Secret',
    'History-Info',
    'P-Preferred-Identity',
    'Alert-Info',
    'Call-Info',
    'Reply-To',
    'Organization',
    'Route',
    'Record-Route',
  ];
  const seen = lab.inside.received.length;
  let asked = 0;
  for (const name of names) {
    for (const colon of [':', ' :', '\t:', '\u0000:', '\u000b:', '\u0001 :', '\u0085:', '\u00a0:']) {
      a.send(invite({ headers: [`${name}${colon} <sip:+1666@smuggled.example>`] }), sip());
      asked++;
    }
    for (const value of [
      '<sip:x@h>\rX-Smuggled: 1',
      '<sip:x@h>\nX-Smuggled: 1',
      '<sip:x@h>\r\n X-Smuggled: 1',
      '<sip:x@h>\u0000\r\nX-Smuggled: 1',
    ]) {
      a.send(invite({ headers: [`${name}: ${value}`] }), sip());
      asked++;
    }
    await sleep(60);
  }
  await sleep(500);
  const arrived = lab.inside.requests('INVITE', seen);
  assert.ok(arrived.length > names.length, `${arrived.length} of ${asked} arrived: the test can fail`);
  assertClean(arrived, /smuggled|1666|X-Secret|Diversion|Remote-Party|History-Info|Alert-Info|^Route/i);
});

test('line ends and controls in names, users and display names never begin a line inside (%0d%0a, U+0085, U+2028)', async () => {
  const seen = lab.inside.received.length;
  const evil = [
    '%0d%0aX-Smuggled:%20yes',
    '%0aX-Smuggled:%20yes',
    '%00',
    '\u00e2\u0080\u00a8X-Smuggled: yes',
    '\u00c2\u0085X-Smuggled: yes',
    '\\\r\nX-Smuggled: yes',
    '\rX-Smuggled: yes',
    '\nX-Smuggled: yes',
    '"\r\nX-Smuggled: yes',
  ];
  for (const text of evil) {
    a.send(invite({ from: `"A${text}" <sip:4917012345@provider.example>` }), sip());
    a.send(invite({ from: `<sip:49170${text}@provider.example>` }), sip());
    a.send(invite({ from: `<sip:49170@provider.example;x=${text}>` }), sip());
    a.send(invite({ to: `"${text}" <sip:${INSIDE_NUMBER}@h>` }), sip());
    a.send(invite({ uri: `sip:${INSIDE_NUMBER}${text}@${GATEWAY}` }), sip());
    a.send(invite({ uri: `sip:${INSIDE_NUMBER};x=${text}@${GATEWAY}` }), sip());
    a.send(invite({ callId: `c${unique()}${text}` }), sip());
    a.send(invite({ contact: `Contact: "${text}" <sip:x@${a.ip}:${a.port}>` }), sip());
    a.send(invite({ body: offer(a.ip, 40_000, [`a=tool:${text}`, `s=${text}`]) }), sip());
  }
  await sleep(800);
  const arrived = lab.inside.requests('INVITE', seen);
  assert.ok(arrived.length > 0, 'the test can fail');
  assertClean(arrived, /^X-/i);
  for (const text of arrived) assert.doesNotMatch(text.slice(text.indexOf('\r\n\r\n')), /smuggled|tool:/i);
});

test('Content-Length conflicts: UDP 400, TCP an error and the end, never a guess', async () => {
  const good = invite({ user: '998' });
  const length = headerOf(good, 'content-length')!;
  const variants = [
    `Content-Length: ${length}\r\nContent-Length: ${Number(length) + 1}`,
    `Content-Length: ${length}\r\nl: 0`,
    `Content-Length: +${length}`,
    `Content-Length: 0x${Number(length).toString(16)}`,
    `Content-Length: ${length}, ${length}`,
    `Content-Length: ${2 ** 32 + Number(length)}`,
    'Content-Length: \u00d9\u00a1\u00d9\u00a0',
    `Content-Length: ${length}.0`,
    'Content-Length: -1',
    'Content-Length: ',
    `Content-Length: 1e2`,
    'Content-Length: 999999999999999999999',
  ];
  for (const variant of variants) {
    const message = good
      .replace(/Content-Length: .*/, variant)
      .replace(/Call-ID: .*/, `Call-ID: ${unique()}`);
    assert.equal(await a.ask(message, sip(), 3000), 400, variant);
    const tcp = await TcpAttacker.connect(PERMITTED, sip());
    tcp.send(message + request({ target: sip(), at: a, transport: 'TCP' }));
    assert.ok(await until(() => tcp.closed, 1500), `still open after ${variant}`);
    assert.doesNotMatch(tcp.received, /^SIP\/2\.0 200/m, 'the next request must not be looked for');
    tcp.close();
  }
});

test('RFC 3261 18.3: what follows Content-Length in a datagram is nothing', async () => {
  const seen = lab.inside.received.length;
  const outer = request({ target: sip(), at: a });
  assert.equal(await a.ask(outer + invite(), sip()), 200);
  await sleep(200);
  assert.equal(lab.inside.requests('INVITE', seen).length, 0);
});

test('Request-URIs that want to be rewritten, and methods in lower case, are refused', async () => {
  const seen = lab.inside.received.length;
  for (const [uri, wanted] of [
    [`sip:${INSIDE_NUMBER}@${GATEWAY}?Route=%3Csip:127.0.0.2%3E`, [400]],
    [`<sip:${INSIDE_NUMBER}@${GATEWAY}>`, [400]],
    [`sip:${INSIDE_NUMBER}@${GATEWAY} SIP/2.0 x`, [400, 505]],
    [`sip:${INSIDE_NUMBER} @${GATEWAY}`, [400, 505]],
    [`http://127.0.0.2/`, [416]],
    [`sip:${INSIDE_NUMBER}@127.0.0.2:${lab.ports.inside}`, [404]],
    [`sip:${INSIDE_NUMBER}@${GATEWAY};maddr=127.0.0.2`, [404]],
  ] as const) {
    const status = await a.ask(invite({ uri }), sip(), 3000);
    assert.ok((wanted as readonly number[]).includes(status), `${uri}: ${status}`);
  }
  for (const method of ['invite', 'Invite', 'INVITe', 'options']) {
    const status = await a.ask(invite({ method }), sip());
    assert.ok([405, 501].includes(status), `${method}: ${status}`);
  }
  assert.equal(lab.inside.received.length, seen);
});

test('SDP: no media to loopback of others, link-local, multicast, private or odd addresses; sizes are bounded', async () => {
  const seen = lab.inside.received.length;
  const before = lab.inside.media;
  for (const ip of [
    '127.0.0.5',
    '169.254.1.1',
    '224.0.0.1',
    '255.255.255.255',
    '10.0.0.1',
    '192.168.1.1',
    '240.0.0.1',
  ]) {
    const status = await a.ask(invite({ body: offer(ip) }), sip(), 3000);
    assert.ok([403, 488].includes(status), `${ip}: ${status}`);
  }
  const lines = (n: number, line: string): string => `${Array(n).fill(line).join('\r\n')}\r\n`;
  const bodies: Record<string, string> = {
    'port -1': offer(a.ip, -1),
    'port 65536': offer(a.ip, 65_536),
    '500 m=': offer(a.ip) + lines(500, 'm=audio 5000 RTP/AVP 0'),
    '2000 a=': offer(a.ip) + lines(2000, 'a=x'),
    NUL: offer(a.ip).replace('s=-', 's=\u0000'),
    'no m=': 'v=0\r\no=- 1 1 IN IP4 127.0.0.4\r\ns=-\r\nt=0 0\r\n',
    'line of 30 kB': offer(a.ip, 40_000, [`a=fmtp:0 ${'x'.repeat(30_000)}`]),
    'formats without end': offer(a.ip).replace(
      'RTP/AVP 0 101',
      `RTP/AVP ${Array.from({ length: 5000 }, (_, i) => i % 128).join(' ')}`,
    ),
    'negative rate': offer(a.ip).replace('PCMU/8000', 'PCMU/-1'),
    'not SDP': '\u0000\u00ff'.repeat(100),
  };
  for (const [name, body] of Object.entries(bodies)) {
    const message = invite({ body });
    const status = await a.ask(message, sip(), 3000);
    assert.ok(status !== 0 && status !== 500, `${name}: ${status}`);
    if (status !== 200) assert.ok([400, 413, 488, 513].includes(status), `${name}: ${status}`);
  }
  const parts = Array.from({ length: 1000 }, () => '--b\r\nContent-Type: text/plain\r\n\r\nx\r\n').join('');
  const nested = Array.from(
    { length: 500 },
    (_, i) => `--b${i}\r\nContent-Type: multipart/mixed;boundary=b${i + 1}\r\n\r\n`,
  ).join('');
  for (const [contentType, body] of [
    ['multipart/mixed;boundary=b', `${parts}--b--`],
    ['multipart/mixed;boundary=b0', nested],
    ['multipart/mixed', parts],
  ] as const) {
    const status = await a.ask(invite({ contentType, body }), sip(), 3000);
    assert.ok([400, 413, 415, 488].includes(status), `${contentType}: ${status}`);
  }
  for (const text of lab.inside.requests('INVITE', seen))
    assert.doesNotMatch(text, /127\.0\.0\.4/, 'topology');
  assert.equal(lab.inside.media, before);
});

test('header bombs, folding, quotes and comments: bounded time', async () => {
  const many = (n: number, line: (i: number) => string): string[] =>
    Array.from({ length: n }, (_, i) => line(i));
  const bombs: Record<string, Partial<RequestOptions>> = {
    'Via bomb': { headers: many(300, (i) => `Via: SIP/2.0/UDP h${i};branch=z9hG4bK${i}`) },
    'Route bomb': { headers: [`Route: ${many(500, (i) => `<sip:h${i};lr>`).join(', ')}`] },
    'Contact bomb': { contact: `Contact: ${many(800, (i) => `<sip:c@h${i}>`).join(', ')}` },
    '60 kB value': { headers: [`Subject: ${'x'.repeat(55_000)}`] },
    folding: { headers: [`Subject: a${'\r\n '.repeat(5000)}b`] },
    quotes: { from: `"${'\\"'.repeat(5000)}" <sip:a@b>` },
    'open quote': { from: `"${'a'.repeat(20_000)} <sip:a@b>` },
    comments: { headers: [`User-Agent: ${'('.repeat(10_000)}`] },
    parameters: { contact: `Contact: <sip:a@b${';x=y'.repeat(5000)}>` },
    'commas and spaces': { headers: [`Accept: ${', '.repeat(10_000)}`] },
    'digits in CSeq': { headers: [`Max-Breadth: ${'9'.repeat(20_000)}`] },
    'option tags': { headers: [`Require: ${many(2000, (i) => `t${i}`).join(', ')}`] },
  };
  for (const [name, over] of Object.entries(bombs)) {
    const started = performance.now();
    a.send(invite({ user: '998', ...over }), sip());
    assert.ok(await optionsAnswered(), name);
    assert.ok(performance.now() - started < 1000, `${name} took ${performance.now() - started} ms`);
  }
  lab.ensureAlive();
});

test('nothing of all this was an honest call’s loss, and both gateways stand', async () => {
  lab.ensureAlive();
  assert.ok(await validCall());
  const { sipRefused = {} } = (await lab.status()).counters;
  for (const reason of [
    'header-name',
    'content-length',
    'control-octet',
    'utf8',
    'line-ending',
    'uri-headers',
  ]) {
    assert.ok((sipRefused[reason] ?? 0) > 0, `${reason} is counted: ${JSON.stringify(sipRefused)}`);
  }
});
