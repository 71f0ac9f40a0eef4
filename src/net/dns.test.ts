/// <reference path="./dns-packet.d.ts" />
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import * as dns from 'dns-packet';
import type { Address } from '../machine/address.ts';
import { parseHosts, type ResolverOptions, SipResolver, type Target } from './dns.ts';

type Zone = Record<
  string,
  readonly { readonly type: string; readonly data: unknown; readonly ttl?: number }[]
>;

interface TestServer {
  readonly address: Address;
  readonly asked: string[];
  readonly zone: Zone;
  /** What the next answers do instead of being right. */
  trick: 'none' | 'silent' | 'truncate' | 'wrong-id' | 'wrong-question' | 'garbage' | 'servfail';
}

const open: (() => void)[] = [];
const folder = mkdtempSync(join(tmpdir(), 'voip-sgw-dns-'));
after(() => {
  for (const close of open) close();
  rmSync(folder, { recursive: true });
});

/** A name server on loopback, UDP and TCP, that knows `zone`. */
async function nameServer(zone: Zone): Promise<TestServer> {
  const udp = createSocket('udp4');
  await new Promise<void>((resolve) => udp.bind(0, '127.0.0.1', resolve));
  const { port } = udp.address();
  const it: TestServer = { address: { ip: '127.0.0.1', port }, asked: [], zone, trick: 'none' };
  const answer = (query: Buffer, viaTcp: boolean): Buffer | undefined => {
    let packet: ReturnType<typeof dns.decode>;
    try {
      packet = dns.decode(query);
    } catch {
      return undefined; // somebody else's, meant for who had this port before
    }
    const question = packet.questions![0]!;
    it.asked.push(`${viaTcp ? 'tcp ' : ''}${question.type} ${question.name}`);
    const all = zone[question.name.toLowerCase()] ?? [];
    const answers = all
      .filter((record) => record.type === question.type || record.type === 'CNAME')
      .map((record) => ({ name: question.name, ttl: 60, ...record }));
    const extra = answers.flatMap((record) =>
      record.type === 'CNAME'
        ? (zone[String(record.data)] ?? []).map((r) => ({ name: String(record.data), ttl: 60, ...r }))
        : [],
    );
    const rcode = it.trick === 'servfail' ? 2 : all.length === 0 ? 3 : 0;
    const truncated = it.trick === 'truncate' && !viaTcp;
    const reply = dns.encode({
      type: 'response',
      id: it.trick === 'wrong-id' ? packet.id ^ 1 : packet.id,
      flags: rcode | (truncated ? dns.TRUNCATED_RESPONSE : 0),
      questions: it.trick === 'wrong-question' ? [{ type: 'A', name: 'other.example' }] : [question],
      answers: truncated ? [] : [...answers, ...extra],
    });
    return it.trick === 'garbage' ? Buffer.concat([reply.subarray(0, 2), Buffer.alloc(40, 0xff)]) : reply;
  };
  udp.on('message', (query, from) => {
    const reply = answer(query, false);
    if (it.trick !== 'silent' && reply !== undefined) udp.send(reply, from.port, from.address);
  });
  const tcp = createServer((socket) => {
    socket.on('error', () => undefined);
    let heard = Buffer.alloc(0);
    socket.on('data', (data) => {
      heard = Buffer.concat([heard, data]);
      // RFC 1035 4.2.2: two octets of length first, and TCP may cut anywhere.
      if (heard.length < 2 || heard.length < 2 + heard.readUInt16BE()) return;
      const reply = answer(heard.subarray(2), true);
      if (reply === undefined) return void socket.destroy();
      const length = Buffer.alloc(2);
      length.writeUInt16BE(reply.length);
      socket.write(length);
      socket.end(reply);
    });
  }).listen(port, '127.0.0.1');
  open.push(
    () => udp.close(),
    () => tcp.close(),
  );
  return it;
}

function resolver(server: TestServer, extra: Partial<ResolverOptions> = {}): SipResolver {
  return new SipResolver({
    servers: [server.address],
    hostsFile: join(folder, 'none'),
    timeoutMs: 150,
    systemFallback: false,
    ...extra,
  });
}

function text(targets: readonly Target[]): string[] {
  return targets.map(({ transport, address }) => `${transport} ${address.ip} ${address.port}`);
}

