/**
 * RTP bleed and RTP injection (EnableSecurity ES2017-04, ES2025-01; RFC 7362 5) in every situation in which a leg learns, or has learned, where
 * its media comes from. The attacker knows everything but cannot send from the phone's own address: ports, payload types, SSRC and numbers.
 * What it gets is nothing, what it puts in is nothing, and the phone is heard and hears as before.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Address, formatAddress } from '../machine/address.ts';
import { REFUSALS, type StreamLegConfig } from '../media/plane-contract.ts';
import { RTP_HEADER, writeHeader } from '../rtp/packet.ts';
import { buildRtcp } from '../rtp/rtcp.ts';
import { parseSource } from '../rtp/source-words.ts';
import { FLAG_CONTROL } from '../tunnel/media-frame.ts';
import { LEG, World } from './fixtures.test.ts';

const SIGNALLED: Address = { ip: '198.51.100.7', port: 4000 };
/** As its NAT shows a phone that named a private address. */
const BEHIND_NAT: Address = { ip: '198.51.100.7', port: 61_234 };
const PRIVATE: Address = { ip: '192.168.1.20', port: 4000 };
const MOVED: Address = { ip: '198.51.100.7', port: 4010 };
const THIEF: Address = { ip: '203.0.113.66', port: 4000 };
const THIEVES = '203.0.113.';

interface Mode {
  readonly name: string;
  readonly leg: Partial<StreamLegConfig>;
  readonly phone: Address;
  /** After a re-INVITE that names another address. */
  readonly movedLeg: Partial<StreamLegConfig>;
  readonly movedPhone: Address;
}

const HOST = { latchHost: SIGNALLED.ip };

const MODES: readonly Mode[] = [
  {
    name: 'signalled',
    leg: { source: 'signalled', remote: SIGNALLED },
    phone: SIGNALLED,
    movedLeg: { source: 'signalled', remote: MOVED },
    movedPhone: MOVED,
  },
  {
    name: 'signalled-host',
    leg: { source: 'signalled-host', remote: SIGNALLED },
    phone: { ip: SIGNALLED.ip, port: 4444 },
    movedLeg: { source: 'signalled-host', remote: MOVED },
    movedPhone: { ip: MOVED.ip, port: 4446 },
  },
  {
    name: 'latch, public address',
    leg: { source: 'latch', remote: SIGNALLED, ...HOST },
    phone: SIGNALLED,
    movedLeg: { source: 'latch', remote: MOVED, ...HOST },
    movedPhone: MOVED,
  },
  {
    name: 'latch, private address',
    leg: { source: 'latch', remote: PRIVATE, ...HOST },
    phone: BEHIND_NAT,
    movedLeg: { source: 'latch', remote: { ...PRIVATE, port: 4010 }, ...HOST },
    movedPhone: { ...BEHIND_NAT, port: 61_240 },
  },
];

/** A phone, an attacker and the other party, 20 ms at a time. */
class Scene {
  readonly w = new World();
  readonly mode: Mode;
  phone: Address;
  phoneSsrc = 0x1111;
  #phoneSequence = 100;
  #thiefSequence = 60_000;
  #reports = 0;
  #frameSequence = 0;

  constructor(mode: Mode, more: Partial<StreamLegConfig> = {}) {
    this.mode = mode;
    this.phone = mode.phone;
    this.open({ ...mode.leg, ...more });
  }

  open(leg: Partial<StreamLegConfig>): void {
    const { remote, ...rest } = { ...LEG, ...leg };
    this.w.command({ kind: 'open', leg: remote === undefined ? rest : { ...rest, remote } });
  }

  modify(leg: Partial<StreamLegConfig>, relearn: boolean): void {
    this.w.command({ kind: 'modify', leg: { ...LEG, ...leg }, relearn });
  }

  /** `who` sends for `ms`; the other party speaks all the while. */
  run(ms: number, who: { readonly phone?: boolean; readonly thief?: boolean }): void {
    for (let t = 0; t < ms; t += 20) {
      this.w.wait(20);
      this.w.frame(++this.#frameSequence & 0xffff, { bytes: new Uint8Array(160).fill(3) });
      if (who.thief === true) this.#attack();
      if (who.phone === true) this.#send(this.phone, this.phoneSsrc, ++this.#phoneSequence, 1);
    }
  }

  /** Each from an address of its own, in order, as a phone would: own streams, one from the phone's port number, one with the phone's SSRC. RTCP too. */
  #attack(): void {
    const next = ++this.#thiefSequence;
    this.#send(THIEF, 0xbad, next, 9);
    this.#send({ ip: THIEF.ip, port: this.phone.port }, 0xbae, next, 9);
    this.#send({ ip: '203.0.113.67', port: 4000 }, this.phoneSsrc, this.#phoneSequence + 1, 9);
    this.#send({ ip: '203.0.113.68', port: 4000 }, this.phoneSsrc, next, 9);
    const report = buildRtcp({ ssrc: 0xbad, cname: 'thief', blocks: [], bye: true });
    this.w.rtcp(report, { ip: THIEF.ip, port: THIEF.port + 1 });
    this.#reports++;
  }

