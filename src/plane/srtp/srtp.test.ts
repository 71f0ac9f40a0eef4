import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { REFUSALS } from '../../media/plane-contract.ts';
import { parseRtcp } from '../../rtp/rtcp.ts';
import { parseSource } from '../../rtp/source-words.ts';
import { SRTP_PROFILES, type SrtpProfileName } from '../../rtp/srtp-profile.ts';
import { FLAG_CONTROL } from '../../tunnel/media-frame.ts';
import { PHONE, World } from '../fixtures.test.ts';
import { MOST_ADDED } from '../packet-transform.ts';
import { loadKoffiCiphers } from './cipher-koffi.ts';
import { nodeCiphers } from './cipher-node.ts';
import { loadSrtp, rtcpDirection, rtpDirection, type SrtpKeying } from './provider.ts';
import { SRTP_REFUSED } from './srtp.ts';

const NAMES = Object.keys(SRTP_PROFILES) as SrtpProfileName[];
const koffi = await loadKoffiCiphers().catch(() => undefined);
const MAKERS = koffi === undefined ? [nodeCiphers] : [koffi, nodeCiphers];
/** Who protects and who unprotects. */
const PAIRINGS = MAKERS.flatMap((from) => MAKERS.map((to) => [from, to] as const));

function keying(profile: SrtpProfileName): SrtpKeying {
  const { keyLength, saltLength } = SRTP_PROFILES[profile];
  return { profile, master: { key: randomBytes(keyLength), salt: randomBytes(saltLength) } };
}

interface Parts {
  readonly sequence: number;
  readonly csrcs: number;
  /** Words; -1: no extension. */
  readonly extension: number;
  readonly payload: Uint8Array;
  readonly offset: number;
}

const parts: fc.Arbitrary<Parts> = fc.record({
  sequence: fc.nat(0xffff),
  csrcs: fc.nat(15),
  extension: fc.integer({ min: -1, max: 20 }),
  payload: fc.uint8Array({ maxLength: 400 }),
  offset: fc.nat(33),
});

/** A packet at `offset` of a buffer with room behind it. */
function packet({ sequence, csrcs, extension, payload, offset }: Parts, ssrc = 0xdecafbad) {
  const header = Buffer.alloc(12 + 4 * csrcs + (extension < 0 ? 0 : 4 + 4 * extension), 0x5a);
  header[0] = 0x80 | csrcs | (extension < 0 ? 0 : 0x10);
  header.writeUInt16BE(sequence, 2);
  header.writeUInt32BE(ssrc, 8);
  if (extension >= 0) header.writeUInt16BE(extension, 12 + 4 * csrcs + 2);
  const plain = Buffer.concat([header, payload]);
  const bytes = Buffer.concat([Buffer.alloc(offset, 0xee), plain, Buffer.alloc(MOST_ADDED, 0xee)]);
  return { bytes, plain, offset };
}

function simple(sequence: number, ssrc?: number) {
  return packet({ sequence, csrcs: 0, extension: -1, payload: Buffer.alloc(160, 7), offset: 0 }, ssrc);
}

for (const name of NAMES) {
  for (const [from, to] of PAIRINGS) {
    test(`${name}: what ${from.implementation} protects ${to.implementation} reads, whatever header and place it has`, () => {
      fc.assert(
        fc.property(parts, (made) => {
          const keys = keying(name);
          const [send, receive] = [rtpDirection(keys, from), rtpDirection(keys, to)];
          const { bytes, plain, offset } = packet(made);
          const length = send.protect(bytes, offset, plain.length);
          assert.equal(length, plain.length + SRTP_PROFILES[name].rtpTag);
          assert.ok(
            bytes.subarray(0, offset).every((b) => b === 0xee),
            'nothing before it is touched',
          );
          assert.ok(
            bytes.subarray(offset + length).every((b) => b === 0xee),
            'nothing behind it is touched',
          );
          if (made.payload.length > 8)
            assert.notDeepEqual(
              bytes.subarray(offset + plain.length - made.payload.length, offset + plain.length),
              Buffer.from(made.payload),
            );
          assert.equal(receive.unprotect(bytes, offset, length), plain.length);
          assert.deepEqual(bytes.subarray(offset, offset + plain.length), plain);
          send.end();
          receive.end();
        }),
        { numRuns: 60 },
      );
    });

    test(`${name}: RTCP that ${from.implementation} protects ${to.implementation} reads, once`, () => {
      const keys = keying(name);
      const [send, receive] = [rtcpDirection(keys, from), rtcpDirection(keys, to)];
      for (let i = 0; i < 5; i++) {
        const plain = Buffer.concat([Buffer.from('80c90001cafebabe', 'hex'), randomBytes(4 * i)]);
        const bytes = Buffer.concat([plain, Buffer.alloc(MOST_ADDED)]);
        const length = send.protect(bytes, 0, plain.length);
        assert.equal(length, plain.length + 4 + SRTP_PROFILES[name].rtcpTag);
        const again = Buffer.from(bytes);
        assert.equal(receive.unprotect(bytes, 0, length), plain.length);
        assert.deepEqual(bytes.subarray(0, plain.length), plain);
        assert.equal(receive.unprotect(again, 0, length), SRTP_REFUSED.replay);
      }
      send.end();
      receive.end();
    });
  }
}

