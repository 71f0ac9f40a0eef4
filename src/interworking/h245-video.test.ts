import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LegEvent } from '../call/leg.ts';
import type { H323Command } from '../h323/contract.ts';
import type { H323Capability, MediaAddress } from '../h323/media-contract.ts';
import type { Format, MediaExchange, Party, Stream } from '../meta/message.ts';
import { capabilityOf, formatOfCapability, matches } from './h245-formats.ts';
import { H245Negotiation } from './h245-negotiation.ts';
import { H323Leg } from './h323-leg.ts';
import { setupFromH323 } from './h323-to-meta.ts';

const CALL = 8;
const PARTY: Party = { number: '100', numberType: 'unknown', privacy: 'allowed', verified: false };
const PCMA: Format = { id: 0, name: 'PCMA', clockRate: 8000, channels: 1, parameters: [] };
const at = (port: number): MediaAddress => ({
  rtp: { ip: '203.0.113.5', port },
  rtcp: { ip: '203.0.113.5', port: port + 1 },
});
const FAR_AUDIO = at(4000);
const FAR_VIDEO = at(4002);
const PCMA_CAPABILITY: H323Capability = {
  kind: 'audio',
  codec: 'PCMA',
  packetTime: 20,
  silenceSuppression: false,
};

/** As SIP offers it. */
function h264(profileLevelId: string, packetizationMode?: string): Format {
  return {
    id: 5,
    name: 'H264',
    clockRate: 90_000,
    channels: 1,
    parameters: [
      ...(packetizationMode === undefined
        ? []
        : [{ name: 'packetization-mode' as const, value: packetizationMode }]),
      { name: 'profile-level-id', value: profileLevelId },
    ],
  };
}

function h264Capability(profile: number, level: number, packetizationMode: 0 | 1): H323Capability {
  return { kind: 'video', codec: 'H264', maxBitRate: 384_000, profile, level, packetizationMode };
}

function offer(...video: Stream[]): MediaExchange {
  const audio: Stream = { index: 0, kind: 'audio', refused: false, direction: 'sendrecv', formats: [PCMA] };
  return { kind: 'offer', by: 'originator', number: 1, branch: 0, streams: [audio, ...video] };
}

const pictures = (...formats: Format[]): Stream => ({
  index: 1,
  kind: 'video',
  refused: false,
  direction: 'sendrecv',
  formats,
});

function scene(role: 'caller' | 'callee', fastStart = true) {
  let port = 20_000;
  const leg = new H323Leg({
    call: CALL,
    role,
    negotiation: new H245Negotiation({
      side: role === 'caller' ? 'originator' : 'terminator',
      ports: {
        allocate: () => {
          port += 2;
          return { bound: { ip: '192.0.2.1', port }, advertised: { ip: '192.0.2.1', port } };
        },
      },
      codecs: ['PCMA', 'telephone-event', 'H264', 'H263'],
      acceptMediaAddress: () => true,
    }),
    peer: { name: 'pbx', fastStart, earlyH245: false, trusted: true },
  });
  const drain = () => {
    const commands: H323Command[] = [];
    const events: LegEvent[] = [];
    const counts: string[] = [];
    for (let out = leg.poll(); out !== undefined; out = leg.poll()) {
      if (out.kind === 'h323') commands.push(out.command);
      else if (out.kind === 'event') events.push(out.event);
      else if (out.kind === 'count') counts.push(out.reason);
    }
    const of = <K extends H323Command['kind']>(kind: K) =>
      commands.filter((c): c is Extract<H323Command, { kind: K }> => c.kind === kind);
    const media = events.flatMap((e) => ('media' in e && e.media !== undefined ? [e.media] : []));
    return { commands, events, counts, of, media };
  };
  const setup = (media: MediaExchange): void =>
    leg.command(
      { kind: 'setup', peer: 'pbx', caller: PARTY, callee: PARTY, hops: 5, priority: 'normal', media },
      0,
    );
  return { leg, drain, setup };
}

test("an offer of H.264 is proposed with profile, level and packetization mode (H.241 8.3); the answer takes the far end's level", () => {
  const { leg, drain, setup } = scene('callee');
  setup(offer(pictures(h264('42e01f', '1'))));
  const proposals = drain().of('setup')[0]!.fastStart!;
  assert.deepEqual(
    proposals.map((p) => p.kind),
    ['audio', 'video'],
  );
  const [asked] = proposals[1]!.capabilities;
  assert.deepEqual(asked, { ...h264Capability(64, 71, 1), maxBitRate: 4_000_000 });
  assert.equal(proposals[1]!.payloadType, 97);
  const capability = h264Capability(64, 36, 1);
  leg.h323(
    {
      kind: 'fast-start-answered',
      call: CALL,
      channels: [
        { kind: 'audio', direction: 'send', capability: PCMA_CAPABILITY, remote: at(4000) },
        { kind: 'audio', direction: 'receive', capability: PCMA_CAPABILITY },
        { kind: 'video', direction: 'send', capability, remote: at(4002), payloadType: 97 },
        { kind: 'video', direction: 'receive', capability, payloadType: 99 },
      ],
    },
    10,
  );
  leg.h323({ kind: 'connected', call: CALL }, 20);
  const [answer] = drain().media;
  assert.ok(answer?.kind === 'answer');
  const [, moving] = answer.streams;
  assert.equal(moving?.refused, false);
  assert.equal(moving?.formats[0]?.id, 5);
  const [, stream] = leg.streams();
  assert.deepEqual(stream?.remote, { ip: '203.0.113.5', port: 4002 });
  assert.deepEqual(
    stream?.formats.map((f) => [f.format.id, f.receivePayloadType, f.sendPayloadType]),
    [[5, 99, 97]],
  );
});

