/** Whole calls between two endpoints over a virtual network. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SipEvent } from '../contract.ts';
import { IDLE, invite, type Node, pair, sdp, textOf } from '../test-network.test.ts';

/** Answers every incoming call: 180, then 200 with `body`. */
export function answering(body: string | undefined = 'answer') {
  return (event: SipEvent, node: Node): void => {
    if (event.kind !== 'incoming') return;
    node.command({ kind: 'provisional', session: event.session, status: 180 });
    node.command({
      kind: 'accept',
      session: event.session,
      ...(body === undefined ? {} : { body: sdp(body) }),
    });
  };
}

test('a call: INVITE, 100, 180, 200, ACK, BYE; one ended each, nothing left (RFC 3261 13, 15)', () => {
  const { net, alice, bob } = pair();
  bob.on = answering();
  alice.command(invite(2, 'bob'));
  net.run(1000);
  const [incoming] = bob.seen('incoming');
  assert.equal(textOf(incoming?.body), 'offer');
  assert.equal(incoming?.peer, 'alice');
  assert.equal(incoming?.request.uri.user, '200');
  assert.equal(incoming?.request.from.uri.user, '100');
  assert.deepEqual(
    alice.seen('provisional').map((e) => [e.status, e.branch]),
    [[180, 1]],
  );
  const [answered] = alice.seen('answered');
  assert.equal(textOf(answered?.body), 'answer');
  assert.equal(answered?.needsAck, false);
  assert.equal(bob.seen('acknowledged').length, 1);
  alice.command({ kind: 'end', session: 2, q850: 16 });
  net.run();
  assert.deepEqual(alice.seen('ended'), [{ kind: 'ended', session: 2, by: 'local', status: 0, q850: 16 }]);
  assert.deepEqual(bob.seen('ended'), [{ kind: 'ended', session: 1, by: 'far-end', status: 0, q850: 16 }]);
  assert.deepEqual(alice.endpoint.sizes, IDLE);
  assert.deepEqual(bob.endpoint.sizes, IDLE);
});

test('late offer: the offer comes in the 200, the answer goes in the ACK (RFC 3261 13.2.1)', () => {
  const { net, alice, bob } = pair();
  bob.on = answering('late offer');
  alice.on = (event): void => {
    if (event.kind === 'answered')
      alice.command({ kind: 'acknowledge', session: 2, body: sdp('late answer') });
  };
  const { body: _, ...late } = invite(2, 'bob') as Extract<ReturnType<typeof invite>, { kind: 'invite' }>;
  alice.command(late);
  net.run(1000);
  assert.equal(alice.seen('answered')[0]?.needsAck, true);
  assert.equal(textOf(alice.seen('answered')[0]?.body), 'late offer');
  assert.equal(textOf(bob.seen('acknowledged')[0]?.body), 'late answer');
});

test('CANCEL after 180: 487, 200 to CANCEL, ended on both sides (RFC 3261 9)', () => {
  const { net, alice, bob } = pair();
  bob.on = (event): void => {
    if (event.kind === 'incoming') bob.command({ kind: 'provisional', session: event.session, status: 180 });
  };
  alice.command(invite(2, 'bob'));
  net.run(1000);
  alice.command({ kind: 'end', session: 2 });
  net.run();
  assert.equal(bob.count('in', 'CANCEL'), 1);
  assert.equal(alice.count('in', 'SIP/2.0 487'), 1);
  assert.equal(bob.seen('ended')[0]?.by, 'far-end');
  assert.equal(alice.seen('ended').length, 1);
  assert.deepEqual(alice.endpoint.sizes, IDLE);
  assert.deepEqual(bob.endpoint.sizes, IDLE);
});

test('CANCEL waits for a provisional response (9.1), and INVITE is not cancelled twice', () => {
  const { net, alice, bob } = pair();
  net.drop = (text, from) => text.startsWith('SIP/2.0 100') && from.ip === bob.ip && net.now < 1900;
  alice.command(invite(2, 'bob'));
  alice.command({ kind: 'end', session: 2 });
  net.run(800);
  assert.equal(alice.count('out', 'CANCEL'), 0);
  net.run();
  assert.equal(alice.count('out', 'CANCEL'), 1);
  assert.equal(bob.seen('ended').length, 1);
  assert.deepEqual(alice.endpoint.sizes, IDLE);
});

