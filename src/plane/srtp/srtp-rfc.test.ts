import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { deriveSessionKeys, LABEL_RTP, SRTP_PROFILES, type SrtpProfileName } from '../../rtp/srtp-profile.ts';
import { type CipherMaker, SealedPart } from './cipher.ts';
import { loadKoffiCiphers } from './cipher-koffi.ts';
import { nodeCiphers } from './cipher-node.ts';
import { keyStream, rtcpDirection, rtpDirection } from './provider.ts';
import { SrtcpDirection } from './srtcp.ts';
import { SRTP_REFUSED, SrtpDirection } from './srtp.ts';

/** Both, and each by itself where the other does not load. */
const makers: readonly CipherMaker[] = await loadKoffiCiphers().then(
  (koffi) => [koffi, nodeCiphers],
  () => [nodeCiphers],
);

const hex = (text: string): Buffer => Buffer.from(text.replace(/\s/g, ''), 'hex');
const NO_AUTH = new Uint8Array(0);

/** A packet with room behind it. */
function padded(bytes: Uint8Array): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(64)]);
}

function protectedBy(
  direction: { protect(b: Uint8Array, o: number, l: number): number },
  plain: Uint8Array,
): string {
  const packet = padded(plain);
  const length = direction.protect(packet, 0, plain.length);
  assert.ok(length > 0, `refused: ${length}`);
  return packet.toString('hex', 0, length);
}

function plainBy(
  direction: { unprotect(b: Uint8Array, o: number, l: number): number },
  sent: Uint8Array,
): string {
  const packet = Buffer.from(sent);
  const length = direction.unprotect(packet, 0, sent.length);
  assert.ok(length > 0, `refused: ${length}`);
  return packet.toString('hex', 0, length);
}

test('RFC 3711 B.2: AES-CM key stream, as key derivation uses it', () => {
  const key = hex('2b7e151628aed2a6abf7158809cf4f3c');
  const start = (counter: string): string =>
    Buffer.from(keyStream(key, hex(`f0f1f2f3f4f5f6f7f8f9fafbfcfd${counter}`), 48)).toString('hex');
  assert.equal(
    start('0000'),
    'e03ead0935c95e80e166b16dd92b4eb4d23513162b02d0f72a43a2fe4a5f97ab41e95b3bb0a2e8dd477901e4fca894c0',
  );
  assert.equal(
    start('feff'),
    'ec8cdf7398607cb0f2d21675ea9ea1e4362b7c3c6773516318a077d7fc5073ae6a2cc3787889374fbeb4c81b17ba6c44',
  );
});

for (const maker of makers) {
  test(`RFC 3711 B.2: AES-CM key stream of the packet cipher (${maker.implementation})`, () => {
    const cipher = maker.counter(hex('2b7e151628aed2a6abf7158809cf4f3c'), new Uint8Array(20));
    cipher.iv.set(hex('f0f1f2f3f4f5f6f7f8f9fafbfcfd0000'));
    const bytes = Buffer.alloc(48);
    cipher.crypt(bytes, 16, 32);
    assert.equal(bytes.toString('hex', 0, 16), '00'.repeat(16), 'what lies before is left alone');
    assert.equal(
      bytes.toString('hex', 16),
      'e03ead0935c95e80e166b16dd92b4eb4d23513162b02d0f72a43a2fe4a5f97ab',
    );
    cipher.end();
  });

  test(`RFC 2202: HMAC-SHA1 of the packet cipher (${maker.implementation})`, () => {
    const cipher = maker.counter(new Uint8Array(16), new Uint8Array(20).fill(0x0b));
    cipher.authenticate(Buffer.from('--Hi There--'), 2, 8);
    assert.equal(Buffer.from(cipher.digest).toString('hex'), 'b617318655057264e28bc0b6fb378c8ef146be00');
    cipher.end();
  });
}

