import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildRtcp, parseRtcp } from '../rtp/rtcp.ts';
import type { VoipMetrics } from '../rtp/rtcp-xr.ts';
import { CONTROL_QUALITY, FLAG_CONTROL } from '../tunnel/media-frame.ts';
import { QUALITY_LENGTH, readQuality, writeQuality } from '../tunnel/quality-report.ts';
import { LEG, World } from './fixtures.test.ts';

/** Twenty milliseconds a packet, without those that `lost` names. */
function speak(w: World, from: number, count: number, lost: (n: number) => boolean = () => false): void {
  for (let n = from; n < from + count; n++) {
    w.wait(20);
    if (!lost(n)) w.rtp(n);
  }
}

function hear(w: World, from: number, count: number, lost: (n: number) => boolean = () => false): void {
  for (let n = from; n < from + count; n++) {
    w.wait(20);
    if (!lost(n)) w.frame(n);
  }
}

/** What the other gateway is told, latest. */
function told(w: World) {
  const frame = w.frames.findLast((f) => (f.flags & FLAG_CONTROL) !== 0 && f.bytes[0] === CONTROL_QUALITY);
  return frame && readQuality(frame.bytes, 0);
}

function say(w: World, framesSent: number, lost = 0, jitterMs = 0): void {
  const bytes = new Uint8Array(QUALITY_LENGTH);
  writeQuality(bytes, { framesSent, lost, jitterMs });
  w.frame(0, { flags: FLAG_CONTROL, format: 0, bytes });
}

function ourSsrc(w: World): number {
  return new DataView(w.rtpSent()[0]!.buffer).getUint32(8);
}

test('loss, late packets and second copies of the far end are told apart', () => {
  const w = new World();
  w.open();
  speak(w, 1, 100, (n) => n === 50 || n === 60);
  w.rtp(60); // it was only late
  w.rtp(99);
  w.rtp(99);
  const { lostIn, lateIn, duplicatesIn, packetsIn } = w.counters();
  assert.deepEqual(
    { lostIn, lateIn, duplicatesIn, packetsIn },
    { lostIn: 1, lateIn: 1, duplicatesIn: 2, packetsIn: 99 },
  );
});

test('G.107: the score is that of the codec in use, not of G.711', () => {
  const mosOf = (impairment?: { ie: number; bpl: number }): number => {
    const w = new World();
    w.open({
      formats: LEG.formats.map((f) => ({ ...f, ...(impairment === undefined ? {} : { impairment }) })),
    });
    speak(w, 1, 200, (n) => n % 25 === 0);
    return w.counters().mosIn;
  };
  const [g711, g729, gsm] = [mosOf(), mosOf({ ie: 11, bpl: 19 }), mosOf({ ie: 20, bpl: 10 })];
  assert.ok(g711 > g729 + 0.3 && g729 > gsm + 0.3, `${g711} ${g729} ${gsm}`);
});

test('a gateway tells the other what it sent, and each knows where something was lost', () => {
  const near = new World();
  near.open();
  speak(near, 1, 400, (n) => n === 100 || n === 101);
  const report = told(near);
  assert.ok(report !== undefined && report.framesSent > 100 && report.lost === 2, JSON.stringify(report));

  const far = new World();
  far.open();
  // The two of the far leg never became frames; five more were lost on the way.
  hear(far, 1, 398, (n) => n === 100 || n === 101 || (n >= 200 && n < 205));
  say(far, 396, 2, 7.5);
  const { framesLost, tunnelLost, farLost, farJitterMs, tunnelDelayMs, mosOut } = far.counters();
  assert.deepEqual(
    { framesLost, tunnelLost, farLost, farJitterMs },
    { framesLost: 7, tunnelLost: 5, farLost: 2, farJitterMs: 7.5 },
  );
  assert.equal(tunnelDelayMs, 0);
  assert.ok(mosOut > 3.9 && mosOut < 4.35, `${mosOut}`);
});

test('nothing is known of the tunnel while the other gateway says nothing', () => {
  const w = new World();
  w.open();
  hear(w, 1, 10);
  const { tunnelLost, farLost, farJitterMs } = w.counters();
  assert.deepEqual([tunnelLost, farLost, farJitterMs], [-1, -1, -1]);
});

