import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import sdpTransform from 'sdp-transform';
import { latin1Bytes, latin1Text } from '../bytes/text.ts';
import type { SdpErrorReason, SessionDescription } from './description.ts';
import { parseSdp } from './parse.ts';
import { writeSdp } from './write.ts';

const HEAD = ['v=0', 'o=- 1 1 IN IP4 192.0.2.1', 's=-', 'c=IN IP4 192.0.2.1', 't=0 0'];
const sdp = (...lines: string[]): Uint8Array => latin1Bytes(lines.map((l) => `${l}\r\n`).join(''));

function parsed(bytes: Uint8Array): SessionDescription {
  const result = parseSdp(bytes);
  assert.ok(result.ok, JSON.stringify(result));
  return result.value;
}

function reasonOf(bytes: Uint8Array): SdpErrorReason | 'accepted' {
  const result = parseSdp(bytes);
  return result.ok ? 'accepted' : result.error.reason;
}

test('RFC 8866: every attribute we understand becomes a typed field', () => {
  const description = parsed(
    sdp(
      ...HEAD,
      'a=sendonly',
      'm=audio 49170/1 RTP/AVP 0 18 101',
      'c=IN IP6 2001:db8::1',
      'b=AS:64',
      'a=rtpmap:0 PCMU/8000',
      'a=rtpmap:18 G729/8000/1',
      'a=fmtp:18 annexb=no',
      'a=rtpmap:101 telephone-event/8000',
      'a=fmtp:101 0-15',
      'a=ptime:20',
      'a=maxptime:40',
      'a=rtcp:53020 IN IP4 192.0.2.9',
      'a=rtcp-mux',
      'a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abc|2^20|1:32 UNENCRYPTED_SRTCP',
      'a=fingerprint:sha-256 ab:cd',
      'a=setup:actpass',
      'a=inactive',
      'a=x-canary:secret',
      'm=image 5000 udptl t38',
      'a=T38FaxVersion:0',
      'a=T38MaxBitRate:14400',
      'a=T38FaxRateManagement:transferredTCF',
      'a=T38FaxMaxBuffer:262',
      'a=T38FaxMaxDatagram:90',
      'a=T38FaxUdpEC:t38UDPRedundancy',
    ),
  );
  assert.equal(description.direction, 'sendonly');
  const [audio, image] = description.media;
  assert.deepEqual(audio, {
    type: 'audio',
    port: 49170,
    portCount: 1,
    protocol: 'RTP/AVP',
    formats: ['0', '18', '101'],
    connection: { ipVersion: 6, address: '2001:db8::1' },
    bandwidths: [{ type: 'AS', value: 64 }],
    rtpMaps: [
      { payloadType: 0, encoding: 'PCMU', clockRate: 8000, channels: 1 },
      { payloadType: 18, encoding: 'G729', clockRate: 8000, channels: 1 },
      { payloadType: 101, encoding: 'telephone-event', clockRate: 8000, channels: 1 },
    ],
    formatParameters: [
      { format: '18', text: 'annexb=no' },
      { format: '101', text: '0-15' },
    ],
    packetTime: 20,
    maxPacketTime: 40,
    rtcp: { port: 53020, connection: { ipVersion: 4, address: '192.0.2.9' } },
    rtcpMux: true,
    crypto: [
      {
        tag: 1,
        suite: 'AES_CM_128_HMAC_SHA1_80',
        keys: 'inline:abc|2^20|1:32',
        sessionParameters: 'UNENCRYPTED_SRTCP',
      },
    ],
    fingerprints: [{ hash: 'sha-256', value: 'AB:CD' }],
    setup: 'actpass',
    direction: 'inactive',
  });
  assert.deepEqual(image!.t38, {
    version: 0,
    maxBitRate: 14400,
    rateManagement: 'transferredTCF',
    maxBuffer: 262,
    maxDatagram: 90,
    udpEc: 't38UDPRedundancy',
  });
  assert.ok(!latin1Text(writeSdp(description)).includes('canary'), 'unknown attributes fall away');
});

