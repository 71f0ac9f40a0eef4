import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatNameAddress, parseNameAddress, parseNameAddressList } from './name-address.ts';

test('RFC 3261 20.10: parameters without brackets belong to the header, within brackets to the URI', () => {
  const bare = parseNameAddress('sip:a@example.com;x=1');
  assert.equal(bare?.parameters.get('x'), '1');
  assert.equal(bare?.uri.parameters.size, 0);
  const bracketed = parseNameAddress('<sip:a@example.com;x=1>;y=2');
  assert.equal(bracketed?.uri.parameters.get('x'), '1');
  assert.deepEqual([...(bracketed?.parameters ?? [])], [['y', '2']]);
});

test('RFC 3261 25.1: display names, quoted, as tokens, in UTF-8', () => {
  const name = (text: string): string | undefined => parseNameAddress(text)?.displayName;
  assert.equal(name('"J \\"R\\" \\\\" <sip:a@b.c>'), 'J "R" \\');
  assert.equal(name('"<sip:x@y.z>" <sip:a@b.c>'), '<sip:x@y.z>');
  assert.equal(name('Mr  Watson<sip:a@b.c>'), 'Mr  Watson');
  assert.equal(name('"J\u00c3\u00bcrgen" <sip:a@b.c>'), 'Jürgen');
  assert.equal(name('<sip:a@b.c>'), undefined);
  assert.equal(name('"" <sip:a@b.c>'), '');
  assert.equal(name("O'Neil (home) @ work <sip:a@b.c>"), "O'Neil (home) @ work");
});

test('control octets of a quoted pair reach nobody', () => {
  assert.equal(parseNameAddress('"a\\\x00b\\\x7f" <sip:a@b.c>')?.displayName, 'a b ');
  const made = parseNameAddress('<sip:a@b.c>')!;
  assert.equal(
    formatNameAddress({ ...made, displayName: 'x\r\nVia: y\u2028"\\' }),
    '"x  Via: y \\"\\\\" <sip:a@b.c>',
  );
});

test('RFC 3261 25.1: malformed addresses', () => {
  for (const text of [
    '',
    'a',
    '<>',
    '<sip:a@b.c',
    'sip:a@b.c>',
    '"a <sip:a@b.c>',
    '"a" sip:a@b.c',
    'a, b <sip:a@b.c>',
    'sip:x <sip:a@b.c>',
    '<sip:a@b.c> x',
    '<sip:a@b.c>;',
    '<sip:a@b.c>;;a',
    '<sip:a@b.c>;a;A',
    '<sip:a@b.c>;a="b',
    '< sip:a@b.c>',
    '<sip:a@b.c >',
    'sip:a@b.c?x=y',
    '<mailto:a@b.c>',
    '<sip:a@b.c>, <sip:a@b.c>',
  ]) {
    assert.equal(parseNameAddress(text), undefined, text);
  }
});

test('RFC 3261 7.3.1: a list is cut at commas outside quotes and brackets; foreign schemes are left out', () => {
  const list = parseNameAddressList('"a,b" <sip:a,b@b.c;x=1,2> , <mailto:x@y.z>,\tsip:c@d.e;q=0.1');
  assert.equal(list, undefined); // a comma may not be in a parameter of a URI
  const good = parseNameAddressList('"a,b" <sip:a,b@b.c> , <mailto:x@y.z>,\tsip:c@d.e;q=0.1');
  assert.deepEqual(
    good?.map((address) => address.uri.host),
    ['b.c', 'd.e'],
  );
  assert.equal(good?.[0]?.displayName, 'a,b');
  assert.equal(parseNameAddressList('<sip:a@b.c>,'), undefined);
  assert.equal(parseNameAddressList(Array(65).fill('<sip:a@b.c>').join()), undefined);
});

test('what is written reads back', () => {
  const address = {
    displayName: 'Zoë "Z" \\',
    uri: parseNameAddress('<sip:z@b.c;lr>')!.uri,
    parameters: new Map([['tag', 'a b']]),
  };
  assert.deepEqual(parseNameAddress(formatNameAddress(address)), address);
});

test('an empty display name is written as none', () => {
  const address = parseNameAddress('"" <sip:bob@example.org>;tag=1')!;
  assert.equal(formatNameAddress(address), '<sip:bob@example.org>;tag=1');
});
