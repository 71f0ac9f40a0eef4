/** RFC 4475 and RFC 5118 as published, where the reference data lies beside the repository; our own set in torture-cases. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { sessionDescription } from './body.ts';
import { optionTags } from './header/access.ts';
import type { SipMessage } from './message.ts';
import { parseDatagram } from './parse.ts';
import { refusalReply } from './reply.ts';

const FOLDER = new URL('../../../../shared/sip/', import.meta.url);
const skip = existsSync(FOLDER) ? false : 'no ../shared/sip here';

interface Case {
  readonly file: string;
  readonly action: string;
  readonly statuses: readonly number[];
}

/**
 * Well-formed messages that an element refuses for what it is, not for their syntax: the parser accepts them, and this says
 * what the endpoint then sees.
 */
const DEFERRED: Readonly<Record<string, (message: SipMessage) => void>> = {
  // 420: the endpoint supports none of them
  'bext01.dat': (m) =>
    assert.deepEqual([...optionTags(m, 'Require')], ['nothingsupportsthis', 'nothingsupportsthiseither']),
  // 415: body.ts
  'invut.dat': (m) => {
    const found = sessionDescription(m);
    assert.ok(!found.ok && found.error.status === 415);
  },
  // 406: Accept names nothing we send
  'sdp01.dat': (m) =>
    assert.ok(m.headers.some((h) => h.name === 'Accept' && h.value === 'text/nobodyKnowsThis')),
  // A response of nobody's transaction: dropped by the transaction layer for its second Via
  'bcast.dat': (m) => assert.equal(m.vias.length, 2),
};

function runCase(suite: string, { file, action, statuses }: Case): void {
  const bytes = readFileSync(new URL(`${suite}/${file}`, FOLDER));
  const parsed = parseDatagram(bytes);
  if (parsed.ok) {
    const deferred = DEFERRED[file];
    if (deferred !== undefined) deferred(parsed.value);
    else assert.ok(['accept', 'either', 'nocrash'].includes(action), `${file} must be refused`);
    return;
  }
  const { error } = parsed;
  assert.ok(
    !['accept', 'nocrash'].includes(action),
    `${file} must be accepted, not refused as ${error.reason}`,
  );
  if (action === 'drop' || (action === 'extra' && error.respond === undefined)) {
    assert.equal(error.respond, undefined);
    return;
  }
  assert.ok(
    error.respond !== undefined && error.reply !== undefined,
    `${file}: ${error.reason} not answered`,
  );
  assert.ok(statuses.includes(error.respond), `${file}: ${error.respond} is not among ${statuses.join()}`);
  const answer = refusalReply(error.reply, error.respond, { ip: '192.0.2.200', port: 5070 });
  assert.match(
    new TextDecoder().decode(answer),
    new RegExp(`^SIP/2.0 ${error.respond} [^\\r\\n]+\\r\\nVia:`),
  );
}

test('RFC 4475: every torture message is accepted, refused or dropped as its section says', {
  skip,
}, async (t) => {
  const rows = readFileSync(new URL('rfc4475/index.tsv', FOLDER), 'utf8').trim().split('\n').slice(1);
  assert.ok(rows.length >= 49);
  for (const row of rows) {
    const [file, section, , , kind, action, status] = row.split('\t');
    const statuses = (status ?? '').split(',').filter(Boolean).map(Number);
    await t.test(`${section} ${file}`, () =>
      runCase('rfc4475', { file: file!, action: kind === 'extra' ? kind : action!, statuses }),
    );
  }
});

interface Index {
  readonly messages: readonly {
    readonly file: string;
    readonly section: string;
    readonly expect: { readonly action: string; readonly status: readonly string[] };
  }[];
}

test('RFC 5118: every IPv6 message is accepted or refused as its section says', { skip }, async (t) => {
  const index: Index = JSON.parse(readFileSync(new URL('rfc5118/index.json', FOLDER), 'utf8'));
  assert.equal(index.messages.length, 12);
  for (const { file, section, expect } of index.messages) {
    await t.test(`${section} ${file}`, () =>
      runCase('rfc5118', { file, action: expect.action, statuses: expect.status.map(Number) }),
    );
  }
});
