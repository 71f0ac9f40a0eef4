/**
 * Media: ATTACKS 6 (SRTP, DTLS and ICE are later). Attackers know every port and send plausible packets; in all situations
 * in which a gateway learns where media comes from. What they must get is nothing, what they must put in is nothing.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { compareRepeated } from '../../tools/melody.ts';
import type { SipAgent } from '../../tools/sip-agent.ts';
import { flood } from './attack-flooder.ts';
import {
  FULL,
  GATEWAY,
  Lab,
  NAT_PHONE,
  PBX_SOUND,
  SOUND,
  sleep,
  until,
  type VerifiedCall,
} from './attack-lab.ts';
import { MALFORMED, RtpAttacker, rtcpBye, rtp } from './attack-rtp.ts';

let lab: Lab;
let nat: SipAgent;
const attackers: RtpAttacker[] = [];
before(async () => {
  lab = await Lab.start({ latch: true });
  nat = await lab.secondPhone(NAT_PHONE);
});
after(async () => {
  for (const attacker of attackers) attacker.close();
  nat?.stop();
  await lab?.stop();
});

async function attacker(ip: string): Promise<RtpAttacker> {
  const one = await RtpAttacker.bind(ip);
  attackers.push(one);
  return one;
}

/** GW2's RTP address in a call. */
function portOf(call: VerifiedCall): { readonly ip: string; readonly port: number } {
  const { remote } = call.here.line;
  assert.ok(remote);
  return remote;
}

/** Sprays RTP and RTCP at a call for `ms`, 50 packets a second like a phone. */
async function spray(by: RtpAttacker, call: VerifiedCall, ms: number): Promise<void> {
  const to = portOf(call);
  for (let passed = 0; passed < ms; passed += 20) {
    by.burst(to, 1);
    if (passed % 200 === 0) by.socket.send(rtcpBye(0xbadbad), { ip: to.ip, port: to.port + 1 });
    await sleep(20);
  }
}

const phones = (): readonly (readonly [string, SipAgent])[] => [
  ['signalled', lab.phone],
  ['latch', nat],
];

test('bleed and injection while both speak: the attacker gets nothing and is not heard', async () => {
  for (const [mode, phone] of phones()) {
    const call = await lab.verifiedCall(phone);
    const thief = await attacker('127.0.0.80');
    const before = call.there.statistics().received;
    const started = performance.now();
    await spray(thief, call, 1500);
    await sleep(100);
    const sent = (performance.now() - started) / 20;
    assert.equal(thief.received, 0, `${mode}: RTP bled`);
    const heard = call.there.statistics().received - before;
    assert.ok(heard <= sent + 15, `${mode}: ${heard} packets at the PBX, ${sent.toFixed(0)} were sent`);
    const view = (await lab.calls())[0];
    const refused = view?.streams[0]?.refused[6] ?? 0; // REFUSALS[6]: source
    assert.ok(refused > 20, `${mode}: ${refused} counted as of a wrong source`);
    await call.hangUp();
  }
});

test('bleed in the learning window: the attacker is there first, and again at every packet of set-up', async () => {
  for (const [mode, phone] of phones()) {
    const thief = await attacker('127.0.0.81');
    const stop = { now: false };
    const race = (async () => {
      // Every port that can be next, all through the set-up.
      while (!stop.now) {
        for (let i = 0; i < 120; i++) thief.burst({ ip: GATEWAY, port: lab.ports.rtp + 2 * i }, 1);
        await sleep(20);
      }
    })();
    const call = await lab.verifiedCall(phone);
    await sleep(1500);
    stop.now = true;
    await race;
    assert.equal(thief.received, 0, `${mode}: RTP bled`);
    assert.ok(
      call.here.statistics().received > 50,
      `${mode}: the honest phone hears ${call.here.statistics().received}`,
    );
    assert.ok(call.there.statistics().received > 50, `${mode}: the honest phone is heard`);
    assert.ok(call.loss() < 0.1, `${mode}: ${call.loss()}`);
    await call.hangUp();
  }
});

test('takeover in a silence: who was silent from the start, or falls silent, loses nothing to a third address', async () => {
  for (const [mode, phone] of phones()) {
    const thief = await attacker('127.0.0.82');
    const call = await lab.verifiedCall(phone);
    await sleep(300);
    call.here.line.sending = false;
    await sleep(200);
    const [heard, before] = [call.there.statistics().received, call.here.statistics().received];
    await spray(thief, call, 1500);
    assert.equal(thief.received, 0, `${mode}: RTP bled`);
    assert.ok(call.there.statistics().received - heard <= 5, `${mode}: injected in silence`);
    assert.ok(call.here.statistics().received - before > 50, `${mode}: the phone goes on hearing`);
    call.here.line.sending = true;
    const again = await until(() => call.there.statistics().received - heard > 10);
    assert.ok(again, `${mode}: the phone is heard again`);
    await call.hangUp();
  }
});

