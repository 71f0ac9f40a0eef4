import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamLegConfig } from '../../src/media/plane-contract.ts';
import {
  assertSound,
  type Call,
  connected,
  finish,
  type Pair,
  pair,
  type SideOptions,
} from './h323-world.ts';
import type { SimGateway } from './sim-gateway.ts';
import { describePictures } from './sim-pictures.ts';

/** Both gateways carry video. */
const codecs = ['PCMA', 'PCMU', 'telephone-event', 'H264', 'H263'] as const;

function side(h323: SideOptions['h323'], gateway: SideOptions['gateway'] = {}): SideOptions {
  return { protocol: 'h323', codecs, h323: h323 ?? {}, gateway };
}

function video(gateway: SimGateway): StreamLegConfig | undefined {
  return [...gateway.openStreams.values()].find((s) => s.formats.some((f) => f.kind === 'video'));
}

/** Pictures go through both gateways in both directions: ports, payload types, and one format. */
function assertPictures(it: Pair, outside: Call, inside: Call): void {
  for (const [gateway, call, phonePort] of [
    [it.outside.gateway, outside, 22_002],
    [it.inside.gateway, inside, 32_002],
  ] as const) {
    const leg = video(gateway);
    assert.ok(leg !== undefined, `${gateway.name} has a video stream`);
    assert.equal(leg.direction, 'sendrecv');
    assert.equal(leg.remote?.port, phonePort);
    const { videoSend, videoReceive } = call.h323!;
    assert.equal(videoSend?.remote?.rtp.port, leg.local.port, 'the phone sends to the gateway');
    assert.ok(videoReceive !== undefined, 'and has a channel to receive');
    const [format] = leg.formats;
    assert.ok(format!.receivePayloadType >= 34 && format!.sendPayloadType >= 34);
    if (videoReceive.payloadType !== undefined)
      assert.equal(format!.sendPayloadType, videoReceive.payloadType);
  }
  assert.equal(video(it.outside.gateway)!.formats[0]!.format, video(it.inside.gateway)!.formats[0]!.format);
}

for (const codec of ['H264', 'H263'] as const) {
  for (const [name, fastStart, tunnelling] of [
    ['FastStart', true, true],
    ['slow start', false, false],
  ] as const) {
    test(`${codec} passes through between two H.323 sides with ${name}; hold stops it, resumption starts it again`, () => {
      const options = { video: codec, fastStart, tunnelling } as const;
      const gateway = { fastStart, tunnelling };
      const it = pair(side(options, gateway), side(options, gateway));
      const [call, taken] = connected(it, it.outside, it.inside);
      it.world.run(6000);
      assertSound(it, call, taken);
      assertPictures(it, call, taken);
      it.outside.h323!.hold(call.h323!);
      it.world.run(3000);
      assert.notEqual(video(it.inside.gateway)?.direction, 'sendrecv');
      it.outside.h323!.retrieve(call.h323!);
      it.world.run(6000);
      assertSound(it, call, taken);
      assertPictures(it, call, taken);
      finish(it);
    });
  }
}

test('a far end whose FastStart is sound alone: its video is offered once its capabilities say that it has any', () => {
  const it = pair(side({ video: 'H264', fastVideo: false }), side({ video: 'H264', fastVideo: false }));
  const [call, taken] = connected(it, it.outside, it.inside);
  it.world.run(6000);
  assertSound(it, call, taken);
  assertPictures(it, call, taken);
  finish(it);
});

test('video of one side alone: the call has sound, and no stream of pictures', () => {
  for (const [outside, inside] of [
    [{ video: 'H264' }, {}],
    [{}, { video: 'H264' }],
    [{ video: 'H264' }, { video: 'H263' }],
  ] as const) {
    for (const fastStart of [true, false]) {
      const it = pair(
        side({ ...outside, fastStart }, { fastStart }),
        side({ ...inside, fastStart }, { fastStart }),
      );
      const [call, taken] = connected(it, it.outside, it.inside);
      it.world.run(6000);
      assertSound(it, call, taken);
      assert.equal(video(it.outside.gateway), undefined);
      assert.equal(video(it.inside.gateway), undefined);
      finish(it);
    }
  }
});

