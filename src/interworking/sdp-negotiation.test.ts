import assert from 'node:assert/strict';
import { test } from 'node:test';
import { latin1Bytes, latin1Text } from '../bytes/text.ts';
import type { LegPorts, LegStream } from '../call/leg.ts';
import type { Result } from '../machine/machine.ts';
import { answerProblem, mediaProblem } from '../meta/media-rules.ts';
import type { FormatName, MediaExchange, MediaOffer, Stream } from '../meta/message.ts';
import type { SessionDescription } from '../sdp/description.ts';
import { parseSdp } from '../sdp/parse.ts';
import { type NegotiationProblem, SdpNegotiation, type SdpNegotiationOptions } from './sdp-negotiation.ts';

const CODECS: readonly FormatName[] = ['OPUS', 'G722', 'PCMA', 'PCMU', 'G729', 'H264', 'T38'];

function ports(ip = '198.51.100.1', bound = '10.0.0.1', first = 20_000): LegPorts {
  return {
    allocate: (index, _kind, family) => ({
      bound: { ip: bound, port: first + 2 * index },
      advertised: { ip: family === 6 ? '2001:db8:ffff::1' : ip, port: first + 2 * index },
    }),
  };
}

function leg(options: Partial<SdpNegotiationOptions> = {}): SdpNegotiation {
  return new SdpNegotiation({
    side: 'originator',
    ports: ports(),
    sessionId: 4711,
    codecs: CODECS,
    acceptMediaAddress: (ip) => !ip.startsWith('10.'),
    ...options,
  });
}

const body = (...lines: string[]): Uint8Array => latin1Bytes(lines.map((l) => `${l}\r\n`).join(''));
const head = (version = 1, ip = '192.0.2.1'): string[] => [
  'v=0',
  `o=secret-user 7 ${version} IN IP4 ${ip}`,
  's=secret name',
  `c=IN IP4 ${ip}`,
  't=0 0',
];
const AUDIO = [
  'm=audio 4000 RTP/AVP 111 0 8 101',
  'a=rtpmap:111 opus/48000/2',
  'a=fmtp:111 useinbandfec=1;x-secret=1',
  'a=rtpmap:101 telephone-event/8000',
  'a=fmtp:101 0-16',
  'a=ptime:20',
];

function value<T>(result: Result<T, NegotiationProblem>): T {
  assert.ok(result.ok, JSON.stringify(result));
  return result.value;
}

function problemOf(result: Result<unknown, NegotiationProblem>): string {
  assert.ok(!result.ok, JSON.stringify(result));
  return `${result.error.status} ${result.error.reason}`;
}

function offerOf(n: SdpNegotiation, sdp: Uint8Array): MediaOffer {
  const offer = value(n.receiveOffer(sdp, 0));
  assert.equal(offer.kind, 'offer');
  if (offer.kind !== 'offer') throw new Error('unreachable');
  assert.equal(mediaProblem(offer), undefined);
  return offer;
}

function sdpOf(bytes: Uint8Array | undefined): SessionDescription {
  assert.ok(bytes);
  const result = parseSdp(bytes);
  assert.ok(result.ok, JSON.stringify(result));
  return result.value;
}

/** Everything taken as offered; `change` edits the streams. */
function answerTo(offer: MediaExchange, change: (s: Stream) => Stream = (s) => s): MediaExchange {
  assert.equal(offer.kind, 'offer');
  if (offer.kind !== 'offer') throw new Error('unreachable');
  const turned = {
    sendrecv: 'sendrecv',
    sendonly: 'recvonly',
    recvonly: 'sendonly',
    inactive: 'inactive',
  } as const;
  const streams = offer.streams.map((s) => change({ ...s, direction: turned[s.direction] }));
  return { kind: 'answer', by: offer.by, number: offer.number, branch: 0, streams };
}

const only =
  (...names: FormatName[]) =>
  (s: Stream): Stream => ({
    ...s,
    formats: s.formats.filter((f) => names.includes(f.name)),
  });

function neutralOffer(number: number, ...streams: Partial<Stream>[]): MediaExchange {
  const formats = [
    { id: 4, name: 'PCMU', clockRate: 8000, channels: 1, parameters: [] },
    { id: 9, name: 'OPUS', clockRate: 48_000, channels: 2, parameters: [{ name: 'stereo', value: '0' }] },
    { id: 2, name: 'PCMA', clockRate: 8000, channels: 1, parameters: [] },
    { id: 30, name: 'telephone-event', clockRate: 8000, channels: 1, parameters: [] },
  ] as const;
  return {
    kind: 'offer',
    by: 'terminator',
    number,
    branch: 0,
    streams: streams.map((s, index) => ({
      index,
      kind: 'audio',
      refused: false,
      direction: 'sendrecv',
      formats,
      ...s,
    })),
  };
}

const payloadTypes = (s: LegStream): string[] =>
  s.formats.map((f) => `${f.format.name} in ${f.receivePayloadType} out ${f.sendPayloadType}`);

