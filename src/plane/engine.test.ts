import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REFUSALS, type StreamLegConfig } from '../media/plane-contract.ts';
import { RTP_HEADER } from '../rtp/packet.ts';
import { REFUSAL_COUNT, REFUSED } from '../rtp/refusal.ts';
import { buildRtcp, parseRtcp } from '../rtp/rtcp.ts';
import { FLAG_CONTROL, FLAG_DUPLICATE, FLAG_EMERGENCY, MEDIA_HEADER } from '../tunnel/media-frame.ts';
import { LEG, PHONE, World } from './fixtures.test.ts';
import type { PacketTransform } from './packet-transform.ts';

test('the integers of rtp/ are the places of the contract', () => {
  const kebab = (name: string): string => name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);
  assert.deepEqual(
    Object.entries(REFUSED)
      .sort((a, b) => a[1] - b[1])
      .map(([name]) => kebab(name)),
    [...REFUSALS],
  );
  assert.equal(REFUSALS.length, REFUSAL_COUNT);
});

test('RTP becomes a frame without anything of the header, and a frame becomes RTP of our own', () => {
  const w = new World();
  w.open({ priority: 'emergency' });
  assert.deepEqual(w.kinds(), ['opened']);
  assert.deepEqual(
    [...w.udp.bound.values()].map((a) => a.port),
    [20_000, 20_001],
  );
  w.rtp(100);
  w.rtp(101);
  const [first, second] = w.frames;
  assert.equal(first!.flags & FLAG_EMERGENCY, FLAG_EMERGENCY);
  assert.deepEqual([first!.stream, first!.format, first!.length], [1, 2, 160]);
  assert.equal((second!.sequence - first!.sequence) & 0xffff, 1);
  assert.notEqual(first!.sequence, 100);
  w.frame(7);
  const [packet] = w.rtpSent();
  assert.equal(packet![1]! & 0x7f, 18, 'the payload type that the far end announced');
  assert.deepEqual(packet!.slice(RTP_HEADER), new Uint8Array(160).fill(7));
  assert.equal(w.udp.sent[0]!.to, '198.51.100.7:4000');
});

test('a leg with a transform: source first, then unprotect, then the other checks; protect last', () => {
  // As SRTP would: the last octet is the tag, the others are turned over.
  const turned = (tag: number): PacketTransform => {
    const turn = (b: Uint8Array, at: number, n: number): void => {
      for (let i = at + RTP_HEADER; i < at + n; i++) b[i]! ^= 0xff;
    };
    return {
      unprotect: (b, at, n) => {
        asked.push(tag);
        if (b[at + n - 1] !== tag) return -1;
        turn(b, at, n - 1);
        return n - 1;
      },
      protect: (b, at, n) => {
        turn(b, at, n);
        b[at + n] = tag;
        return n + 1;
      },
    };
  };
  const asked: number[] = [];
  const w = new World({ rtp: turned(1), rtcp: turned(2) });
  w.open();
  const wire = (tag: number): Uint8Array => Uint8Array.of(...new Uint8Array(160).fill(0x5a), tag);
  w.rtp(100, PHONE, wire(1));
  w.rtp(101, PHONE, wire(9));
  w.rtp(102, { ip: '203.0.113.1', port: 4000 }, wire(1));
  assert.deepEqual(asked, [1, 1], 'a stranger costs no cryptography');
  assert.deepEqual(
    w.frames.map((f) => [...f.bytes]),
    [new Array(160).fill(0xa5)],
  );
  w.frame(7);
  const [sent] = w.rtpSent();
  assert.equal(sent!.length, RTP_HEADER + 160 + 1);
  assert.deepEqual([sent![RTP_HEADER], sent!.at(-1)], [7 ^ 0xff, 1]);
  w.rtcp(Uint8Array.of(0x80, 201, 0, 1, 0, 0, 0, 1, 9));
  assert.equal(asked.at(-1), 2);
  const { refused } = w.counters();
  assert.equal(refused[REFUSALS.indexOf('authentication')], 2);
  assert.equal(refused[REFUSALS.indexOf('source')], 1);
  assert.equal(w.udp.sent.find((s) => s.token === 1)?.bytes.at(-1), 2, 'reports too');
});