/** Where a phone of either protocol was told to send its pictures; undefined: nowhere. */
function picturesTo(call: Call): number | undefined {
  if (call.h323 !== undefined) return call.h323.videoSend?.remote?.rtp.port;
  return describePictures(call.sip!.remoteSdp)?.port || undefined;
}

/** The SIP phone and the H.323 one see each other: both gateways have the stream, its format, and the phones' ports. */
function assertPicturesAcross(it: Pair, outside: Call, inside: Call, direction = 'sendrecv'): void {
  const legs = [
    [it.outside, outside],
    [it.inside, inside],
  ] as const;
  for (const [phone, call] of legs) {
    const leg = video(phone.gateway);
    assert.ok(leg !== undefined, `${phone.gateway.name} has a video stream`);
    assert.equal(leg.direction, direction);
    assert.equal(picturesTo(call), leg.local.port, `${phone.gateway.name}: where its phone sends`);
    const own = call.sip === undefined ? undefined : phone.sip!.picturePort(call.sip);
    assert.equal(leg.remote?.port, own ?? (phone === it.outside ? 22_002 : 32_002));
  }
  const [near, far] = legs.map(([phone]) => video(phone.gateway)!);
  assert.equal(near!.formats[0]!.format, far!.formats[0]!.format);
}

for (const codec of ['H264', 'H263'] as const) {
  for (const [name, fastStart, tunnelling] of [
    ['FastStart', true, true],
    ['slow start', false, false],
  ] as const) {
    for (const caller of ['sip', 'h323'] as const) {
      test(`${codec} between a SIP phone and H.323 with ${name}, ${caller} calls; hold stops it, resumption starts it again`, () => {
        const sip: SideOptions = { protocol: 'sip', codecs, sip: { video: codec } };
        const h323 = side({ video: codec, fastStart, tunnelling }, { fastStart, tunnelling });
        const it = caller === 'sip' ? pair(sip, h323) : pair(h323, sip);
        const [call, taken] = connected(it, it.outside, it.inside);
        it.world.run(6000);
        assertSound(it, call, taken);
        assertPicturesAcross(it, call, taken);
        const [sipPhone, sipCall] =
          caller === 'sip' ? [it.outside.sip!, call.sip!] : [it.inside.sip!, taken.sip!];
        sipPhone.reinvite(sipCall, 'sendonly');
        it.world.run(3000);
        for (const phone of [it.outside, it.inside])
          assert.notEqual(video(phone.gateway)?.direction, 'sendrecv', phone.gateway.name);
        sipPhone.reinvite(sipCall, 'sendrecv');
        it.world.run(6000);
        assertSound(it, call, taken);
        assertPicturesAcross(it, call, taken);
        finish(it);
      });
    }
  }
}

test('a SIP phone without video and H.323 with it, and the reverse: the call has sound, and no stream of pictures', () => {
  for (const [sip, h323] of [
    [{}, { video: 'H264' }],
    [{ video: 'H264' }, {}],
    [{ video: 'H263' }, { video: 'H264' }],
  ] as const) {
    for (const fastStart of [true, false]) {
      const it = pair({ protocol: 'sip', codecs, sip }, side({ ...h323, fastStart }, { fastStart }));
      const [call, taken] = connected(it, it.outside, it.inside);
      it.world.run(6000);
      assertSound(it, call, taken);
      for (const phone of [it.outside, it.inside]) {
        const leg = video(phone.gateway);
        assert.ok(
          leg === undefined || leg.direction === 'inactive',
          `${phone.gateway.name}: ${leg?.direction}`,
        );
      }
      finish(it);
    }
  }
});
