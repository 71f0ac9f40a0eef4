import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { LegStream } from '../call/leg.ts';
import { CALL, control, counted, drain, PCMA, seeded } from './fixtures.test.ts';
import type { MediaControl } from './media-control.ts';
import type { PlaneCommand } from './plane-contract.ts';

type Act =
  | { readonly kind: 'call' | 'release' | 'forget' | 'closed' | 'lost'; readonly n: number }
  | { readonly kind: 'update'; readonly n: number; readonly indices: readonly number[] }
  | { readonly kind: 'wait'; readonly ms: number };
const n = fc.integer({ min: 0, max: 5 });
const act: fc.Arbitrary<Act> = fc.oneof(
  fc.record({
    kind: fc.constantFrom(
      'call' as const,
      'release' as const,
      'forget' as const,
      'closed' as const,
      'lost' as const,
    ),
    n,
  }),
  fc.record({
    kind: fc.constant('update' as const),
    n,
    indices: fc.uniqueArray(fc.integer({ min: 0, max: 7 }), { maxLength: 4 }),
  }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 12_000 }) }),
);

test('law: no port is bound twice or within its rest, the plane is spoken to in order, and in the end nothing is left', () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 80 }), fc.integer(), (acts, seed) => {
      const m = control({
        random: seeded(seed),
        maxCalls: 6,
        pools: [{ ip: '10.0.0.1', ports: [20_000, 20_015] }],
      });
      const world = new PlaneModel(m);
      for (const a of acts) world.act(a);
      world.end();
      assert.deepEqual(m.sizes, { calls: 0, ports: 0, streams: 0 });
    }),
    { numRuns: 500 },
  );
});

/** Plays gateway and plane: holds what is bound, confirms closes when told to, checks every command. */
class PlaneModel {
  readonly #media: MediaControl;
  #now = 0;
  #bound = new Map<number, string>();
  #freedAt = new Map<number, number>();
  #open = new Map<number, number>();
  #closes: number[] = [];
  #generation = [0, 0, 0, 0, 0, 0];
  #live = [false, false, false, false, false, false];

  constructor(media: MediaControl) {
    this.#media = media;
  }

  act(a: Act): void {
    const m = this.#media;
    switch (a.kind) {
      case 'call':
        if (this.#live[a.n]) break;
        this.#generation[a.n]!++;
        this.#live[a.n] = true;
        m.begin({ ...CALL, call: this.#name(a.n), streamBase: this.#base(a.n) });
        break;
      case 'update':
        if (this.#live[a.n]) this.#update(a.n, a.indices);
        break;
      case 'release':
      case 'forget':
        if (!this.#live[a.n]) break;
        this.#live[a.n] = false;
        m.release(this.#name(a.n), this.#now);
        this.#take();
        if (a.kind === 'forget') this.#confirm();
        if (a.kind === 'forget') m.forget(this.#name(a.n));
        break;
      case 'closed':
        this.#confirm();
        break;
      case 'lost':
        // The dead worker's ports are free with it; its successor is given what was open.
        this.#closes = [];
        m.event({ kind: 'shard-lost', shard: 1, reason: 'exit' }, this.#now);
        break;
      case 'wait':
        this.#now += a.ms;
        m.timeout(this.#now);
        break;
    }
    this.#take();
  }

  end(): void {
    for (let i = 0; i < 6; i++) this.act({ kind: 'release', n: i });
    this.act({ kind: 'closed', n: 0 });
    for (let at = this.#media.deadline(); at !== undefined; at = this.#media.deadline()) {
      this.#now = Math.max(this.#now, at);
      this.#media.timeout(this.#now);
      this.#take();
    }
  }

  #name(i: number): string {
    return `call-${i}-${this.#generation[i]}`;
  }

  #base(i: number): number {
    return 8 * (1 + i + 6 * this.#generation[i]!);
  }

  #update(i: number, indices: readonly number[]): void {
    const call = this.#name(i);
    const streams = indices.flatMap((index): LegStream[] => {
      const port = this.#media.ports(call).allocate(index, 'audio');
      return port === undefined ? [] : [{ ...STREAM, index, local: port.bound }];
    });
    this.#media.update(call, streams, this.#now);
  }

  #confirm(): void {
    this.#take();
    for (const stream of this.#closes.splice(0)) {
      this.#media.event({ kind: 'closed', counters: counted({ stream }) }, this.#now);
    }
  }

  #take(): void {
    for (const o of drain(this.#media)) {
      assert.notEqual(o.kind, 'failed');
      if (o.kind === 'command') this.#command(o.command);
    }
  }

  #command(c: PlaneCommand): void {
    if (c.kind === 'open') {
      const { port } = c.leg.local;
      const { stream, call } = c.leg;
      assert.ok(!this.#open.has(stream), 'opened twice');
      assert.equal(port % 2, 0);
      assert.equal(this.#bound.get(port), undefined, `port ${port} is bound`);
      const freed = this.#freedAt.get(port);
      const rested = freed === undefined || this.#now - freed >= 10_000;
      assert.ok(rested || this.#owner.get(port) === call, `port ${port} did not rest`);
      this.#bound.set(port, call);
      this.#owner.set(port, call);
      this.#open.set(stream, port);
    } else if (c.kind === 'close') {
      const port = this.#open.get(c.stream);
      assert.notEqual(port, undefined, 'closed but not open');
      this.#open.delete(c.stream);
      this.#bound.delete(port!);
      this.#freedAt.set(port!, this.#now);
      this.#closes.push(c.stream);
    } else {
      assert.fail(c.kind);
    }
  }

  #owner = new Map<number, string>();
}

const STREAM: LegStream = {
  index: 0,
  kind: 'audio',
  active: true,
  direction: 'sendrecv',
  remote: { ip: '192.0.2.1', port: 4000 },
  rtcpMux: false,
  packetTime: 20,
  formats: [{ format: PCMA, receivePayloadType: 8, sendPayloadType: 8 }],
};
