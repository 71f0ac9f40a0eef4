/** X.691 rule by rule, on small types; the encodings are worked out by hand from the clauses named. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHex, toHex } from '../../bytes/text.ts';
import { PerModule } from './compile.ts';
import { DECODE_LIMITS, DecodeReport, decodePer } from './decode.ts';
import { encodePer } from './encode.ts';
import { PerEncodeError } from './encode-error.ts';
import { oidOctets, oidText } from './oid.ts';
import type { TypeSpec } from './types.ts';
import {
  BOOLEAN,
  bits,
  choice,
  enumerated,
  integer,
  listOf,
  NULL,
  OID,
  OPEN,
  OPT,
  octets,
  sequence,
  text,
} from './types.ts';

function typeOf(spec: TypeSpec, others: Readonly<Record<string, TypeSpec>> = {}) {
  return new PerModule('test', { T: spec, ...others }).type<unknown>('T');
}

/** Encodes to `hex` and decodes to the value again. */
function both(spec: TypeSpec, value: unknown, hex: string): void {
  const type = typeOf(spec);
  assert.equal(toHex(encodePer(type, value)), hex);
  assert.deepEqual(decodePer(type, fromHex(hex)!), { ok: true, value });
}

function refused(spec: TypeSpec, hex: string, reason: string, path = 'T', bit?: number): void {
  const result = decodePer(typeOf(spec), fromHex(hex)!);
  assert.ok(!result.ok, JSON.stringify(result));
  assert.deepEqual([result.error.reason, result.error.path], [reason, path]);
  if (bit !== undefined) assert.equal(result.error.bit, bit);
}

/** Two bits in front, so that what is not aligned shows. */
const after = (spec: TypeSpec): TypeSpec =>
  sequence([
    ['a', BOOLEAN],
    ['b', BOOLEAN],
    ['v', spec],
  ]);
const behind = (value: unknown) => ({ a: true, b: true, v: value });

test('11.1.3: an encoding of no bits is one octet', () => {
  both(NULL, null, '00');
  both(integer(7, 7), 7, '00');
  both(sequence([]), {}, '00');
  refused(NULL, '', 'truncated');
});

test('11.5.7: whole numbers of a range below 256 are a field of bits, of 256 and more aligned octets', () => {
  both(after(integer(0, 7)), behind(5), 'e8');
  both(after(integer(1, 255)), behind(255), 'ff80');
  both(after(integer(0, 255)), behind(5), 'c005');
  both(after(integer(1, 65535)), behind(256), 'c000ff');
  both(after(integer(-3, 3)), behind(-3), 'c0');
  refused(integer(0, 5), 'e0', 'range');
});

test('11.5.7.4: a range above 64K is a length in the fewest bits, then aligned octets', () => {
  both(integer(0, 16_777_215), 5, '0005');
  both(integer(0, 4_294_967_295), 4_294_967_295, 'c0ffffffff');
  both(integer(1, 4_294_967_295), 256, '00ff');
  both(after(integer(0, 70_000)), behind(65_536), 'e0010000');
  refused(integer(0, 70_000), '80ffffff', 'range');
  refused(integer(0, 16_777_215), 'c000000001', 'length');
});

test('13: integers without bounds are a length and two complement octets, above a lower bound unsigned', () => {
  both(integer(), 0, '0100');
  both(integer(), 127, '017f');
  both(integer(), 128, '020080');
  both(integer(), -128, '0180');
  both(integer(), -129, '02ff7f');
  both(integer(), 2n ** 64n, '09010000000000000000');
  both(integer(), -(2n ** 63n), '088000000000000000');
  both(integer(), Number.MIN_SAFE_INTEGER, '07e0000000000001');
  both(integer(1), 1, '0100');
  both(integer(1), 256, '01ff');
  refused(integer(), '00', 'length');
});

test('13.1: an extensible range has a bit for values outside it', () => {
  both(integer(0, 15, true), 15, '78');
  both(integer(0, 15, true), 16, '800110');
});

test('14: ENUMERATED; an item of a later edition is unknown and counted', () => {
  both(enumerated(['a', 'b', 'c']), 'c', '80');
  both(enumerated(['a', 'b'], []), 'b', '40');
  both(enumerated(['a'], ['x', 'y']), 'y', '81');
  const report = new DecodeReport();
  const later = decodePer(typeOf(enumerated(['a'], ['x'])), fromHex('85')!, DECODE_LIMITS, report);
  assert.deepEqual(later, { ok: true, value: 'unknown' });
  assert.equal(report.unknown, 1);
  refused(enumerated(['a', 'b', 'c']), 'c0', 'range');
});

