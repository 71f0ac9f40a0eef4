import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseOperatorRequest } from './operator.ts';

test('operator requests are read field by field, nothing else is passed on', () => {
  assert.deepEqual(parseOperatorRequest({ command: 'calls', extra: 1 }), {
    ok: true,
    value: { command: 'calls' },
  });
  assert.deepEqual(parseOperatorRequest({ command: 'trace', call: '00ff' }), {
    ok: true,
    value: { command: 'trace', call: '00ff' },
  });
  assert.deepEqual(parseOperatorRequest({ command: 'route-test', number: '1', from: 'peers' }), {
    ok: true,
    value: { command: 'route-test', number: '1', from: 'peers' },
  });
  assert.equal(parseOperatorRequest({ command: 'trace', call: '../x' }).ok, false);
  assert.equal(parseOperatorRequest({ command: 'route-test' }).ok, false);
  assert.equal(parseOperatorRequest([]).ok, false);
  assert.equal(parseOperatorRequest(null).ok, false);
});

test('no value throws', () => {
  fc.assert(
    fc.property(fc.anything(), (value) => {
      parseOperatorRequest(value);
    }),
  );
});
