/**
 * Peers of either side that describe their media as no device does: speech and fax in turn and at once, ports of nobody, lines without sense,
 * figures out of every range. The gateways refuse or go on; what reaches the plane is within bounds, and nothing is left.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { PlaneCommand } from '../../src/media/plane-contract.ts';
import { assertSound, connect, finish } from './check.ts';
import { relayConfig, terminationConfig } from './sim-config.ts';
import type { SimGateway } from './sim-gateway.ts';
import type { SimCall, SimPeer } from './sim-peer.ts';
import { CLEAN, LOSSY, World } from './world.ts';

const RUNS = Number(process.env['VOIP_SGW_RUNS'] ?? 150);

const usual = terminationConfig();
const codecs = [...usual.media.codecs, 'T38' as const];

const figure = fc.constantFrom(
  '0',
  '1',
  '-1',
  '4',
  '71',
  '238',
  '400',
  '1400',
  '65535',
  '65536',
  '4294967297',
  '99999999999999999999',
  '1e9',
  '0x40',
  '',
  ' 72',
  '14400',
  'NaN',
);
const attribute = fc.oneof(
  fc
    .tuple(
      fc.constantFrom(
        'T38FaxVersion',
        'T38MaxBitRate',
        'T38FaxMaxBuffer',
        'T38FaxMaxDatagram',
        'T38FaxMaxIFP',
      ),
      figure,
    )
    .map(([name, value]) => `${name}:${value}`),
  fc.constantFrom(
    'T38FaxRateManagement:transferredTCF',
    'T38FaxRateManagement:localTCF',
    'T38FaxRateManagement:everyTCF',
    'T38FaxUdpEC:t38UDPRedundancy',
    'T38FaxUdpEC:t38UDPFEC',
    'T38FaxUdpEC:t38UDPNoEC',
    'T38FaxUdpEC:t38UDPRedundancy,t38UDPFEC',
    'T38FaxFillBitRemoval',
    'T38FaxFillBitRemoval:1',
    'T38FaxTranscodingMMR:0',
    'T38VendorInfo:0 0 37',
    'T38ModemType:t38G3FaxOnly',
    'sendrecv',
    'sendonly',
    'recvonly',
    'inactive',
    'rtcp-mux',
    'rtcp:9',
    'rtcp:20001 IN IP4 127.0.0.1',
    'rtpmap:0 PCMU/8000',
    'rtpmap:101 telephone-event/8000',
    'rtpmap:0 T38/8000',
    'rtpmap:96 t38/8000',
    'fmtp:101 0-15',
    'ptime:0',
    'ptime:1000000',
    'ptime:20',
    'setup:active',
    'ice-lite',
  ),
);
const line = fc
  .tuple(
    fc.constantFrom('audio', 'audio', 'image', 'image', 'image', 'video', 'message'),
    fc.constantFrom('20000', '20002', '20000', '0', '1', '65535', '20000/2'),
    fc.constantFrom('RTP/AVP', 'RTP/AVP', 'udptl', 'UDPTL', 'udptl', 'tcp', 'RTP/SAVP', 'UDP/TLS/UDPTL'),
    fc.constantFrom('0', '0 8 101', 't38', 'T38', 't38', 't38 t38', '0 t38', 't37', '96'),
    fc.constantFrom('', '', '', 'c=IN IP4 0.0.0.0\r\n', 'c=IN IP4 127.0.0.1\r\n', 'c=IN IP6 ::1\r\n'),
    fc.array(attribute, { maxLength: 7 }),
  )
  .map(
    ([kind, port, protocol, formats, connection, attributes]) =>
      `m=${kind} ${port} ${protocol} ${formats}\r\n${connection}${attributes.map((a) => `a=${a}\r\n`).join('')}`,
  );
/** What follows the head; undefined: as a device would. */
const description = fc.option(
  fc.array(line, { minLength: 0, maxLength: 4 }).map((lines) => lines.join('')),
  { nil: undefined, freq: 2 },
);

type SideName = 'phone' | 'pbx';

/** From now on descriptions of this peer are taken from the list, in turn. */
function lies(peer: SimPeer, list: readonly (string | undefined)[]): void {
  const honest = peer.sdp.bind(peer);
  let next = 0;
  peer.sdp = (call: SimCall) => {
    const lie = list[next++ % list.length];
    const { contentType, bytes } = honest(call);
    if (lie === undefined) return { contentType, bytes };
    const head = Buffer.from(bytes).toString().split(/^m=/m)[0]!;
    return { contentType, bytes: Buffer.from(head + lie) };
  };
}

