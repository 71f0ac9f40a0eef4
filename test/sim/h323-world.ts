/** Worlds with H.323 on either side or both, and what must hold between the two ends of a call there. */
import assert from 'node:assert/strict';
import type { PeerConfig } from '../../src/gateway/config.ts';
import type { Address } from '../../src/machine/address.ts';
import type { FormatName } from '../../src/meta/message.ts';
import type { H323SimCall } from './h323-call.ts';
import type { SimH323Options, SimH323Peer } from './h323-peer.ts';
import { peer, relayConfig, route, terminationConfig } from './sim-config.ts';
import type { SimGateway } from './sim-gateway.ts';
import { describe, type SimCall, type SimPeer, type SimPeerOptions } from './sim-peer.ts';
import { World, type WorldOptions } from './world.ts';

export type Protocol = 'sip' | 'h323';

export interface SideOptions {
  readonly protocol: Protocol;
  readonly family?: 4 | 6;
  readonly h323?: Partial<SimH323Options>;
  /** Of the gateway's peer, too. */
  readonly gateway?: Partial<NonNullable<PeerConfig['h323']>>;
  readonly sip?: Partial<SimPeerOptions>;
  /** Formats that the gateway allows. */
  readonly codecs?: readonly FormatName[];
  /** Who is taken as the H.323 peer besides its host. */
  readonly sources?: readonly string[];
}

export interface Pair {
  readonly world: World;
  readonly outside: Phone;
  readonly inside: Phone;
}

/** A phone of either protocol with the words that tests use of both. */
export interface Phone {
  readonly gateway: SimGateway;
  readonly sip?: SimPeer;
  readonly h323?: SimH323Peer;
  call(number: string): Call;
  /** Calls it took, or made. */
  calls(): Call[];
}

export interface Call {
  readonly number: string;
  readonly state: string;
  readonly cause: number | undefined;
  readonly digits: string;
  readonly ringing: boolean;
  end(cause?: number): void;
  accept(): void;
  ring(inBand: boolean): void;
  digit(digit: string): void;
  /** Where it was told to send, where it receives. */
  sends(): Address | undefined;
  receives(): Address;
  readonly sip?: SimCall;
  readonly h323?: H323SimCall;
}

const ADDRESSES = {
  outside: {
    4: { gateway: '198.51.100.2', phone: '203.0.113.7' },
    6: { gateway: '2001:db8:2::2', phone: '2001:db8:7::7' },
  },
  inside: { 4: { gateway: '10.0.0.1', phone: '10.0.0.20' }, 6: { gateway: 'fd00::1', phone: 'fd00::20' } },
} as const;

const NO_ANSWER = (): void => undefined;

/** Both gateways, with one phone each; `manual`: nobody answers by itself. */
export function pair(
  outside: SideOptions,
  inside: SideOptions,
  more: { manual?: boolean; seed?: number; world?: WorldOptions } = {},
): Pair {
  const sides = { outside, inside };
  const config = (side: 'outside' | 'inside') => {
    const { protocol, family = 4, gateway, sources = [], codecs } = sides[side];
    const usual = side === 'outside' ? terminationConfig() : relayConfig();
    const base = codecs === undefined ? usual : { ...usual, media: { ...usual.media, codecs } };
    const ip = ADDRESSES[side][family].gateway;
    const h323 = {
      fastStart: true,
      tunnelling: true,
      earlyH245: false,
      keepConnection: false,
      aliases: [],
      ...gateway,
    };
    const pools = family === 4 ? base.media.pools : [{ ip, ports: [16384, 17383] as const }];
    const host = ADDRESSES[side][family].phone;
    if (protocol === 'sip')
      return side === 'outside' ? { ...base, peers: [peer('internet', '203.0.113.5')] } : base;
    const name = side === 'outside' ? 'internet' : 'pbx';
    return {
      ...base,
      h323: {
        listeners: [{ name: 'cs', transport: 'tcp' as const, address: { ip, port: 1720 } }],
        h245Ports: [30_000, 30_999] as const,
      },
      media: { ...base.media, pools },
      peers: [peer(name, host, { protocol: 'h323', port: 1720, h323, trusted: side === 'inside', sources })],
      mediaNetworks: side === 'inside' ? ['10.0.0.0/8', 'fd00::/8'] : [],
      routes:
        side === 'outside'
          ? [route('in', 'peers', '*', 'tunnel:site-a'), route('out', 'tunnel', '*', 'peer:internet')]
          : [route('in', 'tunnel', '*', 'peer:pbx'), route('out', 'peers', '*', 'tunnel')],
    };
  };
  const manual = more.manual === true;
  const world = new World({
    ...(more.seed === undefined ? {} : { seed: more.seed }),
    ...more.world,
    termination: config('outside'),
    relay: config('inside'),
    phone: { ...(manual ? { answer: NO_ANSWER } : {}), ...outside.sip },
    pbx: { ...(manual ? { answer: NO_ANSWER } : {}), ...inside.sip },
  });
  const phone = (side: 'outside' | 'inside'): Phone => {
    const { protocol, family = 4, h323 } = sides[side];
    const gateway = side === 'outside' ? world.termination : world.relay;
    if (protocol === 'sip') return sipPhone(side === 'outside' ? world.phone : world.pbx, gateway);
    const it = world.addH323Peer({
      name: side === 'outside' ? '4930123' : '200',
      address: { ip: ADDRESSES[side][family].phone, port: 1720 },
      gateway: { ip: ADDRESSES[side][family].gateway, port: 1720 },
      mediaPort: side === 'outside' ? 22_000 : 32_000,
      ...(manual ? { answer: NO_ANSWER } : {}),
      ...h323,
    });
    return h323Phone(it, gateway);
  };
  const made = { world, outside: phone('outside'), inside: phone('inside') };
  world.start();
  return made;
}

