/** SRTP protection profiles by their name in SDES (RFC 4568 6.2, RFC 6188 4, RFC 7714 14.2); DTLS-SRTP numbers the same ones (RFC 5764 4.1.2). */
export interface SrtpProfile {
  readonly cipher: 'cm' | 'gcm';
  /** Octets of the master key and of each session encryption key: 16 or 32. */
  readonly keyLength: number;
  /** Octets of master and session salts. */
  readonly saltLength: number;
  /** Octets of the tag behind an RTP packet. */
  readonly rtpTag: number;
  /** Octets of the tag of an RTCP packet: never shortened to 32 bits (RFC 3711 5.2, RFC 4568 6.2.2). */
  readonly rtcpTag: number;
}

function counterMode(keyLength: number, rtpTag: number): SrtpProfile {
  return { cipher: 'cm', keyLength, saltLength: 14, rtpTag, rtcpTag: 10 };
}

function galois(keyLength: number): SrtpProfile {
  return { cipher: 'gcm', keyLength, saltLength: 12, rtpTag: 16, rtcpTag: 16 };
}

export const SRTP_PROFILES = {
  AES_CM_128_HMAC_SHA1_80: counterMode(16, 10),
  AES_CM_128_HMAC_SHA1_32: counterMode(16, 4),
  AES_256_CM_HMAC_SHA1_80: counterMode(32, 10),
  AES_256_CM_HMAC_SHA1_32: counterMode(32, 4),
  AEAD_AES_128_GCM: galois(16),
  AEAD_AES_256_GCM: galois(32),
} as const satisfies Readonly<Record<string, SrtpProfile>>;

export type SrtpProfileName = keyof typeof SRTP_PROFILES;

/** What both ends of one direction share (RFC 3711 8.2); as long as the profile says. */
export interface SrtpMaster {
  readonly key: Uint8Array;
  readonly salt: Uint8Array;
}

/** Session keys of one direction and one kind of packet. `auth` is empty with an AEAD cipher. */
export interface SrtpSessionKeys {
  readonly key: Uint8Array;
  readonly auth: Uint8Array;
  readonly salt: Uint8Array;
}

/** RFC 3711 4.3.2: the label of the encryption key; + 1 authentication key, + 2 salt. */
export const LABEL_RTP = 0;
export const LABEL_RTCP = 3;

/** RFC 3711 4.2.1: the key of HMAC-SHA1. */
export const AUTH_KEY = 20;

/** AES in counter mode: `length` octets of key stream that begins at counter `iv` (16 octets). */
export type KeyStream = (key: Uint8Array, iv: Uint8Array, length: number) => Uint8Array;

/**
 * RFC 3711 4.3.1 and 4.3.3 with a key derivation rate of 0, RFC 6188 3 for longer keys. A salt of 96 bits counts as one of 112 with zeros
 * behind (RFC 7714 11).
 */
export function deriveSessionKeys(
  profile: SrtpProfile,
  master: SrtpMaster,
  label: typeof LABEL_RTP | typeof LABEL_RTCP,
  keyStream: KeyStream,
): SrtpSessionKeys {
  const derive = (which: number, length: number): Uint8Array => {
    // x = key_id XOR master_salt; key_id = label || r with r = 0, on 56 bits; the stream begins at x * 2^16.
    const iv = new Uint8Array(16);
    iv.set(master.salt);
    iv[7]! ^= which;
    return keyStream(master.key, iv, length);
  };
  return {
    key: derive(label, profile.keyLength),
    auth: profile.cipher === 'cm' ? derive(label + 1, AUTH_KEY) : new Uint8Array(0),
    salt: derive(label + 2, profile.saltLength),
  };
}
