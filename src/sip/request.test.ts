/** Our requests: forks, targets in turn, names, redirects, what they reveal. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IDLE, invite, Net, Node, type RawPeer, textOf } from './test-network.test.ts';
import { header, PEER, request, respond, stage, toTag } from './test-peer.test.ts';

test('forks: early dialogs by To tag; the first 2xx wins, others get ACK and BYE (13.2.2.4)', () => {
  const { net, gw, raw } = stage();
  gw.command(invite(2, 'raw'));
  net.run(10);
  const ours = raw.received[0]!.text;
  const contact = [`Contact: <sip:x@${PEER}>`];
  for (const [code, tag] of [
    [180, 'a'],
    [183, 'b'],
    [180, 'a'],
    [200, 'b'],
    [200, 'c'],
    [200, 'b'],
  ] as const) {
    net.send(raw, gw, respond(ours, code, tag, contact, code === 180 ? '' : `sdp ${tag}`));
    net.run(10);
  }
  assert.deepEqual(
    gw.seen('provisional').map((e) => [e.status, e.branch]),
    [
      [180, 1],
      [183, 2],
      [180, 1],
    ],
  );
  assert.deepEqual(
    gw.seen('answered').map((e) => [e.branch, textOf(e.body)]),
    [[2, 'sdp b']],
  );
  const sent = raw.received.slice(1).map((r) => `${r.text.slice(0, 3)} ${toTag(r.text)}`);
  assert.deepEqual(
    sent.filter((s) => s !== 'BYE c'),
    ['ACK b', 'ACK c', 'ACK b'],
  );
  assert.ok(sent.includes('BYE c'));
  gw.command({ kind: 'end', session: 2 });
  net.run();
  assert.equal(gw.seen('ended').length, 1);
  assert.deepEqual(gw.endpoint.sizes, IDLE);
});

test('a response counts only from where the request went (spoofed 200)', () => {
  const { net, gw, raw } = stage({
    peers: [
      { name: 'raw', host: PEER },
      { name: 'other', host: '192.0.2.10' },
    ],
  });
  gw.command(invite(2, 'raw'));
  net.run(10);
  net.send(net.peer('192.0.2.10'), gw, respond(raw.received[0]!.text, 200, 'evil', [], 'evil'));
  net.run(10);
  assert.equal(gw.seen('answered').length, 0);
  assert.equal(gw.counted('stray-response'), 1);
});

test('3xx tells where to, and nothing is followed by the endpoint', () => {
  const { net, gw, raw } = stage();
  raw.on = (text): void => {
    if (text.startsWith('INVITE'))
      net.send(raw, gw, respond(text, 302, 't', ['Contact: <sip:777@203.0.113.9>']));
  };
  gw.command(invite(2, 'raw'));
  net.run();
  assert.equal(gw.seen('ended')[0]?.redirect?.user, '777');
  assert.equal(raw.received.filter((r) => r.text.startsWith('ACK')).length, 1);
});

test('RFC 3263 4.3: the next target after 503, a timeout or an ICMP error; a 486 is final', () => {
  for (const trouble of ['503', 'silence', 'icmp', '486'] as const) {
    const net = new Net(5);
    const gw = new Node(net, {
      name: 'gw',
      ip: '192.0.2.1',
      peers: [{ name: 'trunk', host: 'trunk.example' }],
    });
    gw.names.set('trunk.example', [
      { transport: 'udp', address: { ip: '198.51.100.1', port: 5060 } },
      { transport: 'udp', address: { ip: '198.51.100.2', port: 5060 } },
    ]);
    const first = net.peer('198.51.100.1');
    const second = net.peer('198.51.100.2');
    first.on = (text): void => {
      if (!text.startsWith('INVITE')) return;
      if (trouble === '503' || trouble === '486') net.send(first, gw, respond(text, Number(trouble), 't'));
      if (trouble === 'icmp')
        net.at(1, () => gw.input({ kind: 'unreachable', listener: 'udp', remote: first.address }));
    };
    second.on = (text): void => {
      if (text.startsWith('INVITE'))
        net.send(second, gw, respond(text, 200, 't2', ['Contact: <sip:x@198.51.100.2>'], 'sdp'));
    };
    gw.command(invite(2, 'trunk'));
    net.run(40_000);
    assert.equal(gw.seen('answered').length, trouble === '486' ? 0 : 1, trouble);
    const branches = [...first.received, ...second.received]
      .filter((r) => r.text.startsWith('INVITE'))
      .map((r) => /branch=(\w+)/.exec(r.text)?.[1]);
    if (trouble === '503') assert.equal(new Set(branches).size, 2, 'a new branch for each target');
  }
});

test('a name that resolves to another address each time: calls and requests at the address before are still the peer’s, for an hour', () => {
  const { net, gw } = stage({ peers: [{ name: 'trunk', host: 'trunk.example' }] });
  const [first, second] = ['198.51.100.1', '198.51.100.2'].map((ip) => net.peer(ip)) as [RawPeer, RawPeer];
  for (const there of [first, second]) {
    there.on = (text): void => {
      if (text.startsWith('INVITE'))
        net.send(there, gw, respond(text, 200, 't', [`Contact: <sip:x@${there.address.ip}>`], 'sdp'));
    };
  }
  const resolvesTo = (there: RawPeer): void =>
    void gw.names.set('trunk.example', [{ transport: 'udp', address: there.address }]);
  resolvesTo(first);
  gw.command(invite(2, 'trunk'));
  net.run(1000);
  resolvesTo(second);
  gw.command(invite(4, 'trunk'));
  net.run(1000);
  assert.equal(gw.seen('answered').length, 2);
  const asked = first.received.find(({ text }) => text.startsWith('INVITE'))!.text;
  const callId = header(asked, 'Call-ID')!;
  const to = /tag=(\w+)/.exec(header(asked, 'From')!)![1]!;
  net.send(first, gw, request('BYE', { callId, from: 't', to }));
  net.run(1000);
  assert.deepEqual(
    gw.seen('ended').map((e) => [e.session, e.by]),
    [[2, 'far-end']],
  );
  net.run(3_600_000);
  const before = gw.counted('unknown-source');
  net.send(first, gw, request('OPTIONS'));
  net.send(second, gw, request('OPTIONS'));
  net.run(1000);
  assert.equal(gw.counted('unknown-source'), before + 1);
});

test('a peer that is given another host is not believed to be where it was', () => {
  const { net, gw } = stage({ peers: [{ name: 'trunk', host: 'trunk.example' }] });
  const there = net.peer('198.51.100.1') as RawPeer;
  gw.names.set('trunk.example', [{ transport: 'udp', address: there.address }]);
  gw.command(invite(2, 'trunk'));
  net.run(1000);
  const strangers = (): number => {
    const before = gw.counted('unknown-source');
    net.send(there, gw, request('OPTIONS'));
    net.run(100);
    return gw.counted('unknown-source') - before;
  };
  assert.equal(strangers(), 0);
  const peers = [{ name: 'trunk', host: '203.0.113.9', probeEveryMs: 0 }];
  gw.command({ kind: 'configure', listeners: gw.listeners, peers });
  assert.equal(strangers(), 1);
});

test('a name that does not resolve ends the call with 503', () => {
  const { net, gw } = stage({ peers: [{ name: 'trunk', host: 'nowhere.example' }] });
  gw.command(invite(2, 'trunk'));
  net.run();
  assert.deepEqual(gw.seen('ended'), [{ kind: 'ended', session: 2, by: 'transport', status: 503 }]);
  assert.deepEqual(gw.endpoint.sizes, IDLE);
});

test('headers of ours have constant shape and carry nothing of the other side (topology hiding)', () => {
  const { net, gw, raw } = stage();
  gw.command(
    invite(2, 'raw', {
      parties: {
        from: { user: '+4930123', displayName: 'Evil"\r\nX-Injected: 1', anonymous: false },
        to: { user: '2 0\r\n0' },
        asserted: '+4930999',
        diversion: { user: '555', reason: 'no-answer' },
      },
      hops: 12,
      priority: true,
    }),
  );
  gw.command(invite(4, 'raw', { parties: { from: { user: '1', anonymous: true }, to: { user: '2' } } }));
  net.run(10);
  const [first, second] = raw.received.map((r) => r.text) as [string, string];
  assert.ok(!/^X-Injected/m.test(first));
  assert.match(first, /^INVITE sip:2%200%0D%0A0@192\.0\.2\.9 SIP/);
  assert.match(header(first, 'Call-ID')!, /^[0-9a-f]{32}$/);
  assert.match(header(first, 'Via')!, /^SIP\/2\.0\/UDP 192\.0\.2\.1:5060;branch=z9hG4bK[0-9a-f]{24};rport$/);
  assert.equal(header(first, 'Max-Forwards'), '12');
  assert.equal(header(first, 'P-Asserted-Identity'), '<sip:+4930999@192.0.2.1>');
  assert.equal(header(first, 'Priority'), 'emergency');
  assert.match(header(second, 'From')!, /^"Anonymous" <sip:anonymous@anonymous\.invalid>;tag=[0-9a-f]{16}$/);
  assert.equal(header(second, 'Privacy'), 'id');
});
