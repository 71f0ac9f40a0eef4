/** Connections, flows and where messages go (RFC 3261 18). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { latin1Bytes, latin1Text } from '../bytes/text.ts';
import type { SipOutput } from './contract.ts';
import { invite, Net, Node, sdp } from './test-network.test.ts';
import { header, PEER, request, respond, stage } from './test-peer.test.ts';

test('answers go to the source: its port with rport, else the port of sent-by; never maddr (18.2.2, RFC 3581)', () => {
  const { net, gw } = stage();
  const nat = net.peer(PEER, 33_333);
  const home = net.peer(PEER, 5060);
  net.send(nat, gw, request('OPTIONS'));
  net.run(10);
  assert.equal(nat.received.length, 1);
  assert.match(header(nat.received[0]!.text, 'Via')!, /rport=33333/);
  net.send(
    nat,
    gw,
    request('OPTIONS', { via: 'Via: SIP/2.0/UDP 203.0.113.99:5060;maddr=203.0.113.99;branch=z9hG4bKm' }),
  );
  net.run(10);
  assert.equal(home.received.length, 1);
  assert.match(header(home.received[0]!.text, 'Via')!, /received=192\.0\.2\.9/);
});

test('stream limits: per source, no message, half a message, idle; unknown sources are closed at once', () => {
  const { net, gw } = stage({ transports: ['tcp'], limits: { connectionsPerSource: 2, connections: 3 } });
  const closed: string[] = [];
  const carry = net.carry.bind(net);
  net.carry = (node, out): void => {
    if (out.kind === 'close-stream') closed.push(`${out.connection} ${out.reason}`);
    carry(node, out);
  };
  const open = (connection: number, ip: string): void =>
    gw.input({
      kind: 'stream-open',
      connection,
      listener: 'tcp',
      transport: 'tcp',
      local: { ip: gw.ip, port: 5060 },
      remote: { ip, port: 1000 + connection },
      certificateNames: [],
    });
  const data = (connection: number, text: string): void =>
    gw.input({ kind: 'stream-data', connection, bytes: Uint8Array.from(text, (c) => c.charCodeAt(0)) });
  for (const ref of [1, 3, 5]) open(ref, PEER);
  open(7, '203.0.113.5');
  assert.deepEqual(closed.splice(0), ['5 connections-per-source', '7 unknown-source']);
  data(3, 'OPTIONS sip:x');
  for (let i = 0; i < 20; i++) {
    net.run(1000);
    if (i < 9) data(3, 'x'); // a slow writer does not move the limit
  }
  assert.deepEqual(closed.splice(0).sort(), ['1 header-timeout', '3 header-timeout']);
  open(9, PEER);
  data(9, request('OPTIONS', { via: `Via: SIP/2.0/TCP ${PEER};branch=z9hG4bKt` }));
  net.run(500_000);
  assert.deepEqual(closed, []);
  net.run();
  assert.deepEqual(closed, ['9 idle']);
  assert.equal(gw.endpoint.sizes.connections, 0);
});

test('IPv6 over TLS: Via and Contact say so, the name to verify goes with the connection (RFC 5118, RFC 3261 26)', () => {
  const net = new Net(9);
  const gw = new Node(net, {
    name: 'gw',
    ip: '2001:db8::1',
    transports: ['udp', 'tls'],
    peers: [{ name: 'trunk', host: 'trunk.example', transport: 'tls' }],
  });
  gw.names.set('trunk.example', [{ transport: 'tls', address: { ip: '2001:db8::2', port: 5061 } }]);
  const trunk = new Node(net, {
    name: 'trunk',
    ip: '2001:db8::2',
    transports: ['tls'],
    peers: [{ name: 'gw', host: '2001:db8::1', transport: 'tls' }],
  });
  const opened: unknown[] = [];
  const carry = net.carry.bind(net);
  net.carry = (node, out): void => {
    if (out.kind === 'open-stream') opened.push(out.serverName);
    carry(node, out);
  };
  trunk.on = (event): void => {
    if (event.kind === 'incoming')
      trunk.command({ kind: 'accept', session: event.session, body: sdp('answer') });
  };
  gw.command(invite(2, 'trunk'));
  net.run(2000);
  assert.deepEqual(opened, ['trunk.example']);
  const [incoming] = trunk.seen('incoming');
  assert.deepEqual(
    incoming?.request.vias.map((v) => [v.transport, v.host, v.port]),
    [['TLS', '2001:db8::1', 5061]],
  );
  assert.equal(
    incoming?.request.headers.find((h) => h.name === 'Contact')?.value,
    '<sip:[2001:db8::1]:5061;transport=tls>',
  );
  assert.equal(gw.seen('answered').length, 1);
  trunk.command({ kind: 'end', session: 1 });
  net.run(2000);
  assert.equal(gw.seen('ended')[0]?.by, 'far-end');
  assert.equal(opened.length, 1, 'one connection for the whole call, both ways');
});

test('a registered phone is called over the flow it registered from, and nowhere else', () => {
  const { net, gw } = stage({
    peers: [{ name: 'phones', host: '', boundToSource: true }],
    sources: { '203.0.113.5': 'phones' },
  });
  const phone = net.peer('203.0.113.5', 41_000);
  net.send(phone, gw, request('REGISTER'));
  net.run(10);
  const flow = gw.seen('request')[0]!.flow;
  const uri = {
    scheme: 'sip',
    user: 'p7',
    host: '10.0.0.7',
    port: 5062,
    parameters: new Map(),
    headers: '',
  } as const;
  gw.command(invite(2, 'phones', { target: { uri, flow } }));
  net.run(10);
  assert.match(phone.received.at(-1)!.text, /^INVITE sip:p7@10\.0\.0\.7:5062 /);
  // Its Contact is a private address: ACK and BYE go where the 200 came from.
  net.send(
    phone,
    gw,
    respond(phone.received.at(-1)!.text, 200, 't', ['Contact: <sip:p7@10.0.0.7:5062>'], 'sdp'),
  );
  net.run(10);
  assert.match(phone.received.at(-1)!.text, /^ACK sip:p7@10\.0\.0\.7:5062 /);
  gw.command(invite(4, 'phones', { target: { uri, flow: { kind: 'stream', connection: 77 } } }));
  assert.deepEqual(
    gw.seen('ended').map((e) => [e.session, e.status]),
    [[4, 503]],
  );
});

/** An INVITE over an accepted connection that is lost while it rings; what the endpoint then does to answer it. */
function lostWhileRinging(options: Parameters<typeof stage>[0], answerable: boolean) {
  const { net, gw } = stage({ transports: ['tcp'], ...options });
  const out: SipOutput[] = [];
  net.carry = (_node, output): void => {
    out.push(output);
  };
  const remote = { ip: PEER, port: 40_001 };
  const local = { ip: '192.0.2.1', port: 5060 };
  gw.input({
    kind: 'stream-open',
    connection: 1,
    listener: 'tcp',
    transport: 'tcp',
    local,
    remote,
    certificateNames: [],
  });
  const text = request('INVITE', { via: `Via: SIP/2.0/TCP ${PEER}:5070;branch=z9hG4bKlost`, body: 'offer' });
  gw.input({ kind: 'stream-data', connection: 1, bytes: latin1Bytes(text) });
  assert.equal(gw.seen('incoming').length, 1);
  out.length = 0;
  gw.input({ kind: 'stream-closed', connection: 1, reason: 'reset' });
  const opened = out.find((o) => o.kind === 'open-stream');
  if (opened !== undefined && answerable)
    gw.input({
      kind: 'stream-open',
      connection: opened.connection,
      listener: 'tcp',
      transport: 'tcp',
      local,
      remote: opened.remote,
      certificateNames: [],
    });
  else if (opened !== undefined)
    gw.input({ kind: 'stream-closed', connection: opened.connection, reason: 'refused' });
  return { net, gw, out, opened };
}

