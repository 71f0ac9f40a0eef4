/**
 * Requests and answers inside a call's dialog that no phone sends, between what one sends: methods in the wrong order, CSeq anywhere, tags that contradict
 * each other, RAck, Refer-To, Event and Session-Expires of nonsense, folded and compact headers, ACK and CANCEL of nothing. Nothing is thrown, nothing is
 * left, and nothing of it is seen inside.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { connect, finish } from './check.ts';
import { peer, relayConfig, terminationConfig } from './sim-config.ts';
import type { SimCall } from './sim-peer.ts';
import { World } from './world.ts';

const RUNS = Number(process.env['VOIP_SGW_RUNS'] ?? 150);

const method = fc.constantFrom(
  'INVITE',
  'INVITE',
  'ACK',
  'ACK',
  'BYE',
  'CANCEL',
  'UPDATE',
  'UPDATE',
  'PRACK',
  'PRACK',
  'INFO',
  'REFER',
  'NOTIFY',
  'SUBSCRIBE',
  'MESSAGE',
  'OPTIONS',
  'PUBLISH',
  'REGISTER',
  'FROBNICATE',
  'invite',
);
const header = fc.constantFrom(
  'RAck: 1 1 INVITE',
  'RAck: 4294967296 -1 INVITE',
  'RAck: 1 1 ACK',
  'RSeq: 4294967295',
  'Refer-To: <sip:0900@203.0.113.66>',
  'Refer-To: <sip:0900@h?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>',
  'Refer-To: <sip:a@b;method=BYE>',
  'Refer-To: "',
  'r: <sip:1@h>, <sip:2@h>',
  'Refer-Sub: false',
  'Replaces: x;to-tag=1;from-tag=2',
  'Event: refer',
  'o: refer;id=1',
  'Event: dialog',
  'Subscription-State: terminated;reason=noresource',
  'Subscription-State: active;expires=99999999999',
  'Session-Expires: 0',
  'x: 90;refresher=uas',
  'Session-Expires: 99999999999999999999',
  'Min-SE: 4294967295',
  'Require: 100rel',
  'Require: timer, replaces, nothing',
  'k: 100rel, timer',
  'Contact: *',
  'm: <sip:x@127.0.0.1:5060>',
  'Contact: <sip:a@203.0.113.66>, <sip:b@203.0.113.67>',
  'Record-Route: <sip:127.0.0.1;lr>',
  'Route: <sip:10.0.0.10;lr>',
  'Max-Forwards: 0',
  'Max-Forwards: 256',
  'Content-Disposition: session;handling=required',
  'Content-Encoding: gzip',
  'Info-Package: dtmf',
  'Reason: Q.850;cause=999',
  'Subject: folded\r\n over\r\n\tlines',
  'P-Asserted-Identity: <tel:+4930>',
  'Proxy-Authorization: Digest username="x"',
);
const BODIES: readonly (readonly [string, string])[] = [
  ['', ''],
  ['', ''],
  ['application/sdp', 'v=0\r\n'],
  [
    'application/sdp',
    'v=0\r\no=att-x 7711 1 IN IP4 203.0.113.5\r\ns=-\r\nc=IN IP4 203.0.113.5\r\nt=0 0\r\nm=audio 20000 RTP/AVP 0\r\n',
  ],
  [
    'application/sdp',
    'v=0\r\no=att-x 7711 2 IN IP4 203.0.113.5\r\ns=-\r\nc=IN IP4 203.0.113.5\r\nt=0 0\r\nm=image 20000 udptl t38\r\n',
  ],
  ['application/dtmf-relay', 'Signal=5\r\nDuration=160\r\n'],
  ['application/dtmf-relay', 'Signal=\r\nDuration=-1\r\n'],
  ['application/dtmf', '16'],
  ['message/sipfrag', 'SIP/2.0 200 OK\r\n'],
  ['message/sipfrag', 'SIP/2.0 999'],
  ['multipart/mixed;boundary=x', '--x\r\n\r\n--x--'],
  ['text/plain', 'planted-in-a-body'],
];

const request = fc.record({
  do: fc.constant('request' as const),
  method,
  step: fc.constantFrom(1, 1, 1, 0, -1, 2, 1000, 0x7fff_ffff, 0xffff_ffff),
  tags: fc.constantFrom(
    'right' as const,
    'right' as const,
    'right' as const,
    'none',
    'other',
    'swapped',
    'same',
    'twice',
  ),
  headers: fc.array(header, { maxLength: 3 }),
  body: fc.constantFrom(...BODIES),
  branch: fc.constantFrom('fresh' as const, 'fresh' as const, 'again', 'none'),
});
const response = fc.record({
  do: fc.constant('response' as const),
  status: fc.constantFrom(
    100,
    180,
    183,
    199,
    200,
    202,
    302,
    401,
    407,
    408,
    481,
    491,
    500,
    503,
    603,
    699,
    99,
    700,
  ),
  body: fc.constantFrom(...BODIES),
  headers: fc.array(header, { maxLength: 2 }),
});
const step = fc.oneof(
  { weight: 6, arbitrary: request },
  { weight: 2, arbitrary: response },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('inner-change', 'inner-digit', 'inner-ask', 'inner-refer') }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const field = (text: string, pattern: RegExp): string => pattern.exec(text)?.[1] ?? '';

/** The phone's place in its dialog, as its own datagrams and GW2's show it. */
class Dialog {
  readonly #world: World;
  readonly #phone;
  readonly #gateway;
  #sequence: number;
  readonly #callId: string;
  readonly #mine: string;
  readonly #theirs: string;
  #branches = 0;
  #lastBranch = 'z9hG4bKfirst';

