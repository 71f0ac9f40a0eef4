import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fromHex, toHex } from '../bytes/text.ts';
import type { Q931Message, Q931Number, Q931Type } from './q931.ts';
import {
  BEARER_CAPABILITIES,
  NUMBER_PLANS,
  NUMBER_TYPES,
  PRESENTATIONS,
  Q931_TYPES,
  SCREENINGS,
} from './q931.ts';
import { decodeQ931 } from './q931-decode.ts';
import { encodeQ931 } from './q931-encode.ts';

function decoded(hex: string) {
  const result = decodeQ931(fromHex(hex)!);
  assert.ok(result.ok, JSON.stringify(result));
  return result.value;
}

const HEAD = '08021234';

test('Q.931 4.4: call reference of two octets with its flag; table 4-2: message types', () => {
  assert.deepEqual(decoded('0802923462'), {
    type: 'facility',
    callReference: 0x1234,
    fromDestination: true,
    ignored: [],
  });
  for (const [type, code] of Object.entries(Q931_TYPES)) {
    const message = { type: type as Q931Type, callReference: 0x7fff, fromDestination: false };
    const octets = encodeQ931(message);
    assert.equal(toHex(octets), `08027fff${code.toString(16).padStart(2, '0')}`);
    assert.deepEqual(decodeQ931(octets), { ok: true, value: { ...message, ignored: [] } });
  }
});

test('a Setup of a real peer', () => {
  // Asterisk: bearer 80 90 a3, display with a trailing NUL, called number, User-user of two octets length
  const value = decoded(`${HEAD}0504038090a328067062782d61007004813630387e0003052080`);
  assert.deepEqual(value, {
    type: 'setup',
    callReference: 0x1234,
    fromDestination: false,
    bearer: { capability: 'speech', rate: 0x10, layer1: 3 },
    display: 'pbx-a',
    called: { type: 'unknown', plan: 'isdn', digits: '608' },
    userUser: fromHex('2080')!,
    ignored: [],
  });
});

test('4.5.10: octet 3a of a number carries presentation and screening', () => {
  const calling = decoded(`${HEAD}056c0621a3313233347e00020500`).calling;
  assert.deepEqual(calling, {
    type: 'national',
    plan: 'isdn',
    digits: '1234',
    presentation: 'restricted',
    screening: 'network',
  });
  const number: Q931Number = { type: 'international', plan: 'isdn', digits: '49', presentation: 'allowed' };
  const message = { type: 'setup', callReference: 0, fromDestination: false } as const;
  assert.equal(toHex(encodeQ931({ ...message, calling: number })).slice(10), '6c0411803439');
  assert.equal(
    toHex(encodeQ931({ ...message, called: { type: 'unknown', plan: 'unknown', digits: '' } })).slice(10),
    '700180',
  );
});

test('4.5.12: cause with location, recommendation octet and diagnostics', () => {
  assert.deepEqual(decoded(`${HEAD}5a08028491`).cause, { value: 17, location: 4 });
  assert.deepEqual(decoded(`${HEAD}5a0803048090`).cause, { value: 16, location: 4 });
  assert.deepEqual(decoded(`${HEAD}5a080480e01234`).cause, {
    value: 96,
    location: 0,
    diagnostics: fromHex('1234')!,
  });
});

test('4.5.2: elements of other codesets are passed over', () => {
  assert.deepEqual(decoded(`${HEAD}629e280141`).ignored, [0x28]);
  assert.deepEqual(decoded(`${HEAD}629e2801412801422801437e00020500`).display, 'B');
  assert.deepEqual(decoded(`${HEAD}6295280141280142`).display, undefined);
});

test('5.8: unknown, repeated and malformed optional elements count as absent and are named', () => {
  const value = decoded(`${HEAD}5a080180080280902a01002801414801007002ff00a1`);
  assert.deepEqual(value.ignored, [0x08, 0x2a, 0x48, 0x70]);
  assert.deepEqual(value.cause, { value: 16, location: 0 });
  assert.equal(value.sendingComplete, true);
  assert.deepEqual(decoded(`${HEAD}5a0802809008028091`).cause, { value: 16, location: 0 });
});

test('display: control characters go, UTF-8 and Latin-1 are read, other text is cut to 82 characters of IA5', () => {
  assert.equal(decoded(`${HEAD}052805410d0a4200`).display, 'AB');
  assert.equal(decoded(`${HEAD}052802c3a9`).display, 'é');
  assert.equal(decoded(`${HEAD}052801e9`).display, 'é');
  assert.equal(decoded(`${HEAD}05280100`).display, undefined);
  const message = { type: 'setup', callReference: 1, fromDestination: false } as const;
  assert.equal(decoded(toHex(encodeQ931({ ...message, display: 'Jürgen\r\n' }))).display, 'J?rgen??');
  assert.equal(decoded(toHex(encodeQ931({ ...message, display: 'x'.repeat(300) }))).display?.length, 82);
});

