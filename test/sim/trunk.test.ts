import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StatusView } from '../../src/gateway/contract.ts';
import { finish } from './check.ts';
import { peer, route, terminationConfig } from './sim-config.ts';
import { ADDRESSES, World } from './world.ts';

const TRUNK = { ip: '203.0.113.9', port: 5060 };

/** A trunk provider's registrar, by hand. It answers what `status` says and keeps the requests. */
function provider(options: { readonly silent?: boolean } = {}) {
  const registers: string[] = [];
  const base = terminationConfig();
  const trunk = peer('trunk', TRUNK.ip, {
    credentials: { username: '49301234', password: 'secret-word', realm: 'provider' },
    register: true,
    registerSeconds: 300,
  });
  const world = new World({
    termination: {
      peers: [...base.peers, trunk],
      routes: [route('in', 'peers', '*', 'tunnel:site-a'), route('out', 'tunnel', '*', 'peer:trunk')],
    },
  });
  const field = (text: string, name: string): string =>
    new RegExp(`^${name}: (.*)\r$`, 'm').exec(text)?.[1] ?? '';
  const received: string[] = [];
  const reply = (text: string, line: string, ...more: string[]): void => {
    const to = field(text, 'To');
    const headers = ['Via', 'From', 'Call-ID', 'CSeq'].map((name) => `${name}: ${field(text, name)}`);
    const all = [
      `SIP/2.0 ${line}`,
      ...headers,
      `To: ${to.includes(';tag=') ? to : `${to};tag=provider77`}`,
      ...more,
    ];
    world.text(TRUNK, ADDRESSES.gw2, `${all.join('\r\n')}\r\nContent-Length: 0\r\n\r\n`);
  };
  world.raw.set(`${TRUNK.ip}:${TRUNK.port}`, (text) => {
    received.push(text);
    if (!text.startsWith('REGISTER ') || options.silent === true) return;
    registers.push(text);
    if (!text.includes('\r\nAuthorization: '))
      return reply(
        text,
        '401 Unauthorized',
        'WWW-Authenticate: Digest realm="provider", nonce="n", qop="auth", algorithm=SHA-256',
      );
    reply(text, '200 OK', `Contact: ${field(text, 'Contact')};expires=${field(text, 'Expires')}`);
  });
  const status = (): StatusView['trunks'][number] => {
    world.input(world.termination, { kind: 'operator', request: 9, command: { command: 'status' } });
    return (world.termination.operatorReplies.get(9) as StatusView).trunks[0]!;
  };
  return { world, registers, received, reply, field, status };
}

test('a trunk with `register: true`: registered at the start, refreshed, shown in the status (RFC 3261 10.2)', () => {
  const { world, registers, status, field } = provider();
  assert.deepEqual(status(), { peer: 'trunk', registered: false, secondsLeft: 0, reason: 'asking' });
  world.start();
  assert.equal(registers.length, 2);
  assert.equal(field(registers[1]!, 'To'), `<sip:49301234@${TRUNK.ip}>`);
  assert.equal(field(registers[1]!, 'Contact'), '<sip:49301234@198.51.100.2:5060>');
  assert.ok(!registers.join().includes('secret-word'));
  const { registered, secondsLeft } = status();
  assert.ok(registered && secondsLeft > 290 && secondsLeft <= 300);
  world.run(1_000_000);
  assert.ok(registers.length >= 8, 'it is kept alive');
  assert.equal(status().registered, true);
  assert.equal(world.termination.counted('trunkRegistrations/registered'), registers.length / 2);
  finish(world);
});

test('a trunk that is silent: not registered, asked again ever more rarely', () => {
  const { world, received, status } = provider({ silent: true });
  world.start();
  world.run(3_600_000);
  assert.equal(status().registered, false);
  assert.equal(status().reason, 'timeout');
  const tries = new Set(received.map((text) => /^CSeq: (\d+)/m.exec(text)?.[1])).size;
  assert.ok(tries >= 4 && tries <= 12, `${tries} tries in an hour`);
  finish(world);
});

test('a call of the trunk to our contact goes to the number in To; the dial rules judge it', () => {
  const { world, received, reply } = provider();
  world.start();
  received.length = 0;
  const invite = [
    'INVITE sip:49301234@198.51.100.2:5060 SIP/2.0',
    `Via: SIP/2.0/UDP ${TRUNK.ip}:5060;branch=z9hG4bKt1`,
    'Max-Forwards: 70',
    'From: <sip:+4315551@provider.example>;tag=trunktag1',
    'To: <sip:+49301234601@provider.example>',
    'Call-ID: trunkcall1',
    'CSeq: 1 INVITE',
    `Contact: <sip:${TRUNK.ip}>`,
    'Content-Type: application/sdp',
  ];
  const sdp = `v=0\r\no=- 1 1 IN IP4 ${TRUNK.ip}\r\ns=-\r\nc=IN IP4 ${TRUNK.ip}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n`;
  world.text(TRUNK, ADDRESSES.gw2, `${invite.join('\r\n')}\r\nContent-Length: ${sdp.length}\r\n\r\n${sdp}`);
  world.run(500);
  assert.equal(world.pbx.calls[0]!.number, '+49301234601');
  const ok = received.find((text) => text.startsWith('SIP/2.0 200'))!;
  assert.ok(ok !== undefined);
  const tag = /^To: .*;tag=(\S+)\r$/m.exec(ok)![1];
  const inside = (method: string): string =>
    `${invite.slice(0, 7).join('\r\n')}\r\n\r\n`
      .replace('INVITE sip', `${method} sip`)
      .replace('1 INVITE', `${method === 'ACK' ? 1 : 2} ${method}`)
      .replace('z9hG4bKt1', `z9hG4bK${method}`)
      .replace(
        'To: <sip:+49301234601@provider.example>',
        `To: <sip:+49301234601@provider.example>;tag=${tag}`,
      );
  world.text(TRUNK, ADDRESSES.gw2, inside('ACK'));
  world.run(200);
  world.text(TRUNK, ADDRESSES.gw2, inside('BYE'));
  world.run(500);
  assert.equal(world.pbx.calls[0]!.state, 'ended');
  assert.ok(reply !== undefined);
  finish(world);
});

test('a drain takes the registration back at once, and the gateway stops when that is answered', () => {
  const { world, registers, field } = provider();
  world.start();
  world.input(world.termination, { kind: 'drain', withinMs: 60_000 });
  world.run(500);
  assert.equal(field(registers.at(-1)!, 'Expires'), '0');
  assert.equal(world.termination.stopped, true);
  assert.equal(world.termination.counted('trunkRegistrations/unregistered'), 1);
});

test('a drain with a trunk that does not answer: the gateway stops after three seconds', () => {
  const { world } = provider({ silent: true });
  world.start();
  world.input(world.termination, { kind: 'drain', withinMs: 60_000 });
  world.run(2000);
  assert.equal(world.termination.stopped, false);
  world.run(1500);
  assert.equal(world.termination.stopped, true);
});

test('a trunk taken out of the configuration: its registration is taken back, the status forgets it', () => {
  const { world, registers, field } = provider();
  world.start();
  world.configure(world.termination, terminationConfig());
  world.run(500);
  assert.equal(field(registers.at(-1)!, 'Expires'), '0');
  world.input(world.termination, { kind: 'operator', request: 9, command: { command: 'status' } });
  assert.deepEqual((world.termination.operatorReplies.get(9) as StatusView).trunks, []);
  finish(world);
});
