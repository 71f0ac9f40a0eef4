import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { H323Capability } from '../h323/media-contract.ts';
import { H245Negotiation } from './h245-negotiation.ts';
import { H323Leg, type H323LegOutput } from './h323-leg.ts';
import { setupFromH323 } from './h323-to-meta.ts';

const LOCAL = { ip: '192.0.2.1', port: 20_000 };
const FAR = { rtp: { ip: '203.0.113.5', port: 4000 }, rtcp: { ip: '203.0.113.5', port: 4001 } };
const PCMU: H323Capability = { kind: 'audio', codec: 'PCMU', packetTime: 20, silenceSuppression: false };
const PARTY = { number: '100', numberType: 'unknown', presentation: 'allowed', verified: false } as const;
const ANSWERS = [{ kind: 'alerting' }, { kind: 'progress' }, { kind: 'connect' }] as const;

/** A caller that proposed FastStart, whose call is answered with `kind`; what the leg says then. */
function answered(kind: (typeof ANSWERS)[number]['kind']): { leg: H323Leg; outputs: H323LegOutput[] } {
  const leg = new H323Leg({
    call: 7,
    role: 'caller',
    negotiation: new H245Negotiation({
      side: 'originator',
      ports: { allocate: () => ({ bound: LOCAL, advertised: LOCAL }) },
      codecs: ['PCMU', 'telephone-event'],
      acceptMediaAddress: () => true,
    }),
    peer: { name: 'pbx', fastStart: true, earlyH245: false, trusted: false },
  });
  const setup = setupFromH323(leg, {
    kind: 'incoming',
    call: 7,
    peer: 'pbx',
    caller: PARTY,
    callee: PARTY,
    hops: 10,
    fastStart: [
      { kind: 'audio', send: [{ capability: PCMU, remote: FAR }], receive: [{ capability: PCMU }] },
    ],
    remote: { ip: '203.0.113.5', port: 40_000 },
  });
  assert.ok(setup.kind === 'setup' && setup.media?.kind === 'offer');
  const { by, number, streams } = setup.media;
  leg.command({ kind, branch: 0, media: { kind: 'answer', by, number, branch: 0, streams } }, 0);
  return { leg, outputs: outputsOf(leg) };
}

function outputsOf(leg: H323Leg): H323LegOutput[] {
  const outputs: H323LegOutput[] = [];
  for (let one = leg.poll(); one !== undefined; one = leg.poll()) outputs.push(one);
  return outputs;
}

for (const { kind } of ANSWERS) {
  test(`H.323 8.1.7: the FastStart answer in ${kind} goes before our capabilities, or the caller opens channels again`, () => {
    const sent = answered(kind).outputs.flatMap((o) => (o.kind === 'h323' ? [o.command] : []));
    const kinds = sent.map((command) => command.kind);
    assert.ok(kinds.includes('capabilities'), kinds.join(' '));
    assert.ok(kinds.indexOf(kind) < kinds.indexOf('capabilities'), kinds.join(' '));
    const answer = sent.find((command) => command.kind === kind);
    assert.ok(answer !== undefined && 'fastStart' in answer);
  });
}

for (const [alphanumeric, rfc4733] of [
  [true, false],
  [false, true],
] as const) {
  test(`a far end with a payload type for events ${alphanumeric ? 'and H.245 user input gets user input' : 'only gets RFC 4733'}`, () => {
    const { leg } = answered('connect');
    leg.h323(
      {
        kind: 'capabilities',
        call: 7,
        capabilities: { media: [PCMU], userInput: { alphanumeric, signal: false, rfc4733PayloadType: 101 } },
        master: false,
      },
      1,
    );
    outputsOf(leg);
    leg.command({ kind: 'user-input', digit: '5', durationMs: 100 }, 2);
    assert.deepEqual(
      outputsOf(leg).map((o) => (o.kind === 'h323' ? o.command.kind : o.kind)),
      [rfc4733 ? 'digit' : 'user-input'],
    );
    const events = leg.streams()[0]?.formats.find((f) => f.format.name === 'telephone-event');
    assert.equal(events?.sendPayloadType, rfc4733 ? 101 : -1);
  });
}
