/**
 * The ciphers of SRTP, keyed once, used per packet in place. Two implementations: `cipher-koffi.ts` (the OpenSSL inside the node binary,
 * without allocation) and `cipher-node.ts` (node:crypto). `iv` is filled by the caller before each call.
 */
export interface CounterCipher {
  readonly kind: 'cm';
  /** 16 octets: the counter block to begin with (RFC 3711 4.1.1). */
  readonly iv: Uint8Array;
  /** 20 octets: what `authenticate` made. */
  readonly digest: Uint8Array;
  /** Encrypts or decrypts. */
  crypt(bytes: Uint8Array, start: number, length: number): void;
  /** HMAC-SHA1 (RFC 3711 4.2.1) into `digest`. */
  authenticate(bytes: Uint8Array, start: number, length: number): void;
  /** Forgets the keys; no call after it. */
  end(): void;
}

/** AES-GCM with a tag of 16 octets (RFC 7714 5). */
export interface GaloisCipher {
  readonly kind: 'gcm';
  /** 12 octets. */
  readonly iv: Uint8Array;
  /** Encrypts and puts the tag behind. */
  seal(bytes: Uint8Array, part: SealedPart): void;
  /** Decrypts; false where the tag behind `length` octets does not fit. What lies there then is not to be used. */
  open(bytes: Uint8Array, part: SealedPart): boolean;
  end(): void;
}

/** One object per user, refilled per packet. */
export class SealedPart {
  /** Associated data: `clearLength` octets at `clear`, then those of `trailer`, where `hasTrailer`. */
  clear = 0;
  clearLength = 0;
  readonly hasTrailer: boolean;
  readonly trailer = new Uint8Array(4);
  /** The encrypted octets, tag not counted. */
  start = 0;
  length = 0;

  constructor(hasTrailer: boolean) {
    this.hasTrailer = hasTrailer;
  }

  /** A packet of `plain` octets at `offset`, tag not counted, of which the first `header` stay in the clear. */
  of(offset: number, header: number, plain: number): this {
    this.clear = offset;
    this.clearLength = header;
    this.start = offset + header;
    this.length = plain - header;
    return this;
  }
}

export const GCM_TAG = 16;

export type PacketCipher = CounterCipher | GaloisCipher;

/** Makes a cipher from session keys: `auth` is empty for GCM. */
export interface CipherMaker {
  readonly implementation: 'koffi' | 'node';
  counter(key: Uint8Array, auth: Uint8Array): CounterCipher;
  galois(key: Uint8Array): GaloisCipher;
}