test('an offer crosses as formats without payload types, addresses, o= or s=', () => {
  const offer = offerOf(leg(), body(...head(), ...AUDIO));
  assert.deepEqual(offer, {
    kind: 'offer',
    by: 'originator',
    number: 1,
    branch: 0,
    streams: [
      {
        index: 0,
        kind: 'audio',
        refused: false,
        direction: 'sendrecv',
        packetTime: 20,
        formats: [
          {
            id: 0,
            name: 'OPUS',
            clockRate: 48_000,
            channels: 2,
            parameters: [{ name: 'useinbandfec', value: '1' }],
          },
          { id: 1, name: 'PCMU', clockRate: 8000, channels: 1, parameters: [] },
          { id: 2, name: 'PCMA', clockRate: 8000, channels: 1, parameters: [] },
          {
            id: 3,
            name: 'telephone-event',
            clockRate: 8000,
            channels: 1,
            parameters: [{ name: 'events', value: '0-16' }],
          },
        ],
      },
    ],
  });
  const text = JSON.stringify(offer);
  for (const secret of ['secret', '192.0.2.1', '4000', '111']) assert.ok(!text.includes(secret), secret);
});

test('RFC 3264 6.1: the answer has the offerer’s payload types and only our own identity', () => {
  const n = leg();
  const offer = offerOf(n, body(...head(), ...AUDIO));
  assert.equal(n.state, 'offer-received');
  const bytes = value(n.sendAnswer(answerTo(offer, only('PCMA', 'OPUS', 'telephone-event'))))!;
  assert.equal(n.state, 'stable');
  assert.equal(
    latin1Text(bytes),
    [
      'v=0',
      'o=- 4711 1 IN IP4 198.51.100.1',
      's=-',
      'c=IN IP4 198.51.100.1',
      't=0 0',
      'm=audio 20000 RTP/AVP 111 8 101',
      'a=rtpmap:111 opus/48000/2',
      'a=rtpmap:8 PCMA/8000',
      'a=rtpmap:101 telephone-event/8000',
      'a=fmtp:111 useinbandfec=1',
      'a=fmtp:101 0-16',
      'a=ptime:20',
      'a=sendrecv',
      '',
    ].join('\r\n'),
  );
  assert.deepEqual(n.streams(), [
    {
      index: 0,
      kind: 'audio',
      active: true,
      direction: 'sendrecv',
      local: { ip: '10.0.0.1', port: 20_000 },
      remote: { ip: '192.0.2.1', port: 4000 },
      remoteRtcp: { ip: '192.0.2.1', port: 4001 },
      rtcpMux: false,
      packetTime: 20,
      formats: n.streams()[0]!.formats,
    },
  ]);
  assert.deepEqual(payloadTypes(n.streams()[0]!), [
    'OPUS in 111 out 111',
    'PCMA in 8 out 8',
    'telephone-event in 101 out 101',
  ]);
});

test('before the answer the first offer’s port is open already and nothing flows', () => {
  const n = leg();
  offerOf(n, body(...head(), ...AUDIO));
  const [stream] = n.streams();
  assert.equal(stream!.active, true);
  assert.equal(stream!.direction, 'inactive');
  assert.deepEqual(stream!.local, { ip: '10.0.0.1', port: 20_000 });
});

test('offers to our far end: static payload types, dynamic from 96, telephone-event on 101, our order of preference', () => {
  const n = leg();
  const sdp = sdpOf(value(n.sendOffer(neutralOffer(1, {}))));
  assert.deepEqual(sdp.media[0]!.formats, ['96', '8', '0', '101']);
  assert.equal(n.state, 'offer-sent');
  const [stream] = n.streams();
  assert.equal(stream!.direction, 'sendrecv', 'RFC 3264 5.1: ready to receive as soon as the offer is sent');
  assert.equal(stream!.remote, undefined);
  assert.deepEqual(payloadTypes(stream!)[0], 'OPUS in 96 out -1');
});

test('payload types may differ per direction; the answer crosses under the offer’s format ids', () => {
  const n = leg();
  const offer = neutralOffer(1, {});
  value(n.sendOffer(offer));
  const answer = value(
    n.receiveAnswer(
      body(
        ...head(),
        'm=audio 5000 RTP/AVP 120 126',
        'a=rtpmap:120 opus/48000/2',
        'a=rtpmap:126 telephone-event/8000',
      ),
      3,
    ),
  );
  assert.ok(answer?.kind === 'answer' && offer.kind === 'offer');
  assert.equal(answerProblem(offer.streams, answer.streams), undefined);
  assert.deepEqual([answer.by, answer.number, answer.branch], ['terminator', 1, 3]);
  assert.deepEqual(
    answer.streams[0]!.formats.map((f) => f.id),
    [9, 30],
  );
  assert.deepEqual(payloadTypes(n.streams()[0]!), ['OPUS in 96 out 120', 'telephone-event in 101 out 126']);
});

