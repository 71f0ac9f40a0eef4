import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Address } from '../machine/address.ts';
import { RTP_HEADER, writeHeader } from '../rtp/packet.ts';
import { buildRtcp } from '../rtp/rtcp.ts';
import { parseSource } from '../rtp/source-words.ts';
import { LEG, World } from './fixtures.test.ts';

const LOCAL = { ip: '192.0.2.1', port: 30_000, shared: true } as const;
const FIRST: Address = { ip: '198.51.100.7', port: 4000 };
const SECOND: Address = { ip: '198.51.100.7', port: 4002 };

class SharedWorld extends World {
  /** Stream 1 with FIRST and stream 2 with SECOND on one pair of ports. */
  openBoth(): void {
    this.open({ stream: 1, call: 'one', local: LOCAL, remote: FIRST });
    this.open({ stream: 2, call: 'two', local: LOCAL, remote: SECOND });
  }

  token(port: number): number {
    const found = [...this.udp.bound].find(([, local]) => local.port === port);
    assert.ok(found, `port ${port} is bound`);
    return found[0];
  }

  /** RTP to the shared port. */
  packetOf(source: Address, sequence: number, ssrc: number, fill = 0): void {
    const bytes = new Uint8Array(RTP_HEADER + 160).fill(fill);
    writeHeader(bytes, 0, 8, false, sequence, sequence * 160, ssrc);
    this.engine.packet(this.token(LOCAL.port), bytes, 0, bytes.length, parseSource(source)!);
  }

  streamsHeard(): number[] {
    return this.frames.map((frame) => frame.stream);
  }
}

test('a packet on a shared port belongs to the leg whose far end is exactly its source', () => {
  const w = new SharedWorld();
  w.openBoth();
  assert.deepEqual(w.kinds(), ['opened', 'opened']);
  assert.deepEqual(
    [...w.udp.bound.values()].map((a) => a.port).sort(),
    [30_000, 30_001],
    'one pair for both',
  );
  w.packetOf(FIRST, 10, 111);
  w.packetOf(SECOND, 20, 222);
  w.packetOf(FIRST, 11, 111);
  assert.deepEqual(w.streamsHeard(), [1, 2, 1]);
  w.frame(1, { stream: 2 });
  assert.deepEqual([w.udp.sent[0]!.to, w.udp.sent[0]!.token], ['198.51.100.7:4002', w.token(LOCAL.port)]);
});

test('one far end cannot inject into another stream of the same port, whatever SSRC and numbers it copies', () => {
  const w = new SharedWorld();
  w.openBoth();
  w.packetOf(FIRST, 10, 111, 1);
  w.packetOf(SECOND, 20, 222, 2);
  // The second one's SSRC and next number from the first one's address, from its host on another port, from elsewhere.
  w.packetOf(FIRST, 21, 222, 9);
  w.packetOf({ ip: SECOND.ip, port: 4004 }, 21, 222, 9);
  w.packetOf({ ip: '203.0.113.5', port: SECOND.port }, 21, 222, 9);
  assert.deepEqual(w.streamsHeard(), [1, 2]);
  w.packetOf(SECOND, 21, 222, 2);
  assert.deepEqual(w.streamsHeard(), [1, 2, 2], 'the true one goes on undisturbed');
  assert.ok(w.frames.every((frame) => !frame.bytes.includes(9)));
  w.command({ kind: 'report', every: 4 });
  w.wait(100);
  const told = w.events.findLast((e) => e.kind === 'counters' && e.strangers !== undefined);
  assert.equal(told?.kind === 'counters' && told.strangers, 2, 'and the strangers are counted');
});

test('RTCP on a shared port is told apart by its source as well', () => {
  const w = new SharedWorld();
  w.openBoth();
  w.packetOf(SECOND, 20, 222);
  const report = buildRtcp({
    ssrc: 222,
    cname: 'x',
    blocks: [
      { ssrc: 1, fractionLost: 0, cumulativeLost: 7, highestSequence: 1, jitter: 0, lastReport: 0, delay: 0 },
    ],
  });
  const control = w.token(LOCAL.port + 1);
  w.engine.packet(control, report, 0, report.length, parseSource({ ip: SECOND.ip, port: 4003 })!);
  w.engine.packet(control, report, 0, report.length, parseSource({ ip: '203.0.113.5', port: 4003 })!);
  w.command({ kind: 'close', session: 's', stream: 1 });
  w.command({ kind: 'close', session: 's', stream: 2 });
  const refused = w.events.flatMap((e) =>
    e.kind === 'closed' ? [e.counters.refused.reduce((a, b) => a + b, 0)] : [],
  );
  assert.deepEqual(refused, [0, 0]);
});

test('no two legs of a shared port have the same far end: the second is refused, also when it moves there', () => {
  const w = new SharedWorld();
  w.openBoth();
  w.open({ stream: 3, local: LOCAL, remote: SECOND });
  const failed = w.events.at(-1)!;
  assert.ok(failed.kind === 'open-failed' && failed.stream === 3 && failed.reason.includes('4002'));
  w.open({ stream: 4, local: LOCAL });
  w.command({ kind: 'modify', relearn: true, leg: { ...legOf(w, 1), remote: SECOND } });
  assert.deepEqual(w.kinds().slice(-2), ['closed', 'open-failed']);
  w.packetOf(SECOND, 20, 222);
  assert.deepEqual(w.streamsHeard(), [2], 'its first user keeps it');
});

test('a leg of a shared port hears nobody before its far end is known, and follows it when it moves', () => {
  const w = new SharedWorld();
  const { remote: _, ...offered } = LEG;
  w.command({ kind: 'open', leg: { ...offered, local: LOCAL } });
  w.packetOf(FIRST, 10, 111);
  assert.deepEqual(w.streamsHeard(), []);
  w.command({ kind: 'modify', relearn: true, leg: { ...legOf(w, 1), remote: FIRST } });
  w.packetOf(FIRST, 11, 111);
  w.command({ kind: 'modify', relearn: true, leg: { ...legOf(w, 1), remote: SECOND } });
  w.packetOf(FIRST, 12, 111);
  w.packetOf(SECOND, 13, 111);
  assert.deepEqual(w.streamsHeard(), [1, 1]);
  assert.equal(w.kinds().filter((kind) => kind === 'opened').length, 1);
});

test('a shared pair is bound as long as a leg uses it, and only for signalled sources', () => {
  const w = new SharedWorld();
  w.open({ stream: 1, local: LOCAL, source: 'latch' });
  assert.deepEqual(w.kinds(), ['open-failed']);
  assert.equal(w.udp.bound.size, 0);
  w.openBoth();
  w.command({ kind: 'close', session: 's', stream: 1 });
  assert.equal(w.udp.bound.size, 2);
  w.command({ kind: 'close', session: 's', stream: 2 });
  assert.equal(w.udp.bound.size, 0);
  w.udp.taken.add('192.0.2.1:30000');
  w.openBoth();
  assert.deepEqual(w.kinds().slice(-2), ['open-failed', 'open-failed']);
  assert.equal(w.udp.bound.size, 0);
});

function legOf(w: SharedWorld, stream: number) {
  const leg = w.streams.legs.get(stream);
  assert.ok(leg);
  return leg.config;
}
