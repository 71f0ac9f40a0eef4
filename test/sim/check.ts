/** What must hold after every scenario, and between the two legs of an established call. */
import assert from 'node:assert/strict';
import { assertTopologyHidden } from './canaries.ts';
import type { SimGateway } from './sim-gateway.ts';
import { describe, type SimCall, type SimPeer } from './sim-peer.ts';
import type { World } from './world.ts';

export interface FinishOptions {
  /** A restart loses the records of its calls; an attacker writes none. */
  readonly records?: 'both' | 'any';
  /** Ends crossed on the wire, so that each gateway may record another cause. */
  readonly crossed?: boolean;
}

/** Ends what is up and checks that nothing is left anywhere, that the records agree, that nothing leaked. */
export function finish(world: World, options: FinishOptions = {}): void {
  for (const peer of world.peers) {
    for (const call of peer.calls) if (call.state !== 'ended') peer.end(call);
    world.run(1000);
  }
  world.network = { loss: 0, duplicate: 0, minDelayMs: 1, maxDelayMs: 2 };
  world.run(110_000);
  for (const peer of world.peers)
    for (const call of peer.calls)
      assert.equal(call.state, 'ended', `${peer.options.name}'s call to ${call.number} has ended`);
  assert.deepEqual(world.leftovers(), {}, `seed ${world.seed}`);
  assertRecords(world, options);
  assertTopologyHidden(world);
  assert.deepEqual(world.strayDatagrams, []);
}

/** Exactly one record per call per gateway, with the same id and, races aside, the same result. */
function assertRecords(world: World, options: FinishOptions): void {
  const outside = world.cdrs('gw2');
  const inside = [...world.gateways.keys()].filter((n) => n !== 'gw2').flatMap((n) => world.cdrs(n));
  for (const list of [outside, inside])
    assert.equal(new Set(list.map((r) => r.call)).size, list.length, 'one record per call per gateway');
  if (options.records === 'any') return;
  for (const record of [...inside, ...outside]) {
    const other = (record.gateway === 'gw2' ? inside : outside).find((r) => r.call === record.call);
    if (other === undefined) {
      // The other gateway refused it, or never heard of it.
      assert.equal(record.side, 'originator', `call ${record.call} is recorded by both gateways`);
      assert.notEqual(record.result, 'connected');
      continue;
    }
    assert.notEqual(record.side, other.side);
    if (record.side === 'terminator') continue;
    // The called side may have answered while the caller gave up; never the other way round.
    if (record.result === 'connected') assert.equal(other.result, 'connected', 'who answered is recorded');
    if (record.result === other.result && options.crossed !== true)
      assert.deepEqual(
        [record.cause, record.origin],
        [other.cause, other.origin],
        'both record the same end',
      );
  }
}

/** The one call both gateways have open streams for: media of the two legs fits what each peer was told. */
export function assertSound(
  world: World,
  outside: readonly [SimPeer, SimCall],
  inside: readonly [SimPeer, SimCall],
  relay: SimGateway = world.relay,
): void {
  const near = legOf(world.termination, outside);
  const far = legOf(relay, inside);
  assert.equal(near.stream, far.stream, 'both gateways mean the same tunnel stream');
  const voice = (leg: typeof near) => leg.formats.filter((f) => f.kind === 'voice');
  const common = voice(near).filter((a) => voice(far).some((b) => a.format === b.format));
  assert.ok(common.length > 0, 'both legs have a voice format in common');
}

function legOf(gateway: SimGateway, [peer, call]: readonly [SimPeer, SimCall]) {
  const told = describe(call.remoteSdp);
  const leg = [...gateway.openStreams.values()].find((l) => l.local.port === told.port);
  assert.ok(
    leg !== undefined,
    `${gateway.name} listens where ${peer.options.name} was told to send (${told.port})`,
  );
  assert.equal(told.ip, gateway.address.ip);
  assert.equal(leg.remote?.ip, peer.options.address.ip);
  assert.equal(leg.remote?.port, peer.mediaPort(call));
  return leg;
}

/** Direction of the only open stream at a gateway's leg: what it may send to and take from its peer. */
export function direction(gateway: SimGateway): string {
  return [...gateway.openStreams.values()].map((leg) => leg.direction).join(',');
}

export function connect(world: World, from: SimPeer, to: SimPeer, number: string): [SimCall, SimCall] {
  const taken = to.calls.length;
  const call = from.call(number);
  world.until(() => call.state === 'connected', 10_000, 'connect');
  world.run(200);
  return [call, to.calls[taken]!];
}
