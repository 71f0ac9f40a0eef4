import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AccountConfig, GatewayConfig } from '../../src/gateway/config.ts';
import { finish } from './check.ts';
import { DigestAnswer } from './digest-answer.ts';
import { LIMITS, peer, relayConfig, route } from './sim-config.ts';
import type { SimCall } from './sim-peer.ts';
import { ADDRESSES, World } from './world.ts';

const ACCOUNT = { username: 'alice', password: 'correct horse', number: '4930101' };

/** Remote users outside register and call by digest; the PBX's calls to them go where they registered. */
function remoteUsers(password = ACCOUNT.password): World {
  const world = new World({
    termination: {
      peers: [peer('users', '', { sources: ['203.0.113.0/24'], authenticate: 'digest' })],
      routes: [route('in', 'peers', '*', 'tunnel:site-a'), route('out', 'tunnel', '*', 'registered')],
    },
    relay: { accounts: [ACCOUNT] },
    phone: { credentials: { username: ACCOUNT.username, password } },
  });
  return world.start();
}

/** REGISTER by hand, as the phone's endpoint does not do it; resolves to the final status. */
function register(world: World, digest: DigestAnswer, expires = 600): number {
  const from = ADDRESSES.phone;
  const callId = `register-${world.random.uint32()}`;
  for (let cseq = 1, authorization = ''; cseq <= 2; cseq++) {
    const seen = world.delivered.length;
    world.text(
      from,
      ADDRESSES.gw2,
      `REGISTER sip:gw2.example SIP/2.0\r\nVia: SIP/2.0/UDP ${from.ip}:${from.port};branch=z9hG4bK${callId}${cseq}\r\n` +
        `Max-Forwards: 70\r\nFrom: <sip:alice@gw2.example>;tag=reg1\r\nTo: <sip:alice@gw2.example>\r\nCall-ID: ${callId}\r\n` +
        `CSeq: ${cseq} REGISTER\r\nContact: <sip:alice@${from.ip}:${from.port}>\r\nExpires: ${expires}\r\n` +
        `${authorization}Content-Length: 0\r\n\r\n`,
    );
    const answer = (): string | undefined =>
      world.delivered
        .slice(seen)
        .find(
          (d) =>
            d.to.ip === from.ip &&
            d.text.includes(`CSeq: ${cseq} REGISTER`) &&
            !d.text.startsWith('SIP/2.0 100'),
        )?.text;
    world.until(() => answer() !== undefined, 15_000, 'answer to REGISTER');
    const text = answer()!;
    const status = Number(text.slice(8, 11));
    if (status !== 401) return status;
    if (cseq === 2) return status;
    authorization = `Authorization: ${digest.answer(text, 'REGISTER', 'sip:gw2.example')}\r\n`;
  }
  return 0;
}

test('a remote user registers by digest; GW1 checks it, GW2 holds no secret (RFC 3261 10.2, 22)', () => {
  const world = remoteUsers();
  assert.equal(register(world, new DigestAnswer(ACCOUNT.username, ACCOUNT.password)), 200);
  assert.equal(world.termination.counted('registrations/accepted'), 1);
  assert.equal(register(world, new DigestAnswer(ACCOUNT.username, 'wrong')), 401);
  assert.equal(register(world, new DigestAnswer('mallory', 'wrong')), 401);
  finish(world);
});

test('a call of the PBX reaches the registered user; without a registration it is refused', () => {
  const world = remoteUsers();
  const early = world.pbx.call(ACCOUNT.number);
  world.until(() => early.state === 'ended', 5000, 'refusal');
  assert.equal(early.endCause, 20);
  assert.equal(register(world, new DigestAnswer(ACCOUNT.username, ACCOUNT.password)), 200);
  const call = world.pbx.call(ACCOUNT.number);
  world.until(() => call.state === 'connected', 5000, 'connect');
  assert.equal(world.phone.calls.length, 1);
  world.pbx.end(call);
  world.run(1000);
  assert.equal(register(world, new DigestAnswer(ACCOUNT.username, ACCOUNT.password), 0), 200);
  const late = world.pbx.call(ACCOUNT.number);
  world.until(() => late.state === 'ended', 5000, 'refusal');
  assert.equal(late.endCause, 20, 'Expires: 0 takes the binding away (RFC 3261 10.2.2)');
  finish(world);
});

test('a registration ends at its expiry (RFC 3261 10.3)', () => {
  const world = remoteUsers();
  assert.equal(register(world, new DigestAnswer(ACCOUNT.username, ACCOUNT.password), 60), 200);
  world.run(61_000);
  const call = world.pbx.call(ACCOUNT.number);
  world.until(() => call.state === 'ended', 5000, 'refusal');
  assert.equal(call.endCause, 20);
  finish(world);
});

test("a user's INVITE is challenged, and its proof crosses as Meta parameters (RFC 3261 22.3)", () => {
  const world = remoteUsers();
  const call = world.phone.call('601', { from: ACCOUNT.number });
  world.until(() => call.state === 'connected', 5000, 'connect');
  const invites = world.delivered.filter((d) => d.to.ip === ADDRESSES.gw2.ip && d.text.startsWith('INVITE'));
  assert.equal(invites.length, 2, 'one without and one with credentials');
  assert.equal(world.pbx.calls.length, 1);
  for (const { to, text } of world.delivered)
    if (to.ip.startsWith('10.')) assert.doesNotMatch(text, /authorization/i);
  finish(world);
});

test('a wrong password never reaches the PBX', () => {
  const world = remoteUsers('wrong');
  const call = world.phone.call('601', { from: ACCOUNT.number });
  world.until(() => call.state === 'ended', 5000, 'refusal');
  assert.ok([401, 403].includes(call.endStatus), String(call.endStatus));
  assert.equal(world.pbx.calls.length, 0);
  finish(world);
});

