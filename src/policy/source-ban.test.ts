import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BAN_DEFAULTS, SourceBans } from './source-ban.ts';

const SOURCE = '198.51.100.7';

test('a source is banned at the threshold, longer each time, and points fade', () => {
  const bans = new SourceBans();
  for (let i = 0; i < 4; i++) assert.equal(bans.offend(SOURCE, 'authentication', 0), 'noted');
  assert.equal(bans.offend(SOURCE, 'authentication', 0), 'banned');
  assert.equal(bans.remaining(SOURCE, 0), BAN_DEFAULTS.firstBanMs);
  const again = BAN_DEFAULTS.firstBanMs + 1;
  assert.ok(!bans.banned(SOURCE, again));
  assert.equal(bans.offend(SOURCE, 'scanner', again), 'banned');
  assert.equal(bans.remaining(SOURCE, again), 2 * BAN_DEFAULTS.firstBanMs);
  const slow = new SourceBans();
  for (let i = 0; i < 100; i++) {
    assert.equal(slow.offend(SOURCE, 'malformed', i * BAN_DEFAULTS.fadeMs), 'noted', `offence ${i}`);
  }
});

test('configured sources are never banned: their addresses can be forged', () => {
  const bans = new SourceBans({ exempt: (ip) => ip === SOURCE });
  for (let i = 0; i < 100; i++) bans.offend(SOURCE, 'scanner', 0);
  assert.ok(!bans.banned(SOURCE, 0));
});

test('who has authenticated is not banned by what others can forge, but still by wrong passwords', () => {
  const bans = new SourceBans();
  bans.forgive(SOURCE, 0);
  for (let i = 0; i < 100; i++) bans.offend(SOURCE, 'scanner', 1);
  assert.ok(!bans.banned(SOURCE, 1));
  for (let i = 0; i < 5; i++) bans.offend(SOURCE, 'authentication', 2);
  assert.ok(bans.banned(SOURCE, 2));
  bans.forgive(SOURCE, 3);
  assert.ok(bans.banned(SOURCE, 3), 'a running ban is not lifted');
  const later = BAN_DEFAULTS.vouchMs + BAN_DEFAULTS.firstBanMs;
  bans.offend(SOURCE, 'scanner', later + BAN_DEFAULTS.maxBanMs);
  assert.ok(bans.banned(SOURCE, later + BAN_DEFAULTS.maxBanMs), 'it speaks for an hour');
});

test('a flood of spoofed sources leaves a bounded table', () => {
  const bans = new SourceBans({ capacity: 100 });
  for (let i = 0; i < 10_000; i++) {
    bans.offend(`10.0.${i >> 8}.${i & 255}`, 'malformed', i);
    bans.forgive(`10.1.${i >> 8}.${i & 255}`, i);
  }
  assert.equal(bans.size, 100);
});
