/**
 * H.235.1 (H.235 Annex D), procedure I: every RAS message bears an HMAC-SHA1-96 over the whole of itself, keyed with the SHA-1 of a
 * password, with the hash's own octets taken as zero.
 */
import { utf8Bytes } from '../../bytes/text.ts';
import type { CryptoH323Token, RasMessage } from '../asn1/h225-types.ts';
import type { Core } from '../core.ts';
import { encodeRas } from '../messages.ts';

/** Token, ClearToken and algorithm of H.235 version 2; version 1 has the arc 1 in place of 2. */
const TOKEN_OID = /^0\.0\.8\.235\.0\.[12]\.1$/;
const CLEAR_OID = /^0\.0\.8\.235\.0\.[12]\.5$/;
const HMAC_OID = /^0\.0\.8\.235\.0\.[12]\.6$/;
const TOKEN = '0.0.8.235.0.2.1';
const CLEAR = '0.0.8.235.0.2.5';
const HMAC = '0.0.8.235.0.2.6';
const HASH_OCTETS = 12;
/** Clocks may differ by this, seconds; and so long a token is remembered. */
const WINDOW_SECONDS = 120;
/** Tokens of one sender that are remembered. More within the window would be a flood: refused. */
const MOST_SEEN = 512;
/** Places in a message where the hash's octets are looked for. */
const MOST_PLACES = 8;

export interface Credentials {
  readonly password: string;
  /** Us. */
  readonly sendersID: string;
  /** The receiver, where known. */
  readonly generalID?: string | undefined;
}

function keyOf(core: Core, password: string): Uint8Array {
  return core.options.crypto.hash('sha1', utf8Bytes(password));
}

/** A RAS message of ours with its token, encoded. A new token each time: a repetition is no replay. */
export function signed(core: Core, message: RasMessage, credentials: Credentials | undefined): Uint8Array {
  if (credentials === undefined) return encodeRas(message);
  const { crypto, random, wall } = core.options;
  const timeStamp = Math.max(1, Math.min(0xffffffff, Math.floor(wall() / 1000)));
  const salt = random.uint32() >>> 1;
  const zero = encodeRas(withHash(message, credentials, timeStamp, salt, 0));
  const ones = encodeRas(withHash(message, credentials, timeStamp, salt, 255));
  // The two differ in the hash alone: that is where it stands.
  const at = zero.findIndex((octet, i) => octet !== ones[i]);
  const mac = crypto.hmac('sha1', keyOf(core, credentials.password), zero);
  zero.set(mac.subarray(0, HASH_OCTETS), at);
  return zero;
}

function withHash(
  message: RasMessage,
  credentials: Credentials,
  timeStamp: number,
  random: number,
  fill: number,
): RasMessage {
  const { generalID, sendersID } = credentials;
  const token: CryptoH323Token = {
    choice: 'nestedcryptoToken',
    value: {
      choice: 'cryptoHashedToken',
      value: {
        tokenOID: TOKEN,
        hashedVals: {
          tokenOID: CLEAR,
          timeStamp,
          random,
          ...(generalID === undefined ? {} : { generalID }),
          sendersID,
        },
        token: {
          algorithmOID: HMAC,
          paramS: {},
          hash: { bits: 8 * HASH_OCTETS, bytes: new Uint8Array(HASH_OCTETS).fill(fill) },
        },
      },
    },
  };
  return { choice: message.choice, value: { ...message.value, cryptoTokens: [token] } } as RasMessage;
}

/** What one sender's tokens were: a token counts once. */
export class ReplayWindow {
  readonly #seen = new Map<string, number>();

  /** False: seen before, or too many to tell. Seconds. */
  accept(timeStamp: number, random: string, now: number): boolean {
    for (const [key, at] of this.#seen) {
      if (at >= now - WINDOW_SECONDS) break;
      this.#seen.delete(key);
    }
    const key = `${timeStamp} ${random}`;
    if (this.#seen.has(key) || this.#seen.size >= MOST_SEEN) return false;
    this.#seen.set(key, now);
    return true;
  }
}

export type Verdict = 'good' | 'missing' | 'wrong' | 'time' | 'replay';

/** The sender's id a message claims, where it bears a token of this kind. Believed only after `verify`. */
export function claimedSender(message: RasMessage): string | undefined {
  return hashedToken(message)?.hashedVals.sendersID;
}

function hashedToken(message: RasMessage) {
  if (message.choice === 'unknown' || message.value === null) return undefined;
  const { cryptoTokens } = message.value as { readonly cryptoTokens?: readonly CryptoH323Token[] };
  for (const token of (cryptoTokens ?? []).slice(0, 8)) {
    if (token.choice !== 'nestedcryptoToken' || token.value.choice !== 'cryptoHashedToken') continue;
    const { value } = token.value;
    if (!TOKEN_OID.test(value.tokenOID) || !CLEAR_OID.test(value.hashedVals.tokenOID)) continue;
    if (HMAC_OID.test(value.token.algorithmOID) && value.token.hash.bits === 8 * HASH_OCTETS) return value;
  }
  return undefined;
}

/** Checks a received message against a password. `bytes`: the datagram as received. Order: hash first, then state. */
export function verify(
  core: Core,
  bytes: Uint8Array,
  message: RasMessage,
  expected: {
    readonly password: string;
    /** Us, as the sender should name its receiver. */
    readonly generalID?: readonly string[];
    readonly window: ReplayWindow;
  },
): Verdict {
  const token = hashedToken(message);
  if (token === undefined) return 'missing';
  const { timeStamp, random, generalID } = token.hashedVals;
  if (!hashFits(core, bytes, token.token.hash.bytes, expected.password)) return 'wrong';
  const allowed = expected.generalID;
  if (generalID !== undefined && allowed !== undefined && !allowed.includes(generalID)) return 'wrong';
  const now = Math.floor(core.options.wall() / 1000);
  if (timeStamp === undefined || Math.abs(timeStamp - now) > WINDOW_SECONDS) return 'time';
  return expected.window.accept(timeStamp, String(random ?? ''), now) ? 'good' : 'replay';
}

function hashFits(core: Core, bytes: Uint8Array, hash: Uint8Array, password: string): boolean {
  const { crypto } = core.options;
  const key = keyOf(core, password);
  let places = 0;
  for (let at = bytes.length - HASH_OCTETS; at >= 0 && places < MOST_PLACES; at--) {
    if (!hash.every((octet, i) => bytes[at + i] === octet)) continue;
    places++;
    const zeroed = Uint8Array.from(bytes); // a copy also of what only looks like an array (a Buffer's slice is a view)
    zeroed.fill(0, at, at + HASH_OCTETS);
    const mac = crypto.hmac('sha1', key, zeroed).subarray(0, HASH_OCTETS);
    if (crypto.equal(mac, hash)) return true;
  }
  return false;
}
