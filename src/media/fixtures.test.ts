/** A media control with two small pools, one call, and what its tests say to it. */
import assert from 'node:assert/strict';
import type { LegStream } from '../call/leg.ts';
import type { Random } from '../machine/machine.ts';
import type { Format } from '../meta/message.ts';
import { MediaControl, type MediaControlOptions, type MediaOutput } from './media-control.ts';
import { type PlaneCommand, REFUSALS, type StreamCounters } from './plane-contract.ts';
import { noCounters } from './stream-counters.ts';

export function seeded(seed: number): Random {
  let state = seed >>> 0;
  const uint32 = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state;
  };
  return { uint32, bytes: (n) => Uint8Array.from({ length: n }, () => uint32() >>> 24) };
}

export const PCMA: Format = { id: 2, name: 'PCMA', clockRate: 8000, channels: 1, parameters: [] };
const DTMF: Format = { id: 5, name: 'telephone-event', clockRate: 8000, channels: 1, parameters: [] };

export function control(options: Partial<MediaControlOptions> = {}): MediaControl {
  return new MediaControl({
    random: seeded(1),
    pools: [
      { ip: '10.0.0.1', advertise: '198.51.100.1', ports: [20_000, 20_019] },
      { ip: '2001:db8::1', ports: [20_000, 20_019] },
    ],
    maxCalls: 10,
    ...options,
  });
}

export const CALL = {
  call: 'c1',
  session: 's',
  shard: 1,
  streamBase: 64,
  priority: 'normal',
  source: 'latch',
} as const;

export function drain(m: MediaControl): MediaOutput[] {
  const out: MediaOutput[] = [];
  for (let o = m.poll(); o !== undefined; o = m.poll()) out.push(o);
  return out;
}

export function commands(m: MediaControl): PlaneCommand[] {
  return drain(m).flatMap((o) => (o.kind === 'command' ? [o.command] : []));
}

export function stream(m: MediaControl, call: string, more: Partial<LegStream> = {}): LegStream {
  const index = more.index ?? 0;
  const port = m.ports(call).allocate(index, 'audio');
  assert.ok(port);
  return {
    index,
    kind: 'audio',
    active: true,
    direction: 'sendrecv',
    local: port.bound,
    remote: { ip: '192.0.2.1', port: 4000 },
    rtcpMux: false,
    packetTime: 20,
    formats: [
      { format: PCMA, receivePayloadType: 8, sendPayloadType: 8 },
      { format: DTMF, receivePayloadType: 101, sendPayloadType: 96 },
    ],
    ...more,
  };
}

export function counted(more: Partial<StreamCounters> = {}): StreamCounters {
  return {
    ...noCounters('s', 64, 'c1'),
    packetsIn: 10,
    bytesIn: 1600,
    packetsOut: 9,
    bytesOut: 1440,
    framesToTunnel: 10,
    framesFromTunnel: 9,
    lostIn: 1,
    jitterInMs: 2,
    mosIn: 4.2,
    refused: REFUSALS.map((_, i) => i),
    ...more,
  };
}
