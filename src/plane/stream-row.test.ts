import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Place } from '../machine/cells.ts';
import { BUCKET_CELLS, hasTokens, makeBucket, spendTokens } from '../machine/token-bucket.ts';
import type { PlaneFormat } from '../media/plane-contract.ts';
import { LossRuns, RUN_CELLS } from '../rtp/loss-runs.ts';
import { RTP_HEADER, writeHeader } from '../rtp/packet.ts';
import { REBUILD_CELLS, Rebuilder } from '../rtp/rebuild.ts';
import { CHECK_CELLS, ReceiveCheck } from '../rtp/receive-check.ts';
import { RECEPTION_CELLS, Reception } from '../rtp/reception.ts';
import { ACCEPTED } from '../rtp/refusal.ts';
import { SequenceWindow, WINDOW_CELLS } from '../rtp/sequence-window.ts';
import { LOCK_CELLS, SourceLock } from '../rtp/source-lock.ts';
import { parseSource } from '../rtp/source-words.ts';
import { FrameOrder, ORDER_CELLS } from '../tunnel/frame-order.ts';
import { mediaFrame } from '../tunnel/media-frame.ts';
import { LEG, PHONE, World } from './fixtures.test.ts';
import { FORMAT_CELLS, SendFormats } from './send-formats.ts';
import { StreamRows } from './stream-row.ts';

const random = { bytes: (n: number) => new Uint8Array(n).fill(0xff), uint32: () => 0xffff_ffff };
const NUMBERS = [5, 6, 9, 8, 8, 300, 4000, 4001, 65_535, 0, 1, 3];

/** Uses what lies in `cells` numbers of a row, between cells of others. */
const PARTS: readonly (readonly [name: string, cells: number, use: (place: Place) => void])[] = [
  [
    'token bucket',
    BUCKET_CELLS,
    (place) => {
      makeBucket(place, 2, 50, 0);
      for (const now of NUMBERS)
        if (hasTokens(place.cells, place.at, 1, now)) spendTokens(place.cells, place.at, 1);
    },
  ],
  [
    'sequence window',
    WINDOW_CELLS,
    (place) => {
      const window = new SequenceWindow(place);
      for (const n of NUMBERS) {
        const verdict = window.classify(n);
        if (verdict < 2) window.commit(n);
        else window.restart(n);
      }
    },
  ],
  [
    'reception',
    RECEPTION_CELLS,
    (place) => {
      const reception = new Reception(place);
      for (const n of NUMBERS) reception.arrived(n * 160, 8000, false, n * 21);
    },
  ],
  [
    'loss runs',
    RUN_CELLS,
    (place) => {
      const runs = new LossRuns(place);
      for (const n of NUMBERS)
        if (n % 2 === 0) runs.lost();
        else runs.received();
    },
  ],
  [
    'source lock',
    LOCK_CELLS,
    (place) => new SourceLock('latch', undefined, 1, 0, place).lock(parseSource(PHONE)!),
  ],
  [
    'receive check',
    CHECK_CELLS,
    (place) => {
      const source = parseSource(PHONE)!;
      const formats = [8, 101].map((payloadType) => ({
        format: payloadType & 31,
        payloadType,
        clockRate: 8000,
        maxPayload: 4,
        maxPacketsPerSecond: 1000,
        event: payloadType === 101,
      }));
      const rules = { receive: true, rtcpMux: true, formats };
      const check = new ReceiveCheck(rules, new SourceLock('signalled', source, 1, 0), 1, 2, 0, place);
      const packet = new Uint8Array(RTP_HEADER + 4);
      const verdicts = NUMBERS.map((n, i) => {
        writeHeader(packet, 0, i % 5 === 4 ? 101 : 8, false, n, n * 160, 0xffff_ffff);
        return check.check(packet, 0, packet.length, source, i * 20);
      });
      assert.ok(verdicts.filter((v) => v === ACCEPTED).length > 3);
      check.setRules({ ...rules, formats: [] }, 0);
    },
  ],
  [
    'rebuilder',
    REBUILD_CELLS,
    (place) => {
      const rebuilder = new Rebuilder(random, undefined, undefined, place);
      const out = new Uint8Array(RTP_HEADER);
      for (const n of NUMBERS) rebuilder.header(out, 0, 8, false, n, n * 160, 8000, 160, n);
      rebuilder.inject(out, 0, 101, true, 1, 4);
      rebuilder.swallow(4);
    },
  ],
  [
    'frame order',
    ORDER_CELLS,
    (place) => {
      const order = new FrameOrder(undefined, place);
      for (const sequence of NUMBERS) {
        order.hold({ ...mediaFrame(), sequence }, sequence);
        order.next(sequence);
      }
    },
  ],
  [
    'formats to a far end',
    FORMAT_CELLS,
    (place) => {
      const event: PlaneFormat = { ...LEG.formats[0]!, format: 3, kind: 'event' };
      const formats = new SendFormats(place);
      formats.set([...LEG.formats, event], 0);
      formats.set([event], 10);
    },
  ],
];

test('what lies in a row writes its own cells and nobody else`s', () => {
  const GUARD = 12_345.75;
  for (const [name, count, use] of PARTS) {
    const at = 16;
    const cells = new Float64Array(at + count + 16).fill(GUARD);
    cells.fill(0, at, at + count);
    use({ cells, at });
    const touched = [...cells.keys()].filter((i) => (i < at || i >= at + count) && cells[i] !== GUARD);
    assert.deepEqual(touched, [], name);
    assert.ok(
      cells.subarray(at, at + count).some((value) => value !== 0),
      `${name} was used`,
    );
  }
});

test('rows of different slots have no cell in common, and a slot given out again begins with 0', () => {
  const rows = new StreamRows();
  const taken = [0, 1, 511, 512, 8191].map((slot) => ({ slot, ...rows.fresh(slot) }));
  const [first, second] = taken;
  const length = second!.at - first!.at;
  for (const { cells, at, slot } of taken) cells.fill(slot + 1, at, at + length);
  for (const { cells, at, slot } of taken)
    assert.ok(cells.subarray(at, at + length).every((value) => value === slot + 1));
  const again = rows.fresh(1);
  assert.deepEqual([again.cells, again.at], [second!.cells, second!.at]);
  assert.ok(again.cells.subarray(again.at, again.at + length).every((value) => value === 0));
  assert.equal(first!.cells[first!.at], 1);
});

test('a stream in the place of a closed one has nothing of it', () => {
  const w = new World();
  w.open();
  for (let i = 0; i < 10; i++) {
    w.now += 20;
    w.rtp(2 * i);
    w.frame(2 * i);
  }
  const before = w.counters();
  assert.deepEqual([before.packetsIn, before.packetsOut, before.lostIn, before.framesLost], [10, 10, 9, 9]);
  assert.ok(before.lockedSource);
  w.open();
  const after = w.counters();
  assert.deepEqual(after.refused, before.refused);
  for (const [name, value] of Object.entries(after)) {
    if (typeof value !== 'number' || name === 'stream') continue;
    assert.ok(value === 0 || value === -1, `${name} ${value}`);
  }
  assert.equal(after.lockedSource, undefined);
});
