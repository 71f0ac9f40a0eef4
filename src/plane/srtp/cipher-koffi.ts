import { defineAll, loadNative } from '../native.ts';
import {
  type CipherMaker,
  type CounterCipher,
  type GaloisCipher,
  GCM_TAG,
  type SealedPart,
} from './cipher.ts';

/** OpenSSL's functions as plain functions of numbers; addresses are given raw, so that a call allocates nothing. */
interface OpenSsl {
  EVP_CIPHER_CTX_new(): number;
  EVP_CIPHER_CTX_free(context: number): void;
  EVP_CipherInit_ex(
    context: number,
    cipher: number,
    engine: number,
    key: number,
    iv: number,
    encrypt: number,
  ): number;
  EVP_CipherUpdate(context: number, out: number, outLength: number, input: number, length: number): number;
  EVP_CipherFinal_ex(context: number, out: number, outLength: number): number;
  EVP_CIPHER_CTX_ctrl(context: number, command: number, argument: number, pointer: number): number;
  SHA1_Init(context: number): number;
  SHA1_Update(context: number, data: number, length: number): number;
  SHA1_Final(digest: number, context: number): number;
}

const SIGNATURES: Readonly<Record<keyof OpenSsl, string>> = {
  EVP_CIPHER_CTX_new: 'uintptr_t EVP_CIPHER_CTX_new()',
  EVP_CIPHER_CTX_free: 'void EVP_CIPHER_CTX_free(uintptr_t)',
  EVP_CipherInit_ex: 'int EVP_CipherInit_ex(uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, int)',
  EVP_CipherUpdate: 'int EVP_CipherUpdate(uintptr_t, uintptr_t, uintptr_t, uintptr_t, int)',
  EVP_CipherFinal_ex: 'int EVP_CipherFinal_ex(uintptr_t, uintptr_t, uintptr_t)',
  EVP_CIPHER_CTX_ctrl: 'int EVP_CIPHER_CTX_ctrl(uintptr_t, int, int, uintptr_t)',
  SHA1_Init: 'int SHA1_Init(uintptr_t)',
  SHA1_Update: 'int SHA1_Update(uintptr_t, uintptr_t, size_t)',
  SHA1_Final: 'int SHA1_Final(uintptr_t, uintptr_t)',
};

// openssl/evp.h
const EVP_CTRL_AEAD_GET_TAG = 0x10;
const EVP_CTRL_AEAD_SET_TAG = 0x11;
const KEEP = -1; // direction as it was

// The arena: what every cipher uses in turn. No call lasts longer than itself.
const AT_OUT_LENGTH = 0;
const AT_IV = 16;
const AT_TRAILER = 32;
const AT_DIGEST = 48; // 20 octets
const AT_SCRATCH = 80; // keys while they are set, and what GCM's final writes: nothing
const AT_STATE = 192;
const ARENA = 320;
/** SHA_CTX (openssl/sha.h): five words, the length, a block, two counters. */
const STATE_WORDS = 24;
const BLOCK = 64;

/** What all ciphers use. */
interface Shared {
  readonly ssl: OpenSsl;
  readonly ciphers: Readonly<Record<'aes-128-ctr' | 'aes-256-ctr' | 'aes-128-gcm' | 'aes-256-gcm', number>>;
  readonly arena: Uint8Array;
  readonly at: number;
  /** SHA_CTX in the arena. */
  readonly state: Int32Array;
  address(bytes: Uint8Array): number;
}

/** The OpenSSL inside the node binary (or the system's, where node uses that). Rejects where it cannot be reached. */
export async function loadKoffiCiphers(): Promise<CipherMaker> {
  const shared = await loadShared();
  return {
    implementation: 'koffi',
    counter: (key, auth) => new KoffiCounter(shared, key, auth),
    galois: (key) => new KoffiGalois(shared, key),
  };
}

async function loadShared(): Promise<Shared> {
  const native = await loadNative();
  const cipher = (name: string): number => native.define<() => number>(`uintptr_t ${name}()`)();
  const { bytes: arena, address: at } = native.allocate(ARENA);
  let last: Uint8Array = arena;
  let lastAt = at;
  return {
    ssl: defineAll<OpenSsl>(native, SIGNATURES),
    ciphers: {
      'aes-128-ctr': cipher('EVP_aes_128_ctr'),
      'aes-256-ctr': cipher('EVP_aes_256_ctr'),
      'aes-128-gcm': cipher('EVP_aes_128_gcm'),
      'aes-256-gcm': cipher('EVP_aes_256_gcm'),
    },
    arena,
    at,
    state: new Int32Array(arena.buffer, arena.byteOffset + AT_STATE, STATE_WORDS),
    // A plane has one buffer for each direction.
    address: (bytes) => {
      if (bytes !== last) {
        last = bytes;
        lastAt = native.addressOf(bytes);
      }
      return lastAt;
    },
  };
}

/** A keyed context; `cipher` by its name. */
function keyed(shared: Shared, cipher: keyof Shared['ciphers'], key: Uint8Array): number {
  const { ssl, arena, at } = shared;
  const context = ssl.EVP_CIPHER_CTX_new();
  arena.set(key, AT_SCRATCH);
  const done = ssl.EVP_CipherInit_ex(context, shared.ciphers[cipher], 0, at + AT_SCRATCH, 0, 1);
  arena.fill(0, AT_SCRATCH, AT_SCRATCH + key.length);
  if (done !== 1) throw new Error(`OpenSSL does not take a key for ${cipher}`);
  return context;
}

