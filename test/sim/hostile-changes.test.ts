/**
 * A GW2 in an attacker's hands that knows the numbers of its calls' exchanges: fax and speech asked for, answered and refused out of turn, more than
 * was offered, of the wrong kind. GW1 goes on or ends the call, keeps the PBX's media in its place, and nothing is left.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { CallMessage, Format, MediaExchange, Side, Stream } from '../../src/meta/message.ts';
import { Attacker } from './attacker.ts';
import { pair, type SideOptions } from './h323-world.ts';
import { terminationConfig } from './sim-config.ts';

const RUNS = Number(process.env['VOIP_SGW_RUNS'] ?? 100);
const codecs = [...terminationConfig().media.codecs, 'T38' as const];

const PCMU: Format = { id: 0, name: 'PCMU', clockRate: 8000, channels: 1, parameters: [] };
const PCMA: Format = { id: 1, name: 'PCMA', clockRate: 8000, channels: 1, parameters: [] };

const parameters = fc.constantFrom<Format['parameters']>(
  [],
  [{ name: 't38-max-datagram', value: '0' }],
  [
    { name: 't38-bitrate', value: '999999' },
    { name: 't38-max-datagram', value: '999999' },
    { name: 't38-udp-ec', value: 't38UDPNoEC' },
  ],
  [
    { name: 't38-bitrate', value: '14400' },
    { name: 't38-max-datagram', value: '238' },
    { name: 't38-udp-ec', value: 't38UDPFEC' },
    { name: 't38-version', value: '0' },
  ],
);
const direction = fc.constantFrom(
  'sendrecv' as const,
  'sendrecv' as const,
  'sendonly' as const,
  'inactive' as const,
);
const stream: fc.Arbitrary<Omit<Stream, 'index'>> = fc.oneof(
  fc.tuple(direction, fc.constantFrom([PCMU], [PCMA], [PCMA, PCMU])).map(([d, formats]) => ({
    kind: 'audio' as const,
    refused: false,
    direction: d,
    formats,
  })),
  fc.tuple(direction, parameters, fc.constantFrom(0, 1, 2)).map(([d, list, id]) => ({
    kind: 'image' as const,
    refused: false,
    direction: d,
    formats: [{ id, name: 'T38' as const, clockRate: 0, channels: 1, parameters: list }],
  })),
  fc.constantFrom('audio' as const, 'image' as const).map((kind) => ({
    kind,
    refused: true,
    direction: 'inactive' as const,
    formats: [],
  })),
);
const streams = fc
  .array(stream, { minLength: 1, maxLength: 3 })
  .map((list) => list.map((s, index): Stream => ({ index, ...s })));

const act = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom('modify', 'modify', 'modify-accept', 'media', 'connect', 'progress'),
      what: fc.constantFrom('offer' as const, 'answer' as const, 'refuse' as const),
      by: fc.constantFrom<Side>('originator', 'originator', 'terminator'),
      off: fc.constantFrom(0, 0, 0, 1, -1, 7),
      streams,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('ask', 'accept', 'refuse', 'pbx-fax', 'pbx-speech', 'pbx-hold', 'digit', 'fresh'),
    }),
  },
);
type Act = typeof act extends fc.Arbitrary<infer T> ? T : never;

class Play {
  readonly it;
  readonly attacker: Attacker;
  #call = '';
  /** Offers so far, by side. */
  readonly #numbers: Record<Side, number> = { originator: 1, terminator: 0 };

  constructor(seed: number, inside: SideOptions) {
    this.it = pair({ protocol: 'sip' }, inside, { seed, world: {} });
    this.attacker = new Attacker(this.it.world, 'termination', 'gw2', 'site-a');
    this.it.world.restart('relay');
    this.it.world.run(3000);
    assert.ok(this.attacker.session.up);
    this.#begin();
  }

  #begin(): void {
    this.#call = this.attacker.setup();
    this.#numbers.originator = 1;
    this.#numbers.terminator = 0;
    this.it.world.run(2500);
  }

  perform(a: Act): void {
    const call = this.#call;
    this.#listen();
    if ('streams' in a) {
      const known = this.#numbers[a.by];
      const number = Math.max(1, known + (a.what === 'offer' ? 1 : 0) + a.off);
      const base = { by: a.by, number, branch: 0 };
      const media: MediaExchange =
        a.what === 'refuse'
          ? { kind: 'refuse', ...base, cause: 88 }
          : { kind: a.what, ...base, streams: a.streams };
      if (a.what === 'offer' && a.off === 0) this.#numbers[a.by]++;
      const kind = a.do as 'modify';
      this.attacker.say(
        (a.do === 'connect' || a.do === 'progress'
          ? { kind: a.do, call, branch: 1, media }
          : { kind, call, media }) as CallMessage,
      );
      return;
    }
    const { sip, h323 } = this.it.inside;
    const taken = this.it.inside.calls().at(-1);
    if (a.do === 'fresh') {
      this.attacker.say({ kind: 'release', call, cause: 16, origin: 'caller' });
      this.#begin();
    } else if (a.do === 'ask') this.attacker.say({ kind: 'modify', call });
    else if (a.do === 'accept') this.attacker.say({ kind: 'modify-accept', call });
    else if (a.do === 'refuse') this.attacker.say({ kind: 'modify-refuse', call, cause: 88, glare: false });
    else if (a.do === 'digit') this.attacker.say({ kind: 'user-input', call, digit: '1', durationMs: 100 });
    else if (taken === undefined || taken.state !== 'connected') return;
    else if (sip !== undefined) {
      if (a.do === 'pbx-hold') sip.reinvite(taken.sip!, 'sendonly');
      else sip.refax(taken.sip!, a.do === 'pbx-fax' ? 'instead' : undefined);
    } else if (a.do === 'pbx-hold') h323!.hold(taken.h323!);
    else h323!.mode(taken.h323!, a.do === 'pbx-fax');
  }

  /** What the victim has offered. */
  #listen(): void {
    for (const message of this.attacker.received)
      if (
        'media' in message &&
        message.media?.kind === 'offer' &&
        'call' in message &&
        message.call === this.#call
      )
        this.#numbers[message.media.by] = Math.max(this.#numbers[message.media.by], message.media.number);
  }
}

