import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fromHex } from '../bytes/text.ts';
import { isIfp } from './ifp.ts';
import { ACCEPTED, REFUSED } from './refusal.ts';
import { MAX_SECONDARIES, parseUdptl, udptlFields, writeLength } from './udptl.ts';

const hex = (text: string): Uint8Array => fromHex(text.replace(/ /g, ''))!;
const parse = (bytes: Uint8Array) => {
  const fields = udptlFields();
  return { verdict: parseUdptl(bytes, 0, bytes.length, fields), fields };
};

/** A second writer, octet by octet, as oracle. */
export function datagram(sequence: number, primary: Uint8Array, secondaries: readonly Uint8Array[] = []) {
  const open = (ifp: Uint8Array): number[] => {
    const length = new Uint8Array(2);
    return [...length.slice(0, writeLength(length, 0, ifp.length)), ...ifp];
  };
  return Uint8Array.from([
    sequence >> 8,
    sequence & 255,
    ...open(primary),
    0,
    secondaries.length,
    ...secondaries.flatMap(open),
  ]);
}

test('T.38 9.1: sequence number, first IFP packet, repetitions with the newest first', () => {
  const { verdict, fields } = parse(hex('0102 06 c00180000021 00 02 01 06 00'));
  assert.equal(verdict, ACCEPTED);
  assert.equal(fields.sequence, 0x102);
  assert.deepEqual([fields.primaryStart, fields.primaryLength, fields.secondaries], [3, 6, 2]);
  assert.deepEqual([...fields.starts.slice(0, 2)], [12, 14]);
  assert.deepEqual([...fields.lengths.slice(0, 2)], [1, 0], 'one may be left out');
});

test('T.38 9.1.4: parities are measured to the last octet', () => {
  const { verdict, fields } = parse(hex('0005 01 06 80 01 03 02 02 aabb 01 cc'));
  assert.equal(verdict, ACCEPTED);
  assert.deepEqual([fields.sequence, fields.primaryLength, fields.secondaries], [5, 1, 0]);
  assert.deepEqual([fields.span, fields.parities], [3, 2]);
  assert.deepEqual([...fields.starts.slice(0, 2)], [9, 12]);
  assert.deepEqual([...fields.lengths.slice(0, 2)], [2, 1]);
  assert.equal(parse(hex('0000 01 06 80 01 00 00')).verdict, ACCEPTED, 'nothing to cover yet');
  for (const [what, bytes] of [
    ['a span of none', '0005 01 06 80 01 00 01 01 aa'],
    ['a span above 127', '0005 01 06 80 01 80 01 01 aa'],
    ['a span of two octets', '0005 01 06 80 02 0003 01 01 aa'],
    ['a parity that is cut', '0005 01 06 80 01 03 02 02 aabb 02 cc'],
    ['no list', '0005 01 06 80 01 03'],
  ] as const)
    assert.equal(parse(hex(bytes)).verdict, REFUSED.errorRecovery, what);
});

test('what is not one whole value of the type is refused, with its reason', () => {
  const cases: readonly (readonly [string, string, number])[] = [
    ['nothing', '', REFUSED.udptl],
    ['a number alone', '0001', REFUSED.udptl],
    ['an empty IFP packet', '0001 00 00 00', REFUSED.udptl],
    ['an IFP packet that is cut', '0001 05 06 00 00', REFUSED.udptl],
    ['no error recovery', '0001 01 06', REFUSED.udptl],
    ['a length of two octets that needs one', '0001 8001 06 00 00', REFUSED.udptl],
    ['a fragment', '0001 c1 06 00 00', REFUSED.udptl],
    ['padding that is not 0', '0001 01 06 01 00', REFUSED.errorRecovery],
    ['no count', '0001 01 06 00', REFUSED.errorRecovery],
    ['a count above what is there', '0001 01 06 00 02 01 06', REFUSED.errorRecovery],
    ['octets behind the end', '0001 01 06 00 00 00', REFUSED.errorRecovery],
    ['RTP', `8000 0001 00000000 00000001 ${'d5'.repeat(160)}`, REFUSED.udptl],
    ['more repetitions than anybody needs', `0001 01 06 00 11 ${'0106'.repeat(17)}`, REFUSED.errorRecovery],
  ];
  for (const [what, bytes, reason] of cases) assert.equal(parse(hex(bytes)).verdict, reason, what);
});