test('T.38 D.2.1 as devices write it: any case, spaces, flags with 0 and 1, attributes left out; and as we write it', () => {
  const media = parsed(
    sdp(
      ...HEAD,
      'm=image 5000 UDPTL T38',
      'a=t38FAXversion: 3',
      'a=T38maxbitrate:9600 ',
      'a=T38FaxRateManagement:transferredtcf',
      'a=T38FaxFillBitRemoval:0',
      'a=T38FaxTranscodingMMR:1',
      'a=T38FaxTranscodingJBIG',
      'a=T38FaxMaxDatagram:many',
      'a=T38FaxUdpEC:T38UDPREDUNDANCY',
      'a=T38VendorInfo:0 0 37',
    ),
  );
  assert.deepEqual(media.media[0]!.t38, {
    version: 3,
    maxBitRate: 9600,
    rateManagement: 'transferredTCF',
    transcodingMmr: true,
    transcodingJbig: true,
    udpEc: 't38UDPRedundancy',
  });
  assert.deepEqual(
    latin1Text(writeSdp(media))
      .split('\r\n')
      .filter((line) => line.startsWith('a=')),
    [
      'a=T38FaxVersion:3',
      'a=T38MaxBitRate:9600',
      'a=T38FaxRateManagement:transferredTCF',
      'a=T38FaxUdpEC:t38UDPRedundancy',
      'a=T38FaxTranscodingMMR',
      'a=T38FaxTranscodingJBIG',
    ],
  );
  const bare = parsed(sdp(...HEAD, 'm=image 5000 udptl t38', 'a=T38FaxFillBitRemoval'));
  assert.deepEqual(bare.media[0]!.t38, { fillBitRemoval: true });
});

test('accepted because real devices send it', () => {
  const m = 'm=audio 4000 RTP/AVP 0';
  const accepted: Record<string, Uint8Array> = {
    'LF only': latin1Bytes([...HEAD, m].join('\n')),
    'no line end at the end': latin1Bytes([...HEAD, m].join('\r\n')),
    'blank lines at the end': latin1Bytes(`${[...HEAD, m].join('\r\n')}\r\n\r\n\r\n`),
    'no s= and no t=': sdp('v=0', 'o=- 1 1 IN IP4 192.0.2.1', 'c=IN IP4 192.0.2.1', m),
    'session lines in another order': sdp(
      'v=0',
      't=0 0',
      'c=IN IP4 192.0.2.1',
      's=x',
      'o=- 1 1 IN IP4 192.0.2.1',
      m,
    ),
    'blanks in the user name': sdp('v=0', 'o=My Phone 1 1 IN IP4 192.0.2.1', m),
    'blank lines in front': latin1Bytes(`\r\n\r\n${[...HEAD, m].join('\r\n')}\r\n`),
    'empty s=': sdp('v=0', 'o=- 1 1 IN IP4 192.0.2.1', 's=', m),
    'two blanks in m=': sdp(...HEAD, 'm=audio  4000 RTP/AVP  0 '),
    'latin1 in s=': sdp('v=0', 'o=- 1 1 IN IP4 192.0.2.1', 's=T\u00e9l\u00e9phone', m),
    'no media': sdp(...HEAD),
    'malformed attributes': sdp(...HEAD, m, 'a=rtpmap:', 'a=rtpmap:200 X/1', 'a=fmtp:0', 'a=ptime:x', 'a='),
    'port 0': sdp(...HEAD, 'm=audio 0 RTP/AVP 0'),
    'IPv6 in brackets (SIPp)': sdp(
      'v=0',
      'o=user1 53655765 2353687637 IN IP6 [2001:db8::1]',
      'c=IN IP6 [2001:db8::1]',
      m,
    ),
    'the same c= twice': sdp(...HEAD, 'c=IN IP4 192.0.2.1', m, 'c=IN IP4 192.0.2.1', 'c=IN IP4 192.0.2.1'),
    'old c= and k= and i= in media': sdp(...HEAD, m, 'i=x', 'k=clear:y'),
  };
  for (const [what, bytes] of Object.entries(accepted)) assert.equal(reasonOf(bytes), 'accepted', what);
});

