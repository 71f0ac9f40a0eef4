import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { Crypto } from '../machine/machine.ts';

/** What the lane hello needs of node:crypto. */
export const laneCrypto: Crypto = {
  hash: (name, data) =>
    createHash(name === 'sha512-256' ? 'sha512-256' : name)
      .update(data)
      .digest(),
  hmac: (name, key, data) => createHmac(name, key).update(data).digest(),
  equal: (a, b) => a.length === b.length && timingSafeEqual(a, b),
};