const octets = fc.uint8Array({ minLength: 1, maxLength: 300 });

test('what the oracle writes is read back; one octet more or less is refused', () => {
  fc.assert(
    fc.property(
      fc.nat(0xffff),
      octets,
      fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: MAX_SECONDARIES }),
      (sequence, primary, secondaries) => {
        const bytes = datagram(sequence, primary, secondaries);
        const { verdict, fields } = parse(bytes);
        assert.equal(verdict, ACCEPTED);
        assert.equal(fields.sequence, sequence);
        assert.deepEqual(
          bytes.slice(fields.primaryStart, fields.primaryStart + fields.primaryLength),
          primary,
        );
        const read = secondaries.map((_, i) =>
          bytes.slice(fields.starts[i]!, fields.starts[i]! + fields.lengths[i]!),
        );
        assert.deepEqual(read, secondaries);
        assert.notEqual(parse(bytes.slice(0, -1)).verdict, ACCEPTED);
        assert.notEqual(parse(Uint8Array.from([...bytes, 0])).verdict, ACCEPTED);
      },
    ),
  );
});

test('whatever comes, nothing outside the datagram is named, and the buffer around it does not matter', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 60 }),
      fc.uint8Array({ minLength: 20, maxLength: 20 }),
      (bytes, around) => {
        const buffer = Uint8Array.from([...around, ...bytes, ...around]);
        const fields = udptlFields();
        const verdict = parseUdptl(buffer, 20, bytes.length, fields);
        assert.equal(verdict, parse(bytes).verdict);
        if (verdict !== ACCEPTED) return;
        assert.ok(
          fields.primaryStart >= 22 && fields.primaryStart + fields.primaryLength <= 20 + bytes.length,
        );
        for (let i = 0; i < fields.secondaries; i++)
          assert.ok(fields.starts[i]! + fields.lengths[i]! <= 20 + bytes.length);
        assert.equal(
          isIfp(buffer, fields.primaryStart, fields.primaryLength),
          isIfp(bytes, fields.primaryStart - 20, fields.primaryLength),
        );
      },
    ),
    { numRuns: 2000 },
  );
});

test('T.38 7: indicators and data of each version are IFP packets', () => {
  for (const [what, bytes] of [
    ['no signal', '00'],
    ['CNG', '02'],
    ['V.21 preamble', '06'],
    ['V.17 14400, long training', '1a'],
    ['V.8 ANSam, behind the extension marker', '2000'],
    ['V.33 14400 training', '2180'],
    ['V.21 data, one octet of HDLC', 'c0 01 80 0000 ff'],
    ['version 0: FCS is good, signal ends: half an octet each', 'c0 02 21'],
    ['version 3: an octet each', 'c0 02 10 08'],
    ['version 3: bit by bit', 'c0 02 1040'],
    ['V.17 data, no fields', '50'],
    ['V.17 data, picture of 3 octets, non-ECM', 'd0 01 e0 0002 abcdef'],
    ['the same, version 3', 'd0 01 b0 0002 abcdef'],
    ['V.34 primary channel, behind the extension marker', 'e040 01 80 0000 ff'],
    ['data and end in one', 'c0 02 80 0001 abcd 10'],
  ] as const)
    assert.equal(isIfp(hex(bytes), 0, hex(bytes).length), true, what);
});

test('T.38 7: what is not an IFP packet is not', () => {
  for (const [what, bytes] of [
    ['an indicator with data', '86 01 80 0000 ff'],
    ['an indicator with something behind', '06 00'],
    ['an unknown indicator', '21c0'],
    ['an unknown modem', '52'],
    ['an unknown modem behind the extension marker', '6180'],
    ['fields announced, none there', 'c0'],
    ['a field that is cut', 'c0 01 80 0001 ff'],
    ['octets behind the last field', 'c0 01 80 0000 ff 00'],
    ['an RTP header', '80 00 00 01'],
    ['text', '474554202f'],
  ] as const)
    assert.equal(isIfp(hex(bytes), 0, hex(bytes).length), false, what);
});
