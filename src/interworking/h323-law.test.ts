import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { LegCommand, LegEvent } from '../call/leg.ts';
import type { H323Command, H323Event } from '../h323/contract.ts';
import type { FastStartOffer, H323Capability } from '../h323/media-contract.ts';
import { answerProblem, mediaProblem } from '../meta/media-rules.ts';
import type { Format, MediaExchange, MediaOffer, Party, Stream } from '../meta/message.ts';
import { H245Negotiation } from './h245-negotiation.ts';
import { H323Leg } from './h323-leg.ts';
import { setupFromH323 } from './h323-to-meta.ts';

const CALL = 7;
const LOCAL = { ip: '192.0.2.1', port: 20_000 };
const codec = fc.constantFrom('PCMU', 'PCMA', 'G722', 'G729', 'G723', 'GSM');
const T38: H323Capability = {
  kind: 'image',
  codec: 'T38',
  maxBitRate: 9600,
  version: 0,
  rateManagement: 'transferredTCF',
  maxBuffer: 200,
  maxDatagram: 72,
  errorCorrection: 'redundancy',
};
const kind = fc.constantFrom('audio' as const, 'video' as const, 'image' as const);
const capability: fc.Arbitrary<H323Capability> = fc.oneof(
  fc.record({
    kind: fc.constant('audio' as const),
    codec: codec as fc.Arbitrary<'PCMU'>,
    packetTime: fc.integer({ min: 1, max: 240 }),
    silenceSuppression: fc.boolean(),
  }),
  fc.constant<H323Capability>({ kind: 'video', codec: 'H263', maxBitRate: 100_000, cif: 1 }),
  fc.constantFrom<H323Capability>(T38, { ...T38, version: 3, maxBitRate: 33_600, errorCorrection: 'fec' }),
  fc.record({
    kind: fc.constant('video' as const),
    codec: fc.constant('H264' as const),
    maxBitRate: fc.constant(384_000),
    profile: fc.integer({ min: 0, max: 255 }),
    level: fc.integer({ min: 0, max: 130 }),
    packetizationMode: fc.constantFrom(0 as const, 1 as const),
  }),
);
const address = fc.constantFrom(
  { ip: '203.0.113.5', port: 4000 },
  { ip: '203.0.113.5', port: 80 },
  { ip: '127.0.0.1', port: 4000 },
  { ip: '224.0.0.1', port: 4000 },
  { ip: '2001:db8::1', port: 4000 },
  { ip: '198.51.100.99', port: 4000 },
);
const media = fc.record({ rtp: address, rtcp: address });
const userInput = fc.constantFrom(
  { alphanumeric: true, signal: true },
  { alphanumeric: true, signal: false, rfc4733PayloadType: 99 },
);
const capabilities = fc.record({ media: fc.array(capability, { minLength: 1, maxLength: 4 }), userInput });
const channel = fc.record({
  kind,
  direction: fc.constantFrom('send' as const, 'receive' as const),
  capability,
  remote: media,
  remoteRtcp: address,
});
const send = fc.array(fc.record({ capability, remote: media }), { maxLength: 3 });
const receive = fc.array(fc.record({ capability }), { maxLength: 3 });
const fastStart: fc.Arbitrary<FastStartOffer[]> = fc.array(fc.record({ kind, send, receive }), {
  maxLength: 3,
});
const cause = fc.integer({ min: 1, max: 127 });

