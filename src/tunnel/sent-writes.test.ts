import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  CONTROL_FRAME,
  FLAG_DUPLICATE,
  FLAG_EMERGENCY,
  FrameReader,
  MEDIA_HEADER,
  type MediaFrame,
  mediaFrame,
  writeAck,
  writeHeartbeat,
  writeMedia,
} from './media-frame.ts';
import { copyFrames, SentWrites } from './sent-writes.ts';

const LOST = 32;

function of(...octets: number[]): Uint8Array {
  return Uint8Array.from(octets);
}

test('a write comes back once, when it is older than it should be and not acknowledged', () => {
  const writes = new SentWrites();
  writes.keep(0, of(9, 1, 9), 1, 1, 1000);
  writes.keep(1, of(2), 0, 1, 1010);
  assert.equal(writes.overdue(0, 1000 + LOST, LOST), undefined, 'not yet');
  const first = writes.overdue(0, 1001 + LOST, LOST);
  assert.deepEqual([first?.number, first?.length, first?.bytes[0]], [0, 1, 1]);
  assert.equal(writes.overdue(0, 1001 + LOST, LOST), undefined, 'the second is younger');
  assert.equal(writes.overdue(0, 1011 + LOST, LOST)?.number, 1);
  assert.equal(writes.overdue(0, 1030 + LOST, LOST), undefined, 'each once');
});

test('what is acknowledged, what was not kept and what is too late for speech is passed over', () => {
  const writes = new SentWrites();
  writes.keep(0, of(1), 0, 1, 1000);
  writes.keep(1, of(1), 0, 1, 1001);
  writes.keep(-1, of(1), 0, 1, 1002);
  writes.keep(3, new Uint8Array(5000), 0, 5000, 1003); // longer than a segment's worth of frames
  writes.keep(4, of(1), 0, 1, 1030);
  assert.equal(writes.overdue(1, 1000 + LOST + 31, LOST)?.number, 1, '0 was acknowledged');
  assert.equal(writes.overdue(1, 1040 + LOST, LOST)?.number, 4, '3 was never kept');
  writes.keep(5, of(1), 0, 1, 1031);
  assert.equal(writes.overdue(1, 1031 + LOST + 31, LOST), undefined, 'nobody would hear it');
});

test('of any number of writes the last ones are kept, in order', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 300 }), fc.nat(300), (count, settled) => {
      const writes = new SentWrites();
      for (let i = 0; i < count; i++) writes.keep(i, of(i & 0xff), 0, 1, 0);
      const seen: number[] = [];
      for (;;) {
        const write = writes.overdue(Math.min(settled, count), 10, 5);
        if (write === undefined) break;
        assert.equal(write.bytes[0], write.number & 0xff);
        seen.push(write.number);
      }
      const from = Math.max(Math.min(settled, count), count - 64);
      assert.deepEqual(
        seen,
        Array.from({ length: count - from }, (_, i) => from + i),
      );
    }),
  );
});

test('frames are said again as second copies; second copies, acknowledgements and heartbeats are not', () => {
  const bytes = new Uint8Array(200);
  const media = (at: number, sequence: number, flags: number): number =>
    writeMedia(bytes, at, { ...mediaFrame(), stream: 7, sequence, flags, bytes: of(1, 2, 3), length: 3 });
  let at = writeHeartbeat(bytes, 0, 77, false);
  at = media(at, 1, FLAG_EMERGENCY);
  at = media(at, 2, FLAG_DUPLICATE);
  at = media(at, 3, 0);
  at = writeAck(bytes, at, 5);
  const out = new Uint8Array(200);
  const end = copyFrames({ number: 0, at: 0, bytes, length: at }, out, 10);
  assert.equal(end, 10 + 2 * (MEDIA_HEADER + 3));
  const seen: Pick<MediaFrame, 'sequence' | 'flags'>[] = [];
  const unexpected = (): never => assert.fail('the lane’s own');
  const reader = new FrameReader({
    media: ({ sequence, flags }) => seen.push({ sequence, flags }),
    ack: unexpected,
    heartbeat: unexpected,
    close: unexpected,
    hello: unexpected,
  });
  assert.equal(reader.push(out, 10, end), undefined);
  assert.deepEqual(seen, [
    { sequence: 1, flags: FLAG_EMERGENCY | FLAG_DUPLICATE },
    { sequence: 3, flags: FLAG_DUPLICATE },
  ]);
  assert.equal(copyFrames({ number: 0, at: 0, bytes, length: CONTROL_FRAME }, out, 0), 0);
});