  #send(from: Address, ssrc: number, sequence: number, octet: number): void {
    const bytes = new Uint8Array(RTP_HEADER + 160).fill(octet);
    writeHeader(bytes, 0, 8, false, sequence & 0xffff, (sequence * 160) >>> 0, ssrc);
    this.w.engine.packet(0, bytes, 0, bytes.length, parseSource(from)!);
  }

  voice(octet: number): number {
    return this.w.frames.filter((f) => (f.flags & FLAG_CONTROL) === 0 && f.bytes[0] === octet).length;
  }

  refused(reason: (typeof REFUSALS)[number]): number {
    return this.w.streams.legs.get(1)?.refused[REFUSALS.indexOf(reason)] ?? 0;
  }

  sentTo(address: Address): number {
    return this.w.udp.sent.filter((s) => s.token === 0 && s.to === formatAddress(address)).length;
  }

  /** Nothing was taken, nothing put in. */
  unharmed(): void {
    const bled = this.w.udp.sent.filter((s) => s.to.startsWith(THIEVES));
    assert.deepEqual(bled, [], 'bled');
    assert.equal(this.voice(9), 0, 'injected');
    this.w.engine.tick();
    assert.equal(this.refused('rtcp-source'), this.#reports, 'every report of a stranger is refused');
  }

  /** The phone speaks for a second while it is attacked: heard, and it hears. */
  works(): void {
    const [heard, hears] = [this.voice(1), this.sentTo(this.listens)];
    this.run(1000, { phone: true, thief: true });
    assert.ok(this.voice(1) - heard >= 45, `${this.voice(1) - heard} of 50 packets heard`);
    assert.ok(this.sentTo(this.listens) - hears >= 45, `hears ${this.sentTo(this.listens) - hears} of 50`);
    this.unharmed();
  }

  /** Where the phone is sent to. */
  get listens(): Address {
    const moved = this.phone !== this.mode.phone;
    const { leg, movedLeg } = this.mode;
    return this.mode.name === 'signalled-host' ? (moved ? movedLeg.remote! : leg.remote!) : this.phone;
  }
}

for (const mode of MODES) {
  test(`${mode.name}: the attacker is there before the phone`, () => {
    const s = new Scene(mode);
    s.run(1000, { thief: true });
    s.unharmed();
    s.works();
  });

  test(`${mode.name}: both begin at once`, () => {
    new Scene(mode).works();
  });

  test(`${mode.name}: a phone that never speaks, within the learning window and after it`, () => {
    const s = new Scene(mode);
    s.run(6000, { thief: true });
    s.unharmed();
    // RFC 3264 8.3.1: it may still begin, after the call was answered say.
    s.modify(mode.leg, true);
    s.works();
  });

  test(`${mode.name}: a phone that falls silent, for longer than the window`, () => {
    const s = new Scene(mode);
    s.works();
    s.run(5000, { thief: true });
    s.unharmed();
    s.works();
  });

  test(`${mode.name}: early media, nothing known of the far end yet, then its answer`, () => {
    const { remote: _, ...unknown } = mode.leg;
    const { remote: __, ...leg } = { ...LEG, ...unknown };
    const s = new Scene(mode);
    s.w.command({ kind: 'close', session: 's', stream: 1 });
    s.w.command({ kind: 'open', leg });
    s.run(1000, { thief: true });
    s.unharmed();
    s.modify(mode.leg, true);
    s.run(400, { thief: true });
    s.unharmed();
    s.works();
  });

  test(`${mode.name}: re-INVITE that changes codecs only, while the phone speaks and while it is silent`, () => {
    const s = new Scene(mode);
    s.works();
    s.modify(mode.leg, true);
    s.works();
    s.run(200, {});
    s.modify(mode.leg, true);
    s.run(1000, { thief: true });
    s.unharmed();
    s.works();
  });

  test(`${mode.name}: re-INVITE that repeats what is known changes nothing, and a locked source stays`, () => {
    const s = new Scene(mode);
    s.works();
    s.modify(mode.leg, false);
    s.run(1000, { thief: true });
    s.unharmed();
    s.works();
    const locked = s.w.counters().lockedSource;
    assert.deepEqual(locked, mode.phone);
  });

  test(`${mode.name}: re-INVITE that moves the phone: the old place is deaf and mute, the attacker still is`, () => {
    const s = new Scene(mode);
    s.works();
    s.modify(mode.movedLeg, true);
    s.run(400, { thief: true });
    s.unharmed();
    s.phone = mode.movedPhone;
    s.works();
  });

  test(`${mode.name}: hold, and taken back`, () => {
    const s = new Scene(mode);
    s.works();
    for (const direction of ['inactive', 'sendonly', 'recvonly'] as const) {
      s.modify({ ...mode.leg, direction }, false);
      s.run(3000, { thief: true });
      s.unharmed();
      s.modify(mode.leg, false);
      s.works();
    }
  });

  test(`${mode.name}: held before it ever spoke, and taken back after the window`, () => {
    const s = new Scene(mode, { direction: 'inactive' });
    s.run(6000, { thief: true });
    s.unharmed();
    s.modify(mode.leg, true);
    s.run(300, { thief: true });
    s.works();
  });

  test(`${mode.name}: the phone changes its SSRC while somebody else uses both`, () => {
    const s = new Scene(mode);
    s.works();
    s.run(500, { thief: true });
    s.phoneSsrc = 0x2222;
    const heard = s.voice(1);
    s.run(1000, { phone: true, thief: true });
    assert.ok(s.voice(1) - heard >= 40, `${s.voice(1) - heard} of 50 heard with the new SSRC`);
    s.unharmed();
  });
}

