/** Numbers that formats of an H.323 leg have with the other gateway, while channels outlive what they were opened for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LegStream } from '../call/leg.ts';
import type { H323Capability } from '../h323/media-contract.ts';
import type { Format, FormatName, Stream } from '../meta/message.ts';
import { H245Negotiation } from './h245-negotiation.ts';
import { H323Leg, type H323LegOutput } from './h323-leg.ts';
import { setupFromH323 } from './h323-to-meta.ts';

const CALL = 7;
const LOCAL = { ip: '192.0.2.1', port: 20_000 };
const FAR = { rtp: { ip: '203.0.113.5', port: 4000 }, rtcp: { ip: '203.0.113.5', port: 4001 } };
const PARTY = { number: '100', numberType: 'unknown', presentation: 'allowed', verified: false } as const;

const capability = (codec: 'PCMU' | 'PCMA' | 'G729'): H323Capability => ({
  kind: 'audio',
  codec,
  packetTime: 20,
  silenceSuppression: false,
});

/** A call of the far end's with PCMU by FastStart, both ways or towards us; the far end can receive PCMU, PCMA and G.729. */
function established(both = true): H323Leg {
  const leg = new H323Leg({
    call: CALL,
    role: 'caller',
    negotiation: new H245Negotiation({
      side: 'originator',
      ports: { allocate: () => ({ bound: LOCAL, advertised: LOCAL }) },
      codecs: ['PCMU', 'PCMA', 'G729', 'telephone-event'],
      acceptMediaAddress: () => true,
    }),
    peer: { name: 'pbx', fastStart: true, earlyH245: false, trusted: false },
  });
  const pcmu = capability('PCMU');
  const setup = setupFromH323(leg, {
    kind: 'incoming',
    call: CALL,
    peer: 'pbx',
    caller: PARTY,
    callee: PARTY,
    hops: 10,
    fastStart: [
      {
        kind: 'audio',
        send: both ? [{ capability: pcmu, remote: FAR }] : [],
        receive: [{ capability: pcmu }],
      },
    ],
    remote: { ip: '203.0.113.5', port: 40_000 },
  });
  assert.ok(setup.kind === 'setup' && setup.media?.kind === 'offer');
  const { by, number } = setup.media;
  const streams = setup.media.streams.map(
    (s): Stream => ({ ...s, direction: both ? 'sendrecv' : 'recvonly' }),
  );
  leg.command({ kind: 'connect', branch: 0, media: { kind: 'answer', by, number, branch: 0, streams } }, 0);
  const media = [pcmu, capability('PCMA'), capability('G729')];
  const userInput = { alphanumeric: true, signal: true };
  leg.h323({ kind: 'capabilities', call: CALL, capabilities: { media, userInput }, master: true }, 1);
  const opened = drained(leg).some((o) => o.kind === 'h323' && o.command.kind === 'open-channel');
  assert.equal(opened, !both);
  return leg;
}

function drained(leg: H323Leg): H323LegOutput[] {
  const outputs: H323LegOutput[] = [];
  for (let one = leg.poll(); one !== undefined; one = leg.poll()) outputs.push(one);
  return outputs;
}

/** The other gateway's offer with these formats, numbered in this order; taken by the leg. */
function changed(leg: H323Leg, ...names: FormatName[]): H323LegOutput[] {
  const formats = names.map(
    (name, id): Format => ({ id, name, clockRate: 8000, channels: 1, parameters: [] }),
  );
  const stream: Stream = { index: 0, kind: 'audio', refused: false, direction: 'sendrecv', formats };
  const offer = { kind: 'offer', by: 'terminator', number: 1, branch: 0, streams: [stream] } as const;
  leg.command({ kind: 'modify', media: offer }, 10);
  const outputs = drained(leg);
  assert.ok(outputs.some((o) => o.kind === 'event' && o.event.kind === 'modify-accept'));
  return outputs;
}

function numbers(leg: H323Leg): string[] {
  const [stream] = leg.streams() as readonly [LegStream];
  const ids = stream.formats.map(({ format }) => format.id);
  assert.equal(new Set(ids).size, ids.length, 'a number names one format');
  return stream.formats.map(({ format }) => `${format.id} ${format.name}`);
}

test('an offer that numbers the formats anew: the channels that stay have the new number (RFC 3264 8.3.2)', () => {
  const leg = established();
  assert.deepEqual(numbers(leg), ['0 PCMU', '1 telephone-event']);
  const said = changed(leg, 'telephone-event', 'PCMU');
  assert.ok(!said.some((o) => o.kind === 'h323' && o.command.kind === 'close-channel'));
  assert.deepEqual(numbers(leg), ['1 PCMU', '0 telephone-event']);
});

for (const names of [
  ['telephone-event', 'PCMA'],
  ['PCMA', 'telephone-event'],
  ['G729', 'PCMA', 'telephone-event'],
] as const) {
  test(`channels of a codec that is not agreed on any more have no number of ${names.join(', ')} while they close`, () => {
    const leg = established();
    const said = changed(leg, ...names);
    const closed = said.flatMap((o) =>
      o.kind === 'h323' && o.command.kind === 'close-channel' ? o.command.direction : [],
    );
    assert.deepEqual(closed, ['send', 'receive']);
    const old = numbers(leg).find((n) => n.endsWith('PCMU'));
    assert.ok(old !== undefined && Number.parseInt(old, 10) >= names.length, old);
  });
}

test('a change of codec while our channel is being opened: that one is closed and another is opened, the call goes on', () => {
  const leg = established(false);
  const said = changed(leg, 'PCMA').flatMap((o) => (o.kind === 'h323' ? [o.command] : []));
  const close = said.findIndex((c) => c.kind === 'close-channel' && c.direction === 'send');
  const open = said.findIndex((c) => c.kind === 'open-channel' && c.capability.codec === 'PCMA');
  assert.ok(close >= 0 && open > close, said.map((c) => c.kind).join(' '));
  const channel = { kind: 'audio', direction: 'send', capability: capability('PCMA'), remote: FAR } as const;
  leg.h323({ kind: 'channel-opened', call: CALL, channel }, 20);
  leg.h323({ kind: 'channel-closed', call: CALL, media: 'audio', direction: 'receive' }, 30);
  assert.equal(leg.ended, false);
  assert.deepEqual(numbers(leg), ['0 PCMA']);
});
