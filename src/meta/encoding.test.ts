import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fromHex, toHex } from '../bytes/text.ts';
import { Writer } from '../bytes/writer.ts';
import { fenceCalls, message } from './arbitraries.test.ts';
import { decodeMeta } from './decode.ts';
import { encodeMeta, tryEncodeMeta } from './encode.ts';
import { decodeFence, encodeFence } from './fence.ts';
import type { Format, MetaError, MetaMessage, Stream } from './message.ts';
import { META_LIMITS } from './message.ts';

const CALL = '000102030405060708090a0b0c0d0e0f';

function refusal(bytes: Uint8Array, minor = 0): MetaError {
  const result = decodeMeta(bytes, minor);
  assert.equal(result.ok, false, 'was decoded');
  return result.ok ? assert.fail() : result.error;
}

function hex(text: string): Uint8Array {
  return fromHex(text.replaceAll(' ', ''))!;
}

test('every message survives encoding and decoding, with a writer of its own or a shared one', () => {
  const shared = new Writer();
  fc.assert(
    fc.property(message, (m) => {
      const encoded = tryEncodeMeta(m, 0);
      if (!encoded.ok) return assert.equal(encoded.error.reason, 'limit');
      assert.deepEqual(encodeMeta(m, 0, shared), encoded.value);
      const decoded = decodeMeta(encoded.value, 0);
      assert.deepEqual(decoded, { ok: true, value: m });
    }),
    { numRuns: 2000 },
  );
});

test('canonical: a mutation of an encoding is refused or is the encoding of what it decodes to', () => {
  fc.assert(
    fc.property(
      message,
      fc.array(fc.tuple(fc.nat(), fc.constantFrom('set', 'insert', 'delete', 'cut'), fc.nat(255)), {
        minLength: 1,
        maxLength: 4,
      }),
      (m, changes) => {
        const encoded = tryEncodeMeta(m, 0);
        if (!encoded.ok) return;
        const bytes = [...encoded.value];
        for (const [where, what, octet] of changes) {
          const at = where % (bytes.length + 1);
          if (what === 'set' && at < bytes.length) bytes[at] = octet;
          else if (what === 'insert') bytes.splice(at, 0, octet);
          else if (what === 'delete') bytes.splice(at, 1);
          else if (what === 'cut') bytes.length = at;
        }
        const mutated = Uint8Array.from(bytes);
        const decoded = decodeMeta(mutated, 0);
        if (decoded.ok) assert.deepEqual(encodeMeta(decoded.value, 0), mutated);
      },
    ),
    { numRuns: 5000 },
  );
});

test('random octets never throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(36), (bytes, code) => {
      if (bytes.length > 0) bytes[0] = code;
      const decoded = decodeMeta(bytes, 0);
      if (decoded.ok) assert.deepEqual(encodeMeta(decoded.value, 0), bytes);
      decodeFence(bytes);
    }),
    { numRuns: 5000 },
  );
});

test('every prefix of a message is refused', () => {
  fc.assert(
    fc.property(message, (m) => {
      const encoded = tryEncodeMeta(m, 0);
      if (!encoded.ok) return;
      // Cutting before an optional last field leaves a valid shorter message; nothing else does.
      for (let n = 0; n < Math.min(encoded.value.length, 300); n++) {
        const part = encoded.value.subarray(0, n);
        const decoded = decodeMeta(part, 0);
        if (decoded.ok) assert.deepEqual(encodeMeta(decoded.value, 0), part);
      }
    }),
    { numRuns: 200 },
  );
});