const srv = (priority: number, port: number, target: string, weight = 0) => ({
  type: 'SRV',
  data: { priority, weight, port, target },
});
const a = (data: string, ttl = 60) => ({ type: 'A', data, ttl });
const naptr = (order: number, preference: number, services: string, replacement: string, flags = 's') => ({
  type: 'NAPTR',
  data: { order, preference, flags, services, regexp: '', replacement },
});

const ZONE: Zone = {
  'example.com': [
    naptr(20, 5, 'SIP+D2U', '_sip._udp.example.com'),
    naptr(10, 9, 'SIP+D2T', '_sip._tcp.example.com'),
    naptr(10, 1, 'SIPS+D2T', '_sips._tcp.example.com'),
    naptr(1, 1, 'E2U+sip', 'nonsense.example.com', 'u'),
    a('192.0.2.99'),
  ],
  '_sips._tcp.example.com': [srv(0, 5071, 'a.example.com')],
  '_sip._tcp.example.com': [srv(20, 5080, 'b.example.com'), srv(10, 5070, 'a.example.com')],
  '_sip._udp.example.com': [srv(0, 5060, 'b.example.com')],
  'a.example.com': [{ type: 'AAAA', data: '2001:DB8::A' }, a('192.0.2.1')],
  'b.example.com': [{ type: 'CNAME', data: 'c.example.com' }],
  'c.example.com': [a('192.0.2.3')],
  'plain.example': [a('192.0.2.50')],
  'srvonly.example': [a('192.0.2.51')],
  '_sip._tcp.srvonly.example': [srv(0, 5099, 'plain.example')],
  'closed.example': [a('192.0.2.52')],
  '_sip._udp.closed.example': [srv(0, 0, '.')],
  'brief.example': [a('192.0.2.60', 2)],
};

test('RFC 3263 4.1: NAPTR order and preference choose transports, SRV priority hosts, AAAA before A, CNAMEs followed', async () => {
  const server = await nameServer(ZONE);
  assert.deepEqual(text(await resolver(server).resolve({ host: 'Example.com', secure: false })), [
    'tls 2001:db8::a 5071',
    'tls 192.0.2.1 5071',
    'tcp 2001:db8::a 5070',
    'tcp 192.0.2.1 5070',
    'tcp 192.0.2.3 5080',
    'udp 192.0.2.3 5060',
  ]);
});

test('RFC 3263 4.1: SIPS takes TLS only', async () => {
  const server = await nameServer(ZONE);
  assert.deepEqual(text(await resolver(server).resolve({ host: 'example.com', secure: true })), [
    'tls 2001:db8::a 5071',
    'tls 192.0.2.1 5071',
  ]);
  assert.deepEqual(
    await resolver(server).resolve({ host: 'example.com', transport: 'udp', secure: true }),
    [],
  );
});

test('RFC 3263 4.1, 4.2: a literal address or a port skips NAPTR and SRV; a transport skips NAPTR', async () => {
  const server = await nameServer(ZONE);
  const it = resolver(server);
  assert.deepEqual(text(await it.resolve({ host: '192.0.2.9', secure: false })), ['udp 192.0.2.9 5060']);
  assert.deepEqual(text(await it.resolve({ host: '[2001:db8::9]', secure: true })), ['tls 2001:db8::9 5061']);
  assert.deepEqual(
    text(await it.resolve({ host: '192.0.2.9', port: 5099, transport: 'tcp', secure: false })),
    ['tcp 192.0.2.9 5099'],
  );
  assert.deepEqual(server.asked, []);
  assert.deepEqual(text(await it.resolve({ host: 'example.com', port: 5062, secure: false })), [
    'udp 192.0.2.99 5062',
  ]);
  assert.ok(!server.asked.some((question) => /NAPTR|SRV/.test(question)));
  assert.deepEqual(text(await it.resolve({ host: 'example.com', transport: 'udp', secure: false })), [
    'udp 192.0.2.3 5060',
  ]);
  assert.ok(!server.asked.some((question) => /NAPTR/.test(question)));
});

test('RFC 3263 4.1, 4.2: no NAPTR: SRV of the transports we speak; no SRV either: the host, UDP, 5060', async () => {
  const server = await nameServer(ZONE);
  const it = resolver(server);
  assert.deepEqual(text(await it.resolve({ host: 'srvonly.example', secure: false })), [
    'tcp 192.0.2.50 5099',
  ]);
  assert.deepEqual(text(await it.resolve({ host: 'plain.example', secure: false })), ['udp 192.0.2.50 5060']);
  assert.deepEqual(text(await it.resolve({ host: 'plain.example', secure: true })), ['tls 192.0.2.50 5061']);
  assert.deepEqual(await it.resolve({ host: 'missing.example', secure: false }), []);
});