test('both implementations make the same octets', (t) => {
  if (koffi === undefined) return t.skip('koffi does not load here');
  fc.assert(
    fc.property(fc.constantFrom(...NAMES), parts, (name, made) => {
      const keys = keying(name);
      const sent = [koffi, nodeCiphers].map((maker) => {
        const { bytes, plain, offset } = packet(made);
        const length = rtpDirection(keys, maker).protect(bytes, offset, plain.length);
        const rtcp = Buffer.concat([Buffer.from('80c90001cafebabe', 'hex'), made.payload, Buffer.alloc(64)]);
        const control = rtcpDirection(keys, maker).protect(rtcp, 0, 8 + made.payload.length);
        return bytes.toString('hex', 0, offset + length) + rtcp.toString('hex', 0, control);
      });
      assert.equal(sent[0], sent[1]);
    }),
  );
});

for (const name of NAMES) {
  for (const maker of MAKERS) {
    test(`${name}: a packet with any bit changed is refused and moves no state (${maker.implementation})`, () => {
      const keys = keying(name);
      const [send, receive] = [rtpDirection(keys, maker), rtpDirection(keys, maker)];
      const { bytes, plain } = simple(65_000);
      const length = send.protect(bytes, 0, plain.length);
      for (let at = 0; at < length; at++) {
        const forged = Buffer.from(bytes);
        forged[at]! ^= 1 << (at % 8);
        assert.ok(receive.unprotect(forged, 0, length) < 0, `octet ${at}`);
      }
      assert.equal(receive.sources.size, 0, 'no source entered, no roll-over counter moved');
      assert.equal(receive.unprotect(bytes, 0, length), plain.length);
    });
  }
}

test('RFC 3711 3.3.1: both ends go on over the end of the sequence numbers, also out of order', () => {
  for (const maker of MAKERS) {
    const keys = keying('AES_CM_128_HMAC_SHA1_80');
    const [send, receive] = [rtpDirection(keys, maker), rtpDirection(keys, maker)];
    for (const sequence of [65_533, 65_535, 0, 65_534, 2, 1]) {
      const { bytes, plain } = simple(sequence);
      const length = send.protect(bytes, 0, plain.length);
      assert.equal(receive.unprotect(bytes, 0, length), plain.length, String(sequence));
    }
    assert.equal(receive.sources.of(0xdecafbad)?.highest, 0x1_0002);
  }
});

test('RFC 3711 9.1: the same sequence number is never protected twice under one key', () => {
  const send = rtpDirection(keying('AEAD_AES_128_GCM'), MAKERS[0]!);
  const first = simple(7);
  assert.ok(send.protect(first.bytes, 0, first.plain.length) > 0);
  assert.equal(send.protect(simple(7).bytes, 0, first.plain.length), SRTP_REFUSED.replay);
});

test('RFC 3711 3.3.2: a replayed packet is refused, also after 2^16 others', () => {
  const keys = keying('AES_CM_128_HMAC_SHA1_32');
  const [send, receive] = [rtpDirection(keys, MAKERS[0]!), rtpDirection(keys, MAKERS[0]!)];
  const early = simple(100);
  const length = send.protect(early.bytes, 0, early.plain.length);
  assert.ok(receive.unprotect(Buffer.from(early.bytes), 0, length) > 0);
  for (let sequence = 20_000; sequence <= 100 + 0x1_0000 - 10; sequence += 20_000) {
    const { bytes, plain } = simple(sequence & 0xffff);
    assert.ok(receive.unprotect(bytes, 0, send.protect(bytes, 0, plain.length)) > 0);
  }
  const next = simple(90);
  assert.ok(receive.unprotect(next.bytes, 0, send.protect(next.bytes, 0, next.plain.length)) > 0);
  assert.equal(receive.unprotect(Buffer.from(early.bytes), 0, length), SRTP_REFUSED.authentication);
});