const event: fc.Arbitrary<H323Event> = fc.oneof(
  fc.constantFrom<H323Event>(
    { kind: 'proceeding', call: CALL },
    { kind: 'alerting', call: CALL, inBand: false },
    { kind: 'alerting', call: CALL, inBand: true },
    { kind: 'progress', call: CALL, inBand: true },
    { kind: 'connected', call: CALL },
    { kind: 'fast-start-refused', call: CALL },
    { kind: 'far-hold', call: CALL },
    { kind: 'far-retrieve', call: CALL },
    { kind: 'user-input', call: CALL, digit: '5', durationMs: 100 },
    { kind: 'channel-rejected', call: CALL, media: 'audio', reason: 'codec' },
    { kind: 'channel-rejected', call: CALL, media: 'audio', reason: 'conflict' },
    { kind: 'channel-closed', call: CALL, media: 'audio', direction: 'send' },
    { kind: 'channel-closed', call: CALL, media: 'audio', direction: 'receive' },
    { kind: 'channel-rejected', call: CALL, media: 'video', reason: 'codec' },
    { kind: 'channel-closed', call: CALL, media: 'video', direction: 'send' },
    { kind: 'channel-closed', call: CALL, media: 'video', direction: 'receive' },
    { kind: 'channel-rejected', call: CALL, media: 'image', reason: 'codec' },
    { kind: 'channel-closed', call: CALL, media: 'image', direction: 'send' },
    { kind: 'channel-closed', call: CALL, media: 'image', direction: 'receive' },
    { kind: 'mode-answered', call: CALL, accepted: true },
    { kind: 'mode-answered', call: CALL, accepted: false },
  ),
  fc.record({
    kind: fc.constant('capabilities' as const),
    call: fc.constant(CALL),
    capabilities,
    master: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('mode-asked' as const), call: fc.constant(CALL), capability }),
  fc.record({
    kind: fc.constant('channel-asked' as const),
    call: fc.constant(CALL),
    channel,
    conflict: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('channel-opened' as const), call: fc.constant(CALL), channel }),
  fc.record({
    kind: fc.constant('fast-start-answered' as const),
    call: fc.constant(CALL),
    channels: fc.array(channel, { maxLength: 3 }),
  }),
  fc.record({
    kind: fc.constant('released' as const),
    call: fc.constant(CALL),
    by: fc.constant('far-end' as const),
    cause,
  }),
);

const NAMES = ['PCMU', 'PCMA', 'G729', 'OPUS', 'telephone-event'] as const;
const format = (name: (typeof NAMES)[number], id: number): Format => ({
  id,
  name,
  clockRate: name === 'OPUS' ? 48_000 : 8000,
  channels: name === 'OPUS' ? 2 : 1,
  parameters: [],
});
const pictures = (name: 'H264' | 'H263'): Format => ({
  id: 3,
  name,
  clockRate: 90_000,
  channels: 1,
  parameters: name === 'H264' ? [{ name: 'profile-level-id', value: '42e01f' }] : [],
});
const FAX: Format = {
  id: 0,
  name: 'T38',
  clockRate: 0,
  channels: 1,
  parameters: [{ name: 't38-bitrate', value: '9600' }],
};
const streams: fc.Arbitrary<Stream[]> = fc
  .record({
    names: fc.uniqueArray(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 4 }),
    direction: fc.constantFrom(
      'sendrecv' as const,
      'sendonly' as const,
      'recvonly' as const,
      'inactive' as const,
    ),
    video: fc.constantFrom('none', 'refused', 'H264', 'H263'),
    fax: fc.constantFrom('none', 'none', 'alone', 'instead', 'besides'),
  })
  .map(({ names, direction, video, fax }): Stream[] => [
    ...(fax === 'alone'
      ? [{ index: 0, kind: 'image' as const, refused: false, direction, formats: [FAX] }]
      : fax === 'instead'
        ? [{ index: 0, kind: 'audio' as const, refused: true, direction: 'inactive' as const, formats: [] }]
        : [
            {
              index: 0,
              kind: 'audio' as const,
              refused: false,
              direction,
              formats: names.map((n, i) => format(n, i)),
            },
          ]),
    ...(video === 'refused'
      ? [{ index: 1, kind: 'video' as const, refused: true, direction: 'inactive' as const, formats: [] }]
      : []),
    ...(video === 'H264' || video === 'H263'
      ? [{ index: 1, kind: 'video' as const, refused: false, direction, formats: [pictures(video)] }]
      : []),
    ...(fax === 'instead' || fax === 'besides'
      ? [{ index: 2, kind: 'image' as const, refused: false, direction, formats: [FAX] }]
      : []),
  ]);
