/** T.38: UDPTL through the engine. Each rule of the filter, and what a fax has instead of speech's deadlines. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Address } from '../machine/address.ts';
import { type PlaneFormat, REFUSALS, type StreamLegConfig } from '../media/plane-contract.ts';
import { parseSource } from '../rtp/source-words.ts';
import { UdptlSender } from '../rtp/udptl-sender.ts';
import { LEG, PHONE, World } from './fixtures.test.ts';

const FAX: PlaneFormat = {
  format: 3,
  receivePayloadType: -1,
  sendPayloadType: -1,
  clockRate: 0,
  maxPayload: 400,
  maxPacketsPerSecond: 200,
  kind: 'udptl',
  udptl: { maxDatagramIn: 400, maxBytesPerSecond: 20_000, redundancy: 3, maxDatagramOut: 300 },
};
const FAX_LEG: Partial<StreamLegConfig> = { kind: 'image', formats: [FAX] };

/** V.21 data of one octet. */
const ifp = (n: number): Uint8Array => Uint8Array.of(0xc0, 1, 0x80, 0, 0, n & 255);

class FaxWorld extends World {
  readonly #sender = new UdptlSender(400);

  /** The next datagram of the far end, its IFP packet being number `n`; `fate` false: lost on the way. */
  datagram(n: number, source: Address = PHONE, arrives = true, token = 0): void {
    const out = new Uint8Array(2048);
    const length = this.#sender.write(out, n, ifp(n), 0, 6, { redundancy: 2, maxDatagram: 400 });
    if (arrives) this.raw(out.slice(0, length), source, token);
  }

  raw(bytes: Uint8Array, source: Address = PHONE, token = 0): void {
    this.engine.packet(token, bytes, 0, bytes.length, parseSource(source)!);
  }

  /** A frame of the tunnel: IFP packet `n`, frame number `sequence`. */
  fax(sequence: number, n = sequence, more: object = {}): void {
    this.frame(sequence, { format: 3, timestamp: n, bytes: ifp(n), ...more });
  }

  sent(): number[][] {
    return this.udp.sent.map(({ bytes }) => {
      const out = [(bytes[0]! << 8) | bytes[1]!];
      for (let at = 2, left = 1; left > 0; left--) {
        const length = bytes[at]!;
        out.push(bytes[at + length]!);
        at += 1 + length;
        if (at === 3 + length && bytes.length > at) {
          left = bytes[at + 1]! + 1;
          at += 2;
        }
      }
      return out;
    });
  }
}

const refusedOf = (w: World): Record<string, number> => {
  const { refused } = w.counters();
  return Object.fromEntries(REFUSALS.map((r, i) => [r, refused[i]!] as const).filter(([, n]) => n > 0));
};

test('UDPTL ends at the gateway: each IFP packet crosses once, in a frame of its own, and what was lost is mended here', () => {
  const w = new FaxWorld();
  w.open(FAX_LEG);
  assert.deepEqual(
    [...w.udp.bound.values()].map((a) => a.port),
    [20_000],
    'no RTCP port',
  );
  for (const n of [0, 1, 2, 3, 4, 5]) w.datagram(n, PHONE, n !== 2 && n !== 3);
  assert.deepEqual(
    w.frames.map((f) => f.bytes[5]),
    [0, 1, 2, 3, 4, 5],
  );
  assert.ok(w.frames.every((f) => f.patient && f.format === 3 && f.length === 6));
  const [first] = w.frames;
  assert.deepEqual(
    w.frames.map((f) => [(f.sequence - first!.sequence) & 0xffff, (f.timestamp - first!.timestamp) & 0xffff]),
    [0, 1, 2, 3, 4, 5].map((n) => [n, n]),
  );
  const { packetsIn, framesToTunnel, lostIn } = w.counters();
  assert.deepEqual([packetsIn, framesToTunnel, lostIn], [4, 6, 0]);
});

/** As T.38 9.1.4.2 has it: one parity over the three packets before. */
function withParity(n: number): Uint8Array {
  const span = Math.min(3, n);
  const parity = [0, 0, 0, 0, 0, 0];
  for (let k = 1; k <= span; k++) for (const [i, octet] of ifp(n - k).entries()) parity[i]! ^= octet;
  return Uint8Array.from([0, n, 6, ...ifp(n), 0x80, 1, span, ...(span === 0 ? [0] : [1, 6, ...parity])]);
}

