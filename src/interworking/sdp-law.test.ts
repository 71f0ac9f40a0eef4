import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { latin1Bytes, latin1Text } from '../bytes/text.ts';
import { mediaProblem } from '../meta/media-rules.ts';
import { FORMAT_NAMES, type MediaExchange, PARAMETER_NAMES, type Stream } from '../meta/message.ts';
import { parseSdp } from '../sdp/parse.ts';
import { SdpNegotiation } from './sdp-negotiation.ts';

const direction = fc.constantFrom('sendrecv', 'sendonly', 'recvonly', 'inactive');
const address = fc.constantFrom(
  '192.0.2.1',
  '192.0.2.2',
  '0.0.0.0',
  '127.0.0.1',
  '10.0.0.1',
  '2001:db8::1',
  '::',
  'host',
  '224.0.0.1',
);

/** A stream as anybody might describe it. */
const media = fc
  .record({
    type: fc.constantFrom('audio', 'audio', 'audio', 'video', 'image', 'application'),
    port: fc.constantFrom(0, 53, 4000, 4002, 65_535),
    protocol: fc.constantFrom('RTP/AVP', 'RTP/AVP', 'RTP/AVPF', 'RTP/SAVP', 'udptl'),
    formats: fc.array(
      fc.constantFrom('0', '8', '18', '96', '97', '101', '111', '127', '72', '200', 't38', '*'),
      { minLength: 1, maxLength: 5 },
    ),
    lines: fc.array(
      fc.constantFrom(
        'a=rtpmap:96 opus/48000/2',
        'a=rtpmap:97 opus/48000/2',
        'a=rtpmap:96 H264/90000',
        'a=rtpmap:101 telephone-event/8000',
        'a=rtpmap:111 telephone-event/8000',
        'a=rtpmap:0 PCMA/8000',
        'a=rtpmap:127 AMR/8000',
        'a=fmtp:127 octet-align=1; mode-set=0,2',
        'a=fmtp:18 annexb=no',
        'a=fmtp:101 0-15,300',
        'a=ptime:1',
        'a=ptime:500',
        'a=rtcp:70',
        'a=rtcp:9000 IN IP4 192.0.2.9',
        'a=rtcp-mux',
        'a=T38FaxVersion:3',
        'a=secret:canary',
      ),
      { maxLength: 5 },
    ),
    direction,
    own: fc.option(address, { nil: undefined }),
  })
  .map((m) => [
    `m=${m.type} ${m.port} ${m.protocol} ${m.formats.join(' ')}`,
    ...(m.own === undefined ? [] : [`c=IN IP${m.own.includes(':') ? 6 : 4} ${m.own}`]),
    ...m.lines,
    `a=${m.direction}`,
  ]);
const sdp = fc
  .tuple(address, fc.array(media, { maxLength: 10 }), fc.integer({ min: 0, max: 30 }))
  .map(([ip, streams, cut]) => {
    const c = `c=IN IP${ip.includes(':') ? 6 : 4} ${ip}`;
    const lines = ['v=0', 'o=canary 1 1 IN IP4 192.0.2.77', 's=canary', c, 't=0 0', ...streams.flat()];
    if (cut === 0) lines.splice(lines.length >> 1, 1, 'canary');
    return latin1Bytes(lines.map((l) => `${l}\r\n`).join(''));
  });

/** What a gateway in an attacker's hands may say: right types, anything in them. */
const stream = fc.record({
  index: fc.integer({ min: 0, max: 7 }),
  kind: fc.constantFrom('audio', 'video', 'image'),
  refused: fc.boolean(),
  direction,
  packetTime: fc.constantFrom(20, 5, 200),
  formats: fc.array(
    fc.record({
      id: fc.integer({ min: 0, max: 31 }),
      name: fc.constantFrom(...FORMAT_NAMES),
      clockRate: fc.constantFrom(0, 8000, 48_000, 90_000),
      channels: fc.constantFrom(1, 2),
      parameters: fc.array(
        fc.record({
          name: fc.constantFrom(...PARAMETER_NAMES),
          value: fc.constantFrom('0', '1', 'no', '20', '0-15', 'x;canary=1', '\r\na=canary', '42e01f', ''),
        }),
        { maxLength: 3 },
      ),
    }),
    { maxLength: 8 },
  ),
}) as fc.Arbitrary<Stream>;
const streams = fc
  .uniqueArray(stream, { maxLength: 8, selector: (s) => s.index })
  .map((list) => list.sort((a, b) => a.index - b.index)); // decoding sees to that

