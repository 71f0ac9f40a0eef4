/**
 * Digest authentication (RFC 7616, RFC 8760, RFC 3261 22) with MD5 and SHA-256, qop=auth. Client: parseChallenge,
 * chooseChallenge, answerChallenge. Server: NonceBook and makeChallenge, parseProof, NonceBook.check, verifyProof.
 */
import { latin1Bytes, toHex } from '../bytes/text.ts';
import type { Crypto, HashName } from '../machine/machine.ts';
import type { SipDigestProof } from './contract.ts';
import { formatAuth, parseAuth } from './header/credentials.ts';
import { splitList } from './header/list.ts';
import { encodeText } from './header/text.ts';
import { sameHost } from './host.ts';
import type { SipUri } from './message.ts';
import { parseUri } from './uri.ts';

export type DigestAlgorithm = 'MD5' | 'SHA-256';

const HASHES: Readonly<Record<DigestAlgorithm, HashName>> = { MD5: 'md5', 'SHA-256': 'sha256' };

export interface DigestChallenge {
  readonly realm: string;
  readonly nonce: string;
  readonly algorithm: DigestAlgorithm;
  /** Whether qop=auth was offered; without it RFC 2069's form is answered. */
  readonly qop: boolean;
  readonly opaque?: string;
  readonly stale: boolean;
}

export interface DigestCredentials {
  readonly username: string;
  readonly password: string;
}

/** The value of WWW-Authenticate or Proxy-Authenticate. One header per algorithm, the preferred one first (RFC 8760 2.4). */
export function makeChallenge(challenge: {
  readonly realm: string;
  readonly nonce: string;
  readonly algorithm: DigestAlgorithm;
  readonly stale?: boolean;
}): string {
  const parameters: [string, string][] = [
    ['realm', challenge.realm],
    ['nonce', challenge.nonce],
    ['algorithm', challenge.algorithm],
    ['qop', 'auth'],
  ];
  if (challenge.stale === true) parameters.push(['stale', 'true']);
  return formatAuth('Digest', parameters, ['algorithm', 'stale']);
}

/** Undefined where it is no Digest challenge, or one with an algorithm or only with a qop that we do not do. */
export function parseChallenge(value: string): DigestChallenge | undefined {
  const auth = parseAuth(value);
  if (auth?.scheme !== 'digest') return undefined;
  const { parameters } = auth;
  const realm = parameters.get('realm');
  const nonce = parameters.get('nonce');
  const algorithm = algorithmOf(parameters.get('algorithm'));
  if (realm === undefined || nonce === undefined || nonce.length > 1024 || algorithm === undefined)
    return undefined;
  const qop = parameters.get('qop');
  const offered = qop === undefined ? [] : qop.toLowerCase().split(/[ \t]*,[ \t]*/);
  if (qop !== undefined && !offered.includes('auth')) return undefined;
  const opaque = parameters.get('opaque');
  return {
    realm,
    nonce,
    algorithm,
    qop: qop !== undefined,
    ...(opaque === undefined ? {} : { opaque }),
    stale: parameters.get('stale')?.toLowerCase() === 'true',
  };
}

/** Absent means MD5 (RFC 7616 3.3). */
function algorithmOf(name: string | undefined): DigestAlgorithm | undefined {
  switch (name?.toUpperCase() ?? 'MD5') {
    case 'MD5':
      return 'MD5';
    case 'SHA-256':
      return 'SHA-256';
    default:
      return undefined;
  }
}

/** Of several challenge values the one to answer: SHA-256 before MD5, of the wanted realm where one is given. */
export function chooseChallenge(values: readonly string[], realm?: string): DigestChallenge | undefined {
  let best: DigestChallenge | undefined;
  for (const value of values.slice(0, 16)) {
    const challenge = parseChallenge(value);
    if (challenge === undefined || (realm !== undefined && challenge.realm !== encodeText(realm))) continue;
    if (best === undefined || (best.algorithm === 'MD5' && challenge.algorithm === 'SHA-256'))
      best = challenge;
  }
  return best;
}

/** The value of Authorization or Proxy-Authorization. `uri` as in the Request-Line; `nc` counts 1, 2, ... per nonce. */
export function answerChallenge(
  crypto: Crypto,
  challenge: DigestChallenge,
  credentials: DigestCredentials,
  request: { readonly method: string; readonly uri: string; readonly cnonce: string; readonly nc: number },
): string {
  const nc = nonceCount(request.nc);
  const response = digestResponse(crypto, challenge.algorithm, {
    ha1: accountHash(crypto, challenge.algorithm, credentials, challenge.realm),
    nonce: challenge.nonce,
    method: request.method,
    uri: request.uri,
    ...(challenge.qop ? { nc, cnonce: request.cnonce } : {}),
  });
  const parameters: [string, string][] = [
    ['username', encodeText(credentials.username)],
    ['realm', challenge.realm],
    ['nonce', challenge.nonce],
    ['uri', request.uri],
    ['response', response],
    ['algorithm', challenge.algorithm],
  ];
  if (challenge.qop) parameters.push(['qop', 'auth'], ['nc', nc], ['cnonce', request.cnonce]);
  if (challenge.opaque !== undefined) parameters.push(['opaque', challenge.opaque]);
  return formatAuth('Digest', parameters, ['algorithm', 'qop', 'nc']);
}

