/**
 * SRTCP packets, RFC 3711 3.4 and RFC 7714 9: the first eight octets (header and SSRC) stay in the clear. Counter mode puts `E || index` before
 * the tag and authenticates all of it; AEAD puts it behind the tag and takes it, with the header, as associated data.
 */
import { copyBytes } from '../../bytes/copy.ts';
import { RTP_VERSION, readU32, writeU32 } from '../../rtp/packet.ts';
import { INDEX_NEW, SrtpSources } from '../../rtp/srtp-index.ts';
import type { SrtpProfile, SrtpSessionKeys } from '../../rtp/srtp-profile.ts';
import { type CipherMaker, GCM_TAG, type PacketCipher, SealedPart } from './cipher.ts';
import { addSalt, holds, isTag, SRTP_REFUSED, startIv } from './srtp.ts';

const HEADER = 8;
const TRAILER = 4;
/** The E flag: the packet is encrypted. */
const ENCRYPTED = 0x8000_0000;
const MOST_INDEX = 0x7fff_ffff;

/** One direction of RTCP under one key. */
export class SrtcpDirection {
  readonly sources = new SrtpSources('rtcp');
  readonly #tag: number;
  readonly #salt: Uint8Array;
  readonly #cipher: PacketCipher;
  readonly #part = new SealedPart(true);
  #next: number;

  /** `first`: index of the first packet to be sent. */
  constructor(profile: SrtpProfile, keys: SrtpSessionKeys, maker: CipherMaker, first = 0) {
    this.#tag = profile.rtcpTag;
    this.#salt = keys.salt;
    this.#cipher = profile.cipher === 'gcm' ? maker.galois(keys.key) : maker.counter(keys.key, keys.auth);
    this.#next = first;
  }

  protect(bytes: Uint8Array, offset: number, length: number): number {
    if (!shaped(bytes, offset, length)) return SRTP_REFUSED.shape;
    if (!holds(bytes, offset, length + TRAILER + this.#tag)) return SRTP_REFUSED.shape;
    const index = this.#next;
    if (index > MOST_INDEX) return SRTP_REFUSED.exhausted;
    this.#next++;
    const cipher = this.#cipher;
    this.#fillIv(cipher.iv, readU32(bytes, offset + 4), index);
    const end = offset + length;
    if (cipher.kind === 'gcm') {
      writeU32(this.#part.trailer, 0, (ENCRYPTED | index) >>> 0);
      cipher.seal(bytes, this.#part.of(offset, HEADER, length));
      writeU32(bytes, end + GCM_TAG, (ENCRYPTED | index) >>> 0);
    } else {
      cipher.crypt(bytes, offset + HEADER, length - HEADER);
      writeU32(bytes, end, (ENCRYPTED | index) >>> 0);
      cipher.authenticate(bytes, offset, length + TRAILER);
      copyBytes(cipher.digest, 0, this.#tag, bytes, end + TRAILER);
    }
    return length + TRAILER + this.#tag;
  }

  /** A packet without encryption (E = 0) is refused: none is ever negotiated (RFC 4568 6.3.2). */
  unprotect(bytes: Uint8Array, offset: number, length: number): number {
    const cipher = this.#cipher;
    const plain = length - TRAILER - this.#tag;
    if (!shaped(bytes, offset, plain) || !holds(bytes, offset, length)) return SRTP_REFUSED.shape;
    const word = readU32(bytes, offset + (cipher.kind === 'gcm' ? length - TRAILER : plain));
    const ssrc = readU32(bytes, offset + 4);
    const index = word & MOST_INDEX;
    if (word < ENCRYPTED) return SRTP_REFUSED.authentication;
    const at = this.sources.of(ssrc);
    if (at === undefined) return SRTP_REFUSED.sources;
    if (at.judge(index) !== INDEX_NEW) return SRTP_REFUSED.replay;
    if (cipher.kind === 'gcm') {
      this.#fillIv(cipher.iv, ssrc, index);
      writeU32(this.#part.trailer, 0, word);
      if (!cipher.open(bytes, this.#part.of(offset, HEADER, plain))) return SRTP_REFUSED.authentication;
    } else {
      cipher.authenticate(bytes, offset, plain + TRAILER);
      if (!isTag(cipher.digest, this.#tag, bytes, offset + plain + TRAILER))
        return SRTP_REFUSED.authentication;
      this.#fillIv(cipher.iv, ssrc, index);
      cipher.crypt(bytes, offset + HEADER, plain - HEADER);
    }
    this.sources.commit(ssrc, at, index);
    return plain;
  }

  end(): void {
    this.#cipher.end();
    this.#salt.fill(0);
  }

  /** RFC 3711 4.1.1 with an index of 31 bits, RFC 7714 9.1. */
  #fillIv(iv: Uint8Array, ssrc: number, index: number): void {
    const counter = this.#cipher.kind === 'cm';
    startIv(iv, counter ? 4 : 2, ssrc);
    writeU32(iv, counter ? 10 : 8, index);
    addSalt(iv, this.#salt);
  }
}

function shaped(bytes: Uint8Array, offset: number, length: number): boolean {
  return length >= HEADER && bytes[offset]! >> 6 === RTP_VERSION;
}