test('what parities restore crosses in its place; behind a gap that may still be filled it waits, half a second at most', () => {
  const w = new FaxWorld();
  w.open(FAX_LEG);
  const crossed = (): number[] => w.frames.map((f) => f.bytes[5]!);
  for (const n of [0, 1, 2, 4]) w.raw(withParity(n));
  assert.deepEqual(crossed(), [0, 1, 2, 3, 4]);
  assert.ok(!w.engine.playing);
  // Two in a row wait for the second of them: 9 is over 8, 7 and 6.
  for (const n of [7, 8]) w.raw(withParity(n));
  assert.equal(crossed().length, 5);
  w.raw(withParity(9));
  assert.deepEqual(crossed().slice(5), [5, 6, 7, 8, 9]);
  for (const n of [13, 14]) w.raw(withParity(n));
  assert.equal(crossed().length, 10);
  assert.ok(w.engine.playing, 'the worker does not fall asleep over it');
  w.wait(480);
  assert.equal(crossed().length, 10);
  w.wait(40);
  assert.deepEqual(crossed().slice(10), [13, 14]);
  assert.ok(!w.engine.playing);
  w.raw(withParity(18));
  assert.ok(w.engine.playing);
  assert.equal(w.counters().lostIn, 6);
  assert.ok(!w.engine.playing, 'nothing waits of a stream that is gone');
});

test('towards the far end: numbers from 0, repetitions of our own, gaps of the origin kept', () => {
  const w = new FaxWorld();
  w.open(FAX_LEG);
  w.fax(500, 60);
  w.fax(501, 61);
  w.fax(502, 63);
  w.fax(503, 64);
  assert.deepEqual(w.sent(), [
    [0, 60],
    [1, 61, 60],
    [3, 63],
    [4, 64, 63],
  ]);
  assert.equal(w.udp.sent[0]!.to, '198.51.100.7:4000');
});

test('a fax is rather late than lost: three seconds are not stale, and half a second is waited for order', () => {
  const w = new FaxWorld();
  w.open(FAX_LEG);
  w.fax(1);
  w.fax(2, 2, { sent: (w.now - 3000) & 0xffff });
  assert.equal(w.udp.sent.length, 2);
  w.fax(4);
  w.fax(5);
  w.wait(480);
  assert.equal(w.udp.sent.length, 2, 'waits for frame 3');
  assert.ok(w.engine.playing, 'and the worker does not fall asleep over it');
  w.fax(3);
  assert.deepEqual(
    w.sent().map(([number]) => number),
    [0, 1, 2, 3, 4],
  );
  w.fax(7);
  w.wait(520);
  assert.equal(w.sent().at(-1)![0], 6, 'it is not coming');
  w.fax(8, 8, { sent: (w.now - 4000) & 0xffff });
  assert.deepEqual(refusedOf(w), { 'frame-stale': 1 });
});

test('what waited for a lane goes out when it comes, all of it; a flood of the far gateway does not', () => {
  const w = new FaxWorld();
  w.open(FAX_LEG);
  for (let n = 0; n < 200; n++) w.fax(n);
  assert.equal(w.udp.sent.length, 150, 'three seconds of a page');
  assert.deepEqual(refusedOf(w), { 'frame-rate': 50 });
});

test('theft, floods, sizes and shapes are refused and counted by reason; nothing of them crosses', () => {
  const w = new FaxWorld();
  w.session({ maxLanes: 2, maxStreams: 4, maxBytesPerSecond: 1_000_000 });
  w.open(FAX_LEG);
  w.datagram(0);
  w.datagram(1, { ip: PHONE.ip, port: PHONE.port + 2 });
  w.datagram(1, { ip: '203.0.113.66', port: PHONE.port });
  w.raw(new Uint8Array(401));
  w.raw(new Uint8Array(1501));
  w.raw(Uint8Array.of(0, 1, 1, 6, 0));
  w.raw(Uint8Array.of(0, 1, 200, 6, 0, 0));
  w.raw(Uint8Array.of(0, 1, 1, 0x52, 0, 0));
  w.rtp(1); // RTP where UDPTL was agreed
  assert.equal(w.frames.length, 1);
  for (let n = 1; n < 400; n++) w.datagram(n);
  assert.equal(w.frames.length, 100, 'half a second of datagrams');
  const refused = refusedOf(w);
  assert.deepEqual(refused, {
    source: 2,
    'payload-size': 1,
    'too-long': 1,
    'error-recovery': 1,
    udptl: 2,
    ifp: 1,
    rate: 300,
  });
});

