import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallerIdentity } from './caller-identity.ts';
import { asDialled } from './number-pattern.ts';

const party = (number: string, numberType: 'unknown' | 'international' | 'uri' = 'unknown') =>
  ({ number, numberType, privacy: 'allowed', verified: false }) as const;
const STRANGER = { trusted: false, outside: true };

test('from outside an own number is a forgery in every spelling, unless authenticated', () => {
  const identity = new CallerIdentity(['4930100', '+4930200', '2XX', 'boss']);
  for (const forged of [
    party('4930100'),
    party('4930100', 'international'),
    party('004930100'),
    party('4930200'),
    party('4930200', 'international'),
    party('004930200'),
    party('234'),
    party('boss', 'uri'),
    // Called names, they read as the number all the same.
    party('4930100', 'uri'),
    party('+4930100', 'uri'),
    party('+4930/100', 'uri'),
    party('0049-30-100;x', 'uri'),
    party('2(34)', 'uri'),
  ]) {
    assert.ok(!identity.check(forged, STRANGER).ok, JSON.stringify(forged));
    assert.ok(identity.check(forged, { trusted: false, outside: false }).ok, 'inside it is at home');
    const account = { ...STRANGER, accountNumber: asDialled(forged).number };
    assert.ok(identity.check(forged, account).ok, 'its own account');
    assert.ok(!identity.check(forged, { ...STRANGER, accountNumber: '999' }).ok, 'not another one');
  }
  for (const foreign of [party('4917012345'), party('4930101'), party('2345'), party('20'), party('')]) {
    assert.ok(identity.check(foreign, STRANGER).ok, JSON.stringify(foreign));
  }
});

test('nothing a stranger says is verified', () => {
  const identity = new CallerIdentity([]);
  const claimed = identity.check({ ...party('4917012345'), verified: true }, STRANGER);
  assert.ok(claimed.ok && !claimed.value.verified);
});