test('fields out of order, twice, unknown or with a long-form length are refused, each with its reason', () => {
  const modifyRefuse = `09 ${CALL}`;
  assert.equal(decodeMeta(hex(`${modifyRefuse} 0e 01 29 11 01 01`), 0).ok, true);
  assert.equal(refusal(hex(`${modifyRefuse} 11 01 01 0e 01 29`)).reason, 'not-canonical');
  assert.equal(refusal(hex(`${modifyRefuse} 0e 01 29 0e 01 29 11 01 01`)).reason, 'not-canonical');
  assert.equal(refusal(hex(`${modifyRefuse} 0e 01 29 11 01 01 7f 00`)).reason, 'type');
  assert.equal(refusal(hex(`${modifyRefuse} 0e 80 01 29 11 01 01`)).reason, 'not-canonical');
  assert.deepEqual(refusal(hex(`${modifyRefuse} 0e 01 29`)), { reason: 'value', offset: 20, field: 'glare' });
  assert.equal(refusal(hex(`${modifyRefuse} 0e 01 00 11 01 01`)).field, 'cause');
  assert.equal(refusal(hex(`${modifyRefuse} 0e 01 29 11 01 02`)).reason, 'value');
  assert.equal(refusal(hex(`${modifyRefuse} 0e 02 29 29 11 01 01`)).reason, 'trailing');
  assert.equal(refusal(hex(`${modifyRefuse} 0e 01 29 11 01`)).reason, 'truncated');
  assert.equal(refusal(hex('63')).reason, 'type');
  assert.equal(refusal(hex('')).reason, 'truncated');
});

test('a field of another message is refused', () => {
  assert.equal(refusal(hex(`02 ${CALL} 0e 01 10`)).reason, 'type');
});

test('a minor version that was not negotiated is refused on both ways', () => {
  const proceeding: MetaMessage = { kind: 'proceeding', call: CALL };
  assert.equal(refusal(encodeMeta(proceeding, 0), 1).reason, 'version');
  assert.throws(() => encodeMeta(proceeding, 1), RangeError);
});

function setup(number: string, displayName?: string): MetaMessage {
  const party = { number, numberType: 'uri', privacy: 'allowed', verified: false } as const;
  return {
    kind: 'setup',
    call: CALL,
    shard: 0,
    streamBase: 8,
    caller: displayName === undefined ? party : { ...party, displayName },
    callee: party,
    priority: 'normal',
    hops: 69,
  };
}

test('texts: line breaks, NUL, spaces and 8-bit characters never stand in a number', () => {
  assert.equal(tryEncodeMeta(setup('alice;tag="<>'), 0).ok, true);
  for (const bad of ['a\r\nb', 'a\0', 'a b', 'ä', 'a\u2028', 'x'.repeat(65)]) {
    const result = tryEncodeMeta(setup(bad), 0);
    assert.deepEqual(result.ok ? '' : result.error.field, 'caller.number', JSON.stringify(bad));
  }
});

test('texts: controls and bidirectional overrides never stand in a display name', () => {
  assert.equal(tryEncodeMeta(setup('1', 'Zoë 漢字 😀'), 0).ok, true);
  for (const bad of [
    'a\nb',
    'a\u0085',
    '\u202egnp.exe',
    'a\u2066',
    '\ufeffa',
    '',
    'ä'.repeat(65),
    '\ud800',
  ]) {
    const result = tryEncodeMeta(setup('1', bad), 0);
    assert.deepEqual(result.ok ? '' : result.error.field, 'caller.displayName', JSON.stringify(bad));
  }
});

test('texts: a display name that is not strict UTF-8 (RFC 3629) is refused', () => {
  const bytes = encodeMeta(setup('1', 'ab'), 0);
  const text = toHex(bytes);
  assert.equal(refusal(fromHex(text.replace('026162', '02c0af'))!).field, 'caller.displayName');
});

function withStream(stream: Partial<Stream>): MetaMessage {
  const pcma: Format = { id: 8, name: 'PCMA', clockRate: 8000, channels: 1, parameters: [] };
  const full: Stream = {
    index: 0,
    kind: 'audio',
    refused: false,
    direction: 'sendrecv',
    formats: [pcma],
    ...stream,
  };
  return {
    kind: 'media',
    call: CALL,
    media: { kind: 'offer', by: 'originator', number: 1, branch: 0, streams: [full] },
  };
}

function rule(m: MetaMessage): string {
  const result = tryEncodeMeta(m, 0);
  return result.ok ? 'none' : result.error.field;
}