test('RFC 3264 8.3.2: a format keeps its payload type, a payload type its format, for the life of the leg', () => {
  const n = leg();
  value(n.sendOffer(neutralOffer(1, {})));
  value(n.receiveAnswer(body(...head(), 'm=audio 5000 RTP/AVP 96', 'a=rtpmap:96 opus/48000/2'), 0));
  // The far end now offers 96 for something else: it is sent to with 96 and asked to use another number.
  const again = offerOf(
    n,
    body(
      ...head(2),
      'm=audio 5000 RTP/AVP 96',
      'a=rtpmap:96 H264/90000',
      'm=audio 5002 RTP/AVP 96 8',
      'a=rtpmap:96 telephone-event/8000',
    ),
  );
  assert.equal(again.streams[0]!.refused, true, 'video format in audio');
  const video = leg();
  value(video.sendOffer(neutralOffer(1, {})));
  value(video.receiveAnswer(body(...head(), 'm=audio 5000 RTP/AVP 96', 'a=rtpmap:96 opus/48000/2'), 0));
  const changed = offerOf(
    video,
    body(...head(2), 'm=audio 5000 RTP/AVP 8 96', 'a=rtpmap:96 telephone-event/8000'),
  );
  const answer = sdpOf(value(video.sendAnswer(answerTo(changed))));
  assert.deepEqual(answer.media[0]!.formats, ['8', '101']);
  assert.deepEqual(payloadTypes(video.streams()[0]!), ['PCMA in 8 out 8', 'telephone-event in 101 out 96']);
  // Offered again to it, everything is where it was.
  const offer = sdpOf(value(video.sendOffer(neutralOffer(2, {}))));
  assert.deepEqual(offer.media[0]!.formats, ['96', '8', '0', '101']);
});

test('RFC 3264 6: what we cannot take is refused in place, with port 0; nothing left is 488', () => {
  const unusable: [string, string, string[]][] = [
    ['488 port-zero', '192.0.2.1', ['m=audio 0 RTP/AVP 0']],
    ['488 protocol', '192.0.2.1', ['m=audio 4000 RTP/SAVP 0']],
    ['488 protocol', '192.0.2.1', ['m=application 4000 TCP/BFCP *']],
    ['488 no-format', '192.0.2.1', ['m=audio 4000 RTP/AVP 3']],
    ['488 no-format', '192.0.2.1', ['m=audio 4000 RTP/AVP 101', 'a=rtpmap:101 telephone-event/8000']],
    ['488 no-format', '192.0.2.1', ['m=audio 4000 RTP/AVP 99', 'a=rtpmap:99 red/8000']],
    ['488 no-format', '192.0.2.1', ['m=audio 4000 RTP/AVP 72', 'a=rtpmap:72 PCMU/8000']],
    ['488 no-format', '192.0.2.1', ['m=audio 4000 RTP/AVP 0', 'a=rtpmap:0 PCMA/8000']],
    ['488 port-forbidden', '192.0.2.1', ['m=audio 53 RTP/AVP 0']],
    ['488 port-count', '192.0.2.1', ['m=audio 4000/2 RTP/AVP 0']],
    ['488 address-not-accepted', '10.9.9.9', ['m=audio 4000 RTP/AVP 0']],
    ['488 address-forbidden', '127.0.0.1', ['m=audio 4000 RTP/AVP 0']],
    ['488 address-forbidden', '169.254.169.254', ['m=audio 4000 RTP/AVP 0']],
    ['488 address-forbidden', '224.0.0.1', ['m=audio 4000 RTP/AVP 0']],
    ['488 address-forbidden', '255.255.255.255', ['m=audio 4000 RTP/AVP 0']],
    ['488 address-not-ip', 'host.example', ['m=audio 4000 RTP/AVP 0']],
    ['488 address-forbidden', '192.0.2.1', ['m=audio 4000 RTP/AVP 0', 'c=IN IP6 ::ffff:127.0.0.1']],
    ['488 no-media', '192.0.2.1', []],
    ['400 sdp-port', '192.0.2.1', ['m=audio 65536 RTP/AVP 0']],
  ];
  for (const [problem, ip, media] of unusable) {
    const n = leg();
    assert.equal(problemOf(n.receiveOffer(body(...head(1, ip), ...media), 0)), problem);
    assert.equal(n.state, 'stable');
    if (media.length === 0 || problem.startsWith('400')) continue;
    // The same beside a usable stream.
    const offer = offerOf(n, body(...head(1, ip), ...media, 'm=audio 4002 RTP/AVP 8', 'c=IN IP4 192.0.2.9'));
    const answer = sdpOf(value(n.sendAnswer(answerTo(offer))));
    assert.deepEqual(
      answer.media.map((m) => m.port),
      [0, 20_000],
      problem,
    );
    assert.equal(answer.media[0]!.type, media[0]!.slice(2).split(' ')[0]);
  }
});

