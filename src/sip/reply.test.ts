import assert from 'node:assert/strict';
import { test } from 'node:test';
import { latin1Bytes, latin1Text } from '../bytes/text.ts';
import { headerValues } from './header/access.ts';
import type { SipRequest, SipResponse } from './message.ts';
import { parseDatagram } from './parse.ts';
import { refusalDestination, refusalReply, replyTo } from './reply.ts';
import { responseDestination } from './response-destination.ts';
import { serializeRequest, serializeResponse } from './serialize.ts';
import { type MessageParts, messageBytes, SOURCE } from './test-messages.test.ts';

function request(parts: MessageParts = {}): SipRequest {
  const parsed = parseDatagram(messageBytes(parts));
  assert.ok(parsed.ok && parsed.value.kind === 'request');
  return parsed.value;
}

function response(bytes: Uint8Array): SipResponse {
  const parsed = parseDatagram(bytes);
  assert.ok(parsed.ok && parsed.value.kind === 'response', latin1Text(bytes));
  return parsed.value;
}

test('RFC 3261 8.2.6.2: a response echoes Via, From, To, Call-ID and CSeq, and nothing else', () => {
  const asked = request({
    lines: {
      Via: 'SIP/2.0/UDP 192.0.2.77;branch=z9hG4bK1\r\nVia: SIP/2.0/UDP b.example;x=1',
      Subject: 'secret',
      'User-Agent': 'pbx',
    },
  });
  const bytes = replyTo(asked, 180, {
    source: SOURCE,
    toTag: 't1',
    headers: [['Contact', '<sip:gw.example.net>']],
  });
  assert.equal(
    latin1Text(bytes),
    [
      'SIP/2.0 180 Ringing',
      'Via: SIP/2.0/UDP 192.0.2.77;branch=z9hG4bK1',
      'Via: SIP/2.0/UDP b.example;x=1',
      'From: "Bob" <sip:bob@client.example.org>;tag=b1',
      'To: <sip:alice@gw.example.net>;tag=t1',
      'Call-ID: call-1@client.example.org',
      'CSeq: 1 INVITE',
      'Contact: <sip:gw.example.net>',
      'Content-Length: 0',
      '',
      '',
    ].join('\r\n'),
  );
});

test('RFC 3261 8.2.6.2: a To tag of the request stays; 100 gets none', () => {
  const tagged = request({ lines: { To: '<sip:alice@gw.example.net>;tag=old' } });
  assert.equal(response(replyTo(tagged, 200, { source: SOURCE, toTag: 'new' })).toTag, 'old');
  assert.equal(response(replyTo(request(), 100, { source: SOURCE, toTag: 'new' })).toTag, '');
});

test('RFC 3261 18.2.1, RFC 3581 4: received and rport say what we saw, not what the request claimed', () => {
  const top = (via: string): string =>
    headerValues(response(replyTo(request({ lines: { Via: via } }), 200, { source: SOURCE })), 'Via').join(
      ' | ',
    );
  assert.equal(top('SIP/2.0/UDP 192.0.2.77;branch=z9hG4bK1'), 'SIP/2.0/UDP 192.0.2.77;branch=z9hG4bK1');
  assert.equal(
    top('SIP/2.0/UDP host.example;branch=z9hG4bK1'),
    'SIP/2.0/UDP host.example;branch=z9hG4bK1;received=192.0.2.77',
  );
  assert.equal(
    top('SIP/2.0/UDP 192.0.2.77;rport;branch=z9hG4bK1'),
    'SIP/2.0/UDP 192.0.2.77;rport=40001;branch=z9hG4bK1;received=192.0.2.77',
  );
  assert.equal(
    top(
      'SIP/2.0/UDP host.example;received=203.0.113.1;branch=z9hG4bK1, SIP/2.0/UDP b.example;received=203.0.113.9',
    ),
    'SIP/2.0/UDP host.example;branch=z9hG4bK1;received=192.0.2.77, SIP/2.0/UDP b.example;received=203.0.113.9',
  );
});

test('RFC 3261 18.2.2, RFC 3581 4: answers go to the source, whatever maddr, received or sent-by say', () => {
  const to = (via: string) => responseDestination(request({ lines: { Via: via } }).vias[0], SOURCE);
  assert.deepEqual(to('SIP/2.0/UDP victim.example:99;maddr=203.0.113.1'), { ip: '192.0.2.77', port: 99 });
  assert.deepEqual(to('SIP/2.0/UDP victim.example;received=203.0.113.1'), { ip: '192.0.2.77', port: 5060 });
  assert.deepEqual(to('SIP/2.0/UDP victim.example:99;rport'), SOURCE);
  assert.deepEqual(responseDestination(undefined, SOURCE), SOURCE);
});