test('a packet built where its frame lies is the same as one built elsewhere', () => {
  const build = (arena: boolean): Uint8Array[] => {
    const w = new World();
    const event = { format: 5, sendPayloadType: 101, maxPayload: 4, kind: 'event' } as const;
    w.open({ formats: [LEG.formats[0]!, { ...LEG.formats[0]!, ...event }] });
    // As a lane reads them: two frames one after the other, each behind its header.
    const bytes = new Uint8Array(2 * (MEDIA_HEADER + 160)).fill(0xee);
    if (arena) w.udp.arena = bytes;
    for (let i = 0; i < 2; i++) {
      const start = i * (MEDIA_HEADER + 160) + MEDIA_HEADER;
      bytes.fill(i + 1, start, start + 160);
      w.frame(7 + i, { bytes, start, length: 160 });
    }
    w.frame(9, { bytes: bytes.fill(4, 20, 24), start: 20, length: 4, format: 5 });
    return w.rtpSent();
  };
  const [direct, copied] = [build(true), build(false)];
  assert.equal(direct.length, 3);
  assert.deepEqual(direct, copied);
});

test('after disorder in the tunnel frames leave in order again, and wait 15 ms at most for it', () => {
  const w = new World();
  w.open();
  const sequences = (): number[] => {
    const numbers = w.rtpSent().map((p) => (p[2]! << 8) | p[3]!);
    return numbers.map((n) => (n - numbers[0]!) & 0xffff);
  };
  for (const sequence of [1, 3, 2, 5, 4]) w.frame(sequence);
  assert.deepEqual(sequences(), [0, 2, 1, 3, 4]);
  w.frame(7);
  assert.equal(sequences().length, 5);
  w.now += 14;
  w.engine.tick();
  assert.equal(sequences().length, 5);
  w.now += 1;
  w.engine.tick();
  assert.deepEqual(sequences().slice(5), [6]);
});

test('a frame said again on another lane may come before its first copy: neither order is refused', () => {
  const w = new World();
  w.open();
  w.frame(1, { flags: FLAG_DUPLICATE });
  w.frame(1);
  w.frame(2);
  w.frame(2, { flags: FLAG_DUPLICATE });
  w.frame(3, { flags: FLAG_DUPLICATE });
  w.frame(3, { sent: (w.now - 400) & 0xffff });
  assert.equal(w.rtpSent().length, 3);
  w.now += 2001;
  w.frame(3);
  const { refused } = w.counters();
  assert.equal(refused[REFUSALS.indexOf('sequence')], 1, 'once it is nobody’s second copy any more');
  assert.equal(
    refused.reduce((sum, by) => sum + by, 0),
    1,
  );
});

test('GW1 checks every frame again: format, size, rate, age, duplicates, direction', () => {
  const w = new World();
  w.open();
  w.frame(1);
  w.frame(2, { format: 3 });
  w.frame(3, { bytes: new Uint8Array(201) });
  w.frame(1);
  w.frame(1, { flags: FLAG_DUPLICATE });
  w.frame(4, { sent: (w.now - 400) & 0xffff });
  w.frame(5, { flags: FLAG_CONTROL, bytes: Uint8Array.of(9) });
  for (let i = 10; i < 60; i++) w.frame(i);
  const sent = w.rtpSent().length;
  assert.equal(sent, 30, 'half a second of burst');
  w.command({ kind: 'modify', leg: { ...LEG, direction: 'recvonly' }, relearn: false });
  w.now += 1000;
  w.frame(61);
  assert.equal(w.rtpSent().length, sent, 'hold is enforced');
  const { refused } = w.counters();
  const expected = {
    'frame-format': 2,
    'payload-size': 1,
    sequence: 1,
    'frame-stale': 1,
    'frame-rate': 21,
    direction: 1,
  } as Record<string, number>;
  assert.deepEqual(
    refused,
    REFUSALS.map((r) => expected[r] ?? 0),
  );
});

