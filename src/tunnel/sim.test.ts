/** Support: two tunnel sessions over a seeded network in virtual time. Holds no tests. */
import assert from 'node:assert/strict';
import { latin1Bytes, latin1Text } from '../bytes/text.ts';
import { SeededRandom } from '../machine/seeded-random.test.ts';
import { systemCrypto } from '../net/providers.ts';
import type { TunnelConnectionRef, TunnelEvent, TunnelInput, TunnelOptions } from './contract.ts';
import { TunnelSession } from './session.ts';

export function options(role: 'dialer' | 'acceptor', extra: Partial<TunnelOptions> = {}): TunnelOptions {
  const dialer = role === 'dialer';
  return {
    role,
    name: dialer ? 'gw1.site-a' : 'gw2.example',
    peerName: dialer ? 'gw2.example' : 'gw1.site-a',
    bootId: { startedAt: 1000, nonce: dialer ? '1111111111111111' : '2222222222222222' },
    shards: dialer ? 2 : 4,
    heartbeatEveryMs: 1000,
    deadAfterMs: 3000,
    resumeWithinMs: 30_000,
    backoff: { firstMs: 200, maxMs: 10_000 },
    maxPayload: 8192,
    ...extra,
  };
}

export type Side = 'dialer' | 'acceptor';

export function other(side: Side): Side {
  return side === 'dialer' ? 'acceptor' : 'dialer';
}

interface Wire {
  readonly refs: Record<Side, TunnelConnectionRef>;
  readonly open: Record<Side, boolean>;
  /** Delivery is in order: not before the previous one. */
  readonly lastAt: Record<Side, number>;
  cut: boolean;
}

/** What one gateway keeps, as far as the tunnel's promises are concerned. */
export class Node {
  readonly side: Side;
  session: TunnelSession;
  readonly events: TunnelEvent[] = [];
  /** Calls known here, and those listed in the last answer to `fence-wanted`. */
  readonly calls = new Set<string>();
  listed = new Set<string>();
  current = '';
  readonly sent = new Map<string, string[]>();
  readonly delivered = new Map<string, string[]>();
  /** Calls that a fence ended here although the far end had never said so. */
  readonly endedByFence: string[] = [];

  constructor(side: Side, session: TunnelSession) {
    this.side = side;
    this.session = session;
  }

  kinds(): string[] {
    return this.events.filter((event) => event.kind !== 'round-trip').map((event) => event.kind);
  }

  count(kind: TunnelEvent['kind']): number {
    return this.events.filter((event) => event.kind === kind).length;
  }
}

export class World {
  now = 0;
  steps = 0;
  readonly random: SeededRandom;
  readonly nodes: Record<Side, Node>;
  /** Called before every event of the network; the place to cut things. */
  onStep: (world: World) => void = () => undefined;
  delay = (): number => 5;
  refuseDials = false;
  #wires: Wire[] = [];
  #queue: { at: number; order: number; run: () => void }[] = [];
  #order = 0;
  readonly #draining = new Set<Side>();
  #nextAccepted = 1001;

  constructor(seed: number, extra: Partial<Record<Side, Partial<TunnelOptions>>> = {}) {
    this.random = new SeededRandom(seed);
    this.nodes = {
      dialer: new Node('dialer', this.make('dialer', extra.dialer)),
      acceptor: new Node('acceptor', this.make('acceptor', extra.acceptor)),
    };
  }

  make(side: Side, extra: Partial<TunnelOptions> = {}): TunnelSession {
    return new TunnelSession(options(side, extra), systemCrypto, this.random);
  }

  get dialer(): Node {
    return this.nodes.dialer;
  }

  get acceptor(): Node {
    return this.nodes.acceptor;
  }

