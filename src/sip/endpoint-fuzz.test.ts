/** Damaged messages at every stage of a call: the endpoint never throws, and what it holds still drains to nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { latin1Bytes, latin1Text } from '../bytes/text.ts';
import { IDLE, sdp } from './test-network.test.ts';
import { PEER, request, respond, stage, toTag } from './test-peer.test.ts';

const RICH = [
  'Record-Route: "r\\"x" <sip:192.0.2.9;lr;p=%41>, <sip:198.51.100.7:5070;lr>',
  'Supported: timer, 100rel',
  'Session-Expires: 1800;refresher=uas',
  'Allow: INVITE, ACK, BYE, UPDATE',
  'P-Asserted-Identity: "A B" <sip:1@x>',
  'Reason: Q.850;cause=16;text="x"',
  'Refer-To: <sip:400@192.0.2.1?Replaces=abc%3Bto-tag%3D1>',
];
const METHODS = [
  'INVITE',
  'ACK',
  'BYE',
  'CANCEL',
  'INFO',
  'UPDATE',
  'REFER',
  'PRACK',
  'OPTIONS',
  'NOTIFY',
  'REGISTER',
];
/** What hurts parsers: line ends, NUL, quotes, brackets, separators, high octets. */
const NASTY = '\r\n\0"<>;,:=@%\\ \t\xff[]?&()';

interface Damage {
  readonly at: number;
  readonly remove: number;
  readonly insert: string;
}

const damage: fc.Arbitrary<Damage> = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  remove: fc.integer({ min: 0, max: 4 }),
  insert: fc.oneof(
    fc.constant(''),
    fc.integer({ min: 0, max: NASTY.length - 1 }).map((i) => NASTY[i]!),
    fc.uint8Array({ maxLength: 6 }).map((bytes) => latin1Text(bytes)),
  ),
});

function apply(text: string, wounds: readonly Damage[]): string {
  let out = text;
  for (const { at, remove, insert } of wounds) {
    const i = Math.floor(at * out.length);
    out = out.slice(0, i) + insert + out.slice(i + remove);
  }
  return out;
}

test('no damaged request or response makes the endpoint throw or keep anything', () => {
  const step = fc.record({ method: fc.constantFrom(...METHODS), wounds: fc.array(damage, { maxLength: 4 }) });
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 1, maxLength: 6, size: 'max' }),
      fc.array(damage, { maxLength: 3 }),
      (steps, wounds) => {
        const { net, gw, raw } = stage();
        gw.on = (event): void => {
          if (event.kind === 'incoming') {
            gw.command({ kind: 'provisional', session: event.session, status: 183, body: sdp('early') });
            gw.command({ kind: 'accept', session: event.session, body: sdp('answer') });
          } else if (event.kind === 'modify')
            gw.command({ kind: 'modify-accept', session: event.session, body: sdp('x') });
        };
        const call = { callId: 'c1', from: 'f1' };
        net.send(raw, gw, apply(request('INVITE', { ...call, headers: RICH, body: 'offer' }), wounds));
        net.run(10);
        const to = toTag(raw.received.at(-1)?.text ?? '');
        raw.on = (text): void => {
          if (text.startsWith('SIP/')) return;
          net.send(raw, gw, apply(respond(text, 200, 't', RICH, 'body'), wounds));
        };
        steps.forEach(({ method, wounds: more }, i) => {
          net.send(
            raw,
            gw,
            apply(
              request(method, { ...call, to, cseq: `${i + 1} ${method}`, headers: RICH, body: 'b' }),
              more,
            ),
          );
          net.run(20);
        });
        for (const { session } of gw.seen('incoming')) gw.command({ kind: 'end', session });
        net.run();
        assert.equal(gw.seen('ended').length, gw.seen('incoming').length);
        assert.deepEqual(gw.endpoint.sizes, IDLE);
      },
    ),
    { numRuns: 300 },
  );
});

test('no stream of octets makes the endpoint throw, and every connection ends', () => {
  fc.assert(
    fc.property(fc.array(damage, { maxLength: 6 }), fc.integer({ min: 1, max: 400 }), (wounds, cut) => {
      const { net, gw } = stage({ transports: ['tcp'] });
      const remote = { ip: PEER, port: 1234 };
      gw.input({
        kind: 'stream-open',
        connection: 1,
        listener: 'tcp',
        transport: 'tcp',
        local: { ip: gw.ip, port: 5060 },
        remote,
        certificateNames: [],
      });
      const one = request('INVITE', { headers: RICH, body: 'offer' });
      const bytes = latin1Bytes(apply(`${one}\r\n\r\n${one.replace('1 INVITE', '2 INVITE')}`, wounds));
      for (let i = 0; i < bytes.length; i += cut) {
        gw.input({ kind: 'stream-data', connection: 1, bytes: bytes.subarray(i, i + cut) });
      }
      net.run();
      assert.deepEqual(gw.endpoint.sizes, IDLE);
    }),
    { numRuns: 200 },
  );
});
