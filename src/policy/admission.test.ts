import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TokenBucket } from '../machine/token-bucket.ts';
import type { AdmissionLimits, AdmissionRequest } from './admission.ts';
import { Admission } from './admission.ts';
import { CallerIdentity } from './caller-identity.ts';
import { classify, EmergencyNumbers } from './emergency.ts';
import { RateLimiter } from './rate-limit.ts';
import { SourceBans } from './source-ban.ts';

const LIMITS: AdmissionLimits = {
  maxCalls: 100,
  maxCallsPerSecond: 50,
  maxCallsPerSecondPerSource: 10,
  peers: new Map([['pbx', { maxCalls: 40 }]]),
  sites: new Map([['gw2', { maxCalls: 60, maxCallsPerSecond: 5 }]]),
  emergencyShare: 0.05,
};

function reason(result: ReturnType<Admission['admit']>): string {
  return result.ok ? 'admitted' : result.error.reason;
}

const NORMAL: AdmissionRequest = { emergency: false };

test('bucket: bursts up to its size, then its rate; the wait is exact', () => {
  const bucket = new TokenBucket(3, 10, 0);
  assert.deepEqual(
    [1, 2, 3, 4].map(() => bucket.take(0)),
    [true, true, true, false],
  );
  assert.equal(bucket.wait(0), 100);
  assert.equal(bucket.take(99), false);
  assert.equal(bucket.take(100), true);
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 1, max: 20 }),
      fc.array(fc.nat(200)),
      (rate, burst, gaps) => {
        const b = new TokenBucket(burst, rate, 0);
        let now = 0;
        let taken = 0;
        for (const gap of gaps) {
          now += gap;
          if (b.take(now)) taken++;
        }
        assert.ok(taken <= burst + (rate * now) / 1000 + 1e-6);
      },
    ),
  );
});

test('rates: one source cannot take from others, strangers not from configured sources, the table is bounded', () => {
  const limiter = new RateLimiter(
    {
      perSource: { perSecond: 1, burst: 2 },
      strangers: { perSecond: 10, burst: 10 },
      known: { perSecond: 10, burst: 10 },
      sources: 100,
    },
    0,
  );
  assert.deepEqual(
    [1, 2, 3].map(() => limiter.take('a', false, 0)),
    ['taken', 'taken', 'source-rate'],
  );
  let refused = 0;
  for (let i = 0; i < 1000; i++) if (limiter.take(`x${i}`, false, 0) !== 'taken') refused++;
  assert.equal(refused, 992, 'forged sources share what strangers have');
  assert.equal(limiter.size, 100);
  assert.equal(limiter.take('pbx', true, 0), 'taken');
});

test('admission: calls of a peer, of a site, of the gateway; the last 5 % only for emergencies', () => {
  const admission = new Admission(
    { ...LIMITS, maxCallsPerSecond: 1e6, sites: new Map([['gw2', { maxCalls: 60 }]]) },
    0,
  );
  const fill = (request: AdmissionRequest) => {
    let count = 0;
    while (admission.admit(request, 0).ok) count++;
    return count;
  };
  assert.equal(fill({ ...NORMAL, peer: 'pbx' }), 38, '40 less 2 reserved');
  assert.equal(reason(admission.admit({ ...NORMAL, peer: 'pbx' }, 0)), 'peer-calls');
  assert.equal(fill({ emergency: true, peer: 'pbx' }), 2);
  assert.equal(fill({ ...NORMAL, site: 'gw2' }), 55, 'the gateway is full before the site is');
  assert.equal(reason(admission.admit({ ...NORMAL, site: 'gw2' }, 0)), 'gateway-calls');
  assert.equal(reason(admission.admit({ emergency: true, site: 'gw2' }, 0)), 'admitted');
  assert.equal(admission.calls, 96);
  assert.equal(reason(admission.admit({ ...NORMAL, peer: 'who' }, 0)), 'peer-unknown');
});

test('admission: a hostile far gateway gets its call rate and no more, others keep theirs', () => {
  const admission = new Admission(LIMITS, 0);
  let admitted = 0;
  for (let now = 0; now < 10_000; now += 10) {
    if (admission.admit({ ...NORMAL, site: 'gw2' }, now).ok) admitted++;
  }
  assert.ok(admitted >= 55 && admitted <= 60, String(admitted));
  assert.equal(reason(admission.admit({ ...NORMAL, peer: 'pbx' }, 10_000)), 'admitted');
});

test('admission: refusals of a rate say when to come back, and take nothing', () => {
  const admission = new Admission(LIMITS, 0);
  for (let i = 0; i < 10; i++) admission.admit({ ...NORMAL, site: 'gw2' }, 0);
  const refused = admission.admit({ ...NORMAL, site: 'gw2', peer: 'pbx' }, 0);
  assert.deepEqual(refused.ok ? {} : refused.error, {
    cause: 42,
    reason: 'site-call-rate',
    retryAfterSeconds: 1,
  });
  assert.equal(admission.callsOf('peer', 'pbx'), 0);
});

