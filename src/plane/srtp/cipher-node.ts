import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';
import {
  type CipherMaker,
  type CounterCipher,
  type GaloisCipher,
  GCM_TAG,
  type SealedPart,
} from './cipher.ts';

/** The plain implementation, on node:crypto: used where koffi cannot load, and the oracle in tests. */
export const nodeCiphers: CipherMaker = {
  implementation: 'node',
  counter: (key, auth) => new NodeCounter(key, auth),
  galois: (key) => new NodeGalois(key),
};

class NodeCounter implements CounterCipher {
  readonly kind = 'cm';
  readonly iv = new Uint8Array(16);
  readonly digest = new Uint8Array(20);
  readonly #name: 'aes-128-ctr' | 'aes-256-ctr';
  readonly #key: Uint8Array;
  readonly #auth: Uint8Array;

  constructor(key: Uint8Array, auth: Uint8Array) {
    this.#name = key.length === 32 ? 'aes-256-ctr' : 'aes-128-ctr';
    this.#key = key.slice();
    this.#auth = auth.slice();
  }

  crypt(bytes: Uint8Array, start: number, length: number): void {
    const cipher = createCipheriv(this.#name, this.#key, this.iv);
    bytes.set(cipher.update(bytes.subarray(start, start + length)), start);
  }

  authenticate(bytes: Uint8Array, start: number, length: number): void {
    const hmac = createHmac('sha1', this.#auth);
    this.digest.set(hmac.update(bytes.subarray(start, start + length)).digest());
  }

  end(): void {
    this.#key.fill(0);
    this.#auth.fill(0);
  }
}

class NodeGalois implements GaloisCipher {
  readonly kind = 'gcm';
  readonly iv = new Uint8Array(12);
  readonly #name: 'aes-128-gcm' | 'aes-256-gcm';
  readonly #key: Uint8Array;

  constructor(key: Uint8Array) {
    this.#name = key.length === 32 ? 'aes-256-gcm' : 'aes-128-gcm';
    this.#key = key.slice();
  }

  seal(bytes: Uint8Array, part: SealedPart): void {
    const cipher = createCipheriv(this.#name, this.#key, this.iv);
    cipher.setAAD(associated(bytes, part));
    bytes.set(cipher.update(bytes.subarray(part.start, part.start + part.length)), part.start);
    cipher.final();
    bytes.set(cipher.getAuthTag(), part.start + part.length);
  }

  open(bytes: Uint8Array, part: SealedPart): boolean {
    const end = part.start + part.length;
    const decipher = createDecipheriv(this.#name, this.#key, this.iv, { authTagLength: GCM_TAG });
    decipher.setAAD(associated(bytes, part));
    decipher.setAuthTag(bytes.subarray(end, end + GCM_TAG));
    const plain = decipher.update(bytes.subarray(part.start, end));
    try {
      decipher.final();
    } catch {
      return false;
    }
    bytes.set(plain, part.start);
    return true;
  }

  end(): void {
    this.#key.fill(0);
  }
}

function associated(bytes: Uint8Array, part: SealedPart): Uint8Array {
  const clear = bytes.subarray(part.clear, part.clear + part.clearLength);
  return part.hasTrailer ? Buffer.concat([clear, part.trailer]) : clear;
}
