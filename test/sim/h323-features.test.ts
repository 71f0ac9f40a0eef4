import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeSignalling } from '../../src/h323/messages.ts';
import {
  assertSound,
  type Call,
  connected,
  finish,
  type Pair,
  type Phone,
  type Protocol,
  pair,
} from './h323-world.ts';

const COMBINATIONS: readonly (readonly [Protocol, Protocol])[] = [
  ['sip', 'h323'],
  ['h323', 'sip'],
  ['h323', 'h323'],
];

function ways(it: Pair): [string, Phone, Phone][] {
  return [
    ['inwards', it.outside, it.inside],
    ['outwards', it.inside, it.outside],
  ];
}

function arrived(it: Pair, to: Phone): Call {
  it.world.until(() => to.calls().length > 0, 5000, 'arrival');
  return to.calls()[0]!;
}

for (const [outer, inner] of COMBINATIONS) {
  const name = `${outer} outside, ${inner} inside`;
  const sides = [{ protocol: outer }, { protocol: inner }] as const;

  test(`${name}: busy is busy (Q.850 17, 486) whichever way`, () => {
    for (const index of [0, 1]) {
      const busy = (call: { ref: number }, peer: { command(c: object): void }): void =>
        peer.command({ kind: 'release', call: call.ref, cause: 17 });
      const it = pair(
        { ...sides[0], h323: { answer: busy as never } },
        { ...sides[1], h323: { answer: busy as never } },
        { manual: true },
      );
      const [, from, to] = ways(it)[index]!;
      const call = from.call('601');
      if (to.sip !== undefined) {
        const taken = arrived(it, to);
        to.sip.reject(taken.sip!, 486);
      }
      it.world.until(() => call.state === 'ended', 5000, 'refusal');
      if (call.sip !== undefined) assert.equal(call.sip.endStatus, 486);
      else assert.equal(call.cause, 17);
      finish(it);
    }
  });

  test(`${name}: a caller that gives up while it rings ends it there`, () => {
    for (const index of [0, 1]) {
      const it = pair(...sides, { manual: true });
      const [, from, to] = ways(it)[index]!;
      const call = from.call('601');
      const taken = arrived(it, to);
      taken.ring(false);
      it.world.until(() => call.ringing, 5000, 'ringing');
      call.end();
      it.world.until(() => taken.state === 'ended', 5000, 'the end');
      finish(it);
      assert.equal(it.world.relay.cdrs[0]!.result === 'connected', false);
    }
  });

  test(`${name}: tones before the answer are heard (183 with SDP, progress indicator 8)`, () => {
    for (const index of [0, 1]) {
      const it = pair(...sides, { manual: true });
      const [, from, to] = ways(it)[index]!;
      const call = from.call('601');
      const taken = arrived(it, to);
      taken.ring(true);
      it.world.run(500);
      assert.notEqual(call.state, 'connected');
      if (call.sip !== undefined) assert.ok(call.sip.provisionals.includes(183));
      else assert.equal(call.h323!.inBand, true);
      const both = index === 0 ? ([call, taken] as const) : ([taken, call] as const);
      assertSound(it, ...both);
      taken.accept();
      it.world.until(() => call.state === 'connected', 5000, 'connect');
      it.world.run(1000);
      assertSound(it, ...both);
      finish(it);
    }
  });

  test(`${name}: digits cross each way, as H.245 user input, RFC 4733 or INFO`, () => {
    for (const rfc4733 of [false, true]) {
      const it = pair({ ...sides[0], h323: { rfc4733 } }, { ...sides[1], h323: { rfc4733 } });
      const [call, taken] = connected(it, it.outside, it.inside);
      for (const [sender, receiver, gateway] of [
        [call, taken, it.inside.gateway],
        [taken, call, it.outside.gateway],
      ] as const) {
        for (const digit of ['1', '#', '9']) {
          sender.digit(digit);
          it.world.run(400);
        }
        const played = gateway.planeCommands.flatMap((c) => (c.kind === 'digit' ? [c.digit] : [])).join('');
        assert.equal(receiver.digits + played, '1#9', `rfc4733 ${rfc4733}`);
      }
      finish(it);
    }
  });

  test(`${name}: RFC 4733 in the media becomes user input where an H.323 side has no payload type for it`, () => {
    const it = pair(...sides);
    const [call, taken] = connected(it, it.outside, it.inside);
    for (const [gateway, ear] of [
      [it.outside.gateway, call],
      [it.inside.gateway, taken],
    ] as const) {
      const leg = [...gateway.openStreams.values()][0]!;
      const events = leg.formats.find((f) => f.kind === 'event');
      assert.ok(events !== undefined, 'telephone-event is agreed on, so that the other side sends it');
      if (ear.h323 === undefined) continue;
      assert.equal(events.sendPayloadType, -1);
      const { session, stream } = leg;
      const event = { kind: 'digit', session, stream, digit: '7', durationMs: 120 } as const;
      it.world.input(gateway, { kind: 'plane', shard: 0, event });
      it.world.run(300);
      assert.equal(ear.digits, '7');
    }
    finish(it);
  });

  test(`${name}: hold and resume by each side (RFC 3264 8.4, empty capability set)`, () => {
    for (const index of [0, 1]) {
      const it = pair(...sides);
      const [call, taken] = connected(it, it.outside, it.inside);
      const [holder, phone, other] =
        index === 0 ? ([call, it.outside, it.inside] as const) : ([taken, it.inside, it.outside] as const);
      const held = index === 0 ? taken : call;
      if (phone.sip !== undefined) phone.sip.reinvite(holder.sip!, 'sendonly');
      else phone.h323!.hold(holder.h323!);
      it.world.run(2000);
      assert.equal(direction(phone.gateway), 'recvonly', 'the holder still may play music');
      assert.equal(direction(other.gateway), 'sendonly', 'nothing is taken from the held one');
      if (held.h323 !== undefined) assert.equal(held.h323.held, true);
      if (phone.sip !== undefined) phone.sip.reinvite(holder.sip!, 'sendrecv');
      else phone.h323!.retrieve(holder.h323!);
      it.world.run(3000);
      assertSound(it, call, taken);
      if (held.h323 !== undefined) assert.equal(held.h323.held, false);
      finish(it);
    }
  });

  test(`${name}: IPv6 on either side or both, H.245 apart`, () => {
    for (const [a, b] of [
      [6, 4],
      [4, 6],
      [6, 6],
    ] as const) {
      const mode = { fastStart: false, tunnelling: false };
      const six = (protocol: Protocol, family: 4 | 6) =>
        protocol === 'sip'
          ? ({ protocol } as const)
          : ({ protocol, family, h323: mode, gateway: mode } as const);
      const it = pair(six(outer, a), six(inner, b));
      for (const [way, from, to] of ways(it)) {
        const [call, taken] = connected(it, from, to);
        assertSound(it, way === 'inwards' ? call : taken, way === 'inwards' ? taken : call);
        call.end();
        it.world.run(3000);
      }
      finish(it);
    }
  });
}