/** `answer` is made into one of the leg's open offer where there is one. */
const exchange = fc.record({
  kind: fc.constantFrom('offer' as const, 'answer' as const, 'refuse' as const),
  streams,
});
const PARTY: Party = { number: '100', numberType: 'unknown', privacy: 'allowed', verified: false };
type Raw = {
  readonly kind: LegCommand['kind'];
  readonly media: { kind: string; streams: Stream[] } | undefined;
};
const command: fc.Arbitrary<Raw> = fc.record({
  kind: fc.constantFrom<LegCommand['kind']>(
    'alerting',
    'progress',
    'connect',
    'media',
    'modify',
    'modify-accept',
    'modify-refuse',
    'user-input',
    'release',
  ),
  media: fc.option(exchange, { nil: undefined, freq: 3 }),
});
const step = fc.oneof(
  event.map((value) => ({ event: value })),
  command.map((value) => ({ command: value })),
  fc.constant({ wait: 1500 }),
);

test('law: whatever either side says in whatever order, nothing throws, exchanges are sound, the end is told once', () => {
  fc.assert(
    fc.property(
      fc.boolean(),
      fc.boolean(),
      fastStart,
      fc.option(streams, { nil: undefined }),
      fc.array(step, { maxLength: 30 }),
      (caller, fast, offers, first, steps) => {
        const leg = new H323Leg({
          call: CALL,
          role: caller ? 'caller' : 'callee',
          negotiation: new H245Negotiation({
            side: caller ? 'originator' : 'terminator',
            ports: { allocate: () => ({ bound: LOCAL, advertised: LOCAL }) },
            codecs: ['PCMA', 'PCMU', 'G729', 'telephone-event', 'H264', 'H263', 'T38'],
            acceptMediaAddress: (ip) => ip === '203.0.113.5' || ip.includes(':') || ip.startsWith('127'),
          }),
          peer: { name: 'pbx', fastStart: fast, earlyH245: !fast, trusted: false },
        });
        new Watch(leg, caller, offers, first).run(steps);
      },
    ),
    { numRuns: 1500 },
  );
});

class Watch {
  readonly #leg: H323Leg;
  readonly #caller: boolean;
  #ours: MediaOffer | undefined;
  #theirs: Stream[] | undefined;
  #theirNumber = 0;
  #released = 0;
  #now = 0;

