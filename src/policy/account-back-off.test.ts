import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AccountBackOff } from './account-back-off.ts';

const MINUTE = 60_000;

test('after ten wrong passwords from anywhere an account is not examined; one try a minute comes back', () => {
  const backOff = new AccountBackOff();
  for (let i = 0; i < 10; i++) {
    assert.ok(backOff.allows('alice', `192.0.2.${i}`, 0));
    backOff.failed('alice', `192.0.2.${i}`, 0);
  }
  assert.ok(!backOff.allows('alice', '198.51.100.1', 0));
  assert.ok(backOff.allows('bob', '198.51.100.1', 0), 'other accounts are not touched');
  assert.ok(!backOff.allows('alice', '198.51.100.1', MINUTE - 1));
  assert.ok(backOff.allows('alice', '198.51.100.1', MINUTE));
});

test('the user at a place that has shown the password goes on, until a wrong one comes from there', () => {
  const backOff = new AccountBackOff();
  backOff.succeeded('alice', '192.0.2.9', 0);
  for (let i = 0; i < 20; i++) backOff.failed('alice', '198.51.100.1', 0);
  assert.ok(backOff.allows('alice', '192.0.2.9', 0));
  assert.ok(
    !backOff.allows('alice', '192.0.2.9', 25 * 60 * MINUTE) || backOff.allows('alice', 'x', 25 * 60 * MINUTE),
  );
  backOff.failed('alice', '192.0.2.9', 0);
  assert.ok(!backOff.allows('alice', '192.0.2.9', 0));
});

test('names and places nobody uses are forgotten: the tables are bounded', () => {
  const backOff = new AccountBackOff({ capacity: 50 });
  for (let i = 0; i < 1000; i++) {
    backOff.failed(`name${i}`, '192.0.2.1', i);
    backOff.succeeded(`name${i}`, '192.0.2.1', i);
  }
  assert.equal(backOff.size, 100);
});
