import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fromHex, toHex } from '../bytes/text.ts';
import { buildRtcp, parseRtcp } from './rtcp.ts';
import type { VoipMetrics } from './rtcp-xr.ts';

const share = fc.integer({ min: 0, max: 255 }).map((n) => n / 256);
const ms = fc.nat(0xffff);
const mos = fc.integer({ min: 10, max: 50 }).map((n) => n / 10);
const metrics: fc.Arbitrary<VoipMetrics> = fc.record(
  {
    ssrc: fc.nat(0xffff_ffff),
    lossRate: share,
    discardRate: share,
    burstDensity: share,
    gapDensity: share,
    burstMs: ms,
    gapMs: ms,
    roundTripMs: ms,
    endSystemMs: ms,
    rFactor: fc.nat(100),
    mosLq: mos,
    mosCq: mos,
    concealment: fc.constantFrom('unknown', 'disabled', 'enhanced', 'standard'),
  },
  {
    requiredKeys: [
      ...(['ssrc', 'lossRate', 'discardRate', 'burstDensity', 'gapDensity', 'burstMs', 'gapMs'] as const),
      ...(['roundTripMs', 'endSystemMs', 'concealment'] as const),
    ],
  },
) as fc.Arbitrary<VoipMetrics>;

const base = { ssrc: 9, blocks: [], cname: 'x' };
const SOME: VoipMetrics = {
  ssrc: 0x01020304,
  lossRate: 0.5,
  discardRate: 0,
  burstDensity: 1,
  gapDensity: 0.25,
  burstMs: 120,
  gapMs: 70_000,
  roundTripMs: 44,
  endSystemMs: 0,
  rFactor: 87.4,
  mosLq: 4.26,
  concealment: 'standard',
};

/** Where the XR packet begins: behind the report and the CNAME. */
function xrAt(bytes: Uint8Array): number {
  let at = 0;
  while (bytes[at + 1] !== 207) at += 4 + 4 * ((bytes[at + 2]! << 8) | bytes[at + 3]!);
  return at;
}

test('RFC 3611 4.7: VoIP metrics are read as they were written', () => {
  fc.assert(
    fc.property(metrics, (m) => {
      const bytes = buildRtcp({ ...base, voipMetrics: m });
      assert.deepEqual(parseRtcp(bytes, 0, bytes.length)?.voipMetrics, [{ ...m }]);
    }),
  );
});

test('RFC 3611 4.7: the block octet by octet; what is too great is cut, what is not known is 127', () => {
  const bytes = buildRtcp({ ...base, voipMetrics: SOME, bye: true });
  const at = xrAt(bytes);
  assert.equal(
    toHex(bytes.subarray(at, at + 44)),
    [
      '80cf000a00000009', // XR of eleven words, our SSRC
      '0700000801020304', // block type 7, eight words
      '8000ff40', // loss, discard, burst density (no 256), gap density
      '0078ffff', // burst, gap (cut)
      '002c0000', // round trip, end system
      '7f7f7f10', // no levels, Gmin 16
      '577f2b7f', // R 87, none, MOS-LQ 43, none
      'c0000000', // RX config: standard concealment
      '00000000',
    ].join(''),
  );
  assert.equal(bytes[at + 45], 203, 'then the BYE');
});

test('RFC 3611 3: blocks of other types are stepped over, as many as fit', () => {
  const bytes = buildRtcp({ ...base, voipMetrics: SOME });
  const at = xrAt(bytes);
  const other = fromHex('0400000200000000000000000500000000ff0001aaaaaaaa')!;
  const head = bytes.slice(0, at + 8);
  head[at + 3] = 10 + other.length / 4;
  const made = Uint8Array.of(...head, ...other, ...bytes.subarray(at + 8));
  assert.equal(parseRtcp(made, 0, made.length)?.voipMetrics.length, 1);
});

test('RFC 3611 4.7.1: another length, or a block longer than its packet, refuses the compound packet', () => {
  const good = buildRtcp({ ...base, voipMetrics: SOME });
  const at = xrAt(good);
  for (const words of [0, 7, 9, 0xffff]) {
    const bad = good.slice();
    bad[at + 10] = words >>> 8;
    bad[at + 11] = words;
    assert.equal(parseRtcp(bad, 0, bad.length), undefined, String(words));
  }
  const endless = Uint8Array.of(
    ...good.subarray(0, at),
    ...fromHex(`80cf001200000009${'09000000'.repeat(17)}`)!,
  );
  assert.equal(parseRtcp(endless, 0, endless.length), undefined, 'seventeen empty blocks');
});

test('RFC 3611 4.7.5: a score out of range is no score', () => {
  const bytes = buildRtcp({ ...base, voipMetrics: { ...SOME, mosLq: 4, mosCq: 4 } });
  const at = xrAt(bytes) + 32; // R factor
  bytes[at] = 101;
  bytes[at + 2] = 51;
  bytes[at + 3] = 9;
  const [read] = parseRtcp(bytes, 0, bytes.length)!.voipMetrics;
  assert.deepEqual([read?.rFactor, read?.mosLq, read?.mosCq], [undefined, undefined, undefined]);
});

test('whatever octets an XR packet has: a value or undefined, never an exception', () => {
  const good = buildRtcp({ ...base, voipMetrics: SOME });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
      (changes) => {
        const bytes = good.slice();
        for (const [at, value] of changes) bytes[at] = value;
        const read = parseRtcp(bytes, 0, bytes.length);
        assert.ok(read === undefined || read.voipMetrics.length <= 4);
      },
    ),
  );
});
