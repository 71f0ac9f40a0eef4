/** The WAN emulator itself: what is asked for is what packets meet, and the same seed gives the same losses. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { undisturbed } from './undisturbed.ts';
import {
  speak,
  straightCalls,
  type VoiceResult,
  Wan,
  type WanOptions,
  type WanStatistics,
  WanTools,
  wanMissing,
} from './wan.ts';

const missing = wanMissing();
let tools: WanTools;
before(() => {
  if (missing === undefined) tools = new WanTools();
});
after(() => tools?.remove());

const skip = missing === undefined ? {} : { skip: missing };

async function across(
  options: WanOptions,
  calls: number,
  seconds: number,
): Promise<{ result: VoiceResult; statistics: WanStatistics; wan: Wan }> {
  const wan = await Wan.start(tools, options);
  let statistics: WanStatistics | undefined;
  try {
    const result = await speak(tools, wan, straightCalls(wan, calls), { seconds, warmUpSeconds: 0.2 });
    statistics = await wan.statistics();
    return { result, statistics, wan };
  } finally {
    await wan.stop();
  }
}

const shareLost = (r: VoiceResult): number => r.lost / r.sent;
const near = (value: number, wanted: number, tolerance: number, what: string): void =>
  assert.ok(Math.abs(value - wanted) <= tolerance, `${what}: ${value}, wanted ${wanted} +- ${tolerance}`);

test('a clean link delays every packet by its delay and loses none', skip, async (t) => {
  await undisturbed(t, async () => {
    const { result, statistics } = await across({ delayMs: 25 }, 20, 2);
    assert.equal(result.lost, 0);
    assert.ok(result.sent > 3900, `${result.sent} sent`);
    near(result.medianMs, 25, 1, 'median');
    assert.ok(result.percentileMs(0) >= 25, 'never early');
    assert.ok(statistics.ways[0].behindMeanUs < 1000, `behind ${statistics.ways[0].behindMeanUs} us`);
    assert.equal(statistics.ways[0].lost, 0);
  });
});

test('jitter is spread over its range and keeps the order', skip, async (t) => {
  await undisturbed(t, async () => {
    const { result } = await across({ delayMs: 10, jitterMs: 20 }, 1, 3);
    near(result.percentileMs(0.5), 20, 4, 'median');
    assert.ok(result.percentileMs(0.05) < 15 && result.percentileMs(0.95) > 25, 'spread');
    assert.ok(result.percentileMs(0.95) < 32, `bounded: ${result.percentileMs(0.95)}`);
  });
});

test('random loss has its share, and the same seed loses the same number', skip, async (t) => {
  await undisturbed(t, async () => {
    const lossy = { delayMs: 1, lossPercent: 5, seed: 42 };
    const { result, statistics } = await across(lossy, 50, 2);
    near(shareLost(result), 0.05, 0.015, 'loss');
    const [one, other] = statistics.ways;
    assert.notEqual(one.lost, other.lost, 'the two ways are independent');
    assert.ok(one.in - one.out - one.lost - one.lostInQueue < 5, 'every packet is accounted for');
  });
});

test('Gilbert loss comes in bursts of its mean length', skip, async (t) => {
  await undisturbed(t, async () => {
    // Bad for 1/0.25 = 4 packets on average, entered once per 25.
    const { result } = await across(
      { delayMs: 1, burst: { enterPercent: 4, leavePercent: 25 }, seed: 7 },
      1,
      10,
    );
    const lost: boolean[] = [...result.between(0, 60)]
      .filter((p) => p.sender === 0)
      .sort((a, b) => a.sentAt - b.sentAt)
      .map((p) => p.delayMs < 0);
    const bursts = lost.filter((l, i) => l && lost[i - 1] !== true).length;
    const mean = lost.filter(Boolean).length / bursts;
    assert.ok(bursts >= 8, `${bursts} bursts`);
    near(mean, 4, 2.2, 'mean burst');
  });
});

test('a rate is not exceeded, and what would wait too long is dropped', skip, async (t) => {
  await undisturbed(t, async () => {
    // 20 calls are 20 * 50 * 200 octets = 1600 kbit/s each way.
    const { result, statistics } = await across({ delayMs: 5, rateKbit: 800, queueMs: 100 }, 20, 3);
    near(shareLost(result), 0.5, 0.06, 'dropped');
    near(result.percentileMs(0.9), 105, 6, 'queue');
    assert.ok(statistics.ways[0].lostInQueue > 0);
  });
});

test('an outage loses everything for its length, at its time, and nothing else', skip, async (t) => {
  await undisturbed(t, async () => {
    const { result, wan } = await across({ delayMs: 5, outage: { everyMs: 1000, lengthMs: 200 } }, 10, 3);
    const phase = (sentAt: number): number => (result.from + sentAt - wan.readyAt) % 1;
    let inside = 0;
    for (const p of result.between(0, 10)) {
      const at = phase(p.sentAt);
      const early = result.from + p.sentAt - wan.readyAt < 1;
      if (!early && at > 0.003 && at < 0.197) {
        assert.equal(p.delayMs, -1, `sent ${at} s into the period`);
        inside++;
      } else if (early || (at > 0.203 && at < 0.995)) {
        assert.ok(p.delayMs > 0, `lost ${at} s into the period`);
      }
    }
    assert.ok(inside > 300, `${inside} in outages`);
  });
});