function sipPhone(it: SimPeer, gateway: SimGateway): Phone {
  const view = (call: SimCall): Call => ({
    sip: call,
    get number() {
      return call.number;
    },
    get state() {
      return call.state;
    },
    get cause() {
      return call.endCause;
    },
    get digits() {
      return call.digits;
    },
    get ringing() {
      return call.state === 'ringing' || call.provisionals.length > 0;
    },
    end: () => it.end(call),
    accept: () => it.accept(call),
    ring: (inBand) => (inBand ? it.early(call) : it.ring(call)),
    digit: (digit) => it.digit(call, digit),
    sends: () => {
      const { ip, port } = describe(call.remoteSdp);
      return port === 0 ? undefined : { ip, port };
    },
    receives: () => ({ ip: it.options.address.ip, port: it.mediaPort(call) }),
  });
  return { gateway, sip: it, call: (number) => view(it.call(number)), calls: () => it.calls.map(view) };
}

function h323Phone(it: SimH323Peer, gateway: SimGateway): Phone {
  const view = (call: H323SimCall): Call => ({
    h323: call,
    get number() {
      return call.number;
    },
    get state() {
      return call.state;
    },
    get cause() {
      return call.endCause;
    },
    get digits() {
      return call.digits;
    },
    get ringing() {
      return call.seen.includes('alerting');
    },
    end: (cause = 16) => it.end(call, cause),
    accept: () => it.accept(call),
    ring: (inBand) => it.ring(call, inBand),
    digit: (digit) => it.digit(call, digit),
    sends: () => call.send?.remote?.rtp,
    receives: () => it.mediaAddress,
  });
  return { gateway, h323: it, call: (number) => view(it.call(number)), calls: () => it.calls.map(view) };
}

/** A call from one phone to the other that is answered and whose media is settled. */
export function connected({ world }: Pair, from: Phone, to: Phone, number = '601'): [Call, Call] {
  const call = from.call(number);
  world.until(() => call.state === 'connected', 10_000, 'connect');
  world.run(1500);
  return [call, to.calls().at(-1)!];
}

/** What each phone sends arrives at its gateway's open stream, and what that sends arrives at the phone; one codec in common. */
export function assertSound(pairOf: Pair, outside: Call, inside: Call, direction = 'sendrecv'): void {
  const near = leg(pairOf.outside.gateway, outside);
  const far = leg(pairOf.inside.gateway, inside);
  assert.equal(near.stream, far.stream, 'both gateways mean the same tunnel stream');
  for (const it of [near, far]) assert.equal(it.direction, direction);
  for (const [a, b] of [
    [near, far],
    [far, near],
  ] as const) {
    const carried = a.formats.filter(
      (f) =>
        f.kind === 'voice' &&
        f.receivePayloadType >= 0 &&
        b.formats.some((o) => o.format === f.format && o.sendPayloadType >= 0),
    );
    assert.ok(carried.length > 0, `a voice format goes through: ${JSON.stringify([a.formats, b.formats])}`);
  }
}

function leg(gateway: SimGateway, call: Call) {
  const told = call.sends();
  assert.ok(told !== undefined, 'the phone knows where to send');
  const found = [...gateway.openStreams.values()].find((l) => l.local.port === told.port);
  assert.ok(found !== undefined, `${gateway.name} listens where the phone sends (${told.ip}:${told.port})`);
  assert.equal(found.local.ip, told.ip);
  assert.deepEqual(found.remote, call.receives());
  return found;
}

/** Ends what is up and checks that nothing is left anywhere. */
export function finish({ world }: Pair): void {
  for (const p of world.peers) for (const call of p.calls) if (call.state !== 'ended') p.end(call);
  for (const p of world.h323Peers) for (const call of p.calls) if (call.state !== 'ended') p.end(call);
  world.run(110_000);
  for (const p of [...world.peers, ...world.h323Peers])
    for (const call of p.calls)
      assert.equal(call.state, 'ended', `${p.options.name}: call to ${call.number}`);
  assert.deepEqual(world.leftovers(), {}, `seed ${world.seed}`);
  assert.deepEqual(world.h323.sizes, { connections: 0, opened: 0 });
  assert.equal(world.termination.cdrs.length, world.relay.cdrs.length);
  for (const record of world.relay.cdrs) {
    const other = world.termination.cdrs.find((r) => r.call === record.call);
    assert.equal(other?.result, record.result);
    assert.equal(other?.cause, record.cause);
  }
}