test('CANCEL crosses the 200: the 200 is acknowledged, then BYE (13.3, 15)', () => {
  const { net, alice, bob } = pair();
  bob.on = (event): void => {
    if (event.kind !== 'incoming') return;
    bob.command({ kind: 'provisional', session: event.session, status: 180 });
    net.at(100, () => bob.command({ kind: 'accept', session: event.session, body: sdp('answer') }));
  };
  alice.command(invite(2, 'bob'));
  // The 200 leaves bob at 100 ms and needs 5 ms; alice gives up in between.
  net.at(107, () => alice.command({ kind: 'end', session: 2 }));
  net.run();
  assert.equal(alice.count('out', 'CANCEL'), 1);
  assert.equal(alice.count('out', 'ACK'), 1);
  assert.equal(alice.count('out', 'BYE'), 1);
  assert.equal(alice.seen('answered').length, 0);
  assert.deepEqual(
    alice.seen('ended').map((e) => e.by),
    ['local'],
  );
  assert.deepEqual(
    bob.seen('ended').map((e) => e.by),
    ['far-end'],
  );
  assert.deepEqual(alice.endpoint.sizes, IDLE);
  assert.deepEqual(bob.endpoint.sizes, IDLE);
});

test('a 200 is repeated until its ACK; a repeated 200 gets the same ACK again (13.2.2.4, 13.3.1.4)', () => {
  const { net, alice, bob } = pair();
  bob.on = answering();
  let lost = 0;
  net.drop = (text): boolean => text.startsWith('ACK') && lost++ < 3;
  alice.command(invite(2, 'bob'));
  net.run(10_000);
  assert.equal(alice.count('out', 'ACK'), 4);
  assert.equal(bob.seen('acknowledged').length, 1);
  assert.equal(alice.seen('answered').length, 1);
});

test('no ACK for 64*T1: BYE, ended by timeout (13.3.1.4)', () => {
  const { net, alice, bob } = pair();
  bob.on = answering();
  net.drop = (text): boolean => text.startsWith('ACK');
  alice.command(invite(2, 'bob'));
  net.run();
  assert.equal(bob.count('out', 'BYE'), 1);
  assert.equal(bob.seen('ended')[0]?.by, 'timeout');
  assert.equal(alice.seen('ended')[0]?.by, 'far-end');
  assert.deepEqual(bob.endpoint.sizes, IDLE);
});

test('the callee ends before the ACK is here: BYE waits for it (15)', () => {
  const { net, alice, bob } = pair();
  bob.on = (event, node): void => {
    answering()(event, node);
    if (event.kind === 'incoming') node.command({ kind: 'end', session: event.session });
  };
  let lost = 0;
  net.drop = (text): boolean => text.startsWith('ACK') && lost++ < 1;
  alice.command(invite(2, 'bob'));
  net.run();
  const lines = bob.lines.map((l) => l.replace(/^\d+ /, ''));
  const ack = lines.findIndex((l) => l.startsWith('in udp ACK'));
  const bye = lines.findIndex((l) => l.startsWith('out udp BYE'));
  assert.ok(ack >= 0 && ack < bye);
  assert.deepEqual(
    bob.seen('ended').map((e) => e.by),
    ['local'],
  );
  assert.equal(bob.seen('acknowledged').length, 0, 'nothing after ended');
  assert.deepEqual(bob.endpoint.sizes, IDLE);
});

test('failure responses carry status, Retry-After and Q.850 cause to the caller', () => {
  const { net, alice, bob } = pair();
  bob.on = (event): void => {
    if (event.kind !== 'incoming') return;
    bob.command({ kind: 'reject', session: event.session, status: 503, retryAfterSeconds: 7, q850: 42 });
  };
  alice.command(invite(2, 'bob'));
  net.run();
  assert.deepEqual(alice.seen('ended'), [
    { kind: 'ended', session: 2, by: 'far-end', status: 503, retryAfterSeconds: 7, q850: 42 },
  ]);
  assert.deepEqual(bob.seen('ended'), [{ kind: 'ended', session: 1, by: 'local', status: 503, q850: 42 }]);
  assert.deepEqual(bob.endpoint.sizes, IDLE);
});

test('nobody answers the INVITE: ended by timeout with 408 after 32 s (8.1.3.1)', () => {
  const { net, alice } = pair();
  net.drop = () => true;
  alice.command(invite(2, 'bob'));
  const before = net.now;
  net.run();
  assert.deepEqual(alice.seen('ended'), [{ kind: 'ended', session: 2, by: 'timeout', status: 408 }]);
  assert.equal(net.now - before, 32_000);
  assert.deepEqual(alice.endpoint.sizes, IDLE);
});