type Op =
  | { readonly op: 'receiveOffer' | 'receiveAnswer'; readonly body: Uint8Array; readonly branch: number }
  | { readonly op: 'sendOffer'; readonly streams: readonly Stream[] }
  | {
      readonly op: 'sendAnswer';
      readonly streams: readonly Stream[];
      readonly number: number;
      readonly refuse: boolean;
      readonly echo: boolean;
    }
  | { readonly op: 'rejectPending' | 'repeatLocal' | 'offerAgain' };
const op: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constantFrom('receiveOffer' as const, 'receiveAnswer' as const),
      body: sdp,
      branch: fc.integer({ min: 0, max: 3 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('sendOffer' as const), streams }) },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('sendAnswer' as const),
      streams,
      number: fc.integer({ min: 1, max: 5 }),
      refuse: fc.boolean(),
      echo: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constantFrom('rejectPending' as const, 'repeatLocal' as const, 'offerAgain' as const),
    }),
  },
);

test('law: whatever either side says in whatever order, nothing throws and nothing foreign or unsound comes out', () => {
  let sent = 0;
  let crossed = 0;
  fc.assert(
    fc.property(fc.array(op, { maxLength: 12 }), (ops) => {
      const n = new SdpNegotiation({
        side: 'originator',
        sessionId: 1,
        codecs: ['PCMA', 'PCMU', 'OPUS', 'AMR', 'G729', 'H264', 'T38', 'RED'],
        acceptMediaAddress: (ip) => !ip.startsWith('10.'),
        ports: {
          allocate: (index, _kind, family) =>
            index > 5
              ? undefined
              : {
                  bound: { ip: '198.51.100.1', port: 20_000 + 2 * index },
                  advertised: {
                    ip: family === 6 ? '2001:db8:1::1' : '198.51.100.1',
                    port: 20_000 + 2 * index,
                  },
                },
        },
      });
      let offer: MediaExchange | undefined;
      let version = 0;
      const out = (bytes: Uint8Array | undefined): void => {
        if (bytes === undefined) return;
        sent++;
        const text = latin1Text(bytes);
        assert.ok(!/canary|192\.0\.2\./.test(text), text);
        const parsed = parseSdp(bytes);
        assert.ok(parsed.ok, `${JSON.stringify(parsed)}\n${text}`);
        assert.ok(Number(parsed.value.origin.version) >= version);
        version = Number(parsed.value.origin.version);
        for (const m of parsed.value.media) {
          assert.equal(new Set(m.formats).size, m.formats.length);
          assert.ok(m.port === 0 || m.port >= 20_000);
        }
      };
      for (const o of ops) {
        switch (o.op) {
          case 'receiveOffer': {
            const got = n.receiveOffer(o.body, o.branch);
            if (!got.ok || got.value.kind === 'refresh') break;
            offer = got.value;
            crossed++;
            assert.equal(mediaProblem(got.value), undefined);
            break;
          }
          case 'receiveAnswer': {
            const got = n.receiveAnswer(o.body, o.branch);
            if (!got.ok || got.value === undefined) break;
            crossed++;
            assert.equal(mediaProblem({ ...got.value, number: 1 }), undefined, JSON.stringify(got.value));
            break;
          }
          case 'sendOffer': {
            const got = n.sendOffer({
              kind: 'offer',
              by: 'terminator',
              number: 1,
              branch: 0,
              streams: o.streams,
            });
            if (got.ok) out(got.value);
            break;
          }
          case 'sendAnswer': {
            const echo = o.echo && offer?.kind === 'offer' ? offer : undefined;
            const { number, streams } = echo ?? o;
            const got = n.sendAnswer(
              o.refuse && echo === undefined
                ? { kind: 'refuse', by: 'originator', number, branch: 0, cause: 88 }
                : { kind: 'answer', by: 'originator', number, branch: 0, streams },
            );
            if (got.ok) out(got.value);
            break;
          }
          case 'rejectPending':
            n.rejectPending();
            break;
          default:
            out(n[o.op]());
        }
        for (const s of n.streams()) {
          assert.ok(s.remote === undefined || /^(192\.0\.2\.|2001:db8::1)/.test(s.remote.ip), s.remote?.ip);
          assert.equal(new Set(s.formats.map((f) => f.receivePayloadType)).size, s.formats.length);
          assert.equal(new Set(s.formats.map((f) => f.format.id)).size, s.formats.length);
          assert.ok(!s.active || (s.local !== undefined && s.formats.length > 0));
        }
      }
    }),
    { numRuns: 1500 },
  );
  assert.ok(sent > 150 && crossed > 60, `sent ${sent}, crossed ${crossed}`);
});
