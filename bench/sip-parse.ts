/**
 * How fast one INVITE of 1.6 kB is read, and the INVITE of the other leg built, against a plain parser that does the same
 * (oracle/naive-sip.ts) in the same run. Rounds of both alternate and the best of each counts, so that other load on the machine
 * hits both. `node dist/bench/sip-parse.js [--json]`.
 */
import assert from 'node:assert/strict';
import { formatNameAddress } from '../src/sip/header/name-address.ts';
import { formatVia } from '../src/sip/header/via.ts';
import type { SipRequest } from '../src/sip/message.ts';
import { parseDatagram } from '../src/sip/parse.ts';
import { serializeRequest } from '../src/sip/serialize.ts';
import { sipUri } from '../src/sip/uri.ts';
import { naiveParse } from './oracle/naive-sip.ts';

const SDP = `v=0
o=- 3724394400 3724394405 IN IP4 203.0.113.20
s=call
c=IN IP4 203.0.113.20
t=0 0
m=audio 23740 RTP/AVP 8 0 9 18 101 13
a=rtpmap:8 PCMA/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:9 G722/8000
a=rtpmap:18 G729/8000
a=fmtp:18 annexb=no
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=rtcp:23741 IN IP4 203.0.113.20
a=sendrecv
a=ptime:20
`.replaceAll('\n', '\r\n');

const INVITE = new TextEncoder().encode(
  `${[
    'INVITE sip:+81355550142@gw.example.net:5060;user=phone SIP/2.0',
    'Via: SIP/2.0/UDP 203.0.113.9:5060;branch=z9hG4bK+8a2d7c4f1e0b9a63+1+a7f2c9d4;rport',
    'Via: SIP/2.0/UDP 203.0.113.20:5062;branch=z9hG4bKnashds8a7f;received=203.0.113.20;rport=5062',
    'Record-Route: <sip:203.0.113.9;lr;ftag=as58f4201b;did=a41.8c91>',
    'Max-Forwards: 68',
    'From: "Ayako Tanaka" <sip:+442079460958@carrier.example.org;user=phone>;tag=as58f4201b-7c21',
    'To: <sip:+81355550142@gw.example.net;user=phone>',
    'Call-ID: 6f1c2a5be0d34c7a8f90b1e2d3c4a5f6@203.0.113.20',
    'CSeq: 102 INVITE',
    'Contact: <sip:+442079460958@203.0.113.20:5062;transport=udp>',
    'P-Asserted-Identity: "Ayako Tanaka" <sip:+442079460958@carrier.example.org>',
    'Diversion: <sip:+442079460900@carrier.example.org>;reason=no-answer;counter=1',
    'Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, SUBSCRIBE, NOTIFY, INFO, PUBLISH, MESSAGE',
    'Supported: replaces, timer, 100rel, path',
    'Session-Expires: 1800;refresher=uac',
    'Min-SE: 90',
    'User-Agent: Carrier SBC 7.4.1',
    'X-Carrier-Trace: 5f3b1f0a-77c2-4f0e-9d2b-6a5b8c9d0e1f',
    'Date: Sun, 22 Nov 2026 08:00:00 GMT',
    'Content-Type: application/sdp',
    `Content-Length: ${SDP.length}`,
  ].join('\r\n')}\r\n\r\n${SDP}`,
);

function parse(): SipRequest {
  const parsed = parseDatagram(INVITE);
  if (!parsed.ok || parsed.value.kind !== 'request') throw new Error('the message of this bench must parse');
  return parsed.value;
}

const REQUEST = parse();
const OUR_URI = sipUri('', '192.0.2.1', 5060);

/** The other leg's INVITE out of typed fields, as the endpoint builds it. */
function build(): Uint8Array {
  const via = {
    transport: 'UDP',
    host: '192.0.2.1',
    port: 5060,
    branch: 'z9hG4bK5e8a1c',
    rport: 0,
    parameters: new Map(),
  };
  const { from } = REQUEST;
  return serializeRequest({
    method: 'INVITE',
    uri: sipUri(REQUEST.uri.user, 'pbx.example.com'),
    headers: [
      ['Via', formatVia(via)],
      ['Max-Forwards', String(REQUEST.maxForwards - 1)],
      [
        'From',
        formatNameAddress({
          displayName: from.displayName,
          uri: sipUri(from.uri.user, '192.0.2.1'),
          parameters: new Map([['tag', '7f3a']]),
        }),
      ],
      ['To', formatNameAddress({ uri: sipUri(REQUEST.uri.user, 'pbx.example.com') })],
      ['Call-ID', 'c0ffee0123456789@192.0.2.1'],
      ['CSeq', '1 INVITE'],
      ['Contact', formatNameAddress({ uri: OUR_URI })],
      ['Allow', 'INVITE, ACK, CANCEL, OPTIONS, BYE, UPDATE, PRACK, INFO, REFER, NOTIFY'],
      ['Supported', '100rel, timer'],
      ['Content-Type', 'application/sdp'],
    ],
    body: REQUEST.body,
  });
}

/** The naive parser is also the oracle: both must read the same from this message. */
function agree(): void {
  const naive = naiveParse(INVITE);
  assert.equal(naive.method, REQUEST.method);
  assert.equal(naive.uri.user, REQUEST.uri.user);
  assert.deepEqual(
    naive.vias.map((via) => via.parameters['branch']),
    REQUEST.vias.map((via) => via.branch),
  );
  assert.deepEqual(
    [naive.from.displayName, naive.from.user, naive.from.host, naive.from.parameters['tag']],
    [REQUEST.from.displayName, REQUEST.from.uri.user, REQUEST.from.uri.host, REQUEST.fromTag],
  );
  assert.deepEqual(naive.cseq, REQUEST.cseq);
  assert.equal(naive.body, new TextDecoder().decode(REQUEST.body));
}

/** Runs per second in the best of the rounds. */
function measure(work: readonly (() => unknown)[]): number[] {
  const best = work.map(() => 0);
  const perRound = 200; // short, so that some rounds have the processor to themselves
  for (let round = 0; round < 400; round++) {
    for (const [index, run] of work.entries()) {
      const start = process.hrtime.bigint();
      for (let i = 0; i < perRound; i++) run();
      const rate = perRound / (Number(process.hrtime.bigint() - start) / 1e9);
      best[index] = Math.max(best[index]!, rate);
    }
  }
  return best.map(Math.round);
}

agree();
const [parses, naive, builds] = measure([parse, () => naiveParse(INVITE), build]);
const result = {
  bench: 'sip-parse',
  messageBytes: INVITE.length,
  parsesPerSecond: parses!,
  naivePerSecond: naive!,
  buildsPerSecond: builds!,
  ratio: Number((parses! / naive!).toFixed(2)),
};
const row = (name: string, rate: number): string =>
  `${name.padEnd(34)}${String(rate).padStart(10)} /s ${(1e6 / rate).toFixed(2).padStart(8)} µs`;
console.log(row(`parse an INVITE of ${INVITE.length} octets`, parses!));
console.log(row('the same, plain parser', naive!));
console.log(row("build the other leg's INVITE", builds!));
console.log(`ratio ${result.ratio}`);
if (process.argv.includes('--json')) console.log(JSON.stringify(result));