test('a response whose connection is gone opens one to the sender, at the port of its sent-by (18.2.2)', () => {
  const { gw, out, opened, net } = lostWhileRinging({}, true);
  assert.deepEqual(opened?.remote, { ip: PEER, port: 5070 });
  gw.command({ kind: 'accept', session: 1, body: sdp('answer') });
  const sent = out.find((o) => o.kind === 'send-stream');
  assert.match(latin1Text(sent!.bytes), /^SIP\/2\.0 200 /);
  assert.equal(gw.seen('ended').length, 0);
  gw.command({ kind: 'end', session: 1 });
  net.run(100_000);
  assert.equal(gw.endpoint.sizes.transactions, 0);
});

test('where the sender cannot be reached either, the call is over at once: nobody rings for a caller that is gone (ES2018-04)', () => {
  const { gw, net } = lostWhileRinging({}, false);
  assert.deepEqual(
    gw.seen('ended').map((e) => e.by),
    ['transport'],
  );
  net.run(100_000);
  assert.equal(gw.seen('ended').length, 1);
  assert.equal(gw.endpoint.sizes.transactions, 0);
});

test('a stranger is not dialled: with the connection its call is over (reflection)', () => {
  const stranger = {
    peers: [{ name: 'users', host: '', boundToSource: true }],
    sources: { [PEER]: 'users' },
  };
  const { gw, opened, net } = lostWhileRinging(stranger, true);
  assert.equal(opened, undefined);
  assert.deepEqual(
    gw.seen('ended').map((e) => e.by),
    ['transport'],
  );
  net.run(100_000);
  assert.equal(gw.endpoint.sizes.transactions, 0);
});