test('a line that was never usable has no neutral index and does not cross', () => {
  const n = leg();
  const offer = offerOf(
    n,
    body(...head(), 'm=application 9 UDP/BFCP *', 'm=audio 4000 RTP/AVP 8', 'm=video 4002 RTP/SAVP 96'),
  );
  assert.deepEqual(
    offer.streams.map((s) => [s.index, s.kind, s.refused]),
    [[0, 'audio', false]],
  );
});

test('loopback media only where our own port is on loopback (demo on one machine)', () => {
  const local = { ports: ports('127.0.0.1', '127.0.0.1'), acceptMediaAddress: () => true };
  offerOf(leg(local), body(...head(1, '127.0.0.1'), ...AUDIO));
  const open = leg({ acceptMediaAddress: () => true });
  assert.equal(
    problemOf(open.receiveOffer(body(...head(1, '127.0.0.1'), ...AUDIO), 0)),
    '488 address-forbidden',
  );
});

test('RFC 6157: the answer is of the offer’s address family, and each m= may have its own', () => {
  const n = leg();
  const offer = offerOf(
    n,
    body(
      'v=0',
      'o=- 1 1 IN IP6 2001:db8::5',
      's=-',
      'c=IN IP6 2001:DB8::5',
      't=0 0',
      'm=audio 4000 RTP/AVP 8',
      'm=audio 4002 RTP/AVP 8',
      'c=IN IP4 192.0.2.1',
    ),
  );
  const answer = sdpOf(value(n.sendAnswer(answerTo(offer))));
  assert.deepEqual(answer.origin.address, '2001:db8:ffff::1');
  assert.equal(answer.media[0]!.connection, undefined);
  assert.deepEqual(answer.media[1]!.connection, { ipVersion: 4, address: '198.51.100.1' });
  const v4only = leg({ ports: { allocate: (i) => ports().allocate(i, 'audio') } });
  assert.equal(
    problemOf(
      v4only.receiveOffer(
        body('v=0', 'o=- 1 1 IN IP6 ::5', 's=-', 'c=IN IP6 2001:db8::5', 't=0 0', 'm=audio 4000 RTP/AVP 8'),
        0,
      ),
    ),
    '488 address-family',
  );
});

test('no port left is 503 no-port, on both ways in', () => {
  const none = { ports: { allocate: () => undefined } };
  assert.equal(problemOf(leg(none).receiveOffer(body(...head(), ...AUDIO), 0)), '503 no-port');
  const n = leg(none);
  assert.equal(problemOf(n.sendOffer(neutralOffer(1, {}))), '503 no-port');
  assert.equal(n.state, 'stable');
});

test('the same offer again is a refresh, whatever its o= version; repeatLocal keeps ours', () => {
  const n = leg();
  const offer = offerOf(n, body(...head(), ...AUDIO));
  const first = value(n.sendAnswer(answerTo(offer)))!;
  for (const version of [1, 2]) {
    assert.deepEqual(value(n.receiveOffer(body(...head(version), ...AUDIO), 0)), { kind: 'refresh' });
    assert.equal(n.state, 'stable');
    assert.deepEqual(n.repeatLocal(), first);
  }
});

test('a changed address, codec or direction is a new exchange; the version goes up only when ours changes', () => {
  const n = leg();
  value(n.sendAnswer(answerTo(offerOf(n, body(...head(), ...AUDIO)))));
  const moved = offerOf(n, body(...head(2, '192.0.2.77'), ...AUDIO));
  assert.equal(moved.number, 2);
  assert.deepEqual(n.streams()[0]!.remote, { ip: '192.0.2.1', port: 4000 }, 'as agreed until answered');
  assert.equal(sdpOf(value(n.sendAnswer(answerTo(moved)))).origin.version, '1');
  assert.deepEqual(n.streams()[0]!.remote, { ip: '192.0.2.77', port: 4000 });
  const held = offerOf(n, body(...head(3, '192.0.2.77'), ...AUDIO, 'a=sendonly'));
  assert.equal(held.streams[0]!.direction, 'sendonly');
  const answer = sdpOf(value(n.sendAnswer(answerTo(held))));
  assert.deepEqual([answer.origin.version, answer.media[0]!.direction], ['2', 'recvonly']);
  assert.equal(n.streams()[0]!.direction, 'recvonly');
});

test('hold by c=0.0.0.0 is sendonly without a remote address, and is answered', () => {
  const n = leg();
  value(n.sendAnswer(answerTo(offerOf(n, body(...head(), ...AUDIO)))));
  const held = offerOf(n, body(...head(2, '0.0.0.0'), ...AUDIO));
  assert.equal(held.streams[0]!.direction, 'sendonly');
  const answer = sdpOf(value(n.sendAnswer(answerTo(held))));
  assert.equal(answer.media[0]!.direction, 'recvonly');
  assert.ok(!latin1Text(value(n.sendAnswer(answerTo(held))) ?? new Uint8Array(0)).includes('0.0.0.0'));
  assert.equal(n.streams()[0]!.remote, undefined);
  assert.equal(n.streams()[0]!.active, true);
});

