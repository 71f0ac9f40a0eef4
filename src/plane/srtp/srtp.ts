/**
 * SRTP packets, RFC 3711 3.1 and RFC 7714 8.
 *
 *     0                   1                   2                   3
 *    +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+ <+
 *    |   RTP header, CSRC list and header extension: in the clear    |  | authenticated
 *    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+  | (counter mode: with the
 *    |                       encrypted payload                       |  | roll-over counter behind)
 *    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+ <+
 *    |               authentication tag, 4, 10 or 16 octets          |
 *    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */
import { copyBytes } from '../../bytes/copy.ts';
import {
  measureHeader,
  RTP_HEADER,
  RTP_VERSION,
  readU16,
  readU32,
  writeU16,
  writeU32,
} from '../../rtp/packet.ts';
import { INDEX_EXHAUSTED, INDEX_NEW, SrtpSources } from '../../rtp/srtp-index.ts';
import type { SrtpProfile, SrtpSessionKeys } from '../../rtp/srtp-profile.ts';
import { type CipherMaker, type PacketCipher, SealedPart } from './cipher.ts';

/** Why a packet was not transformed; negative, as the hook's contract has it. */
export const SRTP_REFUSED = {
  shape: -1,
  authentication: -2,
  /** Seen before, or older than the window; of an own packet: its index is used up. */
  replay: -3,
  /** More packets than one key may serve (RFC 3711 9.2). */
  exhausted: -4,
  /** More sources than one direction may have. */
  sources: -5,
} as const;

/** The least room a packet of counter mode needs behind it while it is judged: the roll-over counter. */
const ROLL_OVER = 4;

/** One direction of RTP under one key. In place, nothing is allocated per packet. */
export class SrtpDirection {
  readonly sources = new SrtpSources('rtp');
  readonly #tag: number;
  readonly #salt: Uint8Array;
  readonly #cipher: PacketCipher;
  readonly #part = new SealedPart(false);
  readonly #behind = new Uint8Array(ROLL_OVER);

  constructor(profile: SrtpProfile, keys: SrtpSessionKeys, maker: CipherMaker) {
    this.#tag = profile.rtpTag;
    this.#salt = keys.salt;
    this.#cipher = profile.cipher === 'gcm' ? maker.galois(keys.key) : maker.counter(keys.key, keys.auth);
  }

