/**
 * A whole call in virtual time: two half-calls back to back over an ordered link with random delays and cuts, a random
 * leg on either side. After each: both ended, every leg released exactly once, nothing left waiting.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkMessage } from '../meta/check.ts';
import type { CallMessage, MediaExchange, Side } from '../meta/message.ts';
import { audio, BOB, CALL, LEG_SETUP, PCMA, PCMU } from './fixtures.test.ts';
import { HalfCall } from './half-call.ts';
import type { LegCommand, LegEvent } from './leg.ts';

/** mulberry32: a small seeded generator; one seed replays one call. */
class Dice {
  #state: number;
  constructor(seed: number) {
    this.#state = seed | 0;
  }
  /** 0 <= n < below */
  below(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  }
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }
}

class Clock {
  now = 0;
  #tasks: { at: number; order: number; run: () => void }[] = [];
  #order = 0;
  after(ms: number, run: () => void): void {
    this.#tasks.push({ at: this.now + ms, order: this.#order++, run });
  }
  /** Runs the next task not later than `until`; false where there is none. */
  step(until: number): boolean {
    let best: { at: number; order: number; run: () => void } | undefined;
    for (const t of this.#tasks) {
      if (best === undefined || t.at < best.at || (t.at === best.at && t.order < best.order)) best = t;
    }
    if (best === undefined || best.at > until) return false;
    this.#tasks.splice(this.#tasks.indexOf(best), 1);
    this.now = best.at;
    best.run();
    return true;
  }
}

/** A leg that keeps to the contract of leg.ts and does what the dice say. */
class Leg {
  released = 0;
  modifyOpen = false;
  readonly problems: string[] = [];
  readonly #world: World;
  readonly #side: Side;
  #offers = 100;
  #openOffer: number | undefined;
  #connected = false;
  #asked = false;

  constructor(world: World, side: Side) {
    this.#world = world;
    this.#side = side;
  }

  say(event: LegEvent): void {
    if (this.released > 0) return;
    if (event.kind === 'release') this.released++;
    this.#world.legSays(this.#side, event);
  }

  offer(): MediaExchange {
    this.#openOffer = ++this.#offers;
    return { kind: 'offer', by: this.#side, number: this.#offers, branch: 0, streams: [audio(PCMA, PCMU)] };
  }

  start(): void {
    const { dice, clock } = this.#world;
    const { media: _, ...bare } = LEG_SETUP;
    this.say(dice.chance(70) ? { ...bare, media: this.offer() } : bare);
    if (dice.chance(25)) clock.after(dice.below(12_000), () => this.say({ kind: 'release', cause: 16 }));
  }

  take(command: LegCommand): void {
    if (this.released > 0) {
      this.problems.push(`${command.kind} after release`);
      return;
    }
    if ('media' in command && command.media !== undefined) this.#media(command.kind, command.media);
    switch (command.kind) {
      case 'setup':
        this.#called(command.media);
        break;
      case 'connect':
        this.#live();
        break;
      case 'modify':
        this.#change(command.media);
        break;
      case 'modify-accept':
      case 'modify-refuse':
        if (!this.modifyOpen) this.problems.push(`${command.kind} without a change`);
        this.modifyOpen = false;
        if (command.kind === 'modify-refuse') this.#openOffer = undefined;
        break;
      case 'release':
        this.released++;
        break;
      default:
        break;
    }
  }

  #media(kind: string, media: MediaExchange): void {
    const { dice, clock } = this.#world;
    if (media.kind !== 'offer') {
      if (media.by !== this.#side || media.number !== this.#openOffer) {
        // Answers of further branches to the first offer are fine as long as it is the last one we made.
        if (media.number !== this.#offers)
          this.problems.push(`answer to ${media.number}, open ${this.#openOffer}`);
      }
      this.#openOffer = undefined;
    } else if (kind === 'connect' || kind === 'modify-accept' || kind === 'media') {
      const reply = answerTo(media);
      if (dice.chance(95)) clock.after(dice.below(300), () => this.say({ kind: 'media', media: reply }));
    }
  }

  #called(media: MediaExchange | undefined): void {
    const { dice, clock } = this.#world;
    let at = 0;
    const later = (event: () => LegEvent) => {
      at += dice.below(2000);
      clock.after(at, () => this.say(event()));
    };
    if (dice.chance(60)) later(() => ({ kind: 'proceeding' }));
    const branches = 1 + dice.below(3);
    const answered = new Set<number>();
    const early = (branch: number): { media?: MediaExchange } => {
      if (media === undefined || answered.has(branch) || !dice.chance(40)) return {};
      answered.add(branch);
      return { media: answerTo(media, branch) };
    };
    for (let branch = 1; branch <= branches; branch++) {
      if (dice.chance(50)) later(() => ({ kind: 'progress', branch, ...early(branch) }));
      if (dice.chance(70)) later(() => ({ kind: 'alerting', branch, ...early(branch) }));
    }
    const end = dice.below(100);
    const branch = 1 + dice.below(branches);
    if (end < 70) {
      later(() => {
        const rest =
          media === undefined ? this.offer() : answered.has(branch) ? undefined : answerTo(media, branch);
        this.#live();
        return { kind: 'connect', branch, connected: BOB, ...(rest === undefined ? {} : { media: rest }) };
      });
    } else if (end < 90) {
      later(() => ({ kind: 'release', cause: 17, ...(dice.chance(50) ? { retryAfterSeconds: 9 } : {}) }));
    } // else it rings for ever
  }

