/**
 * What protecting and unprotecting one G.711 packet (172 octets of RTP) costs, for each profile, by the OpenSSL inside the node binary through
 * koffi and by node:crypto, in one run: rounds of all alternate and the best of each counts, so that other load on the machine hits all.
 * What one protects the other unprotects first: a fast mistake would be no figure. `npm run bench -- srtp [--json]`.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { CipherMaker } from '../src/plane/srtp/cipher.ts';
import { loadKoffiCiphers } from '../src/plane/srtp/cipher-koffi.ts';
import { nodeCiphers } from '../src/plane/srtp/cipher-node.ts';
import { rtpDirection, type SrtpKeying } from '../src/plane/srtp/provider.ts';
import { SRTP_PROFILES, type SrtpProfileName } from '../src/rtp/srtp-profile.ts';

const PACKET = 172;
const SLOT = 256;
const PER_ROUND = 500;
const ROUNDS = 60;

type Which = 'koffi' | 'node';

interface Cost {
  protectUs: number;
  unprotectUs: number;
}

/** Packets one after the other with their numbers going on, so that each round is a piece of one stream. */
class Stream {
  readonly cost: Cost = { protectUs: Number.POSITIVE_INFINITY, unprotectUs: Number.POSITIVE_INFINITY };
  readonly #keys: SrtpKeying;
  readonly #send;
  readonly #receive;
  readonly #out = Buffer.allocUnsafeSlow(PER_ROUND * SLOT);
  readonly #in = Buffer.allocUnsafeSlow(PER_ROUND * SLOT);
  #sequence = 0;

  constructor(keys: SrtpKeying, maker: CipherMaker) {
    this.#keys = keys;
    this.#send = rtpDirection(keys, maker);
    this.#receive = rtpDirection(keys, maker);
  }

  round(): void {
    const [out, received] = [this.#out, this.#in];
    for (let i = 0; i < PER_ROUND; i++) this.#write(i * SLOT);
    const length = PACKET + SRTP_PROFILES[this.#keys.profile].rtpTag;
    let sum = 0;
    const began = process.hrtime.bigint();
    for (let i = 0; i < PER_ROUND; i++) sum += this.#send.protect(out, i * SLOT, PACKET);
    const sent = process.hrtime.bigint();
    assert.equal(sum, PER_ROUND * length);
    received.set(out);
    sum = 0;
    const arrived = process.hrtime.bigint();
    for (let i = 0; i < PER_ROUND; i++) sum += this.#receive.unprotect(received, i * SLOT, length);
    const read = process.hrtime.bigint();
    assert.equal(sum, PER_ROUND * PACKET);
    this.cost.protectUs = Math.min(this.cost.protectUs, Number(sent - began) / 1000 / PER_ROUND);
    this.cost.unprotectUs = Math.min(this.cost.unprotectUs, Number(read - arrived) / 1000 / PER_ROUND);
  }

  /** An RTP packet of the stream. */
  #write(at: number): void {
    this.#out.fill(0x55, at, at + SLOT);
    this.#out[at] = 0x80;
    this.#out[at + 1] = 0;
    this.#out.writeUInt16BE(this.#sequence, at + 2);
    this.#sequence = (this.#sequence + 1) & 0xffff;
    this.#out.writeUInt32BE(0xdecafbad, at + 8);
  }
}

function keying(profile: SrtpProfileName): SrtpKeying {
  const { keyLength, saltLength } = SRTP_PROFILES[profile];
  return { profile, master: { key: randomBytes(keyLength), salt: randomBytes(saltLength) } };
}

/** Each reads what the other made. */
function agree(keys: SrtpKeying, makers: readonly CipherMaker[]): void {
  for (const from of makers) {
    for (const to of makers) {
      const packet = Buffer.concat([Buffer.from('800000010000000000000001', 'hex'), Buffer.alloc(224, 9)]);
      const length = rtpDirection(keys, from).protect(packet, 0, PACKET);
      assert.equal(rtpDirection(keys, to).unprotect(packet, 0, length), PACKET);
      assert.equal(packet[PACKET - 1], 9);
    }
  }
}

const koffi = await loadKoffiCiphers();
const profiles: Record<string, Record<Which, Cost> & { readonly nodeToKoffi: number }> = {};
for (const profile of Object.keys(SRTP_PROFILES) as SrtpProfileName[]) {
  const keys = keying(profile);
  agree(keys, [koffi, nodeCiphers]);
  const streams = { koffi: new Stream(keys, koffi), node: new Stream(keys, nodeCiphers) };
  for (let round = 0; round < ROUNDS; round++) {
    streams.koffi.round();
    streams.node.round();
  }
  const both = (which: Which): number => streams[which].cost.protectUs + streams[which].cost.unprotectUs;
  profiles[profile] = {
    koffi: streams.koffi.cost,
    node: streams.node.cost,
    nodeToKoffi: both('node') / both('koffi'),
  };
}

if (process.argv.includes('--json')) {
  console.log(JSON.stringify({ node: process.version, octets: PACKET, unit: 'us per packet', profiles }));
} else {
  console.log(
    `Node ${process.version}; ${PACKET} octets of RTP; microseconds per packet, best of ${ROUNDS} rounds\n`,
  );
  console.log('profile                    koffi protect  unprotect   node:crypto protect  unprotect   ratio');
  for (const [name, row] of Object.entries(profiles)) {
    const us = (value: number, width: number): string => value.toFixed(2).padStart(width);
    console.log(
      `${name.padEnd(25)}${us(row.koffi.protectUs, 15)}${us(row.koffi.unprotectUs, 11)}${us(row.node.protectUs, 22)}${us(row.node.unprotectUs, 11)}${us(row.nodeToKoffi, 8)}`,
    );
  }
}