/** H(A1): what may be stored instead of the password, hex. */
export function accountHash(
  crypto: Crypto,
  algorithm: DigestAlgorithm,
  credentials: DigestCredentials,
  realm: string,
): string {
  const { username, password } = credentials;
  return digest(crypto, algorithm, `${encodeText(username)}:${realm}:${encodeText(password)}`);
}

function digestResponse(
  crypto: Crypto,
  algorithm: DigestAlgorithm,
  input: {
    readonly ha1: string;
    readonly nonce: string;
    readonly method: string;
    readonly uri: string;
    readonly nc?: string;
    readonly cnonce?: string;
  },
): string {
  const ha2 = digest(crypto, algorithm, `${input.method}:${input.uri}`);
  const middle = input.cnonce === undefined ? input.nonce : `${input.nonce}:${input.nc}:${input.cnonce}:auth`;
  return digest(crypto, algorithm, `${input.ha1}:${middle}:${ha2}`);
}

function digest(crypto: Crypto, algorithm: DigestAlgorithm, text: string): string {
  return toHex(crypto.hash(HASHES[algorithm], latin1Bytes(text)));
}

function nonceCount(nc: number): string {
  return nc.toString(16).padStart(8, '0');
}

/**
 * Credentials of a request. Undefined where malformed, of another scheme or algorithm, over the limits, or without
 * qop=auth: we always offer it, and the older form has no replay protection. `method` is that of the request.
 */
export function parseProof(value: string, method: string): SipDigestProof | undefined {
  const auth = parseAuth(value);
  if (auth?.scheme !== 'digest') return undefined;
  const get = (name: string): string => auth.parameters.get(name) ?? '';
  const algorithm = algorithmOf(auth.parameters.get('algorithm'));
  const response = get('response').toLowerCase();
  if (algorithm === undefined || get('qop').toLowerCase() !== 'auth') return undefined;
  if (!(algorithm === 'MD5' ? /^[0-9a-f]{32}$/ : /^[0-9a-f]{64}$/).test(response)) return undefined;
  if (!/^[0-9a-fA-F]{8}$/.test(get('nc')) || get('cnonce') === '') return undefined;
  const proof: SipDigestProof = {
    algorithm,
    username: get('username'),
    realm: get('realm'),
    nonce: get('nonce'),
    uri: get('uri'),
    response,
    cnonce: get('cnonce'),
    nonceCount: Number.parseInt(get('nc'), 16),
    method,
  };
  const { username, realm, nonce, uri, cnonce } = proof;
  if (username === '' || nonce === '' || uri === '') return undefined;
  if ([username, realm, nonce, cnonce].some((text) => text.length > 256) || uri.length > 1024)
    return undefined;
  return proof;
}

/** The first usable proof among the Authorization values, of `realm` where given. */
export function findProof(
  values: readonly string[],
  method: string,
  realm?: string,
): SipDigestProof | undefined {
  for (const value of values.slice(0, 8)) {
    const proof = parseProof(value, method);
    if (proof !== undefined && (realm === undefined || proof.realm === encodeText(realm))) return proof;
  }
  return undefined;
}

/** Whether the proof was made with this secret. Compared in constant time. Nonce and replay are NonceBook's part. */
export function verifyProof(
  crypto: Crypto,
  proof: SipDigestProof,
  secret: DigestCredentials | { readonly ha1: string },
): boolean {
  const expected = digestResponse(crypto, proof.algorithm, {
    ha1: 'ha1' in secret ? secret.ha1 : accountHash(crypto, proof.algorithm, secret, proof.realm),
    nonce: proof.nonce,
    method: proof.method,
    uri: proof.uri,
    nc: nonceCount(proof.nonceCount),
    cnonce: proof.cnonce,
  });
  return crypto.equal(latin1Bytes(expected), latin1Bytes(proof.response));
}

/**
 * Whether the proof was made for a request to `uri` (RFC 7616 3.4.6: a proof taken from one request must not open another).
 * Parameters and port may differ, as devices sign shorter forms than they send.
 */
export function proofCovers(proof: SipDigestProof, uri: SipUri): boolean {
  const signed = parseUri(proof.uri);
  return signed !== undefined && signed.user === uri.user && sameHost(signed.host, uri.host);
}

/** All challenge values of a response (several may stand in one header; each begins with its scheme). */
export function challengeValues(headerValues: readonly string[]): string[] {
  const out: string[] = [];
  for (const value of headerValues) {
    for (const item of splitList(value, 64) ?? []) {
      if (out.length === 0 || /^[^ \t="]+[ \t]+[^ \t=]/.test(item)) out.push(item);
      else out[out.length - 1] += `, ${item}`;
    }
  }
  return out;
}