test('GW1 checks every frame of a fax again: shape, size, number, rate', () => {
  const w = new FaxWorld();
  w.open(FAX_LEG);
  w.fax(1);
  w.fax(2, 2, { bytes: Uint8Array.of(0x52) });
  w.fax(3, 3, { bytes: new Uint8Array(401) });
  w.fax(4, 4, { timestamp: 0x1_0000 });
  w.fax(5, 5, { format: 2 });
  w.fax(1);
  const refused = refusedOf(w);
  assert.deepEqual(refused, { ifp: 1, 'payload-size': 1, 'frame-format': 2, sequence: 1 });
  assert.equal(w.udp.sent.length, 1);
});

test('no RTCP, no MOS, and the silence of who receives a page is none', () => {
  const w = new FaxWorld();
  w.open(FAX_LEG);
  for (let n = 0; n < 10; n++) w.fax(n);
  w.wait(90_000);
  assert.equal(w.udp.sent.length, 10);
  assert.ok(!w.kinds().includes('silent'));
  const { mosIn, mosOut, packetsOut } = w.counters();
  assert.deepEqual([mosIn, mosOut, packetsOut], [0, 0, 10]);
  assert.equal(w.udp.sent.length, 10, 'no BYE either');
});

test('from speech to fax on the same port and back (T.38 D.2.2): each begins anew', () => {
  const w = new FaxWorld();
  w.open();
  w.rtp(1);
  w.command({ kind: 'modify', leg: { ...LEG, ...FAX_LEG }, relearn: true });
  assert.deepEqual(w.kinds(), ['opened', 'closed', 'opened']);
  w.datagram(0);
  w.rtp(2);
  w.command({ kind: 'modify', leg: LEG, relearn: true });
  w.rtp(3);
  assert.deepEqual(
    w.frames.filter((f) => (f.flags & 8) === 0).map((f) => [f.format, f.patient]),
    [
      [2, false],
      [3, true],
      [2, false],
    ],
  );
  assert.deepEqual([...w.udp.bound.values()].map((a) => a.port).sort(), [20_000, 20_001]);
});

test('what the far gateway says of the speech before is not taken for the fax', () => {
  const w = new FaxWorld();
  const quality = (series: number, sent: number): void =>
    w.frame(series, { flags: 8, bytes: Uint8Array.of(3, 0, 0, 0, sent, 0, 0, 0, 0, 0, 0) });
  w.open(FAX_LEG);
  w.fax(1);
  quality(0, 150);
  quality(1, 2);
  const { tunnelLost, refused } = w.counters();
  assert.equal(tunnelLost, 1);
  assert.ok(refused.every((n) => n === 0));
});

test('on a shared port a fax is told from speech by its exact source', () => {
  const w = new FaxWorld();
  const local = { ip: '192.0.2.1', port: 30_000, shared: true };
  const fax: Address = { ip: PHONE.ip, port: 4001 };
  w.open({ stream: 1, local });
  w.open({ ...FAX_LEG, stream: 2, call: 'd', local, remote: fax });
  assert.deepEqual(w.kinds(), ['opened', 'opened'], 'its port may be what would be another one`s RTCP');
  const [token] = [...w.udp.bound].find(([, a]) => a.port === 30_000)!;
  w.datagram(0, fax, true, token);
  w.datagram(1, PHONE, true, token);
  assert.deepEqual(
    w.frames.map((f) => f.stream),
    [2],
  );
});

test('a successor of the worker goes on: the same source, and no number twice', () => {
  const w = new FaxWorld();
  w.open(FAX_LEG);
  w.datagram(0);
  for (let n = 0; n < 5; n++) w.fax(n);
  const [snapshot] = w.engine.snapshot(0, 1);
  const next = new FaxWorld();
  next.engine.command({ kind: 'open', leg: { ...LEG, ...FAX_LEG } }, snapshot!.state);
  next.fax(5);
  assert.ok(next.sent()[0]![0]! > 4);
  next.datagram(0, { ip: PHONE.ip, port: 9 });
  assert.equal(next.frames.length, 0);
});
