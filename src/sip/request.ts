/**
 * One request of ours until its final answer: targets in turn (RFC 3263 4.3), the switch to TCP for large ones
 * (RFC 3261 18.1.1), credentials for the peer's challenge (RFC 3261 22, RFC 8760). Each try is a client transaction.
 */
import { formatAddress } from '../machine/address.ts';
import type { SessionRef, SipPeer } from './contract.ts';
import type { Hop, Source } from './core.ts';
import { Credentials } from './credentials.ts';
import type { SipResponse } from './message.ts';
import type { Query, Target } from './resolve.ts';
import type { HeaderPair } from './serialize.ts';
import type { Stack } from './stack.ts';
import type { ClientSpec, ClientTransaction, Outgoing } from './transaction/client.ts';
import { DATAGRAM_REQUEST_BYTES } from './transport.ts';

/** How long a destination that refused TCP is not asked again, and how many are remembered. */
const TCP_REFUSED_MS = 300_000;
const TCP_REFUSED_MOST = 256;

/** What differs between tries of one request. */
export interface Attempt {
  readonly hop: Hop;
  readonly branch: string;
  readonly sequence: number;
  readonly authorization: readonly HeaderPair[];
}

export interface RequestSpec {
  readonly method: string;
  /** The peer that gets the request: the only one whose challenges are answered and whose responses count. */
  readonly peer: SipPeer | undefined;
  readonly session?: SessionRef | undefined;
  readonly to: readonly Target[] | Query;
  /** Text of the Request-URI, for digest. */
  readonly uri: string;
  /** The CSeq number of the next try; asked again after a challenge only. */
  nextSequence(): number;
  build(attempt: Attempt): Outgoing;
  /** INVITE: the ACK to a non-2xx final response. */
  ack?(attempt: Attempt, toTag: string): Outgoing;
  response(response: SipResponse, source: Source): void;
  /** No answer, or nowhere to send: 408 or 503 made locally. */
  failed(why: 'timeout' | 'transport'): void;
  /** Once, after the last of the above: nothing more comes (2xx of an INVITE may repeat until then). */
  done?(): void;
}

export class ClientRequest {
  readonly #stack: Stack;
  readonly #spec: RequestSpec;
  readonly #credentials: Credentials;
  #targets: readonly Target[] = [];
  #callOff: (() => void) | undefined;
  #sequence = 0;
  #given = false;
  #done = false;
  #ringing = false;
  #answered = false;
  /** The try in progress, or the last. */
  attempt: Attempt | undefined;
  transaction: ClientTransaction | undefined;
  /** A provisional response has come for the try in progress: CANCEL may be sent (RFC 3261 9.1). */
  provisional = false;

  constructor(stack: Stack, spec: RequestSpec) {
    this.#stack = stack;
    this.#spec = spec;
    this.#credentials = new Credentials(stack.core, spec.peer?.credentials);
  }

  /** Apart from the constructor, as it may fail at once and the user wants the object first. */
  start(): void {
    const { to } = this.#spec;
    this.#sequence = this.#spec.nextSequence();
    if ('host' in to) {
      this.#callOff = this.#stack.resolver.resolve(to, (targets) => this.#resolved(targets));
    } else this.#resolved(to);
  }

  /** No more tries. True where nothing is on its way, so that no answer can come: `done` was called. */
  giveUp(): boolean {
    this.#given = true;
    this.#callOff?.();
    if (this.transaction !== undefined) return false;
    this.#finish();
    return true;
  }

  /** Forgets the try in progress too. */
  abandon(): void {
    this.giveUp();
    this.transaction?.abandon();
    this.#finish();
  }

