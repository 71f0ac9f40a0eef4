/** What guards our gatekeeper against repetition and floods: answers given, and a rate for each source. Both tables are bounded. */

import { sameBytes } from '../../bytes/equal.ts';
import { TokenBucket } from '../../machine/token-bucket.ts';
import type { RasMessage } from '../asn1/h225-types.ts';
import type { Core } from '../core.ts';
import type { Credentials } from './security.ts';

/** Answers kept for repetitions of their request, and how long (milliseconds). */
const MOST_ANSWERS = 256;
const ANSWER_LIFE = 15_000;
/** Requests of one source: at once, and per second in the long run. */
const BURST = 30;
const PER_SECOND = 5;
const MOST_SOURCES = 2_000;

interface Kept {
  readonly request: Uint8Array;
  readonly answer: RasMessage;
  readonly credentials: Credentials | undefined;
}

/** A repeated request is answered as before: done twice it could mean something else, and its token counts once only. */
export class KeptAnswers {
  readonly #core: Core;
  readonly #kept = new Map<string, Kept & { readonly until: number }>();

  constructor(core: Core) {
    this.#core = core;
  }

  /** Octet for octet the same request under this key. */
  find(key: string, request: Uint8Array): Kept | undefined {
    const kept = this.#kept.get(key);
    return kept !== undefined && kept.until > this.#core.now && sameBytes(kept.request, request)
      ? kept
      : undefined;
  }

  add(key: string, kept: Kept): void {
    this.#kept.delete(key);
    this.#kept.set(key, { ...kept, until: this.#core.now + ANSWER_LIFE });
    if (this.#kept.size > MOST_ANSWERS) this.#kept.delete(this.#kept.keys().next().value!);
  }
}

export class SourceLimit {
  readonly #core: Core;
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(core: Core) {
    this.#core = core;
  }

  allows(ip: string): boolean {
    const { now } = this.#core;
    const bucket = this.#buckets.get(ip) ?? new TokenBucket(BURST, PER_SECOND, now);
    this.#buckets.delete(ip);
    this.#buckets.set(ip, bucket); // newest last: the oldest goes first
    if (this.#buckets.size > MOST_SOURCES) this.#buckets.delete(this.#buckets.keys().next().value!);
    return bucket.take(now);
  }
}