test('RFC 3261 8.2.7: the stateless refusal of the same bytes is always the same', () => {
  const refuse = (parts: MessageParts): string => {
    const parsed = parseDatagram(messageBytes(parts));
    assert.ok(!parsed.ok && parsed.error.reply && parsed.error.respond);
    return latin1Text(refusalReply(parsed.error.reply, parsed.error.respond, SOURCE));
  };
  const broken = { lines: { CSeq: '99999999999 INVITE' } };
  assert.equal(refuse(broken), refuse(broken));
  assert.match(
    refuse(broken),
    /^SIP\/2\.0 400 Bad Request\r\n[\s\S]*\r\nTo: <sip:alice@gw\.example\.net>;tag=s\w+\r\n/,
  );
  assert.match(
    refuse({ ...broken, lines: { ...broken.lines, To: '<sip:a@b.c>;tag=x' } }),
    /\r\nTo: <sip:a@b\.c>;tag=x\r\n/,
  );
  assert.match(
    refuse({ lines: { From: '', To: '', Via: 'SIP/2.0/UDP ;;' } }),
    /^SIP\/2\.0 400 [^\r\n]+\r\nVia: SIP\/2\.0\/UDP ;;\r\nCall-ID/,
  );
});

test('the refusal goes to the source as well, and is no larger than twice the request', () => {
  const bytes = messageBytes({ lines: { CSeq: 'x', Via: 'SIP/2.0/UDP h.example:77;maddr=203.0.113.1' } });
  const parsed = parseDatagram(bytes);
  assert.ok(!parsed.ok && parsed.error.reply);
  assert.deepEqual(refusalDestination(parsed.error.reply, SOURCE), { ip: '192.0.2.77', port: 77 });
  assert.ok(refusalReply(parsed.error.reply, 400, SOURCE).length < 2 * bytes.length);
});

test('RFC 4475 3.1.1.2: NUL in a quoted pair is echoed, and is no reason to throw', () => {
  const asked = request({ lines: { To: '"\\\u0000" <sip:alice@gw.example.net>' } });
  assert.ok(latin1Text(replyTo(asked, 200, { source: SOURCE })).includes('To: "\\\u0000" <sip'));
});

test('no line can be injected: CR, LF and NUL are refused as a bug, wherever they stand', () => {
  for (const bad of ['\r\nX: y', '\n', '\r', '\0']) {
    const headers = [['Subject', `a${bad}`]] as const;
    assert.throws(() => serializeRequest({ method: 'INVITE', uri: 'sip:a@b.c', headers }), /bug/);
    assert.throws(() => serializeRequest({ method: 'INVITE', uri: `sip:a@b.c${bad}`, headers: [] }), /bug/);
    assert.throws(() => serializeRequest({ method: `INVITE${bad}`, uri: 'sip:a@b.c', headers: [] }), /bug/);
    assert.throws(
      () => serializeRequest({ method: 'INVITE', uri: 'sip:a@b.c', headers: [[`X${bad}`, 'y']] }),
      /bug/,
    );
    assert.throws(() => serializeResponse({ status: 200, headers }), /bug/);
    assert.throws(() => serializeResponse({ status: 200, reason: bad, headers: [] }), /bug/);
    if (bad !== '\0') assert.throws(() => replyTo(request(), 200, { source: SOURCE, headers }), /bug/);
  }
  assert.throws(() => serializeRequest({ method: 'INVITE', uri: 'sip:a@b.c SIP/2.0', headers: [] }), /bug/);
  assert.throws(() => serializeResponse({ status: 99, headers: [] }), /bug/);
});

test('RFC 3261 20.14: Content-Length counts octets and stands last', () => {
  const bytes = serializeResponse({
    status: 606,
    reason: 'Zoë',
    headers: [['Content-Type', 'a/b']],
    body: latin1Bytes('\u00e9\r\n\r\n'),
  });
  assert.equal(
    latin1Text(bytes),
    'SIP/2.0 606 Zo\u00c3\u00ab\r\nContent-Type: a/b\r\nContent-Length: 5\r\n\r\n\u00e9\r\n\r\n',
  );
});
