import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { OFFENCES } from '../policy/source-ban.ts';
import { OFFENCE_OF, offenceOf } from './offences.ts';

test('what the parser refuses in our torture set is an offence of its source', () => {
  const file = new URL('../../../test/vectors/sip/torture.json', import.meta.url);
  const { cases } = JSON.parse(readFileSync(file, 'utf8')) as {
    cases: { reason?: string; expect: unknown }[];
  };
  const reasons = new Set(cases.filter((c) => c.expect !== 'accept').flatMap((c) => c.reason ?? []));
  assert.ok(reasons.size > 15);
  for (const reason of reasons) assert.equal(OFFENCE_OF[reason], 'malformed', reason);
});

test('every reason that is held against a source stands in the sources that count it', () => {
  const files = [
    'sip/head',
    'sip/parse',
    'sip/framing',
    'sip/uas',
    'sip/uri',
    'sip/authenticate',
    'gateway/sip-side',
    'policy/dial-rules',
    'interworking/sip-to-meta',
  ];
  const text = files
    .map((f) => readFileSync(new URL(`../../../src/${f}.ts`, import.meta.url), 'utf8'))
    .join('\n');
  for (const reason of Object.keys(OFFENCE_OF)) assert.ok(text.includes(`'${reason}'`), reason);
  const used = new Set(Object.values(OFFENCE_OF));
  for (const offence of ['authentication', 'unknownTarget', 'malformed', 'scanner'] as const) {
    assert.ok(used.has(offence) && OFFENCES[offence] > 0, offence);
  }
});

test('H.323: what cannot be decoded, wrong passwords and floods are offences; oddities of honest devices are none', () => {
  for (const [reason, offence] of [
    ['signalling-q931-truncated', 'malformed'],
    ['signalling-per-length', 'malformed'],
    ['setup-contradiction', 'malformed'],
    ['ras-token-wrong', 'authentication'],
    ['ras-flood', 'flood'],
    ['non-standard', undefined],
    ['unknown-extension', undefined],
    ['wrong-state', undefined],
    ['ras-timeout', undefined],
  ] as const)
    assert.equal(offenceOf(reason), offence, reason);
});
