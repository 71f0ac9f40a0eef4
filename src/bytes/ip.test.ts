import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalIp, classifyIp, formatIp, parseIp } from './ip.ts';

test('RFC 5952: canonical text of IPv6 addresses', () => {
  assert.equal(canonicalIp('2001:DB8:0:0:1:0:0:1'), '2001:db8::1:0:0:1');
  assert.equal(canonicalIp('0:0:0:0:0:0:0:0'), '::');
  assert.equal(canonicalIp('2001:db8:0:1:1:1:1:1'), '2001:db8:0:1:1:1:1:1');
  assert.equal(canonicalIp('1:0:0:2:0:0:0:3'), '1:0:0:2::3');
  assert.equal(canonicalIp('::ffff:192.0.2.1'), '::ffff:c000:201');
  assert.equal(canonicalIp('fe80::1%eth0'), undefined);
  assert.equal(canonicalIp('010.0.0.1'), undefined);
  assert.equal(canonicalIp('1.2.3'), undefined);
  assert.equal(canonicalIp('host.example'), undefined);
});

test('parse and format are inverse for every address', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ minLength: 4, maxLength: 4 }),
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        fc
          .array(fc.constantFrom(0, 0, 0, 1), { minLength: 16, maxLength: 16 })
          .map((a) => Uint8Array.from(a)),
      ),
      (bytes) => assert.deepEqual(parseIp(formatIp(bytes)), bytes),
    ),
  );
});

test('what is an address is what the system takes for one', () => {
  const odd = fc.string({ unit: fc.constantFrom(...'0123456789abcdef::::..1f'), maxLength: 24 });
  fc.assert(
    fc.property(fc.oneof(odd, fc.ipV4(), fc.ipV6()), (text) =>
      assert.equal(parseIp(text) !== undefined, isIP(text) !== 0, text),
    ),
    { numRuns: 2000 },
  );
});

test('classes of addresses media must never be sent to', () => {
  const of = (text: string) => classifyIp(parseIp(text)!);
  assert.equal(of('0.0.0.0'), 'unspecified');
  assert.equal(of('::'), 'unspecified');
  assert.equal(of('127.8.8.8'), 'loopback');
  assert.equal(of('::1'), 'loopback');
  assert.equal(of('169.254.169.254'), 'link-local');
  assert.equal(of('fe80::1'), 'link-local');
  assert.equal(of('224.0.0.1'), 'multicast');
  assert.equal(of('ff02::1'), 'multicast');
  assert.equal(of('255.255.255.255'), 'reserved');
  assert.equal(of('0.1.2.3'), 'reserved');
  assert.equal(of('::ffff:127.0.0.1'), 'mapped');
  assert.equal(of('::10.0.0.1'), 'mapped');
  assert.equal(of('192.0.2.1'), 'unicast');
  assert.equal(of('2001:db8::1'), 'unicast');
});