test('the cache: asked once while the time to live lasts, also for names that do not exist, and by simultaneous callers', async () => {
  const server = await nameServer(ZONE);
  let now = 0;
  const it = resolver(server, { now: () => now });
  const ask = () => it.resolve({ host: 'brief.example', port: 5060, secure: false });
  await Promise.all([ask(), ask(), ask()]);
  assert.deepEqual(server.asked.sort(), ['A brief.example', 'AAAA brief.example']);
  now = 1999;
  await ask();
  assert.equal(server.asked.length, 2);
  now = 2001;
  await ask();
  assert.deepEqual(server.asked.slice(2), ['A brief.example']);
  await it.resolve({ host: 'missing.example', port: 1, secure: false });
  const asked = server.asked.length;
  await it.resolve({ host: 'MISSING.example', port: 1, secure: false });
  assert.equal(server.asked.length, asked);
});

test('a truncated answer is asked for again over TCP', async () => {
  const server = await nameServer(ZONE);
  server.trick = 'truncate';
  assert.deepEqual(await resolver(server).addresses('plain.example'), ['192.0.2.50']);
  assert.ok(server.asked.includes('tcp A plain.example'));
});

test('RFC 5452: wrong ids, questions and garbage are not believed; silence is asked twice, then given up', async () => {
  const server = await nameServer(ZONE);
  for (const trick of ['wrong-id', 'wrong-question', 'garbage', 'silent'] as const) {
    server.trick = trick;
    server.asked.length = 0;
    const started = Date.now();
    assert.deepEqual(await resolver(server).addresses('a.example.com'), [], trick);
    assert.equal(server.asked.filter((q) => q.startsWith('A ')).length, 2, trick);
    assert.ok(Date.now() - started < 8000);
  }
});

test('a server that fails or is not there: the next one is asked', async () => {
  const bad = await nameServer(ZONE);
  const good = await nameServer(ZONE);
  bad.trick = 'servfail';
  const servers = [{ ip: '127.0.0.1', port: 1 }, bad.address, good.address];
  assert.deepEqual(await resolver(good, { servers }).addresses('plain.example'), ['192.0.2.50']);
  assert.ok(bad.asked.length > 0);
});

test('records of other names in an answer are not taken', async () => {
  const server = await nameServer({
    'x.example': [{ type: 'CNAME', data: 'y.example' }],
    'y.example': [{ type: 'CNAME', data: 'x.example' }],
  });
  assert.deepEqual(await resolver(server).addresses('x.example'), []);
});

test('RFC 2782: the sole target "." means that the service is not there; the host itself is not tried', async () => {
  const server = await nameServer(ZONE);
  const targets = await resolver(server).resolve({ host: 'closed.example', transport: 'udp', secure: false });
  assert.deepEqual(targets, []);
});

test('/etc/hosts comes first and is read again when it changes; no DNS question for its names', async () => {
  const server = await nameServer(ZONE);
  const hostsFile = join(folder, 'hosts');
  writeFileSync(
    hostsFile,
    '# comment\n192.0.2.200\tpbx PBX.example.com # trailing\n2001:db8::200 pbx\nrubbish x\n',
  );
  const it = resolver(server, { hostsFile });
  assert.deepEqual(text(await it.resolve({ host: 'pbx', secure: false })), [
    'udp 192.0.2.200 5060',
    'udp 2001:db8::200 5060',
  ]);
  assert.deepEqual(await it.addresses('pbx.example.COM'), ['192.0.2.200']);
  assert.deepEqual(server.asked, []);
  writeFileSync(hostsFile, '192.0.2.201 pbx changed.example\n');
  assert.deepEqual(await it.addresses('pbx'), ['192.0.2.201']);
  assert.equal(parseHosts('').size, 0);
});

test('plain names that DNS does not know go to the system; odd names are not asked at all', async () => {
  const server = await nameServer(ZONE);
  const it = resolver(server, { systemFallback: true });
  assert.ok((await it.addresses('localhost')).some((ip) => ip === '127.0.0.1' || ip === '::1'));
  server.asked.length = 0;
  for (const odd of ['a b.example', 'x\u0000.example', `${'a'.repeat(64)}.example`, '', 'a..b.example']) {
    assert.deepEqual(await resolver(server).addresses(odd), [], odd);
  }
  assert.deepEqual(server.asked, []);
});