test('a phone that never speaks: its address is known, so nobody else is learned', async () => {
  for (const [mode, phone] of phones()) {
    const thief = await attacker('127.0.0.83');
    const taken = lab.pbx.taken.length;
    const here = await phone.call('601'); // sends nothing
    assert.equal(here.state, 'connected');
    const there = lab.pbx.taken[taken]!;
    for (let i = 0; i < 60; i++) {
      thief.burst(here.line.remote!, 1);
      await sleep(20);
    }
    assert.equal(thief.received, 0, `${mode}: RTP bled`);
    assert.ok(there.statistics().received <= 5, `${mode}: ${there.statistics().received} injected`);
    assert.ok(here.statistics().received > 40, `${mode}: the phone hears`);
    await phone.hangUp(here);
  }
});

test('early media: the announcement goes to the caller only, nothing of others goes in', async () => {
  for (const [mode, phone] of phones()) {
    const thief = await attacker('127.0.0.84');
    const taken = lab.pbx.taken.length;
    const calling = phone.call('602');
    await sleep(300);
    for (let i = 0; i < 50; i++) {
      for (let k = 0; k < 40; k++) thief.burst({ ip: GATEWAY, port: lab.ports.rtp + 2 * k }, 1);
      await sleep(20);
    }
    const here = await calling;
    assert.equal(thief.received, 0, `${mode}: early media bled`);
    assert.ok(here.statistics().received > 30, `${mode}: announcement heard: ${here.statistics().received}`);
    assert.ok((lab.pbx.taken[taken]?.statistics().received ?? 0) <= 5, mode);
    await phone.hangUp(here);
  }
});

test('re-INVITE: hold, taking back and another codec, each a race with the attacker, who is there all the time', async () => {
  for (const [mode, phone] of phones()) {
    const thief = await attacker('127.0.0.89');
    const call = await lab.verifiedCall(phone);
    await sleep(300);
    const stop = { now: false };
    const race = (async () => {
      while (!stop.now) await spray(thief, call, 20);
    })();
    const injected = async (ms: number): Promise<number> => {
      const heard = call.there.statistics().received;
      await sleep(ms);
      return call.there.statistics().received - heard;
    };
    for (const hold of ['sendonly', 'inactive'] as const) {
      assert.ok(await phone.reinvite(call.here, hold), `${mode}: ${hold}`);
      call.here.line.sending = false; // no music: every packet at the PBX would be the attacker's
      await sleep(200);
      assert.ok((await injected(800)) <= 1, `${mode}: injected while on hold (${hold})`);
      assert.ok(await phone.reinvite(call.here, 'sendrecv'), `${mode}: taken back`);
    }
    const law = call.here.line.law === 'PCMU' ? 'PCMA' : 'PCMU';
    await phone.reinvite(call.here, 'sendrecv', law);
    const heard = call.there.statistics().received;
    await sleep(1000);
    stop.now = true;
    await race;
    assert.equal(thief.received, 0, `${mode}: RTP bled`);
    const spoken = call.there.statistics().received - heard;
    assert.ok(spoken > 40 && spoken < 70, `${mode}: ${spoken} packets at the PBX in a second`);
    await call.hangUp();
  }
});

test('garbage at ten times the call’s rate, from a stranger and from the phone’s own port: the call and its neighbour keep their sound', async () => {
  const call = await lab.verifiedCall();
  const neighbour = await lab.verifiedCall();
  await sleep(300);
  const thief = await attacker('127.0.0.90');
  const to = portOf(call);
  const { socket } = call.here.line;
  const mark = [call, neighbour].map((c) => c.there.statistics());
  const began = performance.now();
  for (let sent = 0; performance.now() - began < 4000; ) {
    // 500 packets a second in all, half of them from each; some look like RTP of the call.
    const due = Math.floor((performance.now() - began) / 2) - sent;
    for (let i = 0; i < due; i++, sent++) {
      const bytes = randomBytes(1 + (sent % 300));
      if (sent % 3 === 0 && bytes.length > 12) bytes.set([0x80, sent % 2 === 0 ? 0 : 8], 0);
      const port = to.port + (sent % 5 === 0 ? 1 : 0);
      if (sent % 2 === 0) thief.socket.send(bytes, { ip: to.ip, port });
      else socket.send(bytes, port, to.ip, () => undefined);
    }
    await sleep(5);
  }
  const seconds = (performance.now() - began) / 1000;
  [call, neighbour].forEach((c, i) => {
    const { received, lost } = c.there.statistics();
    const share = (lost - mark[i]!.lost) / (received - mark[i]!.received);
    assert.ok(
      received - mark[i]!.received > 42 * seconds,
      `call ${i}: ${received - mark[i]!.received} heard`,
    );
    assert.ok(received - mark[i]!.received < 51 * seconds + 10, `call ${i}: garbage went in`);
    assert.ok(share < 0.05, `call ${i}: ${share} lost`);
  });
  assert.equal(thief.received, 0);
  assert.ok(call.match() > 0.5 && neighbour.match() > 0.5, `${call.match()} ${neighbour.match()}`);
  await call.hangUp();
  await neighbour.hangUp();
});

