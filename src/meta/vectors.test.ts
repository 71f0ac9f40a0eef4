import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fromHex, toHex } from '../bytes/text.ts';
import { decodeMeta } from './decode.ts';
import { encodeMeta } from './encode.ts';
import { decodeFence, encodeFence } from './fence.ts';
import type { Field } from './fields.ts';
import { LAYOUTS } from './fields.ts';
import type { FenceCall, MetaMessage } from './message.ts';

interface Vectors {
  readonly messages: readonly {
    readonly name: string;
    readonly hex: string;
    readonly message: MetaMessage;
  }[];
  readonly fences: readonly { readonly name: string; readonly hex: string; readonly calls: FenceCall[] }[];
  readonly refused: readonly { readonly name: string; readonly hex: string; readonly reason: string }[];
}

const root = new URL('../../../', import.meta.url);
const vectors = JSON.parse(readFileSync(new URL('test/vectors/meta/v1.0.json', root), 'utf8')) as Vectors;

for (const { name, hex, message } of vectors.messages) {
  test(`vector 1.0: ${name}`, () => {
    assert.equal(toHex(encodeMeta(message, 0)), hex);
    assert.deepEqual(decodeMeta(fromHex(hex)!, 0), { ok: true, value: message });
  });
}

for (const { name, hex, calls } of vectors.fences) {
  test(`vector 1.0: fence, ${name}`, () => {
    assert.equal(toHex(encodeFence(calls)), hex);
    assert.deepEqual(decodeFence(fromHex(hex)!), { ok: true, value: calls });
  });
}

for (const { name, hex, reason } of vectors.refused) {
  test(`vector 1.0, refused: ${name}`, () => {
    const result = decodeMeta(fromHex(hex)!, 0);
    assert.equal(result.ok ? 'decoded' : result.error.reason, reason);
  });
}

test('vectors: there is one of every message', () => {
  const seen = new Set(vectors.messages.map((v) => v.message.kind));
  assert.deepEqual(
    LAYOUTS.map((l) => l.kind).filter((kind) => !seen.has(kind)),
    [],
  );
});

test('docs/meta-protocol.md has a row for every message and every field, as the code has them', () => {
  const document = readFileSync(new URL('docs/meta-protocol.md', root), 'utf8');
  const has = (row: string) => assert.ok(document.includes(row), `missing in the document: ${row}`);
  for (const layout of LAYOUTS) {
    has(`| ${layout.code} | ${layout.kind} |`);
    const name = (f: Field) => (f.optional ? `[${f.name}]` : f.name);
    has(`| ${layout.kind} | ${layout.fields.map(name).join(', ') || 'none'} |`);
    for (const field of layout.fields) has(`| ${field.code} | ${field.name} |`);
  }
});
