import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { H323Party } from '../h323/contract.ts';
import type { Party } from '../meta/message.ts';
import { partyFromH323, partyToH323 } from './h323-parties.ts';

const CALLER: H323Party = {
  number: '4930123',
  numberType: 'international',
  presentation: 'allowed',
  verified: true,
};
const PARTY: Party = { number: '4930123', numberType: 'international', privacy: 'allowed', verified: true };

test('a number keeps its type; screening is believed of trusted peers only', () => {
  assert.deepEqual(partyFromH323(CALLER, { trusted: true }), PARTY);
  assert.equal(partyFromH323(CALLER, { trusted: false }).verified, false);
  assert.deepEqual(partyFromH323({ ...CALLER, number: '1#2' }, { trusted: false }).numberType, 'unknown');
});

test('the alias of a registered terminal is who calls, whatever it says of itself', () => {
  const party = partyFromH323(CALLER, { trusted: false, account: '301' });
  assert.deepEqual([party.number, party.numberType, party.verified], ['301', 'unknown', true]);
});

test('names: the user part of a URL-ID, digits as a number, all else as an address', () => {
  const named = (name: string) =>
    partyFromH323(
      { ...CALLER, number: '', numberType: 'unknown', presentation: 'unavailable', name },
      { trusted: false },
    );
  assert.deepEqual(named('h323:anna@example.com').number, 'anna');
  assert.deepEqual(named('h323:anna@example.com').numberType, 'uri');
  assert.deepEqual(named('+4930').numberType, 'international');
  assert.equal(named('anna').privacy, 'allowed');
  assert.deepEqual(named('').privacy, 'unavailable');
});

test('a restricted caller is shown to trusted peers only, and then still marked', () => {
  const restricted: Party = { ...PARTY, privacy: 'restricted', displayName: 'Anna' };
  assert.deepEqual(partyToH323(restricted, false), {
    number: '',
    numberType: 'unknown',
    presentation: 'restricted',
    verified: false,
  });
  const shown = partyToH323(restricted, true);
  assert.deepEqual([shown.number, shown.display, shown.presentation], ['4930123', 'Anna', 'restricted']);
});

test('what H.225 cannot say as a number becomes a name; displays lose what BMPString has not', () => {
  assert.deepEqual(partyToH323({ ...PARTY, number: '12A', numberType: 'unknown' }, false).name, '12A');
  assert.deepEqual(partyToH323({ ...PARTY, number: 'anna', numberType: 'uri' }, false).name, 'anna');
  assert.equal(partyToH323({ ...PARTY, displayName: 'A\u{1F600}b' }, false).display, 'Ab');
});
