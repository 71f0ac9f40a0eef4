/**
 * Hello and hello-ack as decisions: what we say first, what we answer, what we accept. No effects; session.ts carries out.
 */
import { toHex } from '../bytes/text.ts';
import type { Crypto, Random } from '../machine/machine.ts';
import type { CloseReason } from './close-reason.ts';
import type { TunnelOptions } from './contract.ts';
import {
  FRAME_VERSION,
  type Hello,
  type HelloAck,
  type Identity,
  SECRET_OCTETS,
  SESSION_OCTETS,
} from './hello.ts';
import type { Offer } from './link.ts';
import { Outbox } from './outbox.ts';
import { deriveSessionKeys, resumeProof } from './session-keys.ts';
import { MAX_WAITING_BYTES, MAX_WAITING_PAYLOADS, type SessionState } from './session-state.ts';
import { judgeClaim } from './takeover.ts';

/** A session given up here; its secret entitles to a new one while the far end still holds it. */
export interface AbandonedSession {
  readonly id: string;
  readonly resume: Uint8Array;
}

export type Answer = {
  readonly alarm?: string;
} & ({ readonly refuse: CloseReason } | { readonly offer: Offer; readonly ack: HelloAck });

export class Greeter {
  readonly #options: TunnelOptions;
  readonly #crypto: Crypto;
  readonly #random: Random;

  constructor(options: TunnelOptions, crypto: Crypto, random: Random) {
    this.#options = options;
    this.#crypto = crypto;
    this.#random = random;
  }

  /** Dialer: the first frame. */
  hello(
    held: SessionState | undefined,
    abandoned: AbandonedSession | undefined,
    exporter: Uint8Array,
  ): Hello {
    const common = {
      ...this.#identity(),
      shards: this.#options.shards,
      versions: { min: FRAME_VERSION, max: FRAME_VERSION },
      metaMinor: this.#metaMinor(),
    };
    const id = held?.id ?? abandoned?.id;
    const key = held?.keys.resume ?? abandoned?.resume;
    if (id === undefined || key === undefined) return { ...common, intent: 'new' };
    const intent = held === undefined ? 'replace' : 'resume';
    const received = held?.received ?? 0;
    const proof = resumeProof(this.#crypto, key, { speaker: 'dialer', intent, exporter, received });
    return { ...common, intent, claim: { session: id, received, proof } };
  }

  /** Acceptor: what a hello gets. The session moves only when the far end shows that it heard (link.ts, `offered`). */
  answer(
    hello: Hello,
    held: SessionState | undefined,
    exporter: Uint8Array,
    situation: { readonly live: boolean; mayTakeOver(): boolean },
  ): Answer {
    const own = this.#metaMinor();
    const metaMinor = Math.min(own.max, hello.metaMinor.max);
    const spoken = hello.versions.min <= FRAME_VERSION && hello.versions.max >= FRAME_VERSION;
    if (!spoken || metaMinor < Math.max(own.min, hello.metaMinor.min)) return { refuse: 'version' };
    if (hello.name !== this.#options.peerName) return { refuse: 'name', alarm: 'wrong name in hello' };
    const verdict = judgeClaim(this.#crypto, hello, { held, exporter, ...situation });
    const alarm = 'alarm' in verdict && verdict.alarm !== undefined ? { alarm: verdict.alarm } : {};
    if (verdict.kind === 'refuse') return { ...alarm, refuse: verdict.reason };
    if (verdict.kind === 'resume') return this.#resumed(held!, verdict.received, exporter);
    return { ...alarm, ...this.#fresh(hello, held, metaMinor) };
  }

  /** Dialer: what a hello-ack means, or why it is refused. */
  accept(
    ack: HelloAck,
    held: SessionState | undefined,
    exporter: Uint8Array,
  ): { readonly refuse: CloseReason } | { readonly offer: Offer } {
    const own = this.#metaMinor();
    if (ack.name !== this.#options.peerName) return { refuse: 'name' };
    const { version, metaMinor, shards, outcome } = ack;
    if (version !== FRAME_VERSION || metaMinor < own.min || metaMinor > own.max) return { refuse: 'version' };
    if (shards > this.#options.shards) return { refuse: 'malformed' };
    if (outcome.kind === 'new') {
      const session = this.#session(ack.session, outcome.secret, ack, shards, metaMinor);
      return { offer: { session, resumed: false, against: held, received: 0 } };
    }
    const { received, proof } = outcome;
    // The session may have been given up between our hello and this answer.
    if (held === undefined || held.id !== ack.session || received > held.outbox.last) {
      return { refuse: 'resume-range' };
    }
    const claim = { speaker: 'acceptor', intent: 'resume', exporter, received } as const;
    if (!this.#crypto.equal(resumeProof(this.#crypto, held.keys.resume, claim), proof))
      return { refuse: 'proof' };
    return { offer: { session: held, resumed: true, against: held, received } };
  }

  #resumed(session: SessionState, received: number, exporter: Uint8Array): { offer: Offer; ack: HelloAck } {
    const claim = { speaker: 'acceptor', intent: 'resume', exporter, received: session.received } as const;
    const proof = resumeProof(this.#crypto, session.keys.resume, claim);
    const offer = { session, resumed: true, against: session, received };
    return { offer, ack: this.#ack(session, { kind: 'resumed', received: session.received, proof }) };
  }

  #fresh(hello: Hello, held: SessionState | undefined, metaMinor: number): { offer: Offer; ack: HelloAck } {
    const secret = this.#random.bytes(SECRET_OCTETS);
    const id = toHex(this.#random.bytes(SESSION_OCTETS));
    const shards = Math.min(this.#options.shards, hello.shards);
    const session = this.#session(id, secret, hello, shards, metaMinor);
    const offer = { session, resumed: false, against: held, received: 0 };
    return { offer, ack: this.#ack(session, { kind: 'new', secret }) };
  }

  #ack(session: SessionState, outcome: HelloAck['outcome']): HelloAck {
    const { id, shards, metaMinor } = session;
    return { ...this.#identity(), version: FRAME_VERSION, metaMinor, shards, session: id, outcome };
  }

  #session(id: string, secret: Uint8Array, peer: Identity, shards: number, metaMinor: number): SessionState {
    return {
      id,
      keys: deriveSessionKeys(this.#crypto, secret, id),
      peerBoot: peer.boot,
      shards,
      metaMinor,
      maxPayload: Math.min(peer.maxPayload, this.#options.maxPayload),
      outbox: new Outbox(MAX_WAITING_PAYLOADS, MAX_WAITING_BYTES),
      received: 0,
    };
  }

  #identity(): Identity {
    return { name: this.#options.name, maxPayload: this.#options.maxPayload, boot: this.#options.bootId };
  }

  #metaMinor(): { readonly min: number; readonly max: number } {
    return this.#options.metaMinor ?? { min: 0, max: 0 };
  }
}