test('a refused or rejected re-offer leaves everything as it was', () => {
  const n = leg();
  value(n.sendAnswer(answerTo(offerOf(n, body(...head(), ...AUDIO)))));
  const before = n.streams();
  const offer = offerOf(
    n,
    body(...head(2), 'm=audio 6000 RTP/AVP 8', 'm=video 6002 RTP/AVP 97', 'a=rtpmap:97 H264/90000'),
  );
  assert.equal(
    problemOf(n.sendAnswer({ kind: 'refuse', by: 'originator', number: offer.number, branch: 0, cause: 88 })),
    '488 refused',
  );
  assert.equal(n.state, 'stable');
  assert.deepEqual(n.streams(), before);
  value(n.sendOffer(neutralOffer(1, {}, { kind: 'audio' })));
  assert.equal(n.streams().length, 2);
  n.rejectPending();
  assert.deepEqual(n.streams(), before);
  // RFC 3264 8: the old description again, but newer than the rejected one.
  assert.equal(sdpOf(n.repeatLocal()).origin.version, '3');
});

test('crossing offers: 491; a second offer before the answer: 500; an answer nobody asked for: 500', () => {
  const n = leg();
  value(n.sendOffer(neutralOffer(1, {})));
  assert.equal(problemOf(n.receiveOffer(body(...head(), ...AUDIO), 0)), '491 glare');
  assert.equal(problemOf(n.sendOffer(neutralOffer(2, {}))), '491 glare');
  const m = leg();
  const offer = offerOf(m, body(...head(), ...AUDIO));
  assert.equal(problemOf(m.receiveOffer(body(...head(2), ...AUDIO), 0)), '500 offer-pending');
  assert.equal(problemOf(m.sendOffer(neutralOffer(1, {}))), '491 glare');
  assert.equal(problemOf(m.receiveAnswer(body(...head(), ...AUDIO), 0)), '500 unexpected-answer');
  assert.equal(
    problemOf(m.sendAnswer({ ...answerTo(offer), number: 9 } as MediaExchange)),
    '500 unexpected-answer',
  );
  assert.equal(
    problemOf(m.sendAnswer({ ...answerTo(offer), by: 'terminator' } as MediaExchange)),
    '500 unexpected-answer',
  );
  assert.equal(m.state, 'offer-received');
});

const ANSWER = ['m=audio 5000 RTP/AVP 8 101', 'a=rtpmap:101 telephone-event/8000'];

test('early answers: repeated in 200 nothing is new; another branch takes over', () => {
  const n = leg();
  value(n.sendOffer(neutralOffer(1, {})));
  assert.ok(value(n.receiveAnswer(body(...head(), ...ANSWER), 1)));
  assert.equal(n.state, 'stable');
  assert.equal(value(n.receiveAnswer(body(...head(), ...ANSWER), 1)), undefined);
  const other = value(n.receiveAnswer(body(...head(1, '192.0.2.2'), ...ANSWER), 2));
  assert.equal(other?.branch, 2);
  assert.deepEqual(n.streams()[0]!.remote, { ip: '192.0.2.2', port: 5000 });
  // Same branch, other address (a media server handed over): the plane must know, the other gateway need not.
  assert.equal(value(n.receiveAnswer(body(...head(1, '192.0.2.3'), ...ANSWER), 2)), undefined);
  assert.deepEqual(n.streams()[0]!.remote, { ip: '192.0.2.3', port: 5000 });
  assert.equal(value(n.receiveAnswer(body(...head(1, '192.0.2.1'), ...ANSWER), 1))?.branch, 1);
});

test('another answer in the same dialog is ignored where it has other codecs (RFC 3261 13.2.1); a far end that means it is asked anew', () => {
  const n = leg();
  value(n.sendOffer(neutralOffer(1, {})));
  value(n.receiveAnswer(body(...head(), ...ANSWER), 1));
  const agreed = n.streams();
  const other = ['m=audio 5002 RTP/AVP 0'];
  assert.equal(problemOf(n.receiveAnswer(body(...head(), ...other), 1)), '488 answer-changed');
  assert.deepEqual(n.streams(), agreed, 'nothing of it is taken');
  assert.equal(n.state, 'stable');
  const again = sdpOf(n.offerAgain());
  assert.deepEqual(again.media[0]!.formats, ['8', '101'], 'what was agreed is offered again');
});

test('a second answer of the other gateway (another branch) is sent only where it says something else', () => {
  const n = leg();
  const offer = offerOf(n, body(...head(), ...AUDIO));
  value(n.sendAnswer(answerTo(offer, only('PCMA'))));
  assert.equal(
    value(n.sendAnswer({ ...answerTo(offer, only('PCMA')), branch: 2 } as MediaExchange)),
    undefined,
  );
  const changed = sdpOf(
    value(n.sendAnswer({ ...answerTo(offer, only('PCMU')), branch: 3 } as MediaExchange)),
  );
  assert.deepEqual([changed.media[0]!.formats, changed.origin.version], [['0'], '2']);
});

