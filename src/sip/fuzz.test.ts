/** Laws that hold for any octets: nothing throws, time is linear, what parses is written and read back the same. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { hrtime } from 'node:process';
import { test } from 'node:test';
import fc from 'fast-check';
import { latin1Bytes } from '../bytes/text.ts';
import { sessionDescription } from './body.ts';
import { challengeValues, chooseChallenge, findProof } from './digest.ts';
import { StreamFramer } from './framing.ts';
import { firstHeader, headerValues, nameAddresses, optionTags, tokenList } from './header/access.ts';
import { parseCSeq } from './header/cseq.ts';
import { formatNameAddress } from './header/name-address.ts';
import { parseQ850 } from './header/reason.ts';
import { parseRetryAfter } from './header/retry-after.ts';
import { parseMinSe, parseSessionExpires } from './header/session-expires.ts';
import { formatVia } from './header/via.ts';
import type { SipMessage } from './message.ts';
import { parseDatagram } from './parse.ts';
import { refusalDestination, refusalReply, replyTo } from './reply.ts';
import { responseDestination } from './response-destination.ts';
import { type HeaderPair, serializeRequest, serializeResponse } from './serialize.ts';
import { messageText, SOURCE } from './test-messages.test.ts';
import { equalUri, numberOfUri } from './uri.ts';

/** Everything the rest of the stack may do with a message: none of it may throw. */
function use(message: SipMessage): void {
  const sdp = sessionDescription(message);
  assert.ok(sdp.ok || sdp.error.status >= 400);
  for (const name of [
    'Contact',
    'Route',
    'Record-Route',
    'P-Asserted-Identity',
    'Refer-To',
    'Diversion',
  ] as const) {
    for (const address of nameAddresses(message, name) ?? []) checkAddress(formatNameAddress(address));
  }
  for (const name of ['Require', 'Supported'] as const) optionTags(message, name);
  tokenList(message, 'Allow');
  findProof(headerValues(message, 'Authorization'), 'INVITE');
  chooseChallenge(challengeValues(headerValues(message, 'WWW-Authenticate')));
  for (const reader of [parseCSeq, parseQ850, parseRetryAfter, parseMinSe, parseSessionExpires]) {
    reader(firstHeader(message, 'Reason') ?? firstHeader(message, 'Session-Expires') ?? '');
  }
  responseDestination(message.vias[0], SOURCE);
  if (message.kind === 'request') {
    numberOfUri(message.uri);
    assert.ok(equalUri(message.uri, message.uri));
    const answer = parseDatagram(replyTo(message, 200, { source: SOURCE, toTag: 'x' }));
    assert.ok(answer.ok && answer.value.kind === 'response', 'our own answer must parse');
    assert.deepEqual(answer.value.cseq, message.cseq);
    assert.equal(answer.value.callId, message.callId);
    assert.equal(answer.value.vias.length, message.vias.length);
    assert.equal(answer.value.fromTag, message.fromTag);
  }
  rebuild(message);
}

function checkAddress(text: string): void {
  assert.ok(!/[\x00-\x1f\x7f]/.test(text), 'no control octet in what we build');
}

/** Builds the message anew from its typed fields, parses that, and compares the fields. */
function rebuild(message: SipMessage): void {
  const headers: HeaderPair[] = [
    ...message.vias.map((via): HeaderPair => ['Via', formatVia(via)]),
    ['From', formatNameAddress(message.from)],
    ['To', formatNameAddress(message.to)],
    ['Call-ID', message.callId],
    ['CSeq', `${message.cseq.number} ${message.cseq.method}`],
  ];
  for (const [, value] of headers) checkAddress(value);
  const bytes =
    message.kind === 'request'
      ? serializeRequest({ method: message.method, uri: message.uri, headers, body: message.body })
      : serializeResponse({ status: message.status, headers, body: message.body });
  const again = parseDatagram(bytes);
  assert.ok(
    again.ok,
    again.ok ? '' : `built message refused: ${again.error.reason}\n${new TextDecoder().decode(bytes)}`,
  );
  for (const field of ['kind', 'callId', 'cseq', 'body', 'fromTag', 'toTag'] as const) {
    assert.deepEqual(again.value[field], message[field], field);
  }
  for (const field of ['from', 'to'] as const) {
    const { displayName, ...rest } = message[field];
    // An empty name (RFC 3261 25.1 allows the quotes alone) says as much as none, and is written as none.
    const named = displayName ? { displayName, ...rest } : rest;
    assert.deepEqual(again.value[field], named, field);
  }
  const plain = (m: SipMessage) => m.vias.map(({ parameters, ...rest }) => rest);
  assert.deepEqual(plain(again.value), plain(message));
  if (again.value.kind === 'request' && message.kind === 'request')
    assert.deepEqual(again.value.uri, message.uri);
}