test('RFC 3711 B.3, RFC 6188 7.2: session keys', () => {
  const derive = (profile: SrtpProfileName, key: string, salt: string) => {
    const keys = deriveSessionKeys(
      SRTP_PROFILES[profile],
      { key: hex(key), salt: hex(salt) },
      LABEL_RTP,
      keyStream,
    );
    return Object.fromEntries(Object.entries(keys).map(([k, v]) => [k, Buffer.from(v).toString('hex')]));
  };
  assert.deepEqual(
    derive('AES_CM_128_HMAC_SHA1_80', 'e1f97a0d3e018be0d64fa32c06de4139', '0ec675ad498afeebb6960b3aabe6'),
    {
      key: 'c61e7a93744f39ee10734afe3ff7a087',
      auth: 'cebe321f6ff7716b6fd4ab49af256a156d38baa4',
      salt: '30cbbc08863d8c85d49db34a9ae1',
    },
  );
  assert.deepEqual(
    derive(
      'AES_256_CM_HMAC_SHA1_80',
      'f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6',
      '3b04803de51ee7c96423ab5b78d2',
    ),
    {
      key: '5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4',
      auth: 'fd9c32d39ed5fbb5a9dc96b30818454d1313dc05',
      salt: 'fa31791685ca444a9e07c6c64e93',
    },
  );
});

const KEY_128 = '000102030405060708090a0b0c0d0e0f';
const KEY_256 = `${KEY_128}101112131415161718191a1b1c1d1e1f`;
const SALT = '517569642070726f2071756f';
const RTP =
  '8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573';
const RTCP =
  '81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef';
const INDEX = 1492;

for (const maker of makers) {
  const rtp = (profile: SrtpProfileName, key: string): SrtpDirection =>
    new SrtpDirection(SRTP_PROFILES[profile], { key: hex(key), auth: NO_AUTH, salt: hex(SALT) }, maker);
  const rtcp = (profile: SrtpProfileName, key: string): SrtcpDirection =>
    new SrtcpDirection(
      SRTP_PROFILES[profile],
      { key: hex(key), auth: NO_AUTH, salt: hex(SALT) },
      maker,
      INDEX,
    );

  test(`RFC 7714 16.1.1, 16.1.2, 16.2.1, 16.2.2: SRTP with AES-GCM (${maker.implementation})`, () => {
    const table = [
      [
        'AEAD_AES_128_GCM',
        KEY_128,
        'f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce',
      ],
      [
        'AEAD_AES_256_GCM',
        KEY_256,
        '32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13',
      ],
    ] as const;
    for (const [profile, key, sealed] of table) {
      const sent = `${RTP.slice(0, 24)}${sealed}`;
      assert.equal(protectedBy(rtp(profile, key), hex(RTP)), sent);
      assert.equal(plainBy(rtp(profile, key), hex(sent)), RTP);
    }
  });

  test(`RFC 7714 17.1, 17.2: SRTCP with AES-GCM (${maker.implementation})`, () => {
    const table = [
      [
        'AEAD_AES_128_GCM',
        KEY_128,
        '63e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4',
      ],
      [
        'AEAD_AES_256_GCM',
        KEY_256,
        'd50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658c61de0476f1b6fad1d1eb30c4446839f57ff6f6cb26ac3be800005d4',
      ],
    ] as const;
    for (const [profile, key, sealed] of table) {
      const sent = `${RTCP.slice(0, 16)}${sealed}`;
      assert.equal(protectedBy(rtcp(profile, key), hex(RTCP)), sent);
      assert.equal(plainBy(rtcp(profile, key), hex(sent)), RTCP);
    }
  });

  test(`RFC 7714 16.1.3, 16.2.4, 17.3, 17.4: AES-GCM that only authenticates (${maker.implementation})`, () => {
    const iv = { rtp: '51753c6580c2726f20718414', rtcp: '517524055203726f207170bb' };
    const table = [
      [KEY_128, iv.rtp, RTP, '', '22493f82d2bce397e9d79e3b19aa4216'],
      [KEY_256, iv.rtp, RTP, '', 'a866d5910f887463067ceefec45215d4'],
      [KEY_128, iv.rtcp, RTCP, '000005d4', '841dd9683dd78ec92ae58790125f62b3'],
      [KEY_256, iv.rtcp, RTCP, '000005d4', '91db4afbfeee5a978fab4393ed2615fe'],
    ] as const;
    for (const [key, vector, clear, trailer, tag] of table) {
      const bytes = padded(hex(clear));
      const length = clear.length / 2;
      const part = new SealedPart(trailer !== '').of(0, length, length);
      part.trailer.set(hex(trailer.padStart(8, '0')));
      const cipher = maker.galois(hex(key));
      cipher.iv.set(hex(vector));
      cipher.seal(bytes, part);
      assert.equal(bytes.toString('hex', length, length + 16), tag);
      cipher.end();
      const other = maker.galois(hex(key));
      other.iv.set(hex(vector));
      assert.equal(other.open(bytes, part), true);
      bytes[3]! ^= 1;
      other.iv.set(hex(vector));
      assert.equal(other.open(bytes, part), false);
      other.end();
    }
  });

  test(`RFC 7714 17.3: an SRTCP packet that is not encrypted is refused, though its tag is right (${maker.implementation})`, () => {
    const sent = hex(`${RTCP}841dd9683dd78ec92ae58790125f62b3000005d4`);
    const direction = rtcp('AEAD_AES_128_GCM', KEY_128);
    assert.equal(direction.unprotect(sent, 0, sent.length), SRTP_REFUSED.authentication);
  });
}

