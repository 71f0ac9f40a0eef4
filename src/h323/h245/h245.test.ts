/** Rules of H.245 that stand by themselves: who is master, and how capabilities are spelled. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { capabilityOf, dataTypesOf } from '../capability.ts';
import type { H323Capability } from '../media-contract.ts';
import { capabilityOfMode, modeOf } from '../mode.ts';
import { determine } from './master-slave.ts';

const NUMBER = fc.integer({ min: 0, max: 2 ** 24 - 1 });
const SIDE = fc.record({ type: fc.constantFrom(50, 60, 120), number: NUMBER });

test('H.245 C.2.5.2.1: both sides come to opposite results, or both to none', () => {
  const opposite = { master: 'slave', slave: 'master', indeterminate: 'indeterminate' };
  fc.assert(
    fc.property(SIDE, SIDE, (a, b) => {
      assert.equal(determine(a, b), opposite[determine(b, a)]);
    }),
  );
  assert.equal(determine({ type: 60, number: 5 }, { type: 50, number: 9 }), 'master');
  assert.equal(determine({ type: 60, number: 7 }, { type: 60, number: 7 }), 'indeterminate');
  assert.equal(determine({ type: 60, number: 0 }, { type: 60, number: 2 ** 23 }), 'indeterminate');
  // Numbers of a capture (Asterisk to Asterisk): 108353 told 3031036 that it is slave.
  assert.equal(determine({ type: 60, number: 108_353 }, { type: 60, number: 3_031_036 }), 'master');
});

const audio = (codec: 'PCMU' | 'PCMA' | 'G722' | 'G729' | 'G723' | 'GSM', packetTime: number) =>
  [false, true].map((silenceSuppression) => ({
    kind: 'audio' as const,
    codec,
    packetTime,
    silenceSuppression,
  }));

const ALL: readonly H323Capability[] = [
  ...audio('PCMU', 20).slice(0, 1),
  ...audio('PCMA', 30).slice(0, 1),
  ...audio('G722', 20).slice(0, 1),
  ...audio('G729', 40),
  ...audio('G723', 60),
  ...audio('GSM', 80),
  { kind: 'video', codec: 'H264', maxBitRate: 384_000, profile: 64, level: 29 },
  { kind: 'video', codec: 'H263', maxBitRate: 64_000, qcif: 2 },
  { kind: 'video', codec: 'H263', maxBitRate: 128_000, cif: 1, qcif: 1 },
  {
    kind: 'image',
    codec: 'T38',
    maxBitRate: 14_400,
    version: 3,
    rateManagement: 'localTCF',
    maxBuffer: 1024,
    maxDatagram: 238,
    errorCorrection: 'fec',
  },
];

for (const capability of ALL) {
  test(`${JSON.stringify(capability)} survives every spelling`, () => {
    for (const data of dataTypesOf(capability)) assert.deepEqual(capabilityOf(data), capability);
  });
}

test('modes name the codec they are asked for', () => {
  for (const capability of ALL) {
    if (capability.codec === 'H263') continue; // no sizes in a mode
    assert.equal(capabilityOfMode(modeOf(capability))?.codec, capability.codec);
  }
});

test('numbers outside what H.245 can say are brought inside', () => {
  const wild: H323Capability[] = [
    { kind: 'audio', codec: 'PCMU', packetTime: 5000, silenceSuppression: false },
    { kind: 'audio', codec: 'GSM', packetTime: 5000, silenceSuppression: false },
    { kind: 'video', codec: 'H263', maxBitRate: 1e12, cif: 99 },
    { kind: 'video', codec: 'H264', maxBitRate: 1e15, profile: 1000, level: 1e9 },
  ];
  for (const capability of wild) {
    for (const data of dataTypesOf(capability)) assert.equal(capabilityOf(data)?.codec, capability.codec);
    assert.ok(modeOf(capability));
  }
});
