import type { SipPeer } from './contract.ts';
import type { Core } from './core.ts';
import { answerChallenge, challengeValues, chooseChallenge, type DigestChallenge } from './digest.ts';
import { headerValues } from './header/access.ts';
import type { SipResponse } from './message.ts';
import type { HeaderPair } from './serialize.ts';

/** Challenges answered at most for one request, stale ones included. */
const MOST_ANSWERS = 4;

type Asked = 'WWW-Authenticate' | 'Proxy-Authenticate';

/**
 * Our digest credentials for one request (RFC 3261 22.2, 22.3). Only responses to that request get here, and their origin
 * was checked; a request's own challenge is never answered (SIP digest leak).
 */
export class Credentials {
  readonly #core: Core;
  readonly #credentials: SipPeer['credentials'];
  readonly #challenges = new Map<Asked, { readonly challenge: DigestChallenge; count: number }>();
  #answers = 0;

  constructor(core: Core, credentials: SipPeer['credentials']) {
    this.#core = core;
    this.#credentials = credentials;
  }

  /**
   * Takes the challenge of a 401 or 407. True where the request may be sent again: it is of our realm, and the same
   * question was not answered before (unless the nonce was only stale).
   */
  learn(response: SipResponse): boolean {
    const asked: Asked = response.status === 401 ? 'WWW-Authenticate' : 'Proxy-Authenticate';
    if (this.#credentials === undefined || this.#answers >= MOST_ANSWERS) return false;
    const values = challengeValues(headerValues(response, asked));
    const challenge = chooseChallenge(values, this.#credentials.realm);
    if (challenge === undefined) return false;
    if (this.#challenges.has(asked) && !challenge.stale) return false; // refused, not asked
    this.#challenges.set(asked, { challenge, count: 0 });
    this.#answers++;
    return true;
  }

  /** Headers for the next try. */
  answer(method: string, uri: string): HeaderPair[] {
    if (this.#credentials === undefined) return [];
    const out: HeaderPair[] = [];
    for (const [asked, known] of this.#challenges) {
      known.count++;
      const cnonce = this.#core.token(8);
      out.push([
        asked === 'WWW-Authenticate' ? 'Authorization' : 'Proxy-Authorization',
        answerChallenge(this.#core.options.crypto, known.challenge, this.#credentials, {
          method,
          uri,
          cnonce,
          nc: known.count,
        }),
      ]);
    }
    return out;
  }
}