test('refused because it is dangerous or no description', () => {
  const m = 'm=audio 4000 RTP/AVP 0';
  const many = (n: number, line: string): string[] => new Array<string>(n).fill(line);
  const refused: [SdpErrorReason, string, Uint8Array][] = [
    ['empty', 'nothing', new Uint8Array(0)],
    ['too-long', '32 kB', new Uint8Array(32_769).fill(0x61)],
    ['control-character', 'NUL', sdp(...HEAD, `${m}\0`)],
    ['control-character', 'bare CR', latin1Bytes(`${HEAD.join('\r\n')}\r\ns=a\rb\r\n`)],
    ['too-many-media', '17 m=', sdp(...HEAD, ...many(17, m))],
    ['too-many-attributes', '401 a=', sdp(...HEAD, ...many(401, 'a=x'))],
    ['too-many-lines', '700 lines', sdp(...HEAD, ...many(700, 't=0 0'))],
    ['too-many-formats', '65 formats', sdp(...HEAD, `m=audio 1 RTP/AVP ${many(65, '0').join(' ')}`)],
    ['port', 'port 65536', sdp(...HEAD, 'm=audio 65536 RTP/AVP 0')],
    ['port', 'port -1', sdp(...HEAD, 'm=audio -1 RTP/AVP 0')],
    ['port', 'port +5', sdp(...HEAD, 'm=audio +5 RTP/AVP 0')],
    ['port', 'port 0x10', sdp(...HEAD, 'm=audio 0x10 RTP/AVP 0')],
    ['port', 'port range over the end', sdp(...HEAD, 'm=audio 65535/2 RTP/AVP 0')],
    ['port', 'rtcp port', sdp(...HEAD, m, 'a=rtcp:65536')],
    ['media', 'no formats', sdp(...HEAD, 'm=audio 1 RTP/AVP')],
    ['media', 'odd token', sdp(...HEAD, 'm=au"dio 1 RTP/AVP 0')],
    ['version', 'v=1', sdp('v=1')],
    ['version', 'no v=', sdp('o=- 1 1 IN IP4 192.0.2.1')],
    ['origin', 'no o=', sdp('v=0', 's=-')],
    ['origin', 'short o=', sdp('v=0', 'o=- 1 IN IP4 192.0.2.1')],
    ['origin', 'o= not a number', sdp('v=0', 'o=- 1 -1 IN IP4 192.0.2.1')],
    ['connection', 'c= of another network', sdp(...HEAD.slice(0, 3), 'c=ATM IP4 1')],
    ['connection', 'c= with smuggled text', sdp(...HEAD.slice(0, 3), 'c=IN IP4 192.0.2.1;x')],
    ['duplicate', 'two c=', sdp(...HEAD, 'c=IN IP4 192.0.2.2')],
    ['duplicate', 'two c= in media', sdp(...HEAD, m, 'c=IN IP4 192.0.2.1', 'c=IN IP6 ::1')],
    ['connection', 'brackets around a name', sdp(...HEAD.slice(0, 3), 'c=IN IP4 [host.example]')],
    ['connection', 'half a bracket', sdp(...HEAD.slice(0, 3), 'c=IN IP6 [2001:db8::1')],
    ['origin', 'brackets around text', sdp('v=0', 'o=- 1 1 IN IP6 [x]y]')],
    ['duplicate', 'two o=', sdp(...HEAD, 'o=- 1 1 IN IP4 192.0.2.1')],
    ['duplicate', 'two v=', sdp(...HEAD, 'v=0')],
    ['order', 'o= after m=', sdp(...HEAD, m, 'o=- 1 1 IN IP4 192.0.2.1')],
    ['unknown-type', 'y=', sdp(...HEAD, 'y=1')],
    ['syntax', 'blank before =', sdp(...HEAD, 'm =audio 1 RTP/AVP 0')],
    ['syntax', 'blank line inside', sdp(...HEAD, '', m)],
  ];
  for (const [reason, what, bytes] of refused) assert.equal(reasonOf(bytes), reason, what);
});

test('an address in brackets is read as the address itself', () => {
  const description = parsed(
    sdp('v=0', 'o=- 1 1 IN IP6 [2001:db8::1]', 'c=IN IP6 [2001:db8::2]', 'm=audio 4000 RTP/AVP 0'),
  );
  assert.deepEqual(description.connection, { ipVersion: 6, address: '2001:db8::2' });
  assert.equal(description.origin.address, '2001:db8::1');
});

