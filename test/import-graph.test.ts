import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const src = join(root, 'src');
const PURE = [
  'bytes',
  'machine',
  'sip',
  'sdp',
  'h323',
  'rtp',
  'meta',
  'tunnel',
  'call',
  'policy',
  'media',
  'interworking',
  'gateway',
];

interface Import {
  readonly file: string;
  readonly folder: string;
  readonly target: string;
}

function sources(): string[] {
  return readdirSync(src, { withFileTypes: true, recursive: true })
    .filter((e) => e.isFile() && e.name.endsWith('.ts') && !e.name.endsWith('.test.ts'))
    .map((e) => join(e.parentPath, e.name));
}

function imports(): Import[] {
  return sources().flatMap((file) => {
    const folder = relative(src, file).split('/')[0]!;
    const text = readFileSync(file, 'utf8');
    return [...text.matchAll(/(?:^|[ }])(?:from|import)[ (]*'([^'\n]+)'/gm)].map((m) => ({
      file: relative(root, file),
      folder,
      target: m[1]!,
    }));
  });
}

function folderOf(i: Import): string | undefined {
  if (!i.target.startsWith('.')) return undefined;
  return relative(src, resolve(root, dirname(i.file), i.target)).split('/')[0];
}

function references(folder: string): string[] {
  const config = JSON.parse(readFileSync(join(src, folder, 'tsconfig.json'), 'utf8')) as {
    references: { path: string }[];
  };
  return config.references.map((r) => r.path.replace('../', ''));
}

test('a folder imports only the folders its tsconfig references (direct references only)', () => {
  const wrong = imports().filter((i) => {
    const to = folderOf(i);
    return to !== undefined && to !== i.folder && !references(i.folder).includes(to);
  });
  assert.deepEqual(wrong, []);
});

test('pure folders import nothing but pure folders: no Node module, no library', () => {
  const wrong = imports().filter(
    (i) => PURE.includes(i.folder) && (folderOf(i) === undefined || !PURE.includes(folderOf(i)!)),
  );
  assert.deepEqual(wrong, []);
});

test('protocol folders never import each other', () => {
  const protocols = ['sip', 'sdp', 'h323', 'rtp', 'meta', 'tunnel'];
  const wrong = imports().filter(
    (i) => protocols.includes(i.folder) && protocols.includes(folderOf(i) ?? '') && folderOf(i) !== i.folder,
  );
  assert.deepEqual(wrong, []);
});

test('the folder graph has no cycle', () => {
  const folders = readdirSync(src).filter((f) => existsSync(join(src, f, 'tsconfig.json')));
  const done = new Set<string>();
  const visit = (folder: string, path: readonly string[]): void => {
    assert.ok(!path.includes(folder), `cycle: ${[...path, folder].join(' -> ')}`);
    if (done.has(folder)) return;
    for (const next of references(folder)) visit(next, [...path, folder]);
    done.add(folder);
  };
  for (const folder of folders) visit(folder, []);
  assert.equal(done.size, folders.length);
});

test('files are relative imports with .ts, and no barrel re-exports', () => {
  const wrong = sources().filter((file) => /^export \* from/m.test(readFileSync(file, 'utf8')));
  assert.deepEqual(wrong, []);
});
