/**
 * The H.323 endpoint: bytes, connections and commands in, bytes, connections and events out (contract.ts). Everything is
 * delegated: connections.ts and signalling.ts (call signalling), h225/ and h245/ (one file per operation), ras/.
 */
import type { Machine, Millis } from '../machine/machine.ts';
import type { Call } from './call.ts';
import { CallTable } from './calls.ts';
import { Connections, type ConnectionUser, type Opened } from './connections.ts';
import type { H323Command, H323Input, H323Output } from './contract.ts';
import { Core, type H323Options } from './core.ts';
import { sendAlerting } from './h225/alerting.ts';
import { sendCallProceeding } from './h225/call-proceeding.ts';
import { sendConnect } from './h225/connect.ts';
import { sendForward } from './h225/facility.ts';
import { flushTunnel } from './h225/message.ts';
import { sendProgress } from './h225/progress.ts';
import { endCall } from './h225/release-complete.ts';
import { startSetup } from './h225/setup.ts';
import { capabilitiesGiven, hold, retrieve } from './h245/capability-exchange.ts';
import { controlAccepted, listenFailed, listening } from './h245/connection.ts';
import { refreshPicture } from './h245/flow-control.ts';
import { acceptChannel, closeChannel, openChannel, rejectChannel } from './h245/logical-channel.ts';
import { answerMode, requestMode } from './h245/request-mode.ts';
import { sendUserInput } from './h245/user-input.ts';
import { transferAnswered } from './h450/services.ts';
import { decodeRas, messageErrorText } from './messages.ts';
import type { H323Peer } from './peer-contract.ts';
import { RasClient } from './ras/client.ts';
import { rasLine } from './ras/exchange.ts';
import { Gatekeeper } from './ras/gatekeeper.ts';
import { Terminals } from './ras/terminals.ts';
import { SignallingUser } from './signalling.ts';
import type { Stack } from './stack.ts';

/** What the endpoint holds; all zero once nothing lives (kept connections and registered terminals last longer). */
export interface H323Sizes {
  readonly calls: number;
  readonly connections: number;
  readonly listening: number;
  /** RAS requests and name look-ups that wait for an answer. */
  readonly exchanges: number;
  readonly terminals: number;
}

type Datagram = Extract<H323Input, { kind: 'datagram' }>;
type CallCommand = Exclude<H323Command, { kind: 'configure' | 'unregister' | 'drain' | 'setup' }>;

/** Octets of a RAS datagram: no fragment of a larger one makes sense. */
const RAS_BYTES = 8192;

export class H323Endpoint implements Machine<H323Input, H323Output> {
  readonly #core: Core;
  readonly #stack: Stack;
  readonly #gatekeeper: Gatekeeper;

  /** Needs a `configure` command before anything can be sent or received. */
  constructor(options: H323Options) {
    const core = new Core(options);
    const stack = (): Stack => this.#stack;
    this.#core = core;
    this.#stack = {
      core,
      connections: new Connections(core, {
        signalling: (input) => this.#accept(input),
        h245: (ref, input) => controlAccepted(this.#stack, ref, input),
      }),
      dialled: new SignallingUser(stack, undefined),
      calls: new CallTable((options.random.uint32() % 32_767) + 1),
      ras: new RasClient(core, stack),
      terminals: new Terminals(core),
      dirty: new Set(),
    };
    this.#gatekeeper = new Gatekeeper(core, this.#stack.terminals);
  }

  get sizes(): H323Sizes {
    const { calls, connections, ras, terminals } = this.#stack;
    return {
      calls: calls.size,
      connections: connections.size,
      listening: calls.listening.size,
      exchanges: ras.exchanges.size + this.#core.queries,
      terminals: terminals.size,
    };
  }