test('limits are met exactly: 16 m=, 400 a=, 32768 octets', () => {
  const head = [
    ...HEAD,
    ...new Array<string>(400).fill('a=x'),
    ...new Array<string>(16).fill('m=audio 1 RTP/AVP 0'),
  ];
  const base = sdp(...head);
  const fill = 32_768 - base.length - 4;
  const lines = [...head];
  for (let rest = fill; rest > 0; rest -= 8192) lines.push(`i=${'x'.repeat(Math.min(rest, 8192) - 4)}`);
  const bytes = latin1Bytes(lines.map((l) => `${l}\r\n`).join(''));
  assert.ok(bytes.length <= 32_768);
  assert.equal(reasonOf(bytes), 'accepted');
});

/** Lines as devices write them, damaged now and then. */
const word = fc.constantFrom(
  '0',
  '8',
  '101',
  '96',
  'audio',
  'video',
  '4000',
  '65535',
  '65536',
  'RTP/AVP',
  'IN',
  'IP4',
  'IP6',
  '::1',
  '192.0.2.7',
  'PCMU/8000',
  'opus/48000/2',
  't38',
  'x',
  '-',
  ':',
  '=',
  'é',
  '99999999999',
);
const anyLine = fc.oneof(
  fc
    .tuple(
      fc.constantFrom('v', 'o', 's', 'c', 't', 'm', 'a', 'b', 'i', 'k', 'z', 'q'),
      fc.array(word, { maxLength: 6 }),
    )
    .map(([t, w]) => `${t}=${w.join(' ')}`),
  fc
    .tuple(
      fc.constantFrom(
        'rtpmap',
        'fmtp',
        'ptime',
        'maxptime',
        'rtcp',
        'crypto',
        'fingerprint',
        'setup',
        'T38FaxVersion',
        'T38FaxUdpEC',
        'T38FaxFillBitRemoval',
        'sendonly',
        'rtcp-mux',
      ),
      fc.array(word, { maxLength: 4 }),
    )
    .map(([n, w]) => `a=${n}:${w.join(' ')}`),
  fc.constantFrom(
    ...HEAD,
    'm=audio 4000 RTP/AVP 0 8 101',
    'a=sendrecv',
    'a=fmtp:101 0-15',
    'a=rtpmap:101 telephone-event/8000',
  ),
  fc.string({ maxLength: 20 }),
);
const anyDescription = fc
  .tuple(fc.boolean(), fc.array(anyLine, { maxLength: 20 }))
  .map(([head, lines]) => latin1Bytes([...(head ? HEAD : []), ...lines].map((l) => `${l}\r\n`).join('')));

test('law: parsing never throws, and what parses writes to something that parses to the same', () => {
  let accepted = 0;
  fc.assert(
    fc.property(
      fc.oneof(
        { arbitrary: anyDescription, weight: 5 },
        { arbitrary: fc.uint8Array({ maxLength: 200 }), weight: 1 },
      ),
      (bytes) => {
        const first = parseSdp(bytes);
        if (!first.ok) return;
        accepted++;
        const written = writeSdp(first.value);
        const second = parseSdp(written);
        assert.deepEqual(second, first);
        assert.deepEqual(writeSdp(first.value), written);
      },
    ),
    { numRuns: 3000 },
  );
  assert.ok(accepted > 100, `only ${accepted} of the generated descriptions were accepted`);
});

test('a smuggled line end in a field never becomes a line', () => {
  const description = parsed(sdp(...HEAD, 'm=audio 4000 RTP/AVP 0'));
  const text = latin1Text(writeSdp({ ...description, name: 'x\r\na=evil' }));
  assert.ok(!/^a=evil/m.test(text));
});