test('media: ids unique, rates of the format, kinds, parameters sorted, refused streams empty', () => {
  const pcma: Format = { id: 8, name: 'PCMA', clockRate: 8000, channels: 1, parameters: [] };
  assert.equal(rule(withStream({})), 'none');
  assert.equal(rule(withStream({ formats: [pcma, { ...pcma, name: 'PCMU' }] })), 'media.format-id-twice');
  assert.equal(rule(withStream({ formats: [{ ...pcma, id: 32 }] })), 'media.format-id');
  assert.equal(rule(withStream({ formats: [{ ...pcma, clockRate: 16_000 }] })), 'media.clock-rate');
  assert.equal(
    rule(withStream({ formats: [{ ...pcma, name: 'OPUS', clockRate: 8000 }] })),
    'media.clock-rate',
  );
  assert.equal(
    rule(withStream({ formats: [{ ...pcma, name: 'CN', clockRate: 44_100 }] })),
    'media.clock-rate',
  );
  assert.equal(
    rule(withStream({ formats: [{ ...pcma, name: 'telephone-event', clockRate: 48_000 }] })),
    'none',
  );
  assert.equal(rule(withStream({ formats: [{ ...pcma, channels: 2 }] })), 'media.channels');
  assert.equal(rule(withStream({ kind: 'video' })), 'media.format-kind');
  assert.equal(rule(withStream({ kind: 'image' })), 'media.format-kind');
  assert.equal(rule(withStream({ refused: true })), 'media.refused-formats');
  assert.equal(rule(withStream({ formats: [] })), 'media.refused-formats');
  assert.equal(rule(withStream({ packetTime: 4 })), 'media.packet-time');
  assert.equal(rule(withStream({ index: 8 })), 'media.stream-order');
  const unsorted = [
    { name: 'mode', value: '20' },
    { name: 'annexb', value: 'no' },
  ] as const;
  assert.equal(rule(withStream({ formats: [{ ...pcma, parameters: unsorted }] })), 'media.parameter-order');
  const twice = [unsorted[0], unsorted[0]];
  assert.equal(rule(withStream({ formats: [{ ...pcma, parameters: twice }] })), 'media.parameter-order');
});

test('limits: a message above 8192 octets is neither written nor read', () => {
  const parameters = ['annexb', 'bitrate', 'events', 'mode', 'mode-set', 'stereo', 'usedtx'].map((name) => ({
    name,
    value: 'x'.repeat(64),
  })) as unknown as Format['parameters'];
  const formats = Array.from({ length: 16 }, (_, id) => ({
    id,
    name: 'PCMA' as const,
    clockRate: 8000,
    channels: 1,
    parameters,
  }));
  const streams = [0, 1].map((index) => ({
    index,
    kind: 'audio' as const,
    refused: false,
    direction: 'sendrecv' as const,
    formats,
  }));
  const big: MetaMessage = {
    kind: 'media',
    call: CALL,
    media: { kind: 'offer', by: 'originator', number: 1, branch: 0, streams },
  };
  assert.equal(rule(big), 'message');
  assert.equal(refusal(new Uint8Array(META_LIMITS.messageBytes + 1)).reason, 'limit');
});

test('a fence of any calls survives, whatever their order', () => {
  fc.assert(
    fc.property(fenceCalls, (calls) => {
      const sorted = [...calls].sort((a, b) => (a.call < b.call ? -1 : 1));
      assert.deepEqual(decodeFence(encodeFence(calls)), { ok: true, value: sorted });
    }),
  );
});

test('a fence out of order, with a call twice, cut or longer than it says is refused', () => {
  const a = { call: '0'.repeat(32), state: 'connected', mediaGeneration: 1 } as const;
  const b = { call: '1'.repeat(32), state: 'alerting', mediaGeneration: 0 } as const;
  const good = encodeFence([b, a]);
  const swapped = Uint8Array.from([0, 2, ...good.subarray(23), ...good.subarray(2, 23)]);
  const twice = Uint8Array.from([0, 2, ...good.subarray(2, 23), ...good.subarray(2, 23)]);
  for (const [bytes, reason] of [
    [swapped, 'not-canonical'],
    [twice, 'not-canonical'],
    [good.subarray(0, 30), 'truncated'],
    [Uint8Array.from([...good, 0]), 'trailing'],
    [Uint8Array.from([0xff, 0xff]), 'limit'],
  ] as const) {
    const result = decodeFence(bytes);
    assert.equal(result.ok ? 'ok' : result.error.reason, reason);
  }
});
