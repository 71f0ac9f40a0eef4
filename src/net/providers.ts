/** The system's clock, randomness and hashes behind the interfaces that pure folders take as constructor arguments. */
import { createHash, createHmac, randomBytes, randomFillSync, timingSafeEqual } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { Crypto, Millis, Random, WallMillis } from '../machine/machine.ts';

export function monotonicNow(): Millis {
  return performance.now();
}

export function wallNow(): WallMillis {
  return Date.now();
}

/** Fetched from the system in pieces: a call asks for a dozen short values, and each question costs more than its octets. */
const POOL = 8192;
const pool = Buffer.alloc(POOL);
let poolAt = POOL;

/** Short values out of the pool; what was given is wiped there, so that it exists once. */
function pooled(length: number): Uint8Array {
  fill(length);
  const out = new Uint8Array(length);
  out.set(pool.subarray(poolAt, poolAt + length));
  pool.fill(0, poolAt, poolAt + length);
  poolAt += length;
  return out;
}

function fill(length: number): void {
  if (poolAt + length <= POOL) return;
  randomFillSync(pool);
  poolAt = 0;
}

/** As `pooled(4)`. */
function pooledUint32(): number {
  fill(4);
  const value = pool.readUInt32BE(poolAt);
  pool.writeUInt32BE(0, poolAt);
  poolAt += 4;
  return value;
}

export const systemRandom: Random = {
  bytes: (length) => (length <= 256 ? pooled(length) : plainBytes(randomBytes(length))),
  uint32: pooledUint32,
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