test('admission: a source has its own rate', () => {
  const admission = new Admission(LIMITS, 0);
  const request = { ...NORMAL, source: '192.0.2.1' };
  const results = Array.from({ length: 25 }, () => reason(admission.admit(request, 0)));
  assert.equal(results.filter((r) => r === 'admitted').length, 20);
  assert.equal(results.at(-1), 'source-call-rate');
  assert.equal(reason(admission.admit({ ...NORMAL, source: '192.0.2.2' }, 0)), 'admitted');
});

test('admission: any order of calls and ends counts right; leaving twice counts once', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.boolean(), fc.nat(1000)), { maxLength: 200 }), (steps) => {
      const admission = new Admission(LIMITS, 0);
      const live: string[] = [];
      let now = 0;
      for (const [enter, emergency, gap] of steps) {
        now += gap;
        if (enter || live.length === 0) {
          const result = admission.admit({ peer: 'pbx', site: 'gw2', emergency }, now);
          if (result.ok) live.push(result.value);
        } else {
          const ticket = live.shift()!;
          admission.leave(ticket);
          admission.leave(ticket);
        }
        assert.equal(admission.calls, live.length);
        assert.equal(admission.callsOf('site', 'gw2'), live.length);
        assert.ok(live.length <= 40);
      }
    }),
  );
});

test('admission: new limits keep the calls that are up', () => {
  const admission = new Admission(LIMITS, 0);
  const ticket = admission.admit({ ...NORMAL, peer: 'pbx' }, 0);
  admission.configure({ ...LIMITS, peers: new Map([['pbx', { maxCalls: 1 }]]) }, 0);
  assert.equal(reason(admission.admit({ ...NORMAL, peer: 'pbx' }, 0)), 'peer-calls');
  if (ticket.ok) admission.leave(ticket.value);
  assert.equal(reason(admission.admit({ ...NORMAL, peer: 'pbx' }, 0)), 'admitted');
});

test('emergency: by own numbers as dialled; a class from the termination gateway does not count', () => {
  const numbers = new EmergencyNumbers(['112', '911']);
  const is = (number: string, numberType: 'unknown' | 'national' | 'international' | 'uri' = 'unknown') =>
    numbers.includes({ number, numberType });
  assert.ok(is('112') && is('911', 'national'));
  assert.ok(!is('1122') && !is('112', 'international') && !is('help', 'uri'));
  assert.ok(is('11-2', 'uri'), 'what is called as 112 is 112');
  assert.deepEqual(classify(true, 'normal', false), { priority: 'emergency', preempts: true });
  assert.deepEqual(classify(false, 'emergency', false), { priority: 'normal', preempts: false });
  assert.deepEqual(classify(false, 'emergency', true), { priority: 'emergency', preempts: false });
});

function caller(number: string, change = {}) {
  return { number, numberType: 'international', privacy: 'allowed', verified: true, ...change } as const;
}

test('identity: an own number from outside needs authentication; nobody borrows a colleague', () => {
  const identity = new CallerIdentity(['+4930555X.']);
  const check = (
    number: string,
    evidence: { accountNumber?: string; trusted?: boolean; outside?: boolean },
  ) => {
    const result = identity.check(caller(number), { trusted: false, outside: true, ...evidence });
    return result.ok ? (result.value.verified ? 'verified' : 'unverified') : result.error.reason;
  };
  assert.equal(check('493055510', {}), 'caller-own-number');
  assert.equal(check('493055510', { trusted: true }), 'verified');
  assert.equal(check('493055510', { outside: false }), 'unverified');
  assert.equal(check('493055510', { accountNumber: '+493055510' }), 'verified');
  assert.equal(check('493055511', { accountNumber: '+493055510' }), 'caller-not-account');
  assert.equal(check('331234', {}), 'unverified');
});

test('bans: repeated failures, longer each time, fading, never a configured source', () => {
  const bans = new SourceBans({ exempt: (source) => source === 'trunk' });
  const fail = (source: string, now: number) => bans.offend(source, 'authentication', now);
  assert.deepEqual(
    [0, 0, 0, 0, 0].map((now) => fail('a', now)),
    ['noted', 'noted', 'noted', 'noted', 'banned'],
  );
  assert.ok(bans.banned('a', 59_999) && !bans.banned('a', 60_000));
  for (let i = 0; i < 4; i++) fail('a', 60_000);
  assert.equal(fail('a', 60_000), 'banned');
  assert.equal(bans.remaining('a', 60_000), 120_000);
  assert.deepEqual(bans.list(60_000), [{ source: 'a', remainingMs: 120_000, bans: 2 }]);
  for (let i = 0; i < 50; i++) assert.equal(fail('b', i * 61_000), 'noted', 'slow mistakes are forgotten');
  for (let i = 0; i < 50; i++) assert.equal(fail('trunk', 0), 'noted');
  assert.equal(bans.offend('c', 'scanner', 0), 'banned');
});

test('bans: success forgives, but no running ban; the table is bounded', () => {
  const bans = new SourceBans({ capacity: 50 });
  for (let i = 0; i < 4; i++) bans.offend('a', 'authentication', 0);
  bans.forgive('a', 0);
  assert.equal(bans.offend('a', 'authentication', 0), 'noted');
  bans.offend('b', 'scanner', 0);
  bans.forgive('b', 0);
  assert.ok(bans.banned('b', 1));
  for (let i = 0; i < 1000; i++) bans.offend(`x${i}`, 'malformed', 0);
  assert.equal(bans.size, 50);
});