  constructor(world: World) {
    this.#world = world;
    this.#phone = world.phone.options.address;
    this.#gateway = world.termination.address;
    const answer = [...world.delivered]
      .reverse()
      .find(
        ({ to, text }) =>
          to.ip === this.#phone.ip && /^SIP\/2\.0 200/.test(text) && /CSeq: *\d+ INVITE/i.test(text),
      );
    const own = world.delivered.find(
      ({ from, text }) => from.ip === this.#phone.ip && /^SIP\/2\.0 200/.test(text),
    );
    const text = (answer ?? own)!.text;
    const [from, to] = [/^(?:From|f):.*;tag=([^;\s]+)/im, /^(?:To|t):.*;tag=([^;\s]+)/im];
    this.#callId = field(text, /^(?:Call-ID|i): *(\S+)/im);
    this.#mine = field(text, answer === undefined ? to : from);
    this.#theirs = field(text, answer === undefined ? from : to);
    this.#sequence = Number(field(text, /^CSeq: *(\d+)/im));
    assert.ok(this.#callId !== '' && this.#mine !== '' && this.#theirs !== '');
  }

  request(s: Extract<Step, { do: 'request' }>): void {
    const sequence = s.step > 1000 ? s.step : Math.max(0, this.#sequence + s.step);
    if (s.step === 1) this.#sequence = sequence;
    if (s.branch !== 'again')
      this.#lastBranch = s.branch === 'none' ? 'oldbranch77' : `z9hG4bKatt${this.#branches++}`;
    const [mine, theirs] = {
      right: [this.#mine, this.#theirs],
      none: [this.#mine, ''],
      other: [this.#mine, 'someone'],
      swapped: [this.#theirs, this.#mine],
      same: [this.#mine, this.#mine],
      twice: [this.#mine, this.#theirs],
    }[s.tags]!;
    const tag = (value: string | undefined): string => (value === '' ? '' : `;tag=${value}`);
    const lines = [
      `${s.method} sip:${this.#gateway.ip} SIP/2.0`,
      `v: SIP/2.0/UDP ${this.#phone.ip};branch=${this.#lastBranch};rport`,
      `f: <sip:alice@${this.#phone.ip}>${tag(mine)}`,
      `To: <sip:601@${this.#gateway.ip}>${tag(theirs)}`,
      ...(s.tags === 'twice' ? [`t: <sip:601@${this.#gateway.ip}>;tag=secondtag9`] : []),
      `i: ${this.#callId}`,
      `CSeq: ${sequence} ${s.method}`,
    ];
    this.#send(lines, s.headers, s.body);
  }

  /** To the last request that GW2 has sent the phone. */
  response(s: Extract<Step, { do: 'response' }>): void {
    const asked = [...this.#world.delivered]
      .reverse()
      .find(
        ({ from, to, text }) =>
          from.ip === this.#gateway.ip && to.ip === this.#phone.ip && !text.startsWith('SIP/2.0'),
      );
    if (asked === undefined) return;
    const lines = ['Via', 'From', 'To', 'Call-ID', 'CSeq'].map((name) =>
      field(asked.text, new RegExp(`^(${name}:[^\\r]*)`, 'im')),
    );
    this.#send([`SIP/2.0 ${s.status} Whatever`, ...lines], s.headers, s.body);
  }

  #send(lines: readonly string[], headers: readonly string[], [type, body]: readonly [string, string]): void {
    const text = [
      ...lines,
      ...headers,
      ...(type === '' ? [] : [`c: ${type}`]),
      `l: ${Buffer.byteLength(body)}`,
      '',
      body,
    ].join('\r\n');
    this.#world.text(this.#phone, this.#gateway, text);
  }
}

function perform(world: World, dialog: Dialog, inner: SimCall, s: Step): void {
  if (s.do === 'request') dialog.request(s);
  else if (s.do === 'response') dialog.response(s);
  else if (inner.state !== 'connected') return;
  else if (s.do === 'inner-change') world.pbx.reinvite(inner, 'sendonly');
  else if (s.do === 'inner-ask') world.pbx.reinvite(inner, undefined);
  else if (s.do === 'inner-digit') world.pbx.digit(inner, '7');
  else world.pbx.refer(inner, '0301234568');
}

test(`${RUNS} dialogs of which the outer side says whatever it likes`, () => {
  let ended = 0;
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_000_000 }),
      fc.boolean(),
      fc.array(fc.tuple(step, fc.oneof(fc.constant(0), fc.nat(40), fc.nat(3000))), {
        minLength: 1,
        maxLength: 16,
      }),
      (seed, outward, steps) => {
        const peers = [
          peer('internet', '203.0.113.5', {
            sources: ['203.0.113.0/24'],
            mayTransfer: seed % 2 === 0,
            transferable: true,
          }),
        ];
        const inside = relayConfig().peers.map((p) => ({ ...p, mayTransfer: true, transferable: true }));
        const world = new World({
          seed,
          termination: { ...terminationConfig(), peers },
          relay: { peers: inside },
        });
        world.start();
        const [call, taken] = outward
          ? connect(world, world.pbx, world.phone, '0301234567')
          : connect(world, world.phone, world.pbx, '601');
        const inner = outward ? call : taken;
        const dialog = new Dialog(world);
        const from = world.delivered.length;
        for (const [s, wait] of steps) {
          perform(world, dialog, inner, s);
          world.run(wait);
        }
        world.run(1000);
        const seenInside = world.delivered
          .slice(from)
          .filter(({ from: sender, to }) => sender.ip === world.relay.address.ip && to.ip.startsWith('10.'));
        for (const { text } of seenInside)
          assert.ok(!/planted|Whatever|FROBNICATE|someone|203\.0\.113/.test(text), text);
        if (inner.state === 'ended') ended++;
        finish(world, { crossed: true });
      },
    ),
    { numRuns: RUNS },
  );
  assert.ok(ended > 0 && ended < RUNS, `${ended} calls ended of it`);
});
