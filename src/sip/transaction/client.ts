import type { SessionRef } from '../contract.ts';
import type { Core, Hop, Source } from '../core.ts';
import type { SipResponse } from '../message.ts';
import type { Link, Transport } from '../transport.ts';
import { InviteClient } from './invite-client.ts';
import { NonInviteClient } from './non-invite-client.ts';
import type { TransactionTable } from './table.ts';
import { alarmOf, type ClientAction } from './timing.ts';

/** Bytes to send, and how the ladder shows them. */
export interface Outgoing {
  readonly bytes: Uint8Array;
  readonly line: string;
}

/** Who sent the request. `failed` stands for 408 (timeout) and 503 (transport) made up locally (RFC 3261 8.1.3.1). */
export interface ClientUser {
  response(response: SipResponse, source: Source): void;
  failed(why: 'timeout' | 'transport'): void;
  /** Nothing more will come. After `failed` too. */
  terminated?(): void;
}

export interface ClientSpec {
  readonly method: string;
  readonly branch: string;
  readonly hop: Hop;
  /** INVITE only: the ACK to a non-2xx response, whose To tag is given (17.1.1.3). */
  readonly ack?: (toTag: string) => Outgoing;
  /** The peer whose answers count, '' for any source at the hop's address. */
  readonly peer: string;
  readonly session?: SessionRef | undefined;
  readonly user: ClientUser;
}

/** Carries an INVITE or non-INVITE client machine: bytes, timer, connection, matching. */
export class ClientTransaction {
  readonly spec: ClientSpec;
  readonly #core: Core;
  readonly #table: TransactionTable;
  readonly #machine: InviteClient | NonInviteClient;
  readonly #link: Link | undefined;
  readonly #alarm;
  /** The request, until nothing can make us repeat it. */
  #message: Outgoing | undefined;
  #sent = false;

  constructor(
    core: Core,
    table: TransactionTable,
    transport: Transport,
    spec: ClientSpec,
    message: Outgoing,
  ) {
    this.spec = spec;
    this.#message = message;
    this.#core = core;
    this.#table = table;
    const reliable = spec.hop.transport !== 'udp';
    this.#machine = spec.method === 'INVITE' ? new InviteClient(reliable) : new NonInviteClient(reliable);
    this.#alarm = core.alarm(() => this.#due());
    table.addClient(this);
    this.#link = transport.link(spec.hop, () => this.#run(this.#machine.transportFailed()));
    // Without a link the failure is told from the timer, so that no user hears of it before `start` returned.
    if (this.#link === undefined) this.#alarm.set(core.now);
    else this.#run(this.#machine.start(core.now));
  }

  /** The hop with its connection: where an ACK or CANCEL of this request goes. */
  get hop(): Hop {
    return this.#link?.hop ?? this.spec.hop;
  }

  get over(): boolean {
    return this.#machine.state === 'terminated';
  }

  /** RFC 3261 18.1.2 and 17.1.3 matched the branch; here the origin: the peer asked, or the very address. */
  answers(source: Source): boolean {
    if (source.hop.remote.ip === this.hop.remote.ip) return true;
    return this.spec.peer !== '' && source.peer === this.spec.peer;
  }

  receive(response: SipResponse, source: Source): void {
    this.#run(this.#machine.response(response.status, this.#core.now), response, source);
  }

  /** The user waits no longer: the transaction is forgotten without a word to the user. */
  abandon(): void {
    this.#finish();
  }

  #due(): void {
    if (this.#link === undefined) this.#run(this.#machine.transportFailed());
    else this.#run(this.#machine.timeout(this.#core.now));
  }

  #run(actions: readonly ClientAction[], response?: SipResponse, source?: Source): void {
    const { user, ack } = this.spec;
    // The alarm first: what the user does in a callback may end this transaction.
    this.#alarm.set(alarmOf(this.#machine));
    if (this.#machine.absorbs) this.#message = undefined;
    for (const action of actions) {
      switch (action) {
        case 'send':
          this.#sendRequest();
          break;
        case 'ack':
          if (ack !== undefined && response !== undefined) this.#send(ack(response.toTag));
          break;
        case 'pass':
          if (response !== undefined && source !== undefined) user.response(response, source);
          break;
        case 'timed-out':
          user.failed('timeout');
          break;
        case 'transport-failed':
          user.failed('transport');
          break;
        case 'terminated':
          this.#finish();
          user.terminated?.();
          break;
      }
    }
  }

  #sendRequest(): void {
    if (this.#message === undefined) return;
    if (this.#sent) this.#link?.send(this.#message.bytes);
    else this.#send(this.#message);
    this.#sent = true;
  }

  #send(message: Outgoing): void {
    this.#link?.send(message.bytes);
    this.#core.trace('out', this.hop, message.line, this.spec.session);
  }

  #finish(): void {
    this.#alarm.set(undefined);
    this.#link?.release();
    this.#table.removeClient(this);
  }
}