test('refused: each way of being no message of H.225.0', () => {
  for (const [hex, reason, offset] of [
    ['', 'truncated', 0],
    ['08021234', 'truncated', 4],
    ['0702123405', 'discriminator', 0],
    ['0801123405', 'call-reference', 1],
    [`${HEAD}45`, 'type', 4], // Disconnect is not used in H.225.0
    [`${HEAD}0528`, 'truncated', 5],
    [`${HEAD}05280241`, 'truncated', 5],
    [`${HEAD}057e00`, 'truncated', 5],
    [`${HEAD}057e000305`, 'truncated', 5],
    [`${HEAD}057e000105`, 'user-user', 5],
    [`${HEAD}057e00020400`, 'user-user', 5],
    [`${HEAD}05${'a0'.repeat(65)}`, 'elements', 69],
  ] as const) {
    assert.deepEqual(decodeQ931(fromHex(hex)!), { ok: false, error: { reason, offset } }, hex);
  }
});

const number = fc.record({
  type: fc.constantFrom(...NUMBER_TYPES),
  plan: fc.constantFrom(...(Object.keys(NUMBER_PLANS) as Q931Number['plan'][])),
  digits: fc.string({ unit: fc.constantFrom(...'0123456789*#'), maxLength: 128 }),
});
const screened = fc.tuple(number, fc.constantFrom(...PRESENTATIONS), fc.constantFrom(...SCREENINGS));
const message = fc.record(
  {
    type: fc.constantFrom(...(Object.keys(Q931_TYPES) as Q931Type[])),
    callReference: fc.integer({ min: 0, max: 0x7fff }),
    fromDestination: fc.boolean(),
    bearer: fc
      .record({
        capability: fc.constantFrom(
          ...(Object.keys(BEARER_CAPABILITIES) as (keyof typeof BEARER_CAPABILITIES)[]),
        ),
        rate: fc.constantFrom(0x10, 0x11, 0x13),
        layer1: fc.integer({ min: 0, max: 31 }),
      })
      .map((b) => ({ ...b })),
    cause: fc
      .record({ value: fc.integer({ min: 1, max: 127 }), location: fc.integer({ min: 0, max: 15 }) })
      .map((c) => ({ ...c })),
    callState: fc.integer({ min: 0, max: 63 }),
    facility: fc.uint8Array({ maxLength: 255 }),
    progress: fc.array(
      fc
        .record({ location: fc.integer({ min: 0, max: 15 }), description: fc.integer({ min: 1, max: 127 }) })
        .map((p) => ({ ...p })),
      { minLength: 1, maxLength: 4 },
    ),
    notification: fc.integer({ min: 0, max: 127 }),
    display: fc
      .string({ unit: fc.constantFrom(...'Abc -9'), minLength: 1, maxLength: 82 })
      .map((s) => `x${s.slice(2)}x`),
    keypad: fc.string({ unit: fc.constantFrom(...'0123456789*#'), minLength: 1, maxLength: 40 }),
    signal: fc.integer({ min: 0, max: 255 }),
    calling: screened.map(([n, presentation, screening]) => ({ ...n, presentation, screening })),
    called: number.map((n) => ({ ...n })),
    connected: screened.map(([n, presentation, screening]) => ({ ...n, presentation, screening })),
    redirecting: number.map((n) => ({ ...n })),
    sendingComplete: fc.constant(true),
    userUser: fc.uint8Array({ minLength: 1, maxLength: 2000 }),
  },
  { requiredKeys: ['type', 'callReference', 'fromDestination'] },
);

test('any message survives encoding and decoding', () => {
  fc.assert(
    fc.property(message, (value) => {
      assert.deepEqual(decodeQ931(encodeQ931(value as Q931Message)), {
        ok: true,
        value: { ...value, ignored: [] },
      });
    }),
  );
});

test('mutated messages never throw, and what decodes encodes', () => {
  fc.assert(
    fc.property(
      message,
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 5 }),
      (value, changes) => {
        const octets = encodeQ931(value as Q931Message).slice();
        for (const [at, octet] of changes) octets[at % octets.length] = octet;
        const result = decodeQ931(octets.subarray(0, octets.length - (changes.length % 3)));
        if (result.ok) assert.ok(decodeQ931(encodeQ931(result.value)).ok);
      },
    ),
    { numRuns: 500 },
  );
});

test('Q.931 4.5.5, 4.5.23: a progress description or rate multiplier of 0 is not taken over', () => {
  const base = encodeQ931({
    type: 'alerting',
    callReference: 1,
    fromDestination: false,
    progress: [{ location: 0, description: 8 }],
  });
  const at = base.indexOf(0x1e);
  base[at + 3] = 0x80;
  const decoded = decodeQ931(base);
  assert.ok(decoded.ok);
  assert.equal(decoded.value.progress, undefined);
});
