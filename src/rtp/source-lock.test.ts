/** Who may send to a stream leg: RFC 7362 5, and what RTP bleed made of it (ES2017-04, ES2025-01). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  LATCH_GRACE_MS,
  SOURCE_CANDIDATE,
  SOURCE_MATCHES,
  SOURCE_REFUSED,
  SourceLock,
} from './source-lock.ts';
import { parseSource, type SourceWords } from './source-words.ts';

const at = (ip: string, port = 4000): SourceWords => parseSource({ ip, port })!;
const SIGNALLED = at('192.168.1.20', 5004);
const PHONE = at('198.51.100.7', 61_000);
const THIEF = at('203.0.113.66');

function prove(lock: SourceLock, source: SourceWords, from: number, step = 20): boolean {
  for (let i = 0; i < 20; i++) if (lock.prove(source, 1, i, from + i * step)) return true;
  return false;
}

test('latching learns the host the signalling comes from, at any port, and nobody else', () => {
  const lock = new SourceLock('latch', SIGNALLED, 5000, 0);
  lock.latchHost = at('198.51.100.7', 0);
  assert.equal(lock.classify(THIEF, 10), SOURCE_REFUSED);
  assert.equal(lock.classify(PHONE, 10), SOURCE_CANDIDATE);
  assert.equal(
    lock.classify(at('192.168.1.20', 9), 10),
    SOURCE_CANDIDATE,
    'the signalled host, another port',
  );
  assert.equal(lock.classify(SIGNALLED, 10), SOURCE_MATCHES);
  assert.ok(prove(lock, PHONE, 10));
  assert.equal(lock.classify(PHONE, 1000), SOURCE_MATCHES);
  for (const other of [THIEF, SIGNALLED, at('198.51.100.7', 61_001)]) {
    assert.equal(lock.classify(other, 1000), SOURCE_REFUSED, 'a lock is never changed by packets');
  }
});

test('where the host of the signalling is not known a stranger waits for the signalled one to speak first', () => {
  const lock = new SourceLock('latch', at('198.51.100.8'), 5000, 0);
  assert.equal(lock.classify(THIEF, 0), SOURCE_CANDIDATE);
  for (let t = 0; t < LATCH_GRACE_MS; t += 20) assert.ok(!lock.prove(THIEF, 1, t / 20, t), `${t} ms`);
  assert.equal(lock.classify(at('198.51.100.8'), 100), SOURCE_MATCHES, 'who speaks first is at home');
});

test('the window ends, and without it nobody is learned', () => {
  const lock = new SourceLock('latch', undefined, 5000, 0);
  assert.equal(lock.classify(PHONE, 4999), SOURCE_CANDIDATE);
  assert.equal(lock.classify(PHONE, 5000), SOURCE_REFUSED);
});

test('signalled: the very address; signalled-host: any port of it', () => {
  const strict = new SourceLock('signalled', SIGNALLED, 5000, 0);
  const host = new SourceLock('signalled-host', SIGNALLED, 5000, 0);
  const other = at('192.168.1.20', 7000);
  assert.equal(strict.classify(SIGNALLED, 0), SOURCE_MATCHES);
  assert.equal(strict.classify(other, 0), SOURCE_REFUSED);
  assert.equal(host.classify(other, 0), SOURCE_MATCHES);
  assert.equal(host.classify(THIEF, 0), SOURCE_REFUSED);
});
