/** A user agent's digest answer, computed by hand (RFC 7616 3.4) against what the gateway's own code makes of it. */
import { createHash } from 'node:crypto';

export class DigestAnswer {
  readonly #username: string;
  readonly #password: string;
  #count = 0;

  constructor(username: string, password: string) {
    this.#username = username;
    this.#password = password;
  }

  /** The Authorization value for the first challenge of a 401. */
  answer(response: string, method: string, uri: string): string {
    const challenge = /^WWW-Authenticate: (.*)\r$/m.exec(response)![1]!;
    const field = (name: string): string => new RegExp(`${name}="?([^",]+)`).exec(challenge)![1]!;
    const algorithm = field('algorithm');
    const hash = (text: string): string =>
      createHash(algorithm === 'MD5' ? 'md5' : 'sha256')
        .update(text)
        .digest('hex');
    const [realm, nonce] = [field('realm'), field('nonce')];
    const nc = (++this.#count).toString(16).padStart(8, '0');
    const a1 = hash(`${this.#username}:${realm}:${this.#password}`);
    const a2 = hash(`${method}:${uri}`);
    const proof = hash(`${a1}:${nonce}:${nc}:0a4f113b:auth:${a2}`);
    return (
      `Digest username="${this.#username}", realm="${realm}", nonce="${nonce}", uri="${uri}", response="${proof}", ` +
      `algorithm=${algorithm}, cnonce="0a4f113b", qop=auth, nc=${nc}`
    );
  }
}
