/**
 * Keys of a tunnel session. The acceptor makes a random secret and sends it once, inside TLS 1.3; both ends derive from it
 * (HKDF-SHA-256, RFC 5869) one key for proofs of resumption and one for media lanes. A proof covers the TLS exporter value
 * (RFC 8446 7.5) of the connection it is sent on, so it is worth nothing on any other.
 */
import { fromHex, latin1Bytes } from '../bytes/text.ts';
import { Writer } from '../bytes/writer.ts';
import type { Crypto } from '../machine/machine.ts';

export interface SessionKeys {
  readonly resume: Uint8Array;
  readonly lane: Uint8Array;
}

export function deriveSessionKeys(crypto: Crypto, secret: Uint8Array, session: string): SessionKeys {
  const extracted = crypto.hmac('sha256', fromHex(session)!, secret);
  return {
    resume: expand(crypto, extracted, 'voip-sgw resume'),
    lane: expand(crypto, extracted, 'voip-sgw lane'),
  };
}

/** HKDF-Expand for one block: T(1) = HMAC(PRK, info | 0x01), RFC 5869 2.3. */
function expand(crypto: Crypto, key: Uint8Array, label: string): Uint8Array {
  return crypto.hmac('sha256', key, Uint8Array.of(...latin1Bytes(label), 1));
}

/** `speaker` and `intent` keep one end's proof from being sent back or used for another purpose. */
export function resumeProof(
  crypto: Crypto,
  key: Uint8Array,
  claim: {
    readonly speaker: 'dialer' | 'acceptor';
    readonly intent: 'resume' | 'replace';
    readonly exporter: Uint8Array;
    readonly received: number;
  },
): Uint8Array {
  const message = new Writer(96);
  message.raw(latin1Bytes(`${claim.speaker} ${claim.intent}\n`));
  message.raw(claim.exporter);
  message.u64(claim.received);
  return crypto.hmac('sha256', key, message.bytes());
}
