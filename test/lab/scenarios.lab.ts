/** SIPp through both gateways: its built-in scenarios and our own, as caller outside and as callee outside. */
import assert from 'node:assert/strict';
import { full, labTest, useLab } from './lab.ts';
import { account, inward, outward, Pair } from './pair.ts';
import type { Asterisk } from './peers/asterisk.ts';
import { hostPort, type Sipp } from './peers/sipp.ts';
import { type Probe, probe } from './probe.ts';
import { sleep } from './run.ts';
import { type Family, host, replaceFilter } from './topology.ts';

let pair: Pair;
let pbx: Asterisk;
const holder = useLab('scenarios', async (lab) => {
  pbx = await lab.pbx('v4');
  pair = await Pair.start(lab);
});

interface Inward {
  readonly scenario: string;
  readonly extension: string;
  readonly transport?: 'udp' | 'tcp';
  readonly family?: Family;
  readonly from?: 'caller' | 'digest';
  readonly values?: Record<string, string>;
  readonly calls?: number;
  readonly more?: readonly string[];
  readonly only?: 'full';
}

/** SIPp would cover another URI than the one it calls (RFC 7616 3.4.6). */
const AUTH_URI = ['-auth_uri', `${inward.pbx4}600@${host.gw2.v4}:5060`];

const inwardCases: readonly Inward[] = [
  { scenario: 'uac', extension: '600', calls: 10, more: ['-r', '10', '-d', '500'] },
  { scenario: 'uac', extension: '600', transport: 'tcp', calls: 10, more: ['-r', '10', '-d', '500'] },
  { scenario: 'uac-call', extension: '600' },
  { scenario: 'uac-call', extension: '611', family: 'v6' },
  { scenario: 'uac-call', extension: '600', transport: 'tcp', family: 'v6', only: 'full' },
  { scenario: 'uac-cancel', extension: '604' },
  { scenario: 'uac-cancel', extension: '604', transport: 'tcp' },
  { scenario: 'uac-cancel-early', extension: '604' },
  { scenario: 'uac-cancel-early', extension: '600', only: 'full' },
  { scenario: 'uac-hold', extension: '600' },
  { scenario: 'uac-hold', extension: '600', transport: 'tcp' },
  { scenario: 'uac-early-media', extension: '610' },
  { scenario: 'uac-late-offer', extension: '600' },
  { scenario: 'uac-remote-bye', extension: '609' },
  {
    scenario: 'uac-digest',
    extension: '600',
    from: 'digest',
    values: { USER: account.username, PASSWORD: account.password },
    more: AUTH_URI,
  },
];

for (const c of inwardCases) {
  const { transport = 'udp', family = 'v4', from = 'caller', calls = 1 } = c;
  const skip = c.only === 'full' && !full;
  labTest(
    holder,
    `caller outside: ${c.scenario} over ${transport} IP${family} to ${c.extension}${calls > 1 ? `, ${calls} calls` : ''}`,
    async (lab) => {
      const caller = lab.sipp({
        place: 'internet',
        scenario: c.scenario,
        ip: host[from][family],
        port: 5070,
        to: hostPort(host.gw2[family], 5060),
        number: `${inward.pbx4}${c.extension}`,
        transport,
        calls,
        ...(c.values === undefined ? {} : { values: c.values }),
        ...(c.more === undefined ? {} : { more: c.more }),
      });
      const result = await caller.result();
      assert.ok(result.ok, result.why);
      await pair.idle();
      assert.equal(pbx.channels(), 0, 'channels left in the PBX');
    },
    { skip },
  );
}

labTest(holder, 'caller outside: a wrong password is never connected', async (lab) => {
  const caller = lab.sipp({
    place: 'internet',
    scenario: 'uac-digest-wrong',
    ip: host.digest.v4,
    port: 5071,
    to: hostPort(host.gw2.v4, 5060),
    number: `${inward.pbx4}600`,
    values: { USER: account.username, PASSWORD: 'not-the-password', CODE: '401' },
    more: AUTH_URI,
  });
  const { messages } = await caller.result();
  assert.match(messages, /SIP\/2\.0 401/);
  assert.doesNotMatch(messages, /SIP\/2\.0 200/);
  assert.equal((messages.match(/SIP\/2\.0 40[13]/g) ?? []).length >= 2, true, messages.slice(-3000));
  await pair.idle();
});

const outwardCases: readonly {
  readonly scenario: string;
  readonly number: string;
  readonly transport?: 'udp' | 'tcp';
  readonly hangs: 'pbx' | 'callee';
}[] = [
  { scenario: 'uas', number: outward.callee, hangs: 'pbx' },
  { scenario: 'uas', number: outward.calleeTcp, transport: 'tcp', hangs: 'pbx' },
  { scenario: 'uas-early-media', number: outward.callee, hangs: 'pbx' },
  { scenario: 'uas-hold', number: outward.callee, hangs: 'callee' },
];

