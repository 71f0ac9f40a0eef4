import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemCrypto } from '../net/providers.ts';
import {
  accountHash,
  answerChallenge,
  challengeValues,
  chooseChallenge,
  type DigestAlgorithm,
  findProof,
  makeChallenge,
  parseChallenge,
  parseProof,
  proofCovers,
  verifyProof,
} from './digest.ts';
import { parseAuth } from './header/credentials.ts';
import { NonceBook } from './nonce.ts';
import { parseUri } from './uri.ts';

/** RFC 7616 3.9.1. */
const MUFASA = { username: 'Mufasa', password: 'Circle of Life' };
const NONCE = '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v';
const CNONCE = 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ';
const OPAQUE = 'FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS';
const VECTORS: Readonly<Record<DigestAlgorithm, string>> = {
  MD5: '8ca523f5e9506fed4657c9700eebdbec',
  'SHA-256': '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1',
};

for (const algorithm of ['MD5', 'SHA-256'] as const) {
  test(`RFC 7616 3.9.1: the example with ${algorithm}`, () => {
    const challenge = parseChallenge(
      `Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=${algorithm}, nonce="${NONCE}", opaque="${OPAQUE}"`,
    );
    assert.ok(challenge);
    const answer = answerChallenge(systemCrypto, challenge, MUFASA, {
      method: 'GET',
      uri: '/dir/index.html',
      cnonce: CNONCE,
      nc: 1,
    });
    const parameters = parseAuth(answer)?.parameters;
    assert.equal(parameters?.get('response'), VECTORS[algorithm]);
    assert.equal(parameters?.get('opaque'), OPAQUE);
    const proof = parseProof(answer, 'GET');
    assert.ok(proof);
    assert.ok(verifyProof(systemCrypto, proof, MUFASA));
    assert.ok(
      verifyProof(systemCrypto, proof, {
        ha1: accountHash(systemCrypto, algorithm, MUFASA, 'http-auth@example.org'),
      }),
    );
    assert.ok(!verifyProof(systemCrypto, proof, { ...MUFASA, password: 'circle of life' }));
    for (const change of [
      { method: 'PUT' },
      { uri: '/' },
      { nonceCount: 2 },
      { cnonce: 'x' },
      { nonce: 'y' },
      { realm: 'z' },
    ]) {
      assert.ok(!verifyProof(systemCrypto, { ...proof, ...change }, MUFASA), JSON.stringify(change));
    }
  });
}

test('RFC 2617 3.5: the example, and RFC 2069 form where no qop was offered', () => {
  const challenge = parseChallenge(
    'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"',
  )!;
  const request = { method: 'GET', uri: '/dir/index.html', cnonce: '0a4f113b', nc: 1 };
  const account = { username: 'Mufasa', password: 'Circle Of Life' };
  const response = (qop: boolean) =>
    parseAuth(answerChallenge(systemCrypto, { ...challenge, qop }, account, request))?.parameters.get(
      'response',
    );
  assert.equal(response(true), '6629fae49393a05397450978507c4ef1');
  assert.equal(response(false), '670fd8c2df070c60b045671b8b24ff02');
});

test('RFC 8760 2.4: SHA-256 is chosen before MD5, of the wanted realm only', () => {
  const md5 = makeChallenge({ realm: 'a', nonce: 'n', algorithm: 'MD5' });
  const sha = makeChallenge({ realm: 'a', nonce: 'n', algorithm: 'SHA-256', stale: true });
  assert.equal(chooseChallenge([md5, sha])?.algorithm, 'SHA-256');
  assert.equal(chooseChallenge([sha, md5])?.stale, true);
  assert.equal(
    chooseChallenge([md5, 'Digest realm="a", nonce="n", algorithm=SHA-512', 'Basic realm="a"'])?.algorithm,
    'MD5',
  );
  assert.equal(chooseChallenge([md5, sha], 'b'), undefined);
  assert.deepEqual(challengeValues([`${md5}, ${sha}`, 'Basic realm=x']), [md5, sha, 'Basic realm=x']);
});

test('RFC 7616 3.4: credentials without qop, of another algorithm or malformed are none', () => {
  const good = `Digest username="u", realm="r", nonce="n", uri="sip:r", response="${'0'.repeat(32)}", qop=auth, nc=00000001, cnonce="c"`;
  assert.ok(parseProof(good, 'REGISTER'));
  for (const [from, to] of [
    [', qop=auth', ''],
    ['qop=auth', 'qop=auth-int'],
    ['00000001', '1'],
    ['cnonce="c"', 'cnonce=""'],
    ['username="u"', 'username=""'],
    ['username="u"', `username="${'u'.repeat(257)}"`],
    ['0'.repeat(32), '0'.repeat(31)],
    ['Digest', 'NoOneKnowsThisScheme'],
    ['realm="r"', 'realm="r", algorithm=SHA-256'],
    ['realm="r"', 'realm="r", algorithm=MD5-sess'],
  ] as const) {
    assert.ok(good.includes(from));
    assert.equal(parseProof(good.replace(from, to), 'REGISTER'), undefined, to);
  }
  assert.equal(findProof(['Basic x=y', good], 'REGISTER', 'r')?.username, 'u');
  assert.equal(findProof([good], 'REGISTER', 'other'), undefined);
});

