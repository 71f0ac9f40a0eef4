import { buildResponse } from '../build.ts';
import type { SessionRef } from '../contract.ts';
import type { Core, Hop, Source } from '../core.ts';
import type { SipRequest } from '../message.ts';
import { responseDestination } from '../response-destination.ts';
import type { Link, Transport } from '../transport.ts';
import type { Outgoing } from './client.ts';
import { InviteServer } from './invite-server.ts';
import { NonInviteServer } from './non-invite-server.ts';
import type { TransactionTable } from './table.ts';
import { alarmOf, type ServerAction } from './timing.ts';

/** Who answers the request. */
export interface ServerUser {
  /** INVITE: its CANCEL came (already answered with 200). */
  cancelled?(cancel: SipRequest): void;
  /** The connection the request came over is gone before a final response was sent, and there is no other way back. */
  lost?(): void;
}

const NOBODY: ServerUser = {};

/** Carries an INVITE or non-INVITE server machine. */
export class ServerTransaction {
  readonly method: string;
  /** Its To had no tag: it starts something new. */
  readonly outsideDialog: boolean;
  readonly source: Source;
  readonly key: string;
  readonly mergeKey: string;
  /** Where responses go (18.2.2). */
  hop: Hop;
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
  #request: SipRequest | undefined;
  #last: Uint8Array | undefined;
  /** The connection is gone: responses go over one that was opened to the sender. */
  #detached = false;
  #link: Link | undefined;

  constructor(
    core: Core,
    table: TransactionTable,
    transport: Transport,
    keys: { readonly key: string; readonly mergeKey: string },
    request: SipRequest,
    source: Source,
  ) {
    this.#request = request;
    this.method = request.method;
    this.outsideDialog = request.toTag === '';
    this.source = source;
    this.key = keys.key;
    this.mergeKey = keys.mergeKey;
    this.hop = replyHop(request, source);
    this.#core = core;
    this.#table = table;
    this.#transport = transport;
    const reliable = source.hop.transport !== 'udp';
    const invite = request.method === 'INVITE';
    this.#machine = invite ? new InviteServer(reliable, core.now) : new NonInviteServer(reliable);
    this.#alarm = core.alarm(() => this.#run(this.#machine.timeout(core.now)));
    this.#alarm.set(alarmOf(this.#machine));
    this.#unwatch = transport.watch(source.hop, () => this.#lost());
    table.addServer(this);
  }

  /** Until a final response was sent; from then on whoever asks for it has a bug, and gets an exception. */
  get request(): SipRequest {
    if (this.#request === undefined) throw new Error('bug: the request was answered and forgotten');
    return this.#request;
  }

  /** Sends a response; a no-op where the state forbids it (a final one was sent). */
  respond(status: number, message: Outgoing): void {
    if (this.answered && !(status < 300 && this.method === 'INVITE')) return;
    const before = this.#last;
    this.#last = message.bytes;
    const actions = this.#machine.respond(status, this.#core.now);
    if (status >= 200) this.#answeredNow();
    if (actions.length === 0) this.#last = before;
    else if (before !== message.bytes) this.#core.trace('out', this.hop, message.line, this.session);
    this.#run(actions);
  }

  /**
   * There is nothing more to tell the user: for the half minute that the transaction lives on, it holds neither a whole session nor the
   * request with the datagram it came in.
   */
  #answeredNow(): void {
    this.answered = true;
    this.#request = undefined;
    if (!this.#detached) this.user = NOBODY;
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
    if (!this.answered && !this.#detached) {
      const back = wayBack(this.#core, this.request, this.source);
      // Opened now, not with the response: where nobody listens there, nobody waits for one (an INVITE and a reset, say).
      this.#link = back && this.#transport.link(back, () => this.#lost());
      if (back !== undefined && this.#link !== undefined) {
        this.hop = back;
        this.#detached = true;
        return;
      }
    }
    const waiting = !this.answered || this.#detached;
    this.#detached = false;
    this.#run(this.#machine.transportFailed());
    if (!waiting) return;
    this.answered = true;
    this.#finish();
    this.user.lost?.();
  }

  #run(actions: readonly ServerAction[]): void {
    this.#alarm.set(alarmOf(this.#machine));
    for (const action of actions) {
      if (action === 'send') {
        this.#send();
      } else if (action === 'trying') {
        this.#trying();
      } else if (action === 'timed-out') {
        // 17.2.1: timer H. A non-2xx needs nothing more than to be forgotten.
        this.#core.count('ack-missing', undefined, this.source.hop.remote);
      } else this.#finish();
    }
  }

  /** No new state: 100 is no answer of the user. */
  #trying(): void {
    const { bytes, line } = buildResponse(this.request, 100, this.source.hop);
    this.#last = bytes;
    this.#core.trace('out', this.hop, line, this.session);
    this.#send();
  }

  #send(): void {
    if (this.#last === undefined) return;
    if (this.#link === undefined) this.#transport.send(this.hop, this.#last);
    else this.#link.send(this.#last);
  }

  #finish(): void {
    this.#alarm.set(undefined);
    this.#unwatch();
    this.#link?.release();
    this.#table.removeServer(this);
  }
}

/** RFC 3261 18.2.2: over a stream, the connection the request came over; over UDP see response-destination.ts. */
export function replyHop(request: SipRequest, source: Source): Hop {
  const { hop } = source;
  if (hop.transport !== 'udp') return hop;
  return { ...hop, remote: responseDestination(request.vias[0], hop.remote) };
}

/**
 * RFC 3261 18.2.2: the connection is gone, so the response opens one to the address the request came from, at the port of its
 * sent-by. Only to a peer that has addresses of its own: at a stranger's word nobody is dialled.
 */
function wayBack(core: Core, request: SipRequest, source: Source): Hop | undefined {
  const peer = core.peers.get(source.peer);
  if (peer === undefined || peer.boundToSource === true) return undefined;
  const { connection: _gone, ...hop } = source.hop;
  const tls = hop.transport === 'tls';
  const port = request.vias[0]?.port ?? (tls ? 5061 : 5060);
  return { ...hop, remote: { ip: hop.remote.ip, port }, ...(tls ? { serverName: peer.host } : {}) };
}