test('an answer that cannot be used leaves our offer open for a better one', () => {
  const n = leg();
  value(n.sendOffer(neutralOffer(1, {})));
  assert.equal(
    problemOf(n.receiveAnswer(body(...head(1, '10.1.1.1'), ...ANSWER), 0)),
    '488 address-not-accepted',
  );
  assert.equal(problemOf(n.receiveAnswer(latin1Bytes('rubbish'), 0)), '400 sdp-syntax');
  assert.equal(problemOf(n.receiveAnswer(body(...head(), ...ANSWER, ...ANSWER), 0)), '400 media-added');
  assert.equal(problemOf(n.receiveAnswer(body(...head(), 'm=audio 5000 RTP/AVP 18'), 0)), '488 no-format');
  assert.equal(n.state, 'offer-sent');
  assert.ok(value(n.receiveAnswer(body(...head(), ...ANSWER), 0)));
});

test('streams keep their index: added by either side, refused in place, removed and used again', () => {
  const n = leg();
  const video = [
    'm=video 6000 RTP/AVP 97',
    'a=rtpmap:97 H264/90000',
    'a=fmtp:97 profile-level-id=42e01f;packetization-mode=1',
  ];
  value(n.sendAnswer(answerTo(offerOf(n, body(...head(), 'm=application 9 TCP/BFCP *', ...AUDIO)))));
  const more = offerOf(n, body(...head(2), 'm=application 9 TCP/BFCP *', ...AUDIO, ...video));
  assert.deepEqual(
    more.streams.map((s) => [s.index, s.kind]),
    [
      [0, 'audio'],
      [1, 'video'],
    ],
  );
  value(n.sendAnswer(answerTo(more)));
  // The other side takes video away: third line of the far end, index 1.
  const h264 = more.streams[1]!;
  const without = sdpOf(value(n.sendOffer(neutralOffer(1, {}, { ...h264, refused: true, formats: [] }))));
  assert.deepEqual(
    without.media.map((m) => m.port),
    [0, 20_000, 0],
  );
  assert.equal(n.streams()[1]!.active, true, 'as agreed until answered');
  value(
    n.receiveAnswer(body(...head(3), 'm=application 0 TCP/BFCP *', ...ANSWER, 'm=video 0 RTP/AVP 97'), 0),
  );
  assert.equal(n.streams()[1]!.active, false);
  // And gives it back.
  const back = sdpOf(value(n.sendOffer(neutralOffer(2, {}, h264))));
  assert.deepEqual(
    back.media.map((m) => m.port),
    [0, 20_000, 20_002],
  );
  assert.deepEqual(back.media[2]!.formats, ['97'], 'the payload type it had');
  assert.equal(problemOf(leg().receiveOffer(body(...head()), 0)), '488 no-media');
  n.rejectPending();
  assert.equal(problemOf(n.receiveOffer(body(...head(4), ...AUDIO), 0)), '400 media-removed');
});

test('a stream of the other side that is refused from the start gets no m= line here, and is answered as refused', () => {
  const n = leg();
  const offer = neutralOffer(1, {}, { kind: 'video', refused: true, formats: [] }, {});
  assert.equal(sdpOf(value(n.sendOffer(offer))).media.length, 2);
  const answer = value(n.receiveAnswer(body(...head(), ...ANSWER, 'm=audio 5002 RTP/AVP 8'), 0));
  assert.ok(answer?.kind === 'answer' && offer.kind === 'offer');
  assert.equal(answerProblem(offer.streams, answer.streams), undefined);
  assert.deepEqual(
    answer.streams.map((s) => s.refused),
    [false, true, false],
  );
  // Our far end's next stream does not take its place.
  const next = offerOf(n, body(...head(2), ...ANSWER, 'm=audio 5002 RTP/AVP 8', 'm=audio 5004 RTP/AVP 8'));
  assert.deepEqual(
    next.streams.map((s) => [s.index, s.refused]),
    [
      [0, false],
      [1, true],
      [2, false],
      [3, false],
    ],
  );
});

