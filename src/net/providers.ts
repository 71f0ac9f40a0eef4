/** The system's clock, randomness and hashes behind the interfaces that pure folders take as constructor arguments. */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { Crypto, Millis, Random, WallMillis } from '../machine/machine.ts';

export function monotonicNow(): Millis {
  return performance.now();
}

export function wallNow(): WallMillis {
  return Date.now();
}

export const systemRandom: Random = {
  bytes: (length) => plainBytes(randomBytes(length)),
  uint32: () => randomBytes(4).readUInt32BE(),
};

export const systemCrypto: Crypto = {
  hash: (name, data) => plainBytes(createHash(name).update(data).digest()),
  hmac: (name, key, data) => plainBytes(createHmac(name, key).update(data).digest()),
  equal: (a, b) => a.length === b.length && timingSafeEqual(a, b),
};

/**
 * A Buffer as what pure code expects: `Buffer.slice` is a view where `Uint8Array.slice` is a copy, so no Buffer leaves `net`.
 * Shares memory with its argument.
 */
export function plainBytes(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}
