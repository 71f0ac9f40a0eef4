import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import { latin1Bytes, latin1Text } from '../bytes/text.ts';
import { parseDatagram, parseFramed } from './parse.ts';
import { type MessageParts, messageBytes, messageText } from './test-messages.test.ts';

function parse(parts: MessageParts = {}) {
  const parsed = parseDatagram(messageBytes(parts));
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.error.reason);
  return parsed.value;
}

test('RFC 3261 7: every field of a request', () => {
  const message = parse({
    lines: { Via: 'SIP/2.0/TCP a.example, SIP/2.0/UDP 192.0.2.1;branch=z9', 'X-Secret': 'pbx' },
    body: 'hello',
  });
  assert.ok(message.kind === 'request');
  assert.equal(message.method, 'INVITE');
  assert.equal(message.uri.user, 'alice');
  assert.equal(message.maxForwards, 70);
  assert.deepEqual(
    message.vias.map((via) => via.host),
    ['a.example', '192.0.2.1'],
  );
  assert.equal(message.from.displayName, 'Bob');
  assert.equal(message.fromTag, 'b1');
  assert.equal(message.toTag, '');
  assert.equal(message.callId, 'call-1@client.example.org');
  assert.deepEqual(message.cseq, { number: 1, method: 'INVITE' });
  assert.equal(latin1Text(message.body), 'hello');
  assert.deepEqual(message.unknownHeaders, ['x-secret']);
  assert.ok(!message.headers.some((header) => header.value.includes('pbx')));
});

test('RFC 3261 7.3.3: compact forms are the same headers, in any case', () => {
  const text = messageText()
    .replace('Via:', 'V:')
    .replace('From:', 'f:')
    .replace('To:', 'T:')
    .replace('Call-ID:', 'i:')
    .replace('Content-Length:', 'L:');
  const parsed = parseDatagram(latin1Bytes(text));
  assert.ok(parsed.ok);
  assert.deepEqual(
    parsed.value.headers.map((header) => header.name),
    ['Via', 'Max-Forwards', 'From', 'To', 'Call-ID', 'CSeq', 'Content-Length'],
  );
});

test('RFC 3261 7.2: a response', () => {
  const message = parse({ startLine: 'SIP/2.0 183 Session  Progress' });
  assert.ok(message.kind === 'response');
  assert.equal(message.status, 183);
  assert.equal(message.reason, 'Session  Progress');
});

test('RFC 3261 8.1.1.6: Max-Forwards is 70 where it is absent', () => {
  const message = parse({ lines: { 'Max-Forwards': '' } });
  assert.ok(message.kind === 'request' && message.maxForwards === 70);
});

test('the body is a copy: the receive buffer may be reused', () => {
  const bytes = Buffer.from(messageBytes({ body: 'hello' }));
  const parsed = parseDatagram(bytes);
  bytes.fill(0);
  assert.ok(parsed.ok);
  assert.equal(latin1Text(parsed.value.body), 'hello');
  assert.equal(Object.getPrototypeOf(parsed.value.body), Uint8Array.prototype);
});

test('a refusal carries what an answer needs, as it came', () => {
  const parsed = parseDatagram(
    messageBytes({
      lines: { To: '"x', Via: 'SIP/2.0/UDP a.example;branch=z9hG4bK1 , SIP/2.0/UDP b.example' },
    }),
  );
  assert.ok(!parsed.ok);
  assert.deepEqual(parsed.error, {
    reason: 'to',
    respond: 400,
    reply: {
      vias: ['SIP/2.0/UDP a.example;branch=z9hG4bK1 , SIP/2.0/UDP b.example'],
      from: '"Bob" <sip:bob@client.example.org>;tag=b1',
      to: '"x',
      callId: 'call-1@client.example.org',
      cseq: '1 INVITE',
      method: 'INVITE',
    },
    close: false,
  });
});

test('RFC 3261 21.4.11, 21.5.7: body over the limit 413, head over the limit 513', () => {
  const body = parseDatagram(messageBytes({ body: 'x'.repeat(32_769) }));
  assert.ok(!body.ok && body.error.respond === 413);
  const lines = Object.fromEntries(Array.from({ length: 5 }, (_, i) => [`X-${i}`, 'x'.repeat(8000)]));
  const head = parseDatagram(messageBytes({ lines }));
  assert.ok(!head.ok && head.error.respond === 513);
});

test('unknown header names are counted up to a limit, and cut', () => {
  const lines = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`X-${i}${'n'.repeat(100)}`, 'x']));
  const message = parse({ lines });
  assert.equal(message.unknownHeaders.length, 32);
  assert.ok(message.unknownHeaders.every((name) => name.length === 64));
});

test('a BOM at the start of a value is an ordinary character', () => {
  const message = parse({ lines: { Subject: '\u00ef\u00bb\u00bfx' } });
  assert.equal(message.headers.find((header) => header.name === 'Subject')?.value, '\u00ef\u00bb\u00bfx');
  const parsed = parseDatagram(latin1Bytes(`\u00ef\u00bb\u00bf${messageText()}`));
  assert.ok(!parsed.ok);
});

test('RFC 3261 18.3: on a stream a missing or wrong Content-Length closes the connection', () => {
  const head = latin1Bytes(
    messageText({ lines: { 'Content-Length': '' } })
      .replace('Content-Length: \r\n', '')
      .slice(0, -4),
  );
  const parsed = parseFramed(head, new Uint8Array(0));
  assert.ok(!parsed.ok && parsed.error.close && parsed.error.respond === 400);
  const good = parseFramed(latin1Bytes(messageText().slice(0, -4)), new Uint8Array(0));
  assert.ok(good.ok);
});