class KoffiCounter implements CounterCipher {
  readonly kind = 'cm';
  readonly iv: Uint8Array;
  readonly digest: Uint8Array;
  readonly #shared: Shared;
  readonly #context: number;
  /** Hash states after the first block of the inner and the outer hash (RFC 2104 4). */
  readonly #inner: Int32Array;
  readonly #outer: Int32Array;

  constructor(shared: Shared, key: Uint8Array, auth: Uint8Array) {
    this.#shared = shared;
    this.iv = shared.arena.subarray(AT_IV, AT_IV + 16);
    this.digest = shared.arena.subarray(AT_DIGEST, AT_DIGEST + 20);
    this.#context = keyed(shared, key.length === 32 ? 'aes-256-ctr' : 'aes-128-ctr', key);
    this.#inner = this.#padded(auth, 0x36);
    this.#outer = this.#padded(auth, 0x5c);
  }

  crypt(bytes: Uint8Array, start: number, length: number): void {
    const { ssl, at } = this.#shared;
    const data = this.#shared.address(bytes) + start;
    ssl.EVP_CipherInit_ex(this.#context, 0, 0, 0, at + AT_IV, KEEP);
    ssl.EVP_CipherUpdate(this.#context, data, at + AT_OUT_LENGTH, data, length);
  }

  authenticate(bytes: Uint8Array, start: number, length: number): void {
    const { ssl, at, state } = this.#shared;
    const data = this.#shared.address(bytes) + start;
    copyWords(this.#inner, state);
    ssl.SHA1_Update(at + AT_STATE, data, length);
    ssl.SHA1_Final(at + AT_DIGEST, at + AT_STATE);
    copyWords(this.#outer, state);
    ssl.SHA1_Update(at + AT_STATE, at + AT_DIGEST, 20);
    ssl.SHA1_Final(at + AT_DIGEST, at + AT_STATE);
  }

  end(): void {
    this.#shared.ssl.EVP_CIPHER_CTX_free(this.#context);
    this.#inner.fill(0);
    this.#outer.fill(0);
  }

  #padded(auth: Uint8Array, pad: number): Int32Array {
    const { ssl, arena, at, state } = this.#shared;
    for (let i = 0; i < BLOCK; i++) arena[AT_SCRATCH + i] = (auth[i] ?? 0) ^ pad;
    ssl.SHA1_Init(at + AT_STATE);
    ssl.SHA1_Update(at + AT_STATE, at + AT_SCRATCH, BLOCK);
    arena.fill(0, AT_SCRATCH, AT_SCRATCH + BLOCK);
    return state.slice();
  }
}

class KoffiGalois implements GaloisCipher {
  readonly kind = 'gcm';
  readonly iv: Uint8Array;
  readonly #shared: Shared;
  readonly #context: number;

  constructor(shared: Shared, key: Uint8Array) {
    this.#shared = shared;
    this.iv = shared.arena.subarray(AT_IV, AT_IV + 12);
    this.#context = keyed(shared, key.length === 32 ? 'aes-256-gcm' : 'aes-128-gcm', key);
  }

  seal(bytes: Uint8Array, part: SealedPart): void {
    const { ssl, at } = this.#shared;
    const data = this.#begin(bytes, part, 1);
    const tag = data + part.start + part.length;
    ssl.EVP_CipherFinal_ex(this.#context, at + AT_SCRATCH, at + AT_OUT_LENGTH);
    ssl.EVP_CIPHER_CTX_ctrl(this.#context, EVP_CTRL_AEAD_GET_TAG, GCM_TAG, tag);
  }

  open(bytes: Uint8Array, part: SealedPart): boolean {
    const { ssl, at } = this.#shared;
    const data = this.#begin(bytes, part, 0);
    const tag = data + part.start + part.length;
    ssl.EVP_CIPHER_CTX_ctrl(this.#context, EVP_CTRL_AEAD_SET_TAG, GCM_TAG, tag);
    return ssl.EVP_CipherFinal_ex(this.#context, at + AT_SCRATCH, at + AT_OUT_LENGTH) === 1;
  }

  end(): void {
    this.#shared.ssl.EVP_CIPHER_CTX_free(this.#context);
  }

  #begin(bytes: Uint8Array, part: SealedPart, encrypt: 0 | 1): number {
    const { ssl, arena, at } = this.#shared;
    const context = this.#context;
    const data = this.#shared.address(bytes);
    const out = at + AT_OUT_LENGTH;
    ssl.EVP_CipherInit_ex(context, 0, 0, 0, at + AT_IV, encrypt);
    ssl.EVP_CipherUpdate(context, 0, out, data + part.clear, part.clearLength);
    if (part.hasTrailer) {
      for (let i = 0; i < 4; i++) arena[AT_TRAILER + i] = part.trailer[i]!;
      ssl.EVP_CipherUpdate(context, 0, out, at + AT_TRAILER, 4);
    }
    const start = data + part.start;
    // Nothing to encrypt is no update: OpenSSL takes one with no octets for the end.
    if (part.length > 0) ssl.EVP_CipherUpdate(context, start, out, start, part.length);
    return data;
  }
}

/** As many words as a loop of this size copies faster than a view. */
function copyWords(from: Int32Array, to: Int32Array): void {
  for (let i = 0; i < STATE_WORDS; i++) to[i] = from[i]!;
}
