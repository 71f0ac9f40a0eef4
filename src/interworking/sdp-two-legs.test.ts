/**
 * Two negotiations back to back: far end A, leg A, neutral exchange, leg B, far end B. Random far ends offer, hold, move, add
 * streams, refuse and answer with payload types of their own; after every completed exchange both legs must agree on what a frame in
 * the tunnel means, and each far end must get only what its own description said.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { latin1Bytes, latin1Text } from '../bytes/text.ts';
import type { LegStream } from '../call/leg.ts';
import { answerProblem, mediaProblem } from '../meta/media-rules.ts';
import type { FormatName, MediaExchange, Side } from '../meta/message.ts';
import type { MediaDescription, SessionDescription } from '../sdp/description.ts';
import { receives, reverse, sends } from '../sdp/offer-answer.ts';
import { parseSdp } from '../sdp/parse.ts';
import { SdpNegotiation } from './sdp-negotiation.ts';

const CODECS: readonly FormatName[] = ['PCMA', 'OPUS', 'PCMU', 'G729', 'ILBC', 'H264'];
const NAMES = [
  'PCMU/8000',
  'PCMA/8000',
  'opus/48000/2',
  'G729/8000',
  'iLBC/8000',
  'telephone-event/8000',
  'telephone-event/48000',
  'x-own/8000',
];
const STATIC: Record<string, number> = { 'PCMU/8000': 0, 'PCMA/8000': 8, 'G729/8000': 18 };

interface Wanted {
  readonly name: string;
  readonly dynamic: number;
}
interface StreamWish {
  readonly on: boolean;
  readonly formats: readonly Wanted[];
  readonly direction: 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';
  readonly port: number;
  readonly video: boolean;
}

/** A user agent that keeps its payload types as RFC 3264 asks, but chooses them as it likes. */
class FarEnd {
  readonly ip: string;
  #payloadTypes = new Map<string, number>();
  #version = 0;
  /** What it said last, per m= line, and what it was told last. */
  said: SessionDescription | undefined;
  told: SessionDescription | undefined;
  /** What it was told when both agreed last. */
  agreed: SessionDescription | undefined;
  /** m= types agreed on so far: its next description has at least those. */
  lines: readonly string[] = [];

  constructor(ip: string) {
    this.ip = ip;
  }