test('16: bit strings of up to 16 fixed bits are not aligned, longer and variable ones are', () => {
  const value = (count: number, hex: string) => ({ bits: count, bytes: fromHex(hex)! });
  both(after(bits(4, 4)), behind(value(4, 'a0')), 'e8');
  both(after(bits(16, 16)), behind(value(16, 'ffff')), 'ffffc0');
  both(after(bits(17, 17)), behind(value(17, 'ffff80')), 'c0ffff80');
  both(after(bits(0, 3)), behind(value(3, 'e0')), 'f0e0');
  both(bits(), value(9, '8080'), '098080');
});

test('17: two fixed octets are not aligned, more and variable ones are', () => {
  both(after(octets(2, 2)), behind(fromHex('ffff')!), 'ffffc0');
  both(after(octets(4, 4)), behind(fromHex('7f000001')!), 'c07f000001');
  both(after(octets(1, 3)), behind(fromHex('41')!), 'c041');
  both(octets(1, 256), fromHex('4142')!, '014142');
  both(octets(), new Uint8Array(0), '00');
  refused(octets(), '0541', 'truncated');
});

test('11.9.3: lengths up to 127, up to 16K, and fragments of 16K', () => {
  const fill = (length: number) => new Uint8Array(length).fill(0x55);
  const type = typeOf(octets());
  for (const [length, head] of [
    [127, '7f'],
    [128, '8080'],
    [16_383, 'bfff'],
    [16_384, 'c1'],
    [65_536, 'c4'],
    [81_920, 'c4'],
  ] as const) {
    const bytes = encodePer(type, fill(length));
    assert.ok(toHex(bytes).startsWith(head), String(length));
    const limits = { ...DECODE_LIMITS, bytes: 100_000 };
    assert.deepEqual(decodePer(type, bytes, limits), { ok: true, value: fill(length) });
  }
  assert.equal(toHex(encodePer(type, fill(16_384)).subarray(-1)), '00'); // 11.9.3.8.3: ends with a length below 16K
  refused(octets(), `c5${'00'.repeat(10)}`, 'length');
});

test('30: bits per character, codes or indices, alignment', () => {
  // 13 characters: 4 bits each, and the greatest code does not fit: indices in the order # * , 0 .. 9
  both(text('ia5', 1, 128, '0123456789#*,'), '01', '0234');
  // 17 characters: 8 bits, codes; a single one of 8 bits is not aligned
  both(after(text('ia5', 1, 1, '0123456789#*ABCD!')), behind('5'), 'cd40');
  both(after(text('numeric', 0, 4)), behind(''), 'c0');
  both(after(text('numeric', 1, 3)), behind('07'), 'd180');
  both(text('bmp', 1, 256), 'é', '0000e9');
  both(text('general'), '1', '0131');
  both(text('printable'), 'A-1', '03412d31');
  refused(text('ia5', 1, 512), '000080', 'alphabet');
  refused(text('printable'), '0140', 'alphabet');
  refused(text('ia5', 1, 128, '0123456789#*,'), '00f0', 'alphabet');
});

test('24: object identifiers', () => {
  both(OID, '0.0.8.2250.0.4', '060008914a0004');
  both(OID, '2.999.3', '03883703');
  both(
    OID,
    '2.25.329800735698586629295641978511506172918',
    `14${'69'}${toHex(oidOctets('2.25.329800735698586629295641978511506172918')!).slice(2)}`,
  );
  refused(OID, '028001', 'identifier');
  refused(OID, '0188', 'identifier');
  assert.equal(oidText(new Uint8Array(0)), undefined);
  for (const wrong of ['', '1', '3.1', '1.40', '1.2.', '1.02'])
    assert.equal(oidOctets(wrong), undefined, wrong);
});

test('19: OPTIONAL bits, extension bitmap, additions as open types', () => {
  const spec = sequence(
    [
      ['a', integer(0, 255), OPT],
      ['b', BOOLEAN],
    ],
    [
      ['c', integer(0, 255), OPT],
      ['d', octets()],
    ],
  );
  both(spec, { b: true }, '20');
  both(spec, { a: 1, b: true }, '400180');
  // ext 1, a 0, b 1, n - 1 = 1 in 7 bits, bitmap 01, open type of 2 octets
  both(spec, { b: true, d: fromHex('41')! }, 'a050020141');
});

test('19.8: a later edition sends more additions: skipped and counted; an earlier fewer: absent', () => {
  const early = typeOf(sequence([], [['x', BOOLEAN]]));
  const late = typeOf(
    sequence(
      [],
      [
        ['x', BOOLEAN],
        ['y', octets()],
        ['z', NULL],
      ],
    ),
  );
  const report = new DecodeReport();
  const bytes = encodePer(late, { x: true, y: fromHex('0102')!, z: null });
  assert.deepEqual(decodePer(early, bytes, DECODE_LIMITS, report), { ok: true, value: { x: true } });
  assert.equal(report.unknown, 2);
  assert.deepEqual(report.bitmaps, [3]);
  assert.deepEqual(decodePer(late, encodePer(early, { x: true })), { ok: true, value: { x: true } });
  assert.equal(toHex(encodePer(late, { x: true }, [1])), toHex(encodePer(early, { x: true })));
});