interface Vector {
  readonly source: string;
  readonly profile: string;
  readonly master_key: string;
  readonly master_salt: string;
  readonly roc?: number;
  readonly rtp?: string;
  readonly srtp?: string;
  readonly srtcp_index?: number;
  readonly rtcp?: string;
  readonly srtcp?: string;
}

interface Vectors {
  readonly packets: readonly Vector[];
  readonly negative: { readonly packets: readonly string[] };
  readonly replay: { readonly packet: string };
  readonly truncated: readonly string[];
}

function shared(): Vectors | undefined {
  try {
    const url = new URL('../../../../../shared/vectors/srtp-packets.json', import.meta.url);
    return JSON.parse(readFileSync(url, 'utf8')) as Vectors;
  } catch {
    return undefined;
  }
}

const PROFILES: Readonly<Record<string, SrtpProfileName | undefined>> = {
  SRTP_AES128_CM_HMAC_SHA1_80: 'AES_CM_128_HMAC_SHA1_80',
  SRTP_AES128_CM_HMAC_SHA1_32: 'AES_CM_128_HMAC_SHA1_32',
  AES_256_CM_HMAC_SHA1_80: 'AES_256_CM_HMAC_SHA1_80',
  SRTP_AEAD_AES_128_GCM: 'AEAD_AES_128_GCM',
};

test('packets of another implementation are made and read as there', (t) => {
  const vectors = shared();
  if (vectors === undefined) return t.skip('no vectors here');
  let checked = 0;
  for (const vector of vectors.packets) {
    const profile = PROFILES[vector.profile];
    if (profile === undefined) continue; // AES-192 and RFC 6904 are not ours
    const master = { key: hex(vector.master_key), salt: hex(vector.master_salt) };
    for (const maker of makers) {
      if (vector.rtp !== undefined) {
        const ends = [0, 1].map(() => {
          const direction = rtpDirection({ profile, master }, maker);
          const ssrc = hex(vector.rtp!).readUInt32BE(8);
          if (vector.roc! > 0) direction.sources.resume(ssrc, vector.roc! * 0x1_0000);
          return direction;
        });
        assert.equal(protectedBy(ends[0]!, hex(vector.rtp)), vector.srtp);
        assert.equal(plainBy(ends[1]!, hex(vector.srtp!)), vector.rtp);
      } else {
        const first = rtcpDirection({ profile, master }, maker);
        for (let i = 0; i < vector.srtcp_index!; i++) protectedBy(first, hex(vector.rtcp!));
        assert.equal(protectedBy(first, hex(vector.rtcp!)), vector.srtcp);
        assert.equal(plainBy(rtcpDirection({ profile, master }, maker), hex(vector.srtcp!)), vector.rtcp);
      }
      checked++;
    }
  }
  assert.ok(checked >= 7 * makers.length, `${checked} checked`);
});

test('forged, truncated and replayed packets of another implementation are refused and change nothing', (t) => {
  const vectors = shared();
  if (vectors === undefined) return t.skip('no vectors here');
  const [first] = vectors.packets;
  const master = { key: hex(first!.master_key), salt: hex(first!.master_salt) };
  for (const maker of makers) {
    const direction = rtpDirection({ profile: 'AES_CM_128_HMAC_SHA1_80', master }, maker);
    for (const text of [...vectors.negative.packets, ...vectors.truncated]) {
      const bytes = padded(hex(text));
      assert.ok(direction.unprotect(bytes, 0, text.length / 2) < 0, text);
      assert.equal(direction.sources.size, 0);
    }
    assert.equal(plainBy(direction, hex(first!.srtp!)), first!.rtp);
    const again = hex(vectors.replay.packet);
    assert.equal(direction.unprotect(again, 0, again.length), SRTP_REFUSED.replay);
  }
});