  handle(input: H323Input, now: Millis): void {
    this.#core.now = Math.max(this.#core.now, now);
    this.#take(input);
    for (const call of [...this.#stack.dirty]) flushTunnel(this.#stack, call);
    this.#stack.dirty.clear();
  }

  poll(): H323Output | undefined {
    return this.#core.poll();
  }

  deadline(): Millis | undefined {
    return this.#core.timers.next();
  }

  #take(input: H323Input): void {
    const { connections, ras } = this.#stack;
    switch (input.kind) {
      case 'timeout':
        return this.#timeout();
      case 'datagram':
        return this.#datagram(input);
      case 'stream-open':
        return connections.opened(input);
      case 'stream-data':
        return connections.data(input.connection, input.bytes);
      case 'stream-closed':
        return connections.closed(input.connection, input.reason);
      case 'unreachable':
        return ras.exchanges.unreachable(input.remote);
      case 'listening':
        return listening(this.#stack, input.listening, input.local);
      case 'listen-failed':
        return listenFailed(this.#stack, input.listening);
      case 'resolved':
        return this.#core.resolved(
          input.query,
          input.targets.map((target) => target.address.ip),
        );
      case 'command':
        return this.#command(input.command);
    }
  }

  #timeout(): void {
    const { timers, now } = this.#core;
    for (let due = timers.take(now); due !== undefined; due = timers.take(now)) due.fire();
  }

  /** Whose an accepted call signalling connection is: a peer's, or a terminal's that is registered here. */
  #accept(input: Opened): ConnectionUser | { readonly refused: string } {
    const stack = (): Stack => this.#stack;
    const peer = this.#core.identify(input.remote, input.listener, 'tcp');
    const terminal = this.#stack.terminals.bySource(input.remote.ip);
    const { service } = this.#gatekeeper;
    if (
      terminal !== undefined &&
      service !== undefined &&
      (peer === undefined || peer.name === service.peer)
    ) {
      const host = this.#core.peers.get(service.peer);
      if (host !== undefined) return new SignallingUser(stack, { peer: host, account: terminal.account });
    }
    if (peer === undefined) return { refused: 'unknown-source' };
    return new SignallingUser(stack, { peer });
  }

  #datagram(input: Datagram): void {
    const core = this.#core;
    const { listener, remote, bytes } = input;
    if (bytes.length <= 2) return; // keep-alives of NAT traversal
    if (bytes.length > RAS_BYTES) return core.count('ras-long', remote);
    const decoded = decodeRas(bytes);
    if (!decoded.ok) {
      core.count(`ras-${decoded.error.reason}`, remote);
      return core.trace('in', 'udp', remote, `RAS (undecodable: ${messageErrorText(decoded.error)})`);
    }
    const { message, unknown } = decoded.value;
    core.trace('in', 'udp', remote, rasLine(message));
    if (unknown > 0) core.count('unknown-extension', remote);
    if (message.choice === 'unknown') return core.count('ras-unknown', remote);
    if (this.#stack.ras.answered(remote, bytes, message)) return;
    if (this.#stack.ras.requested(listener, remote, bytes, message)) return;
    this.#gatekeeper.requested(listener, remote, bytes, message);
  }

  #command(command: H323Command): void {
    switch (command.kind) {
      case 'configure':
        return this.#configure(command);
      case 'unregister':
        return this.#stack.ras.unregister();
      case 'drain':
        this.#core.draining = true;
        return;
      case 'setup':
        return startSetup(this.#stack, command);
      default: {
        // Commands to a call that ended cross its `released` event: nothing to do.
        const call = this.#stack.calls.get(command.call);
        if (call !== undefined) this.#callCommand(call, command);
      }
    }
  }

  #callCommand(call: Call, command: CallCommand): void {
    const stack = this.#stack;
    switch (command.kind) {
      case 'proceeding':
        return sendCallProceeding(stack, call, command.fastStart);
      case 'alerting':
        return sendAlerting(stack, call, command);
      case 'progress':
        return sendProgress(stack, call, command);
      case 'connect':
        return sendConnect(stack, call, command);
      case 'release':
        return endCall(stack, call, { by: 'local', cause: command.cause, tell: true });
      case 'forward':
        return sendForward(stack, call, command);
      case 'capabilities':
        return capabilitiesGiven(stack, call, command.capabilities);
      case 'hold':
        return hold(stack, call);
      case 'retrieve':
        return retrieve(stack, call);
      case 'open-channel':
        return openChannel(stack, call, command);
      case 'accept-channel':
        return acceptChannel(stack, call, command);
      case 'reject-channel':
        return rejectChannel(stack, call, command.media, command.reason);
      case 'close-channel':
        return closeChannel(stack, call, command);
      case 'request-mode':
        return requestMode(stack, call, command.capability);
      case 'answer-mode':
        return answerMode(stack, call, command.accepted);
      case 'answer-transfer':
        return transferAnswered(stack, call, command.accepted);
      case 'user-input':
        return sendUserInput(stack, call, command);
      case 'refresh-picture':
        return refreshPicture(stack, call);
    }
  }

  #configure(command: Extract<H323Command, { kind: 'configure' }>): void {
    const { peers, resolvedPeers } = this.#core;
    this.#core.listeners = command.listeners;
    const before = new Map(peers);
    peers.clear();
    for (const peer of command.peers) peers.set(peer.name, peer);
    for (const [ip, name] of resolvedPeers)
      if (!sameHosts(before.get(name), peers.get(name))) resolvedPeers.delete(ip);
    this.#stack.ras.configure();
    this.#gatekeeper.configure(command.gatekeeper);
  }
}

/** Addresses learned by name are the peer's as long as its names are the same. */
function sameHosts(was: H323Peer | undefined, is: H323Peer | undefined): boolean {
  return was !== undefined && was.host === is?.host && was.gatekeeper?.host === is.gatekeeper?.host;
}