  describe(
    streams: readonly {
      wish: StreamWish;
      formats: readonly string[];
      type: string;
      answer?: MediaDescription;
    }[],
  ): Uint8Array {
    const lines = [
      'v=0',
      `o=canary-${this.ip} 1 ${++this.#version} IN IP4 ${this.ip}`,
      's=canary',
      `c=IN IP4 ${this.ip}`,
      't=0 0',
    ];
    for (const { wish, formats, type, answer } of streams) {
      const numbers = formats.map((name) => this.#number(name, wish, answer));
      const on = wish.on && numbers.length > 0 && answer?.port !== 0;
      lines.push(`m=${type} ${on ? wish.port : 0} RTP/AVP ${numbers.join(' ') || '0'}`);
      formats.forEach((name, i) => {
        lines.push(`a=rtpmap:${numbers[i]} ${name}`);
      });
      const allowed = answer === undefined ? wish.direction : narrow(wish.direction, answer);
      lines.push(`a=${allowed}`);
    }
    const bytes = latin1Bytes(lines.map((l) => `${l}\r\n`).join(''));
    this.said = parsed(bytes);
    return bytes;
  }

  #number(name: string, wish: StreamWish, offer: MediaDescription | undefined): number {
    const offered = offer?.rtpMaps.find((m) => nameOf(m) === name)?.payloadType;
    const taken = new Set(this.#payloadTypes.values());
    const known = this.#payloadTypes.get(name);
    if (known !== undefined) return known;
    let number = offered ?? STATIC[name] ?? wish.formats.find((f) => f.name === name)?.dynamic ?? 96;
    while (taken.has(number)) number = number >= 127 || number < 96 ? 96 : number + 1;
    this.#payloadTypes.set(name, number);
    return number;
  }
}

function narrow(wish: StreamWish['direction'], offer: MediaDescription): string {
  const theirs = reverse(offer.direction ?? 'sendrecv');
  const send = sends(wish) && sends(theirs);
  const receive = receives(wish) && receives(theirs);
  return send ? (receive ? 'sendrecv' : 'sendonly') : receive ? 'recvonly' : 'inactive';
}

function nameOf(map: { encoding: string; clockRate: number; channels: number }): string {
  return `${map.encoding}/${map.clockRate}${map.channels === 1 ? '' : `/${map.channels}`}`;
}

function parsed(bytes: Uint8Array): SessionDescription {
  const result = parseSdp(bytes);
  assert.ok(result.ok, JSON.stringify(result));
  return result.value;
}

interface End {
  readonly leg: SdpNegotiation;
  readonly far: FarEnd;
}

function end(side: Side, ip: string, own: string): End {
  const leg = new SdpNegotiation({
    side,
    sessionId: 1,
    codecs: CODECS,
    acceptMediaAddress: () => true,
    ports: {
      allocate: (index) => ({
        bound: { ip: own, port: 30_000 + 2 * index },
        advertised: { ip: own, port: 30_000 + 2 * index },
      }),
    },
  });
  return { leg, far: new FarEnd(ip) };
}

/** Nothing of the other side, and no description of the far end itself, is in what a far end is sent. */
function send(to: End, from: End, bytes: Uint8Array): void {
  const text = latin1Text(bytes);
  assert.ok(!text.includes('canary') && !text.includes(from.far.ip) && !text.includes('x-own'), text);
  const now = parsed(bytes);
  const before = to.far.told;
  if (before !== undefined) {
    const same = JSON.stringify({ ...before, origin: 0 }) === JSON.stringify({ ...now, origin: 0 });
    const step = Number(now.origin.version) - Number(before.origin.version);
    assert.equal(step, same ? 0 : 1, 'RFC 3264 8: the version goes up by one exactly when something changed');
  }
  for (const [i, media] of to.far.agreed?.media.entries() ?? []) noRemap(media, now.media[i]!);
  to.far.told = now;
}

/** RFC 3264 8.3.2, against what was agreed last: a rejected offer binds nobody. */
function noRemap(before: MediaDescription, now: MediaDescription): void {
  for (const map of before.rtpMaps) {
    const other = now.rtpMaps.find((m) => m.payloadType === map.payloadType);
    if (other !== undefined) assert.equal(nameOf(other), nameOf(map));
  }
}

function checkAgreement(a: End, b: End): void {
  for (const { leg, far } of [a, b]) {
    for (const stream of leg.streams()) {
      if (!stream.active) continue;
      const line = far.told!.media.find((m) => m.port === stream.local!.port)!;
      const said = far.said!.media[far.told!.media.indexOf(line)]!;
      checkPayloadTypes(stream, line, said);
      assert.deepEqual(stream.remote, { ip: far.ip, port: said.port });
      assert.ok(!sends(stream.direction) || receives(said.direction ?? 'sendrecv'));
      assert.ok(!receives(stream.direction) || sends(said.direction ?? 'sendrecv'));
    }
  }
  for (const stream of a.leg.streams()) {
    const other = b.leg.streams().find((s) => s.index === stream.index);
    assert.equal(other?.active ?? false, stream.active, `stream ${stream.index} active at one leg only`);
    if (!stream.active) continue;
    assert.equal(other!.kind, stream.kind);
    const names = (s: LegStream) =>
      new Map(s.formats.map((f) => [f.format.id, `${f.format.name}/${f.format.clockRate}`]));
    assert.deepEqual(sorted(names(other!)), sorted(names(stream)), 'a frame means the same at both legs');
    assert.equal(
      receives(stream.direction),
      sends(other!.direction),
      'what one leg takes the other sends on',
    );
    assert.equal(sends(stream.direction), receives(other!.direction));
  }
}

function sorted(map: Map<number, string>): [number, string][] {
  return [...map].sort((x, y) => x[0] - y[0]);
}

function checkPayloadTypes(stream: LegStream, told: MediaDescription, said: MediaDescription): void {
  const numbers = new Set<number>();
  for (const { format, receivePayloadType, sendPayloadType } of stream.formats) {
    assert.ok(!numbers.has(receivePayloadType), 'one meaning per payload type');
    numbers.add(receivePayloadType);
    for (const [number, media] of [
      [receivePayloadType, told],
      [sendPayloadType, said],
    ] as const) {
      const map = media.rtpMaps.find((m) => m.payloadType === number);
      assert.equal(map?.encoding.toLowerCase(), format.name.toLowerCase());
      assert.equal(map?.clockRate, format.clockRate);
    }
  }
}

type Step =
  | {
      readonly kind: 'offer';
      readonly by: 'a' | 'b';
      readonly streams: readonly StreamWish[];
      readonly answers: readonly StreamWish[];
    }
  | { readonly kind: 'refuse'; readonly by: 'a' | 'b'; readonly streams: readonly StreamWish[] }
  | { readonly kind: 'refresh'; readonly by: 'a' | 'b' };

/** One offer from one far end to the other and back. */
function negotiate(
  from: End,
  to: End,
  step: Exclude<Step, { kind: 'refresh' }>,
  lines: readonly string[],
): void {
  const streams = step.streams.slice(0, Math.max(lines.length, step.streams.length));
  while (streams.length < lines.length) streams.push(step.streams[0]!);
  const sent = from.far.describe(
    streams.map((wish, i) => {
      const type = lines[i] ?? (wish.video ? 'video' : 'audio');
      return {
        wish,
        type,
        formats: type === 'video' ? ['H264/90000'] : [...new Set(wish.formats.map((f) => f.name))],
      };
    }),
  );
  const offer = from.leg.receiveOffer(sent, 0);
  if (!offer.ok) return assertStable(from, to);
  if (offer.value.kind === 'refresh') {
    send(from, to, from.leg.repeatLocal()!);
    return;
  }
  const exchange: MediaExchange = offer.value;
  assert.equal(mediaProblem(exchange), undefined);
  const forward = to.leg.sendOffer(exchange);
  if (!forward.ok || step.kind === 'refuse') {
    to.leg.rejectPending();
    if (forward.ok) to.far.told = parsed(forward.value);
    const refused = from.leg.sendAnswer({
      kind: 'refuse',
      by: exchange.by,
      number: exchange.number,
      branch: 0,
      cause: 88,
    });
    assert.ok(!refused.ok);
    return assertStable(from, to);
  }
  send(to, from, forward.value);
  const told = to.far.told!;
  const reply = to.far.describe(
    told.media.map((media, i) => {
      const wish = step.answers[i % step.answers.length]!;
      const wanted = media.type === 'video' ? ['H264/90000'] : wish.formats.map((f) => f.name);
      return {
        wish,
        type: media.type,
        answer: media,
        formats: media.rtpMaps.map(nameOf).filter((n) => wanted.includes(n)),
      };
    }),
  );
  const answer = to.leg.receiveAnswer(reply, 0);
  if (!answer.ok) {
    to.leg.rejectPending();
    from.leg.sendAnswer({ kind: 'refuse', by: exchange.by, number: exchange.number, branch: 0, cause: 88 });
    return assertStable(from, to);
  }
  assert.ok(answer.value?.kind === 'answer');
  assert.equal(mediaProblem(answer.value), undefined);
  assert.equal(answerProblem(exchange.streams, answer.value.streams), undefined);
  const back = from.leg.sendAnswer(answer.value);
  assert.ok(back.ok && back.value !== undefined, JSON.stringify(back));
  send(from, to, back.value);
  assert.deepEqual(
    parsed(back.value).media.map((m) => m.type),
    from.far.said!.media.map((m) => m.type),
  );
  checkAgreement(from, to);
  checkAgreement(to, from);
  for (const { far } of [from, to]) {
    far.lines = far.said!.media.map((m) => m.type);
    far.agreed = far.told;
  }
}

function assertStable(a: End, b: End): void {
  assert.equal(a.leg.state, 'stable');
  assert.equal(b.leg.state, 'stable');
}

const wish = fc.record<StreamWish>({
  on: fc.constant(true),
  formats: fc.uniqueArray(
    fc.record({ name: fc.constantFrom(...NAMES), dynamic: fc.integer({ min: 96, max: 127 }) }),
    { minLength: 1, maxLength: 6, selector: (f) => f.name },
  ),
  direction: fc.constantFrom('sendrecv', 'sendrecv', 'sendonly', 'recvonly', 'inactive'),
  port: fc.integer({ min: 1024, max: 65_534 }),
  video: fc.integer({ min: 0, max: 4 }).map((n) => n === 0),
});
const off = fc.integer({ min: 0, max: 5 }).chain((n) => wish.map((w) => ({ ...w, on: n !== 0 })));
const by = fc.constantFrom<'a' | 'b'>('a', 'b');
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('offer' as const),
      by,
      streams: fc.array(off, { minLength: 1, maxLength: 3 }),
      answers: fc.array(off, { minLength: 1, maxLength: 3 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('refuse' as const),
      by,
      streams: fc.array(off, { minLength: 1, maxLength: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('refresh' as const), by }) },
);

test('model: two legs back to back always agree, and no far end sees the other', () => {
  let completed = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 8 }), (steps) => {
      const a = end('originator', '192.0.2.1', '198.51.100.1');
      const b = end('terminator', '203.0.113.9', '10.20.30.40');
      for (const s of steps) {
        const [from, to] = s.by === 'a' ? [a, b] : [b, a];
        if (s.kind === 'refresh') {
          const bytes = from.leg.repeatLocal();
          if (bytes !== undefined) send(from, to, bytes);
          continue;
        }
        const lines = from.far.lines;
        const before = from.leg.streams();
        negotiate(from, to, s, lines);
        assertStable(from, to);
        if (from.leg.streams() !== before && from.leg.streams().some((x) => x.active)) completed++;
      }
    }),
    { numRuns: 400 },
  );
  assert.ok(completed > 200, `only ${completed} exchanges came to something`);
});
