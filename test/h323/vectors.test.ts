/** Reference encodings decode to the values another decoder found in them, and encode to the same octets again. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { fromHex, toHex } from '../../src/bytes/text.ts';
import { DECODE_LIMITS, DecodeReport, decodePer } from '../../src/h323/per/decode.ts';
import { encodePer } from '../../src/h323/per/encode.ts';
import type { Reference } from './reference.ts';
import {
  CAPTURES,
  capturedPdus,
  capturesAbsent,
  madeVectors,
  ownVectors,
  REFERENCE_TYPES,
  valueBlocks,
} from './reference.ts';
import { notationDifference } from './value-notation.ts';

/** Decodes, compares with the notation where there is one, and repeats the octets in the sender's edition. */
function check(reference: Reference): unknown {
  const { name, hex, value } = reference;
  const type = REFERENCE_TYPES[reference.type]!;
  const report = new DecodeReport();
  const decoded = decodePer(type, fromHex(hex)!, DECODE_LIMITS, report);
  assert.ok(decoded.ok, `${name}: ${JSON.stringify(decoded)}`);
  assert.equal(report.unknown, 0, name);
  assert.equal(report.surplusOctets, 0, name);
  if (value !== undefined) assert.equal(notationDifference(decoded.value, value), undefined, name);
  assert.equal(toHex(encodePer(type, decoded.value, report.bitmaps)), hex, `${name}: the sender's octets`);
  const ours = decodePer(type, encodePer(type, decoded.value));
  assert.deepEqual(ours, decoded, `${name}: the same value in our edition`);
  return decoded.value;
}

for (const set of ['signalling', 'h245', 'ras']) {
  test(`${set}: every PDU of our set has the expected value and encodes to its octets`, () => {
    const references = ownVectors(set);
    assert.ok(references.length >= 15, String(references.length));
    for (const reference of references) {
      assert.notEqual(reference.value, undefined, reference.name);
      check(reference);
    }
  });
}

test('every PDU of all captures encodes to its octets again', { skip: capturesAbsent }, () => {
  const all = capturedPdus();
  assert.ok(all.length > 1000, String(all.length));
  for (const reference of all) check(reference);
});

test('vectors beside the repository: values and octets', { skip: capturesAbsent }, () => {
  const all = madeVectors();
  assert.ok(all.filter((v) => v.value !== undefined).length > 40);
  for (const reference of all) check(reference);
});

const noXz = capturesAbsent || (spawnSync('xz', ['--version']).status === 0 ? false : 'no xz here');

test('values of all captures as another decoder wrote them', { skip: noXz }, () => {
  let count = 0;
  for (const file of readdirSync(`${CAPTURES}dissect`).filter((f) => f.endsWith('.asn1values.xz'))) {
    const unpacked = spawnSync('xz', ['-dc', `${CAPTURES}dissect/${file}`], { maxBuffer: 1 << 26 });
    for (const reference of valueBlocks(unpacked.stdout.toString('utf8'))) {
      check({ ...reference, name: `${file} ${reference.name}` });
      count++;
    }
  }
  assert.ok(count > 1000, String(count));
});

test('the comparison with value notation finds a difference in every part', () => {
  const [reference] = ownVectors('ras').filter((r) => r.name === 'ras-brq');
  const decoded = decodePer(REFERENCE_TYPES[reference!.type]!, fromHex(reference!.hex)!);
  assert.ok(decoded.ok);
  const words = reference!.value!.split(' ');
  for (const [index, word] of words.entries()) {
    const wrong = words.with(index, word === '{' ? '}' : `${word.replace(/['"]/g, '')}1`).join(' ');
    assert.notEqual(notationDifference(decoded.value, wrong), undefined, wrong);
  }
  assert.notEqual(notationDifference(decoded.value, words.slice(0, -1).join(' ')), undefined);
  assert.notEqual(notationDifference(decoded.value, `${reference!.value} }`), undefined);
});