test("without FastStart video is answered by the far end's capabilities, with its level, and both channels are opened", () => {
  const { leg, drain, setup } = scene('callee', false);
  setup(offer(pictures(h264('42e01f', '1'), h264('64001f', '1'))));
  leg.h323({ kind: 'connected', call: CALL }, 10);
  const userInput = { alphanumeric: true, signal: true };
  const media = [PCMA_CAPABILITY, h264Capability(64, 36, 1)];
  leg.h323({ kind: 'capabilities', call: CALL, capabilities: { media, userInput }, master: true }, 20);
  leg.h323(
    {
      kind: 'channel-opened',
      call: CALL,
      channel: { kind: 'audio', direction: 'send', capability: PCMA_CAPABILITY, remote: at(4000) },
    },
    30,
  );
  leg.h323(
    {
      kind: 'channel-asked',
      call: CALL,
      channel: { kind: 'audio', direction: 'receive', capability: PCMA_CAPABILITY },
      conflict: false,
    },
    40,
  );
  const { media: exchanges, of } = drain();
  const answer = exchanges.find((m) => m.kind === 'answer');
  assert.ok(answer?.kind === 'answer');
  assert.deepEqual(
    answer.streams[1]?.formats.map((f) => f.parameters.find((p) => p.name === 'profile-level-id')?.value),
    ['42e00d'],
  );
  const channels = of('open-channel').map((c) => [c.capability.codec, c.payloadType]);
  assert.deepEqual(channels, [
    ['PCMA', undefined],
    ['H264', 97],
  ]);
});

test('a far end that takes mode 0 alone is sent no mode 1, another profile is another codec: video is refused, the call is not', () => {
  for (const far of [h264Capability(64, 71, 0), h264Capability(8, 71, 1)]) {
    const { leg, drain, setup } = scene('callee', false);
    setup(offer(pictures(h264('42e01f', '1'))));
    leg.h323({ kind: 'connected', call: CALL }, 10);
    const userInput = { alphanumeric: true, signal: true };
    const media = [PCMA_CAPABILITY, far];
    leg.h323({ kind: 'capabilities', call: CALL, capabilities: { media, userInput }, master: true }, 20);
    const channel = {
      kind: 'audio',
      direction: 'send',
      capability: PCMA_CAPABILITY,
      remote: at(4000),
    } as const;
    leg.h323({ kind: 'channel-opened', call: CALL, channel }, 30);
    leg.timeout(2000);
    const answer = drain().media.find((m) => m.kind === 'answer');
    assert.ok(answer?.kind === 'answer');
    assert.equal(answer.streams[0]?.refused, false);
    assert.equal(answer.streams[1]?.refused, true);
  }
});

test('T.38 is refused in its place, and RequestMode for it is rejected (H.245 C.9)', () => {
  const { leg, drain, setup } = scene('callee');
  const image: Stream = {
    index: 1,
    kind: 'image',
    refused: false,
    direction: 'sendrecv',
    formats: [{ id: 0, name: 'T38', clockRate: 0, channels: 1, parameters: [] }],
  };
  setup(offer(image));
  assert.deepEqual(
    drain()
      .of('setup')[0]!
      .fastStart!.map((p) => p.kind),
    ['audio'],
  );
  const channels = [
    { kind: 'audio', direction: 'send', capability: PCMA_CAPABILITY, remote: at(4000) },
    { kind: 'audio', direction: 'receive', capability: PCMA_CAPABILITY },
  ] as const;
  leg.h323({ kind: 'fast-start-answered', call: CALL, channels }, 10);
  leg.h323({ kind: 'connected', call: CALL }, 20);
  const [answer] = drain().media;
  assert.ok(answer?.kind === 'answer');
  assert.deepEqual(
    answer.streams.map((s) => s.refused),
    [false, true],
  );
  const t38: H323Capability = {
    kind: 'image',
    codec: 'T38',
    maxBitRate: 14_400,
    version: 0,
    rateManagement: 'transferredTCF',
    maxBuffer: 200,
    maxDatagram: 72,
    errorCorrection: 'redundancy',
  };
  leg.h323({ kind: 'mode-asked', call: CALL, capability: t38 }, 30);
  leg.h323({ kind: 'mode-asked', call: CALL, capability: PCMA_CAPABILITY }, 40);
  const { of, counts } = drain();
  assert.deepEqual(
    of('answer-mode').map((c) => c.accepted),
    [false, true],
    'what is sent already is granted',
  );
  assert.deepEqual(counts, ['mode-refused']);
});