const token = fc.constantFrom('PCMU', 'PCMA', 'opus', 'telephone-event', 'G729', 'iLBC');
const genuine = fc.record({
  ip: fc.ipV4(),
  streams: fc.array(
    fc.record({
      type: fc.constantFrom('audio', 'video'),
      port: fc.integer({ min: 0, max: 65535 }),
      maps: fc.uniqueArray(
        fc.record({
          pt: fc.integer({ min: 0, max: 127 }),
          name: token,
          rate: fc.constantFrom(8000, 16000, 48000),
          channels: fc.constantFrom(1, 2),
        }),
        { selector: (m) => m.pt, minLength: 1, maxLength: 6 },
      ),
      fmtp: fc.option(fc.constantFrom('annexb=no', '0-15', 'mode=20', 'useinbandfec=1;stereo=0'), {
        nil: undefined,
      }),
      ptime: fc.option(fc.integer({ min: 1, max: 200 }), { nil: undefined }),
      direction: fc.constantFrom(undefined, 'sendrecv', 'sendonly', 'recvonly', 'inactive'),
      rtcp: fc.option(fc.integer({ min: 0, max: 65535 }), { nil: undefined }),
      connection: fc.option(fc.ipV6(), { nil: undefined }),
    }),
    { maxLength: 4 },
  ),
});

test('differential: genuine descriptions read as sdp-transform reads them', () => {
  fc.assert(
    fc.property(genuine, ({ ip, streams }) => {
      const lines = ['v=0', `o=u 12 34 IN IP4 ${ip}`, 's=call', `c=IN IP4 ${ip}`, 't=0 0'];
      for (const s of streams) {
        lines.push(`m=${s.type} ${s.port} RTP/AVP ${s.maps.map((m) => m.pt).join(' ')}`);
        if (s.connection !== undefined) lines.push(`c=IN IP6 ${s.connection}`);
        for (const m of s.maps)
          lines.push(`a=rtpmap:${m.pt} ${m.name}/${m.rate}${m.channels === 1 ? '' : '/2'}`);
        if (s.fmtp !== undefined) lines.push(`a=fmtp:${s.maps[0]!.pt} ${s.fmtp}`);
        if (s.ptime !== undefined) lines.push(`a=ptime:${s.ptime}`);
        if (s.rtcp !== undefined) lines.push(`a=rtcp:${s.rtcp}`);
        if (s.direction !== undefined) lines.push(`a=${s.direction}`);
      }
      const bytes = sdp(...lines);
      // Both our reading of the text and our writing must be what the other library understands.
      for (const text of [latin1Text(bytes), latin1Text(writeSdp(parsed(bytes)))]) {
        const theirs = sdpTransform.parse(text);
        const ours = parsed(bytes);
        assert.equal(ours.origin.username, theirs.origin.username);
        assert.equal(ours.origin.version, String(theirs.origin.sessionVersion));
        assert.equal(ours.connection!.address, theirs.connection!.ip);
        assert.equal(ours.media.length, theirs.media.length);
        for (const [i, m] of ours.media.entries()) {
          const t = theirs.media[i]!;
          assert.equal(m.type, t.type);
          assert.equal(m.port, t.port);
          assert.equal(m.protocol, t.protocol);
          assert.equal(m.formats.join(' '), String(t.payloads));
          assert.equal(m.connection?.address, t.connection?.ip);
          assert.equal(m.packetTime, t.ptime);
          assert.equal(m.direction, t.direction);
          assert.equal(m.rtcp?.port, t.rtcp?.port);
          assert.deepEqual(
            m.rtpMaps.map((r) => [r.payloadType, r.encoding, r.clockRate, r.channels]),
            t.rtp.map((r) => [r.payload, r.codec, r.rate, r.encoding === undefined ? 1 : Number(r.encoding)]),
          );
          assert.deepEqual(
            m.formatParameters.map((p) => [p.format, p.text]),
            t.fmtp.map((p) => [String(p.payload), p.config]),
          );
        }
      }
    }),
    { numRuns: 200 },
  );
});

const torture = join(dirname(fileURLToPath(import.meta.url)), '../../../../shared/sip');
test('RFC 4475 and RFC 5118 bodies parse without throwing', {
  skip: existsSync(torture) ? false : 'no torture messages here',
}, () => {
  let bodies = 0;
  for (const entry of readdirSync(torture, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const bytes = new Uint8Array(readFileSync(join(entry.parentPath, entry.name)));
    const text = latin1Text(bytes);
    const at = text.indexOf('\nv=0');
    if (at < 0) continue;
    bodies++;
    const result = parseSdp(bytes.subarray(at + 1));
    if (result.ok) assert.deepEqual(parseSdp(writeSdp(result.value)), result);
  }
  assert.ok(bodies > 5);
});