test('RFC 7616 3.4.6: a proof is for the URI it was made for', () => {
  const proof = {
    algorithm: 'MD5',
    username: 'u',
    realm: 'r',
    nonce: 'n',
    response: '',
    cnonce: 'c',
    nonceCount: 1,
    method: 'INVITE',
  } as const;
  const covers = (signed: string, asked: string): boolean =>
    proofCovers({ ...proof, uri: signed }, parseUri(asked)!);
  assert.ok(covers('sip:100@Gw.example.net', 'sip:100@gw.example.net:5070;transport=tcp'));
  assert.ok(!covers('sip:100@gw.example.net', 'sip:0900100@gw.example.net'));
  assert.ok(!covers('sip:gw.example.net', 'sip:100@gw.example.net'));
  assert.ok(!covers('/', 'sip:100@gw.example.net'));
});

test('names outside ASCII are hashed as UTF-8', () => {
  const challenge = parseChallenge(makeChallenge({ realm: 'r', nonce: 'n', algorithm: 'SHA-256' }))!;
  const account = { username: 'Jürgen', password: 'pässwörd €' };
  const proof = parseProof(
    answerChallenge(systemCrypto, challenge, account, {
      method: 'REGISTER',
      uri: 'sip:r',
      cnonce: 'c',
      nc: 1,
    }),
    'REGISTER',
  );
  assert.ok(proof && verifyProof(systemCrypto, proof, account));
  assert.equal(proof.username, 'J\u00c3\u00bcrgen');
});

function book(capacity = 100): NonceBook {
  return new NonceBook(systemCrypto, new Uint8Array(32).fill(7), { lifetimeMs: 60_000, capacity });
}

test('RFC 7616 3.3: a nonce proves itself, is bound to its context, and expires as stale', () => {
  const nonces = book();
  const nonce = nonces.issue(1_700_000_000_000, 'realm');
  assert.equal(nonces.check(nonce, 1, 1_700_000_001_000, 'realm'), 'fresh');
  assert.equal(nonces.check(nonce, 2, 1_700_000_061_000, 'realm'), 'stale');
  assert.equal(nonces.check(nonce, 2, 1_700_000_001_000, 'other'), 'foreign');
  assert.equal(nonces.check(nonce.replace(/^./, 'f'), 2, 1_700_000_001_000, 'realm'), 'foreign');
  assert.equal(nonces.check(nonce.toUpperCase(), 2, 1_700_000_001_000, 'realm'), 'foreign');
  assert.equal(nonces.check('', 1, 1_700_000_001_000, 'realm'), 'foreign');
  assert.notEqual(nonces.issue(1_700_000_000_000, 'realm'), nonce);
  const other = new NonceBook(systemCrypto, new Uint8Array(32).fill(8));
  assert.equal(other.check(nonce, 1, 1_700_000_001_000, 'realm'), 'foreign');
});

test('RFC 7616 5.5: a nonce count is good once, in any order within a window', () => {
  const nonces = book();
  const nonce = nonces.issue(1000, 'r');
  const use = (count: number): string => nonces.check(nonce, count, 2000, 'r');
  assert.deepEqual([3, 1, 2, 3, 1, 2, 0].map(use), ['fresh', 'fresh', 'fresh', ...Array(4).fill('replayed')]);
  assert.equal(use(40), 'fresh');
  assert.equal(use(8), 'replayed'); // fell out of the window
  assert.equal(use(9), 'fresh');
  assert.equal(use(9), 'replayed');
  assert.equal(use(0xffff_ffff), 'fresh');
  assert.equal(use(0xffff_ffff), 'replayed');
});

test('the replay table is bounded, and what it forgot is stale, not fresh again', () => {
  const nonces = book(10);
  const issued = Array.from({ length: 30 }, (_, i) => nonces.issue(1000 + i, 'r'));
  for (const nonce of issued) assert.equal(nonces.check(nonce, 1, 2000, 'r'), 'fresh');
  assert.equal(nonces.size, 10);
  assert.ok(issued.every((nonce) => nonces.check(nonce, 1, 2000, 'r') !== 'fresh'));
});
