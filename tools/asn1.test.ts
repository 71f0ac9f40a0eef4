/** The ASN.1 reader and the emitter of tables, on a module that has every construct of the H.323 modules. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Emitter, identifier } from './asn1-emit.ts';
import { parseAsn1 } from './asn1-parse.ts';

const OTHER = parseAsn1(`
OTHER DEFINITIONS AUTOMATIC TAGS ::= BEGIN
Params ::= SEQUENCE { iv OCTET STRING (SIZE(8)) OPTIONAL, ... }
HASHED { ToBeHashed } ::= SEQUENCE { paramS Params, hash BIT STRING } ( CONSTRAINED BY { -- ToBeHashed -- } )
Open ::= TYPE-IDENTIFIER.&Type (Params)
END`);

const MODULE = parseAsn1(`
-- a module -- ONE {itu-t(0) 7} DEFINITIONS AUTOMATIC TAGS ::=
BEGIN
IMPORTS HASHED{}, Open FROM OTHER;
max INTEGER ::= 5
Set INTEGER ::= {1, ...}
Digits-List ::= IA5String(SIZE (1..8))(FROM ("01#"))
Base ::= IA5String(FROM ("abc"))
Sized ::= Base(SIZE (2..3))
Number ::= INTEGER { one(1) } (0..16383, ...)
Kind ::= ENUMERATED { second-one (2), first (1), ..., third }
Thing ::= SEQUENCE {
  a-b  NULL OPTIONAL, -- with -- c CHOICE { x [1] Thing, y BOOLEAN, ..., z INTEGER (1..MAX) },
  d    SET SIZE (1..4) OF Digits-List DEFAULT {},
  ...,
  e    HASHED{Open} OPTIONAL,
  [[ f BMPString, g OBJECT IDENTIFIER ]]
}
END`);

function emitter(): Emitter {
  return new Emitter(MODULE, (name) => {
    assert.equal(name, 'OTHER');
    return OTHER;
  });
}

test('tables: constraints, order of ENUMERATED, extensions, groups, parameters, references with a constraint', () => {
  const lines = emitter().table().split('\n');
  assert.deepEqual(lines, [
    `"Digits-List": text('ia5', 1, 8, "01#"),`,
    `"Base": text('ia5', 0, undefined, "abc"),`,
    `"Sized": text('ia5', 2, 3, "abc"),`,
    '"Number": integer(0, 16383, true),',
    '"Kind": enumerated(["first","secondOne"], ["third"]),',
    `"Thing": sequence([['aB', NULL, OPT], ['c', choice([['x', "Thing"], ['y', BOOLEAN]], [['z', integer(1)]])], ` +
      `['d', listOf("Digits-List", 1, 4), OPT]], [['e', sequence([['paramS', "Params"], ['hash', bits()]]), OPT], ` +
      `{ group: [['f', text('bmp')], ['g', OID]] }]),`,
  ]);
});

test('value types: additions are optional, extensible types may be unknown', () => {
  const types = emitter().types();
  assert.match(types, /export type Kind = 'first' \| 'secondOne' \| 'third' \| 'unknown';/);
  assert.match(
    types,
    /readonly c: Alternative<'x', Thing> \| Alternative<'y', boolean> \| .*\| UnknownChoice;/,
  );
  assert.match(types, /readonly f\?: string \| undefined;/);
  assert.match(types, /export type Number = number \| bigint;/);
});

test('identifiers lose their hyphens', () => {
  assert.equal(identifier('h323-uu-pdu'), 'h323UuPdu');
  assert.equal(identifier('url-ID'), 'urlID');
  assert.equal(identifier('offset-x'), 'offsetX');
});

test('what the reader does not know is an error, not a guess', () => {
  const one = (body: string) => () => parseAsn1(`M DEFINITIONS ::= BEGIN ${body} END`);
  assert.throws(one('A ::= SEQUENCE { a NULL, ..., b NULL, ..., c NULL }'), /second root list/);
  assert.throws(one('A ::= OCTET STRING (SIZE (1..4, ...))'), /extensible size/);
  assert.throws(one('A ::= INTEGER (0..max)'), /bound max/);
  assert.throws(one('A ::= SEQUENCE { A NULL }'), /not an identifier/);
});

const FOLDER = new URL('../../../shared/h323/asn1/', import.meta.url);
const skip = existsSync(FOLDER) ? false : 'no ../shared/h323 here';

test('the committed tables are what the modules say', { skip }, () => {
  const read = (file: string) => parseAsn1(readFileSync(new URL(`${file}.asn`, FOLDER), 'utf8'));
  const bare = (text: string) => text.replace(/[\s'"]/g, '').replace(/,(?=[\]})])/g, '');
  for (const [file, table] of [
    ['H323-MESSAGES', 'h225'],
    ['MULTIMEDIA-SYSTEM-CONTROL', 'h245'],
    ['H235-SECURITY-MESSAGES', 'h235'],
  ] as const) {
    const generated = new Emitter(read(file), read).table();
    const committed = readFileSync(new URL(`../../src/h323/asn1/${table}.ts`, import.meta.url), 'utf8');
    assert.ok(generated.length > 3000 && bare(committed).includes(bare(`{${generated}}`)), table);
  }
});
