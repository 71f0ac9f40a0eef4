/** Where a leg gets its SRTP from: ciphers chosen once at start, keys per leg and direction. */
import { createCipheriv } from 'node:crypto';
import {
  deriveSessionKeys,
  type KeyStream,
  LABEL_RTCP,
  LABEL_RTP,
  SRTP_PROFILES,
  type SrtpMaster,
  type SrtpProfileName,
} from '../../rtp/srtp-profile.ts';
import type { LegTransforms } from '../packet-transform.ts';
import type { CipherMaker } from './cipher.ts';
import { loadKoffiCiphers } from './cipher-koffi.ts';
import { nodeCiphers } from './cipher-node.ts';
import { SrtcpDirection } from './srtcp.ts';
import { SrtpDirection } from './srtp.ts';

/** One direction may use another profile than the other (RFC 4568 5.1.2: each offers its own keys). */
export interface SrtpKeying {
  readonly profile: SrtpProfileName;
  readonly master: SrtpMaster;
}

/** Transforms of a leg that hold keys: to be ended with it. */
export interface SrtpTransforms extends LegTransforms {
  end(): void;
}

export interface SrtpProvider {
  readonly implementation: 'koffi' | 'node';
  /** `receive`: the far end's keys, `send`: our own. Throws where a key or salt is not as long as its profile says: keys are checked before. */
  transforms(receive: SrtpKeying, send: SrtpKeying): SrtpTransforms;
}

/** The fast implementation where it loads and agrees with the plain one, else the plain one. */
export async function loadSrtp(wanted: 'koffi' | 'node' = 'koffi'): Promise<SrtpProvider> {
  if (wanted === 'node') return providerOf(nodeCiphers);
  try {
    const fast = await loadKoffiCiphers();
    if (agrees(fast)) return providerOf(fast);
  } catch {
    // Not here: another system, or an OpenSSL without these functions.
  }
  return providerOf(nodeCiphers);
}

export const keyStream: KeyStream = (key, iv, length) =>
  createCipheriv(key.length === 32 ? 'aes-256-ctr' : 'aes-128-ctr', key, iv).update(new Uint8Array(length));

export function rtpDirection(keying: SrtpKeying, maker: CipherMaker): SrtpDirection {
  const profile = checked(keying);
  return new SrtpDirection(profile, deriveSessionKeys(profile, keying.master, LABEL_RTP, keyStream), maker);
}

export function rtcpDirection(keying: SrtpKeying, maker: CipherMaker): SrtcpDirection {
  const profile = checked(keying);
  return new SrtcpDirection(profile, deriveSessionKeys(profile, keying.master, LABEL_RTCP, keyStream), maker);
}

function providerOf(maker: CipherMaker): SrtpProvider {
  return {
    implementation: maker.implementation,
    transforms(receive, send) {
      const rtp = { receive: rtpDirection(receive, maker), send: rtpDirection(send, maker) };
      const rtcp = { receive: rtcpDirection(receive, maker), send: rtcpDirection(send, maker) };
      return {
        rtp: {
          unprotect: (bytes, offset, length) => rtp.receive.unprotect(bytes, offset, length),
          protect: (bytes, offset, length) => rtp.send.protect(bytes, offset, length),
        },
        rtcp: {
          unprotect: (bytes, offset, length) => rtcp.receive.unprotect(bytes, offset, length),
          protect: (bytes, offset, length) => rtcp.send.protect(bytes, offset, length),
        },
        end() {
          for (const direction of [rtp.receive, rtp.send, rtcp.receive, rtcp.send]) direction.end();
        },
      };
    },
  };
}

function checked({ profile, master }: SrtpKeying) {
  const wanted = SRTP_PROFILES[profile];
  if (master.key.length !== wanted.keyLength || master.salt.length !== wanted.saltLength)
    throw new Error(
      `${profile} wants a key of ${wanted.keyLength} and a salt of ${wanted.saltLength} octets`,
    );
  return wanted;
}

/** A packet of each profile, protected by both: memory laid out other than expected must not reach a call. */
function agrees(fast: CipherMaker): boolean {
  for (const name of Object.keys(SRTP_PROFILES) as SrtpProfileName[]) {
    const { keyLength, saltLength } = SRTP_PROFILES[name];
    const master = { key: pattern(keyLength, 3), salt: pattern(saltLength, 5) };
    const made = [fast, nodeCiphers].map((maker) => {
      const packet = Buffer.concat([Buffer.from('800012345678000000aabbcc00', 'hex'), pattern(240, 7)]);
      const direction = rtpDirection({ profile: name, master }, maker);
      const length = direction.protect(packet, 0, 173);
      direction.end();
      return packet.toString('hex', 0, length);
    });
    if (made[0] !== made[1]) return false;
  }
  return true;
}

function pattern(length: number, step: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, i) => (i * step + 1) & 0xff));
}
