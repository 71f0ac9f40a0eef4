import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHex } from '../bytes/text.ts';
import { decodeRas } from './messages.ts';
import { valueText } from './value-text.ts';

test('a value in one line', () => {
  const decoded = decodeRas(fromHex('340000400500')!);
  assert.ok(decoded.ok);
  assert.equal(valueText(decoded.value.message), 'bandwidthConfirm: { requestSeqNum 1, bandWidth 1280 }');
  assert.equal(
    valueText({ a: null, b: undefined, c: [true, 'x"\n'], d: {} }),
    '{ a NULL, c { true, "x\\"\\n" }, d { } }',
  );
  assert.equal(valueText(new Uint8Array(40)), `'${'00'.repeat(32)}...'H`);
});

test('secrets are not shown, and the text has a limit', () => {
  const text = valueText({
    cryptoTokens: [{ hash: 'deadbeef' }],
    nested: { tokens: ['geheim'], random: 4711 },
  });
  assert.equal(text, '{ cryptoTokens ..., nested { tokens ..., random ... } }');
  assert.equal(valueText('x'.repeat(100), 20), `"${'x'.repeat(19)}...`);
  assert.ok(valueText(new Array(100_000).fill(0), 50).length <= 53);
});