/** What the media workers were told is within what they can bear, and leads to the peer alone. */
function assertPlane(gateway: SimGateway, peer: SimPeer): void {
  for (const command of gateway.planeCommands) if ('leg' in command) assertLeg(command, gateway.name);
  for (const target of gateway.mediaTargets) assert.equal(target, peer.options.address.ip, gateway.name);
}

function assertLeg({ leg }: Extract<PlaneCommand, { leg: unknown }>, name: string): void {
  const within = (value: number, least: number, most: number, what: string): void =>
    assert.ok(value >= least && value <= most, `${name}: ${what} is ${value}`);
  if (leg.kind === 'image') assert.ok(leg.formats.every((f) => f.kind === 'udptl'));
  for (const format of leg.formats) {
    within(format.maxPayload, 1, 1500, 'maxPayload');
    within(format.maxPacketsPerSecond, 1, 2000, 'maxPacketsPerSecond');
    if (format.kind !== 'udptl') continue;
    within(format.udptl!.maxDatagramIn, 1, 1500, 'maxDatagramIn');
    within(format.udptl!.maxDatagramOut, 0, 1500, 'maxDatagramOut');
    within(format.udptl!.redundancy, 0, 3, 'redundancy');
    within(format.udptl!.maxBytesPerSecond, 1, 1e6, 'maxBytesPerSecond');
  }
}

const step = fc.record({
  from: fc.constantFrom<SideName | 'both'>('phone', 'pbx', 'both', 'both'),
  do: fc.constantFrom('offer', 'offer', 'offer', 'ask', 'fax', 'speech', 'digit'),
  wait: fc.oneof(fc.constant(0), fc.nat(30), fc.nat(3000)),
});

test(`${RUNS} calls whose peers describe whatever they like, whenever they like`, () => {
  let faxes = 0;
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_000_000 }),
      fc.constantFrom(CLEAN, CLEAN, LOSSY),
      fc.record({
        phone: fc.array(description, { minLength: 1, maxLength: 6 }),
        pbx: fc.array(description, { minLength: 1, maxLength: 6 }),
      }),
      fc.boolean(),
      fc.array(step, { minLength: 1, maxLength: 14 }),
      (seed, network, said, first, steps) => {
        const world = new World({
          seed,
          termination: { media: { ...usual.media, codecs } },
          relay: { media: { ...relayConfig().media, codecs } },
        }).start();
        const calls: Record<SideName, SimCall | undefined> = { phone: undefined, pbx: undefined };
        if (!first) [calls.phone, calls.pbx] = connect(world, world.phone, world.pbx, '601');
        for (const side of ['phone', 'pbx'] as const) lies(world[side], said[side]);
        world.network = network;
        if (first) {
          calls.phone = world.phone.call('601');
          world.run(3000);
          calls.pbx = world.pbx.calls[0];
        }
        for (const s of steps) {
          for (const side of s.from === 'both' ? (['phone', 'pbx'] as const) : [s.from]) {
            const call = calls[side];
            if (call?.state !== 'connected') continue;
            const peer = world[side];
            if (s.do === 'digit') peer.digit(call, '#');
            else if (s.do === 'offer') peer.reinvite(call, 'sendrecv');
            else if (s.do === 'ask') peer.reinvite(call, undefined);
            else peer.refax(call, s.do === 'fax' ? 'instead' : undefined);
          }
          world.run(s.wait);
        }
        world.run(5000);
        assertPlane(world.termination, world.phone);
        assertPlane(world.relay, world.pbx);
        faxes += world.relay.counted('faxes/terminator');
        finish(world, { crossed: true });
      },
    ),
    { numRuns: RUNS },
  );
  assert.ok(faxes > RUNS / 10, `${faxes} faxes were made of it`);
});

test('speech and fax in turn, twenty times a second and from both sides: held to a rate, and speech in the end', () => {
  const world = new World({
    termination: { media: { ...usual.media, codecs } },
    relay: { media: { ...relayConfig().media, codecs } },
  }).start();
  const [phone, pbx] = connect(world, world.phone, world.pbx, '601');
  for (let i = 0; i < 400; i++) {
    world.phone.refax(phone, i % 2 === 0 ? 'instead' : undefined);
    if (i % 3 === 0) world.pbx.refax(pbx, i % 2 === 0 ? undefined : 'instead');
    world.run(50);
  }
  assert.ok(world.pbx.calls[0]!.modifiesSeen < 100, `${world.pbx.calls[0]!.modifiesSeen} reached the PBX`);
  world.run(40_000);
  world.phone.refax(phone, undefined);
  world.run(5000);
  assert.deepEqual([phone.state, pbx.state], ['connected', 'connected']);
  assertSound(world, [world.phone, phone], [world.pbx, pbx]);
  finish(world);
});
