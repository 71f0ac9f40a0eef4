/** What the pages name exists: metrics, keys of the configuration, files, links, scripts, commands and their options. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { main } from '../src/cli/main.ts';
import { REFUSALS } from '../src/media/plane-contract.ts';
import { GatewayMetrics } from '../src/store/metrics.ts';
import { configJsonSchemaText } from '../src/store/schema.ts';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..');
const PAGES = [
  'README.md',
  'CHANGELOG.md',
  ...['docs', 'docs/decisions'].flatMap((folder) =>
    readdirSync(join(ROOT, folder))
      .filter((name) => name.endsWith('.md'))
      .map((name) => `${folder}/${name}`),
  ),
];
const TEXTS = new Map(PAGES.map((page) => [page, readFileSync(join(ROOT, page), 'utf8')]));

/** Every match of the pattern's first group on every page, as `page: word`. */
function* named(pattern: RegExp): Generator<readonly [page: string, word: string]> {
  for (const [page, text] of TEXTS) for (const [, word] of text.matchAll(pattern)) yield [page, word!];
}

test('every metric stands in the table of operations.md, and every one that a page names exists', () => {
  const metrics = new GatewayMetrics({ name: 'gw', role: 'relay' }, REFUSALS);
  const exist = metrics.registry.getMetricsAsArray().map(({ name }) => name);
  const table = /^## Metrics$[\s\S]*?^## /m.exec(TEXTS.get('docs/operations.md')!)![0];
  const told = [...table.matchAll(/^\| (`[^|]+) \|/gm)].flatMap(([, cell]) =>
    [...cell!.matchAll(/`(\w+)`/g)].map(([, name]) => `voip_sgw_${name}`),
  );
  assert.deepEqual(told.sort(), exist.sort());
  const elsewhere = [...named(/\b(voip_sgw_\w+[a-z0-9])\b/g)];
  assert.ok(elsewhere.length > 1);
  for (const [page, name] of elsewhere) assert.ok(exist.includes(name), `${page}: ${name}`);
});

test('every key of the configuration that a page names exists', () => {
  const schema = JSON.parse(configJsonSchemaText()) as Node;
  const keys = new Set<string>();
  collect(schema, schema, '', keys);
  const sections = new Set([...keys].filter((key) => !key.includes('.')));
  let seen = 0;
  for (const [page, words] of named(/`([a-z]\w*(?:\[\])?(?:\.\w+(?:\[\])?)+)(?=[`:])/g)) {
    const key = words.replaceAll('[]', '');
    if (!sections.has(key.split('.')[0]!) || /\.(?:ts|md|json|yaml)$/.test(key)) continue;
    seen++;
    assert.ok(keys.has(key), `${page}: ${words}`);
  }
  assert.ok(seen > 20, `${seen} keys are named`);
});

interface Node {
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly items?: Node;
  readonly anyOf?: readonly Node[];
  readonly oneOf?: readonly Node[];
  readonly [key: string]: unknown;
}

function collect(node: Node, root: Node, path: string, keys: Set<string>): void {
  if (node.$ref !== undefined) {
    let at: unknown = root;
    for (const part of node.$ref.slice(2).split('/')) at = (at as Record<string, unknown>)[part];
    collect(at as Node, root, path, keys);
  }
  for (const other of [...(node.anyOf ?? []), ...(node.oneOf ?? [])]) collect(other, root, path, keys);
  if (node.items !== undefined) collect(node.items, root, path, keys);
  for (const [name, inner] of Object.entries(node.properties ?? {})) {
    const full = path === '' ? name : `${path}.${name}`;
    keys.add(full);
    collect(inner, root, full, keys);
  }
}

test('every file of the source and the tests that a page names exists, and every link leads somewhere', () => {
  const folders = readdirSync(join(ROOT, 'src')).concat(readdirSync(join(ROOT, 'test')));
  let seen = 0;
  for (const [page, path] of named(/`((?:[a-z0-9-]+\/)+[a-z0-9-]+(?:\.test)?(?:\.m?[jt]s)?)`/g)) {
    const first = path.split('/')[0]!;
    const rooted = ['src', 'test', 'tools', 'bench', 'bin', 'docs'].includes(first);
    if (!rooted && !folders.includes(first)) continue;
    seen++;
    const places = (rooted ? [''] : ['src/', 'test/']).flatMap((base) =>
      ['', '.ts', '.test.ts', '.lab.ts', '.mjs', '.md'].map((end) => join(ROOT, `${base}${path}${end}`)),
    );
    assert.ok(
      places.some((place) => existsSync(place)),
      `${page}: ${path}`,
    );
  }
  assert.ok(seen > 50, `${seen} files are named`);
  for (const [page, target] of named(/\]\(([^)\s]+)\)/g)) {
    if (/^https?:/.test(target) || target.startsWith('#')) continue;
    if (!/^[\w./-]+(?:#.*)?$/.test(target)) continue; // no link: an expression in a grammar
    assert.ok(existsSync(join(ROOT, dirname(page), target.split('#')[0]!)), `${page}: ${target}`);
  }
});

test('every npm script, command and option that a page shows exists', async () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  for (const [page, name] of named(/\bnpm run ([a-z][\w:-]*)/g))
    assert.ok(name in scripts, `${page}: ${name}`);
  const help = async (...args: string[]): Promise<string> => {
    let out = '';
    const write = (text: string): void => {
      out += text;
    };
    await main([...args, '--help'], {
      run: async () => undefined,
      io: { stdout: write, stderr: write, columns: 200 },
    });
    return out;
  };
  const overview = await help();
  const commands = [...overview.matchAll(/^ {2}([a-z][a-z-]+) /gm)].map(([, name]) => name!);
  const options = new Map<string, string>();
  let seen = 0;
  for (const [page, line] of named(
    /(?:^|`|node bin\/)voip-sgw(?:\.js)? ([a-z-]+[^`\n]*(?:\\\n[^`\n]*)*)/gm,
  )) {
    const [command] = line.split(' ');
    if (!commands.includes(command!)) {
      assert.ok(/^(?:COMMAND|is|and|in|lane|tunnel|media)$/.test(command!), `${page}: voip-sgw ${line}`);
      continue;
    }
    if (!options.has(command!)) options.set(command!, await help(command!));
    for (const [option] of line.split('#')[0]!.matchAll(/(?<=\s)--[a-z-]+/g)) {
      seen++;
      assert.ok(options.get(command!)!.includes(option), `${page}: voip-sgw ${line}`);
    }
  }
  assert.ok(seen > 10, `${seen} options are shown`);
});