  constructor(leg: H323Leg, caller: boolean, offers: FastStartOffer[], first: Stream[] | undefined) {
    this.#leg = leg;
    this.#caller = caller;
    if (caller) {
      const party = {
        number: '100',
        numberType: 'unknown',
        presentation: 'allowed',
        verified: false,
      } as const;
      const remote = { ip: '203.0.113.5', port: 1720 };
      const incoming = { kind: 'incoming', call: CALL, peer: 'pbx', caller: party, callee: party } as const;
      const setup = setupFromH323(leg, { ...incoming, hops: 10, fastStart: offers, remote });
      if (setup.kind === 'setup') this.#event(setup);
    } else {
      const offer = first === undefined ? {} : { media: this.#offer(first) };
      leg.command(
        { kind: 'setup', peer: 'pbx', caller: PARTY, callee: PARTY, hops: 5, priority: 'normal', ...offer },
        0,
      );
    }
    this.#drain();
  }

  run(steps: readonly ({ event: H323Event } | { command: Raw } | { wait: number })[]): void {
    for (const it of steps) {
      if ('event' in it) this.#leg.h323(it.event, this.#now);
      else if ('wait' in it) {
        this.#now += it.wait;
        if ((this.#leg.deadline() ?? Infinity) <= this.#now) this.#leg.timeout(this.#now);
      } else this.#command(it.command);
      this.#drain();
    }
  }

  #offer(streams: Stream[]): MediaExchange {
    this.#theirs = streams;
    const by = this.#caller ? 'terminator' : 'originator';
    return { kind: 'offer', by, number: ++this.#theirNumber, branch: 0, streams };
  }

  /** As a half-call would pass it: answers fit offers, one offer is open at a time. */
  #command(raw: Raw): void {
    let exchange: MediaExchange | undefined;
    if (raw.media !== undefined && this.#ours !== undefined) {
      const { by, number, streams } = this.#ours;
      const { streams: wanted } = raw.media;
      const answer = streams.map((s) => {
        const like = wanted.find((w) => w.kind === s.kind && !w.refused);
        if (!s.refused && s.kind !== 'audio' && like !== undefined) return s;
        const formats = s.formats.filter((f) => like?.formats.some((w) => w.name === f.name));
        return s.kind !== 'audio' || like === undefined || formats.length === 0
          ? { ...s, refused: true, formats: [] }
          : { ...s, direction: like.direction, formats };
      });
      exchange =
        raw.media.kind === 'refuse'
          ? { kind: 'refuse', by, number, branch: 0, cause: 88 }
          : { kind: 'answer', by, number, branch: 0, streams: answer };
      this.#ours = undefined;
    } else if (raw.media !== undefined && raw.kind === 'modify' && this.#theirs === undefined) {
      exchange = this.#offer(raw.media.streams);
    }
    const with_ = exchange === undefined ? {} : { media: exchange };
    const { kind } = raw;
    switch (kind) {
      case 'release':
        return this.#leg.command({ kind, cause: 16 }, this.#now);
      case 'modify-refuse':
        this.#ours = undefined;
        return this.#leg.command({ kind, cause: 41, glare: this.#now % 2 === 0 }, this.#now);
      case 'user-input':
        return this.#leg.command({ kind, digit: '1', durationMs: 100 }, this.#now);
      case 'media':
        return exchange === undefined ? undefined : this.#leg.command({ kind, media: exchange }, this.#now);
      default:
        return this.#leg.command({ kind, branch: 0, ...with_ } as LegCommand, this.#now);
    }
  }

  #drain(): void {
    for (let out = this.#leg.poll(); out !== undefined; out = this.#leg.poll()) {
      if (out.kind === 'event') this.#event(out.event);
      else if (out.kind === 'h323') this.#h323(out.command);
    }
    for (const stream of this.#leg.streams()) {
      assert.ok(stream.formats.length > 0);
      assert.deepEqual(stream.local, LOCAL);
      if (stream.remote !== undefined) assert.equal(stream.remote.ip, '203.0.113.5');
      if (stream.remote !== undefined) assert.ok(stream.remote.port >= 1024);
      const ids = stream.formats.map((f) => f.format.id);
      assert.equal(new Set(ids).size, ids.length);
    }
  }

  #event(it: LegEvent): void {
    assert.equal(this.#released, 0, `${it.kind} after the release`);
    if (it.kind === 'release') {
      this.#released++;
      assert.ok(it.cause >= 1 && it.cause <= 127);
    }
    if (!('media' in it) || it.media === undefined) return;
    const { media } = it;
    assert.equal(mediaProblem(media), undefined);
    if (media.kind === 'offer') {
      assert.equal(media.by, this.#caller ? 'originator' : 'terminator');
      this.#ours = media;
    } else if (media.kind === 'answer') {
      assert.ok(this.#theirs !== undefined, 'an answer has an offer');
      assert.equal(media.number, this.#theirNumber);
      assert.equal(answerProblem(this.#theirs, media.streams), undefined);
      this.#theirs = undefined;
    }
  }

  #h323(it: H323Command): void {
    if (it.kind === 'open-channel')
      assert.ok(['PCMA', 'PCMU', 'G729', 'H264', 'H263', 'T38'].includes(it.capability.codec));
  }
}