function feed(bytes: Uint8Array): boolean {
  const parsed = parseDatagram(bytes);
  if (parsed.ok) use(parsed.value);
  else if (parsed.error.reply !== undefined) {
    assert.ok(parsed.error.respond !== undefined);
    refusalDestination(parsed.error.reply, SOURCE);
    const answer = refusalReply(parsed.error.reply, parsed.error.respond, SOURCE);
    assert.ok(answer.length <= bytes.length + 400, 'a refusal does not amplify');
  }
  const framer = new StreamFramer();
  framer.push(bytes);
  for (let count = 0; framer.next() !== undefined; count++) assert.ok(count <= bytes.length);
  return parsed.ok;
}

test('any octets: nothing throws', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => void feed(bytes)));
});

const FRAGMENTS = [
  '\r\n',
  '\r\n ',
  '\n',
  '\r',
  '\0',
  '"',
  '\\',
  '\\"',
  '<',
  '>',
  ';',
  '=',
  ',',
  ':',
  '@',
  '?',
  '%',
  '%00',
  '%0d%0a',
  '[',
  ']',
  '[::1]',
  '*',
  ' ',
  '\t',
  'sip:',
  'tel:',
  'SIP/2.0',
  ';tag=',
  ';branch=z9hG4bK',
  '\u00c3\u00a9',
  '\u00ff',
  '4294967296',
  '-1',
  '\r\nTo: ',
  '\r\nl: 0',
  '\r\n\r\n',
  'a'.repeat(300),
  ';a'.repeat(50),
  '(',
  ')',
  '/',
  '+',
];

const SEEDS = [
  messageText({
    lines: {
      Via: 'SIP/2.0/UDP [2001:db8::1]:5062;branch=z9hG4bK1;rport, SIP/2.0/TCP b.example;branch=z9;received=192.0.2.1;maddr=m.example',
      From: '"J\u00c3\u00bcrgen \\"J\\"" <sip:j%20x:pw@[2001:db8::2]:5061;transport=tcp;lr>;tag=f;x="a,b"',
      Contact: '<sip:j@192.0.2.5;ob?a=b>;q=0.5, "x" <tel:+1-555;phone-context=a.example>',
      'Record-Route': '<sip:p.example;lr>, <sip:[::1];lr>',
      Require: 'a, b',
      Reason: 'Q.850;cause=16;text="a,b"',
      'Session-Expires': '90;refresher=uas',
      Authorization: `Digest username="u", realm="r", nonce="n", uri="sip:r", response="${'0'.repeat(32)}", qop=auth, nc=00000001, cnonce="c"`,
      'Content-Type': 'multipart/mixed;boundary=b',
    },
    body: '--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n--b--',
  }),
  messageText({
    startLine: 'SIP/2.0 401 Unauthorized',
    lines: {
      'WWW-Authenticate': 'Digest realm="r, x", nonce="n", qop="auth"',
      To: 'Alice B <sip:a@b.c>;tag=t',
    },
  }),
];