  /** Replaces a node by a freshly started one, as after a crash: its connections end. */
  restart(side: Side, extra: Partial<TunnelOptions>): void {
    this.cut(0);
    const node = this.nodes[side];
    node.session = this.make(side, extra);
    node.current = '';
    node.calls.clear();
    node.listed.clear();
    for (const wire of this.#wires) wire.open[side] = false;
    this.#drain(side);
  }

  input(side: Side, input: TunnelInput): void {
    this.nodes[side].session.handle(input, this.now);
    this.#drain(side);
  }

  send(side: Side, text: string): void {
    const node = this.nodes[side];
    const before = node.count('undelivered');
    const session = node.current;
    this.input(side, { kind: 'send', payload: latin1Bytes(text) });
    if (node.count('undelivered') === before) append(node.sent, session, text);
  }

  at(ms: number, run: () => void): void {
    this.#queue.push({ at: this.now + ms, order: this.#order++, run });
  }

  /** Runs until nothing is due before `until`. */
  runUntil(until: number): void {
    for (;;) {
      const next = this.#next();
      if (next === undefined || next.at > until) break;
      this.now = Math.max(this.now, next.at);
      this.steps++;
      this.onStep(this);
      next.run();
      assert.ok(this.steps < 200_000, 'the world does not come to rest');
    }
    this.now = until;
  }

  run(ms: number): void {
    this.runUntil(this.now + ms);
  }

  #next(): { at: number; run: () => void } | undefined {
    let best: { at: number; order: number; run: () => void } | undefined;
    for (const item of this.#queue) {
      if (best === undefined || item.at < best.at || (item.at === best.at && item.order < best.order))
        best = item;
    }
    for (const side of ['dialer', 'acceptor'] as const) {
      const at = this.nodes[side].session.deadline();
      if (at === undefined || (best !== undefined && best.at <= at)) continue;
      best = { at, order: 0, run: () => this.input(side, { kind: 'timeout' }) };
    }
    const taken = best;
    if (taken !== undefined) this.#queue = this.#queue.filter((item) => item !== taken);
    return taken;
  }

  /** One drain at a time per node: what an event's handling puts in comes out after it, as in a gateway's loop. */
  #drain(side: Side): void {
    if (this.#draining.has(side)) return;
    this.#draining.add(side);
    this.#drainAll(side);
    this.#draining.delete(side);
  }