test('T.38 replaces audio in the same m= line (RFC 3264 8.3.3, T.38 D.2.2)', () => {
  const n = leg();
  value(n.sendAnswer(answerTo(offerOf(n, body(...head(), ...AUDIO)))));
  const offer = offerOf(
    n,
    body(
      ...head(2),
      'm=image 4000 udptl t38',
      'a=T38FaxVersion:0',
      'a=T38MaxBitRate:14400',
      'a=T38FaxUdpEC:t38UDPRedundancy',
    ),
  );
  assert.equal(offer.streams[0]!.kind, 'image');
  const answer = sdpOf(value(n.sendAnswer(answerTo(offer))));
  assert.equal(answer.media[0]!.port, 20_000);
  assert.deepEqual(answer.media[0]!.t38, { version: 0, maxBitRate: 14_400, udpEc: 't38UDPRedundancy' });
  assert.equal(n.streams()[0]!.kind, 'image');
  const plain = leg({ codecs: ['PCMA'] });
  assert.equal(problemOf(plain.receiveOffer(body(...head(), 'm=image 4000 udptl t38'), 0)), '488 no-format');
  // And as an offer to the far end.
  const m = leg();
  const sdp = sdpOf(value(m.sendOffer({ ...offer, by: 'terminator' })));
  assert.equal(
    latin1Text(value(leg().sendOffer({ ...offer, by: 'terminator' }))).match(/m=.*/)![0],
    'm=image 20000 udptl t38\r'.trim(),
  );
  assert.equal(sdp.media[0]!.t38!.maxBitRate, 14_400);
});

test('T.38 D.2.3: flags cross by name, an answer raises nothing, parities are asked of nobody', () => {
  const offered = [
    'm=image 4000 udptl t38',
    'a=T38FaxVersion:0',
    'a=T38MaxBitRate:9600',
    'a=T38FaxRateManagement:localTCF',
    'a=T38FaxUdpEC:t38UDPFEC',
    'a=T38FaxFillBitRemoval',
    'a=T38FaxTranscodingJBIG:1',
    'a=T38FaxWhatever:1',
  ];
  const n = leg();
  const offer = offerOf(n, body(...head(), ...offered));
  const [stream] = offer.streams;
  const parameters = Object.fromEntries(stream!.formats[0]!.parameters.map((p) => [p.name, p.value]));
  assert.deepEqual(parameters, {
    't38-version': '0',
    't38-bitrate': '9600',
    't38-rate-management': 'localTCF',
    't38-udp-ec': 't38UDPFEC',
    't38-options': 'fill-bit-removal,transcoding-jbig',
  });
  const more = [
    { name: 't38-bitrate', value: '33600' },
    { name: 't38-max-datagram', value: '238' },
    { name: 't38-rate-management', value: 'transferredTCF' },
    { name: 't38-version', value: '3' },
  ] as const;
  const format = { ...stream!.formats[0]!, parameters: more };
  const answer = sdpOf(
    value(n.sendAnswer({ ...offer, kind: 'answer', streams: [{ ...stream!, formats: [format] }] })),
  );
  assert.deepEqual(answer.media[0]!.t38, {
    version: 0,
    maxBitRate: 9600,
    rateManagement: 'localTCF',
    maxDatagram: 238,
  });
  const [shown] = n.streams();
  assert.equal(shown!.formats[0]!.farParameters?.find((p) => p.name === 't38-udp-ec')?.value, 't38UDPFEC');
  assert.equal(shown!.remoteRtcp, undefined, 'UDPTL has no RTCP');
  const there = leg();
  const sent = sdpOf(value(there.sendOffer({ ...offer, by: 'terminator' })));
  assert.equal(sent.media[0]!.t38!.udpEc, 't38UDPRedundancy');
  assert.equal(sent.media[0]!.t38!.fillBitRemoval, true);
});

test('RFC 3611 5.2: VoIP metrics are sent to who asks for them, answered where offered, and the wish does not cross', () => {
  const asked = leg();
  const offer = offerOf(asked, body(...head(), ...AUDIO, 'a=rtcp-xr:rcvr-rtt=sender:200 voip-metrics'));
  assert.ok(!JSON.stringify(offer).includes('xr'));
  const answer = value(asked.sendAnswer(answerTo(offer)));
  assert.equal(sdpOf(answer).media[0]?.voipMetrics, true);
  assert.match(latin1Text(answer!), /\r\na=rtcp-xr:voip-metrics\r\n/, 'nothing else of the far end`s line');
  assert.equal(asked.streams()[0]?.voipMetrics, true);

  const silent = leg();
  const plain = value(
    silent.sendAnswer(answerTo(offerOf(silent, body(...head(), ...AUDIO, 'a=rtcp-xr:pkt-loss-rle')))),
  );
  assert.equal(sdpOf(plain).media[0]?.voipMetrics, undefined);
  assert.equal(silent.streams()[0]?.voipMetrics, undefined);
});

test('RFC 3611 5.2: asked for in the answer to our offer they are sent too', () => {
  const n = leg();
  const ours = latin1Text(value(n.sendOffer(neutralOffer(1, {}))));
  assert.ok(!ours.includes('rtcp-xr'), 'we do not ask by ourselves');
  value(n.receiveAnswer(body(...head(), 'm=audio 4000 RTP/AVP 0', 'a=rtcp-xr:voip-metrics'), 0));
  assert.equal(n.streams()[0]?.voipMetrics, true);
});