test("the session's byte rate bounds what all its streams may bring", () => {
  const w = new World();
  w.session({ maxLanes: 2, maxStreams: 4, maxBytesPerSecond: 3200 });
  w.open();
  for (let i = 0; i < 20; i++) w.frame(i);
  assert.equal(w.rtpSent().length, 10, '1600 octets at once');
  w.now += 500;
  for (let i = 20; i < 40; i++) w.frame(i);
  assert.equal(w.rtpSent().length, 20);
});

test('frames of a stream not open yet wait 200 ms at most, 20 at most; late ones are no attack', () => {
  const w = new World();
  const session = w.streams;
  for (let i = 0; i < 25; i++) w.frame(i);
  assert.equal(session.framesRefused, 5);
  w.now += 150;
  w.open();
  assert.equal(w.rtpSent().length, 20);
  assert.deepEqual(
    w.rtpSent().map((p) => p[RTP_HEADER]),
    Array.from({ length: 20 }, (_, i) => i),
  );
  w.counters();
  w.frame(30);
  assert.deepEqual([session.framesRefused, session.framesLate], [5, 1]);
  w.wait(2500);
  w.frame(31);
  w.now += 300;
  w.open();
  assert.equal(w.rtpSent().length, 20, 'what waited too long is not played');
});

test('hold: where the tunnel is silent nothing is sent but RTCP', () => {
  const w = new World();
  w.open();
  for (let i = 0; i < 5; i++) w.frame(i);
  w.wait(20_000);
  assert.equal(w.rtpSent().length, 5);
  const reports = w.udp.sent.filter((s) => s.token === 1);
  assert.ok(reports.length >= 3 && reports.length <= 8, `${reports.length} reports in 20 s`);
  assert.ok(reports.every((r) => r.to === '198.51.100.7:4001'));
  const first = parseRtcp(reports[0]!.bytes, 0, reports[0]!.bytes.length)!;
  assert.equal(first.sender!.packets, 5);
  assert.equal(first.sender!.octets, 800);
});

test('RFC 3550 6.4: the far end is told what arrived of it, and its report gives round trip and loss', () => {
  const w = new World();
  w.open();
  for (const seq of [1, 2, 3, 5, 6]) {
    w.now += 20;
    w.rtp(seq);
  }
  w.frame(1);
  w.wait(9000);
  const [report] = w.udp.sent.filter((s) => s.token === 1);
  const ours = parseRtcp(report!.bytes, 0, report!.bytes.length)!;
  assert.equal(ours.blocks[0]!.ssrc, 4711);
  assert.equal(ours.blocks[0]!.cumulativeLost, 1);
  const w2 = new World();
  w2.open();
  w2.frame(1);
  while (w2.udp.sent.length < 2) w2.wait(20);
  const sr = w2.udp.sent[1]!.bytes;
  const parsed = parseRtcp(sr, 0, sr.length)!;
  w2.now += 30;
  const { ssrc, ntpHigh, ntpLow } = parsed.sender!;
  const block = {
    ssrc,
    fractionLost: 0,
    cumulativeLost: 4,
    highestSequence: 0,
    jitter: 0,
    lastReport: ((ntpHigh << 16) | (ntpLow >>> 16)) >>> 0,
    delay: 0,
  };
  const rr = buildRtcp({ ssrc: 4711, blocks: [block], cname: 'phone', bye: true });
  w2.rtcp(rr, { ip: '203.0.113.9', port: 4001 });
  w2.rtcp(Uint8Array.of(0x80, 200, 0, 0));
  w2.rtcp(rr);
  w2.rtp(1);
  const counters = w2.counters();
  assert.equal(counters.roundTripMs, 30);
  assert.equal(counters.lostOut, 4);
  assert.equal(counters.refused[REFUSED.rtcpSource], 1);
  assert.equal(counters.refused[REFUSED.rtcpMalformed], 1);
  assert.equal(counters.packetsIn, 1, 'a BYE ends nothing');
});