test('a call that nobody picks up is cancelled after five minutes, on either side', () => {
  const { net, alice, bob } = pair();
  bob.on = (event): void => {
    if (event.kind === 'incoming') bob.command({ kind: 'provisional', session: event.session, status: 180 });
  };
  alice.command(invite(2, 'bob'));
  net.run();
  assert.equal(alice.seen('ended')[0]?.by, 'timeout');
  assert.ok(bob.count('out', 'SIP/2.0 180') >= 1);
  assert.equal(bob.seen('ended').length, 1);
  assert.deepEqual(alice.endpoint.sizes, IDLE);
  assert.deepEqual(bob.endpoint.sizes, IDLE);
});

/** An established call; bob's session is 1, alice's 2. */
function established(seed = 1) {
  const made = pair(seed);
  made.bob.on = answering();
  made.alice.command(invite(2, 'bob'));
  made.net.run(1000);
  assert.equal(made.bob.seen('acknowledged').length, 1);
  return made;
}

test('re-INVITE both ways: modify, modify-accept, modify-accepted (RFC 3261 14)', () => {
  const { net, alice, bob } = established();
  for (const [from, to, ours, theirs] of [
    [alice, bob, 2, 1],
    [bob, alice, 1, 2],
  ] as const) {
    to.on = (event): void => {
      if (event.kind !== 'modify') return;
      assert.equal(textOf(event.body), 'hold');
      to.command({ kind: 'modify-accept', session: theirs, body: sdp('held') });
    };
    from.command({ kind: 'reinvite', session: ours, body: sdp('hold') });
    net.run(1000);
    assert.deepEqual(
      from.seen('modify-accepted').map((e) => [e.session, e.needsAck, textOf(e.body)]),
      [[ours, false, 'held']],
    );
    assert.equal(to.seen('modify').length, 1);
  }
});

test('re-INVITE without a body asks for an offer; the answer goes in the ACK (14.1)', () => {
  const { net, alice, bob } = established();
  bob.on = (event): void => {
    if (event.kind === 'modify') bob.command({ kind: 'modify-accept', session: 1, body: sdp('their offer') });
  };
  alice.on = (event): void => {
    if (event.kind === 'modify-accepted' && event.needsAck) {
      alice.command({ kind: 'acknowledge', session: 2, body: sdp('our answer') });
    }
  };
  alice.command({ kind: 'reinvite', session: 2 });
  net.run(1000);
  assert.equal(textOf(bob.seen('acknowledged')[1]?.body), 'our answer');
});

test('a refused re-INVITE leaves the call as it was (14.1)', () => {
  const { net, alice, bob } = established();
  bob.on = (event): void => {
    if (event.kind === 'modify') bob.command({ kind: 'modify-refuse', session: 1, status: 488 });
  };
  alice.command({ kind: 'reinvite', session: 2, body: sdp('video') });
  net.run(60_000);
  assert.deepEqual(alice.seen('modify-refused'), [
    { kind: 'modify-refused', session: 2, status: 488, glare: false },
  ]);
  assert.equal(alice.seen('ended').length, 0);
});

test('glare: both re-INVITE at once, both get 491, the owner of the Call-ID waits longer (14.1, 14.2)', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { net, alice, bob } = established(seed);
    for (const [node, session] of [
      [alice, 2],
      [bob, 1],
    ] as const) {
      node.on = (event): void => {
        if (event.kind === 'modify') node.command({ kind: 'modify-accept', session, body: sdp('fine') });
      };
    }
    alice.command({ kind: 'reinvite', session: 2, body: sdp('a') });
    bob.command({ kind: 'reinvite', session: 1, body: sdp('b') });
    net.run(20_000);
    assert.equal(alice.count('in', 'SIP/2.0 491'), 1);
    assert.equal(bob.count('in', 'SIP/2.0 491'), 1);
    // Bob retries within 2 s, alice not before 2.1 s: bob's goes through and alice hears of glare.
    assert.equal(bob.seen('modify-accepted').length, 1);
    assert.deepEqual(
      alice.seen('modify-refused').map((e) => [e.status, e.glare]),
      [[491, true]],
    );
  }
});

