/** A gateway in an attacker's hands: holds the certificate, speaks the tunnel and Meta well enough, says whatever it likes. */
import { SeededRandom } from '../../src/machine/seeded-random.test.ts';
import { decodeMeta } from '../../src/meta/decode.ts';
import { encodeMeta } from '../../src/meta/encode.ts';
import { encodeFence } from '../../src/meta/fence.ts';
import type { CallMessage, FenceCall, MediaExchange, MetaMessage, Party } from '../../src/meta/message.ts';
import { systemCrypto } from '../../src/net/providers.ts';
import type { TunnelEvent } from '../../src/tunnel/contract.ts';
import { TunnelSession } from '../../src/tunnel/session.ts';
import type { GatewayTunnelInput, TunnelEnd } from './sim-gateway.ts';
import type { World } from './world.ts';

/** Connections with this number and above are the test's own: the session does not see them. */
export const RAW = 100_000;

export class Attacker implements TunnelEnd {
  readonly name: string;
  readonly victim: string;
  readonly session: TunnelSession;
  readonly random: SeededRandom;
  readonly received: MetaMessage[] = [];
  readonly events: TunnelEvent['kind'][] = [];
  /** What is told in a fence, and what the victim told. */
  fence: readonly FenceCall[] = [];
  /** Live connections to the victim. */
  readonly connections = new Set<number>();
  /** Ids of calls that the victim has let in or made. */
  readonly calls: string[] = [];
  onUp: () => void = () => undefined;
  readonly #world: World;
  readonly #unsent = new Map<number, Uint8Array[]>();
  #nextBase = 8;

  constructor(world: World, role: 'termination' | 'relay', name: string, victim: string) {
    this.#world = world;
    this.name = name;
    this.victim = victim;
    this.random = new SeededRandom(world.seed + 77);
    this.session = new TunnelSession(
      {
        role: role === 'relay' ? 'dialer' : 'acceptor',
        name,
        peerName: victim,
        bootId: { startedAt: 1_000_000 + world.schedule.now, nonce: 'deadbeefdeadbeef' },
        shards: 1,
        heartbeatEveryMs: 1000,
        deadAfterMs: 3000,
        resumeWithinMs: 30_000,
        backoff: { firstMs: 200, maxMs: 2000 },
        maxPayload: 8192,
      },
      systemCrypto,
      this.random,
    );
    if (role === 'relay') this.#nextBase += 0x8000_0000;
    world.attackers.set(name, this);
    this.#handle({ kind: 'timeout' });
  }

  tunnel(_site: string, input: GatewayTunnelInput): void {
    if (input.kind === 'renew' || input.connection >= RAW) return;
    if (input.kind === 'connected') this.connections.add(input.connection);
    if (input.kind === 'closed') this.connections.delete(input.connection);
    this.#handle(input);
  }

  say(message: MetaMessage): void {
    this.payload(encodeMeta(message, 0));
  }

  payload(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#handle({ kind: 'send', payload: bytes });
  }

  /** Octets as they are, on the newest connection. */
  raw(bytes: Uint8Array): void {
    const connection = [...this.connections].at(-1);
    if (connection !== undefined)
      this.#world.pipes.output(this.name, this.victim, { kind: 'send', connection, bytes });
  }

  newId(): string {
    return Buffer.from(this.random.bytes(16)).toString('hex');
  }

  newBase(): number {
    const base = this.#nextBase;
    this.#nextBase += 8;
    return base;
  }

  /** A set-up as an honest gateway would send it. */
  setup(more: Partial<CallMessage & { kind: 'setup' }> = {}): string {
    const call = more.call ?? this.newId();
    this.calls.push(call);
    this.say({
      kind: 'setup',
      call,
      shard: 0,
      streamBase: this.newBase(),
      caller: party('4930901820'),
      callee: party('601'),
      priority: 'normal',
      hops: 60,
      media: OFFER,
      ...more,
    });
    return call;
  }

  of(call: string): MetaMessage['kind'][] {
    return this.received.flatMap((m) => ('call' in m && m.call === call ? [m.kind] : []));
  }

  #handle(input: Parameters<TunnelSession['handle']>[0]): void {
    if (this.#world.attackers.get(this.name) !== this) return;
    const { schedule, pipes } = this.#world;
    this.session.handle(input, schedule.now);
    for (let out = this.session.poll(); out !== undefined; out = this.session.poll()) {
      if (out.kind === 'send') this.#send(out.connection, out.bytes);
      else if (out.kind !== 'event') pipes.output(this.name, this.victim, out);
      else this.#event(out.event);
    }
    const deadline = this.session.deadline();
    if (deadline !== undefined && input.kind !== 'send')
      schedule.after(Math.max(1, deadline - schedule.now), () => {
        if ((this.session.deadline() ?? Infinity) <= schedule.now) this.#handle({ kind: 'timeout' });
      });
  }

  /** As TCP does: what is written at once arrives at once. */
  #send(connection: number, bytes: Uint8Array): void {
    const waiting = this.#unsent.get(connection);
    if (waiting !== undefined) {
      waiting.push(bytes);
      return;
    }
    this.#unsent.set(connection, [bytes]);
    this.#world.schedule.after(0, () => {
      const all = Buffer.concat(this.#unsent.get(connection)!);
      this.#unsent.delete(connection);
      this.#world.pipes.output(this.name, this.victim, { kind: 'send', connection, bytes: all });
    });
  }

  #event(event: TunnelEvent): void {
    this.events.push(event.kind);
    if (event.kind === 'up') this.onUp();
    if (event.kind === 'fence-wanted') this.#handle({ kind: 'fence', body: encodeFence(this.fence) });
    if (event.kind !== 'payload') return;
    const message = decodeMeta(event.payload, 0);
    if (!message.ok) throw new Error(`the victim sent what cannot be decoded: ${message.error.reason}`);
    this.received.push(message.value);
    if (message.value.kind === 'setup') this.calls.push(message.value.call);
  }
}

export function party(number: string): Party {
  return { number, numberType: 'unknown', privacy: 'allowed', verified: false };
}

export const OFFER: MediaExchange = {
  kind: 'offer',
  by: 'originator',
  number: 1,
  branch: 0,
  streams: [
    {
      index: 0,
      kind: 'audio',
      refused: false,
      direction: 'sendrecv',
      formats: [{ id: 0, name: 'PCMU', clockRate: 8000, channels: 1, parameters: [] }],
    },
  ],
};