test('19.8: more than 64 additions have a general length; groups are fields of the outer SEQUENCE', () => {
  const many = Array.from({ length: 70 }, (_, i) => [`f${i}`, BOOLEAN, OPT] as const);
  const type = typeOf(sequence([], many));
  const bytes = encodePer(type, { f69: true });
  assert.equal(toHex(bytes.subarray(0, 2)), 'c046');
  assert.deepEqual(decodePer(type, bytes), { ok: true, value: { f69: true } });
  both(
    sequence(
      [],
      [
        {
          group: [
            ['g', BOOLEAN, OPT],
            ['h', integer(0, 255)],
          ],
        },
      ],
    ),
    { g: true, h: 9 },
    '808002c009',
  );
});

test('23: CHOICE of the root, of the additions, of a later edition', () => {
  const spec = choice(
    [
      ['a', NULL],
      ['b', integer(0, 3)],
    ],
    [['c', BOOLEAN]],
  );
  both(spec, { choice: 'b', value: 2 }, '60');
  both(spec, { choice: 'c', value: true }, '800180');
  both(spec, { choice: 'unknown', value: { index: 3, bytes: fromHex('4142')! } }, '83024142');
  both(choice([['only', BOOLEAN]]), { choice: 'only', value: true }, '80');
  refused(
    choice([
      ['a', NULL],
      ['b', NULL],
      ['c', NULL],
    ]),
    'c0',
    'range',
  );
});

test('20: SEQUENCE OF, also of NULL and of itself by name', () => {
  both(listOf(integer(0, 255)), [1, 2], '020102');
  both(listOf(BOOLEAN, 1, 4), [true, true], '70');
  both(listOf(NULL), [null, null, null], '03');
  const nested = new PerModule('test', {
    T: choice([
      ['leaf', integer(0, 3)],
      ['list', listOf('T', 0, 3)],
    ]),
  }).type<unknown>('T');
  const value = { choice: 'list', value: [{ choice: 'list', value: [{ choice: 'leaf', value: 3 }] }] };
  assert.deepEqual(decodePer(nested, encodePer(nested, value)), { ok: true, value });
});

test('open types hold a complete encoding', () => {
  both(OPEN, fromHex('0102')!, '020102');
  assert.throws(() => encodePer(typeOf(OPEN), new Uint8Array(0)), PerEncodeError);
});

test('errors say reason, bit and path', () => {
  const spec = sequence([
    [
      'list',
      listOf(
        sequence([
          ['size', integer(0, 5)],
          ['name', text('ia5', 1, 2)],
        ]),
      ),
    ],
  ]);
  const type = typeOf(spec);
  const result = decodePer(type, fromHex('02004100')!);
  assert.ok(!result.ok);
  assert.equal(result.error.path, 'T.list[1].name');
  assert.equal(result.error.reason, 'truncated');
  assert.equal(result.error.bit >> 3, 4);
  refused(BOOLEAN, '8000', 'trailing', 'T', 8);
  assert.throws(
    () =>
      encodePer(type, {
        list: [
          { size: 1, name: 'a' },
          { size: 9, name: 'a' },
        ],
      }),
    (error) => error instanceof PerEncodeError && error.message.startsWith('T.list[1].size: 9 is outside'),
  );
  assert.throws(() => encodePer(type, {}), /T.list: missing/);
});

test('surplus octets in an addition are passed over and counted', () => {
  const type = typeOf(sequence([], [['x', BOOLEAN]]));
  const report = new DecodeReport();
  assert.deepEqual(decodePer(type, fromHex('808003800000')!, DECODE_LIMITS, report), {
    ok: true,
    value: { x: true },
  });
  assert.equal(report.surplusOctets, 2);
});

test('limits: octets, depth, elements and additions', () => {
  const list = typeOf(listOf(NULL));
  const limits = { ...DECODE_LIMITS, bytes: 4, depth: 3, elements: 100, additions: 5 };
  const reason = (type: ReturnType<typeof typeOf>, hex: string) => {
    const result = decodePer(type, fromHex(hex)!, limits);
    return result.ok ? undefined : result.error.reason;
  };
  assert.equal(reason(list, '64'), undefined);
  assert.equal(reason(list, '65'), 'elements');
  assert.equal(reason(list, 'c1'), 'elements');
  assert.equal(reason(list, '0000000000'), 'bytes');
  const deep = typeOf(
    choice([
      ['deeper', 'T'],
      ['end', NULL],
    ]),
  );
  assert.equal(reason(deep, '20'), undefined);
  assert.equal(reason(deep, '00'), 'depth');
  const extended = typeOf(sequence([], [['x', BOOLEAN]]));
  assert.equal(reason(extended, '8440'), 'truncated');
  assert.equal(reason(extended, '8540'), 'additions');
});