test('nobody answers a re-INVITE: 408 ends the call with BYE (12.2.1.2)', () => {
  const { net, alice } = established();
  net.drop = (text) => text.startsWith('INVITE');
  alice.command({ kind: 'reinvite', session: 2, body: sdp('x') });
  net.run();
  assert.deepEqual(
    alice.seen('ended').map((e) => [e.by, e.status]),
    [['timeout', 408]],
  );
  assert.equal(alice.count('out', 'BYE'), 1);
  assert.deepEqual(alice.endpoint.sizes, IDLE);
});

test('a re-INVITE before the ACK of our own 200 waits for it (14.1)', () => {
  const { net, alice, bob } = pair();
  bob.on = (event, node): void => {
    answering()(event, node);
    if (event.kind === 'incoming')
      node.command({ kind: 'reinvite', session: event.session, body: sdp('b2') });
  };
  alice.on = (event): void => {
    if (event.kind === 'modify') alice.command({ kind: 'modify-accept', session: 2, body: sdp('a2') });
  };
  alice.command(invite(2, 'bob'));
  net.run(5000);
  assert.equal(bob.seen('modify-accepted').length, 1);
  const order = bob.lines.filter((l) => / in udp ACK| out udp INVITE/.test(l)).map((l) => l.split(' ')[3]);
  assert.deepEqual(order.slice(0, 2), ['ACK', 'INVITE']);
});

test('DTMF in INFO arrives as digit and duration', () => {
  const { net, alice, bob } = established();
  alice.command({ kind: 'info-dtmf', session: 2, digit: '#', durationMs: 200 });
  bob.command({ kind: 'info-dtmf', session: 1, digit: '5', durationMs: 90 });
  net.run(1000);
  assert.deepEqual(bob.seen('info-dtmf'), [{ kind: 'info-dtmf', session: 1, digit: '#', durationMs: 200 }]);
  assert.deepEqual(alice.seen('info-dtmf'), [{ kind: 'info-dtmf', session: 2, digit: '5', durationMs: 90 }]);
});

test('BYE crosses BYE: both answered 200, one ended each', () => {
  const { net, alice, bob } = established();
  alice.command({ kind: 'end', session: 2 });
  bob.command({ kind: 'end', session: 1 });
  net.run();
  assert.deepEqual(
    alice.seen('ended').map((e) => e.by),
    ['local'],
  );
  assert.deepEqual(
    bob.seen('ended').map((e) => e.by),
    ['local'],
  );
  assert.equal(alice.count('in', 'SIP/2.0 200 \\(CSeq \\d+ BYE'), 1);
  assert.deepEqual(alice.endpoint.sizes, IDLE);
  assert.deepEqual(bob.endpoint.sizes, IDLE);
});

test('draining: new INVITEs get 503 with Retry-After, calls in progress go on', () => {
  const { net, alice, bob } = established();
  bob.command({ kind: 'drain', retryAfterSeconds: 30 });
  alice.command(invite(4, 'bob'));
  bob.command(invite(6, 'alice'));
  net.run(5000);
  assert.deepEqual(
    alice.seen('ended').map((e) => [e.session, e.status, e.retryAfterSeconds]),
    [[4, 503, 30]],
  );
  assert.deepEqual(
    bob.seen('ended').map((e) => [e.session, e.status]),
    [[6, 503]],
  );
  bob.command({ kind: 'end', session: 1 });
  net.run();
  assert.deepEqual(
    alice.seen('ended').map((e) => e.session),
    [4, 2],
  );
});

test('at the cap of sessions an INVITE gets 503 and is counted', () => {
  const { net, alice, bob } = pair(1, { bob: { limits: { sessions: 1 } } });
  bob.on = answering();
  alice.command(invite(2, 'bob'));
  net.run(500);
  alice.command(invite(4, 'bob'));
  net.run(500);
  assert.deepEqual(
    alice.seen('ended').map((e) => [e.session, e.status]),
    [[4, 503]],
  );
  assert.equal(bob.counted('sessions'), 1);
});