test('another SSRC, or the right one, from the wrong address changes nothing', async () => {
  const call = await lab.verifiedCall(nat);
  await sleep(300);
  const thief = await attacker('127.0.0.85');
  const to = portOf(call);
  const heard = call.there.statistics().received;
  const started = performance.now();
  for (let i = 0; i < 50; i++) {
    thief.socket.send(rtp({ ssrc: i, sequence: i, timestamp: i * 160 }), to);
    thief.socket.send(rtp({ ssrc: 7, sequence: i, timestamp: i * 160 }), to);
    await sleep(10);
  }
  assert.equal(thief.received, 0);
  const got = call.there.statistics().received - heard;
  const spoken = (performance.now() - started) / 20;
  assert.ok(got <= spoken + 15, `${got} heard, ${spoken.toFixed(0)} spoken`);
  await call.hangUp();
});

test('malformed RTP and RTCP, spoofed BYE, from strangers and from the phone itself: ignored, the call lives', async () => {
  for (const [mode, phone] of phones()) {
    const call = await lab.verifiedCall(phone);
    await sleep(200);
    const to = portOf(call);
    const thief = await attacker('127.0.0.86');
    const { socket } = call.here.line;
    for (const bytes of MALFORMED) {
      for (const port of [to.port, to.port + 1]) {
        thief.socket.send(bytes, { ip: to.ip, port });
        socket.send(bytes, port, to.ip, () => undefined);
      }
    }
    for (let ssrc = 0; ssrc < 20; ssrc++) {
      thief.socket.send(rtcpBye(ssrc), { ip: to.ip, port: to.port + 1 });
      socket.send(rtcpBye(ssrc), to.port + 1, to.ip, () => undefined);
    }
    await sleep(1200);
    assert.equal(thief.received, 0, mode);
    lab.ensureAlive();
    const view = (await lab.calls()).find((c) => c.state === 'connected');
    assert.ok(view, `${mode}: the call is gone`);
    assert.ok((view.streams[0]?.refused.reduce((a, b) => a + b, 0) ?? 0) > 10, mode);
    const before = call.there.statistics().received;
    await sleep(500);
    assert.ok(call.there.statistics().received - before > 15, `${mode}: still heard`);
    await call.hangUp();
  }
});

test('thousands of packets a second at the call’s own port: the call keeps its sound', async () => {
  const [ms, perSecond] = FULL ? [20_000, 5000] : [3000, 3000];
  for (const [mode, phone] of FULL ? phones() : [phones()[0]!]) {
    // A machine that is busy with other things may stall once for longer than the kernel keeps 3000 packets a second.
    const tries = [await underFlood(phone, ms, perSecond)];
    if (tries[0]!.loss >= 0.1) tries.push(await underFlood(phone, ms, perSecond));
    const { loss, match, growth } = tries.at(-1)!;
    assert.ok(loss < 0.1, `${mode}: loss ${tries.map((t) => t.loss)}`);
    assert.ok(match > 0.5, `${mode}: match ${match}`);
    assert.ok(growth < 40, `${mode}: grew ${growth} MB`);
  }
});

async function underFlood(phone: SipAgent, ms: number, perSecond: number) {
  const call = await lab.verifiedCall(phone);
  await sleep(300);
  const memory = lab.memory();
  const result = await flood({ from: ['127.0.0.87'], to: portOf(call), messages: [rtp()], perSecond, ms });
  assert.ok(result.sent > (ms * perSecond) / 2000, `${result.sent}`);
  assert.equal(result.received, 0);
  const match = Math.min(
    compareRepeated(SOUND, call.there.line.heard()).match,
    compareRepeated(PBX_SOUND, call.here.line.heard()).match,
  );
  const outcome = { loss: call.loss(), match, growth: lab.memory() - memory };
  await call.hangUp();
  return outcome;
}

test('port sweep, and packets after the call: silence, and no new call where the old one was', async () => {
  const thief = await attacker('127.0.0.88');
  for (let port = lab.ports.rtp; port < lab.ports.rtp + 300; port++) {
    thief.socket.send(port % 3 === 0 ? MALFORMED.at(-5)! : rtp(), { ip: GATEWAY, port });
    if (port % 100 === 0) await sleep(5);
  }
  const call = await lab.verifiedCall();
  await sleep(300);
  const old = portOf(call);
  await call.hangUp();
  await sleep(100);
  for (let i = 0; i < 50; i++) thief.burst(old, 1);
  const next = await lab.verifiedCall();
  assert.notEqual(portOf(next).port, old.port, 'a released port rests');
  for (let i = 0; i < 25; i++) {
    thief.burst(old, 1);
    await sleep(20);
  }
  assert.equal(thief.received, 0);
  assert.ok(next.loss() < 0.1);
  await next.hangUp();
  lab.ensureAlive();
  assert.equal((await lab.calls()).filter((c) => c.state === 'connected').length, 0);
});