  /** `length` octets at `offset`; the tag goes behind them. New length, or one of SRTP_REFUSED. */
  protect(bytes: Uint8Array, offset: number, length: number): number {
    const header = headerLength(bytes, offset, length);
    if (header < 0 || !holds(bytes, offset, length + this.#tag)) return SRTP_REFUSED.shape;
    const ssrc = readU32(bytes, offset + 8);
    const at = this.sources.of(ssrc);
    if (at === undefined) return SRTP_REFUSED.sources;
    const index = at.estimate(readU16(bytes, offset + 2));
    const judged = at.judge(index);
    if (judged !== INDEX_NEW)
      return judged === INDEX_EXHAUSTED ? SRTP_REFUSED.exhausted : SRTP_REFUSED.replay;
    // Before it is used: whatever happens now, this index never serves again.
    this.sources.commit(ssrc, at, index);
    const cipher = this.#cipher;
    this.#fillIv(cipher.iv, ssrc, index);
    if (cipher.kind === 'gcm') cipher.seal(bytes, this.#part.of(offset, header, length));
    else {
      cipher.crypt(bytes, offset + header, length - header);
      writeU32(bytes, offset + length, rollOver(index));
      cipher.authenticate(bytes, offset, length + ROLL_OVER);
      copyBytes(cipher.digest, 0, this.#tag, bytes, offset + length);
    }
    return length + this.#tag;
  }

  /** The octets at `offset` in the clear, without their tag. New length, or one of SRTP_REFUSED; only then is nothing changed by it. */
  unprotect(bytes: Uint8Array, offset: number, length: number): number {
    const plain = length - this.#tag;
    const header = headerLength(bytes, offset, plain);
    if (header < 0 || !holds(bytes, offset, length)) return SRTP_REFUSED.shape;
    const ssrc = readU32(bytes, offset + 8);
    const at = this.sources.of(ssrc);
    if (at === undefined) return SRTP_REFUSED.sources;
    const index = at.estimate(readU16(bytes, offset + 2));
    // RFC 3711 3.3: replay is judged first, for a replayed packet then costs no cryptography; the state moves only after the tag has been found right.
    const judged = at.judge(index);
    if (judged !== INDEX_NEW)
      return judged === INDEX_EXHAUSTED ? SRTP_REFUSED.exhausted : SRTP_REFUSED.replay;
    const cipher = this.#cipher;
    if (cipher.kind === 'gcm') {
      this.#fillIv(cipher.iv, ssrc, index);
      if (!cipher.open(bytes, this.#part.of(offset, header, plain))) return SRTP_REFUSED.authentication;
    } else {
      if (!this.#genuine(bytes, offset, plain, index)) return SRTP_REFUSED.authentication;
      this.#fillIv(cipher.iv, ssrc, index);
      cipher.crypt(bytes, offset + header, plain - header);
    }
    this.sources.commit(ssrc, at, index);
    return plain;
  }

  end(): void {
    this.#cipher.end();
    this.#salt.fill(0);
  }

  /** RFC 3711 4.2: the tag covers the packet and the roll-over counter, which is put in the tag's place meanwhile. */
  #genuine(bytes: Uint8Array, offset: number, plain: number, index: number): boolean {
    const cipher = this.#cipher;
    if (cipher.kind !== 'cm') return false;
    const behind = this.#behind;
    const at = offset + plain;
    // A tag is never shorter than the counter.
    copyBytes(bytes, at, ROLL_OVER, behind, 0);
    writeU32(bytes, at, rollOver(index));
    cipher.authenticate(bytes, offset, plain + ROLL_OVER);
    copyBytes(behind, 0, ROLL_OVER, bytes, at);
    return isTag(cipher.digest, this.#tag, bytes, at);
  }

  /** RFC 3711 4.1.1, RFC 7714 8.1. */
  #fillIv(iv: Uint8Array, ssrc: number, index: number): void {
    const at = this.#cipher.kind === 'cm' ? 4 : 2;
    startIv(iv, at, ssrc);
    writeU32(iv, at + 4, rollOver(index));
    writeU16(iv, at + 8, index % 0x1_0000);
    addSalt(iv, this.#salt);
  }
}

/** Whether the tag at `at` is the beginning of `digest`, in a time that does not tell how much of it is. */
export function isTag(digest: Uint8Array, length: number, bytes: Uint8Array, at: number): boolean {
  let difference = 0;
  for (let i = 0; i < length; i++) difference |= bytes[at + i]! ^ digest[i]!;
  return difference === 0;
}

/** Whether so many octets are there: the ciphers write to memory by its address. */
export function holds(bytes: Uint8Array, offset: number, length: number): boolean {
  return offset >= 0 && offset + length <= bytes.length;
}

/** Zeros but for the SSRC. */
export function startIv(iv: Uint8Array, at: number, ssrc: number): void {
  for (let i = 0; i < iv.length; i++) iv[i] = 0;
  writeU32(iv, at, ssrc);
}

export function addSalt(iv: Uint8Array, salt: Uint8Array): void {
  for (let i = 0; i < salt.length; i++) iv[i] = iv[i]! ^ salt[i]!;
}

function rollOver(index: number): number {
  return Math.floor(index / 0x1_0000);
}

/** Octets that stay in the clear; negative where this is no RTP packet. */
function headerLength(bytes: Uint8Array, offset: number, length: number): number {
  if (length < RTP_HEADER || bytes[offset]! >> 6 !== RTP_VERSION) return -1;
  return measureHeader(bytes, offset, length);
}