test('a stream that should be heard and is not is told once; hold is no silence', () => {
  const w = new World();
  w.open();
  w.wait(29_000);
  assert.ok(!w.kinds().includes('silent'));
  w.wait(60_000);
  assert.equal(w.kinds().filter((k) => k === 'silent').length, 1);
  w.rtp(1);
  w.command({ kind: 'modify', leg: { ...LEG, direction: 'sendonly' }, relearn: false });
  w.wait(60_000);
  assert.equal(w.kinds().filter((k) => k === 'silent').length, 1);
});

test('latching moves the replies, says so once, and RTCP follows', () => {
  const w = new World();
  const natted = { ip: '203.0.113.5', port: 55_000 };
  w.open({ source: 'latch', remote: { ip: '192.168.1.2', port: 4000 } });
  w.frame(1);
  for (let i = 0; i < 5; i++) {
    w.now += 20;
    w.rtp(i, natted);
  }
  assert.deepEqual(w.events.at(-1), { kind: 'source-locked', session: 's', stream: 1, source: natted });
  w.frame(2);
  assert.deepEqual(
    w.udp.sent.map((s) => s.to),
    ['192.168.1.2:4000', '203.0.113.5:55000'],
  );
  assert.equal(w.frames.length, 3);
  w.wait(10_000);
  assert.equal(w.udp.sent.at(-1)!.to, '203.0.113.5:55001');
});

test('signalled-host: heard from another port, still sent to the signalled one (asymmetric RTP)', () => {
  const w = new World();
  w.open({ source: 'signalled-host' });
  w.rtp(1, { ip: PHONE.ip, port: 4444 });
  w.frame(1);
  assert.equal(w.frames.length, 1);
  assert.equal(w.udp.sent[0]!.to, '198.51.100.7:4000');
});

test('early media: nothing is sent before there is an address, and the numbers begin when there is', () => {
  const w = new World();
  const { remote: _, ...noRemote } = LEG;
  w.command({ kind: 'open', leg: noRemote });
  w.frame(1);
  assert.equal(w.udp.sent.length, 0);
  w.command({ kind: 'modify', leg: LEG, relearn: true });
  w.frame(2);
  assert.equal(w.rtpSent().length, 1);
  w.rtp(1);
  assert.equal(w.frames.length, 1);
});

test('opening fails with its reason, leaves nothing behind, and caps hold', () => {
  const w = new World();
  w.udp.taken.add('192.0.2.1:20001');
  w.open();
  assert.deepEqual(w.events.at(-1), {
    kind: 'open-failed',
    session: 's',
    stream: 1,
    reason: 'bind: EADDRINUSE',
  });
  assert.equal(w.udp.bound.size, 0);
  w.open({ session: 'nobody' });
  assert.match(JSON.stringify(w.events.at(-1)), /no such session/);
  for (let i = 1; i <= 5; i++) w.open({ stream: i, local: { ip: '192.0.2.1', port: 30_000 + 2 * i } });
  assert.match(JSON.stringify(w.events.at(-1)), /too many streams/);
  assert.equal(w.engine.openLegs, 4);
  w.command({ kind: 'drain' });
  w.open({ stream: 9 });
  assert.match(JSON.stringify(w.events.at(-1)), /draining/);
  w.command({ kind: 'session-end', session: 's' });
  assert.equal(w.kinds().filter((k) => k === 'closed').length, 4);
  assert.equal(w.kinds().filter((k) => k === 'drained').length, 1);
  assert.deepEqual([w.udp.bound.size, w.engine.openLegs, w.ended], [0, 0, 1]);
});