  #live(): void {
    if (this.#connected) return;
    this.#connected = true;
    const { dice, clock } = this.#world;
    for (let i = dice.below(5); i > 0; i--) clock.after(dice.below(8000), () => this.#changeIfIdle());
    for (let i = dice.below(3); i > 0; i--) {
      clock.after(dice.below(8000), () => this.say({ kind: 'user-input', digit: '7', durationMs: 100 }));
    }
    if (dice.chance(20))
      clock.after(dice.below(8000), () => this.say({ kind: 'transfer-request', target: BOB }));
    if (dice.chance(70)) clock.after(dice.below(20_000), () => this.say({ kind: 'release', cause: 16 }));
  }

  #changeIfIdle(): void {
    if (this.modifyOpen || this.#asked || this.#openOffer !== undefined || this.released > 0) return;
    this.modifyOpen = true;
    this.say(this.#world.dice.chance(75) ? { kind: 'modify', media: this.offer() } : { kind: 'modify' });
  }

  #change(media: MediaExchange | undefined): void {
    const { dice, clock } = this.#world;
    if (this.modifyOpen) this.problems.push('modify while ours is open');
    if (this.#asked) this.problems.push('modify while one is being answered');
    this.#asked = true;
    const what = dice.below(100);
    if (what >= 95) {
      clock.after(35_000, () => {
        this.#asked = false;
      });
      return; // never answers
    }
    clock.after(dice.below(1500), () => {
      this.#asked = false;
      if (what >= 75) return this.say({ kind: 'modify-refuse', cause: 88, glare: false });
      this.say({ kind: 'modify-accept', media: media === undefined ? this.offer() : answerTo(media) });
    });
  }
}

function answerTo(media: MediaExchange, branch = 0): MediaExchange {
  return { kind: 'answer', by: media.by, number: media.number, branch, streams: [audio(PCMA)] };
}

class World {
  readonly dice: Dice;
  readonly clock = new Clock();
  readonly halves: Record<Side, HalfCall>;
  readonly legs: Record<Side, Leg>;
  readonly ended: Record<Side, number> = { originator: 0, terminator: 0 };
  readonly refused: string[] = [];
  /** Messages under way to each side, delivered in order, held while the link is cut. */
  readonly #link: Record<Side, CallMessage[]> = { originator: [], terminator: [] };
  #lastArrival: Record<Side, number> = { originator: 0, terminator: 0 };
  #cut = false;

  constructor(seed: number) {
    this.dice = new Dice(seed);
    const half = (side: Side) =>
      new HalfCall({
        call: CALL,
        side,
        gateway: side === 'originator' ? 'termination-gateway' : 'relay-gateway',
        peer: 'pbx',
        streamBase: 8,
        timers: { ringMs: 20_000, maxCallMs: 60_000 },
      });
    this.halves = { originator: half('originator'), terminator: half('terminator') };
    this.legs = { originator: new Leg(this, 'originator'), terminator: new Leg(this, 'terminator') };
  }

  legSays(side: Side, event: LegEvent): void {
    this.halves[side].leg(event, this.clock.now);
    this.drain(side);
  }

  drain(side: Side): void {
    const other = side === 'originator' ? 'terminator' : 'originator';
    for (let out = this.halves[side].poll(); out !== undefined; out = this.halves[side].poll()) {
      switch (out.kind) {
        case 'leg':
          this.legs[side].take(out.command);
          break;
        case 'tunnel':
          assert.equal(checkMessage(out.message, 0), undefined);
          this.#send(other, out.message);
          break;
        case 'refused-message':
          this.refused.push(`${side}:${out.from}:${out.what}:${out.reason}`);
          break;
        case 'transfer':
          this.halves[side].transferResult(this.dice.chance(50) ? 'success' : 'failure');
          break;
        case 'ended':
          this.ended[side]++;
          break;
        default:
          break;
      }
    }
  }

  #send(to: Side, message: CallMessage): void {
    this.#link[to].push(message);
    const at = Math.max(this.#lastArrival[to], this.clock.now + this.dice.below(80));
    this.#lastArrival[to] = at;
    this.clock.after(at - this.clock.now, () => this.#arrive(to));
  }

  #arrive(to: Side): void {
    if (this.#cut) {
      this.clock.after(50, () => this.#arrive(to));
      return;
    }
    const message = this.#link[to].shift();
    if (message === undefined) return;
    const half = this.halves[to];
    if (half.state === 'null' && message.kind !== 'setup') return; // the gateway: unknown call
    half.tunnel(message, this.clock.now);
    this.drain(to);
  }

  cut(at: number, length: number): void {
    this.clock.after(at, () => {
      this.#cut = true;
      for (const side of ['originator', 'terminator'] as const) {
        this.halves[side].tunnelDown(this.clock.now);
        this.drain(side);
      }
    });
    this.clock.after(at + length, () => {
      this.#cut = false;
      for (const side of ['originator', 'terminator'] as const) {
        this.halves[side].tunnelUp(this.clock.now);
        this.drain(side);
      }
    });
  }

  get quiet(): boolean {
    return this.#link.originator.length === 0 && this.#link.terminator.length === 0;
  }

  run(): void {
    for (let steps = 0; steps < 10_000; steps++) {
      const due = Math.min(
        ...Object.values(this.halves).map((h) => h.deadline() ?? Number.POSITIVE_INFINITY),
      );
      if (this.clock.step(due)) {
        this.#compare();
        continue;
      }
      if (due === Number.POSITIVE_INFINITY) return;
      this.clock.now = due;
      for (const side of ['originator', 'terminator'] as const) {
        this.halves[side].timeout(this.clock.now);
        this.drain(side);
      }
    }
    assert.fail('the call never ends');
  }

  /** With nothing under way, the two views are one. */
  #compare(): void {
    const { originator: a, terminator: b } = this.halves;
    if (!this.quiet || this.#cut || a.state !== 'connected' || b.state !== 'connected') return;
    assert.equal(a.mediaGeneration, b.mediaGeneration, 'media generations differ');
  }
}

function check(world: World): void {
  const { halves, legs, ended } = world;
  for (const side of ['originator', 'terminator'] as const) {
    assert.deepEqual(legs[side].problems, [], side);
    const began = side === 'originator' || ended.terminator > 0;
    if (!began) continue; // the set-up never arrived
    assert.equal(halves[side].state, 'ended', side);
    assert.equal(ended[side], 1, `${side} ended`);
    assert.equal(legs[side].released, 1, `${side} leg released`);
    assert.equal(halves[side].deadline(), undefined, side);
    assert.equal(halves[side].poll(), undefined, side);
  }
  // Two honest gateways never break the protocol towards each other: only crossings are seen.
  const errors = world.refused.filter((r) => r.includes(':tunnel:') && !r.endsWith(':glare'));
  assert.deepEqual(errors, []);
}

test('switch: random calls over an ordered link always end, on both sides, once', () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const world = new World(seed);
      world.legs.originator.start();
      world.run();
      check(world);
    }),
    { numRuns: 3000 },
  );
});

test('switch: the same with cuts of the tunnel at any moment, shorter and longer than a call survives', () => {
  fc.assert(
    fc.property(fc.integer(), fc.nat(15_000), fc.nat(45_000), (seed, at, length) => {
      const world = new World(seed);
      world.legs.originator.start();
      world.cut(at, length);
      world.run();
      check(world);
    }),
    { numRuns: 2000 },
  );
});

test('switch: the dice reach what they are for: crossings, changes, transfers, ringing out', () => {
  let glare = 0;
  let connected = 0;
  let rangOut = 0;
  for (let seed = 0; seed < 400; seed++) {
    const world = new World(seed);
    world.legs.originator.start();
    world.run();
    if (world.refused.some((r) => r.endsWith(':glare'))) glare++;
    const { connectAt, cause } = world.halves.originator.facts;
    if (connectAt !== undefined) connected++;
    if (cause === 19) rangOut++;
  }
  assert.ok(glare > 5 && connected > 100 && rangOut > 5, `${glare} ${connected} ${rangOut}`);
});
