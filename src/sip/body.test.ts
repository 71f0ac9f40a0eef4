import assert from 'node:assert/strict';
import { test } from 'node:test';
import { latin1Text } from '../bytes/text.ts';
import { sessionDescription } from './body.ts';
import { parseDatagram } from './parse.ts';
import { messageBytes } from './test-messages.test.ts';

const SDP = 'v=0\r\n';

function body(type: string, text: string, lines: Readonly<Record<string, string>> = {}): string {
  const parsed = parseDatagram(messageBytes({ lines: { 'Content-Type': type, ...lines }, body: text }));
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.error.reason);
  const found = sessionDescription(parsed.value);
  if (!found.ok) return `${found.error.status} ${found.error.reason}`;
  return found.value === undefined ? 'none' : `${found.value.contentType} ${latin1Text(found.value.bytes)}`;
}

function part(headers: string, text: string): string {
  return `\r\n--b\r\n${headers}\r\n\r\n${text}`;
}

const OFFER = part('Content-Type: application/sdp', SDP);
const MIXED = 'multipart/mixed;boundary=b';
const FOUND = `application/sdp ${SDP}`;

test('RFC 3261 20.15: a body that is SDP, one that is not, one without a type', () => {
  assert.equal(body('Application/SDP ; charset=utf-8', SDP), FOUND);
  assert.equal(body('application/sdp', ''), 'none');
  assert.equal(body('text/plain', 'x'), '415 body-part');
  assert.equal(body('', 'x'), '400 content-type-missing');
  assert.equal(body('sdp', 'x'), '400 content-type');
});

test('RFC 3261 20.11: what we do not understand and need not is no obstacle', () => {
  assert.equal(body('text/plain', 'x', { 'Content-Disposition': 'render;handling=optional' }), 'none');
  assert.equal(body('application/sdp', SDP, { 'Content-Disposition': 'session' }), FOUND);
  assert.equal(body('application/sdp', SDP, { 'Content-Disposition': 'icon' }), '415 body-part');
});

test('RFC 3261 20.12: another encoding than identity is 415', () => {
  assert.equal(body('application/sdp', SDP, { 'Content-Encoding': 'gzip' }), '415 content-encoding');
  assert.equal(body('application/sdp', SDP, { e: 'Identity' }), FOUND);
});

test('RFC 5621 4: in multipart/mixed the first SDP counts and every required part must be understood', () => {
  assert.equal(
    body(MIXED, `preamble${OFFER}${part('Content-Type: application/sdp', 'second')}\r\n--b--epilogue`),
    FOUND,
  );
  assert.equal(
    body(
      MIXED,
      `${part('Content-Type: application/isup\r\nContent-Disposition: signal;handling=optional', 'x')}${OFFER}\r\n--b--`,
    ),
    FOUND,
  );
  assert.equal(
    body(MIXED, `${part('Content-Type: application/isup', 'x')}${OFFER}\r\n--b--`),
    '415 body-part',
  );
  assert.equal(
    body(MIXED, `${OFFER}${part('Content-Type: application/pidf+xml\r\nContent-ID: <a@b>', 'x')}\r\n--b--`),
    FOUND,
  );
  assert.equal(
    body(
      MIXED,
      `${part('Content-Type: application/sdp\r\nContent-Transfer-Encoding: base64', 'dj0w')}\r\n--b--`,
    ),
    '415 content-encoding',
  );
});

test('RFC 2046 5.1.4: in multipart/alternative the last that is understood counts', () => {
  const type = 'multipart/alternative;boundary="b"';
  assert.equal(
    body(
      type,
      `${part('Content-Type: application/sdp', 'first')}${OFFER}${part('Content-Type: x/y', 'z')}\r\n--b--`,
    ),
    FOUND,
  );
  assert.equal(body(type, `${part('Content-Type: x/y', 'z')}\r\n--b--`), '415 body-part');
});

test('RFC 2046 5.1.1: nesting to two levels', () => {
  const inner = `--i\r\nContent-Type: application/sdp\r\n\r\n${SDP}\r\n--i--`;
  assert.equal(
    body(MIXED, `${part('Content-Type: multipart/alternative;boundary=i', inner)}\r\n--b--`),
    FOUND,
  );
  const deep = `--j\r\nContent-Type: multipart/mixed;boundary=i\r\n\r\n${inner}\r\n--j--`;
  assert.equal(
    body(MIXED, `${part('Content-Type: multipart/mixed;boundary=j', deep)}\r\n--b--`),
    '415 multipart-depth',
  );
});

test('the number of parts is limited, and damaged multiparts are 400', () => {
  assert.equal(body(MIXED, `${OFFER.repeat(8)}\r\n--b--`), FOUND);
  assert.equal(body(MIXED, `${OFFER.repeat(9)}\r\n--b--`), '415 multipart-parts');
  assert.equal(body(MIXED, `${'\r\n--b\r\n\r\nx'.repeat(1000)}\r\n--b--`), '415 multipart-parts');
  assert.equal(body('multipart/mixed', OFFER), '400 multipart');
  assert.equal(body(MIXED, OFFER), '400 multipart');
  assert.equal(body(MIXED, 'no delimiter'), '400 multipart');
  assert.equal(body(MIXED, '\r\n--b--'), '400 multipart');
  assert.equal(body(`multipart/mixed;boundary="${'b'.repeat(71)}"`, OFFER), '400 multipart');
  assert.equal(body(MIXED, `\r\n--bb\r\nContent-Type: x/y\r\n\r\nx${OFFER}\r\n--b--`), FOUND);
});