/** What a phone says of itself by RTCP, once its first packet has come. */
function phoneReport(more: { readonly pictureLossOf?: number } = {}): Uint8Array {
  return buildRtcp({
    ssrc: 4711,
    sender: { ntpHigh: 5, ntpLow: 6, timestamp: 160, packets: 1, octets: 160 },
    blocks: [],
    cname: 'phone',
    ...more,
  });
}

test('a picture-loss request crosses as neutral data and becomes our own; the clock of video calls too', () => {
  const w = new World();
  w.open({ kind: 'video' });
  w.rtp(1);
  w.frames.length = 0;
  const fromPhone = phoneReport({ pictureLossOf: 1 });
  w.rtcp(fromPhone);
  assert.deepEqual(
    w.frames.map((f) => [f.flags & FLAG_CONTROL, [...f.bytes]]),
    [
      [FLAG_CONTROL, [1]],
      [FLAG_CONTROL, [2, 0, 0, 0, 5, 0, 0, 0, 6]],
    ],
  );
  w.now += 1000;
  w.frame(1, { flags: FLAG_CONTROL, bytes: Uint8Array.of(1) });
  const sent = w.udp.sent.at(-1)!;
  assert.equal(parseRtcp(sent.bytes, 0, sent.bytes.length)!.pictureLoss, true);
});

test('RTCP without end costs fifty packets, then twenty a second: no flood of clocks through the tunnel', () => {
  const w = new World();
  w.open({ kind: 'video' });
  w.rtp(1);
  w.frames.length = 0;
  const report = phoneReport();
  for (let i = 0; i < 1000; i++) w.rtcp(report);
  assert.equal(w.frames.length, 50);
  w.now += 1000;
  for (let i = 0; i < 1000; i++) w.rtcp(report);
  assert.equal(w.frames.length, 70);
  assert.equal(w.counters().refused[REFUSED.rate], 1930);
});

test('counters are reported in batches while streams are open: of each stream that moved once per interval', () => {
  const w = new World();
  w.open();
  w.command({ kind: 'report', every: 1000 });
  const reports = () => w.events.splice(0).filter((e) => e.kind === 'counters');
  const packets = () => reports().flatMap((e) => e.streams.map((s) => s.packetsIn));
  for (let i = 1; i <= 3; i++) {
    w.rtp(i);
    w.wait(1000);
    assert.deepEqual(packets(), [i]);
  }
  w.wait(3000);
  assert.deepEqual(
    reports().map((e) => e.streams),
    [[], [], []],
    'that nothing moved is known, too',
  );
  w.frame(1);
  w.wait(1000);
  assert.equal(reports().flatMap((e) => e.streams)[0]?.framesFromTunnel, 1);
});

test('events towards a far end without a payload type for them are told, each once (RFC 4733 2.5.1)', () => {
  const w = new World();
  const event: StreamLegConfig['formats'][number] = {
    ...LEG.formats[0]!,
    format: 5,
    kind: 'event',
    sendPayloadType: -1,
    maxPayload: 4,
  };
  w.engine.command({ kind: 'open', leg: { ...LEG, formats: [...LEG.formats, event] } });
  const block = (digit: number, end: boolean, duration: number): Uint8Array =>
    Uint8Array.of(digit, end ? 0x8a : 0x0a, duration >> 8, duration & 255);
  const send = (sequence: number, timestamp: number, bytes: Uint8Array): void =>
    w.frame(sequence, { format: 5, timestamp, bytes, length: bytes.length });
  w.frame(1);
  for (const [i, end] of [false, false, true, true, true].entries())
    send(2 + i, 1600, block(5, end, 160 * (i + 1)));
  send(7, 3200, block(11, false, 160)); // its end is lost
  send(8, 4800, block(1, true, 800));
  w.frame(9);
  const digits = w.events.flatMap((e) => (e.kind === 'digit' ? [[e.digit, e.durationMs]] : []));
  assert.deepEqual(digits, [
    ['5', 60],
    ['#', 40],
    ['1', 100],
  ]);
  assert.equal(w.udp.sent.length, 2, 'only the voice is sent');
});
