import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { configJsonSchema, configReference, schemaAt } from './schema.ts';

const docs = new URL('../../../docs/', import.meta.url);

test('docs/voip-sgw.schema.json is what `voip-sgw schema` prints (renew it with that command, then format)', () => {
  const committed: unknown = JSON.parse(readFileSync(new URL('voip-sgw.schema.json', docs), 'utf8'));
  assert.deepEqual(committed, JSON.parse(JSON.stringify(configJsonSchema())));
});

test('docs/configuration.md holds what `voip-sgw schema --markdown` prints', () => {
  const text = readFileSync(new URL('configuration.md', docs), 'utf8');
  assert.ok(
    text.includes(configReference().trimEnd()),
    'replace the part after "## Reference" by that output',
  );
});

test('every key has a description', () => {
  const missing: string[] = [];
  const visit = (schema: ReturnType<typeof configJsonSchema>, path: string): void => {
    for (const [key, inner] of Object.entries(schema.properties ?? {})) {
      if (inner.description === undefined && inner.properties === undefined) missing.push(`${path}${key}`);
      visit(inner, `${path}${key}.`);
    }
    if (schema.items !== undefined && !Array.isArray(schema.items))
      visit(schema.items as typeof schema, `${path}[].`);
  };
  visit(configJsonSchema(), '');
  assert.deepEqual(missing, []);
});

test('a path leads to its schema through lists', () => {
  const host = schemaAt(configJsonSchema(), ['peers', 3, 'host']);
  assert.equal(host?.type, 'string');
  assert.equal(schemaAt(configJsonSchema(), ['peers', 'nothing']), undefined);
});