test('whatever octets arrive: refused, never thrown at, nothing entered', () => {
  const directions = MAKERS.flatMap((maker) =>
    NAMES.flatMap((name) => [rtpDirection(keying(name), maker), rtcpDirection(keying(name), maker)]),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), fc.nat(0xff), (bytes, first) => {
      if (bytes.length > 0) bytes[0] = 0x80 | first;
      for (const direction of directions) {
        assert.ok(direction.unprotect(bytes.slice(), 0, bytes.length) < 0);
        assert.equal(direction.sources.size, 0);
      }
    }),
  );
});

test('a packet without room behind it, or said to be longer than it is, is refused: memory is written by address', () => {
  for (const maker of MAKERS) {
    for (const name of NAMES) {
      const { plain } = simple(1);
      assert.equal(
        rtpDirection(keying(name), maker).protect(Buffer.from(plain), 0, plain.length),
        SRTP_REFUSED.shape,
      );
      assert.equal(
        rtpDirection(keying(name), maker).unprotect(Buffer.from(plain), 0, 4000),
        SRTP_REFUSED.shape,
      );
      const rtcp = Buffer.from('80c90001cafebabe', 'hex');
      assert.equal(rtcpDirection(keying(name), maker).protect(rtcp, 0, 8), SRTP_REFUSED.shape);
      assert.equal(rtcpDirection(keying(name), maker).unprotect(rtcp, 0, 4000), SRTP_REFUSED.shape);
    }
  }
});

test('the provider makes the hook of a leg, of either implementation, and refuses keys of the wrong length', async () => {
  for (const wanted of ['koffi', 'node'] as const) {
    const provider = await loadSrtp(wanted);
    assert.equal(provider.implementation, koffi === undefined ? 'node' : wanted);
    const [a, b] = [keying('AEAD_AES_256_GCM'), keying('AES_CM_128_HMAC_SHA1_80')];
    const [near, far] = [provider.transforms(a, b), provider.transforms(b, a)];
    const { bytes, plain } = simple(9);
    const length = near.rtp.protect(bytes, 0, plain.length);
    assert.equal(length, plain.length + 10);
    assert.equal(far.rtp.unprotect(bytes, 0, length), plain.length);
    const report = Buffer.concat([Buffer.from('80c90001cafebabe', 'hex'), Buffer.alloc(MOST_ADDED)]);
    assert.equal(near.rtcp.unprotect(report, 0, far.rtcp.protect(report, 0, 8)), 8);
    near.end();
    far.end();
    const short = { profile: a.profile, master: { key: b.master.key, salt: a.master.salt } };
    assert.throws(() => provider.transforms(short, b), /AEAD_AES_256_GCM wants a key of 32/);
  }
});

test('a leg with SRTP: media in the clear in the tunnel only, what is not authentic never gets past the hook', async () => {
  for (const wanted of ['koffi', 'node'] as const) {
    const provider = await loadSrtp(wanted);
    const [near, far] = [keying('AES_CM_128_HMAC_SHA1_80'), keying('AEAD_AES_256_GCM')];
    const phone = provider.transforms(near, far);
    const w = new World(provider.transforms(far, near));
    w.open();
    const send = (sequence: number, damage = -1): void => {
      const { bytes, plain } = simple(sequence);
      bytes[1] = 8;
      const length = phone.rtp.protect(bytes, 0, plain.length);
      if (damage >= 0) bytes[damage]! ^= 1;
      w.now += 20;
      w.engine.packet(0, bytes, 0, length, parseSource(PHONE)!);
    };
    for (let n = 1; n <= 50; n++) send(n, n === 25 ? 60 : -1);
    const heard = w.frames.filter((f) => (f.flags & FLAG_CONTROL) === 0);
    assert.equal(heard.length, 49);
    assert.ok(heard.every((f) => f.bytes.length === 160 && f.bytes.every((b) => b === 7)));
    for (let n = 1; n <= 20; n++) {
      w.wait(20);
      w.frame(n, { bytes: new Uint8Array(160).fill(3) });
    }
    w.wait(6000);
    for (const { token, bytes } of w.udp.sent) {
      const copy = Buffer.concat([bytes, Buffer.alloc(MOST_ADDED)]);
      const length = (token === 0 ? phone.rtp : phone.rtcp).unprotect(copy, 0, bytes.length);
      assert.ok(length > 0, `token ${token}: ${length}`);
      if (token === 0) assert.ok(copy.subarray(12, length).every((b) => b === 3));
      else assert.ok(parseRtcp(copy, 0, length) !== undefined);
    }
    assert.ok(
      w.udp.sent.some((s) => s.token === 1),
      'reports too',
    );
    assert.equal(w.counters().refused[REFUSALS.indexOf('authentication')], 1);
  }
});