  #resolved(targets: readonly Target[]): void {
    this.#targets = targets;
    this.#next('transport');
  }

  /** The next target, or the end. */
  #next(why: 'timeout' | 'transport', response?: SipResponse, source?: Source): void {
    for (;;) {
      const target = this.#given ? undefined : this.#targets[0];
      if (target === undefined) break;
      this.#targets = this.#targets.slice(1);
      if (this.#try(target)) return;
    }
    this.#answered = true;
    if (response !== undefined && source !== undefined) this.#spec.response(response, source);
    else this.#spec.failed(why);
    this.#finish();
  }

  #try(target: Target): boolean {
    const { core } = this.#stack;
    const listener = core.listenerFor(target.transport, target.address.ip, target.listener);
    if (listener === undefined) {
      core.count('no-listener', undefined, target.address);
      return false;
    }
    const hop: Hop = {
      transport: target.transport,
      listener,
      remote: target.address,
      ...(target.connection === undefined ? {} : { connection: target.connection }),
      ...(target.serverName === undefined ? {} : { serverName: target.serverName }),
    };
    return this.#send(hop, target);
  }

  #send(hop: Hop, target?: Target): boolean {
    const { core, table } = this.#stack;
    if (!table.reserve) {
      core.count('transactions', undefined, hop.remote);
      return false;
    }
    const branch = `z9hG4bK${core.token(12)}`;
    const authorization = this.#credentials.answer(this.#spec.method, this.#spec.uri);
    const attempt: Attempt = { hop, branch, sequence: this.#sequence, authorization };
    const message = this.#spec.build(attempt);
    if (target !== undefined && this.#switchToTcp(message, target)) return false;
    this.attempt = attempt;
    this.provisional = false;
    const { ack } = this.#spec;
    const spec: ClientSpec = {
      method: this.#spec.method,
      branch,
      hop,
      peer: this.#spec.peer?.name ?? '',
      session: this.#spec.session,
      ...(ack === undefined ? {} : { ack: (toTag: string) => ack(attempt, toTag) }),
      user: {
        response: (response, source) => this.#receive(attempt, response, source),
        failed: (why) => this.#failed(attempt, why),
        terminated: () => this.#terminated(attempt),
      },
    };
    this.transaction = table.client(spec, message);
    return true;
  }

  /**
   * RFC 3261 18.1.1: a request above 1300 octets goes over TCP, and over UDP only where TCP fails. Puts both in front of
   * the other targets; true where it did.
   */
  #switchToTcp(message: Outgoing, target: Target): boolean {
    const { core, refusesTcp } = this.#stack;
    if (target.transport !== 'udp' || target.despiteSize === true) return false;
    if (message.bytes.length <= DATAGRAM_REQUEST_BYTES) return false;
    if (core.listenerFor('tcp', target.address.ip) === undefined) return false;
    const until = refusesTcp.get(formatAddress(target.address));
    if (until !== undefined && until > core.now) return false;
    const { address, listener } = target;
    this.#targets = [
      { transport: 'tcp', address },
      { transport: 'udp', address, listener, despiteSize: true },
      ...this.#targets,
    ];
    return true;
  }

  #receive(attempt: Attempt, response: SipResponse, source: Source): void {
    if (attempt !== this.attempt) return;
    if (response.status < 200) {
      this.provisional = true;
      if (response.status > 100) this.#ringing = true;
      return this.#spec.response(response, source);
    }
    if (!this.#answered) {
      const challenged = response.status === 401 || response.status === 407;
      if (challenged && !this.#given && this.#credentials.learn(response)) {
        this.#sequence = this.#spec.nextSequence();
        if (this.#send(this.transaction!.hop)) return;
      }
      // RFC 3263 4.3: 503 means the next server, if there is one and nobody's phone rings already.
      if (response.status === 503 && !this.#ringing) return this.#next('transport', response, source);
      this.#answered = true;
    }
    this.#spec.response(response, source);
    // 2xx of an INVITE repeat until the transaction ends (RFC 6026).
    if (this.#spec.method !== 'INVITE' || response.status >= 300) this.#finish();
  }

  #failed(attempt: Attempt, why: 'timeout' | 'transport'): void {
    if (attempt !== this.attempt || this.#answered) return;
    if (why === 'transport' && attempt.hop.transport === 'tcp' && this.#targets[0]?.despiteSize === true) {
      this.#rememberNoTcp(formatAddress(attempt.hop.remote));
    }
    if (!this.#ringing) return this.#next(why);
    this.#answered = true;
    this.#spec.failed(why);
    this.#finish();
  }

  #rememberNoTcp(key: string): void {
    const { core, refusesTcp } = this.#stack;
    if (refusesTcp.size >= TCP_REFUSED_MOST) refusesTcp.clear();
    refusesTcp.set(key, core.now + TCP_REFUSED_MS);
  }

  #terminated(attempt: Attempt): void {
    if (attempt === this.attempt && this.#answered) this.#finish();
  }

  #finish(): void {
    if (this.#done) return;
    this.#done = true;
    this.#spec.done?.();
  }
}