  #drainAll(side: Side): void {
    const node = this.nodes[side];
    for (let out = node.session.poll(); out !== undefined; out = node.session.poll()) {
      if (out.kind === 'dial') this.#dial(out.connection);
      else if (out.kind === 'send') this.#carry(side, out.connection, out.bytes);
      else if (out.kind === 'close') this.#closeEnd(side, out.connection);
      else this.#onEvent(node, out.event);
    }
  }

  #dial(ref: TunnelConnectionRef): void {
    this.at(this.delay(), () => {
      if (this.refuseDials)
        return this.input('dialer', { kind: 'closed', connection: ref, reason: 'refused' });
      const wire: Wire = {
        refs: { dialer: ref, acceptor: this.#nextAccepted },
        open: { dialer: true, acceptor: true },
        lastAt: { dialer: this.now, acceptor: this.now },
        cut: false,
      };
      this.#nextAccepted += 2;
      this.#wires.push(wire);
      const exporter = this.random.bytes(32);
      this.input('acceptor', { kind: 'connected', connection: wire.refs.acceptor, exporter });
      if (wire.open.dialer) this.input('dialer', { kind: 'connected', connection: ref, exporter });
    });
  }

  #carry(side: Side, ref: TunnelConnectionRef, bytes: Uint8Array): void {
    if (!this.#wires.some((w) => w.refs[side] === ref)) return; // a connection the test made by hand
    const wire = this.#wires.find((w) => w.refs[side] === ref && w.open[side]);
    assert.ok(wire, `${side} sends on connection ${ref}, which is not open`);
    if (wire.cut) return;
    // A TCP stream has no record boundaries: deliver in two pieces, cut anywhere.
    const middle = this.random.below(bytes.length + 1);
    for (const piece of [bytes.slice(0, middle), bytes.slice(middle)]) {
      if (piece.length === 0) continue;
      this.#deliver(wire, side, () => {
        this.input(other(side), { kind: 'data', connection: wire.refs[other(side)], bytes: piece });
      });
    }
  }

  #deliver(wire: Wire, from: Side, run: () => void): void {
    const at = Math.max(wire.lastAt[from], this.now + this.delay());
    wire.lastAt[from] = at;
    this.at(at - this.now, () => {
      if (!wire.cut && wire.open[other(from)]) run();
    });
  }

  #closeEnd(side: Side, ref: TunnelConnectionRef): void {
    const wire = this.#wires.find((w) => w.refs[side] === ref && w.open[side]);
    if (wire === undefined) return;
    wire.open[side] = false;
    this.#deliver(wire, side, () => this.#closed(wire, other(side), 'end'));
  }

  #closed(wire: Wire, side: Side, reason: string): void {
    if (!wire.open[side]) return;
    wire.open[side] = false;
    this.input(side, { kind: 'closed', connection: wire.refs[side], reason });
  }

  /** Everything in flight is gone. After `noticeMs` both ends see a reset; undefined: never (black hole). */
  cut(noticeMs: number | undefined): void {
    for (const wire of this.#wires.filter((w) => !w.cut)) {
      wire.cut = true;
      if (noticeMs === undefined) continue;
      for (const side of ['dialer', 'acceptor'] as const) {
        this.at(this.random.below(noticeMs + 1), () => this.#closed(wire, side, 'reset'));
      }
    }
  }

  #onEvent(node: Node, event: TunnelEvent): void {
    node.events.push(event);
    switch (event.kind) {
      case 'session':
        node.current = event.session;
        break;
      case 'lost':
        node.current = '';
        node.calls.clear();
        node.listed.clear();
        break;
      case 'payload':
        this.#onPayload(node, latin1Text(event.payload));
        break;
      case 'fence-wanted':
        node.listed = new Set(node.calls);
        this.input(node.side, { kind: 'fence', body: latin1Bytes([...node.calls].join(' ')) });
        break;
      case 'fence':
        this.#compare(node, new Set(latin1Text(event.body).split(' ').filter(Boolean)));
        break;
      default:
    }
  }

  /** `new X` and `end X` keep the two call tables alike, as Meta's set-up and release do. */
  #onPayload(node: Node, text: string): void {
    append(node.delivered, node.current, text);
    const [verb, call] = text.split(' ');
    if (verb === 'new') node.calls.add(call!);
    if (verb === 'end') node.calls.delete(call!);
  }

  /** The rule of contract.ts, event `fence`. */
  #compare(node: Node, theirs: ReadonlySet<string>): void {
    for (const call of theirs) if (!node.calls.has(call)) this.send(node.side, `end ${call}`);
    for (const call of node.listed) {
      if (!theirs.has(call) && node.calls.delete(call)) node.endedByFence.push(call);
    }
  }

  begin(side: Side, call: string): void {
    if (this.nodes[side].current === '') return;
    this.nodes[side].calls.add(call);
    this.send(side, `new ${call}`);
  }

  end(side: Side, call: string): void {
    if (this.nodes[side].calls.delete(call)) this.send(side, `end ${call}`);
  }

  /** Exactly once and in order: what arrived is a beginning of what was sent, session by session. */
  checkPrefixes(): void {
    for (const side of ['dialer', 'acceptor'] as const) {
      for (const [session, texts] of this.nodes[other(side)].delivered) {
        const sent = this.nodes[side].sent.get(session) ?? [];
        assert.deepEqual(texts, sent.slice(0, texts.length), `${side} to ${other(side)}`);
      }
    }
  }

  /** After the network has healed: one session at both ends, everything sent in it has arrived. */
  checkHealed(): void {
    this.checkPrefixes();
    const { dialer, acceptor } = this.nodes;
    assert.ok(dialer.session.up && acceptor.session.up, 'up again');
    assert.equal(dialer.current, acceptor.current);
    for (const side of ['dialer', 'acceptor'] as const) {
      const session = this.nodes[side].current;
      const sent = this.nodes[side].sent.get(session) ?? [];
      assert.deepEqual(this.nodes[other(side)].delivered.get(session) ?? [], sent);
      assert.equal(this.nodes[side].session.waiting, 0, 'all acknowledged');
    }
    assert.deepEqual([...dialer.calls].sort(), [...acceptor.calls].sort(), 'same calls at both ends');
  }
}

function append(map: Map<string, string[]>, key: string, value: string): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
