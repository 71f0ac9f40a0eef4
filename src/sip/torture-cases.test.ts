/** Our own torture set (test/vectors/sip/torture.json): one rule, one message. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { latin1Bytes } from '../bytes/text.ts';
import { StreamFramer } from './framing.ts';
import { parseDatagram } from './parse.ts';

interface Case {
  readonly name: string;
  readonly rfc: string;
  readonly expect: 'accept' | 'drop' | number;
  readonly reason?: string;
  readonly message: string;
}

const FILE = new URL('../../../test/vectors/sip/torture.json', import.meta.url);
const { cases }: { cases: readonly Case[] } = JSON.parse(readFileSync(FILE, 'utf8'));

for (const { name, rfc, expect, reason, message } of cases) {
  test(`RFC ${rfc}: ${name}`, () => {
    const parsed = parseDatagram(latin1Bytes(message));
    if (expect === 'accept') {
      assert.ok(parsed.ok, parsed.ok ? '' : `refused: ${parsed.error.reason}`);
      return;
    }
    assert.ok(!parsed.ok, 'must not be accepted');
    assert.equal(parsed.error.respond, expect === 'drop' ? undefined : expect);
    assert.equal(parsed.error.reply === undefined, expect === 'drop');
    if (reason !== undefined) assert.equal(parsed.error.reason, reason);
  });
}

test('RFC 3261 18.3: what a datagram is refused for, a stream is never given as a message', () => {
  for (const { name, expect, message } of cases) {
    if (expect === 'accept') continue;
    const framer = new StreamFramer();
    framer.push(latin1Bytes(message));
    for (let frame = framer.next(); frame !== undefined; frame = framer.next()) {
      assert.notEqual(frame.kind, 'message', name);
    }
  }
});