test('RFC 5761: rtcp-mux is accepted when offered, and offered only when asked for', () => {
  const n = leg();
  const answer = sdpOf(value(n.sendAnswer(answerTo(offerOf(n, body(...head(), ...AUDIO, 'a=rtcp-mux'))))));
  assert.equal(answer.media[0]!.rtcpMux, true);
  assert.deepEqual(
    [n.streams()[0]!.rtcpMux, n.streams()[0]!.remoteRtcp],
    [true, { ip: '192.0.2.1', port: 4000 }],
  );
  assert.equal(sdpOf(value(leg().sendOffer(neutralOffer(1, {})))).media[0]!.rtcpMux, false);
  const asks = leg({ offerRtcpMux: true });
  assert.equal(sdpOf(value(asks.sendOffer(neutralOffer(1, {})))).media[0]!.rtcpMux, true);
  value(asks.receiveAnswer(body(...head(), ...ANSWER), 0));
  assert.equal(asks.streams()[0]!.rtcpMux, false);
});

test('RFC 3605: a=rtcp is where RTCP goes, if that address is permitted', () => {
  const rtcp = (line: string): LegStream['remoteRtcp'] => {
    const n = leg();
    value(n.sendAnswer(answerTo(offerOf(n, body(...head(), ...AUDIO, line)))));
    return n.streams()[0]!.remoteRtcp;
  };
  assert.deepEqual(rtcp('a=rtcp:7000'), { ip: '192.0.2.1', port: 7000 });
  assert.deepEqual(rtcp('a=rtcp:7000 IN IP4 192.0.2.200'), { ip: '192.0.2.200', port: 7000 });
  assert.equal(rtcp('a=rtcp:7000 IN IP4 10.0.0.9'), undefined);
  assert.equal(rtcp('a=rtcp:7000 IN IP4 127.0.0.1'), undefined);
  assert.equal(rtcp('a=rtcp:53'), undefined);
});

test('a re-INVITE without a body is answered with what the other side wished for, so that hold can end this way', () => {
  const n = leg();
  value(n.sendAnswer(answerTo(offerOf(n, body(...head(), ...AUDIO)), only('PCMA', 'telephone-event'))));
  value(n.sendAnswer(answerTo(offerOf(n, body(...head(2), ...ANSWER, 'a=sendonly')))));
  assert.equal(n.streams()[0]!.direction, 'recvonly');
  const offer = sdpOf(n.offerAgain());
  assert.equal(n.state, 'offer-sent');
  assert.deepEqual([offer.media[0]!.direction, offer.media[0]!.formats], ['sendrecv', ['8', '101']]);
  const resumed = value(n.receiveAnswer(body(...head(3), ...ANSWER), 0));
  assert.equal(resumed?.kind, 'offer');
  assert.equal(n.streams()[0]!.direction, 'sendrecv');
  assert.equal(value(n.sendAnswer(answerTo(resumed!))), undefined, 'the far end knows all it must');
  assert.equal(n.state, 'stable');
});

test('our own session refresh: same version, and an answer that changes nothing is nothing', () => {
  const n = leg();
  const first = value(n.sendAnswer(answerTo(offerOf(n, body(...head(), ...AUDIO)))))!;
  assert.deepEqual(n.offerAgain(), first);
  assert.equal(value(n.receiveAnswer(body(...head(), ...AUDIO), 0)), undefined);
  // The far end moved meanwhile: only the plane is concerned.
  n.offerAgain();
  assert.equal(value(n.receiveAnswer(body(...head(2, '192.0.2.50'), ...AUDIO), 0)), undefined);
  assert.deepEqual(n.streams()[0]!.remote, { ip: '192.0.2.50', port: 4000 });
});

test('RFC 7261 between two legs: Annex B off at one end is off in the answer', () => {
  const n = leg();
  const offer = offerOf(n, body(...head(), 'm=audio 4000 RTP/AVP 18', 'a=fmtp:18 annexb=no'));
  const answer = sdpOf(
    value(
      n.sendAnswer(
        answerTo(offer, (s) => ({ ...s, formats: s.formats.map((f) => ({ ...f, parameters: [] })) })),
      ),
    ),
  );
  assert.equal(answer.media[0]!.formatParameters[0]!.text, 'annexb=no');
});

test('what a hostile gateway puts into formats never becomes SDP text', () => {
  const n = leg();
  const evil = {
    id: 1,
    name: 'OPUS',
    clockRate: 48_000,
    channels: 2,
    parameters: [
      { name: 'stereo', value: '1\r\na=evil' },
      { name: 'annexb', value: 'yes' },
    ],
  } as const;
  const text = latin1Text(value(n.sendOffer(neutralOffer(1, { formats: [evil, evil, { ...evil, id: 2 }] }))));
  assert.ok(!text.includes('evil') && !text.includes('annexb'));
  assert.match(text, /^m=audio 20000 RTP\/AVP 96\r$/m);
  assert.equal(problemOf(leg().sendOffer(neutralOffer(1, { kind: 'video' }))), '488 no-usable-stream');
});
