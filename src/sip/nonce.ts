/**
 * Server nonces for digest authentication (RFC 7616 3.3, 5.5). A nonce proves itself: time and serial with an HMAC of
 * them, so nothing is stored until it is used once; then its nonce counts are remembered against replay.
 */
import { fromHex, latin1Bytes, toHex } from '../bytes/text.ts';
import type { Crypto, WallMillis } from '../machine/machine.ts';

/** `stale`: ours, but expired or forgotten: challenge again with stale=true. */
export type NonceVerdict = 'fresh' | 'stale' | 'replayed' | 'foreign';

export interface NonceOptions {
  readonly lifetimeMs: number; // default 300 000
  /** Nonces in use that are remembered; the least recently used one goes, and counts as stale from then on. */
  readonly capacity: number; // default 10 000
}

interface Use {
  highest: number;
  /** Bit i: count `highest - i` was seen; so datagrams that overtake each other are no replay. */
  seen: number;
}

const WINDOW = 32;

export class NonceBook {
  readonly #crypto: Crypto;
  readonly #key: Uint8Array;
  readonly #options: NonceOptions;
  #serial = 0;
  /** In order of use, oldest first. */
  readonly #used = new Map<string, Use>();
  /** Nonces issued before this are stale: their use may have been forgotten. */
  #forgottenBefore = 0;

  /** `key`: 32 random octets of this process. */
  constructor(crypto: Crypto, key: Uint8Array, options: Partial<NonceOptions> = {}) {
    this.#crypto = crypto;
    this.#key = key;
    this.#options = { lifetimeMs: 300_000, capacity: 10_000, ...options };
  }

  get size(): number {
    return this.#used.size;
  }

  /** A new nonce, 52 hex digits; `context` (realm, or realm and source) must be the same at `check`. */
  issue(wall: WallMillis, context: string): string {
    const stamp = Math.floor(wall).toString(16).padStart(12, '0').slice(-12);
    this.#serial = (this.#serial + 1) >>> 0;
    const head = stamp + this.#serial.toString(16).padStart(8, '0');
    return head + this.#seal(head, context);
  }

  /** Marks the count as used where fresh. Call it before the password is verified, with what the proof says. */
  check(nonce: string, count: number, wall: WallMillis, context: string): NonceVerdict {
    if (nonce.length !== 52 || fromHex(nonce) === undefined) return 'foreign';
    const head = nonce.slice(0, 20);
    if (!this.#crypto.equal(latin1Bytes(this.#seal(head, context)), latin1Bytes(nonce.slice(20))))
      return 'foreign';
    const issued = Number.parseInt(head.slice(0, 12), 16);
    if (wall - issued > this.#options.lifetimeMs || issued > wall + 1000) return 'stale';
    const use = this.#used.get(nonce);
    if (use === undefined && issued < this.#forgottenBefore) return 'stale';
    if (count < 1) return 'replayed';
    return this.#mark(nonce, use ?? { highest: 0, seen: 0 }, count) ? 'fresh' : 'replayed';
  }

  #mark(nonce: string, use: Use, count: number): boolean {
    const ahead = count - use.highest;
    if (ahead > 0) {
      use.seen = ahead >= WINDOW ? 1 : (use.seen << ahead) | 1;
      use.highest = count;
    } else {
      if (-ahead >= WINDOW || (use.seen & (1 << -ahead)) !== 0) return false;
      use.seen |= 1 << -ahead;
    }
    this.#used.delete(nonce);
    this.#used.set(nonce, use);
    if (this.#used.size > this.#options.capacity) this.#forget();
    return true;
  }

  #forget(): void {
    const oldest = this.#used.keys().next().value;
    if (oldest === undefined) return;
    this.#used.delete(oldest);
    this.#forgottenBefore = Math.max(this.#forgottenBefore, Number.parseInt(oldest.slice(0, 12), 16) + 1);
  }

  #seal(head: string, context: string): string {
    return toHex(this.#crypto.hmac('sha256', this.#key, latin1Bytes(`${head}\n${context}`)).subarray(0, 16));
  }
}
