/**
 * Digest authentication of requests to us (RFC 3261 22, RFC 8760): challenges without state, proofs given to the user, who
 * asks whoever holds the secrets. Nobody learns here whether an account exists.
 */
import type { Alarm } from '../machine/alarm.ts';
import type { SipCommand } from './contract.ts';
import type { Core, Source } from './core.ts';
import { findProof, makeChallenge, proofCovers } from './digest.ts';
import { headerValues } from './header/access.ts';
import { encodeText } from './header/text.ts';
import type { SipRequest } from './message.ts';
import { NonceBook } from './nonce.ts';
import type { HeaderPair } from './serialize.ts';

/** The user's answer comes within this time, else 503. Milliseconds. */
const ANSWER_LIMIT = 10_000;
const MOST_PENDING = 10_000;

export type Asked = NonNullable<ReturnType<Core['options']['decisions']['authenticate']>>;

/** What becomes of a request that must authenticate. */
export type Verdict =
  | { readonly kind: 'accepted'; readonly account: string | undefined }
  /** 401 with these headers. */
  | { readonly kind: 'challenge'; readonly headers: readonly HeaderPair[] }
  | { readonly kind: 'unavailable' };

interface Pending {
  readonly alarm: Alarm;
  readonly done: (verdict: Verdict) => void;
  readonly asked: Asked;
  readonly source: Source;
}

export class Authenticator {
  readonly #core: Core;
  readonly #nonces: NonceBook;
  readonly #pending = new Map<number, Pending>();
  #exchange = 0;

  constructor(core: Core) {
    this.#core = core;
    this.#nonces = new NonceBook(core.options.crypto, core.options.random.bytes(32));
  }

  get size(): number {
    return this.#pending.size;
  }

  /** At once: undefined where nothing is asked of this peer, a proof to be judged, or the challenge to answer with. */
  examine(request: SipRequest, source: Source) {
    const asked = this.#core.options.decisions.authenticate(source.peer);
    if (asked === undefined) return undefined;
    const proof = findProof(headerValues(request, 'Authorization'), request.method, asked.realm);
    if (proof === undefined || !asked.algorithms.includes(proof.algorithm)) {
      return { kind: 'challenge', headers: this.#challenge(asked, source, false) } as const;
    }
    // RFC 7616 3.4.6: a proof taken from one request must not open another. Its count is not spent.
    if (!proofCovers(proof, request.uri)) {
      this.#core.count('proof-uri', undefined, source.hop.remote);
      return { kind: 'challenge', headers: this.#challenge(asked, source, false) } as const;
    }
    const context = contextOf(asked, source);
    const verdict = this.#nonces.check(proof.nonce, proof.nonceCount, this.#core.now, context);
    if (verdict === 'fresh') return { kind: 'proof', proof, asked } as const;
    // A stale nonce, one of before our restart and a count used twice: the client may try again with a new one.
    this.#core.count(`nonce-${verdict}`, undefined, source.hop.remote);
    return { kind: 'challenge', headers: this.#challenge(asked, source, true) } as const;
  }

  /** Gives a proof to the user; `done` is called once, at the latest after 10 s. Returns how to call it off. */
  submit(
    found: { readonly proof: NonNullable<ReturnType<typeof findProof>>; readonly asked: Asked },
    source: Source,
    done: (verdict: Verdict) => void,
  ): () => void {
    if (this.#pending.size >= MOST_PENDING) {
      this.#core.count('authentications-full');
      done({ kind: 'unavailable' });
      return () => undefined;
    }
    this.#exchange = (this.#exchange % 0xffff_ffff) + 1;
    const exchange = this.#exchange;
    const alarm = this.#core.alarm(() => {
      this.#core.count('authentication-timeout');
      this.#settle(exchange, () => ({ kind: 'unavailable' }));
    });
    alarm.set(this.#core.now + ANSWER_LIMIT);
    this.#pending.set(exchange, { alarm, done, asked: found.asked, source });
    this.#core.event({
      kind: 'authenticate',
      exchange,
      peer: source.peer,
      proof: found.proof,
      remote: source.hop.remote,
    });
    return () => {
      alarm.set(undefined);
      this.#pending.delete(exchange);
    };
  }

  authenticated(command: Extract<SipCommand, { kind: 'authenticated' }>): void {
    const { exchange, outcome, account } = command;
    this.#settle(exchange, (pending) => {
      if (outcome === 'accepted') return { kind: 'accepted', account };
      this.#core.count('authentication-refused', undefined, pending.source.hop.remote);
      return { kind: 'challenge', headers: this.#challenge(pending.asked, pending.source, false) };
    });
  }

  #settle(exchange: number, verdict: (pending: Pending) => Verdict): void {
    const pending = this.#pending.get(exchange);
    if (pending === undefined) return;
    this.#pending.delete(exchange);
    pending.alarm.set(undefined);
    pending.done(verdict(pending));
  }

  #challenge(asked: Asked, source: Source, stale: boolean): HeaderPair[] {
    const nonce = this.#nonces.issue(this.#core.now, contextOf(asked, source));
    const realm = encodeText(asked.realm);
    return asked.algorithms.map(
      (algorithm): HeaderPair => ['WWW-Authenticate', makeChallenge({ realm, nonce, algorithm, stale })],
    );
  }
}

/** A nonce serves the source it was given to. The clock is the monotonic one: nonces end with this process anyway. */
function contextOf(asked: Asked, source: Source): string {
  return `${asked.realm}\n${source.hop.remote.ip}`;
}
