/** Who calls, who answered, who sent the call on: what is believed, and what is kept back (RFC 3323, RFC 3325, RFC 5806). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { latin1Bytes } from '../bytes/text.ts';
import type { Party } from '../meta/message.ts';
import type { SipRequest } from '../sip/message.ts';
import { parseDatagram } from '../sip/parse.ts';
import { callerOf, connectedOf, divertingOf, numberOf, sipParties } from './sip-parties.ts';

const PLAIN = '<sip:+4930123@192.0.2.9>';
const ANONYMOUS = '"Anonymous" <sip:anonymous@anonymous.invalid>';

function request(from: string, ...headers: readonly string[]): SipRequest {
  const text = [
    'INVITE sip:200@192.0.2.1 SIP/2.0',
    'Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1',
    `From: ${from};tag=1`,
    'To: <sip:200@192.0.2.1>',
    'Call-ID: 1',
    'CSeq: 1 INVITE',
    'Max-Forwards: 70',
    ...headers,
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n');
  const parsed = parseDatagram(latin1Bytes(text));
  assert.ok(parsed.ok && parsed.value.kind === 'request');
  return parsed.value;
}

const caller = (from: string, trusted: boolean, ...headers: readonly string[]): string => {
  const { number, privacy, verified } = callerOf(request(from, ...headers), { trusted });
  return `${number} ${privacy}${verified ? ' verified' : ''}`;
};

test('the caller is the asserted identity of a trusted peer, else From (RFC 3325 5, 9.1)', () => {
  const asserted = 'P-Asserted-Identity: "Anna" <sip:anna@example.com>, <tel:+49-30-200>';
  assert.equal(caller(PLAIN, false, asserted), '4930123 allowed');
  assert.equal(caller(PLAIN, true, asserted), '4930200 allowed verified', 'the one that is a number');
  const lines = ['P-Asserted-Identity: <sip:anna@example.com>', 'P-Asserted-Identity: <tel:+4930200>'];
  assert.equal(caller(PLAIN, true, ...lines), '4930200 allowed verified');
  assert.equal(caller(PLAIN, true, lines[0]!), 'anna allowed verified');
  assert.equal(caller(PLAIN, true, 'P-Asserted-Identity: "'), '4930123 allowed');
});

test('Privacy restricts, and so does an anonymous From, whoever the caller is known to be (RFC 3323 4.1.1.3)', () => {
  const asserted = 'P-Asserted-Identity: <sip:+4930200@example.com>';
  assert.equal(caller(PLAIN, true, asserted, 'Privacy: critical; ID'), '4930200 restricted verified');
  assert.equal(caller(PLAIN, false, 'Privacy: none'), '4930123 allowed');
  for (const from of [ANONYMOUS, '<sip:Anonymous@192.0.2.9>']) {
    assert.equal(caller(from, false), ' unavailable');
    assert.equal(caller(from, true, asserted), '4930200 restricted verified');
    const account = callerOf(request(from), { trusted: false, account: '301' });
    assert.deepEqual([account.number, account.privacy], ['301', 'restricted']);
  }
});

test('privacy of a Diversion entry, and of the answer, goes with the number (RFC 5806 7, RFC 3325 9.3)', () => {
  const diverted = (value: string): string | undefined =>
    divertingOf(request(PLAIN, `Diversion: ${value}`), { trusted: true })?.privacy;
  assert.equal(diverted('<sip:100@h>;reason=no-answer;privacy="full"'), 'restricted');
  assert.equal(diverted('<sip:100@h>;privacy=uri'), 'restricted');
  assert.equal(diverted('<sip:100@h>;privacy=off'), 'allowed');
  const address = request('<sip:100@h>').from;
  assert.equal(connectedOf(address, true)?.privacy, 'restricted');
  assert.equal(connectedOf(address, false)?.privacy, 'allowed');
});

test('nobody is asserted whom nobody has verified; a restricted number goes to trusted peers only (RFC 3325 5, 7)', () => {
  const callee: Party = { number: '200', numberType: 'unknown', privacy: 'allowed', verified: false };
  const from = (verified: boolean, privacy: Party['privacy']): Party => ({
    number: '4930123',
    numberType: 'international',
    privacy,
    verified,
  });
  const asserted = (party: Party, trusted: boolean, vouched: boolean): string | undefined =>
    sipParties({ caller: party, callee }, { trusted, vouched }).asserted;
  assert.equal(asserted(from(true, 'allowed'), true, false), '+4930123');
  assert.equal(asserted(from(false, 'allowed'), true, false), undefined, 'a stranger’s From');
  assert.equal(asserted(from(false, 'allowed'), true, true), '+4930123', 'an extension of the enterprise');
  assert.equal(asserted(from(true, 'allowed'), false, true), undefined);
  const restricted = sipParties(
    { caller: from(true, 'restricted'), callee },
    { trusted: true, vouched: false },
  );
  assert.deepEqual(
    [restricted.from, restricted.asserted],
    [{ user: 'anonymous', anonymous: true }, '+4930123'],
  );
  const diverting = from(true, 'restricted');
  const sent = sipParties({ caller: diverting, callee, diverting }, { trusted: true, vouched: true });
  assert.equal(sent.diversion?.restricted, true);
});

test('a user part is a number where it is one without what is only for the eye, or for nobody', () => {
  const shown = (user: string): string => `${numberOf(user).numberType} ${numberOf(user).number}`;
  assert.equal(shown('+49 (30) 200-1;phone-context=x'), 'international 49302001');
  assert.equal(shown('0\u00a0900\u0000123'), 'unknown 0900123');
  assert.equal(shown('+4930\u200b100'), 'international 4930100');
  assert.equal(shown('anna b'), 'uri annab');
});
