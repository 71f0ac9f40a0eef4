import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { formatAddress } from '../machine/address.ts';
import { bindsOverlap, ipToBigInt, parseAddress, parseCidr, parseIp } from './config-values.ts';

const ipv4 = fc.ipV4();
const ipv6 = fc.ipV6().filter((ip) => !ip.includes('.'));

describe('addresses of the configuration', () => {
  test('what is read is written back the same and reads the same again', () => {
    fc.assert(
      fc.property(fc.oneof(ipv4, ipv6), fc.integer({ min: 1, max: 65535 }), (ip, port) => {
        const read = parseAddress(ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`);
        if (!read.ok) {
          // IPv4-mapped IPv6 addresses are refused by design.
          assert.match(read.error, /IPv4 in IPv6/);
          return;
        }
        assert.deepEqual(parseAddress(formatAddress(read.value)), read);
      }),
    );
  });

  test('no text throws', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        parseAddress(text);
        parseCidr(text);
        parseIp(text);
      }),
    );
  });

  test('every network is canonical: the host bits of what is accepted are zero', () => {
    fc.assert(
      fc.property(ipv4, fc.integer({ min: 0, max: 32 }), (ip, length) => {
        const read = parseCidr(`${ip}/${length}`);
        const hostBits = BigInt(32 - length);
        const clean = (ipToBigInt(ip) >> hostBits) << hostBits === ipToBigInt(ip);
        assert.equal(read.ok, clean);
        // What the refusal proposes is accepted.
        const proposed = read.ok ? undefined : /write "([^"]+)"/.exec(read.error)?.[1];
        if (!read.ok) assert.ok(parseCidr(proposed ?? '').ok);
      }),
    );
  });

  test('spellings of one IPv6 address are one', () => {
    assert.deepEqual(parseIp('2001:DB8:0:0::1'), { ok: true, value: '2001:db8::1' });
    assert.deepEqual(parseCidr('2001:db8::'), { ok: true, value: '2001:db8::/128' });
  });

  for (const [text, reason] of [
    ['192.0.2.1:0', /port 0 is out of range/],
    ['192.0.2.1:65536', /out of range/],
    ['[192.0.2.1]:5060', /not ADDRESS:PORT/],
    ['fe80::1', /no port or no brackets/],
    ['[fe80::1%eth0]:5060', /zone/],
    ['[::ffff:192.0.2.1]:5060', /IPv4 in IPv6/],
    ['010.0.0.1:5060', /not an IPv4 or IPv6/],
  ] as const) {
    test(`${text} is refused`, () => {
      const read = parseAddress(text);
      assert.match(read.ok ? '' : read.error, reason);
    });
  }

  test('a wildcard overlaps with each address of its family', () => {
    assert.equal(bindsOverlap('0.0.0.0', '192.0.2.1'), true);
    assert.equal(bindsOverlap('::', '192.0.2.1'), false);
    assert.equal(bindsOverlap('192.0.2.2', '192.0.2.1'), false);
  });
});
