/**
 * The SIP endpoint: bytes, connections and commands in, bytes, connections and events out (contract.ts). Everything is
 * delegated: transport.ts (bytes, connections), transaction/ (RFC 3261 17), uas.ts and request.ts (the two user agent
 * cores), session/ (one file per operation).
 */
import type { Machine, Millis } from '../machine/machine.ts';
import { wholeSeconds } from './build.ts';
import type { SipCommand, SipInput, SipOutput } from './contract.ts';
import { Core, type SipOptions, type Source } from './core.ts';
import type { SipMessage, SipParseError, SipResponse } from './message.ts';
import { Prober } from './probe.ts';
import { Registrations } from './registration.ts';
import { refusalDestination, refusalReply } from './reply.ts';
import { Resolver } from './resolve.ts';
import { accept, reject, sendProvisional } from './session/accept.ts';
import { acknowledge } from './session/ack.ts';
import { endSession } from './session/end.ts';
import { sendDtmf } from './session/info.ts';
import { startInvite } from './session/invite.ts';
import { acceptModify, refuseModify } from './session/modify.ts';
import { notifyRefer, sendRefer } from './session/refer.ts';
import { reinvite } from './session/reinvite.ts';
import type { Session } from './session/session.ts';
import type { Stack } from './stack.ts';
import { TransactionTable } from './transaction/table.ts';
import { Transport } from './transport.ts';
import { Uas } from './uas.ts';

/** What the endpoint holds; all zero once nothing lives (connections may stay open until idle). */
export interface SipSizes {
  readonly transactions: number;
  readonly sessions: number;
  readonly dialogs: number;
  readonly connections: number;
  /** Requests that wait for the user: `authenticate` and `request` events. */
  readonly pendingAuth: number;
}

export class SipEndpoint implements Machine<SipInput, SipOutput> {
  readonly #core: Core;
  readonly #stack: Stack;
  readonly #transport: Transport;
  readonly #uas: Uas;
  readonly #prober: Prober;
  readonly #registrations: Registrations;

  /** Needs a `configure` command before anything can be sent or received. */
  constructor(options: SipOptions) {
    this.#core = new Core(options);
    this.#transport = new Transport(this.#core, {
      message: (message, source) => this.#message(message, source),
      malformed: (error, source) => this.#malformed(error, source),
    });
    this.#stack = {
      core: this.#core,
      transport: this.#transport,
      table: new TransactionTable(this.#core, this.#transport),
      resolver: new Resolver(this.#core),
      sessions: new Map(),
      live: 0,
      dialogs: new Map(),
      calling: new Map(),
      refusesTcp: new Map(),
    };
    this.#uas = new Uas(this.#stack);
    this.#prober = new Prober(this.#stack);
    this.#registrations = new Registrations(this.#stack);
  }

  get sizes(): SipSizes {
    return {
      transactions: this.#stack.table.size,
      sessions: this.#stack.sessions.size,
      dialogs: this.#stack.dialogs.size,
      connections: this.#transport.connections,
      pendingAuth: this.#uas.authenticator.size + this.#uas.outside.size + this.#stack.resolver.size,
    };
  }

  /** Registrations of ours that are being taken back. */
  get unregistering(): number {
    return this.#registrations.leaving;
  }

  handle(input: SipInput, now: Millis): void {
    this.#core.now = Math.max(this.#core.now, now);
    switch (input.kind) {
      case 'timeout':
        return this.#timeout();
      case 'datagram':
        return this.#transport.datagram(input.listener, input.remote, input.bytes);
      case 'stream-open':
        return this.#transport.opened(input);
      case 'stream-data':
        return this.#transport.data(input.connection, input.bytes);
      case 'stream-closed':
        return this.#transport.closed(input.connection);
      case 'unreachable':
        return this.#transport.unreachable(input.remote);
      case 'resolved':
        return this.#stack.resolver.resolved(input.query, input.targets);
      case 'command':
        return this.#command(input.command);
    }
  }

  poll(): SipOutput | undefined {
    return this.#core.poll();
  }

  deadline(): Millis | undefined {
    return this.#core.timers.next();
  }

  #timeout(): void {
    const { timers, now } = this.#core;
    for (let due = timers.take(now); due !== undefined; due = timers.take(now)) due.fire();
  }

  #message(message: SipMessage, source: Source): void {
    for (const name of message.unknownHeaders) {
      this.#core.count('unknown-header', name, source.hop.remote);
    }
    if (message.kind === 'request') this.#uas.receive(message, source);
    else this.#response(message, source);
  }

  #response(response: SipResponse, source: Source): void {
    const client = this.#stack.table.matchResponse(response, source);
    if (client === undefined) return this.#core.count('stray-response', undefined, source.hop.remote);
    const { status, cseq } = response;
    const line = `SIP/2.0 ${status} (CSeq ${cseq.number} ${cseq.method})`;
    this.#core.trace('in', source.hop, line, client.spec.session);
    client.receive(response, source);
  }

  /** Refused without state; never an ACK, nor somebody we do not know. */
  #malformed(error: SipParseError, source: Source): void {
    const { hop } = source;
    this.#core.count(error.reason, undefined, hop.remote);
    const { reply, respond } = error;
    if (reply === undefined || respond === undefined || source.peer === '' || reply.method === 'ACK') return;
    const bytes = refusalReply(reply, respond, hop.remote);
    const remote = hop.transport === 'udp' ? refusalDestination(reply, hop.remote) : hop.remote;
    this.#transport.send({ ...hop, remote }, bytes);
  }

  #command(command: SipCommand): void {
    switch (command.kind) {
      case 'configure':
        return this.#configure(command);
      case 'drain':
        this.#core.drainSeconds = wholeSeconds(command.retryAfterSeconds);
        return;
      case 'unregister':
        return this.#registrations.unregister();
      case 'invite':
        return startInvite(this.#stack, command);
      case 'respond':
        return this.#uas.outside.respond(command);
      case 'authenticated':
        return this.#uas.authenticator.authenticated(command);
      default: {
        // Commands to a session that ended cross its `ended` event: nothing to do.
        const session = this.#stack.sessions.get(command.session);
        if (session !== undefined && session.state !== 'ended') this.#sessionCommand(session, command);
      }
    }
  }

  #sessionCommand(session: Session, command: Extract<SipCommand, { session: number }>): void {
    const stack = this.#stack;
    switch (command.kind) {
      case 'provisional':
        return sendProvisional(stack, session, command);
      case 'accept':
        return accept(stack, session, command);
      case 'reject':
        return reject(session, command);
      case 'acknowledge':
        return acknowledge(stack, session, command);
      case 'end':
        return endSession(stack, session, command);
      case 'reinvite':
        return reinvite(stack, session, command.body);
      case 'modify-accept':
        return acceptModify(stack, session, command);
      case 'modify-refuse':
        return refuseModify(session, command);
      case 'info-dtmf':
        return sendDtmf(stack, session, command);
      case 'notify-refer':
        return notifyRefer(stack, session, command);
      case 'refer':
        return sendRefer(stack, session, command.user);
      case 'invite':
        return;
    }
  }

  #configure(command: Extract<SipCommand, { kind: 'configure' }>): void {
    const { peers, resolvedPeers } = this.#core;
    this.#core.listeners = command.listeners;
    const hosts = new Map([...peers].map(([name, { host }]) => [name, host]));
    peers.clear();
    for (const peer of command.peers) peers.set(peer.name, peer);
    resolvedPeers.keep((name) => peers.has(name) && peers.get(name)?.host === hosts.get(name));
    this.#prober.configure();
    this.#registrations.configure();
  }
}