test('valid messages, damaged at a few places: nothing throws, and what still parses is written and read back the same', () => {
  let accepted = 0;
  const edit = fc.record({
    at: fc.nat(),
    remove: fc.nat({ max: 12 }),
    insert: fc.oneof(fc.constantFrom(...FRAGMENTS), fc.string({ unit: 'binary-ascii', maxLength: 4 })),
  });
  fc.assert(
    fc.property(fc.constantFrom(...SEEDS), fc.array(edit, { maxLength: 3 }), (seed, edits) => {
      let text = seed;
      for (const { at, remove, insert } of edits) {
        const from = at % text.length;
        text = text.slice(0, from) + insert + text.slice(from + remove);
      }
      if (feed(latin1Bytes(text))) accepted++;
    }),
    { numRuns: 3000 },
  );
  assert.ok(accepted > 300, `only ${accepted} were still accepted: the law about them was hardly tested`);
});

test('our torture set: what parses is written and read back the same', () => {
  const file = new URL('../../../test/vectors/sip/torture.json', import.meta.url);
  const { cases }: { cases: { message: string }[] } = JSON.parse(readFileSync(file, 'utf8'));
  let accepted = 0;
  for (const { message } of cases) if (feed(latin1Bytes(message))) accepted++;
  assert.ok(accepted >= 20);
});

/** Shapes that have made parsers slow; each fills `size` octets of one header value or many. */
const SHAPES: Readonly<Record<string, (size: number) => string>> = {
  'quotes and backslashes': (size) => messageText({ lines: { From: `"${'\\"'.repeat(size / 2)}` } }),
  'open brackets': (size) => messageText({ lines: { Contact: '<'.repeat(size) } }),
  commas: (size) => messageText({ lines: { Contact: ','.repeat(size) } }),
  'white space': (size) => messageText({ lines: { To: `${' '.repeat(size)}x` } }),
  'folded lines': (size) => messageText({ lines: { Subject: '\r\n x'.repeat(size / 4) } }),
  'parameter equals': (size) => messageText({ lines: { To: `<sip:a@b.c>${';='.repeat(size / 2)}` } }),
  'header lines': (size) => messageText({ lines: { 'X-0': 'y\r\nx: y'.repeat(size / 7) } }),
  colons: (size) => messageText({ lines: { To: `sip:${':'.repeat(size)}@b` } }),
  dots: (size) => messageText({ lines: { Via: `SIP/2.0/UDP ${'a.'.repeat(size / 2)}` } }),
  percents: (size) => messageText({ startLine: `INVITE sip:${'%41'.repeat(size / 3)}@b.c SIP/2.0` }),
  'carriage returns': (size) => messageText({ lines: { Subject: '\r'.repeat(size) } }),
  'empty lines': (size) => '\r\n'.repeat(size / 2) + messageText(),
  'no end': (size) => `INVITE ${'x'.repeat(size)}`,
  'spaces in the start line': (size) => `INVITE${' '.repeat(size)}SIP/2.0\r\n\r\n`,
  'multipart delimiters': (size) =>
    messageText({
      lines: { 'Content-Type': 'multipart/mixed;boundary=b' },
      body: '\r\n--b-'.repeat(size / 6),
    }),
  'multipart header lines': (size) =>
    messageText({
      lines: { 'Content-Type': 'multipart/mixed;boundary=b' },
      body: `--b\r\n${'a:b\r\n '.repeat(size / 6)}\r\n\r\n--b--`,
    }),
  'UTF-8': (size) => messageText({ lines: { Subject: '\u00c3\u00a9'.repeat(size / 2) } }),
};

for (const [name, shape] of Object.entries(SHAPES)) {
  test(`time is linear in the size: ${name}`, () => {
    const measure = (bytes: Uint8Array): number => {
      let best = Number.POSITIVE_INFINITY;
      for (let round = 0; round < 15; round++) {
        const start = hrtime.bigint();
        feed(bytes);
        best = Math.min(best, Number(hrtime.bigint() - start));
      }
      return best;
    };
    const small = latin1Bytes(shape(7_000));
    const large = latin1Bytes(shape(56_000));
    measure(small);
    // Eight times the size: quadratic code takes 64 times as long. The constant covers what does not depend on size.
    const [a, b] = [measure(small), measure(large)];
    assert.ok(b < 24 * (a + 20_000), `${a} ns for 7 kB, ${b} ns for 56 kB`);
  });
}