for (const [name, inside] of [
  ['SIP', { protocol: 'sip', codecs }],
  ['H.323', { protocol: 'h323', codecs, h323: { fax: true } }],
] as const satisfies readonly (readonly [string, SideOptions])[]) {
  test(`${RUNS} calls that a hostile GW2 changes as it likes, ${name} inside`, () => {
    let faxes = 0;
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.array(fc.tuple(act, fc.oneof(fc.constant(0), fc.nat(60), fc.nat(4000))), {
          minLength: 1,
          maxLength: 14,
        }),
        (seed, acts) => {
          const play = new Play(seed, inside);
          const { world } = play.it;
          for (const [a, wait] of acts) {
            play.perform(a);
            world.run(wait);
          }
          world.run(40_000);
          faxes += world.relay.counted('faxes/terminator');
          for (const target of world.relay.mediaTargets)
            assert.ok(target.startsWith('10.'), `media to ${target}`);
          for (const command of world.relay.planeCommands)
            if ('leg' in command)
              for (const { udptl } of command.leg.formats)
                assert.ok(
                  udptl === undefined || (udptl.maxDatagramIn <= 1400 && udptl.maxBytesPerSecond < 30_000),
                );
          world.restart('termination');
          world.run(30_000);
          for (const call of play.it.inside.calls()) if (call.state !== 'ended') call.end();
          world.run(110_000);
          assert.deepEqual(world.relay.leftovers(), {}, `seed ${seed}`);
        },
      ),
      { numRuns: RUNS },
    );
    assert.ok(faxes > 0);
  });
}