for (const { scenario, number, transport = 'udp', hangs } of outwardCases) {
  labTest(holder, `callee outside: ${scenario} over ${transport}, ${hangs} hangs up`, async (lab) => {
    const callee: Sipp = lab.sipp({ place: 'internet', scenario, ip: host.callee.v4, port: 5060, transport });
    await sleep(500);
    pbx.call(number, 'wait');
    await callee.seen(/^ACK /m);
    if (hangs === 'pbx') {
      await sleep(700);
      pbx.hangupAll();
    }
    const result = await callee.result();
    assert.ok(result.ok, result.why);
    await pair.idle();
    assert.equal(pbx.channels(), 0, 'channels left in the PBX');
  });
}

labTest(holder, 'callee outside: CANCEL of the PBX reaches it', async (lab) => {
  const callee = await lab.baresip({
    place: 'internet',
    name: 'slow',
    user: outward.phone,
    ip: host.phone.v4,
    tone: 500,
  });
  pbx.call(outward.phone, 'wait');
  await callee.heard(/Incoming call/i, 5000);
  pbx.hangupAll();
  await callee.heard(/(session )?closed|cancel|terminated/i, 5000);
  await pair.idle();
  await callee.stop();
});

/** One message and its answer. */
function message(
  method: string,
  more: Partial<{ headers: string[]; from: string; maxForwards: number }> = {},
): Probe {
  const from = more.from ?? host.caller.v4;
  const lines = [
    `${method} sip:${inward.pbx4}600@${host.gw2.v4} SIP/2.0`,
    `Via: SIP/2.0/UDP ${from}:5090;branch=z9hG4bK${Math.random().toString(36).slice(2)};rport`,
    `From: <sip:15551234@${from}>;tag=a1`,
    `To: <sip:${inward.pbx4}600@${host.gw2.v4}>`,
    `Call-ID: ${Math.random().toString(36).slice(2)}@${from}`,
    `CSeq: 1 ${method}`,
    `Contact: <sip:15551234@${from}:5090>`,
    `Max-Forwards: ${more.maxForwards ?? 70}`,
    ...(more.headers ?? []),
    'Content-Length: 0',
    '',
    '',
  ];
  return { transport: 'udp', from, fromPort: 5090, to: host.gw2.v4, toPort: 5060, text: lines.join('\r\n') };
}

async function answer(p: Probe): Promise<string> {
  const result = await probe('internet', p);
  return result.answer === 'connected' ? result.data : result.answer;
}

labTest(holder, 'OPTIONS is answered, and the answer names no product (RFC 3261 11)', async () => {
  const text = await answer(message('OPTIONS'));
  assert.match(text, /^SIP\/2\.0 200 /);
  assert.match(text, /^Allow:.*INVITE/m);
  assert.doesNotMatch(text, /voip-?sgw|asterisk|node/i);
});

labTest(holder, 'a method nobody knows is refused, 405 or 501 (RFC 3261 8.2.1)', async () => {
  assert.match(await answer(message('FROBNICATE')), /^SIP\/2\.0 (405|501) /);
});

labTest(holder, 'Require of an unknown option: 420 with Unsupported (RFC 3261 8.2.2.3)', async () => {
  const text = await answer(message('INVITE', { headers: ['Require: x-nobody-knows'] }));
  assert.match(text, /SIP\/2\.0 420 /);
  assert.match(text, /^Unsupported: *x-nobody-knows/m);
});

labTest(
  holder,
  'Max-Forwards 0: 483 or an answer of its own, never a call inside (RFC 3261 8.1.1.6)',
  async () => {
    assert.match(await answer(message('INVITE', { maxForwards: 0 })), /SIP\/2\.0 (483|4\d\d) /);
    assert.equal(pbx.channels(), 0);
  },
);

labTest(
  holder,
  'a source that no configuration permits gets silence, even without the outer firewall',
  async () => {
    const rules = pair.rules('outer', 'v4');
    replaceFilter('', 'outer');
    try {
      for (const method of ['OPTIONS', 'INVITE', 'REGISTER']) {
        assert.equal(await answer(message(method, { from: host.stranger.v4 })), 'silence', method);
      }
      // The same way open for a permitted source: the silence is the gateway's own.
      assert.match(await answer(message('OPTIONS')), /^SIP\/2\.0 200 /);
    } finally {
      replaceFilter(rules, 'outer');
    }
  },
);

labTest(holder, 'the tunnel ports are not reachable from the Internet', async () => {
  for (const port of [7060, 7061]) {
    const got = await probe('internet', {
      transport: 'tcp',
      from: host.phone.v4,
      to: host.gw2.v4,
      toPort: port,
    });
    assert.notEqual(got.answer, 'connected', String(port));
  }
});
