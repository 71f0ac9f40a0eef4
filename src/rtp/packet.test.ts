import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { packetFields, parsePacket, RTP_HEADER, writeHeader } from './packet.ts';
import { ACCEPTED, IS_RTCP, REFUSAL_COUNT, REFUSED } from './refusal.ts';

const parse = (bytes: Uint8Array, mux = false) => {
  const fields = packetFields();
  return { verdict: parsePacket(bytes, 0, bytes.length, mux, fields), fields };
};

/** A packet with any of: CSRC list, extension, padding. */
function built(options: { csrc?: number; extension?: number; padding?: number; payload: Uint8Array }) {
  const { csrc = 0, extension, padding = 0, payload } = options;
  const head = new Uint8Array(RTP_HEADER);
  writeHeader(head, 0, 8, true, 0xfffe, 0x89abcdef, 0xdeadbeef);
  head[0]! |= csrc | (extension === undefined ? 0 : 0x10) | (padding > 0 ? 0x20 : 0);
  const middle = new Uint8Array(4 * csrc + (extension === undefined ? 0 : 4 + 4 * extension)).fill(0xee);
  if (extension !== undefined) {
    middle[4 * csrc + 2] = extension >> 8;
    middle[4 * csrc + 3] = extension & 255;
  }
  const tail = new Uint8Array(padding).fill(0xdd);
  if (padding > 0) tail[padding - 1] = padding;
  return Uint8Array.from([...head, ...middle, ...payload, ...tail]);
}

test('RFC 3550 5.1: what is written is read again', () => {
  const { verdict, fields } = parse(built({ payload: Uint8Array.of(1, 2, 3) }));
  assert.equal(verdict, ACCEPTED);
  assert.deepEqual(fields, {
    payloadType: 8,
    marker: true,
    sequence: 0xfffe,
    timestamp: 0x89abcdef,
    ssrc: 0xdeadbeef,
    payloadStart: 12,
    payloadLength: 3,
  });
});

test('RFC 3550 5.1, 5.3.1: CSRC list, header extension and padding are never part of the payload', () => {
  fc.assert(
    fc.property(
      fc.nat(15),
      fc.option(fc.nat(20), { nil: undefined }),
      fc.nat(40),
      fc.uint8Array({ maxLength: 200 }),
      (csrc, extension, padding, payload) => {
        const bytes = built({ csrc, padding, payload, ...(extension === undefined ? {} : { extension }) });
        const { verdict, fields } = parse(bytes);
        assert.equal(verdict, ACCEPTED);
        const { payloadStart, payloadLength } = fields;
        assert.deepEqual(bytes.slice(payloadStart, payloadStart + payloadLength), payload);
      },
    ),
  );
});

test('every refusal has its reason', () => {
  const good = built({ payload: new Uint8Array(20) });
  const broken = (change: (b: Uint8Array) => void): number => {
    const copy = good.slice();
    change(copy);
    return parse(copy).verdict;
  };
  assert.equal(parse(good.slice(0, 11)).verdict, REFUSED.tooShort);
  assert.equal(parse(new Uint8Array(0)).verdict, REFUSED.tooShort);
  assert.equal(parse(built({ payload: new Uint8Array(1489) })).verdict, REFUSED.tooLong);
  assert.equal(
    broken((b) => (b[0] = 0xc0)),
    REFUSED.version,
  );
  assert.equal(
    broken((b) => (b[0] = 0x40)),
    REFUSED.version,
  );
  // RFC 7983 7: STUN and DTLS.
  assert.equal(
    broken((b) => (b[0] = 0)),
    REFUSED.notRtp,
  );
  assert.equal(
    broken((b) => (b[0] = 22)),
    REFUSED.notRtp,
  );
  assert.equal(
    broken((b) => (b[0] = 0x8f)),
    REFUSED.tooShort,
  ); // 15 CSRC do not fit
  assert.equal(
    broken((b) => (b[0] = 0x90)),
    ACCEPTED,
  ); // extension of no words: 4 octets of the payload
  assert.equal(
    broken((b) => b.set([0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9])),
    REFUSED.extension,
  );
  assert.equal(
    broken((b) => (b[0] = 0xa0)),
    REFUSED.padding,
  ); // count 0
  const overlong = good.slice();
  overlong.set([0xa0]);
  overlong.set([21], 31);
  assert.equal(parse(overlong).verdict, REFUSED.padding);
});

test('RFC 5761 4: RTCP on a multiplexed port is told apart by its packet type', () => {
  const sr = Uint8Array.of(0x80, 200, 0, 1, 0, 0, 0, 1);
  assert.equal(parse(sr, true).verdict, IS_RTCP);
  assert.equal(parse(sr, false).verdict, REFUSED.tooShort);
});

test('no octets make it throw or read outside', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.boolean(), (bytes, mux) => {
      if (bytes.length > 0) bytes[0] = (bytes[0]! & 0x3f) | 0x80;
      const { verdict, fields } = parse(bytes, mux);
      if (verdict === ACCEPTED) {
        assert.ok(fields.payloadStart >= 12 && fields.payloadLength >= 0);
        assert.ok(fields.payloadStart + fields.payloadLength <= bytes.length);
      } else assert.ok(verdict === IS_RTCP || (verdict >= 0 && verdict < REFUSAL_COUNT));
    }),
    { numRuns: 1000 },
  );
});