for (const state of ['open', 'being opened'] as const) {
  test(`another video codec is offered while the channel is ${state}: the answer names what was offered (RFC 3264 6), channels follow`, () => {
    const { leg, drain, setup } = scene('callee', false);
    setup(offer(pictures(h264('42e01f', '1'))));
    leg.h323({ kind: 'connected', call: CALL }, 10);
    const userInput = { alphanumeric: true, signal: true };
    const h263: H323Capability = { kind: 'video', codec: 'H263', maxBitRate: 384_000, cif: 1 };
    const capability = h264Capability(64, 71, 1);
    const media = [PCMA_CAPABILITY, capability, h263];
    leg.h323({ kind: 'capabilities', call: CALL, capabilities: { media, userInput }, master: true }, 20);
    const audio = {
      kind: 'audio',
      direction: 'send',
      capability: PCMA_CAPABILITY,
      remote: FAR_AUDIO,
    } as const;
    leg.h323({ kind: 'channel-opened', call: CALL, channel: audio }, 30);
    leg.timeout(2000);
    const video = { kind: 'video', direction: 'send', capability, remote: FAR_VIDEO } as const;
    if (state === 'open') leg.h323({ kind: 'channel-opened', call: CALL, channel: video }, 2010);
    assert.deepEqual(
      drain()
        .of('open-channel')
        .map((c) => c.capability.codec),
      ['PCMA', 'H264'],
    );
    const format: Format = { id: 6, name: 'H263', clockRate: 90_000, channels: 1, parameters: [] };
    leg.command({ kind: 'modify', media: { ...offer(pictures(format)), number: 2 } }, 3000);
    const { media: exchanges, of } = drain();
    assert.deepEqual(
      exchanges[0]?.kind === 'answer' && exchanges[0].streams[1]?.formats.map((f) => [f.id, f.name]),
      [[6, 'H263']],
    );
    assert.deepEqual(
      of('close-channel').map((c) => [c.media, c.direction]),
      [['video', 'send']],
    );
    assert.deepEqual(
      of('open-channel').map((c) => c.capability.codec),
      ['H263'],
    );
  });
}

test("a caller's FastStart with video is an offer of both; what the other side refuses is not answered", () => {
  for (const taken of [true, false]) {
    const { leg, drain } = scene('caller');
    const party = { number: '100', numberType: 'unknown', presentation: 'allowed', verified: false } as const;
    const h263: H323Capability = { kind: 'video', codec: 'H263', maxBitRate: 384_000, cif: 1 };
    const fastStart = [
      {
        kind: 'audio',
        send: [{ capability: PCMA_CAPABILITY, remote: at(4000) }],
        receive: [{ capability: PCMA_CAPABILITY }],
      },
      { kind: 'video', send: [{ capability: h263, remote: at(4002) }], receive: [{ capability: h263 }] },
    ] as const;
    const remote = { ip: '203.0.113.5', port: 1720 };
    const setup = setupFromH323(leg, {
      kind: 'incoming',
      call: CALL,
      peer: 'pbx',
      caller: party,
      callee: party,
      hops: 10,
      fastStart,
      remote,
    });
    assert.ok(setup.kind === 'setup' && setup.media?.kind === 'offer');
    assert.deepEqual(
      setup.media.streams.map((s) => [s.kind, s.formats[0]?.name]),
      [
        ['audio', 'PCMA'],
        ['video', 'H263'],
      ],
    );
    const streams = setup.media.streams.map((s) =>
      s.kind === 'video' && !taken ? { ...s, refused: true, formats: [] } : s,
    );
    leg.command({ kind: 'connect', branch: 0, media: { ...setup.media, kind: 'answer', streams } }, 10);
    const connect = drain().of('connect')[0]!;
    assert.deepEqual(
      connect.fastStart?.map((c) => c.kind),
      taken ? ['audio', 'video'] : ['audio'],
    );
    assert.equal(leg.streams().length, taken ? 2 : 1);
  }
});

test('H.264 parameters: profile_idc and level_idc by the tables of H.241, Constrained Baseline for Baseline', () => {
  for (const [profile, level, text] of [
    [64, 36, '42e00d'],
    [32, 71, '4d001f'],
    [8, 85, '640028'],
    [64, 40, '42e00d'], // between two levels: the lower
  ] as const) {
    const format = formatOfCapability(h264Capability(profile, level, 1));
    assert.equal(format?.parameters.find((p) => p.name === 'profile-level-id')?.value, text);
    const back = capabilityOf(format!, undefined);
    assert.ok(back?.kind === 'video');
    assert.equal(back.profile, profile);
    assert.ok(matches(back, format!, true));
  }
  assert.equal(formatOfCapability(h264Capability(0, 36, 1)), undefined, 'a profile nobody else knows');
  assert.equal(formatOfCapability(h264Capability(64, 3, 1)), undefined, 'a level below all');
  assert.equal(capabilityOf(h264('f4001f'), undefined), undefined);
  assert.equal(capabilityOf(h264('42e01f', '2'), undefined), undefined, 'interleaved mode');
});
