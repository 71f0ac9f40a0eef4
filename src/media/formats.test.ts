import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FORMAT_RULES } from '../meta/media-rules.ts';
import { FORMAT_NAMES, type FormatName } from '../meta/message.ts';
import { allowedFormats, preferred } from './codec-policy.ts';
import {
  FORMAT_FACTS,
  formatByEncoding,
  maxPacketsPerSecond,
  maxPayload,
  planeFormat,
  staticFormat,
  staticPayloadType,
} from './formats.ts';

test('RFC 3551 table 4: static payload types, both ways', () => {
  for (const [payloadType, name] of [
    [0, 'PCMU'],
    [3, 'GSM'],
    [4, 'G723'],
    [8, 'PCMA'],
    [9, 'G722'],
    [13, 'CN'],
    [18, 'G729'],
  ] as const) {
    const format = { name, clockRate: 8000, channels: 1 };
    assert.deepEqual(staticFormat(payloadType), format);
    assert.equal(staticPayloadType(format), payloadType);
  }
  assert.equal(staticPayloadType({ name: 'L16', clockRate: 44_100, channels: 2 }), 10);
  assert.equal(staticPayloadType({ name: 'L16', clockRate: 16_000, channels: 1 }), undefined);
  assert.equal(staticFormat(96), undefined);
});

test('encoding names are compared without case, and only with rates that may cross', () => {
  assert.equal(formatByEncoding('pcma', 8000, 1)?.name, 'PCMA');
  assert.equal(formatByEncoding('OPUS', 48_000, 2)?.name, 'OPUS');
  assert.equal(formatByEncoding('opus', 48_000, 1), undefined, 'RFC 7587 7: always /2');
  assert.equal(formatByEncoding('PCMA', 16_000, 1), undefined);
  assert.equal(formatByEncoding('PCMA', 8000, 2), undefined);
  assert.equal(formatByEncoding('G729a', 8000, 1)?.name, 'G729');
  assert.equal(formatByEncoding('red', 8000, 1), undefined, 'its blocks name payload types');
  assert.equal(formatByEncoding('constructor', 8000, 1), undefined);
  for (const name of FORMAT_NAMES) {
    if (name === 'RED' || name === 'T38') continue;
    const rule = FORMAT_RULES[name];
    const found = formatByEncoding(FORMAT_FACTS[name].encoding, rule.rates[0]!, name === 'OPUS' ? 2 : 1);
    assert.equal(found?.name, name);
    assert.equal(FORMAT_FACTS[name].media, rule.kind);
  }
});

test('bounds hold what devices send and little more', () => {
  const pcma = { name: 'PCMA', clockRate: 8000, channels: 1 } as const;
  assert.ok(maxPayload(pcma, 20) >= 480, '60 ms from a device that ignores ptime');
  assert.ok(maxPayload(pcma, 20) <= 1000);
  assert.equal(maxPayload(pcma, 200), 1440);
  assert.ok(maxPayload({ name: 'G729', clockRate: 8000, channels: 1 }, 20) <= 100);
  assert.equal(maxPayload({ name: 'telephone-event', clockRate: 8000, channels: 1 }, 20), 4);
  assert.equal(maxPayload({ name: 'L16', clockRate: 16_000, channels: 1 }, 20), 1440);
  assert.equal(maxPacketsPerSecond(pcma, 20), 110);
  assert.equal(maxPacketsPerSecond(pcma, 5), 220);
  const format = { id: 7, ...pcma, parameters: [] };
  assert.deepEqual(planeFormat(format, 20, 8, -1), {
    format: 7,
    receivePayloadType: 8,
    sendPayloadType: -1,
    clockRate: 8000,
    maxPayload: 800,
    maxPacketsPerSecond: 110,
    kind: 'voice',
    impairment: { ie: 0, bpl: 25.1 },
  });
});

test('codec policy: allowed ones in their order, keys ride along, keys alone are nothing', () => {
  const named = (...names: FormatName[]) => names.map((name) => ({ name }));
  const of = (list: readonly { name: FormatName }[]) => list.map((f) => f.name);
  assert.deepEqual(
    of(allowedFormats(named('G729', 'PCMU', 'CN', 'PCMA', 'telephone-event'), ['PCMA', 'PCMU'])),
    ['PCMU', 'CN', 'PCMA', 'telephone-event'],
  );
  assert.deepEqual(allowedFormats(named('telephone-event', 'CN', 'G729'), ['PCMA']), []);
  assert.deepEqual(of(preferred(named('telephone-event', 'PCMU', 'CN', 'PCMA'), ['PCMA', 'PCMU'])), [
    'PCMA',
    'PCMU',
    'telephone-event',
    'CN',
  ]);
  const many = allowedFormats(
    [...named(...new Array<FormatName>(20).fill('L16')), ...named('telephone-event')],
    ['L16'],
  );
  assert.deepEqual([many.length, many.at(-1)?.name], [16, 'telephone-event']);
});
