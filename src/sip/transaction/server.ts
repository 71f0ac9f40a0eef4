import type { SessionRef } from '../contract.ts';
import type { Core, Hop, Source } from '../core.ts';
import type { SipRequest } from '../message.ts';
import { responseDestination } from '../response-destination.ts';
import type { Transport } from '../transport.ts';
import type { Outgoing } from './client.ts';
import { InviteServer } from './invite-server.ts';
import { NonInviteServer } from './non-invite-server.ts';
import type { TransactionTable } from './table.ts';
import type { ServerAction } from './timing.ts';

/** Who answers the request. */
export interface ServerUser {
  /** INVITE: its CANCEL came (already answered with 200). */
  cancelled?(cancel: SipRequest): void;
  /** The connection the request came over is gone before a final response was sent. */
  lost?(): void;
}

/** Carries an INVITE or non-INVITE server machine. */
export class ServerTransaction {
  readonly request: SipRequest;
  readonly source: Source;
  readonly key: string;
  readonly mergeKey: string;
  /** Where responses go (18.2.2). */
  readonly hop: Hop;
  session: SessionRef | undefined;
  user: ServerUser = {};
  /** A final response was sent. */
  answered = false;
  readonly #core: Core;
  readonly #table: TransactionTable;
  readonly #transport: Transport;
  readonly #machine: InviteServer | NonInviteServer;
  readonly #alarm;
  readonly #unwatch: () => void;
  #last: Outgoing | undefined;

  constructor(
    core: Core,
    table: TransactionTable,
    transport: Transport,
    keys: { readonly key: string; readonly mergeKey: string },
    request: SipRequest,
    source: Source,
  ) {
    this.request = request;
    this.source = source;
    this.key = keys.key;
    this.mergeKey = keys.mergeKey;
    this.hop = replyHop(request, source);
    this.#core = core;
    this.#table = table;
    this.#transport = transport;
    const reliable = source.hop.transport !== 'udp';
    this.#machine = request.method === 'INVITE' ? new InviteServer(reliable) : new NonInviteServer(reliable);
    this.#alarm = core.alarm(() => this.#run(this.#machine.timeout(core.now)));
    this.#unwatch = transport.watch(source.hop, () => this.#lost());
    table.addServer(this);
  }

  /** Sends a response; a no-op where the state forbids it (a final one was sent). */
  respond(status: number, message: Outgoing): void {
    if (this.answered && !(status < 300 && this.request.method === 'INVITE')) return;
    const before = this.#last;
    this.#last = message;
    if (status >= 200) this.answered = true;
    const actions = this.#machine.respond(status, this.#core.now);
    if (actions.length === 0) this.#last = before;
    else if (before !== message) this.#core.trace('out', this.hop, message.line, this.session);
    this.#run(actions);
  }

  /** The same request again. */
  repeated(): void {
    this.#run(this.#machine.repeated());
  }

  /** The ACK of our non-2xx final response. */
  acknowledged(): void {
    if (this.#machine instanceof InviteServer) this.#run(this.#machine.acknowledged(this.#core.now));
  }

  #lost(): void {
    const waiting = !this.answered;
    this.#run(this.#machine.transportFailed());
    if (!waiting) return;
    this.answered = true;
    this.#finish();
    this.user.lost?.();
  }

  #run(actions: readonly ServerAction[]): void {
    this.#alarm.set(this.#machine.deadline());
    for (const action of actions) {
      if (action === 'send') {
        if (this.#last !== undefined) this.#transport.send(this.hop, this.#last.bytes);
      } else if (action === 'timed-out') {
        // 17.2.1: timer H. A non-2xx needs nothing more than to be forgotten.
        this.#core.count('ack-missing', undefined, this.source.hop.remote);
      } else this.#finish();
    }
  }

  #finish(): void {
    this.#alarm.set(undefined);
    this.#unwatch();
    this.#table.removeServer(this);
  }
}

/** RFC 3261 18.2.2: over a stream, the connection the request came over; over UDP see response-destination.ts. */
export function replyHop(request: SipRequest, source: Source): Hop {
  const { hop } = source;
  if (hop.transport !== 'udp') return hop;
  return { ...hop, remote: responseDestination(request.vias[0], hop.remote) };
}
