import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { message } from './arbitraries.test.ts';
import type { MetaMessage } from './message.ts';
import { describeMeta, shortNumber } from './text.ts';

test('a description is one line of printable text for every message', () => {
  fc.assert(
    fc.property(message, fc.boolean(), (m, full) => {
      const line = describeMeta(m, { full });
      assert.ok(line.startsWith(m.kind));
      assert.doesNotMatch(line, /[\r\n\0]/);
    }),
  );
});

test('numbers, names and digits are shortened unless asked for', () => {
  const setup: MetaMessage = {
    kind: 'setup',
    call: '0'.repeat(32),
    shard: 0,
    streamBase: 8,
    caller: {
      number: '493012345678',
      numberType: 'international',
      displayName: 'Alice',
      privacy: 'allowed',
      verified: true,
    },
    callee: { number: '2001', numberType: 'unknown', privacy: 'allowed', verified: false },
    priority: 'emergency',
    hops: 69,
  };
  assert.equal(describeMeta(setup), 'setup +…78 → xxxx, emergency, hops 69');
  assert.equal(describeMeta(setup, { full: true }), 'setup +493012345678 "Alice" → 2001, emergency, hops 69');
  assert.equal(
    describeMeta({ kind: 'user-input', call: '', digit: '5', durationMs: 100 }),
    'user-input digit, 100 ms',
  );
  assert.equal(shortNumber(''), '(none)');
});
