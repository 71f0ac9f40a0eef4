import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { IntervalLoss, Reception, RoundTrip } from './reception.ts';
import { buildRtcp, ntpMiddle, ntpOf, parseRtcp, type RtcpReport } from './rtcp.ts';

const u32 = fc.nat(0xffffffff);
const block = fc.record({
  ssrc: u32,
  fractionLost: fc.nat(255),
  cumulativeLost: fc.integer({ min: -0x800000, max: 0x7fffff }),
  highestSequence: u32,
  jitter: u32,
  lastReport: u32,
  delay: u32,
});
const report: fc.Arbitrary<RtcpReport> = fc.record(
  {
    ssrc: u32,
    sender: fc.record({ ntpHigh: u32, ntpLow: u32, timestamp: u32, packets: u32, octets: u32 }),
    blocks: fc.array(block, { maxLength: 31 }),
    cname: fc.string({ unit: fc.constantFrom(...'abc@.-0'), maxLength: 255 }),
    bye: fc.boolean(),
    pictureLossOf: u32,
  },
  { requiredKeys: ['ssrc', 'blocks', 'cname'] },
) as fc.Arbitrary<RtcpReport>;

test('RFC 3550 6.1: a compound packet begins with a report, has a CNAME, and is read again as it was', () => {
  fc.assert(
    fc.property(report, (r) => {
      const bytes = buildRtcp(r);
      assert.equal(bytes.length % 4, 0);
      assert.equal(bytes[1], r.sender ? 200 : 201);
      const got = parseRtcp(bytes, 0, bytes.length)!;
      assert.deepEqual(
        got.blocks,
        r.blocks.map((b) => ({ ...b })),
      );
      assert.equal(got.bye, r.bye === true);
      assert.equal(got.pictureLoss, r.pictureLossOf !== undefined);
      if (r.sender) assert.deepEqual(got.sender, { ...r.sender, ssrc: r.ssrc });
      else assert.equal(got.sender, undefined);
    }),
  );
});

test('RFC 3550 A.2: whatever is out of shape is refused as a whole, and nothing throws', () => {
  const good = buildRtcp({ ssrc: 1, blocks: [], cname: 'x' });
  const with_ = (at: number, value: number): Uint8Array => {
    const copy = good.slice();
    copy[at] = value;
    return copy;
  };
  const refused = (bytes: Uint8Array): void => assert.equal(parseRtcp(bytes, 0, bytes.length), undefined);
  refused(good.slice(0, 4)); // the 4-octet RTCP of AST-2017-008
  refused(good.slice(0, good.length - 1));
  refused(good.slice(0, good.length - 4));
  refused(with_(0, 0x41));
  refused(with_(1, 203)); // BYE first
  refused(with_(0, 0xa0)); // padding on the first
  refused(with_(3, 200)); // longer than the datagram
  refused(with_(0, 0x9f)); // 31 blocks that are not there
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      bytes[0] = 0x80 | (bytes[0]! & 31);
      if (bytes.length > 1) bytes[1] = 200 + (bytes[1]! % 8);
      parseRtcp(bytes, 0, bytes.length);
    }),
    { numRuns: 1000 },
  );
});

test('RFC 3550 6.4.1: round trip from LSR and DLSR; claims about reports never sent are ignored', () => {
  const rtt = new RoundTrip();
  const ntp = ntpOf(1_700_000_000_500);
  assert.equal(ntp.low, 0x8000_0000);
  const middle = ntpMiddle(ntp.high, ntp.low);
  rtt.sent(middle, 1000);
  rtt.reported(middle + 1, 0, 1050);
  assert.equal(rtt.ms, -1);
  rtt.reported(middle, 65536 / 10, 1150); // held 100 ms there
  assert.ok(Math.abs(rtt.ms - 50) < 0.01, `${rtt.ms}`);
});

test('RFC 3550 A.8: jitter of an even stream is 0; of one that alternates 10 ms it comes near 10 ms', () => {
  const even = new Reception();
  const uneven = new Reception();
  for (let i = 0; i < 400; i++) {
    const ts = (0xffff_ff00 + i * 160) >>> 0; // wraps
    even.arrived(ts, 8000, false, 20 * i);
    uneven.arrived(ts, 8000, false, 20 * i + (i % 2) * 10);
  }
  assert.equal(even.jitter, 0);
  assert.ok(Math.abs(uneven.jitterMs - 10) < 0.5, `${uneven.jitterMs}`);
});

test('RFC 3550 A.3: the fraction is that of the interval', () => {
  const loss = new IntervalLoss();
  assert.equal(loss.next(100, 75), 64);
  assert.equal(loss.next(200, 175), 0);
  assert.equal(loss.next(200, 180), 0, 'more than expected is no loss');
});