test('while the tunnel is cut nobody is told that a password is wrong: 503, not 401', () => {
  const world = remoteUsers();
  world.cut(20_000, false);
  const call = world.phone.call('601', { from: ACCOUNT.number });
  world.until(() => call.state === 'ended', 40_000, 'refusal');
  assert.equal(call.endStatus, 503);
  world.run(20_000);
  finish(world);
});

/** GW2 with two sites: numbers beginning with 6 live at site-a, with 7 at site-b. */
function twoSites(
  termination: Partial<GatewayConfig> = {},
  accounts: { readonly a: AccountConfig[]; readonly b: AccountConfig[] } = { a: [], b: [] },
): World & { readonly pbxB: World['pbx'] } {
  const site = { maxCalls: 500, maxCallsPerSecond: 1000, maxMediaBytesPerSecond: 10_000_000 };
  const base = new World({
    termination: {
      tunnel: {
        signalling: { ip: '0.0.0.0', port: 7060 },
        media: { ip: '0.0.0.0', port: 7061 },
        certificate: '',
        key: '',
        ca: '',
        sites: [
          { name: 'site-a', ...site },
          { name: 'site-b', ...site },
        ],
        lanes: 2,
      },
      routes: [
        route('a', 'peers', '6.', 'tunnel:site-a'),
        route('b', 'peers', '7.', 'tunnel:site-b'),
        route('out', 'tunnel', '*', 'peer:internet'),
      ],
      limits: LIMITS,
      ...termination,
    },
    relay: { accounts: accounts.a },
  });
  const relay = relayConfig();
  base.addGateway({
    ...relay,
    accounts: accounts.b,
    name: 'site-b',
    sip: { listeners: [{ name: 'udp', transport: 'udp', address: { ip: '10.1.0.1', port: 5060 } }] },
    media: { ...relay.media, pools: [{ ip: '10.1.0.1', ports: [16_384, 17_383] }] },
    peers: [peer('pbx', '10.1.0.10', { trusted: true })],
  });
  const pbxB = base.addPeer({
    name: '300',
    address: { ip: '10.1.0.10', port: 5060 },
    gateway: { ip: '10.1.0.1', port: 5060 },
    mediaPort: 40_000,
  });
  return Object.assign(base, { pbxB }).start() as World & { pbxB: World['pbx'] };
}

test('two sites on one termination gateway: each gets its own calls, at the same time', () => {
  const world = twoSites();
  const first = world.phone.call('601');
  const second = world.phone.call('701');
  const out = world.pbxB.call('0301234567');
  const calls: readonly SimCall[] = [first, second, out];
  world.until(() => calls.every((c) => c.state === 'connected'), 5000, 'connect');
  assert.deepEqual(
    world.pbx.calls.map((c) => c.number),
    ['601'],
  );
  assert.deepEqual(
    world.pbxB.calls.map((c) => c.number),
    ['0301234567', '701'],
  );
  const sessions = new Set([...world.termination.openStreams.values()].map((l) => l.session));
  assert.equal(sessions.size, 2, 'the sites have sessions of their own');
  finish(world);
});

test('a site that restarts loses its own calls only', () => {
  const world = twoSites();
  const first = world.phone.call('601');
  const second = world.phone.call('701');
  world.until(() => first.state === 'connected' && second.state === 'connected', 5000, 'connect');
  world.restart('relay');
  world.run(10_000);
  assert.equal(first.state, 'ended');
  assert.equal(second.state, 'connected');
  // The PBX of the restarted gateway learns nothing from it; its own dialog dies with its next request.
  finish(world, { records: 'any' });
});

const BOB = { username: 'bob', password: 'battery staple', number: '4930202' };
/** What the termination gateway knows of site-b's accounts. */
const LISTED = { username: 'bob', number: BOB.number, site: 'site-b' };
const USERS: Partial<GatewayConfig> = {
  peers: [peer('users', '', { sources: ['203.0.113.0/24'], authenticate: 'digest' })],
  routes: [route('in', 'peers', '*', 'tunnel:site-a'), route('out', 'tunnel', '*', 'registered')],
  accounts: [LISTED],
};

test('an account that names its site is examined there, all others at the first one', () => {
  const world = twoSites(USERS, { a: [ACCOUNT], b: [BOB] });
  assert.equal(register(world, new DigestAnswer(BOB.username, BOB.password)), 200);
  assert.equal(register(world, new DigestAnswer(ACCOUNT.username, ACCOUNT.password)), 200);
  assert.equal(register(world, new DigestAnswer(BOB.username, ACCOUNT.password)), 401);
  const call = world.pbxB.call(BOB.number);
  world.until(() => call.state === 'connected', 5000, 'connect');
  const other = world.pbx.call(BOB.number);
  world.until(() => other.state === 'connected', 5000, 'users are reached from every site');
  finish(world);
});

test('a site cannot say that a user is another site’s: neither for its own accounts nor for unlisted ones', () => {
  // Site-b's account of the name has the number of a user of site-a; site-a's has that of one of site-b.
  const thief = { ...BOB, number: ACCOUNT.number };
  const borrower = { ...ACCOUNT, number: BOB.number };
  const world = twoSites(USERS, { a: [borrower], b: [thief] });
  assert.equal(register(world, new DigestAnswer(BOB.username, BOB.password)), 401);
  assert.equal(register(world, new DigestAnswer(ACCOUNT.username, ACCOUNT.password)), 401);
  assert.equal(world.termination.counted('registrations/number-of-another-site'), 2);
  finish(world);
});