test('over TCP: one connection is opened, reused for the whole call, nothing is repeated but the 2xx rule', () => {
  const tcp = { transports: ['tcp'] as const };
  const { net, alice, bob } = pair(1, {
    alice: { ...tcp, peers: [{ name: 'bob', host: '192.0.2.2', transport: 'tcp' }] },
    bob: { ...tcp, peers: [{ name: 'alice', host: '192.0.2.1', transport: 'tcp' }] },
  });
  bob.on = answering();
  alice.command(invite(2, 'bob'));
  net.run(5000);
  bob.command({ kind: 'end', session: 1 });
  net.run(60_000);
  assert.equal(alice.seen('ended')[0]?.by, 'far-end');
  assert.deepEqual(alice.endpoint.sizes, { ...IDLE, connections: 1 });
  assert.deepEqual(bob.endpoint.sizes, { ...IDLE, connections: 1 });
  net.run();
  assert.deepEqual(alice.endpoint.sizes, IDLE, 'idle connections are closed');
});

test('a connection lost in an established call: the next request opens another one', () => {
  const tcp = { transports: ['tcp'] as const };
  const { net, alice, bob } = pair(1, {
    alice: { ...tcp, peers: [{ name: 'bob', host: '192.0.2.2', transport: 'tcp' }] },
    bob: { ...tcp, peers: [{ name: 'alice', host: '192.0.2.1', transport: 'tcp' }] },
  });
  bob.on = answering();
  alice.command(invite(2, 'bob'));
  net.run(5000);
  net.cutStreams();
  bob.command({ kind: 'end', session: 1 });
  net.run(60_000);
  assert.equal(alice.seen('ended')[0]?.by, 'far-end');
  assert.equal(bob.endpoint.sizes.sessions, 0);
});

test('a request above 1300 octets goes over TCP, and over UDP where TCP is refused (18.1.1)', () => {
  const both = { transports: ['udp', 'tcp'] as const };
  for (const refused of [false, true]) {
    const { net, alice, bob } = pair(1, { alice: both, bob: both });
    if (refused) net.tcpRefused.add('192.0.2.2:5060');
    bob.on = answering();
    alice.command(invite(2, 'bob', { body: sdp('x'.repeat(1300)) }));
    net.run(5000);
    assert.equal(bob.seen('incoming')[0]?.flow.kind, refused ? 'datagram' : 'stream');
    assert.equal(alice.seen('answered').length, 1);
    alice.command({ kind: 'end', session: 2 });
    net.run();
    assert.deepEqual(alice.endpoint.sizes, IDLE);
  }
});

test('TCP that never answers is given up after 4 s for UDP (18.1.1), and remembered', () => {
  const both = { transports: ['udp', 'tcp'] as const };
  const { net, alice, bob } = pair(1, { alice: both, bob: both });
  net.tcpSilent.add('192.0.2.2:5060');
  bob.on = answering();
  alice.command(invite(2, 'bob', { body: sdp('x'.repeat(1300)) }));
  net.run(3900);
  assert.equal(alice.seen('answered').length, 0);
  net.run(200);
  assert.equal(alice.seen('answered').length, 1);
  alice.command(invite(4, 'bob', { body: sdp('x'.repeat(1300)) }));
  net.run(100);
  assert.equal(alice.seen('answered').length, 2);
});

test('a re-INVITE that gets 100 and then nothing ends the call after 64 s: every wait has a deadline', () => {
  const { net, alice, bob } = established();
  bob.on = () => undefined;
  net.drop = (text, from) => from.ip === bob.ip && !text.startsWith('SIP/2.0 100');
  alice.command({ kind: 'reinvite', session: 2, body: sdp('x') });
  net.run(63_000);
  assert.equal(alice.seen('ended').length, 0);
  net.drop = () => false;
  net.run();
  assert.deepEqual(
    alice.seen('ended').map((e) => [e.by, e.status]),
    [['timeout', 408]],
  );
  assert.deepEqual(alice.endpoint.sizes, IDLE);
  assert.deepEqual(bob.endpoint.sizes, IDLE);
});

test('hanging up while our own re-INVITE is under way leaves nothing, whatever of it is lost', () => {
  for (let n = 0; n < 8; n++) {
    const { net, alice, bob } = established();
    bob.on = (event): void => {
      if (event.kind === 'modify') bob.command({ kind: 'modify-accept', session: 1, body: sdp('fine') });
    };
    let lost = 0;
    net.drop = (text) => /^SIP\/2\.0 200[\s\S]*CSeq: \d+ INVITE/.test(text) && lost++ < n;
    alice.command({ kind: 'reinvite', session: 2, body: sdp('x') });
    net.run(20);
    alice.command({ kind: 'end', session: 2 });
    net.run();
    assert.deepEqual(alice.endpoint.sizes, IDLE);
    assert.deepEqual(bob.endpoint.sizes, IDLE);
  }
});