test('latch: once learned, another port of the same host is another host (a neighbour behind the same NAT)', () => {
  const mode = MODES[3]!;
  const s = new Scene(mode);
  s.works();
  const neighbour = { ip: BEHIND_NAT.ip, port: 50_000 };
  const heard = s.voice(5);
  for (let n = 0; n < 100; n++) {
    s.run(20, {});
    const bytes = new Uint8Array(RTP_HEADER + 160).fill(5);
    writeHeader(bytes, 0, 8, false, n, n * 160, 5);
    s.w.engine.packet(0, bytes, 0, bytes.length, parseSource(neighbour)!);
  }
  assert.equal(s.voice(5), heard);
  assert.equal(s.sentTo(neighbour), 0);
});

test('the address of the phone itself, spoofed with another SSRC, is not heard while the phone speaks', () => {
  const s = new Scene(MODES[0]!);
  s.works();
  let injected = 0;
  for (let n = 0; n < 200; n++) {
    s.run(20, { phone: true });
    const bytes = new Uint8Array(RTP_HEADER + 160).fill(5);
    writeHeader(bytes, 0, 8, false, n, n * 160, 5);
    s.w.engine.packet(0, bytes, 0, bytes.length, parseSource(SIGNALLED)!);
    injected = s.voice(5);
  }
  assert.equal(injected, 0);
});

test('RTCP of strangers moves nothing and ends nothing, also where RTP and RTCP share a port (RFC 5761)', () => {
  for (const rtcpMux of [false, true]) {
    const s = new Scene(MODES[3]!, { rtcpMux });
    for (let n = 0; n < 50; n++) {
      s.run(20, { phone: true });
      const bytes = buildRtcp({ ssrc: s.phoneSsrc, cname: 'x', blocks: [], bye: true });
      s.w.engine.packet(rtcpMux ? 0 : 1, bytes, 0, bytes.length, parseSource(THIEF)!);
    }
    s.run(6000, { phone: true });
    assert.equal(s.refused('rtcp-source'), 50);
    assert.ok(s.voice(1) > 340, `${s.voice(1)}`);
    assert.equal(s.w.udp.sent.filter((p) => p.to.startsWith(THIEVES)).length, 0);
  }
});

test('garbage at ten times the rate on a call`s port disturbs neither that call nor its neighbours', () => {
  const s = new Scene(MODES[2]!);
  const neighbour = { ...LEG, stream: 2, local: { ip: '192.0.2.1', port: 20_002 } };
  s.w.command({ kind: 'open', leg: neighbour });
  const sources = [THIEF, { ip: '203.0.113.67', port: 1 }, s.phone, { ...s.phone, port: 9 }];
  let seed = 1;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed % below;
  };
  for (let n = 1; n <= 500; n++) {
    s.run(20, { phone: true });
    s.w.rtp(n, SIGNALLED, new Uint8Array(160).fill(2), 1);
    for (let i = 0; i < 10; i++) {
      const bytes = Uint8Array.from({ length: random(400) }, () => random(256));
      // Half of it looks like RTP of the call.
      if (i % 2 === 0 && bytes.length > RTP_HEADER) bytes.set([0x80, random(2) === 0 ? 8 : random(256)], 0);
      const source = sources[random(sources.length)]!;
      s.w.engine.packet(random(2), bytes, 0, bytes.length, parseSource(source)!);
    }
  }
  assert.ok(s.voice(1) >= 495, `${s.voice(1)} of 500 of the call attacked`);
  assert.equal(s.w.frames.filter((f) => f.stream === 2 && (f.flags & FLAG_CONTROL) === 0).length, 500);
  const foreign = s.w.frames.filter(
    (f) => f.stream === 1 && (f.flags & FLAG_CONTROL) === 0 && f.bytes[0] !== 1,
  );
  assert.deepEqual(foreign.length, 0, 'not one packet of it went in');
  assert.ok(s.sentTo(s.phone) >= 495);
  assert.equal(s.w.udp.sent.filter((p) => p.to.startsWith('203.')).length, 0);
});
