import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fromHex, toHex } from '../bytes/text.ts';
import { TPKT_MAX_PAYLOAD, TpktFramer, tpktPacket } from './tpkt.ts';

function push(framer: TpktFramer, hex: string): string[] {
  return framer.push(fromHex(hex)!).map(toHex);
}

test('RFC 1006 section 6: version 3, reserved octet, length of the whole packet', () => {
  assert.equal(toHex(tpktPacket(fromHex('0802')!)), '030000060802');
  assert.deepEqual(push(new TpktFramer(), '030000060802'), ['0802']);
  assert.deepEqual(push(new TpktFramer(), '03ff00060802'), ['0802']); // reserved: not looked at
  assert.throws(() => tpktPacket(new Uint8Array(TPKT_MAX_PAYLOAD + 1)), RangeError);
  assert.equal(tpktPacket(new Uint8Array(TPKT_MAX_PAYLOAD)).length, 0xffff);
});

test('several packets in one chunk, one packet in several chunks, empty packets as keep-alive', () => {
  const framer = new TpktFramer();
  assert.deepEqual(push(framer, '0300000501030000050203000004030000060a'), ['01', '02']);
  assert.equal(framer.keepAlives, 1);
  assert.equal(framer.partial, true);
  assert.deepEqual(push(framer, '0b'), ['0a0b']);
  assert.equal(framer.partial, false);
  assert.deepEqual(push(framer, '0300'), []);
  assert.deepEqual(push(framer, '0005'), []);
  assert.deepEqual(push(framer, '7f'), ['7f']);
});

test('any packets in any chunks come out as they went in', () => {
  const payload = fc.uint8Array({ maxLength: 40 });
  fc.assert(
    fc.property(
      fc.array(payload, { maxLength: 12 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 30 })),
      (packets, sizes) => {
        const stream = Uint8Array.from(packets.flatMap((p) => [...tpktPacket(p)]));
        const framer = new TpktFramer();
        const out: string[] = [];
        for (let at = 0; at < stream.length; ) {
          const size = sizes.next().value as number;
          out.push(...framer.push(stream.subarray(at, at + size)).map(toHex));
          at += size;
        }
        assert.deepEqual(out, packets.filter((p) => p.length > 0).map(toHex));
        assert.equal(framer.partial, false);
      },
    ),
  );
});

test('what is no TPKT is a fault at its header, and nothing follows', () => {
  for (const [hex, fault] of [
    ['0400000501', 'version'],
    ['474554202f', 'version'],
    ['0300000301', 'length'],
    ['03000045', 'limit'],
  ] as const) {
    for (const whole of [true, false]) {
      const framer = new TpktFramer(64);
      if (whole) framer.push(fromHex(hex)!);
      else for (const octet of fromHex(hex)!) framer.push(Uint8Array.of(octet));
      assert.equal(framer.fault, fault, hex);
      assert.deepEqual(push(framer, '0300000501'), []);
    }
  }
  const framer = new TpktFramer(64);
  assert.equal(framer.push(tpktPacket(new Uint8Array(64))).length, 1);
});
