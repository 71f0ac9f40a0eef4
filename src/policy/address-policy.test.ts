import assert from 'node:assert/strict';
import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { addressKind, CidrSet, mediaAddressProblem } from './address-policy.ts';
import { parseIp, sourceKey } from './ip.ts';

test('parse: what node:net takes for an address, and nothing else (leading zeros and zones aside)', () => {
  const octet = fc.oneof(fc.nat(255).map(String), fc.constantFrom('256', '01', '', '-1', 'a', ' 1'));
  const group = fc.oneof(
    fc.nat(0xffff).map((n) => n.toString(16)),
    fc.constantFrom('', '', '12345', 'g', 'FFFF', '1.2.3.4', '0'),
  );
  const v4 = fc.array(octet, { minLength: 3, maxLength: 5 }).map((p) => p.join('.'));
  const v6 = fc.array(group, { minLength: 1, maxLength: 9 }).map((p) => p.join(':'));
  fc.assert(
    fc.property(fc.oneof(v4, v6, fc.ipV4(), fc.ipV6(), fc.string({ maxLength: 20 })), (text) => {
      if (text.includes('%')) return;
      assert.equal(parseIp(text) !== undefined, isIP(text) !== 0, JSON.stringify(text));
    }),
    { numRuns: 5000 },
  );
});

test('sets: agree with node:net BlockList for any networks and addresses', () => {
  const v4 = fc.record({ ip: fc.ipV4(), prefix: fc.nat(32) });
  const v6 = fc.record({ ip: fc.ipV6(), prefix: fc.nat(128) });
  fc.assert(
    fc.property(
      fc.array(v4, { maxLength: 8 }),
      fc.array(v6, { maxLength: 5 }),
      fc.ipV4(),
      fc.ipV6(),
      (a, b, x, y) => {
        const plain = b.filter(({ ip }) => parseIp(ip)?.family === 6);
        // One oracle per family: BlockList holds ::/0 to contain IPv4, which a network list must not.
        const oracle = { 4: new BlockList(), 6: new BlockList() };
        for (const { ip, prefix } of a) oracle[4].addSubnet(ip, prefix, 'ipv4');
        for (const { ip, prefix } of plain) oracle[6].addSubnet(ip, prefix, 'ipv6');
        const set = new CidrSet([...a, ...plain].map(({ ip, prefix }) => `${ip}/${prefix}`));
        assert.deepEqual(set.invalid, []);
        const candidates = [x, y, ...a.map((n) => n.ip), ...plain.map((n) => n.ip)];
        for (const ip of candidates) {
          if (isIPv6(ip) && parseIp(ip)?.family === 4) continue;
          const expected = isIPv4(ip) ? oracle[4].check(ip, 'ipv4') : oracle[6].check(ip, 'ipv6');
          assert.equal(set.has(ip), expected, ip);
        }
      },
    ),
    { numRuns: 1000 },
  );
});

test('sets: neighbours merge, bare addresses are hosts, nonsense is listed', () => {
  const set = new CidrSet([
    '10.0.0.0/25',
    '10.0.0.128/25',
    '192.0.2.7',
    '::ffff:198.51.100.0/120',
    'x',
    '1.2.3.4/33',
  ]);
  assert.deepEqual(set.invalid, ['x', '1.2.3.4/33']);
  for (const ip of ['10.0.0.0', '10.0.0.255', '192.0.2.7', '198.51.100.9', '::ffff:10.0.0.1'])
    assert.ok(set.has(ip), ip);
  for (const ip of ['10.0.1.0', '192.0.2.8', '9.255.255.255', '::1', 'x', '']) assert.ok(!set.has(ip), ip);
  assert.ok(set.namesHost('192.0.2.7'));
  assert.ok(!set.namesHost('10.0.0.1'));
});

test('kinds: every special range by its first and last address', () => {
  for (const [ip, kind] of [
    ['0.0.0.0', 'unspecified'],
    ['0.1.2.3', 'unspecified'],
    ['::', 'unspecified'],
    ['127.255.255.255', 'loopback'],
    ['::1', 'loopback'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['169.254.169.254', 'link-local'],
    ['fe80::1', 'link-local'],
    ['febf::', 'link-local'],
    ['224.0.0.1', 'multicast'],
    ['239.255.255.255', 'multicast'],
    ['ff02::1', 'multicast'],
    ['255.255.255.255', 'broadcast'],
    ['240.0.0.1', 'reserved'],
    ['64:ff9b::7f00:1', 'reserved'],
    ['2002:7f00:1::', 'reserved'],
    ['::7f00:1', 'reserved'],
    ['10.255.255.255', 'private'],
    ['172.31.0.1', 'private'],
    ['172.32.0.1', 'public'],
    ['192.168.1.1', 'private'],
    ['100.127.0.1', 'private'],
    ['fd00::1', 'private'],
    ['203.0.113.5', 'public'],
    ['2001:db8::5', 'public'],
    ['0177.0.0.1', 'invalid'],
    ['localhost', 'invalid'],
  ] as const) {
    assert.equal(addressKind(ip), kind, ip);
  }
});

const OWN = new CidrSet(['203.0.113.1', '10.0.0.1', '127.0.0.1']);

test('media: outside, public addresses and the signalling source, never special or own ones', () => {
  const rules = { networks: new CidrSet([]), closed: false, own: OWN };
  const problem = (ip: string, source?: string) => mediaAddressProblem(ip, rules, source);
  assert.equal(problem('198.51.100.7'), undefined);
  assert.equal(problem('2001:db8::1'), undefined);
  assert.equal(problem('10.1.2.3'), 'address-private');
  assert.equal(problem('10.1.2.3', '10.1.2.3'), undefined);
  assert.equal(problem('10.1.2.3', '10.1.2.4'), 'address-private');
  assert.equal(problem('203.0.113.1'), 'address-own');
  assert.equal(problem('::ffff:203.0.113.1'), 'address-own');
  for (const source of [undefined, '127.0.0.1'])
    assert.equal(problem('127.0.0.1', source), 'address-loopback');
  assert.equal(problem('0.0.0.0'), 'address-unspecified');
  assert.equal(problem('169.254.0.1', '169.254.0.1'), 'address-link-local');
  assert.equal(problem('224.0.0.1'), 'address-multicast');
  assert.equal(problem('x.invalid'), 'address-invalid');
});

test('media: inside, the list is closed, and an own address must be written down as such', () => {
  const rules = { networks: new CidrSet(['10.0.0.0/16', '127.0.0.0/8']), closed: true, own: OWN };
  const problem = (ip: string) => mediaAddressProblem(ip, rules, ip);
  assert.equal(problem('10.0.9.9'), undefined);
  assert.equal(problem('10.1.0.1'), 'address-not-listed');
  assert.equal(problem('198.51.100.7'), 'address-not-listed');
  assert.equal(problem('10.0.0.1'), 'address-own');
  assert.equal(problem('127.0.0.1'), undefined);
  const sameHost = { networks: new CidrSet(['10.0.0.1']), closed: true, own: OWN };
  assert.equal(mediaAddressProblem('10.0.0.1', sameHost), undefined);
});

test('source key: IPv4 whole, IPv6 by /64, mapped as IPv4', () => {
  assert.equal(sourceKey('192.0.2.200'), '192.0.2.200');
  assert.equal(sourceKey('::ffff:192.0.2.200'), '192.0.2.200');
  assert.equal(sourceKey('2001:db8:1:2:aaaa::1'), sourceKey('2001:db8:1:2::ffff'));
  assert.notEqual(sourceKey('2001:db8:1:2::1'), sourceKey('2001:db8:1:3::1'));
});