test('frames that come later than the fastest are the delay of the lanes', () => {
  const w = new World();
  w.open();
  for (let n = 1; n < 100; n++) {
    w.wait(20);
    w.frame(n, n % 2 === 0 ? {} : { sent: (w.now - 40) & 0xffff });
  }
  const { tunnelDelayMs } = w.counters();
  assert.ok(tunnelDelayMs > 15 && tunnelDelayMs < 25, `${tunnelDelayMs}`);
});

test('what the far end hears: its own report counts on top of what was lost before', () => {
  const clean = new World();
  clean.open();
  hear(clean, 1, 200);
  const w = new World();
  w.open();
  hear(w, 1, 200);
  const block = { highestSequence: 200, jitter: 160, lastReport: 0, delay: 0 };
  w.rtcp(
    buildRtcp({
      ssrc: 3,
      cname: 'x',
      blocks: [{ ...block, ssrc: ourSsrc(w), fractionLost: 12, cumulativeLost: 10 }],
    }),
  );
  const counters = w.counters();
  assert.deepEqual([counters.lostOut, counters.jitterOutMs], [10, 20]);
  assert.ok(counters.mosOut < clean.counters().mosOut - 0.2, `${counters.mosOut}`);
});

const HEARD: VoipMetrics = {
  ssrc: 0,
  lossRate: 0,
  discardRate: 0,
  burstDensity: 0,
  gapDensity: 0,
  burstMs: 0,
  gapMs: 0,
  roundTripMs: 0,
  endSystemMs: 0,
  mosCq: 3.1,
  concealment: 'disabled',
};

test('RFC 3611 4.7: metrics of the far end about our stream are kept, of any other stream not', () => {
  const w = new World();
  w.open();
  hear(w, 1, 200, (n) => n % 50 === 0);
  w.rtcp(buildRtcp({ ssrc: 3, cname: 'x', blocks: [], voipMetrics: { ...HEARD, ssrc: 77 } }));
  w.rtcp(buildRtcp({ ssrc: 3, cname: 'x', blocks: [], voipMetrics: { ...HEARD, ssrc: ourSsrc(w) } }));
  const { mosOut, mosOutReported } = w.counters();
  assert.equal(mosOutReported, 3.1);
  // 2 % loss of G.711: 4.2 with concealment, under 3.6 without.
  assert.ok(mosOut < 3.6, `${mosOut}: a device without concealment hears loss`);
});

test('RFC 3611 5: VoIP metrics are sent where the far end asked for them, and nowhere else', () => {
  for (const voipMetrics of [true, false]) {
    const w = new World();
    w.open({ voipMetrics });
    speak(w, 1, 600, (n) => n >= 300 && n < 310);
    const reports = w.udp.sent
      .filter((s) => s.token === 1)
      .map(({ bytes }) => parseRtcp(bytes, 0, bytes.length)!.voipMetrics);
    assert.ok(reports.length >= 2);
    if (!voipMetrics) {
      assert.ok(reports.every((r) => r.length === 0));
      continue;
    }
    const last = reports.at(-1)![0]!;
    assert.equal(last.ssrc, 4711);
    assert.ok(last.lossRate > 10 / 610 && last.lossRate < 10 / 310, `${last.lossRate}`);
    assert.equal(last.burstDensity, 255 / 256, 'ten in a row');
    assert.ok(last.burstMs >= 160 && last.burstMs <= 260, `${last.burstMs}`);
    assert.ok(last.mosLq! > 3 && last.mosLq! < 4.4 && last.mosCq! <= last.mosLq!, JSON.stringify(last));
  }
});

test('a far end that sends no voice is told no VoIP metrics', () => {
  const w = new World();
  w.open({ voipMetrics: true, formats: [{ ...LEG.formats[0]!, kind: 'video' }], kind: 'video' });
  speak(w, 1, 400);
  for (const { bytes } of w.udp.sent.filter((s) => s.token === 1))
    assert.equal(parseRtcp(bytes, 0, bytes.length)?.voipMetrics.length, 0);
});

test('a quality report of another length is refused, and the source of reports is checked first', () => {
  const w = new World();
  w.open();
  w.frame(0, { flags: FLAG_CONTROL, format: 0, bytes: Uint8Array.of(CONTROL_QUALITY, 0, 0) });
  w.rtcp(buildRtcp({ ssrc: 3, cname: 'x', blocks: [], voipMetrics: HEARD }), {
    ip: '203.0.113.9',
    port: 4001,
  });
  const counters = w.counters();
  assert.equal(counters.mosOutReported, 0);
  assert.equal(counters.refused[16], 1, 'frame-format');
  assert.equal(counters.refused[14], 1, 'rtcp-source');
});
