import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import { toHex } from '../bytes/text.ts';
import { certificateNames, flatNames, matchesSipDomain } from './certificate-names.ts';
import { canonicalAddress, canonicalIp, isLoopback, sourceKey } from './ip.ts';
import { monotonicNow, systemCrypto, systemRandom, wallNow } from './providers.ts';
import { SourceCounts, SourceRates } from './source-limits.ts';
import { orderSrv } from './srv-order.ts';

test('RFC 5952: one text per IPv6 address; an IPv4-mapped one is the IPv4 address; no zone, no brackets', () => {
  const cases: [string, string | undefined][] = [
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['[::1]', '::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::FFFF:c000:0207', '192.0.2.7'],
    ['192.0.2.7', '192.0.2.7'],
    ['192.0.2.07', undefined],
    ['192.0.2', undefined],
    ['example.com', undefined],
    ['', undefined],
  ];
  for (const [text, canonical] of cases) assert.equal(canonicalIp(text), canonical, text);
  assert.deepEqual(canonicalAddress('::ffff:10.0.0.1', 5060), { ip: '10.0.0.1', port: 5060 });
  assert.ok(isLoopback('127.8.9.1') && isLoopback('::1') && !isLoopback('128.0.0.1'));
});

test('limits count IPv6 sources by /64', () => {
  assert.equal(sourceKey('192.0.2.1'), '192.0.2.1');
  assert.equal(sourceKey('2001:db8::1'), '2001:db8:0:0::/64');
  assert.equal(sourceKey('2001:db8:0:0:ffff::1'), sourceKey('2001:db8::1'));
  assert.equal(sourceKey('::1'), '0:0:0:0::/64');
  assert.equal(sourceKey('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64');
  assert.equal(sourceKey('2001:db8:1:2::'), '2001:db8:1:2::/64');
});

test('a place is returned once, whoever returns it how often', () => {
  const counts = new SourceCounts(3, 2);
  const a = counts.take('192.0.2.1');
  const b = counts.take('192.0.2.1');
  assert.equal(counts.take('192.0.2.1'), 'too-many-from-source');
  assert.equal(typeof counts.take('192.0.2.2'), 'function');
  assert.equal(counts.take('192.0.2.3'), 'too-many');
  assert.ok(typeof a === 'function' && typeof b === 'function');
  a();
  a();
  assert.equal(counts.open, 2);
  assert.equal(typeof counts.take('192.0.2.1'), 'function');
  assert.equal(counts.take('192.0.2.4'), 'too-many');
});

test('a rate per source leaves other sources alone', () => {
  const rates = new SourceRates(2, 1);
  assert.deepEqual(
    [1, 2, 3].map(() => rates.take('192.0.2.1', 0)),
    [true, true, false],
  );
  assert.ok(rates.take('192.0.2.2', 0));
  assert.ok(rates.take('192.0.2.1', 1000));
});

test('names of a certificate: quoted entries (CVE-2021-44532) give no name, two common names count for nothing', () => {
  const names = certificateNames({
    subjectaltname:
      'DNS:GW.example, DNS:"a.example, DNS:evil.example", IP Address:192.0.2.1, URI:sip:example.com',
    subject: { CN: ['a', 'b'] },
  } as never);
  assert.deepEqual(names, { dns: ['gw.example'], uris: ['sip:example.com'], ips: ['192.0.2.1'] });
  assert.deepEqual(flatNames(names), ['gw.example', 'sip:example.com', '192.0.2.1']);
  assert.deepEqual(flatNames(certificateNames({ subject: { CN: 'Old.Example' } } as never)), ['old.example']);
});

test('RFC 5922 7.2: a SIP domain matches sip: URIs first, then dNSName, exactly and without wildcards', () => {
  const of = (subjectaltname: string, CN?: string) =>
    certificateNames({ subjectaltname, subject: { CN } } as never);
  assert.ok(matchesSipDomain(of('DNS:sip.example.com'), 'SIP.example.com'));
  assert.ok(!matchesSipDomain(of('DNS:*.example.com'), 'sip.example.com'));
  assert.ok(matchesSipDomain(of('URI:sip:example.com, DNS:host.example.com'), 'example.com'));
  assert.ok(!matchesSipDomain(of('URI:sip:example.com, DNS:host.example.com'), 'host.example.com'));
  assert.ok(matchesSipDomain(of('', 'old.example.com'), 'old.example.com'));
  assert.ok(!matchesSipDomain(of('DNS:x.example.com', 'old.example.com'), 'old.example.com'));
  assert.ok(matchesSipDomain(of('IP Address:192.0.2.1'), '192.0.2.1'));
});

test('RFC 2782: by priority, then a draw in which weight decides the chance', () => {
  const records = [
    { priority: 20, weight: 0, name: 'backup' },
    { priority: 10, weight: 90, name: 'big' },
    { priority: 10, weight: 10, name: 'small' },
    { priority: 10, weight: 0, name: 'zero' },
  ];
  let bigFirst = 0;
  for (let i = 0; i < 2000; i++) {
    const order = orderSrv(records, systemRandom).map((record) => record.name);
    assert.equal(order.length, 4);
    assert.equal(order[3], 'backup');
    if (order[0] === 'big') bigFirst++;
  }
  assert.ok(bigFirst > 1650 && bigFirst < 1900, `${bigFirst} of 2000`);
});

test('providers: known digests, plain Uint8Arrays, constant-time comparison of unequal lengths', () => {
  const abc = new Uint8Array([97, 98, 99]);
  assert.equal(toHex(systemCrypto.hash('md5', abc)), '900150983cd24fb0d6963f7d28e17f72');
  assert.equal(toHex(systemCrypto.hash('sha1', abc)), 'a9993e364706816aba3e25717850c26c9cd0d89d');
  assert.equal(
    toHex(systemCrypto.hash('sha512-256', abc)),
    '53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23', // FIPS 180-4 example
  );
  assert.equal(toHex(systemCrypto.hash('sha256', abc)), createHash('sha256').update('abc').digest('hex'));
  // RFC 4231 test case 2
  const key = new TextEncoder().encode('Jefe');
  const data = new TextEncoder().encode('what do ya want for nothing?');
  assert.equal(
    toHex(systemCrypto.hmac('sha256', key, data)),
    '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  );
  assert.ok(!systemCrypto.equal(abc, abc.subarray(1)) && systemCrypto.equal(abc, abc.slice()));
  assert.ok(!Buffer.isBuffer(systemRandom.bytes(8)) && systemRandom.bytes(8).length === 8);
  assert.notEqual(systemRandom.uint32(), systemRandom.uint32());
  assert.ok(monotonicNow() < 1e9 && wallNow() > 1.6e12);
});