function direction(gateway: Phone['gateway']): string {
  return [...gateway.openStreams.values()].map((l) => l.direction).join();
}

test('a SIP call without an offer to H.323: the offer made of its capabilities comes in the 200', () => {
  for (const fastStart of [true, false]) {
    const it = pair({ protocol: 'sip' }, { protocol: 'h323', h323: { fastStart }, gateway: { fastStart } });
    const made = it.world.phone.call('601', { lateOffer: true });
    it.world.until(() => made.state === 'connected', 10_000, 'connect');
    it.world.run(1500);
    assertSound(it, it.outside.calls()[0]!, it.inside.calls()[0]!);
    finish(it);
  }
});

test('codecs: the one both have is found without a second negotiation; none in common is 488 and cause 88', () => {
  const g729 = { codecs: ['G729', 'PCMU'] as const };
  for (const fastStart of [true, false]) {
    const it = pair(
      { protocol: 'sip', sip: { formats: '18 0 101' } },
      { protocol: 'h323', h323: { ...g729, fastStart }, gateway: { fastStart } },
    );
    const [call, taken] = connected(it, it.outside, it.inside);
    assertSound(it, call, taken);
    assert.equal(call.sip!.modifiesSeen, 0);
    finish(it);
    const none = pair(
      { protocol: 'sip', sip: { formats: '0 101' } },
      { protocol: 'h323', h323: { codecs: ['G729'], fastStart }, gateway: { fastStart } },
    );
    const lost = none.outside.call('601');
    none.world.until(() => lost.state === 'ended', 20_000, 'refusal');
    assert.equal(lost.sip!.endStatus, 488);
    finish(none);
  }
});

test('a caller with a name and no number is an h323-ID', () => {
  const it = pair({ protocol: 'sip' }, { protocol: 'h323' });
  const [, taken] = connected(it, it.outside, it.inside);
  assert.equal(taken.h323!.caller!.name, 'alice');
  finish(it);
});

test('a Setup without a called number is refused with cause 28 and leaves nothing', () => {
  const it = pair({ protocol: 'h323' }, { protocol: 'sip' });
  const call = it.outside.call('');
  it.world.until(() => call.state === 'ended', 5000, 'refusal');
  assert.equal(call.cause, 28);
  finish(it);
});

test('a Setup says where it comes from over IPv4, and not over IPv6, of which a widespread telephone system dies', () => {
  for (const family of [4, 6] as const) {
    const it = pair({ protocol: 'sip' }, { protocol: 'h323', family });
    const told: boolean[] = [];
    it.inside.h323!.rewrite = (bytes, direction) => {
      const decoded = decodeSignalling(bytes);
      const body = decoded.ok ? decoded.value.uuie?.h323UuPdu.h323MessageBody : undefined;
      if (direction === 'in' && body?.choice === 'setup')
        told.push(body.value.sourceCallSignalAddress !== undefined);
      return bytes;
    };
    const [call, taken] = connected(it, it.outside, it.inside);
    assertSound(it, call, taken);
    assert.deepEqual(told, [family === 4]);
    finish(it);
  }
});
